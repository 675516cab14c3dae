//! The settings a bundle holds: what the compiler produces and every host runs on.
//!
//! They are data; each policy's own settings stand beside its decision. A bundle stores them with the numbers that members
//! and variants have here ([`crate::codec`]); a number is never used again for something else.

use std::num::NonZeroU32;

use http::Method;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounds::{PATH_SEGMENTS_MAX, ROUTE_LIST_MAX};
use crate::cache::CacheSettings;
use crate::codec;
use crate::field_name::is_field_name;
use crate::forward::UpstreamSettings;
use crate::kinds::{AuthnPolicy, GuardPolicy, LimitPolicy, Place, Policies, PolicyView};
use crate::limit::LimitBy;
use crate::route::{HostPattern, PathTemplate, Predicate};
use crate::telemetry::TelemetrySettings;

/// Settings of the gateway as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct GatewaySettings {
    /// The gateway's name: prefix of record keys, realm of challenges, pseudonym in `Via` and `Proxy-Status`.
    #[n(0)]
    pub name: String,
    /// Whether `Forwarded` and `X-Forwarded-*` fields of clients are believed and added to, instead of replaced.
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub trust_forwarded: bool,
    /// What is told of exchanges, and to whom.
    #[n(2)]
    pub telemetry: TelemetrySettings,
    /// Those of its host patterns that answer only callers inside, sorted.
    #[serde(default)]
    #[cbor(n(3), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub internal_hosts: Vec<HostPattern>,
}

impl codec::Section for GatewaySettings {}

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
    pub policies: Policies,
    /// Its routes.
    pub routes: Vec<RouteSettings>,
}

/// Settings of one route, with everything its levels (gateway, API, route) gave it already merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct RouteSettings {
    /// The route's name in telemetry and diagnostics, such as `pets.listPets`; unique within the gateway.
    #[n(0)]
    pub id: String,
    /// The API it belongs to.
    #[n(1)]
    pub api: String,
    /// The paths it is for.
    #[n(2)]
    pub path: PathTemplate,
    /// The methods it is for, in upper case; none means all.
    #[cbor(n(3), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub methods: Vec<String>,
    /// What else a request must meet, sorted; at most one predicate of each part.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub when: Vec<Predicate>,
    /// Whether it exists for callers inside only; it never answers on a public host.
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub internal: bool,
    /// Policies that may each refuse the request before its caller is authenticated, in order.
    #[cbor(n(15), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub guard: Vec<Place<GuardPolicy>>,
    /// Limits charged before the caller is authenticated, after the guards; none counts by caller.
    #[cbor(n(16), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub guard_limit: Vec<Place<LimitPolicy>>,
    /// Alternatives, in order, of which one must hold: all its policies must authenticate the caller. None: public.
    #[cbor(n(6), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub authn: Vec<Vec<Place<AuthnPolicy>>>,
    /// Scopes the principal must hold, all of them.
    #[cbor(n(7), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub scopes: Vec<String>,
    /// Limits charged, in order.
    #[cbor(n(8), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub limit: Vec<Place<LimitPolicy>>,
    /// What one request costs of each limit.
    #[cbor(n(9), with = "codec::one", has_nil)]
    pub cost: NonZeroU32,
    /// Whether and how responses are cached.
    #[n(10)]
    pub cache: Option<CacheSettings>,
    /// The upstream (a place in [`SiteSettings::upstreams`]).
    #[cbor(n(11), skip_if = "codec::is_default")]
    pub upstream: usize,
    /// Leading path segments that the upstream does not see.
    #[cbor(n(12), skip_if = "codec::is_default")]
    pub strip_segments: usize,
    /// Largest request content, in bytes.
    #[n(13)]
    pub content_bytes_max: u64,
    /// Time for the exchange with the upstream, content included; `None` for streams.
    #[n(14)]
    pub timeout_ms: Option<u64>,
}

impl codec::Section for RouteSettings {}

impl RouteSettings {
    /// What is known of every policy that the route names, slot by slot.
    pub fn policies<'p>(&'p self, all: &'p Policies) -> impl Iterator<Item = PolicyView<'p>> {
        let guards = self.guard.iter().filter_map(|place| all.view(*place));
        let guard_limits = self.guard_limit.iter().filter_map(|place| all.view(*place));
        let authenticators = self.authenticators().filter_map(|place| all.view(place));
        let limits = self.limit.iter().filter_map(|place| all.view(*place));
        guards.chain(guard_limits).chain(authenticators).chain(limits)
    }

    /// Whether its requests are charged to a limit, before or after the caller is authenticated.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        !(self.guard_limit.is_empty() && self.limit.is_empty())
    }

    /// Whether a policy may refuse its requests before the caller is authenticated.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        !(self.guard.is_empty() && self.guard_limit.is_empty())
    }

    /// The policies that may authenticate a caller, in order, whatever the alternative.
    pub fn authenticators(&self) -> impl Iterator<Item = Place<AuthnPolicy>> {
        self.authn.iter().flatten().copied()
    }
}

impl SiteSettings {
    /// Checks what types cannot: that every place named exists, that methods and
    /// fields have names that HTTP allows, and that no list makes a request do more than a gateway should.
    ///
    /// What a compiler writes passes; it is here for what is damaged or made up.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        self.upstreams.iter().all(is_coherent_upstream)
            && self.policies.is_coherent()
            && self.routes.iter().all(|route| self.holds(route))
    }

    fn holds(&self, route: &RouteSettings) -> bool {
        route.guard.len() <= ROUTE_LIST_MAX
            && route.guard.iter().all(|place| self.policies.has(*place))
            && route.guard_limit.len() <= ROUTE_LIST_MAX
            && route
                .guard_limit
                .iter()
                .all(|place| self.policies.get(*place).is_some_and(|limit| limit.policy.by() == LimitBy::Address))
            && route.authn.iter().map(Vec::len).sum::<usize>() <= ROUTE_LIST_MAX
            && route.authn.iter().all(|all| !all.is_empty() && all.iter().all(|place| self.policies.has(*place)))
            && route.limit.len() <= ROUTE_LIST_MAX
            && route.limit.iter().all(|place| self.policies.has(*place))
            // Each request would be charged to the same counter twice.
            && !route.limit.iter().any(|place| route.guard_limit.contains(place))
            && route.upstream < self.upstreams.len()
            && (route.scopes.is_empty() || !route.authn.is_empty())
            && route.scopes.len() <= ROUTE_LIST_MAX
            && route.methods.len() <= ROUTE_LIST_MAX
            && route.methods.iter().all(|method| Method::from_bytes(method.as_bytes()).is_ok())
            && route.when.len() <= ROUTE_LIST_MAX
            && route.when.is_sorted_by(|a, b| a.of < b.of)
            && route.strip_segments <= PATH_SEGMENTS_MAX
            && route.cache.as_ref().is_none_or(is_coherent_cache)
    }
}

fn is_coherent_upstream(upstream: &UpstreamSettings) -> bool {
    upstream.fields.len() <= ROUTE_LIST_MAX && upstream.fields.iter().all(|(name, _)| is_field_name(name))
}

fn is_coherent_cache(cache: &CacheSettings) -> bool {
    let keys = cache.key_query.as_ref().map_or(0, Vec::len);
    cache.vary.len() <= ROUTE_LIST_MAX && keys <= ROUTE_LIST_MAX && cache.vary.iter().all(|name| is_field_name(name))
}
