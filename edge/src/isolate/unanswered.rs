//! What owners of counters were told after replies and did not answer: it is sent again, by one exchange for all of the isolate.

use std::collections::VecDeque;

use tollgate_core::cell::Update;
use tollgate_core::limit::Fault;
use tollgate_core::time::MonotonicInstant;

use super::Isolate;
use crate::apart::together;
use crate::ports::{Clock, Host};
use crate::timeout::counted;

/// The updates that no owner has answered.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    waiting: VecDeque<Waiting>,
    /// When an exchange began to send them. The platform may have ended it, so that this is valid for [`CLAIM_MS`].
    claimed: Option<MonotonicInstant>,
}

#[derive(Debug)]
struct Waiting {
    update: Update,
    since: MonotonicInstant,
}

impl Unanswered {
    /// Whether there are some.
    pub(crate) fn are_some(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds updates, whose ids make a repetition harmless. The oldest make room.
    pub(crate) fn add(&mut self, updates: Vec<Update>, now: MonotonicInstant) {
        for update in updates {
            if self.waiting.len() >= WAITING_MAX {
                self.waiting.pop_front();
            }
            self.waiting.push_back(Waiting { update, since: now });
        }
    }

    /// Claims to send them, unless another exchange does.
    fn claims(&mut self, now: MonotonicInstant) -> bool {
        let is_free = self.claimed.is_none_or(|since| now.millis_since(since) >= CLAIM_MS);
        if is_free && self.are_some() {
            self.claimed = Some(now);
        }
        is_free && self.are_some()
    }

    /// Takes out some of the first that are not too old.
    fn take(&mut self, now: MonotonicInstant) -> Vec<Waiting> {
        let count = self.waiting.len().min(AT_ONCE);
        self.waiting.drain(..count).filter(|one| now.millis_since(one.since) < KEPT_MS).collect()
    }
}

/// Sends what waits again and again, until the owners answer or it is too late.
pub(crate) async fn send_again<H: Host>(isolate: &Isolate, host: &H) {
    let claims = isolate.unanswered.borrow_mut().claims(host.clock().instant());
    if !claims {
        return;
    }
    for wait_ms in WAITS_MS {
        host.clock().sleep(wait_ms).await;
        let mut rest = isolate.unanswered.borrow().waiting.len();
        while rest > 0 {
            rest = rest.saturating_sub(AT_ONCE);
            let some = isolate.unanswered.borrow_mut().take(host.clock().instant());
            let count = some.len();
            let sent = some.into_iter().map(|one| async move {
                let is_answered = answers(host, &one.update).await;
                (!is_answered).then_some(one)
            });
            let unanswered: Vec<Waiting> = together(sent).await.into_iter().flatten().collect();
            // The others would hardly be answered now.
            if count > 0 && unanswered.len() == count {
                rest = 0;
            }
            isolate.unanswered.borrow_mut().waiting.extend(unanswered);
        }
        if !isolate.unanswered.borrow().are_some() {
            break;
        }
    }
    isolate.unanswered.borrow_mut().claimed = None;
}

/// Sends updates, all concurrently, and returns those whose owners did not answer.
pub(crate) async fn sent<H: Host>(host: &H, updates: impl Iterator<Item = Update>) -> Vec<Update> {
    let sent = updates.map(|update| async move {
        let is_answered = answers(host, &update).await;
        (!is_answered).then_some(update)
    });
    together(sent).await.into_iter().flatten().collect()
}

async fn answers<H: Host>(host: &H, update: &Update) -> bool {
    counted(host, update).await.err().is_none_or(|fault| fault.kind() != Fault::Unavailable)
}

/// The delays before attempts: together less than the 30 s that Workers leave for work after a reply.
const WAITS_MS: [u64; 5] = [1_000, 2_000, 4_000, 8_000, 8_000];

/// How long a claim is valid at least: Workers end the work after a reply after 30 s.
const CLAIM_MS: u64 = 30_000;

/// How long an update is of use: what it takes back is hardly known for longer.
const KEPT_MS: u64 = 30_000;

/// Maximum number of updates that wait: those of a busy isolate in a second, of some hundred bytes each.
const WAITING_MAX: usize = 1_024;

/// Sent at once.
const AT_ONCE: usize = 64;
