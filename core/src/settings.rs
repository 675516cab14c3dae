//! The settings in a bundle: written by the compiler, used by every host.
//!
//! They are data; the settings of each policy are in the module of its decision. A bundle stores them with the numbers
//! that members and variants have here ([`crate::codec`]); a number is never reused.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::bounds::{PATH_SEGMENTS_MAX, ROUTE_LIST_MAX};
use crate::cache::CacheSettings;
use crate::client::ProxySettings;
use crate::codec::{self, Decode};
use crate::field_name::is_field_name;
use crate::forward::{ClientFields, OwnCertificate, TokenSigning, UpstreamSettings};
use crate::kinds::{AuthnPolicy, AuthzPolicy, GuardPolicy, LimitPolicy, Place, Policies, PolicyView};
use crate::limit::{LegacyFields, NoticeReceiver};
use crate::outage::OutagePolicy;
use crate::route::{Entry, HostPattern, Methods, PathTemplate, Predicate};
use crate::telemetry::TelemetrySettings;

/// Settings of the gateway as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct GatewaySettings {
    /// The gateway's name: prefix of record keys, realm of challenges, pseudonym in `Via` and `Proxy-Status`.
    #[n(0)]
    pub name: String,
    /// The trusted proxies before the gateway; absent, the peer of a connection is the client.
    #[serde(default)]
    #[n(4)]
    pub proxies: Option<ProxySettings>,
    /// Where telemetry is written and exported.
    #[n(2)]
    pub telemetry: TelemetrySettings,
    /// The host patterns for internal callers only, sorted.
    #[serde(default)]
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub internal_hosts: Vec<HostPattern>,
    /// The names of all plans, sorted, also of those without numbers; absent if the compiler did not write them.
    #[serde(default)]
    #[n(5)]
    pub plans: Option<Vec<String>>,
    /// The fields that tell upstreams who the client is.
    #[serde(default)]
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub client_fields: ClientFields,
    /// What policies allow while their provider is away, for the operators who decide it.
    #[serde(default)]
    #[cbor(n(7), skip_if = "codec::is_default")]
    pub outages: Vec<OutagePolicy>,
    /// How tokens are signed that tell upstreams who callers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(8)]
    pub identity_tokens: Option<TokenSigning>,
    /// What records of operators may change; absent if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(9), skip_if = "codec::is_default")]
    pub entitled: Option<EntitledSettings>,
    /// Who is told when a share of a limit is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(10), skip_if = "codec::is_default")]
    pub notify: Vec<NoticeReceiver>,
}

/// What records of plans, subscriptions and grants may change, for the operators who write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct EntitledSettings {
    /// The limits that they may give numbers, sorted.
    #[n(0)]
    pub limits: Vec<EntitledLimit>,
    /// The APIs with a limit that depends on subscriptions, sorted.
    #[n(1)]
    pub apis: Vec<String>,
}

/// A limit that records may give numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct EntitledLimit {
    /// The policy.
    #[n(0)]
    pub policy: String,
    /// The largest number.
    #[n(1)]
    pub at_most: NonZeroU32,
    /// Its own number; absent if the compiler did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub number: Option<NonZeroU32>,
    /// The period of its numbers, in milliseconds, if it is a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub period_ms: Option<NonZeroU32>,
    /// The numbers that the configuration has for plans, in this period, where they are others.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub plans: BTreeMap<String, NonZeroU32>,
}

impl codec::Section for GatewaySettings {}

/// Settings for one host pattern: its routes, and the upstreams and policies that they name.
///
/// The manifest contains the pattern, so that patterns with equal settings share them. If several patterns match the
/// host of a request, their routes are tried in the order of the patterns, the most specific first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// The upstreams its routes forward to.
    pub upstreams: Vec<UpstreamSettings>,
    /// The policies that its routes use.
    pub policies: Policies,
    /// Its routes.
    pub routes: Vec<RouteSettings>,
}

/// Settings of one route, merged from its levels (gateway, API, route).
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
    /// The paths that it matches.
    #[n(2)]
    pub path: PathTemplate,
    /// The methods that it matches.
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub methods: Methods,
    /// Further conditions on a request, sorted; at most one predicate for each field or parameter.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub when: Vec<Predicate>,
    /// Whether it is for internal callers only; it is never available on a public host.
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub internal: bool,
    /// Policies that can refuse the request before its caller is authenticated, in order.
    #[cbor(n(15), skip_if = "codec::is_default")]
    pub guard: Vec<Place<GuardPolicy>>,
    /// Limits charged before the caller is authenticated, after the guards; none counts by caller.
    #[cbor(n(16), skip_if = "codec::is_default")]
    pub guard_limit: Vec<Place<LimitPolicy>>,
    /// Alternatives, in order. In at least one of them, all policies must authenticate the caller; one without policies admits
    /// a caller who presents no credential. Empty: public.
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub authn: Vec<Vec<Place<AuthnPolicy>>>,
    /// Scopes that the principal must have, all of them.
    #[cbor(n(7), skip_if = "codec::is_default")]
    pub scopes: Vec<String>,
    /// Alternatives of further scopes: the principal must have all of one of them, unless there are none.
    #[serde(default)]
    #[cbor(n(19), skip_if = "codec::is_default")]
    pub scope_sets: Vec<Vec<String>>,
    /// Policies that must all authorize the request, in order, once the caller is authenticated.
    #[serde(default)]
    #[cbor(n(18), skip_if = "codec::is_default")]
    pub authz: Vec<Place<AuthzPolicy>>,
    /// Limits charged, in order.
    #[cbor(n(8), skip_if = "codec::is_default")]
    pub limit: Vec<Place<LimitPolicy>>,
    /// The cost of one request for each limit.
    #[cbor(n(9), with = "codec::one", has_nil)]
    pub cost: NonZeroU32,
    /// Whether and how responses are cached.
    #[n(10)]
    pub cache: Option<CacheSettings>,
    /// The upstream (an index in [`SiteSettings::upstreams`]).
    #[cbor(n(11), skip_if = "codec::is_default")]
    pub upstream: usize,
    /// Whether a segment of its paths may have matrix parameters (a literal `;`).
    #[serde(default)]
    #[cbor(n(17), skip_if = "codec::is_default")]
    pub matrix_parameters: bool,
    /// Number of leading path segments that are removed before forwarding.
    #[cbor(n(12), skip_if = "codec::is_default")]
    pub strip_segments: usize,
    /// Largest request content, in bytes.
    #[n(13)]
    pub content_bytes_max: u64,
    /// Timeout of the exchange with the upstream, including content; `None` for streams.
    #[n(14)]
    pub timeout_ms: Option<u64>,
    /// Further fields that tell clients of their limits, for those that do not know the standard ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(20), skip_if = "codec::is_default")]
    pub limit_fields: Option<LegacyFields>,
    /// Where clients that a limit refuses can read on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cbor(n(21), skip_if = "codec::is_default")]
    pub help: Option<String>,
}

impl codec::Section for RouteSettings {
    const VERSION: u16 = 3;

    fn least_version(&self) -> u16 {
        // Earlier readers have no alternatives of scopes, those before them no alternatives without policies.
        match (self.scope_sets.is_empty(), self.authn.iter().any(Vec::is_empty)) {
            (false, _) => 3,
            (true, true) => 2,
            (true, false) => Self::OLDEST,
        }
    }
}

impl<'r> From<&'r RouteSettings> for Entry<'r> {
    fn from(RouteSettings { path, methods, when, .. }: &'r RouteSettings) -> Self {
        Self { path, methods, when }
    }
}

impl RouteSettings {
    /// The properties of every policy that the route uses, slot by slot.
    pub fn policies<'p>(&'p self, all: &'p Policies) -> impl Iterator<Item = PolicyView<'p>> {
        let guards = self.guard.iter().filter_map(|place| all.view(*place));
        let guard_limits = self.guard_limit.iter().filter_map(|place| all.view(*place));
        let authenticators = self.authenticators().filter_map(|place| all.view(place));
        let authorizers = self.authz.iter().filter_map(|place| all.view(*place));
        let limits = self.limit.iter().filter_map(|place| all.view(*place));
        guards.chain(guard_limits).chain(authenticators).chain(authorizers).chain(limits)
    }

    /// Whether its requests are charged to a limit, before or after authentication.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        !(self.guard_limit.is_empty() && self.limit.is_empty())
    }

    /// Whether a limit may refuse its requests; those that are only observed do not.
    #[must_use]
    pub fn is_limited_by(&self, policies: &Policies) -> bool {
        let mut limits = policies.at(&self.guard_limit).chain(policies.at(&self.limit));
        limits.any(|named| !named.policy.counting().shadow)
    }

    /// Whether a policy may refuse its requests before the caller is authenticated.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        !(self.guard.is_empty() && self.guard_limit.is_empty())
    }

    /// Checks what the types cannot express, beside these upstreams and policies.
    #[must_use]
    pub fn is_coherent(&self, upstreams: &[UpstreamSettings], policies: &Policies) -> bool {
        self.guard.len() <= ROUTE_LIST_MAX
            && self.guard.iter().all(|place| policies.has(*place))
            && self.guard_limit.len() <= ROUTE_LIST_MAX
            && self
                .guard_limit
                .iter()
                .all(|place| policies.get(*place).is_some_and(|limit| limit.policy.is_known_before_authentication()))
            && self.authn.iter().map(Vec::len).sum::<usize>() <= ROUTE_LIST_MAX
            && self.authn.iter().flatten().all(|place| policies.has(*place))
            && self.has_coherent_alternatives()
            && self.authz.len() <= ROUTE_LIST_MAX
            && self.authz.iter().all(|place| policies.has(*place))
            && self.limit.len() <= ROUTE_LIST_MAX
            && self.limit.iter().all(|place| policies.has(*place))
            // Each request would be charged to the same counter twice.
            && !self.limit.iter().any(|place| self.guard_limit.contains(place))
            && self.upstream < upstreams.len()
            && (!self.requires_scopes() || !self.authn.is_empty())
            && self.scopes.len() <= ROUTE_LIST_MAX
            && self.scope_sets.iter().map(Vec::len).sum::<usize>() <= ROUTE_LIST_MAX
            && self.scope_sets.iter().all(|set| !set.is_empty())
            && self.methods.len() <= ROUTE_LIST_MAX
            && self.when.len() <= ROUTE_LIST_MAX
            && self.when.is_sorted_by(|a, b| a.of < b.of)
            && self.strip_segments <= PATH_SEGMENTS_MAX
            && self.cache.as_ref().is_none_or(is_coherent_cache)
    }

    /// An alternative without policies is beside others, and there is one at most. Callers without credentials have no scopes.
    fn has_coherent_alternatives(&self) -> bool {
        let (anonymous, others): (Vec<_>, Vec<_>) = self.authn.iter().partition(|all| all.is_empty());
        anonymous.is_empty() || anonymous.len() == 1 && !others.is_empty() && !self.requires_scopes()
    }

    /// Whether it admits callers who present no credential.
    #[must_use]
    pub fn admits_anonymous(&self) -> bool {
        self.authn.is_empty() || self.authn.iter().any(Vec::is_empty)
    }

    /// Whether it admits such callers, with or without a consumer of their own.
    #[must_use]
    pub fn admits_anyone(&self, policies: &Policies) -> bool {
        let is_anonymous = |all: &Vec<Place<AuthnPolicy>>| {
            !all.is_empty() && policies.at(all).all(|named| named.policy.is_anonymous())
        };
        self.admits_anonymous() || self.authn.iter().any(is_anonymous)
    }

    /// Whether a principal without scopes is refused.
    #[must_use]
    pub const fn requires_scopes(&self) -> bool {
        !(self.scopes.is_empty() && self.scope_sets.is_empty())
    }

    /// The scopes that a principal with these lacks; of alternatives, those of the one of which it lacks least.
    #[must_use]
    pub fn missing_scopes(&self, held: &[String]) -> Vec<&str> {
        let lacks = |scope: &&String| !held.contains(scope);
        let nearest = self.scope_sets.iter().min_by_key(|set| set.iter().filter(lacks).count());
        self.scopes.iter().chain(nearest.into_iter().flatten()).filter(lacks).map(String::as_str).collect()
    }

    /// The smallest sets of scopes with which a principal is accepted.
    #[must_use]
    pub fn accepted_scopes(&self) -> Vec<Vec<&str>> {
        let all = || self.scopes.iter().map(String::as_str);
        match self.scope_sets.as_slice() {
            [] => vec![all().collect()],
            sets => sets.iter().map(|set| all().chain(set.iter().map(String::as_str)).collect()).collect(),
        }
    }

    /// The policies that may authenticate a caller, in order, of all alternatives.
    pub fn authenticators(&self) -> impl Iterator<Item = Place<AuthnPolicy>> {
        self.authn.iter().flatten().copied()
    }
}

impl SiteSettings {
    /// Checks what the types cannot express: that every position exists, that methods and fields have names that HTTP
    /// allows, and that all lists are bounded.
    ///
    /// Everything that a compiler writes passes; this check is for damaged or forged parts.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        are_coherent(&self.upstreams, &self.policies)
            && self.routes.iter().all(|route| route.is_coherent(&self.upstreams, &self.policies))
    }
}

/// The same check of upstreams and policies alone.
#[must_use]
pub fn are_coherent(upstreams: &[UpstreamSettings], policies: &Policies) -> bool {
    upstreams.iter().all(is_coherent_upstream) && policies.is_coherent()
}

fn is_coherent_upstream(upstream: &UpstreamSettings) -> bool {
    let UpstreamSettings { fields, identity, certificate, .. } = upstream;
    fields.len() <= ROUTE_LIST_MAX
        && identity.len() <= ROUTE_LIST_MAX
        && fields.iter().all(|(name, _)| is_field_name(name))
        && certificate.as_ref().is_none_or(OwnCertificate::is_coherent)
}

fn is_coherent_cache(cache: &CacheSettings) -> bool {
    let keys = cache.key_query.as_ref().map_or(0, Vec::len);
    cache.vary.len() <= ROUTE_LIST_MAX && keys <= ROUTE_LIST_MAX && cache.vary.iter().all(|name| is_field_name(name))
}
