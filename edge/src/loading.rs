//! Loading a bundle without a host: for benchmarks, and for fuzzing with invalid bytes.

use std::rc::Rc;

use http::{HeaderMap, Method};
use tollgate_core::bounds::PARTS_REMEMBERED_BYTES;
use tollgate_core::route::{CanonicalPath, HostName, HostPattern, RequestHead};
use tollgate_kv_schemas::{Id, Manifest, Part, Pointer, RecordError, decode};

use crate::site::{Found, Site};

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
        let part = Part::decode(self.part.to_vec(), &id)?;
        Ok(LoadedPart::of(manifest, part, id))
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
        let part = Part::decode_unnamed(self.part.to_vec())?;
        Ok(LoadedPart::of(manifest, part, id))
    }
}

/// A compiled part.
#[derive(Debug)]
pub struct LoadedPart(Option<Rc<Site>>);

impl LoadedPart {
    fn of(manifest: Manifest, part: Part, id: Id) -> Self {
        Self(Some(Rc::new(Site::compile(Rc::new(manifest.gateway), part, id, PARTS_REMEMBERED_BYTES))))
    }

    /// Decodes the routes that a path needs; returns whether one of them matches a GET.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn open(&self, path: &CanonicalPath) -> Result<bool, RecordError> {
        let Some(site) = &self.0 else { return Ok(false) };
        site.open(path)?;
        let request = RequestHead { method: &Method::GET, path, query: None, fields: &HeaderMap::new() };
        Ok(matches!(Site::find(std::slice::from_ref(site), &request)?, Found::Route(_)))
    }

    /// Decodes all routes; returns their number, 0 if the bundle has no part for the host.
    ///
    /// # Errors
    /// If some cannot be used.
    pub fn open_all(&self) -> Result<usize, RecordError> {
        self.0.as_ref().map_or(Ok(0), |site| site.open_all())
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
