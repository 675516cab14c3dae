//! Loading a bundle without a host: for benchmarks, and for fuzzing with invalid bytes.

use std::rc::Rc;

use tollgate_core::route::{HostName, HostPattern};
use tollgate_kv_schemas::{Id, Manifest, Pointer, RecordError, SiteSettings, decode, decode_part, decode_part_unnamed};

use crate::site::Site;

/// The records that a new isolate reads for its first request.
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
    /// Loads them as a new isolate does for a request to this host, including the router.
    ///
    /// # Errors
    /// If a record is invalid.
    pub fn load(self, host: &HostName) -> Result<LoadedPart, RecordError> {
        let pointer: Pointer = decode(self.pointer)?;
        pointer.newest.is_known()?;
        let manifest = Manifest::decode(self.manifest.to_vec(), &pointer.newest.bundle)?;
        let Some(id) = first_part(&manifest, host)? else { return Ok(LoadedPart(None)) };
        let settings = decode_part(self.part, &id)?;
        Ok(LoadedPart::of(manifest, settings, id))
    }

    /// The same without checking digests, which would reject generated records before they are decoded.
    ///
    /// # Errors
    /// If a record is invalid.
    pub fn load_unnamed(self, host: &HostName) -> Result<LoadedPart, RecordError> {
        let pointer: Pointer = decode(self.pointer)?;
        pointer.newest.is_known()?;
        let manifest = Manifest::decode_unnamed(self.manifest.to_vec())?;
        let id = first_part(&manifest, host)?.unwrap_or_else(|| Id::of(self.part));
        let settings = decode_part_unnamed(self.part)?;
        Ok(LoadedPart::of(manifest, settings, id))
    }
}

/// A compiled part.
#[derive(Debug)]
pub struct LoadedPart(Option<Site>);

impl LoadedPart {
    fn of(manifest: Manifest, settings: SiteSettings, id: Id) -> Self {
        Self(Some(Site::compile(Rc::new(manifest.gateway), settings, id, 0)))
    }

    /// The number of routes; 0 if the bundle has no part for the host.
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
