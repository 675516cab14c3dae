//! The characters of fixed texts in paths, and one that is none of them.

use std::collections::HashSet;

use tollgate_core::route::{ParameterType, Segment};

/// The characters that the fixed texts of templates have.
///
/// A text of another character is a value that a template matches only if it matches all values in its place: which route
/// answers it does not depend on how such a value is chosen.
#[derive(Debug, Default)]
pub struct FixedChars(HashSet<char>);

impl FixedChars {
    /// Adds the characters of a template.
    pub fn add(&mut self, segments: &[Segment]) {
        for segment in segments {
            match segment {
                Segment::Literal(text) => self.0.extend(text.chars()),
                Segment::Rest { .. } => {}
                Segment::Parameter { prefix, of, suffix, .. } => {
                    self.0.extend(prefix.chars().chain(suffix.chars()));
                    if let ParameterType::OneOf(values) = of {
                        self.0.extend(values.iter().flat_map(|value| value.chars()));
                    }
                }
            }
        }
    }

    /// Adds characters.
    pub fn extend(&mut self, chars: impl Iterator<Item = char>) {
        self.0.extend(chars);
    }

    /// A text of a character that is none of these, and no digit.
    #[must_use]
    pub fn other(&self) -> String {
        let mut candidates = ['~', '_'].into_iter().chain('g'..='z').chain('G'..='Z').chain('\u{4e00}'..='\u{9fff}');
        candidates.find(|c| !self.0.contains(c)).unwrap_or('~').to_string().repeat(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::route::PathTemplate;

    #[test]
    fn a_value_has_no_character_of_a_fixed_text() {
        let mut chars = FixedChars::default();
        assert_eq!(chars.other(), "~~");
        chars.add("/~a{x}_/{y:(g|h)}".parse::<PathTemplate>().unwrap().segments());
        assert_eq!(chars.other(), "ii");
        chars.extend(('a'..='z').chain('A'..='Z'));
        assert_eq!(chars.other(), "\u{4e00}\u{4e00}");
    }
}
