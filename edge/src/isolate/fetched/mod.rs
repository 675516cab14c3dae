//! The cache of answers that the gateway itself fetched: fresh, stale and negative.
//!
//! An isolate keeps answers in memory and shares successful ones through the record store, so that a new isolate need
//! not fetch. A stale answer is used while a newer one is fetched after the reply. Requests share data only: each
//! awaits its own promise or timer, because on Workers one request cannot use the I/O of another.

mod claim;
mod memory;

use std::ops::Deref;
use std::rc::Rc;

use http::Uri;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName};
use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest, Freshness, Lifetimes};
use tollgate_core::jose::{JwkSet, Members, Value};
use tollgate_kv_schemas::{FetchedRecord, Id, keys};

use claim::Claim;
pub(crate) use memory::Fetches;
use memory::Step;

use super::Isolate;
use crate::ports::{Clock, Fetch, Host, Records};
use crate::timeout::{STORE_TIMEOUT_MS, record};

/// A request to fetch, and how long its answer is used.
#[derive(Clone, Debug)]
pub struct FetchPlan {
    id: Id,
    request: FetchRequest,
    bounds: FetchBounds,
    lifetimes: Lifetimes,
    sharing: Sharing,
    expects: Expects,
}

/// What an answer must be; another one is a failure, so that it neither replaces a usable answer nor is shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expects {
    /// Anything.
    #[default]
    Anything,
    /// A set of keys, one of which can be used.
    Keys,
    /// The metadata of this issuer, with the URL of a service (OpenID Connect Discovery 1.0, section 4.3; RFC 8414, section 3.3).
    Metadata(String),
}

/// An answer with what it says, which is read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usable {
    answer: FetchAnswer,
    pub(crate) meaning: Meaning,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing that is read here.
    Content,
    /// These are the keys.
    Keys(Rc<JwkSet>),
    /// The services of an issuer are there.
    Services(Rc<Services>),
}

/// The URLs of an issuer's services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Services {
    /// Its keys.
    pub(crate) keys: Option<Uri>,
    /// Its introspection endpoint.
    pub(crate) introspection: Option<Uri>,
    /// Where people log in.
    pub(crate) authorization: Option<Uri>,
    /// Its token endpoint.
    pub(crate) token: Option<Uri>,
    /// Where people log out.
    pub(crate) end_session: Option<Uri>,
    /// Whether its answers to browsers say who it is (RFC 9207, section 3).
    pub(crate) says_issuer: bool,
}

impl Usable {
    const fn unread(answer: FetchAnswer) -> Self {
        Self { answer, meaning: Meaning::Content }
    }
}

impl Deref for Usable {
    type Target = FetchAnswer;

    fn deref(&self) -> &FetchAnswer {
        &self.answer
    }
}

impl Expects {
    /// The answer with what it says; `None` if it is not what is expected.
    fn read(&self, answer: FetchAnswer) -> Option<Usable> {
        let meaning = match self {
            Self::Anything => Some(Meaning::Content),
            Self::Keys => {
                // An issuer without keys has withdrawn them.
                JwkSet::parse(&answer.content).ok().map(|set| Meaning::Keys(Rc::new(set)))
            }
            Self::Metadata(issuer) => services(&answer, issuer).map(|found| Meaning::Services(Rc::new(found))),
        };
        meaning.map(|meaning| Usable { answer, meaning })
    }
}

/// Where the services of an issuer are, if the answer is its metadata and names one.
fn services(answer: &FetchAnswer, issuer: &str) -> Option<Services> {
    let metadata = Members::parse(&answer.content).ok().filter(|metadata| metadata.text("issuer") == Some(issuer))?;
    let url = |name: &str| metadata.text(name)?.parse().ok();
    let services = Services {
        keys: url("jwks_uri"),
        introspection: url("introspection_endpoint"),
        authorization: url("authorization_endpoint"),
        token: url("token_endpoint"),
        end_session: url("end_session_endpoint"),
        says_issuer: metadata.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
    };
    (services.keys.is_some() || services.introspection.is_some()).then_some(services)
}

/// Which isolates may use an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The isolate that fetched it.
    Isolate,
    /// All isolates of the gateway, through the record store.
    Gateway,
}

/// The result of a fetch: an answer of any status (without content if it is not successful), or why there is none.
pub type Outcome = Result<Rc<Usable>, FetchError>;

/// An outcome, and the work after the reply.
#[derive(Debug)]
pub struct Fetched {
    /// The outcome.
    pub outcome: Outcome,
    /// Run it after the reply; if it is dropped, the next request does the same.
    pub after_reply: Option<AfterReply>,
}

/// Work after the reply.
#[derive(Debug)]
pub struct AfterReply {
    plan: Rc<FetchPlan>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Fetch it again.
    Refresh,
    /// Share it with the other isolates.
    Share(Rc<Usable>),
}

impl FetchPlan {
    /// A plan; plans with the same request, bounds, sharing and expectation share an answer. Plans with other bounds do not: a plan
    /// must not get an answer that only another plan may reach or read, and a refusal by the bounds of one plan does
    /// not apply to another.
    #[must_use]
    pub fn new(request: FetchRequest, bounds: FetchBounds, lifetimes: Lifetimes, sharing: Sharing) -> Self {
        let expects = Expects::Anything;
        Self { id: id_of(&request, &bounds, sharing, &expects), request, bounds, lifetimes, sharing, expects }
    }

    /// The same plan, with what its answer must be.
    #[must_use]
    pub fn expecting(self, expects: Expects) -> Self {
        Self { id: id_of(&self.request, &self.bounds, self.sharing, &expects), expects, ..self }
    }

    /// What its answer is remembered and shared under.
    #[must_use]
    pub const fn id(&self) -> Id {
        self.id
    }
}

/// The answer of a plan: from memory, from the record store, or fetched.
///
/// While another request fetches it this one waits, for as long as one attempt may take.
pub async fn fetched<H: Host>(isolate: &Isolate, host: &H, plan: &Rc<FetchPlan>) -> Fetched {
    let began = host.clock().instant();
    let claim = loop {
        let now = host.clock().instant();
        let step = isolate.fetches.borrow().step(plan.id, &plan.lifetimes, now);
        match step {
            Step::Use(outcome) => return plan.fetched(outcome, None),
            Step::UseAndRefresh(answer) => return plan.fetched(Ok(answer), Some(Work::Refresh)),
            Step::Fetch => break Claim::take(isolate, plan.id, LOOK_MS, now),
            Step::Wait if now.millis_since(began) < plan.attempt_ms() => host.clock().sleep(POLL_MS).await,
            Step::Wait => return plan.fetched(Err(FetchError::Timeout), None),
        }
    };
    if let Some((answer, age_us)) = shared(isolate, host, plan).await {
        isolate.fetches.borrow_mut().put_answer(plan.id, Rc::clone(&answer), age_us, host.clock().instant());
        let is_stale = plan.lifetimes.of_answer(age_us) == Freshness::Stale;
        return plan.fetched(Ok(answer), is_stale.then_some(Work::Refresh));
    }
    let outcome = fetch(isolate, host, plan, claim).await;
    let share = plan.shareable(&outcome).map(Work::Share);
    plan.fetched(outcome, share)
}

/// An answer that is younger than `age_ms`: the one in memory, or a new one. `None` if another request fetches it and does
/// not finish in time.
///
/// What other isolates shared is read after a failure only, and then found in memory: what is looked for may be newer. After a
/// failure nothing is fetched for the same time.
pub(crate) async fn renewed<H: Host>(
    isolate: &Isolate,
    host: &H,
    plan: &Rc<FetchPlan>,
    age_ms: u64,
) -> Option<Fetched> {
    let began = host.clock().instant();
    let lifetimes = Lifetimes { fresh_ms: age_ms, stale_ms: 0, negative_ms: age_ms };
    let claim = loop {
        let now = host.clock().instant();
        let step = isolate.fetches.borrow().step(plan.id, &lifetimes, now);
        match step {
            Step::Use(outcome) => return Some(plan.fetched(outcome, None)),
            Step::UseAndRefresh(answer) => return Some(plan.fetched(Ok(answer), None)),
            Step::Fetch => break Claim::take(isolate, plan.id, plan.fetch_ms(), now),
            Step::Wait if now.millis_since(began) < plan.attempt_ms() => host.clock().sleep(POLL_MS).await,
            Step::Wait => return None,
        }
    };
    let outcome = fetch(isolate, host, plan, claim).await;
    let share = plan.shareable(&outcome).map(Work::Share);
    if share.is_none()
        && let Some((shared, age_us)) = shared(isolate, host, plan).await
    {
        // Another isolate may have asked while the server answered. That it does not, remains known.
        isolate.fetches.borrow_mut().put_newer(plan.id, shared, age_us, host.clock().instant());
    }
    Some(plan.fetched(outcome, share))
}

impl AfterReply {
    /// Whether it is for the same answer.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.plan.id == other.plan.id && std::mem::discriminant(&self.work) == std::mem::discriminant(&other.work)
    }

    /// Does the remaining work; call it after the reply.
    pub async fn run<H: Host>(self, isolate: &Isolate, host: &H) {
        let Self { plan, work } = self;
        let answer = match work {
            Work::Share(answer) => Some(answer),
            Work::Refresh => refresh(isolate, host, &plan).await,
        };
        if let Some(answer) = answer {
            share(isolate, host, &plan, &answer).await;
        }
    }
}

impl FetchPlan {
    fn fetched(self: &Rc<Self>, outcome: Outcome, work: Option<Work>) -> Fetched {
        Fetched { outcome, after_reply: work.map(|work| AfterReply { plan: Rc::clone(self), work }) }
    }

    /// The answer to share with the other isolates of the gateway, if it is one.
    fn shareable(&self, outcome: &Outcome) -> Option<Rc<Usable>> {
        let answer = outcome.as_ref().ok().filter(|answer| Lifetimes::is_success(answer))?;
        (self.sharing == Sharing::Gateway).then(|| Rc::clone(answer))
    }

    /// The maximum time of a fetch; after that the platform has ended it.
    const fn fetch_ms(&self) -> u64 {
        self.bounds.timeout_ms.saturating_add(MARGIN_MS)
    }

    /// The maximum time of a request in total.
    const fn attempt_ms(&self) -> u64 {
        self.fetch_ms().saturating_add(LOOK_MS)
    }
}

/// The answer that another isolate shared, if it is usable, and its age in microseconds; one that cannot be read is ignored.
async fn shared<H: Host>(isolate: &Isolate, host: &H, plan: &FetchPlan) -> Option<(Rc<Usable>, u64)> {
    if plan.sharing == Sharing::Isolate {
        return None;
    }
    let key = keys::fetched(&isolate.settings.gateway, &plan.id);
    let bytes = record(host, &key).await.ok()??;
    let record = FetchedRecord::decode(bytes).ok()?;
    let age_us = plan.lifetimes.age_us(record.fetched_at, host.clock().now())?;
    if plan.lifetimes.of_answer(age_us) == Freshness::Gone {
        return None;
    }
    Some((Rc::new(plan.expects.read(record.answer)?), age_us))
}

/// Fetches again, unless another request with the stale answer does or did; returns the answer to share.
///
/// If it fails, the stale answer is used until it expires, and the failure is cached for its time.
async fn refresh<H: Host>(isolate: &Isolate, host: &H, plan: &FetchPlan) -> Option<Rc<Usable>> {
    let now = host.clock().instant();
    let step = isolate.fetches.borrow().step(plan.id, &plan.lifetimes, now);
    match step {
        Step::UseAndRefresh(_) | Step::Fetch => {
            let claim = Claim::take(isolate, plan.id, plan.fetch_ms(), now);
            plan.shareable(&fetch(isolate, host, plan, claim).await)
        }
        Step::Use(_) | Step::Wait => None,
    }
}

/// Fetches, and caches the result.
async fn fetch<H: Host>(isolate: &Isolate, host: &H, plan: &FetchPlan, mut claim: Claim<'_>) -> Outcome {
    claim.extend(plan.fetch_ms(), host.clock().instant());
    let outcome = host.fetch().fetch(&plan.request, &plan.bounds).await.and_then(|mut answer| {
        answer.fields = kept_fields(&answer.fields);
        if !Lifetimes::is_success(&answer) {
            answer.content.clear();
            return Ok(Rc::new(Usable::unread(answer)));
        }
        plan.expects.read(answer).map(Rc::new).ok_or(FetchError::Unusable)
    });
    let now = host.clock().instant();
    let mut fetches = isolate.fetches.borrow_mut();
    match &outcome {
        Ok(answer) if Lifetimes::is_success(answer) => fetches.put_answer(plan.id, Rc::clone(answer), 0, now),
        failure => fetches.put_failure(plan.id, failure.clone(), now),
    }
    outcome
}

async fn share<H: Host>(isolate: &Isolate, host: &H, plan: &FetchPlan, answer: &Usable) {
    let record = FetchedRecord { fetched_at: host.clock().now(), answer: answer.answer.clone() };
    let key = keys::fetched(&isolate.settings.gateway, &plan.id);
    let keep_s = u32::try_from(plan.lifetimes.usable_ms().div_ceil(1_000)).unwrap_or(u32::MAX);
    // If the write is refused or fails, each isolate fetches the answer itself; there is no other effect.
    let _ = host.records().write(&key, &record.encode(), keep_s).await;
}

fn kept_fields(fields: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in KEPT_FIELDS {
        if let Some(value) = fields.get(&name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

fn id_of(request: &FetchRequest, bounds: &FetchBounds, sharing: Sharing, expects: &Expects) -> Id {
    let FetchBounds { timeout_ms, answer_bytes_max, addresses } = bounds;
    let addresses = match addresses {
        AddressRule::Public => "public",
        AddressRule::Any => "any",
    };
    let sharing = match sharing {
        Sharing::Isolate => "isolate",
        Sharing::Gateway => "gateway",
    };
    let (expects, of) = match expects {
        Expects::Anything => ("anything", ""),
        Expects::Keys => ("keys", ""),
        Expects::Metadata(issuer) => ("metadata", issuer.as_str()),
    };
    let head = format!(
        "{} {}\n{timeout_ms} {answer_bytes_max} {addresses} {sharing} {expects} {of}\n",
        request.method, request.url
    );
    let mut bytes = head.into_bytes();
    for (name, value) in &request.fields {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.push(b':');
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(&request.content);
    Id::of(&bytes)
}

/// The fields of an answer that are kept: those about its type and its age.
const KEPT_FIELDS: [HeaderName; 6] = [CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, EXPIRES, LAST_MODIFIED];

/// The interval at which a request checks whether another has finished the fetch that it waits for.
const POLL_MS: u64 = 20;

/// The maximum time for reading the record store before a fetch.
const LOOK_MS: u64 = STORE_TIMEOUT_MS + MARGIN_MS;

/// The maximum delay of timers on a busy host: the right to fetch is held for this additional time.
const MARGIN_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolate::{Freshness, IsolateSettings};

    #[test]
    fn the_newest_of_two_answers_is_shared() {
        let isolate = Isolate::new(IsolateSettings { gateway: "g".into(), freshness: Freshness::Cached });
        let bounds = FetchBounds { timeout_ms: 1, answer_bytes_max: 1, addresses: AddressRule::Public };
        let lifetimes = Lifetimes { fresh_ms: 1, stale_ms: 1, negative_ms: 1 };
        let request = FetchRequest::get(Uri::from_static("https://id.example.com/keys"));
        let plan = Rc::new(FetchPlan::new(request, bounds, lifetimes, Sharing::Gateway));
        let answer = |text: &'static str| {
            let content = bytes::Bytes::from_static(text.as_bytes());
            Rc::new(Usable::unread(FetchAnswer { status: http::StatusCode::OK, fields: HeaderMap::new(), content }))
        };
        for text in ["old", "new"] {
            isolate.defer(plan.fetched(Ok(answer(text)), Some(Work::Share(answer(text)))).after_reply);
        }
        isolate.defer(plan.fetched(Ok(answer("new")), Some(Work::Refresh)).after_reply);
        let left = isolate.take_deferred();
        assert_eq!(left.len(), 2);
        assert!(matches!(&left[0].work, Work::Share(shared) if shared.content == "new"));
    }
}
