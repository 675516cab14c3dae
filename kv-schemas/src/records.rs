//! The records themselves. Their data types live in core; here they get a kind and a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_core::authn::Credential;
use tollgate_core::cache::Purges;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};

use crate::{Id, Record, encode, keys};

/// Says which bundle is active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// The bundle: the digest of its manifest.
    pub bundle: Id,
}

/// The table of contents of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Settings of the gateway as a whole.
    pub gateway: GatewaySettings,
    /// The part for each host pattern.
    pub hosts: BTreeMap<String, Id>,
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
    /// Puts a bundle together from the settings per host pattern.
    #[must_use]
    pub fn new(gateway: &GatewaySettings, sites: &BTreeMap<HostPattern, SiteSettings>) -> Self {
        let mut parts = BTreeMap::new();
        let mut hosts = BTreeMap::new();
        for (pattern, site) in sites {
            let bytes = encode(site);
            let id = Id::of(&bytes);
            hosts.insert(pattern.to_string(), id.clone());
            parts.insert(keys::part(&gateway.name, &id), bytes);
        }
        let manifest = encode(&Manifest { gateway: gateway.clone(), hosts });
        let id = Id::of(&manifest);
        let mut records: Vec<_> = parts.into_iter().collect();
        records.push((keys::manifest(&gateway.name, &id), manifest));
        records.push((keys::active(&gateway.name), encode(&Pointer { bundle: id.clone() })));
        Self { id, records }
    }
}

impl Record for Pointer {
    const KIND: &'static str = "pointer";
    const VERSION: u32 = 1;
}

impl Record for Manifest {
    const KIND: &'static str = "manifest";
    const VERSION: u32 = 1;
}

impl Record for SiteSettings {
    const KIND: &'static str = "part";
    const VERSION: u32 = 2;
}

impl Record for Credential {
    const KIND: &'static str = "credential";
    const VERSION: u32 = 1;
}

impl Record for Purges {
    const KIND: &'static str = "purges";
    const VERSION: u32 = 1;
}
