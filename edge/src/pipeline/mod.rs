//! The path of a request through the gateway: [`serve`] reads top to bottom as the list of phases.

mod after;
mod authenticate;
mod authorize;
mod beside;
mod challenges;
mod charged;
mod charges;
mod content;
mod exchange;
mod external;
mod forward;
mod guard;
mod keys;
mod limit;
mod login;
mod look_up;
mod numbers;
mod operate;
mod outbound;
mod own;
mod receive;
mod refund;
mod respond;
mod route;
mod settle;
mod step;
mod store;
mod undo;
mod upstream_auth;

use std::net::IpAddr;
use std::rc::Rc;

use http::header::RETRY_AFTER;
use http::{Method, Request, Response};
use tollgate_core::forward::Reply;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::telemetry::ExchangeRecord;

use crate::apart::rare;
use crate::isolate::Isolate;
use crate::ports::{Content, Host};
use crate::problems::problem_response;
pub(crate) use content::{RequestContent, gathered};
pub(crate) use exchange::Received;
use exchange::{Answer, Journal};
use limit::Limits;
pub(crate) use own::{WaitPauses, learn, upkeep};
use step::Step;

/// What the adapter knows about the connection: about its peer, which may be a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The peer's address; absent if the platform does not provide it.
    pub address: Option<IpAddr>,
    /// Whether the connection was encrypted.
    pub https: bool,
    /// Whether it arrived at a listener for internal callers; always false for a public listener, whatever the client
    /// sends.
    pub inside: bool,
}

impl Client {
    /// The same client with an IPv4 address if the platform provides an IPv4-mapped IPv6 address: filters and limits
    /// must not depend on the kind of socket.
    fn with_canonical_address(self) -> Self {
        Self { address: self.address.map(|address| address.to_canonical()), ..self }
    }
}

/// The response to a request, and the work after the reply.
#[derive(Debug)]
pub struct Served<C, A> {
    /// The response.
    pub reply: Reply<C>,
    /// The work after the reply: the adapter runs it to completion (`wait_until`, a spawned task). Returns the record
    /// of the exchange, which is also logged and exported.
    pub after: A,
}

/// Serves one request.
///
/// Never fails, and no outside input causes a panic: every refusal and every failure is a response. Dropping the future
/// loses the exchange's record; dropping the response's content does not. After a call of [`Host::run_to_end`] the adapter
/// must not drop it.
pub async fn serve<H: Host>(
    isolate: &Rc<Isolate>,
    host: &H,
    request: Request<H::Content>,
    client: Client,
) -> Served<H::Content, impl Future<Output = ExchangeRecord> + use<H> + 'static> {
    let client = client.with_canonical_address();
    let mut journal = Journal::begin(host, &request, &client);
    isolate.observe(journal.started, journal.begun);
    let outcome = phases(isolate, host, request, client, &mut journal).await;
    let (reply, pending) = respond::respond(host, outcome, &mut journal);
    Served { reply, after: after::after(Rc::clone(isolate), host.clone(), journal, pending) }
}

/// The phases in order. Each returns what the next one needs, or ends the exchange with an answer or a problem.
async fn phases<H: Host>(
    isolate: &Rc<Isolate>,
    host: &H,
    request: Request<H::Content>,
    client: Client,
    journal: &mut Journal,
) -> Step<Answer<H::Content>, H::Content> {
    let (mut received, content) = receive::receive(request, client, journal)?;
    if operate::is_claimed(isolate, &received) {
        return rare(operate::operate(isolate, host, received, content, journal)).await;
    }
    let sites = route::sites(isolate, host, &mut received, &content, journal).await?;
    if let Some(signing) = keys::asked(&sites, &received) {
        return rare(keys::answer(isolate, host, signing, received.method == Method::HEAD, journal)).await;
    }
    if let Some(asked) = login::asked(&sites, received.path.as_str()) {
        return rare(login::answered(isolate, host, &received, content, asked, journal)).await;
    }
    let mut exchange = route::route(sites, received, journal)?;
    exchange.complete_fields(&content);
    let mut content = guard::content(&exchange, content, journal)?;
    guard::admit(&exchange, journal)?;
    limit::charge(isolate, host, Limits::of_guard(&exchange), journal).await?;
    let principal = authenticate::authenticate(isolate, host, &exchange, &mut content, journal).await?;
    let principal = principal.as_deref();
    authorize::authorize(isolate, host, &exchange, principal, journal).await?;
    journal.request_bytes = journal.request_bytes.or(content.length());
    if let Some(beside) = limit::charge(isolate, host, Limits::of(&exchange, principal), journal).await? {
        return rare(beside::go_on(isolate, host, (&exchange, principal), content, beside, journal)).await;
    }
    let mut outbound = outbound::outbound(&exchange, &content, principal, journal)?;
    let cache = look_up::look_up(isolate, host, &exchange, &outbound, principal, journal).await?;
    let stale = cache.as_deref().and_then(look_up::CacheUse::stale);
    let response =
        forward::forward(isolate, host, (&exchange, principal), &mut outbound, content, stale, journal).await?;
    Ok(store::store(isolate, host, &exchange, &outbound, response, cache.map(|cache| *cache), journal).await)
}

/// The response to a request that the adapter cannot convert: `detail` says what is wrong with it.
#[must_use]
pub fn unreadable<C: Content>(detail: &'static str) -> Response<C> {
    problem_response(Problem::plain(ProblemKind::BadRequest, detail), "", false)
}

/// The response for an exchange that was lost: a panic was caught, or the platform ended it.
#[must_use]
pub fn failed<C: Content>() -> Response<C> {
    problem_response(Problem::plain(ProblemKind::Internal, "The gateway failed to handle this request."), "", false)
}

/// The response to a request beyond the number that the adapter handles at once.
#[must_use]
pub fn overloaded<C: Content>() -> Response<C> {
    let problem = Problem::plain(ProblemKind::Overloaded, "Send the same request again in a few seconds.");
    problem_response(problem.with(RETRY_AFTER, "1"), "", false)
}
