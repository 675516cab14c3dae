//! People among the listed users of a `basic` policy: their passwords have slow hashes.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{BasicSettings, NameAndPassword, Principal, TextMark, try_charge, try_release};
use tollgate_core::cell::{OperationId, Update};
use tollgate_core::client::ClientNetwork;
use tollgate_core::event::{Local, Reason};
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::fields::retry_after_s;
use tollgate_core::problem::{Problem, ProblemKind};

use super::basic::wrong;
use crate::apart::rare;
use crate::isolate::{Freshness, Isolate};
use crate::pipeline::Received;
use crate::ports::{Clock, Entropy, Host, Signatures};
use crate::timeout::{counted, within};

/// The person with this name and password. What is right is remembered; the rest costs a charge and a hash, whether the name is known
/// or not.
pub(super) async fn person<H: Host>(
    settings: &BasicSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    received: &Received,
    pair: &NameAndPassword,
) -> Result<Arc<Principal>, Problem> {
    let (hash, user) = settings.person(pair.name());
    let remembers = isolate.settings.freshness == Freshness::Cached;
    let mark = remembers.then(|| mark(settings, policy, hash, pair, isolate, host));
    if let Some(mark) = mark
        && let Some(known) = isolate.people.borrow().get(mark, host.clock().instant())
    {
        return Ok(known);
    }
    if !H::Signatures::HASHES_PASSWORDS {
        return Err(away("this host computes no slow hashes of passwords".to_owned()));
    }
    rare(async {
        // Who is refused here was not charged.
        let _place = isolate.hashing.place().ok_or_else(busy)?;
        let charge = charged(policy, host, received, pair).await?;
        let hashed = within(host, "the hash of a password", host.signatures().is_password(hash, pair.password())).await;
        let is_right = hashed.map_err(|unavailable| away(unavailable.0))?;
        let user = user.filter(|_| is_right).ok_or_else(wrong)?;
        // If the release fails, it ends with the hold.
        let _ = counted(host, &try_release(&charge)).await;
        let principal = Arc::new(settings.principal(policy, user));
        if let Some(mark) = mark {
            isolate.people.borrow_mut().put(mark, Arc::clone(&principal), host.clock().instant());
        }
        Ok(principal)
    })
    .await
}

/// The mark of all that the principal is made of. None of the texts has a NUL.
fn mark<H: Host>(
    settings: &BasicSettings,
    policy: &str,
    hash: &str,
    pair: &NameAndPassword,
    isolate: &Isolate,
    host: &H,
) -> TextMark {
    let plan = settings.plan.as_deref().unwrap_or_default();
    let mut text = [policy, hash, pair.name(), pair.password(), plan].join("\0");
    for scope in &settings.scopes {
        text.push('\0');
        text.push_str(scope);
    }
    TextMark::of(&text, &isolate.mark_secret(host))
}

/// Charges a try. Without the counter store nobody can try.
async fn charged<H: Host>(
    policy: &PolicyName,
    host: &H,
    received: &Received,
    pair: &NameAndPassword,
) -> Result<Update, Problem> {
    let mut random = [0; 16];
    host.entropy().fill(&mut random);
    let address = received.origin.address;
    let client = address.map_or_else(ClientNetwork::unknown_cell, |address| ClientNetwork::of(address).cell());
    let charge = try_charge(policy, pair.name(), &client, OperationId::new(random));
    let outcome = counted(host, &charge).await.map_err(|fault| away(fault.to_string()))?;
    if outcome.granted {
        return Ok(charge);
    }
    let seconds = retry_after_s(outcome.verdicts(), 0).unwrap_or(RETRY_S);
    let detail = "There were too many wrong passwords of this name, or from this address. Try again later.";
    let problem = Problem::new(ProblemKind::RateLimitExceeded, detail, Reason::PasswordTries);
    Err(problem.with(RETRY_AFTER, seconds.to_string()))
}

fn busy() -> Problem {
    let detail = "The gateway verifies too many passwords at once. Try again shortly.";
    Problem::new(ProblemKind::Overloaded, detail, Reason::PasswordsBusy).with(RETRY_AFTER, "1")
}

fn away(why: String) -> Problem {
    let detail = "The gateway cannot verify passwords right now. Try again shortly.";
    let reason = Reason::PasswordsAway { text: Local(why.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}

/// If the cell of the tries is full.
const RETRY_S: u64 = 60;
