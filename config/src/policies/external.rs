//! `kind: external`.

use tollgate_core::authz::{ExternalSettings, PATH_MAX, Protocol, Sent};
use tollgate_core::bounds::ROUTE_LIST_MAX;
use tollgate_core::limit::OnUnavailable;

use super::bearer::written_secret;
use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::expression::compile_value;
use crate::place::{Span, Spanned};
use crate::schema::texts::{FIELD_VALUE, URL};
use crate::schema::{Key, Named, Object, Quantity, Shape, TextRule};

/// A short description of the kind.
pub(super) const DOES: &str = "authorizes requests by the decision of a service; named in `authz`";

pub(super) static TABLE: Object = Object {
    name: "external",
    doc: "Authorizes requests by the decision of a service, such as Open Policy Agent. A request that it does not authorize is answered \
          with 403. Named in `authz`.",
    keys: &[
        kind_key(&[("external", DOES)]),
        Key::required("url", "The URL that is asked, by POST.", Shape::Ruled(&URL))
            .change(Change::Review("another service decides"))
            .examples(&["\"https://opa.example.com/v1/data/orders/allow\""]),
        Key::required("protocol", "The form of questions and answers.", Shape::Word(PROTOCOL_WORDS))
            .change(Change::Review("questions and answers have another form"))
            .examples(&["\"opa\""]),
        Key::required(
            "send",
            "What the service is told: expressions as in `condition`, by name. A name with dots is a member of a member. What has no \
             value is left out.",
            Shape::Named(&Named { names: &SENT_NAME, of: Shape::Text, max: ROUTE_LIST_MAX }),
        )
        .change(Change::Review("the service is told something else"))
        .examples(&["{\"user\": \"principal.consumer\", \"request.path\": \"request.path\"}"]),
        Key::optional(
            "cache",
            "How long a decision is used for requests about which the service would be told the same.",
            Shape::Quantity(Quantity::Duration),
        )
        .absent("the service is asked about every request")
        .change(Change::MoreIsGranted)
        .examples(&["\"5s\""]),
        Key::optional("timeout", "The time limit for an answer.", Shape::Quantity(Quantity::Duration))
            .default("\"500ms\"")
            .change(Change::Review("the service has another time to answer")),
        Key::optional("on-unavailable", "What happens if there is no decision.", Shape::Word(ON_UNAVAILABLE_WORDS))
            .default("\"closed\"")
            .change(Change::LoosestFirst {
                words: &["open", "closed"],
                looser: "requests are authorized while the service does not decide",
                stricter: "requests are refused while the service does not decide",
            }),
        Key::optional(
            "token",
            "A bearer token with which the gateway proves to the service who it is: a reference to a secret.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .absent("none")
        .change(Change::Review("the service is asked with another token"))
        .examples(&["\"${secret.OPA}\""]),
        Key::optional(
            "private-network",
            "Whether the service may be asked over plain HTTP, and at addresses that are not public.",
            Shape::Boolean,
        )
        .default("false")
        .change(Change::LoosestFirst {
            words: &["true", "false"],
            looser: "the service may be reached over plain HTTP, and at addresses that are not public",
            stricter: "the service is reached over HTTPS, at public addresses only",
        }),
    ],
    examples: &["{\"kind\": \"external\", \"url\": \"https://opa.example.com/v1/data/orders/allow\", \"protocol\": \"opa\", \
                 \"send\": {\"user\": \"principal.consumer\", \"path\": \"request.path\"}}"],
    ..Object::PLAIN
};

const PROTOCOL_WORDS: &[(&str, &str)] = &[
    (
        "opa",
        "the data API of Open Policy Agent: `{\"input\": ...}`, and `{\"result\": true}` or `{\"result\": {\"allow\": true}}`",
    ),
    (
        "authzen",
        "the evaluation API of AuthZEN 1.0: `subject`, `action`, `resource`, `context`, and `{\"decision\": true}`",
    ),
    ("http", "any service: a status of 200 to 299 authorizes, 401 and 403 refuse"),
];

const PROTOCOL: &[(&str, Protocol)] =
    &[("opa", Protocol::Opa), ("authzen", Protocol::Authzen), ("http", Protocol::Http)];

const ON_UNAVAILABLE_WORDS: &[(&str, &str)] =
    &[("open", "requests are authorized"), ("closed", "requests are refused with 503")];

const ON_UNAVAILABLE: &[(&str, OnUnavailable)] = &[("open", OnUnavailable::Open), ("closed", OnUnavailable::Closed)];

static SENT_NAME: TextRule = TextRule {
    name: "sent-name",
    doc: "The name of a value that a service is told: letters, digits, `_` and `-`, with dots between the names of members.",
    pattern: "^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$",
    examples: &["user", "subject.id"],
};

/// What the evaluation API requires (AuthZEN Authorization API 1.0, section 5).
const AUTHZEN_REQUIRED: [&str; 5] = ["subject.type", "subject.id", "action.name", "resource.type", "resource.id"];

/// The time for which a decision is used at most: permissions that were withdrawn remain for so long.
const CACHE_MS_MAX: u64 = 3_600_000;

/// The longest time for an answer: clients wait for it.
const TIMEOUT_MS_MAX: u64 = 10_000;

impl Kind for ExternalSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let url = written.text("url")?;
        let is_private = written.boolean("private-network");
        let is_url = parsed::url(&url, report).is_some() && is_secure(&url, is_private, report);
        let protocol = written.word("protocol", PROTOCOL)?;
        let at = written.written("send")?.span;
        let sent = sent(&written.named("send"), report);
        let is_complete = sent.as_ref().is_none_or(|sent| has_required(protocol, sent, at, report));
        let cache_ms = match written.duration_ms("cache") {
            Some(cache) => {
                at_most(&cache, CACHE_MS_MAX, "a permission that was withdrawn would be used for this time", report)
            }
            None => Some(0),
        };
        let timeout_ms =
            at_most(&written.duration_ms("timeout")?, TIMEOUT_MS_MAX, "clients wait for the answer", report);
        let token = written.parsed("token", |text| parsed::secret_reference(text, report))?;
        (is_url && is_complete).then_some(())?;
        Some(Self {
            url: url.value,
            is_private,
            protocol,
            sent: sent?,
            cache_ms: cache_ms?,
            timeout_ms: timeout_ms?,
            on_unavailable: written.word("on-unavailable", ON_UNAVAILABLE)?,
            token: token.into_iter().collect(),
        })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let sent = self.sent.iter().map(|sent| (sent.path.join("."), vec![sent.text.clone()])).collect();
        let all = [
            Some(("url", Value::Text(self.url.clone()))),
            Value::word("protocol", PROTOCOL, &self.protocol),
            Some(("send", Value::Named(sent))),
            (self.cache_ms > 0).then(|| ("cache", Value::DurationMs(self.cache_ms.into()))),
            Some(("timeout", Value::DurationMs(self.timeout_ms.into()))),
            Value::word("on-unavailable", ON_UNAVAILABLE, &self.on_unavailable),
            self.token.first().map(|token| ("token", Value::Text(written_secret(token)))),
            Some(("private-network", Value::Boolean(self.is_private))),
        ];
        all.into_iter().flatten().collect()
    }
}

fn is_secure(url: &Spanned<String>, is_private: bool, report: &mut Report) -> bool {
    let is_secure = is_private || url.value.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("https://"));
    if !is_secure {
        report.push(
            Diagnostic::error(Code::BadExternal, url.span, "the service is asked not over HTTPS")
                .why("anyone on the way could read what it is told, and authorize requests in its place")
                .fix("write an `https://` URL; inside a private network add `private-network: true`"),
        );
    }
    is_secure
}

/// What is sent, sorted by path.
fn sent(named: &[(Spanned<String>, Vec<String>)], report: &mut Report) -> Option<Vec<Sent>> {
    let mut all: Vec<(Span, Sent)> =
        named.iter().filter_map(|(name, texts)| Some((name.span, value(name, texts, report)?))).collect();
    all.sort_by(|(_, one), (_, other)| one.path.cmp(&other.path));
    for pair in all.windows(2) {
        if let [(_, one), (span, other)] = pair
            && other.path.starts_with(&one.path)
        {
            let (value, member) = (one.path.join("."), other.path.join("."));
            report.push(
                Diagnostic::error(
                    Code::BadExternal,
                    *span,
                    format!("`{member}` is a member of `{value}`, which is a value"),
                )
                .why("a name is that of a value, or of an object with members")
                .fix("choose another name for one of them"),
            );
            return None;
        }
    }
    (all.len() == named.len()).then(|| all.into_iter().map(|(_, sent)| sent).collect())
}

fn value(name: &Spanned<String>, texts: &[String], report: &mut Report) -> Option<Sent> {
    let mut refuse = |what: String, why: &str, fix: &str| {
        report.push(Diagnostic::error(Code::BadExternal, name.span, what).why(why).fix(fix));
        None
    };
    let path: Vec<String> = name.value.split('.').map(str::to_owned).collect();
    let is_name =
        |part: &String| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if path.len() > PATH_MAX || !path.iter().all(is_name) {
        let why = "it names a member of the content that is sent";
        return refuse(format!("`{}` is not a name", name.value), why, "write a name such as `user` or `subject.id`");
    }
    let [text] = texts else {
        let why = "each name has one value";
        return refuse(
            format!("`{}` has several expressions", name.value),
            why,
            "write one expression; a list is `[a, b]` in a text",
        );
    };
    match compile_value(text) {
        Ok(value) => Some(Sent { path, value, text: text.clone() }),
        Err(fault) => {
            let piece = text.get(fault.at.clone()).filter(|piece| !piece.is_empty() && !fault.what.contains(piece));
            let piece = piece.map(|piece| format!(": `{piece}`")).unwrap_or_default();
            report.push(
                Diagnostic::error(Code::BadExpression, name.span, format!("`{}`: {}{piece}", name.value, fault.what))
                    .why(fault.why)
                    .fix(fault.fix),
            );
            None
        }
    }
}

/// Whether everything is sent that the protocol requires.
fn has_required(protocol: Protocol, sent: &[Sent], at: Span, report: &mut Report) -> bool {
    if protocol != Protocol::Authzen {
        return true;
    }
    let is_sent = |name: &&str| sent.iter().any(|sent| sent.path.iter().map(String::as_str).eq(name.split('.')));
    let missing: Vec<&str> = AUTHZEN_REQUIRED.into_iter().filter(|name| !is_sent(name)).collect();
    if let Some(first) = missing.first() {
        report.push(
            Diagnostic::error(Code::BadExternal, at, format!("the service is not told `{}`", missing.join("`, `")))
                .why("AuthZEN requires subject, action and resource of every question")
                .fix(format!("add `{first}`; a text is written in quotes, as in `subject.type: \"'user'\"`")),
        );
    }
    missing.is_empty()
}

fn at_most(duration: &Spanned<u64>, max: u64, why: &str, report: &mut Report) -> Option<u32> {
    if duration.value > max {
        report.push(
            Diagnostic::error(Code::BadExternal, duration.span, format!("it is longer than {} s", max / 1_000))
                .why(why)
                .fix("write a shorter duration"),
        );
        return None;
    }
    u32::try_from(duration.value).ok()
}
