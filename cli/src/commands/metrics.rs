//! `tollgate metrics`: what a running gateway has counted, by its operator endpoint.

use clap::Args;
use serde_json::Value;
use tollgate_core::operator::Resource;

use super::Output;
use crate::at::{AtArgs, Call};
use crate::failure::Failure;
use crate::terminal;

/// Show what a running gateway has counted.
///
/// A native gateway answers for all its threads. On Cloudflare and Spin each isolate counts for itself, and the one that
/// answers shows its own numbers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate metrics
  tollgate metrics --at https://api.example.com --token-file token --output json")]
pub(crate) struct MetricsArgs {
    #[command(flatten)]
    at: AtArgs,
    /// The form of the answer: the text that Prometheus reads, or JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &MetricsArgs) -> Result<(), Failure> {
    let gateway = args.at.gateway()?;
    let accept = match args.output {
        Output::Text => "text/plain",
        Output::Json => "application/json",
    };
    let answer =
        gateway.call(&Call { resource: Resource::Metrics, parameter: "", query: &[], accept, content: None })?;
    terminal::print(&match args.output {
        Output::Text => String::from_utf8_lossy(&answer).into_owned(),
        Output::Json => {
            let document: Value = serde_json::from_slice(&answer).map_err(Failure::problem)?;
            format!("{document:#}\n")
        }
    });
    Ok(())
}
