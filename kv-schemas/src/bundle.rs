//! A bundle as records, and the steps of publishing it.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};

use crate::{Generation, Id, Manifest, Need, Pointer, RecordError, decode, encode, keys, part};

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
            let (bytes, of_part) = part::write(site);
            let id = Id::of(&bytes);
            parts.insert(pattern.clone(), id);
            needs.extend(of_part);
            records.entry(id).or_insert(bytes);
        }
        let manifest = Manifest::write(gateway, &parts);
        needs.extend(manifest.needs);
        let mut records: Vec<_> =
            records.into_iter().map(|(id, bytes)| (keys::part(&gateway.name, &id), bytes)).collect();
        records.push((keys::manifest(&gateway.name, &manifest.id), manifest.record));
        let needs = newest_of_each_kind(needs);
        let mut bundle = Self { id: manifest.id, needs, records, gateway: gateway.name.clone() };
        let pointer = bundle.pointer_after(None);
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

    /// The pointer that publishes it after `active`. If that names the same bundle, its previous generation is kept.
    fn pointer_after(&self, before: Option<&Pointer>) -> Pointer {
        let generation = before.map_or(0, |pointer| pointer.newest.generation).saturating_add(1);
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

/// One publication of a bundle to a store that may be eventually consistent.
///
/// The steps, each executed by the code that has access to the store:
///
/// 1. Read the pointer: [`Publication::begin`].
/// 2. Write [`Publication::content`], and read it back until all of it is visible.
/// 3. Read the pointer again, and write the result of [`Publication::pointer`].
/// 4. Read it once more: [`Publication::finish`] says whether another publication came in between.
///
/// So no edge reads a name without its record, except for misses that a store has cached, and concurrent publications
/// are detected.
#[derive(Clone, Debug)]
pub struct Publication<'b> {
    bundle: &'b Bundle,
    before: Before,
    pointer: Pointer,
}

/// The pointer that the store had.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Before {
    /// None, or one that could be read.
    Read(Option<Pointer>),
    /// One that cannot be read; it is replaced, even if it changes meanwhile.
    Unreadable,
}

/// Why a publication stops. The pointer was not changed, except in the last case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The pointer in the store is damaged or has a newer version, so the next generation is not known.
    #[error("the pointer in the store cannot be read: {0}")]
    Unreadable(#[from] RecordError),
    /// Another publication changed the pointer since this one began.
    #[error(
        "another publication changed the pointer meanwhile, from generation {} to {}: nothing was activated; check what was published, then publish again",
        number(*.began), number(*.found)
    )]
    Moved {
        /// The generation at the beginning.
        began: Option<u64>,
        /// The generation now.
        found: Option<u64>,
    },
    /// Another publication overwrote this one's pointer.
    #[error(
        "another publication replaced generation {} at the same time, the store now has {}: check what was published, then publish again",
        .written, number(*.found)
    )]
    Replaced {
        /// The generation of this publication.
        written: u64,
        /// The generation now.
        found: Option<u64>,
    },
}

impl<'b> Publication<'b> {
    /// Begins with the pointer that the store has.
    ///
    /// # Errors
    /// If that cannot be read; [`Publication::replacing`] publishes in spite of it.
    pub fn begin(bundle: &'b Bundle, stored: Option<&[u8]>) -> Result<Self, PublishError> {
        let before = stored.map(decode::<Pointer>).transpose()?;
        let pointer = bundle.pointer_after(before.as_ref());
        Ok(Self { bundle, before: Before::Read(before), pointer })
    }

    /// Begins in a store whose pointer cannot be read, after the last known generation.
    #[must_use]
    pub fn replacing(bundle: &'b Bundle, generation: u64) -> Self {
        Self { bundle, before: Before::Unreadable, pointer: bundle.pointer_after(None) }.after(generation)
    }

    /// Makes the generation larger than this one, whatever the store contains.
    ///
    /// Edges refuse a generation that is smaller than one they have read, so publishing to a store that was lost or
    /// damaged needs the number of the last known publication.
    #[must_use]
    pub fn after(mut self, generation: u64) -> Self {
        self.pointer.newest.generation = self.pointer.newest.generation.max(generation.saturating_add(1));
        self
    }

    /// The records to write first.
    #[must_use]
    pub fn content(&self) -> &'b [(String, Vec<u8>)] {
        self.bundle.content()
    }

    /// The generation of this publication.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.pointer.newest.generation
    }

    /// The pointer to write once the content can be read, given the one that the store has now.
    ///
    /// # Errors
    /// If it is not the one that this publication began with.
    pub fn pointer(&self, stored: Option<&[u8]>) -> Result<Vec<u8>, PublishError> {
        let now = read(stored);
        match &self.before {
            Before::Read(before) if *before != now => {
                let number = |pointer: &Option<Pointer>| pointer.as_ref().map(|pointer| pointer.newest.generation);
                Err(PublishError::Moved { began: number(before), found: number(&now) })
            }
            Before::Read(_) | Before::Unreadable => Ok(encode(&self.pointer)),
        }
    }

    /// Checks that the store still has the pointer that was written.
    ///
    /// # Errors
    /// If it has another one.
    pub fn finish(&self, stored: Option<&[u8]>) -> Result<(), PublishError> {
        let now = read(stored);
        if now.as_ref() == Some(&self.pointer) {
            return Ok(());
        }
        Err(PublishError::Replaced { written: self.generation(), found: now.map(|pointer| pointer.newest.generation) })
    }
}

fn read(stored: Option<&[u8]>) -> Option<Pointer> {
    stored.and_then(|bytes| decode(bytes).ok())
}

fn number(generation: Option<u64>) -> String {
    generation.map_or_else(|| "none".to_owned(), |generation| generation.to_string())
}
