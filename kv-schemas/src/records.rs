//! The records themselves. Their data types live in core; here they get a kind and a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_core::authn::Credential;
use tollgate_core::cache::Purges;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};

use crate::{Id, Manifest, Record, encode, encode_part, keys};

/// Says which bundle is active.
///
/// It is JSON in every version, so that an edge of any version can read which version it is: one that knows no bundles of
/// today's form stops here, and serves on with what it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// The bundle: the name of its manifest.
    pub bundle: Id,
}

/// A whole bundle as records, ready to be written: parts first, the manifest after them, the pointer last.
///
/// Written in that order, a reader never finds a name without its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The bundle's name.
    pub id: Id,
    /// Keys and values, in the order to write them.
    pub records: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Puts a bundle together from the settings per host pattern; equal settings become one part.
    #[must_use]
    pub fn new(gateway: &GatewaySettings, sites: &BTreeMap<HostPattern, SiteSettings>) -> Self {
        let mut records = BTreeMap::new();
        let mut parts = BTreeMap::new();
        for (pattern, site) in sites {
            let bytes = encode_part(site);
            let id = Id::of(&bytes);
            parts.insert(pattern.clone(), id);
            records.entry(id).or_insert(bytes);
        }
        let (id, manifest) = Manifest::encode(gateway, &parts);
        let mut records: Vec<_> =
            records.into_iter().map(|(id, bytes)| (keys::part(&gateway.name, &id), bytes)).collect();
        records.push((keys::manifest(&gateway.name, &id), manifest));
        records.push((keys::active(&gateway.name), encode(&Pointer { bundle: id })));
        Self { id, records }
    }
}

impl Record for Pointer {
    const KIND: &'static str = "pointer";
    /// Version 2 leads to bundles in binary. What it says itself is what version 1 said.
    const VERSION: u32 = 2;
    const SINCE: u32 = 1;
}

impl Record for Credential {
    const KIND: &'static str = "credential";
    const VERSION: u32 = 1;
}

impl Record for Purges {
    const KIND: &'static str = "purges";
    const VERSION: u32 = 1;
}
