//! The state that an isolate keeps between requests.

pub(crate) mod aged;
mod aws_keys;
mod cache_keys;
pub(crate) mod callers;
pub(crate) mod credentials;
pub(crate) mod decisions;
pub(crate) mod entitlements;
pub(crate) mod exporter;
pub mod fetched;
pub(crate) mod identity_tokens;
pub(crate) mod introspected;
pub(crate) mod issuer;
pub(crate) mod leases;
pub(crate) mod notices;
pub(crate) mod oauth;
pub(crate) mod operators;
pub(crate) mod outages;
pub(crate) mod people;
mod room;
pub(crate) mod sealed;
pub(crate) mod secrets;
pub(crate) mod sessions;
pub(crate) mod shares;
pub(crate) mod signers;
pub(crate) mod tokens;
pub(crate) mod unanswered;
pub(crate) mod upstream_tokens;
pub(crate) mod usage;
pub(crate) mod uses;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use aws_keys::AwsKeys;
use cache_keys::CacheKeys;
use callers::Callers;
use credentials::Credentials;
use decisions::Decisions;
use entitlements::KnownEntitlements;
use exporter::Exporter;
use fetched::{AfterReply, Fetches};
use identity_tokens::IdentityTokens;
use introspected::Introspected;
use leases::Leases;
use notices::Notices;
pub use operators::OperatorSettings;
use operators::Operators;
use outages::Outages;
use people::{Hashing, People};
use secrets::SecretCache;
use sessions::Sessions;
use shares::Shares;
use signers::Signers;
use tokens::Tokens;
use tollgate_core::authn::MarkSecret;
use tollgate_core::bounds::{CLOCK_SET_BACK_MS_MAX, PARTS_REMEMBERED_BYTES};
use tollgate_core::cache::{CacheKey, Changes, Digest};
use tollgate_core::problem::Problem;
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::settings::GatewaySettings;
use tollgate_core::telemetry::ExchangeLines;
use tollgate_core::time::{MonotonicInstant, SetBack, Timestamp};
use unanswered::Unanswered;
use upstream_tokens::UpstreamTokens;
use usage::UsageLog;
use uses::Uses;

use crate::config::{Config, NoSite};
use crate::ports::{Clock, Entropy, Host};
use crate::problems::{no_site, unusable_page};
use crate::site::Site;

/// The state of one isolate: a Worker isolate, a Spin instance, or a thread of the native host.
///
/// It holds no I/O object, so requests with separate I/O can share it. Everything in it is bounded and may be lost at
/// any time; the stores are authoritative.
#[derive(Debug)]
pub struct Isolate {
    pub(crate) settings: IsolateSettings,
    pub(crate) config: Config,
    pub(crate) credentials: RefCell<Credentials>,
    /// The secret of the marks of keys and tokens; it is drawn for the first one.
    mark_secret: OnceCell<MarkSecret>,
    pub(crate) secrets: RefCell<SecretCache>,
    pub(crate) fetches: RefCell<Fetches>,
    /// What remains to do for fetched answers after a reply: data only, which any exchange may take over.
    deferred: RefCell<Vec<AfterReply>>,
    pub(crate) tokens: RefCell<Tokens>,
    pub(crate) callers: RefCell<Callers>,
    pub(crate) sessions: RefCell<Sessions>,
    pub(crate) people: RefCell<People>,
    pub(crate) hashing: Hashing,
    pub(crate) signers: RefCell<Signers>,
    pub(crate) uses: RefCell<Uses>,
    /// What owners of counters have to be told again.
    pub(crate) unanswered: RefCell<Unanswered>,
    pub(crate) usage: RefCell<UsageLog>,
    pub(crate) outages: RefCell<Outages>,
    pub(crate) entitlements: RefCell<KnownEntitlements>,
    /// What it counts while the counter store is away.
    pub(crate) shares: RefCell<Shares>,
    /// What it counts by itself, where a limit says so.
    pub(crate) local: RefCell<Shares>,
    /// What it has taken ahead of limits.
    pub(crate) leases: RefCell<Leases>,
    /// What it has to tell of limits.
    pub(crate) notices: RefCell<Notices>,
    /// Keys of stored responses.
    cache_keys: CacheKeys,
    pub(crate) introspected: RefCell<Introspected>,
    pub(crate) decisions: RefCell<Decisions>,
    pub(crate) upstream_tokens: RefCell<UpstreamTokens>,
    aws_keys: RefCell<AwsKeys>,
    pub(crate) identity_tokens: RefCell<IdentityTokens>,
    pub(crate) exporter: RefCell<Exporter>,
    /// The log lines of its exchanges.
    pub(crate) lines: ExchangeLines,
    /// Whether telemetry is exported, if the configuration says so.
    pub(crate) exports: bool,
    /// Resources that an unsafe method changed through this isolate (RFC 9111, section 4.4).
    pub(crate) invalidated: RefCell<Changes>,
    /// The state of the operator endpoint.
    pub(crate) operators: Operators,
    /// The instant of the last read of the configuration pointer, if there was one.
    pub(crate) checked_at: Cell<Option<MonotonicInstant>>,
    /// The times that the wall clock was set back.
    set_back: RefCell<SetBack>,
}

/// The settings of an isolate.
#[derive(Clone, Debug)]
pub struct IsolateSettings {
    /// The gateway's name, the prefix of its record keys.
    pub gateway: String,
    /// Whether configuration and credentials are cached.
    pub freshness: Freshness,
}

/// Whether configuration and credentials are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Read for each request: for development, where an edit must take effect immediately.
    EachRequest,
    /// Cached for the times in `tollgate_core::bounds`; configuration is read again after a reply, never before one.
    Cached,
}

impl Isolate {
    /// A new isolate.
    #[must_use]
    pub fn new(settings: IsolateSettings) -> Self {
        Self {
            lines: ExchangeLines::of(&settings.gateway),
            config: Config::new(settings.gateway.clone(), PARTS_REMEMBERED_BYTES),
            settings,
            credentials: RefCell::default(),
            mark_secret: OnceCell::new(),
            secrets: RefCell::default(),
            fetches: RefCell::default(),
            deferred: RefCell::default(),
            tokens: RefCell::default(),
            callers: RefCell::default(),
            sessions: RefCell::default(),
            people: RefCell::default(),
            hashing: Hashing::default(),
            signers: RefCell::default(),
            uses: RefCell::default(),
            unanswered: RefCell::default(),
            usage: RefCell::default(),
            outages: RefCell::default(),
            entitlements: RefCell::default(),
            shares: RefCell::default(),
            local: RefCell::default(),
            leases: RefCell::default(),
            notices: RefCell::default(),
            cache_keys: CacheKeys::default(),
            introspected: RefCell::default(),
            decisions: RefCell::default(),
            upstream_tokens: RefCell::default(),
            aws_keys: RefCell::default(),
            identity_tokens: RefCell::default(),
            exporter: RefCell::default(),
            exports: true,
            invalidated: RefCell::default(),
            operators: Operators::default(),
            checked_at: Cell::default(),
            set_back: RefCell::default(),
        }
    }

    /// An isolate that has only the bundle that this one has loaded and compiled.
    ///
    /// Thousands of short tests use it, to avoid compiling the bundle for each.
    #[must_use]
    pub fn renewed(&self) -> Self {
        let config = self.config.renewed();
        Self { config, exports: self.exports, ..Self::new(self.settings.clone()) }
    }

    /// The same isolate, which exports no telemetry whatever the configuration says. Its exchanges do not last for the
    /// interval of an export.
    #[must_use]
    pub fn without_exports(self) -> Self {
        Self { exports: false, ..self }
    }

    /// Sets the maximum size of cached parts, as bytes of their stored form; they need ten times that in memory.
    #[must_use]
    pub fn with_room_for_parts(mut self, bytes: usize) -> Self {
        self.config.set_room(bytes);
        self
    }

    /// Enables the operator endpoint; without this its paths are reserved and get the response of unknown routes.
    #[must_use]
    pub fn with_operator(mut self, settings: OperatorSettings) -> Self {
        self.operators = Operators::new(settings);
        self
    }

    /// Reads the configuration pointer and the purges again; if they cannot be read or used, the last valid ones are
    /// kept.
    pub async fn refresh<H: Host>(&self, host: &H) {
        self.config.refresh(host).await;
    }

    /// The settings of the gateway as a whole, which are read if no request has needed them yet.
    pub(crate) async fn gateway<H: Host>(&self, host: &H) -> Option<Rc<GatewaySettings>> {
        if !self.is_ready() {
            self.refresh(host).await;
        }
        self.config.gateway()
    }

    /// Whether a configuration is loaded.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.config.is_loaded()
    }

    /// The resources under which responses to a GET of this URL are stored: the keys in `Cache-Status` and of purges.
    ///
    /// One, unless header fields select between cached routes of the URL; none if no route of the URL is cached.
    ///
    /// # Errors
    /// The problem for the response, if the configuration of the URL cannot be read.
    pub async fn resources<H: Host>(
        &self,
        host: &H,
        name: &HostName,
        path: &CanonicalPath,
        query: Option<&str>,
    ) -> Result<Vec<CacheKey>, Problem> {
        let sites = match self.config.sites(host, name, path, true).await {
            Ok(sites) => sites,
            Err(NoSite::UnknownHost) => return Ok(Vec::new()),
            Err(reason) => return Err(no_site(&reason, &self.settings.gateway)),
        };
        let query = Site::without_keys(&sites, query);
        Site::resources(&sites, name, path, query.as_deref()).map_err(|error| unusable_page(&error, &sites[0]))
    }

    /// The secret of the marks by which keys and tokens are remembered.
    pub(crate) fn mark_secret<H: Host>(&self, host: &H) -> MarkSecret {
        *self.mark_secret.get_or_init(|| {
            let mut random = [0; 16];
            host.entropy().fill(&mut random);
            MarkSecret::new(random)
        })
    }

    /// Makes keys of stored responses, or remembers them.
    pub(crate) fn cache_keys<H: Host>(&self, host: &H) -> impl Digest + Copy {
        let secret = self.mark_secret(host);
        move |input: &[u8]| self.cache_keys.of(input, &secret)
    }

    /// Leaves work for after a reply; the same work of several requests is done once, with the newest answer.
    pub(crate) fn defer(&self, work: Option<AfterReply>) {
        let Some(work) = work else { return };
        let mut deferred = self.deferred.borrow_mut();
        match deferred.iter_mut().find(|other| other.is_same(&work)) {
            Some(other) => *other = work,
            None => deferred.push(work),
        }
    }

    /// The work that is left to do after a reply.
    pub(crate) fn take_deferred(&self) -> Vec<AfterReply> {
        std::mem::take(&mut self.deferred.borrow_mut())
    }

    pub(crate) fn is_purged(&self, resource: &CacheKey, requested_at: Timestamp) -> bool {
        self.config.is_purged(resource, requested_at) || self.invalidated.borrow().covers(resource, requested_at)
    }

    /// The current time of the wall clock. It is observed, so that stored responses do not become younger if it is set back.
    pub(crate) fn time(&self, clock: &impl Clock) -> Timestamp {
        self.times(clock).0
    }

    /// The same with the instant of the clock that cannot be set.
    pub(crate) fn times(&self, clock: &impl Clock) -> (Timestamp, MonotonicInstant) {
        let (instant, now) = (clock.instant(), clock.now());
        self.observe(now, instant);
        (now, instant)
    }

    /// Takes a reading of both clocks.
    pub(crate) fn observe(&self, now: Timestamp, instant: MonotonicInstant) {
        self.set_back.borrow_mut().observe(now, instant);
    }

    /// The current time for the age of something that was dated `at`.
    pub(crate) fn time_since(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        self.set_back.borrow().since(at, now)
    }

    /// The instant of a purge or a change that is made now: not before the request of any stored response, even if the
    /// clock has been set back since, by a day at most.
    pub(crate) fn changed_at(&self, now: Timestamp) -> Timestamp {
        self.set_back.borrow().latest(now).min(now.plus_millis(CLOCK_SET_BACK_MS_MAX))
    }

    /// Records that a resource was changed through this isolate.
    pub(crate) fn invalidate(&self, resource: &CacheKey, at: Timestamp) {
        self.invalidated.borrow_mut().add(resource, at);
    }
}
