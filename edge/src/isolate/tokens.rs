//! The tokens that were verified in an isolate: bounded, each until it is no longer accepted.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{JwtSettings, Principal, TextMark};
use tollgate_core::bounds::{TOKEN_REMEMBERED_MS, TOKENS_REMEMBERED_MAX};
use tollgate_core::fetch::FetchAnswer;
use tollgate_core::jose::JwkSet;
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::Id;

/// What an isolate remembers of tokens and of the keys that verify them.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    verified: HashMap<TextMark, Verified, BuildHasherDefault<FxHasher>>,
    /// The policies that verified them: what one accepts says nothing about another.
    policies: Vec<Rc<Policy>>,
    /// The sets of fetched answers, parsed once.
    sets: HashMap<Id, (Rc<FetchAnswer>, Rc<JwkSet>)>,
}

/// A policy as it is named and configured.
#[derive(Debug)]
struct Policy {
    name: PolicyName,
    settings: JwtSettings,
}

#[derive(Debug)]
struct Verified {
    policy: Rc<Policy>,
    principal: Arc<Principal>,
    until: Timestamp,
}

/// A policy's name and settings.
type Named<'p> = (&'p PolicyName, &'p JwtSettings);

impl Policy {
    fn is(&self, (name, settings): Named<'_>) -> bool {
        self.name == *name && self.settings == *settings
    }
}

impl Tokens {
    /// The bearer of a token that the policy has verified, if it is still accepted.
    pub(crate) fn get(&self, mark: TextMark, policy: Named<'_>, now: Timestamp) -> Option<Arc<Principal>> {
        let verified = self.verified.get(&mark)?;
        (now < verified.until && verified.policy.is(policy)).then(|| Arc::clone(&verified.principal))
    }

    /// Remembers a verified token.
    pub(crate) fn put(
        &mut self,
        mark: TextMark,
        policy: Named<'_>,
        principal: Arc<Principal>,
        until: Timestamp,
        now: Timestamp,
    ) {
        if self.verified.len() >= TOKENS_REMEMBERED_MAX {
            self.verified.retain(|_, verified| now < verified.until);
        }
        if self.verified.len() >= TOKENS_REMEMBERED_MAX {
            self.verified.clear();
        }
        let policy = self.shared(policy);
        let until = until.min(now.plus_millis(TOKEN_REMEMBERED_MS));
        self.verified.insert(mark, Verified { policy, principal, until });
    }

    /// The settings as they are shared by the tokens of a policy.
    fn shared(&mut self, policy: Named<'_>) -> Rc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| known.is(policy)) {
            return Rc::clone(known);
        }
        // Those of earlier configurations are used by no token after a while.
        self.policies.retain(|known| Rc::strong_count(known) > 1);
        let (name, settings) = policy;
        let shared = Rc::new(Policy { name: name.clone(), settings: settings.clone() });
        self.policies.push(Rc::clone(&shared));
        shared
    }

    /// The keys of a fetched answer; `None` if it is not a set.
    pub(crate) fn set(&mut self, id: Id, answer: &Rc<FetchAnswer>) -> Option<Rc<JwkSet>> {
        if let Some((known, set)) = self.sets.get(&id)
            && Rc::ptr_eq(known, answer)
        {
            return Some(Rc::clone(set));
        }
        let set = Rc::new(JwkSet::parse(&answer.content).ok()?);
        if self.sets.len() >= SETS_MAX {
            self.sets.clear();
        }
        self.sets.insert(id, (Rc::clone(answer), Rc::clone(&set)));
        Some(set)
    }
}

/// Sets of keys in memory; a gateway has some issuers.
const SETS_MAX: usize = 256;
