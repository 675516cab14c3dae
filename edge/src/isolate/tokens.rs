//! The tokens that were verified in an isolate: bounded, each until it is no longer accepted.

mod policy;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use policy::{Discovery, Policy, Source, keys_at};
use rustc_hash::FxHasher;
use tollgate_core::authn::{JwtSettings, Principal, TextMark};
use tollgate_core::bounds::{TOKEN_REMEMBERED_MS, TOKENS_REMEMBERED_MAX};
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::Timestamp;

use super::room::make_room;

/// What an isolate remembers of tokens and of the policies that verify them.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    verified: HashMap<TextMark, Verified, BuildHasherDefault<FxHasher>>,
    /// The policies with what is prepared for them.
    policies: Vec<Rc<Policy>>,
}

#[derive(Debug)]
struct Verified {
    /// What one policy accepts says nothing about another.
    policy: Rc<Policy>,
    principal: Arc<Principal>,
    until: Timestamp,
}

impl Tokens {
    /// The policy of this name with these settings.
    pub(crate) fn policy(&mut self, name: &PolicyName, settings: &JwtSettings) -> Rc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| known.is(name, settings)) {
            return Rc::clone(known);
        }
        if self.policies.len() >= POLICIES_MAX {
            // Most of them are those of earlier configurations.
            self.policies.clear();
        }
        let policy = Rc::new(Policy::prepare(name.clone(), settings.clone()));
        self.policies.push(Rc::clone(&policy));
        policy
    }

    /// The bearer of a token that the policy has verified, if it is still accepted.
    pub(crate) fn get(&self, mark: TextMark, policy: &Rc<Policy>, now: Timestamp) -> Option<Arc<Principal>> {
        let verified = self.verified.get(&mark)?;
        (now < verified.until && Rc::ptr_eq(&verified.policy, policy)).then(|| Arc::clone(&verified.principal))
    }

    /// Remembers a verified token.
    pub(crate) fn put(
        &mut self,
        mark: TextMark,
        policy: Rc<Policy>,
        principal: Arc<Principal>,
        until: Timestamp,
        now: Timestamp,
    ) {
        make_room(&mut self.verified, TOKENS_REMEMBERED_MAX, |verified| now < verified.until);
        let until = until.min(now.plus_millis(TOKEN_REMEMBERED_MS));
        self.verified.insert(mark, Verified { policy, principal, until });
    }
}

/// Policies in memory; a gateway has some.
const POLICIES_MAX: usize = 256;
