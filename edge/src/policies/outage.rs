//! What is admitted while the provider of a policy is away, and which tokens are revoked; docs/decisions/0025-idp-outage.md.

use std::pin::Pin;
use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{
    ClaimError, Identity, IdentityRules, KnownToken, Outage, OutageRules, Principal, TextMark, admitted, token_digest,
};
use tollgate_core::bounds::{CREDENTIAL_FRESH_MS, KNOWN_ANSWER_BYTES_MAX, OUTAGE_FRESH_MS};
use tollgate_core::cell::OperationId;
use tollgate_core::event::{Local, Reason};
use tollgate_core::jose::Members;
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::Fault;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_kv_schemas::{decode, keys};

use super::linked::linked;
use crate::isolate::Isolate;
use crate::isolate::outages::{Due, Said, TokenKey, said};
use crate::ports::{Clock, Entropy, Host, Unavailable};
use crate::timeout::{self, counted};

/// A token that a request presents to a policy whose provider may be away.
pub(super) struct Presented<'p> {
    pub(super) policy: &'p PolicyName,
    pub(super) rules: &'p OutageRules,
    pub(super) text: &'p str,
    pub(super) kind: &'p dyn KnownTokens,
}

/// A kind of policy whose tokens may be admitted while their provider is away.
pub(super) trait KnownTokens {
    /// The identity and the claims of a token that was verified before. It is admitted for `late_s` seconds after its end.
    fn identity(
        &self,
        presented: &Presented<'_>,
        known: &KnownToken,
        now: Timestamp,
    ) -> Result<(Identity, Members), Problem>;

    /// The bearer of a token with these claims.
    fn bearer(&self, identity: Identity, text: &str, claims: &Members) -> Principal;

    /// How the policy reads identities.
    fn rules(&self) -> &IdentityRules;

    /// For how long this isolate has not reached the provider, in milliseconds; 0 if it has.
    fn away_ms(&self, policy: &PolicyName, isolate: &Isolate, now: MonotonicInstant) -> u64;
}

/// The bearer of a token with this public id; `is_revocable` if operators can revoke it.
pub(super) fn bearer(
    rules: &IdentityRules,
    is_revocable: bool,
    id: String,
    identity: Identity,
    claims: &Members,
) -> Principal {
    let principal = Principal::new(identity.consumer, id, identity.plan, identity.scopes);
    let token = is_revocable.then(|| IdentityRules::facts(claims));
    let principal = principal.bound_to(identity.confirmation).with_groups(identity.groups);
    principal.with_claims(&rules.kept_claims, claims).with_token(token)
}

/// The verification of a token, as always.
pub(super) type Verification<'v> = Pin<Box<dyn Future<Output = Result<Arc<Principal>, Problem>> + 'v>>;

/// Authenticates with a token that is verified as always, or is admitted because the provider is away. One that was revoked is
/// refused in both cases.
pub(super) async fn authenticate<H: Host>(
    presented: &Presented<'_>,
    isolate: &Isolate,
    host: &H,
    verification: Verification<'_>,
) -> Result<Arc<Principal>, Problem> {
    let key = presented.key(isolate, host);
    let known = isolate.outages.borrow().admitted(&key, host.clock().instant());
    let fresh_ms = if known.is_some() { OUTAGE_FRESH_MS } else { CREDENTIAL_FRESH_MS };
    let outage = said(isolate, host, presented.policy, fresh_ms).await.map_err(|away| unknown(&away))?;
    if let Some(known) = known
        && presented.is_open_to(&known.consumer, &outage, isolate, host)
    {
        return unrevoked(&outage, known, isolate.time(host.clock()));
    }
    match verification.await {
        Ok(principal) => unrevoked(&outage, principal, isolate.time(host.clock())),
        Err(problem) if !presented.rules.admits() => Err(problem),
        Err(problem) => {
            if problem.kind == ProblemKind::CredentialUnknown {
                presented.leave(isolate, None);
            }
            admit(presented, isolate, host, &key, problem).await
        }
    }
}

/// Admits a token that was not verified, if the provider is away and everything else is right.
async fn admit<H: Host>(
    presented: &Presented<'_>,
    isolate: &Isolate,
    host: &H,
    key: &TokenKey,
    mut problem: Problem,
) -> Result<Arc<Principal>, Problem> {
    if !may_be_admitted(&problem.reason) {
        return Err(problem);
    }
    let outage = said(isolate, host, presented.policy, OUTAGE_FRESH_MS).await.map_err(|away| unknown(&away))?;
    if !presented.is_open(&outage, isolate, host) {
        return Err(problem);
    }
    let now = isolate.time(host.clock());
    let refused = |why| {
        problem.reason = Reason::OutageRefused { why };
        problem
    };
    let known = match presented.record(isolate, host).await {
        Ok(Some(known)) => known,
        Ok(None) => {
            return Err(refused("the token was not verified before, or its consumer is not in `outage-consumers`"));
        }
        Err(Unavailable(_)) => return Err(refused("the record of the token cannot be read")),
    };
    let (identity, claims) = presented.kind.identity(presented, &known, now)?;
    let identity = linked(presented.kind.rules(), identity, isolate, host).await?;
    let until = identity.until;
    let principal = presented.kind.bearer(identity, presented.text, &claims);
    if !presented.is_open_to(&principal.consumer, &outage, isolate, host) {
        return Err(refused("the consumer is not among those whose tokens are admitted"));
    }
    let principal = unrevoked(&outage, Arc::new(principal.in_outage()), now)?;
    list(presented, host, &known, now).await.map_err(refused)?;
    let instant = host.clock().instant();
    let left_ms = until.millis_since(now).min(CREDENTIAL_FRESH_MS);
    let until = instant.plus_millis(left_ms);
    isolate.outages.borrow_mut().admit(key, Arc::clone(&principal), until, instant);
    Ok(principal)
}

/// Lists the token among those that were admitted: what cannot be listed is not admitted.
async fn list<H: Host>(
    presented: &Presented<'_>,
    host: &H,
    known: &KnownToken,
    now: Timestamp,
) -> Result<(), &'static str> {
    let mut random = [0; 16];
    host.entropy().fill(&mut random);
    let update = admitted(presented.policy, known, now, OperationId::new(random));
    counted(host, &update).await.map(drop).map_err(|fault| match fault.kind() {
        Fault::Full => "no more tokens can be listed as admitted",
        Fault::Unavailable | Fault::Contended | Fault::NewerState | Fault::Damaged => {
            "the counters, which list admitted tokens, cannot be used"
        }
    })
}

impl Presented<'_> {
    fn key<H: Host>(&self, isolate: &Isolate, host: &H) -> TokenKey {
        (self.policy.clone(), TextMark::of(self.text, &isolate.mark_secret(host)))
    }

    /// Whether the provider counts as away: an operator has said so, or this isolate has not reached it for the stated time.
    fn is_open<H: Host>(&self, outage: &Outage, isolate: &Isolate, host: &H) -> bool {
        outage.allowance(self.rules, isolate.time(host.clock())).is_some() || self.is_open_by_itself(isolate, host)
    }

    /// The same for tokens of a consumer.
    fn is_open_to<H: Host>(&self, consumer: &str, outage: &Outage, isolate: &Isolate, host: &H) -> bool {
        let allowed = outage.allowance(self.rules, isolate.time(host.clock()));
        let is_named = allowed.is_some_and(|allowed| allowed.consumers.iter().any(|named| named == consumer));
        self.rules.names(consumer) && (is_named || self.is_open_by_itself(isolate, host))
    }

    fn is_open_by_itself<H: Host>(&self, isolate: &Isolate, host: &H) -> bool {
        let away_ms = || self.kind.away_ms(self.policy, isolate, host.clock().instant());
        self.rules.after_s.is_some() && self.rules.opens_after(away_ms())
    }

    /// The record of the token, if it was verified before and is still valid as far as the provider has said.
    async fn record<H: Host>(&self, isolate: &Isolate, host: &H) -> Result<Option<KnownToken>, Unavailable> {
        let key = self.record_key(isolate);
        let record = timeout::record(host, &key).await?;
        let known = record.and_then(|bytes| decode::<KnownToken>(&bytes).ok());
        Ok(known.filter(|known| !known.withdrawn))
    }

    fn record_key(&self, isolate: &Isolate) -> String {
        keys::known_token(&isolate.settings.gateway, self.policy, &token_digest(self.text))
    }

    fn leave(&self, isolate: &Isolate, known: Option<KnownToken>) {
        let due = Due { key: self.record_key(isolate), known, late_s: self.rules.late_s };
        isolate.outages.borrow_mut().leave(due);
    }

    /// Notes that the token was verified, so that it is known in an outage: once for each token and isolate, and in the store once
    /// for each token.
    pub(super) fn note<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        principal: &Principal,
        ends: Timestamp,
        answer: Option<&[u8]>,
    ) {
        let is_kept = |answer: &[u8]| answer.len() <= KNOWN_ANSWER_BYTES_MAX;
        if !self.rules.names(&principal.consumer) || !answer.is_none_or(is_kept) {
            return;
        }
        let key = self.key(isolate, host);
        if isolate.outages.borrow_mut().is_noted(&key, host.clock().instant()) {
            return;
        }
        let answer = answer.map(|answer| String::from_utf8_lossy(answer).into_owned());
        let (credential, consumer) = (principal.credential.clone(), principal.consumer.clone());
        let verified = isolate.time(host.clock());
        self.leave(isolate, Some(KnownToken { credential, consumer, verified, ends, answer, withdrawn: false }));
    }
}

/// The bearer, unless an operator has revoked the token.
fn unrevoked(said: &Said, principal: Arc<Principal>, now: Timestamp) -> Result<Arc<Principal>, Problem> {
    let Some(reason) = revocation(said, &principal, now) else { return Ok(principal) };
    let detail = "This token was revoked. Request a new one from your identity provider.";
    Err(Problem::new(ProblemKind::CredentialRevoked, detail, reason))
}

/// Why a credential is not accepted, if an operator has revoked it.
pub(super) async fn revoked<H: Host>(
    isolate: &Isolate,
    host: &H,
    policy: &PolicyName,
    principal: &Principal,
) -> Result<Option<Reason>, Problem> {
    let outage = said(isolate, host, policy, CREDENTIAL_FRESH_MS).await.map_err(|away| unknown(&away))?;
    Ok(revocation(&outage, principal, isolate.time(host.clock())))
}

fn revocation(said: &Said, principal: &Principal, now: Timestamp) -> Option<Reason> {
    let Principal { credential, consumer, token, .. } = principal;
    let is_revoked = said.revocations.include(credential, consumer, token.as_deref(), now);
    let reason =
        || Reason::CredentialRevoked { credential: credential.as_str().into(), consumer: consumer.as_str().into() };
    is_revoked.then(reason)
}

/// Whether the reason may be that the provider is away: it cannot be asked, its keys are not known, or the client got no new token.
fn may_be_admitted(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::TokenKeysUnavailable { .. }
            | Reason::IntrospectionUnavailable { .. }
            | Reason::TokenNotAccepted { error: ClaimError::Expired }
    )
}

/// Whether a token was revoked is not known.
fn unknown(away: &Unavailable) -> Problem {
    let detail = "The gateway cannot verify tokens right now. Try again shortly.";
    let reason = Reason::OutageUnknown { text: Local(away.0.as_str().into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}
