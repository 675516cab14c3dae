//! Counts the calls of each phase. Each number refers to the code in `tollgate_edge` that causes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::Method;
use tollgate_config::Compiled;
use tollgate_core::authn::{CredentialPlace, OutageRules};
use tollgate_core::bounds::{
    EXPORT_ATTEMPTS_MAX, EXPORT_BATCHES_MAX, NOTICE_POSTS_MAX, STORED_CONTENT_BYTES_MAX, USAGE_WRITES_MAX,
    VERIFIED_CONTENT_BYTES_MAX,
};
use tollgate_core::forward::{IdentityField, Told};
use tollgate_core::kinds::{LimitPolicy, Place, SlotPolicy, Uses};
use tollgate_core::limit::{Consistency, LimitBy, Partition};
use tollgate_core::route::{HostName, HostPattern};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::RouteSettings;
use tollgate_kv_schemas::{Id, Manifest, keys};

use super::overlap::Overlaps;
use super::{MIRRORS, RETRIES, RequestOutcome, RouteBounds, Usage};
use crate::leased::is_leased;

/// The bounds of every route, in the order of [`Whole::routes`](tollgate_config::Whole::routes).
#[must_use]
pub fn count(compiled: &Compiled) -> Vec<RouteBounds> {
    let loads = Loads::of(compiled);
    let mut cached = Overlaps::default();
    for route in &compiled.whole().routes {
        if route.settings.cache.is_some() && route.settings.methods.takes(&Method::GET) {
            cached.add(&route.settings.path, &route.hosts);
        }
    }
    let counts = compiled.whole().routes.iter().map(|route| {
        let load = route.hosts.iter().map(|host| loads.of_host(host)).fold(Load::default(), Load::max);
        let changes = cached.overlaps(&route.settings.path, &route.hosts);
        Count { compiled, route: &route.settings, load, changes }.bounds()
    });
    counts.collect()
}

/// The parts and bytes of the configuration for a host, at most.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    parts: u64,
    bytes: u64,
}

impl Load {
    fn max(self, other: Self) -> Self {
        Self { parts: self.parts.max(other.parts), bytes: self.bytes.max(other.bytes) }
    }
}

/// For each host pattern, the maximum that a request to a host of the pattern loads.
///
/// A request reads the parts of all patterns that match its host (`Config::sites`), also of patterns that are more specific
/// than that of its route.
struct Loads(BTreeMap<HostPattern, Load>);

impl Loads {
    fn of(compiled: &Compiled) -> Self {
        let bytes: HashMap<&str, u64> =
            compiled.records().iter().map(|(key, value)| (key.as_str(), value.len() as u64)).collect();
        let size = |key: String| bytes.get(key.as_str()).copied().unwrap_or_default();
        let gateway = compiled.gateway();
        let manifest_key = keys::manifest(gateway, compiled.id());
        let head = size(keys::active(gateway)) + size(manifest_key.clone());
        let manifest = compiled.records().iter().find(|(key, _)| *key == manifest_key);
        let manifest = manifest.and_then(|(_, value)| Manifest::decode_unnamed(value.clone()).ok());
        let parts = manifest.as_ref().and_then(|manifest| manifest.parts().ok()).unwrap_or_default();
        let hosts: BTreeMap<&str, Id> = parts.into_iter().collect();
        let mut most: BTreeMap<HostPattern, Load> = BTreeMap::new();
        for pattern in hosts.keys().filter_map(|text| text.parse::<HostPattern>().ok()) {
            let chain = covering(&pattern).filter_map(|cover| Some((cover.clone(), hosts.get(cover.as_str())?)));
            let chain: Vec<_> = chain.collect();
            let part = |id: &Id| size(keys::part(gateway, id));
            let load = Load {
                parts: chain.len() as u64,
                bytes: chain.iter().map(|(_, id)| part(id)).sum::<u64>().saturating_add(head),
            };
            for cover in chain.iter().filter_map(|(cover, _)| cover.parse::<HostPattern>().ok()) {
                let known = most.entry(cover).or_default();
                *known = known.max(load);
            }
        }
        Self(most)
    }

    fn of_host(&self, host: &HostPattern) -> Load {
        self.0.get(host).copied().unwrap_or_default()
    }
}

/// The patterns that match all hosts of one, itself first, as text.
fn covering(host: &HostPattern) -> Box<dyn Iterator<Item = String> + '_> {
    let wider = |name: &HostName| HostPattern::candidates(name).skip(1).collect::<Vec<_>>();
    let all = match host {
        HostPattern::Exact(name) | HostPattern::Wildcard(name) => wider(name),
        HostPattern::Any => Vec::new(),
    };
    Box::new(std::iter::once(host.to_string()).chain(all))
}

/// Counts for one route.
struct Count<'c> {
    compiled: &'c Compiled,
    route: &'c RouteSettings,
    load: Load,
    /// Whether a cached route may answer a `GET` for a URL of this route.
    changes: bool,
}

impl Count<'_> {
    fn bounds(&self) -> RouteBounds {
        let cold = Usage {
            record_reads: self.record_reads(),
            record_writes: self.record_writes(),
            verifications: self.most(|uses| uses.verifications),
            export_posts: self.export_posts(),
            bundle_bytes: self.load.bytes,
            ..Usage::default()
        };
        let outcomes = |start: Usage, is_cold: bool| -> Vec<(RequestOutcome, Usage)> {
            let outcomes = self.outcomes(is_cold).into_iter();
            outcomes.map(|(outcome, usage)| (outcome, start.plus(usage))).collect()
        };
        let warm = Usage { record_writes: self.usage_writes_of_each(), ..Usage::default() };
        RouteBounds { cold: outcomes(cold, true), warm: outcomes(warm, false) }
    }

    /// After the response: what was fetched (`fetched/mod.rs`), the records of tokens (`outages.rs`) and sessions (`login.rs`), usage.
    fn record_writes(&self) -> u64 {
        self.most(|uses| uses.answers + SESSION_WRITES * u32::from(uses.session)) + self.outages() + self.usage_writes()
    }

    /// `isolate/usage.rs` writes batches of usage, and repeats writes that fail.
    fn usage_writes(&self) -> u64 {
        self.compiled.settings().telemetry.usage.as_ref().map_or(0, |_| USAGE_WRITES_MAX.into())
    }

    /// Without an interval, a request that is alone writes what it used.
    fn usage_writes_of_each(&self) -> u64 {
        self.compiled.settings().telemetry.usage.as_ref().map_or(0, |usage| u64::from(usage.every_ms == 0))
    }

    /// The outcomes that the methods allow, without the calls of a cold isolate before and after the request.
    fn outcomes(&self, is_cold: bool) -> Vec<(RequestOutcome, Usage)> {
        let (partitions, told) = (self.partitions(&self.route.limit), self.observed_and_ended(&self.route.limit));
        let told = told + self.leased() + self.settled();
        let export_secrets = if is_cold { self.export_secrets() + self.notice_secrets() } else { 0 };
        // What is accepted once is released if the request is refused, or its upstream cannot be reached (`accept_once`).
        let before_limits = self.guard_charges() + 2 * self.charged_once() + self.outages();
        // Of a request that is refused, also those in flight are ended.
        let asked = self.asked(is_cold);
        let refused = Usage {
            // With several owners: reserve, confirm, and release if one of them was not confirmed (`limit.rs`, `after.rs`).
            counter_calls: before_limits + told + if partitions > 1 { 3 * partitions } else { partitions },
            secret_reads: export_secrets,
            gathered_bytes: self.gathered_bytes(),
            ..Usage::default()
        };
        let forwarded = Usage {
            counter_calls: before_limits + told + if partitions > 1 { 2 * partitions } else { partitions },
            secret_reads: export_secrets + if is_cold { self.upstream_secrets() } else { 0 },
            upstream_attempts: RETRIES * MIRRORS,
            gathered_bytes: self.gathered_bytes(),
            ..Usage::default()
        };
        let (refused, forwarded) = (refused.plus(asked), forwarded.plus(asked));
        let refused = refused.plus(self.forwarded_beside(is_cold));
        let forwarded =
            Usage { fetches: forwarded.fetches + if is_cold { self.upstream_tokens() } else { 0 }, ..forwarded };
        let mut outcomes = vec![(RequestOutcome::Refused, refused)];
        if self.route.methods.takes(&Method::GET) || self.route.methods.takes(&Method::HEAD) {
            outcomes.push((RequestOutcome::Read, forwarded.plus(self.cache())));
        }
        if self.route.methods.is_empty() || self.route.methods.iter().any(|m| ![Method::GET, Method::HEAD].contains(m))
        {
            let cache_stores = u64::from(self.changes && takes_unsafe(self.route));
            outcomes.push((RequestOutcome::Change, forwarded.plus(Usage { cache_stores, ..Usage::default() })));
        }
        outcomes
    }

    /// What `beside.rs` has asked for a request that is refused then.
    fn forwarded_beside(&self, is_cold: bool) -> Usage {
        let policies = &self.compiled.whole().policies;
        if !policies.at(&self.route.limit).any(|named| named.policy.counting().beside) {
            return Usage::default();
        }
        let (fetches, secret_reads) = if is_cold { (self.upstream_tokens(), self.upstream_secrets()) } else { (0, 0) };
        let asked = Usage { fetches, secret_reads, upstream_attempts: RETRIES * MIRRORS, ..Usage::default() };
        // A change that the upstream has made is one, also if nobody is told of it.
        let cache_stores = u64::from(self.changes && takes_unsafe(self.route));
        let cache_look_ups = self.cache().cache_look_ups;
        asked.plus(Usage { cache_look_ups, cache_stores, found_bytes: self.cache().found_bytes, ..Usage::default() })
    }

    /// `Config::load` and `Config::sites`, `credential` for each policy that is tried, and after the response `refresh`, if the request took as
    /// long as the configuration is fresh, and `uses::record`, if a key identified the caller.
    fn record_reads(&self) -> u64 {
        let credentials = self.most(|uses| uses.record.into());
        let of_tokens = |uses: &Uses<'_>| uses.answers + u32::from(uses.link);
        let of_sessions = |uses: &Uses<'_>| ENDS_READ * u32::from(uses.ended) + SESSION_READS * u32::from(uses.session);
        let read = credentials + self.most(|uses| of_tokens(uses) + of_sessions(uses));
        let reads = |rules: &OutageRules| if rules.admits() { OUTAGE_READS } else { REVOCATION_READS };
        let outages: u64 = self.outage_rules().map(reads).sum();
        let last_use = u64::from(credentials > 0);
        let policies = &self.compiled.whole().policies;
        let asks = policies.at(&self.route.limit).any(|named| named.policy.counting().asks_for_subscriptions());
        let entitled = if asks && !self.route.authn.is_empty() { ENTITLEMENT_READS } else { 0 };
        let read = read + entitled + outages;
        POINTER_AND_PURGES + MANIFEST + self.load.parts + read + POINTER_AND_PURGES + MANIFEST + last_use
    }

    /// The maximum of something over the policies that can all find a credential in one request.
    ///
    /// A field has one value, so policies that read it with different schemes cannot all find a credential in it.
    fn most(&self, of: impl Fn(&Uses<'_>) -> u32) -> u64 {
        let policies = self.route.policies(&self.compiled.whole().policies);
        let mut by_field: BTreeMap<&str, Vec<(&CredentialPlace, u64)>> = BTreeMap::new();
        let mut elsewhere = 0;
        for uses in policies.map(|policy| policy.uses) {
            match uses.credential {
                Some(place) => by_field.entry(place.field.as_str()).or_default().push((place, of(&uses).into())),
                None => elsewhere += u64::from(of(&uses)),
            }
        }
        elsewhere + by_field.values().map(|places| most_of_field(places)).sum::<u64>()
    }

    /// `limit.rs` charges once for each partition of the limits that refuse; without a principal, everything that has a name is the
    /// client's address.
    fn partitions(&self, limits: &[Place<LimitPolicy>]) -> u64 {
        self.different(limits, |limit| !limit.counting().shadow)
    }

    /// It charges once more for each partition of limits that are only observed, and tells each that counts requests in flight
    /// when the request has ended.
    fn observed_and_ended(&self, limits: &[Place<LimitPolicy>]) -> u64 {
        let ends = |limit: &LimitPolicy| limit.as_kind().uses().ends;
        self.different(limits, |limit| limit.counting().shadow)
            + self.different(limits, |limit| ends(limit) && !limit.counting().shadow)
            + self.different(limits, |limit| ends(limit) && limit.counting().shadow)
    }

    /// After the reply, `own.rs` takes permits ahead of each leased limit, and gives back what was not used of one.
    fn leased(&self) -> u64 {
        let policies = &self.compiled.whole().policies;
        let limits = policies.at(&self.route.guard_limit).chain(policies.at(&self.route.limit));
        let leased = limits.filter(|named| is_leased(named)).count() as u64;
        if leased > 0 { leased + GIVEN_BACK } else { 0 }
    }

    /// After the reply, `refund.rs` gives back, and `settle.rs` gives back or charges, what each limit was charged otherwise; the latter may
    /// find that permits of a leased one have to be taken, and that some were not used.
    fn settled(&self) -> u64 {
        let policies = &self.compiled.whole().policies;
        let limits = policies.at(&self.route.guard_limit).chain(policies.at(&self.route.limit));
        let calls = limits.map(|named| {
            let counting = named.policy.counting();
            let is_settled = counting.cost.as_ref().is_some_and(|cost| cost.is_settled());
            let refill = if is_settled && is_leased(named) { 1 + GIVEN_BACK } else { 0 };
            let is_asked = counting.consistency != Consistency::Local;
            u64::from(is_asked && (is_settled || counting.may_give_back())) + refill
        });
        calls.sum()
    }

    /// How many owners are asked, but by limits that isolates count by themselves: of one partition, what is given back after other
    /// responses, or in part, is an update of its own.
    fn different(&self, limits: &[Place<LimitPolicy>], counts: impl Fn(&LimitPolicy) -> bool) -> u64 {
        let policies = &self.compiled.whole().policies;
        let mut different = Vec::new();
        let is_asked = |limit: &LimitPolicy| limit.counting().consistency != Consistency::Local && counts(limit);
        for named in policies.at(limits).filter(|named| is_asked(&named.policy)) {
            let (limit, counting) = (&named.policy, named.policy.counting());
            let partition = match limit.partition() {
                Partition::By(_) if self.route.authn.is_empty() => Partition::By(LimitBy::Address),
                other => other,
            };
            let is_partial = counting.cost.as_ref().is_some_and(|cost| cost.may_be_less());
            let owner = (partition, counting.count_when.as_ref(), is_partial.then_some(&named.name));
            if !different.contains(&owner) {
                different.push(owner);
            }
        }
        different.len() as u64
    }

    /// What policies ask of services, and the secrets that they read: `edge/src/policies/` for each that is tried.
    fn asked(&self, is_cold: bool) -> Usage {
        let fetches = self.most(|uses| uses.questions + if is_cold { uses.fetches } else { 0 });
        let fetches = fetches + if is_cold { self.notice_posts() } else { 0 };
        Usage { fetches, secret_reads: if is_cold { self.policy_secrets() } else { 0 }, ..Usage::default() }
    }

    /// The limits before authentication: of several partitions each is charged and confirmed.
    fn guard_charges(&self) -> u64 {
        let partitions = self.partitions(&self.route.guard_limit);
        let charges = if partitions > 1 { 3 * partitions } else { partitions };
        charges + self.observed_and_ended(&self.route.guard_limit)
    }

    /// Policies that accept a credential once charge one cell each, also if another one refuses the caller afterwards.
    fn charged_once(&self) -> u64 {
        self.route.policies(&self.compiled.whole().policies).filter(|policy| policy.uses.once).count() as u64
    }

    /// The policies that may admit tokens while their provider is away: each adds one to its list, in one call, or writes the record of
    /// one that was verified.
    fn outages(&self) -> u64 {
        self.outage_rules().filter(|rules| rules.admits()).count() as u64
    }

    fn outage_rules(&self) -> impl Iterator<Item = &OutageRules> {
        self.route.policies(&self.compiled.whole().policies).filter_map(|policy| policy.uses.outage)
    }

    /// The secrets of all policies that may be tried; each is read once.
    fn policy_secrets(&self) -> u64 {
        let policies = self.route.policies(&self.compiled.whole().policies);
        let texts = policies.flat_map(|policy| policy.uses.all_secrets());
        texts.flat_map(SecretText::secret_names).collect::<BTreeSet<_>>().len() as u64
    }

    /// A policy that verifies the content has it in memory until it is forwarded.
    fn gathered_bytes(&self) -> u64 {
        let is_verified = self.route.policies(&self.compiled.whole().policies).any(|policy| policy.uses.content);
        let upstream = self.compiled.whole().upstreams.get(self.route.upstream);
        if is_verified || upstream.is_some_and(|upstream| upstream.auth.reads_content()) {
            self.route.content_bytes_max.min(VERIFIED_CONTENT_BYTES_MAX)
        } else {
            0
        }
    }

    /// `look_up.rs` reads the entry and its variant, `store.rs` writes the index and the variant.
    fn cache(&self) -> Usage {
        if self.route.cache.is_none() {
            return Usage::default();
        }
        let stored = self.route.methods.takes(&Method::GET);
        Usage {
            cache_look_ups: 2,
            cache_stores: if stored { 2 } else { 0 },
            found_bytes: STORED_CONTENT_BYTES_MAX,
            copied_bytes: if stored { STORED_CONTENT_BYTES_MAX } else { 0 },
            ..Usage::default()
        }
    }

    /// `forward.rs` resolves the fields in order and stops at the first missing secret.
    fn upstream_secrets(&self) -> u64 {
        let Some(upstream) = self.compiled.whole().upstreams.get(self.route.upstream) else { return 0 };
        let mut known: BTreeSet<&str> = BTreeSet::new();
        let mut most = 0;
        let of_fields = upstream.fields.iter().map(|(_, text)| text);
        let is_token = |field: &IdentityField| matches!(field.tells, Told::Token(_));
        let key = self.compiled.settings().identity_tokens.as_ref().map(|signing| &signing.key);
        let key = key.filter(|_| upstream.identity.iter().any(is_token));
        for text in of_fields.chain(key).chain(upstream.auth.secrets()) {
            let missing = text.secret_names().filter(|name| !known.contains(name)).count();
            most = most.max(known.len() + missing);
            known.extend(text.secret_names());
        }
        most.max(known.len()) as u64
    }

    /// `upstream_tokens.rs` fetches the token with which the gateway authenticates itself.
    fn upstream_tokens(&self) -> u64 {
        let upstream = self.compiled.whole().upstreams.get(self.route.upstream);
        upstream.map_or(0, |upstream| u64::from(upstream.auth.server().is_some()))
    }

    /// `notices.rs` sends what waits in the isolate, and retries each after a failure.
    fn notice_posts(&self) -> u64 {
        if self.compiled.settings().notify.is_empty() { 0 } else { NOTICE_POSTS_MAX.into() }
    }

    /// A missing secret is read again for each attempt.
    fn notice_secrets(&self) -> u64 {
        let receivers = self.compiled.settings().notify.iter();
        let names = receivers.map(|receiver| receiver.secret.secret_names().count() as u64).max();
        names.unwrap_or(0) * self.notice_posts()
    }

    /// `exporter.rs` resolves every field separately, so a missing secret is read again for each of its references.
    fn export_secrets(&self) -> u64 {
        let otlp = self.compiled.settings().telemetry.otlp.as_ref();
        let names = |text: &SecretText| text.secret_names().count() as u64;
        otlp.map_or(0, |otlp| otlp.fields.iter().map(|(_, text)| names(text)).sum())
    }

    /// `exporter.rs` sends the collected batches and the metrics, and retries each after a failure.
    fn export_posts(&self) -> u64 {
        let exports = self.compiled.settings().telemetry.otlp.is_some();
        if exports { (EXPORT_BATCHES_MAX + METRICS) as u64 * EXPORT_ATTEMPTS_MAX as u64 } else { 0 }
    }
}

/// The maximum over the policies for one field that find a credential: those with the scheme of its value, and the others by
/// their query parameters and cookies. A policy without a scheme reads any value of the field.
fn most_of_field(places: &[(&CredentialPlace, u64)]) -> u64 {
    let reads_elsewhere = |place: &CredentialPlace| place.query.is_some() || place.cookie.is_some();
    let sum = |finds: &dyn Fn(&CredentialPlace) -> bool| -> u64 {
        places.iter().filter(|(place, _)| finds(place)).map(|(_, amount)| amount).sum()
    };
    let with = |scheme: Option<&str>| {
        sum(&|place| same_scheme(place.scheme.as_deref(), scheme) || (place.scheme.is_some() && reads_elsewhere(place)))
    };
    let elsewhere = sum(&reads_elsewhere);
    places.iter().map(|(place, _)| with(place.scheme.as_deref())).fold(elsewhere, u64::max)
}

fn same_scheme(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn takes_unsafe(route: &RouteSettings) -> bool {
    route.methods.is_empty() || route.methods.iter().any(|m| !m.is_safe())
}

/// `Config::load` reads both in parallel.
const POINTER_AND_PURGES: u64 = 2;

/// `Config::load` reads it if the pointer names another bundle than the one in use.
const MANIFEST: u64 = 1;

/// `policies/outage.rs` reads what operators have said, again if the verification took long, and the record of the token; or, after
/// the response, the record of a token that was verified.
const OUTAGE_READS: u64 = 3;

/// `isolate/entitlements.rs` reads products and plans, and what the consumer is entitled to: before the request, or after the response.
const ENTITLEMENT_READS: u64 = 2;

/// Whether a session ended before its time: one record for it, and one for the person.
const ENDS_READ: u32 = 2;

/// `login/refresh.rs` reads what is kept of a session, and again every 150 ms for 3 s if another request asks the provider about it.
const SESSION_READS: u32 = 21;

/// What the provider said of a session is written, and again if the store takes one write of a key in a second.
const SESSION_WRITES: u32 = 2;

/// If tokens can only be revoked, what operators have said.
const REVOCATION_READS: u64 = 1;

/// After one reply, what was not used of one batch is given back.
const GIVEN_BACK: u64 = 1;

/// `export` sends the metrics once, after the batches.
const METRICS: usize = 1;
