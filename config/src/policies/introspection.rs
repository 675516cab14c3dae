//! `kind: introspection`.

use tollgate_core::authn::{IntrospectionSettings, SignedAnswers};
use tollgate_core::forward::Attribute;
use tollgate_core::oauth::ClientAuthentication;

use super::bearer::{self, AUDIENCE, CLIENT_SECRET, FOR_SOMEBODY, OUTAGE, PLACE, RESOURCE, RULES, TEXT_OR_TEXTS};
use super::binding::BINDING;
use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema::texts::URL;
use crate::schema::{Key, Object, Quantity, Rule, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates callers by a token that its provider is asked about; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "introspection",
    doc: "Authenticates callers by a token of an identity provider, which is asked whether the token is active and whose it is \
          (RFC 7662). Named in `authn`.",
    keys: &[
        kind_key(&[("introspection", DOES)]),
        Key::optional("url", "The URL of the provider's introspection endpoint.", Shape::Ruled(&URL))
            .absent("the one that the issuer's metadata names")
            .change(Change::Review("another server is asked about tokens"))
            .examples(&["\"https://id.example.com/introspect\""]),
        Key::optional(
            "issuer",
            "The issuers that are trusted: if the provider's answer has `iss`, it is one of them.",
            TEXT_OR_TEXTS,
        )
        .absent("`iss` is not checked")
        .change(Change::MoreIsLooser)
        .examples(&["\"https://id.example.com\""]),
        AUDIENCE,
        Key::optional("client-id", "The gateway's own id at the provider.", Shape::Text)
            .absent("none, with `client-auth: bearer`")
            .change(Change::Review("the provider is asked by another client"))
            .examples(&["\"gateway\""]),
        CLIENT_SECRET,
        Key::optional("client-auth", "How the gateway sends id and secret.", Shape::Word(CLIENT_AUTH))
            .default("\"basic\"")
            .change(Change::Review("the provider is asked in another way")),
        Key::optional(
            "private-network",
            "Whether the provider may be asked over plain HTTP, and at addresses that are not public.",
            Shape::Boolean,
        )
        .default("false")
        .change(Change::LoosestFirst {
            words: &["true", "false"],
            looser: "the provider may be reached over plain HTTP, and at addresses that are not public",
            stricter: "the provider is reached over HTTPS, at public addresses only",
        }),
        Key::optional(
            "cache",
            "How long an answer is used: the time within which a revocation takes effect.",
            Shape::Quantity(Quantity::Duration),
        )
        .default("\"30s\"")
        .change(Change::MoreIsLooser),
        Key::optional(
            "signed",
            "Whether the provider signs its answers (RFC 9701): others are not believed.",
            Shape::Boolean,
        )
        .default("false")
        .change(Change::LoosestFirst {
            words: &["false", "true"],
            looser: "answers are believed that are not signed",
            stricter: "answers that are not signed are not believed",
        }),
        Key::optional("jwks", "The URL of the keys that sign the answers, a JWK Set.", Shape::Ruled(&URL))
            .absent("the one that the issuer's metadata names")
            .change(Change::Review("answers are verified with other keys"))
            .examples(&["\"https://id.example.com/keys\""]),
    ],
    shared: &[PLACE, RULES, RESOURCE, BINDING, OUTAGE],
    rules: &[Rule::SomeOf(&["url", "issuer"]), FOR_SOMEBODY],
    examples: &[
        "{\"kind\": \"introspection\", \"url\": \"https://id.example.com/introspect\", \"client-id\": \"gateway\", \
                 \"client-secret\": \"${secret.ID_PROVIDER}\", \"audience\": \"pets\"}",
    ],
    ..Object::PLAIN
};

const CLIENT_AUTH: &[(&str, &str)] = &[
    ("basic", "in the field `Authorization`, with the scheme `Basic` (RFC 6749, section 2.3.1)"),
    ("post", "in the content, as `client_id` and `client_secret` (RFC 6749, section 2.3.1)"),
    (
        "private-key-jwt",
        "an assertion that is signed with a private key (RFC 7523); `client-secret` is the key as a JWK",
    ),
    ("bearer", "`client-secret` alone, as a bearer token (RFC 7662, section 2.1)"),
];

const WORDS: [(&str, &str); 4] =
    [("basic", "basic"), ("post", "post"), ("private-key-jwt", "private-key-jwt"), ("bearer", "bearer")];

/// The time for which an answer is used at most: after an hour, most tokens have ended.
const CACHE_MS_MAX: u64 = 3_600_000;

impl Kind for IntrospectionSettings {
    const HAS_TOKENS: bool = true;

    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let has_issuers = written.written("issuer").is_some();
        let issuers = if has_issuers { bearer::non_empty(written, "issuer", report)? } else { vec![] };
        let is_private = written.boolean("private-network");
        let url = endpoint(written, is_private, report)?;
        let client = client(written, report)?;
        let signed = signed(written, &client, is_private, report)?;
        Some(Self {
            url,
            is_private,
            client,
            place: bearer::place(written, report)?,
            rules: bearer::rules(written, issuers, report)?,
            cache_ms: cache(written, report)?,
            signed,
            outage: bearer::outage(written, true, report)?,
        })
    }

    fn keep(&mut self, fact: &Attribute) -> bool {
        bearer::keep(&mut self.rules, fact)
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let text = |key, value: &str| Some((key, Value::Text(value.to_owned())));
        let (word, id) = match &self.client {
            ClientAuthentication::Basic(id, _) => ("basic", Some(id)),
            ClientAuthentication::Post(id, _) => ("post", Some(id)),
            ClientAuthentication::PrivateKey(id, _) => ("private-key-jwt", Some(id)),
            ClientAuthentication::Bearer(_) => ("bearer", None),
        };
        let own = [
            self.url.as_deref().and_then(|url| text("url", url)),
            id.and_then(|id| text("client-id", id)),
            text("client-secret", &bearer::written_secret(self.client.secret())),
            Some(("client-auth", Value::Word(word))),
            Some(("private-network", Value::Boolean(self.is_private))),
            Some(("cache", Value::DurationMs(self.cache_ms.into()))),
            Some(("signed", Value::Boolean(self.signed.is_some()))),
            self.signed.as_ref().and_then(|signed| text("jwks", signed.jwks.as_ref()?)),
        ];
        let own = own.into_iter().flatten();
        let own = own.chain(bearer::place_values(&self.place)).chain(bearer::rule_values(&self.rules));
        own.chain(bearer::outage_values(self.outage.as_ref())).collect()
    }
}

/// The URL of the endpoint; `Some(None)` if the metadata of the issuer names it.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn endpoint(written: &Written, is_private: bool, report: &mut Report) -> Option<Option<String>> {
    let url = written.text("url");
    let asked = match &url {
        Some(url) => {
            parsed::url(url, report)?;
            url.clone()
        }
        None => bearer::one_issuer(written, "url", report)?,
    };
    let why = "anyone on the way could read the tokens and the client's secret, and say that a token is active";
    bearer::is_secure(&asked, is_private, "the provider is asked", why, report).then(|| url.map(|url| url.value))
}

fn client(written: &Written, report: &mut Report) -> Option<ClientAuthentication> {
    let written_secret = written.text("client-secret")?;
    let secret = parsed::secret_reference(&written_secret, report)?;
    let word = written.word("client-auth", &WORDS)?;
    let id = written.text("client-id");
    let mut refuse = |at, what: &str, why: &str, fix: &str| {
        report.push(Diagnostic::error(Code::BadIntrospection, at, what).why(why).fix(fix));
        None
    };
    match (word, id) {
        ("bearer", None) => Some(ClientAuthentication::Bearer(secret)),
        ("bearer", Some(id)) => refuse(
            id.span,
            "`client-id` has no effect with `client-auth: bearer`",
            "a bearer token says alone who asks",
            "remove `client-id`, or write `client-auth: basic`",
        ),
        (_, None) => refuse(
            written_secret.span,
            "there is a secret of a client, and no `client-id`",
            "the provider knows the gateway by the id and the secret that it was registered with",
            "add `client-id`, or write `client-auth: bearer` if the secret is a token",
        ),
        (_, Some(id)) if id.value.is_empty() => refuse(
            id.span,
            "`client-id` is empty",
            "every client has an id",
            "write the id that the provider gave the gateway",
        ),
        ("post", Some(id)) => Some(ClientAuthentication::Post(id.value, secret)),
        ("private-key-jwt", Some(id)) => Some(ClientAuthentication::PrivateKey(id.value, secret)),
        (_, Some(id)) => Some(ClientAuthentication::Basic(id.value, secret)),
    }
}

/// Whether answers are signed, and with which keys; `Some(None)` if they are not.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn signed(
    written: &Written,
    client: &ClientAuthentication,
    is_private: bool,
    report: &mut Report,
) -> Option<Option<SignedAnswers>> {
    let jwks = written.text("jwks");
    let at = written.written("signed").map(|signed| signed.span).filter(|_| written.boolean("signed"));
    let refused = match (at, &jwks) {
        (None, None) => return Some(None),
        (None, Some(jwks)) => Some((
            jwks.span,
            "`jwks` has no effect without `signed: true`",
            "answers that are not signed are verified with no keys",
            "add `signed: true`, or remove `jwks`",
        )),
        (Some(at), _) if client.client_id().is_none() => Some((
            at,
            "signed answers need a `client-id`",
            "each is for the client that asked (RFC 9701, section 5)",
            "add `client-id`, and write another `client-auth`",
        )),
        (Some(at), _) if written.list("issuer").len() != 1 => Some((
            at,
            "signed answers need one `issuer`",
            "each names the issuer that signed it (RFC 9701, section 5)",
            "write the provider's issuer",
        )),
        (Some(_), _) => None,
    };
    if let Some((at, what, why, fix)) = refused {
        report.push(Diagnostic::error(Code::BadIntrospection, at, what).why(why).fix(fix));
        return None;
    }
    let url = match &jwks {
        Some(url) => {
            parsed::url(url, report)?;
            url.clone()
        }
        None => bearer::one_issuer(written, "jwks", report)?,
    };
    let why = "anyone on the way could replace them, and sign answers";
    let is_secure = bearer::is_secure(&url, is_private, "the keys are fetched", why, report);
    is_secure.then(|| Some(SignedAnswers { jwks: jwks.map(|url| url.value) }))
}

fn cache(written: &Written, report: &mut Report) -> Option<u32> {
    let cache = written.duration_ms("cache")?;
    if cache.value > CACHE_MS_MAX {
        report.push(
            Diagnostic::error(Code::BadIntrospection, cache.span, "`cache` is longer than one hour")
                .why("a revoked token would be accepted for this time")
                .fix("write a duration of at most `1h`; providers recommend seconds or minutes"),
        );
        return None;
    }
    u32::try_from(cache.value).ok()
}
