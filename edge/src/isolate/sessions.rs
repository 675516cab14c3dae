//! Sessions of browsers that an isolate has read: bounded, each for a minute, so that a request need not decrypt its cookie.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{Principal, TextMark};
use tollgate_core::bounds::TOKENS_REMEMBERED_MAX;
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::Timestamp;

use super::room::make_room;

/// The sessions that an isolate remembers, by the marks of their cookies.
#[derive(Debug, Default)]
pub(crate) struct Sessions(HashMap<TextMark, Known, BuildHasherDefault<FxHasher>>);

#[derive(Debug)]
struct Known {
    policy: PolicyName,
    principal: Arc<Principal>,
    until: Timestamp,
}

impl Sessions {
    /// The person whose cookie has this mark, as this policy knows them.
    pub(crate) fn get(&self, mark: TextMark, policy: &PolicyName, now: Timestamp) -> Option<Arc<Principal>> {
        let known = self.0.get(&mark).filter(|known| known.policy == *policy && now < known.until)?;
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
        make_room(&mut self.0, TOKENS_REMEMBERED_MAX, |known| now < known.until);
        let until = until.min(now.plus_millis(REMEMBERED_MS));
        self.0.insert(mark, Known { policy: policy.clone(), principal, until });
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, mark: TextMark) {
        self.0.remove(&mark);
    }
}

const REMEMBERED_MS: u64 = 60_000;
