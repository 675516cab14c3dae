//! How a change of a setting affects requests; `diff` reports it.

/// How the values of a key are compared.
///
/// In each order, an absent value is the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The responses to requests change as the text describes; a person must review the change.
    Review(&'static str),
    /// With a greater number, or a list with more items, more requests are accepted.
    MoreIsLooser,
    /// With a greater number, or a list with more items, fewer requests are accepted.
    MoreIsStricter,
    /// A word is looser than the words after it. The affected requests are unknown, so a person must review the change.
    LoosestFirst {
        /// The words, from the loosest to the strictest.
        words: &'static [&'static str],
        /// How the responses change.
        why: &'static str,
    },
    /// The value identifies the policy: another value means another policy.
    Identity,
}
