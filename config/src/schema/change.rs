//! How a change of a setting affects requests; `diff` reports it.

/// How the values of a key are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The responses to requests change as the text describes; a person must review the change.
    Review(&'static str),
    /// The same; without a value, nothing is required of requests.
    Required(&'static str),
    /// With a greater number, or a list with more items, more requests are accepted; without a value, all are.
    MoreIsLooser,
    /// With a greater number, or a list with more items, fewer requests are accepted; without a value, all are.
    MoreIsStricter,
    /// As `MoreIsLooser`, but without a value nothing is granted.
    MoreIsGranted,
    /// As `MoreIsLooser`, but without a value other requests are accepted, or another key says what is.
    MoreIsLooserIf(Absence),
    /// The shorter a duration, the more requests are accepted; without a value, none are.
    SoonerIsLooser,
    /// Lists by name: a request must have one item of each list, so more names are stricter, and longer lists are looser.
    OneOfEach,
    /// A word is looser than the words after it. The affected requests are unknown, so a person must review the change.
    /// Without a value, the key has no effect.
    LoosestFirst {
        /// The words, from the loosest to the strictest.
        words: &'static [&'static str],
        /// How the responses change with a looser word.
        looser: &'static str,
        /// How they change with a stricter word.
        stricter: &'static str,
    },
    /// Each word accepts these of what the text names.
    Accepts {
        /// What is accepted, such as `tokens that are bound to`.
        what: &'static str,
        /// The words, and what each accepts.
        words: &'static [(&'static str, &'static [&'static str])],
    },
    /// The value identifies the policy: another value means another policy.
    Identity,
}

/// What it means that a key has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Other requests are accepted.
    AcceptsOthers,
    /// Nothing by itself: another key decides whether there is a value, and its change is reported.
    FollowsAnotherKey,
}
