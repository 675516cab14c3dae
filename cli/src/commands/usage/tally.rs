//! Tables of what exchanges used.

use std::collections::{BTreeMap, HashSet};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_core::telemetry::{Tally, UsageBatch, UsageRow, Used};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{RecordError, decode, usage_record};

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
    subscription: Option<String>,
    product: Option<String>,
    route_id: Option<String>,
    problem: Option<String>,
    charged: Option<u32>,
}

/// What the rows of a table are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dimension {
    /// Whose requests they are.
    Consumer,
    /// The plan that they had.
    Plan,
    /// The subscription, where a limit asks for it.
    Subscription,
    /// The product of the subscription.
    Product,
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

/// The sums of the exchanges in a log, as the gateway itself sums them up.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The exchanges that were counted.
    counted: HashSet<u128>,
    /// By gateway.
    tallies: BTreeMap<String, Vec<Tally>>,
}

/// Sums by windows and dimensions.
#[derive(Debug)]
pub(super) struct Usage {
    by: Vec<Dimension>,
    window: Window,
    sums: BTreeMap<Vec<String>, [u64; SUMS.len()]>,
}

impl Line {
    /// The exchange that a line is about. `None` if it is about something else.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(line).ok()?;
        let is_exchange = line.event == "exchange" && line.time.ends_with('Z') && line.time.len() == TIME_BYTES;
        is_exchange.then_some(line)
    }

    fn used(&self) -> Option<Used<'_>> {
        Some(Used {
            at: Timestamp::from_rfc3339(&self.time)?,
            route: self.route_id.as_deref(),
            consumer: self.consumer.as_deref(),
            plan: self.plan.as_deref(),
            subscription: self.subscription.as_deref(),
            product: self.product.as_deref(),
            status: self.status,
            problem: self.problem.as_deref(),
            cost: self.charged.unwrap_or_default(),
        })
    }
}

impl Log {
    /// Adds an exchange, once.
    pub(super) fn add(&mut self, line: &Line) {
        let (Ok(id), Some(used)) = (u128::from_str_radix(&line.request_id, 16), line.used()) else { return };
        if !self.counted.insert(id) {
            return;
        }
        let tallies = self.tallies.entry(line.gateway.clone()).or_default();
        // A tally has room for one batch.
        if !tallies.last_mut().is_some_and(|tally| tally.add(&used)) {
            let mut tally = Tally::default();
            tally.add(&used);
            tallies.push(tally);
        }
    }

    /// The batches that a gateway would have written.
    pub(super) fn into_batches(self) -> Result<Vec<UsageBatch>, RecordError> {
        let mut batches = Vec::new();
        for (gateway, tallies) in self.tallies {
            for mut tally in tallies {
                while !tally.is_empty() {
                    batches.push(decode(&usage_record(&gateway, "log", &tally.take_hour()))?);
                }
            }
        }
        Ok(batches)
    }
}

impl Usage {
    pub(super) fn new(by: &[Dimension], window: Window) -> Self {
        Self { by: by.to_vec(), window, sums: BTreeMap::new() }
    }

    /// Adds the rows of a batch.
    pub(super) fn add(&mut self, batch: &UsageBatch, is_wanted: impl Fn(&UsageRow) -> bool) {
        for row in batch.rows.iter().filter(|row| is_wanted(row)) {
            let window = batch.hour.get(..self.window.bytes()).unwrap_or_default().to_owned();
            let values = self.by.iter().map(|dimension| dimension.of(batch, row).unwrap_or(NONE).to_owned());
            let key: Vec<String> = std::iter::once(window).chain(values).collect();
            let added = [row.requests, row.refused, row.failed, row.cost];
            self.sums.entry(key).or_default().iter_mut().zip(added).for_each(|(sum, more)| *sum += more);
        }
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The rows of a table, with their header.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let header = self.names().into_iter().chain(SUMS).map(str::to_uppercase);
        let rows = self
            .sums
            .iter()
            .map(|(key, sums)| key.iter().cloned().chain(sums.iter().map(ToString::to_string)).collect());
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
            let numbers = SUMS.into_iter().zip(sums).map(|(name, number)| (name.to_owned(), json!(number)));
            Value::Object(texts.chain(numbers).collect())
        });
        rows.collect()
    }

    fn names(&self) -> Vec<&'static str> {
        std::iter::once("window").chain(self.by.iter().map(|dimension| dimension.name())).collect()
    }
}

impl Dimension {
    const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Plan => "plan",
            Self::Subscription => "subscription",
            Self::Product => "product",
            Self::Api => "api",
            Self::Route => "route",
            Self::Gateway => "gateway",
        }
    }

    fn of<'r>(self, batch: &'r UsageBatch, row: &'r UsageRow) -> Option<&'r str> {
        match self {
            Self::Consumer => row.consumer.as_deref(),
            Self::Plan => row.plan.as_deref(),
            Self::Subscription => row.subscription.as_deref(),
            Self::Product => row.product.as_deref(),
            // Route ids begin with it.
            Self::Api => row.route.as_deref()?.split('.').next(),
            Self::Route => row.route.as_deref(),
            Self::Gateway => Some(&batch.gateway),
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

    fn usage(by: &[Dimension], window: Window, log: Log) -> Usage {
        let mut usage = Usage::new(by, window);
        log.into_batches().unwrap().iter().for_each(|batch| usage.add(batch, |_| true));
        usage
    }

    #[test]
    fn each_exchange_counts_once_in_its_window() {
        let mut log = Log::default();
        let acme = ",\"consumer\":\"acme\",\"plan\":\"gold\",\"route_id\":\"pets.list\",\"charged\":5";
        for (id, time, more) in [
            (1, "2026-11-28T23:59:59.999Z", acme),
            (1, "2026-11-28T23:59:59.999Z", acme),
            (2, "2026-11-28T00:00:00.000Z", acme),
            (3, "2026-11-29T00:00:00.000Z", acme),
            (4, "2026-11-29T00:00:00.001Z", ",\"problem\":\"rate-limit-exceeded\""),
        ] {
            log.add(&line(id, time, more).unwrap());
        }
        let usage = usage(&[Dimension::Consumer, Dimension::Plan, Dimension::Api], Window::Day, log);
        let rows = usage.rows();
        assert_eq!(rows[0], ["WINDOW", "CONSUMER", "PLAN", "API", "REQUESTS", "REFUSED", "FAILED", "COST"]);
        assert_eq!(rows[1], ["2026-11-28", "acme", "gold", "pets", "2", "0", "0", "10"]);
        assert_eq!(rows[2], ["2026-11-29", "-", "-", "-", "1", "1", "0", "0"]);
        assert_eq!(rows[3], ["2026-11-29", "acme", "gold", "pets", "1", "0", "0", "5"]);
        assert_eq!(usage.to_json()[1]["consumer"], Value::Null);
        assert_eq!(usage.to_json()[0]["cost"], 10);
    }

    #[test]
    fn a_log_with_more_rows_than_a_batch_loses_none() {
        let mut log = Log::default();
        for id in 0..3_000 {
            let consumer = format!(",\"consumer\":\"{}-{id}\",\"charged\":1", "c".repeat(60));
            log.add(&line(id, "2026-11-28T00:00:00.000Z", &consumer).unwrap());
        }
        assert!(log.tallies["shop"].len() > 1);
        let rows = usage(&[], Window::Whole, log).rows();
        assert_eq!(rows[1], ["", "3000", "0", "0", "3000"]);
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
