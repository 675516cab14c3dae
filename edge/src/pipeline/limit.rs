//! limit: the request's cost is charged to its quotas, all of them or none.

use std::net::IpAddr;

use futures_util::future::join_all;
use http::HeaderName;
use http::header::RETRY_AFTER;
use tollgate_core::authn::Principal;
use tollgate_core::kinds::{LimitPolicy, Place};
use tollgate_core::limit::{Charge, ChargeOutcome, ChargeRequest, ChargeVerdict, LimitBy, OnUnavailable, fields};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Exchange, Journal};
use crate::patience::within;
use crate::ports::{Clock, Counters, Host, Unavailable};

/// Charges limits of the route: before the caller is authenticated those that count by address, then the others.
///
/// Quotas of one partition are charged in one call, partitions side by side. What an earlier call charged stays charged:
/// a limit that guards look-ups would guard nothing if a failed one were free.
pub(super) async fn limit<H: Host>(
    host: &H,
    exchange: &Exchange,
    places: &[Place<LimitPolicy>],
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let limits: Vec<Limit<'_>> =
        places.iter().map(|place| exchange.policy(*place)).map(|named| (named.name.as_str(), &named.policy)).collect();
    if limits.is_empty() {
        return Ok(());
    }
    let requests = requests(exchange, &limits, principal);
    let now = host.clock().now();
    let answers =
        join_all(requests.iter().map(|r| within(host, "the counter store", host.counters().charge(r, now)))).await;
    let charged = Charged::of(requests, answers);
    charged.write_fields(journal);
    charged.note_refused(journal);
    let refused = charged.refusal().map_or(Ok(()), Err);
    let decided = refused.and_then(|()| {
        charged.away.iter().try_for_each(|(request, away)| decide_without(exchange, &limits, request, away, journal))
    });
    if decided.is_err() {
        journal.refunds = charged.granted();
    }
    decided
}

/// A rate limit of the route, with its name.
type Limit<'a> = (&'a str, &'a LimitPolicy);

fn requests(exchange: &Exchange, limits: &[Limit<'_>], principal: Option<&Principal>) -> Vec<ChargeRequest> {
    let mut requests: Vec<ChargeRequest> = Vec::new();
    let plan = principal.and_then(|principal| principal.plan.as_deref());
    for (name, settings) in limits {
        let partition = partition(settings.by(), principal, exchange.received.client.address);
        let charge = settings.charge(name, plan, exchange.route().cost);
        match requests.iter_mut().find(|request| request.partition == partition) {
            Some(request) => request.charges.push(charge),
            None => requests.push(ChargeRequest { partition, charges: vec![charge] }),
        }
    }
    requests
}

/// What shares the quota. An IPv6 client has at least a /64 to itself, so that is what counts as its address.
fn partition(by: LimitBy, principal: Option<&Principal>, address: Option<IpAddr>) -> String {
    match (by, principal) {
        (LimitBy::Consumer, Some(principal)) => format!("consumer={}", principal.consumer),
        (LimitBy::Consumer, None) | (LimitBy::Address, _) => match address {
            Some(IpAddr::V4(address)) => format!("address={address}"),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("address={a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            None => "address=unknown".to_owned(),
        },
    }
}

/// The answers of all partitions.
struct Charged {
    answered: Vec<(ChargeRequest, ChargeOutcome)>,
    away: Vec<(ChargeRequest, Unavailable)>,
}

impl Charged {
    fn of(requests: Vec<ChargeRequest>, answers: Vec<Result<ChargeOutcome, Unavailable>>) -> Self {
        let mut charged = Self { answered: Vec::new(), away: Vec::new() };
        for (request, answer) in requests.into_iter().zip(answers) {
            match answer {
                Ok(outcome) => charged.answered.push((request, outcome)),
                Err(away) => charged.away.push((request, away)),
            }
        }
        charged
    }

    fn verdicts(&self) -> impl Iterator<Item = (&Charge, &ChargeVerdict)> {
        self.answered.iter().flat_map(|(request, outcome)| request.charges.iter().zip(&outcome.verdicts))
    }

    fn write_fields(&self, journal: &mut Journal) {
        let (charges, verdicts): (Vec<Charge>, Vec<ChargeVerdict>) =
            self.verdicts().map(|(c, v)| (c.clone(), v.clone())).unzip();
        if charges.is_empty() {
            return;
        }
        let pairs = [
            (fields::RATELIMIT_POLICY, fields::policy_field(&charges)),
            (fields::RATELIMIT, fields::state_field(&charges, &verdicts)),
        ];
        for (name, value) in pairs {
            if let Ok(value) = value.parse() {
                journal.reply_edits.set_or_append(HeaderName::from_static(name), value);
            }
        }
    }

    fn note_refused(&self, journal: &mut Journal) {
        for (charge, verdict) in self.verdicts() {
            let (result, reason) = if verdict.allowed {
                (Verdict::Pass, format!("{} left after a cost of {}", verdict.remaining, charge.cost))
            } else {
                (Verdict::Refuse, format!("{} left, a cost of {} asked", verdict.remaining, charge.cost))
            };
            journal.decisions.note_policy(Phase::Limit, &charge.policy, result, reason);
        }
    }

    /// The 429 of the first quota that refused, if one did.
    fn refusal(&self) -> Option<Problem> {
        let (charge, verdict) = self.verdicts().find(|(_, verdict)| !verdict.allowed)?;
        let all: Vec<ChargeVerdict> = self.verdicts().map(|(_, v)| v.clone()).collect();
        let wait_s = fields::retry_after_s(&all);
        let detail = match wait_s {
            Some(s) => format!("The limit `{}` is used up. The same request passes in {s} s.", charge.policy),
            None => format!(
                "This request costs {}, more than the limit `{}` ever has ({}).",
                charge.cost, charge.policy, charge.burst
            ),
        };
        let log = format!("{} left of {}", verdict.remaining, charge.burst);
        let problem = Problem::new(ProblemKind::RateLimitExceeded, detail).by(charge.policy.as_str()).logged(log);
        // Always with a 429; a charge that can never pass gets the longest wait that makes sense to state.
        Some(problem.with(RETRY_AFTER, wait_s.unwrap_or(NEVER_RETRY_AFTER_S).to_string()))
    }

    /// The charges that were made, to be given back when another partition refused.
    fn granted(&self) -> Vec<ChargeRequest> {
        self.answered.iter().filter(|(_, outcome)| outcome.granted).map(|(request, _)| request.clone()).collect()
    }
}

/// `Retry-After` for a request that no waiting helps: a day.
const NEVER_RETRY_AFTER_S: u64 = 86_400;

/// What happens to policies whose counters are away: each says so itself.
fn decide_without(
    exchange: &Exchange,
    limits: &[Limit<'_>],
    request: &ChargeRequest,
    away: &Unavailable,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let affected = limits.iter().filter(|(name, _)| request.charges.iter().any(|c| c.policy == *name));
    for (name, settings) in affected {
        match settings.on_unavailable() {
            OnUnavailable::Open => {
                journal.decisions.note_policy(Phase::Limit, name, Verdict::OpenOnFailure, away.to_string());
            }
            OnUnavailable::Closed => {
                journal.decisions.note_policy(Phase::Limit, name, Verdict::Error, away.to_string());
                let detail = "The gateway cannot count requests right now. Try again shortly.";
                return Err(Problem::new(ProblemKind::StoreUnavailable, detail)
                    .by(*name)
                    .with(RETRY_AFTER, "1")
                    .logged(format!("{away} (route {})", exchange.route().id)));
            }
        }
    }
    Ok(())
}
