//! The configuration of an isolate: the newest generation that it can read, loaded part by part as hosts are requested.
//!
//! A host is served from the first of these that is available: the newest generation whose manifest could be read; if
//! one of the host's parts in it cannot be read, the previous generation; then the parts that the host's patterns were
//! last served from. Except in the last case, a host is served from one generation as a whole.

mod loaded;
mod reading;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use futures_util::future::join;
use tollgate_core::cache::{CacheKey, Purges};
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::settings::GatewaySettings;
use tollgate_core::telemetry::event_line;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{Generation, Id, Pointer, decode, keys};

use crate::apart::{rare, together};
use crate::ports::{Clock, Host, TelemetrySink};
use crate::site::{Remembered, Site, Sites};
use loaded::Loaded;
use reading::{Failure, Reader};

/// The configuration of one isolate.
#[derive(Debug)]
pub(crate) struct Config {
    gateway: String,
    /// The last pointer that was read; its generation only increases.
    pointer: RefCell<Option<Pointer>>,
    /// The newest generation that could be read.
    active: RefCell<Option<Rc<Loaded>>>,
    /// The generation for hosts with parts that cannot be read in the active one.
    standby: RefCell<Standby>,
    /// The last usable part of each host pattern. It is used if no newer one can be read, after any number of broken
    /// generations.
    last_good: RefCell<Remembered<String>>,
    /// Maximum bytes of cached parts.
    room: usize,
    purges: RefCell<Purges>,
    /// Why there may be purges that are not known, if so: then no stored response may be used.
    unknown_purges: RefCell<Option<Cow<'static, str>>>,
    /// Reasons logged since the last new bundle, so that each is logged once and not with every request.
    logged_reasons: RefCell<HashSet<String>>,
}

/// The previous generation.
#[derive(Clone, Debug, Default)]
enum Standby {
    /// It was not needed yet.
    #[default]
    NotLoaded,
    Loaded(Rc<Loaded>),
    /// It cannot be read; retried when the pointer has been read again.
    Failed,
}

/// What a request asks for.
#[derive(Clone, Copy)]
struct Asked<'r> {
    name: &'r HostName,
    path: &'r CanonicalPath,
    inside: bool,
}

/// Why there is no configuration for a request.
#[derive(Debug)]
pub(crate) enum NoSite {
    /// Nothing was published under this gateway's name.
    Unpublished,
    /// The bundle has no routes for this host.
    UnknownHost,
    /// A store is unavailable, and nothing was loaded before.
    Unavailable(String),
    /// The published bundle cannot be used, and nothing was loaded before.
    Unusable(String),
}

/// Maximum number of reasons logged per bundle.
const LOGGED_REASONS_MAX: usize = 16;

impl Config {
    pub(crate) fn new(gateway: String, room: usize) -> Self {
        Self {
            gateway,
            pointer: RefCell::default(),
            active: RefCell::default(),
            standby: RefCell::default(),
            last_good: RefCell::default(),
            room,
            purges: RefCell::default(),
            unknown_purges: RefCell::new(Some("the purges were not read yet".into())),
            logged_reasons: RefCell::default(),
        }
    }

    /// The same bundle with shared parts, and no other state.
    pub(crate) fn renewed(&self) -> Self {
        let (pointer, active) = (self.pointer.clone(), self.active.clone());
        let unknown_purges = self.unknown_purges.clone();
        Self { pointer, active, unknown_purges, ..Self::new(self.gateway.clone(), self.room) }
    }

    pub(crate) fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.active.borrow().is_some()
    }

    pub(crate) fn is_purged(&self, resource: &CacheKey, requested_at: Timestamp) -> bool {
        self.purges.borrow().covers(resource, requested_at)
    }

    /// Why there may be purges that are not known, if so.
    pub(crate) fn why_purges_are_unknown(&self) -> Option<Cow<'static, str>> {
        self.unknown_purges.borrow().clone()
    }

    /// Settings of the gateway as a whole, once a bundle was loaded.
    pub(crate) fn gateway(&self) -> Option<Rc<GatewaySettings>> {
        self.active.borrow().as_ref().map(|active| Rc::clone(&active.gateway))
    }

    /// Merges these purges with the known ones, because a store may return an older record than before.
    pub(crate) fn add_purges(&self, purges: &Purges) {
        self.purges.borrow_mut().merge(purges);
    }

    /// Reads the pointer and the purges, switches to a newer generation if there is one that can be read, and retries
    /// parts that could not be read.
    pub(crate) async fn refresh<H: Host>(&self, host: &H) {
        match self.load(host).await {
            Ok(()) | Err(Failure::Absent) => {}
            Err(failure) => drop(self.explain(host, &failure)),
        }
        self.retry(host).await;
    }

    /// The parts for a host, with the pages of a path, loading what is missing.
    ///
    /// If a part cannot be loaded and no older generation has it, the request fails: a wider pattern's routes must not
    /// replace it, because the part may restrict access.
    ///
    /// For an external caller, internal patterns do not exist. A host whose most specific pattern is internal is
    /// unknown, even if a wider pattern would match it.
    pub(crate) async fn sites<H: Host>(
        &self,
        host: &H,
        name: &HostName,
        path: &CanonicalPath,
        inside: bool,
    ) -> Result<Sites, NoSite> {
        let known = self.active.borrow().as_ref().and_then(|active| active.known(name, inside));
        if let Some(sites) = known.filter(|sites| sites.iter().all(|site| site.is_open(path))) {
            return Ok(sites);
        }
        rare(self.read_sites(host, Asked { name, path, inside })).await
    }

    fn reader<'r, H>(&'r self, host: &'r H) -> Reader<'r, H> {
        Reader { host, gateway: &self.gateway, room: self.room }
    }

    /// The parts for a host or a path that was not asked for before.
    async fn read_sites<H: Host>(&self, host: &H, asked: Asked<'_>) -> Result<Sites, NoSite> {
        if !self.is_loaded()
            && let Err(failure) = self.load(host).await
        {
            let reason = self.explain(host, &failure);
            if !self.is_loaded() {
                return Err(reason);
            }
        }
        let Some(active) = self.active.borrow().clone() else { return Err(NoSite::Unpublished) };
        let failure = match self.sites_of(host, &active, asked).await {
            Ok(sites) if sites.is_empty() => return Err(NoSite::UnknownHost),
            Ok(sites) => {
                active.remember(asked.name, asked.inside, &sites);
                return Ok(sites);
            }
            Err(failure) => failure,
        };
        let reason = self.explain(host, &failure);
        match self.sites_before(host, &active, asked).await {
            Some(sites) => Ok(sites),
            None => {
                active.forget_outage();
                Err(reason)
            }
        }
    }

    /// The parts for a host from an older generation, or those that its patterns were last served from.
    async fn sites_before<H: Host>(&self, host: &H, active: &Loaded, asked: Asked<'_>) -> Option<Sites> {
        if let Some(standby) = self.standby(host, active).await
            && let Ok(sites) = self.sites_of(host, &standby, asked).await
            && !sites.is_empty()
        {
            return Some(sites);
        }
        let parts = active.parts_for(asked.name, asked.inside).ok()?;
        let last_good = self.last_good.borrow();
        let usable = |pattern: &String| last_good.get(pattern).filter(|site| site.open(asked.path).is_ok());
        parts.iter().map(|(pattern, _)| usable(pattern).map(Rc::clone)).collect()
    }

    async fn load<H: Host>(&self, host: &H) -> Result<(), Failure> {
        let reader = self.reader(host);
        let (pointer, purges) =
            join(reader.read(&keys::active(&self.gateway)), reader.read(&keys::purges(&self.gateway))).await;
        self.accept_purges(host, purges);
        let pointer: Pointer = decode(&pointer?).map_err(Failure::Unusable)?;
        self.accept(&pointer)?;
        if self.serves(&pointer.newest) {
            return Ok(());
        }
        let failure = match reader.generation(&pointer.newest).await {
            Ok(loaded) => {
                // Another request may have loaded a newer one while this one read.
                if !self.is_older(&pointer.newest) {
                    self.activate(loaded, pointer.previous.as_ref());
                }
                return Ok(());
            }
            Err(failure) => failure,
        };
        if let Some(previous) = pointer.previous.as_ref().filter(|previous| self.is_newer(previous))
            && let Ok(loaded) = reader.generation(previous).await
            && self.is_newer(previous)
        {
            self.activate(loaded, None);
        }
        Err(failure)
    }

    /// Adds the purges of the record. While the store is unavailable those read before apply. A record that cannot be used may
    /// have any purge.
    fn accept_purges<H: Host>(&self, host: &H, read: Result<Vec<u8>, Failure>) {
        match read.and_then(|bytes| decode::<Purges>(&bytes).map_err(Failure::Unusable)) {
            Ok(purges) => {
                self.add_purges(&purges);
                self.unknown_purges.replace(None);
            }
            Err(Failure::Absent) => drop(self.unknown_purges.replace(None)),
            Err(Failure::Unavailable(_)) => {}
            Err(failure @ (Failure::Unusable(_) | Failure::Stale { .. })) => {
                let reason = format!("no stored response is used, because the record of purges cannot be: {failure}");
                self.log_refused(host, "error", &reason);
                self.unknown_purges.replace(Some(reason.into()));
            }
        }
    }

    /// Stores a pointer, unless one with a larger generation was already read: an eventually consistent store may
    /// return an older one.
    fn accept(&self, pointer: &Pointer) -> Result<(), Failure> {
        let mut seen = self.pointer.borrow_mut();
        let newest = seen.as_ref().map_or(0, |seen| seen.newest.generation);
        if pointer.newest.generation < newest {
            return Err(Failure::Stale { found: pointer.newest.generation, seen: newest });
        }
        *seen = Some(pointer.clone());
        drop(seen);
        if matches!(*self.standby.borrow(), Standby::Failed) {
            self.standby.replace(Standby::NotLoaded);
        }
        Ok(())
    }

    /// Whether the bundle of this generation is the active one; if so, the active one takes this generation's number.
    fn serves(&self, generation: &Generation) -> bool {
        let active = self.active.borrow();
        let active = active.as_ref().filter(|active| active.bundle == generation.bundle);
        active.inspect(|active| active.generation.set(generation.generation)).is_some()
    }

    fn is_older(&self, generation: &Generation) -> bool {
        self.active.borrow().as_ref().is_some_and(|active| active.generation.get() > generation.generation)
    }

    fn is_newer(&self, generation: &Generation) -> bool {
        self.active.borrow().as_ref().is_none_or(|active| active.generation.get() < generation.generation)
    }

    /// Activates a generation; the active one is kept as the previous one if the pointer names it.
    fn activate(&self, loaded: Loaded, previous: Option<&Generation>) {
        let before = self.active.replace(Some(Rc::new(loaded)));
        let before = before.filter(|before| previous.is_some_and(|previous| previous.bundle == before.bundle));
        let standby = before.map_or(Standby::NotLoaded, |before| {
            before.forget();
            Standby::Loaded(before)
        });
        self.standby.replace(standby);
        self.logged_reasons.borrow_mut().clear();
    }

    /// The previous generation named by the pointer, loaded when it is first needed.
    async fn standby<H: Host>(&self, host: &H, active: &Loaded) -> Option<Rc<Loaded>> {
        match &*self.standby.borrow() {
            Standby::NotLoaded => {}
            Standby::Loaded(standby) => return Some(Rc::clone(standby)),
            Standby::Failed => return None,
        }
        let previous = self.pointer.borrow().as_ref().and_then(|pointer| pointer.previous.clone());
        let previous = previous.filter(|previous| previous.generation < active.generation.get())?;
        let loaded = self.reader(host).generation(&previous).await;
        let standby = loaded.map(Rc::new).map_err(|failure| drop(self.explain(host, &failure))).ok();
        self.standby.replace(standby.clone().map_or(Standby::Failed, Standby::Loaded));
        standby
    }

    /// All parts of a generation for a host; empty if it does not have the host.
    async fn sites_of<H: Host>(&self, host: &H, of: &Loaded, asked: Asked<'_>) -> Result<Sites, Failure> {
        let parts = of.parts_for(asked.name, asked.inside).map_err(Failure::Unusable)?;
        let found = parts.iter().map(|(pattern, id)| self.site(host, of, pattern, *id));
        let sites: Sites = together(found).await.into_iter().collect::<Result<_, _>>()?;
        for site in sites.iter() {
            if let Err(error) = site.open(asked.path) {
                of.refuse(site.id, error.clone().into());
                return Err(error.into());
            }
        }
        let mut last_good = self.last_good.borrow_mut();
        for (site, (pattern, _)) in sites.iter().zip(&parts) {
            let made_room = last_good.insert(pattern.clone(), site, self.room);
            of.forget_hosts_if(made_room);
        }
        Ok(sites)
    }

    async fn site<H: Host>(&self, host: &H, of: &Loaded, pattern: &str, id: Id) -> Result<Rc<Site>, Failure> {
        if let Some(known) = of.part(&id) {
            return known;
        }
        // A part that another generation has for this pattern need not be loaded again.
        let same = |site: &&Rc<Site>| site.id == id && *site.gateway == *of.gateway;
        let known = self.last_good.borrow().get(pattern).filter(same).map(Rc::clone);
        let site = match known {
            Some(site) => Ok(site),
            None => self.reader(host).site(&of.gateway, id).await.map(Rc::new),
        };
        of.keep(id, site, self.room)
    }

    /// Retries parts that could not be read, a few at a time and after a reply, so that no request waits for it.
    async fn retry<H: Host>(&self, host: &H) {
        let active = self.active.borrow().clone();
        let standby = match &*self.standby.borrow() {
            Standby::Loaded(standby) => Some(Rc::clone(standby)),
            Standby::NotLoaded | Standby::Failed => None,
        };
        for loaded in active.into_iter().chain(standby) {
            let again = loaded.take_unusable(RETRIED_MAX).into_iter().map(|id| {
                let (reader, gateway) = (self.reader(host), &loaded.gateway);
                async move { (id, reader.site(gateway, id).await.and_then(opened).map(Rc::new)) }
            });
            for (id, site) in together(again).await {
                // The next request that needs it reports what is wrong with it.
                drop(loaded.keep(id, site, self.room));
            }
        }
    }

    fn explain<H: Host>(&self, host: &H, failure: &Failure) -> NoSite {
        let reason = failure.to_string();
        match failure {
            Failure::Absent => NoSite::Unpublished,
            Failure::Unavailable(_) => {
                self.log_refused(host, "error", &reason);
                NoSite::Unavailable(reason)
            }
            Failure::Unusable(_) => {
                self.log_refused(host, "error", &reason);
                NoSite::Unusable(reason)
            }
            Failure::Stale { .. } => {
                self.log_refused(host, "warn", &reason);
                NoSite::Unusable(reason)
            }
        }
    }

    fn log_refused<H: Host>(&self, host: &H, level: &str, reason: &str) {
        let mut logged_reasons = self.logged_reasons.borrow_mut();
        if logged_reasons.len() >= LOGGED_REASONS_MAX || !logged_reasons.insert(reason.to_owned()) {
            return;
        }
        let active = self.active.borrow();
        let line = event_line(host.clock().now(), level, "configuration-refused", &self.gateway, |line| {
            line.text("reason", reason);
            if let Some(active) = active.as_ref() {
                line.number("serving_generation", active.generation.get());
                line.text("serving_bundle", &active.bundle.to_string());
            }
        });
        host.telemetry_sink().log(&line);
    }
}

/// A part that could not be used before: it is used again if all its pages can be.
fn opened(site: Site) -> Result<Site, Failure> {
    site.open_all()?;
    Ok(site)
}

/// Parts retried concurrently: as many connections as a Worker has for one request.
const RETRIED_MAX: usize = 6;
