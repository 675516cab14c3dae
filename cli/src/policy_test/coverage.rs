//! The part of a project that the cases reached: its routes, and the branches of policies, cache and upstreams on each.
//!
//! The branches are derived from the compiled settings; the reached ones are read from the records of the exchanges.

use std::collections::{BTreeSet, HashMap};

use tollgate_config::{Compiled, CompiledRoute};
use tollgate_core::cache::{CacheOutcome, Forwarded};
use tollgate_core::event::{LimitNotice, Phase, Verdict};
use tollgate_core::kinds::{Policies, PolicyName, Slot, Uses};
use tollgate_core::problem::ProblemKind;
use tollgate_core::telemetry::ExchangeRecord;

/// Collects what is reached while tests run.
#[derive(Default)]
pub(super) struct Coverage {
    routes: Vec<Item>,
    places: HashMap<String, usize>,
    policies: Vec<Item>,
}

/// A route or policy with its branches.
struct Item {
    name: String,
    what: String,
    branches: Vec<(Branch, bool)>,
}

/// A possible outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Branch {
    Taken,
    Admitted(String),
    NotAdmitted(String),
    Accepted(String),
    Refused(String),
    InOutage(String),
    NoCredential,
    ScopesGranted,
    ScopesMissing,
    Authorized(String),
    NotAuthorized(String),
    WithinLimit(String),
    OverLimit(String),
    CacheHit,
    CacheMiss,
    Stored,
    Answered,
    Failed,
    TimedOut,
    /// A policy made a decision.
    Decided(String),
    /// The store that a policy uses was unavailable.
    StoreUnavailable(String),
}

/// The coverage of a project.
pub(crate) struct Summary {
    pub(super) routes: Vec<Covered>,
    pub(super) policies: Vec<Covered>,
}

/// The coverage of one route or policy.
pub(super) struct Covered {
    pub(super) name: String,
    /// Its description, such as `GET /pets/{id}`.
    pub(super) what: String,
    /// The names of its branches, each with whether it was reached; the first is the route or policy itself.
    pub(super) branches: Vec<(String, bool)>,
}

/// A number out of a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) reached: usize,
    pub(super) of: usize,
}

impl Coverage {
    /// Adds the routes and policies of a compiled project that are not present yet.
    pub(super) fn enumerate(&mut self, compiled: &Compiled) {
        let policies = compiled.policies();
        let mut used = BTreeSet::new();
        for route in compiled.routes() {
            let place = *self.places.entry(route.settings.id.clone()).or_insert_with(|| {
                self.routes.push(Item {
                    name: route.settings.id.clone(),
                    what: described(route),
                    branches: Vec::new(),
                });
                self.routes.len() - 1
            });
            if let Some(item) = self.routes.get_mut(place) {
                item.add(branches(route, policies));
            }
            let named = route.settings.policies(policies);
            used.extend(named.map(|policy| (policy.name.to_owned(), policy.uses != Uses::default())));
        }
        for (name, has_store) in used {
            let known = self.policies.iter().position(|item| item.name == name).unwrap_or_else(|| {
                self.policies.push(Item { name: name.clone(), what: "policy".to_owned(), branches: Vec::new() });
                self.policies.len() - 1
            });
            let mut branches = vec![Branch::Decided(name.clone())];
            if has_store {
                branches.push(Branch::StoreUnavailable(name));
            }
            self.policies[known].add(branches);
        }
    }

    /// Records what an exchange reached.
    pub(super) fn note(&mut self, record: &ExchangeRecord) {
        let route = record.route().and_then(|route| self.places.get(route.id.as_ref()));
        let route = route.and_then(|place| self.routes.get_mut(*place));
        for item in route.into_iter().chain(&mut self.policies) {
            for (branch, reached) in &mut item.branches {
                *reached = *reached || branch.is_reached(record);
            }
        }
    }

    pub(super) fn summed(self) -> Summary {
        let sum = |items: Vec<Item>| items.into_iter().map(Item::summed).collect();
        Summary { routes: sum(self.routes), policies: sum(self.policies) }
    }
}

impl Item {
    fn add(&mut self, branches: Vec<Branch>) {
        for branch in branches {
            if !self.branches.iter().any(|(known, _)| *known == branch) {
                self.branches.push((branch, false));
            }
        }
    }

    fn summed(self) -> Covered {
        let branches = self.branches.iter().map(|(branch, reached)| (branch.to_string(), *reached)).collect();
        Covered { name: self.name, what: self.what, branches }
    }
}

fn described(route: &CompiledRoute) -> String {
    format!("{} {}", route.settings.methods, route.settings.path)
}

/// The possible outcomes of a request on a route.
fn branches(route: &CompiledRoute, policies: &Policies) -> Vec<Branch> {
    let settings = &route.settings;
    let named = |slot| settings.policies(policies).filter(move |policy| policy.slot == slot);
    let mut all = vec![Branch::Taken];
    for policy in named(Slot::Guard) {
        let policy = policy.name.to_owned();
        all.extend([Branch::Admitted(policy.clone()), Branch::NotAdmitted(policy)]);
    }
    for policy in named(Slot::Authn) {
        let name = policy.name.to_owned();
        all.extend([Branch::Accepted(name.clone()), Branch::Refused(name.clone())]);
        all.extend(policy.uses.outage.filter(|rules| rules.admits()).map(|_| Branch::InOutage(name)));
    }
    if !settings.authn.is_empty() {
        all.push(Branch::NoCredential);
    }
    if settings.requires_scopes() {
        all.extend([Branch::ScopesGranted, Branch::ScopesMissing]);
    }
    for policy in named(Slot::Authz) {
        let policy = policy.name.to_owned();
        all.extend([Branch::Authorized(policy.clone()), Branch::NotAuthorized(policy)]);
    }
    for policy in named(Slot::Limit) {
        let policy = policy.name.to_owned();
        all.extend([Branch::WithinLimit(policy.clone()), Branch::OverLimit(policy)]);
    }
    if settings.cache.is_some() {
        all.extend([Branch::CacheMiss, Branch::Stored, Branch::CacheHit]);
    }
    all.extend([Branch::Answered, Branch::Failed]);
    if settings.timeout_ms.is_some() {
        all.push(Branch::TimedOut);
    }
    all
}

impl Branch {
    fn is_reached(&self, record: &ExchangeRecord) -> bool {
        let decided = |phase: Phase, policy: Option<&str>, verdicts: &[Verdict]| {
            record.events.as_slice().iter().any(|event| {
                event.phase == phase && event.policy.as_deref() == policy && verdicts.contains(&event.verdict)
            })
        };
        let by = |phase, policy: &String, verdict| decided(phase, Some(policy.as_str()), &[verdict]);
        let by_limit = |policy, verdict| [Phase::Guard, Phase::Limit].iter().any(|phase| by(*phase, policy, verdict));
        match self {
            Self::Taken => true,
            Self::Admitted(policy) => by(Phase::Guard, policy, Verdict::Pass),
            Self::NotAdmitted(policy) => by(Phase::Guard, policy, Verdict::Refuse),
            Self::Accepted(policy) => by(Phase::Authenticate, policy, Verdict::Pass),
            Self::Refused(policy) => by(Phase::Authenticate, policy, Verdict::Refuse),
            Self::InOutage(policy) => by(Phase::Authenticate, policy, Verdict::OpenOnFailure),
            Self::NoCredential => {
                record.refusal().is_some_and(|r| r.problem == ProblemKind::CredentialMissing)
                    || decided(Phase::Authenticate, None, &[Verdict::Skip])
            }
            Self::ScopesGranted => decided(Phase::Authorize, None, &[Verdict::Pass]),
            Self::ScopesMissing => decided(Phase::Authorize, None, &[Verdict::Refuse]),
            Self::Authorized(policy) => by(Phase::Authorize, policy, Verdict::Pass),
            Self::NotAuthorized(policy) => by(Phase::Authorize, policy, Verdict::Refuse),
            Self::WithinLimit(policy) => by_limit(policy, Verdict::Pass),
            Self::OverLimit(policy) => {
                let is_told = |(name, notice): (&PolicyName, LimitNotice)| {
                    *name == policy.as_str() && notice == LimitNotice::WouldRefuse
                };
                by_limit(policy, Verdict::Refuse) || record.events.limit_notices().any(is_told)
            }
            Self::CacheHit => matches!(record.cache(), Some(CacheOutcome::Hit { .. })),
            Self::CacheMiss => matches!(
                record.cache(),
                Some(CacheOutcome::Forwarded { why: Forwarded::UriMiss | Forwarded::VaryMiss, .. })
            ),
            Self::Stored => matches!(record.cache(), Some(CacheOutcome::Forwarded { stored: true, .. })),
            Self::Answered => outcome(record).is_some_and(|outcome| outcome.is_ok()),
            Self::Failed => outcome(record).is_some_and(|outcome| outcome.is_err_and(|error| !error_is_time(error))),
            Self::TimedOut => outcome(record).is_some_and(|outcome| outcome.is_err_and(error_is_time)),
            Self::Decided(policy) => {
                record.events.as_slice().iter().any(|e| e.policy.as_deref() == Some(policy.as_str()))
            }
            Self::StoreUnavailable(policy) => record.events.as_slice().iter().any(|e| {
                let failed = matches!(e.verdict, Verdict::Error | Verdict::OpenOnFailure);
                failed && e.policy.as_deref() == Some(policy.as_str())
            }),
        }
    }
}

fn outcome(record: &ExchangeRecord) -> Option<Result<u16, tollgate_core::forward::UpstreamError>> {
    record.calls().last().map(|call| call.outcome)
}

fn error_is_time(error: tollgate_core::forward::UpstreamError) -> bool {
    error.status() == http::StatusCode::GATEWAY_TIMEOUT
}

impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken => f.write_str("reached"),
            Self::Admitted(policy) => write!(f, "guard {policy}: admitted"),
            Self::NotAdmitted(policy) => write!(f, "guard {policy}: refused"),
            Self::Accepted(policy) => write!(f, "authn {policy}: accepted"),
            Self::Refused(policy) => write!(f, "authn {policy}: refused"),
            Self::InOutage(policy) => write!(f, "authn {policy}: admitted without the provider"),
            Self::NoCredential => f.write_str("authn: no credential"),
            Self::ScopesGranted => f.write_str("scopes: granted"),
            Self::ScopesMissing => f.write_str("scopes: missing"),
            Self::Authorized(policy) => write!(f, "authz {policy}: authorized"),
            Self::NotAuthorized(policy) => write!(f, "authz {policy}: refused"),
            Self::WithinLimit(policy) => write!(f, "limit {policy}: within"),
            Self::OverLimit(policy) => write!(f, "limit {policy}: over"),
            Self::CacheHit => f.write_str("cache: hit"),
            Self::CacheMiss => f.write_str("cache: miss"),
            Self::Stored => f.write_str("cache: stored"),
            Self::Answered => f.write_str("upstream: answered"),
            Self::Failed => f.write_str("upstream: failed"),
            Self::TimedOut => f.write_str("upstream: timed out"),
            Self::Decided(_) => f.write_str("reached"),
            Self::StoreUnavailable(_) => f.write_str("store unavailable"),
        }
    }
}

impl Covered {
    pub(super) fn is_reached(&self) -> bool {
        self.branches.first().is_some_and(|(_, reached)| *reached)
    }
}

impl Summary {
    pub(super) fn route_share(&self) -> Share {
        Share::of(self.routes.iter().map(Covered::is_reached))
    }

    pub(super) fn policy_share(&self) -> Share {
        Share::of(self.policies.iter().map(Covered::is_reached))
    }

    /// All branches, including those for routes and policies themselves.
    pub(super) fn branch_share(&self) -> Share {
        Share::of(self.routes.iter().chain(&self.policies).flat_map(|item| &item.branches).map(|(_, reached)| *reached))
    }

    /// Whether at least this percentage of the branches was reached.
    pub(crate) fn reaches(&self, percent: f64) -> bool {
        self.branch_share().percent() >= percent
    }

    /// The share of the branches, for a report.
    pub(crate) fn percent_text(&self) -> String {
        self.branch_share().to_string()
    }
}

impl Share {
    fn of(items: impl Iterator<Item = bool>) -> Self {
        let mut share = Self { reached: 0, of: 0 };
        for reached in items {
            share.reached += usize::from(reached);
            share.of += 1;
        }
        share
    }

    /// The percentage with one decimal, rounded down: it is 100 only if nothing is missing.
    pub(super) fn percent(self) -> f64 {
        if self.of == 0 {
            return 100.0;
        }
        let thousandths = self.reached * 1000 / self.of;
        f64::from(u32::try_from(thousandths).unwrap_or(1000)) / 10.0
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}, {:.1} %", self.reached, self.of, self.percent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_whole_only_when_nothing_is_missing() {
        for (reached, of, percent) in
            [(0, 0, 100.0), (1, 3, 33.3), (2, 3, 66.6), (999_999, 1_000_000, 99.9), (3, 3, 100.0)]
        {
            assert!((Share { reached, of }.percent() - percent).abs() < 0.001, "{reached} of {of}");
        }
    }
}
