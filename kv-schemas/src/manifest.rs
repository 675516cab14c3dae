//! The table of contents of a bundle, searched where it lies.
//!
//! A gateway may have tens of thousands of host patterns, and a fresh instance needs the parts of two or three. So the
//! patterns stand in pages, sorted, and the head of the manifest says with which pattern each page begins, how long it
//! is, and its digest. The bundle's name is the digest of the head alone: loading reads the head, and a look-up checks and
//! reads one page. What a name vouches for is still every byte, as the head vouches for the pages.
//!
//! ```text
//! T G m 2 | length of the head: u32 | head: settings, pages | page | page | …
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_core::bounds::{MANIFEST_BYTES_MAX, MANIFEST_DECODED_BYTES_MAX};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::GatewaySettings;

use crate::binary::{self, ENVELOPE_BYTES, MANIFEST};
use crate::{Id, RecordError};

/// The table of contents of a bundle: the settings of the gateway, and the part of each host pattern.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Settings of the gateway as a whole.
    pub gateway: GatewaySettings,
    pages: Vec<Page>,
    /// The pages, one after the other.
    content: Vec<u8>,
    /// Which pages were found to have their digest; what is fuzzed has none to have.
    verified: Vec<Cell<bool>>,
}

/// What the head says.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    gateway: GatewaySettings,
    pages: Vec<PageHead>,
}

/// What the head says of a page.
#[derive(Debug, Serialize, Deserialize)]
struct PageHead {
    /// The first pattern in it; the pages are in its order.
    first: String,
    bytes: u32,
    digest: Id,
}

#[derive(Clone, Debug)]
struct Page {
    first: String,
    start: usize,
    end: usize,
    digest: Id,
}

impl Manifest {
    /// Writes a manifest; answers its name and its stored form.
    #[must_use]
    pub fn encode(gateway: &GatewaySettings, parts: &BTreeMap<HostPattern, Id>) -> (Id, Vec<u8>) {
        let (head, pages) = Head::of(gateway, parts);
        let head = binary::write(&head, Vec::new());
        let mut record = Vec::with_capacity(PAGES_AT + head.len() + pages.len());
        record.extend(binary::envelope(&MANIFEST));
        // A head of 4 GiB is not made: its pages would take a hundred times that.
        record.extend(u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend(head);
        let id = Id::of(&record);
        record.extend(pages);
        (id, record)
    }

    /// Reads a stored manifest of any version by its name.
    ///
    /// # Errors
    /// When it is damaged, of another kind, of a version not known here, or not what the name stands for.
    pub fn decode(record: Vec<u8>, id: &Id) -> Result<Self, RecordError> {
        Self::read(record, Some(id))
    }

    /// Reads a manifest whatever its name, and pages whatever their digest: for what is made up, and to show damage.
    ///
    /// # Errors
    /// As [`Manifest::decode`], without the last reason.
    pub fn decode_unnamed(record: Vec<u8>) -> Result<Self, RecordError> {
        Self::read(record, None)
    }

    fn read(mut record: Vec<u8>, id: Option<&Id>) -> Result<Self, RecordError> {
        if record.len() > MANIFEST_BYTES_MAX {
            return Err(damaged(format!("longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        let data = binary::open(&record, &MANIFEST)?;
        let cut_off = || damaged("cut off");
        let (length, rest) = data.split_first_chunk().ok_or_else(cut_off)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (head, _) = rest.split_at_checked(length).ok_or_else(cut_off)?;
        verify(&record[..PAGES_AT + length], id)?;
        let (head, rest) = binary::read::<Head>(head, MANIFEST.name, MANIFEST_DECODED_BYTES_MAX)?;
        if !rest.is_empty() {
            return Err(damaged("its head does not end where it says"));
        }
        record.drain(..PAGES_AT + length);
        Self::of(head, record, id.is_some())
    }

    fn of(head: Head, content: Vec<u8>, named: bool) -> Result<Self, RecordError> {
        if !head.pages.is_sorted_by(|a, b| a.first < b.first) {
            return Err(damaged("its pages are not in order"));
        }
        let mut end = 0usize;
        let mut pages = Vec::with_capacity(head.pages.len());
        for PageHead { first, bytes, digest } in head.pages {
            let start = end;
            end = usize::try_from(bytes).ok().and_then(|bytes| start.checked_add(bytes)).unwrap_or(usize::MAX);
            pages.push(Page { first, start, end, digest });
        }
        if end != content.len() {
            return Err(damaged("it is cut off, or has more than its pages"));
        }
        let verified = vec![Cell::new(!named); pages.len()];
        Ok(Self { gateway: head.gateway, pages, content, verified })
    }

    /// The part of a host pattern, written as [`HostPattern`] prints; `None` when the bundle has no such pattern.
    ///
    /// # Errors
    /// When the page that it would be on is damaged.
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

    /// All host patterns with their parts, in the order of the patterns' text.
    ///
    /// # Errors
    /// When a page is damaged.
    pub fn parts(&self) -> Result<Vec<(&str, Id)>, RecordError> {
        let mut all = Vec::new();
        for place in 0..self.pages.len() {
            for entry in self.entries(place)? {
                all.push(entry?);
            }
        }
        Ok(all)
    }

    /// The entries of a page, of which each is checked to follow the one before it.
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

impl Head {
    /// The head for these parts, and the pages that it describes.
    fn of(gateway: &GatewaySettings, parts: &BTreeMap<HostPattern, Id>) -> (Self, Vec<u8>) {
        let mut entries: Vec<(String, Id)> = parts.iter().map(|(pattern, id)| (pattern.to_string(), *id)).collect();
        entries.sort();
        let (mut pages, mut content) = (Vec::new(), Vec::new());
        for entries in entries.chunks(PAGE_ENTRIES) {
            let page = entries.iter().fold(Vec::new(), |page, entry| binary::write(entry, page));
            let first = entries.first().map(|(pattern, _)| pattern.clone()).unwrap_or_default();
            // An entry has less than 300 bytes.
            let bytes = u32::try_from(page.len()).unwrap_or(u32::MAX);
            pages.push(PageHead { first, bytes, digest: Id::of(&page) });
            content.extend(page);
        }
        (Self { gateway: gateway.clone(), pages }, content)
    }
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
        let read = binary::read::<(&'m str, Id)>(self.rest, MANIFEST.name, ENTRY_DECODED_BYTES_MAX);
        let entry = read.and_then(|((pattern, id), rest)| {
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

fn verify(bytes: &[u8], id: Option<&Id>) -> Result<(), RecordError> {
    match id {
        Some(id) if Id::of(bytes) != *id => Err(RecordError::Digest { kind: MANIFEST.name }),
        Some(_) | None => Ok(()),
    }
}

fn damaged(reason: impl Into<String>) -> RecordError {
    RecordError::damaged(MANIFEST.name, reason)
}

/// Where the head begins.
const PAGES_AT: usize = ENVELOPE_BYTES + 4;

/// Patterns on a page: 10,000 patterns have a head and pages of about 6 KB each.
const PAGE_ENTRIES: usize = 128;

/// An entry borrows its pattern.
const ENTRY_DECODED_BYTES_MAX: usize = 4 * 1024;
