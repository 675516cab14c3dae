//! Content of the type `application/x-www-form-urlencoded` (RFC 6749, appendix B).

use crate::text::escape;

/// Adds a parameter.
pub fn add(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() {
        form.push('&');
    }
    encode(form, name);
    form.push('=');
    encode(form, value);
}

/// Adds a text in its encoded form.
pub(super) fn encode(form: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => form.push(char::from(byte)),
            b' ' => form.push('+'),
            _ => escape(form, byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// RFC 6749, appendix B, has this example.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_6749_b_texts_are_encoded() {
        let mut form = String::new();
        encode(&mut form, " %&+\u{a3}\u{20ac}");
        assert_eq!(form, "+%25%26%2B%C2%A3%E2%82%AC");
        let mut form = String::new();
        add(&mut form, "token", "a=b&c");
        add(&mut form, "scope", "");
        assert_eq!(form, "token=a%3Db%26c&scope=");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_to_the_same(text in ".{0,40}") {
            let mut form = String::new();
            encode(&mut form, &text);
            prop_assert_eq!(&*crate::query::decoded(&form), text.as_bytes());
            prop_assert!(!form.contains(['&', '=', '\r', '\n']));
        }
    }
}
