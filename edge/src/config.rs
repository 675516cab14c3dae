//! The configuration an isolate runs on: the last good bundle, loaded part by part as hosts are asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use futures_util::future::{join, join_all};
use http::Method;
use serde_json::json;
use tollgate_core::bounds::{PART_BYTES_MAX, SITES_CACHED_MAX};
use tollgate_core::cache::{CacheKey, CacheSettings, Purges, resource_key};
use tollgate_core::route::{CanonicalPath, Entry, HostName, HostPattern, Matched, RequestHead, Router};
use tollgate_core::settings::{GatewaySettings, RouteSettings, SiteSettings};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{Id, Manifest, Pointer, Record, RecordError, decode, decode_named, keys};

use crate::patience::within;
use crate::ports::{Host, Records, TelemetrySink, Unavailable};

/// The configuration of one isolate.
#[derive(Debug)]
pub(crate) struct Config {
    gateway: String,
    active: RefCell<Option<Rc<Active>>>,
    /// The last part that served each host pattern: it serves on when a newer bundle's part cannot be used, however many
    /// broken bundles come in a row.
    last_good: RefCell<HashMap<String, Rc<Site>>>,
    purges: RefCell<Purges>,
    /// Complaints since the last new bundle, so that each is logged once and not with every request.
    complaints: RefCell<HashSet<String>>,
}

/// A bundle in use.
#[derive(Debug)]
struct Active {
    bundle: Id,
    /// Shared with its sites and with what comes after replies.
    gateway: Rc<GatewaySettings>,
    hosts: BTreeMap<String, Id>,
    /// The host patterns that answer only callers inside.
    internal: HashSet<String>,
    /// Parts loaded so far.
    sites: RefCell<HashMap<Id, Rc<Site>>>,
    /// Parts that cannot be used; read again only once the pointer has been looked at again.
    unusable: RefCell<HashMap<Id, RecordError>>,
}

/// One host part, compiled.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) gateway: Rc<GatewaySettings>,
    pub(crate) settings: SiteSettings,
    pub(crate) router: Router,
}

/// Why there is nothing to serve a request with.
#[derive(Debug)]
pub(crate) enum NoSite {
    /// Nothing was published under this gateway's name.
    Unpublished,
    /// The bundle has no routes for this host.
    UnknownHost,
    /// A store is away, and nothing was loaded before.
    Unavailable(String),
    /// What was published cannot be used, and nothing was loaded before.
    Unusable(String),
}

/// Different complaints logged per bundle: more say nothing new.
const COMPLAINTS_MAX: usize = 16;

/// Why a record was not read.
enum Failure {
    Absent,
    Away(Unavailable),
    Bad(RecordError),
}

impl Config {
    pub(crate) fn new(gateway: String) -> Self {
        Self {
            gateway,
            active: RefCell::default(),
            last_good: RefCell::default(),
            purges: RefCell::default(),
            complaints: RefCell::default(),
        }
    }

    /// The same bundle, its parts shared, and nothing else.
    pub(crate) fn renewed(&self) -> Self {
        Self { active: self.active.clone(), ..Self::new(self.gateway.clone()) }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.active.borrow().is_some()
    }

    pub(crate) fn is_purged(&self, resource: &CacheKey, stored_at: Timestamp) -> bool {
        self.purges.borrow().covers(resource, stored_at)
    }

    /// Settings of the gateway as a whole, once a bundle was loaded.
    pub(crate) fn gateway(&self) -> Option<Rc<GatewaySettings>> {
        self.active.borrow().as_ref().map(|active| Rc::clone(&active.gateway))
    }

    /// Looks at the pointer and the purges, and moves to another bundle if there is one that can be used.
    pub(crate) async fn refresh<H: Host>(&self, host: &H) {
        if let Err(failure) = self.load(host).await {
            let reason = match failure {
                Failure::Absent => return,
                Failure::Away(away) => away.to_string(),
                Failure::Bad(error) => error.to_string(),
            };
            self.complain(host, &reason);
        }
    }

    /// The parts for a host, those of its most specific pattern first, loading what is missing; never empty.
    ///
    /// One that cannot be had fails the request: a wider pattern's routes must not stand in for what it may guard.
    ///
    /// To a caller outside, the patterns that are internal are not there; a host whose most specific pattern is one is not
    /// known, whatever wider pattern would match it.
    pub(crate) async fn sites<H: Host>(
        &self,
        host: &H,
        name: &HostName,
        inside: bool,
    ) -> Result<Vec<Rc<Site>>, NoSite> {
        if !self.is_loaded() {
            self.load(host).await.map_err(|failure| self.explain(host, failure))?;
        }
        let Some(active) = self.active.borrow().clone() else { return Err(NoSite::Unpublished) };
        let Active { hosts, internal, .. } = active.as_ref();
        let is_known = |pattern: &String| hosts.contains_key(pattern) || internal.contains(pattern);
        if !inside && HostPattern::candidates(name).find(is_known).is_some_and(|first| internal.contains(&first)) {
            return Err(NoSite::UnknownHost);
        }
        let patterns = HostPattern::candidates(name).filter(|pattern| inside || !internal.contains(pattern));
        let parts = patterns.filter_map(|pattern| hosts.get(&pattern).map(|id| (pattern, id)));
        let sites = join_all(parts.map(|(pattern, id)| self.site_of(host, &active, pattern, id))).await;
        let sites = sites.into_iter().collect::<Result<Vec<_>, _>>()?;
        if sites.is_empty() { Err(NoSite::UnknownHost) } else { Ok(sites) }
    }

    async fn load<H: Host>(&self, host: &H) -> Result<(), Failure> {
        let (pointer, purges) =
            join(self.read(host, keys::active(&self.gateway)), self.read(host, keys::purges(&self.gateway))).await;
        if let Ok(purges) = purges.and_then(|bytes| decode::<Purges>(&bytes).map_err(Failure::Bad)) {
            self.purges.replace(purges);
        }
        let pointer: Pointer = decode(&pointer?).map_err(Failure::Bad)?;
        if let Some(active) = self.active.borrow().as_ref().filter(|active| active.bundle == pointer.bundle) {
            active.unusable.borrow_mut().clear();
            return Ok(());
        }
        let key = keys::manifest(&self.gateway, &pointer.bundle);
        let manifest: Manifest = self.read_named(host, key, &pointer.bundle).await?;
        self.activate(pointer.bundle, manifest);
        self.complaints.borrow_mut().clear();
        Ok(())
    }

    fn activate(&self, bundle: Id, manifest: Manifest) {
        let old = self.active.take();
        // Parts that both bundles share need not be loaded again, unless the gateway's own settings changed.
        let wanted: HashSet<&Id> = manifest.hosts.values().collect();
        let shared: HashMap<Id, Rc<Site>> = old
            .iter()
            .filter(|old| *old.gateway == manifest.gateway)
            .flat_map(|old| old.sites.borrow().clone())
            .filter(|(id, _)| wanted.contains(id))
            .collect();
        let internal = manifest.gateway.internal_hosts.iter().map(HostPattern::to_string).collect();
        self.active.replace(Some(Rc::new(Active {
            bundle,
            internal,
            gateway: Rc::new(manifest.gateway),
            hosts: manifest.hosts,
            sites: RefCell::new(shared),
            unusable: RefCell::default(),
        })));
    }

    /// The part of a pattern; the last good one where it cannot be used.
    async fn site_of<H: Host>(&self, host: &H, active: &Active, pattern: String, id: &Id) -> Result<Rc<Site>, NoSite> {
        match self.loaded(host, active, id).await {
            Ok(site) => {
                if !self.last_good.borrow().get(&pattern).is_some_and(|known| Rc::ptr_eq(known, &site)) {
                    insert_bounded(&mut self.last_good.borrow_mut(), pattern, &site);
                }
                Ok(site)
            }
            Err(failure) => {
                let reason = self.explain(host, failure);
                self.last_good.borrow().get(&pattern).cloned().ok_or(reason)
            }
        }
    }

    async fn loaded<H: Host>(&self, host: &H, active: &Active, id: &Id) -> Result<Rc<Site>, Failure> {
        if let Some(site) = active.sites.borrow().get(id) {
            return Ok(Rc::clone(site));
        }
        if let Some(error) = active.unusable.borrow().get(id) {
            return Err(Failure::Bad(error.clone()));
        }
        let settings = self.read_site(host, id).await.inspect_err(|failure| {
            if let Failure::Bad(error) = failure {
                active.unusable.borrow_mut().insert(id.clone(), error.clone());
            }
        })?;
        let site = Rc::new(Site::compile(Rc::clone(&active.gateway), settings));
        insert_bounded(&mut active.sites.borrow_mut(), id.clone(), &site);
        Ok(site)
    }

    async fn read_site<H: Host>(&self, host: &H, id: &Id) -> Result<SiteSettings, Failure> {
        let settings: SiteSettings = self.read_named(host, keys::part(&self.gateway, id), id).await?;
        if settings.is_coherent() {
            return Ok(settings);
        }
        let reason = "a route names a policy or an upstream that is not there".to_owned();
        Err(Failure::Bad(RecordError::Damaged { kind: SiteSettings::KIND, reason }))
    }

    async fn read<H: Host>(&self, host: &H, key: String) -> Result<Vec<u8>, Failure> {
        let answer = within(host, "the record store", host.records().read(&key)).await;
        answer.map_err(Failure::Away)?.ok_or(Failure::Absent)
    }

    async fn read_named<H: Host, T: Record>(&self, host: &H, key: String, id: &Id) -> Result<T, Failure> {
        let bytes = self.read(host, key).await.map_err(|failure| match failure {
            // A name without its record: written in the wrong order, or not here yet.
            Failure::Absent => {
                Failure::Bad(RecordError::Damaged { kind: T::KIND, reason: "there is no such record".to_owned() })
            }
            other => other,
        })?;
        if bytes.len() > PART_BYTES_MAX {
            let reason = format!("longer than {PART_BYTES_MAX} bytes");
            return Err(Failure::Bad(RecordError::Damaged { kind: T::KIND, reason }));
        }
        decode_named(&bytes, id).map_err(Failure::Bad)
    }

    fn explain<H: Host>(&self, host: &H, failure: Failure) -> NoSite {
        match failure {
            Failure::Absent => NoSite::Unpublished,
            Failure::Away(away) => {
                self.complain(host, &away.to_string());
                NoSite::Unavailable(away.to_string())
            }
            Failure::Bad(error) => {
                self.complain(host, &error.to_string());
                NoSite::Unusable(error.to_string())
            }
        }
    }

    fn complain<H: Host>(&self, host: &H, reason: &str) {
        let mut complaints = self.complaints.borrow_mut();
        if complaints.len() >= COMPLAINTS_MAX || !complaints.insert(reason.to_owned()) {
            return;
        }
        let serving = self.active.borrow().as_ref().map(|active| active.bundle.to_string());
        let line = json!({"level": "error", "event": "configuration-refused", "gateway": self.gateway, "reason": reason, "serving_bundle": serving});
        host.telemetry_sink().log(&line.to_string());
    }
}

/// Remembers a part; a map that is full begins anew, as its parts can be read again.
fn insert_bounded<K: std::hash::Hash + Eq>(sites: &mut HashMap<K, Rc<Site>>, key: K, site: &Rc<Site>) {
    if sites.len() >= SITES_CACHED_MAX {
        sites.clear();
    }
    sites.insert(key, Rc::clone(site));
}

impl Site {
    fn compile(gateway: Rc<GatewaySettings>, settings: SiteSettings) -> Self {
        let methods: Vec<Vec<Method>> = settings
            .routes
            .iter()
            .map(|route| route.methods.iter().filter_map(|m| Method::from_bytes(m.as_bytes()).ok()).collect())
            .collect();
        let routes = settings.routes.iter().zip(&methods);
        let router = Router::new(routes.map(|(r, methods)| Entry { path: &r.path, methods, when: &r.when }));
        Self { gateway, settings, router }
    }

    /// The routes of GETs for this URL that are cached, whatever their fields.
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

    /// The resources under which GETs for this URL are stored.
    pub(crate) fn resources(
        sites: &[Rc<Self>],
        name: &HostName,
        path: &CanonicalPath,
        query: Option<&str>,
    ) -> Vec<CacheKey> {
        let resource = |cache| resource_key(cache, (name.as_str(), path.as_str(), query));
        let mut resources: Vec<CacheKey> = Self::cached(sites, path).map(|(_, cache)| resource(cache)).collect();
        resources.sort_unstable();
        resources.dedup();
        resources
    }

    /// The most specific route of a request among the parts for its host, and in which part it is.
    pub(crate) fn find(sites: &[Rc<Self>], request: &RequestHead<'_>) -> (usize, Matched) {
        Router::find_in(sites.iter().map(|site| &site.router), request)
    }
}
