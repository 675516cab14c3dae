//! What loading a bundle takes, by itself: for measuring it, and for trying it on bytes that nobody should have written.

use std::rc::Rc;

use tollgate_core::route::{HostName, HostPattern};
use tollgate_kv_schemas::{Id, Manifest, Pointer, RecordError, SiteSettings, decode, decode_part, decode_part_unnamed};

use crate::site::Site;

/// The records that a fresh isolate reads for its first request.
#[derive(Clone, Copy, Debug)]
pub struct BundleRecords<'r> {
    /// The pointer.
    pub pointer: &'r [u8],
    /// The manifest.
    pub manifest: &'r [u8],
    /// The part of the first pattern that matches the request's host.
    pub part: &'r [u8],
}

impl BundleRecords<'_> {
    /// Does with them what a fresh isolate does for a request to this host, the router included.
    ///
    /// # Errors
    /// What is wrong with a record.
    pub fn load(self, host: &HostName) -> Result<LoadedPart, RecordError> {
        let pointer: Pointer = decode(self.pointer)?;
        pointer.newest.is_known()?;
        let manifest = Manifest::decode(self.manifest.to_vec(), &pointer.newest.bundle)?;
        let Some(id) = first_part(&manifest, host)? else { return Ok(LoadedPart(None)) };
        let settings = decode_part(self.part, &id)?;
        Ok(LoadedPart::of(manifest, settings, id))
    }

    /// The same, whatever the records are named: a digest would keep all that is made up from being looked at.
    ///
    /// # Errors
    /// What is wrong with a record.
    pub fn load_unnamed(self, host: &HostName) -> Result<LoadedPart, RecordError> {
        let pointer: Pointer = decode(self.pointer)?;
        pointer.newest.is_known()?;
        let manifest = Manifest::decode_unnamed(self.manifest.to_vec())?;
        let id = first_part(&manifest, host)?.unwrap_or_else(|| Id::of(self.part));
        let settings = decode_part_unnamed(self.part)?;
        Ok(LoadedPart::of(manifest, settings, id))
    }
}

/// A part that requests could be routed by.
#[derive(Debug)]
pub struct LoadedPart(Option<Site>);

impl LoadedPart {
    fn of(manifest: Manifest, settings: SiteSettings, id: Id) -> Self {
        Self(Some(Site::compile(Rc::new(manifest.gateway), settings, id, 0)))
    }

    /// How many routes it has; none where the bundle has no part for the host.
    #[must_use]
    pub fn routes(&self) -> usize {
        self.0.as_ref().map_or(0, |site| site.settings.routes.len())
    }
}

fn first_part(manifest: &Manifest, host: &HostName) -> Result<Option<Id>, RecordError> {
    for pattern in HostPattern::candidates(host) {
        if let Some(id) = manifest.part(&pattern)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
