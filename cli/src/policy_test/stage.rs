//! A gateway set up for the cases of a file: the bundle is compiled once, everything else is created for each case.

use std::collections::HashMap;
use std::rc::Rc;

use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use tollgate_config::policy_tests::{Case, TestFile, TestKey};
use tollgate_config::{Compiled, CompiledRoute};
use tollgate_core::authn::{Credential, CredentialPlace, JwtSettings, LoginPath, OidcLoginSettings};
use tollgate_core::kinds::{AuthnPolicy, PolicyName};
use tollgate_core::operator::Role;
use tollgate_core::route::HostPattern;
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_edge::memory::{Content, MemoryHost, MemoryRecords, MemorySignatures, ScriptedFetch, VirtualClock};
use tollgate_edge::ports::Clock;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};
use tollgate_kv_schemas::{encode, keys};

use super::browser::Browsers;
use super::issuer::Issuers;
use super::notice::{self, Sent};
use super::outage::OPERATOR_TOKEN;
use super::script::Scripts;
use crate::commands::explain::ask::{KEY_OF_NOBODY, SECRET_OF_NOTICES};

/// The state that the cases of one file share.
pub(super) struct Stage<'f> {
    pub(super) file: &'f TestFile,
    pub(super) compiled: &'f Compiled,
    /// The bundle and the credentials.
    records: Rc<HashMap<String, Vec<u8>>>,
    /// An isolate that has loaded the bundle.
    isolate: Rc<Isolate>,
    /// A separate gateway that determines the route of a request; what it counts and stores is not used.
    scout: Bench,
    /// Public hosts, one for each pattern, the most specific pattern first.
    public_hosts: Vec<String>,
    /// Hosts for internal callers.
    internal_hosts: Vec<String>,
    /// The places from which the project's policies read keys.
    key_places: Vec<&'f CredentialPlace>,
}

/// One gateway with its clock, stores and upstreams.
pub(super) struct Bench {
    pub(super) host: MemoryHost,
    pub(super) isolate: Rc<Isolate>,
    pub(super) scripts: Rc<Scripts>,
    pub(super) issuers: Rc<Issuers>,
    pub(super) browsers: Browsers,
    /// The URLs to which notices of limits are sent.
    receivers: Vec<Uri>,
}

impl<'f> Stage<'f> {
    pub(super) fn new(compiled: &'f Compiled, file: &'f TestFile) -> Self {
        let records = Rc::new(records(compiled, file));
        let gateway = compiled.gateway().to_owned();
        // An export would move the clock by its interval.
        let isolate =
            Rc::new(Isolate::new(IsolateSettings { gateway, freshness: Freshness::Cached }).without_exports());
        let scout = bench(file, compiled, &records, &isolate, None);
        // All cases share what is compiled of the bundle from here on.
        let _ = scout.host.clock.drive(isolate.refresh(&scout.host));
        let scout = Bench { isolate: Rc::new(isolate.renewed()), ..scout };
        let mut patterns: Vec<&HostPattern> = compiled.sites().keys().collect();
        patterns.sort();
        let is_internal = |pattern: &&HostPattern| compiled.settings().internal_hosts.contains(pattern);
        let (internal, public): (Vec<_>, Vec<_>) = patterns.into_iter().partition(is_internal);
        let some = |patterns: Vec<&HostPattern>| patterns.into_iter().map(some_host).collect();
        let (public_hosts, internal_hosts) = (some(public), some(internal));
        Self { file, compiled, records, isolate, scout, public_hosts, internal_hosts, key_places: key_places(compiled) }
    }

    /// A gateway at the start of a case.
    pub(super) fn bench(&self, case: &Case) -> Bench {
        bench(self.file, self.compiled, &self.records, &self.isolate, Some(case))
    }

    /// The key of a name; the file was checked to have it.
    pub(super) fn key(&self, name: &str) -> Option<&'f TestKey> {
        self.file.consumers.iter().flat_map(|consumer| &consumer.keys).find(|key| key.name.value == name)
    }

    /// The host for a request without one: the first that has a route for it.
    pub(super) fn host_for(&self, request: &Request<Content>, client: Client) -> &str {
        let hosts = self.hosts(client.inside);
        let first = hosts.first().copied().unwrap_or("localhost");
        if hosts.len() < 2 {
            return first;
        }
        let takes = |host: &&str| {
            let mut request = request.clone();
            if let Ok(value) = HeaderValue::from_str(host) {
                request.headers_mut().insert(HOST, value);
            }
            self.route_of(request, client).is_some()
        };
        hosts.into_iter().find(takes).unwrap_or(first)
    }

    /// The hosts that a client can use, internal ones first for internal callers.
    pub(super) fn hosts(&self, inside: bool) -> Vec<&str> {
        let internal = self.internal_hosts.iter().filter(|_| inside);
        internal.chain(&self.public_hosts).take(HOSTS_TRIED_MAX).map(String::as_str).collect()
    }

    /// Where the route of a request reads a key; if it reads none, the first place that any policy reads.
    pub(super) fn key_place(&self, request: &Request<Content>, client: Client) -> Option<&'f CredentialPlace> {
        let any = self.key_places.first().copied();
        if self.key_places.len() < 2 {
            return any;
        }
        let policies = &self.compiled.whole().policies;
        let Some(route) = self.route_of(request.clone(), client) else { return any };
        route.settings.policies(policies).find_map(|policy| policy.uses.key_place()).or(any)
    }

    /// The policy of the route of a request that reads a token of an issuer; if it reads none, the first one that does.
    pub(super) fn token_policy(
        &self,
        request: &Request<Content>,
        client: Client,
        issuer: &str,
    ) -> Option<&'f JwtSettings> {
        let policies = &self.compiled.whole().policies;
        let tokens = || policies.authn.iter().filter_map(|named| Some((named, jwt(&named.policy)?)));
        let of_issuer = |settings: &JwtSettings| settings.rules.issuers.iter().any(|own| own == issuer);
        let own = self.route_of(request.clone(), client);
        let is_own =
            |name: &str| own.is_some_and(|route| route.settings.policies(policies).any(|own| own.name == name));
        let best = tokens().max_by_key(|(named, settings)| (is_own(&named.name), of_issuer(settings)));
        best.map(|(_, settings)| settings)
    }

    /// The policy by which people log in on the route of a request, at this issuer.
    pub(super) fn login(
        &self,
        request: &Request<Content>,
        client: Client,
        issuer: &str,
    ) -> Option<(&'f PolicyName, &'f OidcLoginSettings)> {
        let policies = &self.compiled.whole().policies;
        let route = self.route_of(request.clone(), client)?;
        let all = route.settings.authenticators().filter_map(|place| policies.get(place));
        let mut logins = all.filter_map(|named| Some((&named.name, named.policy.login()?)));
        logins.find(|(_, login)| login.rules.issuers.iter().any(|own| own == issuer))
    }

    /// The paths and hosts at which policies are told of logouts at an issuer.
    pub(super) fn told_of_logouts(&self, issuer: &str) -> Vec<(String, String)> {
        let url = self.file.issuers.iter().find(|own| own.name.value == issuer).map(|own| own.url.as_str());
        let host = self.hosts(false).first().map_or("localhost", |host| host).to_owned();
        let logins = self.compiled.whole().policies.authn.iter().filter_map(|named| named.policy.login());
        let of_issuer = logins.filter(|login| login.rules.issuers.first().map(String::as_str) == url);
        let paths = of_issuer.filter_map(|login| login.path_of(LoginPath::BackChannelLogout));
        paths.map(|path| (host.clone(), path)).collect()
    }

    /// The route that matches a request.
    pub(super) fn route_of(&self, request: Request<Content>, client: Client) -> Option<&'f CompiledRoute> {
        let (_, record) = self.scout.serve(request, client)?;
        self.scout.host.sink.clear();
        let _ = self.scout.host.upstream.take_received();
        let taken = record.route()?;
        self.compiled.routes().iter().find(|route| *route.settings.id == *taken.id)
    }
}

impl Bench {
    /// Serves one request, including the work after its reply; advances the clock when the pipeline waits.
    ///
    /// `None` if the pipeline waits for an event that never happens.
    pub(super) fn serve(
        &self,
        request: Request<Content>,
        client: Client,
    ) -> Option<(Response<Content>, ExchangeRecord)> {
        self.host.clock.drive(async {
            let served = serve(&self.isolate, &self.host, request, client).await;
            (served.reply.into_response(), served.after.await)
        })
    }

    /// The notices of limits that were sent since the last call.
    pub(super) fn take_notices(&self) -> Vec<Sent> {
        notice::sent(&self.host.fetch.take_received(), &self.receivers)
    }
}

fn bench(
    file: &TestFile,
    compiled: &Compiled,
    records: &Rc<HashMap<String, Vec<u8>>>,
    isolate: &Isolate,
    case: Option<&Case>,
) -> Bench {
    let (upstreams, fetches) = case.map_or((&[][..], &[][..]), |case| (&case.upstreams, &case.fetches));
    let scripts = Rc::new(Scripts::new(&compiled.whole().upstreams, &file.upstreams, upstreams));
    let receivers = compiled.settings().notify.iter().filter_map(|receiver| receiver.url.parse().ok());
    let receivers: Vec<Uri> = receivers.collect();
    let services = Scripts::of_services(&file.fetches, fetches, receivers.clone());
    let answering = Rc::clone(&scripts);
    let mut host = MemoryHost::new(VirtualClock::at(file.clock), SEED, move |request: &Request<Content>| {
        answering.answer(request)
    });
    let issuers = Rc::new(Issuers::new(&file.issuers));
    let providers = Rc::clone(&issuers);
    let clock = host.clock.clone();
    host.fetch = ScriptedFetch::new(host.clock.clone(), move |request: &Request<Content>| {
        providers.answer(request, clock.now()).unwrap_or_else(|| services.answer(request))
    });
    host.signatures = MemorySignatures::new(tollgate_signatures::verifies)
        .signing(tollgate_signatures::sign)
        .sealing(tollgate_signatures::seal, tollgate_signatures::open)
        .hashing(host.clock.clone(), tollgate_signatures::is_password);
    host.records = MemoryRecords::new(host.clock.clone()).over(Rc::clone(records));
    for name in compiled.whole().secret_names() {
        host.secrets.put(name, format!("made-up-value-of-{name}-for-policy-tests"));
    }
    for name in compiled.settings().identity_tokens.iter().flat_map(|signing| signing.key.secret_names()) {
        host.secrets.put(name, KEY_OF_NOBODY);
    }
    for name in compiled.settings().notify.iter().flat_map(|receiver| receiver.secret.secret_names()) {
        host.secrets.put(name, SECRET_OF_NOTICES);
    }
    host.secrets.put(Role::Operate.secret_name(), format!("policy-test:{OPERATOR_TOKEN}"));
    for (name, value) in &file.secrets {
        host.secrets.put(&name.value, value);
    }
    Bench { host, isolate: Rc::new(isolate.renewed()), scripts, issuers, browsers: Browsers::default(), receivers }
}

fn records(compiled: &Compiled, file: &TestFile) -> HashMap<String, Vec<u8>> {
    let credentials = file.consumers.iter().flat_map(|consumer| &consumer.keys);
    let credentials = credentials.map(|key| (key.key.digest(), &key.credential));
    let links = file.consumers.iter().flat_map(|consumer| &consumer.links).map(|(digest, link)| (*digest, link));
    let record =
        |(digest, credential): (_, &Credential)| (keys::credential(compiled.gateway(), &digest), encode(credential));
    let credentials = credentials.chain(links).map(record);
    compiled.records().iter().cloned().chain(credentials).collect()
}

fn jwt(policy: &AuthnPolicy) -> Option<&JwtSettings> {
    match policy {
        AuthnPolicy::Jwt(settings) => Some(settings),
        _ => None,
    }
}

/// The different places from which policies read keys.
fn key_places(compiled: &Compiled) -> Vec<&CredentialPlace> {
    let mut places: Vec<&CredentialPlace> = Vec::new();
    for place in compiled.whole().policies.iter().filter_map(|policy| policy.uses.key_place()) {
        if !places.iter().any(|known| known.field == place.field && known.scheme == place.scheme) {
            places.push(place);
        }
    }
    places
}

/// A host that matches a pattern; `localhost` if any host does.
fn some_host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "localhost".to_owned(),
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Wildcard(suffix) => format!("any.{suffix}"),
    }
}

/// The seed of randomness: the same test gives the same answers, including request ids.
const SEED: u64 = 1;

/// The number of hosts tried for a request without one; tests of projects with more hosts name the host.
const HOSTS_TRIED_MAX: usize = 64;
