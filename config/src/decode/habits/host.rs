//! Hosts as in other gateways: with scheme, port or path, regular expressions, default servers.

use tollgate_core::route::{HostName, HostPattern};

use super::EXAMINED_BYTES_MAX;
use crate::decode::parsed::is_broken_address;

/// Why a host that is valid here was probably not meant: no client sends it.
pub(in crate::decode) fn unmeant(text: &str) -> Option<&'static str> {
    match text {
        "_" => {
            Some("in nginx it is the name of a default server; here only requests with exactly this host would match")
        }
        "any" | "all" | "_default_" | "default_server" => {
            Some("here it is a host as any other, and only requests with exactly this host would match")
        }
        "0.0.0.0" | "[::]" => Some("it is an address to listen on, and no request is for this host"),
        _ if is_broken_address(text.trim_end_matches('.')) => {
            Some("a host whose last label is a number is read as an IPv4 address, and this is none")
        }
        _ => None,
    }
}

/// What to write instead of a host that is refused or was probably not meant.
pub(in crate::decode) fn fix(text: &str) -> String {
    if text.len() > EXAMINED_BYTES_MAX {
        return USUAL.to_owned();
    }
    if text.contains("${") || text.contains("{{") {
        return "variables of the environment are not read: write `${value.NAME}` as the whole host, and declare the value under `values`"
            .to_owned();
    }
    if is_broken_address(text.trim_end_matches('.')) {
        return USUAL.to_owned();
    }
    if unmeant(text).is_some() || ["", "**", "*.*", "*:*"].contains(&text) {
        return "write `*` for every host".to_owned();
    }
    let several: Vec<&str> = text.split([',', ' ', '|']).filter(|part| !part.is_empty()).collect();
    if several.len() > 1 && several.iter().all(|part| part.parse::<HostPattern>().is_ok()) {
        let quoted: Vec<String> = several.iter().map(|part| format!("\"{part}\"")).collect();
        return format!("write each host as an item of the list: `[{}]`", quoted.join(", "));
    }
    if let Some(host) = plain(text) {
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.starts_with(|c: char| c.is_ascii_digit()));
        let listens = if has_port { "; the port to listen on is an option of `tollgate serve`" } else { "" };
        return format!("write `{host}`: a host has no scheme, port or path{listens}");
    }
    if let Some(domain) = text.strip_prefix('.').filter(|domain| is_host(domain)) {
        return format!("list `{domain}` and `*.{domain}`");
    }
    if let Some(domain) = domain_of(text) {
        return format!("write `*.{domain}` for every host below `{domain}`; hosts are no regular expressions");
    }
    if !text.is_ascii() {
        return "write the host in its ASCII form, such as `xn--bcher-kva.example`".to_owned();
    }
    if text.contains('*') {
        return "list the hosts one by one: a `*` can only be the first label, as in `*.example.com`".to_owned();
    }
    USUAL.to_owned()
}

/// For a host with a scheme, a port or a path, or in a matcher: the host alone.
pub(super) fn plain(text: &str) -> Option<String> {
    let inner = text.split_once("Host(").map_or(text, |(_, rest)| rest.trim_end_matches(')'));
    let inner = inner.trim_matches(['`', '"', '\'', ' ']);
    let rest = inner.split_once("://").map_or(inner, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix("*.") {
        Some(rest) => format!("*.{}", HostName::from_authority(rest).ok()?),
        None => HostName::from_authority(authority).ok()?.to_string(),
    };
    (host != text).then_some(host)
}

/// The domain at the end of a pattern of another gateway, such as `~^(.+)\.example\.com$` or `{sub}.example.com`.
fn domain_of(text: &str) -> Option<String> {
    let text = text.trim_end_matches('$').replace("\\.", ".");
    let is_pattern = |c: char| "*{}()[]<>^~+?:\\|$".contains(c);
    let from = text.rfind(is_pattern)? + 1;
    let rest = text[from..].trim_start_matches(|c: char| c != '.' && text.contains(":"));
    let domain = rest.strip_prefix('.').unwrap_or(rest);
    (domain.contains('.') && is_host(domain)).then(|| domain.to_owned())
}

fn is_host(text: &str) -> bool {
    matches!(text.parse::<HostPattern>(), Ok(HostPattern::Exact(_)))
}

const USUAL: &str = "write `api.example.com`, `*.example.com` or `*`, without a port";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_other_gateways_have_a_suggestion() {
        for (host, meant) in [
            ("https://api.example.com/v1", "write `api.example.com`: a host has no scheme"),
            ("api.example.com:8443", "write `api.example.com`: a host has no scheme, port or path; the port"),
            ("*.example.com:443", "write `*.example.com`"),
            ("api.example.com/v1", "write `api.example.com`"),
            ("_", "write `*` for every host"),
            ("0.0.0.0", "write `*` for every host"),
            ("**", "write `*` for every host"),
            (".example.com", "list `example.com` and `*.example.com`"),
            ("*example.com", "write `*.example.com`"),
            ("~^(.+)\\.example\\.com$", "write `*.example.com`"),
            ("^[a-z]+\\.example\\.com$", "write `*.example.com`"),
            ("{sub}.example.com", "write `*.example.com`"),
            (":sub.example.com", "write `*.example.com`"),
            ("<sub>.example.com", "write `*.example.com`"),
            ("www.example.*", "list the hosts one by one"),
            ("a.example.com,b.example.com", "`[\"a.example.com\", \"b.example.com\"]`"),
            ("a.example.com b.example.com", "as an item of the list"),
            ("Host(`api.example.com`)", "write `api.example.com`"),
            ("bücher.example", "ASCII form"),
            ("a..b", "without a port"),
            ("256.1.1.1", "without a port"),
        ] {
            assert!(fix(host).contains(meant), "{host}: {}", fix(host));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z.*:/(){}~^$\\\\é ,\\[\\]]{0,24}") {
            let _ = (fix(&text), unmeant(&text));
        }
    }
}
