//! `tollgate key import`: keys of other makes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::authn::{KeyDigest, KeyText, Restrictions};
use tollgate_core::operator::KeyRequest;
use tollgate_core::time::Timestamp;

use super::place::Keys;
use super::{KeysArgs, now, of_place};
use crate::commands::Output;
use crate::failure::Failure;
use crate::terminal;

/// Take over keys that exist already, of any make, by their text or by its SHA-256.
///
/// Each line of the file is a JSON object, such as {"consumer": "acme", "sha256": "1f3a...", "scopes": ["pets.read"]}. The text of a
/// key is hashed here: it is neither stored nor sent. Keys that are known already are left as they are.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key import keys.jsonl --gateway shop --to native --store shop.db
  tollgate key import keys.jsonl --at https://api.example.com --token-file token
  echo '{\"consumer\": \"acme\", \"key\": \"sk-0123456789abcdef\"}' | tollgate key import /dev/stdin --gateway shop --to spin"
)]
pub(super) struct ImportArgs {
    /// A file of JSON objects, one a line, with `consumer`, and `key`, `sha256` or `fingerprint` (of a client certificate).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A key as a line describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    consumer: String,
    /// The key itself.
    key: Option<String>,
    /// Its SHA-256, in hexadecimal or base64.
    sha256: Option<String>,
    /// The SHA-256 of a client certificate that is registered.
    fingerprint: Option<String>,
    plan: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    environment: Option<String>,
    not_before: Option<String>,
    expires: Option<String>,
    note: Option<String>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

pub(super) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::problem(format!("{}: {error}", args.file.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let requests = lines.map(|(number, line)| request(line).map_err(|why| refused(args, number, &why)));
    // All lines are read before the first key is written.
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    let keys = args.keys.open()?;
    check_plans(args, &keys, &requests)?;
    let (new, known) = keys.import(requests)?;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!({"imported": new, "known": known}))),
        Output::Text => {
            for key in &known {
                terminal::note(&format!("{key} is known already, and was left as it is"));
            }
            terminal::note(&format!("{} keys are imported to {}", new.len(), keys.name()));
        }
    }
    Ok(())
}

fn refused(args: &ImportArgs, number: usize, why: &str) -> Failure {
    let why = why.trim_end_matches('.');
    Failure::problem(format!("{}: line {}: {why}; nothing was imported", args.file.display(), number + 1))
}

/// Checks that the gateway has the plans, as far as can be known; a running gateway checks them itself.
fn check_plans(args: &ImportArgs, keys: &Keys<'_>, requests: &[KeyRequest]) -> Result<(), Failure> {
    let Keys::Stored { target, gateway } = keys else { return Ok(()) };
    let plans: BTreeSet<&String> = requests.iter().filter_map(|request| request.plan.as_ref()).collect();
    for plan in plans {
        args.keys.gateway.plans()?.check(plan, target, gateway)?;
    }
    Ok(())
}

/// Reads a line. Errors do not contain it, because it may contain a key.
fn request(line: &str) -> Result<KeyRequest, String> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| format!("column {}: it is not JSON", error.column()))?;
    check_members(&value)?;
    let line: Line = serde_json::from_value(value).map_err(|_| format!("a member has the wrong form: {MEMBERS}"))?;
    let time = |name: &str, text: Option<&String>| {
        let read =
            text.map(|text| Timestamp::from_rfc3339(text).ok_or_else(|| format!("`{name}` is not a time (RFC 3339)")));
        read.transpose()
    };
    let (digest, is_certificate) = digest(&line)?;
    let request = KeyRequest {
        sha256: Some(digest).filter(|_| !is_certificate),
        fingerprint: Some(digest).filter(|_| is_certificate),
        not_before: time("not_before", line.not_before.as_ref())?,
        expires: time("expires", line.expires.as_ref())?,
        consumer: line.consumer,
        plan: line.plan,
        scopes: line.scopes,
        groups: line.groups,
        environment: line.environment.unwrap_or_else(|| "live".to_owned()),
        restrictions: line.restrictions,
        note: line.note,
    };
    request.check().map_err(str::to_owned)?;
    request.check_expiry(now())?;
    Ok(request)
}

/// Checks the names and types of members. What is wrong is told without their values.
fn check_members(value: &Value) -> Result<(), String> {
    let members = value.as_object().ok_or_else(|| format!("it is not a JSON object: {MEMBERS}"))?;
    for (name, value) in members {
        let is_list = LISTS.contains(&name.as_str());
        let (is_right, what) = match value {
            _ if !is_list && !TEXTS.contains(&name.as_str()) => (false, format!("it has an unknown member: {MEMBERS}")),
            Value::Array(all) => {
                (is_list && all.iter().all(Value::is_string), format!("`{name}` is not {}", form(is_list)))
            }
            other => (!is_list && (other.is_string() || other.is_null()), format!("`{name}` is not {}", form(is_list))),
        };
        if !is_right {
            return Err(what);
        }
    }
    if members.contains_key("consumer") { Ok(()) } else { Err(format!("`consumer` is missing: {MEMBERS}")) }
}

const fn form(is_list: bool) -> &'static str {
    if is_list { "a list of texts" } else { "a text" }
}

const TEXTS: [&str; 9] =
    ["consumer", "key", "sha256", "fingerprint", "plan", "environment", "not_before", "expires", "note"];
const LISTS: [&str; 5] = ["scopes", "groups", "addresses", "hosts", "referrers"];

const MEMBERS: &str = "it has `consumer`, and one of `key`, `sha256` and `fingerprint`; `plan`, `scopes`, `groups`, \
                       `environment`, `not_before`, `expires`, `note`, `addresses`, `hosts`, `referrers` where they apply";

/// The digest of a key, and whether it is that of a certificate.
fn digest(line: &Line) -> Result<(KeyDigest, bool), String> {
    let hash =
        |name: &str, text| of_hash(text).ok_or_else(|| format!("`{name}` is not 32 bytes in hexadecimal or base64"));
    match (&line.key, &line.sha256, &line.fingerprint) {
        (Some(key), None, None) => {
            KeyText::of_any_make(key).map(|key| (key.digest(), false)).map_err(|error| error.to_string())
        }
        (None, Some(text), None) => Ok((hash("sha256", text)?, false)),
        (None, None, Some(text)) => Ok((hash("fingerprint", text)?, true)),
        _ => Err("exactly one of `key`, `sha256` and `fingerprint` is needed".to_owned()),
    }
}

/// The digest of a hash in hexadecimal, also with colons as `openssl` prints it, or in base64 of either alphabet, with or without
/// padding.
fn of_hash(text: &str) -> Option<KeyDigest> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    if let Some(digest) = KeyDigest::parse(&text.replace(':', "").to_ascii_lowercase()) {
        return Some(digest);
    }
    let text = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    KeyDigest::parse(&tollgate_core::hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of `sk-0123456789abcdef`.
    const HEX: &str = "221df437bc4f8c4d9718bd7a9ec4c1021c72fd69dfb2a5f568ecf4607c824bee";
    const BASE64: &str = "Ih30N7xPjE2XGL16nsTBAhxy/WnfsqX1aOz0YHyCS+4=";

    #[track_caller]
    fn check(line: &str, want: Result<&str, &str>) {
        let read = request(line)
            .map(|request| request.sha256.or(request.fingerprint).map(|digest| digest.to_hex()).unwrap_or_default());
        match (read, want) {
            (Ok(digest), Ok(want)) => assert_eq!(digest, want),
            (Err(error), Err(want)) => assert!(error.contains(want) && !error.contains("sk-"), "{error}"),
            (read, _) => panic!("{line}: {read:?}"),
        }
    }

    #[test]
    fn a_key_is_its_text_or_its_hash_in_any_spelling() {
        check(r#"{"consumer": "acme", "key": "sk-0123456789abcdef"}"#, Ok(HEX));
        for hash in [HEX, &HEX.to_ascii_uppercase(), BASE64, BASE64.trim_end_matches('=')] {
            check(&json!({"consumer": "acme", "sha256": hash}).to_string(), Ok(HEX));
        }
        check(r#"{"consumer": "acme", "key": "sk-0123456789abcdef", "addresses": ["192.0.2.0/24"]}"#, Ok(HEX));
        let colons =
            HEX.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase()).collect::<Vec<_>>();
        check(&json!({"consumer": "acme", "fingerprint": colons.join(":")}).to_string(), Ok(HEX));
    }

    #[test]
    fn a_line_that_cannot_be_used_is_explained_without_the_key() {
        for (line, words) in [
            ("{", "not JSON"),
            ("[]", "not a JSON object: it has `consumer`, and one of `key`"),
            (r#"{"consumer": "acme", "quota": 5}"#, "unknown member"),
            (r#"{"key": "sk-0123456789abcdef"}"#, "`consumer` is missing"),
            (
                r#"{"consumer": "acme", "key": "sk-0123456789abcdef", "scopes": "sk-"}"#,
                "`scopes` is not a list of texts",
            ),
            (r#"{"consumer": 7}"#, "`consumer` is not a text"),
            (r#"{"consumer": "acme", "key": "sk-0123456789abcdef", "addresses": ["sk-"]}"#, "wrong form"),
            (r#"{"consumer": "acme"}"#, "exactly one of"),
            (r#"{"consumer": "acme", "key": "sk-0123456789abcdef", "sha256": "ab"}"#, "exactly one of"),
            (r#"{"consumer": "acme", "key": "short"}"#, "16 to 256"),
            (r#"{"consumer": "acme", "key": "sk-0123456789 abcdef"}"#, "16 to 256"),
            (r#"{"consumer": "acme", "sha256": "ab"}"#, "32 bytes"),
            (r#"{"consumer": "a b", "key": "sk-0123456789abcdef"}"#, "names of a consumer"),
            (r#"{"consumer": "acme", "key": "sk-0123456789abcdef", "expires": "soon"}"#, "`expires`"),
            (
                r#"{"consumer": "acme", "key": "sk-0123456789abcdef", "expires": "2020-01-01T00:00:00Z"}"#,
                "never be accepted",
            ),
        ] {
            check(line, Err(words));
        }
    }
}
