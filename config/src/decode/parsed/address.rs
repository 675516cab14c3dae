//! URLs, hosts and networks.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use tollgate_core::forward::UpstreamUrl;
use tollgate_core::guard::{Cidr, CidrError};
use tollgate_core::route::{HostName, HostPattern};

use crate::decode::habits;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};

/// Parses the URL of an upstream.
pub(crate) fn url(text: &Spanned<String>, report: &mut Report) -> Option<UpstreamUrl> {
    let read = usable_url(&text.value);
    if let Err(what) = &read {
        report.push(
            Diagnostic::error(Code::BadUrl, text.span, format!("the URL is not valid: {what}"))
                .why("the gateway sends requests to this URL")
                .fix(habits::url::fix(&text.value)),
        );
    } else if let Some(part) = habits::url::variable(&text.value) {
        report.push(
            Diagnostic::warning(Code::BadUrl, text.span, format!("`{part}` is sent as it is written"))
                .why("the path of the request follows the URL of the upstream, and nothing in it is replaced")
                .fix(habits::url::fix(&text.value)),
        );
    }
    read.ok()
}

/// Parses a URL to which requests can be sent.
///
/// # Errors
/// What is wrong with it.
pub fn usable_url(text: &str) -> Result<UpstreamUrl, String> {
    let url = text.parse::<UpstreamUrl>().map_err(|error| habits::url::reason(text, error))?;
    let host = HostName::from_authority(url.authority()).map_err(|error| error.to_string())?;
    if url.port() == Some(0) {
        return Err("no server can be called at port 0".to_owned());
    }
    if is_broken_address(host.as_str()) {
        return Err(format!("`{host}` is not an IPv4 address, which has four numbers from 0 to 255"));
    }
    if let Some(part) = habits::url::parameter(text) {
        return Err(format!("`{part}` has no meaning in it, because the path of the request follows it"));
    }
    Ok(url)
}

/// Whether a host is read as an IPv4 address, because its last label is a number, but is none (WHATWG URL, section 3.5).
pub(in crate::decode) fn is_broken_address(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").unwrap_or(last);
    let is_number = if digits.len() < last.len() {
        digits.bytes().all(|b| b.is_ascii_hexdigit())
    } else {
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    is_number && host.parse::<Ipv4Addr>().is_err()
}

/// Parses the URL of an OTLP/HTTP receiver, to which the paths of signals are added.
pub(crate) fn otlp_endpoint(text: &Spanned<String>, report: &mut Report) -> Option<UpstreamUrl> {
    if let Some(fix) = habits::url::otlp_fix(&text.value) {
        report.push(
            Diagnostic::error(Code::BadUrl, text.span, "the URL is not that of a receiver of OTLP/HTTP")
                .why("telemetry is exported with OTLP/HTTP, whose usual port is 4318; `/v1/traces`, `/v1/metrics` and `/v1/logs` are added to the endpoint")
                .fix(fix),
        );
        return None;
    }
    let url = url(text, report)?;
    if url.port() == Some(OTLP_GRPC_PORT) {
        report.push(
            Diagnostic::warning(Code::BadUrl, text.span, "port 4317 is that of OTLP/gRPC")
                .why("telemetry is exported with OTLP/HTTP, for which receivers have port 4318")
                .fix(format!("write `{}`", url.to_string().replacen(":4317", ":4318", 1))),
        );
    }
    Some(url)
}

/// The registered port of OTLP/gRPC.
const OTLP_GRPC_PORT: u16 = 4317;

/// Parses a list of unique host patterns.
pub(crate) fn hosts(list: &[Spanned<String>], report: &mut Report) -> Vec<Spanned<HostPattern>> {
    let mut all: Vec<Spanned<HostPattern>> = Vec::new();
    let mut seen: HashMap<HostPattern, Span> = HashMap::new();
    for text in list {
        let unmeant = habits::host::unmeant(&text.value);
        match text.value.parse::<HostPattern>() {
            Ok(_) if unmeant.is_some() => report.push(
                Diagnostic::error(Code::BadHost, text.span, format!("`{}` is not a host of requests", text.value))
                    .why(unmeant.unwrap_or_default())
                    .fix(habits::host::fix(&text.value)),
            ),
            Ok(pattern) => match seen.get(&pattern) {
                Some(first) => report.push(
                    Diagnostic::error(Code::Repeated, text.span, format!("`{pattern}` is listed twice"))
                        .why("the case of letters and a dot at the end make no difference in a host")
                        .fix("remove one of them")
                        .related(*first, "first listed here"),
                ),
                None => {
                    seen.insert(pattern.clone(), text.span);
                    all.push(Spanned::new(pattern, text.span));
                }
            },
            Err(error) => report.push(
                Diagnostic::error(Code::BadHost, text.span, format!("`{}` is not a valid host: {error}", text.value))
                    .why("requests are matched by their host")
                    .fix(habits::host::fix(&text.value)),
            ),
        }
    }
    all
}

/// Parses a network in CIDR notation.
pub(crate) fn network(text: &Spanned<String>, report: &mut Report) -> Option<Cidr> {
    if let Some(all) = habits::network::everywhere(&text.value) {
        report.push(
            Diagnostic::error(Code::BadNetwork, text.span, format!("`{}` is not the address of a client", text.value))
                .why("without a prefix it would match only this address, which no client has")
                .fix(format!("write `{all}` for all addresses")),
        );
        return None;
    }
    let read = text.value.parse::<Cidr>();
    if let Err(error) = &read {
        let fix = match error {
            CidrError::HostBits(network) => format!("write `{network}`, or the address without a prefix"),
            CidrError::Mapped => "write the IPv4 network, such as `10.0.0.0/8`".to_owned(),
            CidrError::Address | CidrError::Prefix => habits::network::fix(&text.value)
                .unwrap_or_else(|| "write a network such as `10.0.0.0/8` or `2001:db8::/32`".to_owned()),
        };
        report.push(
            Diagnostic::error(Code::BadNetwork, text.span, format!("`{}` is not a valid network: {error}", text.value))
                .why("the set of addresses must be unambiguous")
                .fix(fix),
        );
    }
    read.ok()
}
