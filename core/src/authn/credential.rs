//! The stored record of a credential, and whether it is valid at an instant.

use serde::Serialize;

use super::Restrictions;
use crate::entitlement::PlanNumbers;
use crate::json::FromJson;
use crate::time::Timestamp;

/// The record of a credential, stored under the hash of its key, never with the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, FromJson)]
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
    /// The groups that it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The environment that it was issued for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The start of its validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The end of its validity, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether it was revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// From where it may be used; readers of version 1 do not know this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<Box<Restrictions>>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Who created it: the name of an operator's token, or what a person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// What it is for, in words of those who manage it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The id of the key that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The id of the key that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// The identity whose link it is: a name as [`super::IdentityName`] has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The numbers that it has for limits, within what these allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<PlanNumbers>,
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
    /// A credential of a consumer with this public id: without plan and scopes, and valid without end.
    #[must_use]
    pub fn of(id: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self { id: id.into(), consumer: consumer.into(), ..Self::default() }
    }

    /// Withdraws it; answers whether it was valid before. A key or certificate is revoked for ever. A link ends: the identity may be
    /// linked again.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        if self.identity.is_none() {
            return !std::mem::replace(&mut self.revoked, true);
        }
        let was_valid = self.expires.is_none_or(|end| now < end);
        if was_valid {
            self.expires = Some(now);
        }
        was_valid
    }

    /// Whether it was a link, and is none any more.
    #[must_use]
    pub fn is_ended_link(&self, now: Timestamp) -> bool {
        self.identity.is_some() && self.state(now) == CredentialState::Expired
    }

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
        let mut credential =
            Credential { not_before: Some(at(10)), expires: Some(at(20)), ..Credential::of("c", "acme") };
        let states = [9, 10, 19, 20].map(|ms| credential.state(at(ms)));
        assert_eq!(
            states,
            [CredentialState::NotYetValid, CredentialState::Valid, CredentialState::Valid, CredentialState::Expired]
        );
        credential.revoked = true;
        assert_eq!(credential.state(at(15)), CredentialState::Revoked);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_revoked_for_ever_and_a_link_ends() {
        let now = Timestamp::from_millis(10);
        let mut key = Credential::of("key-1", "acme");
        assert!(key.withdraw(now) && key.revoked && !key.withdraw(now) && !key.is_ended_link(now));
        let mut link = Credential { identity: Some("https://a.test sub=1".into()), ..Credential::of("link-1", "ada") };
        assert!(!link.is_ended_link(now) && link.withdraw(now) && !link.revoked && link.is_ended_link(now));
        assert!(!link.withdraw(now.plus_millis(5)) && link.expires == Some(now));
    }
}
