//! Names and values of a query, as an upstream reads them.

use std::borrow::Cow;

/// The bytes that a name or value of a query stands for: without escapes (RFC 3986, section 2.1), and with a space for `+`
/// (`application/x-www-form-urlencoded`). What is no escape stays as it is.
pub(crate) fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = || Some(crate::hex::digit(*after.first()?)? << 4 | crate::hex::digit(*after.get(1)?)?);
        let escaped = if *first == b'%' { escaped() } else { None };
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn escapes_are_decoded_once_and_what_is_none_stays() {
        for (text, bytes) in [
            ("key", b"key".as_slice()),
            ("k%65y", b"key"),
            ("%6B%6b", b"kk"),
            ("a+b%20c", b"a b c"),
            ("%2565", b"%65"),
            ("%%65", b"%e"),
            ("%6%zz%", b"%6%zz%"),
            ("%ff%00", b"\xff\0"),
            ("", b""),
        ] {
            assert_eq!(decoded(text).as_ref(), bytes, "{text}");
        }
    }
}
