//! The component's export: one request, one response, and the work after the reply.

use std::cell::OnceCell;
use std::rc::Rc;

use spin_sdk::variables;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use spin_sdk::wasip3::spawn;
use tollgate_core::forward::Reply;
use tollgate_core::operator::{Place, Prefix, Role};
use tollgate_core::route::HostName;
use tollgate_edge::OperatorSettings;
use tollgate_edge::ports::Content;
use tollgate_edge::{Freshness, Isolate, IsolateSettings, serve};

use crate::blocking::suspend;
use crate::clock::in_turns;
use crate::host::SpinHost;
use crate::message::{from_host, to_host};

/// The function that Spin calls.
pub struct Component;

// Linkers of other targets do not accept the names that this exports.
#[cfg(all(target_arch = "wasm32", feature = "component"))]
spin_sdk::wasip3::http::service::export!(Component);

thread_local! {
    /// State shared by the requests of an instance, as long as Spin keeps it.
    static KEPT: OnceCell<(Rc<Isolate>, SpinHost)> = const { OnceCell::new() };
}

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        in_turns(handle(request)).await
    }
}

async fn handle(request: Request) -> Result<Response, ErrorCode> {
    let (isolate, host) = kept().await?;
    let (request, client) = match from_host(request).await {
        Ok(taken) => taken,
        Err(unreadable) => return Ok(to_host(Reply::own(tollgate_edge::unreadable(unreadable.0)))),
    };
    let store_calls = host.store_calls();
    let served = serve(&isolate, &host, request, client).await;
    if host.store_calls() != store_calls && !served.reply.passes_through() && !served.reply.content().is_empty() {
        suspend().await;
    }
    spawn(async {
        in_turns(served.after).await;
    });
    Ok(to_host(served.reply))
}

async fn kept() -> Result<(Rc<Isolate>, SpinHost), ErrorCode> {
    if let Some(kept) = KEPT.with(|kept| kept.get().cloned()) {
        return Ok(kept);
    }
    let gateway = variable("tollgate_gateway").await?;
    let freshness = match variable("tollgate_dev").await?.as_str() {
        "1" => Freshness::EachRequest,
        _ => Freshness::Cached,
    };
    let operator = operator().await?;
    let counters = counters().await?;
    let mut counts = false;
    for role in [Role::Read, Role::Operate] {
        counts |= optional(&role.secret_name().to_ascii_lowercase()).await.is_some();
    }
    let new = || {
        let host = SpinHost::new(&gateway, counts, counters.as_deref());
        let settings = IsolateSettings { gateway: gateway.clone(), freshness };
        (Rc::new(Isolate::new(settings).with_operator(operator.clone())), host)
    };
    // Another request may have created it while this one waited.
    Ok(KEPT.with(|kept| kept.get_or_init(new).clone()))
}

/// The address of the Redis server of counters: `tollgate_counters`, if it is set. It may contain a password.
async fn counters() -> Result<Option<String>, ErrorCode> {
    let Some(address) = optional(COUNTERS).await else { return Ok(None) };
    if address.starts_with("redis://") || address.starts_with("rediss://") {
        return Ok(Some(address));
    }
    Err(failed(format!(
        "the variable {COUNTERS} has to begin with redis:// or rediss://: Spin does not follow the redirections of a cluster"
    )))
}

/// The address of the operator endpoint: `tollgate_operator_path` and `tollgate_operator_host`, if they are set.
async fn operator() -> Result<OperatorSettings, ErrorCode> {
    let refused = |name: &str, why: &dyn std::fmt::Display| failed(format!("the variable {name}: {why}"));
    let prefix = match optional("tollgate_operator_path").await {
        Some(path) => path.parse().map_err(|error| refused("tollgate_operator_path", &error))?,
        None => Prefix::default(),
    };
    let host = optional("tollgate_operator_host").await;
    let host = host
        .map(|name| HostName::from_authority(&name).map_err(|error| refused("tollgate_operator_host", &error)))
        .transpose()?;
    Ok(OperatorSettings { place: Place { prefix, host }, answers: true })
}

const COUNTERS: &str = "tollgate_counters";

/// A variable that is set and not empty.
async fn optional(name: &str) -> Option<String> {
    variables::get(name).await.ok().filter(|value| !value.is_empty())
}

async fn variable(name: &str) -> Result<String, ErrorCode> {
    variables::get(name)
        .await
        .map_err(|error| failed(format!("spin.toml must give the component the variable {name}: {error}")))
}

fn failed(reason: String) -> ErrorCode {
    eprintln!("{reason}");
    ErrorCode::InternalError(Some(reason))
}
