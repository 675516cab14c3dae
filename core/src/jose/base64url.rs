//! Base64url without padding (RFC 7515, section 2), in its one canonical form.

use base64ct::{Base64UrlUnpadded, Encoding};

/// The bytes; `None` if there is another character, padding, or a last character with bits that have no meaning: a text
/// that decodes to the same bytes as another is not the same token.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

/// The text of bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn only_the_canonical_form_is_decoded() {
        assert_eq!(decode("AQID").as_deref(), Some([1, 2, 3].as_slice()));
        assert_eq!(decode("-_8").as_deref(), Some([0xfb, 0xff].as_slice()));
        assert_eq!(decode("").as_deref(), Some([].as_slice()));
        for other in ["AQID=", "AQ==", "AQ=", "+/8", "A Q", "AQI\n", "AR", "AQJ", "A", "AQIDA", "\u{e9}AAA"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_decoded_is_encoded_as_it_was(text in "[A-Za-z0-9_=+/ -]{0,12}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(Base64UrlUnpadded::encode_string(&bytes), text);
            }
        }
    }
}
