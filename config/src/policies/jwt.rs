//! `kind: jwt`.

use tollgate_core::authn::{JwtSettings, KeySource};
use tollgate_core::forward::Attribute;
use tollgate_core::jose::{Algorithm, Algorithms, JwkSet, KeyType, media_type};

use super::bearer::{self, AUDIENCE, FOR_SOMEBODY, KEYS_PRIVATE, OUTAGE, PLACE, RESOURCE, RULES, TEXT_OR_TEXTS};
use super::binding::BINDING;
use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{ALGORITHM, FIELD_VALUE, URL};
use crate::schema::{Key, List, Object, Rule, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates callers by a signed token of an identity provider; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "jwt",
    doc: "Authenticates callers by a signed token (JWT, RFC 7519) of an identity provider: its signature is verified with the \
          provider's keys, and issuer, audience and times are checked. Named in `authn`.",
    keys: &[
        kind_key(&[("jwt", DOES)]),
        Key::required("issuer", "The issuers that are trusted: the exact values of the claim `iss`.", TEXT_OR_TEXTS)
            .change(Change::MoreIsLooser)
            .examples(&["\"https://id.example.com\""]),
        AUDIENCE,
        Key::optional("jwks", "The URL of the provider's keys, a JWK Set.", Shape::Ruled(&URL))
            .absent("the one that the issuer's OpenID Connect metadata names")
            .change(Change::Review("signatures are verified with other keys"))
            .examples(&["\"https://id.example.com/keys\""]),
        Key::optional("keys", "The provider's keys themselves: a JWK Set as JSON text.", Shape::Text)
            .absent("they are fetched")
            .change(Change::Review("signatures are verified with other keys"))
            .examples(&["\"{\\\"keys\\\": []}\""]),
        Key::optional(
            "secret",
            "A reference to the secret that the provider shares with the gateway, for the algorithms HS256, HS384 and HS512.",
            Shape::Ruled(&FIELD_VALUE),
        )
        .absent("none")
        .change(Change::Review("signatures are verified with another secret"))
        .examples(&["\"${secret.ID_PROVIDER}\""]),
        KEYS_PRIVATE,
        Key::optional(
            "algorithms",
            "The algorithms that are accepted. An algorithm is used only with keys of its type.",
            Shape::List(&List::some_texts(Shape::Ruled(&ALGORITHM), 12)),
        )
        .absent("RS256, PS256, ES256, ES384 and EdDSA; with `secret` HS256")
        .change(Change::MoreIsLooser)
        .examples(&["[\"RS256\"]"]),
        Key::optional(
            "type",
            "The type that the header of a token must have (`typ`), such as `at+jwt` for access tokens (RFC 9068).",
            Shape::Text,
        )
        .absent("any")
        .change(Change::Required("tokens of other types are accepted"))
        .examples(&["\"at+jwt\""]),
    ],
    shared: &[PLACE, RULES, RESOURCE, BINDING, OUTAGE],
    rules: &[Rule::AtMostOneOf(&["jwks", "keys", "secret"]), FOR_SOMEBODY],
    examples: &["{\"kind\": \"jwt\", \"issuer\": \"https://id.example.com\", \"audience\": \"pets\"}"],
    ..Object::PLAIN
};

impl Kind for JwtSettings {
    const HAS_TOKENS: bool = true;

    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let issuers = bearer::non_empty(written, "issuer", report)?;
        let keys = key_source(written, report)?;
        let algorithms = algorithms(written, &keys, report)?;
        let is_fetched = matches!(keys, KeySource::Set(..) | KeySource::Discovery(_));
        Some(Self {
            keys,
            algorithms,
            place: bearer::place(written, report)?,
            kind: written.text("type").map(|kind| media_type(&kind.value)),
            rules: bearer::rules(written, issuers, report)?,
            outage: bearer::outage(written, is_fetched, report)?,
        })
    }

    fn keep(&mut self, fact: &Attribute) -> bool {
        bearer::keep(&mut self.rules, fact)
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let text = |key, value: &str| Some((key, Value::Text(value.to_owned())));
        let (source, is_private) = match &self.keys {
            KeySource::Set(url, is_private) => (text("jwks", url), *is_private),
            KeySource::Discovery(is_private) => (None, *is_private),
            KeySource::Static(set) => (text("keys", set), false),
            KeySource::Secret(secret) => (text("secret", &bearer::written_secret(secret)), false),
        };
        let algorithms = self.algorithms.iter().map(|algorithm| algorithm.to_string()).collect();
        let own = [
            source,
            Some(("private-network", Value::Boolean(is_private))),
            Some(("algorithms", Value::List(algorithms))),
            self.kind.as_deref().and_then(|kind| text("type", kind)),
        ];
        let own = own.into_iter().flatten();
        let own = own.chain(bearer::place_values(&self.place)).chain(bearer::rule_values(&self.rules));
        own.chain(bearer::outage_values(self.outage.as_ref())).collect()
    }
}

fn key_source(written: &Written, report: &mut Report) -> Option<KeySource> {
    let is_private = written.boolean("private-network");
    let is_secure = |url: &Spanned<String>, report: &mut Report| {
        let why = "anyone on the way could replace them, and sign tokens";
        bearer::is_secure(url, is_private, "the keys are fetched", why, report)
    };
    if let Some(text) = written.text("secret") {
        return parsed::secret_reference(&text, report).map(KeySource::Secret);
    }
    if let Some(text) = written.text("keys") {
        return static_keys(&text, report);
    }
    if let Some(url) = written.text("jwks") {
        parsed::url(&url, report)?;
        return is_secure(&url, report).then_some(KeySource::Set(url.value, is_private));
    }
    let issuer = bearer::one_issuer(written, "jwks", report)?;
    is_secure(&issuer, report).then_some(KeySource::Discovery(is_private))
}

fn static_keys(text: &Spanned<String>, report: &mut Report) -> Option<KeySource> {
    let mut refuse = |what: String| {
        report.push(
            Diagnostic::error(Code::BadTokenPolicy, text.span, format!("the keys cannot be used: {what}"))
                .why("no token could be verified")
                .fix("write a JWK Set as text, such as `'{\"keys\": [{\"kty\": \"EC\", ...}]}'` (RFC 7517)"),
        );
        None
    };
    match JwkSet::parse(text.value.as_bytes()) {
        Err(error) => refuse(error.to_string()),
        Ok(set) if set.keys.is_empty() => match set.unused.first() {
            Some((at, error)) => refuse(format!("key {}: {error}", at + 1)),
            None => refuse("it has no keys".to_owned()),
        },
        Ok(set) => {
            bearer::report_unused(&set, text.span, Code::BadTokenPolicy, report);
            Some(KeySource::Static(text.value.clone()))
        }
    }
}

/// The algorithms; those of shared secrets are never those of public keys (RFC 8725, section 3.1).
fn algorithms(written: &Written, keys: &KeySource, report: &mut Report) -> Option<Algorithms> {
    let is_shared = matches!(keys, KeySource::Secret(_));
    if written.written("algorithms").is_none() {
        return Some(if is_shared {
            [Algorithm::Hs256].into_iter().collect()
        } else {
            Algorithm::PUBLIC.into_iter().collect()
        });
    }
    let mut all = Vec::new();
    let mut is_complete = true;
    for name in written.list("algorithms") {
        match name.value.parse::<Algorithm>() {
            Ok(algorithm) if (algorithm.key_type() == KeyType::Octets) == is_shared => all.push(algorithm),
            Ok(algorithm) => {
                report_mixed(algorithm, name.span, is_shared, report);
                is_complete = false;
            }
            Err(()) => {
                report_unknown(&name, report);
                is_complete = false;
            }
        }
    }
    is_complete.then(|| all.into_iter().collect())
}

fn report_mixed(algorithm: Algorithm, at: Span, is_shared: bool, report: &mut Report) {
    let (of, fix) = if is_shared {
        ("public keys, and `secret` is a shared secret", "write HS256, HS384 or HS512, or `jwks` in place of `secret`")
    } else {
        ("a shared secret, and the keys are public", "remove it, or write `secret` in place of `jwks` and `keys`")
    };
    report.push(
        Diagnostic::error(Code::BadTokenPolicy, at, format!("{algorithm} is for {of}"))
            .why("with a public key as the secret, everyone could sign tokens (RFC 8725, section 3.1)")
            .fix(fix),
    );
}

fn report_unknown(name: &Spanned<String>, report: &mut Report) {
    let (why, fix) = if name.value.eq_ignore_ascii_case("none") {
        ("tokens without a signature are never accepted".to_owned(), "remove it")
    } else {
        let known: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::as_str).collect();
        (format!("the algorithms are {}", known.join(", ")), "write one of these")
    };
    report.push(
        Diagnostic::error(Code::BadTokenPolicy, name.span, format!("`{}` is not an algorithm", name.value))
            .why(why)
            .fix(fix),
    );
}
