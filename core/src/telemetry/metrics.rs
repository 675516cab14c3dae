//! Metrics per route, with a bounded number of series, and their Prometheus text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::ExchangeRecord;
use super::label::Label;
use super::record::status_class;
use crate::bounds::METRIC_SERIES_MAX;
use crate::forward::UpstreamError;

/// Counters and histograms since the start (or since the last export).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// By route id, method and status class.
    pub(super) exchanges: BTreeMap<[Label; 3], Histogram>,
    /// By upstream name and outcome (status class or error type).
    pub(super) upstream_calls: BTreeMap<[Label; 2], Histogram>,
    /// By route id, policy and problem.
    pub(super) refusals: BTreeMap<[Label; 3], u64>,
    /// By route id and result of the cache.
    pub(super) cache: BTreeMap<[Label; 2], u64>,
    /// By policy.
    pub(super) open_on_failure: BTreeMap<[Label; 1], u64>,
}

/// A histogram of durations, with the bucket bounds that OpenTelemetry recommends for HTTP, and three smaller ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Counts per bucket; the last one is above every bound.
    pub(super) buckets: [u64; BOUNDS_US.len() + 1],
    /// The sum of all durations, in microseconds.
    pub(super) sum_us: u64,
}

/// Upper bounds of the buckets, in microseconds: those of OpenTelemetry's HTTP metrics, 5 ms to 10 s, and below them 0.5, 1 and
/// 2.5 ms, where most exchanges of a gateway near its upstreams are.
pub(super) const BOUNDS_US: [u64; 17] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 2_500_000,
    5_000_000, 7_500_000, 10_000_000,
];

impl Metrics {
    /// Counts a finished exchange.
    pub fn observe(&mut self, record: &ExchangeRecord) {
        let route = || record.events.route().map_or(Label::Fixed("none"), |route| Label::Shared(Arc::clone(&route.id)));
        let key = [route(), Label::Fixed(record.method), Label::Fixed(record.status_class())];
        slot(&mut self.exchanges, key).add(record.duration_us);
        for call in record.calls() {
            let outcome = call.outcome.map_or_else(UpstreamError::proxy_status, status_class);
            let key = [Label::Shared(Arc::clone(&call.name)), Label::Fixed(outcome)];
            slot(&mut self.upstream_calls, key).add(call.duration_us);
        }
        if let Some(refusal) = record.refusal() {
            let policy =
                refusal.policy.map_or(Label::Fixed("none"), |policy| Label::Shared(Arc::clone(policy.as_shared())));
            *slot(&mut self.refusals, [route(), policy, Label::Fixed(refusal.problem.slug())]) += 1;
        }
        if let Some(cache) = record.cache() {
            *slot(&mut self.cache, [route(), Label::Fixed(cache.label())]) += 1;
        }
        for name in record.events.open_on_failure() {
            *slot(&mut self.open_on_failure, [Label::Shared(name.into())]) += 1;
        }
    }

    /// Whether there are no counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// The text exposition format of Prometheus (version 0.0.4).
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut out = String::new();
        let labels = ["route_id", "http_request_method", "status_class"];
        histograms(&mut out, "http_server_request_duration_seconds", "Duration of exchanges.", labels, &self.exchanges);
        let labels = ["upstream", "outcome"];
        histograms(
            &mut out,
            "http_client_request_duration_seconds",
            "Duration of calls to upstreams.",
            labels,
            &self.upstream_calls,
        );
        let labels = ["route_id", "policy", "problem"];
        counters(&mut out, "tollgate_refusals_total", "Refusals and errors.", labels, &self.refusals);
        counters(
            &mut out,
            "tollgate_cache_outcomes_total",
            "Exchanges by the result of the cache.",
            ["route_id", "outcome"],
            &self.cache,
        );
        let help = "Decisions made while their store was unavailable.";
        counters(&mut out, "tollgate_open_on_failure_total", help, ["policy"], &self.open_on_failure);
        out
    }
}

impl Histogram {
    /// Counts one duration, in microseconds.
    pub fn add(&mut self, duration_us: u64) {
        let bucket = BOUNDS_US.iter().position(|bound| duration_us <= *bound).unwrap_or(BOUNDS_US.len());
        self.buckets[bucket] += 1;
        self.sum_us = self.sum_us.saturating_add(duration_us);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The value of a series; beyond [`METRIC_SERIES_MAX`] series, that of the overflow series.
fn slot<const N: usize, V: Default>(series: &mut BTreeMap<[Label; N], V>, key: [Label; N]) -> &mut V {
    let full = series.len() >= METRIC_SERIES_MAX && !series.contains_key(&key);
    let key = if full { std::array::from_fn(|_| Label::Fixed("overflow")) } else { key };
    series.entry(key).or_default()
}

fn histograms<const N: usize>(
    out: &mut String,
    name: &str,
    help: &str,
    labels: [&str; N],
    series: &BTreeMap<[Label; N], Histogram>,
) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
    for (values, histogram) in series {
        let set = label_set(labels, values);
        let mut total = 0;
        for (bound, count) in BOUNDS_US.iter().zip(histogram.buckets) {
            total += count;
            let _ = writeln!(out, "{name}_bucket{{{set},le=\"{}\"}} {total}", seconds(*bound));
        }
        let count = histogram.count();
        let _ = writeln!(out, "{name}_bucket{{{set},le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum{{{set}}} {}\n{name}_count{{{set}}} {count}", seconds(histogram.sum_us));
    }
}

fn counters<const N: usize>(
    out: &mut String,
    name: &str,
    help: &str,
    labels: [&str; N],
    series: &BTreeMap<[Label; N], u64>,
) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
    for (values, count) in series {
        let _ = writeln!(out, "{name}{{{}}} {count}", label_set(labels, values));
    }
}

fn label_set<const N: usize>(labels: [&str; N], values: &[Label; N]) -> String {
    let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        labels.iter().zip(values).map(|(l, v)| format!("{l}=\"{}\"", escape(v.as_str()))).collect();
    pairs.join(",")
}

/// Microseconds written in seconds, exactly.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
