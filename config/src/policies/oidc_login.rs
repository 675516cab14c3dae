//! `kind: oidc-login`.

use tollgate_core::authn::{IdentityRules, OidcLoginSettings};
use tollgate_core::forward::Attribute;
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::route::CanonicalPath;
use tollgate_core::secret::SecretText;

use super::bearer::{self, CLIENT_SECRET, RULES};
use super::issuer::is_issuer;
use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{FIELD_VALUE, URL};
use crate::schema::{Key, Object, Quantity, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates people who log in at an OpenID Connect provider; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "oidc-login",
    doc: "Authenticates people who log in with their browsers at an OpenID Connect provider (code flow with PKCE), and have a session \
          in an encrypted cookie. Named in `authn`.",
    keys: &[
        kind_key(&[("oidc-login", DOES)]),
        Key::required("issuer", "The issuer, whose metadata name its services.", Shape::Ruled(&URL))
            .change(Change::Review("people log in at another provider"))
            .examples(&["\"https://id.example.com\""]),
        Key::required("client-id", "The gateway's own id at the provider.", Shape::Text)
            .change(Change::Review("the provider knows the gateway as another client"))
            .examples(&["\"portal\""]),
        CLIENT_SECRET,
        Key::optional("client-auth", "How the gateway sends id and secret.", Shape::Word(CLIENT_AUTH))
            .default("\"basic\"")
            .change(Change::Review("the provider is asked in another way")),
        Key::required(
            "secret",
            "The secret that encrypts the cookies, of at least 32 characters: a reference to a secret. With two values, both are \
             accepted, and the first one encrypts.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .change(Change::Review("people have to log in again"))
        .examples(&["\"${secret.SESSIONS}\""]),
        Key::optional(
            "path",
            "The path below which the policy answers itself, on every host: `/callback`, to which the provider sends browsers, \
             `/logout`, and with `revocable` `/back-channel-logout`.",
            Shape::Text,
        )
        .default("\"/.login\"")
        .change(Change::Review("the provider has to know another redirect URI")),
        Key::optional("cookie", "The name of the session cookie, which begins with `__Host-`.", Shape::Text)
            .default("\"__Host-session\"")
            .change(Change::Review("people have to log in again")),
        Key::optional("scope", "The scopes that the provider is asked for, with blanks between them.", Shape::Text)
            .default("\"openid\"")
            .change(Change::Review("the provider says other things about people"))
            .examples(&["\"openid groups\""]),
        Key::optional("session", "How long a session lasts at most.", Shape::Quantity(Quantity::Time))
            .default("\"8h\"")
            .change(Change::MoreIsLooser),
        Key::optional("idle", "How long a session lasts without a request.", Shape::Quantity(Quantity::Time))
            .default("\"1h\"")
            .change(Change::MoreIsLooser),
        Key::optional(
            "refresh",
            "After how long the provider has to confirm a session, by its refresh token: behind a reply, and after twice this time \
             before one. A session that it does not confirm ends. Five minutes or more are advisable: a store may show a record a minute late.",
            Shape::Quantity(Quantity::Time),
        )
        .absent("the provider is not asked about a session")
        .change(Change::MoreIsLooser)
        .examples(&["\"15m\""]),
        Key::optional(
            "revocable",
            "Whether a session can be ended before its time: by operators with `tollgate token revoke`, by the provider with a `POST` to \
             `/back-channel-logout` below `path` (OpenID Connect Back-Channel Logout 1.0), and with the logout also for copies of \
             the cookie. Each isolate reads once a minute for each session whether it was ended.",
            Shape::Boolean,
        )
        .default("false")
        .change(Change::LoosestFirst {
            words: &["false", "true"],
            looser: "sessions that operators or the provider have ended are accepted",
            stricter: "sessions that operators or the provider have ended are refused",
        }),
        Key::optional("after-logout", "The path to which a browser goes after the logout.", Shape::Text)
            .default("\"/\"")
            .change(Change::Review("browsers go to another page")),
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
    ],
    shared: &[RULES],
    examples: &[
        "{\"kind\": \"oidc-login\", \"issuer\": \"https://id.example.com\", \"client-id\": \"portal\", \
         \"client-secret\": \"${secret.ID_PROVIDER}\", \"secret\": \"${secret.SESSIONS}\"}",
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
];

type Made = fn(String, SecretText) -> ClientAuthentication;

const WORDS: [(&str, Made); 3] = [
    ("basic", ClientAuthentication::Basic),
    ("post", ClientAuthentication::Post),
    ("private-key-jwt", ClientAuthentication::PrivateKey),
];

/// A month: who is away for longer logs in again.
const SESSION_MS_MAX: u64 = 31 * 24 * 3_600_000;

/// What is advisable, so that stores which show a record late do not delay sessions.
const REFRESH_MS_LEAST: u64 = 5 * 60_000;

impl Kind for OidcLoginSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let issuer = written.text("issuer")?;
        let is_issuer = is_issuer(&issuer, report);
        let is_private = written.boolean("private-network");
        let why = "anyone on the way could say who people are";
        let is_secure = bearer::is_secure(&issuer, is_private, "the provider is asked", why, report);
        let id = non_empty(written, "client-id", report);
        let client_secret = parsed::secret_reference(&written.text("client-secret")?, report);
        let secret_text = written.text("secret")?;
        let secret = parsed::secret_reference(&secret_text, report);
        if secret.is_some() && secret == client_secret {
            report_same_secret(secret_text.span, report);
        }
        let made = written.word("client-auth", &WORDS)?;
        let path = path(&written.text("path")?, report);
        let cookie = cookie(&written.text("cookie")?, report);
        let scope = scope(&written.text("scope")?, report);
        let after_logout = after_logout(&written.text("after-logout")?, report);
        let times = times(written, report);
        let rules = bearer::unbound_rules(written, vec![issuer.value], report);
        let (id, client_secret, (session_s, idle_s, refresh_s)) = (id?, client_secret?, times?);
        (is_secure && is_issuer).then_some(Self {
            rules: IdentityRules { audiences: vec![id.clone()], ..rules? },
            client: made(id, client_secret.clone()),
            secrets: vec![secret?, client_secret],
            path: path?,
            cookie: cookie?,
            scope: scope?,
            session_s,
            idle_s,
            refresh_s,
            is_revocable: written.boolean("revocable"),
            is_private,
            after_logout: after_logout?,
        })
    }

    fn keep(&mut self, fact: &Attribute) -> bool {
        bearer::keep(&mut self.rules, fact)
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let text = |key, value: &str| (key, Value::Text(value.to_owned()));
        let word = match &self.client {
            ClientAuthentication::Post(..) => "post",
            ClientAuthentication::PrivateKey(..) => "private-key-jwt",
            ClientAuthentication::Basic(..) | ClientAuthentication::Bearer(_) => "basic",
        };
        let [issuer, id] = [&self.rules.issuers, &self.rules.audiences].map(|all| all.first().cloned());
        let own = [
            text("issuer", &issuer.unwrap_or_default()),
            text("client-id", &id.unwrap_or_default()),
            text("client-secret", &bearer::written_secret(self.client.secret())),
            ("client-auth", Value::Word(word)),
            text("secret", &self.secrets.first().map(bearer::written_secret).unwrap_or_default()),
            text("path", &self.path),
            text("cookie", &self.cookie),
            text("scope", &self.scope),
            ("session", Value::DurationMs(u64::from(self.session_s) * 1_000)),
            ("idle", Value::DurationMs(u64::from(self.idle_s) * 1_000)),
            ("revocable", Value::Boolean(self.is_revocable)),
            text("after-logout", &self.after_logout),
            ("private-network", Value::Boolean(self.is_private)),
        ];
        // The audience is the client.
        let rules = IdentityRules { audiences: Vec::new(), issuers: Vec::new(), ..self.rules.clone() };
        let refresh = (self.refresh_s > 0).then(|| ("refresh", Value::DurationMs(u64::from(self.refresh_s) * 1_000)));
        let known: Vec<&str> = own.iter().map(|(key, _)| *key).collect();
        let rules = bearer::rule_values(&rules).filter(|(key, _)| !known.contains(key)).collect::<Vec<_>>();
        own.into_iter().chain(refresh).chain(rules).collect()
    }
}

fn non_empty(written: &Written, key: &str, report: &mut Report) -> Option<String> {
    let text = written.text(key)?;
    if text.value.is_empty() {
        refuse(
            report,
            text.span,
            format!("`{key}` is empty"),
            "every client has an id",
            "write the id that the provider gave",
        );
        return None;
    }
    Some(text.value)
}

/// A path as the gateway compares it, to which others are added.
fn path(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let is_canonical = CanonicalPath::parse(text.value.as_bytes()).is_ok_and(|read| read.as_str() == text.value);
    if is_canonical && text.value.len() > 1 && !text.value.ends_with('/') && !text.value.contains(['{', ';']) {
        return Some(text.value.clone());
    }
    let what = format!("`{}` is no path for logins", text.value.escape_debug());
    let why = "`/callback`, `/logout` and `/back-channel-logout` are added to it, and it is compared with the paths of requests as it is";
    refuse(
        report,
        text.span,
        what,
        why,
        "write a path such as `/.login`, without parameters and without `/` at the end",
    );
    None
}

fn cookie(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let rest = text.value.strip_prefix("__Host-").unwrap_or_default();
    if (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    {
        return Some(text.value.clone());
    }
    let what = format!("`{}` is no name of a session cookie", text.value.escape_debug());
    let why = "browsers accept a cookie whose name begins with `__Host-` only from this host and over HTTPS, so no other site can \
               set it (RFC 6265bis, section 4.1.3.2)";
    refuse(report, text.span, what, why, "write `__Host-` and letters, digits, `-` or `_`");
    None
}

fn scope(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let is_plain = text.value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_plain && text.value.split(' ').any(|scope| scope == "openid") {
        return Some(text.value.clone());
    }
    let why = "without `openid` the provider does not say who the person is (OpenID Connect Core 1.0, section 3.1.2.1)";
    refuse(report, text.span, "`scope` does not contain `openid`".to_owned(), why, "write `openid` and further scopes");
    None
}

fn after_logout(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    let is_path = text.value.starts_with('/') && !text.value[1..].starts_with(['/', '\\']);
    if is_path && text.value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text.value.clone());
    }
    let what = format!("`{}` is no path of this host", text.value.escape_debug());
    refuse(report, text.span, what, "a browser would be sent to another site", "write a path such as `/`");
    None
}

/// The maximum of a session, with and without requests, and after how long it is confirmed, in seconds.
fn times(written: &Written, report: &mut Report) -> Option<(u32, u32, u32)> {
    let (session, idle) = (written.duration_ms("session")?, written.duration_ms("idle")?);
    let refresh = written.duration_ms("refresh");
    let is_short = |ms: u64| ms < 60_000;
    let mistake = if session.value > SESSION_MS_MAX {
        Some((session.span, "`session` is longer than 31 days".to_owned()))
    } else if let Some(short) = [&session, &idle].into_iter().find(|one| is_short(one.value)) {
        Some((short.span, "a session of less than a minute".to_owned()))
    } else if idle.value > session.value {
        Some((idle.span, "`idle` is longer than `session`".to_owned()))
    } else {
        let is_short = |refresh: &&Spanned<u64>| refresh.value < 1_000;
        refresh.as_ref().filter(is_short).map(|short| (short.span, "`refresh` is shorter than a second".to_owned()))
    };
    if let Some((at, what)) = mistake {
        let why = "a session ends when either time is over, and the person logs in again";
        refuse(
            report,
            at,
            what,
            why,
            "write `session` of at most `31d`, a shorter `idle` of at least `1m`, and `refresh` such as `15m`",
        );
        return None;
    }
    if let Some(early) = refresh.as_ref().filter(|refresh| refresh.value < REFRESH_MS_LEAST) {
        report.push(
            Diagnostic::warning(Code::BadLogin, early.span, "`refresh` is shorter than five minutes")
                .why("a store may show a record a minute late, so that a session would wait for its provider, and many more questions are asked")
                .fix("write `5m` or more"),
        );
    }
    if let Some(late) = refresh.as_ref().filter(|refresh| refresh.value > session.value) {
        report.push(
            Diagnostic::warning(Code::BadLogin, late.span, "`refresh` is longer than `session`")
                .why("every session ends before the provider is asked about it")
                .fix("write a shorter `refresh` such as `15m`, or remove it"),
        );
    }
    let seconds = |ms: u64| u32::try_from(ms / 1_000).ok();
    let refresh_s = match refresh {
        // The session ends before.
        Some(refresh) => seconds(refresh.value.min(session.value))?,
        None => 0,
    };
    Some((seconds(session.value)?, seconds(idle.value)?, refresh_s))
}

fn report_same_secret(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::BadLogin, at, "`secret` is the same secret as `client-secret`")
            .why("the provider knows it, so that it could make and read sessions; and all sessions end when it is renewed there")
            .fix("write a secret of its own, such as `${secret.SESSIONS}`, with 32 random bytes"),
    );
}

fn refuse(report: &mut Report, at: Span, what: String, why: &'static str, fix: &'static str) {
    report.push(Diagnostic::error(Code::BadLogin, at, what).why(why).fix(fix));
}
