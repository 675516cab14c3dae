//! Public keys in PEM (RFC 7468, section 13) as JSON Web Keys.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::json;
use tollgate_core::jose::Jwk;

/// The key as a JWK with an id; `None` if it is none that verifies signatures.
pub(super) fn jwk_of(pem: &str, id: &str) -> Option<String> {
    let text = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let encoded: String = text.split_ascii_whitespace().collect();
    let der = Base64::decode_vec(&encoded).ok()?;
    let mut whole = Der(&der);
    let mut key = whole.inside(SEQUENCE)?;
    let mut algorithm = key.inside(SEQUENCE)?;
    let (kind, curve) = (algorithm.value(OBJECT)?, algorithm.value(OBJECT));
    // The first byte is the number of bits that are not used.
    let bits = key.value(BITS)?.strip_prefix(&[0])?;
    let is_whole = whole.0.is_empty() && key.0.is_empty();
    let jwk = match (kind, curve) {
        (RSA, _) => of_rsa(bits, id)?,
        (EC, Some(P_256)) => of_point("P-256", 32, bits, id)?,
        (EC, Some(P_384)) => of_point("P-384", 48, bits, id)?,
        (ED25519, None) => json!({"kid": id, "kty": "OKP", "crv": "Ed25519", "x": encode(bits)}),
        _ => return None,
    };
    let jwk = jwk.to_string();
    (is_whole && Jwk::parse(jwk.as_bytes()).is_ok()).then_some(jwk)
}

fn of_rsa(bits: &[u8], id: &str) -> Option<serde_json::Value> {
    let mut numbers = Der(bits).inside(SEQUENCE)?;
    let mut number = || {
        let bytes = numbers.value(INTEGER)?;
        Some(encode(bytes.strip_prefix(&[0]).unwrap_or(bytes)))
    };
    let (modulus, exponent) = (number()?, number()?);
    Some(json!({"kid": id, "kty": "RSA", "n": modulus, "e": exponent}))
}

/// A point that is not compressed.
fn of_point(curve: &str, bytes: usize, bits: &[u8], id: &str) -> Option<serde_json::Value> {
    let (x, y) = bits.strip_prefix(&[4])?.split_at_checked(bytes)?;
    Some(json!({"kid": id, "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}))
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// What is left of a text in DER (X.690).
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    /// The content of the next element, if it has this tag.
    fn value(&mut self, tag: u8) -> Option<&'d [u8]> {
        let rest = self.0.strip_prefix(&[tag])?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..]),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }

    fn inside(&mut self, tag: u8) -> Option<Self> {
        self.value(tag).map(Self)
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const BITS: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// 1.2.840.113549.1.1.1 (RFC 8017), 1.2.840.10045.2.1 with its curves (RFC 5480), 1.3.101.112 (RFC 8410).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P_384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9421, appendix B.1.
    const KEYS: [(&str, &str); 3] = [
        (
            "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2\n+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+\n\
             oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq\ngDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W\n\
             Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4\naOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI\n\
             2wIDAQAB",
            "\"e\":\"AQAB\"",
        ),
        (
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf\nw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==",
            "\"x\":\"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA\"",
        ),
        (
            "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=",
            "\"x\":\"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs\"",
        ),
    ];

    fn pem(text: &str) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    #[test]
    fn public_keys_in_pem_are_keys() {
        for (text, part) in KEYS {
            let jwk = jwk_of(&pem(text), "a").unwrap_or_default();
            assert!(jwk.contains(part) && jwk.contains("\"kid\":\"a\""), "{jwk}");
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        for (text, _) in KEYS {
            for other in [text.to_owned(), pem(&text[4..]), pem(&text.replace('M', "N")), pem(&format!("{text}AAAA"))] {
                assert_eq!(jwk_of(&other, "a"), None, "{other}");
            }
            for end in 0..text.len() {
                let _ = jwk_of(&pem(&text[..end]), "a");
            }
        }
        assert_eq!(jwk_of("", "a"), None);
        assert_eq!(jwk_of(&pem("").replace("PUBLIC", "PRIVATE"), "a"), None);
    }
}
