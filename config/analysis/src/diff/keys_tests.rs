//! Another value of each key of each kind of policy is a difference, and says whether it loosens.

use std::collections::BTreeSet;

use tollgate_config::Compiled;
use tollgate_config::policies::settings;
use tollgate_core::kinds::Slot;

use super::{Change, diff};
use crate::compile_str;

/// What the second value of a key does, compared with the first one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    /// It loosens, and the way back does not.
    Looser,
    /// Each of them accepts what the other one refuses.
    Others,
    /// A person has to review both ways.
    Review,
}
use Second::{Looser, Others, Review};

/// A key, two of its values with what else they need, and what the second does.
type Row = (&'static str, &'static str, &'static str, Second);

/// A kind in its slot, what each of its policies has, and the rows of its keys.
type Checked<'c> = (Slot, &'c str, &'c [&'c str], &'c [&'c [Row]]);

#[track_caller]
fn project(slot: Slot, kind: &str, own: &str) -> Compiled {
    let (authn, other) = match (slot, kind) {
        (Slot::Authn, "anonymous") => ("[keys, p]", String::new()),
        (Slot::Authn, _) => ("p", String::new()),
        (slot, _) => ("keys", format!(", {}: p", slot.key())),
    };
    let keys = if authn == "p" { "" } else { "keys: {kind: api-key}, " };
    let text = format!(
        "format: 1\ngateway: {{name: g}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{{keys}p: {{kind: {kind}, {own}}}}}\n\
         apis: {{a: {{upstream: u, authn: {authn}{other}, routes: [{{path: /a}}]}}}}\n"
    );
    compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
}

/// The keys of a policy: its own, and those of the base that it does not write or leave out (`-key`).
fn with(base: &[&str], own: &str) -> String {
    let (left_out, own): (Vec<&str>, Vec<&str>) =
        own.split(", ").filter(|own| !own.is_empty()).partition(|own| own.starts_with('-'));
    let is_written = |name: &str| {
        own.iter().any(|own| own.split_once(": ").is_some_and(|(written, _)| written == name))
            || left_out.iter().any(|own| own[1..] == *name)
    };
    let of_base = base.iter().filter(|pair| pair.split_once(": ").is_none_or(|(name, _)| !is_written(name)));
    of_base.copied().chain(own.iter().copied()).collect::<Vec<_>>().join(", ")
}

fn of_key(key: &str, from: &Compiled, to: &Compiled) -> Option<Change> {
    diff(from, to).into_iter().find(|change| change.subject == "policy p" && change.setting == key)
}

/// The faults of all keys of a kind.
fn faults(slot: Slot, kind: &str, base: &[&str], rows: &[&[Row]]) -> Vec<String> {
    let mut faults = Vec::new();
    let all = project(slot, kind, &base.join(", "));
    let table = settings(all.policies(), "p").expect("the policy").list;
    let mut missing: BTreeSet<&str> = table.iter().map(|setting| setting.key).collect();
    missing.retain(|key| !IN_ANOTHER_KEY.contains(key));
    for (key, from, to, second) in rows.iter().copied().flatten().copied() {
        // Keys in PEM are shown as a set.
        let shown = if key == "pem" { "keys" } else { key };
        let [from, to] = [from, to].map(|own| project(slot, kind, &with(base, own)));
        let there_and_back = of_key(shown, &from, &to).zip(of_key(shown, &to, &from));
        let expected = match second {
            Looser => (true, false),
            Others => (true, true),
            Review => (false, false),
        };
        match there_and_back {
            Some((there, back)) if (there.loosens, back.loosens) == expected && there.reason != UNKNOWN => {
                missing.remove(key);
            }
            found => faults.push(format!("{kind}.{key}: {found:#?}")),
        }
    }
    faults.extend(missing.into_iter().map(|key| format!("{kind}.{key} is not tested")));
    faults
}

/// Files whose lines become items of `allow` and `deny`.
const IN_ANOTHER_KEY: [&str; 2] = ["allow-file", "deny-file"];

/// The effect of a key whose table names none.
const UNKNOWN: &str = "the responses to requests change";

#[test]
fn every_key_of_every_kind_is_compared() {
    use Slot::{Authn, Authz, Guard, Limit};
    let oidc: Vec<Row> = RULES.iter().filter(|(key, ..)| *key != "audience").copied().collect();
    let checks: &[Checked<'_>] = &[
        (Guard, "ip-filter", &["deny: [172.16.0.0/12]"], &[IP_FILTER]),
        (Authn, "api-key", &["header: X-Own"], &[API_KEY]),
        (Authn, "jwt", &[ISSUER, "audience: a"], &[JWT, PLACE, AUDIENCE, RULES, BINDING, OUTAGE]),
        (
            Authn,
            "introspection",
            &[ISSUER, "audience: a", "client-id: c", "client-secret: \"${secret.A}\""],
            &[INTROSPECTION, PLACE, AUDIENCE, RULES, BINDING, OUTAGE],
        ),
        (Authn, "webhook", &["sender: slack", "secret: \"${secret.A}\""], &[WEBHOOK]),
        (Authn, "client-certificate", &["consumer: dns"], &[CERTIFICATE]),
        (Authn, "http-signature", &["jwks: \"https://k/\""], &[SIGNATURE]),
        (Authn, "basic", &[], &[BASIC]),
        (
            Authn,
            "oidc-login",
            &[ISSUER, "client-id: c", "client-secret: \"${secret.A}\"", "secret: \"${secret.B}\""],
            &[LOGIN, &oidc],
        ),
        (Authn, "anonymous", &["consumer: a"], &[ANONYMOUS]),
        (Authz, "access", &["deny: {plans: z}"], &[ACCESS]),
        (Authz, "condition", &["allow: \"request.method == 'GET'\""], &[CONDITION]),
        (Authz, "external", &["url: \"https://o/\"", "protocol: http", "send: {a: principal.consumer}"], &[EXTERNAL]),
        (Limit, "rate-limit", &["rate: 60/min"], &[RATE_LIMIT, COUNTING, CONSISTENCY]),
        (Limit, "quota", &["quota: 60", "window: month"], &[QUOTA, COUNTING, CONSISTENCY]),
        (Limit, "concurrency", &["max: 6"], &[CONCURRENCY, COUNTING]),
    ];
    let checked: BTreeSet<&str> = checks.iter().map(|(_, kind, ..)| *kind).collect();
    let kinds: BTreeSet<&str> = Slot::ALL.iter().flat_map(|slot| slot.kinds()).copied().collect();
    assert_eq!(checked, kinds);
    let found = checks.iter().flat_map(|(slot, kind, base, rows)| faults(*slot, kind, base, rows));
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_effect_of_another_binding_names_what_tokens_are_bound_to() {
    for (from, to, reason) in [
        (
            "dpop",
            "bearer",
            "tokens that are bound to nothing or a certificate are accepted now, tokens that are bound to a key are refused",
        ),
        ("bearer", "certificate", "tokens that are bound to nothing are refused now"),
        ("dpop", "any", "tokens that are bound to a certificate are accepted now"),
    ] {
        let of = |mode| project(Slot::Authn, "jwt", &format!("{ISSUER}, audience: a, binding: {mode}"));
        let changes = diff(&of(from), &of(to));
        // The keys that only proofs have follow the binding.
        let found: Vec<_> = changes.iter().map(|change| (change.setting.as_str(), change.reason.as_str())).collect();
        assert_eq!(found, [("binding", reason)], "{from} -> {to}");
    }
}

const ISSUER: &str = "issuer: \"https://i\"";

const IP_FILTER: &[Row] = &[
    ("allow", "allow: [10.0.0.0/8]", "allow: [10.0.0.0/8, 192.0.2.0/24]", Looser),
    ("deny", "deny: [10.0.0.0/8, 192.0.2.0/24]", "deny: [10.0.0.0/8]", Looser),
];

const API_KEY: &[Row] = &[
    ("header", "header: X-A", "header: X-B", Others),
    ("scheme", "header: X-A", "header: X-A, scheme: Bearer", Others),
    ("query", "", "query: q", Looser),
    ("environments", "environments: [live]", "environments: [live, test]", Looser),
    ("environments", "environments: [live]", "", Looser),
    ("key-format", "", "key-format: any", Looser),
];

const PLACE: &[Row] = &[
    ("header", "header: X-A", "header: X-B", Others),
    ("scheme", "header: X-A", "header: X-A, scheme: Bearer", Others),
    ("query", "", "query: q", Looser),
    ("cookie", "", "cookie: c", Looser),
];

const AUDIENCE: &[Row] = &[
    ("audience", "audience: a", "audience: [a, b]", Looser),
    ("audience", "claims: {x: v}", "-audience, claims: {x: v}", Looser),
    ("audience", "audience: a", "audience: b", Others),
    ("resource", "", "resource: \"https://a\"", Review),
];

const RULES: &[Row] = &[
    ("leeway", "leeway: 5s", "leeway: 10s", Looser),
    ("max-age", "max-age: 1h", "max-age: 2h", Looser),
    ("max-age", "max-age: 1h", "", Looser),
    ("require", "require: [jti]", "", Looser),
    ("claims", "claims: {x: a}", "claims: {x: [a, b]}", Looser),
    ("claims", "claims: {x: a, z: b}", "claims: {x: a}", Looser),
    ("claims", "claims: {x: a}", "claims: {x: b}", Others),
    ("consumer", "", "consumer: azp", Review),
    ("consumer-prefix", "", "consumer-prefix: \"x:\"", Review),
    ("plan", "", "plan: tier", Review),
    ("scope-claim", "", "scope-claim: scp", Review),
    ("scopes", "", "scopes: {a: b}", Review),
    ("groups", "", "groups: roles", Review),
    ("map-consumers", "", "map-consumers: {ada: sub=1}", Review),
    ("map-plans", "", "map-plans: {gold: tier=1}", Review),
    ("map-groups", "", "map-groups: {staff: role=1}", Review),
    ("links", "", "links: sub", Review),
    ("unlinked", "links: sub, unlinked: refuse", "links: sub", Looser),
];

const BINDING: &[Row] = &[
    ("binding", "binding: dpop", "binding: any", Looser),
    ("binding", "binding: dpop", "binding: bearer", Others),
    ("certificate-from", "", "certificate-from: client-cert", Review),
    ("dpop-algorithms", "binding: dpop, dpop-algorithms: [ES256]", "binding: dpop", Looser),
    ("dpop-max-age", "binding: dpop", "binding: dpop, dpop-max-age: 5m", Looser),
    ("dpop-nonce", "binding: dpop, dpop-nonce: \"${secret.N}\"", "binding: dpop", Looser),
    ("dpop-nonce", "binding: dpop, dpop-nonce: \"${secret.N}\"", "binding: dpop, dpop-nonce: \"${secret.M}\"", Review),
    ("dpop-once", "binding: dpop", "binding: dpop, dpop-once: false", Looser),
];

const OUTAGE: &[Row] = &[
    ("revocable", "revocable: true", "", Looser),
    ("on-unavailable", "", "on-unavailable: known, outage-consumers: [a]", Looser),
    (
        "outage-consumers",
        "on-unavailable: known, outage-consumers: [\"p:a\"]",
        "on-unavailable: known, outage-consumers: [\"p:a\", \"p:b\"]",
        Looser,
    ),
    (
        "outage-for",
        "on-unavailable: known, outage-consumers: [\"p:a\"]",
        "on-unavailable: known, outage-consumers: [\"p:a\"], outage-for: 4h",
        Looser,
    ),
    (
        "outage-past-expiry",
        "on-unavailable: known, outage-consumers: [\"p:a\"]",
        "on-unavailable: known, outage-consumers: [\"p:a\"], outage-past-expiry: 1h",
        Looser,
    ),
    (
        "outage-after",
        "on-unavailable: known, outage-consumers: [\"p:a\"]",
        "on-unavailable: known, outage-consumers: [\"p:a\"], outage-after: 10m",
        Looser,
    ),
];

const JWT: &[Row] = &[
    (
        "issuer",
        "issuer: \"https://i\", jwks: \"https://k/\"",
        "issuer: [\"https://i\", \"https://j\"], jwks: \"https://k/\"",
        Looser,
    ),
    ("jwks", "", "jwks: \"https://k/\"", Review),
    ("keys", "", SET, Review),
    ("secret", "secret: \"${secret.A}\"", "secret: \"${secret.B}\"", Review),
    ("private-network", "", "private-network: true", Looser),
    ("algorithms", "algorithms: [ES256]", "", Looser),
    ("type", "type: at+jwt", "", Looser),
    ("type", "type: at+jwt", "type: other", Review),
];

const SET: &str = "-jwks, keys: '{\"keys\":[{\"kid\":\"a\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'";
const OTHER_SET: &str = "-jwks, keys: '{\"keys\":[{\"kid\":\"b\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'";
const PEM: &str = "-jwks, pem: {a: \"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----\"}";
const OTHER_PEM: &str = "-jwks, pem: {b: \"-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----\"}";

const INTROSPECTION: &[Row] = &[
    ("url", "", "url: \"https://q/\"", Review),
    ("issuer", "url: \"https://q/\"", "-issuer, url: \"https://q/\"", Looser),
    ("client-id", "", "client-id: d", Review),
    ("client-secret", "client-secret: \"${secret.A}\"", "client-secret: \"${secret.B}\"", Review),
    ("client-auth", "", "client-auth: post", Review),
    ("private-network", "", "private-network: true", Looser),
    ("cache", "cache: 1s", "", Looser),
    ("signed", "signed: true", "", Looser),
    ("jwks", "signed: true", "signed: true, jwks: \"https://k/\"", Review),
];

const WEBHOOK: &[Row] = &[
    ("sender", "sender: slack", "sender: stripe", Review),
    ("secret", "secret: \"${secret.A}\"", "secret: [\"${secret.A}\", \"${secret.B}\"]", Looser),
    ("consumer", "", "consumer: c", Review),
    ("tolerance", "tolerance: 1m", "", Looser),
    ("once-within", "once-within: 20m", "", Looser),
    ("header", "sender: hmac, header: X-A", "sender: hmac, header: X-B", Review),
    ("prefix", "sender: hmac, header: X-A", "sender: hmac, header: X-A, prefix: v", Review),
    ("hash", "sender: hmac, header: X-A", "sender: hmac, header: X-A, hash: sha512", Review),
    ("encoding", "sender: hmac, header: X-A", "sender: hmac, header: X-A, encoding: base64", Review),
    (
        "timestamp-header",
        "sender: hmac, header: X-A, timestamp-header: X-T, signed: \"{timestamp}.{body}\"",
        "sender: hmac, header: X-A",
        Looser,
    ),
    (
        "signed",
        "sender: hmac, header: X-A, signed: \"{body}\"",
        "sender: hmac, header: X-A, signed: \"a{body}\"",
        Review,
    ),
];

const CERTIFICATE: &[Row] = &[
    ("from", "", "from: client-cert", Review),
    ("accept", "accept: {dns: a.example}", "accept: {dns: [a.example, b.example]}", Looser),
    ("accept", "accept: {dns: a.example}", "", Looser),
    ("consumer", "", "consumer: uri", Review),
    ("consumer-prefix", "", "consumer-prefix: \"x:\"", Review),
    ("plan", "", "plan: gold", Review),
    ("scopes", "", "scopes: [a]", Looser),
];

const SIGNATURE: &[Row] = &[
    ("keys", SET, OTHER_SET, Review),
    ("pem", PEM, OTHER_PEM, Review),
    ("jwks", "jwks: \"https://k/\"", "jwks: \"https://l/\"", Review),
    (
        "secrets",
        "-jwks, secrets: {a: \"${secret.A}\"}",
        "-jwks, secrets: {a: \"${secret.A}\", b: \"${secret.B}\"}",
        Looser,
    ),
    ("private-network", "", "private-network: true", Looser),
    ("algorithms", "algorithms: [ed25519]", "", Looser),
    ("components", "", "components: [\"@method\"]", Looser),
    ("max-age", "max-age: 1m", "", Looser),
    ("leeway", "leeway: 1s", "", Looser),
    ("label", "label: sig1", "", Looser),
    ("tag", "tag: a", "", Looser),
    ("require", "require: [expires]", "", Looser),
    ("consumers", "consumers: {a: b}", "", Looser),
    ("once-within", "once-within: 6m", "", Looser),
];

const HASH: &str = "users: {a: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}";
const HASHED_GOLD: &str = "users: {a: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}, plan: gold";
const HASHED_READ: &str = "users: {a: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}, scopes: [a]";

const BASIC: &[Row] = &[
    ("plan", HASH, HASHED_GOLD, Review),
    ("scopes", HASH, HASHED_READ, Looser),
    ("users", HASH, "environments: [live]", Others),
    ("environments", "environments: [live]", "", Looser),
];

const ANONYMOUS: &[Row] = &[
    ("consumer", "", "consumer: b", Review),
    ("plan", "", "plan: gold", Review),
    ("scopes", "", "scopes: [a]", Looser),
    ("scopes", "scopes: [a]", "scopes: [b]", Others),
];

const LOGIN: &[Row] = &[
    ("issuer", ISSUER, "issuer: \"https://j\"", Review),
    ("client-id", "client-id: c", "client-id: d", Review),
    ("client-secret", "client-secret: \"${secret.A}\"", "client-secret: \"${secret.C}\"", Review),
    ("client-auth", "", "client-auth: post", Review),
    ("secret", "secret: \"${secret.B}\"", "secret: \"${secret.C}\"", Review),
    ("path", "", "path: /in", Review),
    ("cookie", "", "cookie: __Host-a", Review),
    ("scope", "", "scope: openid groups", Review),
    ("session", "session: 2h", "", Looser),
    ("idle", "idle: 30m", "", Looser),
    ("after-logout", "", "after-logout: /bye", Review),
    ("private-network", "", "private-network: true", Looser),
    // Without it, nobody ends the session of someone whom the provider does not know any more.
    ("refresh", "refresh: 15m", "refresh: 30m", Looser),
    ("refresh", "refresh: 15m", "", Looser),
    ("revocable", "revocable: true", "", Looser),
];

const ACCESS: &[Row] = &[
    ("allow", "allow: {plans: a}", "allow: {plans: [a, b]}", Looser),
    ("deny", "deny: {plans: [a, b]}", "deny: {plans: a}", Looser),
];

const CONDITION: &[Row] =
    &[("allow", "allow: \"request.method == 'GET'\"", "allow: \"request.method == 'PUT'\"", Review)];

const EXTERNAL: &[Row] = &[
    ("url", "url: \"https://o/\"", "url: \"https://p/\"", Review),
    ("protocol", "protocol: http", "protocol: opa", Review),
    ("send", "send: {a: principal.consumer}", "send: {b: principal.consumer}", Review),
    ("cache", "", "cache: 5s", Looser),
    ("timeout", "", "timeout: 1s", Review),
    ("on-unavailable", "", "on-unavailable: open", Looser),
    ("token", "", "token: \"${secret.A}\"", Review),
    ("private-network", "", "private-network: true", Looser),
];

const RATE_LIMIT: &[Row] = &[
    ("rate", "rate: 60/min, burst: 9", "rate: 61/min, burst: 9", Looser),
    ("burst", "", "burst: 99", Looser),
    ("algorithm", "", "algorithm: sliding-window", Review),
];

const QUOTA: &[Row] = &[
    ("quota", "quota: 60", "quota: 61", Looser),
    ("budget", "-quota, budget: 60 calls", "-quota, budget: 61 calls", Review),
    ("window", "window: month", "window: day", Looser),
    ("zone", "", "zone: Europe/Paris", Review),
    ("anchor-day", "anchor-day: 2", "anchor-day: 31", Review),
    ("anchor-month", "window: year, anchor-month: 2", "window: year, anchor-month: 4", Review),
    ("anchor-weekday", "window: week, anchor-weekday: sunday", "window: week, anchor-weekday: friday", Review),
];

const CONCURRENCY: &[Row] = &[("max", "max: 6", "max: 7", Looser), ("lease", "lease: 60s", "lease: 50s", Looser)];

const COUNTING: &[Row] = &[
    ("by", "", "by: address", Review),
    (
        "limit-from",
        "at-most: 200, limit-from: principal.claims.a",
        "at-most: 200, limit-from: principal.claims.b",
        Review,
    ),
    ("ipv6-prefix", "", "ipv6-prefix: 56", Review),
    ("ipv4-prefix", "", "ipv4-prefix: 24", Review),
    ("at-most", "at-most: 200", "at-most: 250", Looser),
    ("on-unavailable", "on-unavailable: closed", "", Looser),
    ("degrade-to", "on-unavailable: degrade, degrade-to: 10%", "on-unavailable: degrade, degrade-to: 20%", Review),
    ("timeout", "timeout: 1s", "timeout: 100ms", Review),
    ("shadow", "", "shadow: true", Looser),
    ("warn", "warn: [80%]", "warn: [90%]", Review),
];

const CONSISTENCY: &[Row] = &[
    ("consistency", "consistency: exact", "consistency: leased", Looser),
    ("charge", "", "charge: beside", Review),
    ("count-when", "", "count-when: status < 500", Review),
    ("cost", "", "cost: response.bytes", Review),
    ("cost-per", "cost: response.bytes", "cost: response.bytes, cost-per: 1KiB", Review),
    ("reserve", "cost: response.bytes", "cost: response.bytes, reserve: 2", Review),
    ("cost-max", "cost: response.bytes", "cost: response.bytes, cost-max: 5", Review),
];
