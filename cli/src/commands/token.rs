//! `tollgate token`: tokens of identity providers, and sessions of people, that are refused before they end, at a running gateway.

use std::io::Read;

use base64ct::{Base64UrlUnpadded, Encoding};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_core::authn::token_id;
use tollgate_core::operator::{OutageView, Resource};
use tollgate_core::time::Timestamp;

use super::Output;
use super::idp_outage::PolicyArgs;
use super::key::timestamp;
use crate::failure::Failure;
use crate::terminal;

/// Revoke tokens of identity providers before they end.
///
/// For `jwt`, `introspection` and `oidc-login` policies with `revocable: true`, or with `on-unavailable: known`. Sessions of
/// `oidc-login` are revoked by `--id` or `--consumer`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate token revoke staff --stdin --at https://api.example.com --token-file operator < stolen
  tollgate token revoke staff --consumer staff:ada --at https://api.example.com --token-file operator
  tollgate token list staff")]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    Revoke(RevokeArgs),
    Restore(RestoreArgs),
    List(ListArgs),
}

/// Which tokens.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true)]
struct WhichArgs {
    /// The public id of a token, as in the log; may be repeated.
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// The id that the issuer gave a token, its claim `jti`; may be repeated.
    #[arg(long, value_name = "ID")]
    jti: Vec<String>,
    /// All tokens of a consumer that were issued until now, by its name in the log; may be repeated.
    #[arg(long, value_name = "NAME")]
    consumer: Vec<String>,
    /// The token on standard input, which is neither sent nor printed.
    #[arg(long)]
    stdin: bool,
}

/// Refuse tokens from now on, until they end. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    override_usage = "\
tollgate token revoke <POLICY> [--stdin] [--id <ID>]... [--jti <ID>]...
       [--consumer <NAME>]... [OPTIONS]",
    after_help = "\
Examples:
  tollgate token revoke staff --id jwt-3f9a5b7c9d0e1f2a --until 2027-01-31T12:00:00Z
  tollgate token revoke staff --stdin --at https://api.example.com --token-file operator < stolen"
)]
struct RevokeArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// When these tokens have ended (RFC 3339; default: the end of the token on standard input, otherwise in 31 days).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    until: Option<Timestamp>,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Accept revoked tokens again.
#[derive(Debug, Args)]
#[command(
    override_usage = "\
tollgate token restore <POLICY> [--stdin] [--id <ID>]... [--jti <ID>]...
       [--consumer <NAME>]... [OPTIONS]",
    after_help = "\
Examples:
  tollgate token restore staff --consumer staff:ada
  tollgate token restore staff --id jwt-3f9a5b7c9d0e1f2a --at https://api.example.com --token-file operator"
)]
struct RestoreArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// List what is revoked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate token list staff
  tollgate token list staff --at https://api.example.com --token-file operator --output json")]
struct ListArgs {
    #[command(flatten)]
    policy: PolicyArgs,
}

pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    match &args.command {
        TokenCommand::Revoke(RevokeArgs { which, until, policy }) => {
            let (mut content, end) = which.content()?;
            if let Some(until) = until.or(end) {
                content["until"] = json!(until.to_rfc3339());
            }
            send(policy, Resource::RevokeTokens, Some(&content))?;
            unusual(&policy.policy, &which.consumer).iter().for_each(|note| terminal::note(note));
            Ok(())
        }
        TokenCommand::Restore(RestoreArgs { which, policy }) => {
            let (mut content, _) = which.content()?;
            content["restore"] = json!(true);
            send(policy, Resource::RevokeTokens, Some(&content))
        }
        TokenCommand::List(args) => send(&args.policy, Resource::ShowOutage, None),
    }
}

impl WhichArgs {
    /// What is sent of the tokens, and when the one on standard input ends.
    fn content(&self) -> Result<(Value, Option<Timestamp>), Failure> {
        let (mut ids, mut end) = (self.id.clone(), None);
        if self.stdin {
            let mut text = String::new();
            let read = std::io::stdin().lock().take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text);
            read.map_err(|error| Failure::problem(format!("standard input cannot be read: {error}")))?;
            let token = text.trim();
            let token = token.strip_prefix("Bearer ").unwrap_or(token);
            if token.is_empty() || text.len() as u64 > TOKEN_BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(Failure::usage("standard input is no token: one text without blanks, at most 8 KiB"));
            }
            // Others that are named with it may end later.
            let is_alone = ids.is_empty() && self.jti.is_empty() && self.consumer.is_empty();
            end = if is_alone { end_of(token) } else { None };
            // One token has one id, whichever kind of policy reads it.
            ids.push(token_id("token", token));
        }
        Ok((json!({"tokens": ids, "jti": self.jti, "consumers": self.consumer}), end))
    }
}

/// What is said of consumers whose names do not begin as those of the policy usually do: nothing may have been revoked.
fn unusual(policy: &str, consumers: &[String]) -> Vec<String> {
    let prefix = format!("{policy}:");
    let unusual = consumers.iter().filter(|name| !name.starts_with(&prefix));
    unusual.map(|name| {
        format!(
            "if no token of {policy} has the consumer {name}, nothing is revoked: unless the policy has a consumer-prefix or map-consumers, \
             its names begin with {prefix}, as in the log"
        )
    })
    .collect()
}

/// When a signed token ends by its own account, with an hour for clocks that differ. One that has ended needs no end.
fn end_of(token: &str) -> Option<Timestamp> {
    let claims = Base64UrlUnpadded::decode_vec(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let end_ms = claims["exp"].as_u64()?.checked_add(60 * 60)?.checked_mul(1_000)?;
    (end_ms <= Timestamp::MAX.as_millis() && end_ms > super::key::now().as_millis())
        .then(|| Timestamp::from_millis(end_ms))
}

fn send(policy: &PolicyArgs, resource: Resource, content: Option<&Value>) -> Result<(), Failure> {
    let view = policy.ask(resource, content)?;
    terminal::print(&match policy.output {
        Output::Text => shown(&view),
        Output::Json => format!("{:#}\n", json!({"policy": view.policy, "revoked": view.outage.revoked})),
    });
    Ok(())
}

fn shown(view: &OutageView) -> String {
    let now = super::key::now();
    let mut rows = vec![["REVOKED", "ISSUED UNTIL", "UNTIL"].map(str::to_owned).to_vec()];
    rows.extend(view.outage.revoked.iter().filter(|token| now < token.until).map(|token| {
        let issued_until = token.issued_until.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
        vec![terminal::printable(&token.credential), issued_until, token.until.to_rfc3339()]
    }));
    if rows.len() == 1 { format!("{}: no token is revoked\n", view.policy) } else { terminal::table(&rows) }
}

/// As the gateway accepts them.
const TOKEN_BYTES_MAX: u64 = 8 * 1024 + 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_without_the_usual_prefix_is_noted() {
        assert_eq!(unusual("staff", &["staff:ada".to_owned()]), [""; 0]);
        let notes = unusual("staff", &["ada".to_owned(), "staff:bob".to_owned()]);
        assert!(notes.len() == 1 && notes[0].contains("ada") && notes[0].contains("begin with staff:"), "{notes:?}");
    }

    #[test]
    fn the_end_of_a_token_is_an_hour_after_its_own() {
        let token = |claims: &str| format!("e30.{}.AA", Base64UrlUnpadded::encode_string(claims.as_bytes()));
        let end = end_of(&token(r#"{"exp":4102444800}"#));
        assert_eq!(end, Timestamp::from_rfc3339("2100-01-01T01:00:00Z"));
        for other in
            ["opaque", "a.b.c", &token(r#"{"exp":1}"#), &token("{}"), &token(r#"{"exp":18446744073709551615}"#)]
        {
            assert_eq!(end_of(other), None, "{other}");
        }
    }
}
