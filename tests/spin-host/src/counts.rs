//! What components ask of the host: fuel, calls of interfaces, and operations of the component model's runtime.
//!
//! These counts do not depend on what else the machine does. Calls of interfaces are the spans that Wasmtime's bindings
//! open for them. Operations of the runtime (streams, futures, tasks) are the beginnings of its trace messages: their texts
//! are those of one version of Wasmtime, good enough to compare two components.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use wasmtime::{Config, Result, Store};

/// Since the launcher asked last, of all instances.
static COUNTED: Mutex<Counted> = Mutex::new(Counted { fuel: 0, calls: BTreeMap::new() });

struct Counted {
    /// Of the instances that have ended; Wasmtime takes about one for each instruction of wasm.
    fuel: u64,
    calls: BTreeMap<String, u64>,
}

/// Begins to count calls. They are counted in the whole process, so this is called once.
pub(crate) fn begin(config: &mut Config) -> Result<()> {
    config.consume_fuel(true);
    tracing::subscriber::set_global_default(Calls)?;
    log::set_logger(&Operations).map_err(wasmtime::Error::msg)?;
    log::set_max_level(LevelFilter::Trace);
    Ok(())
}

/// Gives a new instance all the fuel there is.
pub(crate) fn fill<T>(store: &mut Store<T>) -> Result<()> {
    store.set_fuel(u64::MAX)
}

/// Adds what an instance used.
pub(crate) fn ended<T>(store: &Store<T>) {
    if let Ok(left) = store.get_fuel() {
        counted().fuel += u64::MAX - left;
    }
}

/// The counts since this was called last.
pub(crate) fn take() -> Value {
    let mut counted = counted();
    let (fuel, calls) = (std::mem::take(&mut counted.fuel), std::mem::take(&mut counted.calls));
    json!({"fuel": fuel, "calls": calls})
}

fn counted() -> MutexGuard<'static, Counted> {
    COUNTED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(name: String) {
    *counted().calls.entry(name).or_default() += 1;
}

/// Counts calls of interfaces.
struct Calls;

impl Subscriber for Calls {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.name() == "wit-bindgen import"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut name = Name::default();
        span.record(&mut name);
        count(format!("{} {}", name.module, name.function));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Name {
    module: String,
    function: String,
}

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "module" => value.clone_into(&mut self.module),
            "function" => value.clone_into(&mut self.function),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Counts operations of the component model's runtime.
struct Operations;

impl Log for Operations {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() == Level::Trace && metadata.target().starts_with("wasmtime::runtime::component::concurrent")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            let end = text.find(|letter: char| !matches!(letter, 'a'..='z' | '_' | '.' | ' ')).unwrap_or(text.len());
            count(format!("runtime: {}", text[..end].trim()));
        }
    }

    fn flush(&self) {}
}
