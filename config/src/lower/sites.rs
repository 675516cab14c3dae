//! The split by host: for each host pattern the settings that a request to such a host needs, and no others.

use std::collections::BTreeMap;

use tollgate_core::forward::UpstreamSettings;
use tollgate_core::route::{HostName, HostPattern};
use tollgate_core::settings::{PolicySettings, RouteSettings, SiteSettings};

use super::policies::{Definitions, LoweredUpstream};
use super::routes::LoweredRoute;

/// The order of routes in a bundle; it decides nothing, but it must depend on the routes alone.
pub(super) fn order(route: &RouteSettings) -> (&HostPattern, &str, &[String], &str) {
    (&route.host, route.path.as_str(), &route.methods, &route.id)
}

/// Builds the settings of every host pattern in use; `None` when that would be too much. `routes` are in [`order`].
pub(super) fn sites(
    routes: &[LoweredRoute],
    upstreams: &Definitions<LoweredUpstream>,
    policies: &Definitions<PolicySettings>,
) -> Option<BTreeMap<String, SiteSettings>> {
    let mut by_host: BTreeMap<&HostPattern, Vec<&RouteSettings>> = BTreeMap::new();
    for LoweredRoute { settings, .. } in routes {
        by_host.entry(&settings.host).or_default().push(settings);
    }
    let mut left = SITE_ROUTES_MAX;
    let mut sites = BTreeMap::new();
    for &host in by_host.keys() {
        // A request is given the part of its most specific pattern, so that part holds the wider patterns' routes too.
        let covering: Vec<_> =
            covering(host).iter().filter_map(|pattern| by_host.get(pattern)).flatten().copied().collect();
        left = left.checked_sub(covering.len())?;
        let site = Site { upstreams, policies, settings: EMPTY };
        sites.insert(host.to_string(), site.with(&covering));
    }
    Some(sites)
}

/// The patterns that cover one, itself first.
pub(super) fn covering(host: &HostPattern) -> Vec<HostPattern> {
    let wider = |name: &HostName| HostPattern::candidates(name).skip(1).filter_map(|text| text.parse().ok()).collect();
    let mut all = vec![host.clone()];
    let wider: Vec<HostPattern> = match host {
        HostPattern::Exact(name) | HostPattern::Wildcard(name) => wider(name),
        HostPattern::Any => Vec::new(),
    };
    all.extend(wider);
    all
}

/// A site being filled: places in the whole gateway become places in the site.
struct Site<'l> {
    upstreams: &'l Definitions<LoweredUpstream>,
    policies: &'l Definitions<PolicySettings>,
    settings: SiteSettings,
}

impl Site<'_> {
    fn with(mut self, routes: &[&RouteSettings]) -> SiteSettings {
        let (mut upstream_places, mut policy_places) = (BTreeMap::new(), BTreeMap::new());
        for &route in routes {
            let mut route = route.clone();
            route.upstream = *upstream_places.entry(route.upstream).or_insert_with_key(|place| self.upstream(*place));
            for place in route.authn.iter_mut().chain(&mut route.limit) {
                *place = *policy_places.entry(*place).or_insert_with_key(|place| self.policy(*place));
            }
            self.settings.routes.push(route);
        }
        self.settings
    }

    fn upstream(&mut self, place: usize) -> usize {
        let found: Option<UpstreamSettings> = self.upstreams.get(place).map(|upstream| upstream.settings.clone());
        self.settings.upstreams.extend(found);
        self.settings.upstreams.len().saturating_sub(1)
    }

    fn policy(&mut self, place: usize) -> usize {
        self.settings.policies.extend(self.policies.get(place).cloned());
        self.settings.policies.len().saturating_sub(1)
    }
}

const EMPTY: SiteSettings = SiteSettings { upstreams: Vec::new(), policies: Vec::new(), routes: Vec::new() };

/// Routes of all sites together, about 500 bytes each.
const SITE_ROUTES_MAX: usize = 400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_that_covers_another_is_found() {
        let all: Vec<HostPattern> = [
            "a.b.example.com",
            "b.example.com",
            "*.b.example.com",
            "*.example.com",
            "*.com",
            "*",
            "*.org",
            "example.com",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        for host in &all {
            let found = covering(host);
            for pattern in &all {
                assert_eq!(found.contains(pattern), pattern.covers(host), "{pattern} and {host}");
            }
        }
    }
}
