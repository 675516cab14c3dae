//! Ids of records that are named by their content.

use std::fmt;

use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use tollgate_core::codec::{Decode, Failed, Reader};
use tollgate_core::hex;
use tollgate_core::json::{FromJson, Unfit, Value, form};

/// The SHA-256 of a record's content: its id.
///
/// As text, in keys and in JSON, it is 64 lower-case hexadecimal digits; in binary it is 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; 32]);

impl Id {
    /// The id of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl FromJson for Id {
    fn blank() -> Self {
        Self([0; 32])
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        *self = Self::try_from(form::text(&value)?).map_err(|_| Unfit::VALUE)?;
        Ok(())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl TryFrom<&str> for Id {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let wrong = "not 64 lower-case hexadecimal digits";
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong);
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = hex::digit(*high).zip(hex::digit(*low)).ok_or(wrong)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<C> Encode<C> for Id {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.bytes(&self.0)?.ok()
    }
}

impl Decode for Id {
    fn blank() -> Self {
        Self([0; 32])
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        self.0.decode(reader)
    }
}
