//! Keys and sets of keys (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).

use std::fmt;

use thiserror::Error;

use super::base64url;
use super::{Algorithm, KeyType, Members, Value, ValueError};

/// A key that verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    /// Its id.
    pub id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    pub algorithm: Option<Algorithm>,
    /// The key itself.
    pub material: KeyMaterial,
}

/// The parameters of a key, in bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// A shared secret.
    Octets(Vec<u8>),
    /// Modulus and exponent, without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The public exponent.
        exponent: Vec<u8>,
    },
    /// The coordinates of a point on P-256.
    P256 {
        /// The first one.
        x: [u8; 32],
        /// The second one.
        y: [u8; 32],
    },
    /// The coordinates of a point on P-384.
    P384 {
        /// The first one.
        x: [u8; 48],
        /// The second one.
        y: [u8; 48],
    },
    /// A point on edwards25519 in its encoded form.
    Ed25519([u8; 32]),
}

/// The usable keys of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
    /// Why other keys of the set are not used, by their position.
    pub unused: Vec<(usize, JwkError)>,
}

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JwkError {
    /// It is not an object with the members of its type.
    #[error("a member is missing or has the wrong form")]
    Form,
    /// Its type or curve is not supported.
    #[error("its type is not supported")]
    Type,
    /// It is for something else than verifying signatures.
    #[error("it is not for verifying signatures")]
    Use,
    /// It says an algorithm that is not one of its type.
    #[error("its algorithm is not supported, or not one of its type")]
    Algorithm,
    /// It is too small, or larger than is reasonable.
    #[error("an RSA key has 2048 to 4096 bits and an odd exponent up to 32 bits")]
    Size,
    /// A point with which anyone could sign.
    #[error("its point has a small order")]
    Point,
    /// A shared secret in a set that is public.
    #[error("a shared secret does not belong in a public set")]
    Secret,
}

/// Why a text is not a set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    /// It is not valid JSON.
    #[error("{0}")]
    Value(#[from] ValueError),
    /// It has no list `keys`.
    #[error("it has no list `keys`")]
    NoKeys,
    /// It has too many keys.
    #[error("it has more than {KEYS_MAX} keys")]
    Size,
}

/// Keys of one set; identity providers with a key for each tenant's application have some dozens.
const KEYS_MAX: usize = 128;

/// Keys that are tried for one token: those of one id, or all of one type if the token names none.
pub(crate) const TRIED_MAX: usize = 8;

/// RFC 7518, section 3.3 for the smallest modulus; a verification takes four times as long with each doubling.
const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 4_096;

impl JwkSet {
    /// The keys of a public set; those that cannot be used do not disturb the others (RFC 7517, section 5).
    ///
    /// # Errors
    /// If it is not a set.
    pub fn parse(text: &[u8]) -> Result<Self, SetError> {
        let set = Members::parse(text)?;
        let all = set.get("keys").and_then(Value::as_list).ok_or(SetError::NoKeys)?;
        if all.len() > KEYS_MAX {
            return Err(SetError::Size);
        }
        let mut usable = Self::default();
        for (at, value) in all.iter().enumerate() {
            let Value::Object(members) = value else {
                usable.unused.push((at, JwkError::Form));
                continue;
            };
            match Jwk::of(members) {
                Ok(Jwk { material: KeyMaterial::Octets(_), .. }) => usable.unused.push((at, JwkError::Secret)),
                Ok(key) => usable.keys.push(key),
                Err(why) => usable.unused.push((at, why)),
            }
        }
        Ok(usable)
    }

    /// The keys that may have signed a token with this algorithm, which names this key.
    ///
    /// If no key has the id, those without an id may have it.
    pub fn candidates<'s>(
        &'s self,
        algorithm: Algorithm,
        id: Option<&'s str>,
    ) -> impl Iterator<Item = &'s Jwk> + use<'s> {
        let is_known = id.is_some_and(|id| self.keys.iter().any(|key| key.id.as_deref() == Some(id)));
        let has_id = move |key: &&Jwk| match id {
            Some(id) if is_known => key.id.as_deref() == Some(id),
            Some(_) => key.id.is_none(),
            None => true,
        };
        self.keys.iter().filter(has_id).filter(move |key| key.is_for(algorithm)).take(TRIED_MAX)
    }

    /// Whether a key has this id.
    #[must_use]
    pub fn names(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

impl Jwk {
    /// Parses one key.
    ///
    /// # Errors
    /// If it is not a key that verifies signatures.
    pub fn parse(text: &[u8]) -> Result<Self, JwkError> {
        Self::of(&Members::parse(text).map_err(|_| JwkError::Form)?)
    }

    /// A shared secret.
    #[must_use]
    pub const fn of_secret(secret: Vec<u8>) -> Self {
        Self { id: None, algorithm: None, material: KeyMaterial::Octets(secret) }
    }

    /// A point on edwards25519 in its encoded form; `None` for one with which anyone could sign.
    #[must_use]
    pub fn of_ed25519(point: [u8; 32]) -> Option<Self> {
        let material = KeyMaterial::Ed25519(point);
        (!is_of_small_order(&point)).then_some(Self { id: None, algorithm: None, material })
    }

    /// Whether it may verify signatures of an algorithm.
    #[must_use]
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.material.key_type() == algorithm.key_type() && self.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(crate) fn of(members: &Members) -> Result<Self, JwkError> {
        let id = optional_text(members, "kid")?.map(str::to_owned);
        check_use(members)?;
        let material = KeyMaterial::of(members)?;
        let algorithm = match optional_text(members, "alg")? {
            None => None,
            Some(name) => Some(name.parse::<Algorithm>().map_err(|()| JwkError::Algorithm)?),
        };
        if algorithm.is_some_and(|algorithm| algorithm.key_type() != material.key_type()) {
            return Err(JwkError::Algorithm);
        }
        Ok(Self { id, algorithm, material })
    }
}

/// `use` and `key_ops`, as far as they are there (RFC 7517, sections 4.2 and 4.3).
fn check_use(members: &Members) -> Result<(), JwkError> {
    if optional_text(members, "use")?.is_some_and(|used| used != "sig") {
        return Err(JwkError::Use);
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::List(all)) if all.iter().any(|one| one.as_text() == Some("verify")) => Ok(()),
        Some(Value::List(_)) => Err(JwkError::Use),
        Some(_) => Err(JwkError::Form),
    }
}

pub(super) fn optional_text<'m>(members: &'m Members, name: &str) -> Result<Option<&'m str>, JwkError> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_text().map(Some).ok_or(JwkError::Form),
    }
}

impl KeyMaterial {
    /// The type of the key.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        match self {
            Self::Octets(_) => KeyType::Octets,
            Self::Rsa { .. } => KeyType::Rsa,
            Self::P256 { .. } => KeyType::P256,
            Self::P384 { .. } => KeyType::P384,
            Self::Ed25519(_) => KeyType::Ed25519,
        }
    }

    pub(super) fn of(members: &Members) -> Result<Self, JwkError> {
        let curve = members.text("crv");
        match (members.text("kty").ok_or(JwkError::Form)?, curve) {
            ("oct", _) => bytes(members, "k").map(Self::Octets),
            ("RSA", _) => rsa(members),
            ("EC", Some("P-256")) => Ok(Self::P256 { x: coordinate(members, "x")?, y: coordinate(members, "y")? }),
            ("EC", Some("P-384")) => Ok(Self::P384 { x: coordinate(members, "x")?, y: coordinate(members, "y")? }),
            ("OKP", Some("Ed25519")) => match coordinate(members, "x")? {
                point if is_of_small_order(&point) => Err(JwkError::Point),
                point => Ok(Self::Ed25519(point)),
            },
            ("EC" | "OKP", None) => Err(JwkError::Form),
            _ => Err(JwkError::Type),
        }
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({:?}, ..)", self.key_type())
    }
}

fn bytes(members: &Members, name: &str) -> Result<Vec<u8>, JwkError> {
    members.text(name).and_then(base64url::decode).filter(|bytes| !bytes.is_empty()).ok_or(JwkError::Form)
}

/// Whether an encoded point of edwards25519 has an order of 1, 2, 4 or 8, whatever its sign: it verifies signatures that
/// nobody made. These are all such points, also in their forms that are not reduced.
fn is_of_small_order(point: &[u8; 32]) -> bool {
    let mut unsigned = *point;
    unsigned[31] &= 0x7f;
    // The field's prime is 2^255 - 19: its lowest byte is 0xed, and the points of order 1, 2 and 4 have 1, -1 and 0 here.
    let is_near = |low: &[u8], rest: u8, high: u8| {
        low.contains(&unsigned[0]) && unsigned[1..31].iter().all(|byte| *byte == rest) && unsigned[31] == high
    };
    is_near(&[0, 1], 0, 0) || is_near(&[0xec, 0xed, 0xee], 0xff, 0x7f) || OF_ORDER_8.contains(&unsigned)
}

/// The points of order 8.
const OF_ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// A coordinate has all its bytes, also leading zeros (RFC 7518, section 6.2.1.2).
fn coordinate<const N: usize>(members: &Members, name: &str) -> Result<[u8; N], JwkError> {
    bytes(members, name)?.try_into().map_err(|_| JwkError::Form)
}

/// The private part of a key of 256 bits (RFC 7518, section 6.2.2.1).
pub(super) fn scalar(members: &Members, name: &str) -> Result<[u8; 32], JwkError> {
    coordinate(members, name)
}

fn rsa(members: &Members) -> Result<KeyMaterial, JwkError> {
    // Some write a leading zero, which RFC 7518 (section 6.3.1.1) does not allow; it changes nothing.
    let number = |name| bytes(members, name).map(|bytes| bytes.into_iter().skip_while(|byte| *byte == 0).collect());
    let (modulus, exponent): (Vec<u8>, Vec<u8>) = (number("n")?, number("e")?);
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let exponent_fits = exponent.len() <= 4 && is_odd(&exponent) && exponent != [1];
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) || !is_odd(&modulus) || !exponent_fits {
        return Err(JwkError::Size);
    }
    Ok(KeyMaterial::Rsa { modulus, exponent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn encoded(bytes: &[u8]) -> String {
        Base64UrlUnpadded::encode_string(bytes)
    }

    fn rsa_key(bits: usize, exponent: &[u8], more: &str) -> String {
        let mut modulus = vec![0xff; bits / 8];
        modulus[0] = 0x80;
        format!(r#"{{"kty":"RSA","n":"{}","e":"{}"{more}}}"#, encoded(&modulus), encoded(exponent))
    }

    fn ec_key(curve: &str, bytes: usize, more: &str) -> String {
        let point = encoded(&vec![1; bytes]);
        format!(r#"{{"kty":"EC","crv":"{curve}","x":"{point}","y":"{point}"{more}}}"#)
    }

    fn set(keys: &[String]) -> JwkSet {
        JwkSet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keys_have_one_type_and_are_for_its_algorithms() {
        let key = |text: String| Jwk::parse(text.as_bytes()).unwrap();
        let rsa = key(rsa_key(2_048, &[1, 0, 1], ""));
        assert!(rsa.is_for(Algorithm::Rs256) && rsa.is_for(Algorithm::Ps512));
        assert!(!rsa.is_for(Algorithm::Hs256) && !rsa.is_for(Algorithm::Es256));
        let bound = key(rsa_key(2_048, &[1, 0, 1], r#","alg":"PS256","use":"sig""#));
        assert!(bound.is_for(Algorithm::Ps256) && !bound.is_for(Algorithm::Rs256));
        assert!(key(ec_key("P-256", 32, r#","key_ops":["sign","verify"]"#)).is_for(Algorithm::Es256));
        assert!(!key(ec_key("P-384", 48, "")).is_for(Algorithm::Es256));
        let octets = Jwk::of_secret(vec![1; 32]);
        assert!(octets.is_for(Algorithm::Hs256) && !octets.is_for(Algorithm::Rs256));
        assert_eq!(format!("{octets:?}").matches('1').count(), 0, "a secret is never printed");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_that_cannot_be_used_does_not_disturb_the_others() {
        let good = ec_key("P-256", 32, r#","kid":"good""#);
        let others = [
            (r#""text""#.to_owned(), JwkError::Form),
            ("{}".to_owned(), JwkError::Form),
            (r#"{"kty":"RSA"}"#.to_owned(), JwkError::Form),
            (r#"{"kty":"EC","x":"AQ","y":"AQ"}"#.to_owned(), JwkError::Form),
            (ec_key("P-256", 31, ""), JwkError::Form),
            (ec_key("P-256", 33, ""), JwkError::Form),
            (ec_key("P-256", 32, r#","kid":1"#), JwkError::Form),
            (ec_key("P-256", 32, r#","key_ops":"verify""#), JwkError::Form),
            (ec_key("P-521", 66, ""), JwkError::Type),
            (ec_key("secp256k1", 32, ""), JwkError::Type),
            (r#"{"kty":"OKP","crv":"X25519","x":"AQ"}"#.to_owned(), JwkError::Type),
            (r#"{"kty":"AKP"}"#.to_owned(), JwkError::Type),
            (ec_key("P-256", 32, r#","use":"enc""#), JwkError::Use),
            (ec_key("P-256", 32, r#","key_ops":["encrypt"]"#), JwkError::Use),
            (ec_key("P-256", 32, r#","alg":"ES384""#), JwkError::Algorithm),
            (rsa_key(2_048, &[1, 0, 1], r#","alg":"RSA-OAEP""#), JwkError::Algorithm),
            (rsa_key(1_024, &[1, 0, 1], ""), JwkError::Size),
            (rsa_key(16_384, &[1, 0, 1], ""), JwkError::Size),
            (rsa_key(2_048, &[1], ""), JwkError::Size),
            (rsa_key(2_048, &[4], ""), JwkError::Size),
            (rsa_key(2_048, &[1, 0, 0, 0, 1], ""), JwkError::Size),
            (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), JwkError::Secret),
        ];
        for (other, why) in others {
            let set = set(&[other.clone(), good.clone()]);
            assert_eq!((set.unused.as_slice(), set.keys.len()), ([(0, why)].as_slice(), 1), "{other}");
        }
        let padded = rsa_key(2_048, &[0, 1, 0, 1], "");
        assert_eq!(set(&[padded]).keys.len(), 1, "a leading zero changes nothing");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_set_is_an_object_with_a_list_of_keys() {
        let error = |text: &str| JwkSet::parse(text.as_bytes()).err();
        assert_eq!(error(r#"{"keys":[]}"#), None);
        for text in ["{}", r#"{"keys":{}}"#, r#"{"Keys":[]}"#] {
            assert_eq!(error(text), Some(SetError::NoKeys), "{text}");
        }
        assert_eq!(error("<html>"), Some(SetError::Value(ValueError::Syntax)));
        assert_eq!(error("[]"), Some(SetError::Value(ValueError::NotAnObject)));
        assert_eq!(error(&format!(r#"{{"keys":[{}]}}"#, vec!["0"; KEYS_MAX + 1].join(","))), Some(SetError::Size));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn candidates_have_the_id_or_none_and_the_type() {
        let named = |id: &str| ec_key("P-256", 32, &format!(r#","kid":"{id}""#));
        let set =
            set(&[named("a"), named("a"), named("b"), ec_key("P-256", 32, ""), rsa_key(2_048, &[3], r#","kid":"a""#)]);
        let ids = |algorithm, id| {
            set.candidates(algorithm, id).map(|key| key.id.clone().unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(ids(Algorithm::Es256, Some("a")), ["a", "a"]);
        assert_eq!(ids(Algorithm::Rs256, Some("a")), ["a"]);
        assert_eq!(ids(Algorithm::Rs256, Some("b")), [""; 0], "the key of this id has another type");
        assert_eq!(ids(Algorithm::Es256, Some("unknown")), [""]);
        assert_eq!(ids(Algorithm::Es256, None), ["a", "a", "b", ""]);
        assert!(set.names("b") && !set.names("unknown"));
        let many = JwkSet { keys: vec![set.keys[0].clone(); 100], unused: vec![] };
        assert_eq!(many.candidates(Algorithm::Es256, None).count(), TRIED_MAX);
    }

    proptest! {
        #[test]
        fn no_set_panics(text in r#"\{"keys":\[\{"(kty|crv|x|n|e|k|alg|use|kid)":("(RSA|EC|oct|AQAB|P-256)?"|[0-9]{1,3}|\[\])(,"(crv|x|y|n|e|k)":"[A-Za-z]{0,4}"){0,3}\}\]\}"#) {
            let _ = JwkSet::parse(text.as_bytes());
        }
    }
}
