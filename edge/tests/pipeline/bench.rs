//! A test gateway: a site, a virtual clock, scripted upstreams.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request, Response};
use tollgate_core::authn::{ApiKey, ApiKeySettings, Credential, CredentialPlace};
use tollgate_core::authz::ConditionSettings;
use tollgate_core::cache::{CacheCredentials, CacheSettings};
use tollgate_core::expression::{Binary, Expression, Node, Source};
use tollgate_core::forward::{ClientFields, UpstreamAuth, UpstreamError, UpstreamSettings};
use tollgate_core::guard::ip_filter::IpFilterSettings;
use tollgate_core::kinds::{AuthnPolicy, AuthzPolicy, GuardPolicy, LimitPolicy, Named, Place, Policy};
use tollgate_core::limit::{
    Consistency, Counting, LimitBy, OnUnavailable, PlanLimit, RateAlgorithm, RateLimitSettings, Statuses,
};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, RouteSettings, SiteSettings};
use tollgate_core::telemetry::{ExchangeRecord, TelemetrySettings};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, VirtualClock};
use tollgate_edge::ports::Content as _;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};
use tollgate_kv_schemas::{Bundle, encode, keys};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) struct Bench {
    pub(crate) isolate: Rc<Isolate>,
    pub(crate) host: MemoryHost,
}

/// A response with its content and its record.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) content: Bytes,
    pub(crate) record: ExchangeRecord,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The problem's slug, or nothing.
    pub(crate) fn problem(&self) -> String {
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&self.content) else { return String::new() };
        json["type"].as_str().unwrap_or_default().replace("urn:tollgate:problem:", "")
    }
}

type Scripted = (u64, Result<Response<Content>, UpstreamError>);

impl Bench {
    /// Serves the routes, with an upstream that answers by the script.
    pub(crate) fn new(routes: Vec<RouteSettings>, script: impl Fn(&Request<Content>) -> Scripted + 'static) -> Self {
        Self::with_freshness(Freshness::Cached, routes, script)
    }

    pub(crate) fn with_freshness(
        freshness: Freshness,
        routes: Vec<RouteSettings>,
        script: impl Fn(&Request<Content>) -> Scripted + 'static,
    ) -> Self {
        let host = MemoryHost::new(VirtualClock::at(NOW), 7, script);
        let isolate = Rc::new(Isolate::new(IsolateSettings { gateway: "acme".into(), freshness }));
        let bench = Self { isolate, host };
        bench.publish(&on_any_host(site(routes)));
        bench
    }

    /// Another, new isolate of the same gateway.
    pub(crate) fn another_isolate(&self) -> Rc<Isolate> {
        Rc::new(Isolate::new(IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached }))
    }

    pub(crate) fn publish(&self, sites: &BTreeMap<HostPattern, SiteSettings>) {
        self.host.records.publish(&Bundle::new(&gateway(), sites));
    }

    /// Publishes the routes for every host, with other settings of the gateway.
    pub(crate) fn publish_with(&self, gateway: &GatewaySettings, routes: Vec<RouteSettings>) {
        self.host.records.publish(&Bundle::new(gateway, &on_any_host(site(routes))));
    }

    pub(crate) fn add(&self, key: &ApiKey, credential: &Credential) {
        self.host.records.put(keys::credential("acme", &key.digest()), encode(credential));
    }

    pub(crate) fn send(&self, request: Request<Content>) -> Answer {
        self.send_from(false, request)
    }

    /// Sends it from a client with this address.
    pub(crate) fn send_at(&self, address: &str, request: Request<Content>) -> Answer {
        let address = Some(address.parse().unwrap());
        self.send_by(Client { address, https: true, inside: false }, request)
    }

    /// Sends it as an internal or an external client.
    pub(crate) fn send_from(&self, inside: bool, request: Request<Content>) -> Answer {
        self.send_by(Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside }, request)
    }

    pub(crate) fn send_by(&self, client: Client, request: Request<Content>) -> Answer {
        self.host.clock.drive(self.answered(client, request)).expect("an exchange waits for nothing but time")
    }

    /// The answer, once the work after the reply has ended.
    pub(crate) async fn answered(&self, client: Client, request: Request<Content>) -> Answer {
        let served = serve(&self.isolate, &self.host, request, client).await;
        let (parts, content) = served.reply.into_response().into_parts();
        let record = served.after.await;
        Answer { status: parts.status.as_u16(), fields: parts.headers, content: content.bytes().clone(), record }
    }

    pub(crate) fn get(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(request("GET", target, fields, ""))
    }
}

pub(crate) fn request(method: &str, target: &str, fields: &[(&str, &str)], content: &'static str) -> Request<Content> {
    let mut builder = Request::builder().method(method).uri(target);
    if !fields.iter().any(|(name, _)| *name == "host") {
        builder = builder.header("host", "api.example.com");
    }
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(Content::from_bytes(Bytes::from_static(content.as_bytes()))).unwrap()
}

/// An upstream that immediately answers 200 with these fields and content.
pub(crate) fn ok(
    fields: &'static [(&'static str, &'static str)],
    content: &'static str,
) -> impl Fn(&Request<Content>) -> Scripted {
    move |_| (0, Ok(answer(200, fields, content)))
}

pub(crate) fn answer(status: u16, fields: &[(&str, &str)], content: &'static str) -> Response<Content> {
    let builder = Response::builder().status(status);
    fields.iter().fold(builder, |b, (n, v)| b.header(*n, *v)).body(content.into()).unwrap()
}

pub(crate) fn key() -> ApiKey {
    ApiKey::generate("dev", &[3; 32]).unwrap()
}

pub(crate) fn credential() -> Credential {
    Credential { plan: Some("gold".into()), scopes: vec!["pets.read".into()], ..Credential::of("key-1", "acme-inc") }
}

/// A public route to the upstream; tests change what they need.
pub(crate) fn route(path: &str, methods: &[&str]) -> RouteSettings {
    RouteSettings {
        id: format!("api.{path}"),
        api: "api".into(),
        path: path.parse().unwrap(),
        methods: methods.iter().map(|method| method.parse().unwrap()).collect(),
        when: vec![],
        internal: false,
        guard: vec![],
        guard_limit: vec![],
        authz: vec![],
        authn: vec![],
        scopes: vec![],
        scope_sets: vec![],
        limit: vec![],
        cost: NonZeroU32::MIN,
        cache: None,
        upstream: 0,
        strip_segments: 0,
        matrix_parameters: false,
        content_bytes_max: 16,
        timeout_ms: Some(1_000),
        limit_fields: None,
        help: None,
    }
}

pub(crate) fn cached(route: RouteSettings, credentials: CacheCredentials) -> RouteSettings {
    RouteSettings { cache: Some(CacheSettings { ttl_ms: None, vary: vec![], credentials, key_query: None }), ..route }
}

/// The settings for every host.
pub(crate) fn on_any_host(site: SiteSettings) -> BTreeMap<HostPattern, SiteSettings> {
    BTreeMap::from([(HostPattern::Any, site)])
}

/// The numbers of the plan `silver` for every limit.
fn silver() -> PlanLimit {
    let of = |number| NonZeroU32::new(number).unwrap();
    PlanLimit { rate: of(4), period_ms: of(60_000), burst: of(4) }
}

/// Positions of policies in [`site`].
pub(crate) const KEYS: Place<AuthnPolicy> = Place::new(0);
pub(crate) const BY_CONSUMER: Place<LimitPolicy> = Place::new(0);
pub(crate) const BY_ADDRESS: Place<LimitPolicy> = Place::new(1);
/// 100 at once and in a second, leased.
pub(crate) const LEASED: Place<LimitPolicy> = Place::new(2);
/// Two a minute in each isolate.
pub(crate) const LOCAL: Place<LimitPolicy> = Place::new(3);
/// The same three ways to count, of which failures of the upstream are given back.
pub(crate) const GIVEN_BACK: [Place<LimitPolicy>; 3] = [Place::new(4), Place::new(5), Place::new(6)];
pub(crate) const OFFICE: Place<GuardPolicy> = Place::new(0);
pub(crate) const QUERY_KEYS: Place<AuthnPolicy> = Place::new(1);
pub(crate) const BEARER: Place<AuthnPolicy> = Place::new(2);
pub(crate) const IN_GERMANY: Place<AuthzPolicy> = Place::new(0);

pub(crate) fn site(routes: Vec<RouteSettings>) -> SiteSettings {
    let limit = |rate, by, on_unavailable| {
        Policy::from(RateLimitSettings {
            rate: NonZeroU32::new(rate).unwrap(),
            period_ms: NonZeroU32::new(60_000).unwrap(),
            burst: NonZeroU32::new(rate).unwrap(),
            by,
            on_unavailable,
            plans: BTreeMap::from([("silver".to_owned(), silver())]),
            algorithm: RateAlgorithm::default(),
            counting: Counting::default(),
        })
    };
    let keys = |query: Option<&str>| {
        let place = CredentialPlace::field(HeaderName::from_static("x-api-key"), None);
        Policy::from(ApiKeySettings::from(CredentialPlace { query: query.map(Into::into), ..place }))
    };
    let policies = [
        ("keys", keys(None)),
        ("by-consumer", limit(2, LimitBy::Consumer, OnUnavailable::Open)),
        ("by-address", limit(3, LimitBy::Address, OnUnavailable::Closed)),
        ("query-keys", keys(Some("k"))),
        ("bearer", bearer()),
        ("office", office()),
        ("in-germany", in_germany()),
        ("leased", often(100, 1_000, Consistency::Leased)),
        ("local", often(2, 60_000, Consistency::Local)),
        ("exact-given-back", given_back(2, 60_000, Consistency::Exact)),
        ("leased-given-back", given_back(100, 1_000, Consistency::Leased)),
        ("local-given-back", given_back(2, 60_000, Consistency::Local)),
    ];
    SiteSettings {
        upstreams: vec![UpstreamSettings {
            name: "pets".into(),
            url: "http://pets.internal:8080/base".parse().unwrap(),
            connect_timeout_ms: 100,
            fields: vec![],
            identity: vec![],
            auth: UpstreamAuth::None,
            certificate: None,
        }],
        policies: policies.into_iter().map(|(name, policy)| Named { name: name.into(), policy }).collect(),
        routes,
    }
}

fn often(rate: u32, period_ms: u32, consistency: Consistency) -> Policy {
    counted(rate, period_ms, Counting { consistency, ..Counting::default() })
}

fn given_back(rate: u32, period_ms: u32, consistency: Consistency) -> Policy {
    let count_when = Some(Statuses::parse("status < 400").unwrap());
    counted(rate, period_ms, Counting { consistency, count_when, ..Counting::default() })
}

fn counted(rate: u32, period_ms: u32, counting: Counting) -> Policy {
    let of = |number| NonZeroU32::new(number).unwrap();
    Policy::from(RateLimitSettings {
        rate: of(rate),
        period_ms: of(period_ms),
        burst: of(rate),
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Closed,
        plans: BTreeMap::new(),
        algorithm: RateAlgorithm::default(),
        counting,
    })
}

fn bearer() -> Policy {
    ApiKeySettings::from(CredentialPlace::field(AUTHORIZATION, Some("Bearer".into()))).into()
}

/// Admits the clients of 192.0.2.0/24.
fn office() -> Policy {
    let network = "192.0.2.0/24".parse().unwrap();
    IpFilterSettings { allow: vec![network].into(), ..IpFilterSettings::default() }.into()
}

/// Authorizes clients in one country.
fn in_germany() -> Policy {
    let nodes = vec![Node::Read(Source::Country), Node::Text("DE".into()), Node::Binary(Binary::Equal, 0, 1)];
    let allow = Expression::new(nodes).unwrap();
    ConditionSettings { allow, text: "client.country == 'DE'".into() }.into()
}

pub(crate) fn gateway() -> GatewaySettings {
    GatewaySettings {
        name: "acme".into(),
        proxies: None,
        telemetry: TelemetrySettings { log: true, otlp: None, usage: None },
        internal_hosts: vec!["ops.internal".parse().unwrap(), "*.svc.internal".parse().unwrap()],
        plans: None,
        client_fields: ClientFields::default(),
        outages: vec![],
        identity_tokens: None,
        entitled: None,
        notify: Vec::new(),
    }
}
