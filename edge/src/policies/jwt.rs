//! The `jwt` policy: the token's signature is verified with a key of its issuer, once for each token and isolate.

pub(super) mod keys;

use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{ClaimError, JwtSettings, Presented, Principal, TextMark, token_id};
use tollgate_core::event::{Local, Reason};
use tollgate_core::jose::{Token, TokenError};
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
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
        _: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let text = presented(self, received)?;
        let now = isolate.time(host.clock());
        let policy = isolate.tokens.borrow_mut().policy(name, self);
        let remembers = isolate.settings.freshness == Freshness::Cached;
        let mark = remembers.then(|| TextMark::of(text, &isolate.mark_secret(host)));
        if let Some(mark) = mark
            && let Some(known) = isolate.tokens.borrow().get(mark, &policy, now)
        {
            return Ok(known);
        }
        let token = Token::parse(text).map_err(malformed)?;
        rare(verify(&policy, isolate, host, &token)).await?;
        let claims = token.claims().map_err(malformed)?;
        let identity = self.identity(name, &token, &claims, now).map_err(not_accepted)?;
        let principal = Principal::new(identity.consumer, token_id("jwt", text), identity.plan, identity.scopes);
        let principal = Arc::new(principal.with_groups(identity.groups).with_claims(&self.rules.kept_claims, &claims));
        if let Some(mark) = mark {
            isolate.tokens.borrow_mut().put(mark, policy, Arc::clone(&principal), identity.until, now);
        }
        Ok(principal)
    }
}

fn presented<'r>(settings: &JwtSettings, received: &'r Received) -> Result<&'r str, Problem> {
    let place = || settings.place.in_words("token");
    match settings.place.presented(&received.fields, received.query.as_deref()) {
        Presented::Text(text) => Ok(text),
        Presented::Nothing => {
            let detail = format!("Send a token of your identity provider in {}.", place());
            Err(Problem::new(ProblemKind::CredentialMissing, detail, Reason::TokenMissing))
        }
        Presented::Several => {
            let detail = format!("Send one token, once, in {}.", place());
            Err(Problem::new(ProblemKind::CredentialMalformed, detail, Reason::TokensSeveral))
        }
    }
}

/// Verifies the signature with the keys of the issuer. If none of them made it, the issuer may have new ones.
pub(super) async fn verify<H: Host>(
    policy: &Policy,
    isolate: &Isolate,
    host: &H,
    token: &Token<'_>,
) -> Result<(), Problem> {
    if !policy.settings().accepts(token.algorithm) {
        let detail = format!("Tokens with the algorithm {} are not accepted here.", token.algorithm);
        let reason = Reason::AlgorithmNotAccepted { algorithm: token.algorithm };
        return Err(Problem::new(ProblemKind::CredentialNotAccepted, detail, reason));
    }
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

fn malformed(error: TokenError) -> Problem {
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
