//! The operator endpoint: authenticates the caller, finds the resource, handles the call, and audits it.
//!
//! The pipeline calls `gate` for each request before routing. Core defines the resources and the formats of requests
//! and responses ([`tollgate_core::operator`]); each resource has a handler here.

mod access;
mod audit;
mod entitlements;
mod keys;
mod metrics;
mod outages;
mod purge_log;
mod purges;
mod secrets;
mod usage;

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde::Serialize;
use tollgate_core::event::{Local, Reason};
use tollgate_core::hex;
use tollgate_core::json::to_text;
use tollgate_core::operator::{Claim, Found, Resource, Tokens, check_json};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::{CanonicalPath, HostName};

use crate::isolate::{Isolate, operators};
use crate::ports::{Clock, Content, ContentFault, Entropy, Gathered, Host, Unavailable};
use crate::problems::problem_response;
use crate::timeout::{Later, within};
use audit::Ledger;

/// What to do with a request before routing.
pub(crate) enum Gate {
    /// It is not for the endpoint.
    Foreign,
    /// It is for the endpoint, which is off: it gets the response of an unknown route.
    Closed,
    /// It is for the endpoint.
    Open(Rc<Tokens>),
}

/// A call of the endpoint.
pub(crate) struct Call<'c, C> {
    pub(crate) method: &'c Method,
    pub(crate) path: &'c CanonicalPath,
    pub(crate) query: Option<&'c str>,
    pub(crate) fields: &'c HeaderMap,
    pub(crate) content: C,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: &'c str,
}

/// Whether a request is for the endpoint, and whether the endpoint is on.
///
/// # Errors
/// The problem for the response, if it is unknown whether a token is bound.
pub(crate) async fn gate<H: Host>(
    isolate: &Isolate,
    host: &H,
    name: &HostName,
    path: &CanonicalPath,
) -> Result<Gate, Problem> {
    let settings = &isolate.operators.settings;
    match settings.place.claim(name, path) {
        Claim::Foreign => Ok(Gate::Foreign),
        Claim::Reserved => Ok(Gate::Closed),
        Claim::Mine(_) if !settings.answers => Ok(Gate::Closed),
        Claim::Mine(_) => {
            let tokens = bound(isolate, host).await?;
            Ok(if tokens.is_empty() { Gate::Closed } else { Gate::Open(tokens) })
        }
    }
}

/// Answers a call that [`gate`] let pass.
///
/// # Errors
/// The problem for the response.
pub(crate) async fn answer<H: Host>(
    isolate: &Isolate,
    host: &H,
    tokens: &Tokens,
    call: Call<'_, H::Content>,
) -> Result<Response<H::Content>, Problem> {
    host.run_to_end();
    let mut ledger = Ledger::begin(host.clock().now(), call.request_id, call.address);
    let is_head = call.method == Method::HEAD;
    let outcome = perform(isolate, host, tokens, call, &mut ledger).await;
    ledger.close(isolate, host, outcome.as_ref().err()).await;
    outcome.map(|done| done.into_response(is_head))
}

/// Serves a request at a listener for operators only.
///
/// There the endpoint is available at any host name, independent of what [`crate::OperatorSettings`] say for the
/// listener of clients.
pub async fn serve_operator<H: Host>(
    isolate: &Isolate,
    host: &H,
    request: Request<H::Content>,
    address: Option<IpAddr>,
) -> Response<H::Content> {
    let (head, content) = request.into_parts();
    let request_id = request_id(host);
    let is_head = head.method == Method::HEAD;
    let answered = async {
        let path = CanonicalPath::parse(head.uri.path().as_bytes())
            .map_err(|error| Problem::plain(ProblemKind::BadPath, format!("Refused, because {error}.")))?;
        let tokens = bound(isolate, host).await?;
        if tokens.is_empty() {
            return Err(nothing_bound());
        }
        let address = client_address(isolate, host, &head.headers, address).await;
        let call = Call {
            method: &head.method,
            path: &path,
            query: head.uri.query(),
            fields: &head.headers,
            content,
            address,
            request_id: &request_id,
        };
        answer(isolate, host, &tokens, call).await
    };
    answered.await.unwrap_or_else(|problem| problem_response(problem, &request_id, is_head))
}

/// The metrics of this host in the Prometheus text format, for a listener for operators only.
///
/// If tokens are bound, it requires one with the role `read`, unless the listener is `open`. A refused request is
/// logged and limited like a refused call of the endpoint; one that is answered is not logged, because collectors ask
/// every few seconds.
pub async fn scrape<H: Host>(
    isolate: &Isolate,
    host: &H,
    fields: &HeaderMap,
    address: Option<IpAddr>,
    open: bool,
) -> Response<H::Content> {
    let request_id = request_id(host);
    let allowed = if open { Ok(()) } else { may_scrape(isolate, host, fields, address, &request_id).await };
    match allowed {
        Ok(()) => metrics::text(host).into_response(false),
        Err(problem) => problem_response(problem, &request_id, false),
    }
}

async fn may_scrape<H: Host>(
    isolate: &Isolate,
    host: &H,
    fields: &HeaderMap,
    address: Option<IpAddr>,
    request_id: &str,
) -> Result<(), Problem> {
    let tokens = bound(isolate, host).await?;
    if tokens.is_empty() {
        return Ok(());
    }
    let address = client_address(isolate, host, fields, address).await;
    let mut ledger = Ledger::begin(host.clock().now(), request_id, address);
    let caller = access::caller(isolate, &tokens, fields, host.clock().instant(), &mut ledger);
    let allowed = caller.and_then(|caller| {
        ledger.called(caller);
        ledger.asked(Resource::Metrics);
        caller.check_role(Resource::Metrics.role())
    });
    if let Err(problem) = &allowed {
        ledger.close(isolate, host, Some(problem)).await;
    }
    allowed
}

/// The address of the client behind this peer of a listener for operators, by the rule for trusted proxies.
///
/// A number of proxies is about the listener of clients: here, whoever asks without a proxy could choose the address in the
/// audit.
async fn client_address<H: Host>(
    isolate: &Isolate,
    host: &H,
    fields: &HeaderMap,
    peer: Option<IpAddr>,
) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.to_canonical());
    let gateway = isolate.gateway(host).await;
    let rule = gateway.as_ref().and_then(|gateway| gateway.proxies.as_ref());
    rule.filter(|rule| rule.trusts_networks()).map_or(peer, |rule| rule.origin(peer, false, fields).address)
}

/// The input of a handler.
struct Task<'t, H> {
    isolate: &'t Isolate,
    host: &'t H,
    /// The name of the caller's token.
    caller: &'t str,
    fields: &'t HeaderMap,
    /// The path segment that identifies the target of the call.
    parameter: &'t str,
    query: Option<&'t str>,
    content: Bytes,
    /// The targets in the audit log.
    targets: &'t mut Vec<String>,
}

/// A step of a call, compiled once: calls have many steps in common, and a module small enough for a Worker matters more here than
/// time.
type Step<'t, T> = Later<'t, Result<T, Problem>>;

/// The response to a successful call.
struct Done {
    status: StatusCode,
    media_type: &'static str,
    content: Bytes,
}

async fn perform<H: Host>(
    isolate: &Isolate,
    host: &H,
    tokens: &Tokens,
    call: Call<'_, H::Content>,
    ledger: &mut Ledger,
) -> Result<Done, Problem> {
    let caller = access::caller(isolate, tokens, call.fields, host.clock().instant(), ledger)?;
    ledger.called(caller);
    let below = isolate.operators.settings.place.prefix.below(call.path.as_str()).unwrap_or_default();
    let (resource, parameter) = find(call.method, below)?;
    ledger.asked(resource);
    caller.check_role(resource.role())?;
    let content = if resource.has_content() { content(host, call.fields, call.content).await? } else { Bytes::new() };
    let targets = ledger.targets();
    let task = Task {
        isolate,
        host,
        caller: &caller.name,
        fields: call.fields,
        parameter,
        query: call.query,
        content,
        targets,
    };
    handle(resource, task).await
}

/// The list of handlers.
async fn handle<H: Host>(resource: Resource, task: Task<'_, H>) -> Result<Done, Problem> {
    match resource {
        Resource::Metrics => Ok(metrics::show(&task)),
        Resource::NewPurge => purges::new(task).await,
        Resource::NewKey => keys::new(task).await,
        Resource::ListKeys => keys::list(&task).await,
        Resource::ShowKey => keys::show(task).await,
        Resource::RotateKey => keys::rotate(task).await,
        Resource::RevokeKey => keys::revoke(task).await,
        Resource::ShowSecret => secrets::show(&task).await,
        Resource::ShowOutage | Resource::AllowOutage | Resource::EndOutage | Resource::RevokeTokens => {
            outages::outage(resource, task).await
        }
        Resource::ShowCatalogue => entitlements::catalogue(&task).await,
        Resource::ListEntitlements => entitlements::list(&task).await,
        Resource::ListUsage => usage::list(&task).await,
        Resource::Entitle(change) => entitlements::change(change, task).await,
    }
}

fn find<'p>(method: &Method, below: &'p str) -> Result<(Resource, &'p str), Problem> {
    match Resource::find(method, below) {
        Found::Resource(resource, parameter) => Ok((resource, parameter)),
        Found::OtherMethods(methods) => {
            let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            let detail = format!("This path supports {allow}.");
            Err(Problem::plain(ProblemKind::MethodNotAllowed, detail).with(ALLOW, allow))
        }
        Found::Nothing => {
            let detail = "The operator endpoint has no such path. The paths of this version begin with v1/.";
            Err(Problem::plain(ProblemKind::ResourceNotFound, detail))
        }
    }
}

/// The content of a request: JSON, at most [`CONTENT_BYTES_MAX`], within the timeout of a store.
async fn content<H: Host>(host: &H, fields: &HeaderMap, content: H::Content) -> Result<Bytes, Problem> {
    check_json(fields)?;
    let bytes_max = CONTENT_BYTES_MAX as u64;
    let gathered = async { Ok::<_, Unavailable>(content.gather(bytes_max).await) };
    let problem = match within(host, "the client", gathered).await {
        Ok(Ok(Gathered::Complete(whole))) => return Ok(whole.bytes),
        Ok(Ok(Gathered::TooLarge(_)) | Err(ContentFault::LimitExceeded)) => {
            let detail = format!("The content may have at most {CONTENT_BYTES_MAX} bytes.");
            Problem::plain(ProblemKind::ContentTooLarge, detail)
        }
        Ok(Err(ContentFault::Interrupted)) => Problem::plain(ProblemKind::BadRequest, "The content was interrupted."),
        Err(Unavailable(_)) => Problem::plain(ProblemKind::ContentTimeout, "The content did not arrive in time."),
    };
    Err(problem)
}

impl Done {
    fn json(status: StatusCode, answer: &impl Serialize) -> Self {
        Self { status, media_type: "application/json", content: to_text(answer).into() }
    }

    fn into_response<C: Content>(self, is_head: bool) -> Response<C> {
        let mut response = Response::new(if is_head { C::empty() } else { C::from_bytes(self.content) });
        *response.status_mut() = self.status;
        let nosniff = HeaderName::from_static("x-content-type-options");
        for (name, value) in [(CONTENT_TYPE, self.media_type), (CACHE_CONTROL, "no-store"), (nosniff, "nosniff")] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

async fn bound<H: Host>(isolate: &Isolate, host: &H) -> Result<Rc<Tokens>, Problem> {
    operators::tokens(isolate, host).await.map_err(|error| store_unavailable(&error))
}

/// A store that the call needs is unavailable; the log says why.
fn store_unavailable(reason: &impl std::fmt::Display) -> Problem {
    let detail = "A store that this request needs is unavailable. Send the request again.";
    let reason = Reason::OperatorStoreUnavailable { text: Local(reason.to_string().into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "5")
}

fn nothing_bound() -> Problem {
    let detail = "The operator endpoint is off, because no token is bound to it. Bind TOLLGATE_OPERATOR_READ, \
                  TOLLGATE_OPERATOR_PURGE or TOLLGATE_OPERATOR_OPERATE.";
    Problem::plain(ProblemKind::ResourceNotFound, detail)
}

fn request_id<H: Host>(host: &H) -> String {
    let mut random = [0u8; 16];
    host.entropy().fill(&mut random);
    hex::encode(&random)
}

/// More than any request needs: a key with the maximum number of scopes has 6 KiB, the longest URL 8 KiB.
const CONTENT_BYTES_MAX: usize = 16 * 1024;
