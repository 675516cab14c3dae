//! `tollgate key audit`: keys that nobody needs, that may do too much, or that stand where they must not.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tollgate_core::authn::CredentialState;
use tollgate_core::operator::KeyView;
use tollgate_core::time::Timestamp;

use super::place::Keys;
use super::scan::{Finds, scan};
use super::{KeysArgs, list, now, of_place};
use crate::commands::Output;
use crate::failure::Failure;
use crate::project::Project;
use crate::terminal;

/// Find keys that are unused, old, valid without end, or allowed too much, and keys in files and repositories.
///
/// The exit code is 1 if a key that is accepted stands in a file, with --strict if there is any finding.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key audit --at https://api.example.com --token-file token --scopes-of . --consumers consumers.txt
  tollgate key audit --scan . --at https://api.example.com --token-file token
  tollgate key audit --scan . --offline"
)]
pub(super) struct AuditArgs {
    /// Keys that were not used for so many days are unused; keys that are younger are not.
    #[arg(long, value_name = "N", default_value_t = 90)]
    unused_days: u64,
    /// Keys that were created before so many days are old.
    #[arg(long, value_name = "N", default_value_t = 365)]
    old_days: u64,
    /// A file with the names of all consumers, one a line: keys of others are reported.
    #[arg(long, value_name = "FILE")]
    consumers: Option<PathBuf>,
    /// The project whose routes say which scopes are needed: scopes that none of them needs are reported.
    #[arg(long, value_name = "FOLDER")]
    scopes_of: Option<PathBuf>,
    /// A file or folder to search for keys, with the history if it is a Git repository; repeatable.
    #[arg(long, value_name = "PATH")]
    scan: Vec<PathBuf>,
    /// Do not search the history of repositories.
    #[arg(long, requires = "scan")]
    no_history: bool,
    /// Only search, and ask no gateway: a key with a right checksum is taken for one that is accepted.
    #[arg(long, requires = "scan", conflicts_with_all = ["at", "to"])]
    offline: bool,
    /// Exit with 1 if there is any finding.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format: a table, or a JSON object with all findings.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What is wrong with a key.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<String>,
    /// A stable word.
    finding: &'static str,
    why: String,
    /// Whether the key has to be revoked now.
    urgent: bool,
}

/// What keys are compared with.
struct Rules {
    now: Timestamp,
    unused_days: u64,
    old_days: u64,
    consumers: Option<BTreeSet<String>>,
    /// The scopes that routes need.
    needed: Option<BTreeSet<String>>,
}

pub(super) fn run(args: &AuditArgs) -> Result<(), Failure> {
    let mut finds = Finds::new();
    for path in &args.scan {
        scan(path, !args.no_history, &mut finds)?;
    }
    let mut findings = Vec::new();
    if args.offline {
        findings.extend(finds.iter().map(|(digest, places)| found(&digest.public_id(), None, places)));
    } else {
        let (keys, rules) = (args.keys.open()?, Rules::of(args)?);
        // A link of an identity is no credential: nobody can use it.
        let all = keys.list(None)?.into_iter().filter(|key| key.identity.is_none());
        findings.extend(all.flat_map(|key| rules.judge(&key)));
        findings.extend(found_in(&keys, &finds)?);
    }
    findings.sort_by(|a, b| (!a.urgent, &a.consumer, &a.id).cmp(&(!b.urgent, &b.consumer, &b.id)));
    show(&findings, args.output);
    let urgent = findings.iter().filter(|finding| finding.urgent).count();
    match (urgent, args.strict && !findings.is_empty()) {
        (0, false) => Ok(()),
        (0, true) => Err(Failure::problem(format!("{} findings", findings.len()))),
        (count, _) => Err(Failure::problem(format!("{count} keys that are accepted stand in a file: revoke them"))),
    }
}

/// The keys that were found, as the gateway knows them.
fn found_in(keys: &Keys<'_>, finds: &Finds) -> Result<Vec<Finding>, Failure> {
    let found = finds.iter().map(|(digest, places)| {
        let known = keys.known(digest)?;
        Ok(match known {
            Some(key) => found(&key.id, Some(&key), places),
            None => Finding {
                urgent: false,
                why: format!("not known here; {}", places.join(", ")),
                ..found(&digest.public_id(), None, places)
            },
        })
    });
    found.collect()
}

fn found(id: &str, key: Option<&KeyView>, places: &[String]) -> Finding {
    let state = key.map_or("it may be accepted", list::state);
    let is_over = matches!(state, "revoked" | "expired");
    Finding {
        id: id.to_owned(),
        consumer: key.map(|key| key.consumer.clone()),
        finding: "found",
        why: format!("{state}; {}", places.join(", ")),
        urgent: !is_over,
    }
}

fn show(findings: &[Finding], output: Output) {
    if output == Output::Json {
        terminal::print(&format!("{:#}\n", json!({"findings": findings})));
        return;
    }
    if findings.is_empty() {
        terminal::note("no findings");
        return;
    }
    let mut rows = vec![["KEY", "CONSUMER", "FINDING", "WHY"].map(str::to_owned).to_vec()];
    rows.extend(findings.iter().map(|finding| {
        let consumer = finding.consumer.as_deref().unwrap_or("-");
        [&finding.id, consumer, finding.finding, &finding.why].map(terminal::printable).to_vec()
    }));
    terminal::print(&terminal::table(&rows));
}

impl Rules {
    fn of(args: &AuditArgs) -> Result<Self, Failure> {
        let consumers = args.consumers.as_ref().map(|path| {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| Failure::problem(format!("{}: {error}", path.display())))?;
            Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
        });
        let needed = args.scopes_of.as_ref().map(|folder| {
            let compiled = Project::at(folder).compiled_for_any()?;
            let routes = compiled.routes();
            Ok(routes
                .iter()
                .flat_map(|route| {
                    route.settings.scopes.iter().chain(route.settings.scope_sets.iter().flatten()).cloned()
                })
                .collect())
        });
        Ok(Self {
            now: now(),
            unused_days: args.unused_days,
            old_days: args.old_days,
            consumers: consumers.transpose()?,
            needed: needed.transpose()?,
        })
    }

    /// What is wrong with a key; nothing with one that is not accepted any more.
    fn judge(&self, key: &KeyView) -> Vec<Finding> {
        if matches!(key.state(self.now), CredentialState::Revoked | CredentialState::Expired) {
            return Vec::new();
        }
        let wrong = [self.use_of(key), self.age(key), self.consumer(key), self.scopes(key)];
        let finding = |(finding, why): (&'static str, String)| Finding {
            id: key.id.clone(),
            consumer: Some(key.consumer.clone()),
            finding,
            why,
            urgent: false,
        };
        wrong.into_iter().flatten().chain(without_end(key)).map(finding).collect()
    }

    /// Days since a time; `None` if it is not known.
    fn days_since(&self, time: Option<&String>) -> Option<u64> {
        // A day is the beginning of the day.
        let time = time.map(|time| if time.contains('T') { time.clone() } else { format!("{time}T00:00:00Z") })?;
        let since = Timestamp::from_rfc3339(&time)?;
        Some(self.now.millis_since(since) / (24 * 60 * 60 * 1_000))
    }

    fn use_of(&self, key: &KeyView) -> Option<(&'static str, String)> {
        let is_young = self.days_since(key.created.as_ref()).is_some_and(|days| days < self.unused_days);
        match self.days_since(key.last_used.as_ref()) {
            Some(days) if days >= self.unused_days => Some(("unused", format!("not used for {days} days"))),
            None if !is_young => Some(("never-used", "no use of it is recorded".to_owned())),
            Some(_) | None => None,
        }
    }

    fn age(&self, key: &KeyView) -> Option<(&'static str, String)> {
        let days = self.days_since(key.created.as_ref()).filter(|days| *days >= self.old_days)?;
        Some(("old", format!("created {days} days ago: rotate it")))
    }

    fn consumer(&self, key: &KeyView) -> Option<(&'static str, String)> {
        let is_known = self.consumers.as_ref().is_none_or(|known| known.contains(&key.consumer));
        (!is_known).then(|| ("consumer-unknown", format!("{} is not in the list of consumers", key.consumer)))
    }

    fn scopes(&self, key: &KeyView) -> Option<(&'static str, String)> {
        let needed = self.needed.as_ref()?;
        let own: BTreeSet<&String> = key.scopes.iter().collect();
        let others: Vec<&str> =
            own.iter().filter(|scope| !needed.contains(**scope)).map(|scope| scope.as_str()).collect();
        if !others.is_empty() {
            return Some(("scopes-unneeded", format!("no route needs {}", others.join(" "))));
        }
        let has_all = needed.len() > 1 && needed.iter().all(|scope| own.contains(scope));
        has_all.then(|| ("scopes-all", format!("it has all {} scopes that routes need", needed.len())))
    }
}

fn without_end(key: &KeyView) -> Option<(&'static str, String)> {
    key.expires.is_none().then(|| ("no-expiry", "it never expires".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::authn::Credential;

    fn rules() -> Rules {
        let set = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        Rules {
            now: Timestamp::from_rfc3339("2026-06-01T12:00:00Z").expect("a time"),
            unused_days: 90,
            old_days: 365,
            consumers: set(&["acme"]),
            needed: set(&["pets.read", "pets.write"]),
        }
    }

    fn key(change: impl FnOnce(&mut KeyView)) -> KeyView {
        let mut key = KeyView::from(&Credential::of("key-1", "acme"));
        key.created = Some("2026-05-01T00:00:00Z".to_owned());
        key.expires = Some("2027-05-01T00:00:00Z".to_owned());
        key.last_used = Some("2026-05-31".to_owned());
        change(&mut key);
        key
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut KeyView), want: &[&str]) {
        let found: Vec<_> = rules().judge(&key(change)).iter().map(|finding| finding.finding).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn every_kind_of_finding_is_made() {
        check(|_| {}, &[]);
        check(|key| key.last_used = Some("2026-03-02".into()), &["unused"]);
        check(|key| key.last_used = None, &[]);
        check(|key| (key.last_used, key.created) = (None, None), &["never-used"]);
        check(|key| key.created = Some("2025-06-01T00:00:00Z".into()), &["old"]);
        check(|key| key.expires = None, &["no-expiry"]);
        check(|key| key.consumer = "gone".into(), &["consumer-unknown"]);
        check(|key| key.scopes = vec!["admin".into()], &["scopes-unneeded"]);
        check(|key| key.scopes = vec!["pets.read".into()], &[]);
        check(|key| key.scopes = vec!["pets.write".into(), "pets.read".into()], &["scopes-all"]);
        check(|key| (key.revoked, key.expires) = (true, None), &[]);
        check(|key| key.expires = Some("2026-06-01T12:00:00Z".into()), &[]);
    }

    #[test]
    fn a_key_that_was_found_is_urgent_unless_it_is_over() {
        let places = ["a.env:1".to_owned()];
        let urgent = |change: fn(&mut KeyView)| found("key-1", Some(&key(change)), &places).urgent;
        assert!(urgent(|_| {}) && found("key-1", None, &places).urgent);
        assert!(!urgent(|key| key.revoked = true));
        assert_eq!(found("key-1", None, &places).why, "it may be accepted; a.env:1");
    }
}
