//! The fetch event: one request, one response, and the work after the reply.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;

use futures_util::poll;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use tollgate_core::forward::{Reply, UNREAD_IN_REQUESTS, UNREAD_IN_RESPONSES};
use tollgate_core::operator::{Place, Prefix, Role};
use tollgate_core::route::HostName;
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_edge::OperatorSettings;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve, unreadable};
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::content::WorkerContent;
use crate::host::{CloudflareHost, Shared};
use crate::lifetime::Lifetime;
use crate::platform::Exchange;
use crate::{fields, outgoing, platform, task};

/// Serves a request; the answer goes to `exchange` (`js/instance.mjs`).
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: &Env, exchange: Exchange) -> Result<(), JsError> {
    let Memory { isolate, gateway, shared } = memory(env)?;
    match incoming(request) {
        Ok((request, client)) => {
            let lifetime = Lifetime::new(exchange);
            let host = CloudflareHost::of_request(env, &gateway, shared, Some(lifetime.clone()));
            task::start(async move {
                let served = serve(&isolate, &host, request, client).await;
                outgoing::answer(lifetime.exchange(), served.reply);
                finish(&lifetime, served.after).await;
            });
        }
        Err(detail) => outgoing::answer(&exchange, Reply::own(unreadable(detail))),
    }
    Ok(())
}

/// The kinds of messages, whose usually unread fields differ.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug)]
pub enum UnreadIn {
    /// Requests.
    Request,
    /// Responses.
    Response,
}

/// The names of the fields that `js/host.mjs` leaves out of heads, a line each.
#[wasm_bindgen(js_name = unreadFields)]
#[must_use]
pub fn unread_fields(kind: UnreadIn) -> String {
    match kind {
        UnreadIn::Request => UNREAD_IN_REQUESTS.join("\n"),
        UnreadIn::Response => UNREAD_IN_RESPONSES.join("\n"),
    }
}

/// Runs the work after the reply. More time is requested from the platform only if it has to wait.
async fn finish(lifetime: &Lifetime, after: impl Future<Output = ExchangeRecord>) {
    let mut after = pin!(after);
    if poll!(after.as_mut()).is_pending() {
        lifetime.extend();
        after.await;
    }
    lifetime.end();
}

/// The state of this isolate that is kept between requests. It contains no I/O object.
#[derive(Clone)]
struct Memory {
    isolate: Rc<Isolate>,
    gateway: Rc<str>,
    shared: Shared,
}

thread_local! {
    static MEMORY: OnceCell<Memory> = const { OnceCell::new() };
}

/// The isolate's state, created with the variables of the first request, which are the same for all requests.
fn memory(env: &Env) -> worker::Result<Memory> {
    if let Some(memory) = MEMORY.with(|cell| cell.get().cloned()) {
        return Ok(memory);
    }
    let gateway = env.var("TOLLGATE_GATEWAY")?.to_string();
    let dev = env.var("TOLLGATE_DEV").is_ok_and(|value| value.to_string() == "1");
    let freshness = if dev { Freshness::EachRequest } else { Freshness::Cached };
    let isolate = Isolate::new(IsolateSettings { gateway: gateway.clone(), freshness });
    let isolate = Rc::new(isolate.with_operator(operator(env)?));
    let counts = [Role::Read, Role::Operate].iter().any(|role| text(env, role.secret_name()).is_some());
    let shared = Shared { counts: counts.then(Rc::default), near: Rc::default() };
    let memory = Memory { isolate, gateway: gateway.into(), shared };
    Ok(MEMORY.with(|cell| cell.get_or_init(|| memory).clone()))
}

/// The address of the operator endpoint: `TOLLGATE_OPERATOR_PATH` and `TOLLGATE_OPERATOR_HOST`, if they are set.
fn operator(env: &Env) -> worker::Result<OperatorSettings> {
    let refused = |name: &str, why: &dyn std::fmt::Display| worker::Error::RustError(format!("{name}: {why}"));
    let prefix = match text(env, "TOLLGATE_OPERATOR_PATH") {
        Some(path) => path.parse().map_err(|error| refused("TOLLGATE_OPERATOR_PATH", &error))?,
        None => Prefix::default(),
    };
    let host = text(env, "TOLLGATE_OPERATOR_HOST")
        .map(|name| HostName::from_authority(&name).map_err(|error| refused("TOLLGATE_OPERATOR_HOST", &error)))
        .transpose()?;
    Ok(OperatorSettings { place: Place { prefix, host }, answers: true })
}

/// A variable or secret that is set and not empty.
fn text(env: &Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|value| value.to_string()).filter(|value| !value.is_empty())
}

/// Converts the platform's request; the error says what is wrong with it.
fn incoming(raw: web_sys::Request) -> Result<(Request<WorkerContent>, Client), &'static str> {
    let head = platform::request_head(&raw);
    let mut lines = head.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let method = Method::from_bytes(line().as_bytes()).map_err(|_| "The request method is not a token.")?;
    let uri: Uri = line().parse().map_err(|_| "The request target is not a valid URL.")?;
    let has_content = line() == "true";
    let mut address = None;
    let (fields, hidden) = fields::parse(line(), |name, value| is_the_platforms(name, value, &mut address));
    let client = Client { address, https: uri.scheme() == Some(&Scheme::HTTPS), inside: false };
    let mut request = Request::new(WorkerContent::of_request(raw, has_content, hidden));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    Ok((request, client))
}

/// Whether Cloudflare adds this field to the request; the client's address is read from one of them.
///
/// The platform overwrites these fields of the client. They are not from the client, so they are not forwarded.
fn is_the_platforms(name: &HeaderName, value: &HeaderValue, address: &mut Option<IpAddr>) -> bool {
    if name == "cf-connecting-ip" {
        *address = value.to_str().ok().and_then(|text| text.parse().ok());
    }
    name.as_str().starts_with("cf-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &str, kept: &str, address: Option<&str>) {
        let mut found = None;
        let (fields, _) = fields::parse(lines, |name, value| is_the_platforms(name, value, &mut found));
        assert_eq!(fields::to_json(&fields), kept);
        assert_eq!(found, address.map(|text| text.parse().unwrap()));
    }

    #[test]
    fn fields_added_by_cloudflare_are_not_forwarded() {
        let lines = "cf-connecting-ip\n2001:db8::1\ncf-ray\n8a\naccept\n*/*\n";
        check(lines, r#"{"accept":"*/*"}"#, Some("2001:db8::1"));
    }

    #[test]
    fn an_invalid_address_is_ignored() {
        check("cf-connecting-ip\nx\n", "{}", None);
        check("", "{}", None);
    }
}
