//! `tollgate purge`: invalidates stored responses through the operator endpoint of a running gateway.

use clap::Args;
use http::Uri;
use serde_json::json;
use tollgate_core::cache::CacheKey;
use tollgate_core::operator::{PurgeAnswer, Resource};

use super::Output;
use crate::at::AtArgs;
use crate::failure::Failure;
use crate::terminal;

/// Invalidate stored responses: those of a URL, those of a cache key, or all.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["url", "key", "all"]), after_help = "\
Examples:
  tollgate purge http://127.0.0.1:8080/echo/cached?q=1
  tollgate purge --key 9f86d081884c7d65... (the key of Cache-Status)
  tollgate purge --all --at https://api.example.com --token-file token")]
pub(crate) struct PurgeArgs {
    /// The URL as clients request it; all its variants are purged.
    url: Option<Uri>,
    /// The cache key of the resource, as shown in the field Cache-Status.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// All stored responses.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: AtArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &PurgeArgs) -> Result<(), Failure> {
    let what = match (&args.url, &args.key) {
        (Some(url), _) if url.authority().is_some() => json!({"url": url.to_string()}),
        (Some(_), _) => return Err(Failure::usage("write the full URL: http://host/path")),
        (None, Some(key)) if CacheKey::parse(key).is_some() => json!({"key": key}),
        (None, Some(_)) => return Err(Failure::usage("--key is 64 hexadecimal digits, as shown in Cache-Status")),
        (None, None) => json!({"all": true}),
    };
    let gateway = args.at.gateway()?;
    let answer: PurgeAnswer = gateway.send(Resource::NewPurge, "", Some(&what))?;
    terminal::print(&match args.output {
        Output::Text if answer.all => "purged all\n".to_owned(),
        Output::Text => format!("purged {}\n", answer.keys.join(", ")),
        Output::Json => format!("{:#}\n", json!(answer)),
    });
    Ok(())
}
