//! Why a response is not stored.

use std::fmt;

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStored {
    /// The upstream says `no-store` or `private`.
    Forbidden,
    /// Its status is not one that is stored.
    Status,
    /// It sets a cookie.
    SetCookie,
    /// It varies on everything, or on too many fields.
    Varies,
    /// It has no lifetime, and it cannot be validated.
    NoLifetime,
    /// Its content or its fields are larger than the limit for stored responses.
    TooLarge,
    /// The length of its content is not declared as one number.
    Length,
    /// A field is not text.
    NotText,
    /// It is a 304 with the validator of another response than the stored one.
    OtherValidator,
    /// Its resource was changed or purged since it was requested, or may have been.
    Outdated,
}

impl NotStored {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Status => "status",
            Self::SetCookie => "set-cookie",
            Self::Varies => "varies",
            Self::NoLifetime => "no-lifetime",
            Self::TooLarge => "too-large",
            Self::Length => "length",
            Self::NotText => "not-text",
            Self::OtherValidator => "other-validator",
            Self::Outdated => "outdated",
        }
    }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forbidden => "the upstream says no-store or private",
            Self::Status => "its method or status is not stored",
            Self::SetCookie => "it sets a cookie",
            Self::Varies => "it varies on everything or on too much",
            Self::NoLifetime => "nobody says for how long it is fresh",
            Self::TooLarge => "it is too large",
            Self::Length => "its Content-Length is not one number",
            Self::NotText => "a field is not text",
            Self::OtherValidator => "the 304 has the validator of another response",
            Self::Outdated => "its resource may have been changed since it was requested",
        })
    }
}
