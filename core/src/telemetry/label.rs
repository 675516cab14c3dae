//! Values of labels: fixed words, numbers, or names that are shared with the settings. None is copied when a metric is
//! counted.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

/// A value of a label, ordered and compared as its text.
#[derive(Clone, Debug)]
pub(super) enum Label {
    /// There is no value: the label is left out.
    Absent,
    /// A number, such as a status.
    Number(u16),
    /// A fixed word.
    Fixed(&'static str),
    /// A name from the configuration.
    Shared(Arc<str>),
}

impl Label {
    /// The text; `None` if the label is left out.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Absent => None,
            Self::Number(number) => Some(number.to_string().into()),
            Self::Fixed(text) => Some((*text).into()),
            Self::Shared(text) => Some(text.as_ref().into()),
        }
    }

    /// The rank of the kind, and the words of it.
    fn order(&self) -> (u8, u16, &str) {
        match self {
            Self::Absent => (0, 0, ""),
            Self::Number(number) => (1, *number, ""),
            Self::Fixed(text) => (2, 0, text),
            Self::Shared(text) => (2, 0, text),
        }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Label {}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // The usual case: both are of the same route or upstream.
            (Self::Shared(one), Self::Shared(other)) if Arc::ptr_eq(one, other) => Ordering::Equal,
            _ => self.order().cmp(&other.order()),
        }
    }
}
