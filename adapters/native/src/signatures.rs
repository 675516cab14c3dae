//! Signatures, in software on the isolate's thread: a verification takes as long as some requests, and a token's only one. Slow hashes
//! take as long as a thousand, and have threads of their own.

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

    const HASHES_PASSWORDS: bool = true;

    /// On a thread of its own: the other requests of the isolate go on.
    async fn is_password(&self, hash: &str, password: &str) -> Result<bool, Unavailable> {
        let (hash, password) = (hash.to_owned(), password.to_owned());
        let hashing = tokio::task::spawn_blocking(move || tollgate_signatures::is_password(&hash, &password));
        hashing.await.map_err(|error| Unavailable::new(format!("the hash of a password: {error}")))
    }

    async fn opens(&self, key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(tollgate_signatures::open(key, nonce, sealed))
    }
}
