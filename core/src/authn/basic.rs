//! The `basic` policy: a name and a password in `Authorization` (RFC 7617).
//!
//! Passwords that the gateway compares by SHA-256 were generated, with at least 128 random bits: nobody finds such a one by trying.
//! Either the consumers of API keys are the users, each with a key as the password, or the policy lists its users. Listed users may
//! be people, with passwords that they thought of: these have slow hashes ([`SlowHash`]).

use std::fmt;

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use minicbor::Encode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Authenticator, CredentialPlace, KeyRules, Presented, Principal, SlowHash};
use crate::codec::{self, Decode};
use crate::hex;
use crate::kinds::{PolicyKind, Uses};

/// Settings of one `basic` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct BasicSettings {
    /// Where requests present name and password: always [`BasicSettings::place`].
    #[n(0)]
    pub place: CredentialPlace,
    /// Which keys are accepted as passwords, if it lists no users.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub rules: KeyRules,
    /// The users, if these are not the consumers of API keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub users: Vec<BasicUser>,
    /// The plan of listed users.
    #[serde(default)]
    #[n(3)]
    pub plan: Option<String>,
    /// The scopes of listed users.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub scopes: Vec<String>,
}

impl codec::Section for BasicSettings {}

/// A user that a policy lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct BasicUser {
    /// The name, which is also that of the consumer.
    #[n(0)]
    pub name: String,
    /// The SHA-256 of the password, in 64 lower-case hexadecimal digits: two while the password is replaced.
    #[n(1)]
    pub sha256: Vec<String>,
    /// The slow hash of the password in place of it. All users of a policy have one, or none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(2)]
    pub slow: Option<String>,
}

/// Name and password of a request. They cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct NameAndPassword {
    text: String,
    colon: usize,
}

/// Why a text is no name and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BasicError {
    /// More than one, or a field that is not text.
    #[error("there are several")]
    Several,
    /// Not base64 with padding, or too long.
    #[error("after `Basic`, base64 of name, colon and password is expected, of at most 512 characters")]
    Base64,
    /// Not UTF-8.
    #[error("name and password are not UTF-8")]
    Text,
    /// Without a name, colon or password.
    #[error("name and password are needed, with a colon between them")]
    Form,
    /// With control characters.
    #[error("name or password has control characters")]
    Control,
}

impl BasicError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Several => "several",
            Self::Base64 => "base64",
            Self::Text => "text",
            Self::Form => "form",
            Self::Control => "control",
        }
    }
}

impl NameAndPassword {
    /// Decodes what follows the scheme.
    ///
    /// # Errors
    /// If it does not have the form of RFC 7617, section 2.
    pub fn parse(text: &str) -> Result<Self, BasicError> {
        if text.len() > ENCODED_BYTES_MAX {
            return Err(BasicError::Base64);
        }
        let bytes = Base64::decode_vec(text).map_err(|_| BasicError::Base64)?;
        let text = String::from_utf8(bytes).map_err(|_| BasicError::Text)?;
        let colon = text.find(':').filter(|colon| (1..text.len() - 1).contains(colon)).ok_or(BasicError::Form)?;
        if text.chars().any(char::is_control) {
            return Err(BasicError::Control);
        }
        Ok(Self { text, colon })
    }

    /// What a client sends after the scheme.
    #[must_use]
    pub fn encode(name: &str, password: &str) -> String {
        Base64::encode_string(format!("{name}:{password}").as_bytes())
    }

    /// The name, which has no colon.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[..self.colon]
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.text[self.colon + 1..]
    }
}

impl fmt::Debug for NameAndPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameAndPassword(..)")
    }
}

impl BasicSettings {
    /// A policy whose users are the consumers of API keys.
    #[must_use]
    pub fn new() -> Self {
        let (rules, users) = (KeyRules::default(), Vec::new());
        Self { place: Self::place(), rules, users, plan: None, scopes: Vec::new() }
    }

    /// Where all such policies read.
    #[must_use]
    pub fn place() -> CredentialPlace {
        CredentialPlace::field(AUTHORIZATION, Some("Basic".to_owned()))
    }

    /// Reads name and password; `None` if there are none.
    ///
    /// # Errors
    /// If there are several, or what is there has another form.
    pub fn presented(&self, fields: &HeaderMap) -> Result<Option<NameAndPassword>, BasicError> {
        match self.place.presented(fields, None) {
            Presented::Nothing => Ok(None),
            Presented::Several => Err(BasicError::Several),
            Presented::Text(text) => NameAndPassword::parse(text).map(Some),
        }
    }

    /// The listed user with this name and password. All users are compared, each in the same time.
    #[must_use]
    pub fn user(&self, policy: &str, presented: &NameAndPassword) -> Option<Principal> {
        let digest = hex::encode(&Sha256::digest(presented.password().as_bytes()));
        let has = |user: &BasicUser| {
            user.sha256.iter().fold(false, |has, own| has | is_same(own, &digest)) & (user.name == presented.name())
        };
        let found = self.users.iter().fold(None, |found, user| if has(user) { Some(user) } else { found })?;
        Some(self.principal(policy, found))
    }

    /// Whether its users are people, whose passwords have slow hashes.
    #[must_use]
    pub fn is_of_people(&self) -> bool {
        // All users have a slow hash, or none has.
        self.users.first().is_some_and(|user| user.slow.is_some())
    }

    /// The slow hash that a password of this name is verified with, and the user if there is one. An unknown name is verified with the
    /// hash that costs most.
    #[must_use]
    pub fn person(&self, name: &str) -> (&str, Option<&BasicUser>) {
        let found = self.users.iter().find(|user| user.name == name);
        let hash = found.and_then(|user| user.slow.as_deref());
        (hash.or_else(|| self.costliest()).unwrap_or_default(), found)
    }

    fn costliest(&self) -> Option<&str> {
        let hashes = self.users.iter().filter_map(|user| user.slow.as_deref());
        hashes.max_by_key(|hash| SlowHash::parse(hash).map_or(0, |hash| hash.cost_us()))
    }

    /// A listed user.
    #[must_use]
    pub fn principal(&self, policy: &str, user: &BasicUser) -> Principal {
        let id = format!("{policy}/{}", user.name);
        Principal::new(user.name.clone(), id, self.plan.clone(), self.scopes.clone())
    }
}

impl Default for BasicSettings {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares in a time that does not depend on the texts.
fn is_same(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).fold(0, |differing, (a, b)| differing | (a ^ b));
    one.len() == other.len() && differing == 0
}

/// Whether a text can be the name of a user: not empty, without colon and control characters, at most 128 bytes.
#[must_use]
pub fn is_user_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(':') && !text.chars().any(char::is_control)
}

/// Whether a text is a SHA-256 in lower-case hexadecimal digits, as `sha256sum` prints it.
#[must_use]
pub fn is_password_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl PolicyKind for BasicSettings {
    fn is_coherent(&self) -> bool {
        let of_people = self.is_of_people();
        let is_user = |user: &BasicUser| {
            let has_password = match &user.slow {
                Some(hash) => user.sha256.is_empty() && SlowHash::parse(hash).is_ok(),
                None => !of_people && (1..=PASSWORDS_MAX).contains(&user.sha256.len()),
            };
            is_user_name(&user.name) && has_password && user.sha256.iter().all(|digest| is_password_digest(digest))
        };
        self.place == Self::place() && self.users.len() <= USERS_MAX && self.users.iter().all(is_user)
    }

    fn uses(&self) -> Uses<'_> {
        // A try is charged, and released if the password is right.
        let once = self.is_of_people();
        Uses { credential: Some(&self.place), record: self.users.is_empty(), once, ..Uses::default() }
    }
}

impl Authenticator for BasicSettings {
    /// With the charset that clients are asked to use (RFC 7617, section 2.1).
    fn challenge(&self, realm: &str) -> String {
        format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")
    }
}

/// The most users of one policy. All are compared for each request; more belong to records.
pub const USERS_MAX: usize = 64;

/// The passwords of a user: one, and another while it is replaced.
pub const PASSWORDS_MAX: usize = 2;

const NAME_BYTES_MAX: usize = 128;

/// The base64 of a name and a password of 384 bytes together.
const ENCODED_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn encoded(text: &[u8]) -> String {
        Base64::encode_string(text)
    }

    fn sha256(text: &str) -> String {
        hex::encode(&Sha256::digest(text.as_bytes()))
    }

    #[track_caller]
    fn check(text: &str, want: Result<(&str, &str), BasicError>) {
        let parsed = NameAndPassword::parse(text);
        assert_eq!(parsed.as_ref().map(|pair| (pair.name(), pair.password())).map_err(|error| *error), want, "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7617_2_the_examples() {
        check("QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Ok(("Aladdin", "open sesame")));
        check("dGVzdDoxMjPCow==", Ok(("test", "123\u{a3}")));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7617_2_a_password_may_have_colons_and_a_name_has_none() {
        check(&encoded(b"ada:a:b"), Ok(("ada", "a:b")));
        for bad in ["", "ada", ":", "ada:", ":secret"] {
            check(&encoded(bad.as_bytes()), Err(BasicError::Form));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_base64_of_plain_utf_8_is_refused() {
        for bad in ["a", "QWxhZGRpbjpvcGVuIHNlc2FtZQ", "QWxhZGRp bjpv", "YTpi-_==", &encoded(&[b'a'; 400])] {
            check(bad, Err(BasicError::Base64));
        }
        check(&encoded(b"ada:\xff"), Err(BasicError::Text));
        for control in ["ada:a\nb", "a\0da:b", "ada:\u{7f}", "ada:\u{85}"] {
            check(&encoded(control.as_bytes()), Err(BasicError::Control));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_listed_user_has_the_name_and_one_of_the_passwords() {
        let user = |name: &str, passwords: &[&str]| BasicUser {
            name: name.into(),
            sha256: passwords.iter().map(|one| sha256(one)).collect(),
            slow: None,
        };
        let users = vec![user("ada", &["old", "new"]), user("bob", &["his"])];
        let settings =
            BasicSettings { users, plan: Some("gold".into()), scopes: vec!["read".into()], ..BasicSettings::new() };
        assert!(settings.is_coherent() && !settings.uses().record);
        let found = |name: &str, password: &str| {
            let pair = NameAndPassword::parse(&encoded(format!("{name}:{password}").as_bytes())).unwrap();
            settings.user("staff", &pair).map(|found| (found.consumer, found.credential, found.plan, found.scopes))
        };
        for password in ["old", "new"] {
            let ada = ("ada".into(), "staff/ada".into(), Some("gold".into()), vec!["read".into()]);
            assert_eq!(found("ada", password), Some(ada));
        }
        for (name, password) in [("ada", "his"), ("bob", "old"), ("Ada", "old"), ("eve", "his"), ("ada", "ol")] {
            assert_eq!(found(name, password), None, "{name} {password}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unknown_name_costs_as_much_as_the_most_expensive_user() {
        let person = |name: &str, memory: u32| BasicUser {
            name: name.into(),
            sha256: Vec::new(),
            slow: Some(format!(
                "$argon2id$v=19$m={memory},t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            )),
        };
        let users = vec![person("ada", 19_456), person("bob", 32_768), person("eve", 19_456)];
        let settings = BasicSettings { users, ..BasicSettings::new() };
        assert!(settings.is_coherent() && settings.is_of_people() && settings.uses().once);
        let asked = |name: &str| settings.person(name);
        assert!(asked("ada").0.contains("m=19456,") && asked("ada").1.is_some_and(|user| user.name == "ada"));
        assert!(asked("nobody").0.contains("m=32768,") && asked("nobody").1.is_none());
        let machine = BasicUser { name: "m".into(), sha256: vec![sha256("a")], slow: None };
        let mixed = BasicSettings { users: vec![person("ada", 19_456), machine], ..BasicSettings::new() };
        assert!(!mixed.is_coherent(), "a fast hash would tell which names there are");
        let weak = BasicSettings { users: vec![person("ada", 64)], ..BasicSettings::new() };
        assert!(!weak.is_coherent());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn users_that_nobody_can_be_are_incoherent() {
        let is_coherent = |name: &str, digests: &[&str]| {
            let sha256 = digests.iter().map(|one| (*one).to_owned()).collect();
            BasicSettings { users: vec![BasicUser { name: name.into(), sha256, slow: None }], ..BasicSettings::new() }
                .is_coherent()
        };
        let digest = sha256("a");
        assert!(is_coherent("ada", &[&digest]));
        for (name, digests) in [
            ("", &[digest.as_str()][..]),
            ("a:b", &[&digest]),
            ("a\tb", &[&digest]),
            ("ada", &[]),
            ("ada", &["ab"]),
            ("ada", &[&digest.to_ascii_uppercase()]),
            ("ada", &[&digest, &digest, &digest]),
        ] {
            assert!(!is_coherent(name, digests), "{name} {digests:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn name_and_password_are_never_printed() {
        let pair = NameAndPassword::parse(&encoded(b"ada:secret")).unwrap();
        assert_eq!(format!("{pair:?}"), "NameAndPassword(..)");
    }

    proptest! {
        #[test]
        fn every_pair_is_read_as_it_was_sent(name in "[^:\\pC]{1,30}", password in "\\PC{1,60}") {
            let text = encoded(format!("{name}:{password}").as_bytes());
            let pair = NameAndPassword::parse(&text).unwrap();
            prop_assert_eq!((pair.name(), pair.password()), (name.as_str(), password.as_str()));
        }

        #[test]
        fn arbitrary_text_causes_no_panic(text in ".{0,80}") {
            let _ = NameAndPassword::parse(&text);
        }
    }
}
