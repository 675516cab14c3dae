//! URLs of upstreams as in other gateways: without a scheme, several servers, variables of the environment.

use tollgate_core::forward::{UpstreamUrl, UrlError};
use tollgate_core::route::{CanonicalPath, HostName};

use super::EXAMINED_BYTES_MAX;
use crate::decode::parsed::usable_url;

/// What is wrong with a URL that core refuses.
pub(in crate::decode) fn reason(text: &str, error: UrlError) -> String {
    let (authority, path) = parts(text);
    match error {
        _ if text.trim() != text => "a blank is not part of a URL".to_owned(),
        UrlError::Host => {
            HostName::from_authority(authority).err().map_or_else(|| error.to_string(), |e| e.to_string())
        }
        UrlError::Path => match CanonicalPath::parse(path.as_bytes()) {
            Err(what) => format!("the path is not valid: {what}"),
            Ok(_) => error.to_string(),
        },
        UrlError::Form | UrlError::Scheme | UrlError::UserInfo | UrlError::Query => error.to_string(),
    }
}

/// The first segment of a URL's path with a parameter in braces, which no URL contains (RFC 3986, section 2).
pub(in crate::decode) fn parameter(text: &str) -> Option<&str> {
    parts(text).1.split('/').find(|segment| segment.contains('{'))
}

/// The first segment of a valid URL's path that other gateways replace by a part of the request: `*`, `:id`, `$1`.
pub(in crate::decode) fn variable(text: &str) -> Option<&str> {
    let is_variable = |segment: &&str| {
        let behind = segment.strip_prefix([':', '$']).unwrap_or_default();
        ["*", "**"].contains(segment) || behind.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    parts(text).1.split('/').find(is_variable)
}

/// The authority and the path of a URL.
fn parts(text: &str) -> (&str, &str) {
    let behind = text.split_once("://").map_or("", |(_, behind)| behind);
    behind.split_at(behind.find('/').unwrap_or(behind.len()))
}

/// What to write instead of a URL that is refused.
pub(in crate::decode) fn fix(text: &str) -> String {
    if text.len() > EXAMINED_BYTES_MAX {
        return USUAL.to_owned();
    }
    let text = text.trim();
    if usable_url(text).is_ok() && variable(text).is_none() {
        return format!("write `{text}`");
    }
    if text.contains("${secret.") {
        return "write the URL without the secret, and set the secret as a field in `headers`".to_owned();
    }
    let has_host = !parts(text).0.is_empty() && !parts(text).0.contains(['$', '{']);
    let is_variable_path = has_host && (variable(text).is_some() || parameter(text).is_some());
    if !is_variable_path && (text.contains(['$', '%']) || text.contains("{{")) {
        return "variables of the environment are not read: write `${value.NAME}` as the whole URL, and declare the value under `values`"
            .to_owned();
    }
    if text.contains([',', ' ']) {
        return SEVERAL.to_owned();
    }
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let (scheme, rest) = slip(scheme, rest);
    let kept = kept(rest);
    let is_url = |scheme: &str| usable_url(&format!("{scheme}://{kept}")).is_ok();
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if is_url(scheme) => format!("write `{scheme}://{kept}`"),
        "" if is_url("http") && !kept.contains(":/") => format!("write `http://{kept}` or `https://{kept}`"),
        "grpc" | "h2c" | "tcp" | "ws" if is_url("http") => {
            format!("write `http://{kept}`: only http and https are supported")
        }
        "grpcs" | "h2" | "tls" | "wss" | "ssl" if is_url("https") => {
            format!("write `https://{kept}`: only http and https are supported")
        }
        _ => USUAL.to_owned(),
    }
}

/// The scheme in `http:/pets` and `http//pets`.
fn slip<'t>(scheme: &'t str, rest: &'t str) -> (&'t str, &'t str) {
    let found = SCHEMES.iter().find_map(|known| {
        let behind = rest.strip_prefix(known).filter(|_| scheme.is_empty())?;
        Some((known.trim_end_matches([':', '/']), behind))
    });
    found.unwrap_or((scheme, rest))
}

const SCHEMES: &[&str] = &["http:/", "https:/", "http//", "https//", "http:", "https:"];

/// What is left of a URL without user, query, and what other gateways replace in its path.
fn kept(rest: &str) -> &str {
    let kept = rest.split(['?', '#']).next().unwrap_or_default();
    let kept = kept.rsplit_once('@').map_or(kept, |(_, host)| host);
    let is_literal = |segment: &&str| !segment.starts_with(':') && !segment.contains(['{', '*', '$', '(', '[', '<']);
    let segments: Vec<&str> = kept.split('/').collect();
    let literal: usize = segments.iter().take_while(|part| is_literal(part)).map(|part| part.len() + 1).sum();
    let kept = if literal < kept.len() { &kept[..literal.saturating_sub(1)] } else { kept };
    kept.trim_end_matches(':')
}

/// What to write instead of an OTLP endpoint that is that of one signal, or of OTLP/gRPC.
pub(in crate::decode) fn otlp_fix(text: &str) -> Option<String> {
    let base = text.trim_end_matches('/');
    let base = OTLP_PATHS.iter().find_map(|path| base.strip_suffix(path));
    if let Some(base) = base.filter(|base| base.parse::<UpstreamUrl>().is_ok()) {
        return Some(format!("write `{}`", otlp_http_port(base)));
    }
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| ["grpc", "grpcs"].contains(scheme))?;
    let url = otlp_http_port(&format!("{}://{rest}", if scheme == "grpc" { "http" } else { "https" }));
    usable_url(&url).is_ok().then(|| format!("write `{url}`, if the receiver has OTLP/HTTP at this port"))
}

/// The URL with the port of OTLP/HTTP in place of that of OTLP/gRPC.
fn otlp_http_port(url: &str) -> String {
    url.replacen(":4317", ":4318", 1)
}

/// The paths that OTLP/HTTP adds to an endpoint.
const OTLP_PATHS: &[&str] = &["/v1/traces", "/v1/metrics", "/v1/logs"];

/// What to write instead of a list of URLs.
pub(crate) const SEVERAL: &str = "write one URL: an upstream is one server, or a load balancer in front of several";

const USUAL: &str = "write a URL such as `https://pets.internal:8443`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_other_gateways_have_a_suggestion() {
        for (url, meant) in [
            ("pets.internal:8443", "`http://pets.internal:8443` or `https://pets.internal:8443`"),
            ("localhost:9000/api", "`http://localhost:9000/api`"),
            ("//pets.internal", "without"),
            ("grpc://pets:50051", "`http://pets:50051`"),
            ("wss://pets", "`https://pets`"),
            ("https://pets/a?b=c", "write `https://pets/a`"),
            ("http://user:pw@pets", "write `http://pets`"),
            ("http://a:9000, http://b:9000", "one URL"),
            ("${BACKEND_URL}", "`${value.NAME}`"),
            ("http://$backend", "`${value.NAME}`"),
            ("https://${secret.KEY}.example", "`headers`"),
            ("unix:/run/app.sock", "a URL such as"),
            ("http://a:0", "a URL such as"),
            ("http://a:99999", "a URL such as"),
            ("http://256.1.1.1", "a URL such as"),
            ("http://pets/{id}", "write `http://pets`"),
            ("http://pets/v1/*", "write `http://pets/v1`"),
            ("http://pets/v1/:id", "write `http://pets/v1`"),
            ("http://pets/$1", "write `http://pets`"),
            ("http://pets$request_uri", "`${value.NAME}`"),
            ("http://pets ", "write `http://pets`"),
            ("pets:", "write `http://pets` or `https://pets`"),
            ("http:/pets", "write `http://pets`"),
            ("https//pets", "write `https://pets`"),
        ] {
            let found = fix(url);
            assert!(found.contains(meant) || meant == "without", "{url}: {found}");
            assert!(!found.contains("pw"), "{found}");
        }
    }

    #[test]
    fn the_reason_names_the_part_that_is_wrong() {
        for (url, part) in [
            ("http://pets:99999", "the port is not a number"),
            ("http://pets:http", "the port is not a number"),
            ("http://pets:0", "port 0"),
            ("http://256.1.1.1", "not an IPv4 address"),
            ("http://10.0.0", "not an IPv4 address"),
            ("http://", "1 to 253 characters"),
            ("http://a_ b", "a host consists of"),
            ("http://pets ", "a blank"),
            ("http://pets/{id}", "`{id}` has no meaning"),
            ("http://pets/a//", "empty segment"),
            ("http://pets/../a", "dot segment"),
            ("pets:", "not an absolute URL"),
        ] {
            let reason = usable_url(url).err().unwrap_or_default();
            assert!(reason.contains(part), "{url}: {reason}");
        }
        for url in ["http://255.1.1.1", "http://a1", "http://1a", "http://a.1b", "http://[::1]:80", "http://x0"] {
            assert!(usable_url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn endpoints_of_one_signal_or_of_grpc_are_found() {
        for (url, meant) in [
            ("http://otel:4318/v1/metrics", "write `http://otel:4318`"),
            ("http://otel:4318/v1/metrics/", "write `http://otel:4318`"),
            ("http://otel:4317/v1/traces", "write `http://otel:4318`"),
            ("grpc://otel:4317", "write `http://otel:4318`"),
            ("grpcs://otel:4317", "write `https://otel:4318`"),
        ] {
            assert!(otlp_fix(url).is_some_and(|fix| fix.contains(meant)), "{url}");
        }
        for url in ["http://otel:4318", "http://otel/v1", "https://otel/otlp/", "otel", "grpc://"] {
            assert_eq!(otlp_fix(url), None, "{url}");
        }
    }
}
