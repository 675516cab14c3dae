//! One compiled part of a bundle.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use tollgate_core::authn::{
    CredentialNames, CredentialPlace, LOGINS_MAX, LoginPath, OidcLoginSettings, ResourceMetadata, resource_metadata,
};
use tollgate_core::cache::{CacheKey, Taken, resource_key};
use tollgate_core::event::{RouteLabel, UpstreamLabel};
use tollgate_core::expression::Source;
use tollgate_core::forward::{AwsSettings, FieldRules, Resource, UNREAD_IN_REQUESTS, UpstreamAuth};
use tollgate_core::kinds::{AuthnPolicy, Named, Place, SlotPolicy, Uses};
use tollgate_core::route::{CanonicalPath, Entry, HostName, Matched, RequestHead, RouteIndex, Router, Subject};
use tollgate_core::settings::{GatewaySettings, RouteSettings};
use tollgate_kv_schemas::{Id, Part, RecordError, Routes};

/// One host part, compiled.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) gateway: Rc<GatewaySettings>,
    pub(crate) part: Part,
    /// The pages that were needed so far.
    pages: Box<[RefCell<Option<Rc<Page>>>]>,
    /// What was charged for the pages in memory, and the maximum.
    cost: Cell<usize>,
    cost_max: usize,
    /// The labels of upstreams, shared by the records of calls.
    upstream_labels: Box<[Arc<UpstreamLabel>]>,
    /// The values of `Host` for upstreams.
    pub(crate) upstream_hosts: Box<[Option<HeaderValue>]>,
    /// The query parameters and cookies in which its policies read credentials.
    pub(crate) credentials: CredentialNames,
    /// The metadata of protected resources that its policies ask for.
    pub(crate) metadata: Vec<ResourceMetadata>,
    /// The policies that answer requests of their own, for logins.
    logins: Vec<Place<AuthnPolicy>>,
    /// The fields that its policies, routes and upstreams name.
    pub(crate) fields: Arc<FieldRules>,
    /// Whether its configuration names fields that an adapter may leave out.
    pub(crate) names_left_out: bool,
    /// Whether one of its policies or upstreams reads the content of requests.
    pub(crate) reads_content: bool,
    /// Whether its policies read certificates of clients.
    pub(crate) reads_certificates: bool,
    /// Whether its policies read where clients are.
    pub(crate) reads_location: bool,
    /// The id of its stored form.
    pub(crate) id: Id,
}

/// A page of a part's routes, compiled.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its index among the pages of its part.
    number: usize,
    routes: Vec<RouteSettings>,
    router: Router,
    /// The labels of routes in telemetry, created when a route is first selected: most isolates use few of them.
    labels: Box<[OnceCell<Arc<RouteLabel>>]>,
    /// The fields that select other routes with the path of a cached route, by the index of that route.
    siblings: HashMap<RouteIndex, Vec<String>>,
    cost: usize,
}

/// The result of a search.
#[derive(Debug)]
pub(crate) enum Found {
    Route(Selected),
    /// The path has routes, but not for this method; the allowed methods, sorted.
    OtherMethods(Vec<Method>),
    Nothing,
}

/// The route that a search found.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    /// The index of its part among those of the host.
    pub(crate) place: usize,
    page: Rc<Page>,
    index: RouteIndex,
}

/// The parts for a host, the one of its most specific pattern first; never empty.
pub(crate) type Sites = Rc<[Rc<Site>]>;

impl Site {
    /// Compiles a part. Its routes are decoded and compiled when a path needs their page; those in memory are within
    /// `room` bytes of stored form, or of one page.
    pub(crate) fn compile(gateway: Rc<GatewaySettings>, part: Part, id: Id, room: usize) -> Self {
        let upstreams = || part.upstreams.iter();
        let upstream_labels =
            upstreams().map(|upstream| Arc::new(UpstreamLabel::new(&upstream.name, &upstream.url))).collect();
        let upstream_hosts = upstreams().map(|upstream| HeaderValue::from_str(upstream.url.authority()).ok()).collect();
        let credentials = credential_names(&part);
        let resources = part.policies.authn.iter().filter_map(|named| named.policy.protected_resource());
        let metadata = resource_metadata(&resources.collect::<Vec<_>>());
        let is_login =
            |place: &Place<AuthnPolicy>| part.policies.get(*place).is_some_and(|own| own.policy.login().is_some());
        let logins: Vec<_> = (0..part.policies.authn.len()).map(Place::new).filter(is_login).collect();
        let fields = Arc::new(field_rules(&part));
        // Logins depend on what browsers say of their requests.
        let names_left_out = !logins.is_empty() || fields.names_any(&UNREAD_IN_REQUESTS);
        let reads_content = part.policies.authn.iter().any(|named| named.policy.as_kind().uses().content)
            || upstreams().any(|upstream| upstream.auth.reads_content());
        let reads = |uses: Uses<'_>| uses.certificate || uses.named_certificate;
        let reads_certificates = part.policies.iter().any(|policy| reads(policy.uses));
        let reads_location = read_sources(&part).any(Source::is_of_location);
        let pages = (0..part.page_count()).map(|_| RefCell::default()).collect();
        Self {
            gateway,
            pages,
            cost: Cell::new(0),
            cost_max: room.saturating_mul(COST_OF_STORED_BYTE),
            upstream_labels,
            upstream_hosts,
            credentials,
            metadata,
            logins,
            fields,
            names_left_out,
            reads_content,
            reads_certificates,
            reads_location,
            id,
            part,
        }
    }

    /// The policy that a request for a path is for, if it is for one itself.
    pub(crate) fn login(&self, path: &str) -> Option<(&Named<AuthnPolicy>, &OidcLoginSettings, LoginPath)> {
        let named = self.logins.iter().filter_map(|place| self.part.policies.get(*place));
        named.filter_map(|named| Some((named, named.policy.login()?))).find_map(|(named, login)| {
            let asked = login.asked(path)?;
            Some((named, login, asked))
        })
    }

    /// Whether all pages are in memory that [`Site::open`] decodes.
    pub(crate) fn is_open(&self, path: &CanonicalPath) -> bool {
        self.has_pages(path) && plain(path).is_none_or(|plain| self.has_pages(&plain))
    }

    fn has_pages(&self, path: &CanonicalPath) -> bool {
        let is_open = |page: usize| self.pages[page].borrow().is_some();
        let check = &mut |page| if is_open(page) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
        self.part.visit(path, check).is_continue()
    }

    /// Decodes the pages that may have routes for a path, or for it without matrix parameters, so that every search for
    /// both succeeds.
    ///
    /// # Errors
    /// If one cannot be used.
    pub(crate) fn open(&self, path: &CanonicalPath) -> Result<(), RecordError> {
        let open = |path: &CanonicalPath| self.visit(path, |_| ControlFlow::<()>::Continue(())).map(drop);
        open(path)?;
        plain(path).map_or(Ok(()), |plain| open(&plain))
    }

    /// Decodes each page once.
    ///
    /// # Errors
    /// If one cannot be used.
    pub(crate) fn open_all(&self) -> Result<usize, RecordError> {
        (0..self.pages.len()).try_fold(0, |routes, page| Ok(routes + self.page(page)?.routes.len()))
    }

    fn page(&self, page: usize) -> Result<Rc<Page>, RecordError> {
        let place = &self.pages[page];
        if let Some(page) = &*place.borrow() {
            return Ok(Rc::clone(page));
        }
        let page = Rc::new(Page::compile(page, self.part.routes(page)?));
        self.make_room(page.cost);
        place.replace(Some(Rc::clone(&page)));
        Ok(page)
    }

    /// Drops all pages if there is no room for another one: they can be decoded again.
    fn make_room(&self, cost: usize) {
        let before = self.cost.get();
        let fits = before.saturating_add(cost) <= self.cost_max;
        if !fits {
            self.pages.iter().for_each(|page| drop(page.take()));
        }
        self.cost.set(if fits { before + cost } else { cost });
    }

    /// The label of the upstream at an index; coherent settings contain only indexes that exist.
    pub(crate) fn upstream_label(&self, index: usize) -> Arc<UpstreamLabel> {
        Arc::clone(&self.upstream_labels[index])
    }

    /// The most specific route of a request among the parts for its host.
    ///
    /// # Errors
    /// If a page that may have it cannot be used; not if the path was [opened](Site::open).
    pub(crate) fn find(sites: &[Rc<Self>], request: &RequestHead<'_>) -> Result<Found, RecordError> {
        let mut found = Matched::Nothing;
        for (place, site) in sites.iter().enumerate() {
            let selected = site.visit(request.path, |page| {
                let before = std::mem::replace(&mut found, Matched::Nothing);
                found = before.or(page.router.find(request));
                match found {
                    Matched::Route(index) => ControlFlow::Break(Selected { place, page, index }),
                    Matched::OtherMethods(_) | Matched::Nothing => ControlFlow::Continue(()),
                }
            })?;
            if let Some(selected) = selected {
                return Ok(Found::Route(selected));
            }
        }
        Ok(match found {
            Matched::OtherMethods(methods) => Found::OtherMethods(methods),
            Matched::Route(_) | Matched::Nothing => Found::Nothing,
        })
    }

    /// Visits the pages of a path until `visit` breaks; returns what it breaks with.
    ///
    /// # Errors
    /// If a page cannot be used: the routes on it may restrict access, so others must not replace them.
    fn visit<B>(
        &self,
        path: &CanonicalPath,
        mut visit: impl FnMut(Rc<Page>) -> ControlFlow<B>,
    ) -> Result<Option<B>, RecordError> {
        let visited = self.part.visit(path, &mut |page| match self.page(page) {
            Ok(page) => visit(page).map_break(Ok),
            Err(error) => ControlFlow::Break(Err(error)),
        });
        visited.break_value().transpose()
    }

    /// A query as it is forwarded: without API keys. An empty one is not the same as none (RFC 3986, section 6.2.3), unless only
    /// keys were in it.
    pub(crate) fn without_keys(sites: &[Rc<Self>], query: Option<&str>) -> Option<String> {
        let received = query?;
        let mut query = received.to_owned();
        for site in sites {
            if let Cow::Owned(rest) = site.credentials.without_keys(&query) {
                query = rest;
            }
        }
        (received.is_empty() || !query.is_empty()).then_some(query)
    }

    /// The resources under which responses to a GET of this URL, whose query has no API keys, are stored.
    ///
    /// # Errors
    /// As [`Site::find`].
    pub(crate) fn resources(
        sites: &[Rc<Self>],
        name: &HostName,
        path: &CanonicalPath,
        query: Option<&str>,
    ) -> Result<Vec<CacheKey>, RecordError> {
        let mut resources = Vec::new();
        for site in sites {
            site.visit(path, |page| {
                let (routes, is_complete) = page.router.gather(path, &Method::GET);
                for cache in routes.into_iter().filter_map(|index| page.routes[index].cache.as_ref()) {
                    let resource = resource_key(
                        cache,
                        Resource { host: name.as_str(), path: path.as_str(), query },
                        CacheKey::digest,
                    );
                    // Few routes match one path.
                    if !resources.contains(&resource) {
                        resources.push(resource);
                    }
                }
                if is_complete { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        Ok(resources)
    }
}

impl Page {
    fn compile(number: usize, Routes { settings: routes, cost }: Routes) -> Self {
        let router = Router::new(routes.iter().map(Entry::from));
        let labels = routes.iter().map(|_| OnceCell::new()).collect();
        let siblings = siblings(&routes);
        Self { number, routes, router, labels, siblings, cost }
    }
}

impl Selected {
    pub(crate) fn route(&self) -> &RouteSettings {
        &self.page.routes[self.index]
    }

    /// The route's label in telemetry.
    pub(crate) fn label(&self) -> Arc<RouteLabel> {
        let route = self.route();
        let label = || Arc::new(RouteLabel::new(&route.id, &route.api, route.path.label()));
        Arc::clone(self.page.labels[self.index].get_or_init(label))
    }

    /// What decides the selection of the route besides the URL.
    pub(crate) fn taken(&self, inside: bool) -> Taken<'_> {
        let siblings = self.page.siblings.get(&self.index).map_or(&[][..], Vec::as_slice);
        Taken { when: &self.route().when, siblings, inside }
    }

    /// Whether both are one route of the same parts. Its page may have been decoded again between the searches.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let place = |of: &Self| (of.place, of.page.number, of.index);
        place(self) == place(other)
    }
}

/// The path as a server reads it that removes matrix parameters, if it has some; a path that would be refused is not
/// searched.
fn plain(path: &CanonicalPath) -> Option<CanonicalPath> {
    path.has_parameters().then(|| path.without_parameters().ok()).flatten()
}

/// The places in which a policy reads credentials, with its index.
fn credential_places(part: &Part) -> impl Iterator<Item = (usize, &CredentialPlace)> {
    let authenticators = part.policies.authn.iter().enumerate();
    authenticators.filter_map(|(at, named)| Some((at, named.policy.as_kind().uses().credential?)))
}

fn credential_names(part: &Part) -> CredentialNames {
    let mut names = CredentialNames::default();
    credential_places(part).for_each(|(_, place)| names.add(place));
    for login in part.policies.authn.iter().filter_map(|named| named.policy.login()) {
        names.add_cookie(&login.cookie);
        (0..LOGINS_MAX).for_each(|number| names.add_cookie(&login.login_cookie(number)));
    }
    names
}

/// The fields of the predicates of all routes with the path of a cached route; only where there are some.
fn siblings(routes: &[RouteSettings]) -> HashMap<RouteIndex, Vec<String>> {
    let mut by_path: HashMap<String, Vec<String>> = HashMap::new();
    for route in routes {
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
    let cached = routes.iter().enumerate().filter(|(_, route)| route.cache.is_some());
    cached.filter_map(|(index, route)| Some((index, by_path.get(&route.path.shape())?.clone()))).collect()
}

fn field_rules(part: &Part) -> FieldRules {
    let mut rules = FieldRules::default();
    for (policy, place) in credential_places(part) {
        rules.add_credential(place.field.as_str(), place.scheme.as_deref(), policy);
        if place.with_proof {
            rules.add_credential(place.field.as_str(), place.scheme.as_ref().map(|_| "DPoP"), policy);
            rules.add_credential("dpop", None, policy);
        }
    }
    for (at, upstream) in part.upstreams.iter().enumerate() {
        upstream.fields.iter().for_each(|(name, _)| rules.add_set(name, at));
        if !upstream.auth.is_none() {
            rules.add_set(AUTHORIZATION.as_str(), at);
        }
        if let UpstreamAuth::Aws(_) = upstream.auth {
            AwsSettings::SET.iter().for_each(|name| rules.add_set(name.as_str(), at));
        }
        upstream.identity.iter().for_each(|field| rules.add_identity(field.name.as_str()));
    }
    part.selecting.iter().for_each(|name| rules.add_selecting(name));
    // A field that a condition reads, or a limit counts by, must not reach the upstream in another spelling, with another value.
    for source in read_sources(part) {
        if let Source::Header(name) = source {
            rules.add_selecting(name);
        }
    }
    rules
}

/// What policies read of requests by name.
fn read_sources(part: &Part) -> impl Iterator<Item = &Source> {
    let authz = part.policies.authz.iter().flat_map(|named| named.policy.reads());
    authz.chain(part.policies.limit.iter().flat_map(|named| named.policy.reads()))
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

    /// Drops the parts with an id.
    pub(crate) fn remove(&mut self, id: &Id) {
        self.sites.retain(|_, site| site.id != *id);
        self.size = self.sites.values().map(|site| size(site)).sum();
    }

    /// Adds a part within `room` bytes; a larger one is kept alone. Returns whether others were dropped for it.
    pub(crate) fn insert(&mut self, key: K, site: &Rc<Site>, room: usize) -> bool {
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

fn size(site: &Site) -> usize {
    site.part.bytes() + SITE_SIZE
}

/// The size of a part without routes, as bytes of stored form.
const SITE_SIZE: usize = 256;

/// What is charged for a byte of routes in stored form, generously.
const COST_OF_STORED_BYTE: usize = 32;
