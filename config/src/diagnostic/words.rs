//! Suggestions and lists of words in diagnostics.

use std::cmp::Reverse;

/// The word of `known` that was probably intended: the one with the smallest edit distance.
pub(crate) fn closest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    if given.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let given = given.to_lowercase();
    known
        .filter(|word| word.len() <= COMPARED_BYTES_MAX)
        .take(COMPARED_WORDS_MAX)
        .map(|word| (strsim::damerau_levenshtein(&given, word), Reverse(common_beginning(&given, word)), word))
        .filter(|(distance, _, word)| *distance <= 1 + word.chars().count() / 4)
        .min()
        .map(|(_, _, word)| word)
}

/// Of two words that are as near, the one that begins as the given one is meant: `x-forwarded` for `xforwarded`.
fn common_beginning(given: &str, word: &str) -> usize {
    given.bytes().zip(word.bytes()).take_while(|(one, other)| one == other).count()
}

/// Formats words as a list: "`a`, `b` and `c`".
pub(crate) fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut words: Vec<String> = words.take(LISTED_MAX + 1).map(|word| format!("`{word}`")).collect();
    let last = words.pop().unwrap_or_default();
    if words.len() == LISTED_MAX {
        return format!("{} and others", words.join(", "));
    }
    if words.is_empty() { last } else { format!("{} and {last}", words.join(", ")) }
}

/// The maximum length of compared words: names are shorter, and comparing longer texts would take long.
const COMPARED_BYTES_MAX: usize = 80;

/// The maximum number of words that are compared with a misspelt one.
const COMPARED_WORDS_MAX: usize = 1_000;

/// The maximum number of words in a list.
const LISTED_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_found_unless_it_is_far() {
        let known = ["upstream", "timeout", "authn", "limit", "base"];
        for (given, expected) in [
            ("uptream", Some("upstream")),
            ("timeouts", Some("timeout")),
            ("auhtn", Some("authn")),
            ("Limit", Some("limit")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(given, known.into_iter()), expected, "{given}");
        }
        let fields = ["forwarded", "x-forwarded", "both"];
        assert_eq!(closest("xforwarded", fields.into_iter()), Some("x-forwarded"), "both are as near");
    }
}
