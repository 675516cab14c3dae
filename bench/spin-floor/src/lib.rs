//! The least that a forwarding Spin component costs: it copies the request's fields, calls the upstream of the variable
//! `upstream` (`HOST:PORT`), and returns the host's response untouched.
//!
//! It is a reference to measure against, not a proxy: it reads no content, removes no field but those that the host
//! refuses or added, and has no timeout.
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "it is exported on wasm alone"))]

use std::cell::OnceCell;

use spin_sdk::variables;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use spin_sdk::wasip3::wit_future;

struct Component;

#[cfg(target_arch = "wasm32")]
spin_sdk::wasip3::http::service::export!(Component);

thread_local! {
    static UPSTREAM: OnceCell<String> = const { OnceCell::new() };
}

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let upstream = upstream().await?;
        let (method, path) = (request.get_method(), request.get_path_with_query());
        let is_passed = |name: &str| !matches!(name, "host" | "connection") && !name.starts_with("spin-");
        let fields = request.get_headers().copy_all();
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| is_passed(name)).collect();
        let fields = Fields::from_list(&fields).map_err(|_| ErrorCode::InternalError(None))?;
        let (out, _sent) = Request::new(fields, None, wit_future::new(|| Ok(None)).1, None);
        let failed = |()| ErrorCode::InternalError(None);
        out.set_method(&method).map_err(failed)?;
        out.set_scheme(Some(&Scheme::Http)).map_err(failed)?;
        out.set_authority(Some(&upstream)).map_err(failed)?;
        out.set_path_with_query(path.as_deref()).map_err(failed)?;
        client::send(out).await
    }
}

async fn upstream() -> Result<String, ErrorCode> {
    if let Some(upstream) = UPSTREAM.with(|kept| kept.get().cloned()) {
        return Ok(upstream);
    }
    let upstream =
        variables::get("upstream").await.map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    Ok(UPSTREAM.with(|kept| kept.get_or_init(|| upstream).clone()))
}
