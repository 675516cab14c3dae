//! What outlives requests within one isolate.

pub(crate) mod credentials;
pub(crate) mod exporter;
pub mod fetched;
pub(crate) mod operators;
pub(crate) mod secrets;

use std::cell::{Cell, RefCell};

use credentials::Credentials;
use exporter::Exporter;
use fetched::Fetches;
pub use operators::OperatorSettings;
use operators::Operators;
use secrets::SecretCache;
use tollgate_core::bounds::{CLOCK_SKEW_MS, PARTS_REMEMBERED_BYTES};
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::time::{MonotonicInstant, Timestamp};

use crate::config::Config;
use crate::ports::Host;
use crate::site::Site;

/// One isolate's memory: a Worker isolate, a Spin instance, a thread of the native host.
///
/// Holds no I/O object, so it may be shared by requests whose I/O must not mix. Everything in it is bounded and may be
/// lost at any time; the truth is in the stores.
#[derive(Debug)]
pub struct Isolate {
    pub(crate) settings: IsolateSettings,
    pub(crate) config: Config,
    pub(crate) credentials: RefCell<Credentials>,
    pub(crate) secrets: RefCell<SecretCache>,
    pub(crate) fetches: RefCell<Fetches>,
    pub(crate) exporter: RefCell<Exporter>,
    /// Resources that this isolate saw changed by an unsafe method (RFC 9111, section 4.4).
    pub(crate) invalidated: RefCell<Purges>,
    /// What it knows of operators.
    pub(crate) operators: Operators,
    /// The instant of the last look at the configuration pointer, if there was one.
    pub(crate) checked_at: Cell<Option<MonotonicInstant>>,
    /// The latest instant at which a response was requested that may be stored.
    requested: Cell<Timestamp>,
}

/// How an isolate is set up.
#[derive(Clone, Debug)]
pub struct IsolateSettings {
    /// The gateway's name, the prefix of its record keys.
    pub gateway: String,
    /// How current configuration and credentials are.
    pub freshness: Freshness,
}

/// How current configuration and credentials are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Read before each request: for development, where an edit must show at once.
    EachRequest,
    /// Remembered for the times stated in `tollgate_core::bounds`, and read again behind a reply, never in front of it.
    Behind,
}

impl Isolate {
    /// An isolate that has seen nothing yet.
    #[must_use]
    pub fn new(settings: IsolateSettings) -> Self {
        Self {
            config: Config::new(settings.gateway.clone(), PARTS_REMEMBERED_BYTES),
            settings,
            credentials: RefCell::default(),
            secrets: RefCell::default(),
            fetches: RefCell::default(),
            exporter: RefCell::default(),
            invalidated: RefCell::default(),
            operators: Operators::default(),
            checked_at: Cell::default(),
            requested: Cell::default(),
        }
    }

    /// An isolate that remembers nothing but the bundle that this one has loaded, with what was compiled of it.
    ///
    /// What thousands of short tests begin with, without compiling the bundle for each.
    #[must_use]
    pub fn renewed(&self) -> Self {
        let config = self.config.renewed();
        Self { config, ..Self::new(self.settings.clone()) }
    }

    /// Remembers parts of the bundle up to this many bytes of stored form; in memory they take ten times that.
    #[must_use]
    pub fn with_room_for_parts(mut self, bytes: usize) -> Self {
        self.config.set_room(bytes);
        self
    }

    /// Lets it answer operators; without this the paths of the endpoint are reserved and answered as unknown routes.
    #[must_use]
    pub fn with_operator(mut self, settings: OperatorSettings) -> Self {
        self.operators = Operators::new(settings);
        self
    }

    /// Reads the configuration pointer and the purges again; what cannot be read or used leaves the last good ones.
    pub async fn refresh<H: Host>(&self, host: &H) {
        self.config.refresh(host).await;
    }

    /// Whether there is a configuration to serve with.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.config.is_loaded()
    }

    /// The resources under which GETs for this URL are stored, as `Cache-Status` names them and a purge takes them.
    ///
    /// One, unless header fields decide between cached routes of the URL; none when it is on no cached route.
    pub async fn resources<H: Host>(
        &self,
        host: &H,
        name: &HostName,
        path: &CanonicalPath,
        query: Option<&str>,
    ) -> Vec<CacheKey> {
        let sites = self.config.sites(host, name, true).await.unwrap_or_default();
        Site::resources(&sites, name, path, query)
    }

    pub(crate) fn is_purged(&self, resource: &CacheKey, requested_at: Timestamp) -> bool {
        self.config.is_purged(resource, requested_at) || self.invalidated.borrow().covers(resource, requested_at)
    }

    /// Notes when a response was requested that may be stored.
    pub(crate) fn note_requested(&self, at: Timestamp) {
        self.requested.set(self.requested.get().max(at));
    }

    /// The instant of a purge or a change that is made now: not before any response was requested, though the clock has been
    /// set back since. A response from further in the future than clocks can differ is not answered as fresh anyway.
    pub(crate) fn changed_at(&self, now: Timestamp) -> Timestamp {
        now.max(self.requested.get().min(now.plus_millis(CLOCK_SKEW_MS)))
    }

    /// Notes that a resource was changed through this isolate.
    pub(crate) fn invalidate(&self, resource: CacheKey, at: Timestamp) {
        self.invalidated.borrow_mut().add(Purge { resource: Some(resource), at });
    }
}
