//! What happened in an exchange: a list of typed events, from which record, metrics, spans and `explain` are folded.
//!
//! An [`Event`] is a phase, the policy that decided (if one did), a verdict and a [`Reason`]. Events are data; recording one
//! formats no text. [`Events::hash`] is equal on every host for equal decisions.

mod reason;
mod subject;

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use crate::canonical::{Argument, Canonical, Local};
pub use reason::Reason;
pub use subject::{RouteLabel, SpanId, UpstreamLabel, UpstreamRecord};

use crate::authn::Principal;
use crate::cache::{Bypass, CacheOutcome, Forwarded};
use crate::policy_name::PolicyName;
use crate::problem::{Problem, ProblemKind};

/// The phases of an exchange, in the order they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The request is parsed.
    Receive,
    /// Its route is found.
    Route,
    /// Its size and its client's address are checked, and limits by address are charged.
    Guard,
    /// Its caller is authenticated.
    Authenticate,
    /// What its caller may do is checked.
    Authorize,
    /// Its cost is charged.
    Limit,
    /// It is looked up in the cache.
    LookUp,
    /// It is forwarded.
    Forward,
    /// Its response is stored.
    Store,
    /// Its response is sent.
    Respond,
}

impl Phase {
    /// The name as written in configuration, docs and telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Route => "route",
            Self::Guard => "guard",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Limit => "limit",
            Self::LookUp => "look-up",
            Self::Forward => "forward",
            Self::Store => "store",
            Self::Respond => "respond",
        }
    }
}

/// The result of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The exchange continues.
    Pass,
    /// The decision did not apply.
    Skip,
    /// The gateway answers, from the cache or to OPTIONS. The exchange ends.
    Answer,
    /// A policy refused the request. The exchange ends.
    Refuse,
    /// Something failed. The exchange ends.
    Error,
    /// A store was unavailable, and the policy lets the request pass.
    OpenOnFailure,
}

impl Verdict {
    /// The name in telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Answer => "answer",
            Self::Refuse => "refuse",
            Self::Error => "error",
            Self::OpenOnFailure => "open-on-failure",
        }
    }
}

/// One event of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The phase.
    pub phase: Phase,
    /// The policy that decided; absent if the phase itself decided.
    pub policy: Option<PolicyName>,
    /// The result.
    pub verdict: Verdict,
    /// The reason.
    pub reason: Reason,
    /// The problem that the exchange ended with, on the event that ended it.
    pub problem: Option<ProblemKind>,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("Event", 5)?;
        event.serialize_field("phase", &self.phase)?;
        match &self.policy {
            Some(policy) => event.serialize_field("policy", policy)?,
            None => event.skip_field("policy")?,
        }
        event.serialize_field("verdict", &self.verdict)?;
        event.serialize_field("code", self.reason.code())?;
        event.serialize_field("reason", &self.reason.to_string())?;
        event.end()
    }
}

/// The events of an exchange, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Events(Vec<Event>);

/// Why an exchange ended with a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'e> {
    /// The problem.
    pub problem: ProblemKind,
    /// The policy that decided, if one did.
    pub policy: Option<&'e PolicyName>,
    /// The reason; its text is for the log.
    pub reason: &'e Reason,
}

/// What a limit tells of that does not end the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitNotice {
    /// It would refuse the request, but is only observed.
    WouldRefuse,
    /// So much of it is used now, in percent.
    Reached {
        /// The share that was reached.
        percent: u32,
    },
    /// It was charged without a call, from what was taken ahead.
    Leased,
}

impl Events {
    /// No events, with capacity for those of a typical exchange.
    #[must_use]
    pub fn with_usual_capacity() -> Self {
        Self(Vec::with_capacity(EVENTS_USUAL))
    }

    /// Adds a decision of a phase.
    pub fn note(&mut self, phase: Phase, verdict: Verdict, reason: Reason) {
        self.0.push(Event { phase, policy: None, verdict, reason, problem: None });
    }

    /// Adds a decision of a policy.
    pub fn note_policy(&mut self, phase: Phase, policy: PolicyName, verdict: Verdict, reason: Reason) {
        self.0.push(Event { phase, policy: Some(policy), verdict, reason, problem: None });
    }

    /// Adds a problem, with the policy that it names.
    pub fn note_problem(&mut self, phase: Phase, problem: &Problem) {
        let (policy, verdict, reason) = (problem.policy.clone(), problem.verdict(), problem.reason.clone());
        self.0.push(Event { phase, policy, verdict, reason, problem: None });
    }

    /// Sets this problem on the event that ended the exchange; adds such an event if no phase has recorded one.
    pub fn end_with(&mut self, problem: &Problem) {
        let is_it = |event: &Event| event.policy == problem.policy && event.reason == problem.reason;
        if !self.0.iter().any(is_it) {
            self.note_problem(Phase::Respond, problem);
        }
        if let Some(event) = self.0.iter_mut().rev().find(|event| is_it(event)) {
            event.problem = Some(problem.kind);
        }
    }

    /// Takes the events from this place on out of the list.
    #[must_use]
    pub fn split_off(&mut self, place: usize) -> Self {
        Self(self.0.split_off(place.min(self.0.len())))
    }

    /// Adds events after these.
    pub fn append(&mut self, mut later: Self) {
        self.0.append(&mut later.0);
    }

    /// The events.
    #[must_use]
    pub fn as_slice(&self) -> &[Event] {
        &self.0
    }

    /// The hash of their canonical form: equal on every host for equal decisions. It does not depend on the time, the
    /// client's address, or a platform's description of a failure.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut out = Canonical::new();
        for event in &self.0 {
            out.number((event.phase as u64) << 8 | event.verdict as u64);
            out.add(event.policy.as_deref().unwrap_or_default().as_bytes());
            out.add(event.problem.map_or("", ProblemKind::slug).as_bytes());
            event.reason.canonical(&mut out);
        }
        out.finish()
    }

    /// The selected route.
    #[must_use]
    pub fn route(&self) -> Option<&Arc<RouteLabel>> {
        self.0.iter().find_map(|event| match &event.reason {
            Reason::RouteFound { route } => Some(route),
            _ => None,
        })
    }

    /// The caller, as the last policy that authenticated it identified it.
    #[must_use]
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        let ended = self.0.iter().any(|event| matches!(event.reason, Reason::NotAuthenticated));
        self.0.iter().rev().filter(|_| !ended).find_map(|event| match &event.reason {
            Reason::Authenticated { principal } => Some(principal),
            _ => None,
        })
    }

    /// The caller's plan: that of the subscription, otherwise that of the credential.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        let subscribed = self.0.iter().rev().find_map(|event| match &event.reason {
            Reason::Subscribed { plan, .. } => Some(&**plan),
            _ => None,
        });
        subscribed.or_else(|| self.principal()?.plan.as_deref())
    }

    /// The subscription of the caller and its product, if a limit asked for them.
    #[must_use]
    pub fn subscribed(&self) -> Option<(&str, &str)> {
        self.0.iter().rev().find_map(|event| match &event.reason {
            Reason::Subscribed { subscription, product, .. } => Some((&**subscription, &**product)),
            _ => None,
        })
    }

    /// The last policy that authenticated the caller.
    #[must_use]
    pub fn authenticator(&self) -> Option<&PolicyName> {
        let mut passed = self.0.iter().rev().filter(|event| matches!(event.reason, Reason::Authenticated { .. }));
        passed.next()?.policy.as_ref()
    }

    /// The calls to upstreams, in order.
    pub fn calls(&self) -> impl Iterator<Item = &UpstreamRecord> {
        self.0.iter().filter_map(|event| match &event.reason {
            Reason::Called { call } => Some(call),
            _ => None,
        })
    }

    /// Why the exchange ended with a problem, if it did.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        self.0.iter().rev().find_map(|event| {
            Some(Refusal { problem: event.problem?, policy: event.policy.as_ref(), reason: &event.reason })
        })
    }

    /// The names of the policies or phases that let the request pass although their store was unavailable. Not those of limits if
    /// another limit has refused the request: they have let nothing pass.
    pub fn open_on_failure(&self) -> impl Iterator<Item = &str> {
        let is_limit = |event: &Event| matches!(event.phase, Phase::Guard | Phase::Limit);
        let is_refused = self.0.iter().any(|event| event.problem.is_some() && is_limit(event));
        let is_of_limit = move |event: &Event| event.policy.is_some() && is_limit(event);
        let open = self
            .0
            .iter()
            .filter(move |event| event.verdict == Verdict::OpenOnFailure && !(is_refused && is_of_limit(event)));
        open.map(|event| event.policy.as_deref().unwrap_or(event.phase.as_str()))
    }

    /// What limits tell of before they refuse, or do not refuse, each with its policy.
    pub fn limit_notices(&self) -> impl Iterator<Item = (&PolicyName, LimitNotice)> {
        self.0.iter().filter_map(|event| {
            let notice = match event.reason {
                Reason::WouldRefuse { .. } => LimitNotice::WouldRefuse,
                Reason::QuotaReached { percent } => LimitNotice::Reached { percent },
                Reason::Leased { .. } => LimitNotice::Leased,
                _ => return None,
            };
            Some((event.policy.as_ref()?, notice))
        })
    }

    /// The cost that was charged to the limits of the exchange, if any was: the largest one, after what was settled.
    #[must_use]
    pub fn charged(&self) -> Option<u32> {
        let cost = |event: &Event| match event.reason {
            Reason::Charged { cost, .. }
            | Reason::Leased { cost, .. }
            | Reason::CountedLocally { cost, .. }
            | Reason::ShareCharged { cost, .. }
            | Reason::Settled { cost, .. } => Some(cost),
            _ => None,
        };
        let is_settled = |(place, event): &(usize, &Event)| {
            let is_it = |later: &Event| later.policy == event.policy && matches!(later.reason, Reason::Settled { .. });
            self.0[place + 1..].iter().any(is_it)
        };
        let all = self.0.iter().enumerate().filter_map(|(place, event)| Some((cost(event)?, (place, event))));
        all.filter(|(_, at)| !is_settled(at)).map(|(cost, _)| cost).max()
    }

    /// The result of the cache, if the route has one.
    #[must_use]
    pub fn cache(&self) -> Option<CacheOutcome> {
        self.0.iter().fold(None, |outcome, event| cache_after(outcome, &event.reason))
    }
}

/// The result of the cache after one more event.
fn cache_after(outcome: Option<CacheOutcome>, reason: &Reason) -> Option<CacheOutcome> {
    let forwarded = |why| Some(CacheOutcome::Forwarded { why, revalidated: false, stored: false });
    match (reason, outcome) {
        (Reason::CacheHit { ttl_s }, _) => Some(CacheOutcome::Hit { ttl_s: ttl_s.0 }),
        (Reason::CacheForward { why }, _) => forwarded(*why),
        (Reason::CacheBypass { why: Bypass::Method }, _) => forwarded(Forwarded::Method),
        (Reason::CacheBypass { .. } | Reason::CacheUnavailable { .. }, _) => forwarded(Forwarded::Bypass),
        (Reason::Confirmed { kept }, Some(CacheOutcome::Forwarded { why, .. })) => {
            Some(CacheOutcome::Forwarded { why, revalidated: true, stored: *kept })
        }
        (Reason::Stored { whole, .. }, Some(CacheOutcome::Forwarded { why, revalidated, .. })) => {
            Some(CacheOutcome::Forwarded { why, revalidated, stored: whole.0 })
        }
        (_, outcome) => outcome,
    }
}

/// Capacity: the events of an exchange with a key, some limits and a cache.
const EVENTS_USUAL: usize = 10;

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.0 {
            let (phase, verdict) = (event.phase.as_str(), event.verdict.as_str());
            let policy = event.policy.as_deref().unwrap_or("-");
            writeln!(f, "{phase:<13} {policy:<20} {verdict:<15} {}", event.reason)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn charged(remaining: u32) -> Events {
        let mut events = Events::default();
        events.note(Phase::Authenticate, Verdict::Skip, Reason::Public);
        events.note_policy(Phase::Limit, "burst".into(), Verdict::Pass, Reason::Charged { remaining, cost: 1 });
        events
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn codes_are_unique_and_kebab_case() {
        let mut codes = Reason::CODES.to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::CODES.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_hash_depends_on_decisions_and_not_on_times() {
        assert_eq!(charged(4).hash(), charged(4).hash());
        assert_ne!(charged(4).hash(), charged(3).hash());
        let hit = |ttl_s| {
            let mut events = charged(4);
            events.note(Phase::LookUp, Verdict::Answer, Reason::CacheHit { ttl_s: Local(ttl_s) });
            events.hash()
        };
        assert_eq!(hit(59), hit(60));
        assert_ne!(hit(59), charged(4).hash());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_cache_outcome_is_folded_from_events() {
        let mut events = Events::default();
        assert_eq!(events.cache(), None);
        events.note(Phase::LookUp, Verdict::Pass, Reason::CacheForward { why: Forwarded::Stale });
        let why = Forwarded::Stale;
        assert_eq!(events.cache(), Some(CacheOutcome::Forwarded { why, revalidated: false, stored: false }));
        events.note(Phase::Store, Verdict::Pass, Reason::Confirmed { kept: true });
        assert_eq!(events.cache(), Some(CacheOutcome::Forwarded { why, revalidated: true, stored: true }));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_limit_that_another_one_refuses_for_has_let_nothing_pass() {
        let ended = |phase, kind, policy: &str| {
            let mut events = Events::default();
            let text = Local("no answer".into());
            let reason = Reason::CountersFailed { fault: crate::limit::Fault::Unavailable, text };
            events.note_policy(Phase::Guard, "by-address".into(), Verdict::OpenOnFailure, reason.clone());
            events.note_policy(Phase::Limit, "open".into(), Verdict::OpenOnFailure, reason);
            let problem = Problem::new(kind, "", Reason::Exhausted { remaining: 0, cost: 1 }).by(policy);
            events.note_problem(phase, &problem);
            events.end_with(&problem);
            events.open_on_failure().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(ended(Phase::Limit, ProblemKind::RateLimitExceeded, "closed").is_empty());
        assert_eq!(ended(Phase::Authorize, ProblemKind::Internal, "access"), ["by-address", "open"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_event_that_ended_the_exchange_is_marked_once() {
        let mut events = charged(0);
        let problem = Problem::new(ProblemKind::RouteNotFound, "", Reason::NoRoute);
        events.note_problem(Phase::Route, &problem);
        events.end_with(&problem);
        assert_eq!(events.as_slice().len(), 3);
        let refusal = events.refusal().unwrap();
        assert_eq!((refusal.problem, refusal.reason), (ProblemKind::RouteNotFound, &Reason::NoRoute));
        let unnoted = Problem::plain(ProblemKind::Internal, "");
        events.end_with(&unnoted);
        assert_eq!(events.refusal().unwrap().problem, ProblemKind::Internal);
    }
}
