//! How settings are stored: tagged members, and versions of sections.
//!
//! Each settings type that a bundle holds derives minicbor's `Encode`, and [`Decode`]: structs as a map from small numbers to
//! values. A number is never reused. A reader skips unknown members, so the author of a new member decides whether a
//! reader may ignore it:
//!
//! - If it may: the member is optional, nothing else changes. Old readers treat it as absent.
//! - If it may not: the newest [`Section::VERSION`] increases by one, and [`Section::least_version`] returns it for
//!   settings that use the member. Old readers refuse these sections by name and version, and accept the others.
//!
//! The same applies to the variants of enumerations: an unknown one is never skipped, so a new one always needs a new
//! version. A string with a grammar has the version of its [`Grammar`].

mod reader;
mod values;

use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decoder, Encode};
pub use tollgate_derive::Decode;

pub use self::reader::{Failed, Fault, Members, Reader};

/// A value that is read from its stored form, in place.
pub trait Decode: Sized {
    /// Whether it may be absent.
    const OPTIONAL: bool = false;

    /// What it is before it is read. Nobody sees one that was not read, unless it may be absent.
    fn blank() -> Self;

    /// Reads it.
    ///
    /// # Errors
    /// If the bytes are not of its form.
    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed>;

    /// Reads one.
    ///
    /// # Errors
    /// If the bytes are not of its form.
    fn read_from(reader: &mut Reader<'_>) -> Result<Self, Failed> {
        let mut value = Self::blank();
        value.decode(reader)?;
        Ok(value)
    }
}

/// Reads a value from all of these bytes.
///
/// # Errors
/// If they are not of its form.
pub fn decode<T: Decode>(bytes: &[u8]) -> Result<T, Fault> {
    let mut reader = Reader::new(bytes);
    match T::read_from(&mut reader) {
        Ok(value) if reader.position() == bytes.len() => Ok(value),
        Ok(_) | Err(Failed) => Err(reader.fault()),
    }
}

/// Settings that make up a section of a stored bundle, or an entry of one.
pub trait Section: Encode<()> + Decode {
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
    fn read(version: u16, members: &mut Reader<'_>) -> Result<Self, Failed> {
        let _ = version;
        Self::read_from(members)
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

/// Maximum initial capacity of a list: about 100 KB of the largest settings.
pub const LIST_ROOM: usize = 256;

/// A number whose default is 1.
pub(crate) mod one {
    use std::num::NonZeroU32;

    use minicbor::encode::{self, Encoder, Write};

    pub(crate) fn encode<C, W: Write>(
        value: &NonZeroU32,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.u32(value.get())?.ok()
    }

    pub(crate) fn is_nil(value: &NonZeroU32) -> bool {
        *value == NonZeroU32::MIN
    }
}

/// Stores a type as text, with its `Display` and `FromStr`; it is blank before it is read.
macro_rules! as_text {
    ($Type:ty, $blank:expr) => {
        impl<C> minicbor::Encode<C> for $Type {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.to_string())?.ok()
            }
        }

        impl $crate::codec::Decode for $Type {
            fn blank() -> Self {
                $blank
            }

            fn decode(&mut self, reader: &mut $crate::codec::Reader<'_>) -> Result<(), $crate::codec::Failed> {
                match reader.text()?.parse() {
                    Ok(parsed) => *self = parsed,
                    Err(_) => return reader.fail(<Self as $crate::codec::Grammar>::NAME),
                }
                Ok(())
            }
        }
    };
}
pub(crate) use as_text;
