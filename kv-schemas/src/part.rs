//! One part of a bundle: the settings for a host pattern, with one section for each policy, one for upstreams, and the
//! routes.
//!
//! A few routes are a section of their own. More of them are divided into pages by their paths, so that an instance
//! verifies and decodes those that its requests need: the head has the length and the digest of each page, and the id
//! is the digest of the head alone.
//!
//! ```text
//! T G p 1 | sections: upstreams, policies, routes
//! T G p 2 | length of the head: u32 | head: sections upstreams, policies, routes (empty), route-pages | page | page | …
//! ```

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};

use tollgate_core::bounds::{PART_BYTES_MAX, PART_DECODED_BYTES_MAX};
use tollgate_core::codec::{self, Section as _};
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::kinds::Policies;
use tollgate_core::route::{CanonicalPath, PageIndex};
use tollgate_core::settings::{RouteSettings, SiteSettings, are_coherent};

use crate::cost::Budget;
use crate::envelope::{self, ENVELOPE_BYTES, PART};
use crate::route_pages::{self, RoutePages};
use crate::sections::{self, Section, Sections};
use crate::{Id, Need, RecordError, grammars, policies};

/// A part whose routes are decoded page by page.
#[derive(Debug)]
pub struct Part {
    /// The upstreams its routes forward to.
    pub upstreams: Vec<UpstreamSettings>,
    /// The policies that its routes use.
    pub policies: Policies,
    /// The header fields that select routes, sorted.
    pub selecting: Vec<String>,
    /// Whether a route is cached.
    pub caches: bool,
    record: Vec<u8>,
    /// The version of the section of routes.
    version: u16,
    /// The pages of a path; without an index there is one page.
    index: Option<PageIndex>,
    pages: Vec<Page>,
    /// Those of the only page, which are decoded at once.
    first: RefCell<Option<Routes>>,
}

/// Where a page is in the record, and its digest if it has one.
type Page = (Range<usize>, Option<Id>);

/// The routes of a page.
#[derive(Debug)]
pub struct Routes {
    /// The routes, in the order of the settings that were written.
    pub settings: Vec<RouteSettings>,
    /// The memory that was charged for them, in bytes: more than they take.
    pub cost: usize,
}

/// The stored form of a part: equal settings have equal bytes on every machine.
#[must_use]
pub fn encode_part(site: &SiteSettings) -> Vec<u8> {
    write(site).record
}

/// A part as it is stored.
pub(crate) struct Written {
    pub(crate) id: Id,
    pub(crate) record: Vec<u8>,
    /// What its readers must support.
    pub(crate) needs: Vec<Need>,
}

pub(crate) fn write(site: &SiteSettings) -> Written {
    let is_paged = site.routes.len() > ROUTES_UNPAGED_MAX;
    let version = least_version(&site.routes);
    let mut sections = Sections::default();
    sections.push(UPSTREAMS, least_version(&site.upstreams), &site.upstreams);
    policies::push(&site.policies, &mut sections);
    let mut pages = Vec::new();
    if is_paged {
        let (head, divided) = RoutePages::divide(&site.routes);
        sections.push_mark(ROUTES, version);
        sections.push(ROUTE_PAGES, RoutePages::OLDEST, &head);
        pages = divided;
    } else {
        sections.push(ROUTES, version, &site.routes);
    }
    grammars::mark_part(site, &mut sections);
    let needs = sections.needs().collect();
    let mut record: Vec<u8> = envelope::envelope(&PART, if is_paged { PAGED } else { UNPAGED }).into();
    if is_paged {
        envelope::push_head(&sections.write(Vec::new()), &mut record);
    } else {
        record = sections.write(record);
    }
    let id = Id::of(&record);
    record.extend(pages);
    Written { id, record, needs }
}

fn least_version<T: codec::Section>(entries: &[T]) -> u16 {
    entries.iter().map(T::least_version).max().unwrap_or(T::OLDEST)
}

/// Decodes a stored part with all its routes, and checks its id and the digests of its pages.
///
/// # Errors
/// If it is damaged, of another kind, not coherent, or has another id; names the section if it has an unknown one.
pub fn decode_part(record: &[u8], id: &Id) -> Result<SiteSettings, RecordError> {
    Part::decode(record.to_vec(), id)?.into_settings()
}

/// Decodes a part without checking its id: for generated input, and to show damaged ones.
///
/// # Errors
/// As [`decode_part`], except for the digests.
pub fn decode_part_unnamed(record: &[u8]) -> Result<SiteSettings, RecordError> {
    Part::decode_unnamed(record.to_vec())?.into_settings()
}

impl Part {
    /// Reads a stored part and checks its id. A page is checked when it is decoded.
    ///
    /// # Errors
    /// If it is damaged, of another kind, not coherent, or has another id; names the section if it has an unknown one.
    pub fn decode(record: Vec<u8>, id: &Id) -> Result<Self, RecordError> {
        Self::read(record, Some(id))
    }

    /// Reads a part without checking its id or the digests of its pages: for generated input, and to show damaged ones.
    ///
    /// # Errors
    /// As [`Part::decode`], except for the digests.
    pub fn decode_unnamed(record: Vec<u8>) -> Result<Self, RecordError> {
        Self::read(record, None)
    }

    /// How many pages it has.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Bytes of its stored form.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.record.len()
    }

    /// Visits the pages that may have routes for a path, the most specific first, until `visit` breaks.
    pub fn visit<B>(&self, path: &CanonicalPath, visit: &mut impl FnMut(usize) -> ControlFlow<B>) -> ControlFlow<B> {
        match &self.index {
            Some(index) => index.visit(path, visit),
            None => visit(0),
        }
    }

    /// Checks and decodes a page.
    ///
    /// # Errors
    /// If it is damaged, has another digest, or is not coherent.
    pub fn routes(&self, page: usize) -> Result<Routes, RecordError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let (place, digest) = &self.pages[page];
        let body = &self.record[place.clone()];
        if digest.is_some_and(|digest| Id::of(body) != digest) {
            return Err(RecordError::Digest { kind: PART.name });
        }
        let mut budget = Budget::new(PART_DECODED_BYTES_MAX);
        let section = Section { kind: ROUTES, version: self.version, body, start: 0 };
        let settings: Vec<RouteSettings> = section.read_list(PART.name, &mut budget)?;
        if settings.iter().all(|route| route.is_coherent(&self.upstreams, &self.policies)) {
            return Ok(Routes { settings, cost: PART_DECODED_BYTES_MAX - budget.left() });
        }
        Err(damaged(INCOHERENT))
    }

    /// The settings with all routes, in the order of the pages.
    fn into_settings(self) -> Result<SiteSettings, RecordError> {
        let mut routes = Vec::new();
        for page in 0..self.pages.len() {
            routes.extend(self.routes(page)?.settings);
        }
        Ok(SiteSettings { upstreams: self.upstreams, policies: self.policies, routes })
    }

    fn read(record: Vec<u8>, id: Option<&Id>) -> Result<Self, RecordError> {
        if record.len() > PART_BYTES_MAX {
            return Err(damaged(format!("longer than {PART_BYTES_MAX} bytes")));
        }
        let is_paged = envelope::open(&record, &PART)? == PAGED;
        let place = if is_paged { envelope::head(&record, &PART)? } else { ENVELOPE_BYTES..record.len() };
        if id.is_some_and(|id| Id::of(&record[..place.end]) != *id) {
            return Err(RecordError::Digest { kind: PART.name });
        }
        let Head { upstreams, policies, routes, route_pages } = Head::read(&record, place.clone())?;
        if !are_coherent(&upstreams, &policies) {
            return Err(damaged(INCOHERENT));
        }
        let (version, only) = routes.ok_or_else(|| damaged("it has no routes"))?;
        let (selecting, caches, index, pages) = match route_pages {
            None if !is_paged => (Vec::new(), false, None, vec![(only, None)]),
            Some(known) if is_paged => {
                let places = known.places(place.end, record.len());
                let places = places.ok_or_else(|| damaged("its pages are not those of its index"))?;
                let pages = places.into_iter().map(|(place, digest)| (place, id.is_some().then_some(digest)));
                (known.selecting, known.caches, Some(known.index), pages.collect())
            }
            None | Some(_) => return Err(damaged("its version does not fit its sections")),
        };
        let first = RefCell::new(None);
        let part = Self { upstreams, policies, selecting, caches, record, version, index, pages, first };
        if is_paged { Ok(part) } else { part.with_only_page() }
    }

    /// Decodes the routes of a part without pages.
    fn with_only_page(mut self) -> Result<Self, RecordError> {
        let only = self.routes(0)?;
        self.selecting = route_pages::selecting(&only.settings);
        self.caches = route_pages::caches(&only.settings);
        self.first = RefCell::new(Some(only));
        Ok(self)
    }
}

/// The sections of a part.
struct Head {
    upstreams: Vec<UpstreamSettings>,
    policies: Policies,
    /// The version and the place of the routes.
    routes: Option<(u16, Range<usize>)>,
    route_pages: Option<RoutePages>,
}

impl Head {
    fn read(record: &[u8], place: Range<usize>) -> Result<Self, RecordError> {
        let mut head = Self { upstreams: Vec::new(), policies: Policies::EMPTY, routes: None, route_pages: None };
        let mut budget = Budget::new(PART_DECODED_BYTES_MAX);
        for section in sections::read(&record[place.clone()], PART.name, &mut budget)? {
            match section.kind {
                UPSTREAMS => head.upstreams = section.read_list(PART.name, &mut budget)?,
                ROUTES => {
                    section.check_version((RouteSettings::OLDEST, RouteSettings::VERSION))?;
                    let start = place.start + section.start;
                    head.routes = Some((section.version, start..start + section.body.len()));
                }
                ROUTE_PAGES => head.route_pages = Some(section.read(PART.name, &mut budget)?),
                _ if policies::read(&section, &mut head.policies, &mut budget)? => {}
                _ => grammars::check(&section)?,
            }
        }
        Ok(head)
    }
}

fn damaged(reason: impl Into<String>) -> RecordError {
    RecordError::damaged(PART.name, reason)
}

/// The kinds of section that are not policies, each with the oldest and the newest version.
pub(crate) const KINDS: &[(&str, (u16, u16))] = &[
    (UPSTREAMS, (UpstreamSettings::OLDEST, UpstreamSettings::VERSION)),
    (ROUTES, (RouteSettings::OLDEST, RouteSettings::VERSION)),
    (ROUTE_PAGES, (RoutePages::OLDEST, RoutePages::VERSION)),
];

const UPSTREAMS: &str = "upstreams";
const ROUTES: &str = "routes";
const ROUTE_PAGES: &str = "route-pages";

const INCOHERENT: &str = "its settings are not coherent";

/// The version of the format with pages, and of the one without.
const PAGED: u8 = 2;
const UNPAGED: u8 = 1;

/// More routes are divided into pages.
const ROUTES_UNPAGED_MAX: usize = 32;
