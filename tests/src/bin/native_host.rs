//! The launcher of the native host: the adapter as a library, controlled by the protocol of tests/README.md.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tollgate_core::secret::Secret;
use tollgate_edge::Freshness;
use tollgate_native::faults::{Faults, FaultyStore};
use tollgate_native::{AdminSettings, RecordChange, RecordStore, RedisSettings, SecretSource, Server, Settings};

/// Two, so that tests notice state that isolates do not share.
const ISOLATES: usize = 2;
/// How long open exchanges may continue after stdin has ended.
const GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            emit(&json!({"failed": error.to_string()}));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let settings = settings(std::env::args().skip(1))?;
    let records = match settings.counters_file.as_deref().and_then(Path::parent) {
        Some(folder) => RecordStore::create(&folder.join("records.db"))?,
        None => RecordStore::in_memory()?,
    };
    let faults = Faults::default();
    let server = Server::builder(settings, records.clone()).log_to(Box::new(LogLines)).faults(faults.clone()).bind()?;
    let address = server.addresses().first().ok_or("the server has no address")?;
    let admin = server.admin_address().map(|admin| format!("http://{admin}"));
    emit(&json!({"ready": {"url": format!("http://{address}"), "admin": admin}}));
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        obey(&records, &faults);
        // The server may have stopped by itself.
        let _ = stop.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server.run(async {
        let _ = stopped.await;
    }))?;
    Ok(())
}

fn settings(mut words: impl Iterator<Item = String>) -> Result<Settings, String> {
    let (mut port, mut gateway, mut dev) = (0_u16, "quickstart".to_owned(), false);
    let (mut secrets, mut keep, mut counters) = (BTreeMap::new(), None, None);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number".to_owned())?,
            "--gateway" => gateway = value()?,
            "--dev" => dev = true,
            "--keep" => keep = Some(PathBuf::from(value()?)),
            "--counters" => {
                let address = value()?.parse().map_err(|error| format!("--counters: {error}"))?;
                counters = Some(RedisSettings { address, authorities: None });
            }
            "--secret" => {
                let pair = value()?;
                let (name, text) = pair.split_once('=').ok_or("write --secret like NAME=VALUE")?;
                secrets.insert(name.to_owned(), Secret::new(text.to_owned()));
            }
            other => return Err(format!("unknown option {other}; see tests/README.md")),
        }
    }
    let mut settings = Settings::new(gateway, SocketAddr::from(([127, 0, 0, 1], port)));
    settings.counters_file = keep.map(|folder| folder.join("counters.db"));
    settings.isolates = NonZeroUsize::new(ISOLATES);
    settings.freshness = if dev { Freshness::EachRequest } else { Freshness::Cached };
    settings.secrets = SecretSource::Given(secrets);
    settings.operator.answers = true;
    settings.admin = Some(AdminSettings { address: SocketAddr::from(([127, 0, 0, 1], 0)), open_metrics: true });
    settings.grace = GRACE;
    settings.counters_redis = counters;
    Ok(settings)
}

/// Carries out commands until stdin ends.
fn obey(records: &RecordStore, faults: &Faults) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let command: Value = serde_json::from_str(&line).unwrap_or_default();
        let id = command["id"].clone();
        let answer = match carry_out(&command, records, faults) {
            Ok(None) => json!({"ack": id}),
            Ok(Some(mut reply)) => {
                reply["ack"] = id;
                reply
            }
            Err(error) => json!({"nack": id, "error": error}),
        };
        emit(&answer);
    }
}

fn carry_out(command: &Value, records: &RecordStore, faults: &Faults) -> Result<Option<Value>, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(entries) = command["put"].as_array() {
        let pairs = entries.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
        let put = pairs.iter().map(|(key, value)| RecordChange::Put { key, value });
        let changes: Vec<_> = put.collect();
        records.write(&changes).map_err(|error| error.to_string())?;
    } else if let Some(keys) = command["delete"].as_array() {
        let keys: Vec<String> = keys.iter().map(text).collect();
        let changes: Vec<_> = keys.iter().map(|key| RecordChange::Delete { key }).collect();
        records.write(&changes).map_err(|error| error.to_string())?;
    } else if let Some(key) = command["get"].as_str() {
        let value = records.read(key).map_err(|error| error.to_string())?;
        return Ok(Some(value.map_or_else(|| json!({"value": null}), value_reply)));
    } else if let Some(switches) = command["fault"].as_object() {
        let stores = [
            ("records", FaultyStore::Records),
            ("counters", FaultyStore::Counters),
            ("cache", FaultyStore::ResponseCache),
        ];
        for (name, store) in stores {
            if let Some(failing) = switches.get(name).and_then(Value::as_bool) {
                faults.set(store, failing);
            }
        }
    } else {
        return Err("this host supports put, delete, get and fault".to_owned());
    }
    Ok(None)
}

fn pair(entry: &Value) -> Result<(String, Vec<u8>), String> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    let value = match entry["base64"].as_bool() {
        Some(true) => BASE64_STANDARD.decode(text("value")).map_err(|error| error.to_string())?,
        Some(false) | None => text("value").into(),
    };
    Ok((text("key").to_owned(), value))
}

/// A value in the protocol: binary values are in base64.
fn value_reply(value: Vec<u8>) -> Value {
    match String::from_utf8(value) {
        Ok(text) => json!({"value": text}),
        Err(bytes) => json!({"value": BASE64_STANDARD.encode(bytes.as_bytes()), "base64": true}),
    }
}

/// Writes one event; a closed pipe is ignored.
fn emit(event: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}

/// The gateway's log, each line as an event.
struct LogLines;

impl Write for LogLines {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<usize> {
        for line in String::from_utf8_lossy(lines).lines() {
            emit(&json!({"log": line}));
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
