//! What authorization servers answered about tokens: remembered in an isolate, bounded, each for its time.
//!
//! Requests share data only: while one asks about a token, the others with the same token wait for its answer with timers of their
//! own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{ClaimError, IntrospectionSettings, Principal, TextMark};
use tollgate_core::bounds::{TOKENS_REFUSED_MS, TOKENS_REMEMBERED_MAX};
use tollgate_core::fetch::AddressRule;
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::fetched::FetchPlan;
use super::issuer::metadata;
use super::room::{make_room, make_room_for};
use super::{Isolate, tokens};

/// A token as one policy reads it: what one policy accepts says nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey {
    policy: u32,
    mark: TextMark,
}

/// What is remembered of tokens.
#[derive(Debug, Default)]
pub(crate) struct Introspected {
    policies: Vec<Rc<Policy>>,
    /// The number of policies so far.
    numbered: u32,
    /// Tokens that are accepted. Tokens that are not have no room among them, so that nobody can displace them by invented ones.
    active: Remembered<Arc<Principal>>,
    /// About how many bytes they have.
    active_bytes: usize,
    refused: Remembered<Refusal>,
    /// Until when a request asks about a token.
    asked: HashMap<TokenKey, MonotonicInstant, Hasher>,
}

type Hasher = BuildHasherDefault<FxHasher>;

/// A policy as it is named and configured, with what is prepared once.
#[derive(Debug)]
pub(crate) struct Policy {
    number: u32,
    pub(crate) name: PolicyName,
    pub(crate) settings: IntrospectionSettings,
    /// The metadata that name its endpoint, or why they cannot be fetched; absent if the endpoint is configured.
    pub(crate) metadata: Option<Result<Rc<FetchPlan>, String>>,
    /// How the signatures of answers are verified, if they are signed.
    pub(crate) signed: Option<Rc<tokens::Policy>>,
    away: RefCell<Option<Away>>,
}

impl Policy {
    fn prepare(number: u32, name: PolicyName, settings: IntrospectionSettings) -> Self {
        let issuer = settings.rules.issuers.first().map(String::as_str).unwrap_or_default();
        let metadata = settings.url.is_none().then(|| metadata(issuer, AddressRule::with_private(settings.is_private)));
        let verification = settings.signed.as_ref().map(|signed| settings.verification(signed));
        let signed = verification.map(|verification| Rc::new(tokens::Policy::prepare(name.clone(), verification)));
        Self { number, name, settings, metadata, signed, away: RefCell::default() }
    }

    /// What is remembered of a token for this policy: what one accepts says nothing about another.
    pub(crate) const fn key(&self, mark: TextMark) -> TokenKey {
        TokenKey { policy: self.number, mark }
    }

    /// Remembers that its server could not be asked.
    pub(crate) fn put_away(&self, why: Arc<str>, now: MonotonicInstant) {
        let mut away = self.away.borrow_mut();
        let since = away.as_ref().map_or(now, |away| away.since);
        *away = Some(Away { why, until: now.plus_millis(AWAY_MS), since });
    }

    /// Remembers that its server answered.
    pub(crate) fn put_answered(&self) {
        self.away.replace(None);
    }

    /// For how long its server could not be asked, in milliseconds; 0 if it answered, or was not asked lately.
    pub(crate) fn away_ms(&self, now: MonotonicInstant) -> u64 {
        let away = self.away.borrow();
        let lately = away.as_ref().filter(|away| now.millis_since(away.until) < LATELY_MS);
        lately.map_or(0, |away| now.millis_since(away.since))
    }
}

/// The server of a policy could not be asked.
#[derive(Debug)]
struct Away {
    why: Arc<str>,
    /// Until when it is not asked again.
    until: MonotonicInstant,
    /// When it could not be asked first.
    since: MonotonicInstant,
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not active.
    Inactive,
    /// What the server says of it is not accepted.
    Claim(ClaimError),
}

/// What is known of a token.
pub(crate) type Answer = Result<Arc<Principal>, Refusal>;

/// The next step of a request with a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This is known.
    Known(Answer),
    /// The server could not be asked a moment ago, for this reason.
    Away(Arc<str>),
    /// Another request asks.
    Wait,
    /// Ask.
    Ask,
}

impl Introspected {
    /// The policy of this name with these settings.
    pub(crate) fn policy(&mut self, name: &PolicyName, settings: &IntrospectionSettings) -> Rc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| known.name == *name && known.settings == *settings) {
            return Rc::clone(known);
        }
        if self.policies.len() >= POLICIES_MAX {
            // Those of earlier configurations; a policy that is in use is added again, with nothing known.
            self.policies.clear();
        }
        self.numbered = self.numbered.wrapping_add(1);
        let policy = Rc::new(Policy::prepare(self.numbered, name.clone(), settings.clone()));
        self.policies.push(Rc::clone(&policy));
        policy
    }

    /// The next step of a request with this token.
    pub(crate) fn step(&self, policy: &Policy, key: TokenKey, now: MonotonicInstant, time: Timestamp) -> Step {
        if let Some(principal) = self.active.get(key, now, time) {
            return Step::Known(Ok(principal));
        }
        if let Some(refusal) = self.refused.get(key, now, time) {
            return Step::Known(Err(refusal));
        }
        match &*policy.away.borrow() {
            Some(away) if now < away.until => Step::Away(Arc::clone(&away.why)),
            _ if self.asked.get(&key).is_some_and(|until| now < *until) => Step::Wait,
            _ => Step::Ask,
        }
    }

    /// A request begins to ask.
    fn ask(&mut self, key: TokenKey, until: MonotonicInstant, now: MonotonicInstant) {
        if self.asked.len() >= TOKENS_REMEMBERED_MAX {
            self.asked.retain(|_, until| now < *until);
        }
        self.asked.insert(key, until);
    }

    /// Remembers that a token is accepted until this time, if its policy uses answers for `ms`.
    pub(crate) fn put_active(
        &mut self,
        key: TokenKey,
        principal: Arc<Principal>,
        (ms, until): (u32, Timestamp),
        (now, time): (MonotonicInstant, Timestamp),
    ) {
        self.refused.0.remove(&key);
        let size = |(principal, ..): &(Arc<Principal>, MonotonicInstant, Timestamp)| principal.size();
        make_room_for(&mut self.active.0, &mut self.active_bytes, &principal, size, is_current(now, time));
        self.active.put(key, principal, (now.plus_millis(ms.into()), until), (now, time));
    }

    /// Remembers that a token is not accepted.
    pub(crate) fn put_refused(&mut self, key: TokenKey, refusal: Refusal, (now, time): (MonotonicInstant, Timestamp)) {
        self.active.0.remove(&key);
        let until = (now.plus_millis(TOKENS_REFUSED_MS), time.plus_millis(TOKENS_REFUSED_MS));
        self.refused.put(key, refusal, until, (now, time));
    }
}

/// Values by token, each until its time by the clock that cannot be set, and by the one that tokens are dated with.
#[derive(Debug)]
struct Remembered<T>(HashMap<TokenKey, (T, MonotonicInstant, Timestamp), Hasher>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn get(&self, key: TokenKey, now: MonotonicInstant, time: Timestamp) -> Option<T> {
        let (value, until, valid) = self.0.get(&key)?;
        (now < *until && time < *valid).then(|| value.clone())
    }

    fn put(
        &mut self,
        key: TokenKey,
        value: T,
        (until, valid): (MonotonicInstant, Timestamp),
        (now, time): (MonotonicInstant, Timestamp),
    ) {
        if self.0.len() >= TOKENS_REMEMBERED_MAX && !self.0.contains_key(&key) {
            make_room(&mut self.0, TOKENS_REMEMBERED_MAX, is_current(now, time));
        }
        self.0.insert(key, (value, until, valid));
    }
}

fn is_current<T>(now: MonotonicInstant, time: Timestamp) -> impl Fn(&(T, MonotonicInstant, Timestamp)) -> bool {
    move |(_, until, valid)| now < *until && time < *valid
}

/// The right to ask about a token; one request of an isolate has it at a time. It is given back when the request is done or dropped.
pub(crate) struct Asking<'i> {
    isolate: &'i Isolate,
    key: TokenKey,
    until: MonotonicInstant,
}

impl<'i> Asking<'i> {
    /// Takes the right for a time; the caller has seen [`Step::Ask`].
    pub(crate) fn begin(isolate: &'i Isolate, key: TokenKey, ms: u64, now: MonotonicInstant) -> Self {
        let until = now.plus_millis(ms);
        isolate.introspected.borrow_mut().ask(key, until, now);
        Self { isolate, key, until }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let asked = &mut self.isolate.introspected.borrow_mut().asked;
        if asked.get(&self.key) == Some(&self.until) {
            asked.remove(&self.key);
        }
    }
}

/// Policies of the configurations that an isolate has seen.
const POLICIES_MAX: usize = 64;

/// How long a server that could not be asked is not asked again: its clients are told to wait for this time.
const AWAY_MS: u64 = 1_000;

/// A failure that is older says nothing about now: a server is asked again as long as there are requests.
const LATELY_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::authn::{CredentialPlace, IdentityRules, MarkSecret};
    use tollgate_core::bounds::TOKENS_REMEMBERED_BYTES_MAX;
    use tollgate_core::oauth::ClientAuthentication;
    use tollgate_core::secret::SecretText;

    fn settings(cache_ms: u32) -> IntrospectionSettings {
        let client = ClientAuthentication::Bearer(SecretText::parse("x").unwrap());
        let place = CredentialPlace::field(http::header::AUTHORIZATION, None);
        let rules = IdentityRules { audiences: vec!["a".into()], ..IdentityRules::default() };
        IntrospectionSettings {
            url: Some("https://a/i".into()),
            is_private: false,
            client,
            place,
            rules,
            cache_ms,
            signed: None,
            outage: None,
        }
    }

    fn policy(known: &mut Introspected, name: &str) -> Rc<Policy> {
        known.policy(&name.into(), &settings(1_000))
    }

    fn mark(token: &str) -> TextMark {
        TextMark::of(token, &MarkSecret::new([1; 16]))
    }

    fn at(ms: u64) -> (MonotonicInstant, Timestamp) {
        (MonotonicInstant::default().plus_millis(ms), Timestamp::from_millis(1_000_000 + ms))
    }

    fn step(known: &Introspected, policy: &Policy, token: &str, ms: u64) -> Step {
        known.step(policy, policy.key(mark(token)), at(ms).0, at(ms).1)
    }

    fn ada() -> Arc<Principal> {
        Arc::new(Principal::new("ada".into(), "token-1".into(), None, vec![]))
    }

    #[test]
    fn an_answer_is_used_until_it_is_too_old_or_the_token_ends() {
        let mut known = Introspected::default();
        let (p, q) = (policy(&mut known, "p"), policy(&mut known, "q"));
        let own = p.key(mark("a"));
        known.put_active(own, ada(), (1_000, at(5_000).1), at(0));
        let steps = |known: &Introspected, one, other| (step(known, &p, "a", one), step(known, &p, "a", other));
        assert_eq!(steps(&known, 999, 1_000), (Step::Known(Ok(ada())), Step::Ask));
        assert_eq!(step(&known, &q, "a", 1), Step::Ask, "another policy asks for itself");
        known.put_active(own, ada(), (1_000, at(500).1), at(0));
        assert_eq!(steps(&known, 499, 500), (Step::Known(Ok(ada())), Step::Ask));
        known.put_refused(own, Refusal::Inactive, at(500));
        assert_eq!(steps(&known, 501, 500 + TOKENS_REFUSED_MS), (Step::Known(Err(Refusal::Inactive)), Step::Ask));
    }

    #[test]
    fn a_server_that_is_away_is_asked_again_after_a_moment() {
        let mut known = Introspected::default();
        let (p, q) = (policy(&mut known, "p"), policy(&mut known, "q"));
        p.put_away("down".into(), at(0).0);
        assert_eq!(step(&known, &p, "b", 999), Step::Away("down".into()));
        assert_eq!((step(&known, &p, "b", 1_000), step(&known, &q, "b", 1)), (Step::Ask, Step::Ask));
        known.put_active(p.key(mark("a")), ada(), (1_000, at(5_000).1), at(0));
        assert_eq!(step(&known, &p, "a", 1), Step::Known(Ok(ada())), "what is known is used meanwhile");
    }

    #[test]
    fn a_server_is_away_since_it_could_not_be_asked_first_until_it_answers() {
        let mut known = Introspected::default();
        let p = policy(&mut known, "p");
        assert_eq!(p.away_ms(at(0).0), 0);
        p.put_away("down".into(), at(0).0);
        p.put_away("down".into(), at(50_000).0);
        assert_eq!([60_000, 110_999, 111_000].map(|ms| p.away_ms(at(ms).0)), [60_000, 110_999, 0]);
        p.put_away("down".into(), at(120_000).0);
        p.put_answered();
        assert_eq!(p.away_ms(at(121_001).0), 0);
    }

    #[test]
    fn one_request_asks_about_a_token() {
        let mut known = Introspected::default();
        let p = policy(&mut known, "p");
        known.ask(p.key(mark("a")), at(3_000).0, at(0).0);
        assert_eq!((step(&known, &p, "a", 2_999), step(&known, &p, "a", 3_000)), (Step::Wait, Step::Ask));
        assert_eq!(step(&known, &p, "b", 1), Step::Ask);
    }

    #[test]
    fn a_policy_is_prepared_once() {
        let mut known = Introspected::default();
        let first = policy(&mut known, "p");
        assert!(Rc::ptr_eq(&first, &policy(&mut known, "p")) && !Rc::ptr_eq(&first, &policy(&mut known, "q")));
        assert!(!Rc::ptr_eq(&first, &known.policy(&"p".into(), &settings(2_000))));
    }

    #[test]
    fn what_is_said_of_tokens_is_bounded_by_bytes() {
        let mut known = Introspected::default();
        let p = policy(&mut known, "p");
        let scopes = vec!["a scope with a name of usual length".to_owned(); 256];
        let ada = Arc::new(Principal::new("ada".into(), "token-1".into(), None, scopes));
        for n in 0..3_000 {
            let key = p.key(mark(&n.to_string()));
            known.put_active(key, Arc::clone(&ada), (1_000_000, at(1_000_000).1), at(0));
        }
        let bytes = known.active.0.len() * ada.size();
        assert!((TOKENS_REMEMBERED_BYTES_MAX / 2..=TOKENS_REMEMBERED_BYTES_MAX).contains(&bytes), "{bytes}");
    }

    #[test]
    fn memory_is_bounded_and_invented_tokens_displace_no_others() {
        let mut known = Introspected::default();
        let p = policy(&mut known, "p");
        known.put_active(p.key(mark("mine")), ada(), (1_000_000, at(1_000_000).1), at(0));
        for n in 0..TOKENS_REMEMBERED_MAX + 10 {
            let invented = p.key(mark(&n.to_string()));
            known.put_refused(invented, Refusal::Inactive, at(1));
            known.ask(invented, at(2).0, at(n as u64).0);
        }
        assert!(known.refused.0.len() <= TOKENS_REMEMBERED_MAX && known.asked.len() <= TOKENS_REMEMBERED_MAX);
        assert_eq!(step(&known, &p, "mine", 2), Step::Known(Ok(ada())));
        for n in 0..2 * POLICIES_MAX {
            policy(&mut known, &format!("p{n}"));
        }
        assert!(known.policies.len() <= POLICIES_MAX);
    }
}
