//! JSON Web Signatures (RFC 7515), Keys (RFC 7517) and Tokens (RFC 7519) in their strict forms.
//!
//! Everything is parsed into a type at the door, within bounds: [`Token`] is a signed token whose signature is not verified
//! yet, [`JwkSet`] the usable keys of a set, [`crate::json::Value`] a JSON text without repeated members. Nothing here verifies a
//! signature: what that takes differs between platforms, so it is a port of the edge, which gets a [`SignatureCheck`].
//!
//! A token never says how it is verified: the policy lists the algorithms, the key has one type, and members of a header
//! that name or contain keys (`jku`, `jwk`, `x5u`, `x5c`) are not read (RFC 8725, sections 3.1 and 3.5).

mod algorithm;
mod base64url;
mod jwk;
mod signing;
mod thumbprint;
mod token;

pub use crate::json::{Members, Value, ValueError};
pub use algorithm::{Algorithm, Algorithms, KeyType};
pub(crate) use jwk::TRIED_MAX;
pub use jwk::{Jwk, JwkError, JwkSet, KeyMaterial, SetError};
pub use signing::{SigningKey, public_set, signed, signing_input};
pub use thumbprint::Thumbprint;
pub(crate) use token::signed_part;
pub use token::{Token, TokenError, media_type};

/// A signature that a platform has to verify.
#[derive(Clone, Copy, Debug)]
pub struct SignatureCheck<'a> {
    /// The algorithm; it is one of the key's type.
    pub algorithm: Algorithm,
    /// The key.
    pub key: &'a Jwk,
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl SignatureCheck<'_> {
    /// Whether the key is of the algorithm's type, and the signature has its length; otherwise it is not one.
    #[must_use]
    pub fn fits(&self) -> bool {
        let bytes = match &self.key.material {
            KeyMaterial::Rsa { modulus, .. } => modulus.len(),
            _ => self.algorithm.signature_bytes().unwrap_or_default(),
        };
        self.key.material.key_type() == self.algorithm.key_type() && self.signature.len() == bytes
    }
}
