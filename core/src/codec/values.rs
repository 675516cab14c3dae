//! How values of common types are read.

use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroU32};

use http::HeaderName;
use minicbor::bytes::ByteVec;

use super::{Decode, Failed, LIST_ROOM, Reader};

macro_rules! numbers {
    ($($Type:ty),*) => { $(
        impl Decode for $Type {
            fn blank() -> Self {
                0
            }

            fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
                // It fits: it is at most the largest one.
                *self = reader.number_up_to(<$Type>::MAX as u64)? as Self;
                Ok(())
            }
        }
    )* };
}

numbers!(u8, u16, u32, u64, usize);

impl Decode for i64 {
    fn blank() -> Self {
        0
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = reader.signed()?;
        Ok(())
    }
}

impl Decode for i16 {
    fn blank() -> Self {
        0
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        match Self::try_from(reader.signed()?) {
            Ok(number) => *self = number,
            Err(_) => return reader.fail("a smaller number"),
        }
        Ok(())
    }
}

macro_rules! numbers_but_zero {
    ($($Type:ty),*) => { $(
        impl Decode for $Type {
            fn blank() -> Self {
                Self::MIN
            }

            fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
                match Self::new(reader.number_up_to(u64::from(Self::MAX.get()))? as _) {
                    Some(number) => *self = number,
                    None => return reader.fail("a number above zero"),
                }
                Ok(())
            }
        }
    )* };
}

numbers_but_zero!(NonZeroU8, NonZeroU32);

impl Decode for bool {
    fn blank() -> Self {
        false
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = reader.bool()?;
        Ok(())
    }
}

impl Decode for String {
    fn blank() -> Self {
        Self::new()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = reader.text()?.to_owned();
        Ok(())
    }
}

impl Decode for Box<str> {
    fn blank() -> Self {
        Self::default()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = reader.text()?.into();
        Ok(())
    }
}

/// In lower case.
impl Decode for HeaderName {
    fn blank() -> Self {
        http::header::HOST
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        match Self::from_lowercase(reader.text()?.as_bytes()) {
            Ok(name) => *self = name,
            Err(_) => return reader.fail("the name of a field"),
        }
        Ok(())
    }
}

impl<T: Decode> Decode for Option<T> {
    const OPTIONAL: bool = true;

    fn blank() -> Self {
        None
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        if reader.null() {
            return Ok(());
        }
        self.insert(T::blank()).decode(reader)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn blank() -> Self {
        Self::new(T::blank())
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        (**self).decode(reader)
    }
}

/// With the exact capacity: most lists have one or two entries.
///
/// Readers of bundles have counted all entries before, so the length is correct. The size of the entries in memory is
/// not known before they are read: a long list grows meanwhile.
impl<T: Decode> Decode for Vec<T> {
    fn blank() -> Self {
        Self::new()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let length = reader.list()?;
        self.reserve_exact(length.min(LIST_ROOM));
        for _ in 0..length {
            let mut entry = T::blank();
            entry.decode(reader)?;
            self.push(entry);
        }
        Ok(())
    }
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    fn blank() -> Self {
        Self::new()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        for _ in 0..reader.map()? {
            let key = reader.text()?;
            self.insert(key.to_owned(), T::read_from(reader)?);
        }
        Ok(())
    }
}

impl Decode for ByteVec {
    fn blank() -> Self {
        Vec::new().into()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = reader.bytes()?.to_vec().into();
        Ok(())
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn blank() -> Self {
        (A::blank(), B::blank())
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        if reader.list()? != 2 {
            return reader.fail("two values");
        }
        self.0.decode(reader)?;
        self.1.decode(reader)
    }
}

impl<T: Decode, E: Decode> Decode for Result<T, E> {
    fn blank() -> Self {
        Err(E::blank())
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = match reader.variant(true)? {
            (0, 1) => Ok(T::read_from(reader)?),
            (1, 1) => Err(E::read_from(reader)?),
            _ => return reader.fail("a result"),
        };
        Ok(())
    }
}

impl<const BYTES: usize> Decode for [u8; BYTES] {
    fn blank() -> Self {
        [0; BYTES]
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        match reader.bytes()?.try_into() {
            Ok(bytes) => *self = bytes,
            Err(_) => return reader.fail("bytes of this length"),
        }
        Ok(())
    }
}
