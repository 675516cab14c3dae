//! How settings are stored: tagged members, and versions of sections.
//!
//! Each settings type that a bundle holds derives minicbor's `Encode`, and [`DecodeMembers`], as a map from small numbers to
//! values; enumerations derive minicbor's `Decode`. A number is never reused. A reader skips unknown members, so the author of a new member decides whether a
//! reader may ignore it:
//!
//! - If it may: the member is optional, nothing else changes. Old readers treat it as absent.
//! - If it may not: the newest [`Section::VERSION`] increases by one, and [`Section::least_version`] returns it for
//!   settings that use the member. Old readers refuse these sections by name and version, and accept the others.
//!
//! The same applies to the variants of enumerations: an unknown one is never skipped, so a new one always needs a new
//! version. (An `Option` of an enumeration is not stored: minicbor reads unknown variants of one as `None`.) A string
//! with a grammar has the version of its [`Grammar`].

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};
pub use tollgate_derive::DecodeMembers;

/// Settings that make up a section of a stored bundle, or an entry of one.
pub trait Section: Sized + Encode<()> + for<'b> Decode<'b, ()> {
    /// The newest version that this program reads.
    const VERSION: u16 = 1;
    /// The oldest version that this program reads: the previous one, once there are releases.
    const OLDEST: u16 = 1;

    /// The lowest version that a reader must support to apply these settings.
    fn least_version(&self) -> u16 {
        Self::OLDEST
    }

    /// Decodes settings that were written with a version between [`Self::OLDEST`] and [`Self::VERSION`].
    ///
    /// A kind whose members changed their meaning converts those of the previous version here.
    ///
    /// # Errors
    /// If they do not have the form of that version.
    fn read(version: u16, members: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let _ = version;
        members.decode()
    }
}

/// A string with a grammar: it is stored as text, and its syntax has a version.
pub trait Grammar {
    /// The grammar's name in what a bundle needs.
    const NAME: &'static str;
    /// The newest version that this program reads.
    const VERSION: u16;

    /// The lowest version that parses this text correctly.
    fn least_version(&self) -> u16 {
        1
    }
}

/// Whether a member has its default value, and is therefore omitted.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Stores the members of two types as one map; their numbers differ.
pub(crate) fn joined<C, W: Write>(
    encoder: &mut Encoder<W>,
    first: &impl Encode<C>,
    second: &impl Encode<C>,
    context: &mut C,
) -> Result<(), encode::Error<W::Error>> {
    let (first, second) = (parts_of(first, context)?, parts_of(second, context)?);
    encoder.map(first.0.saturating_add(second.0))?;
    let mut write = |bytes: &[u8]| encoder.writer_mut().write_all(bytes).map_err(encode::Error::write);
    write(&first.1)?;
    write(&second.1)
}

/// The number of members of a map, and their bytes.
fn parts_of<C, E>(map: &impl Encode<C>, context: &mut C) -> Result<(u64, Vec<u8>), encode::Error<E>> {
    let failed = || encode::Error::message("a map of known length");
    let mut bytes = Vec::new();
    map.encode(&mut Encoder::new(&mut bytes), context).map_err(|_| failed())?;
    let mut decoder = Decoder::new(&bytes);
    let length = decoder.map().ok().flatten().ok_or_else(failed)?;
    let head = decoder.position();
    Ok((length, bytes.split_off(head)))
}

/// Reads a map of numbered members. The function reads the member of a number, or answers `false` if it does not know it.
///
/// Called by what [`DecodeMembers`] derives.
///
/// # Errors
/// If it is not such a map, or the function fails.
pub fn members<'b>(
    decoder: &mut Decoder<'b>,
    read: &mut dyn FnMut(&mut Decoder<'b>, i64) -> Result<bool, decode::Error>,
) -> Result<(), decode::Error> {
    let at = decoder.position();
    let length = decoder.map()?.ok_or_else(|| decode::Error::message("a map without its length").at(at))?;
    for _ in 0..length {
        let number = decoder.i64()?;
        if !read(decoder, number)? {
            decoder.skip()?;
        }
    }
    Ok(())
}

/// The error that a struct lacks a member.
#[must_use]
pub fn missing(name: &'static str, number: i64) -> decode::Error {
    decode::Error::missing_value(number).with_message(name)
}

/// Decodes a list with the exact capacity; most lists have one or two entries.
///
/// Readers of bundles have counted all entries before, so the length is correct. The size of the entries in memory is
/// not known before they are decoded: a long list grows while it is read.
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

/// Maximum initial capacity of a list: about 100 KB of the largest settings.
pub const LIST_ROOM: usize = 256;

/// A number whose default is 1.
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

/// Stores a type as text, with its `Display` and `FromStr`.
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
