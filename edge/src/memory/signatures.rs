use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use tollgate_core::jose::{SignatureCheck, SigningKey};

use super::{Fault, VirtualClock};
use crate::ports::{Clock, Signatures, Unavailable};

/// A function that verifies a signature.
pub type Verify = dyn Fn(&SignatureCheck<'_>) -> bool;

/// A function that signs a message.
pub type Sign = dyn Fn(&SigningKey, &[u8]) -> Option<Vec<u8>>;

/// A function that encrypts content with a key and a nonce.
pub type Seal = dyn Fn(&[u8; 32], &[u8; 12], &[u8]) -> Option<Vec<u8>>;

/// A function that verifies a password with its slow hash.
pub type Hash = dyn Fn(&str, &str) -> bool;

/// Signatures that a function verifies; without one, none verifies.
#[derive(Clone)]
pub struct MemorySignatures {
    verify: Rc<Verify>,
    sign: Rc<Sign>,
    seal: Rc<Seal>,
    open: Rc<Seal>,
    hash: Rc<Hash>,
    /// How long a slow hash takes, in milliseconds.
    pub hash_ms: Rc<Cell<u64>>,
    clock: Option<VirtualClock>,
    /// Makes each verification fail.
    pub fault: Fault,
}

impl MemorySignatures {
    /// Signatures that the function verifies.
    pub fn new(verify: impl Fn(&SignatureCheck<'_>) -> bool + 'static) -> Self {
        Self {
            verify: Rc::new(verify),
            sign: Rc::new(|_, _| None),
            seal: Rc::new(|_, _, _| None),
            open: Rc::new(|_, _, _| None),
            hash: Rc::new(|_, _| false),
            hash_ms: Rc::default(),
            clock: None,
            fault: Fault::default(),
        }
    }

    /// The same, and signatures that a function makes; without one, none is made.
    #[must_use]
    pub fn signing(self, sign: impl Fn(&SigningKey, &[u8]) -> Option<Vec<u8>> + 'static) -> Self {
        Self { sign: Rc::new(sign), ..self }
    }

    /// The same, and functions that encrypt and decrypt; without them, nothing is encrypted.
    #[must_use]
    pub fn sealing(
        self,
        seal: impl Fn(&[u8; 32], &[u8; 12], &[u8]) -> Option<Vec<u8>> + 'static,
        open: impl Fn(&[u8; 32], &[u8; 12], &[u8]) -> Option<Vec<u8>> + 'static,
    ) -> Self {
        Self { seal: Rc::new(seal), open: Rc::new(open), ..self }
    }
}

impl MemorySignatures {
    /// The same, and a function that verifies passwords; without one, none is right. By this clock it takes `hash_ms`.
    #[must_use]
    pub fn hashing(self, clock: VirtualClock, hash: impl Fn(&str, &str) -> bool + 'static) -> Self {
        Self { hash: Rc::new(hash), clock: Some(clock), ..self }
    }
}

impl Default for MemorySignatures {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for MemorySignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySignatures").finish_non_exhaustive()
    }
}

impl Signatures for MemorySignatures {
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable> {
        self.fault.check("the verification of signatures")?;
        Ok((self.verify)(check))
    }

    async fn signs(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        self.fault.check("the signing of assertions")?;
        (self.sign)(key, message).ok_or_else(|| Unavailable::new("the private key cannot be used"))
    }

    async fn seals(&self, key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Result<Vec<u8>, Unavailable> {
        self.fault.check("the encryption of cookies")?;
        (self.seal)(key, nonce, content).ok_or_else(|| Unavailable::new("nothing encrypts"))
    }

    const HASHES_PASSWORDS: bool = true;

    async fn is_password(&self, hash: &str, password: &str) -> Result<bool, Unavailable> {
        self.fault.check("the hash of a password")?;
        if let Some(clock) = &self.clock {
            clock.sleep(self.hash_ms.get()).await;
        }
        Ok((self.hash)(hash, password))
    }

    async fn opens(&self, key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        self.fault.check("the decryption of cookies")?;
        Ok((self.open)(key, nonce, sealed))
    }
}
