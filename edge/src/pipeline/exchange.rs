//! The state of an exchange while it passes through the phases.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Version};
use tollgate_core::authn::{CertificateSource, PeerCertificate, Principal};
use tollgate_core::authz::Facts;
use tollgate_core::cache::{CacheKey, StoredMeta, Taken};
use tollgate_core::cell::{self, CellKey, Charge, OperationId};
use tollgate_core::client::{Location, Origin};
use tollgate_core::event::{Events, Phase, Reason, RouteLabel, SpanId, UpstreamLabel, Verdict};
use tollgate_core::forward::{Reply, Texts, UpstreamSettings};
use tollgate_core::kinds::{AuthnPolicy, Named, Place, PolicyName, SlotPolicy};
use tollgate_core::limit::{Quotas, Reached};
use tollgate_core::problem::Problem;
use tollgate_core::route::{CanonicalPath, HostName, RequestHead};
use tollgate_core::settings::{GatewaySettings, RouteSettings};
use tollgate_core::telemetry::{ClientRecord, ExchangeRecord, RequestId, TraceContext};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_kv_schemas::RecordError;

use super::Client;
use super::own::Batch;
use super::refund::Refund;
use super::settle::{Counted, Settlement};
use super::undo::Undo;
use crate::isolate::entitlements;
use crate::ports::{Clock, Content, Entropy, Host, complete};
use crate::site::{Found, Selected, Site, Sites};

/// A response to the client.
pub(super) struct Answer<C: Content> {
    pub(super) reply: Reply<C>,
    /// What to store when the content has streamed.
    pub(super) to_store: Vec<ToStore<C>>,
}

/// What to write to the response cache after the reply.
pub(super) enum ToStore<C: Content> {
    /// A response with a copy of the content, which is filled while the client's content streams.
    Response { key: CacheKey, meta: StoredMeta, copy: C::Copy },
    /// The index of a response that varies.
    Index { key: CacheKey, meta: StoredMeta },
    /// A response that the upstream confirmed: the stored content is unchanged.
    Renewal { key: CacheKey, confirmed: StoredMeta, renewed: StoredMeta },
}

/// The stored responses that an unsafe method invalidates (RFC 9111, section 4.4).
#[derive(Debug)]
pub(super) struct Changes {
    /// The resources of all routes that a GET for the same URL could have.
    pub(super) resources: Vec<CacheKey>,
    /// The first key of a GET by the same client, if its route is cached.
    pub(super) primary: Option<CacheKey>,
}

impl<C: Content> Answer<C> {
    pub(super) const fn new(reply: Reply<C>) -> Self {
        Self { reply, to_store: Vec::new() }
    }
}

/// The received request, without its content. It never changes: the forwarded request is an `Outbound`.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) host: HostName,
    /// Host and port, in one spelling, unless it is the host alone.
    pub(crate) authority: Option<String>,
    /// Whether the request's target is an `https` URL.
    pub(crate) is_for_https: bool,
    pub(crate) path: CanonicalPath,
    /// The path as it was sent, if its canonical form is another one.
    pub(crate) sent_path: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) fields: HeaderMap,
    /// The peer of the connection.
    pub(crate) client: Client,
    /// The client: the peer, or the one that trusted proxies name.
    pub(crate) origin: Origin,
    /// Its certificates, if a policy of the host reads them.
    pub(crate) certificates: Certificates,
    /// Where the client is, if a policy of the host reads it.
    pub(crate) location: Location,
}

/// The certificates of a client.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    /// That of the connection's peer.
    pub(crate) connection: Rc<PeerCertificate>,
    /// The one that the peer names, if it is a trusted proxy.
    pub(crate) field: Rc<PeerCertificate>,
}

impl Certificates {
    /// The one that this source tells.
    pub(crate) fn of(&self, source: CertificateSource) -> &PeerCertificate {
        match source {
            CertificateSource::Connection => &self.connection,
            CertificateSource::Field => &self.field,
        }
    }
}

impl Received {
    /// The path with its escapes as they were sent.
    pub(crate) fn path_as_sent(&self) -> &str {
        self.sent_path.as_deref().unwrap_or(self.path.as_str())
    }

    /// Host and port, in one spelling; empty if the request names no host.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or(self.host.as_str())
    }

    /// Finds the client by the rule for trusted proxies.
    pub(super) fn find_client(&mut self, gateway: &GatewaySettings) {
        if let Some(rule) = &gateway.proxies {
            self.origin = rule.origin(self.client.address, self.client.https, &self.fields);
        }
    }

    /// Finds the certificates of the client: that of the peer, and the one in `Client-Cert` if the rule for trusted proxies says
    /// that the peer is one. What other peers write there is ignored (RFC 9440, section 4).
    pub(super) fn find_certificates(&mut self, connection: Rc<PeerCertificate>, gateway: &GatewaySettings) {
        let is_proxy = gateway.proxies.as_ref().is_some_and(|rule| rule.trusts_peer(self.client.address));
        let field = if is_proxy { PeerCertificate::passed_on(&self.fields) } else { PeerCertificate::Absent };
        self.certificates = Certificates { connection, field: Rc::new(field) };
    }

    /// Finds where the client is. The platform knows it of the connection's peer, so not of a client that a proxy names; of that
    /// one, the proxy may say it.
    pub(super) fn find_location(&mut self, of_peer: impl FnOnce() -> Location, gateway: &GatewaySettings) {
        if self.origin.earlier.is_empty() {
            self.location = of_peer();
        } else if let Some(rule) = &gateway.proxies {
            self.location = rule.location(self.client.address, &self.fields);
        }
    }

    /// The parts of the request that select a route, with this method.
    pub(super) fn head<'r>(&'r self, method: &'r Method) -> RequestHead<'r> {
        RequestHead { method, path: &self.path, query: self.query.as_deref(), fields: &self.fields }
    }
}

/// A request with its route.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) received: Received,
    /// The parts for the request's host, the most specific first.
    pub(super) sites: Sites,
    /// The part that has the route.
    pub(super) site: Rc<Site>,
    /// The query without API keys.
    pub(super) query_without_keys: Option<String>,
    /// What records say of the caller, once a limit has asked for it.
    pub(super) entitled: OnceCell<entitlements::Both>,
    selected: Selected,
}

impl Exchange {
    pub(super) fn new(received: Received, sites: Sites, selected: Selected) -> Self {
        let site = Rc::clone(&sites[selected.place]);
        let query_without_keys = Site::without_keys(&sites, received.query.as_deref());
        Self { received, sites, site, selected, query_without_keys, entitled: OnceCell::new() }
    }

    /// Adds the fields that the adapter left out, if they may be read: by the cache, for a cached route and for a change of
    /// what cached routes store; and by a policy that reads the content, which is then no longer that of the adapter's message.
    pub(super) fn complete_fields(&mut self, content: &impl Content) {
        let is_change = !self.received.method.is_safe() && self.sites.iter().any(|site| site.part.caches);
        if is_change || self.route().cache.is_some() || self.reads_content() {
            complete(&mut self.received.fields, content.left_out());
        }
    }

    /// Whether a policy of the route, or its upstream, may read the content.
    fn reads_content(&self) -> bool {
        self.site.reads_content
            && (self.upstream().auth.reads_content()
                || self.authenticators().any(|named| named.policy.as_kind().uses().content))
    }

    pub(super) fn route(&self) -> &RouteSettings {
        self.selected.route()
    }

    /// The route's label in telemetry.
    pub(super) fn label(&self) -> Arc<RouteLabel> {
        self.selected.label()
    }

    /// The label of the upstream in telemetry.
    pub(super) fn upstream_label(&self) -> Arc<UpstreamLabel> {
        self.site.upstream_label(self.route().upstream)
    }

    /// The value of `Host` for the upstream of the route.
    pub(super) fn upstream_host(&self) -> Option<HeaderValue> {
        self.site.upstream_hosts[self.route().upstream].clone()
    }

    /// The upstream of the route.
    pub(super) fn upstream(&self) -> &UpstreamSettings {
        &self.site.part.upstreams[self.route().upstream]
    }

    /// The route of a GET with the same URL and fields, and its part.
    ///
    /// # Errors
    /// As [`Site::find`].
    pub(super) fn route_of_get(&self) -> Result<Option<(&Site, Selected)>, RecordError> {
        Ok(match Site::find(&self.sites, &self.received.head(&Method::GET))? {
            Found::Route(selected) => self.sites.get(selected.place).map(|site| (&**site, selected)),
            Found::OtherMethods(_) | Found::Nothing => None,
        })
    }

    /// What decided the selection of its route besides the URL.
    pub(super) fn taken(&self) -> Taken<'_> {
        self.selected.taken(self.received.client.inside)
    }

    /// What expressions read of the request and this caller.
    pub(super) fn facts<'e>(&'e self, principal: Option<&'e Principal>, now: Timestamp) -> Facts<'e> {
        let received = &self.received;
        Facts {
            head: received.head(&received.method),
            host: &received.host,
            template: &self.route().path,
            address: received.origin.address,
            location: &received.location,
            principal,
            now,
        }
    }

    /// The policy at a position of the route.
    pub(super) fn policy<P: SlotPolicy>(&self, place: Place<P>) -> &Named<P> {
        self.site.part.policies.get(place).expect("`RouteSettings::is_coherent` was checked when the page was decoded")
    }

    /// The policies that may authenticate the caller on this route.
    pub(super) fn authenticators(&self) -> impl Iterator<Item = &Named<AuthnPolicy>> {
        self.route().authenticators().map(|place| self.policy(place))
    }
}

/// What is recorded about an exchange.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) request_id: RequestId,
    /// The values of fields that are written for it.
    pub(super) texts: Texts,
    /// The id as a value of a field, for the upstream and the client.
    pub(super) request_id_value: Option<HeaderValue>,
    pub(super) trace: TraceContext,
    /// When it was received, by the wall clock.
    pub(super) started: Timestamp,
    /// When it was received, by the monotonic clock, for durations.
    pub(super) begun: MonotonicInstant,
    pub(super) method: Method,
    /// The client, as far as it is known.
    pub(super) client: ClientRecord,
    pub(super) events: Events,
    /// The resource's key, for `Cache-Status`.
    pub(super) resource: Option<CacheKey>,
    /// The verdicts of limits so far.
    pub(super) quotas: Quotas,
    /// A cookie that the response sets.
    pub(super) cookie: Option<Box<HeaderValue>>,
    /// The undo steps that run after the reply of a refused request; none once the upstream may have received it.
    pub(super) undos: Vec<Undo>,
    /// The steps that run when the response has been delivered, whatever it is.
    pub(super) ends: Vec<Undo>,
    /// The charges that are given back after some responses.
    pub(super) refunds: Vec<Refund>,
    /// The charges whose cost is known later.
    pub(super) settlements: Vec<Settlement>,
    /// The length of the request's content, if it is known.
    pub(super) request_bytes: Option<u64>,
    /// The count of the request's content, if a limit asks for it.
    pub(super) request_count: Option<Counted>,
    /// Whether it was charged to limits whose permits are taken ahead.
    pub(super) uses_leases: bool,
    /// The permits that are taken ahead after the reply.
    pub(super) refills: Vec<Batch>,
    /// The limits with shares to tell of whose quotas are those of one caller, and whether they are those of its credential.
    pub(super) told_of_caller: Vec<(PolicyName, bool)>,
    /// The shares of limits that were reached.
    pub(super) reached: Vec<Reached>,
    /// The stored responses that this exchange invalidates if it succeeds.
    pub(super) changes: Option<Changes>,
    /// The status of the response.
    pub(super) status: u16,
    /// When the response's head was ready.
    pub(super) answered: MonotonicInstant,
    upstream_span: SpanId,
    /// The idempotency id of this exchange's updates of cells, and the number of updates so far.
    operation: OperationId,
    operations: u8,
}

impl Journal {
    pub(super) fn begin<H: Host, C>(host: &H, request: &Request<C>, client: &Client) -> Box<Self> {
        let protocol = host.knows_http_version().then(|| protocol(request.version())).flatten();
        let mut random = [0u8; 48];
        host.entropy().fill(&mut random);
        let mut trace = [0u8; 24];
        let mut upstream_span = [0u8; 8];
        let mut operation = [0u8; 16];
        trace.copy_from_slice(&random[..24]);
        upstream_span.copy_from_slice(&random[24..32]);
        let begun = host.clock().instant();
        operation.copy_from_slice(&random[32..]);
        let request_id = RequestId::of(operation);
        let mut texts = Texts::default();
        let request_id_value = texts.of(request_id.as_str());
        // Boxed, because it is moved with every future of the exchange.
        Box::new(Self {
            request_id,
            texts,
            request_id_value,
            trace: TraceContext::of(request.headers(), trace),
            started: host.clock().now(),
            begun,
            method: request.method().clone(),
            client: ClientRecord { address: client.address, https: client.https, protocol, authority: None },
            events: Events::with_usual_capacity(),
            resource: None,
            quotas: Quotas::default(),
            cookie: None,
            undos: Vec::new(),
            ends: Vec::new(),
            refunds: Vec::new(),
            settlements: Vec::new(),
            request_bytes: None,
            request_count: None,
            uses_leases: false,
            refills: Vec::new(),
            told_of_caller: Vec::new(),
            reached: Vec::new(),
            changes: None,
            status: 0,
            answered: begun,
            upstream_span,
            operation: OperationId::new(operation),
            operations: 0,
        })
    }

    /// Records who the client is, once the configuration says which proxies are trusted.
    pub(super) fn identify(&mut self, received: &Received, gateway: &GatewaySettings) {
        let origin = &received.origin;
        (self.client.address, self.client.https) = (origin.address, origin.https);
        if gateway.telemetry.otlp.is_some() {
            let authority = origin.host.as_deref().unwrap_or(received.authority()).to_ascii_lowercase();
            self.client.authority = Some(authority).filter(|authority| !authority.is_empty());
        }
    }

    /// The id of the next update of cells.
    pub(super) fn next_operation(&mut self) -> OperationId {
        let id = self.operation.step(self.operations);
        self.operations = self.operations.wrapping_add(1);
        id
    }

    /// Records a decision of a phase.
    pub(super) fn note(&mut self, phase: Phase, verdict: Verdict, reason: Reason) {
        self.events.note(phase, verdict, reason);
    }

    /// Records a decision of a policy.
    pub(super) fn note_policy(&mut self, phase: Phase, policy: &PolicyName, verdict: Verdict, reason: Reason) {
        self.events.note_policy(phase, policy.clone(), verdict, reason);
    }

    /// Records the share of a limit that a charge has reached, if it is one that is told; `kept` says whether the charge stays.
    pub(super) fn note_reached(
        &mut self,
        phase: Phase,
        cell: &CellKey,
        charge: &Charge,
        said: &cell::Verdict,
        kept: bool,
    ) {
        if let Some(percent) = charge.reached(said, kept) {
            let reason = Reason::QuotaReached { percent: percent.get().into() };
            self.note_policy(phase, &charge.quota, Verdict::Pass, reason);
            self.reached.push(Reached::new(cell, charge, said, percent, self.started));
        }
    }

    /// Records the problem that ends the exchange in this phase, and returns it.
    pub(super) fn refused(&mut self, phase: Phase, problem: Problem) -> Problem {
        self.events.note_problem(phase, &problem);
        problem
    }

    /// The span of the call to the upstream.
    pub(super) const fn upstream_span(&self) -> SpanId {
        self.upstream_span
    }

    /// The record of the finished exchange.
    pub(super) fn into_record(self) -> ExchangeRecord {
        ExchangeRecord {
            request_id: self.request_id,
            trace: self.trace,
            started: self.started,
            duration_us: self.answered.micros_since(self.begun),
            method: ExchangeRecord::known_method(&self.method),
            client: self.client,
            status: self.status,
            content_bytes: None,
            aborted_by: None,
            events: self.events,
            notices: Vec::new(),
        }
    }
}

/// A version of HTTP as OpenTelemetry's conventions write it.
fn protocol(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
