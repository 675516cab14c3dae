//! `tollgate product`, `plan`, `subscription` and `grant`: what consumers are entitled to.

pub(crate) mod grant;
pub(crate) mod plan;
pub(crate) mod product;
mod records;
pub(crate) mod subscription;

pub(crate) use records::published;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tollgate_core::operator::Entitling;
use tollgate_core::time::Timestamp;

use super::Output;
use super::key::KeysArgs;
use super::key::place::Keys;
use crate::failure::Failure;
use crate::terminal;

/// Where the records are, and the form of the answer.
#[derive(Debug, Args)]
struct PlaceArgs {
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl PlaceArgs {
    /// Writes a thing, tells what was done, and answers the thing as it is now.
    fn change(&self, change: Entitling, content: &Value, done: &str) -> Result<Value, Failure> {
        let place = self.keys.open()?;
        let thing = records::change(&place, change, content)?;
        match self.output {
            Output::Json => terminal::print(&format!("{thing:#}\n")),
            Output::Text => {
                if let Some(id) = thing["id"].as_str().filter(|_| change == Entitling::NewGrant) {
                    terminal::print(&format!("{id}\n"));
                }
                let at = if matches!(place, Keys::Running(_)) { "at" } else { "in" };
                terminal::note(&format!("{done} {at} {}; {KNOWN_WITHIN}", place.name()));
            }
        }
        Ok(thing)
    }

    /// Shows a list as a table, or as JSON.
    fn list<T: Serialize>(&self, all: &[T], what: &str, head: &[&str], row: impl Fn(&T) -> Vec<String>) {
        match self.output {
            Output::Json => terminal::print(&format!("{:#}\n", json!(all))),
            Output::Text if all.is_empty() => terminal::note(&format!("no {what}")),
            Output::Text => {
                let mut rows = vec![head.iter().map(|name| (*name).to_owned()).collect()];
                rows.extend(all.iter().map(row));
                terminal::print(&terminal::table(&rows));
            }
        }
    }

    /// Shows each property of a thing in a line of its own, or as JSON.
    fn show(&self, thing: &impl Serialize) {
        let value = json!(thing);
        let Value::Object(members) = &value else { return };
        match self.output {
            Output::Json => terminal::print(&format!("{value:#}\n")),
            Output::Text => terminal::print(&members.iter().map(|(name, value)| line(name, value)).collect::<String>()),
        }
    }
}

fn line(name: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(all) if all.iter().all(Value::is_string) => {
            all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    format!("{:14} {}\n", name.replace('_', " "), terminal::printable(&text))
}

/// Tells what a new version of a thing replaces.
fn tell_replaced(replaced: &[String]) {
    if !replaced.is_empty() {
        terminal::note(&format!("replaced: {}", terminal::printable(&replaced.join(", "))));
    }
}

/// A request: the members that are given.
fn request<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

fn text(value: Option<&String>) -> Option<Value> {
    value.map(|value| json!(value))
}

fn instant(value: Option<Timestamp>) -> Option<Value> {
    value.map(|value| json!(value.to_rfc3339()))
}

/// The instant of a table: to the minute.
fn minute(at: Timestamp) -> String {
    at.to_rfc3339().chars().take(16).collect::<String>() + "Z"
}

/// How long something lasts yet.
fn left(until: Timestamp, now: Timestamp) -> String {
    let minutes = until.as_millis().saturating_sub(now.as_millis()).div_ceil(60_000);
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1_440),
    }
}

fn or_dash(value: Option<&String>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| terminal::printable(value))
}

/// When a change takes effect: isolates remember what they have read.
const KNOWN_WITHIN: &str = "it takes effect within 30 seconds plus the store's delay";
