//! The contract of [`Signatures`].

use tollgate_core::authn::ContentHash;
use tollgate_core::hex;
use tollgate_core::jose::{Algorithm, Jwk, KeyMaterial, SignatureCheck, SigningKey};
use tollgate_edge::ports::{Host, Signatures};

use crate::vectors::{Signed, all};
use crate::{Outcome, Subject};

pub(crate) async fn the_vectors_of_the_standards_verify<S: Subject>(subject: &S) -> Outcome {
    let signatures = subject.host().signatures();
    let vectors = all();
    ensure_eq!(vectors.len(), 15, "vectors");
    // Twice: a platform may keep keys.
    for Signed { name, key, algorithm, message, signature } in vectors.iter().chain(&vectors) {
        let check = SignatureCheck { algorithm: *algorithm, key, message, signature };
        ensure!(signatures.verifies(&check).await?, "{name} does not verify");
    }
    Ok(())
}

/// Another message, another signature, one of another length, zeros.
pub(crate) async fn nothing_else_verifies<S: Subject>(subject: &S) -> Outcome {
    let signatures = subject.host().signatures();
    for Signed { name, key, algorithm, message, signature } in &all() {
        let longer = [message.as_slice(), b" "].concat();
        let check = SignatureCheck { algorithm: *algorithm, key, message: &longer, signature };
        ensure!(!signatures.verifies(&check).await?, "{name}: another message verifies");
        let mut changed = signature.clone();
        changed.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1);
        let [zeros, ones] = [0, 0xff].map(|byte| vec![byte; signature.len()]);
        let (shorter, doubled) = (&signature[..signature.len() - 1], [signature.as_slice(), signature].concat());
        for other in [changed.as_slice(), &zeros, &ones, shorter, &doubled, &[]] {
            let check = SignatureCheck { algorithm: *algorithm, key, message, signature: other };
            ensure!(!signatures.verifies(&check).await?, "{name}: another signature of {} bytes verifies", other.len());
        }
    }
    Ok(())
}

pub(crate) async fn a_broken_key_verifies_nothing<S: Subject>(subject: &S) -> Outcome {
    let signatures = subject.host().signatures();
    let broken = [
        (Algorithm::Es256, KeyMaterial::P256 { x: [1; 32], y: [1; 32] }, 64),
        (Algorithm::Es256, KeyMaterial::P256 { x: [0xff; 32], y: [0; 32] }, 64),
        (Algorithm::Es384, KeyMaterial::P384 { x: [1; 48], y: [2; 48] }, 96),
        (Algorithm::EdDsa, KeyMaterial::Ed25519([0xff; 32]), 64),
    ];
    for (algorithm, material, bytes) in broken {
        let key = Jwk { id: None, algorithm: None, material };
        let check = SignatureCheck { algorithm, key: &key, message: b"message", signature: &vec![1; bytes] };
        ensure!(!signatures.verifies(&check).await?, "a broken key of {algorithm} verifies");
    }
    Ok(())
}

/// RFC 7515, appendix A.3; RFC 8037, appendix A.1.
const PRIVATE: [&str; 2] = [
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
    r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
];

pub(crate) async fn what_the_gateway_signs_verifies<S: Subject>(subject: &S) -> Outcome {
    let signatures = subject.host().signatures();
    for text in PRIVATE {
        let key = SigningKey::parse(text.as_bytes())?;
        let public = Jwk { id: None, algorithm: None, material: key.public.clone() };
        for message in [b"message".as_slice(), b""] {
            let signature = signatures.signs(&key, message).await?;
            let algorithm = key.algorithm();
            let check = SignatureCheck { algorithm, key: &public, message, signature: &signature };
            ensure!(signatures.verifies(&check).await?, "a signature by {algorithm} does not verify");
        }
    }
    Ok(())
}

/// FIPS 180-4, with the examples `abc` of NIST; and content of many blocks.
pub(crate) async fn digests_are_those_of_the_standard<S: Subject>(subject: &S) -> Outcome {
    let signatures = subject.host().signatures();
    let of_abc = [
        (ContentHash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            ContentHash::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];
    for (hash, digits) in of_abc {
        ensure_eq!(hex::encode(&signatures.digest(hash, b"abc").await?), digits, "{}", hash.name());
        let long = vec![b'a'; 100_000];
        for content in [b"".as_slice(), &long] {
            ensure_eq!(signatures.digest(hash, content).await?, hash.digest(content), "{}", hash.name());
        }
    }
    Ok(())
}

/// The vector of AES-256 without additional data in the submission of GCM to NIST (SP 800-38D); and that nothing else is decrypted.
pub(crate) async fn what_was_encrypted_is_decrypted_and_nothing_else<S: Subject>(subject: &S) -> Outcome {
    let signatures = subject.host().signatures();
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    ensure!(hex::read(KEY.as_bytes(), &mut key) && hex::read(b"cafebabefacedbaddecaf888", &mut nonce), "the vector");
    let mut content = [0; 64];
    ensure!(hex::read(CONTENT.as_bytes(), &mut content), "the vector");
    let sealed = signatures.seals(&key, &nonce, &content).await?;
    ensure_eq!(hex::encode(&sealed), SEALED, "the vector");
    ensure_eq!(signatures.opens(&key, &nonce, &sealed).await?, Some(content.to_vec()), "the vector");
    for at in [0, sealed.len() / 2, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        ensure_eq!(signatures.opens(&key, &nonce, &changed).await?, None, "changed at {at}");
    }
    ensure_eq!(signatures.opens(&[1; 32], &nonce, &sealed).await?, None, "another key");
    ensure_eq!(signatures.opens(&key, &[1; 12], &sealed).await?, None, "another nonce");
    for short in [&[][..], &sealed[..15], &sealed[..sealed.len() - 1]] {
        ensure_eq!(signatures.opens(&key, &nonce, short).await?, None, "{} bytes", short.len());
    }
    let empty = signatures.seals(&key, &nonce, &[]).await?;
    ensure_eq!(signatures.opens(&key, &nonce, &empty).await?, Some(Vec::new()), "no content");
    Ok(())
}

const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const CONTENT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
const SEALED: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015adb094dac5d93471bdec1a502270e3cc6c";

/// Hashes of the reference implementation of argon2 and of jBCrypt; a host that computes none says so.
pub(crate) async fn passwords_are_those_of_their_hashes<S: Subject>(subject: &S) -> Outcome {
    type Own<S> = <<S as Subject>::Host as Host>::Signatures;
    let signatures = subject.host().signatures();
    for (hash, password) in [(ARGON2ID, "password"), (BCRYPT, "abc")] {
        if !<Own<S> as Signatures>::HASHES_PASSWORDS {
            ensure!(signatures.is_password(hash, password).await.is_err(), "it says that it computes none");
            continue;
        }
        ensure!(signatures.is_password(hash, password).await?, "{hash}");
        for other in ["", "Password", "ab", "password "] {
            ensure!(!signatures.is_password(hash, other).await?, "{hash} {other}");
        }
        ensure!(!signatures.is_password(&hash[..hash.len() - 1], password).await?, "a hash that was cut");
    }
    Ok(())
}

const ARGON2ID: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
const BCRYPT: &str = "$2a$10$WvvTPHKwdBJ3uk0Z37EMR.hLA2W6N9AEBhEgrAOljy2Ae5MtaSIUi";
