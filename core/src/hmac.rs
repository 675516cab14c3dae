//! HMAC with SHA-256 in software: for short messages, and where no port is at hand.

use sha2::{Digest, Sha256};

/// HMAC with SHA-256 (RFC 2104).
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |pad: u8, parts: &[u8]| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(parts);
        hash.finalize().into()
    };
    let inner = with(0x36, message);
    with(0x5c, &inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// RFC 4231, sections 4.2 and 4.7.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_4231_keys_of_any_length_sign() {
        let short = hex::encode(&hmac(&[0x0b; 20], b"Hi There"));
        assert_eq!(short, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let long = hex::encode(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"));
        assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}
