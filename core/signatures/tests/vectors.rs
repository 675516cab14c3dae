//! The vectors of RFC 6979, 7515, 7520 and 8037, and what must not verify.

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::VerifyingKey;
use proptest::prelude::*;
use tollgate_core::jose::{Algorithm, Jwk, JwkError, JwkSet, KeyMaterial, SignatureCheck, Token};
use tollgate_signatures::verifies;

/// A key and a token that it signed.
struct Vector {
    name: &'static str,
    key: &'static str,
    token: &'static str,
}

const VECTORS: [Vector; 6] = [
    Vector {
        name: "RFC 7515, A.1: HS256",
        key: r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
        token: "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    },
    Vector {
        name: "RFC 7520, 4.1: RS256",
        key: RFC_7520_RSA,
        token: "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZX\
                NzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvd\
                XIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQI\
                GKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK\
                3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyI\
                rDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
    },
    Vector {
        name: "RFC 7520, 4.2: PS384",
        key: RFC_7520_RSA,
        token: "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZX\
                NzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvd\
                XIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFf\
                z6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg\
                -UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp\
                8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
    },
    Vector {
        name: "RFC 7515, A.3: ES256",
        key: r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        token: "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij\
                p0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    },
    Vector {
        name: "RFC 7520, 4.4: HS256",
        key: r#"{"kty":"oct","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037","use":"sig","alg":"HS256","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}"#,
        token: "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIG\
                J1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZ\
                WVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.s0h6KThzkfBBBkLs\
                pW1h84VsJZFTsPPqMDA7g1Md7p0",
    },
    Vector {
        name: "RFC 8037, A.4: EdDSA",
        key: r#"{"kty":"OKP","use":"sig","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        token: "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijc\
                NR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    },
];

const RFC_7520_RSA: &str = concat!(
    r#"{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","e":"AQAB","n":"#,
    r#""n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_"#,
    "NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8",
    r#"lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"}"#
);

/// RFC 6979, A.2.6, with SHA-384, for the message `sample`.
fn p384() -> (Jwk, Vec<u8>) {
    let (x, y) = (
        "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13",
        "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
    );
    let signature = concat!(
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8"
    );
    let coordinate = |text: &str| bytes(text).try_into().unwrap();
    let material = KeyMaterial::P384 { x: coordinate(x), y: coordinate(y) };
    (Jwk { id: None, algorithm: None, material }, bytes(signature))
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn holds(key: &Jwk, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    verifies(&SignatureCheck { algorithm, key, message, signature })
}

/// The signed tokens with their keys, `ES384` among them.
fn all() -> Vec<(&'static str, Jwk, Algorithm, Vec<u8>, Vec<u8>)> {
    let mut all: Vec<_> = VECTORS
        .iter()
        .map(|Vector { name, key, token }| {
            let (key, token) = (Jwk::parse(key.as_bytes()).unwrap(), Token::parse(token).unwrap());
            (*name, key, token.algorithm, token.signed.as_bytes().to_vec(), token.signature)
        })
        .collect();
    let (key, signature) = p384();
    all.push(("RFC 6979, A.2.6: ES384", key, Algorithm::Es384, b"sample".to_vec(), signature));
    all
}

#[test]
fn the_vectors_of_the_standards_verify() {
    for (name, key, algorithm, message, signature) in all() {
        assert!(key.is_for(algorithm) && holds(&key, algorithm, &message, &signature), "{name}");
    }
}

#[test]
fn a_changed_message_or_signature_does_not_verify() {
    for (name, key, algorithm, message, signature) in all() {
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
    for (name, key, algorithm, message, signature) in all() {
        assert!(!holds(&key, algorithm, &message, &vec![0; signature.len()]), "{name}");
        assert!(!holds(&key, algorithm, &message, &vec![0xff; signature.len()]), "{name}");
    }
    let order = bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let (_, key, algorithm, message, _) = all().into_iter().find(|(name, ..)| name.ends_with("ES256")).unwrap();
    assert!(!holds(&key, algorithm, &message, &[order.as_slice(), order.as_slice()].concat()));
}

/// RFC 8725, section 3.1: a public key used as the secret of an HMAC, or the other way round.
#[test]
fn an_algorithm_of_another_type_than_the_key_does_not_verify() {
    for (name, key, own, message, signature) in all() {
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != own) {
            assert!(!holds(&key, algorithm, &message, &signature), "{name} as {algorithm}");
        }
    }
}

/// The DER form of ECDSA signatures is not the one of tokens (RFC 7518, section 3.4).
#[test]
fn a_signature_in_der_does_not_verify() {
    let (_, key, algorithm, message, signature) = all().into_iter().find(|(name, ..)| name.ends_with("ES256")).unwrap();
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
        for (name, key, algorithm, message, own) in all() {
            prop_assert!(signature == own || !holds(&key, algorithm, &message, &signature), "{}", name);
        }
    }
}
