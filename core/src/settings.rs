//! The settings a bundle holds: what the compiler produces and every host runs on.
//!
//! They are data; each policy's own settings stand beside its decision. Unknown members are refused, so that an edge
//! never runs half of a configuration that a newer compiler wrote.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::authn::ApiKeySettings;
use crate::cache::CacheSettings;
use crate::forward::UpstreamSettings;
use crate::limit::RateLimitSettings;
use crate::route::{HostPattern, PathTemplate, Predicate};
use crate::telemetry::TelemetrySettings;

/// Settings of the gateway as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// The gateway's name: prefix of record keys, realm of challenges, pseudonym in `Via` and `Proxy-Status`.
    pub name: String,
    /// Whether `Forwarded` and `X-Forwarded-*` fields of clients are believed and added to, instead of replaced.
    pub trust_forwarded: bool,
    /// What is told of exchanges, and to whom.
    pub telemetry: TelemetrySettings,
    /// Those of its host patterns that answer only callers inside, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub internal_hosts: Vec<HostPattern>,
}

/// Settings for one host pattern: its routes, and the upstreams and policies that they name.
///
/// Which pattern that is stands in the manifest, so patterns with equal settings share them. A request whose host several
/// patterns match tries their routes in the order of the patterns, the most specific first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// The upstreams its routes forward to.
    pub upstreams: Vec<UpstreamSettings>,
    /// The policies its routes name.
    pub policies: Vec<PolicySettings>,
    /// Its routes.
    pub routes: Vec<RouteSettings>,
}

/// A named policy instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// The name it is referred to by, unique within the gateway.
    pub name: String,
    /// What it does.
    pub kind: PolicyKind,
}

/// The kinds of policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyKind {
    /// Authentication by API key.
    ApiKey(ApiKeySettings),
    /// A rate limit.
    RateLimit(RateLimitSettings),
}

/// Settings of one route, with everything its levels (gateway, API, route) gave it already merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// The route's name in telemetry and diagnostics, such as `pets.listPets`; unique within the gateway.
    pub id: String,
    /// The API it belongs to.
    pub api: String,
    /// The paths it is for.
    pub path: PathTemplate,
    /// The methods it is for, in upper case; none means all.
    pub methods: Vec<String>,
    /// What else a request must meet, sorted; at most one predicate of each part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Predicate>,
    /// Whether it exists for callers inside only; it never answers on a public host.
    pub internal: bool,
    /// Policies of which one must authenticate the caller (places in [`SiteSettings::policies`]); none: public.
    pub authn: Vec<usize>,
    /// Scopes the principal must hold, all of them.
    pub scopes: Vec<String>,
    /// Rate limits charged, in order (places in [`SiteSettings::policies`]).
    pub limit: Vec<usize>,
    /// What one request costs of each limit.
    pub cost: NonZeroU32,
    /// Whether and how responses are cached.
    pub cache: Option<CacheSettings>,
    /// The upstream (a place in [`SiteSettings::upstreams`]).
    pub upstream: usize,
    /// Leading path segments that the upstream does not see.
    pub strip_segments: usize,
    /// Largest request content, in bytes.
    pub content_bytes_max: u64,
    /// Time for the exchange with the upstream, content included; `None` for streams.
    pub timeout_ms: Option<u64>,
}

impl SiteSettings {
    /// Checks what serde cannot: that every place named exists and holds the kind of policy named there.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        let is_key = |p: &usize| matches!(self.policies.get(*p).map(|p| &p.kind), Some(PolicyKind::ApiKey(_)));
        let is_limit = |p: &usize| matches!(self.policies.get(*p).map(|p| &p.kind), Some(PolicyKind::RateLimit(_)));
        self.routes.iter().all(|route| {
            route.authn.iter().all(is_key)
                && route.limit.iter().all(is_limit)
                && route.upstream < self.upstreams.len()
                && (route.scopes.is_empty() || !route.authn.is_empty())
                && route.when.is_sorted_by(|a, b| a.of < b.of)
        })
    }
}
