//! Structured Fields (RFC 9651): a strict parser, and the one way in which a value is written.
//!
//! Start with [`Members::dictionary`]. What is parsed is written in its canonical form by `write`; parsing that again gives the
//! same value.

mod parse;
mod write;

pub use parse::{StructureError, canonical};

/// A value without parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bare {
    /// A whole number of at most 15 digits.
    Integer(i64),
    /// A number in thousandths.
    Decimal(i64),
    /// Printable ASCII.
    String(String),
    /// A word.
    Token(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A truth value.
    Boolean(bool),
    /// Seconds since 1970.
    Date(i64),
    /// Unicode text.
    Display(String),
}

/// Named values, in the order in which their names first occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(pub Vec<(String, Bare)>);

/// A value with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Bare,
    /// Its parameters.
    pub parameters: Parameters,
}

/// A list within a list or a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerList {
    /// Its items.
    pub items: Vec<Item>,
    /// The parameters of the list itself.
    pub parameters: Parameters,
}

/// A member of a list or a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// One value.
    Item(Item),
    /// Several values.
    Inner(InnerList),
}

/// The members of a dictionary, or of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The members with their names, in the order in which the names first occurred; of several with one name the last one
    /// counts. Those of a list have no name.
    pub all: Vec<(String, Member)>,
    /// Whether a name occurred several times.
    pub repeats: bool,
}

impl Parameters {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bare> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The value of a name, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Bare::String(text)) => Some(text),
            _ => None,
        }
    }
}

impl Members {
    /// The member with a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.all.iter().find(|(own, _)| own == name).map(|(_, member)| member)
    }
}

impl Member {
    /// The bytes, if it is one value of that type.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Item(Item { value: Bare::Bytes(bytes), .. }) => Some(bytes),
            Self::Item(_) | Self::Inner(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
