//! Sessions of browsers that an isolate has read: bounded, each for a minute, so that a request need not decrypt its cookie; and what
//! is left to do for them after a reply.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{KeptSession, OidcLoginSettings, Principal, TextMark};
use tollgate_core::bounds::TOKENS_REMEMBERED_MAX;
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::Timestamp;

use super::room::make_room;

/// The sessions that an isolate remembers, by the marks of their cookies.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: HashMap<TextMark, Known, BuildHasherDefault<FxHasher>>,
    left: Vec<SessionWork>,
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
    until: Timestamp,
}

impl Sessions {
    /// The person whose cookie has this mark, as this policy knows them.
    pub(crate) fn get(&self, mark: TextMark, policy: &PolicyName, now: Timestamp) -> Option<Arc<Principal>> {
        let known = self.known.get(&mark).filter(|known| known.policy == *policy && now < known.until)?;
        Some(Arc::clone(&known.principal))
    }

    /// Remembers a session until its end, for a minute at most: a policy may be published with other rules.
    pub(crate) fn put(
        &mut self,
        mark: TextMark,
        policy: &PolicyName,
        principal: Arc<Principal>,
        (until, now): (Timestamp, Timestamp),
    ) {
        make_room(&mut self.known, TOKENS_REMEMBERED_MAX, |known| now < known.until);
        let until = until.min(now.plus_millis(REMEMBERED_MS));
        self.known.insert(mark, Known { policy: policy.clone(), principal, until });
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

    /// Forgets a session.
    pub(crate) fn remove(&mut self, mark: TextMark) {
        self.known.remove(&mark);
    }
}

const REMEMBERED_MS: u64 = 60_000;

/// A reply takes all of it, so it is about the number of requests that are handled at once.
const LEFT_MAX: usize = 64;
