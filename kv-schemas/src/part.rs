//! One part of a bundle: the settings for a host pattern, with one section for each policy, one for upstreams and one
//! for routes.

use tollgate_core::bounds::{PART_BYTES_MAX, PART_DECODED_BYTES_MAX};
use tollgate_core::codec::{self, Section as _};
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::kinds::Policies;
use tollgate_core::settings::{RouteSettings, SiteSettings};

use crate::cost::Budget;
use crate::envelope::{self, PART};
use crate::sections::{self, Section, Sections};
use crate::{Id, Need, RecordError, grammars, policies};

/// The stored form of a part: equal settings have equal bytes on every machine.
#[must_use]
pub fn encode_part(site: &SiteSettings) -> Vec<u8> {
    write(site).0
}

/// The stored form of a part, and what its readers must support.
pub(crate) fn write(site: &SiteSettings) -> (Vec<u8>, Vec<Need>) {
    let mut sections = Sections::default();
    sections.push(UPSTREAMS, least_version(&site.upstreams), &site.upstreams);
    policies::push(&site.policies, &mut sections);
    sections.push(ROUTES, least_version(&site.routes), &site.routes);
    grammars::mark_part(site, &mut sections);
    let needs = sections.needs().collect();
    (sections.write(envelope::envelope(&PART).into()), needs)
}

fn least_version<T: codec::Section>(entries: &[T]) -> u16 {
    entries.iter().map(T::least_version).max().unwrap_or(T::OLDEST)
}

/// Decodes a stored part and checks its id.
///
/// # Errors
/// If it is damaged, of another kind, not coherent, or has another id; names the section if it has an unknown one.
pub fn decode_part(record: &[u8], id: &Id) -> Result<SiteSettings, RecordError> {
    bounded(record)?;
    if Id::of(record) != *id {
        return Err(RecordError::Digest { kind: PART.name });
    }
    decode_part_unnamed(record)
}

/// Decodes a part without checking its id: for generated input, and to show damaged ones.
///
/// # Errors
/// As [`decode_part`], except for the digest.
pub fn decode_part_unnamed(record: &[u8]) -> Result<SiteSettings, RecordError> {
    bounded(record)?;
    let mut budget = Budget::new(PART_DECODED_BYTES_MAX);
    let sections = sections::read(envelope::open(record, &PART)?, PART.name, &mut budget)?;
    let mut site = SiteSettings { upstreams: Vec::new(), policies: Policies::EMPTY, routes: Vec::new() };
    for section in &sections {
        read(section, &mut site, &mut budget)?;
    }
    if site.is_coherent() {
        return Ok(site);
    }
    Err(RecordError::damaged(PART.name, "its settings are not coherent"))
}

fn read(section: &Section<'_>, site: &mut SiteSettings, budget: &mut Budget) -> Result<(), RecordError> {
    match section.kind {
        UPSTREAMS => site.upstreams = section.read_list(PART.name, budget)?,
        ROUTES => site.routes = section.read_list(PART.name, budget)?,
        _ if policies::read(section, &mut site.policies, budget)? => {}
        _ => grammars::check(section)?,
    }
    Ok(())
}

fn bounded(record: &[u8]) -> Result<(), RecordError> {
    if record.len() <= PART_BYTES_MAX {
        return Ok(());
    }
    Err(RecordError::damaged(PART.name, format!("longer than {PART_BYTES_MAX} bytes")))
}

/// The kinds of section that are not policies, each with the oldest and the newest version.
pub(crate) const KINDS: &[(&str, (u16, u16))] = &[
    (UPSTREAMS, (UpstreamSettings::OLDEST, UpstreamSettings::VERSION)),
    (ROUTES, (RouteSettings::OLDEST, RouteSettings::VERSION)),
];

const UPSTREAMS: &str = "upstreams";
const ROUTES: &str = "routes";
