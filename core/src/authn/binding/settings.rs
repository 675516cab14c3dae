//! How tokens are bound, as a policy requires it.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{BindingError, Confirmation};
use crate::authn::CertificateSource;
use crate::codec::Decode;
use crate::jose::{Algorithms, KeyType};
use crate::secret::SecretText;

/// What a policy requires of the holders of tokens; absent, [`BindingMode::Bearer`] and the certificate of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct BindingRules {
    /// What tokens must be bound to.
    #[n(0)]
    pub mode: BindingMode,
    /// Who tells which certificate the client has.
    #[n(1)]
    pub certificate: CertificateSource,
    /// How proofs are verified; there if the mode accepts them.
    #[serde(default)]
    #[n(2)]
    pub dpop: Option<DpopRules>,
}

/// What tokens must be bound to. One that is bound is checked in every mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum BindingMode {
    /// To nothing; those that are bound to a key are refused.
    #[default]
    #[n(0)]
    Bearer,
    /// To nothing.
    #[n(1)]
    DpopOrBearer,
    /// To a key.
    #[n(2)]
    Dpop,
    /// To a certificate; those that are bound to a key as well are refused.
    #[n(3)]
    Certificate,
    /// To a key or a certificate.
    #[n(4)]
    Any,
}

/// How proofs of keys are verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct DpopRules {
    /// The algorithms that are accepted, none of which is for a shared secret.
    #[n(0)]
    pub algorithms: Algorithms,
    /// How long after it was made a proof is accepted, and by how much the client's clock may be ahead, in seconds.
    #[n(1)]
    pub age_max_s: u32,
    /// The secret from which nonces are made; absent, proofs need none.
    #[serde(default)]
    #[n(2)]
    pub nonce: Option<SecretText>,
    /// Whether a proof is accepted once.
    #[n(3)]
    pub once: bool,
}

impl BindingRules {
    /// What the types cannot express.
    pub(in crate::authn) fn is_coherent(&self) -> bool {
        let is_public = |rules: &DpopRules| {
            !rules.algorithms.is_empty() && rules.algorithms.iter().all(|one| one.key_type() != KeyType::Octets)
        };
        self.dpop.is_some() == self.mode.accepts_proofs() && self.dpop.as_ref().is_none_or(is_public)
    }
}

impl BindingMode {
    /// Whether tokens may be bound to keys.
    #[must_use]
    pub const fn accepts_proofs(self) -> bool {
        matches!(self, Self::DpopOrBearer | Self::Dpop | Self::Any)
    }

    /// Whether a token that is bound to nothing is refused.
    #[must_use]
    pub const fn is_required(self) -> bool {
        !matches!(self, Self::Bearer | Self::DpopOrBearer)
    }

    /// Checks that a token is bound to what the mode requires, and to nothing that it does not verify.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(self, confirmation: Option<&Confirmation>) -> Result<(), BindingError> {
        let of_key = confirmation.is_some_and(|bound| bound.key.is_some());
        let of_certificate = confirmation.is_some_and(|bound| bound.certificate.is_some());
        let is_bound = match self {
            Self::Bearer | Self::DpopOrBearer => true,
            Self::Dpop => of_key,
            Self::Certificate => of_certificate,
            Self::Any => of_key || of_certificate,
        };
        match (is_bound, of_key && !self.accepts_proofs()) {
            (_, true) => Err(BindingError::DpopOff),
            (false, false) => Err(BindingError::Unbound),
            (true, false) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, Thumbprint};
    use crate::x509::Fingerprint;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_must_be_bound_to_what_the_mode_requires() {
        let key = Confirmation { certificate: None, key: Some(Thumbprint::new([1; 32])) };
        let certificate = Confirmation { certificate: Some(Fingerprint::of(b"a")), key: None };
        let checked = |mode: BindingMode| [None, Some(&key), Some(&certificate)].map(|bound| mode.check(bound).err());
        let (unbound, off) = (Some(BindingError::Unbound), Some(BindingError::DpopOff));
        assert_eq!(checked(BindingMode::Bearer), [None, off, None]);
        assert_eq!(checked(BindingMode::DpopOrBearer), [None, None, None]);
        assert_eq!(checked(BindingMode::Dpop), [unbound, None, unbound]);
        assert_eq!(checked(BindingMode::Certificate), [unbound, off, None]);
        assert_eq!(checked(BindingMode::Any), [unbound, None, None]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn proofs_are_verified_with_public_keys_where_they_are_accepted() {
        let with = |mode, algorithms: Option<&[Algorithm]>| {
            let dpop = algorithms.map(|all| DpopRules {
                algorithms: all.iter().copied().collect(),
                age_max_s: 60,
                nonce: None,
                once: true,
            });
            BindingRules { mode, certificate: CertificateSource::Connection, dpop }.is_coherent()
        };
        assert!(with(BindingMode::Bearer, None) && with(BindingMode::Dpop, Some(&[Algorithm::Es256])));
        assert!(!with(BindingMode::Dpop, None) && !with(BindingMode::Certificate, Some(&[Algorithm::Es256])));
        assert!(!with(BindingMode::Any, Some(&[])) && !with(BindingMode::Any, Some(&[Algorithm::Hs256])));
    }
}
