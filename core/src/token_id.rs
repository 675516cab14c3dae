//! Public ids of tokens: a kind, and the beginning of the token's digest.

/// Whether two public ids are those of one credential. One token is one, whichever kinds of policy read it.
pub(crate) fn is_same_credential(one: &str, other: &str) -> bool {
    one == other || digest_of_token(one).is_some_and(|digest| digest_of_token(other) == Some(digest))
}

/// The part of a public id that is the same for each policy that reads the token.
pub(crate) fn digest_of_token(id: &str) -> Option<&str> {
    TOKEN_KINDS.iter().find_map(|kind| id.strip_prefix(kind)?.strip_prefix('-'))
}

/// The kinds in public ids of tokens.
const TOKEN_KINDS: [&str; 2] = ["jwt", "token"];
