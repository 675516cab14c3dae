//! The contracts of the ports inside a Spin component, on the adapter's own ports and Spin's own store.
//!
//! It contains no checks (`tollgate-contracts` does) and is never deployed. `GET /` lists the checks, `GET
//! /NAME?stage=URL` runs one. It replaces the gateway in `spin.toml`, without the gateway's handler.

use http::HeaderMap;
use spin_sdk::variables;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use tollgate_contracts::stage::{Answer, Command, ask};
use tollgate_contracts::{Breach, NAMES, Subject, run};
use tollgate_core::forward::Reply;
use tollgate_edge::ports::Content;
use tollgate_spin::{SpinContent, SpinHost, from_host_response, to_host};

/// The function that Spin calls.
pub struct Contracts;

// Linkers of other targets do not accept the names that this exports.
#[cfg(target_family = "wasm")]
spin_sdk::wasip3::http::service::export!(Contracts);

impl Guest for Contracts {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let name = path.trim_start_matches('/');
        if name.is_empty() {
            return Ok(answer(200, NAMES.join("\n")));
        }
        let stage = query.strip_prefix("stage=").unwrap_or_default().to_owned();
        let redis = variables::get("tollgate_counters").await.ok().filter(|address| !address.is_empty());
        let subject = Component { host: SpinHost::new("contracts", false, redis.as_deref()), stage };
        Ok(match run(name, &subject).await {
            None => answer(500, "no such check".to_owned()),
            Some(Ok(())) => answer(200, String::new()),
            Some(Err(breach)) => answer(500, breach.to_string()),
        })
    }
}

fn answer(status: u16, text: String) -> Response {
    let (mut writer, content) = wit_stream::new();
    spawn(async move {
        writer.write_all(text.into_bytes()).await;
    });
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(content), trailers);
    // Both statuses are valid for the host.
    let _ = response.set_status_code(status);
    response
}

struct Component {
    host: SpinHost,
    /// The URL of the stage.
    stage: String,
}

impl Subject for Component {
    type Host = SpinHost;

    fn host(&self) -> &SpinHost {
        &self.host
    }

    fn received_content(&self, _: &HeaderMap) -> Result<SpinContent, Breach> {
        Ok(SpinContent::empty())
    }

    async fn sent(&self, reply: Reply<SpinContent>) -> Result<(HeaderMap, SpinContent), Breach> {
        let response = from_host_response(to_host(reply)).map_err(|code| Breach(format!("no response: {code:?}")))?;
        let (head, content) = response.into_parts();
        Ok((head.headers, content))
    }

    async fn read(&self, content: SpinContent) -> Result<Vec<u8>, Breach> {
        let whole = content.whole().await.map_err(|code| Breach(format!("content was interrupted: {code:?}")))?;
        Ok(whole.into())
    }

    async fn command(&self, command: &Command) -> Result<Answer, Breach> {
        ask(self, &self.stage, command).await
    }
}
