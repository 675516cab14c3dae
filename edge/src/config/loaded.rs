//! A generation in memory: its manifest, and the parts that were asked for.

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
    /// Shared with its sites and with what comes after replies.
    pub(super) gateway: Rc<GatewaySettings>,
    manifest: Manifest,
    /// The host patterns that answer only callers inside.
    internal: HashSet<String>,
    /// Parts loaded so far.
    parts: RefCell<Remembered<Id>>,
    /// Parts that could not be read, in the order in which they are to be tried again.
    unusable: RefCell<Vec<(Id, Failure)>>,
    /// The parts of the hosts asked for so far: what most requests need is one look-up away.
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

    /// The patterns that match a host, the most specific first, and the names of their parts.
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

    /// The parts for a host that was asked for before.
    pub(super) fn known(&self, name: &HostName, inside: bool) -> Option<Sites> {
        self.hosts(inside).borrow().get(name).map(Rc::clone)
    }

    /// Remembers what a host's requests are routed by.
    pub(super) fn remember(&self, name: &HostName, inside: bool, sites: &Sites) {
        let mut hosts = self.hosts(inside).borrow_mut();
        if hosts.len() >= HOSTS_REMEMBERED_MAX {
            hosts.clear();
        }
        hosts.insert(name.clone(), Rc::clone(sites));
    }

    /// A part that was loaded before, or that could not be.
    pub(super) fn part(&self, id: &Id) -> Option<Result<Rc<Site>, Failure>> {
        if let Some(site) = self.parts.borrow().get(id) {
            return Some(Ok(Rc::clone(site)));
        }
        let unusable = self.unusable.borrow();
        unusable.iter().find(|(unusable, _)| unusable == id).map(|(_, failure)| Err(failure.clone()))
    }

    /// Keeps a part, or that it could not be read.
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

    /// Takes some of the parts that could not be read, to try them again.
    pub(super) fn take_unusable(&self, count: usize) -> Vec<Id> {
        let mut unusable = self.unusable.borrow_mut();
        let count = count.min(unusable.len());
        unusable.drain(..count).map(|(id, _)| id).collect()
    }

    /// Lets the next request ask a store again that was away: nothing stands in for what it did not answer.
    pub(super) fn forget_outage(&self) {
        self.unusable.borrow_mut().retain(|(_, failure)| !matches!(failure, Failure::Away(_)));
    }

    /// Lets go of parts that were forgotten to make room for others; the hosts that still need them bring them back.
    pub(super) fn forget_hosts_if(&self, made_room: bool) {
        if made_room {
            self.of_callers_inside.borrow_mut().clear();
            self.of_callers_outside.borrow_mut().clear();
        }
    }

    /// Lets go of all parts: those that served last are remembered elsewhere.
    pub(super) fn forget(&self) {
        self.forget_hosts_if(true);
        self.parts.take();
        self.unusable.take();
    }

    fn hosts(&self, inside: bool) -> &RefCell<HashMap<HostName, Sites>> {
        if inside { &self.of_callers_inside } else { &self.of_callers_outside }
    }
}

/// Parts remembered as unreadable: what is past it is read again with each request that needs it.
const UNUSABLE_MAX: usize = 256;
