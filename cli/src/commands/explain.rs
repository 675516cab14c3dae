//! `tollgate explain`: how a request would be handled, and why; or the explanation of a diagnostic.

mod answer;
pub(crate) mod ask;
mod code;
mod origins;
mod token;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tollgate_core::time::Timestamp;

use super::Output;
use super::key::{now, timestamp};
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal;

/// Show how a request would be handled, phase by phase; or the settings of a route and where each comes from; or the
/// explanation of a diagnostic's code.
///
/// A request runs through the production pipeline in memory, with a fixed clock, the keys of dev/fixtures.yaml, and
/// upstreams that answer 200. The network is not used: of a token whose keys are fetched, it shows what its policy says if the
/// signature is right.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate explain GET /echo/public examples/quickstart
  tollgate explain GET https://api.example.com/pets/7 shop -H 'X-API-Key: tg_dev_...'
  tollgate explain GET /pets shop --times 12            the last of twelve: the effect of a limit
  tollgate explain POST /orders shop --at 2026-12-31T23:59:59Z --output json
  tollgate explain pets.listPets shop                   the settings of a route
  tollgate explain TG0102")]
pub(crate) struct ExplainArgs {
    /// The method of a request, the id of a route, or the code of a diagnostic.
    #[arg(value_name = "METHOD|ROUTE|CODE", required_unless_present = "route")]
    what: Option<String>,
    /// The URL as a client would request it; for a path alone, a host that the project answers on is used.
    url: Option<String>,
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// The id of a route, to show its settings.
    #[arg(long, value_name = "ID")]
    route: Option<String>,
    /// A field of the request; repeatable.
    #[arg(short = 'H', long = "header", value_name = "K: V")]
    fields: Vec<String>,
    /// The time of the request (RFC 3339) (default: now)
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    at: Option<Timestamp>,
    /// Send the request this many times, and explain the last.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    times: u32,
    /// The client's address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: IpAddr,
    /// Send it as an internal caller, for whom internal hosts and routes answer.
    #[arg(long)]
    inside: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let what = args.what.as_deref();
    match (&args.route, what, &args.url) {
        (Some(id), project, None) => explain_route(args, id, project.map_or(args.project.as_path(), Path::new)),
        (Some(_), ..) => Err(Failure::usage("--route can be combined with a project's folder, but not with a request")),
        // Ids of routes begin with their API's name and a dot; methods and codes have no dot.
        (None, Some(id), project) if id.contains('.') => {
            explain_route(args, id, project.as_ref().map_or(args.project.as_path(), Path::new))
        }
        (None, Some(code), None) => code::explain(code, args.output),
        (None, Some(_), Some(url)) if !url.starts_with('/') && !url.contains("://") => Err(Failure::usage(format!(
            "write the URL as in http://host/path or /path, not {}; routes are named as in pets.listPets",
            terminal::printable(url)
        ))),
        (None, Some(method), Some(url)) => explain_request(args, method, url),
        (None, None, _) => Err(Failure::usage("name a request, a route or a code to explain")),
    }
}

fn explain_route(args: &ExplainArgs, id: &str, project: &Path) -> Result<(), Failure> {
    let compiled = Project::at(project).in_environment(&args.env).compiled()?;
    let route = compiled.routes().iter().find(|route| route.settings.id == id).ok_or_else(|| {
        let api = id.split('.').next().unwrap_or_default();
        let known: Vec<&str> = compiled.routes().iter().map(|route| route.settings.id.as_str()).collect();
        let near: Vec<&str> = known.iter().copied().filter(|known| known.split('.').next() == Some(api)).collect();
        let shown = if near.is_empty() { known } else { near };
        let shown: Vec<&str> = shown.into_iter().take(SHOWN_MAX).collect();
        let id = terminal::printable(id);
        Failure::problem(format!(
            "there is no route `{id}`; there are {} (tollgate routes lists all)",
            shown.join(", ")
        ))
    })?;
    terminal::print(&match args.output {
        Output::Text => origins::text(&compiled, route),
        Output::Json => format!("{:#}\n", origins::json(&compiled, route)),
    });
    Ok(())
}

fn explain_request(args: &ExplainArgs, method: &str, url: &str) -> Result<(), Failure> {
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    let at = args.at.unwrap_or_else(now);
    let fixtures = project.whole_fixtures(&compiled, at)?;
    let https = ask::is_https(url);
    let question = ask::Question {
        request: ask::request(method, url, &args.fields, &compiled)?,
        client: tollgate_edge::Client { address: Some(args.client), https, inside: args.inside },
        at,
        times: args.times,
    };
    let asked = answer::Asked::of(&question);
    let explained = ask::ask(&question, &compiled, &fixtures)?;
    let tokens = token::unverified(&question, &explained, &compiled);
    terminal::print(&match args.output {
        Output::Text => answer::text(&asked, &explained, &compiled, &tokens),
        Output::Json => answer::json(&asked, &explained, &compiled, &tokens),
    });
    Ok(())
}

/// The number of route ids that are shown if an id is unknown.
const SHOWN_MAX: usize = 12;
