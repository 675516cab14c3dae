//! The JSON records. Data types of other crates get a kind and a version here.

use serde::{Serialize, Serializer};
use tollgate_core::authn::{Credential, KeyDigest, KnownToken, Outage};
use tollgate_core::cache::Purges;
use tollgate_core::entitlement::Entitlements;
use tollgate_core::json::{FromJson, Unfit, Value, object};
use tollgate_core::operator::AuditEvent;
use tollgate_core::telemetry::{Tally, UsageBatch};
use tollgate_core::time::Timestamp;

use crate::{Id, Need, Record, RecordError, encode, keys};

/// The active generation, and the previous one.
///
/// An edge that does not support what the newest needs, or cannot read its parts yet, serves the previous one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "PointerForm")]
pub struct Pointer {
    /// The generation to serve.
    pub newest: Generation,
    /// The generation to serve if the newest cannot be used.
    pub previous: Option<Generation>,
}

/// The stored form of a [`Pointer`]: the members of the newest generation stand at its top.
#[derive(Serialize, FromJson)]
struct PointerForm {
    generation: u64,
    bundle: Id,
    needs: Vec<Need>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Generation>,
}

impl From<PointerForm> for Pointer {
    fn from(PointerForm { generation, bundle, needs, previous }: PointerForm) -> Self {
        Self { newest: Generation { generation, bundle, needs }, previous }
    }
}

impl From<Pointer> for PointerForm {
    fn from(Pointer { newest: Generation { generation, bundle, needs }, previous }: Pointer) -> Self {
        Self { generation, bundle, needs, previous }
    }
}

/// A bundle that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct Generation {
    /// Its number, which increases by one with each publication, also if it publishes an older bundle again.
    ///
    /// A pointer with a smaller number than one already read is a stale read. At most [`GENERATION_MAX`].
    pub generation: u64,
    /// The bundle: the id of its manifest.
    pub bundle: Id,
    /// What an edge must support to serve it, sorted.
    pub needs: Vec<Need>,
}

impl Generation {
    /// Checks that this program supports everything that the bundle needs.
    ///
    /// # Errors
    /// [`RecordError::Unknown`] or [`RecordError::TooOld`], which name the first need that it does not support.
    pub fn is_known(&self) -> Result<(), RecordError> {
        self.needs.iter().try_for_each(Need::is_met)
    }
}

/// The largest generation: every JSON reader reads it exactly.
pub const GENERATION_MAX: u64 = (1 << 53) - 1;

fn in_range(generation: &Generation) -> Result<(), Unfit> {
    if generation.generation > GENERATION_MAX { Err(Unfit { member: "generation" }) } else { Ok(()) }
}

impl FromJson for Pointer {
    fn blank() -> Self {
        PointerForm::blank().into()
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        *self = PointerForm::from_json(value)?.into();
        in_range(&self.newest)?;
        self.previous.as_ref().map_or(Ok(()), in_range)
    }
}

/// The digest of the key with a public id. The id is only the beginning of the digest, and a store need not be able to
/// list keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct KeyIndex {
    /// The digest under which the credential is stored.
    #[serde(serialize_with = "digest")]
    pub digest: KeyDigest,
}

/// The last use of a key, to the day: that is enough to tell keys that nobody uses.
///
/// It is not part of the credential, so that no isolate overwrites what operators change there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct KeyUse {
    /// The beginning of the day, in UTC.
    pub last: Timestamp,
}

/// What is kept of a session of a browser beside its cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct SealedSession {
    /// A `KeptSession`, encrypted with the secret of its policy.
    pub sealed: String,
}

/// Sessions of browsers that ended before their time: one session at the provider, or all of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, FromJson)]
pub struct SessionsEnd {
    /// Sessions have ended that began with an ID token which was issued until then.
    pub issued_until: Timestamp,
}

/// The records of a key, in the order in which to write them: the indexes by its id and by its consumer, and the credential.
///
/// A key without its indexes could not be revoked by its id, and would be in no list of its consumer.
#[must_use]
pub fn credential_records(gateway: &str, digest: &KeyDigest, credential: &Credential) -> [(String, Vec<u8>); 3] {
    let index = encode(&KeyIndex { digest: *digest });
    [
        (keys::key_index(gateway, &credential.id), index.clone()),
        (keys::credential_of(gateway, &credential.consumer, digest), index),
        (keys::credential(gateway, digest), encode(credential)),
    ]
}

/// The record of a batch of usage: the rows of a tally, which are of one hour. It is what [`encode`] makes of the [`UsageBatch`].
#[must_use]
pub fn usage_record(gateway: &str, batch: &str, rows: &Tally) -> Vec<u8> {
    let mut out = String::new();
    object(&mut out, |record| {
        record.word("kind", UsageBatch::KIND);
        record.number("v", UsageBatch::VERSION.into());
        record.object("data", |data| rows.write(gateway, batch, data));
    });
    out.into_bytes()
}

fn digest<S: Serializer>(digest: &KeyDigest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest.to_hex())
}

impl Record for Pointer {
    const KIND: &'static str = "pointer";
    /// About 40 bytes for each kind that two bundles need; there are tens of kinds.
    const BYTES_MAX: usize = 64 * 1024;
}

/// Version 2 has restrictions, without which a credential must not be used.
impl Record for Credential {
    const KIND: &'static str = "credential";
    const VERSION: u32 = 2;
    /// Thousands of scopes.
    const BYTES_MAX: usize = 64 * 1024;

    fn least_version(&self) -> u32 {
        if self.restrictions.is_some() { 2 } else { 1 }
    }
}

impl Record for KeyIndex {
    const KIND: &'static str = "key-index";
    /// A digest, and ten times that.
    const BYTES_MAX: usize = 1024;
}

impl Record for KeyUse {
    const KIND: &'static str = "key-use";
    /// A timestamp, and ten times that.
    const BYTES_MAX: usize = 1024;
}

impl Record for Outage {
    const KIND: &'static str = "idp-outage";
    /// 2,000 tokens and 256 consumers of about 100 bytes, some of them added by another writer.
    const BYTES_MAX: usize = tollgate_core::bounds::WRITTEN_BYTES_MAX;
}

impl Record for Entitlements {
    const KIND: &'static str = "entitlements";
    /// [`tollgate_core::entitlement::ENTITLEMENTS_MAX`] things of about 1,000 bytes.
    const BYTES_MAX: usize = tollgate_core::bounds::WRITTEN_BYTES_MAX;
}

impl Record for KnownToken {
    const KIND: &'static str = "known-token";
    /// An answer of [`tollgate_core::bounds::KNOWN_ANSWER_BYTES_MAX`], each character of which may be escaped.
    const BYTES_MAX: usize = 128 * 1024;
}

impl Record for SealedSession {
    const KIND: &'static str = "session";
    /// A cookie and a refresh token, each of at most 4 KiB in most cases, and four times that.
    const BYTES_MAX: usize = 32 * 1024;
}

impl Record for SessionsEnd {
    const KIND: &'static str = "sessions-end";
    /// A timestamp, and ten times that.
    const BYTES_MAX: usize = 1024;
}

impl Record for UsageBatch {
    const KIND: &'static str = "usage";
    /// [`tollgate_core::bounds::USAGE_BATCH_BYTES_MAX`], and several times that for the sum of an hour.
    const BYTES_MAX: usize = tollgate_core::bounds::WRITTEN_BYTES_MAX;
}

impl Record for AuditEvent {
    const KIND: &'static str = "audit";
    /// Keys of the cache: as many as there are routes of one URL.
    const BYTES_MAX: usize = 64 * 1024;
}

impl Record for Purges {
    const KIND: &'static str = "purges";
    /// [`tollgate_core::bounds::PURGES_MAX`] entries of about 100 bytes, times ten.
    const BYTES_MAX: usize = 1024 * 1024;
}
