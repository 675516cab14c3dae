//! Reading the records of a generation.

use std::rc::Rc;

use thiserror::Error;
use tollgate_core::settings::GatewaySettings;
use tollgate_kv_schemas::{Generation, Id, Manifest, Part, RecordError, keys};

use super::loaded::Loaded;
use crate::ports::{Host, Unavailable};
use crate::site::Site;
use crate::timeout::record;

/// Why a record was not read.
#[derive(Clone, Debug, Error)]
pub(super) enum Failure {
    /// There is no pointer.
    #[error("nothing was published")]
    Absent,
    /// The store did not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The record cannot be used.
    #[error(transparent)]
    Unusable(#[from] RecordError),
    /// The pointer is older than one that was already read.
    #[error(
        "the pointer has generation {found}, but {seen} was read before: a stale read of the store, or a new store (then publish with --after {seen})"
    )]
    Stale {
        /// Its generation.
        found: u64,
        /// The largest generation that was read.
        seen: u64,
    },
}

/// The records of one gateway.
pub(super) struct Reader<'r, H> {
    pub(super) host: &'r H,
    pub(super) gateway: &'r str,
    /// Maximum bytes of routes in memory of a part, in stored form.
    pub(super) room: usize,
}

impl<H: Host> Reader<'_, H> {
    /// Loads the manifest of a generation, if this program supports everything that it needs.
    pub(super) async fn generation(&self, generation: &Generation) -> Result<Loaded, Failure> {
        generation.is_known()?;
        let record = self.read_named(&keys::manifest(self.gateway, &generation.bundle), "manifest").await?;
        Ok(Loaded::new(generation, Manifest::decode(record, &generation.bundle)?))
    }

    /// Loads and compiles a part.
    pub(super) async fn site(&self, gateway: &Rc<GatewaySettings>, id: Id) -> Result<Site, Failure> {
        let record = self.read_named(&keys::part(self.gateway, &id), "part").await?;
        Ok(Site::compile(Rc::clone(gateway), Part::decode(record, &id)?, id, self.room))
    }

    pub(super) async fn read(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let answer = record(self.host, key).await;
        answer?.ok_or(Failure::Absent)
    }

    async fn read_named(&self, key: &str, kind: &'static str) -> Result<Vec<u8>, Failure> {
        self.read(key).await.map_err(|failure| match failure {
            // A name without its record: written in the wrong order, or not visible yet.
            Failure::Absent => Failure::Unusable(RecordError::Missing { kind }),
            Failure::Unavailable(_) | Failure::Unusable(_) | Failure::Stale { .. } => failure,
        })
    }
}
