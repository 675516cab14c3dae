//! The `api-key` policy: a key in a field or, where allowed, in the query.
//!
//! A key is `tg_` + environment + `_` + 32 characters of base 62 (190 bits) + a checksum of 6 characters: leak scanners
//! can recognise it, and a key with a typo is refused without a look-up. Only its SHA-256 is stored; the key has enough
//! entropy that no slow hash is needed. The look-up by digest takes the same steps for every key, so no code compares
//! secrets.

use std::fmt;

use http::HeaderMap;
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Authenticator, Credential, CredentialPlace, MarkSecret, Presented, TextMark, public_id};
use crate::bounds::KEY_BYTES_MAX;
use crate::codec::{self, Decode, Failed, Reader};
use crate::crc32;
use crate::hex;
use crate::json::{FromJson, Unfit, Value, form};
use crate::kinds::{PolicyKind, Uses};
use crate::x509::Fingerprint;

/// Settings of one `api-key` policy.
///
/// Version 2 has rules for accepted keys; they are stored as further members of the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeySettings {
    /// Where a request presents the key.
    #[serde(flatten)]
    pub place: CredentialPlace,
    /// Which keys it accepts.
    #[serde(flatten)]
    pub rules: KeyRules,
}

/// Which keys a policy accepts, besides that they are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(map)]
pub struct KeyRules {
    /// The environments of accepted keys; empty, all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(8), skip_if = "codec::is_default")]
    pub environments: Vec<String>,
    /// Whether keys of other makes are accepted, which have any text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cbor(n(9), skip_if = "codec::is_default")]
    pub any_format: bool,
}

impl codec::Section for ApiKeySettings {
    const VERSION: u16 = 2;

    fn least_version(&self) -> u16 {
        if codec::is_default(&self.rules) { 1 } else { 2 }
    }
}

/// One map with the members of both.
impl<C> Encode<C> for ApiKeySettings {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        codec::joined(encoder, &self.place, &self.rules, context)
    }
}

impl Decode for ApiKeySettings {
    fn blank() -> Self {
        CredentialPlace::blank().into()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let start = reader.position();
        self.place.decode(reader)?;
        reader.set_position(start);
        // Each skips the members of the other.
        self.rules.decode(reader)
    }
}

impl From<CredentialPlace> for ApiKeySettings {
    /// All keys of Tollgate in a place.
    fn from(place: CredentialPlace) -> Self {
        Self { place, rules: KeyRules::default() }
    }
}

/// A well-formed API key with a verified checksum. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// A key as part of a text, such as the value of a field: one of Tollgate, or of another make.
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
    /// Not a text that a key of another make can be.
    #[error("an API key has 16 to 256 visible ASCII characters, and no comma")]
    Text,
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
            Self::Text => "text",
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

    /// A public id for records and logs.
    #[must_use]
    pub fn public_id(&self) -> String {
        self.digest().public_id()
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

    /// Takes a key of any make.
    ///
    /// # Errors
    /// If it is too short to be a secret, too long, or not of visible ASCII characters; or if it begins as a key of Tollgate, and is
    /// none.
    pub fn of_any_make(text: &'t str) -> Result<Self, KeyError> {
        let is_key = (OTHER_BYTES_MIN..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_key_byte);
        match Self::parse(text) {
            Err(KeyError::Form) if is_key => Ok(Self(text)),
            Err(KeyError::Form) => Err(KeyError::Text),
            parsed => parsed,
        }
    }

    /// The environment of a key of Tollgate.
    #[must_use]
    pub fn environment(self) -> Option<&'t str> {
        Self::parse(self.0).ok()?.0.split('_').nth(1)
    }

    /// What stores identify it by.
    #[must_use]
    pub fn digest(self) -> KeyDigest {
        KeyDigest::of_text(self.0)
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

impl FromJson for KeyDigest {
    fn blank() -> Self {
        Self([0; 32])
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        *self = Self::parse(form::text(&value)?).ok_or(Unfit::VALUE)?;
        Ok(())
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

    /// That of a text that is no key.
    pub(super) fn of_text(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The public id of the link of an identity.
    #[must_use]
    pub fn link_id(&self) -> String {
        public_id("link", &self.0[..PUBLIC_ID_BYTES])
    }

    /// The public id of a registered certificate whose fingerprint this is.
    #[must_use]
    pub fn certificate_id(&self) -> String {
        public_id("cert", &self.0[..PUBLIC_ID_BYTES])
    }

    /// A public id for records and logs: the beginning of the digest, which reveals nothing about the key.
    #[must_use]
    pub fn public_id(&self) -> String {
        public_id("key", &self.0[..PUBLIC_ID_BYTES])
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
        Uses { credential: Some(&self.place), record: true, ..Uses::default() }
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
            Presented::Text(text) => self.rules.read(text),
            Presented::Several => KeyPresented::Ambiguous,
            Presented::Nothing if query.is_some_and(|query| holds_key(query.as_bytes())) => KeyPresented::WrongPlace,
            Presented::Nothing => KeyPresented::Nothing,
        }
    }
}

impl KeyRules {
    /// Whether keys of the environment of this one are accepted: that in its text, or where a key of another make has none, that of
    /// its credential.
    #[must_use]
    pub fn admits(&self, key: KeyText<'_>, credential: &Credential) -> bool {
        let environment = || key.environment().or(credential.environment.as_deref());
        self.environments.is_empty()
            || environment().is_some_and(|own| self.environments.iter().any(|known| known == own))
    }

    fn read<'r>(&self, text: &'r str) -> KeyPresented<'r> {
        if text.len() > KEY_BYTES_MAX {
            return KeyPresented::Malformed(if self.any_format { KeyError::Text } else { KeyError::Form });
        }
        let parsed = if self.any_format { KeyText::of_any_make(text) } else { KeyText::parse(text) };
        match parsed {
            Ok(key) => KeyPresented::Key(key),
            Err(error) => KeyPresented::Malformed(error),
        }
    }
}

/// A comma separates the values of a field.
const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b','
}

/// Bytes of the digest in a public id.
const PUBLIC_ID_BYTES: usize = 6;

/// Whether a well-formed key is anywhere in the text.
pub(super) fn holds_key(text: &[u8]) -> bool {
    keys_in(text).next().is_some()
}

/// The well-formed keys of Tollgate anywhere in a text, each with its place.
pub fn keys_in(text: &[u8]) -> impl Iterator<Item = (usize, KeyText<'_>)> {
    const PREFIX: &[u8] = b"tg_";
    let begins = text.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX).map(|(at, _)| at);
    begins.filter_map(|at| {
        let rest = &text[at..];
        let mut environment = rest[PREFIX.len()..].iter().take(ENVIRONMENT_CHARS_MAX + 1);
        let end = environment.position(|byte| *byte == b'_')?;
        let key = rest.get(..PREFIX.len() + end + 1 + RANDOM_CHARS + CHECKSUM_CHARS)?;
        Some((at, KeyText::parse(std::str::from_utf8(key).ok()?).ok()?))
    })
}

/// Whether the text can be an environment in a key: 1 to 12 lower-case letters and digits.
#[must_use]
pub fn is_environment(text: &str) -> bool {
    (1..=ENVIRONMENT_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// CRC-32 of everything before it, in six characters of base 62.
fn checksum(signed: &str) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32(signed.as_bytes());
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
/// Shorter, and a key could be guessed: 16 letters and digits can have 95 random bits.
const OTHER_BYTES_MIN: usize = 16;

const ENVIRONMENT_CHARS_MAX: usize = 12;
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
        CredentialPlace { query: query.map(Into::into), ..place }.into()
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
    fn keys_of_other_makes_are_accepted_only_where_the_policy_says_so() {
        let any =
            ApiKeySettings { rules: KeyRules { any_format: true, ..KeyRules::default() }, ..settings(None, None) };
        let (text, other) = (key().expose().to_owned(), "sk-0123456789abcdef");
        check(&any, Some(&text), None, &KeyPresented::Key(KeyText(&text)));
        check(&any, Some(other), None, &KeyPresented::Key(KeyText(other)));
        check(&settings(None, None), Some(other), None, &KeyPresented::Malformed(KeyError::Form));
        let typo = format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
        check(&any, Some(&typo), None, &KeyPresented::Malformed(KeyError::Checksum));
        for bad in ["0123456789abcde", "0123456789 abcdef", "0123456789,abcdef", &"x".repeat(KEY_BYTES_MAX + 1)] {
            let presented = |text| any.rules.read(text);
            assert!(matches!(presented(bad), KeyPresented::Malformed(_)), "{bad}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keys_of_other_environments_are_not_admitted() {
        let rules = |environments: &[&str]| KeyRules {
            environments: environments.iter().map(|one| (*one).to_owned()).collect(),
            any_format: true,
        };
        let (dev, other) = (key(), KeyText("sk-0123456789abcdef"));
        let of = |environment: Option<&str>| Credential {
            environment: environment.map(Into::into),
            ..Credential::default()
        };
        let dev = KeyText(dev.expose());
        for (environments, key, credential, admitted) in [
            (&[][..], dev, of(None), true),
            (&["live", "dev"], dev, of(None), true),
            (&["live"], dev, of(Some("live")), false),
            (&["live"], other, of(Some("live")), true),
            (&["live"], other, of(Some("dev")), false),
            (&["live"], other, of(None), false),
        ] {
            assert_eq!(rules(environments).admits(key, &credential), admitted, "{environments:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn settings_without_rules_are_stored_as_before_there_were_any() {
        let plain = settings(Some("key"), Some("Bearer"));
        assert_eq!(minicbor::to_vec(&plain).unwrap(), minicbor::to_vec(&plain.place).unwrap());
        let rules = KeyRules { environments: vec!["live".into()], any_format: true };
        let ruled = ApiKeySettings { rules, ..plain.clone() };
        for (settings, version) in [(plain, 1), (ruled, 2)] {
            assert_eq!(codec::Section::least_version(&settings), version);
            let stored = minicbor::to_vec(&settings).unwrap();
            assert_eq!(codec::decode::<ApiKeySettings>(&stored).unwrap(), settings);
            let text = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<ApiKeySettings>(&text).unwrap(), settings);
        }
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

    #[wasm_bindgen_test(unsupported = test)]
    fn a_text_that_is_too_long_is_told_what_its_policy_takes() {
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        let read = |any_format| KeyRules { any_format, ..KeyRules::default() }.read(&long);
        assert_eq!(read(true), KeyPresented::Malformed(KeyError::Text));
        assert_eq!(read(false), KeyPresented::Malformed(KeyError::Form));
    }
}
