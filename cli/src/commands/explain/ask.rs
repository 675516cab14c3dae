//! Sends the request through the pipeline, on in-memory ports.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde_json::json;
use tollgate_analysis::proofs::Analysis;
use tollgate_config::fixtures::Fixtures;
use tollgate_config::{Compiled, Witness};
use tollgate_core::forward::UpstreamError;
use tollgate_core::route::HostPattern;
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, MemorySignatures, ScriptedFetch, VirtualClock};
use tollgate_edge::ports::Content as _;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings};

use crate::failure::Failure;

/// A request with its client and its time.
pub(super) struct Question {
    pub(super) request: Request<Content>,
    pub(super) client: Client,
    pub(super) at: Timestamp,
    /// How often it is sent; the last request is explained.
    pub(super) times: u32,
}

/// The result.
pub(super) struct Explained {
    pub(super) response: Response<Content>,
    pub(super) record: ExchangeRecord,
    /// The requests that the upstream received.
    pub(super) forwarded: Vec<Request<Content>>,
    /// The number of answers with each status, over all requests.
    pub(super) statuses: BTreeMap<u16, u32>,
}

/// Runs the pipeline to its end.
pub(super) fn ask(question: &Question, compiled: &Compiled, fixtures: &Fixtures) -> Result<Explained, Failure> {
    let mut host = MemoryHost::new(VirtualClock::at(question.at), SEED, |_: &Request<Content>| {
        (0, Ok(Response::new(Content::default())))
    });
    host.fetch = ScriptedFetch::new(host.clock.clone(), services(compiled));
    host.signatures = MemorySignatures::new(tollgate_signatures::verifies)
        .signing(tollgate_signatures::sign)
        .sealing(tollgate_signatures::seal, tollgate_signatures::open)
        .hashing(host.clock.clone(), tollgate_signatures::is_password);
    let records = compiled.records().iter().cloned().chain(fixtures.records(compiled.gateway()));
    records.for_each(|(key, value)| host.records.put(key, value));
    for name in compiled.whole().secret_names() {
        host.secrets.put(name, NOT_A_SECRET);
    }
    for name in compiled.settings().identity_tokens.iter().flat_map(|signing| signing.key.secret_names()) {
        host.secrets.put(name, KEY_OF_NOBODY);
    }
    for name in compiled.settings().notify.iter().flat_map(|receiver| receiver.secret.secret_names()) {
        host.secrets.put(name, SECRET_OF_NOTICES);
    }
    let settings = IsolateSettings { gateway: compiled.gateway().to_owned(), freshness: Freshness::EachRequest };
    let isolate = Rc::new(Isolate::new(settings).without_exports());
    let mut statuses = BTreeMap::new();
    let mut once = || {
        host.upstream.take_received();
        let exchange = host.clock.drive(async {
            let served = tollgate_edge::serve(&isolate, &host, question.request.clone(), question.client).await;
            (served.reply.into_response(), served.after.await)
        });
        let waits = || Failure::problem("the exchange waits for something that does not happen here".to_owned());
        let (response, record) = exchange.ok_or_else(waits)?;
        *statuses.entry(record.status).or_default() += 1;
        Ok((response, record))
    };
    for _ in 1..question.times {
        once()?;
    }
    let (response, record) = once()?;
    Ok(Explained { response, record, forwarded: host.upstream.take_received(), statuses })
}

/// A private key that everybody knows (RFC 8037, appendix A.1): no host has it.
pub(crate) const KEY_OF_NOBODY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// A secret that signs notices which nobody receives.
pub(crate) const SECRET_OF_NOTICES: &str = "whsec_bm90LWEtc2VjcmV0LW9mLWFueW9uZQ==";

/// As long as secrets of sessions have to be.
const NOT_A_SECRET: &str = "not-a-secret-of-a-host-but-as-long-as-one";

/// The servers of tokens for upstreams: each issues one, to the gateway and for every caller. Of providers at which people log in, the
/// metadata, in which the URLs of services have their names. No other service answers.
fn services(compiled: &Compiled) -> impl Fn(&Request<Content>) -> Scripted + 'static {
    let servers = compiled.upstreams().iter().filter_map(|upstream| upstream.auth.server());
    let token = r#"{"access_token":"token-of-the-server","token_type":"Bearer","expires_in":60}"#;
    let mut answers: BTreeMap<String, String> = servers.map(|server| (server.url.clone(), token.to_owned())).collect();
    let logins = compiled.whole().policies.authn.iter().filter_map(|named| named.policy.login());
    for issuer in logins.filter_map(|login| login.rules.issuers.first()) {
        let base = issuer.trim_end_matches('/');
        let service = |name: &str| format!("{base}/{name}");
        let metadata = json!({
            "issuer": issuer,
            "jwks_uri": service("jwks_uri"),
            "authorization_endpoint": service("authorization_endpoint"),
            "token_endpoint": service("token_endpoint"),
            "end_session_endpoint": service("end_session_endpoint"),
        });
        answers.insert(format!("{base}/.well-known/openid-configuration"), metadata.to_string());
    }
    move |request| {
        let known = answers.iter().find(|(url, _)| url.parse::<Uri>().is_ok_and(|url| url == *request.uri()));
        let answer = known.map(|(_, text)| Response::new(Content::from_bytes(Bytes::copy_from_slice(text.as_bytes()))));
        (0, answer.ok_or(UpstreamError::ConnectionRefused))
    }
}

type Scripted = (u64, Result<Response<Content>, UpstreamError>);

/// Builds a request from the arguments of the command line.
pub(super) fn request(
    method: &str,
    url: &str,
    fields: &[String],
    compiled: &Compiled,
) -> Result<Request<Content>, Failure> {
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| Failure::usage(format!("`{}` is not a method", crate::terminal::printable(method))))?;
    let uri: Uri = url.parse().map_err(|error| Failure::usage(format!("this is not a URL ({error}): {url}")))?;
    let authority = match (uri.authority(), url.starts_with('/')) {
        (Some(authority), _) if matches!(uri.scheme_str(), Some("http" | "https")) => authority.to_string(),
        (None, true) => String::new(),
        _ => return Err(Failure::usage(format!("write the URL like http://host/path or /path, not {url}"))),
    };
    let mut request = Request::new(Content::default());
    *request.method_mut() = method;
    // As received over a connection: the target is the path, the host is in its field.
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    *request.uri_mut() = target.parse().map_err(Failure::usage)?;
    for line in fields {
        let (name, value) = field(line)?;
        request.headers_mut().append(name, value);
    }
    if !request.headers().contains_key(HOST) {
        let authority = if authority.is_empty() { host_for(&request, compiled) } else { authority };
        request.headers_mut().insert(HOST, HeaderValue::try_from(authority).map_err(Failure::usage)?);
    }
    Ok(request)
}

/// Whether the client's connection is encrypted.
pub(super) fn is_https(url: &str) -> bool {
    url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
}

/// The first host that has a route for a request without one; the first of all if none has.
fn host_for(request: &Request<Content>, compiled: &Compiled) -> String {
    let hosts: BTreeSet<&HostPattern> = compiled.whole().routes.iter().flat_map(|route| &route.hosts).collect();
    let analysis = Analysis::new(compiled.whole(), &compiled.settings().internal_hosts);
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let has_route = |host: &String| {
        analysis.selected_route(&Witness {
            method: request.method().to_string(),
            host: host.clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            fields: request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        })
    };
    let mut hosts = hosts.into_iter().take(HOSTS_TRIED_MAX).map(some_host).peekable();
    let first = hosts.peek().cloned().unwrap_or_else(|| some_host(&HostPattern::Any));
    hosts.find(|host| has_route(host).is_some()).unwrap_or(first)
}

/// A host that matches a pattern; `localhost` if any host does.
fn some_host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "localhost".to_owned(),
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Wildcard(suffix) => format!("any.{suffix}"),
    }
}

/// The number of hosts that are tried.
const HOSTS_TRIED_MAX: usize = 64;

fn field(line: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let parsed = line.split_once(':').and_then(|(name, value)| {
        let name = HeaderName::try_from(name.trim()).ok()?;
        Some((name, HeaderValue::try_from(value.trim()).ok()?))
    });
    parsed.ok_or_else(|| Failure::usage("write a field like -H 'Name: value'"))
}

/// The seed of randomness: the same request gives the same answer, including the request id.
const SEED: u64 = 1;
