//! The records in JSON. Data types of other crates get a kind and a version here.

use serde::{Deserialize, Serialize};
use tollgate_core::authn::Credential;
use tollgate_core::cache::Purges;

use crate::{Id, Need, Record, RecordError};

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

impl Record for Purges {
    const KIND: &'static str = "purges";
    /// [`tollgate_core::bounds::PURGES_MAX`] entries of some 100 bytes, and ten times that.
    const BYTES_MAX: usize = 1024 * 1024;
}
