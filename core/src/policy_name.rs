use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::codec::{Decode, Failed, Reader};
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a policy, unique within its gateway; a quota has the name of the policy that charges it.
///
/// Shared: each exchange notes by name what its policies decided, and no copy is made for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as shared text.
    #[must_use]
    pub const fn as_shared(&self) -> &Arc<str> {
        &self.0
    }
}

impl Deref for PolicyName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<str> for PolicyName {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for PolicyName {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl From<&str> for PolicyName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for PolicyName {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl<C> Encode<C> for PolicyName {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.str(self)?.ok()
    }
}

impl Decode for PolicyName {
    fn blank() -> Self {
        Self::from("")
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = reader.text()?.into();
        Ok(())
    }
}

impl Serialize for PolicyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for PolicyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
