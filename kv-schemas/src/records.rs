//! The records in JSON. Data types of other crates get a kind and a version here.

use serde::{Deserialize, Serialize};
use tollgate_core::authn::{Credential, KeyDigest};
use tollgate_core::cache::Purges;
use tollgate_core::operator::AuditEvent;

use crate::{Id, Need, Record, RecordError, encode, keys};

/// Says which bundle is active, and which was before it.
///
/// An edge that does not know what the newest needs, or cannot read its parts yet, serves the previous one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The generation to serve.
    #[serde(flatten)]
    pub newest: Generation,
    /// The generation to serve where the newest cannot be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Generation>,
}

/// A bundle that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number: each publication has one more than the one before it, also where it publishes an older bundle again.
    ///
    /// A pointer with a smaller number than one that was seen is a stale read.
    pub generation: u64,
    /// The bundle: the name of its manifest.
    pub bundle: Id,
    /// What an edge must know to serve it, sorted.
    pub needs: Vec<Need>,
}

impl Generation {
    /// Checks that this program knows all that the bundle needs.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] or [`RecordError::TooOld`], which name the first that it does not.
    pub fn is_known(&self) -> Result<(), RecordError> {
        self.needs.iter().try_for_each(Need::is_met)
    }
}

/// Which digest a key's public id stands for: the id is the digest's beginning, and a store need not be able to list keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyIndex {
    /// The digest that the credential is stored under.
    #[serde(with = "digest")]
    pub digest: KeyDigest,
}

/// The records of a key, in the order to write them: where its id leads, and the credential.
///
/// A key without its index could not be revoked by its id.
#[must_use]
pub fn credential_records(gateway: &str, digest: &KeyDigest, credential: &Credential) -> [(String, Vec<u8>); 2] {
    let index = encode(&KeyIndex { digest: digest.clone() });
    [(keys::key_index(gateway, &credential.id), index), (keys::credential(gateway, digest), encode(credential))]
}

mod digest {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use tollgate_core::authn::KeyDigest;

    pub(super) fn serialize<S: Serializer>(digest: &KeyDigest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(digest.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyDigest, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        KeyDigest::parse(text).ok_or_else(|| D::Error::custom("not 64 lower-case hexadecimal digits"))
    }
}

impl Record for Pointer {
    const KIND: &'static str = "pointer";
    /// Some 40 bytes for each kind that two bundles need, of which there are tens.
    const BYTES_MAX: usize = 64 * 1024;
}

impl Record for Credential {
    const KIND: &'static str = "credential";
    /// Thousands of scopes.
    const BYTES_MAX: usize = 64 * 1024;
}

impl Record for KeyIndex {
    const KIND: &'static str = "key-index";
    /// A digest, and ten times that.
    const BYTES_MAX: usize = 1024;
}

impl Record for AuditEvent {
    const KIND: &'static str = "audit";
    /// Keys of the cache: as many as there are routes of one URL.
    const BYTES_MAX: usize = 64 * 1024;
}

impl Record for Purges {
    const KIND: &'static str = "purges";
    /// [`tollgate_core::bounds::PURGES_MAX`] entries of some 100 bytes, and ten times that.
    const BYTES_MAX: usize = 1024 * 1024;
}
