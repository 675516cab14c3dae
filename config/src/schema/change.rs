//! What a change of a setting does to those who call: what `diff` says of it.

/// How the values of a key are compared.
///
/// In each order, the absence of a value is the loosest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Requests are answered otherwise, in the way that the words say: a person has to judge.
    Review(&'static str),
    /// A greater number, or a list with more in it, lets more requests pass.
    MoreIsLooser,
    /// A greater number, or a list with more in it, lets fewer requests pass.
    MoreIsStricter,
    /// Of these words an earlier one is looser. Which requests differ is not known, so a person has to judge.
    LoosestFirst {
        /// The words, from the loosest to the strictest.
        words: &'static [&'static str],
        /// What is answered otherwise.
        why: &'static str,
    },
    /// The value tells which policy this is: another value is another policy.
    Identity,
}
