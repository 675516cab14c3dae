//! `tollgate idp-outage`: what an operator says while an identity provider is away, at a running gateway.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use tollgate_core::operator::{OutageView, Resource};

use super::Output;
use crate::at::{AtArgs, NOTHING};
use crate::failure::Failure;
use crate::terminal;

/// Admit known tokens while an identity provider is away, and revoke them afterwards.
///
/// A policy allows it with `on-unavailable: known`. docs/idp-outage.md is the runbook.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate idp-outage status staff --at https://api.example.com --token-file token
  tollgate idp-outage allow staff --consumer staff:ada --for 30m --reason 'id.example.com is down'
  tollgate idp-outage revoke staff --all --at https://api.example.com --token-file token")]
pub(crate) struct OutageArgs {
    #[command(subcommand)]
    command: OutageCommand,
}

#[derive(Debug, Subcommand)]
enum OutageCommand {
    Allow(AllowArgs),
    Status(ShowArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
    End(EndArgs),
}

/// The policy, and the gateway.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// The name of the policy.
    pub(super) policy: String,
    #[command(flatten)]
    at: AtArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// Admit tokens of consumers that were verified before, for a while. It takes effect within 5 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    override_usage = "\
tollgate idp-outage allow <POLICY> --consumer <NAME>... --for <TIME>
       --reason <TEXT> [OPTIONS]",
    after_help = "\
Examples:
  tollgate idp-outage allow staff --consumer staff:ada --consumer staff:batch --for 30m --reason 'ticket 4711'
  tollgate idp-outage allow staff --consumer staff:ada --for 1h --reason 'id is down' --at https://api.example.com"
)]
struct AllowArgs {
    /// A consumer, by its name in the log; may be repeated. The policy must name it in outage-consumers.
    #[arg(long = "consumer", value_name = "NAME", required = true)]
    consumers: Vec<String>,
    /// For how long, such as 30m: at most outage-for of the policy.
    #[arg(long = "for", value_name = "TIME")]
    time: String,
    /// Why, for the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Show what operators have said about the provider of a policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate idp-outage status staff
  tollgate idp-outage status staff --at https://api.example.com --token-file token --output json")]
struct ShowArgs {
    #[command(flatten)]
    policy: PolicyArgs,
}

/// List the tokens that were admitted while the provider was away.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate idp-outage list staff
  tollgate idp-outage list staff --at https://api.example.com --token-file token --output json")]
struct ListArgs {
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Revoke tokens that were admitted while the provider was away: some, or all. It takes effect within 30 seconds plus the store's
/// delay.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["token", "all"]), after_help = "\
Examples:
  tollgate idp-outage revoke staff --all
  tollgate idp-outage revoke staff --token jwt-3f9a5b7c9d0e1f2a --at https://api.example.com --token-file token")]
struct RevokeArgs {
    /// The public id of a token, as in the log; may be repeated.
    #[arg(long, value_name = "ID")]
    token: Vec<String>,
    /// All of them.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// End what is allowed, before its time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate idp-outage end staff
  tollgate idp-outage end staff --at https://api.example.com --token-file token")]
struct EndArgs {
    #[command(flatten)]
    policy: PolicyArgs,
}

pub(crate) fn run(args: &OutageArgs) -> Result<(), Failure> {
    match &args.command {
        OutageCommand::Allow(args) => {
            let content = json!({"consumers": args.consumers, "for": args.time, "reason": args.reason});
            args.policy.send(Resource::AllowOutage, Some(&content), said)
        }
        OutageCommand::Status(args) => args.policy.send(Resource::ShowOutage, None, said),
        OutageCommand::List(args) => args.policy.send(Resource::ShowOutage, None, listed),
        OutageCommand::Revoke(args) => {
            let content = if args.all { json!({"all": true}) } else { json!({"tokens": args.token}) };
            args.policy.send(Resource::RevokeTokens, Some(&content), listed)
        }
        OutageCommand::End(args) => args.policy.send(Resource::EndOutage, None, said),
    }
}

impl PolicyArgs {
    fn send(
        &self,
        resource: Resource,
        content: Option<&Value>,
        show: fn(&OutageView) -> String,
    ) -> Result<(), Failure> {
        let view = self.ask(resource, content)?;
        terminal::print(&match self.output {
            Output::Text => show(&view),
            Output::Json => format!("{:#}\n", json!(view)),
        });
        Ok(())
    }

    /// Asks the gateway.
    pub(super) fn ask(&self, resource: Resource, content: Option<&Value>) -> Result<OutageView, Failure> {
        check_policy(&self.policy)?;
        let gateway = self.at.gateway()?;
        match content {
            Some(content) => gateway.send(resource, &self.policy, Some(content)),
            None => gateway.send(resource, &self.policy, NOTHING),
        }
    }
}

/// Checks that a text can be the name of a policy.
fn check_policy(name: &str) -> Result<(), Failure> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(Failure::usage("the policy is named by its name in `policies`, such as staff"));
    }
    Ok(())
}

/// What operators have said.
fn said(view: &OutageView) -> String {
    let Some(allowed) = &view.outage.allowed else {
        return format!("{}: no operator has admitted tokens without the provider\n", view.policy);
    };
    let (from, until) = (allowed.from.to_rfc3339(), allowed.until.to_rfc3339());
    let state = if view.open { "open" } else { "ended" };
    format!(
        "{}: {state}\n  consumers  {}\n  from       {from}\n  until      {until}\n  by         {}\n  reason     {}\n  tokens     {} admitted, {} revoked\n",
        view.policy,
        allowed.consumers.join(", "),
        allowed.by,
        terminal::printable(&allowed.reason),
        view.tokens.len(),
        view.tokens.iter().filter(|token| token.revoked).count(),
    )
}

/// The tokens that were admitted.
fn listed(view: &OutageView) -> String {
    if view.tokens.is_empty() {
        return format!("{}: no token was admitted without the provider\n", view.policy);
    }
    let mut rows = vec![["TOKEN", "CONSUMER", "FIRST", "LAST", "STATE"].map(str::to_owned).to_vec()];
    rows.extend(view.tokens.iter().map(|token| {
        let state = if token.revoked { "revoked" } else { "not revoked" };
        let (first, last) = (token.first.to_rfc3339(), token.last.to_rfc3339());
        vec![token.credential.clone(), token.consumer.clone(), first, last, state.to_owned()]
    }));
    terminal::table(&rows)
}
