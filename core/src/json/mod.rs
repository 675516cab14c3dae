//! JSON (RFC 8259): values of unknown forms, types that are read from them, and texts that are written member by member.
//!
//! Telemetry is written often, and a tree of values, or a type with a derived writer for each object, is more code and more work.

pub mod form;
mod number;
mod value;
mod writer;

pub use tollgate_derive::FromJson;

pub use self::form::{Form, FromJson, Names, Unfit};
pub use self::number::float;
pub use self::value::{Broken, Members, RECORD_VALUES_MAX, Value, ValueError};
pub use self::writer::to_text;
use crate::hex;
use crate::text::{decimal, digits};

/// The members of an object that is being written. Their names need no escapes.
#[derive(Debug)]
pub struct Object<'o> {
    out: &'o mut String,
    is_empty: bool,
}

/// The items of a list that is being written.
#[derive(Debug)]
pub struct Items<'o> {
    out: &'o mut String,
    is_empty: bool,
}

/// Writes an object.
pub fn object(out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    write(&mut Object { out, is_empty: true });
    out.push('}');
}

/// Members, written once to be added to many objects.
#[must_use]
pub fn members(write: impl FnOnce(&mut Object<'_>)) -> Box<str> {
    let mut out = String::new();
    write(&mut Object { out: &mut out, is_empty: true });
    out.into()
}

/// Writes a list.
pub fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    listed(out, |all| items.into_iter().for_each(|item| all.item(|out| write(out, item))));
}

/// Writes a list whose items are added one by one.
pub fn listed(out: &mut String, write: impl FnOnce(&mut Items<'_>)) {
    out.push('[');
    write(&mut Items { out, is_empty: true });
    out.push(']');
}

/// Writes a string (section 7).
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    if is_plain(text) {
        out.push_str(text);
    } else {
        escaped(out, text);
    }
    out.push('"');
}

/// Whether a text needs no escapes; without an early end, so that many bytes are compared at once.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'))
}

fn escaped(out: &mut String, text: &str) {
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                hex::push(out, &[byte]);
            }
        }
    }
    out.push_str(&text[written..]);
}

/// Writes a string that needs no escapes.
pub fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

/// Writes a number of millionths, without trailing zeros: microseconds as seconds.
pub fn millionths(out: &mut String, number: u64) {
    fraction::<6>(out, number / 1_000_000, number % 1_000_000);
}

/// Writes a number of thousandths, without trailing zeros: microseconds as milliseconds.
pub fn thousandths(out: &mut String, number: u64) {
    fraction::<3>(out, number / 1_000, number % 1_000);
}

fn fraction<const DIGITS: usize>(out: &mut String, whole: u64, part: u64) {
    decimal(out, whole);
    if part > 0 {
        out.push('.');
        digits::<DIGITS>(out, part);
        out.truncate(out.trim_end_matches('0').len());
    }
}

impl Items<'_> {
    /// An item.
    pub fn item(&mut self, write: impl FnOnce(&mut String)) {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        write(self.out);
    }
}

impl Object<'_> {
    /// A member with any value.
    pub fn value(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        self.out.push_str(if self.is_empty { "\"" } else { ",\"" });
        self.is_empty = false;
        self.out.push_str(name);
        self.out.push_str("\":");
        write(self.out);
    }

    /// Members that [`members`] has written; at least one.
    pub fn written(&mut self, members: &str) {
        self.out.push_str(if self.is_empty { "" } else { "," });
        self.is_empty = false;
        self.out.push_str(members);
    }

    /// A string that needs no escapes.
    pub fn word(&mut self, name: &str, word: &str) {
        self.value(name, |out| quoted(out, |out| out.push_str(word)));
    }

    /// A string.
    pub fn text(&mut self, name: &str, text: &str) {
        self.value(name, |out| string(out, text));
    }

    /// A number.
    pub fn number(&mut self, name: &str, number: u64) {
        self.value(name, |out| decimal(out, number));
    }

    /// A number in a string, which is how 64 bits are exact for every reader.
    pub fn number_text(&mut self, name: &str, number: u64) {
        self.value(name, |out| quoted(out, |out| decimal(out, number)));
    }

    /// Bytes in hexadecimal.
    pub fn hex(&mut self, name: &str, bytes: &[u8]) {
        self.value(name, |out| quoted(out, |out| hex::push(out, bytes)));
    }

    /// An object.
    pub fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.value(name, |out| object(out, write));
    }

    /// A list.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, write: impl FnMut(&mut String, T)) {
        self.value(name, |out| list(out, items, write));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn members_and_items_are_separated() {
        let json = written(|out| {
            object(out, |all| {
                all.number("a", 1);
                all.list("b", ["x", "y"], string);
                all.list("c", [(); 0], |_, ()| {});
                all.object("d", |_| {});
                all.number_text("e", u64::MAX);
                all.hex("f", &[0xab]);
            });
        });
        assert_eq!(json, r#"{"a":1,"b":["x","y"],"c":[],"d":{},"e":"18446744073709551615","f":"ab"}"#);
    }

    proptest! {
        #[test]
        fn fractions_are_exact(number in prop_oneof![any::<u64>(), 0..3_000_000u64]) {
            let plain = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
            let of = |unit: u64, width: usize| plain(format!("{}.{:0width$}", number / unit, number % unit));
            prop_assert_eq!(written(|out| millionths(out, number)), of(1_000_000, 6));
            prop_assert_eq!(written(|out| thousandths(out, number)), of(1_000, 3));
        }

        #[test]
        fn strings_are_read_back_as_they_were(text in prop_oneof![any::<String>(), "[\"\\\\\u{0}-\u{2a}a-cé€]*"]) {
            let json = written(|out| string(out, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            let is_broken = json.bytes().any(|byte| byte < b' ');
            prop_assert!(!is_broken, "{}", json);
        }
    }
}
