//! The vectors of the standards verify, and nothing else does.

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::VerifyingKey;
use proptest::prelude::*;
use tollgate_contracts::vectors::{Signed, VECTORS, Vector, all, bytes};
use tollgate_core::jose::{Algorithm, Jwk, JwkError, JwkSet, KeyMaterial, SignatureCheck, Token};
use tollgate_signatures::verifies;

fn es256() -> Signed {
    all().into_iter().find(|signed| signed.algorithm == Algorithm::Es256).expect("a vector for ES256")
}

fn holds(key: &Jwk, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    verifies(&SignatureCheck { algorithm, key, message, signature })
}

#[test]
fn the_vectors_of_the_standards_verify() {
    let vectors = all();
    assert_eq!(vectors.len(), 15);
    for Signed { name, key, algorithm, message, signature } in vectors {
        assert!(key.is_for(algorithm) && holds(&key, algorithm, &message, &signature), "{name}");
    }
}

#[test]
fn a_changed_message_or_signature_does_not_verify() {
    for Signed { name, key, algorithm, message, signature } in all() {
        for at in [0, message.len() / 2, message.len() - 1] {
            let mut other = message.clone();
            other[at] ^= 1;
            assert!(!holds(&key, algorithm, &other, &signature), "{name}: byte {at} of the message");
        }
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!holds(&key, algorithm, &message, &other), "{name}: byte {at} of the signature");
        }
        let truncated = &signature[..signature.len() - 1];
        let longer = [signature.as_slice(), &[0]].concat();
        let with_zero = [&[0], signature.as_slice()].concat();
        for other in [truncated, &longer, &with_zero, &[]] {
            assert!(!holds(&key, algorithm, &message, other), "{name}: {} bytes", other.len());
        }
    }
}

/// CVE-2022-21449: a signature of zeros, or of the order of the curve, verified for every message.
#[test]
fn a_signature_of_zeros_does_not_verify() {
    for Signed { name, key, algorithm, message, signature } in all() {
        assert!(!holds(&key, algorithm, &message, &vec![0; signature.len()]), "{name}");
        assert!(!holds(&key, algorithm, &message, &vec![0xff; signature.len()]), "{name}");
    }
    let order = bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let Signed { key, algorithm, message, .. } = es256();
    assert!(!holds(&key, algorithm, &message, &[order.as_slice(), order.as_slice()].concat()));
}

/// RFC 8725, section 3.1: a public key used as the secret of an HMAC, or the other way round.
#[test]
fn an_algorithm_of_another_type_than_the_key_does_not_verify() {
    for Signed { name, key, algorithm: own, message, signature } in all() {
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != own) {
            assert!(!holds(&key, algorithm, &message, &signature), "{name} as {algorithm}");
        }
    }
}

/// The DER form of ECDSA signatures is not the one of tokens (RFC 7518, section 3.4).
#[test]
fn a_signature_in_der_does_not_verify() {
    let Signed { key, algorithm, message, signature, .. } = es256();
    let integer = |bytes: &[u8]| {
        let padded = if bytes[0] & 0x80 == 0 { bytes.to_vec() } else { [&[0], bytes].concat() };
        [&[2, u8::try_from(padded.len()).unwrap()], padded.as_slice()].concat()
    };
    let inner = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [&[0x30, u8::try_from(inner.len()).unwrap()], inner.as_slice()].concat();
    assert!(!holds(&key, algorithm, &message, &der));
}

#[test]
fn a_key_that_is_no_point_of_its_curve_verifies_nothing() {
    let signatures = |bytes: usize| [vec![1; bytes], vec![0; bytes]];
    for material in [
        KeyMaterial::P256 { x: [0; 32], y: [0; 32] },
        KeyMaterial::P256 { x: [1; 32], y: [1; 32] },
        KeyMaterial::P256 { x: [0xff; 32], y: [0xff; 32] },
    ] {
        let key = Jwk { id: None, algorithm: None, material };
        assert!(signatures(64).iter().all(|signature| !holds(&key, Algorithm::Es256, b"m", signature)));
    }
    let key = Jwk { id: None, algorithm: None, material: KeyMaterial::P384 { x: [1; 48], y: [2; 48] } };
    assert!(signatures(96).iter().all(|signature| !holds(&key, Algorithm::Es384, b"m", signature)));
}

/// The points of small order are those that multiplication by 8 takes to the identity.
#[test]
fn a_key_of_small_order_is_no_key() {
    let order_8 = [
        bytes("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ];
    let near = |low: u8, rest: u8, high: u8| [&[low], vec![rest; 30].as_slice(), &[high]].concat();
    let others = [near(0, 0, 0), near(1, 0, 0), near(0xec, 0xff, 0x7f), near(0xed, 0xff, 0x7f), near(0xee, 0xff, 0x7f)];
    for mut point in order_8.into_iter().chain(others) {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let x = Base64UrlUnpadded::encode_string(&point);
            let text = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
            assert_eq!(Jwk::parse(text.as_bytes()), Err(JwkError::Point), "{x}");
            let decoded = VerifyingKey::from_bytes(&point.clone().try_into().unwrap());
            assert!(decoded.is_ok_and(|key| key.is_weak()), "{x} is not of small order");
        }
    }
}

#[test]
fn the_candidates_of_a_set_are_those_that_verify() {
    let set = format!(r#"{{"keys":[{},{},{}]}}"#, VECTORS[1].key, VECTORS[3].key, VECTORS[5].key);
    let set = JwkSet::parse(set.as_bytes()).unwrap();
    for Vector { name, token, .. } in VECTORS.iter().filter(|vector| !vector.name.contains("HS256")) {
        let token = Token::parse(token).unwrap();
        let candidates = set.candidates(token.algorithm, token.key_id.as_deref());
        let verified: Vec<_> =
            candidates.map(|key| holds(key, token.algorithm, token.signed.as_bytes(), &token.signature)).collect();
        assert_eq!(verified, [true], "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_signature_panics_or_verifies_by_chance(signature in proptest::collection::vec(any::<u8>(), 0..520)) {
        for Signed { name, key, algorithm, message, signature: own } in all() {
            prop_assert!(signature == own || !holds(&key, algorithm, &message, &signature), "{}", name);
        }
    }
}
