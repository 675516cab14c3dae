//! The stored record of a credential, and whether it is valid at an instant.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The record of a credential, stored under the hash of its key, never with the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// A public id for logs and management.
    pub id: String,
    /// The consumer that owns it.
    pub consumer: String,
    /// The plan it was issued for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The start of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The end of its validity, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether it was revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

/// Whether a credential is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// It is valid.
    Valid,
    /// It is not valid yet.
    NotYetValid,
    /// It has expired.
    Expired,
    /// It was revoked.
    Revoked,
}

impl Credential {
    /// Whether the credential is valid at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> CredentialState {
        if self.revoked {
            CredentialState::Revoked
        } else if self.expires.is_some_and(|end| now >= end) {
            CredentialState::Expired
        } else if self.not_before.is_some_and(|start| now < start) {
            CredentialState::NotYetValid
        } else {
            CredentialState::Valid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_credential_is_valid_from_its_start_until_just_before_its_end() {
        let at = Timestamp::from_millis;
        let mut credential = Credential {
            id: "c".into(),
            consumer: "acme".into(),
            plan: None,
            scopes: vec![],
            not_before: Some(at(10)),
            expires: Some(at(20)),
            revoked: false,
        };
        let states = [9, 10, 19, 20].map(|ms| credential.state(at(ms)));
        assert_eq!(
            states,
            [CredentialState::NotYetValid, CredentialState::Valid, CredentialState::Valid, CredentialState::Expired]
        );
        credential.revoked = true;
        assert_eq!(credential.state(at(15)), CredentialState::Revoked);
    }
}
