//! One compiled part of a bundle.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Method};
use tollgate_core::authn::KeyParameters;
use tollgate_core::cache::{CacheKey, CacheSettings, Taken, resource_key};
use tollgate_core::event::{RouteLabel, UpstreamLabel};
use tollgate_core::forward::{FieldRules, Resource, UNREAD_IN_REQUESTS};
use tollgate_core::kinds::{CredentialPlace, SlotPolicy};
use tollgate_core::route::{CanonicalPath, Entry, HostName, Matched, RequestHead, Router, Subject};
use tollgate_core::settings::{GatewaySettings, RouteSettings, SiteSettings};
use tollgate_kv_schemas::Id;

/// One host part, compiled.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) gateway: Rc<GatewaySettings>,
    pub(crate) settings: SiteSettings,
    pub(crate) router: Router,
    /// The labels of routes in telemetry, created when a route is first selected: most isolates use few of them.
    labels: Box<[OnceCell<Arc<RouteLabel>>]>,
    /// The labels of upstreams, shared by the records of calls.
    upstream_labels: Box<[Arc<UpstreamLabel>]>,
    /// The values of `Host` for upstreams.
    pub(crate) upstream_hosts: Box<[Option<HeaderValue>]>,
    /// The query parameters in which its policies read keys.
    pub(crate) keys: KeyParameters,
    /// The fields that its policies, routes and upstreams name.
    pub(crate) fields: Arc<FieldRules>,
    /// Whether its configuration names fields that an adapter may leave out.
    pub(crate) names_left_out: bool,
    /// Whether it has a cached route.
    pub(crate) caches: bool,
    /// The fields that select other routes with the path of a cached route, by the index of that route.
    siblings: HashMap<usize, Vec<String>>,
    /// The id of its stored form.
    pub(crate) id: Id,
    /// Bytes of its stored form, as a measure of its memory.
    size: usize,
}

/// The parts for a host, the one of its most specific pattern first; never empty.
pub(crate) type Sites = Rc<[Rc<Site>]>;

impl Site {
    pub(crate) fn compile(gateway: Rc<GatewaySettings>, settings: SiteSettings, id: Id, size: usize) -> Self {
        let router = Router::new(settings.routes.iter().map(Entry::from));
        let labels = settings.routes.iter().map(|_| OnceCell::new()).collect();
        let upstreams = || settings.upstreams.iter();
        let upstream_labels =
            upstreams().map(|upstream| Arc::new(UpstreamLabel::new(&upstream.name, &upstream.url))).collect();
        let upstream_hosts = upstreams().map(|upstream| HeaderValue::from_str(upstream.url.authority()).ok()).collect();
        let keys = key_parameters(&settings);
        let fields = Arc::new(field_rules(&settings));
        let siblings = siblings(&settings);
        let names_left_out = fields.names_any(&UNREAD_IN_REQUESTS);
        let caches = settings.routes.iter().any(|route| route.cache.is_some());
        Self {
            gateway,
            settings,
            router,
            labels,
            upstream_labels,
            upstream_hosts,
            keys,
            fields,
            siblings,
            names_left_out,
            caches,
            id,
            size,
        }
    }

    /// The telemetry label of the route at an index; the router returns only indexes that exist.
    pub(crate) fn label(&self, index: usize) -> Arc<RouteLabel> {
        let route = &self.settings.routes[index];
        let label = || Arc::new(RouteLabel::new(&route.id, &route.api, route.path.label()));
        Arc::clone(self.labels[index].get_or_init(label))
    }

    /// The label of the upstream at an index; coherent settings contain only indexes that exist.
    pub(crate) fn upstream_label(&self, index: usize) -> Arc<UpstreamLabel> {
        Arc::clone(&self.upstream_labels[index])
    }

    /// What decides the selection of a route of this part besides the URL; the index exists.
    pub(crate) fn taken(&self, index: usize, inside: bool) -> Taken<'_> {
        let siblings = self.siblings.get(&index).map_or(&[][..], Vec::as_slice);
        Taken { when: &self.settings.routes[index].when, siblings, inside }
    }

    /// The cached routes that a GET for this URL can have, with any fields.
    pub(crate) fn cached<'s>(
        sites: &'s [Rc<Self>],
        path: &'s CanonicalPath,
    ) -> impl Iterator<Item = (&'s RouteSettings, &'s CacheSettings)> {
        let routes = move |site: &'s Rc<Self>| {
            let all = site.router.find_all(path, &Method::GET);
            all.into_iter().filter_map(|index| site.settings.routes.get(index))
        };
        sites.iter().flat_map(routes).filter_map(|route| route.cache.as_ref().map(|cache| (route, cache)))
    }

    /// A query as it is forwarded: without API keys. An empty one is not the same as none (RFC 3986, section 6.2.3), unless only
    /// keys were in it.
    pub(crate) fn without_keys(sites: &[Rc<Self>], query: Option<&str>) -> Option<String> {
        let received = query?;
        let mut query = received.to_owned();
        for site in sites {
            if let Cow::Owned(rest) = site.keys.without_keys(&query) {
                query = rest;
            }
        }
        (received.is_empty() || !query.is_empty()).then_some(query)
    }

    /// The resources under which responses to a GET of this URL, whose query has no API keys, are stored.
    pub(crate) fn resources(
        sites: &[Rc<Self>],
        name: &HostName,
        path: &CanonicalPath,
        query: Option<&str>,
    ) -> Vec<CacheKey> {
        let resource = |cache| resource_key(cache, Resource { host: name.as_str(), path: path.as_str(), query });
        let mut resources = Vec::new();
        for resource in Self::cached(sites, path).map(|(_, cache)| resource(cache)) {
            // Few routes match one path.
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        resources
    }

    /// The most specific route of a request among the parts for its host, and the part that contains it.
    pub(crate) fn find(sites: &[Rc<Self>], request: &RequestHead<'_>) -> (usize, Matched) {
        Router::find_in(sites.iter().map(|site| &site.router), request)
    }
}

/// The places in which a policy reads credentials, with its index.
fn credential_places(settings: &SiteSettings) -> impl Iterator<Item = (usize, CredentialPlace<'_>)> {
    let authenticators = settings.policies.authn.iter().enumerate();
    authenticators.filter_map(|(at, named)| Some((at, named.policy.as_kind().uses().credential?)))
}

fn key_parameters(settings: &SiteSettings) -> KeyParameters {
    let mut parameters = KeyParameters::default();
    credential_places(settings).filter_map(|(_, place)| place.query).for_each(|name| parameters.add(name));
    parameters
}

/// The fields of the predicates of all routes with the path of a cached route; only where there are some.
fn siblings(settings: &SiteSettings) -> HashMap<usize, Vec<String>> {
    let mut by_path: HashMap<String, Vec<String>> = HashMap::new();
    for route in &settings.routes {
        for predicate in &route.when {
            match &predicate.of {
                Subject::Header(name) => by_path.entry(route.path.shape()).or_default().push(name.clone()),
                Subject::Query(_) => {}
            }
        }
    }
    if by_path.is_empty() {
        return HashMap::new();
    }
    let cached = settings.routes.iter().enumerate().filter(|(_, route)| route.cache.is_some());
    cached.filter_map(|(index, route)| Some((index, by_path.get(&route.path.shape())?.clone()))).collect()
}

fn field_rules(settings: &SiteSettings) -> FieldRules {
    let mut rules = FieldRules::default();
    for (policy, place) in credential_places(settings) {
        rules.add_credential(place.field, place.scheme, policy);
    }
    for (at, upstream) in settings.upstreams.iter().enumerate() {
        upstream.fields.iter().for_each(|(name, _)| rules.add_set(name, at));
    }
    for predicate in settings.routes.iter().flat_map(|route| &route.when) {
        match &predicate.of {
            Subject::Header(name) => rules.add_selecting(name),
            Subject::Query(_) => {}
        }
    }
    rules
}

/// A cache of parts, bounded by size; when it is full it is cleared, because parts can be read again.
#[derive(Debug)]
pub(crate) struct Remembered<K> {
    sites: HashMap<K, Rc<Site>>,
    size: usize,
}

impl<K> Default for Remembered<K> {
    fn default() -> Self {
        Self { sites: HashMap::new(), size: 0 }
    }
}

impl<K: Hash + Eq> Remembered<K> {
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&Rc<Site>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.sites.get(key)
    }

    /// Adds a part within `room` bytes; a larger one is kept alone. Returns whether others were dropped for it.
    pub(crate) fn insert(&mut self, key: K, site: &Rc<Site>, room: usize) -> bool {
        let size = |site: &Site| site.size + SITE_SIZE;
        if let Some(before) = self.sites.remove(&key) {
            self.size -= size(&before);
        }
        let full = self.size + size(site) > room && !self.sites.is_empty();
        if full {
            self.sites.clear();
            self.size = 0;
        }
        self.size += size(site);
        self.sites.insert(key, Rc::clone(site));
        full
    }
}

/// The size of a part without routes, as bytes of stored form.
const SITE_SIZE: usize = 256;
