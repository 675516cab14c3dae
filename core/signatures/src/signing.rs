//! Keys that are made from a seed, and signatures with them: for tests, whose results must be the same in every run.
//!
//! Nothing that serves requests signs with them.

use ed25519_dalek::Signer;
use jwt_compact::Algorithm as _;
use jwt_compact::alg::Es256;
use jwt_compact::jwk::JsonWebKey;
use tollgate_core::jose::{Algorithm, KeyMaterial};

/// A key that is made from a seed.
pub struct SeededKey(Kind);

enum Kind {
    Ed25519(ed25519_dalek::SigningKey),
    P256(<Es256 as jwt_compact::Algorithm>::SigningKey),
}

impl SeededKey {
    /// The key of an algorithm with this seed; `None` for algorithms other than EdDSA and ES256, and for the few seeds that are
    /// no key.
    #[must_use]
    pub fn new(algorithm: Algorithm, seed: &[u8; 32]) -> Option<Self> {
        match algorithm {
            Algorithm::EdDsa => Some(Self(Kind::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed)))),
            Algorithm::Es256 => {
                let key =
                    <<Es256 as jwt_compact::Algorithm>::SigningKey as jwt_compact::alg::SigningKey<Es256>>::from_slice(
                        seed,
                    );
                key.ok().map(|key| Self(Kind::P256(key)))
            }
            _ => None,
        }
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Ed25519(_) => Algorithm::EdDsa,
            Kind::P256(_) => Algorithm::Es256,
        }
    }

    /// The key that verifies its signatures.
    #[must_use]
    pub fn verifying(&self) -> Option<KeyMaterial> {
        match &self.0 {
            Kind::Ed25519(key) => Some(KeyMaterial::Ed25519(key.verifying_key().to_bytes())),
            Kind::P256(key) => match JsonWebKey::from(key.verifying_key()) {
                JsonWebKey::EllipticCurve { x, y, .. } => {
                    Some(KeyMaterial::P256 { x: x.as_ref().try_into().ok()?, y: y.as_ref().try_into().ok()? })
                }
                _ => None,
            },
        }
    }

    /// The signature of a message; the same one each time (RFC 8032, section 5.1.6; RFC 6979).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Kind::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Kind::P256(key) => Es256.sign(key, message).to_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifies;
    use tollgate_core::jose::{Jwk, SignatureCheck};

    #[test]
    fn a_seeded_key_signs_what_its_public_half_verifies_and_always_the_same() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            let key = |seed| SeededKey::new(algorithm, &[seed; 32]).expect("a key");
            let (one, other) = (key(7), key(8));
            assert_eq!(one.sign(b"a"), key(7).sign(b"a"));
            let jwk = Jwk { id: None, algorithm: None, material: one.verifying().expect("a public key") };
            let holds = |signature: &[u8]| {
                verifies(&SignatureCheck { algorithm: one.algorithm(), key: &jwk, message: b"a", signature })
            };
            assert!(holds(&one.sign(b"a")) && !holds(&one.sign(b"b")) && !holds(&other.sign(b"a")));
        }
        assert!(SeededKey::new(Algorithm::Rs256, &[7; 32]).is_none());
        assert!(SeededKey::new(Algorithm::Es256, &[0xff; 32]).is_none(), "above the order of the curve");
    }
}
