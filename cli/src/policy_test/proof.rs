//! Proofs of the keys to which tokens are bound (RFC 9449), as a client makes them.

use std::cell::Cell;

use base64ct::{Base64UrlUnpadded, Encoding};
use http::header::HOST;
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollgate_config::policy_tests::{TestProof, TestToken};
use tollgate_core::authn::{DpopRules, nonce};
use tollgate_core::jose::{Algorithm, KeyMaterial, Thumbprint};
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Clock;
use tollgate_signatures::SeededKey;

use super::sign::first_of;
use super::stage::Bench;

/// The keys of the clients of a test; one name is one key.
#[derive(Default)]
pub(super) struct ClientKeys {
    /// The number of proofs so far.
    made: Cell<u64>,
}

/// The thumbprint of the key with this name.
pub(super) fn thumbprint(name: &str, rules: Option<&DpopRules>) -> Option<Thumbprint> {
    key(name, rules)?.verifying()?.thumbprint()
}

/// The same for the same name, on every machine.
fn key(name: &str, rules: Option<&DpopRules>) -> Option<SeededKey> {
    let is_accepted = |algorithm| rules.is_none_or(|rules| rules.algorithms.contains(algorithm));
    let algorithm = if is_accepted(Algorithm::EdDsa) { Algorithm::EdDsa } else { Algorithm::Es256 };
    SeededKey::new(algorithm, &Sha256::digest(format!("client\n{name}")).into())
}

impl ClientKeys {
    /// Adds the proof of a token to its request; `Err` says what the project lacks.
    pub(super) fn prove(
        &self,
        (token, text): (&TestToken, &str),
        rules: Option<&DpopRules>,
        (bench, https): (&Bench, bool),
        request: &mut Request<Content>,
    ) -> Result<(), String> {
        let (Some(name), Some(proof)) = (&token.bound_key, token.proof) else { return Ok(()) };
        if proof == TestProof::Missing {
            return Ok(());
        }
        let owner = if proof == TestProof::OfAnotherKey { format!("not {name}") } else { name.clone() };
        let key = key(&owner, rules).ok_or("the policy accepts proofs neither with EdDSA nor with ES256")?;
        let jwk = key.verifying().and_then(|public| jwk(&public)).ok_or("the client's key is not a public key")?;
        let header = json!({"typ": "dpop+jwt", "alg": key.algorithm().as_str(), "jwk": jwk});
        let claims = self.claims(proof, text, rules, (bench, https), request)?;
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let message = if proof == TestProof::Forged { "another message" } else { signed.as_str() };
        let signature = Base64UrlUnpadded::encode_string(&key.sign(message.as_bytes()));
        let value = HeaderValue::try_from(format!("{signed}.{signature}"));
        let mut value = value.map_err(|_| "the proof is not a valid value of a field".to_owned())?;
        value.set_sensitive(true);
        request.headers_mut().insert("dpop", value);
        Ok(())
    }

    fn claims(
        &self,
        proof: TestProof,
        token: &str,
        rules: Option<&DpopRules>,
        (bench, https): (&Bench, bool),
        request: &Request<Content>,
    ) -> Result<Value, String> {
        self.made.set(self.made.get() + 1);
        let id = if proof == TestProof::Repeated { 0 } else { self.made.get() };
        let now = bench.host.clock.now();
        let made = now.as_secs().saturating_sub(if proof == TestProof::Old { 3_600 } else { 0 });
        let (scheme, host) = (if https { "https" } else { "http" }, request.headers().get(HOST));
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let path = if proof == TestProof::OfAnotherRequest { "/another" } else { request.uri().path() };
        let token = if proof == TestProof::OfAnotherToken { "another" } else { token };
        let mut claims = json!({
            "jti": format!("proof-{id}"),
            "htm": request.method().as_str(),
            "htu": format!("{scheme}://{host}{path}"),
            "iat": made,
            "ath": Thumbprint::of(token).to_string(),
        });
        if let Some(secret) = rules.and_then(|rules| rules.nonce.as_ref())
            && proof != TestProof::WithoutNonce
        {
            let secret = first_of(std::slice::from_ref(secret), bench)?;
            claims["nonce"] = nonce(secret.expose(), now).into();
        }
        Ok(claims)
    }
}

fn jwk(public: &KeyMaterial) -> Option<Value> {
    let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    match public {
        KeyMaterial::Ed25519(x) => Some(json!({"kty": "OKP", "crv": "Ed25519", "x": text(x)})),
        KeyMaterial::P256 { x, y } => Some(json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})),
        KeyMaterial::Octets(_) | KeyMaterial::Rsa { .. } | KeyMaterial::P384 { .. } => None,
    }
}
