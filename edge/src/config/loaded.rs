//! A generation in memory: its manifest, and the parts loaded so far.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tollgate_core::bounds::HOSTS_REMEMBERED_MAX;
use tollgate_core::route::{HostName, HostPattern};
use tollgate_core::settings::GatewaySettings;
use tollgate_kv_schemas::{Generation, Id, Manifest, RecordError};

use super::reading::Failure;
use crate::site::{Remembered, Site, Sites};

/// A generation whose manifest was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) generation: Cell<u64>,
    pub(super) bundle: Id,
    /// Shared with its sites and with the work after replies.
    pub(super) gateway: Rc<GatewaySettings>,
    manifest: Manifest,
    /// The host patterns for internal callers only.
    internal: HashSet<String>,
    /// Parts loaded so far.
    parts: RefCell<Remembered<Id>>,
    /// Parts that could not be read, in the order in which to retry them.
    unusable: RefCell<Vec<(Id, Failure)>>,
    /// The parts of the hosts requested so far, so that most requests need one look-up.
    of_callers_inside: RefCell<HashMap<HostName, Sites>>,
    of_callers_outside: RefCell<HashMap<HostName, Sites>>,
}

impl Loaded {
    pub(super) fn new(generation: &Generation, manifest: Manifest) -> Self {
        Self {
            generation: Cell::new(generation.generation),
            bundle: generation.bundle,
            gateway: Rc::new(manifest.gateway.clone()),
            internal: manifest.gateway.internal_hosts.iter().map(HostPattern::to_string).collect(),
            manifest,
            parts: RefCell::default(),
            unusable: RefCell::default(),
            of_callers_inside: RefCell::default(),
            of_callers_outside: RefCell::default(),
        }
    }

    /// The patterns that match a host, the most specific first, and the ids of their parts.
    pub(super) fn parts_for(&self, name: &HostName, inside: bool) -> Result<Vec<(String, Id)>, RecordError> {
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

    /// The parts for a host that was requested before.
    pub(super) fn known(&self, name: &HostName, inside: bool) -> Option<Sites> {
        self.hosts(inside).borrow().get(name).map(Rc::clone)
    }

    /// Caches the parts for a host.
    pub(super) fn remember(&self, name: &HostName, inside: bool, sites: &Sites) {
        let mut hosts = self.hosts(inside).borrow_mut();
        if hosts.len() >= HOSTS_REMEMBERED_MAX {
            hosts.clear();
        }
        hosts.insert(name.clone(), Rc::clone(sites));
    }

    /// The cached result of loading a part: the part, or why it could not be read.
    pub(super) fn part(&self, id: &Id) -> Option<Result<Rc<Site>, Failure>> {
        if let Some(site) = self.parts.borrow().get(id) {
            return Some(Ok(Rc::clone(site)));
        }
        let unusable = self.unusable.borrow();
        unusable.iter().find(|(unusable, _)| unusable == id).map(|(_, failure)| Err(failure.clone()))
    }

    /// Caches a part, or that it could not be read.
    pub(super) fn keep(&self, id: Id, site: Result<Rc<Site>, Failure>, room: usize) -> Result<Rc<Site>, Failure> {
        match &site {
            Ok(site) => {
                let made_room = self.parts.borrow_mut().insert(id, site, room);
                self.forget_hosts_if(made_room);
            }
            Err(failure) => {
                let mut unusable = self.unusable.borrow_mut();
                if unusable.len() < UNUSABLE_MAX && unusable.iter().all(|(known, _)| *known != id) {
                    unusable.push((id, failure.clone()));
                }
            }
        }
        site
    }

    /// Forgets a part with a page that cannot be used.
    pub(super) fn refuse(&self, id: Id, failure: Failure) {
        self.parts.borrow_mut().remove(&id);
        self.forget_hosts_if(true);
        drop(self.keep(id, Err(failure), 0));
    }

    /// Takes some of the parts that could not be read, to retry them.
    pub(super) fn take_unusable(&self, count: usize) -> Vec<Id> {
        let mut unusable = self.unusable.borrow_mut();
        let count = count.min(unusable.len());
        unusable.drain(..count).map(|(id, _)| id).collect()
    }

    /// Forgets failures of an unavailable store, so that the next request reads again: no other part can replace the
    /// missing one.
    pub(super) fn forget_outage(&self) {
        self.unusable.borrow_mut().retain(|(_, failure)| !matches!(failure, Failure::Unavailable(_)));
    }

    /// Drops references to parts that were evicted; hosts that still need them load them again.
    pub(super) fn forget_hosts_if(&self, made_room: bool) {
        if made_room {
            self.of_callers_inside.borrow_mut().clear();
            self.of_callers_outside.borrow_mut().clear();
        }
    }

    /// Drops all parts; those that served last are cached elsewhere.
    pub(super) fn forget(&self) {
        self.forget_hosts_if(true);
        self.parts.take();
        self.unusable.take();
    }

    fn hosts(&self, inside: bool) -> &RefCell<HashMap<HostName, Sites>> {
        if inside { &self.of_callers_inside } else { &self.of_callers_outside }
    }
}

/// Parts cached as unreadable; further ones are read again with each request that needs them.
const UNUSABLE_MAX: usize = 256;
