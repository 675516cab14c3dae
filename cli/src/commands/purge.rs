//! `tollgate purge`: invalidates stored responses through the admin port of a running gateway.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tollgate_core::cache::CacheKey;

use super::Output;
use super::serve::token;
use crate::failure::Failure;
use crate::terminal;

/// Invalidate stored responses: those of a URL, those of a cache key, or all.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["url", "key", "all"]), after_help = "\
Examples:
  tollgate purge http://127.0.0.1:8080/echo/cached?q=1
  tollgate purge --key 9f86d081884c7d65... (the key of Cache-Status)
  tollgate purge --all --admin http://127.0.0.1:9901 --admin-token-file token")]
pub(crate) struct PurgeArgs {
    /// The URL as clients request it; all its variants are purged.
    url: Option<Uri>,
    /// The cache key of the resource, as shown in the field Cache-Status.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// All stored responses.
    #[arg(long)]
    all: bool,
    /// The gateway's admin port.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    admin: Uri,
    /// A file with the admin port's bearer token.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &PurgeArgs) -> Result<(), Failure> {
    let request = request(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::problem(format!("the event queue of the system cannot be created: {error}")))?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(&args.admin, request)).await });
    let (status, content) = answer
        .map_err(|_| Failure::problem(format!("{} did not answer within {} s", args.admin, PATIENCE.as_secs())))??;
    let document: Value = serde_json::from_slice(&content).unwrap_or_default();
    if status == StatusCode::OK {
        let purged = document["purged"].as_str().unwrap_or_default();
        terminal::print(&match args.output {
            Output::Text => format!("purged {purged}\n"),
            Output::Json => format!("{:#}\n", json!({"purged": purged})),
        });
        return Ok(());
    }
    let detail = terminal::printable(document["detail"].as_str().unwrap_or("no reason given"));
    let hint = if status == StatusCode::UNAUTHORIZED { "; see --admin-token-file" } else { "" };
    Err(Failure::problem(format!("{} answered {status}: {detail}{hint}", args.admin)))
}

fn request(args: &PurgeArgs) -> Result<Request<Full<Bytes>>, Failure> {
    let what = match (&args.url, &args.key) {
        (Some(url), _) if url.authority().is_some() => json!({"url": url.to_string()}),
        (Some(_), _) => return Err(Failure::usage("write the full URL: http://host/path")),
        (None, Some(key)) if CacheKey::parse(key).is_some() => json!({"key": key}),
        (None, Some(_)) => return Err(Failure::usage("--key is 64 hexadecimal digits, as shown in Cache-Status")),
        (None, None) => json!({"all": true}),
    };
    let authority = args.admin.authority().filter(|_| args.admin.scheme_str() == Some("http"));
    let authority = authority.ok_or_else(|| Failure::usage("write --admin like http://127.0.0.1:8081"))?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/purge")
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json");
    let request = match &args.admin_token_file {
        None => request,
        Some(file) => request.header(AUTHORIZATION, format!("Bearer {}", token(file)?.expose())),
    };
    request.body(Full::from(what.to_string())).map_err(Failure::usage)
}

async fn ask(admin: &Uri, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::problem(format!("no gateway's admin port answers at {admin} ({error}); name it with --admin"))
    };
    let (host, port) = (admin.host().unwrap_or_default(), admin.port_u16().unwrap_or(80));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await.map_err(|error| unreachable(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let content = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    Ok((status, content.map_err(|error| unreachable(&error))?.to_bytes()))
}

/// A purge is one write to a store.
const PATIENCE: Duration = Duration::from_secs(10);

/// The maximum size of an answer; more than any answer of an admin port.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
