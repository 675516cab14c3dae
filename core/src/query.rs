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

/// The parameters of a query that an upstream may read under this name. `None` in place of the value where upstreams read
/// different ones: the name has another spelling (`mode[]`, `+mode`), or `;` separates parameters for some of them.
pub(crate) fn parameters<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = Option<&'q str>> {
    let own = as_read(Cow::Borrowed(name.as_bytes()));
    query.split('&').flat_map(|whole| whole.split(';').map(move |part| (whole, part))).filter_map(
        move |(whole, part)| {
            let (written, value) = part.split_once('=').unwrap_or((part, ""));
            let written = decoded(written);
            if *written == *name.as_bytes() {
                return Some((whole.len() == part.len()).then_some(value));
            }
            is_or_has(&as_read(written), &own).then_some(None)
        },
    )
}

/// Whether a name is this one, or that of a member of it (`key[]`).
pub(crate) fn is_or_has(name: &[u8], own: &[u8]) -> bool {
    name.strip_prefix(own).is_some_and(|rest| matches!(rest, [] | [b'[', ..]))
}

/// Both are in use (the second was recommended by HTML 4.01, appendix B.2.2).
pub(crate) const SEPARATORS: [char; 2] = ['&', ';'];

/// The name of a parameter as PHP reads it: it ends before a NUL, has no spaces before it, and `_` for spaces, dots, and
/// brackets that enclose nothing. What is in brackets names a member and is kept. The brackets of `[key]`, which the parsers
/// of Express and Rack read as `key`, are removed.
pub(crate) fn as_read(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !name.iter().any(|byte| b" .[\0".contains(byte)) {
        return name;
    }
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let is_opening = |byte: &u8| matches!(byte, b' ' | b'[');
    let start = name[..end].iter().position(|byte| !is_opening(byte)).unwrap_or(end);
    let (mut read, is_enclosed) = (name[start..end].to_vec(), name[..start].contains(&b'['));
    if is_enclosed && let Some(closing) = read.iter().position(|byte| *byte == b']') {
        let count = read[closing..].iter().take_while(|byte| **byte == b']').count();
        read.drain(closing..closing + count);
    }
    let closing = read.iter().rposition(|byte| *byte == b']').unwrap_or_default();
    let members = read[..closing].iter().position(|byte| *byte == b'[').unwrap_or(read.len());
    for byte in read[..members].iter_mut().filter(|byte| b" .[".contains(byte)) {
        *byte = b'_';
    }
    Cow::Owned(read)
}

/// The value of a parameter that is there once, and is UTF-8.
#[must_use]
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut values = pairs.filter(|(own, _)| decoded(own).as_ref() == name.as_bytes());
    let (_, value) = values.next()?;
    if values.next().is_some() {
        return None;
    }
    String::from_utf8(decoded(value).into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_parameter_that_is_there_once_has_a_value() {
        let value = |query: &str| parameter(query, "code");
        assert_eq!(value("a=b&c%6fde=x%20y+z&d").as_deref(), Some("x y z"));
        assert_eq!(value("code").as_deref(), Some(""));
        for none in ["", "a=code", "code=a&code=a", "code=%ff"] {
            assert_eq!(value(none), None, "{none}");
        }
    }

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

    #[wasm_bindgen_test(unsupported = test)]
    fn a_parameter_that_upstreams_read_differently_has_no_value() {
        let check = |query: &str, want: &[Option<&str>]| {
            assert_eq!(parameters(query, "mode").collect::<Vec<_>>(), want, "{query}");
        };
        check("a=1&mode=x&b", &[Some("x")]);
        check("m%6fde=%78", &[Some("%78")]);
        check("mode&mode=", &[Some(""), Some("")]);
        check("Mode=x&modes=x&a[mode]=x&xmode=x&&mode_=x", &[]);
        for other in ["mode[]", "mode[a]", "mode%5B%5D", "+mode", "%20mode", "mode%00", "mode%00x", "[mode]"] {
            check(&format!("{other}=x"), &[None]);
            check(&format!("mode=a&{other}=x"), &[Some("a"), None]);
        }
        check("a=1;mode=x", &[None]);
        check("mode=a;b=1", &[None]);
        check("mode=a;mode=b&c", &[None, None]);
        check("a=1;b=2", &[]);
        // A name that is written in this form is itself.
        assert_eq!(parameters("page[size]=5", "page[size]").collect::<Vec<_>>(), [Some("5")]);
        assert_eq!(parameters("api_key=5&api.key=6", "api.key").collect::<Vec<_>>(), [None, Some("6")]);
    }
}
