//! The last table of each benchmark, in `bench/results.json`: what was measured, at which commit, and on which machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tollgate_core::time::Timestamp;

use crate::compare::Row;
use crate::side::root;

/// Replaces the tables of the benchmarks that ran; those of others stay.
pub(crate) fn keep(tables: &[(String, Vec<Row>)]) -> Result<(), String> {
    let path = root().join("bench/results.json");
    let kept = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let circumstances = json!({ "at": now(), "commit": commit(), "machine": machine() });
    let text =
        serde_json::to_string_pretty(&merged(kept, tables, &circumstances)).map_err(|error| error.to_string())?;
    fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
}

fn merged(mut kept: Map<String, Value>, tables: &[(String, Vec<Row>)], circumstances: &Value) -> Map<String, Value> {
    for (name, rows) in tables.iter().filter(|(_, rows)| !rows.is_empty()) {
        let mut table = circumstances.clone();
        table["rows"] = rows.iter().map(row).collect();
        kept.insert(name.clone(), table);
    }
    kept
}

fn row(row: &Row) -> Value {
    json!({
        "measured": row.what,
        "tollgate": row.tollgate,
        "reference": row.other,
        "ratio": row.ratio,
        "cpu_ratio": row.cpu_ratio,
    })
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or_default()).to_rfc3339()
}

/// The commit, with a plus sign if files differ from it.
fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root()).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let hash = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    if is_changed { format!("{hash}+") } else { hash }
}

/// What a reader needs to know about the machine; empty where the system does not tell.
fn machine() -> Value {
    let line = |file: &str, name: &str| {
        let text = fs::read_to_string(Path::new(file)).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    json!({
        "processor": line("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": line("/proc/meminfo", "MemTotal"),
        "system": fs::read_to_string("/proc/version").ok().and_then(|text| Some(text.split(['-', '(']).next()?.trim().to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_that_of_the_same_benchmark_only() {
        let table = |ratio: &str| vec![Row::plain("forward", "1/s".into(), "2/s".into(), ratio.into())];
        let first = merged(Map::new(), &[("a".into(), table("1")), ("b".into(), table("2"))], &json!({"at": "then"}));
        let both = merged(first, &[("b".into(), table("3")), ("c".into(), Vec::new())], &json!({"at": "now"}));
        let read = |name: &str| (both[name]["at"].as_str(), both[name]["rows"][0]["ratio"].as_str());
        assert_eq!((read("a"), read("b")), ((Some("then"), Some("1")), (Some("now"), Some("3"))));
        assert!(!both.contains_key("c"), "a benchmark that failed keeps its last table");
    }
}
