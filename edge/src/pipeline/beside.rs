//! A charge beside other work: the request goes on while the owner of its counter is asked, and nobody gets its response before the
//! owner has answered.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use http::Response;
use tollgate_core::authn::Principal;
use tollgate_core::cell::{Charge, Update};
use tollgate_core::event::{Events, Phase, Reason};
use tollgate_core::forward::Outbound;
use tollgate_core::limit::Measure;
use tollgate_core::problem::{Problem, ProblemKind};

use super::charged::Charged;
use super::charges::charges_of;
use super::exchange::{Answer, Exchange, Journal};
use super::limit::{Limits, charge_all, observe};
use super::look_up::{self, CacheUse};
use super::step::Step;
use super::{forward, outbound, settle, store};
use crate::isolate::Isolate;
use crate::ports::Host;
use crate::timeout::Later;

/// A charge whose answer is not there yet.
pub(super) struct Beside<'a> {
    limits: Limits<'a>,
    asked: Asked<'a>,
    /// Whether these are the limits that refuse nothing.
    are_observed: bool,
}

enum Asked<'a> {
    Waits(Later<'a, Charged<'a>>),
    Answered(Box<Charged<'a>>),
}

impl Limits<'_> {
    /// Whether the request goes on while these owners are asked: if each limit that they are asked for says so.
    pub(super) fn go_on(&self, updates: &[Update]) -> bool {
        let is_beside = |charge: &Charge| self.policy(&charge.quota).is_some_and(|policy| policy.counting().beside);
        !updates.is_empty()
            && self.phase == Phase::Limit
            && self.policies().any(|named| named.policy.counting().beside)
            && updates.iter().flat_map(charges_of).all(is_beside)
    }

    /// Whether one of them, whose cost is settled after the reply, counts the bytes of the request's content.
    fn counts_request(&self, journal: &Journal) -> bool {
        let of = |measure: &Measure| *measure == Measure::RequestBytes;
        journal.request_bytes.is_none()
            && self.policies().any(|named| named.policy.counting().cost.as_ref().is_some_and(|cost| of(&cost.of)))
    }
}

/// Asks the owner, and returns what it says at once, as one in this process may, or otherwise what is waited for.
pub(super) async fn begun<'a, H: Host>(
    host: &H,
    mut asked: Later<'a, Charged<'a>>,
) -> Result<Charged<'a>, Later<'a, Charged<'a>>> {
    match poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await {
        Poll::Ready(charged) => Ok(charged),
        Poll::Pending => {
            // Whoever hangs up now would be charged or not, as it happens.
            host.run_to_end();
            Err(asked)
        }
    }
}

/// The phases after the limits, of a request that is charged meanwhile. Whatever they end with, the charge is decided first; what
/// happened is told in the order in which it would have happened otherwise.
pub(super) async fn go_on<'a, H: Host>(
    isolate: &'a Isolate,
    host: &'a H,
    (exchange, principal): (&'a Exchange, Option<&'a Principal>),
    mut content: H::Content,
    mut beside: Box<Beside<'a>>,
    journal: &mut Journal,
) -> Step<Answer<H::Content>, H::Content> {
    let place = journal.events.as_slice().len();
    if beside.limits.counts_request(journal) && journal.request_count.is_none() {
        content = settle::watched(content, journal);
    }
    let is_sent = Cell::new(false);
    let forwarded = async {
        let mut outbound = outbound::outbound(exchange, &content, principal, journal)?;
        let cache = look_up::look_up(isolate, host, exchange, &outbound, principal, journal).await?;
        is_sent.set(true);
        let stale = cache.as_deref().and_then(CacheUse::stale);
        let to = (exchange, principal);
        let response = forward::forward(isolate, host, to, &mut outbound, content, stale, journal).await?;
        Ok((outbound, cache, response))
    };
    let forwarded: Option<Step<Forwarded<'a, H>, H::Content>> = beside.along(forwarded).await;
    let later = journal.events.split_off(place);
    if let Err(problem) = decided(isolate, host, beside, journal).await {
        if is_sent.get() && !matches!(forwarded, Some(Err(_))) {
            // The upstream may have received it.
            journal.undos.clear();
        }
        if let Some(Ok((.., response))) = &forwarded {
            store::changed(isolate, host, response.status(), journal).await;
        }
        note_calls(&later, journal);
        return Err(problem.into());
    }
    journal.events.append(later);
    // Only a refusal that is known cuts a call short, and a refusal it stays.
    let cut = || Problem::plain(ProblemKind::Internal, "The gateway failed to handle this request.");
    let (outbound, cache, response) = forwarded.unwrap_or_else(|| Err(cut().into()))?;
    if !journal.settlements.is_empty() {
        settle::read(journal, response.headers(), response.body());
    }
    Ok(store::store(isolate, host, exchange, &outbound, response, cache.map(|cache| *cache), journal).await)
}

/// What is stored and passed on once the charge is decided.
type Forwarded<'a, H> = (Outbound<'a>, Option<Box<CacheUse<'a, <H as Host>::Content>>>, Response<<H as Host>::Content>);

impl<'a> Beside<'a> {
    pub(super) fn new(limits: Limits<'a>, asked: Later<'a, Charged<'a>>, are_observed: bool) -> Box<Self> {
        Box::new(Self { limits, asked: Asked::Waits(asked), are_observed })
    }

    /// What other work results in, while the owner is asked; `None` if the owner refuses before.
    async fn along<T>(&mut self, other: impl Future<Output = T>) -> Option<T> {
        let mut other = pin!(other);
        poll_fn(
            |context| {
                if self.refuses(context) { Poll::Ready(None) } else { other.as_mut().poll(context).map(Some) }
            },
        )
        .await
    }

    /// Whether the owner has refused the request.
    fn refuses(&mut self, context: &mut Context<'_>) -> bool {
        let Asked::Waits(asked) = &mut self.asked else { return false };
        let Poll::Ready(charged) = asked.as_mut().poll(context) else { return false };
        let refuses = !self.are_observed && charged.refuses(&self.limits);
        self.asked = Asked::Answered(Box::new(charged));
        refuses
    }
}

/// Waits for the answer and decides by it; then charges what is only observed, and waits for that.
async fn decided<'a, H: Host>(
    isolate: &'a Isolate,
    host: &'a H,
    beside: Box<Beside<'a>>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let mut next = Some(beside);
    while let Some(beside) = next {
        let Beside { limits, asked, are_observed } = *beside;
        let charged = match asked {
            Asked::Waits(asked) => Box::new(asked.await),
            Asked::Answered(charged) => charged,
        };
        next = if are_observed {
            observe(isolate, host, &limits, Some(charged), journal).await;
            None
        } else {
            charge_all(isolate, host, limits, Some(charged), journal).await?
        };
    }
    Ok(())
}

/// Of what happened to a request that is refused now, only the calls to its upstream matter.
fn note_calls(events: &Events, journal: &mut Journal) {
    for event in events.as_slice() {
        if let Reason::Called { .. } = event.reason {
            journal.note(event.phase, event.verdict, event.reason.clone());
        }
    }
}
