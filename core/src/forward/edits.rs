//! Fields as *received fields plus edits*: read through the edits without a copy, and applied by each host in its
//! cheapest way.

use http::header::AsHeaderName;
use http::{HeaderMap, HeaderName, HeaderValue};

/// One change of a message's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Removes all lines of this name.
    Remove(HeaderName),
    /// Replaces all lines of this name with this one.
    Set(HeaderName, HeaderValue),
    /// Adds a line.
    Append(HeaderName, HeaderValue),
}

/// Changes of a message's fields, in the order in which they apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits(Vec<Edit>);

/// The fields of a message with its edits, composed when they are read.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    received: &'a HeaderMap,
    edits: &'a [Edit],
}

impl Edit {
    /// The name of the changed field.
    #[must_use]
    pub const fn name(&self) -> &HeaderName {
        match self {
            Self::Remove(name) | Self::Set(name, _) | Self::Append(name, _) => name,
        }
    }

    /// The line that it adds, if it adds one.
    #[must_use]
    pub const fn value(&self) -> Option<&HeaderValue> {
        match self {
            Self::Remove(_) => None,
            Self::Set(_, value) | Self::Append(_, value) => Some(value),
        }
    }

    /// Whether it removes the earlier lines of its name.
    const fn replaces(&self) -> bool {
        matches!(self, Self::Remove(_) | Self::Set(..))
    }
}

impl Edits {
    /// No edits, with some capacity.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Removes all lines of a name.
    pub fn remove(&mut self, name: HeaderName) {
        self.0.push(Edit::Remove(name));
    }

    /// Replaces all lines of the name with one line.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(Edit::Set(name, value));
    }

    /// Replaces all lines of the name with one line, if there is a value for it.
    pub fn set_some(&mut self, name: HeaderName, value: Option<HeaderValue>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Adds a line.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push(Edit::Append(name, value));
    }

    /// The edits in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Edit] {
        &self.0
    }

    /// The number of edits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no edits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Changes a map in place.
    pub fn apply(self, fields: &mut HeaderMap) {
        for edit in self.0 {
            match edit {
                Edit::Remove(name) => drop(fields.remove(name)),
                Edit::Set(name, value) => drop(fields.insert(name, value)),
                Edit::Append(name, value) => drop(fields.append(name, value)),
            }
        }
    }

    /// The received fields with these edits applied.
    #[must_use]
    pub fn over<'a>(&'a self, received: &'a HeaderMap) -> Fields<'a> {
        Fields { received, edits: &self.0 }
    }
}

impl Extend<Edit> for Edits {
    fn extend<I: IntoIterator<Item = Edit>>(&mut self, edits: I) {
        self.0.extend(edits);
    }
}

impl IntoIterator for Edits {
    type Item = Edit;
    type IntoIter = std::vec::IntoIter<Edit>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> Fields<'a> {
    /// The received fields, with some edits.
    #[must_use]
    pub const fn new(received: &'a HeaderMap, edits: &'a [Edit]) -> Self {
        Self { received, edits }
    }

    /// The first line of a name; a name given as text must be in lower case.
    pub fn get(self, name: impl AsHeaderName + AsRef<str>) -> Option<&'a HeaderValue> {
        self.get_all(name).next()
    }

    /// All lines of a name, in order.
    pub fn get_all(self, name: impl AsHeaderName + AsRef<str>) -> impl Iterator<Item = &'a HeaderValue> {
        let text = name.as_ref();
        let is_of = |edit: &Edit| edit.name().as_str() == text;
        let (received, edits) = match self.edits.iter().rposition(|edit| edit.replaces() && is_of(edit)) {
            Some(last) => (None, &self.edits[last..]),
            None => (Some(self.received), self.edits),
        };
        // The name in the edits lives as long as the edits do.
        let edited = edits.iter().find(|edit| is_of(edit)).map(Edit::name);
        let added = edits.iter().filter(move |edit| Some(edit.name()) == edited).filter_map(Edit::value);
        received.map(|fields| fields.get_all(name).iter()).into_iter().flatten().chain(added)
    }

    /// Whether there is a line of a name.
    pub fn contains(self, name: impl AsHeaderName + AsRef<str>) -> bool {
        self.get(name).is_some()
    }

    /// All lines: the lines of one name in their order, the names in any order.
    pub fn iter(self) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        self.select(|_| true)
    }

    /// The lines of the selected names, in the same order.
    pub fn select(
        self,
        is_selected: impl Fn(&str) -> bool + Copy,
    ) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        let selected = self.received.iter().filter(move |(name, _)| is_selected(name.as_str()));
        let received = selected.filter(move |(name, _)| !replaced(name, self.edits));
        received.chain(self.added(is_selected))
    }

    /// The fields as a new map, which is large enough from the beginning.
    #[must_use]
    pub fn to_map(self) -> HeaderMap {
        let added = self.edits.iter().filter(|edit| edit.value().is_some()).count();
        let mut map = HeaderMap::with_capacity(self.received.len() + added);
        // Most names differ in length from all that are replaced.
        let lengths =
            self.edits.iter().filter(|edit| edit.replaces()).fold(0, |all, edit| all | length_bit(edit.name()));
        for (name, value) in self.received {
            if lengths & length_bit(name) == 0 || !replaced(name, self.edits) {
                map.append(name, value.clone());
            }
        }
        for (name, value) in self.added(|_| true) {
            map.append(name, value.clone());
        }
        map
    }

    /// The lines that the edits add.
    fn added(
        self,
        is_selected: impl Fn(&str) -> bool + Copy,
    ) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        self.edits.iter().enumerate().filter_map(move |(at, edit)| {
            let value = edit.value().filter(|_| is_selected(edit.name().as_str()))?;
            (!replaced(edit.name(), &self.edits[at + 1..])).then_some((edit.name(), value))
        })
    }
}

fn replaced(name: &HeaderName, edits: &[Edit]) -> bool {
    edits.iter().any(|edit| edit.replaces() && edit.name() == name)
}

fn length_bit(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}

impl<'a> From<&'a HeaderMap> for Fields<'a> {
    fn from(received: &'a HeaderMap) -> Self {
        Self { received, edits: &[] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Standard and other names, because `http` stores them in different ways.
    const NAMES: [&str; 6] =
        ["accept", "set-cookie", "x-a", "x-b", "via", "x-long-name-of-a-field-that-is-not-standard"];

    fn name() -> impl Strategy<Value = HeaderName> {
        (0..NAMES.len()).prop_map(|at| HeaderName::from_static(NAMES[at]))
    }

    fn value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![Just(String::new()), "[a-z, =;\"]{0,6}"].prop_map(|text| text.trim().parse().unwrap())
    }

    fn edit() -> impl Strategy<Value = Edit> {
        (0..3, name(), value()).prop_map(|(kind, name, value)| match kind {
            0 => Edit::Remove(name),
            1 => Edit::Set(name, value),
            _ => Edit::Append(name, value),
        })
    }

    fn lines<'a>(all: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>) -> Vec<(String, Vec<&'a [u8]>)> {
        let mut lines: Vec<(String, Vec<&[u8]>)> = NAMES.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        for (name, value) in all {
            lines.iter_mut().filter(|(n, _)| n == name.as_str()).for_each(|(_, values)| values.push(value.as_bytes()));
        }
        lines
    }

    proptest! {
        #[test]
        fn read_through_the_edits_as_from_a_map_that_was_edited(
            received in proptest::collection::vec((name(), value()), 0..8), edits in proptest::collection::vec(edit(), 0..10),
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in received {
                map.append(name, value);
            }
            let edits = Edits(edits);
            let mut edited = map.clone();
            edits.clone().apply(&mut edited);
            let view = edits.over(&map);
            for name in NAMES {
                let seen: Vec<_> = view.get_all(name).collect();
                prop_assert_eq!(&seen, &edited.get_all(name).iter().collect::<Vec<_>>());
                prop_assert_eq!(view.get(name), edited.get(name));
                prop_assert_eq!(view.contains(name), edited.contains_key(name));
            }
            prop_assert_eq!(lines(view.iter()), lines(edited.iter()));
            prop_assert_eq!(view.to_map(), edited);
        }
    }
}
