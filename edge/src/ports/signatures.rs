use tollgate_core::authn::ContentHash;
use tollgate_core::jose::{SignatureCheck, SigningKey};

use super::Unavailable;

/// Verification of the signatures of tokens and requests, the gateway's own signatures, digests of content, encryption of what only
/// the gateway reads, and slow hashes of passwords.
///
/// Algorithm and type of key belong together; the caller has checked it. `true` means that the key's owner signed exactly
/// this message: a wrong `true` admits a forged token. A key that is no point of its curve, and a signature of another
/// length than the algorithm's, verify nothing. Which signature is wrong, and why, is not told.
///
/// A platform that verifies signatures itself uses its own; others use `tollgate-signatures`. The time that it takes must
/// not depend on a shared secret.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Signatures {
    /// Whether the signature is that of the key for the message.
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable>;

    /// The signature of a message with the gateway's own key. Public and private part that do not belong together are
    /// [`Unavailable`].
    async fn signs(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Unavailable>;

    /// Encrypts and authenticates content with AES-256-GCM (NIST SP 800-38D): the result is as long as the content and a tag of 16
    /// bytes. The caller uses a nonce once with a key.
    async fn seals(&self, key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Result<Vec<u8>, Unavailable>;

    /// The content of what was encrypted so; `None` if it was not encrypted with this key and nonce, or was changed since. A wrong
    /// content would be a forged session.
    async fn opens(&self, key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Whether it computes slow hashes. A platform that bounds the processor time of a request does not.
    const HASHES_PASSWORDS: bool = false;

    /// Whether a password has this hash (`tollgate_core::authn::SlowHash`, whose parameters are within its bounds). It takes some tens
    /// of milliseconds of a core, and must not keep other requests of the isolate waiting where that can be avoided.
    async fn is_password(&self, hash: &str, password: &str) -> Result<bool, Unavailable> {
        let _ = (hash, password);
        Err(Unavailable::new("this host computes no slow hashes of passwords"))
    }

    /// The digest of content: in software, where the platform does not compute it.
    async fn digest(&self, hash: ContentHash, content: &[u8]) -> Result<Vec<u8>, Unavailable> {
        Ok(hash.digest(content))
    }
}
