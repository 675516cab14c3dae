//! Links: records that say which consumer an identity of a provider is.
//!
//! An identity is named by its issuer and the value of a claim that the issuer gives to it alone, such as `sub`. Several identities
//! with one consumer are one caller.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::claims::{find, text};
use super::{ClaimError, Credential, CredentialState, Identity, IdentityRules, KeyDigest, LinkRules};
use crate::bounds::CREDENTIAL_FRESH_MS;
use crate::jose::Members;
use crate::time::Timestamp;

/// The name of an identity: `<issuer> <claim>=<value>`.
///
/// No other identity has the same text, because an issuer has no blank and a claim no equals sign; and no key has it, because a key
/// has no blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityName(String);

/// Why a text is no name of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "an identity is an issuer, a blank, and a claim with its value, such as `https://login.example.com sub=00u7f`; at most 1,024 bytes without control characters"
)]
pub struct IdentityNameError;

impl IdentityName {
    /// The identity that an issuer names by this value of a claim.
    ///
    /// # Errors
    /// If these cannot be a name.
    pub fn new(issuer: &str, claim: &str, value: &str) -> Result<Self, IdentityNameError> {
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        let is_name = is_word(issuer) && is_word(claim) && !claim.contains('=') && !value.is_empty();
        let name = format!("{issuer} {claim}={value}");
        if is_name && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control) {
            Ok(Self(name))
        } else {
            Err(IdentityNameError)
        }
    }

    /// The digest under which its link is stored.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of_text(&self.0)
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdentityName {
    type Err = IdentityNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (issuer, rest) = text.split_once(' ').ok_or(IdentityNameError)?;
        let (claim, value) = rest.split_once('=').ok_or(IdentityNameError)?;
        Self::new(issuer, claim, value)
    }
}

impl fmt::Display for IdentityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl IdentityRules {
    /// The digest under which the link of a token's identity is stored, if identities are linked.
    pub(super) fn link(&self, claims: &Members) -> Result<Option<KeyDigest>, ClaimError> {
        let Some(LinkRules { claim, .. }) = &self.links else { return Ok(None) };
        let issuer = match (claims.text("iss"), self.issuers.as_slice()) {
            (Some(issuer), _) => issuer,
            // The answer of an authorization server need not say it.
            (None, [issuer]) => issuer,
            (None, _) => return Err(ClaimError::Missing("iss".into())),
        };
        let Some(value) = find(claims, claim) else { return Ok(None) };
        let value = text(value).ok_or_else(|| ClaimError::Form(claim.clone()))?;
        let name = IdentityName::new(issuer, claim, &value).map_err(|_| ClaimError::Form(claim.clone()))?;
        Ok(Some(name.digest()))
    }
}

impl Identity {
    /// The same as the link in the store says, if there is one that is valid: it names the consumer, a plan if it has one, and further
    /// groups. What it says is asked for again after a time.
    ///
    /// # Errors
    /// If there is none, and one is required.
    pub fn linked(mut self, rules: &LinkRules, link: Option<&Credential>, now: Timestamp) -> Result<Self, ClaimError> {
        self.until = self.until.min(now.plus_millis(CREDENTIAL_FRESH_MS));
        match link.filter(|link| link.state(now) == CredentialState::Valid) {
            Some(link) => {
                self.consumer.clone_from(&link.consumer);
                self.plan = link.plan.clone().or(self.plan);
                self.groups.extend(link.groups.iter().cloned());
                Ok(self)
            }
            None if rules.required => Err(ClaimError::NotLinked),
            None => Ok(self),
        }
    }
}

/// An issuer and a subject have at most 255 characters each; URLs may be longer.
const NAME_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_name_is_that_of_one_identity() {
        let read = |text: &str| text.parse::<IdentityName>();
        let name = read("https://a.test sub=p 17=x").unwrap();
        assert_eq!(IdentityName::new("https://a.test", "sub", "p 17=x"), Ok(name.clone()));
        assert_eq!(name.to_string(), "https://a.test sub=p 17=x");
        assert_ne!(name.digest(), read("https://a.test sub=p").unwrap().digest());
        let long = format!("https://a.test sub={}", "x".repeat(1_024));
        for bad in
            ["", "https://a.test", "https://a.test sub", "https://a.test sub=", " sub=1", "a b c=1", "a =1", &long]
        {
            assert_eq!(read(bad), Err(IdentityNameError), "{bad}");
        }
        assert!(read("https://a.test sub=a\u{0}").is_err() && IdentityName::new("a b", "sub", "1").is_err());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_link_names_the_consumer_and_a_plan_and_adds_groups() {
        let now = Timestamp::from_millis(1_000_000);
        let identity = || Identity {
            consumer: "staff:7".into(),
            plan: Some("free".into()),
            scopes: vec!["read".into()],
            groups: vec!["a".into()],
            until: Timestamp::MAX,
            confirmation: None,
            link: None,
        };
        let rules = |required| LinkRules { claim: "sub".into(), required };
        let link = Credential { groups: vec!["b".into()], ..Credential::of("link-1", "ada") };
        let linked = identity().linked(&rules(true), Some(&link), now).unwrap();
        assert_eq!((linked.consumer.as_str(), linked.plan.as_deref()), ("ada", Some("free")));
        assert_eq!((linked.groups, linked.scopes), (vec!["a".to_owned(), "b".to_owned()], vec!["read".to_owned()]));
        assert_eq!(linked.until, now.plus_millis(CREDENTIAL_FRESH_MS));
        let planned = Credential { plan: Some("gold".into()), ..link.clone() };
        assert_eq!(identity().linked(&rules(false), Some(&planned), now).unwrap().plan.as_deref(), Some("gold"));
        let ended = Credential { expires: Some(now), ..link };
        for absent in [None, Some(&ended)] {
            assert_eq!(identity().linked(&rules(false), absent, now).unwrap().consumer, "staff:7");
            assert_eq!(identity().linked(&rules(true), absent, now), Err(ClaimError::NotLinked));
        }
    }
}
