//! The table of contents of a bundle, searched without decoding all of it.
//!
//! A gateway may have tens of thousands of host patterns, and a new instance needs the parts of two or three. So the
//! patterns are sorted and divided into pages, and the head of the manifest contains the first pattern, the length and
//! the digest of each page. The bundle's id is the digest of the head only: loading decodes the head, and a look-up
//! verifies and decodes one page. The id still authenticates every byte, because the head contains the digests of the
//! pages.
//!
//! ```text
//! T G m 1 | length of the head: u32 | head: sections gateway, pages | page | page | …
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;

use minicbor::Encode;
use tollgate_core::bounds::{MANIFEST_BYTES_MAX, MANIFEST_DECODED_BYTES_MAX};
use tollgate_core::codec::{self, Decode, Failed, Reader, Section as _};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::GatewaySettings;

use crate::cost::Budget;
use crate::envelope::{self, MANIFEST};
use crate::sections::{self, Sections};
use crate::{Id, Need, RecordError, grammars};

/// The table of contents of a bundle: the settings of the gateway, and the part of each host pattern.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Settings of the gateway as a whole.
    pub gateway: GatewaySettings,
    pages: Vec<Page>,
    /// The pages, one after the other.
    content: Vec<u8>,
    /// Which pages were verified; fuzzed manifests have no valid digests.
    verified: Vec<Cell<bool>>,
}

/// The entry of a page in the head.
#[derive(Debug, Encode, Decode)]
struct PageHead {
    /// The first pattern in it; the pages are sorted by it.
    #[n(0)]
    first: String,
    #[n(1)]
    bytes: u32,
    #[n(2)]
    digest: Id,
}

impl codec::Section for PageHead {}

#[derive(Clone, Debug)]
struct Page {
    first: String,
    start: usize,
    end: usize,
    digest: Id,
}

impl Manifest {
    /// Encodes a manifest; returns its id and its stored form.
    #[must_use]
    pub fn encode(gateway: &GatewaySettings, parts: &BTreeMap<HostPattern, Id>) -> (Id, Vec<u8>) {
        let Written { id, record, .. } = Self::write(gateway, parts);
        (id, record)
    }

    pub(crate) fn write(gateway: &GatewaySettings, parts: &BTreeMap<HostPattern, Id>) -> Written {
        let (heads, pages) = pages_of(parts);
        let mut sections = Sections::default();
        sections.push(GATEWAY, gateway.least_version(), gateway);
        sections.push(PAGES, PageHead::OLDEST, &heads);
        grammars::mark_manifest(gateway, parts.keys(), &mut sections);
        let needs = sections.needs().collect();
        let head = sections.write(Vec::new());
        let mut record: Vec<u8> = envelope::envelope(&MANIFEST, MANIFEST.version).into();
        envelope::push_head(&head, &mut record);
        let id = Id::of(&record);
        record.extend(pages);
        Written { id, record, needs }
    }

    /// Decodes a stored manifest and checks its id.
    ///
    /// # Errors
    /// If it is damaged, of another kind, or has another id; names the section if it has an unknown one.
    pub fn decode(record: Vec<u8>, id: &Id) -> Result<Self, RecordError> {
        Self::read(record, Some(id))
    }

    /// Decodes a manifest without checking its id or the digests of pages: for generated input, and to show damaged
    /// ones.
    ///
    /// # Errors
    /// As [`Manifest::decode`], except for the digests.
    pub fn decode_unnamed(record: Vec<u8>) -> Result<Self, RecordError> {
        Self::read(record, None)
    }

    fn read(mut record: Vec<u8>, id: Option<&Id>) -> Result<Self, RecordError> {
        if record.len() > MANIFEST_BYTES_MAX {
            return Err(damaged(format!("longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        envelope::open(&record, &MANIFEST)?;
        let place = envelope::head(&record, &MANIFEST)?;
        verify(&record[..place.end], id)?;
        let (gateway, heads) = read_head(&record[place.clone()])?;
        record.drain(..place.end);
        Self::of(gateway, heads, record, id.is_some())
    }

    fn of(gateway: GatewaySettings, heads: Vec<PageHead>, content: Vec<u8>, named: bool) -> Result<Self, RecordError> {
        if !heads.is_sorted_by(|a, b| a.first < b.first) {
            return Err(damaged("its pages are not in order"));
        }
        let mut end = 0usize;
        let mut pages = Vec::with_capacity(heads.len());
        for PageHead { first, bytes, digest } in heads {
            let start = end;
            end = usize::try_from(bytes).ok().and_then(|bytes| start.checked_add(bytes)).unwrap_or(usize::MAX);
            pages.push(Page { first, start, end, digest });
        }
        if end != content.len() {
            return Err(damaged("it is truncated, or has more than its pages"));
        }
        let verified = vec![Cell::new(!named); pages.len()];
        Ok(Self { gateway, pages, content, verified })
    }

    /// The part of a host pattern, given in the form of [`HostPattern`]'s `Display`; `None` if the bundle has no such
    /// pattern.
    ///
    /// # Errors
    /// If the page that it would be on is damaged.
    pub fn part(&self, pattern: &str) -> Result<Option<Id>, RecordError> {
        let after = self.pages.partition_point(|page| page.first.as_str() <= pattern);
        let Some(place) = after.checked_sub(1) else { return Ok(None) };
        for entry in self.entries(place)? {
            let (found, id) = entry?;
            if found == pattern {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// All host patterns with their parts, sorted by the patterns' text.
    ///
    /// # Errors
    /// If a page is damaged.
    pub fn parts(&self) -> Result<Vec<(&str, Id)>, RecordError> {
        let mut all = Vec::new();
        for place in 0..self.pages.len() {
            for entry in self.entries(place)? {
                all.push(entry?);
            }
        }
        Ok(all)
    }

    /// The entries of a page; checks that they are sorted.
    fn entries(&self, place: usize) -> Result<Entries<'_>, RecordError> {
        let page = &self.pages[place];
        let content = &self.content[page.start..page.end];
        if !self.verified[place].get() {
            verify(content, Some(&page.digest))?;
            self.verified[place].set(true);
        }
        let end = self.pages.get(place + 1).map(|page| page.first.as_str());
        Ok(Entries { rest: content, last: None, first: &page.first, end })
    }
}

/// The settings and the pages in a head.
fn read_head(head: &[u8]) -> Result<(GatewaySettings, Vec<PageHead>), RecordError> {
    let mut budget = Budget::new(MANIFEST_DECODED_BYTES_MAX);
    let (mut gateway, mut pages) = (None, None);
    for section in sections::read(head, MANIFEST.name, &mut budget)? {
        match section.kind {
            GATEWAY => gateway = Some(section.read(MANIFEST.name, &mut budget)?),
            PAGES => pages = Some(section.read_list(MANIFEST.name, &mut budget)?),
            _ => grammars::check(&section)?,
        }
    }
    gateway.zip(pages).ok_or_else(|| damaged("it has no settings or no pages"))
}

/// The pages for these parts, and their entries in the head.
fn pages_of(parts: &BTreeMap<HostPattern, Id>) -> (Vec<PageHead>, Vec<u8>) {
    let mut entries: Vec<(String, Id)> = parts.iter().map(|(pattern, id)| (pattern.to_string(), *id)).collect();
    entries.sort();
    let (mut heads, mut content) = (Vec::new(), Vec::new());
    for entries in entries.chunks(PAGE_ENTRIES) {
        let mut page = Vec::new();
        entries.iter().for_each(|entry| sections::write(entry, &mut page));
        let first = entries.first().map(|(pattern, _)| pattern.clone()).unwrap_or_default();
        // An entry has less than 300 bytes.
        let bytes = u32::try_from(page.len()).unwrap_or(u32::MAX);
        heads.push(PageHead { first, bytes, digest: Id::of(&page) });
        content.extend(page);
    }
    (heads, content)
}

/// The entries of one page.
struct Entries<'m> {
    rest: &'m [u8],
    last: Option<&'m str>,
    /// The pattern that it begins with.
    first: &'m str,
    /// The pattern that the next page begins with.
    end: Option<&'m str>,
}

impl<'m> Iterator for Entries<'m> {
    type Item = Result<(&'m str, Id), RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return self.last.is_none().then(|| Err(damaged("a page is empty")));
        }
        let entry = read_entry(self.rest).and_then(|(pattern, id, rest)| {
            let follows = match self.last {
                None => pattern == self.first,
                Some(last) => last < pattern,
            };
            if !follows || self.end.is_some_and(|end| end <= pattern) {
                return Err(damaged("its patterns are not in order"));
            }
            (self.rest, self.last) = (rest, Some(pattern));
            Ok((pattern, id))
        });
        if entry.is_err() {
            (self.rest, self.last) = (&[], Some(""));
        }
        Some(entry)
    }
}

/// The first entry of a page, and the rest. The pattern is borrowed, so decoding allocates nothing.
fn read_entry(page: &[u8]) -> Result<(&str, Id, &[u8]), RecordError> {
    let mut reader = Reader::new(page);
    let mut read = || match reader.list()? {
        2 => Ok((reader.text()?, Id::read_from(&mut reader)?)),
        _ => reader.fail("a pattern and a digest"),
    };
    let (pattern, id) = read().map_err(|Failed| damaged(sections::place(reader.fault())))?;
    Ok((pattern, id, &page[reader.position()..]))
}

fn verify(bytes: &[u8], id: Option<&Id>) -> Result<(), RecordError> {
    match id {
        Some(id) if Id::of(bytes) != *id => Err(RecordError::Digest { kind: MANIFEST.name }),
        Some(_) | None => Ok(()),
    }
}

fn damaged(reason: impl Into<String>) -> RecordError {
    RecordError::damaged(MANIFEST.name, reason)
}

/// The bytes written so far.
pub(crate) struct Written {
    pub(crate) id: Id,
    pub(crate) record: Vec<u8>,
    pub(crate) needs: Vec<Need>,
}

/// The kinds of section in a head, each with the oldest and the newest version.
pub(crate) const KINDS: &[(&str, (u16, u16))] =
    &[(GATEWAY, (GatewaySettings::OLDEST, GatewaySettings::VERSION)), (PAGES, (PageHead::OLDEST, PageHead::VERSION))];

const GATEWAY: &str = "gateway";
const PAGES: &str = "pages";

/// Patterns on a page: 10,000 patterns have a head and pages of about 6 KB each.
const PAGE_ENTRIES: usize = 128;
