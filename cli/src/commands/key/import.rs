//! `tollgate key import`: keys of other makes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_core::authn::{IdentityName, KeyDigest, KeyText, Restrictions};
use tollgate_core::operator::KeyRequest;
use tollgate_core::time::Timestamp;

use super::{KeysArgs, csv, now, of_place};
use crate::commands::Output;
use crate::failure::Failure;
use crate::terminal;

/// Take over keys that exist already, of any make, by their text or by its SHA-256.
///
/// Each line of the file is a JSON object, such as {"consumer": "acme", "sha256": "1f3a...", "scopes": ["pets.read"]}. A file whose
/// name ends in .csv is a table with the same names in its first line; a list has blanks between its words. The text of a key is
/// hashed here: it is neither stored nor sent. Keys that are known already are left as they are.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key import keys.jsonl --gateway shop --to native --store shop.db
  tollgate key import keys.csv --at https://api.example.com --token-file token
  echo '{\"consumer\": \"acme\", \"key\": \"sk-0123456789abcdef\"}' | tollgate key import /dev/stdin --gateway shop --to spin"
)]
pub(super) struct ImportArgs {
    /// A file with `consumer`, and `key`, `sha256` or `fingerprint` (of a client certificate), for each key.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The format of the file (default: csv if its name ends in .csv, otherwise jsonl).
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The format of a file of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON objects, one a line.
    Jsonl,
    /// A table (RFC 4180) whose first line has the names of its columns.
    Csv,
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
    /// The issuer of an identity that is linked, with its subject or another claim and value.
    issuer: Option<String>,
    subject: Option<String>,
    claim: Option<String>,
    plan: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    environment: Option<String>,
    not_before: Option<String>,
    expires: Option<String>,
    #[serde(default)]
    limits: Vec<String>,
    note: Option<String>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

pub(super) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::problem(format!("{}: {error}", args.file.display())))?;
    let is_csv = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    let format = args.format.unwrap_or(if is_csv { Format::Csv } else { Format::Jsonl });
    // All lines are read before the first key is written.
    let requests = requests(format, &text).map_err(|(line, why)| refused(args, line, &why))?;
    let keys = args.keys.open()?;
    args.keys.check_plans(&keys, &requests)?;
    args.keys.check_limits(&keys, &requests)?;
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

/// The keys of a file, or the line that is refused, and why.
fn requests(format: Format, text: &str) -> Result<Vec<KeyRequest>, (usize, String)> {
    let read = |(line, value): (usize, Result<Value, String>)| value.and_then(request).map_err(|why| (line, why));
    match format {
        Format::Jsonl => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let json = |text| serde_json::from_str::<Value>(text);
            let no_json = |error: serde_json::Error| format!("column {}: it is not JSON", error.column());
            lines.map(|(number, line)| read((number + 1, json(line).map_err(no_json)))).collect()
        }
        Format::Csv => {
            let mut rows = csv::rows(text)
                .map_err(|line| (line, "a quoted value does not end before a comma or a new line".to_owned()))?
                .into_iter();
            let (_, names) = rows.next().ok_or_else(|| (1, format!("the first line names the columns: {MEMBERS}")))?;
            rows.map(|(line, row)| read((line, object(&names, row)))).collect()
        }
    }
}

/// A row as the object that a line of JSON would have.
fn object(names: &[String], row: Vec<String>) -> Result<Value, String> {
    if row.len() > names.len() {
        return Err(format!("it has {} values, and the first line names {} columns", row.len(), names.len()));
    }
    let member = |(name, value): (&String, String)| {
        let name = name.trim().to_owned();
        let list = || value.split_whitespace().map(Value::from).collect();
        let value = if LISTS.contains(&name.as_str()) { list() } else { Value::from(value) };
        (name, value)
    };
    Ok(names.iter().zip(row).filter(|(_, value)| !value.is_empty()).map(member).collect::<Map<_, _>>().into())
}

fn refused(args: &ImportArgs, line: usize, why: &str) -> Failure {
    let why = why.trim_end_matches('.');
    Failure::problem(format!("{}: line {line}: {why}; nothing was imported", args.file.display()))
}

/// Reads a key. Errors do not contain values, because one may be a key.
fn request(value: Value) -> Result<KeyRequest, String> {
    check_members(&value)?;
    let line: Line = serde_json::from_value(value).map_err(|_| format!("a member has the wrong form: {MEMBERS}"))?;
    let time = |name: &str, text: Option<&String>| {
        let read =
            text.map(|text| Timestamp::from_rfc3339(text).ok_or_else(|| format!("`{name}` is not a time (RFC 3339)")));
        read.transpose()
    };
    let existing = existing(&line)?;
    let request = KeyRequest {
        sha256: existing.key,
        fingerprint: existing.certificate,
        identity: existing.identity,
        not_before: time("not_before", line.not_before.as_ref())?,
        expires: time("expires", line.expires.as_ref())?,
        consumer: line.consumer,
        plan: line.plan,
        scopes: line.scopes,
        groups: line.groups,
        environment: line.environment.unwrap_or_else(|| "live".to_owned()),
        restrictions: line.restrictions,
        limits: line.limits,
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

const TEXTS: [&str; 12] = [
    "consumer",
    "key",
    "sha256",
    "fingerprint",
    "issuer",
    "subject",
    "claim",
    "plan",
    "environment",
    "not_before",
    "expires",
    "note",
];
const LISTS: [&str; 6] = ["scopes", "groups", "addresses", "hosts", "referrers", "limits"];

const MEMBERS: &str = "it has `consumer`, and one of `key`, `sha256`, `fingerprint` and `issuer` (with `subject` or `claim`); `plan`, \
                       `scopes`, `groups`, `environment`, `not_before`, `expires`, `note`, `addresses`, `hosts`, `referrers`, `limits` where \
                       they apply";

/// What exists already: one of them.
#[derive(Default)]
struct Existing {
    key: Option<KeyDigest>,
    certificate: Option<KeyDigest>,
    identity: Option<IdentityName>,
}

fn existing(line: &Line) -> Result<Existing, String> {
    let none = Existing::default();
    match (&line.key, &line.sha256, &line.fingerprint, &line.issuer) {
        (Some(key), None, None, None) => {
            let key = KeyText::of_any_make(key).map_err(|error| error.to_string())?;
            Ok(Existing { key: Some(key.digest()), ..none })
        }
        (None, Some(text), None, None) => Ok(Existing { key: Some(of_hash("sha256", text)?), ..none }),
        (None, None, Some(text), None) => Ok(Existing { certificate: Some(of_hash("fingerprint", text)?), ..none }),
        (None, None, None, Some(issuer)) => {
            let identity = identity(issuer, line.subject.as_deref(), line.claim.as_deref())?;
            Ok(Existing { identity: Some(identity), ..none })
        }
        _ => Err("exactly one of `key`, `sha256`, `fingerprint` and `issuer` is needed".to_owned()),
    }
}

/// The identity that an issuer names by a subject, or by another claim, written as `claim=value`.
pub(super) fn identity(issuer: &str, subject: Option<&str>, claim: Option<&str>) -> Result<IdentityName, String> {
    let (claim, value) = match (subject, claim) {
        (Some(subject), None) => ("sub", subject),
        (None, Some(claim)) => claim.split_once('=').ok_or("`claim` is written as `claim=value`")?,
        _ => return Err("with `issuer`, exactly one of `subject` and `claim` is needed".to_owned()),
    };
    IdentityName::new(issuer, claim, value).map_err(|error| error.to_string())
}

/// The digest that a hash is. One with a salt cannot be looked up.
fn of_hash(name: &str, text: &str) -> Result<KeyDigest, String> {
    if let Some(digest) = unsalted(text) {
        return Ok(digest);
    }
    if text.contains([':', '$']) {
        return Err(format!(
            "`{name}` has several parts, as hashes with a salt have. A key is found by its hash, and with a salt the hash of a \
             presented key is not known before its record is: import the keys themselves, or their hashes without salt, or issue \
             new keys"
        ));
    }
    Err(format!("`{name}` is not 32 bytes in hexadecimal or base64"))
}

/// The digest of a hash in hexadecimal, also with colons as `openssl` prints it, or in base64 of either alphabet, with or without
/// padding.
fn unsalted(text: &str) -> Option<KeyDigest> {
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
        let read = requests(Format::Jsonl, line).map_err(|(_, why)| why);
        let read = read.map(|all| all[0].existing().map(|digest| digest.to_hex()).unwrap_or_default());
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
    fn an_identity_is_linked_by_its_subject_or_another_claim() {
        let named = |text: &str| text.parse::<IdentityName>().map(|name| name.digest().to_hex()).unwrap_or_default();
        let sub = named("https://a.test sub=00u7");
        check(r#"{"consumer": "person:ada", "issuer": "https://a.test", "subject": "00u7"}"#, Ok(&sub));
        check(r#"{"consumer": "ada", "issuer": "https://a.test", "claim": "sub=00u7"}"#, Ok(&sub));
    }

    #[test]
    fn a_table_has_the_members_of_lines() {
        let table = "consumer,key,scopes,note\nacme,sk-0123456789abcdef,pets.read  pets.write,\"a, b\"\n\nbeta,sk-fedcba9876543210,,\n";
        let read = requests(Format::Csv, table).expect("a table");
        assert_eq!((read.len(), read[0].sha256.map(|digest| digest.to_hex()).as_deref()), (2, Some(HEX)));
        assert_eq!(
            (read[0].scopes.as_slice(), read[0].note.as_deref()),
            (&["pets.read".to_owned(), "pets.write".to_owned()][..], Some("a, b"))
        );
        assert!(read[1].scopes.is_empty() && read[1].note.is_none());
        for (table, line, words) in [
            ("", 1, "the first line names the columns"),
            ("consumer,key\nacme,sk-0123456789abcdef,x", 2, "3 values"),
            ("consumer,quota\n\nacme,5", 3, "unknown member"),
            ("consumer,key\nacme,\"sk-", 2, "does not end"),
            ("consumer,key\n,sk-0123456789abcdef", 2, "`consumer` is missing"),
        ] {
            let (at, why) = requests(Format::Csv, table).expect_err(table);
            assert!(at == line && why.contains(words) && !why.contains("sk-"), "{at}: {why}");
        }
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
            (r#"{"consumer": "acme", "sha256": "sha256:c2FsdA:Ih30N7xPjE2XGL16"}"#, "hashes with a salt"),
            (r#"{"consumer": "acme", "sha256": "$2b$12$abc"}"#, "hashes with a salt"),
            (r#"{"consumer": "acme", "issuer": "https://a.test"}"#, "one of `subject` and `claim`"),
            (r#"{"consumer": "acme", "issuer": "https://a.test", "claim": "x"}"#, "`claim=value`"),
            (r#"{"consumer": "acme", "issuer": "a b", "subject": "x"}"#, "an identity is an issuer"),
            (r#"{"consumer": "acme", "issuer": "https://a.test", "subject": "x", "scopes": ["a"]}"#, "no scopes"),
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
