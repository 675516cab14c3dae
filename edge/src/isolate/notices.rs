//! Notices of limits: collected by exchanges, sent after replies, tried again, bounded.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tollgate_core::bounds::{NOTICE_ATTEMPTS_MAX, NOTICE_POSTS_MAX, NOTICES_AT_ONCE_MAX};
use tollgate_core::event::{Events, Reason};
use tollgate_core::fetch::{AddressRule, FetchBounds, FetchRequest};
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::{NoticeCaller, NoticeReceiver, Reached, signatures};
use tollgate_core::telemetry::{NoticeOutcome, event_line};
use tollgate_core::time::MonotonicInstant;

use super::Isolate;
use super::secrets::resolve_all;
use crate::apart::together;
use crate::ports::{Clock, Entropy, Fetch, Host, TelemetrySink};

/// The notices that no receiver has yet.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    queue: VecDeque<Notice>,
    /// The ids of the last ones, so that an isolate that is told twice tells once.
    known: VecDeque<String>,
    /// The receivers that do not answer.
    away: Vec<Away>,
    /// When each that is being sent was taken out. The platform may end the work after a reply, so it counts for [`CLAIM_MS`].
    in_flight: Vec<MonotonicInstant>,
    outcomes: Vec<(PolicyName, NoticeOutcome)>,
}

/// What one receiver is told.
#[derive(Debug)]
struct Notice {
    url: String,
    limit: PolicyName,
    id: String,
    content: String,
    /// How many exchanges have tried to send it.
    tried: u32,
}

/// A receiver that does not answer, or wants no notices.
#[derive(Debug)]
struct Away {
    url: String,
    failures: u32,
    /// Absent: for ever.
    until: Option<MonotonicInstant>,
}

/// What a receiver said.
enum Answer {
    Received,
    Failed(String),
    Gone,
}

impl Notices {
    /// Whether there is something to send.
    pub(crate) fn are_some(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What became of notices since the last call.
    pub(crate) fn take_outcomes(&mut self) -> Vec<(PolicyName, NoticeOutcome)> {
        std::mem::take(&mut self.outcomes)
    }

    /// Adds a notice. If there are too many, the oldest one of the limit that has most makes room, and is returned: a flood of one limit
    /// drops no notices of others.
    fn add(&mut self, notice: Notice) -> Option<Notice> {
        self.queue.push_back(notice);
        if self.queue.len() <= QUEUE_MAX {
            return None;
        }
        let waiting = |limit: &PolicyName| self.queue.iter().filter(|notice| notice.limit == *limit).count();
        let most = self.queue.iter().map(|notice| waiting(&notice.limit)).max();
        let oldest = self.queue.iter().position(|notice| Some(waiting(&notice.limit)) == most)?;
        self.queue.remove(oldest)
    }

    /// Whether it is the first time that something with this id is told.
    fn is_new(&mut self, id: &str) -> bool {
        if self.known.iter().any(|known| known == id) {
            return false;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back(id.to_owned());
        true
    }

    /// Forgets what is for other receivers than these.
    fn keep(&mut self, receivers: &[NoticeReceiver]) {
        let is_known = |url: &str| receivers.iter().any(|receiver| receiver.url == url);
        self.queue.retain(|notice| is_known(&notice.url));
        self.away.retain(|away| is_known(&away.url));
    }

    /// Takes out what can be sent now, as many as this at most.
    fn claim(&mut self, now: MonotonicInstant, most: usize) -> Vec<Notice> {
        self.in_flight.retain(|since| now.millis_since(*since) < CLAIM_MS);
        let mut claimed = Vec::new();
        let mut at = 0;
        while at < self.queue.len() && claimed.len() < most && self.in_flight.len() < IN_FLIGHT_MAX {
            let url = &self.queue[at].url;
            if self.away.iter().any(|away| away.url == *url && away.until.is_none_or(|until| now < until)) {
                at += 1;
            } else if let Some(notice) = self.queue.remove(at) {
                self.in_flight.push(now);
                claimed.push(notice);
            }
        }
        claimed
    }

    /// Learns whether a receiver answers.
    fn learn(&mut self, url: &str, answer: &Answer, now: MonotonicInstant, jitter: u64) {
        let known = self.away.iter().position(|away| away.url == url);
        match (answer, known) {
            (Answer::Received, Some(at)) => drop(self.away.swap_remove(at)),
            (Answer::Received, None) => {}
            (Answer::Failed(_) | Answer::Gone, _) => {
                let known = known.map(|at| self.away.swap_remove(at));
                let failures = known.map_or(0, |away| away.failures) + 1;
                let wait_ms = jittered((PAUSE_MS << failures.min(7)).min(PAUSE_MS_MAX), jitter);
                let until = matches!(answer, Answer::Failed(_)).then(|| now.plus_millis(wait_ms));
                self.away.push(Away { url: url.to_owned(), failures, until });
            }
        }
    }
}

/// Collects what an exchange has to tell, for each receiver.
pub(crate) fn collect<H: Host>(
    isolate: &Isolate,
    host: &H,
    (reached, of_caller): (&[Reached], &[(PolicyName, bool)]),
    events: &Events,
) {
    let Some(gateway) = isolate.config.gateway().filter(|gateway| !gateway.notify.is_empty()) else { return };
    let subscription = events.as_slice().iter().find_map(|event| match &event.reason {
        Reason::Subscribed { subscription, .. } => Some(&**subscription),
        _ => None,
    });
    let caller = events.principal().filter(|principal| !principal.is_anonymous);
    let caller_of = |limit: &PolicyName| {
        let (_, of_credential) = of_caller.iter().find(|(name, _)| name == limit)?;
        caller.map(|of| NoticeCaller {
            consumer: &of.consumer,
            plan: events.plan(),
            subscription,
            credential: of_credential.then_some(&*of.credential),
        })
    };
    for reached in reached {
        let id = reached.id(&gateway.name);
        if !isolate.notices.borrow_mut().is_new(&id) {
            continue;
        }
        let content = reached.content(&gateway.name, caller_of(&reached.limit));
        for NoticeReceiver { url, .. } in &gateway.notify {
            let (id, content) = (id.clone(), content.clone());
            let notice = Notice { url: url.clone(), limit: reached.limit.clone(), id, content, tried: 0 };
            let oldest = isolate.notices.borrow_mut().add(notice);
            if let Some(oldest) = oldest {
                tell(isolate, host, &oldest, NoticeOutcome::Dropped, "more notices wait than there is room for");
            }
        }
    }
}

/// Sends what waits, a few at a time, until nothing does; what fails, and what there is no time for, is left to a later exchange.
pub(crate) async fn deliver<H: Host>(isolate: &Isolate, host: &H) {
    if !isolate.notices.borrow().are_some() {
        return;
    }
    let Some(gateway) = isolate.config.gateway() else { return };
    isolate.notices.borrow_mut().keep(&gateway.notify);
    let timeout_ms = gateway.notify.iter().map(|receiver| u64::from(receiver.timeout_ms)).max().unwrap_or(0);
    let round_ms = (timeout_ms + RETRY_MS * 4) * u64::from(NOTICE_ATTEMPTS_MAX);
    let (begun, mut posts) = (host.clock().instant(), 0);
    loop {
        let now = host.clock().instant();
        // The first time, whatever it takes.
        if posts > 0 && now.millis_since(begun) + round_ms > CLAIM_MS {
            return;
        }
        let most = (NOTICE_POSTS_MAX - posts) / NOTICE_ATTEMPTS_MAX;
        let claimed = isolate.notices.borrow_mut().claim(now, NOTICES_AT_ONCE_MAX.min(most as usize));
        if claimed.is_empty() {
            return;
        }
        posts += attempt(isolate, host, claimed).await;
    }
}

/// Sends some notices at once, each with some attempts; returns how many requests that took.
async fn attempt<H: Host>(isolate: &Isolate, host: &H, mut left: Vec<Notice>) -> u32 {
    let (claimed, mut posts) = (left.len(), 0);
    for attempt in 1..=NOTICE_ATTEMPTS_MAX {
        posts += u32::try_from(left.len()).unwrap_or(u32::MAX);
        let answers = together(left.iter().map(|notice| send(isolate, host, notice))).await;
        let mut failed = Vec::new();
        for (notice, answer) in left.into_iter().zip(answers) {
            if let Some(reason) = settle(isolate, host, &notice, answer, attempt == NOTICE_ATTEMPTS_MAX) {
                failed.push((notice, reason));
            }
        }
        if failed.is_empty() || attempt == NOTICE_ATTEMPTS_MAX {
            failed.into_iter().for_each(|(notice, reason)| put_back(isolate, host, notice, &reason));
            break;
        }
        left = failed.into_iter().map(|(notice, _)| notice).collect();
        host.clock().sleep(jittered(RETRY_MS << (2 * (attempt - 1)), random(host))).await;
    }
    let mut notices = isolate.notices.borrow_mut();
    let still = notices.in_flight.len().saturating_sub(claimed);
    notices.in_flight.truncate(still);
    posts
}

/// Takes an answer; returns why the notice is to be sent again, if it is.
fn settle<H: Host>(isolate: &Isolate, host: &H, notice: &Notice, answer: Answer, is_last: bool) -> Option<String> {
    if is_last || !matches!(answer, Answer::Failed(_)) {
        let (now, jitter) = (host.clock().instant(), random(host));
        isolate.notices.borrow_mut().learn(&notice.url, &answer, now, jitter);
    }
    match answer {
        Answer::Received => tell(isolate, host, notice, NoticeOutcome::Delivered, ""),
        Answer::Gone => {
            let reason = "the receiver answered 410: this isolate sends it no more notices";
            tell(isolate, host, notice, NoticeOutcome::Dropped, reason);
            let mut others = Vec::new();
            isolate.notices.borrow_mut().queue.retain_mut(|other| {
                let is_of_it = other.url == notice.url;
                if is_of_it {
                    others.push((other.limit.clone(), NoticeOutcome::Dropped));
                }
                !is_of_it
            });
            isolate.notices.borrow_mut().outcomes.extend(others);
        }
        Answer::Failed(reason) => return Some(reason),
    }
    None
}

/// Keeps a notice for a later exchange, unless it was tried often enough.
fn put_back<H: Host>(isolate: &Isolate, host: &H, mut notice: Notice, reason: &str) {
    notice.tried += 1;
    if notice.tried >= TRIED_MAX {
        return tell(isolate, host, &notice, NoticeOutcome::Dropped, reason);
    }
    tell(isolate, host, &notice, NoticeOutcome::Failed, reason);
    let oldest = isolate.notices.borrow_mut().add(notice);
    if let Some(oldest) = oldest {
        tell(isolate, host, &oldest, NoticeOutcome::Dropped, "more notices wait than there is room for");
    }
}

async fn send<H: Host>(isolate: &Isolate, host: &H, notice: &Notice) -> Answer {
    let gateway = isolate.config.gateway();
    let receiver = gateway.iter().flat_map(|gateway| &gateway.notify).find(|receiver| receiver.url == notice.url);
    let (Some(receiver), Ok(url)) = (receiver, notice.url.parse::<Uri>()) else {
        return Answer::Failed("the receiver is not configured any more".to_owned());
    };
    // Anyone on the way could read what is told.
    if url.scheme_str() != Some("https") && !receiver.is_private {
        return Answer::Failed("the URL is not one of https".to_owned());
    }
    let Ok(Some(secrets)) = resolve_all(isolate, host, &receiver.secret).await else {
        return Answer::Failed("the secret has no value on this host".to_owned());
    };
    let now = host.clock().now();
    let Some(signed) = signatures(&secrets, &notice.id, now, &notice.content) else {
        return Answer::Failed("the secret is not `whsec_` with the base64 of 16 bytes or more".to_owned());
    };
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let timestamp = now.as_secs().to_string();
    for (name, text) in [("webhook-id", &notice.id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signed)]
    {
        if let Ok(value) = HeaderValue::from_str(text) {
            fields.insert(name, value);
        }
    }
    let request = FetchRequest { method: Method::POST, url, fields, content: Bytes::from(notice.content.clone()) };
    let bounds = FetchBounds {
        timeout_ms: receiver.timeout_ms.into(),
        answer_bytes_max: ANSWER_BYTES_MAX,
        addresses: AddressRule::with_private(receiver.is_private),
    };
    match host.fetch().fetch(&request, &bounds).await {
        Ok(answer) if answer.status.is_success() => Answer::Received,
        Ok(answer) if answer.status == StatusCode::GONE => Answer::Gone,
        Ok(answer) => Answer::Failed(["the receiver answered ", answer.status.as_str()].concat()),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// Says what became of a notice. The receiver is named by its host, because a URL may have a secret.
fn tell<H: Host>(isolate: &Isolate, host: &H, notice: &Notice, outcome: NoticeOutcome, reason: &str) {
    let level = if outcome == NoticeOutcome::Delivered { "info" } else { "warn" };
    let receiver = notice.url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
    let line = event_line(host.clock().now(), level, outcome.word(), &isolate.settings.gateway, |line| {
        line.text("policy", &notice.limit);
        line.word("notice", &notice.id);
        line.text("receiver", receiver.unwrap_or_default());
        if !reason.is_empty() {
            line.text("reason", reason);
        }
    });
    host.telemetry_sink().log(&line);
    let mut notices = isolate.notices.borrow_mut();
    if notices.outcomes.len() < OUTCOMES_MAX {
        notices.outcomes.push((notice.limit.clone(), outcome));
    }
}

fn random<H: Host>(host: &H) -> u64 {
    let mut bytes = [0; 2];
    host.entropy().fill(&mut bytes);
    u16::from_le_bytes(bytes).into()
}

/// Between half and one and a half times a wait.
const fn jittered(ms: u64, random: u64) -> u64 {
    ms / 2 + ms * random / 0xffff
}

/// Maximum number of notices that wait in an isolate: a message has some hundred bytes.
const QUEUE_MAX: usize = 64;

/// Maximum number of notices of an isolate that are in flight: several exchanges send some each.
const IN_FLIGHT_MAX: usize = 4 * NOTICES_AT_ONCE_MAX;

/// How many ids of notices an isolate remembers.
const KNOWN_MAX: usize = 256;

/// Maximum number of outcomes between two exchanges.
const OUTCOMES_MAX: usize = 256;

/// The wait before the second attempt; before the third it is four times as long.
const RETRY_MS: u64 = 500;

/// How long a receiver that fails is left alone: twice as long each time.
const PAUSE_MS: u64 = 15_000;
const PAUSE_MS_MAX: u64 = 1_800_000;

/// Exchanges that try to send a notice: together several hours.
const TRIED_MAX: u32 = 12;

/// Work after a reply ends after 30 s on Workers.
const CLAIM_MS: u64 = 30_000;

/// What a receiver answers is not used.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
