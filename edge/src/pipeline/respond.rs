//! respond: adds the gateway's own fields to the response; a problem becomes a problem document.

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method};
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::forward::Reply;

use super::exchange::{Answer, Journal, ToStore};
use super::settle;
use super::step::{End, Step};
use crate::ports::{Clock, Content, Delivery, Host};
use crate::problems::{REQUEST_ID, problem_response};

/// The work that remains for a response while it is being sent.
pub(super) struct AfterReply<C: Content, D> {
    pub(super) to_store: Vec<ToStore<C>>,
    pub(super) delivery: D,
}

pub(super) fn respond<H: Host>(
    host: &H,
    outcome: Step<Answer<H::Content>, H::Content>,
    journal: &mut Journal,
) -> (Reply<H::Content>, AfterReply<H::Content, impl Future<Output = Delivery> + use<H> + 'static>) {
    if !matches!(outcome, Err(End::Refuse(_))) {
        journal.undos.clear();
    }
    let Answer { mut reply, to_store } = match outcome {
        Ok(answer) => answer,
        Err(End::Answer(answer)) => *answer,
        Err(End::Refuse(problem)) => {
            journal.events.end_with(&problem);
            let problem = journal.quotas.postponed(problem);
            let is_head = journal.method == Method::HEAD;
            Answer::new(Reply::own(problem_response(problem, journal.request_id.as_str(), is_head)))
        }
    };
    let counts_bytes = settle::counts_response(journal);
    if !journal.settlements.is_empty() {
        settle::show(journal, reply.status().as_u16());
    }
    add_fields(&mut reply, journal);
    let has_content = !reply.content().is_empty();
    let reply = reply.as_status_allows(has_content, H::Content::empty);
    journal.status = reply.status().as_u16();
    journal.answered = host.clock().instant();
    journal.note(Phase::Respond, Verdict::Pass, Reason::Answered { status: journal.status });
    let (reply, delivery) = reply.observed(|content| content.watched(counts_bytes));
    (reply, AfterReply { to_store, delivery })
}

fn add_fields<C>(reply: &mut Reply<C>, journal: &mut Journal) {
    let edits = reply.edits_mut();
    journal.quotas.add_fields(edits, &mut journal.texts, journal.started);
    edits.set_some(REQUEST_ID, journal.request_id_value.clone());
    if let Some(cookie) = journal.cookie.take() {
        edits.append(SET_COOKIE, *cookie);
        // A shared cache must not give it to others.
        edits.set(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(outcome) = journal.events.cache()
        && let Ok(value) = HeaderValue::from_str(&outcome.field(journal.resource.as_ref().map(|r| r.as_str())))
    {
        edits.append(HeaderName::from_static(CACHE_STATUS), value);
    }
}

/// RFC 9211.
const CACHE_STATUS: &str = "cache-status";
