//! The launcher's side of the host: JSON lines, commands on standard input and events on standard output.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::counts;
use crate::guest::Shared;

/// The store that the launcher reads and writes, which a component opens by default.
const STORE: &str = "default";

/// Writes one event; a closed pipe is ignored.
pub(crate) fn emit(event: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// Carries out commands until standard input ends.
pub(crate) fn obey(shared: &Shared) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if !line.trim().is_empty() {
            emit(&answer(&line, shared));
        }
    }
}

fn answer(line: &str, shared: &Shared) -> Value {
    let command: Command = match serde_json::from_str(line) {
        Ok(command) => command,
        Err(error) => return json!({"nack": null, "error": format!("not a command: {error}")}),
    };
    let id = command.id.clone();
    match command.carry_out(shared) {
        Ok(Answer::Done) => json!({"ack": id}),
        Ok(Answer::Value(value)) => value_reply(&id, value),
        Ok(Answer::Counts(counts)) => json!({"ack": id, "counts": counts}),
        Err(error) => json!({"nack": id, "error": error}),
    }
}

/// One line of the launcher; its commands are carried out in the order of the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Command {
    id: Value,
    #[serde(default)]
    put: Vec<Put>,
    #[serde(default)]
    delete: Vec<String>,
    fault: Option<Fault>,
    /// For how many milliseconds another process holds the database of all stores.
    hold_stores: Option<u64>,
    #[serde(default)]
    trap: bool,
    get: Option<String>,
    /// Asks for the counts since the last such command; the instances that are counted have ended.
    #[serde(default)]
    counts: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    key: String,
    value: String,
    /// Whether the value is in base64.
    #[serde(default)]
    base64: bool,
}

/// An absent switch does not change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    records: Option<bool>,
    counters: Option<bool>,
    cache: Option<bool>,
}

enum Answer {
    Done,
    Value(Option<Vec<u8>>),
    Counts(Value),
}

impl Command {
    fn carry_out(self, shared: &Shared) -> Result<Answer, String> {
        for put in self.put {
            let (key, value) = put.pair()?;
            shared.stores.set(STORE, &key, value)?;
        }
        for key in &self.delete {
            shared.stores.delete(STORE, key)?;
        }
        if let Some(fault) = self.fault {
            turn(&shared.faults.records, fault.records);
            turn(&shared.faults.counters, fault.counters);
            turn(&shared.faults.cache, fault.cache);
        }
        if let Some(ms) = self.hold_stores {
            shared.stores.hold(Duration::from_millis(ms));
        }
        if self.trap {
            shared.trap_next.store(true, Ordering::Relaxed);
        }
        match self.get {
            Some(key) => Ok(Answer::Value(shared.stores.get(STORE, &key)?)),
            None if self.counts => Ok(Answer::Counts(counts::take())),
            None => Ok(Answer::Done),
        }
    }
}

impl Put {
    fn pair(self) -> Result<(String, Vec<u8>), String> {
        if !self.base64 {
            return Ok((self.key, self.value.into_bytes()));
        }
        let value =
            BASE64_STANDARD.decode(&self.value).map_err(|error| format!("the value of {}: {error}", self.key))?;
        Ok((self.key, value))
    }
}

/// A value in the protocol: binary values are in base64.
fn value_reply(id: &Value, value: Option<Vec<u8>>) -> Value {
    match value.map(String::from_utf8).transpose() {
        Ok(text) => json!({"ack": id, "value": text}),
        Err(bytes) => json!({"ack": id, "value": BASE64_STANDARD.encode(bytes.as_bytes()), "base64": true}),
    }
}

fn turn(switch: &AtomicBool, to: Option<bool>) {
    if let Some(to) = to {
        switch.store(to, Ordering::Relaxed);
    }
}
