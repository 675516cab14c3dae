//! Loads bundles as a new isolate does for its first request, natively and in wasm, for measurement by `bench`.
//!
//! [`pack`] creates the stored records, [`load`] is measured; one byte array between them can be passed to a new wasm
//! instance.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use http::{HeaderMap, HeaderName, Method};
use tollgate_core::authn::{ApiKeySettings, CredentialPlace};
use tollgate_core::cache::{CacheCredentials, CacheSettings};
use tollgate_core::forward::{ClientFields, UpstreamAuth, UpstreamSettings};
use tollgate_core::kinds::{Named, Place, Policy};
use tollgate_core::limit::{Counting, LimitBy, OnUnavailable, RateAlgorithm, RateLimitSettings};
use tollgate_core::route::{CanonicalPath, Entry, HostName, Matched, RequestHead, RouteIndex, Router};
use tollgate_core::settings::{GatewaySettings, RouteSettings, SiteSettings};
use tollgate_core::telemetry::TelemetrySettings;
use tollgate_edge::BundleRecords;
use tollgate_kv_schemas::{Bundle, Id};
use wasm_bindgen::prelude::wasm_bindgen;

/// The requested host.
const HOST: &str = "t0.example.com";

/// The requested path; the route at position 0 has it.
const PATH: &str = "/api/v1/users/7/users/7";

/// The stored records of a gateway with this many hosts and routes on each; with `json`, the part is JSON.
#[wasm_bindgen]
#[must_use]
pub fn pack(hosts: usize, routes: usize, json: bool) -> Vec<u8> {
    let site = site(routes);
    if json {
        return packed(&[&serde_json::to_vec(&site).unwrap_or_default()]);
    }
    let small = SiteSettings { routes: site.routes.iter().take(1).cloned().collect(), ..site.clone() };
    let host = |n: usize| format!("t{n}.example.com").parse().ok();
    let sites: BTreeMap<_, _> =
        (0..hosts).filter_map(|n| Some((host(n)?, if n == 0 { site.clone() } else { small.clone() }))).collect();
    let records = Bundle::new(&gateway(), &sites).records;
    packed(&["part", "manifest", "config"].map(|kind| largest(&records, kind)))
}

/// The largest record of a kind.
fn largest<'r>(records: &'r [(String, Vec<u8>)], kind: &str) -> &'r [u8] {
    let of_kind = records.iter().filter(|(key, _)| key.split(':').nth(1) == Some(kind));
    of_kind.map(|(_, value)| value.as_slice()).max_by_key(|value| value.len()).unwrap_or_default()
}

/// Loads packed records up to the router that finds the route of a path, and never frees them; returns whether it is found.
///
/// An isolate keeps what it has loaded, so the time to free it is not measured.
#[wasm_bindgen]
#[must_use]
pub fn load(packed: &[u8]) -> bool {
    let records = unpacked(packed);
    match records[..] {
        [part, manifest, pointer] => {
            let bundle = BundleRecords { pointer, manifest, part };
            let loaded = HostName::from_authority(HOST).ok().and_then(|host| bundle.load(&host).ok());
            let path = CanonicalPath::parse(PATH.as_bytes()).ok();
            loaded.zip(path).is_some_and(|(part, path)| kept(part).open(&path) == Ok(true))
        }
        [json] => load_json(json).is_some(),
        _ => false,
    }
}

/// Loads a part in JSON, for comparison.
fn load_json(json: &[u8]) -> Option<RouteIndex> {
    let _ = Id::of(json);
    let site: SiteSettings = serde_json::from_slice(json).ok().filter(SiteSettings::is_coherent)?;
    let router = Router::new(site.routes.iter().map(Entry::from));
    let (path, fields) = (CanonicalPath::parse(PATH.as_bytes()).ok()?, HeaderMap::new());
    match kept((site, router)).1.find(&RequestHead { method: &Method::GET, path: &path, query: None, fields: &fields })
    {
        Matched::Route(index) => Some(index),
        Matched::OtherMethods(_) | Matched::Nothing => None,
    }
}

fn kept<T>(loaded: T) -> &'static T {
    Box::leak(Box::new(loaded))
}

fn packed(records: &[&[u8]]) -> Vec<u8> {
    let length = |record: &&[u8]| u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes();
    records.iter().flat_map(|record| [length(record).to_vec(), record.to_vec()].concat()).collect()
}

fn unpacked(mut packed: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX).min(rest.len());
        let (record, rest) = rest.split_at(length);
        records.push(record);
        packed = rest;
    }
    records
}

fn gateway() -> GatewaySettings {
    GatewaySettings {
        name: "bench".into(),
        proxies: None,
        telemetry: TelemetrySettings { log: true, otlp: None, usage: None },
        internal_hosts: vec![],
        plans: None,
        client_fields: ClientFields::default(),
        outages: vec![],
        identity_tokens: None,
        entitled: None,
        notify: Vec::new(),
    }
}

/// A part of a gateway with a few APIs.
fn site(routes: usize) -> SiteSettings {
    let limit = RateLimitSettings {
        rate: NonZeroU32::MIN,
        period_ms: NonZeroU32::MIN,
        burst: NonZeroU32::MIN,
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::new(),
        algorithm: RateAlgorithm::default(),
        counting: Counting::default(),
    };
    let keys = ApiKeySettings::from(CredentialPlace::field(HeaderName::from_static("x-api-key"), None));
    let policies = [("keys", Policy::from(keys)), ("burst", Policy::from(limit))];
    let upstream = |n: usize| {
        let url = format!("https://up{n}.internal:8443/base").parse().ok()?;
        let (name, fields, identity, auth) = (format!("up{n}"), vec![], vec![], UpstreamAuth::None);
        Some(UpstreamSettings { name, url, connect_timeout_ms: 5_000, fields, identity, auth, certificate: None })
    };
    SiteSettings {
        upstreams: (0..4).filter_map(upstream).collect(),
        policies: policies.into_iter().map(|(name, policy)| Named { name: name.into(), policy }).collect(),
        routes: (0..routes).filter_map(route).collect(),
    }
}

fn route(n: usize) -> Option<RouteSettings> {
    let (of, below, method) = (WORDS[n % 16], WORDS[n / 16 % 16], METHODS[n / 256 % 4]);
    let last = if n.is_multiple_of(2) { "/{id}" } else { "" };
    let cache = CacheSettings {
        ttl_ms: Some(60_000),
        vary: vec!["accept-language".into()],
        credentials: CacheCredentials::PerConsumer,
        key_query: None,
    };
    Some(RouteSettings {
        id: format!("api{}.{}-{of}-{n}", n / 50, method.to_ascii_lowercase()),
        api: format!("api{}", n / 50),
        path: format!("/api/v{}/{of}/{{owner}}/{below}{last}", n / 1_024 + 1).parse().ok()?,
        methods: [Method::from_bytes(method.as_bytes()).ok()?].into(),
        when: vec![],
        internal: false,
        guard: vec![],
        guard_limit: vec![],
        authz: vec![],
        authn: vec![vec![Place::new(0)]],
        scopes: if n.is_multiple_of(3) { vec![format!("{of}.read")] } else { vec![] },
        scope_sets: vec![],
        limit: vec![Place::new(0)],
        cost: NonZeroU32::MIN,
        cache: (method == "GET" && n.is_multiple_of(2)).then_some(cache),
        upstream: n % 4,
        strip_segments: 2,
        matrix_parameters: false,
        content_bytes_max: 1 << 20,
        timeout_ms: Some(30_000),
        limit_fields: None,
        help: None,
    })
}

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const WORDS: [&str; 16] = [
    "users",
    "orders",
    "items",
    "accounts",
    "invoices",
    "customers",
    "subscriptions",
    "payments",
    "products",
    "events",
    "reports",
    "files",
    "messages",
    "projects",
    "teams",
    "members",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_in_what_is_packed() {
        for (hosts, routes, json) in [(1, 1, false), (1, 100, false), (1, 100, true), (300, 10, false)] {
            assert!(load(&pack(hosts, routes, json)), "{hosts} {routes} {json}");
        }
        assert!(!load(&pack(1, 0, false)));
    }
}
