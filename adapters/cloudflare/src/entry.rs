//! The fetch event: one request in, one response out, and what comes after it.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;

use futures_util::poll;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use tollgate_core::forward::Reply;
use tollgate_core::operator::{Place, Prefix, Role};
use tollgate_core::route::HostName;
use tollgate_core::telemetry::{ExchangeRecord, Metrics};
use tollgate_edge::OperatorSettings;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve, unreadable};
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::content::WorkerContent;
use crate::host::CloudflareHost;
use crate::platform::Exchange;
use crate::{fields, outgoing, platform, task};

/// Serves a request; the answer goes to `exchange` (`js/instance.mjs`).
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: &Env, exchange: Exchange) -> Result<(), JsError> {
    let Memory { isolate, gateway, counts } = memory(env)?;
    let host = CloudflareHost::new(env, &gateway, counts);
    match incoming(request) {
        Ok((request, client)) => task::start(async move {
            let served = serve(&isolate, &host, request, client).await;
            outgoing::answer(&exchange, served.reply);
            finish(&exchange, served.after).await;
        }),
        Err(detail) => outgoing::answer(&exchange, Reply::own(unreadable(detail))),
    }
    Ok(())
}

/// Runs what comes after the reply. Only where it has to wait is the platform asked for more time.
async fn finish(exchange: &Exchange, after: impl Future<Output = ExchangeRecord>) {
    let mut after = pin!(after);
    if poll!(after.as_mut()).is_pending() {
        let done = platform::keep_alive(exchange);
        after.await;
        // Without more time it went as far as it could; and to say that it is over does not fail.
        let _ = done.and_then(|done| done.call0(&JsValue::UNDEFINED));
    }
}

/// What this isolate remembers from request to request. No I/O object is in it.
#[derive(Clone)]
struct Memory {
    isolate: Rc<Isolate>,
    gateway: Rc<str>,
    /// What was counted, where an operator may ask for it.
    counts: Option<Rc<RefCell<Metrics>>>,
}

thread_local! {
    static MEMORY: OnceCell<Memory> = const { OnceCell::new() };
}

/// The isolate's memory, set up from the first request's variables: they are the same for all.
fn memory(env: &Env) -> worker::Result<Memory> {
    if let Some(memory) = MEMORY.with(|cell| cell.get().cloned()) {
        return Ok(memory);
    }
    let gateway = env.var("TOLLGATE_GATEWAY")?.to_string();
    let dev = env.var("TOLLGATE_DEV").is_ok_and(|value| value.to_string() == "1");
    let freshness = if dev { Freshness::EachRequest } else { Freshness::Behind };
    let isolate = Isolate::new(IsolateSettings { gateway: gateway.clone(), freshness });
    let isolate = Rc::new(isolate.with_operator(operator(env)?));
    let counts = [Role::Read, Role::Operate].iter().any(|role| text(env, role.secret_name()).is_some());
    let memory = Memory { isolate, gateway: gateway.into(), counts: counts.then(Rc::default) };
    Ok(MEMORY.with(|cell| cell.get_or_init(|| memory).clone()))
}

/// Where the operator endpoint stands: `TOLLGATE_OPERATOR_PATH` and `TOLLGATE_OPERATOR_HOST`, where they are set.
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

/// The platform's request in our terms; the error says what is wrong with it.
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

/// Whether Cloudflare says this of the client beside the request; the address is taken from it.
///
/// The platform writes these fields over whatever the client sent. They are not the client's, so they go no further.
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
    fn what_cloudflare_adds_goes_no_further() {
        let lines = "cf-connecting-ip\n2001:db8::1\ncf-ray\n8a\naccept\n*/*\n";
        check(lines, r#"{"accept":"*/*"}"#, Some("2001:db8::1"));
    }

    #[test]
    fn an_address_that_is_none_is_no_address() {
        check("cf-connecting-ip\nx\n", "{}", None);
        check("", "{}", None);
    }
}
