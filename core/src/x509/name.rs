//! Distinguished names as text (RFC 4514).

use std::fmt::Write as _;

use super::der::{self, Der, Element, NotDer};
use crate::hex;

/// A name, and the common name in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The last part of the name first, as it is written.
    pub(super) text: String,
    /// `None` if there is none, or several.
    pub(super) common_name: Option<String>,
}

/// Reads a name: a sequence of sets of attributes (RFC 5280, section 4.1.2.4).
pub(super) fn read(mut parts: Der<'_>) -> Result<Name, NotDer> {
    let mut texts: Vec<String> = Vec::new();
    let mut common_names = Vec::new();
    while !parts.is_empty() {
        let mut set = parts.within(der::SET)?;
        let mut text = String::new();
        while !set.is_empty() {
            let mut attribute = set.within(der::SEQUENCE)?;
            let (kind, value) = (attribute.expect(der::OBJECT_IDENTIFIER)?, attribute.next()?);
            attribute.end()?;
            if !text.is_empty() {
                text.push('+');
            }
            if kind.content == COMMON_NAME {
                common_names.push(string(&value));
            }
            write(kind.content, &value, &mut text)?;
        }
        if text.is_empty() {
            return Err(NotDer);
        }
        texts.push(text);
    }
    texts.reverse();
    let common_name = if common_names.len() == 1 { common_names.remove(0) } else { None };
    Ok(Name { text: texts.join(","), common_name: common_name.map(str::to_owned) })
}

/// Writes an attribute; a value that is no text, or of an attribute without a name, in hexadecimal (section 2.4).
fn write(kind: &[u8], value: &Element<'_>, out: &mut String) -> Result<(), NotDer> {
    match (NAMES.iter().find(|(known, _)| *known == kind), string(value)) {
        (Some((_, name)), Some(text)) => {
            out.push_str(name);
            out.push('=');
            escape(text, out);
        }
        (name, _) => {
            match name {
                Some((_, name)) => out.push_str(name),
                None => write_identifier(kind, out)?,
            }
            out.push_str("=#");
            hex::push(out, value.whole);
        }
    }
    Ok(())
}

/// The text of a value; the other types of strings are no longer used (RFC 5280, section 4.1.2.4).
fn string<'d>(value: &Element<'d>) -> Option<&'d str> {
    let text = std::str::from_utf8(value.content).ok()?;
    match value.tag {
        der::UTF8_STRING => Some(text),
        der::PRINTABLE_STRING | der::IA5_STRING => text.is_ascii().then_some(text),
        _ => None,
    }
}

fn escape(text: &str, out: &mut String) {
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', character]),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            '#' if at == 0 => out.push_str("\\#"),
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    // A `String` takes everything.
                    let _ = write!(out, "\\{byte:02x}");
                }
            }
            other => out.push(other),
        }
    }
}

/// An object identifier with dots (X.690, section 8.19).
fn write_identifier(bytes: &[u8], out: &mut String) -> Result<(), NotDer> {
    let mut arcs = bytes.split_inclusive(|byte| byte & 0x80 == 0).map(arc);
    let first = arcs.next().ok_or(NotDer)??;
    let root = (first / 40).min(2);
    let _ = write!(out, "{root}.{}", first - root * 40);
    for next in arcs {
        let _ = write!(out, ".{}", next?);
    }
    Ok(())
}

fn arc(bytes: &[u8]) -> Result<u64, NotDer> {
    let is_complete = bytes.last().is_some_and(|byte| byte & 0x80 == 0) && bytes.first() != Some(&0x80);
    if !is_complete || bytes.len() > ARC_BYTES_MAX {
        return Err(NotDer);
    }
    Ok(bytes.iter().fold(0, |arc, byte| arc << 7 | u64::from(byte & 0x7f)))
}

/// Nine bytes have 63 bits.
const ARC_BYTES_MAX: usize = 9;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// The attributes that have names (RFC 4514, section 3).
const NAMES: [(&[u8], &str); 9] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 9], "STREET"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        element(der::SEQUENCE, &[element(der::OBJECT_IDENTIFIER, kind), element(tag, value)].concat())
    }

    fn part(attributes: &[Vec<u8>]) -> Vec<u8> {
        element(der::SET, &attributes.concat())
    }

    #[track_caller]
    fn check(parts: &[Vec<u8>], text: &str, common_name: Option<&str>) {
        let name = read(Der::new(&parts.concat())).unwrap();
        assert_eq!((name.text.as_str(), name.common_name.as_deref()), (text, common_name));
    }

    const ORGANIZATION: &[u8] = &[0x55, 4, 10];

    #[wasm_bindgen_test(unsupported = test)]
    fn names_are_written_as_in_rfc_4514() {
        let common = |text: &str| part(&[attribute(COMMON_NAME, der::UTF8_STRING, text.as_bytes())]);
        let organization = part(&[attribute(ORGANIZATION, der::PRINTABLE_STRING, b"Sales")]);
        check(&[organization, common("Steve Kille")], "CN=Steve Kille,O=Sales", Some("Steve Kille"));
        check(&[common(" a, \"b\" \u{1}#\\ ")], "CN=\\ a\\, \\\"b\\\" \\01#\\\\\\ ", Some(" a, \"b\" \u{1}#\\ "));
        check(&[common("#a")], "CN=\\#a", Some("#a"));
        check(&[common("Lu\u{10d}i\u{107}")], "CN=Lu\u{10d}i\u{107}", Some("Lu\u{10d}i\u{107}"));
        let several = part(&[
            attribute(ORGANIZATION, der::UTF8_STRING, b"x"),
            attribute(COMMON_NAME, der::UTF8_STRING, b"J. Smith"),
        ]);
        check(&[several], "O=x+CN=J. Smith", Some("J. Smith"));
        // Section 2.4: attributes without a name, and values that are no text of a known type.
        let unnamed = part(&[attribute(&[0x2b, 6, 1, 4, 1, 0x8b, 0x3a, 0], der::OCTET_STRING, b"Hi")]);
        check(&[unnamed], "1.3.6.1.4.1.1466.0=#04024869", None);
        check(&[part(&[attribute(ORGANIZATION, 0x1e, &[0, 65])])], "O=#1e020041", None);
        check(&[], "", None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_several_common_names_none_is_the_common_name() {
        let common = |text: &str| part(&[attribute(COMMON_NAME, der::UTF8_STRING, text.as_bytes())]);
        check(&[common("a"), common("b")], "CN=b,CN=a", None);
        check(&[part(&[attribute(COMMON_NAME, der::PRINTABLE_STRING, &[0xff])])], "CN=#1301ff", None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_name_is_refused() {
        for bytes in [
            element(der::SET, &[]),
            element(der::SEQUENCE, &[]),
            part(&[attribute(&[], der::UTF8_STRING, b"a")]),
            part(&[attribute(&[0x2b, 0x80, 1], der::UTF8_STRING, b"a")]),
            part(&[attribute(&[0x2b, 0x81], der::UTF8_STRING, b"a")]),
            part(&[attribute(
                &[0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                der::UTF8_STRING,
                b"a",
            )]),
            part(&[element(der::SEQUENCE, &element(der::OBJECT_IDENTIFIER, COMMON_NAME))]),
        ] {
            assert_eq!(read(Der::new(&bytes)), Err(NotDer), "{bytes:?}");
        }
    }
}
