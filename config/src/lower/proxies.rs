//! Lowers the rule for trusted proxies, and reports where it has no effect or trusts clients.

use tollgate_core::client::{LocationFields, ProxyField, ProxySettings, TrustedProxies};
use tollgate_core::guard::{Cidr, Networks};

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::{Gateway, Proxies};
use crate::model::target::Target;
use crate::place::{Span, Spanned};

/// The rule; `None` if there is none, or if a network is not valid, which is reported.
pub(super) fn proxies(gateway: &Gateway, report: &mut Report) -> Option<ProxySettings> {
    let trusted = match &gateway.trusted_proxies.as_ref()?.value {
        Proxies::Count(count) => TrustedProxies::Count(*count),
        Proxies::Networks(written) => {
            let read: Vec<Cidr> = written.iter().filter_map(|text| network(text, report)).collect();
            if read.len() != written.len() {
                return None;
            }
            for (network, text) in read.iter().zip(written).filter(|(network, _)| network.prefix() == 0) {
                report_everyone(*network, text.span, report);
            }
            TrustedProxies::Networks(Networks::from(read))
        }
    };
    let mut field =
        |name: &Option<Spanned<String>>| name.as_ref().and_then(|name| parsed::compared_field(name, report));
    let location =
        LocationFields { country: field(&gateway.proxy_country_field), asn: field(&gateway.proxy_asn_field) };
    Some(ProxySettings { trusted, field: gateway.proxy_field.unwrap_or(ProxyField::XForwardedFor), location })
}

/// The network of a proxy; all networks at once are refused with their own reason.
fn network(text: &Spanned<String>, report: &mut Report) -> Option<Cidr> {
    if !["*", "all", "any"].contains(&text.value.to_ascii_lowercase().as_str()) {
        return parsed::network(text, report);
    }
    report.push(
        Diagnostic::error(Code::BadNetwork, text.span, format!("`{}` is not a network of proxies", text.value))
            .why("a client that is trusted as a proxy chooses its own address, so filters and limits by address do not hold")
            .fix(
                "list the networks of the proxies, such as `[10.0.0.0/8]`, or write how many of them every request passes, \
                 such as `1`",
            ),
    );
    None
}

/// Reports trusted proxies that have no effect on a platform, or trust its clients.
pub(crate) fn report_on_platform(gateway: &Gateway, target: Target, report: &mut Report) {
    let Some(Spanned { value, span }) = gateway.trusted_proxies.as_ref().filter(|_| target.is_workers()) else {
        return;
    };
    match value {
        Proxies::Count(_) => report_counted_on_workers(target, *span, report),
        Proxies::Networks(written) => {
            let read = || written.iter().filter_map(|text| text.value.parse::<Cidr>().ok());
            if read().all(|network| is_private(&network)) {
                report_private_on_workers(target, *span, report);
            }
        }
    }
}

fn report_everyone(network: Cidr, span: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::TrustsClients, span, format!("`{network}` contains every client"))
            .why("a client that is trusted as a proxy chooses its own address, so filters and limits by address do not hold")
            .fix("list only the networks of the proxies"),
    );
}

fn report_counted_on_workers(target: Target, span: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(
            Code::TrustsClients,
            span,
            format!("the count trusts the clients of `{}`", target.as_str()),
        )
        .why(
            "Cloudflare is not counted: it names its client in `CF-Connecting-IP`, and a count of 1 lets that client \
                 choose its own address",
        )
        .fix("remove the key, or list the networks of the proxies that stand before Cloudflare"),
    );
}

fn report_private_on_workers(target: Target, span: Span, report: &mut Report) {
    let what = format!("trusted proxies have no effect on `{}`", target.as_str());
    report.push(
        Diagnostic::warning(Code::ProxiesWithoutEffect, span, what)
            .why("the networks are private, and no client reaches Cloudflare from a private address")
            .fix("remove the key, or list the public networks of the proxies that stand before Cloudflare"),
    );
}

/// Whether a network is private, shared, link-local or loopback (RFC 6890, section 2.2).
fn is_private(network: &Cidr) -> bool {
    let is_within = |private: &str| private.parse::<Cidr>().is_ok_and(|private| private.covers(network));
    PRIVATE.iter().any(|private| is_within(private))
}

const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
