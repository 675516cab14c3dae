//! What signed requests of every form have in common: why one is refused, and the time at which it was signed.

use thiserror::Error;

use crate::problem::ProblemKind;
use crate::time::Timestamp;

/// Declares each error once: variant, code, kind of problem, and text.
macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $kind:ident, $text:literal;)*) => {
        /// Why a signed request is refused, although nothing is known to be wrong with its signature itself.
        ///
        /// The texts never contain what the client sent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
        pub enum MessageError {
            $($(#[doc = $doc])+ #[error($text)] $name,)*
        }

        impl MessageError {
            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The kind of problem.
            #[must_use]
            pub const fn kind(self) -> ProblemKind {
                match self { $(Self::$name => ProblemKind::$kind,)* }
            }
        }
    };
}

errors! {
    /// The field of the signature is there several times.
    Several = "several", CredentialMalformed, "the field of the signature is there more than once";
    /// The field of the signature has another form.
    Form = "form", CredentialMalformed, "the field of the signature does not have the form that is expected";
    /// There are too many signatures.
    TooMany = "too-many", CredentialMalformed, "there are more signatures than are tried";
    /// The time at which it was signed is missing, or is no number of seconds.
    Timestamp = "timestamp", CredentialMalformed, "the timestamp is missing, or is not a number of seconds";
    /// The message's id is missing, or could be read as its timestamp.
    Id = "id", CredentialMalformed, "the id of the message is missing, or contains a dot";
    /// It was signed too long ago.
    Late = "late", CredentialExpired, "it was signed too long ago";
    /// It was signed in the future.
    Early = "early", CredentialNotYetValid, "it was signed in the future";
    /// None of the signatures is for this policy.
    OtherSignature = "other-signature", CredentialNotAccepted, "no signature has the label or the tag that is expected";
    /// A component that a request cannot have, or this one does not have.
    Component = "component", CredentialMalformed, "a component that is signed is not known, not there, or there several times";
    /// The platform does not show what is signed.
    Joined = "joined", CredentialNotAccepted, "a field with a comma is signed with `;bs`, and this platform joins the lines of a field";
    /// Too much has to be read to verify it.
    Large = "large", CredentialMalformed, "the components with `;sf`, `;key`, `;bs` and `@query-param` have more than 64 KiB in total";
    /// Too little is signed.
    Uncovered = "uncovered", CredentialNotAccepted, "something that must be signed is not covered by the signature";
    /// A parameter is missing, or has the wrong type.
    Parameter = "parameter", CredentialNotAccepted, "a parameter of the signature is missing, or has the wrong type";
    /// The algorithm is not accepted.
    Algorithm = "algorithm", CredentialNotAccepted, "the algorithm of the signature is not accepted";
    /// Nobody has the key.
    KeyUnknown = "key-unknown", CredentialUnknown, "no key has this id, or none of its type may have signed";
    /// The signature is wrong.
    Signature = "signature", CredentialUnknown, "the signature is wrong";
    /// The digest of the content is missing, or is none that is known.
    Digest = "digest", CredentialMalformed, "Content-Digest is missing, or has no right form of sha-256 or sha-512";
    /// The digest is that of another content.
    DigestWrong = "digest-wrong", CredentialUnknown, "Content-Digest is not that of the content";
    /// A GET or HEAD with content.
    ContentOfGet = "content-of-get", CredentialNotAccepted, "the content of a GET or HEAD request is not verified";
}

/// Checks that a message was signed at most `tolerance_s` ago, by clocks that may differ as much.
pub(super) fn check_age(signed_s: u64, tolerance_s: u32, now: Timestamp) -> Result<(), MessageError> {
    let (now_s, tolerance_s) = (now.as_secs(), u64::from(tolerance_s));
    if signed_s.saturating_add(tolerance_s) < now_s {
        return Err(MessageError::Late);
    }
    if signed_s > now_s.saturating_add(tolerance_s) { Err(MessageError::Early) } else { Ok(()) }
}

/// A number of seconds since 1970, in digits only, so that a time has one spelling.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let is_number = (1..=SECONDS_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Enough until the year 33658.
const SECONDS_DIGITS_MAX: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_time_of_signing_is_within_the_tolerance_on_both_sides() {
        let now = Timestamp::from_millis(1_000_000);
        let check = |signed| check_age(signed, 300, now);
        assert_eq!([check(700), check(1_000), check(1_300)], [Ok(()); 3]);
        assert_eq!((check(699), check(1_301)), (Err(MessageError::Late), Err(MessageError::Early)));
        assert_eq!((check(0), check(u64::MAX)), (Err(MessageError::Late), Err(MessageError::Early)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn seconds_are_digits() {
        assert_eq!(seconds("1614265330"), Some(1_614_265_330));
        for other in ["", "-1", "+1", "1.5", " 1", "1e3", "0x1", "1234567890123", "\u{661}"] {
            assert_eq!(seconds(other), None, "{other:?}");
        }
    }
}
