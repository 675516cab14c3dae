//! Signatures, in software on the isolate's thread: a verification takes as long as some requests, and a token's only one.

use tollgate_core::jose::SignatureCheck;
use tollgate_edge::ports::{Signatures, Unavailable};

/// The verification of signatures.
#[derive(Clone, Copy, Debug)]
pub struct NativeSignatures;

impl Signatures for NativeSignatures {
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable> {
        Ok(tollgate_signatures::verifies(check))
    }
}
