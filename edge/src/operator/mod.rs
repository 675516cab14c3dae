//! The operator endpoint: authenticates who asks, finds the resource, does it, and audits the call.
//!
//! The pipeline asks `gate` with each request before it is routed. What a resource is, and what its requests and answers look
//! like, is core's ([`tollgate_core::operator`]); each has its handler here.

mod access;
mod audit;
mod keys;
mod metrics;
mod purge_log;
mod purges;

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde::Serialize;
use tollgate_core::event::{Local, Reason};
use tollgate_core::hex;
use tollgate_core::operator::{Claim, Found, Resource, Tokens, check_json};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::{CanonicalPath, HostName};
use tollgate_core::time::Timestamp;

use crate::isolate::{Isolate, operators};
use crate::patience::within;
use crate::ports::{Clock, Content, ContentFault, Entropy, Gathered, Host, Unavailable};
use crate::problems::problem_response;
use audit::Ledger;

/// What becomes of a request before it is routed.
pub(crate) enum Gate {
    /// It is not for the endpoint.
    Foreign,
    /// It is for the endpoint, which is off: it is answered as an unknown route is.
    Closed,
    /// It is for the endpoint.
    Open(Rc<Tokens>),
}

/// A call of the endpoint.
pub(crate) struct Call<'c, C> {
    pub(crate) method: &'c Method,
    pub(crate) path: &'c CanonicalPath,
    pub(crate) fields: &'c HeaderMap,
    pub(crate) content: C,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: &'c str,
}

/// Whether a request is for the endpoint, and whether that answers.
///
/// # Errors
/// The problem to answer with where it cannot be known whether a token is bound.
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
/// The problem to answer with.
pub(crate) async fn answer<H: Host>(
    isolate: &Isolate,
    host: &H,
    tokens: &Tokens,
    call: Call<'_, H::Content>,
) -> Result<Response<H::Content>, Problem> {
    let now = host.clock().now();
    let mut ledger = Ledger::begin(now, call.request_id, call.address);
    let is_head = call.method == Method::HEAD;
    let outcome = perform(isolate, host, tokens, call, now, &mut ledger).await;
    ledger.close(isolate, host, outcome.as_ref().err()).await;
    outcome.map(|done| done.into_response(is_head))
}

/// Serves a request at a listener that is for operators alone.
///
/// There the endpoint answers at any host name, whatever [`crate::OperatorSettings`] say of the requests of clients.
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
        let call = Call {
            method: &head.method,
            path: &path,
            fields: &head.headers,
            content,
            address: address.map(|address| address.to_canonical()),
            request_id: &request_id,
        };
        answer(isolate, host, &tokens, call).await
    };
    answered.await.unwrap_or_else(|problem| problem_response(problem, &request_id, is_head))
}

/// The counts of this host in the text form of Prometheus, for a listener that is for operators alone.
///
/// Where tokens are bound it takes one of the role `read`, unless the listener is `open`. A request that is refused is logged
/// and limited as a refused call of the endpoint; one that is answered is not logged, because collectors ask every few seconds.
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

/// What a handler works on.
struct Task<'t, H> {
    isolate: &'t Isolate,
    host: &'t H,
    now: Timestamp,
    fields: &'t HeaderMap,
    /// The segment of the path that names what the call is about.
    parameter: &'t str,
    content: Bytes,
    /// What the audit log names as changed or shown.
    targets: &'t mut Vec<String>,
}

/// The answer to a call that was done.
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
    now: Timestamp,
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
    let task = Task { isolate, host, now, fields: call.fields, parameter, content, targets };
    handle(resource, task).await
}

/// The one list of handlers.
async fn handle<H: Host>(resource: Resource, task: Task<'_, H>) -> Result<Done, Problem> {
    match resource {
        Resource::Metrics => Ok(metrics::show(&task)),
        Resource::NewPurge => purges::new(task).await,
        Resource::NewKey => keys::new(task).await,
        Resource::ShowKey => keys::show(task).await,
        Resource::RevokeKey => keys::revoke(task).await,
    }
}

fn find<'p>(method: &Method, below: &'p str) -> Result<(Resource, &'p str), Problem> {
    match Resource::find(method, below) {
        Found::Resource(resource, parameter) => Ok((resource, parameter)),
        Found::OtherMethods(methods) => {
            let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            let detail = format!("This path takes {allow}.");
            Err(Problem::plain(ProblemKind::MethodNotAllowed, detail).with(ALLOW, allow))
        }
        Found::Nothing => {
            let detail = "The operator endpoint has no such path. The paths of this version begin with v1/.";
            Err(Problem::plain(ProblemKind::ResourceNotFound, detail))
        }
    }
}

/// The content of a request: JSON, at most [`CONTENT_BYTES_MAX`], within the time that a store gets.
async fn content<H: Host>(host: &H, fields: &HeaderMap, content: H::Content) -> Result<Bytes, Problem> {
    check_json(fields)?;
    let bytes_max = CONTENT_BYTES_MAX as u64;
    let gathered = async { Ok::<_, Unavailable>(content.gather(bytes_max).await) };
    let problem = match within(host, "the client", gathered).await {
        Ok(Ok(Gathered::Whole(whole))) => return Ok(whole.bytes),
        Ok(Ok(Gathered::TooLarge(_)) | Err(ContentFault::PassedLimit)) => {
            let detail = format!("The content may have {CONTENT_BYTES_MAX} bytes.");
            Problem::plain(ProblemKind::ContentTooLarge, detail)
        }
        Ok(Err(ContentFault::Broken)) => Problem::plain(ProblemKind::BadRequest, "The content broke off."),
        Err(Unavailable(_)) => Problem::plain(ProblemKind::BadRequest, "The content did not arrive in time."),
    };
    Err(problem)
}

impl Done {
    fn json(status: StatusCode, answer: &impl Serialize) -> Self {
        // Our own answers have string keys only and no failing Serialize, so this cannot fail.
        let content = serde_json::to_vec(answer).unwrap_or_default();
        Self { status, media_type: "application/json", content: content.into() }
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
    let detail = "A store that this needs is unavailable. Nothing else is wrong with the request: send it again.";
    let reason = Reason::OperatorStoreAway { text: Local(reason.to_string().into()) };
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

/// More than any request here has: a key with the most scopes takes 6 KiB, a URL as long as a request may have 8 KiB.
const CONTENT_BYTES_MAX: usize = 16 * 1024;
