//! The canonical form: the algorithms of RFC 9651, section 4.1.

use base64ct::{Base64, Encoding};

use super::{Bare, InnerList, Item, Member, Members, Parameters};

impl Bare {
    /// Writes the value.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Integer(number) => whole(*number, out),
            Self::Decimal(thousandths) => decimal(*thousandths, out),
            Self::String(text) => {
                out.push('"');
                for letter in text.chars() {
                    if matches!(letter, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(letter);
                }
                out.push('"');
            }
            Self::Token(word) => out.push_str(word),
            Self::Bytes(bytes) => {
                out.push(':');
                out.push_str(&Base64::encode_string(bytes));
                out.push(':');
            }
            Self::Boolean(value) => out.push_str(if *value { "?1" } else { "?0" }),
            Self::Date(seconds) => {
                out.push('@');
                whole(*seconds, out);
            }
            Self::Display(text) => display(text, out),
        }
    }
}

fn whole(number: i64, out: &mut String) {
    out.push_str(&number.to_string());
}

fn decimal(thousandths: i64, out: &mut String) {
    if thousandths < 0 {
        out.push('-');
    }
    whole(thousandths.abs() / 1_000, out);
    out.push('.');
    // At least one of the three places, and none that is zero behind it.
    let mut part = thousandths.abs() % 1_000;
    for place in [100, 10, 1] {
        whole(part / place, out);
        part %= place;
        if part == 0 {
            break;
        }
    }
}

fn display(text: &str, out: &mut String) {
    out.push_str("%\"");
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'%' | 0..=0x1f | 0x7f..) {
            out.push('%');
            crate::hex::push(out, &[byte]);
        } else {
            out.push(char::from(byte));
        }
    }
    out.push('"');
}

impl Parameters {
    /// Writes the parameters, each after a semicolon.
    pub fn write(&self, out: &mut String) {
        for (name, value) in &self.0 {
            out.push(';');
            out.push_str(name);
            if *value != Bare::Boolean(true) {
                out.push('=');
                value.write(out);
            }
        }
    }
}

impl Item {
    /// Writes value and parameters.
    pub fn write(&self, out: &mut String) {
        self.value.write(out);
        self.parameters.write(out);
    }
}

impl InnerList {
    /// Writes the list.
    pub fn write(&self, out: &mut String) {
        out.push('(');
        for (at, item) in self.items.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { " " });
            item.write(out);
        }
        out.push(')');
        self.parameters.write(out);
    }
}

impl Member {
    /// Writes the member without its name.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Item(item) => item.write(out),
            Self::Inner(list) => list.write(out),
        }
    }
}

impl Members {
    /// Writes all members, with a comma between them.
    pub fn write(&self, out: &mut String) {
        for (at, (name, member)) in self.all.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { ", " });
            out.push_str(name);
            match member {
                Member::Item(Item { value: Bare::Boolean(true), parameters }) if !name.is_empty() => {
                    parameters.write(out);
                }
                member => {
                    out.push_str(if name.is_empty() { "" } else { "=" });
                    member.write(out);
                }
            }
        }
    }
}
