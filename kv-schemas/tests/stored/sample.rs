//! Settings with every member that settings can have.

use std::collections::BTreeMap;
use std::num::{NonZeroU8, NonZeroU32};

use http::{HeaderName, Method};
use tollgate_core::authn::{
    ApiKeySettings, BindingMode, BindingRules, CertificateSource, CredentialPlace, DpopRules, JwtSettings, KeySource,
};
use tollgate_core::authz::{AccessSettings, Callers, ConditionSettings, ExternalSettings, Protocol, Sent};
use tollgate_core::cache::{CacheCredentials, CacheSettings};
use tollgate_core::client::{LocationFields, Prefixes, ProxyField, ProxySettings, TrustedProxies};
use tollgate_core::expression::{Binary, Expression, Node, Source, TimePart};
use tollgate_core::forward::{ClientFields, OwnCertificate, UpstreamAuth, UpstreamSettings};
use tollgate_core::guard::ip_filter::IpFilterSettings;
use tollgate_core::jose::Algorithm;
use tollgate_core::kinds::{LimitPolicy, Named, Place, Policies, Policy};
use tollgate_core::limit::{
    ConcurrencySettings, Consistency, Cost, Counting, LegacyFields, LimitBy, Measure, NoticeReceiver, OnUnavailable,
    Part, PlanLimit, QuotaSettings, RateAlgorithm, RateLimitSettings, Statuses, Unit, Windows,
};
use tollgate_core::route::{HostPattern, Methods, Predicate, Subject, Test};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::{GatewaySettings, RouteSettings, SiteSettings};
use tollgate_core::telemetry::{OtlpSettings, TelemetrySettings};
use tollgate_core::time::{OffsetChange, Zone};
use tollgate_kv_schemas::Bundle;

fn proxies() -> ProxySettings {
    let networks: Vec<_> = ["10.0.0.0/8", "2001:db8::/32"].iter().map(|text| text.parse().unwrap()).collect();
    let location = LocationFields { country: Some("cf-ipcountry".into()), asn: None };
    ProxySettings { trusted: TrustedProxies::Networks(networks.into()), field: ProxyField::XForwardedFor, location }
}

pub(crate) fn gateway() -> GatewaySettings {
    let fields = vec![("authorization".to_owned(), SecretText::parse("Bearer ${secret.OTLP_TOKEN}").unwrap())];
    let otlp = OtlpSettings { endpoint: "http://127.0.0.1:4318".parse().unwrap(), fields, interval_ms: 1_000 };
    GatewaySettings {
        name: "acme".into(),
        proxies: Some(proxies()),
        telemetry: TelemetrySettings { log: true, otlp: Some(otlp), usage: None },
        internal_hosts: vec!["ops.internal".parse().unwrap()],
        plans: Some(vec!["free".into(), "gold".into()]),
        client_fields: ClientFields::default(),
        outages: vec![],
        identity_tokens: None,
        entitled: None,
        notify: Vec::new(),
    }
}

/// A part with a route that has every member, and one that has none.
pub(crate) fn site() -> SiteSettings {
    let policies = [
        ("partner-keys", keys(Some("Bearer"), Some("api_key"))),
        ("burst", limit(200, LimitBy::Consumer, OnUnavailable::Open)),
        ("public-keys", keys(None, None)),
        ("slow", limit(1, LimitBy::Address, OnUnavailable::Closed)),
        ("office", office()),
        ("staff-only", access()),
        ("own-shop", condition()),
        ("in-berlin", in_berlin()),
        ("opa", opa()),
    ];
    let fields = vec![("x-token".to_owned(), SecretText::parse("${secret.PETS}").unwrap())];
    SiteSettings {
        upstreams: vec![upstream("pets", "https://pets.internal:8443/base", fields), upstream("b", "http://b", vec![])],
        policies: policies.into_iter().map(|(name, policy)| Named { name: name.into(), policy }).collect(),
        routes: vec![full_route(), chosen_route(), route("pets.* /{*rest}", "/{*rest}")],
    }
}

/// A part with what earlier readers refuse: tokens that are bound to their holder, limits by installation, and a certificate of
/// the gateway.
pub(crate) fn later_site() -> SiteSettings {
    let dpop = DpopRules {
        algorithms: [Algorithm::Es256, Algorithm::EdDsa].into_iter().collect(),
        age_max_s: 60,
        nonce: Some(SecretText::parse("${secret.NONCES}").unwrap()),
        once: true,
    };
    let binding = BindingRules { mode: BindingMode::Any, certificate: CertificateSource::Field, dpop: Some(dpop) };
    let keys = KeySource::Set("https://id.example.com/keys".into(), false);
    let mut tokens = JwtSettings::new("https://id.example.com", "pets", keys, Algorithm::EdDsa);
    tokens.rules.binding = Some(binding);
    tokens.place.with_proof = true;
    let policies = [("app", tokens.into()), ("device", limit(3, LimitBy::Installation, OnUnavailable::Closed))];
    let own = OwnCertificate { name: "PETS_CERTIFICATE".into(), key: Some("PETS_KEY".into()) };
    let pets = UpstreamSettings { certificate: Some(own), ..upstream("pets", "https://pets.internal", vec![]) };
    SiteSettings {
        upstreams: vec![pets],
        policies: policies.into_iter().map(|(name, policy)| Named { name: name.into(), policy }).collect(),
        routes: vec![RouteSettings {
            authn: vec![vec![Place::new(0)]],
            limit: vec![Place::new(0)],
            ..route("pets.get", "/pets")
        }],
    }
}

/// A gateway that tells receivers of limits.
pub(crate) fn told_gateway() -> GatewaySettings {
    let receiver = |url: &str, is_private| NoticeReceiver {
        url: url.into(),
        secret: SecretText::parse("${secret.NOTIFY}").unwrap(),
        is_private,
        timeout_ms: 3_000,
    };
    let notify = vec![receiver("https://ops.example.com/limits", false), receiver("http://ops.internal/", true)];
    GatewaySettings { notify, ..gateway() }
}

/// A part with a budget, whose route tells clients of limits in further ways.
pub(crate) fn told_site() -> SiteSettings {
    let mut site = limits_site();
    for named in &mut site.policies.limit {
        if let LimitPolicy::Quota(settings) = &mut named.policy {
            settings.counting.budget = Some("20 USD".into());
        }
    }
    for route in &mut site.routes {
        route.limit_fields = Some(LegacyFields::XRatelimitUnix);
        route.help = Some("https://docs.example.com/limits".into());
    }
    site
}

/// A part with limits of all kinds and ways of counting.
pub(crate) fn limits_site() -> SiteSettings {
    let of = |number| NonZeroU32::new(number).unwrap();
    let counting = Counting {
        parts: vec![Part::By(LimitBy::Consumer), Part::Route, Part::Value(Source::Header("x-tenant".into()))],
        shadow: true,
        warn: [80, 95].map(|share| NonZeroU8::new(share).unwrap()).into(),
        degrade: NonZeroU8::new(10),
        timeout_ms: NonZeroU32::new(200),
        consistency: Consistency::Exact,
        ..Counting::default()
    };
    let Policy::Limit(LimitPolicy::RateLimit(base)) = limit(1, LimitBy::Consumer, OnUnavailable::Closed) else {
        unreachable!("a rate limit")
    };
    let algorithms =
        [RateAlgorithm::FixedWindow, RateAlgorithm::SlidingWindow, RateAlgorithm::SlidingLog, RateAlgorithm::Spacing];
    let rates = algorithms.map(|algorithm| {
        Policy::from(RateLimitSettings {
            algorithm,
            plans: BTreeMap::new(),
            counting: counting.clone(),
            ..base.clone()
        })
    });
    let zone = Zone { minutes: 60, changes: vec![OffsetChange { at_s: 1_774_746_000, minutes: 120 }] };
    let windows = Windows { unit: Unit::Year, anchor: Some(229), zone: Some(zone), zone_name: "Europe/Berlin".into() };
    let quota = QuotaSettings {
        quota: of(1_000_000),
        windows,
        by: LimitBy::Address,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::from([("gold".into(), of(7))]),
        counting: Counting::default(),
    };
    let concurrency = ConcurrencySettings {
        max: of(2),
        lease_ms: of(60_000),
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::from([("gold".into(), of(20))]),
        counting: Counting { parts: vec![Part::Gateway], ..Counting::default() },
    };
    let policies = rates.into_iter().chain([quota.into(), concurrency.into()]).enumerate();
    SiteSettings {
        upstreams: vec![upstream("pets", "https://pets.internal", vec![])],
        policies: policies.map(|(at, policy)| Named { name: format!("limit-{at}").into(), policy }).collect(),
        routes: vec![RouteSettings {
            guard: vec![],
            authn: vec![],
            limit: (0..6).map(Place::new).collect(),
            ..route("pets.get", "/pets")
        }],
    }
}

/// A part with limits that count at owners, from leases and in isolates, and whose numbers callers may have.
pub(crate) fn consistency_site() -> SiteSettings {
    let of = |number| NonZeroU32::new(number).unwrap();
    let Policy::Limit(LimitPolicy::RateLimit(base)) = limit(1, LimitBy::Consumer, OnUnavailable::Closed) else {
        unreachable!("a rate limit")
    };
    let windows = Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() };
    let limits = [Consistency::Exact, Consistency::Leased, Consistency::Local].map(|consistency| {
        let counting = Counting { consistency, ..Counting::default() };
        let of_callers = Counting {
            at_most: Some(of(5_000)),
            number_from: Some(Source::Claim(vec!["tier".into(), "quota".into()])),
            count_when: Some(Statuses::parse("status < 500").unwrap()),
            ..counting.clone()
        };
        let rate = RateLimitSettings { plans: BTreeMap::new(), counting, ..base.clone() };
        let (by, on_unavailable, plans) = (LimitBy::Consumer, OnUnavailable::Open, BTreeMap::new());
        let (quota, windows) = (of(1_000), windows.clone());
        let quota = QuotaSettings { quota, windows, by, on_unavailable, plans, counting: of_callers };
        [Policy::from(rate), quota.into()]
    });
    let limits = limits.into_iter().flatten().enumerate();
    SiteSettings {
        upstreams: vec![upstream("pets", "https://pets.internal", vec![])],
        policies: limits.map(|(at, policy)| Named { name: format!("limit-{at}").into(), policy }).collect(),
        routes: vec![RouteSettings {
            guard: vec![],
            authn: vec![],
            limit: (0..6).map(Place::new).collect(),
            ..route("pets.get", "/pets")
        }],
    }
}

/// A part with a limit that is charged while a request goes on.
pub(crate) fn beside_site() -> SiteSettings {
    let Policy::Limit(LimitPolicy::RateLimit(base)) = limit(1, LimitBy::Consumer, OnUnavailable::Closed) else {
        unreachable!("a rate limit")
    };
    let counting = Counting { beside: true, ..Counting::default() };
    let limit = RateLimitSettings { plans: BTreeMap::new(), counting, ..base };
    SiteSettings {
        upstreams: vec![upstream("pets", "https://pets.internal", vec![])],
        policies: vec![Named { name: "reads".into(), policy: limit.into() }].into_iter().collect(),
        routes: vec![RouteSettings {
            guard: vec![],
            authn: vec![],
            limit: vec![Place::new(0)],
            ..route("pets.get", "/pets")
        }],
    }
}

/// A part with limits whose costs are read, that count networks or cookies, and with policies that read cookies.
pub(crate) fn costs_site() -> SiteSettings {
    let of = |number| NonZeroU32::new(number).unwrap();
    let cost = |of_what, most| Cost { of: of_what, per: of(1), reserve: of(1), most };
    let measures = [
        cost(Measure::RequestBytes, None),
        Cost { per: of(1_024), reserve: of(5), ..cost(Measure::ResponseBytes, of(100).into()) },
        cost(Measure::ResponseField("x-cost".into()), None),
        cost(Measure::Value(Source::Query("limit".into())), None),
    ];
    let windows = Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() };
    let quotas = measures.map(|cost| {
        let counting = Counting { cost: Some(Box::new(cost)), ..Counting::default() };
        let (by, on_unavailable) = (LimitBy::Consumer, OnUnavailable::Open);
        let (windows, plans) = (windows.clone(), BTreeMap::new());
        Policy::from(QuotaSettings { quota: of(1_000), windows, by, on_unavailable, plans, counting })
    });
    let Policy::Limit(LimitPolicy::RateLimit(base)) = limit(1, LimitBy::Address, OnUnavailable::Closed) else {
        unreachable!("a rate limit")
    };
    let networks = Counting { prefixes: Prefixes { ipv4: 24, ipv6: 56 }, ..Counting::default() };
    let networks = RateLimitSettings { plans: BTreeMap::new(), counting: networks, ..base };
    let concurrency = ConcurrencySettings {
        max: of(2),
        lease_ms: of(60_000),
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Open,
        plans: BTreeMap::new(),
        counting: Counting { parts: vec![Part::Value(Source::Cookie("session".into()))], ..Counting::default() },
    };
    let limits = quotas.into_iter().chain([networks.into(), concurrency.into()]).enumerate();
    let limits = limits.map(|(at, policy)| Named { name: format!("limit-{at}").into(), policy });
    let beta = Expression::new(vec![Node::Has(Source::Cookie("beta".into()))]).unwrap();
    let condition = ConditionSettings { allow: beta, text: "\"beta\" in request.cookies".into() };
    SiteSettings {
        upstreams: vec![upstream("pets", "https://pets.internal", vec![])],
        policies: limits.chain([Named { name: "beta".into(), policy: condition.into() }]).collect(),
        routes: vec![RouteSettings {
            guard: vec![],
            authn: vec![],
            authz: vec![Place::new(0)],
            limit: (0..6).map(Place::new).collect(),
            ..route("pets.get", "/pets")
        }],
    }
}

/// A part with more routes than fit on a page.
pub(crate) fn paged_site() -> SiteSettings {
    let paths = ["/a", "/b/{id}", "/b/{id:int}/c", "/{any}", "/d/{*rest}"];
    let place = |n: usize| route(&format!("pets.{n:03}"), &format!("/v{}{}", n / 5, paths[n % 5]));
    let routes = (0..100).map(place).chain([full_route(), chosen_route()]).collect();
    SiteSettings { routes, ..site() }
}

fn full_route() -> RouteSettings {
    RouteSettings {
        methods: [Method::GET].into(),
        guard: vec![Place::new(0)],
        guard_limit: vec![Place::new(1)],
        authn: vec![vec![Place::new(0), Place::new(1)], vec![Place::new(1)]],
        scopes: vec!["pets.read".into()],
        authz: vec![Place::new(0), Place::new(1)],
        limit: vec![Place::new(0)],
        cost: NonZeroU32::new(300).unwrap(),
        cache: Some(CacheSettings {
            ttl_ms: Some(600_000),
            vary: vec!["accept-language".into()],
            credentials: CacheCredentials::PerConsumer,
            key_query: Some(vec!["page".into()]),
        }),
        strip_segments: 2,
        timeout_ms: Some(10_000),
        limit_fields: None,
        help: None,
        ..route("pets.listPets", "/pets/v1/pets/{id}")
    }
}

/// A route with predicates.
fn chosen_route() -> RouteSettings {
    let tests = [
        (Subject::Header("x-version".into()), Test::OneOf(vec!["1".into(), "2".into()])),
        (Subject::Query("debug".into()), Test::Absent),
        (Subject::Query("page".into()), Test::Present),
    ];
    let when = tests.into_iter().map(|(of, test)| Predicate { of, test }).collect();
    RouteSettings {
        when,
        internal: true,
        matrix_parameters: true,
        ..route("pets.chosen", "/pets/{id:int}/{state:(open|closed)}.json")
    }
}

/// A route for all methods without other members.
pub(crate) fn route(id: &str, path: &str) -> RouteSettings {
    RouteSettings {
        id: id.into(),
        api: "pets".into(),
        path: path.parse().unwrap(),
        methods: Methods::ALL,
        when: vec![],
        internal: false,
        guard: vec![],
        guard_limit: vec![],
        authn: vec![],
        scopes: vec![],
        scope_sets: vec![],
        authz: vec![],
        limit: vec![],
        cost: NonZeroU32::MIN,
        cache: None,
        upstream: 0,
        strip_segments: 0,
        matrix_parameters: false,
        content_bytes_max: 1 << 20,
        timeout_ms: None,
        limit_fields: None,
        help: None,
    }
}

fn upstream(name: &str, url: &str, fields: Vec<(String, SecretText)>) -> UpstreamSettings {
    UpstreamSettings {
        name: name.into(),
        url: url.parse().unwrap(),
        connect_timeout_ms: 1_000,
        fields,
        identity: vec![],
        auth: UpstreamAuth::None,
        certificate: None,
    }
}

fn access() -> Policy {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let allow = Callers { groups: list(&["ops", "staff"]), plans: list(&["gold"]), ..Callers::default() };
    AccessSettings { allow, deny: Callers { consumers: list(&["acme"]), ..Callers::default() } }.into()
}

fn condition() -> Policy {
    let nodes = vec![
        Node::Read(Source::Parameter("shop".into())),
        Node::Read(Source::Claim(vec!["shop".into(), "id".into()])),
        Node::Binary(Binary::Equal, 0, 1),
    ];
    let allow = Expression::new(nodes).unwrap();
    ConditionSettings { allow, text: "params.shop == principal.claims.shop.id".into() }.into()
}

/// A condition with what earlier readers do not know.
fn in_berlin() -> Policy {
    let changes = vec![OffsetChange { at_s: 1_774_746_000, minutes: 120 }];
    let nodes = vec![
        Node::Zone(Zone { minutes: 60, changes }),
        Node::Read(Source::Now),
        Node::PartIn(TimePart::Hours, 0, 1),
        Node::Read(Source::Asn),
        Node::Binary(Binary::Less, 2, 3),
    ];
    let text = "now.getHours(\"Europe/Berlin\") < client.asn".into();
    ConditionSettings { allow: Expression::new(nodes).unwrap(), text }.into()
}

fn opa() -> Policy {
    let value = Expression::new(vec![Node::Read(Source::Consumer)]).unwrap();
    let sent = Sent { path: vec!["user".into(), "id".into()], value, text: "principal.consumer".into() };
    ExternalSettings {
        url: "http://opa.internal/v1/data/allow".into(),
        is_private: true,
        protocol: Protocol::Opa,
        sent: vec![sent],
        cache_ms: 5_000,
        timeout_ms: 500,
        on_unavailable: OnUnavailable::Closed,
        token: vec![SecretText::parse("${secret.OPA}").unwrap()],
    }
    .into()
}

fn keys(scheme: Option<&str>, query: Option<&str>) -> Policy {
    let (scheme, query) = (scheme.map(Into::into), query.map(Into::into));
    let field = HeaderName::from_static("x-api-key");
    ApiKeySettings::from(CredentialPlace { query, ..CredentialPlace::field(field, scheme) }).into()
}

fn limit(burst: u32, by: LimitBy, on_unavailable: OnUnavailable) -> Policy {
    let of = |number| NonZeroU32::new(number).unwrap();
    let limit = RateLimitSettings {
        rate: of(100),
        period_ms: of(1_000),
        burst: of(burst),
        by,
        on_unavailable,
        plans: BTreeMap::from([("gold".into(), PlanLimit { rate: of(1_000), period_ms: of(1_000), burst: of(2_000) })]),
        algorithm: RateAlgorithm::default(),
        counting: Counting::default(),
    };
    limit.into()
}

fn office() -> Policy {
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>().into();
    IpFilterSettings { allow: networks(&["10.0.0.0/8", "2001:db8::/32"]), deny: networks(&["10.1.0.0/16"]) }.into()
}

/// A part with one small route.
pub(crate) fn small_site(path: &str) -> SiteSettings {
    SiteSettings {
        upstreams: vec![upstream("b", "http://b", vec![])],
        policies: Policies::EMPTY,
        routes: vec![route("r", path)],
    }
}

/// A bundle for `api.example.com` and `*`.
pub(crate) fn bundle() -> Bundle {
    Bundle::new(&gateway(), &sites())
}

pub(crate) fn sites() -> BTreeMap<HostPattern, SiteSettings> {
    BTreeMap::from([("api.example.com".parse().unwrap(), site()), (HostPattern::Any, small_site("/small"))])
}
