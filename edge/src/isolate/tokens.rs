//! The tokens that were verified in an isolate: bounded, each until it is no longer accepted.

mod policy;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use policy::{Discovery, Policy, Source, keys_at};
use rustc_hash::FxHasher;
use tollgate_core::authn::{JwtSettings, Principal, TextMark};
use tollgate_core::bounds::TOKEN_REMEMBERED_MS;
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::room::make_room_for;

/// What an isolate remembers of tokens and of the policies that verify them.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    verified: HashMap<TextMark, Verified, BuildHasherDefault<FxHasher>>,
    /// About how many bytes they have.
    bytes: usize,
    /// The policies with what is prepared for them.
    policies: Vec<Rc<Policy>>,
}

#[derive(Debug)]
struct Verified {
    /// What one policy accepts says nothing about another.
    policy: Rc<Policy>,
    principal: Arc<Principal>,
    /// When it ends, and until when it is remembered: the clock that tokens are dated with can be set.
    until: (Timestamp, MonotonicInstant),
}

impl Verified {
    fn is_current(&self, (time, now): (Timestamp, MonotonicInstant)) -> bool {
        time < self.until.0 && now < self.until.1
    }
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
    pub(crate) fn get(
        &self,
        mark: TextMark,
        policy: &Rc<Policy>,
        now: (Timestamp, MonotonicInstant),
    ) -> Option<Arc<Principal>> {
        let verified = self.verified.get(&mark)?;
        (verified.is_current(now) && Rc::ptr_eq(&verified.policy, policy)).then(|| Arc::clone(&verified.principal))
    }

    /// Remembers a verified token.
    pub(crate) fn put(
        &mut self,
        mark: TextMark,
        policy: Rc<Policy>,
        principal: Arc<Principal>,
        until: Timestamp,
        now: (Timestamp, MonotonicInstant),
    ) {
        let (size, is_used) = (|own: &Verified| own.principal.size(), |own: &Verified| own.is_current(now));
        make_room_for(&mut self.verified, &mut self.bytes, &principal, size, is_used);
        let until = (until, now.1.plus_millis(TOKEN_REMEMBERED_MS));
        self.verified.insert(mark, Verified { policy, principal, until });
    }
}

/// Policies in memory; a gateway has some.
const POLICIES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::authn::{KeySource, MarkSecret};
    use tollgate_core::bounds::{TOKENS_REMEMBERED_BYTES_MAX, TOKENS_REMEMBERED_MAX};
    use tollgate_core::jose::Algorithm;

    fn tokens() -> (Tokens, Rc<Policy>) {
        let keys = KeySource::Static(r#"{"keys":[]}"#.into());
        let mut tokens = Tokens::default();
        let policy =
            tokens.policy(&"staff".into(), &JwtSettings::new("https://id.example.com", "pets", keys, Algorithm::EdDsa));
        (tokens, policy)
    }

    fn mark(token: &str) -> TextMark {
        TextMark::of(token, &MarkSecret::new([1; 16]))
    }

    fn ada(scopes: usize) -> Arc<Principal> {
        let scopes = (0..scopes).map(|n| format!("a-scope-with-a-name-of-usual-length:{n}")).collect();
        Arc::new(Principal::new("staff:ada".into(), "jwt-1".into(), None, scopes))
    }

    /// The wall clock shows `wall_ms` when the other one shows `ms`.
    fn at(wall_ms: u64, ms: u64) -> (Timestamp, MonotonicInstant) {
        (Timestamp::from_millis(wall_ms), MonotonicInstant::default().plus_millis(ms))
    }

    #[test]
    fn a_token_is_remembered_for_five_minutes_whatever_the_wall_clock_is_set_to() {
        let (mut tokens, policy) = tokens();
        let hour = 3_600_000;
        tokens.put(mark("a"), Rc::clone(&policy), ada(1), at(3 * hour, 0).0, at(2 * hour, 0));
        let is_known = |wall_ms, ms| tokens.get(mark("a"), &policy, at(wall_ms, ms)).is_some();
        assert!(is_known(hour, TOKEN_REMEMBERED_MS - 1) && !is_known(hour, TOKEN_REMEMBERED_MS));
        assert!(is_known(3 * hour - 1, 0) && !is_known(3 * hour, 0), "it has ended");
    }

    #[test]
    fn memory_is_bounded_by_number_and_by_bytes() {
        let (mut tokens, policy) = tokens();
        let mut put = |scopes: usize, number: usize| {
            for n in 0..number {
                let text = format!("{scopes} {n}");
                tokens.put(mark(&text), Rc::clone(&policy), ada(scopes), Timestamp::MAX, at(0, 0));
            }
            let bytes = tokens.verified.values().map(|own| own.principal.size()).sum::<usize>();
            (tokens.verified.len(), bytes)
        };
        let (number, bytes) = put(1, TOKENS_REMEMBERED_MAX + 10);
        assert!((TOKENS_REMEMBERED_MAX / 2..=TOKENS_REMEMBERED_MAX).contains(&number));
        assert!(bytes < TOKENS_REMEMBERED_BYTES_MAX / 2);
        let (_, bytes) = put(256, 5_000);
        assert!((TOKENS_REMEMBERED_BYTES_MAX / 2..=TOKENS_REMEMBERED_BYTES_MAX).contains(&bytes), "{bytes}");
    }
}
