//! The `api-key` policy: a key in a field or, where allowed, in the query.
//!
//! A key is `tg_` + environment + `_` + 32 characters of base 62 (190 bits) + a checksum of 6 characters: leak scanners
//! can recognise it, and a key with a typo is refused without a look-up. Only its SHA-256 is stored; the key has enough
//! entropy that no slow hash is needed. The look-up by digest takes the same steps for every key, so no code compares
//! secrets.

use std::fmt;

use http::HeaderMap;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Authenticator, CredentialPlace, MarkSecret, Presented, TextMark, public_id};
use crate::codec;
use crate::hex;
use crate::kinds::{PolicyKind, Uses};
use crate::x509::Fingerprint;

/// Settings of one `api-key` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct ApiKeySettings {
    /// Where a request presents the key.
    #[n(0)]
    pub place: CredentialPlace,
}

impl codec::Section for ApiKeySettings {}

/// A well-formed API key with a verified checksum. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// The same as part of a text, such as the value of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyText<'t>(&'t str);

/// The SHA-256 of a key: the name of its stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

/// Why a text is not an API key of Tollgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not of the form `tg_<environment>_<38 characters>`.
    #[error("an API key has the form tg_<environment>_<38 letters and digits>")]
    Form,
    /// Of this form, but with a wrong checksum: a typo or an invented key.
    #[error("the API key's checksum is wrong: a character is wrong or missing")]
    Checksum,
}

/// What a request presents to an `api-key` policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPresented<'r> {
    /// Nothing in the places where this policy reads.
    Nothing,
    /// A well-formed key.
    Key(KeyText<'r>),
    /// A value that is not a key.
    Malformed(KeyError),
    /// More than one key, or a field that is not text: ambiguous, so refused.
    Ambiguous,
    /// A key in the query, where this policy does not allow one.
    WrongPlace,
}

impl KeyError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Checksum => "checksum",
        }
    }
}

impl ApiKey {
    /// Parses a key.
    ///
    /// # Errors
    /// If the form or the checksum is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        KeyText::parse(text).map(|key| Self(key.0.to_owned()))
    }

    /// Creates a key from 32 random bytes; `None` if the environment is not 1 to 12 lower-case letters and digits.
    #[must_use]
    pub fn generate(environment: &str, random: &[u8; 32]) -> Option<Self> {
        if !is_environment(environment) {
            return None;
        }
        let mut text = format!("tg_{environment}_{}", base62(random));
        let sum = checksum(&text);
        text.extend(sum.map(char::from));
        Some(Self(text))
    }

    /// The key's digest.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyText(&self.0).digest()
    }

    /// The key itself, to show once to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A public id for records and logs: the beginning of the digest, which reveals nothing about the key.
    #[must_use]
    pub fn public_id(&self) -> String {
        public_id("key", &self.digest().0[..PUBLIC_ID_BYTES])
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl<'t> KeyText<'t> {
    /// Parses a key.
    ///
    /// # Errors
    /// If the form or the checksum is wrong.
    pub fn parse(text: &'t str) -> Result<Self, KeyError> {
        let body = text.strip_prefix("tg_").ok_or(KeyError::Form)?;
        let environment = body.bytes().position(|byte| byte == b'_').ok_or(KeyError::Form)?;
        let (environment, tail) = (&body[..environment], &body[environment + 1..]);
        let well_formed = is_environment(environment)
            && tail.len() == RANDOM_CHARS + CHECKSUM_CHARS
            && tail.bytes().all(|b| b.is_ascii_alphanumeric());
        if !well_formed {
            return Err(KeyError::Form);
        }
        let (signed, sum) = text.split_at(text.len() - CHECKSUM_CHARS);
        if checksum(signed) == *sum.as_bytes() { Ok(Self(text)) } else { Err(KeyError::Checksum) }
    }

    /// What stores identify it by.
    #[must_use]
    pub fn digest(self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.0.as_bytes()).into())
    }

    /// What an isolate remembers it by, with a secret of its own.
    #[must_use]
    pub fn mark(self, secret: &MarkSecret) -> TextMark {
        TextMark::of(self.0, secret)
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

impl KeyDigest {
    /// Parses the 64 lower-case hexadecimal digits of a digest.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::read(text.as_bytes(), &mut digest).then_some(Self(digest))
    }

    /// That of a registered certificate: its fingerprint. No key has the digest of a certificate, because the second byte of a
    /// certificate is none that a key may have.
    #[must_use]
    pub const fn of_certificate(fingerprint: &Fingerprint) -> Self {
        Self(*fingerprint.as_bytes())
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }
}

impl PolicyKind for ApiKeySettings {
    fn is_coherent(&self) -> bool {
        true
    }

    fn uses(&self) -> Uses<'_> {
        Uses { credential: Some(&self.place), ..Uses::default() }
    }
}

impl Authenticator for ApiKeySettings {
    fn challenge(&self, realm: &str) -> String {
        self.place.challenge("ApiKey", realm)
    }
}

impl ApiKeySettings {
    /// Reads the key from the places that this policy allows.
    #[must_use]
    pub fn presented<'r>(&self, fields: &'r HeaderMap, query: Option<&'r str>) -> KeyPresented<'r> {
        match self.place.presented(fields, query) {
            Presented::Text(text) => read(text),
            Presented::Several => KeyPresented::Ambiguous,
            Presented::Nothing if query.is_some_and(|query| holds_key(query.as_bytes())) => KeyPresented::WrongPlace,
            Presented::Nothing => KeyPresented::Nothing,
        }
    }
}

fn read(text: &str) -> KeyPresented<'_> {
    if text.len() > crate::bounds::KEY_BYTES_MAX {
        return KeyPresented::Malformed(KeyError::Form);
    }
    match KeyText::parse(text) {
        Ok(key) => KeyPresented::Key(key),
        Err(error) => KeyPresented::Malformed(error),
    }
}

/// Bytes of the digest in a public id.
const PUBLIC_ID_BYTES: usize = 6;

/// Whether a well-formed key is anywhere in the text.
pub(super) fn holds_key(text: &[u8]) -> bool {
    const PREFIX: &[u8] = b"tg_";
    let mut rest = text;
    while let Some(at) = rest.windows(PREFIX.len()).position(|window| window == PREFIX) {
        rest = &rest[at..];
        let environment = rest[PREFIX.len()..].iter().position(|byte| *byte == b'_');
        let key = environment.and_then(|end| rest.get(..PREFIX.len() + end + 1 + RANDOM_CHARS + CHECKSUM_CHARS));
        if key.and_then(|key| std::str::from_utf8(key).ok()).is_some_and(|key| KeyText::parse(key).is_ok()) {
            return true;
        }
        rest = &rest[PREFIX.len()..];
    }
    false
}

fn is_environment(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// CRC-32 of everything before it, in six characters of base 62.
fn checksum(signed: &str) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32fast::hash(signed.as_bytes());
    let mut out = [b'0'; CHECKSUM_CHARS];
    for place in out.iter_mut().rev() {
        *place = ALPHABET[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    out
}

/// The leading 32 base-62 digits of a 256-bit number: uniform except for a bias below 2^-64.
fn base62(random: &[u8; 32]) -> String {
    let mut number = *random;
    let mut out = String::with_capacity(RANDOM_CHARS);
    for _ in 0..RANDOM_CHARS {
        let mut remainder = 0u16;
        for byte in &mut number {
            let value = remainder << 8 | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        out.push(char::from(ALPHABET[usize::from(remainder)]));
    }
    out
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 32;
const CHECKSUM_CHARS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn key() -> ApiKey {
        ApiKey::generate("dev", &[7; 32]).unwrap()
    }

    fn settings(query: Option<&str>, scheme: Option<&str>) -> ApiKeySettings {
        let place = CredentialPlace::field(HeaderName::from_static("x-api-key"), scheme.map(Into::into));
        ApiKeySettings { place: CredentialPlace { query: query.map(Into::into), ..place } }
    }

    #[track_caller]
    fn check(settings: &ApiKeySettings, field: Option<&str>, query: Option<&str>, want: &KeyPresented<'_>) {
        let mut fields = HeaderMap::new();
        if let Some(value) = field {
            fields.insert("x-api-key", value.parse().unwrap());
        }
        assert_eq!(&settings.presented(&fields, query), want, "{field:?} {query:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_read_from_allowed_places_only() {
        let (key, text) = (key(), key().expose().to_owned());
        let found = KeyPresented::Key(KeyText(key.expose()));
        check(&settings(None, None), Some(&text), None, &found);
        check(&settings(None, None), None, None, &KeyPresented::Nothing);
        check(&settings(None, None), None, Some(&format!("a=b&api_key={text}")), &KeyPresented::WrongPlace);
        check(&settings(None, None), None, Some(&format!("a=b&any={text}")), &KeyPresented::WrongPlace);
        check(&settings(None, None), None, Some("api_key=something-else"), &KeyPresented::Nothing);
        check(&settings(Some("k"), None), None, Some(&format!("a=b&k={text}")), &found);
        check(&settings(Some("k"), None), Some(&text), Some(&format!("k={text}")), &KeyPresented::Ambiguous);
        check(&settings(Some("k"), None), None, Some(&format!("k={text}&k={text}")), &KeyPresented::Ambiguous);
        check(&settings(None, Some("Bearer")), Some(&format!("bearer {text}")), None, &found);
        check(&settings(None, Some("Bearer")), Some("Basic abc"), None, &KeyPresented::Nothing);
        check(&settings(None, None), Some("hello"), None, &KeyPresented::Malformed(KeyError::Form));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", key()), "ApiKey(..)");
    }

    proptest! {
        #[test]
        fn every_generated_key_is_parsed_and_no_typo_is(random in any::<[u8; 32]>(), at in 0usize..38, swap in any::<u8>()) {
            let key = ApiKey::generate("live", &random).unwrap();
            prop_assert_eq!(ApiKey::parse(key.expose()), Ok(key.clone()));
            let mut typo = key.expose().as_bytes().to_vec();
            let at = typo.len() - 38 + at;
            typo[at] = ALPHABET[usize::from(swap) % 62];
            let typo = String::from_utf8(typo).unwrap();
            prop_assume!(typo != key.expose());
            prop_assert!(ApiKey::parse(&typo).is_err());
        }

        #[test]
        fn arbitrary_text_is_refused_without_a_panic(text in ".{0,80}") {
            prop_assert!(ApiKey::parse(&text).is_err());
        }
    }
}
