//! The grammars of strings in settings, as needs of a bundle.
//!
//! A part with a string that uses syntax of a newer version of its grammar has a mark: a section without content, with
//! the grammar's name and that version. Every reader supports version 1, which has no mark.

use tollgate_core::codec::Grammar;
use tollgate_core::forward::UpstreamUrl;
use tollgate_core::route::{HostPattern, PathTemplate};
use tollgate_core::settings::{GatewaySettings, SiteSettings};

use crate::sections::{Section, Sections};
use crate::{Need, RecordError};

/// The grammars that this program reads, each with the oldest and the newest version.
pub(crate) const KINDS: &[(&str, (u16, u16))] =
    &[versions::<PathTemplate>(), versions::<UpstreamUrl>(), versions::<HostPattern>()];

const fn versions<G: Grammar>() -> (&'static str, (u16, u16)) {
    (G::NAME, (1, G::VERSION))
}

/// Adds the marks for the strings of a part.
pub(crate) fn mark_part(site: &SiteSettings, sections: &mut Sections) {
    mark(site.routes.iter().map(|route| &route.path), sections);
    mark(site.upstreams.iter().map(|upstream| &upstream.url), sections);
}

/// Adds the marks for the strings of a gateway's settings and the host patterns of its manifest.
pub(crate) fn mark_manifest<'p>(
    gateway: &'p GatewaySettings,
    hosts: impl Iterator<Item = &'p HostPattern>,
    sections: &mut Sections,
) {
    mark(hosts.chain(&gateway.internal_hosts), sections);
    mark(gateway.telemetry.otlp.iter().map(|otlp| &otlp.endpoint), sections);
}

/// Checks a section that is a mark or has an unknown kind.
pub(crate) fn check(section: &Section<'_>) -> Result<(), RecordError> {
    let known = KINDS.iter().find(|(name, _)| *name == section.kind);
    Need::new(section.kind, section.version).check(known.map(|(_, versions)| *versions))
}

fn mark<'g, G: Grammar + 'g>(texts: impl Iterator<Item = &'g G>, sections: &mut Sections) {
    if let Some(version) = texts.map(Grammar::least_version).max().filter(|version| *version > 1) {
        sections.push_mark(G::NAME, version);
    }
}
