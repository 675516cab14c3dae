//! The section of a part that says which page has the routes of a path, and the pages behind the sections.

use std::ops::Range;

use minicbor::Encode;
use tollgate_core::codec::{self, Decode};
use tollgate_core::order;
use tollgate_core::route::{PageIndex, PathTemplate, Subject};
use tollgate_core::settings::RouteSettings;

use crate::{Id, sections};

/// What is known of routes before their pages are decoded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct RoutePages {
    /// The header fields that select routes, sorted.
    #[n(0)]
    pub(crate) selecting: Vec<String>,
    /// Whether a route is cached.
    #[n(1)]
    pub(crate) caches: bool,
    /// The pages of a path.
    #[n(2)]
    pub(crate) index: PageIndex,
    #[n(3)]
    heads: Vec<PageHead>,
}

impl codec::Section for RoutePages {}

/// A page's length and digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct PageHead {
    #[n(0)]
    bytes: u32,
    #[n(1)]
    digest: Id,
}

impl RoutePages {
    /// Divides routes into pages, which follow each other.
    pub(crate) fn divide(routes: &[RouteSettings]) -> (Self, Vec<u8>) {
        let paths: Vec<&PathTemplate> = routes.iter().map(|route| &route.path).collect();
        // The head names each page, and a page has each of its routes: with the square root, both stay small.
        let (index, places) = PageIndex::divide(&paths, routes.len().isqrt().max(PAGE_ROUTES_MIN));
        let (mut heads, mut pages) = (Vec::with_capacity(places.len()), Vec::new());
        for places in places {
            let on_page: Vec<&RouteSettings> = places.into_iter().map(|place| &routes[place]).collect();
            let start = pages.len();
            sections::write(&on_page, &mut pages);
            let page = &pages[start..];
            // A part has far less than 4 GiB.
            heads.push(PageHead { bytes: u32::try_from(page.len()).unwrap_or(u32::MAX), digest: Id::of(page) });
        }
        (Self { selecting: selecting(routes), caches: caches(routes), index, heads }, pages)
    }

    /// The place of each page between these positions, with its digest; `None` if the section does not fit them.
    pub(crate) fn places(&self, mut start: usize, end: usize) -> Option<Vec<(Range<usize>, Id)>> {
        let mut places = Vec::with_capacity(self.heads.len());
        for PageHead { bytes, digest } in &self.heads {
            let behind = start.checked_add(usize::try_from(*bytes).ok()?)?;
            places.push((start..behind, *digest));
            start = behind;
        }
        (start == end && self.index.is_coherent(places.len())).then_some(places)
    }
}

/// The header fields that select routes, sorted.
pub(crate) fn selecting(routes: &[RouteSettings]) -> Vec<String> {
    let predicates = routes.iter().flat_map(|route| &route.when);
    let fields = predicates.filter_map(|predicate| match &predicate.of {
        Subject::Header(name) => Some(name.clone()),
        Subject::Query(_) => None,
    });
    order::each_once(fields.collect())
}

/// Whether a route is cached.
pub(crate) fn caches(routes: &[RouteSettings]) -> bool {
    routes.iter().any(|route| route.cache.is_some())
}

/// A page with fewer routes would save less than its entry in the head takes.
const PAGE_ROUTES_MIN: usize = 16;
