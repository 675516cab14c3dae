//! `kind: jwt`.

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use tollgate_core::authn::{ClaimRule, CredentialPlace, JwtSettings, KeySource, ScopeRule};
use tollgate_core::jose::{Algorithm, Algorithms, JwkSet, KeyType, media_type};

use super::{Change, Kind, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{self, ALGORITHM, CLAIM, FIELD, QUERY_PARAMETER, SCHEME, SCOPE, URL};
use crate::schema::{Key, List, Named, Object, Quantity, Rule, Shape};

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
        Key::optional(
            "audience",
            "The audiences, one of which must be in the claim `aud`: the names that the provider has for this API.",
            TEXT_OR_TEXTS,
        )
        .absent("any; then `claims` must say for whom a token is")
        .change(Change::Review("tokens for other audiences are accepted"))
        .examples(&["\"pets\"", "[\"pets\", \"https://api.example.com\"]"]),
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
            "A secret that the provider shares with the gateway, for the algorithms HS256, HS384 and HS512.",
            Shape::Text,
        )
        .absent("none")
        .change(Change::Review("signatures are verified with another secret"))
        .examples(&["\"${secret.ID_PROVIDER}\""]),
        Key::optional(
            "private-network",
            "Whether the keys may be fetched over plain HTTP, and from addresses that are not public.",
            Shape::Boolean,
        )
        .default("false")
        .change(Change::Review("keys are fetched from other addresses")),
        Key::optional(
            "algorithms",
            "The algorithms that are accepted. An algorithm is used only with keys of its type.",
            Shape::List(&List::some_texts(Shape::Ruled(&ALGORITHM), 12)),
        )
        .absent("RS256, PS256, ES256, ES384 and EdDSA; with `secret` HS256")
        .change(Change::MoreIsLooser)
        .examples(&["[\"RS256\"]"]),
        Key::optional("header", "The header field that contains the token.", Shape::Ruled(&FIELD))
            .default("\"Authorization\"")
            .change(Change::Identity),
        Key::optional("scheme", "The authentication scheme before the token in this field.", Shape::Ruled(&SCHEME))
            .absent("`Bearer` in `Authorization`, otherwise none")
            .change(Change::Identity),
        Key::optional("query", "A query parameter that may contain the token instead.", Shape::Ruled(&QUERY_PARAMETER))
            .absent("no query parameter")
            .change(Change::Identity)
            .examples(&["\"access_token\""]),
        Key::optional("cookie", "A cookie that may contain the token instead.", Shape::Ruled(&texts::COOKIE))
            .absent("no cookie")
            .change(Change::Identity)
            .examples(&["\"session\""]),
        Key::optional(
            "type",
            "The type that the header of a token must have (`typ`), such as `at+jwt` for access tokens (RFC 9068).",
            Shape::Text,
        )
        .absent("any")
        .change(Change::Review("tokens of other types are accepted"))
        .examples(&["\"at+jwt\""]),
        Key::optional(
            "leeway",
            "How far the provider's clock may differ from the gateway's.",
            Shape::Quantity(Quantity::Duration),
        )
        .default("\"30s\"")
        .change(Change::MoreIsLooser),
        Key::optional(
            "max-age",
            "How long after it was issued (`iat`) a token is accepted.",
            Shape::Quantity(Quantity::Time),
        )
        .absent("until it expires")
        .change(Change::MoreIsLooser)
        .examples(&["\"1h\""]),
        Key::optional(
            "require",
            "Claims that a token must have. `iss`, `exp` and `aud` are always checked.",
            Shape::List(&List::some_texts(Shape::Ruled(&CLAIM), 32)),
        )
        .absent("none")
        .change(Change::MoreIsStricter)
        .examples(&["[\"jti\"]"]),
        Key::optional("claims", "Values that claims must have: one of those that are listed.", CLAIMS)
            .absent("any")
            .change(Change::Review("tokens with other claims are accepted"))
            .examples(&["{\"client_id\": [\"web\", \"app\"]}"]),
        Key::optional("consumer", "The claim that names the consumer.", Shape::Ruled(&CLAIM))
            .default("\"sub\"")
            .change(Change::Review("callers are other consumers")),
        Key::optional(
            "consumer-prefix",
            "The beginning of the consumer's name, before the value of the claim. With `\"\"`, the provider chooses names that \
             consumers with API keys may have too.",
            Shape::Text,
        )
        .absent("the name of the policy and `:`")
        .change(Change::Review("callers are other consumers"))
        .examples(&["\"staff:\""]),
        Key::optional("plan", "The claim that names the consumer's plan.", Shape::Ruled(&CLAIM))
            .absent("no plan")
            .change(Change::Review("callers have other plans"))
            .examples(&["\"tier\""]),
        Key::optional(
            "scope-claim",
            "The claim with the scopes: one text with blanks between them, or a list.",
            Shape::Ruled(&CLAIM),
        )
        .default("\"scope\"")
        .change(Change::Review("callers have other scopes")),
        Key::optional("scopes", "For scopes of routes, the names that they have in tokens.", SCOPES)
            .absent("the same names")
            .change(Change::Review("callers have other scopes"))
            .examples(&["{\"write\": \"pets.write\"}"]),
        Key::optional(
            "groups",
            "The claims with the groups and roles of the caller, for policies in `authz`: each one text, or a list.",
            CLAIM_NAMES,
        )
        .absent("no groups")
        .change(Change::Review("callers are in other groups"))
        .examples(&["\"groups\"", "[\"groups\", \"realm_access.roles\"]"]),
    ],
    rules: &[Rule::AtMostOneOf(&["jwks", "keys", "secret"]), Rule::SomeOf(&["audience", "claims"])],
    examples: &["{\"kind\": \"jwt\", \"issuer\": \"https://id.example.com\", \"audience\": \"pets\"}"],
    ..Object::PLAIN
};

const TEXT_OR_TEXTS: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&List::some_texts(Shape::Text, 32))]);

const CLAIM_NAMES: Shape =
    Shape::AnyOf(&[Shape::Ruled(&CLAIM), Shape::List(&List::some_texts(Shape::Ruled(&CLAIM), 8))]);

const CLAIMS: Shape = Shape::Named(&Named { names: &CLAIM, of: TEXT_OR_TEXTS, max: 32 });

const SCOPES: Shape = Shape::Named(&Named { names: &SCOPE, of: Shape::Ruled(&SCOPE), max: 64 });

/// Without `algorithms`: those of public keys that are in use, with the hash of their key size.
const PUBLIC: [Algorithm; 5] =
    [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];

impl Kind for JwtSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let issuers = non_empty(written, "issuer", report)?;
        let audiences =
            if written.written("audience").is_some() { non_empty(written, "audience", report)? } else { vec![] };
        let keys = key_source(written, &issuers, report)?;
        let algorithms = algorithms(written, &keys, report)?;
        let scopes = written.named("scopes").into_iter().filter_map(|(scope, in_token)| {
            let in_token = in_token.into_iter().next()?;
            Some(ScopeRule { scope: scope.value, in_token })
        });
        let claims = written.named("claims");
        Some(Self {
            issuers,
            audiences,
            keys,
            algorithms,
            place: place(written, report)?,
            kind: written.text("type").map(|kind| media_type(&kind.value)),
            leeway_s: seconds(written, "leeway")?,
            age_max_s: seconds(written, "max-age"),
            required: written.list("require").into_iter().map(|claim| claim.value).collect(),
            claims: claims.into_iter().map(|(claim, any_of)| ClaimRule { claim: claim.value, any_of }).collect(),
            consumer: written.text("consumer")?.value,
            consumer_prefix: written.text("consumer-prefix").map(|prefix| prefix.value),
            plan: written.text("plan").map(|claim| claim.value),
            scope_claim: written.text("scope-claim")?.value,
            scopes: scopes.collect(),
            group_claims: written.list("groups").into_iter().map(|claim| claim.value).collect(),
        })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let text = |key, value: &str| Some((key, Value::Text(value.to_owned())));
        let list = |key, all: &[String]| (!all.is_empty()).then(|| (key, Value::List(all.to_vec())));
        let claims = self.claims.iter().map(|rule| (rule.claim.clone(), rule.any_of.clone())).collect::<Vec<_>>();
        let scopes =
            self.scopes.iter().map(|rule| (rule.scope.clone(), vec![rule.in_token.clone()])).collect::<Vec<_>>();
        let named = |key, all: Vec<_>| (!all.is_empty()).then_some((key, Value::Named(all)));
        let duration = |key, seconds: u32| Some((key, Value::DurationMs(u64::from(seconds) * 1_000)));
        let (source, is_private) = match &self.keys {
            KeySource::Set(url, is_private) => (text("jwks", url), *is_private),
            KeySource::Discovery(is_private) => (None, *is_private),
            KeySource::Static(set) => (text("keys", set), false),
            KeySource::Secret(secret) => (text("secret", &written_secret(secret)), false),
        };
        let algorithms: Vec<String> = self.algorithms.iter().map(|algorithm| algorithm.to_string()).collect();
        [
            list("issuer", &self.issuers),
            list("audience", &self.audiences),
            source,
            Some(("private-network", Value::Boolean(is_private))),
            list("algorithms", &algorithms),
            text("header", self.place.field.as_str()),
            self.place.scheme.as_deref().and_then(|scheme| text("scheme", scheme)),
            self.place.query.as_deref().and_then(|query| text("query", query)),
            self.place.cookie.as_deref().and_then(|cookie| text("cookie", cookie)),
            self.kind.as_deref().and_then(|kind| text("type", kind)),
            duration("leeway", self.leeway_s),
            self.age_max_s.and_then(|seconds| duration("max-age", seconds)),
            list("require", &self.required),
            named("claims", claims),
            text("consumer", &self.consumer),
            self.consumer_prefix.as_deref().and_then(|prefix| text("consumer-prefix", prefix)),
            self.plan.as_deref().and_then(|plan| text("plan", plan)),
            text("scope-claim", &self.scope_claim),
            named("scopes", scopes),
            list("groups", &self.group_claims),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Strings, none of which is empty.
fn non_empty(written: &Written, key: &str, report: &mut Report) -> Option<Vec<String>> {
    let all = written.list(key);
    if let Some(empty) = all.iter().find(|text| text.value.is_empty()) {
        report.push(
            Diagnostic::error(Code::BadTokenPolicy, empty.span, format!("an empty text in `{key}`"))
                .why("the value of the claim has to be exactly this")
                .fix("write the value that the provider puts into its tokens, or remove the item"),
        );
        return None;
    }
    Some(all.into_iter().map(|text| text.value).collect())
}

fn key_source(written: &Written, issuers: &[String], report: &mut Report) -> Option<KeySource> {
    let is_private = written.boolean("private-network");
    if let Some(text) = written.text("secret") {
        return parsed::secret_text(&text, report).map(KeySource::Secret);
    }
    if let Some(text) = written.text("keys") {
        return static_keys(&text, report);
    }
    if let Some(url) = written.text("jwks") {
        parsed::url(&url, report)?;
        return is_secure(&url, is_private, report).then_some(KeySource::Set(url.value, is_private));
    }
    let issuer = written.list("issuer").into_iter().next()?;
    if issuers.len() > 1 {
        report.push(
            Diagnostic::error(Code::BadTokenPolicy, issuer.span, "several issuers, and no keys")
                .why("the keys are found by the metadata of one issuer; those of another are not for its tokens")
                .fix("write a policy for each issuer, and `authn: {any: [..]}`; or `jwks`, if they share their keys"),
        );
        return None;
    }
    let has_metadata = crate::decode::parsed::usable_url(&issuer.value).is_ok();
    if !has_metadata {
        report.push(
            Diagnostic::error(
                Code::BadTokenPolicy,
                issuer.span,
                "the issuer is not a URL, so its keys cannot be found",
            )
            .why("without `jwks`, the keys are found by `<issuer>/.well-known/openid-configuration`")
            .fix("add `jwks: URL` with the URL of the provider's keys"),
        );
        return None;
    }
    is_secure(&issuer, is_private, report).then_some(KeySource::Discovery(is_private))
}

/// Keys that came over an unprotected connection would let anyone on the way sign tokens.
fn is_secure(url: &Spanned<String>, is_private: bool, report: &mut Report) -> bool {
    let is_secure = is_private || url.value.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("https://"));
    if !is_secure {
        report.push(
            Diagnostic::error(Code::BadTokenPolicy, url.span, "the keys are not fetched over HTTPS")
                .why("anyone on the way could replace them, and sign tokens")
                .fix("write an `https://` URL; inside a private network add `private-network: true`"),
        );
    }
    is_secure
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
        Ok(set) => match set.unused.first() {
            Some((at, error)) => refuse(format!("key {}: {error}", at + 1)),
            None if set.keys.is_empty() => refuse("it has no keys".to_owned()),
            None => Some(KeySource::Static(text.value.clone())),
        },
    }
}

/// The algorithms; those of shared secrets are never those of public keys (RFC 8725, section 3.1).
fn algorithms(written: &Written, keys: &KeySource, report: &mut Report) -> Option<Algorithms> {
    let is_shared = matches!(keys, KeySource::Secret(_));
    if written.written("algorithms").is_none() {
        return Some(if is_shared { [Algorithm::Hs256].into_iter().collect() } else { PUBLIC.into_iter().collect() });
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

fn place(written: &Written, report: &mut Report) -> Option<CredentialPlace> {
    let header = written.text("header")?;
    let field = HeaderName::try_from(parsed::field_name(&header, report)?).ok()?;
    if field == COOKIE {
        report.push(
            Diagnostic::error(Code::BadField, header.span, "`header` names the field `Cookie`")
                .why("the whole value of `Cookie` would have to be the token, but it consists of pairs such as `name=value`")
                .fix("write `cookie: NAME` with the name of the cookie in place of `header`"),
        );
        return None;
    }
    let scheme = written.parsed("scheme", |scheme| parsed::key_scheme(scheme, report))?;
    let scheme = scheme.or_else(|| (field == AUTHORIZATION).then(|| "Bearer".to_owned()));
    let query = written.parsed("query", |name| parsed::key_place(name, report))?;
    let cookie = written.parsed("cookie", |name| parsed::cookie_name(name, report))?;
    Some(CredentialPlace { field, scheme, query, cookie })
}

fn seconds(written: &Written, key: &str) -> Option<u32> {
    let ms = written.duration_ms(key)?.value;
    u32::try_from(ms.div_ceil(1_000)).ok()
}

/// A text with its references as they are written.
pub(super) fn written_secret(text: &tollgate_core::secret::SecretText) -> String {
    use tollgate_core::secret::Piece;
    let piece = |piece: &Piece| match piece {
        // A secret that somebody wrote into the file is not shown.
        Piece::Text(_) => "(text)".to_owned(),
        Piece::Secret(name) => format!("${{secret.{name}}}"),
    };
    text.pieces.iter().map(piece).collect()
}
