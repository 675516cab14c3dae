//! Words of other gateways: kinds of policies, what a limit counts by, platforms.

use std::net::IpAddr;

use tollgate_core::guard::Cidr;

use super::unit;

/// What to write instead of a word, among the words that are allowed.
pub(crate) fn fix(word: &str, allowed: &[&str]) -> Option<&'static str> {
    let word: String = word.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    let found = WORDS.iter().find(|(words, needs, _)| words.contains(&word.as_str()) && allowed.contains(needs));
    found.map(|(_, _, fix)| *fix)
}

/// What to write instead of the name of a policy that does not exist.
pub(crate) fn policy(name: &str) -> Option<String> {
    let defined =
        |kind: &str| format!("define it under `policies`, as `NAME: {{kind: {kind}}}`, and write NAME in its place");
    if let Some(rate) = unit::per_period(name).filter(|_| name.contains('/') || name.contains("per")) {
        return Some(defined(&format!("rate-limit, rate: {rate}")));
    }
    if name.parse::<Cidr>().is_ok() || name.parse::<IpAddr>().is_ok() {
        return Some(defined(&format!("ip-filter, allow: [\"{name}\"]")));
    }
    let fix = if name.contains([',', ' ']) { Some("write the names as a list, such as `[a, b]`") } else { word(name) };
    fix.map(str::to_owned)
}

/// What to write instead of a word in place of the name of a policy.
fn word(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "none" | "null" | "public" | "anonymous" | "open" | "false" | "disabled" | "optional" | "nobody"
        | "everyone" | "all" | "any" => Some("write `none`, and not in a list, if no policy is meant"),
        "" => Some("write the name of a policy, or remove the key to use that of the higher level"),
        "rate-limit" | "api-key" | "ip-filter" => {
            Some("define a policy of this kind under `policies`, and write its name")
        }
        _ => None,
    }
}

/// Whether a word in place of a list of names means all of them, or none.
pub(crate) fn all_or_none(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "all" | "any" | "*" | "everything" | "full" | "whole" | "true" | "yes" | "on" | "include" | "default" => {
            Some(true)
        }
        "none" | "no" | "nothing" | "empty" | "false" | "off" | "ignore" | "exclude" | "never" | "" => Some(false),
        _ => None,
    }
}

/// What to write instead of the name of an upstream that does not exist.
pub(crate) fn upstream(name: &str) -> Option<&'static str> {
    let is_server = name.contains(['/', ':']) || name.contains('.');
    is_server.then_some(
        "define the server under `upstreams` of the project, as `NAME: \"https://pets.internal:8443\"`, and write NAME",
    )
}

/// Why a scheme is not one of API keys, and what to write instead.
pub(in crate::decode) fn scheme(word: &str) -> Option<(&'static str, &'static str)> {
    match word.to_ascii_lowercase().as_str() {
        "basic" | "digest" | "negotiate" | "ntlm" | "hmac" | "aws4-hmac-sha256" => Some((
            "credentials of this scheme are encoded or signed, and what follows the scheme is compared with API keys as it is",
            "write `Bearer`, or read the key from another field",
        )),
        "none" | "null" | "false" | "empty" => {
            Some(("clients would have to send this word before the key", "remove `scheme`, or write `Bearer`"))
        }
        _ => None,
    }
}

/// What to write instead of the action of a step in other test formats.
pub(crate) fn action(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "sleep" | "wait" | "delay" | "pause" | "after" => Some("write `advance: 1s`"),
        "get" | "post" | "put" | "patch" | "delete" | "head" | "options" | "send" | "call" | "http" => {
            Some("write `request: GET /pets`, with the method before the path")
        }
        "time" | "clock" | "now" => Some("write `at: 2026-01-31T23:59:50Z`"),
        _ => None,
    }
}

/// The usual method that was probably meant by another one; no registered method is as similar to one.
pub(in crate::decode) fn method(word: &str) -> Option<&'static str> {
    let is_slip = |usual: &&&str| strsim::damerau_levenshtein(usual, word) == 1;
    let is_usual = METHODS.contains(&word) || word.len() > METHOD_BYTES_MAX;
    METHODS.iter().filter(|_| !is_usual).find(is_slip).copied()
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The length of the longest usual method, with one mistake.
const METHOD_BYTES_MAX: usize = 8;

/// Words in lowercase letters without hyphens and underscores; an allowed word by which the key is known; what to write.
const WORDS: &[(&[&str], &str, &str)] = &[
    (
        &[
            "ratelimiting",
            "ratelimiter",
            "ratelimit",
            "limitreq",
            "limitcount",
            "limit",
            "throttle",
            "throttling",
            "localratelimit",
            "spikearrest",
        ],
        "rate-limit",
        "write `rate-limit`",
    ),
    (&["quotas", "quotapolicy", "monthlyquota", "quotabykey"], "quota", "write `quota`"),
    (
        &["inflightreq", "limitconn", "limitconcurrency", "connectionlimit", "concurrentratelimit", "concurrencylimit"],
        "concurrency",
        "write `concurrency`",
    ),
    (&["keyauth", "apikey", "apikeyauth", "apikeyinbound", "apikeys", "key", "bearer"], "api-key", "write `api-key`"),
    (&["oauth2introspection", "tokenintrospection", "opaque"], "introspection", "write `introspection`"),
    (
        &["iprestriction", "ipwhitelist", "ipallowlist", "ipblacklist", "ip", "ipfilter"],
        "ip-filter",
        "write `ip-filter`",
    ),
    (&["acl", "rbac"], "access", "write `access`"),
    (&["cel", "expression", "expr"], "condition", "write `condition`, with the expression in `allow`"),
    (
        &[
            "opa",
            "rego",
            "extauthz",
            "extauth",
            "authz",
            "authzen",
            "externalauth",
            "externalauthz",
            "forwardauth",
            "authrequest",
        ],
        "external",
        "write `external`, with `protocol: opa`, `authzen` or `http`",
    ),
    (
        &["oauth2", "oauth", "jwtauth"],
        "jwt",
        "write `jwt`, or `introspection` for tokens that the provider is asked about",
    ),
    (
        &["openidconnect", "oidc", "login", "session", "sso"],
        "oidc-login",
        "write `oidc-login` for people with browsers, or `jwt` for tokens",
    ),
    (&["basicauth", "httpbasic", "password"], "basic", "write `basic`"),
    (&["mtls", "mtlsauth", "clientcert", "clientcertificates"], "client-certificate", "write `client-certificate`"),
    // The values of `binding`.
    (&["mtls", "tls", "x5t", "cert", "clientcertificate", "rfc8705"], "certificate", "write `certificate`"),
    (&["proof", "key", "jkt", "pop", "rfc9449"], "dpop", "write `dpop`"),
    (&["none", "no", "off"], "dpop-or-bearer", "write `bearer`"),
    (&["hmac", "hmacauth", "httpsignatures"], "http-signature", "write `http-signature`, or `webhook` for webhooks"),
    (
        &[
            "cors",
            "requesttransformer",
            "responsetransformer",
            "transform",
            "proxycache",
            "caching",
            "requestsizelimiting",
            "requesttermination",
            "validation",
            "retry",
            "circuitbreaker",
        ],
        "rate-limit",
        "this version has no such kind (docs/policies/README.md lists the kinds); use the keys `cache` and `body-limit` of APIs and routes",
    ),
    (
        &["ip", "clientip", "remoteaddr", "remoteaddress", "binaryremoteaddr", "realip", "sourceip", "client"],
        "address",
        "write `address`",
    ),
    (
        &["user", "username", "credential", "key", "apikey", "customer", "application", "subject", "authenticateduser"],
        "consumer",
        "write `consumer`",
    ),
    (
        &["cloudflare", "workers", "worker", "cloudflareworkers", "cf"],
        "workers-paid",
        "write `workers-free` or `workers-paid`",
    ),
    (&["fermyon", "wasm", "wasi", "spinapp"], "spin", "write `spin`"),
    (&["linux", "docker", "server", "binary", "kubernetes", "k8s", "selfhosted"], "native", "write `native`"),
    (&["allow", "pass", "failopen", "ignore", "continue"], "open", "write `open`"),
    (&["deny", "reject", "refuse", "failclosed", "block", "error"], "closed", "write `closed`"),
    (
        &["always", "true", "public", "all"],
        "shared",
        "write `per-consumer`, or `shared` if the response is the same for all callers",
    ),
    (&["private", "user", "consumer"], "per-consumer", "write `per-consumer`"),
    (
        &["xrealip", "cfconnectingip", "trueclientip", "xclientip", "xff", "xforwarded"],
        "x-forwarded-for",
        "write `x-forwarded-for` or `forwarded`: no other field is read",
    ),
    (&["string", "str", "secret", "password", "token"], "text", "write `text`"),
    (&["int", "number", "float", "uint", "long"], "integer", "write `integer`"),
    (&["bool", "flag"], "boolean", "write `boolean`"),
    (&["array", "strings", "stringlist"], "list", "write `list`"),
    (&["time", "interval", "timeout"], "duration", "write `duration`"),
    (&["bytes", "bytesize"], "size", "write `size`"),
    (&["uri", "endpoint", "address"], "url", "write `url`"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_with_a_mistake_is_a_usual_one() {
        for (word, meant) in
            [("GTE", "GET"), ("PSOT", "POST"), ("DELET", "DELETE"), ("PATH", "PATCH"), ("POSTS", "POST")]
        {
            assert_eq!(method(word), Some(meant), "{word}");
        }
        for word in ["GET", "PUT", "PROPFIND", "PURGE", "M-SEARCH", "REPORT", "SEARCH", "MERGE", "X", "QUERY"] {
            assert_eq!(method(word), None, "{word}");
        }
    }

    #[test]
    fn words_of_other_gateways_have_one_of_ours() {
        let kinds = ["api-key", "ip-filter", "rate-limit"];
        assert_eq!(fix("rate_limiting", &kinds), Some("write `rate-limit`"));
        assert_eq!(fix("key-auth", &kinds), Some("write `api-key`"));
        assert!(fix("cors", &kinds).is_some_and(|fix| fix.contains("no such kind")));
        assert!(fix("oauth2", &["jwt"]).is_some_and(|fix| fix.contains("write `jwt`")));
        assert_eq!(fix("mtls", &["client-certificate"]), Some("write `client-certificate`"));
        assert_eq!(fix("cel", &["condition"]), Some("write `condition`, with the expression in `allow`"));
        for word in ["opa", "ext_authz"] {
            assert!(fix(word, &["external"]).is_some_and(|fix| fix.starts_with("write `external`")), "{word}");
        }
        assert_eq!(fix("mtls", &["bearer", "certificate", "dpop"]), Some("write `certificate`"));
        assert_eq!(fix("ip", &["consumer", "address"]), Some("write `address`"));
        assert_eq!(fix("ip", &kinds), Some("write `ip-filter`"));
        assert_eq!(fix("$binary_remote_addr", &["consumer", "address"]), Some("write `address`"));
        assert_eq!(fix("colour", &kinds), None);
    }
}
