//! `tollgate explain`: what would become of a request, and why; or the long story of a diagnostic.

mod answer;
mod ask;
mod code;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use tollgate_core::time::Timestamp;

use super::Output;
use super::key::timestamp;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal;

/// Say what would become of a request, phase by phase; or tell the long story of a diagnostic's code.
///
/// Runs the production pipeline in memory, on a clock that stands still, with the keys of dev/fixtures.yaml and upstreams
/// that answer 200. No network is touched.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate explain GET /echo/public examples/quickstart
  tollgate explain GET https://api.example.com/pets/7 shop -H 'X-API-Key: tg_dev_...'
  tollgate explain POST /orders shop --at 2026-12-31T23:59:59Z --output json
  tollgate explain TG0102")]
pub(crate) struct ExplainArgs {
    /// The request's method; or a diagnostic's code.
    #[arg(value_name = "METHOD|CODE")]
    what: String,
    /// The URL as a client asks for it; a path alone means a host that the project answers on.
    url: Option<String>,
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// A field of the request; repeatable.
    #[arg(short = 'H', long = "header", value_name = "K: V")]
    fields: Vec<String>,
    /// The instant of the request (RFC 3339); now where it is left out.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    at: Option<Timestamp>,
    /// The client's address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: IpAddr,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let Some(url) = &args.url else { return code::explain(&args.what, args.output) };
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    let fixtures = project.whole_fixtures()?;
    let question = ask::Question {
        request: ask::request(&args.what, url, &args.fields, compiled.whole())?,
        client: tollgate_edge::Client { address: Some(args.client), https: ask::is_https(url), inside: false },
        at: args.at.unwrap_or_else(now),
    };
    let asked = answer::Asked::of(&question);
    let explained = ask::ask(question, &compiled, &fixtures)?;
    terminal::print(&match args.output {
        Output::Text => answer::text(&asked, &explained, compiled.whole()),
        Output::Json => answer::json(&asked, &explained, compiled.whole()),
    });
    Ok(())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
