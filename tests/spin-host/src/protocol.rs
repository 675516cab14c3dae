//! The launcher's side of the host: JSON lines, commands on standard input and events on standard output.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::guest::Shared;

/// The store the launcher reads and writes, which is the one a component opens by default.
const STORE: &str = "default";

/// Writes one event; a launcher that went away is not this process's concern.
pub(crate) fn emit(event: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// Obeys commands until standard input ends.
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
        Ok(Answer::Value(value)) => json!({"ack": id, "value": value}),
        Err(error) => json!({"nack": id, "error": error}),
    }
}

/// One line of the launcher; what it names is done in the order of the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    id: Value,
    #[serde(default)]
    put: Vec<Put>,
    #[serde(default)]
    delete: Vec<String>,
    fault: Option<Fault>,
    #[serde(default)]
    trap: bool,
    get: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    key: String,
    value: String,
}

/// An absent switch stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    records: Option<bool>,
    counters: Option<bool>,
    cache: Option<bool>,
}

enum Answer {
    Done,
    Value(Option<String>),
}

impl Command {
    fn carry_out(self, shared: &Shared) -> Result<Answer, String> {
        for put in self.put {
            shared.stores.set(STORE, put.key, put.value.into_bytes());
        }
        for key in &self.delete {
            shared.stores.delete(STORE, key);
        }
        if let Some(fault) = self.fault {
            turn(&shared.faults.records, fault.records);
            turn(&shared.faults.counters, fault.counters);
            turn(&shared.faults.cache, fault.cache);
        }
        if self.trap {
            shared.trap_next.store(true, Ordering::Relaxed);
        }
        let Some(key) = self.get else {
            return Ok(Answer::Done);
        };
        let value = shared.stores.get(STORE, &key).map(String::from_utf8);
        match value.transpose() {
            Ok(value) => Ok(Answer::Value(value)),
            Err(_) => Err(format!("the value of {key} is not UTF-8")),
        }
    }
}

fn turn(switch: &AtomicBool, to: Option<bool>) {
    if let Some(to) = to {
        switch.store(to, Ordering::Relaxed);
    }
}
