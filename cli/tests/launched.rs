//! `tollgate dev` on a host in a separate process, with our own launcher instead of Node.

mod support;

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use support::{Project, Running, tollgate};

/// Implements the launchers' protocol and records the commands it receives.
const LAUNCHER: &str = r#"#!/bin/sh
echo "$@" > "$LAUNCH_LOG.words"
if [ -n "$LAUNCH_FAILS" ]; then echo '{"failed":"port 7 is taken; give another"}'; exit 1; fi
echo '{"log":"before it was ready"}'
echo '{"ready":{"url":"http://127.0.0.1:7"}}'
while read -r line; do
  echo "$line" >> "$LAUNCH_LOG"
  id=$(echo "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  case "$line" in *'"get"'*) echo "{\"ack\":$id,\"value\":null}";; *) echo "{\"ack\":$id}";; esac
  echo '{"log":"a line of the gateway"}'
  if [ -n "$LAUNCH_DIES" ]; then case "$line" in *'"put"'*config:active*) exit 3;; esac; fi
done
"#;

/// A folder that looks like a clone whose worker is built.
struct Clone(tempfile::TempDir);

impl Clone {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(&file, text).expect("a file");
        };
        write("xtask/Cargo.toml", "");
        write("tests/miniflare/launch.mjs", "");
        write("build/worker.mjs", "");
        write("bin/node", LAUNCHER);
        let node = folder.path().join("bin/node");
        assert!(Command::new("chmod").arg("+x").arg(node).status().is_ok_and(|status| status.success()));
        Self(folder)
    }

    fn dev(&self, project: &str) -> Command {
        let words = ["dev", project, "--on", "cloudflare", "--port", "0", "--no-echo"];
        let mut command = tollgate(&words);
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(self.0.path()).env("LAUNCH_LOG", self.log());
        command.env("PATH", format!("{}:{path}", self.0.path().join("bin").display()));
        command
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.path().join("log")
    }

    /// The commands that the launcher has received so far, without those that only read.
    fn commands(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let commands = log.lines().filter_map(|line| serde_json::from_str(line).ok());
        commands.filter(|command: &Value| command["get"].is_null()).collect()
    }
}

/// The keys of all records that are put, in their order.
fn keys(commands: &[Value]) -> Vec<String> {
    let key = |record: &Value| record["key"].as_str().expect("a key").to_owned();
    commands.iter().filter_map(|command| command["put"].as_array()).flatten().map(key).collect()
}

/// The values that are put, both texts and those marked as base64.
fn values(commands: &[Value]) -> String {
    let value = |record: &Value| {
        let text = record["value"].as_str().expect("a value");
        let bytes = if record["base64"] == true { BASE64_STANDARD.decode(text).expect("base64") } else { text.into() };
        String::from_utf8_lossy(&bytes).into_owned()
    };
    commands.iter().filter_map(|command| command["put"].as_array()).flatten().map(value).collect()
}

#[test]
fn records_are_pushed_logs_are_shown_and_ctrl_c_ends_the_host() {
    let (clone, project) = (Clone::new(), Project::new());
    let mut command = clone.dev(&project.path());
    command.env("TOLLGATE_SECRET_TOKEN", "s3cret");
    let mut running = Running::start(command);
    assert_eq!(running.url(), "http://127.0.0.1:7");
    let words = std::fs::read_to_string(clone.0.path().join("log.words")).expect("the words");
    assert!(words.contains("--port 0 --gateway quickstart --dev --secret TOKEN=s3cret"), "{words}");
    assert!(words.contains("--secret TOLLGATE_OPERATOR_OPERATE=dev:"), "{words}");
    let first = keys(&clone.commands());
    assert!(first[0].starts_with("quickstart:credential:"), "{first:?}");
    assert_eq!(first.last().map(String::as_str), Some("quickstart:config:active"));
    running.word_after("a line of the ");
    assert!(running.out().contains("before it was ready"));

    project.edit("path: /public", "path: /open");
    running.wait_for("the edit", || running.err().contains("the edit is active").then_some(()));
    let second = values(&clone.commands());
    assert!(second.contains("/echo/open"), "{second}");

    running.interrupt();
    assert_eq!(running.ended().code(), Some(0), "{}", running.err());
}

#[test]
fn old_records_are_removed_after_two_edits() {
    let (clone, project) = (Clone::new(), Project::new());
    let running = Running::start(clone.dev(&project.path()));
    running.url();
    let first = keys(&clone.commands());
    for (from, to, edits) in [("path: /public", "path: /a", 1), ("path: /a", "path: /b", 2)] {
        project.edit(from, to);
        let count = || running.err().matches("the edit is active").count();
        running.wait_for("the edit", || (count() == edits).then_some(()));
    }
    let commands = clone.commands();
    let deleted = commands.last().and_then(|last| last["delete"].as_array()).expect("a delete");
    let old = |kind: &str| first.iter().find(|key| key.contains(kind)).expect("a key").as_str();
    assert!(deleted.iter().any(|key| key == old(":part:")) && deleted.iter().any(|key| key == old(":manifest:")));
    assert!(deleted.iter().all(|key| key != "quickstart:config:active"), "{deleted:?}");
}

#[test]
fn an_error_of_the_launcher_is_reported() {
    let (clone, project) = (Clone::new(), Project::new());
    let mut command = clone.dev(&project.path());
    let mut running = Running::start({
        command.env("LAUNCH_FAILS", "1");
        command
    });
    assert_eq!(running.ended().code(), Some(1));
    running.wait_for("the reason", || running.err().contains("error: port 7 is taken; give another").then_some(()));
}

#[test]
fn a_host_that_stops_unexpectedly_is_reported() {
    let (clone, project) = (Clone::new(), Project::new());
    let mut command = clone.dev(&project.path());
    command.env("LAUNCH_DIES", "1");
    let mut running = Running::start(command);
    assert_eq!(running.ended().code(), Some(1));
    running.wait_for("the reason", || running.err().contains("has stopped unexpectedly").then_some(()));
}

#[test]
fn a_missing_node_is_reported() {
    let (clone, project) = (Clone::new(), Project::new());
    let mut command = clone.dev(&project.path());
    command.env("PATH", "/nowhere");
    let mut running = Running::start(command);
    assert_eq!(running.ended().code(), Some(1));
    running.wait_for("the reason", || running.err().contains("node is not installed").then_some(()));
}

#[test]
fn outside_a_clone_it_is_reported_that_one_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("tollgate");
    std::fs::copy(Path::new(env!("CARGO_BIN_EXE_tollgate")), &copy).expect("a copy of the program");
    let mut command = Command::new(copy);
    command.args(["dev", "--on", "spin", "--port", "0", "--no-echo"]).current_dir(folder.path());
    let output = support::Ran::of(command.output().expect("the program starts"));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.err.contains("needs a clone of its repository"), "{output:?}");
}
