//! How settings are stored: tagged members, and the versions of what holds them.
//!
//! Each settings type that a bundle holds derives minicbor's `Encode` and `Decode` as a map from small numbers to values.
//! A number is never used again for something else. A reader skips members that it does not know, so whoever adds one
//! decides whether a reader may do that:
//!
//! - It may: the member is optional, nothing else changes. Old readers do as if it were absent.
//! - It may not: the newest [`Section::VERSION`] grows by one, and [`Section::least_version`] answers it for settings in
//!   which the member is used. Old readers refuse these sections by name and version, and take the others.
//!
//! The same holds for the variants of enumerations: an unknown one is never skipped, so a new one always takes a version.
//! (An `Option` of an enumeration is not stored: minicbor reads unknown variants of one as `None`.) A text with a grammar
//! inside has the version of its [`Grammar`] in the place of a section's.

use minicbor::decode::{self, Decoder};
use minicbor::{Decode, Encode};

/// Settings that make up a section of a stored bundle, or an entry of one.
pub trait Section: Sized + Encode<()> + for<'b> Decode<'b, ()> {
    /// The newest version that this program reads.
    const VERSION: u16 = 1;
    /// The oldest version that this program reads: the one before, once there are releases to read from.
    const OLDEST: u16 = 1;

    /// The least version that a reader must know to do what these settings say.
    fn least_version(&self) -> u16 {
        Self::OLDEST
    }

    /// Reads settings that were written with a version between [`Self::OLDEST`] and [`Self::VERSION`].
    ///
    /// Here a kind whose members changed their meaning turns those of the version before into today's.
    ///
    /// # Errors
    /// When they do not have the form of that version.
    fn read(version: u16, members: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let _ = version;
        members.decode()
    }
}

/// A text whose characters have a meaning: it is stored as text, and its syntax has a version.
pub trait Grammar {
    /// The grammar's name in what a bundle needs.
    const NAME: &'static str;
    /// The newest version that this program reads.
    const VERSION: u16;

    /// The least version that reads this text as it is meant.
    fn least_version(&self) -> u16 {
        1
    }
}

/// Whether a member has the value that it has where it is absent.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads a list with no more room than its entries take; most have one entry or two.
///
/// What reads bundles has walked over all entries before, so that there are as many as the length says. Their size in memory
/// is not known before they are read: a long list gets more room as they come.
pub(crate) fn list<'b, C, T: Decode<'b, C>>(
    decoder: &mut Decoder<'b>,
    context: &mut C,
) -> Result<Vec<T>, decode::Error> {
    let length = decoder.array()?.and_then(|length| usize::try_from(length).ok());
    let length = length.ok_or_else(|| decode::Error::message("a list without its length"))?;
    let mut list = Vec::with_capacity(length.min(LIST_ROOM));
    for _ in 0..length {
        list.push(T::decode(decoder, context)?);
    }
    Ok(list)
}

/// Entries of a list that get room before they are read: some 100 KB of the largest settings.
pub const LIST_ROOM: usize = 256;

/// A number that is 1 where it is absent.
pub(crate) mod one {
    use std::num::NonZeroU32;

    use minicbor::decode::{self, Decoder};
    use minicbor::encode::{self, Encoder, Write};

    pub(crate) fn encode<C, W: Write>(
        value: &NonZeroU32,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.u32(value.get())?.ok()
    }

    pub(crate) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<NonZeroU32, decode::Error> {
        decoder.decode()
    }

    pub(crate) const fn nil() -> Option<NonZeroU32> {
        Some(NonZeroU32::MIN)
    }

    pub(crate) fn is_nil(value: &NonZeroU32) -> bool {
        *value == NonZeroU32::MIN
    }
}

/// Stores a type as the text that it prints as and is parsed from.
macro_rules! as_text {
    ($Type:ty) => {
        impl<C> minicbor::Encode<C> for $Type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.to_string())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $Type {
            fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let at = decoder.position();
                let parsed = decoder.str()?.parse();
                parsed.map_err(|_| minicbor::decode::Error::message(<Self as $crate::codec::Grammar>::NAME).at(at))
            }
        }
    };
}
pub(crate) use as_text;
