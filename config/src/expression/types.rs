//! The types of values.

use std::fmt;

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when it is evaluated: the value of a claim.
    Dyn,
    Null,
    Bool,
    Integer,
    Double,
    Text,
    Timestamp,
    Duration,
    Address,
    Networks,
    List(Box<Self>),
}

impl Type {
    /// Whether a value of one type can be one of the other.
    pub(super) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(own), Self::List(other)) => own.fits(other),
            _ => self == other,
        }
    }

    /// The type of either: the known one.
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::Dyn { other } else { self }
    }

    /// Whether values of this type have an order.
    pub(super) const fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Dyn | Self::Bool | Self::Integer | Self::Double | Self::Text | Self::Timestamp | Self::Duration
        )
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("a claim"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("true or false"),
            Self::Integer => f.write_str("an integer"),
            Self::Double => f.write_str("a floating-point number"),
            Self::Text => f.write_str("a text"),
            Self::Timestamp => f.write_str("a timestamp"),
            Self::Duration => f.write_str("a duration"),
            Self::Address => f.write_str("an address"),
            Self::Networks => f.write_str("a network"),
            Self::List(element) => match element.as_ref() {
                Self::Dyn => f.write_str("a list"),
                Self::Text => f.write_str("a list of texts"),
                Self::Integer => f.write_str("a list of integers"),
                element => write!(f, "a list of values that are {element}"),
            },
        }
    }
}
