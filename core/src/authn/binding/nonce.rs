//! Nonces of the gateway for proofs (RFC 9449, section 9): the time, with a code that only the gateway can make. No isolate has to
//! remember them.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::time::Timestamp;

/// A nonce that is accepted for five minutes.
#[must_use]
pub fn nonce(secret: &str, now: Timestamp) -> String {
    let time = now.as_secs().to_be_bytes();
    let mut bytes = [0; TIME_BYTES + CODE_BYTES];
    let (of_time, of_code) = bytes.split_at_mut(TIME_BYTES);
    of_time.copy_from_slice(&time);
    of_code.copy_from_slice(&code(secret, &time)[..CODE_BYTES]);
    Base64UrlUnpadded::encode_string(&bytes)
}

/// Whether a text is a nonce that was made with the secret, and is not too old. The time that this takes does not depend on the
/// code.
#[must_use]
pub fn accepts_nonce(secret: &str, text: &str, now: Timestamp) -> bool {
    let mut bytes = [0; TIME_BYTES + CODE_BYTES];
    let has_length =
        Base64UrlUnpadded::decode(text, &mut bytes).is_ok_and(|read| read.len() == TIME_BYTES + CODE_BYTES);
    let (time, own) = bytes.split_at(TIME_BYTES);
    let Ok(time) = <[u8; TIME_BYTES]>::try_from(time) else { return false };
    let differing = own.iter().zip(code(secret, &time)).fold(0, |all, (one, other)| all | (one ^ other));
    let (made_s, now_s) = (u64::from_be_bytes(time), now.as_secs());
    let is_now = made_s <= now_s.saturating_add(AHEAD_S) && now_s <= made_s.saturating_add(LIFETIME_S);
    has_length && differing == 0 && is_now
}

/// HMAC with SHA-256 (RFC 2104) of the time.
fn code(secret: &str, time: &[u8; TIME_BYTES]) -> [u8; 32] {
    let mut key = [0; BLOCK_BYTES];
    if secret.len() > BLOCK_BYTES {
        key[..32].copy_from_slice(&Sha256::digest(secret.as_bytes()));
    } else {
        key[..secret.len()].copy_from_slice(secret.as_bytes());
    }
    let hash = |pad: u8, parts: [&[u8]; 2]| -> [u8; 32] {
        let hash = Sha256::new().chain_update(key.map(|byte| byte ^ pad));
        parts.into_iter().fold(hash, |hash, part| hash.chain_update(part)).finalize().into()
    };
    let inner = hash(0x36, [PURPOSE, time]);
    hash(0x5c, [&inner, &[]])
}

/// The secret may be used for something else, too.
const PURPOSE: &[u8] = b"tollgate DPoP nonce\0";

const TIME_BYTES: usize = 8;

/// Half of the code: 128 bits cannot be guessed.
const CODE_BYTES: usize = 16;

/// Of SHA-256.
const BLOCK_BYTES: usize = 64;

/// How long a nonce is accepted: its client has to ask for another one after that.
const LIFETIME_S: u64 = 300;

/// By how much the clocks of isolates may differ.
const AHEAD_S: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_nonce_is_accepted_for_five_minutes_from_who_has_the_secret() {
        let at = |s: u64| Timestamp::from_millis(s * 1_000);
        for secret in ["0123456789abcdef0123456789abcdef", &"long".repeat(40)] {
            let made = nonce(secret, at(1_000));
            assert_eq!(made.len(), 32);
            let accepted = [989, 990, 1_000, 1_300, 1_301].map(|s| accepts_nonce(secret, &made, at(s)));
            assert_eq!(accepted, [false, true, true, true, false]);
            assert!(!accepts_nonce("another", &made, at(1_000)));
            assert!(!accepts_nonce(secret, &nonce("another", at(1_000)), at(1_000)));
            assert!(!accepts_nonce(secret, &made[..28], at(1_000)) && !accepts_nonce(secret, "", at(1_000)));
            assert!(!accepts_nonce(secret, &format!("{made}AAAA"), at(1_000)));
        }
    }

    /// What Python's `hmac` makes of them.
    #[wasm_bindgen_test(unsupported = test)]
    fn the_code_is_an_hmac() {
        let code = crate::hex::encode(&code("Jefe", &1_000u64.to_be_bytes()));
        assert_eq!(code, "9d5b64ae6dba4b373e52e9b170978b794d51b6063b33c5fc94ad39e5275b5995");
    }

    proptest! {
        #[test]
        fn no_changed_nonce_is_accepted(at in 0usize..32, with in "[A-Za-z0-9_-]") {
            let now = Timestamp::from_millis(1_000_000);
            let made = nonce("0123456789abcdef0123456789abcdef", now);
            let mut other = made.clone();
            other.replace_range(at..=at, &with);
            let accepted = accepts_nonce("0123456789abcdef0123456789abcdef", &other, now);
            prop_assert_eq!(accepted, other == made);
        }
    }
}
