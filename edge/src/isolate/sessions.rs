//! Sessions of browsers that an isolate has read: bounded, each for a minute, so that a request need not decrypt its cookie; and what
//! is left to do for them after a reply.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{EndedSessions, KeptSession, OidcLoginSettings, Principal, Session, TextMark};
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::room::make_room_for;

/// The sessions that an isolate remembers, by the marks of their cookies.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: HashMap<TextMark, Known, BuildHasherDefault<FxHasher>>,
    /// About how many bytes they have.
    bytes: usize,
    left: Vec<SessionWork>,
    /// What has ended here a short time ago: the store may still say otherwise.
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    policy: PolicyName,
    sessions: EndedSessions,
    until: MonotonicInstant,
}

/// What is left to do for a session when a reply is sent.
pub(crate) struct SessionWork {
    pub(crate) policy: PolicyName,
    pub(crate) settings: Box<OidcLoginSettings>,
    pub(crate) kept: KeptSession,
    /// Whether the provider is asked; otherwise it is written.
    pub(crate) asks: bool,
}

impl SessionWork {
    /// To write what is known of a session.
    pub(crate) fn keep(policy: &PolicyName, settings: &OidcLoginSettings, kept: KeptSession) -> Self {
        Self { policy: policy.clone(), settings: Box::new(settings.clone()), kept, asks: false }
    }

    /// Whether both ask about one session.
    fn is_same(&self, other: &Self) -> bool {
        self.asks && other.asks && self.kept.session.id == other.kept.session.id
    }
}

impl fmt::Debug for SessionWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionWork(..)")
    }
}

#[derive(Debug)]
struct Known {
    policy: PolicyName,
    principal: Arc<Principal>,
    /// When it ends, and until when it is remembered: the clock that sessions are dated with can be set.
    until: (Timestamp, MonotonicInstant),
    /// Under what records may say that it has ended, if they are read.
    ends: Option<Box<[String; 2]>>,
}

impl Known {
    fn is_current(&self, (time, now): (Timestamp, MonotonicInstant)) -> bool {
        time < self.until.0 && now < self.until.1
    }
}

impl Sessions {
    /// The person whose cookie has this mark, as this policy knows them.
    pub(crate) fn get(
        &self,
        mark: TextMark,
        policy: &PolicyName,
        now: (Timestamp, MonotonicInstant),
    ) -> Option<Arc<Principal>> {
        let known = self.known.get(&mark).filter(|known| known.policy == *policy && known.is_current(now))?;
        Some(Arc::clone(&known.principal))
    }

    /// Remembers a session until its end, for a minute at most: a policy may be published with other rules.
    pub(crate) fn put(
        &mut self,
        mark: TextMark,
        policy: &PolicyName,
        principal: Arc<Principal>,
        ends: Option<Box<[String; 2]>>,
        until: Timestamp,
        now: (Timestamp, MonotonicInstant),
    ) {
        let (size, is_used) = (|own: &Known| own.principal.size(), |own: &Known| own.is_current(now));
        make_room_for(&mut self.known, &mut self.bytes, &principal, size, is_used);
        let until = (until, now.1.plus_millis(REMEMBERED_MS));
        self.known.insert(mark, Known { policy: policy.clone(), principal, until, ends });
    }

    /// Leaves work for after a reply; a session is asked about once. What there is no room for is done by a later request.
    pub(crate) fn leave(&mut self, work: SessionWork) {
        if self.left.len() < LEFT_MAX && !self.left.iter().any(|other| other.is_same(&work)) {
            self.left.push(work);
        }
    }

    /// What was left.
    pub(crate) fn take_left(&mut self) -> Vec<SessionWork> {
        std::mem::take(&mut self.left)
    }

    /// Forgets the sessions of a policy that have ended, and knows it for as long as the store may not.
    pub(crate) fn end(&mut self, policy: &PolicyName, sessions: EndedSessions, now: MonotonicInstant) {
        let has_ended = |known: &Known| {
            known.policy == *policy && known.ends.as_ref().is_some_and(|ends| ends.contains(&sessions.mark))
        };
        self.known.retain(|_, known| !has_ended(known));
        self.bytes = self.known.values().map(|known| known.principal.size()).sum();
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { policy: policy.clone(), sessions, until: now.plus_millis(ENDED_MS) });
    }

    /// Whether it has ended here a short time ago.
    pub(crate) fn has_ended(&self, policy: &PolicyName, session: &Session, now: MonotonicInstant) -> bool {
        let marks = session.marks();
        let is_one = |ended: &Ended| {
            let EndedSessions { mark, issued_s } = &ended.sessions;
            now < ended.until && ended.policy == *policy && marks.contains(mark) && session.is_ended_by(*issued_s)
        };
        self.ended.iter().any(is_one)
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, mark: TextMark) {
        self.known.remove(&mark);
    }
}

const REMEMBERED_MS: u64 = 60_000;

/// Workers KV shows a write within a minute, or somewhat later.
const ENDED_MS: u64 = 120_000;

/// One or two logouts in a second; others are read from the store.
const ENDED_MAX: usize = 256;

/// A reply takes all of it, so it is about the number of requests that are handled at once.
const LEFT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::authn::MarkSecret;
    use tollgate_core::bounds::{TOKENS_REMEMBERED_BYTES_MAX, TOKENS_REMEMBERED_MAX};

    fn mark(cookie: &str) -> TextMark {
        TextMark::of(cookie, &MarkSecret::new([1; 16]))
    }

    fn ada(groups: usize) -> Arc<Principal> {
        let groups = (0..groups).map(|n| format!("a-group-with-a-name-of-usual-length:{n}")).collect();
        Arc::new(Principal::new("staff:ada".into(), "staff/1".into(), None, Vec::new()).with_groups(groups))
    }

    /// The wall clock shows `wall_ms` when the other one shows `ms`.
    fn at(wall_ms: u64, ms: u64) -> (Timestamp, MonotonicInstant) {
        (Timestamp::from_millis(wall_ms), MonotonicInstant::default().plus_millis(ms))
    }

    #[test]
    fn a_session_is_remembered_for_a_minute_whatever_the_wall_clock_is_set_to() {
        let (mut sessions, staff) = (Sessions::default(), PolicyName::from("staff"));
        let hour = 3_600_000;
        sessions.put(mark("a"), &staff, ada(1), None, at(3 * hour, 0).0, at(2 * hour, 0));
        let is_known = |wall_ms, ms| sessions.get(mark("a"), &staff, at(wall_ms, ms)).is_some();
        assert!(is_known(hour, REMEMBERED_MS - 1) && !is_known(hour, REMEMBERED_MS));
        assert!(is_known(3 * hour - 1, 0) && !is_known(3 * hour, 0), "it has ended");
        assert!(sessions.get(mark("a"), &"guests".into(), at(hour, 0)).is_none(), "of another policy");
    }

    #[test]
    fn only_the_sessions_that_ended_are_forgotten() {
        let (mut sessions, staff, guests) =
            (Sessions::default(), PolicyName::from("staff"), PolicyName::from("guests"));
        let ends = |own: &str, person: &str| Some(Box::new([own.to_owned(), person.to_owned()]));
        for (cookie, policy, ends) in [
            ("a", &staff, ends("s1", "ada")),
            ("b", &staff, ends("s2", "ada")),
            ("c", &staff, ends("s3", "bob")),
            ("d", &staff, None),
            ("e", &guests, ends("s1", "ada")),
        ] {
            sessions.put(mark(cookie), policy, ada(1), ends, Timestamp::MAX, at(0, 0));
        }
        let left = |sessions: &Sessions| ["a", "b", "c", "d", "e"].map(|one| sessions.known.contains_key(&mark(one)));
        let end = |sessions: &mut Sessions, mark: &str| {
            sessions.end(&staff, EndedSessions { mark: mark.into(), issued_s: 1 }, MonotonicInstant::default());
        };
        end(&mut sessions, "s1");
        assert_eq!(left(&sessions), [false, true, true, true, true]);
        end(&mut sessions, "ada");
        assert_eq!(left(&sessions), [false, false, true, true, true]);
        assert_eq!(sessions.bytes, 3 * ada(1).size());
        (0..2 * ENDED_MAX).for_each(|_| end(&mut sessions, "x"));
        assert_eq!(sessions.ended.len(), ENDED_MAX);
    }

    #[test]
    fn memory_is_bounded_by_number_and_by_bytes() {
        let (mut sessions, staff) = (Sessions::default(), PolicyName::from("staff"));
        let mut put = |groups: usize, number: usize| {
            for n in 0..number {
                sessions.put(mark(&format!("{groups} {n}")), &staff, ada(groups), None, Timestamp::MAX, at(0, 0));
            }
            let bytes = sessions.known.values().map(|own| own.principal.size()).sum::<usize>();
            (sessions.known.len(), bytes)
        };
        let (number, bytes) = put(1, TOKENS_REMEMBERED_MAX + 10);
        assert!((TOKENS_REMEMBERED_MAX / 2..=TOKENS_REMEMBERED_MAX).contains(&number));
        assert!(bytes < TOKENS_REMEMBERED_BYTES_MAX / 2);
        let (_, bytes) = put(256, 5_000);
        assert!((TOKENS_REMEMBERED_BYTES_MAX / 2..=TOKENS_REMEMBERED_BYTES_MAX).contains(&bytes), "{bytes}");
    }
}
