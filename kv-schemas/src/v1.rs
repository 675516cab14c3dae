//! Bundles of version 1, which were JSON, as what they are today.
//!
//! The types below are what was stored then, and stay as they are, whatever becomes of the settings. A part of version 1
//! held the routes of every pattern that covers its own, each with its pattern; today each part holds its own routes
//! only, so the others are left out: the parts that are theirs have them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde::Deserialize;
use tollgate_core::authn::ApiKeySettings;
use tollgate_core::cache::{CacheCredentials, CacheSettings};
use tollgate_core::forward::{UpstreamSettings, UpstreamUrl};
use tollgate_core::limit::{LimitBy, OnUnavailable, RateLimitSettings};
use tollgate_core::route::{HostPattern, PathTemplate};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{GatewaySettings, PolicyKind, PolicySettings, RouteSettings, SiteSettings};
use tollgate_core::telemetry::{OtlpSettings, TelemetrySettings};

use crate::binary::{MANIFEST, PART, VERSION};
use crate::record::{Envelope, from_json, open};
use crate::{Id, RecordError};

/// Reads a manifest of version 1: the gateway's settings, and the part of each pattern.
pub(crate) fn manifest(record: &[u8]) -> Result<(GatewaySettings, BTreeMap<HostPattern, Id>), RecordError> {
    let manifest: Manifest = from_json(of_version_1(record, MANIFEST.name)?.data, MANIFEST.name)?;
    // A part was for one pattern, and which of its routes are that pattern's own differs by pattern.
    let different: BTreeSet<&Id> = manifest.hosts.values().collect();
    if different.len() < manifest.hosts.len() {
        return Err(RecordError::damaged(MANIFEST.name, "a part is named for two patterns"));
    }
    Ok((manifest.gateway.into(), manifest.hosts))
}

/// Reads the routes of one pattern from a part of version 1.
pub(crate) fn part(record: &[u8], pattern: &str) -> Result<SiteSettings, RecordError> {
    // A slash may be written as an escape.
    if record.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count() > SEGMENTS_MAX {
        return Err(RecordError::damaged(PART.name, "it takes too much memory"));
    }
    let part: Part = from_json(of_version_1(record, PART.name)?.data, PART.name)?;
    Ok(SiteSettings {
        upstreams: part.upstreams.into_iter().map(Into::into).collect(),
        policies: part.policies.into_iter().map(Into::into).collect(),
        routes: part.routes.into_iter().filter(|route| route.host == pattern).map(Into::into).collect(),
    })
}

fn of_version_1<'b>(record: &'b [u8], kind: &'static str) -> Result<Envelope<'b>, RecordError> {
    let (envelope, known) = (open(record, kind)?, u32::from(VERSION));
    match envelope.v {
        1 => Ok(envelope),
        found if found > known => Err(RecordError::Version { kind, found, known }),
        found => Err(RecordError::damaged(kind, format!("version {found} has no form in JSON"))),
    }
}

/// Bytes of a part, as the edges of version 1 had it.
pub(crate) const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Segments of all path templates in a part, which take the most memory for their bytes.
const SEGMENTS_MAX: usize = 200_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    gateway: Gateway,
    hosts: BTreeMap<HostPattern, Id>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gateway {
    name: String,
    trust_forwarded: bool,
    telemetry: Telemetry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Telemetry {
    log: bool,
    #[serde(default)]
    otlp: Option<Otlp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Otlp {
    endpoint: UpstreamUrl,
    #[serde(default)]
    fields: Vec<(String, SecretText)>,
    interval_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    upstreams: Vec<Upstream>,
    policies: Vec<Policy>,
    routes: Vec<Route>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    name: String,
    url: UpstreamUrl,
    connect_timeout_ms: u64,
    #[serde(default)]
    fields: Vec<(String, SecretText)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    name: String,
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    ApiKey(ApiKey),
    RateLimit(RateLimit),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    field: String,
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    query: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    rate: NonZeroU32,
    period_ms: NonZeroU32,
    burst: NonZeroU32,
    by: By,
    on_unavailable: Unavailable,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum By {
    Consumer,
    Address,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unavailable {
    Open,
    Closed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    id: String,
    api: String,
    host: String,
    path: PathTemplate,
    methods: Vec<String>,
    internal: bool,
    authn: Vec<usize>,
    scopes: Vec<String>,
    limit: Vec<usize>,
    cost: NonZeroU32,
    cache: Option<Cache>,
    upstream: usize,
    strip_segments: usize,
    content_bytes_max: u64,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cache {
    #[serde(default)]
    ttl_ms: Option<u64>,
    #[serde(default)]
    vary: Vec<String>,
    credentials: Credentials,
    #[serde(default)]
    key_query: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Credentials {
    Never,
    PerConsumer,
    Shared,
}

impl From<Gateway> for GatewaySettings {
    fn from(Gateway { name, trust_forwarded, telemetry: Telemetry { log, otlp } }: Gateway) -> Self {
        let otlp = otlp.map(|Otlp { endpoint, fields, interval_ms }| OtlpSettings { endpoint, fields, interval_ms });
        Self { name, trust_forwarded, telemetry: TelemetrySettings { log, otlp }, internal_hosts: Vec::new() }
    }
}

impl From<Upstream> for UpstreamSettings {
    fn from(Upstream { name, url, connect_timeout_ms, fields }: Upstream) -> Self {
        Self { name, url, connect_timeout_ms, fields }
    }
}

impl From<Policy> for PolicySettings {
    fn from(Policy { name, kind }: Policy) -> Self {
        let kind = match kind {
            Kind::ApiKey(ApiKey { field, scheme, query }) => {
                PolicyKind::ApiKey(ApiKeySettings { field, scheme, query })
            }
            Kind::RateLimit(settings) => PolicyKind::RateLimit(settings.into()),
        };
        Self { name, kind }
    }
}

impl From<RateLimit> for RateLimitSettings {
    fn from(RateLimit { rate, period_ms, burst, by, on_unavailable }: RateLimit) -> Self {
        let by = match by {
            By::Consumer => LimitBy::Consumer,
            By::Address => LimitBy::Address,
        };
        let on_unavailable = match on_unavailable {
            Unavailable::Open => OnUnavailable::Open,
            Unavailable::Closed => OnUnavailable::Closed,
        };
        Self { rate, period_ms, burst, by, on_unavailable, plans: BTreeMap::new() }
    }
}

impl From<Route> for RouteSettings {
    fn from(route: Route) -> Self {
        Self {
            id: route.id,
            api: route.api,
            path: route.path,
            methods: route.methods,
            when: Vec::new(),
            internal: route.internal,
            authn: route.authn,
            scopes: route.scopes,
            limit: route.limit,
            cost: route.cost,
            cache: route.cache.map(Into::into),
            upstream: route.upstream,
            strip_segments: route.strip_segments,
            content_bytes_max: route.content_bytes_max,
            timeout_ms: route.timeout_ms,
        }
    }
}

impl From<Cache> for CacheSettings {
    fn from(Cache { ttl_ms, vary, credentials, key_query }: Cache) -> Self {
        let credentials = match credentials {
            Credentials::Never => CacheCredentials::Never,
            Credentials::PerConsumer => CacheCredentials::PerConsumer,
            Credentials::Shared => CacheCredentials::Shared,
        };
        Self { ttl_ms, vary, credentials, key_query }
    }
}
