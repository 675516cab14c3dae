//! The configuration an isolate runs on: the last good bundle, loaded part by part as hosts are asked for.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use futures_util::future::{join, join_all};
use serde_json::json;
use tollgate_core::bounds::HOSTS_REMEMBERED_MAX;
use tollgate_core::cache::{CacheKey, Purges};
use tollgate_core::route::{HostName, HostPattern};
use tollgate_core::settings::GatewaySettings;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{Id, Manifest, Pointer, RecordError, decode, decode_part, keys};

use crate::patience::within;
use crate::ports::{Host, Records, TelemetrySink, Unavailable};
use crate::site::{Remembered, Site, Sites};

/// The configuration of one isolate.
#[derive(Debug)]
pub(crate) struct Config {
    gateway: String,
    active: RefCell<Option<Rc<Active>>>,
    /// The last part that served each host pattern: it serves on when a newer bundle's part cannot be used, however many
    /// broken bundles come in a row.
    last_good: RefCell<Remembered<String>>,
    /// Bytes of parts that are remembered.
    room: usize,
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
    manifest: Manifest,
    /// The host patterns that answer only callers inside.
    internal: HashSet<String>,
    /// Parts loaded so far.
    parts: RefCell<Remembered<Id>>,
    /// Parts that cannot be used; read again only once the pointer has been looked at again.
    unusable: RefCell<HashMap<Id, RecordError>>,
    /// The parts of the hosts asked for so far: what most requests need is one look-up away.
    of_callers_inside: RefCell<HashMap<HostName, Sites>>,
    of_callers_outside: RefCell<HashMap<HostName, Sites>>,
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
    pub(crate) fn new(gateway: String, room: usize) -> Self {
        Self {
            gateway,
            active: RefCell::default(),
            last_good: RefCell::default(),
            room,
            purges: RefCell::default(),
            complaints: RefCell::default(),
        }
    }

    /// The same bundle, its parts shared, and nothing else.
    pub(crate) fn renewed(&self) -> Self {
        Self { active: self.active.clone(), ..Self::new(self.gateway.clone(), self.room) }
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

    /// The parts for a host, loading what is missing.
    ///
    /// One that cannot be had fails the request: a wider pattern's routes must not stand in for what it may guard.
    ///
    /// To a caller outside, the patterns that are internal are not there; a host whose most specific pattern is one is not
    /// known, whatever wider pattern would match it.
    pub(crate) async fn sites<H: Host>(&self, host: &H, name: &HostName, inside: bool) -> Result<Sites, NoSite> {
        if let Some(sites) = self.known(name, inside) {
            return Ok(sites);
        }
        if !self.is_loaded() {
            self.load(host).await.map_err(|failure| self.explain(host, failure))?;
        }
        let Some(active) = self.active.borrow().clone() else { return Err(NoSite::Unpublished) };
        let parts = active.parts_for(name, inside).map_err(|error| self.explain(host, Failure::Bad(error)))?;
        let found = parts.iter().map(|(pattern, id)| self.site_of(host, &active, pattern, *id));
        let sites: Sites = join_all(found).await.into_iter().collect::<Result<_, _>>()?;
        if sites.is_empty() {
            return Err(NoSite::UnknownHost);
        }
        // Where a last good part stands in, its own may be mended: that is not to be remembered.
        if sites.iter().zip(&parts).all(|(site, (_, id))| site.id == *id) {
            active.remember(name, inside, &sites);
        }
        Ok(sites)
    }

    /// The parts for a host that was asked for before.
    fn known(&self, name: &HostName, inside: bool) -> Option<Sites> {
        let active = self.active.borrow();
        active.as_ref()?.hosts(inside).borrow().get(name).map(Rc::clone)
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
        let record = self.read_named(host, keys::manifest(&self.gateway, &pointer.bundle), "manifest").await?;
        let manifest = Manifest::decode(record, &pointer.bundle).map_err(Failure::Bad)?;
        self.active.replace(Some(Rc::new(Active::new(pointer.bundle, manifest))));
        self.complaints.borrow_mut().clear();
        Ok(())
    }

    /// The part of a pattern; the last good one where it cannot be used.
    async fn site_of<H: Host>(&self, host: &H, active: &Active, pattern: &str, id: Id) -> Result<Rc<Site>, NoSite> {
        match self.loaded(host, active, pattern, id).await {
            Ok(site) => {
                let made_room = self.last_good.borrow_mut().insert(pattern.to_owned(), &site, self.room);
                active.forget_hosts_if(made_room);
                Ok(site)
            }
            Err(failure) => {
                let reason = self.explain(host, failure);
                self.last_good.borrow().get(pattern).map(Rc::clone).ok_or(reason)
            }
        }
    }

    async fn loaded<H: Host>(&self, host: &H, active: &Active, pattern: &str, id: Id) -> Result<Rc<Site>, Failure> {
        if let Some(site) = active.parts.borrow().get(&id) {
            return Ok(Rc::clone(site));
        }
        // A part that the bundle before had for this pattern need not be loaded again.
        let same = |site: &&Rc<Site>| site.id == id && *site.gateway == *active.gateway;
        let known = self.last_good.borrow().get(pattern).filter(same).map(Rc::clone);
        let site = match known {
            Some(site) => site,
            None => Rc::new(self.read_site(host, active, id).await?),
        };
        let made_room = active.parts.borrow_mut().insert(id, &site, self.room);
        active.forget_hosts_if(made_room);
        Ok(site)
    }

    async fn read_site<H: Host>(&self, host: &H, active: &Active, id: Id) -> Result<Site, Failure> {
        if let Some(error) = active.unusable.borrow().get(&id) {
            return Err(Failure::Bad(error.clone()));
        }
        let read = async {
            let record = self.read_named(host, keys::part(&self.gateway, &id), "part").await?;
            let settings = decode_part(&record, &id).map_err(Failure::Bad)?;
            Ok(Site::compile(Rc::clone(&active.gateway), settings, id, record.len()))
        };
        read.await.inspect_err(|failure| {
            if let Failure::Bad(error) = failure {
                active.unusable.borrow_mut().insert(id, error.clone());
            }
        })
    }

    async fn read<H: Host>(&self, host: &H, key: String) -> Result<Vec<u8>, Failure> {
        let answer = within(host, "the record store", host.records().read(&key)).await;
        answer.map_err(Failure::Away)?.ok_or(Failure::Absent)
    }

    async fn read_named<H: Host>(&self, host: &H, key: String, kind: &'static str) -> Result<Vec<u8>, Failure> {
        self.read(host, key).await.map_err(|failure| match failure {
            // A name without its record: written in the wrong order, or not here yet.
            Failure::Absent => {
                Failure::Bad(RecordError::Damaged { kind, reason: "there is no such record".to_owned() })
            }
            Failure::Away(_) | Failure::Bad(_) => failure,
        })
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

impl Active {
    fn new(bundle: Id, manifest: Manifest) -> Self {
        Self {
            bundle,
            gateway: Rc::new(manifest.gateway.clone()),
            internal: manifest.gateway.internal_hosts.iter().map(HostPattern::to_string).collect(),
            manifest,
            parts: RefCell::default(),
            unusable: RefCell::default(),
            of_callers_inside: RefCell::default(),
            of_callers_outside: RefCell::default(),
        }
    }

    /// The patterns that match a host, the most specific first, and the names of their parts.
    fn parts_for(&self, name: &HostName, inside: bool) -> Result<Vec<(String, Id)>, RecordError> {
        let mut parts = Vec::new();
        for pattern in HostPattern::candidates(name) {
            let part = self.manifest.part(&pattern)?;
            if !inside && self.internal.contains(&pattern) {
                if parts.is_empty() {
                    return Ok(parts);
                }
            } else if let Some(id) = part {
                parts.push((pattern, id));
            }
        }
        Ok(parts)
    }

    fn hosts(&self, inside: bool) -> &RefCell<HashMap<HostName, Sites>> {
        if inside { &self.of_callers_inside } else { &self.of_callers_outside }
    }

    /// Lets go of parts that were forgotten to make room for others; the hosts that still need them bring them back.
    fn forget_hosts_if(&self, made_room: bool) {
        if made_room {
            self.of_callers_inside.borrow_mut().clear();
            self.of_callers_outside.borrow_mut().clear();
        }
    }

    /// Remembers what a host's requests are routed by.
    fn remember(&self, name: &HostName, inside: bool, sites: &Sites) {
        let mut hosts = self.hosts(inside).borrow_mut();
        if hosts.len() >= HOSTS_REMEMBERED_MAX {
            hosts.clear();
        }
        hosts.insert(name.clone(), Rc::clone(sites));
    }
}
