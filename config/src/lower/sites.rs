//! Splits the gateway by host: each host pattern gets its routes, with only the upstreams and policies that they name.

use std::collections::BTreeMap;

use tollgate_core::kinds::{Place, Policies, SlotPolicy};
use tollgate_core::route::{HostName, HostPattern};
use tollgate_core::settings::{RouteSettings, SiteSettings};

use crate::lower::{CompiledRoute, Whole};

/// The order of routes in a bundle. It has no effect on requests, but must depend only on the routes.
pub(super) fn order(route: &CompiledRoute) -> (&[HostPattern], &str, Vec<&str>, &str) {
    let CompiledRoute { hosts, settings, .. } = route;
    (hosts, settings.path.as_str(), settings.methods.as_strs().collect(), &settings.id)
}

/// Builds the settings of every host pattern in use.
pub(crate) fn sites(whole: &Whole) -> BTreeMap<HostPattern, SiteSettings> {
    let mut by_host: BTreeMap<&HostPattern, Vec<&RouteSettings>> = BTreeMap::new();
    for CompiledRoute { hosts, settings, .. } in &whole.routes {
        for host in hosts {
            by_host.entry(host).or_default().push(settings);
        }
    }
    by_host.into_iter().map(|(host, routes)| (host.clone(), Site { whole, settings: EMPTY }.with(&routes))).collect()
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

/// Builds a site: indices in the whole gateway become indices in the site.
struct Site<'w> {
    whole: &'w Whole,
    settings: SiteSettings,
}

impl Site<'_> {
    fn with(mut self, routes: &[&RouteSettings]) -> SiteSettings {
        let mut upstream_places = BTreeMap::new();
        let (mut guards, mut authns) = (Moved::default(), Moved::default());
        let (mut authzs, mut limits) = (Moved::default(), Moved::default());
        for &route in routes {
            let mut route = route.clone();
            route.upstream = *upstream_places.entry(route.upstream).or_insert_with_key(|place| self.upstream(*place));
            route.guard.iter_mut().for_each(|place| guards.place(place, self.whole, &mut self.settings));
            route.authn.iter_mut().flatten().for_each(|place| authns.place(place, self.whole, &mut self.settings));
            route.authz.iter_mut().for_each(|place| authzs.place(place, self.whole, &mut self.settings));
            let all_limits = route.guard_limit.iter_mut().chain(&mut route.limit);
            all_limits.for_each(|place| limits.place(place, self.whole, &mut self.settings));
            self.settings.routes.push(route);
        }
        self.settings
    }

    fn upstream(&mut self, place: usize) -> usize {
        self.settings.upstreams.extend(self.whole.upstreams.get(place).cloned());
        self.settings.upstreams.len().saturating_sub(1)
    }
}

/// Maps the indices of the policies of one slot in the whole gateway to those in the site.
#[derive(Default)]
struct Moved(BTreeMap<usize, usize>);

impl Moved {
    fn place<P: SlotPolicy + Clone>(&mut self, place: &mut Place<P>, whole: &Whole, site: &mut SiteSettings) {
        let list = P::list_mut(&mut site.policies);
        let moved = self.0.entry(place.index()).or_insert_with(|| {
            list.extend(whole.policies.get(*place).cloned());
            list.len().saturating_sub(1)
        });
        *place = Place::new(*moved);
    }
}

const EMPTY: SiteSettings = SiteSettings { upstreams: Vec::new(), policies: Policies::EMPTY, routes: Vec::new() };

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
