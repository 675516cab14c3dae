//! URLs of upstreams as in other gateways: without a scheme, several servers, variables of the environment.

use tollgate_core::forward::UpstreamUrl;

use super::EXAMINED_BYTES_MAX;

/// What to write instead of a URL that is refused.
pub(in crate::decode) fn fix(text: &str) -> String {
    if text.len() > EXAMINED_BYTES_MAX {
        return USUAL.to_owned();
    }
    if text.contains("${secret.") {
        return "write the URL without the secret, and set the secret as a field in `headers`".to_owned();
    }
    if text.contains(['$', '%']) || text.contains("{{") {
        return "variables of the environment are not read: write `${value.NAME}` as the whole URL, and declare the value under `values`"
            .to_owned();
    }
    if text.contains([',', ' ']) {
        return "write one URL: an upstream is one server, or a load balancer in front of several".to_owned();
    }
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let kept = rest.split(['?', '#']).next().unwrap_or_default();
    let kept = kept.rsplit_once('@').map_or(kept, |(_, host)| host);
    let is_url =
        |scheme: &str| format!("{scheme}://{kept}").parse::<UpstreamUrl>().is_ok_and(|url| url.port() != Some(0));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if is_url(scheme) => format!("write `{scheme}://{kept}`"),
        "" if is_url("http") && !kept.contains(":/") => format!("write `http://{kept}` or `https://{kept}`"),
        "grpc" | "h2c" | "tcp" | "ws" if is_url("http") => {
            format!("write `http://{kept}`: only http and https are supported")
        }
        "grpcs" | "h2" | "tls" | "wss" if is_url("https") => {
            format!("write `https://{kept}`: only http and https are supported")
        }
        _ => USUAL.to_owned(),
    }
}

const USUAL: &str = "write `http://` or `https://`, a host, an optional port and an optional path";

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
            ("unix:/run/app.sock", "optional port"),
            ("http://a:0", "optional port"),
        ] {
            let found = fix(url);
            assert!(found.contains(meant) || meant == "without", "{url}: {found}");
            assert!(!found.contains("pw"), "{found}");
        }
    }
}
