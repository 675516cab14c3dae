//! `ES384` in the terms of `jwt-compact`, which does not have it.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use jwt_compact::{Algorithm, AlgorithmSignature};
use p384::EncodedPoint;
use p384::ecdsa::signature::{Signer, Verifier};
use p384::ecdsa::{Signature, SigningKey, VerifyingKey};

/// ECDSA over P-384 with SHA-384 (RFC 7518, section 3.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Es384;

/// A signature: `r` and `s`, 48 bytes each.
#[derive(Debug)]
pub(crate) struct Es384Signature(Signature);

/// The key with these coordinates, if they are those of a point on the curve.
pub(crate) fn key(x: &[u8; 48], y: &[u8; 48]) -> Option<VerifyingKey> {
    let point = EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
    VerifyingKey::from_encoded_point(&point).ok()
}

impl AlgorithmSignature for Es384Signature {
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(96);

    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Signature::from_slice(slice).map(Self).map_err(|_| anyhow::anyhow!("not a signature"))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_bytes().to_vec())
    }
}

impl Algorithm for Es384 {
    type SigningKey = SigningKey;
    type VerifyingKey = VerifyingKey;
    type Signature = Es384Signature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("ES384")
    }

    fn sign(&self, key: &SigningKey, message: &[u8]) -> Es384Signature {
        Es384Signature(key.sign(message))
    }

    fn verify_signature(&self, signature: &Es384Signature, key: &VerifyingKey, message: &[u8]) -> bool {
        key.verify(message, &signature.0).is_ok()
    }
}
