//! Secrets and values that may refer to them; neither can be printed.

use std::fmt;

use crate::codec::Decode;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

/// A secret: it has no `Display`, and its `Debug` reveals nothing.
///
/// It has one value, or two while it is rotated, a line each: both are accepted where they are checked, and the first one is used
/// where it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret on entry.
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    /// The whole text, for the place where it is used.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its values: lines that are not blank, without blanks around them; at most [`SECRET_VALUES_MAX`]. A text of one line is one value
    /// as it is, and so is a text in PEM.
    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        if !self.0.contains('\n') || self.0.trim_start().starts_with("-----BEGIN ") {
            return vec![&self.0];
        }
        self.0.lines().map(str::trim).filter(|line| !line.is_empty()).take(SECRET_VALUES_MAX).collect()
    }
}

/// The values of a secret: the one before and the one after a rotation.
pub const SECRET_VALUES_MAX: usize = 2;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A configured text that may contain secret references, such as `Bearer ${secret.TOKEN}`, parsed at compile time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(transparent)]
#[cbor(transparent)]
pub struct SecretText {
    /// The pieces, in order.
    #[n(0)]
    pub pieces: Vec<Piece>,
}

/// A piece of a [`SecretText`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Piece {
    /// Literal text.
    #[n(0)]
    Text(#[n(0)] String),
    /// The secret of this name, resolved by the host at run time.
    #[n(1)]
    Secret(#[n(0)] String),
}

impl SecretText {
    /// Parses a configured text; `None` if a `${` does not begin a complete `${secret.NAME}`.
    ///
    /// A name is upper-case letters, digits and `_`, at most 64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            let inner = rest[at..].strip_prefix("${secret.")?;
            let end = inner.find('}')?;
            let name = &inner[..end];
            if !is_secret_name(name) {
                return None;
            }
            pieces.push(Piece::Secret(name.to_owned()));
            rest = &inner[end + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Some(Self { pieces })
    }

    /// The names of the secrets it needs.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Secret(name) => Some(name.as_str()),
        })
    }

    /// The text to send, with the first value for every reference; `None` if one has no value.
    #[must_use]
    pub fn resolve(&self, value_of: impl Fn(&str) -> Option<Secret>) -> Option<Secret> {
        self.with_values(0, &value_of)
    }

    /// The texts to accept: with the first values, and if a reference has a second one, with the second ones.
    #[must_use]
    pub fn resolve_all(&self, value_of: impl Fn(&str) -> Option<Secret>) -> Option<Vec<Secret>> {
        let mut all = Vec::with_capacity(1);
        for number in 0..SECRET_VALUES_MAX {
            let text = self.with_values(number, &value_of)?;
            if !all.contains(&text) {
                all.push(text);
            }
        }
        Some(all)
    }

    /// The text with the values of this number, or the last ones before it.
    fn with_values(&self, number: usize, value_of: &impl Fn(&str) -> Option<Secret>) -> Option<Secret> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Secret(name) => {
                    let secret = value_of(name)?;
                    let values = secret.values();
                    out.push_str(values.get(number).or(values.last())?);
                }
            }
        }
        Some(Secret(out))
    }
}

pub(crate) fn is_secret_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn references_are_parsed_and_resolved() {
        let text = SecretText::parse("Bearer ${secret.TOKEN}!").unwrap();
        assert_eq!(text.secret_names().collect::<Vec<_>>(), ["TOKEN"]);
        let resolved = text.resolve(|name| (name == "TOKEN").then(|| Secret::new("s3".into()))).unwrap();
        assert_eq!(resolved.expose(), "Bearer s3!");
        assert!(text.resolve(|_| None).is_none());
        assert_eq!(format!("{resolved:?}"), "Secret(..)");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_secret_may_have_two_values() {
        let all = |text: &str, secret: &str| {
            let text = SecretText::parse(text).unwrap();
            let value = |_: &str| Some(Secret::new(secret.to_owned()));
            let all = text.resolve_all(value)?;
            assert_eq!(all.first(), text.resolve(value).as_ref());
            Some(all.iter().map(|one| one.expose().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(all("a ${secret.A}", "new\nold\n").unwrap(), ["a new", "a old"]);
        assert_eq!(all("${secret.A}", "new\r\n\r\n  old").unwrap(), ["new", "old"]);
        assert_eq!(all("${secret.A}", "new\nold\nolder").unwrap(), ["new", "old"], "no more than two");
        assert_eq!(all("${secret.A}", "same\nsame").unwrap(), ["same"]);
        assert_eq!(all("${secret.A}", " one value ").unwrap(), [" one value "]);
        assert_eq!(all("${secret.A}", "-----BEGIN KEY-----\nx").unwrap(), ["-----BEGIN KEY-----\nx"]);
        assert_eq!(all("no secret", "x\ny").unwrap(), ["no secret"]);
        assert_eq!(all("${secret.A}", "\n"), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn anything_else_in_braces_is_refused() {
        for text in ["${env.X}", "${secret.}", "${secret.a}", "${secret.A", "${", "x${secret.A B}"] {
            assert!(SecretText::parse(text).is_none(), "{text}");
        }
        assert_eq!(SecretText::parse("$5 {x}").unwrap().pieces, [Piece::Text("$5 {x}".into())]);
    }
}
