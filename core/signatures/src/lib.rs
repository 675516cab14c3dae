//! Verification of the signatures of tokens in software, and the gateway's own signatures: for hosts whose platform does not do it.
//!
//! The algorithms are those of `jwt-compact`, on RustCrypto; `ES384`, which it does not have, is added in its terms. Which
//! algorithm is used with which key was decided before, by the types of [`tollgate_core::jose`].
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod es384;
mod password;
mod sealing;
mod signing;

use es384::Es384;
use jwt_compact::AlgorithmSignature;
use jwt_compact::alg::SecretBytes;
use jwt_compact::alg::{Ed25519, Es256, Hs256, Hs256Key, Hs384, Hs384Key, Hs512, Hs512Key, Rsa, RsaPublicKey};
use jwt_compact::jwk::JsonWebKey;
pub use password::{BCRYPT_BYTES_MAX, hash_password, is_password};
pub use sealing::{open, seal};
pub use signing::SeededKey;
use tollgate_core::jose::{Algorithm, KeyMaterial, SignatureCheck, SigningKey};

/// Whether a signature is that of the key for the message.
///
/// A key that is no point of its curve verifies nothing. An RSA verification of 4,096 bits takes the longest: some
/// hundred microseconds natively.
#[must_use]
pub fn verifies(check: &SignatureCheck<'_>) -> bool {
    if !check.fits() {
        return false;
    }
    let SignatureCheck { algorithm, key, message, signature } = *check;
    match &key.material {
        KeyMaterial::Octets(secret) => match algorithm {
            Algorithm::Hs256 => verify(&Hs256, &Hs256Key::new(secret), message, signature),
            Algorithm::Hs384 => verify(&Hs384, &Hs384Key::new(secret), message, signature),
            Algorithm::Hs512 => verify(&Hs512, &Hs512Key::new(secret), message, signature),
            _ => false,
        },
        KeyMaterial::Rsa { modulus, exponent } => {
            let (Some(rsa), Ok(key)) = (rsa(algorithm), RsaPublicKey::try_from(&public_rsa(modulus, exponent))) else {
                return false;
            };
            verify(&rsa, &key, message, signature)
        }
        KeyMaterial::P256 { x, y } => {
            let point = JsonWebKey::EllipticCurve {
                curve: "P-256".into(),
                x: x.as_slice().into(),
                y: y.as_slice().into(),
                secret: None,
            };
            let key = (&point).try_into();
            algorithm == Algorithm::Es256 && key.is_ok_and(|key| verify(&Es256, &key, message, signature))
        }
        KeyMaterial::P384 { x, y } => {
            let key = es384::key(x, y);
            algorithm == Algorithm::Es384 && key.is_some_and(|key| verify(&Es384, &key, message, signature))
        }
        KeyMaterial::Ed25519(point) => {
            let point = JsonWebKey::KeyPair { curve: "Ed25519".into(), x: point.as_slice().into(), secret: None };
            let key = (&point).try_into();
            algorithm == Algorithm::EdDsa && key.is_ok_and(|key| verify(&Ed25519, &key, message, signature))
        }
    }
}

/// The signature of a shared secret, for tools that play its other owner; `None` if the algorithm has public keys.
#[must_use]
pub fn hmac(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Hs256 => Some(signature(&Hs256, &Hs256Key::new(secret), message)),
        Algorithm::Hs384 => Some(signature(&Hs384, &Hs384Key::new(secret), message)),
        Algorithm::Hs512 => Some(signature(&Hs512, &Hs512Key::new(secret), message)),
        _ => None,
    }
}

/// The signature of a message with a private key; `None` if its public and its private part do not belong together.
///
/// ECDSA is deterministic (RFC 6979), as EdDSA always is, so no randomness is needed.
#[must_use]
pub fn sign(key: &SigningKey, message: &[u8]) -> Option<Vec<u8>> {
    let private = Some(SecretBytes::borrowed(&key.private));
    match &key.public {
        KeyMaterial::P256 { x, y } => {
            let (x, y) = (x.as_slice().into(), y.as_slice().into());
            let pair = JsonWebKey::EllipticCurve { curve: "P-256".into(), x, y, secret: private };
            Some(signature(&Es256, &(&pair).try_into().ok()?, message))
        }
        KeyMaterial::Ed25519(point) => {
            let pair = JsonWebKey::KeyPair { curve: "Ed25519".into(), x: point.as_slice().into(), secret: private };
            Some(signature(&Ed25519, &(&pair).try_into().ok()?, message))
        }
        KeyMaterial::Octets(_) | KeyMaterial::Rsa { .. } | KeyMaterial::P384 { .. } => None,
    }
}

fn signature<A: jwt_compact::Algorithm>(algorithm: &A, key: &A::SigningKey, message: &[u8]) -> Vec<u8> {
    algorithm.sign(key, message).as_bytes().into_owned()
}

/// Verifies a signature of the algorithm's length.
fn verify<A: jwt_compact::Algorithm>(algorithm: &A, key: &A::VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let signature = A::Signature::try_from_slice(signature);
    signature.is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

fn rsa(algorithm: Algorithm) -> Option<Rsa> {
    match algorithm {
        Algorithm::Rs256 => Some(Rsa::rs256()),
        Algorithm::Rs384 => Some(Rsa::rs384()),
        Algorithm::Rs512 => Some(Rsa::rs512()),
        Algorithm::Ps256 => Some(Rsa::ps256()),
        Algorithm::Ps384 => Some(Rsa::ps384()),
        Algorithm::Ps512 => Some(Rsa::ps512()),
        _ => None,
    }
}

fn public_rsa<'k>(modulus: &'k [u8], exponent: &'k [u8]) -> JsonWebKey<'k> {
    JsonWebKey::Rsa { modulus: modulus.into(), public_exponent: exponent.into(), private_parts: None }
}
