//! A bundle as records.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};

use crate::{Generation, Id, Manifest, Need, Pointer, encode, keys, part};

/// A complete bundle as records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The bundle's id.
    pub id: Id,
    /// What an edge must support to serve it, sorted.
    pub needs: Vec<Need>,
    /// Keys and values for a store in which nothing was published before: parts, manifest, pointer.
    pub records: Vec<(String, Vec<u8>)>,
    gateway: String,
}

impl Bundle {
    /// Creates a bundle from the settings per host pattern; equal settings become one part.
    #[must_use]
    pub fn new(gateway: &GatewaySettings, sites: &BTreeMap<HostPattern, SiteSettings>) -> Self {
        let (mut records, mut parts, mut needs) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for (pattern, site) in sites {
            let part = part::write(site);
            parts.insert(pattern.clone(), part.id);
            needs.extend(part.needs);
            records.entry(part.id).or_insert(part.record);
        }
        let manifest = Manifest::write(gateway, &parts);
        needs.extend(manifest.needs);
        let mut records: Vec<_> =
            records.into_iter().map(|(id, bytes)| (keys::part(&gateway.name, &id), bytes)).collect();
        records.push((keys::manifest(&gateway.name, &manifest.id), manifest.record));
        let needs = newest_of_each_kind(needs);
        let mut bundle = Self { id: manifest.id, needs, records, gateway: gateway.name.clone() };
        let pointer = bundle.pointer(1, None);
        bundle.records.push((keys::active(&gateway.name), encode(&pointer)));
        bundle
    }

    /// Parts and manifest, in this order: records that are named by their content and can be written at any time.
    #[must_use]
    pub fn content(&self) -> &[(String, Vec<u8>)] {
        self.records.split_last().map_or(&[], |(_, content)| content)
    }

    /// The key of the pointer.
    #[must_use]
    pub fn pointer_key(&self) -> String {
        keys::active(&self.gateway)
    }

    /// The pointer that publishes it after `before`. If that names the same bundle, its previous generation is kept.
    pub(crate) fn pointer(&self, generation: u64, before: Option<&Pointer>) -> Pointer {
        let newest = Generation { generation, bundle: self.id, needs: self.needs.clone() };
        let other = before.filter(|pointer| pointer.newest.bundle != self.id).map(|pointer| &pointer.newest);
        let previous = other.or_else(|| before?.previous.as_ref()).cloned();
        Pointer { newest, previous }
    }
}

/// Needs are sorted by kind and version, and a version includes the earlier ones.
fn newest_of_each_kind(needs: BTreeSet<Need>) -> Vec<Need> {
    let by_kind: BTreeMap<String, Need> = needs.into_iter().map(|need| (need.kind().to_owned(), need)).collect();
    by_kind.into_values().collect()
}
