//! Reading the records of a generation.

use std::rc::Rc;

use thiserror::Error;
use tollgate_core::settings::GatewaySettings;
use tollgate_kv_schemas::{Generation, Id, Manifest, RecordError, decode_part, keys};

use super::loaded::Loaded;
use crate::patience::within;
use crate::ports::{Host, Records, Unavailable};
use crate::site::Site;

/// Why something was not read.
#[derive(Clone, Debug, Error)]
pub(super) enum Failure {
    /// There is no pointer.
    #[error("nothing was published")]
    Absent,
    /// The store did not answer.
    #[error(transparent)]
    Away(#[from] Unavailable),
    /// What it answered cannot be used.
    #[error(transparent)]
    Bad(#[from] RecordError),
    /// The pointer is older than one that was seen.
    #[error(
        "the pointer says generation {found}, after {seen} was seen: a stale answer of the store, or a store that was set up anew (then publish with --after {seen})"
    )]
    Stale {
        /// The generation of this one.
        found: u64,
        /// The largest that was seen.
        seen: u64,
    },
}

/// The records of one gateway.
pub(super) struct Reader<'r, H> {
    pub(super) host: &'r H,
    pub(super) gateway: &'r str,
}

impl<H: Host> Reader<'_, H> {
    /// Loads the manifest of a generation, if this program knows all that it needs.
    pub(super) async fn generation(&self, generation: &Generation) -> Result<Loaded, Failure> {
        generation.is_known()?;
        let record = self.read_named(&keys::manifest(self.gateway, &generation.bundle), "manifest").await?;
        Ok(Loaded::new(generation, Manifest::decode(record, &generation.bundle)?))
    }

    /// Loads and compiles a part.
    pub(super) async fn site(&self, gateway: &Rc<GatewaySettings>, id: Id) -> Result<Site, Failure> {
        let record = self.read_named(&keys::part(self.gateway, &id), "part").await?;
        let settings = decode_part(&record, &id)?;
        Ok(Site::compile(Rc::clone(gateway), settings, id, record.len()))
    }

    pub(super) async fn read(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let answer = within(self.host, "the record store", self.host.records().read(key)).await;
        answer?.ok_or(Failure::Absent)
    }

    async fn read_named(&self, key: &str, kind: &'static str) -> Result<Vec<u8>, Failure> {
        self.read(key).await.map_err(|failure| match failure {
            // A name without its record: written in the wrong order, or not here yet.
            Failure::Absent => Failure::Bad(RecordError::Missing { kind }),
            Failure::Away(_) | Failure::Bad(_) | Failure::Stale { .. } => failure,
        })
    }
}
