//! Signatures, in software on the isolate's thread: a verification takes as long as some requests, and a token's only one.

use tollgate_core::jose::{SignatureCheck, SigningKey};
use tollgate_edge::ports::{Signatures, Unavailable};

/// The verification of signatures.
#[derive(Clone, Copy, Debug)]
pub struct NativeSignatures;

impl Signatures for NativeSignatures {
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable> {
        Ok(tollgate_signatures::verifies(check))
    }

    async fn signs(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        tollgate_signatures::sign(key, message).ok_or_else(|| Unavailable::new("the private key cannot be used"))
    }

    async fn seals(&self, key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Result<Vec<u8>, Unavailable> {
        tollgate_signatures::seal(key, nonce, content).ok_or_else(|| Unavailable::new("the content is too long"))
    }

    async fn opens(&self, key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(tollgate_signatures::open(key, nonce, sealed))
    }
}
