//! Reference ports in memory, with a virtual clock and fault injection.
//!
//! The simplest implementation of the contracts of [`crate::ports`]: `explain`, policy tests and simulations run the
//! production pipeline on these ports, and the conformance suite compares every adapter with them. Not for production.

mod clock;
mod content;
mod counters;
mod fetch;
mod signatures;
mod sink;
mod sites;
mod stores;
mod upstream;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tollgate_core::authn::PeerCertificate;
use tollgate_core::client::Location;

pub use clock::{SeededEntropy, VirtualClock};
pub use content::{Content, Copy};
pub use counters::{CounterFaults, MemoryCounters};
pub use fetch::ScriptedFetch;
pub use signatures::{Hash, MemorySignatures, Seal, Sign, Verify};
pub use sink::{MemorySink, Post};
pub use sites::{SimulatedLimit, SitesReport, SitesSettings, Waits, overshoot_max, run_sites};
pub use stores::{MemoryCache, MemoryRecords, MemorySecrets, ReadMemory};
pub use upstream::{Script, ScriptedUpstream};

use crate::ports::{Host, Unavailable};

/// A switch that makes a port answer [`Unavailable`] while it is on.
#[derive(Clone, Debug, Default)]
pub struct Fault(Rc<Cell<bool>>);

impl Fault {
    /// Turns the fault on or off.
    pub fn set(&self, on: bool) {
        self.0.set(on);
    }

    fn is_on(&self) -> bool {
        self.0.get()
    }

    fn check(&self, what: &str) -> Result<(), Unavailable> {
        if self.0.get() { Err(Unavailable::new(format!("{what} is switched off"))) } else { Ok(()) }
    }
}

/// All reference ports together.
#[derive(Clone, Debug)]
pub struct MemoryHost {
    /// The clock; it advances only when a test advances it.
    pub clock: VirtualClock,
    /// Random bytes from a seed.
    pub entropy: SeededEntropy,
    /// The records.
    pub records: MemoryRecords,
    /// The counters.
    pub counters: MemoryCounters,
    /// The stored responses.
    pub cache: MemoryCache,
    /// Requests that the gateway itself makes; all fail until there is a script.
    pub fetch: ScriptedFetch,
    /// The upstreams.
    pub upstream: ScriptedUpstream,
    /// The secrets.
    pub secrets: MemorySecrets,
    /// Signatures; none verifies until there is a function.
    pub signatures: MemorySignatures,
    /// The certificate that clients present.
    pub certificates: MemoryCertificates,
    /// Where clients are.
    pub location: MemoryLocation,
    /// Whether it says that lines of fields were joined; the lines stay as they are.
    pub joins_lines: bool,
    /// Logged and exported telemetry.
    pub sink: MemorySink,
}

impl MemoryHost {
    /// Empty stores, the given clock and seed, and upstreams with the script.
    #[must_use]
    pub fn new(clock: VirtualClock, seed: u64, script: impl Script + 'static) -> Self {
        Self {
            entropy: SeededEntropy::new(seed),
            records: MemoryRecords::new(clock.clone()),
            counters: MemoryCounters::new(clock.clone()),
            cache: MemoryCache::new(clock.clone()),
            fetch: ScriptedFetch::unanswered(clock.clone()),
            upstream: ScriptedUpstream::new(clock.clone(), script),
            secrets: MemorySecrets::new(clock.clone()),
            signatures: MemorySignatures::default(),
            certificates: MemoryCertificates::default(),
            location: MemoryLocation::default(),
            joins_lines: false,
            sink: MemorySink::default(),
            clock,
        }
    }
}

impl Host for MemoryHost {
    type Content = Content;
    type Clock = VirtualClock;
    type Entropy = SeededEntropy;
    type Records = MemoryRecords;
    type Counters = MemoryCounters;
    type ResponseCache = MemoryCache;
    type Fetch = ScriptedFetch;
    type Upstream = ScriptedUpstream;
    type Secrets = MemorySecrets;
    type Signatures = MemorySignatures;
    type TelemetrySink = MemorySink;

    fn clock(&self) -> &VirtualClock {
        &self.clock
    }
    fn entropy(&self) -> &SeededEntropy {
        &self.entropy
    }
    fn records(&self) -> &MemoryRecords {
        &self.records
    }
    fn counters(&self) -> &MemoryCounters {
        &self.counters
    }
    fn response_cache(&self) -> &MemoryCache {
        &self.cache
    }
    fn fetch(&self) -> &ScriptedFetch {
        &self.fetch
    }
    fn upstream(&self) -> &ScriptedUpstream {
        &self.upstream
    }
    fn secrets(&self) -> &MemorySecrets {
        &self.secrets
    }
    fn signatures(&self) -> &MemorySignatures {
        &self.signatures
    }
    fn telemetry_sink(&self) -> &MemorySink {
        &self.sink
    }
    fn client_certificate(&self, _: &Content) -> Rc<PeerCertificate> {
        Rc::clone(&self.certificates.0.borrow())
    }
    fn client_location(&self, _: &Content) -> Location {
        self.location.0.borrow().clone()
    }
    fn knows_http_version(&self) -> bool {
        true
    }
    fn joins_lines(&self) -> bool {
        self.joins_lines
    }
}

/// The certificate that clients present from now on; none at first.
#[derive(Clone, Debug, Default)]
pub struct MemoryCertificates(Rc<RefCell<Rc<PeerCertificate>>>);

impl MemoryCertificates {
    /// Clients present this certificate.
    pub fn set(&self, certificate: &Rc<PeerCertificate>) {
        self.0.replace(Rc::clone(certificate));
    }
}

/// Where clients are from now on; not known at first.
#[derive(Clone, Debug, Default)]
pub struct MemoryLocation(Rc<RefCell<Location>>);

impl MemoryLocation {
    /// Clients are there.
    pub fn set(&self, location: Location) {
        self.0.replace(location);
    }
}
