//! The keys that all kinds have that read tokens of an identity provider: where the token is, what must be known of it, and who
//! its bearer is.

mod links;
mod outages;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use tollgate_core::authn::{ClaimRule, CredentialPlace, IdentityRules, ScopeRule};
use tollgate_core::forward::Attribute;
use tollgate_core::jose::JwkSet;
use tollgate_core::route::CanonicalPath;

use super::issuer::is_issuer;
use super::{Change, OWN_PREFIX, Value, Written, binding, mapping};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{self, CALLER_NAME, CLAIM, FIELD, FIELD_VALUE, QUERY_PARAMETER, SCHEME, SCOPE, URL};
use crate::schema::{Key, List, Named, Quantity, Rule, Shape};

use self::links::{IS_REQUIRED, LINKS, UNLINKED, UNLINKED_WORDS, links};
pub(super) use self::outages::{OUTAGE, outage, outage_values, report_strangers};

/// Where a request presents the token.
pub(super) const PLACE: &[Key] = &[
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
];

/// Reports the keys of a set that are passed over, as those of a set that is fetched are.
pub(super) fn report_unused(set: &JwkSet, at: Span, code: Code, report: &mut Report) {
    for (place, error) in &set.unused {
        let what = format!("key {} of `keys` is not used: {error}", place + 1);
        report.push(
            Diagnostic::warning(code, at, what)
                .why("what is signed with it is refused; the other keys are not affected (RFC 7517, section 5)")
                .fix("remove it, if nothing is signed with it"),
        );
    }
}

/// The secret of the gateway as a client of its provider.
pub(super) const CLIENT_SECRET: Key = Key::required(
    "client-secret",
    "The secret with which the gateway proves to the provider who it is: a reference to a secret.",
    Shape::Ruled(&FIELD_VALUE),
)
.change(Change::Review("the provider is asked with another secret"))
.examples(&["\"${secret.ID_PROVIDER}\""]);

/// Where keys may be fetched from.
pub(super) const KEYS_PRIVATE: Key = Key::optional(
    "private-network",
    "Whether the keys may be fetched over plain HTTP, and from addresses that are not public.",
    Shape::Boolean,
)
.default("false")
.change(Change::LoosestFirst {
    words: &["true", "false"],
    looser: "keys may be fetched over plain HTTP, and from addresses that are not public",
    stricter: "keys are fetched over HTTPS, from public addresses only",
});

/// For whom tokens are.
pub(super) const AUDIENCE: Key = Key::optional(
    "audience",
    "The audiences, one of which must be in the claim `aud`: the names that the provider has for this API.",
    TEXT_OR_TEXTS,
)
.absent("any; then `claims` must say for whom a token is")
.change(Change::MoreIsLooser)
.examples(&["\"pets\"", "[\"pets\", \"https://api.example.com\"]"]);

/// What else must be known of a token, and who its bearer is.
pub(super) const RULES: &[Key] = &[
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
        "Claims that a token must have, besides those that are always checked.",
        Shape::List(&REQUIRED),
    )
    .absent("none")
    .change(Change::MoreIsStricter)
    .examples(&["[\"jti\"]"]),
    Key::optional("claims", "Values that claims must have: one of those that are listed.", CLAIMS)
        .absent("any")
        .change(Change::OneOfEach)
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
    .absent(OWN_PREFIX)
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
    Key::optional(
        "map-consumers",
        "The consumers of tokens with these claims, by their whole names: one or more `claim=value` with blanks between them, which \
         must all hold. Other tokens have the consumer that `consumer` names.",
        MAPPED,
    )
    .absent("none")
    .change(Change::Review("callers are other consumers"))
    .examples(&["{\"ada\": \"sub=00u7f\", \"acme\": [\"client_id=web\", \"client_id=app azp=acme\"]}"]),
    Key::optional("map-plans", "The plans of tokens with these claims; other tokens have the plan that `plan` names.", MAPPED)
        .absent("none")
        .change(Change::Review("callers have other plans"))
        .examples(&["{\"gold\": \"tier=premium\"}"]),
    Key::optional(
        "map-groups",
        "Groups of tokens with these claims, besides those that `groups` reads.",
        MAPPED,
    )
    .absent("none")
    .change(Change::Review("callers are in other groups"))
    .examples(&["{\"editors\": [\"role=editor\", \"role=admin email_verified=true\"]}"]),
    Key::optional(
        LINKS,
        "The claim by which identities are linked to consumers with `tollgate identity link`. The link of a token's issuer and of its \
         value of this claim names the consumer, before `map-consumers` and `consumer`.",
        Shape::Ruled(&CLAIM),
    )
    .absent("identities are not linked")
    .change(Change::Review("callers are other consumers"))
    .examples(&["\"sub\""]),
    Key::optional(UNLINKED, "What happens to a token whose identity is not linked.", Shape::Word(UNLINKED_WORDS))
        .default("\"accept\"")
        .change(Change::LoosestFirst {
            words: &["accept", "refuse"],
            looser: "tokens of other identities are accepted",
            stricter: "tokens of other identities are refused",
        }),
];

/// The resource whose metadata are served.
pub(super) const RESOURCE: &[Key] = &[
    Key::optional(
        "resource",
        "The identifier of the API as a protected resource, a URL (RFC 9728). Its metadata name the issuers; they are served \
         below `/.well-known/oauth-protected-resource`, and challenges name them.",
        Shape::Ruled(&URL),
    )
    .absent("no metadata")
    .change(Change::Review("clients find other metadata"))
    .examples(&["\"https://api.example.com\""]),
];

/// A policy says for whom tokens are.
pub(super) const FOR_SOMEBODY: Rule = Rule::SomeOf(&["audience", "claims"]);

/// A text, or several.
pub(super) const TEXT_OR_TEXTS: Shape = Shape::AnyOf(&[Shape::Text, Shape::List(&List::some_texts(Shape::Text, 32))]);

const CLAIM_NAMES: Shape =
    Shape::AnyOf(&[Shape::Ruled(&CLAIM), Shape::List(&List::some_texts(Shape::Ruled(&CLAIM), 8))]);

static REQUIRED: List = List::some_texts(Shape::Ruled(&CLAIM), 32);

const CLAIMS: Shape = Shape::Named(&Named { names: &CLAIM, of: TEXT_OR_TEXTS, max: 32 });

const SCOPES: Shape = Shape::Named(&Named { names: &SCOPE, of: Shape::Ruled(&SCOPE), max: 64 });

const MAPPED: Shape = Shape::Named(&Named { names: &CALLER_NAME, of: TEXT_OR_TEXTS, max: 256 });

/// What must be known of a token from one of these issuers.
pub(super) fn rules(written: &Written, issuers: Vec<String>, report: &mut Report) -> Option<IdentityRules> {
    let rules = unbound_rules(written, issuers, report)?;
    Some(IdentityRules { binding: binding::rules(written, report)?, ..rules })
}

/// The same for tokens that nothing is bound to.
pub(super) fn unbound_rules(written: &Written, issuers: Vec<String>, report: &mut Report) -> Option<IdentityRules> {
    let audiences =
        if written.written("audience").is_some() { non_empty(written, "audience", report)? } else { vec![] };
    let scopes = written.named("scopes").into_iter().filter_map(|(scope, in_token)| {
        let in_token = in_token.into_iter().next()?;
        Some(ScopeRule { scope: scope.value, in_token })
    });
    let claims = written.named("claims");
    for key in ["issuer", "audience"] {
        written.list(key).iter().for_each(|text| report_placeholder(key, text, report));
    }
    let are_issuers = written.list("issuer").iter().all(|issuer| is_issuer(issuer, report));
    let are_claims = written.list("groups").iter().all(|claim| is_claim("groups", claim, report));
    if !are_issuers || !are_claims {
        return None;
    }
    Some(IdentityRules {
        audiences,
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
        kept_claims: Vec::new(),
        binding: None,
        consumers: mapping::read(written, "map-consumers", &issuers, report)?,
        plans: mapping::read(written, "map-plans", &issuers, report)?,
        groups: mapping::read(written, "map-groups", &issuers, report)?,
        links: links(written, &issuers, report)?,
        issuers,
        resource: written.parsed("resource", |url| resource(url, written.boolean("private-network"), report))?,
    })
}

/// Whether a text names a claim; one that does not is reported.
fn is_claim(key: &str, text: &Spanned<String>, report: &mut Report) -> bool {
    if text.value.is_empty() {
        report.push(
            Diagnostic::error(Code::BadTokenPolicy, text.span, format!("an empty text in `{key}`"))
                .why("no claim has an empty name, so nobody would be in a group")
                .fix(format!("write the name of a claim, or remove `{key}`")),
        );
    }
    !text.value.is_empty()
}

/// Reports a name that no provider has (RFC 2606, section 2), such as `tollgate import` writes.
fn report_placeholder(key: &str, text: &Spanned<String>, report: &mut Report) {
    let host = text.value.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next());
    if host.is_some_and(|host| host.ends_with(".invalid")) {
        report.push(
            Diagnostic::warning(Code::BadTokenPolicy, text.span, format!("`{key}` is a placeholder"))
                .why("no token has this name in it, so none is accepted")
                .fix(if key == "issuer" {
                    "write the issuer of your provider, as its tokens have it in `iss`"
                } else {
                    "write the name that your provider has for this API, as its tokens have it in `aud`"
                }),
        );
    }
}

/// The identifier of a protected resource (RFC 9728, section 1.2).
fn resource(url: &Spanned<String>, is_private: bool, report: &mut Report) -> Option<String> {
    let path = |url: &str| url.splitn(4, '/').nth(3).map_or_else(|| "/".to_owned(), |path| format!("/{path}"));
    let is_canonical = |path: &str| CanonicalPath::parse(path.as_bytes()).is_ok_and(|read| read.as_str() == path);
    let what = match parsed::usable_url(&url.value) {
        Err(what) => what,
        Ok(_) if !is_private && !is_https(&url.value) => {
            "clients believe what its metadata say, so it has to be an `https` URL".to_owned()
        }
        Ok(_) if !is_canonical(&path(&url.value)) => {
            "its metadata would never be found at this path, which clients and proxies write differently".to_owned()
        }
        Ok(_) => return Some(url.value.clone()),
    };
    report.push(
        Diagnostic::error(Code::BadTokenPolicy, url.span, format!("the resource cannot be used: {what}"))
            .why("clients find the metadata by it, and they say who issues tokens (RFC 9728, section 3)")
            .fix("write the `https://` URL at which clients call the API, without query and fragment; inside a private network add `private-network: true`"),
    );
    None
}

/// Keeps a claim for expressions and upstreams; returns whether the fact is one.
pub(super) fn keep(rules: &mut IdentityRules, fact: &Attribute) -> bool {
    let Attribute::Claim(path) = fact else { return false };
    if let Err(place) = rules.kept_claims.binary_search(path) {
        rules.kept_claims.insert(place, path.clone());
    }
    true
}

/// The rules as they would be written.
pub(super) fn rule_values(rules: &IdentityRules) -> impl Iterator<Item = (&'static str, Value)> {
    let text = |key, value: &str| Some((key, Value::Text(value.to_owned())));
    let list = |key, all: &[String]| (!all.is_empty()).then(|| (key, Value::List(all.to_vec())));
    let named = |key, all: Vec<_>| (!all.is_empty()).then_some((key, Value::Named(all)));
    let duration = |key, seconds: u32| Some((key, Value::DurationMs(u64::from(seconds) * 1_000)));
    let claims = rules.claims.iter().map(|rule| (rule.claim.clone(), rule.any_of.clone())).collect();
    let scopes = rules.scopes.iter().map(|rule| (rule.scope.clone(), vec![rule.in_token.clone()])).collect();
    let all = [
        list("issuer", &rules.issuers),
        list("audience", &rules.audiences),
        duration("leeway", rules.leeway_s),
        rules.age_max_s.and_then(|seconds| duration("max-age", seconds)),
        list("require", &rules.required),
        named("claims", claims),
        text("consumer", &rules.consumer),
        rules.consumer_prefix.as_deref().and_then(|prefix| text("consumer-prefix", prefix)),
        rules.plan.as_deref().and_then(|plan| text("plan", plan)),
        text("scope-claim", &rules.scope_claim),
        named("scopes", scopes),
        list("groups", &rules.group_claims),
        named("map-consumers", mapping::written(&rules.consumers)),
        named("map-plans", mapping::written(&rules.plans)),
        named("map-groups", mapping::written(&rules.groups)),
        rules.links.as_ref().and_then(|links| text(LINKS, &links.claim)),
        Value::word(UNLINKED, IS_REQUIRED, &rules.links.as_ref().is_some_and(|links| links.required)),
        rules.resource.as_deref().and_then(|url| text("resource", url)),
    ];
    all.into_iter().flatten().chain(binding::values(rules))
}

/// Where a request presents the token.
pub(super) fn place(written: &Written, report: &mut Report) -> Option<CredentialPlace> {
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
    let with_proof = written.word("binding", binding::MODE)?.accepts_proofs();
    Some(CredentialPlace { field, scheme, query, cookie, with_proof })
}

/// The place as it would be written.
pub(super) fn place_values(place: &CredentialPlace) -> impl Iterator<Item = (&'static str, Value)> {
    let CredentialPlace { field, scheme, query, cookie, with_proof: _ } = place;
    let text = |key, value: &Option<String>| Some((key, Value::Text(value.clone()?)));
    let field = Some(("header", Value::Text(field.to_string())));
    [field, text("scheme", scheme), text("query", query), text("cookie", cookie)].into_iter().flatten()
}

/// Strings, none of which is empty.
pub(super) fn non_empty(written: &Written, key: &str, report: &mut Report) -> Option<Vec<String>> {
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

/// A duration in seconds, rounded up.
pub(super) fn seconds(written: &Written, key: &str) -> Option<u32> {
    let ms = written.duration_ms(key)?.value;
    u32::try_from(ms.div_ceil(1_000)).ok()
}

/// What comes over an unprotected connection can be replaced by anyone on the way.
pub(super) fn is_secure(url: &Spanned<String>, is_private: bool, what: &str, why: &str, report: &mut Report) -> bool {
    let is_secure = is_private || is_https(&url.value);
    if !is_secure {
        report.push(
            Diagnostic::error(Code::BadTokenPolicy, url.span, format!("{what} not over HTTPS"))
                .why(why)
                .fix("write an `https://` URL; inside a private network add `private-network: true`"),
        );
    }
    is_secure
}

fn is_https(url: &str) -> bool {
    url.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("https://"))
}

/// The one issuer whose metadata is read.
pub(super) fn one_issuer(written: &Written, named: &str, report: &mut Report) -> Option<Spanned<String>> {
    let all = written.list("issuer");
    let issuer = all.first()?.clone();
    let found = if all.len() > 1 {
        Diagnostic::error(Code::BadTokenPolicy, issuer.span, format!("several issuers, and no `{named}`"))
            .why("it is found by the metadata of one issuer; that of another is not for its tokens")
            .fix(format!("write a policy for each issuer, and `authn: {{any: [..]}}`; or `{named}`, if they share it"))
    } else if parsed::usable_url(&issuer.value).is_err() {
        Diagnostic::error(Code::BadTokenPolicy, issuer.span, "the issuer is not a URL, so it has no metadata")
            .why(format!("without `{named}`, it is found by `<issuer>/.well-known/openid-configuration`"))
            .fix(format!("add `{named}: URL`"))
    } else {
        return Some(issuer);
    };
    report.push(found);
    None
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
