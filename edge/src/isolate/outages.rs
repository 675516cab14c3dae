//! Outages of identity providers, in an isolate: what operators have said, the tokens that are recorded as verified, and those that
//! are admitted. docs/decisions/0025-idp-outage.md says where each state is.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{KnownToken, Outage, Principal, Revocations, TextMark};
use tollgate_core::bounds::TOKENS_REMEMBERED_MAX;
use tollgate_core::kinds::PolicyName;
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::{decode, encode, keys};

use super::aged::Aged;
use super::room::make_room;
use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, Records, Unavailable};
use crate::timeout::{self, within};

/// What an isolate knows of outages.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    said: HashMap<PolicyName, Aged<Rc<Said>>, BuildHasherDefault<FxHasher>>,
    tokens: HashMap<TokenKey, Token, BuildHasherDefault<FxHasher>>,
    /// Records to look after when a reply is sent.
    due: Vec<Due>,
}

/// What operators have said, with what every request asks for.
#[derive(Debug)]
pub(crate) struct Said {
    outage: Outage,
    pub(crate) revocations: Revocations,
}

impl From<Outage> for Said {
    fn from(outage: Outage) -> Self {
        let revocations = Revocations::of(&outage);
        Self { outage, revocations }
    }
}

impl Deref for Said {
    type Target = Outage;

    fn deref(&self) -> &Outage {
        &self.outage
    }
}

/// A token as one policy reads it.
pub(crate) type TokenKey = (PolicyName, TextMark);

#[derive(Debug)]
struct Token {
    /// When its record was last looked after.
    noted_at: MonotonicInstant,
    /// Its bearer, and until when it is admitted without another look at the records.
    admitted: Option<(Arc<Principal>, MonotonicInstant)>,
}

/// The record of a token to look after.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) key: String,
    /// The token, if it was verified; otherwise it is not valid any more.
    pub(crate) known: Option<KnownToken>,
    /// How long after its end a token may be admitted, in seconds.
    pub(crate) late_s: u32,
}

/// What operators have said about outages of a policy's provider: from memory while it is younger than `fresh_ms`, otherwise from
/// the store; from memory again if the store is unavailable and it is not too old.
pub(crate) async fn said<H: Host>(
    isolate: &Isolate,
    host: &H,
    policy: &PolicyName,
    fresh_ms: u64,
) -> Result<Rc<Said>, Unavailable> {
    let now = host.clock().instant();
    if isolate.settings.freshness == Freshness::Cached
        && let Some(known) = isolate.outages.borrow_mut().said.get_mut(policy)
        && let Some(outage) = known.younger_or_ask(fresh_ms, now)
    {
        return Ok(outage);
    }
    let read = read_outage(isolate, host, policy).await;
    let mut outages = isolate.outages.borrow_mut();
    match read {
        Ok(outage) => {
            let outage = Rc::new(Said::from(outage));
            if !outages.said.get(policy).is_some_and(|known| known.is_newer_than(now)) {
                outages.put_said(policy.clone(), Rc::clone(&outage), now);
            }
            Ok(outage)
        }
        Err(unavailable) => {
            let last = outages.said.get(policy).and_then(|known| known.last(host.clock().instant()));
            last.ok_or(unavailable)
        }
    }
}

/// What the store says; nothing has been said if there is no record.
pub(crate) async fn read_outage<H: Host>(isolate: &Isolate, host: &H, policy: &str) -> Result<Outage, Unavailable> {
    let key = keys::idp_outage(&isolate.settings.gateway, policy);
    let record = timeout::record(host, &key).await?;
    record.map_or_else(
        || Ok(Outage::default()),
        |bytes| decode(&bytes).map_err(|error| Unavailable::new(error.to_string())),
    )
}

/// Looks after the record of a token: it is written once, and marked if the token is not valid any more.
pub(crate) async fn record<H: Host>(host: &H, due: Due) {
    let Ok(stored) = timeout::record(host, &due.key).await else { return };
    let stored = stored.and_then(|bytes| decode::<KnownToken>(&bytes).ok());
    let known = match (due.known, stored) {
        (Some(known), None) => known,
        (None, Some(stored)) if !stored.withdrawn => KnownToken { withdrawn: true, answer: None, ..stored },
        _ => return,
    };
    let keep_s = known.keep_s(due.late_s, host.clock().now());
    // If the write fails, the token is not known in an outage, unless another isolate or a later request writes it.
    let _ = within(host, "the record store", host.records().write(&due.key, &encode(&known), keep_s)).await;
}

impl Outages {
    /// What operators have said now.
    pub(crate) fn put_said(&mut self, policy: PolicyName, outage: Rc<Said>, now: MonotonicInstant) {
        if self.said.len() >= POLICIES_MAX {
            self.said.clear();
        }
        self.said.insert(policy, Aged::read(outage, now));
    }

    /// Whether the record of a token was looked after here; if not, it is from now on.
    pub(crate) fn is_noted(&mut self, key: &TokenKey, now: MonotonicInstant) -> bool {
        let is_noted = |token: &Token| now.millis_since(token.noted_at) < NOTED_MS;
        if self.tokens.get(key).is_some_and(is_noted) {
            return true;
        }
        make_room(&mut self.tokens, TOKENS_REMEMBERED_MAX, is_noted);
        self.tokens.insert(key.clone(), Token { noted_at: now, admitted: None });
        false
    }

    /// The bearer of a token that was admitted a moment ago.
    pub(crate) fn admitted(&self, key: &TokenKey, now: MonotonicInstant) -> Option<Arc<Principal>> {
        let (principal, until) = self.tokens.get(key)?.admitted.as_ref()?;
        (now < *until).then(|| Arc::clone(principal))
    }

    /// Remembers that a token was admitted.
    pub(crate) fn admit(
        &mut self,
        key: &TokenKey,
        principal: Arc<Principal>,
        until: MonotonicInstant,
        now: MonotonicInstant,
    ) {
        self.is_noted(key, now);
        if let Some(token) = self.tokens.get_mut(key) {
            token.admitted = Some((principal, until));
        }
    }

    /// Leaves the record of a token for after a reply.
    pub(crate) fn leave(&mut self, due: Due) {
        if self.due.len() < DUE_MAX {
            self.due.push(due);
        }
    }

    /// The records that are left to look after.
    pub(crate) fn take_due(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.due)
    }
}

/// Policies in memory; a gateway has some.
const POLICIES_MAX: usize = 256;

/// How long a record is not looked after again: a day.
const NOTED_MS: u64 = 24 * 60 * 60 * 1_000;

/// Records that are left at once; each request leaves one for each of its policies, and takes all after its reply.
const DUE_MAX: usize = 1_000;
