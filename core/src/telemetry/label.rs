//! Values of labels: fixed words, or names that are shared with the settings. Neither is copied when a metric is counted.

use std::cmp::Ordering;
use std::sync::Arc;

/// A value of a label, ordered and compared as its text.
#[derive(Clone, Debug)]
pub(super) enum Label {
    /// A fixed word.
    Fixed(&'static str),
    /// A name from the configuration.
    Shared(Arc<str>),
}

impl Label {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
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
        self.as_str().cmp(other.as_str())
    }
}
