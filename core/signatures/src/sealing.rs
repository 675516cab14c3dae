//! Encryption of what only the gateway reads: AES-256-GCM (NIST SP 800-38D), in software.

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};

/// The content, encrypted and with a tag; `None` if it has more than 64 GiB.
#[must_use]
pub fn seal(key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Option<Vec<u8>> {
    Aes256Gcm::new(key.into()).encrypt(nonce.into(), content).ok()
}

/// The content of what was encrypted with this key and nonce, and not changed since.
#[must_use]
pub fn open(key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Option<Vec<u8>> {
    Aes256Gcm::new(key.into()).decrypt(nonce.into(), sealed).ok()
}
