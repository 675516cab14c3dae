//! Whether who presents a token is the holder that it is bound to: by the client's certificate (RFC 8705), or by a proof of its key
//! (RFC 9449).

use std::num::NonZeroU32;
use std::sync::Arc;

use http::HeaderName;
use tollgate_core::authn::{
    BindingError, Confirmation, CredentialPlace, DpopRules, IdentityRules, Once, Principal, Proof, ProvedRequest,
    accepts_nonce, nonce,
};
use tollgate_core::event::Reason;
use tollgate_core::jose::Thumbprint;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::secret::Secret;

use super::signed::{accept_once, keys_unavailable, secrets};
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;
use crate::timeout::verifies;

/// A token that was accepted from whoever has it.
pub(super) struct Held<'t> {
    pub(super) rules: &'t IdentityRules,
    pub(super) place: &'t CredentialPlace,
    pub(super) text: &'t str,
}

impl Held<'_> {
    /// The bearer, if it is the holder. That is checked for each request, also with a token that is remembered.
    pub(super) async fn by<H: Host>(
        &self,
        principal: Arc<Principal>,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        if principal.confirmation.is_none() && !self.place.with_proof && !self.rules.binding_mode().is_required() {
            return Ok(principal);
        }
        rare(self.check(principal.confirmation.as_deref(), isolate, host, received, content)).await?;
        Ok(principal)
    }

    async fn check<H: Host>(
        &self,
        confirmation: Option<&Confirmation>,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<(), Problem> {
        self.rules.binding_mode().check(confirmation).map_err(refused)?;
        if let Some(confirmation) = confirmation.filter(|bound| bound.certificate.is_some()) {
            let peer = content.client_certificate(host, received, self.rules.certificate_source());
            confirmation.check_certificate(&peer, isolate.time(host.clock())).map_err(refused)?;
        }
        let has_scheme = self.place.with_proof && self.place.has_proof_scheme(&received.fields);
        match (confirmation.and_then(|bound| bound.key.as_ref()), self.rules.dpop()) {
            (Some(_), Some(_)) if !has_scheme => Err(refused(BindingError::Scheme)),
            (Some(key), Some(rules)) => self.check_proof(key, rules, isolate, host, received, content).await,
            (Some(_), None) => Err(refused(BindingError::DpopOff)),
            (None, _) if has_scheme && self.place.scheme.is_some() => Err(refused(BindingError::NotOfKey)),
            (None, _) => Ok(()),
        }
    }

    async fn check_proof<H: Host>(
        &self,
        key: &Thumbprint,
        rules: &DpopRules,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<(), Problem> {
        let proof = Proof::presented(&received.fields, rules);
        let secrets = match &rules.nonce {
            Some(secret) => secrets(isolate, host, std::slice::from_ref(secret)).await.and_then(nonce_secrets),
            None => Ok(Vec::new()),
        };
        let now = isolate.time(host.clock());
        let proof = match (proof, &secrets) {
            (Ok(proof), _) => proof,
            (Err(error), Ok(secrets)) => return Err(with_nonce(refused(error), secrets.first(), now)),
            // What is wrong with the proof is known without the secret.
            (Err(error), Err(_)) => return Err(refused(error)),
        };
        let secrets = secrets?;
        let refused = |error| with_nonce(refused(error), secrets.first(), now);
        let request = ProvedRequest {
            method: received.method.as_str(),
            https: received.origin.https,
            authority: received.origin.host.as_deref().unwrap_or(received.authority()),
            path: received.path_as_sent(),
            token: self.text,
        };
        proof.check(key, &request, rules, now).map_err(refused)?;
        let is_made_with =
            |secret: &Secret| proof.nonce().is_some_and(|nonce| accepts_nonce(secret.expose(), nonce, now));
        if rules.nonce.is_some() && !secrets.iter().any(is_made_with) {
            return Err(refused(BindingError::Nonce));
        }
        if !verifies(host, &proof.signature()).await.map_err(|away| keys_unavailable(away.0))? {
            return Err(refused(BindingError::Signature));
        }
        match NonZeroU32::new(rules.once_ms()).filter(|_| rules.once) {
            Some(window_ms) => {
                // A header may choose between policies, and a proof does not cover it.
                let once = Once { policy: None, signer: proof.signer(), used: &proof.used() };
                let accepted = accept_once(host, content, once, window_ms).await;
                accepted.map_err(|problem| match problem.kind {
                    ProblemKind::CredentialReplayed => refused(BindingError::Replayed),
                    _ => problem,
                })
            }
            None => Ok(()),
        }
    }
}

/// The values of the secret, the newest first; each has to be long enough that nobody can try them all.
fn nonce_secrets(values: Vec<Secret>) -> Result<Vec<Secret>, Problem> {
    if values.iter().any(|secret| secret.expose().len() < NONCE_SECRET_BYTES_MIN) {
        let text = format!("the secret for DPoP nonces has fewer than {NONCE_SECRET_BYTES_MIN} bytes");
        return Err(keys_unavailable(text));
    }
    Ok(values)
}

/// Tells the client the nonce for its next proof (RFC 9449, section 9).
fn with_nonce(problem: Problem, secret: Option<&Secret>, now: tollgate_core::time::Timestamp) -> Problem {
    match secret {
        Some(secret) => problem.with(DPOP_NONCE, nonce(secret.expose(), now)),
        None => problem,
    }
}

fn refused(error: BindingError) -> Problem {
    let detail = format!("The token is not accepted: {error}.");
    Problem::new(error.kind(), detail, Reason::TokenNotBound { error })
}

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// As many as the code of a nonce has.
const NONCE_SECRET_BYTES_MIN: usize = 16;
