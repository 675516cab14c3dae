//! Sums of what exchanges used.

use std::collections::{BTreeMap, HashSet};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Value, json};

/// What is read of the log line of an exchange.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) time: String,
    event: String,
    pub(super) gateway: String,
    request_id: String,
    status: u16,
    pub(super) consumer: Option<String>,
    plan: Option<String>,
    route_id: Option<String>,
    problem: Option<String>,
    charged: Option<u64>,
}

/// What the rows of a table are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dimension {
    /// Whose requests they are.
    Consumer,
    /// The plan that they had.
    Plan,
    /// The API.
    Api,
    /// The route.
    Route,
    /// The gateway.
    Gateway,
}

/// The length of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
    /// All together.
    Whole,
}

/// Sums by windows and dimensions.
#[derive(Debug)]
pub(super) struct Usage {
    by: Vec<Dimension>,
    window: Window,
    /// The exchanges that were counted.
    counted: HashSet<u128>,
    sums: BTreeMap<Vec<String>, Sums>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    requests: u64,
    refused: u64,
    failed: u64,
    cost: u64,
}

impl Line {
    /// The exchange that a line is about. `None` if it is about something else.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(line).ok()?;
        let is_exchange = line.event == "exchange" && line.time.ends_with('Z') && line.time.len() == TIME_BYTES;
        is_exchange.then_some(line)
    }

    /// The API: route ids begin with it.
    fn api(&self) -> Option<&str> {
        Some(self.route_id.as_deref()?.split('.').next().unwrap_or_default())
    }
}

impl Usage {
    pub(super) fn new(by: &[Dimension], window: Window) -> Self {
        Self { by: by.to_vec(), window, counted: HashSet::new(), sums: BTreeMap::new() }
    }

    /// Adds an exchange, once.
    pub(super) fn add(&mut self, line: &Line) {
        let Ok(id) = u128::from_str_radix(&line.request_id, 16) else { return };
        if !self.counted.insert(id) {
            return;
        }
        let window = line.time.get(..self.window.bytes()).unwrap_or_default().to_owned();
        let values = self.by.iter().map(|dimension| dimension.of(line).unwrap_or(NONE).to_owned());
        let key: Vec<String> = std::iter::once(window).chain(values).collect();
        let sums = self.sums.entry(key).or_default();
        sums.requests += 1;
        sums.refused += u64::from(line.problem.as_deref() == Some("rate-limit-exceeded"));
        sums.failed += u64::from(line.status >= 500);
        sums.cost += line.charged.unwrap_or(0);
    }

    /// The rows of a table, with their header.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let header = self.names().into_iter().chain(SUMS).map(str::to_uppercase);
        let rows = self
            .sums
            .iter()
            .map(|(key, sums)| key.iter().cloned().chain(sums.numbers().map(|number| number.to_string())).collect());
        std::iter::once(header.collect()).chain(rows).collect()
    }

    /// The rows as objects.
    pub(super) fn to_json(&self) -> Value {
        let rows = self.sums.iter().map(|(key, sums)| {
            let texts = self
                .names()
                .into_iter()
                .zip(key)
                .map(|(name, text)| (name.to_owned(), if text == NONE { Value::Null } else { json!(text) }));
            let numbers = SUMS.into_iter().zip(sums.numbers()).map(|(name, number)| (name.to_owned(), json!(number)));
            Value::Object(texts.chain(numbers).collect())
        });
        rows.collect()
    }

    fn names(&self) -> Vec<&'static str> {
        std::iter::once("window").chain(self.by.iter().map(|dimension| dimension.name())).collect()
    }
}

impl Sums {
    const fn numbers(&self) -> [u64; 4] {
        [self.requests, self.refused, self.failed, self.cost]
    }
}

impl Dimension {
    const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Plan => "plan",
            Self::Api => "api",
            Self::Route => "route",
            Self::Gateway => "gateway",
        }
    }

    fn of(self, line: &Line) -> Option<&str> {
        match self {
            Self::Consumer => line.consumer.as_deref(),
            Self::Plan => line.plan.as_deref(),
            Self::Api => line.api(),
            Self::Route => line.route_id.as_deref(),
            Self::Gateway => Some(&line.gateway),
        }
    }
}

impl Window {
    /// How much of a timestamp names the window.
    const fn bytes(self) -> usize {
        match self {
            Self::Hour => 13,
            Self::Day => 10,
            Self::Month => 7,
            Self::Year => 4,
            Self::Whole => 0,
        }
    }
}

const SUMS: [&str; 4] = ["requests", "refused", "failed", "cost"];

/// What stands for the consumer of a request without one.
const NONE: &str = "-";

/// Bytes of a timestamp with milliseconds, as every line has.
const TIME_BYTES: usize = "2026-01-31T23:59:50.000Z".len();

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u32, time: &str, more: &str) -> Option<Line> {
        let text = format!(
            "{{\"time\":\"{time}\",\"event\":\"exchange\",\"gateway\":\"shop\",\"request_id\":\"{id:032x}\",\"status\":200{more}}}"
        );
        Line::parse(text.as_bytes())
    }

    #[test]
    fn each_exchange_counts_once_in_its_window() {
        let mut usage = Usage::new(&[Dimension::Consumer, Dimension::Plan, Dimension::Api], Window::Day);
        let acme = ",\"consumer\":\"acme\",\"plan\":\"gold\",\"route_id\":\"pets.list\",\"charged\":5";
        for (id, time, more) in [
            (1, "2026-11-28T23:59:59.999Z", acme),
            (1, "2026-11-28T23:59:59.999Z", acme),
            (2, "2026-11-28T00:00:00.000Z", acme),
            (3, "2026-11-29T00:00:00.000Z", acme),
            (4, "2026-11-29T00:00:00.001Z", ",\"problem\":\"rate-limit-exceeded\""),
        ] {
            usage.add(&line(id, time, more).unwrap());
        }
        let rows = usage.rows();
        assert_eq!(rows[0], ["WINDOW", "CONSUMER", "PLAN", "API", "REQUESTS", "REFUSED", "FAILED", "COST"]);
        assert_eq!(rows[1], ["2026-11-28", "acme", "gold", "pets", "2", "0", "0", "10"]);
        assert_eq!(rows[2], ["2026-11-29", "-", "-", "-", "1", "1", "0", "0"]);
        assert_eq!(rows[3], ["2026-11-29", "acme", "gold", "pets", "1", "0", "0", "5"]);
        assert_eq!(usage.to_json()[1]["consumer"], Value::Null);
        assert_eq!(usage.to_json()[0]["cost"], 10);
    }

    #[test]
    fn lines_of_other_programs_are_no_exchanges() {
        assert!(line(1, "2026-11-28T00:00:00.000Z", "").is_some());
        assert!(line(1, "2026-11-28T00:00:00.000+01:00", "").is_none());
        for text in ["", "listening on 127.0.0.1", "{}", "{\"event\":\"audit\"}", "\u{1}", "[1]"] {
            assert!(Line::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
