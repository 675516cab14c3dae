//! The `jwt` policy: the token's signature is verified with a key of its issuer, once for each token and isolate.

pub(super) mod keys;

use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{
    ClaimError, Identity, IdentityRules, JwtSettings, KnownToken, Principal, TextMark, token_id,
};
use tollgate_core::event::{Local, Reason};
use tollgate_core::jose::{Algorithm, Members, Token, TokenError};
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::Authenticates;
use super::binding::Held;
use super::linked::linked;
use super::outage::{self, KnownTokens};
use super::token::presented;
use crate::apart::rare;
use crate::isolate::tokens::Policy;
use crate::isolate::{Freshness, Isolate};
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;
use keys::Keys;

impl Authenticates for JwtSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let text = presented(&self.place, received)?;
        let bearer = match &self.outage {
            None => verified(self, name, isolate, host, text).await,
            Some(rules) => {
                let presented = outage::Presented { policy: name, rules, text, kind: self };
                let verified = rare(verified(self, name, isolate, host, text));
                rare(outage::authenticate(&presented, isolate, host, verified)).await
            }
        }?;
        let held = Held { rules: &self.rules, place: &self.place, text };
        held.by(bearer, isolate, host, received, content).await
    }
}

/// The bearer of a token that this isolate remembers, or verifies now.
async fn verified<H: Host>(
    settings: &JwtSettings,
    name: &PolicyName,
    isolate: &Isolate,
    host: &H,
    text: &str,
) -> Result<Arc<Principal>, Problem> {
    let times = isolate.times(host.clock());
    let now = times.0;
    let policy = isolate.tokens.borrow_mut().policy(name, settings);
    let remembers = isolate.settings.freshness == Freshness::Cached;
    let mark = remembers.then(|| TextMark::of(text, &isolate.mark_secret(host)));
    if let Some(mark) = mark
        && let Some(known) = isolate.tokens.borrow().get(mark, &policy, times)
    {
        return Ok(known);
    }
    let token = Token::parse(text).map_err(malformed)?;
    let claims = token.claims();
    // Of a token of somebody else no keys are fetched: their issuer may be away.
    claims.as_ref().map_or(Ok(()), |claims| settings.rules.check_issuer(claims)).map_err(not_accepted)?;
    rare(verify(&policy, isolate, host, &token)).await?;
    let claims = claims.map_err(malformed)?;
    let identity = settings.identity(name, &token, &claims, now).map_err(not_accepted)?;
    let identity = match settings.rules.links {
        Some(_) => rare(linked(&settings.rules, identity, isolate, host)).await?,
        None => identity,
    };
    let until = identity.until;
    let principal = Arc::new(settings.bearer(identity, text, &claims));
    if let Some(rules) = &settings.outage {
        let presented = outage::Presented { policy: name, rules, text, kind: settings };
        let ends = settings.rules.end(&claims).unwrap_or(until);
        presented.note(isolate, host, &principal, ends, None);
    }
    if let Some(mark) = mark {
        isolate.tokens.borrow_mut().put(mark, policy, Arc::clone(&principal), until, times);
    }
    Ok(principal)
}

impl KnownTokens for JwtSettings {
    /// The signature was verified when the token was recorded, by its digest; everything else is checked again.
    fn identity(
        &self,
        presented: &outage::Presented<'_>,
        _: &KnownToken,
        now: Timestamp,
    ) -> Result<(Identity, Members), Problem> {
        let token = Token::parse(presented.text).map_err(malformed)?;
        check_algorithm(self, token.algorithm)?;
        let claims = token.claims().map_err(malformed)?;
        let late_s = presented.rules.late_s;
        let identity = self.late_identity(presented.policy, &token, &claims, now, late_s).map_err(not_accepted)?;
        Ok((identity, claims))
    }

    fn bearer(&self, identity: Identity, text: &str, claims: &Members) -> Principal {
        outage::bearer(&self.rules, self.outage.is_some(), token_id("jwt", text), identity, claims)
    }

    fn rules(&self) -> &IdentityRules {
        &self.rules
    }

    fn away_ms(&self, policy: &PolicyName, isolate: &Isolate, now: MonotonicInstant) -> u64 {
        let policy = isolate.tokens.borrow_mut().policy(policy, self);
        let fetches = isolate.fetches.borrow();
        policy.plans().into_iter().flatten().map(|plan| fetches.away_ms(plan.id(), now)).max().unwrap_or(0)
    }
}

/// Verifies the signature with the keys of the issuer. If none of them made it, the issuer may have new ones.
pub(super) async fn verify<H: Host>(
    policy: &Policy,
    isolate: &Isolate,
    host: &H,
    token: &Token<'_>,
) -> Result<(), Problem> {
    check_algorithm(policy.settings(), token.algorithm)?;
    let keys = Keys::of(policy, isolate, host).await?;
    let presented = keys::Presented {
        algorithms: std::iter::once(token.algorithm).collect(),
        key_id: token.key_id.as_deref(),
        is_named: false,
        message: token.signed.as_bytes(),
        signature: &token.signature,
    };
    let tried = keys.made(isolate, host, &presented).await.map_err(|away| unavailable(away.0))?;
    match tried {
        Some(true) => Ok(()),
        Some(false) => {
            let detail = "The token's signature is wrong. Request a new one from your identity provider.";
            Err(Problem::new(ProblemKind::CredentialUnknown, detail, Reason::SignatureWrong))
        }
        None => {
            let detail = "The token is signed with a key that its issuer does not publish. Request a new one.";
            Err(Problem::new(ProblemKind::CredentialUnknown, detail, Reason::TokenKeyUnknown))
        }
    }
}

fn check_algorithm(settings: &JwtSettings, algorithm: Algorithm) -> Result<(), Problem> {
    if settings.accepts(algorithm) {
        return Ok(());
    }
    let detail = format!("Tokens with the algorithm {algorithm} are not accepted here.");
    Err(Problem::new(ProblemKind::CredentialNotAccepted, detail, Reason::AlgorithmNotAccepted { algorithm }))
}

pub(super) fn malformed(error: TokenError) -> Problem {
    let detail = format!("This is not a token that the gateway accepts: {error}.");
    Problem::new(ProblemKind::CredentialMalformed, detail, Reason::TokenMalformed { error })
}

pub(super) fn not_accepted(error: ClaimError) -> Problem {
    let kind = match error {
        ClaimError::Expired | ClaimError::TooOld => ProblemKind::CredentialExpired,
        ClaimError::NotYet => ProblemKind::CredentialNotYetValid,
        _ => ProblemKind::CredentialNotAccepted,
    };
    let detail = format!("The token is not accepted: {error}.");
    Problem::new(kind, detail, Reason::TokenNotAccepted { error })
}

/// A caller that cannot be authenticated is never admitted.
fn unavailable(text: String) -> Problem {
    let detail = "The gateway cannot verify tokens right now. Try again shortly.";
    let reason = Reason::TokenKeysUnavailable { text: Local(text.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}
