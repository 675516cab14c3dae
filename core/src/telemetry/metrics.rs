//! Metrics per route, with a bounded number of series, and their Prometheus text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::ExchangeRecord;
use super::attributes::{CACHE_OUTCOMES, EXCHANGES, Family, OPEN_ON_FAILURE, REFUSALS, UPSTREAM_CALLS};
use super::label::Label;
use crate::bounds::METRIC_SERIES_MAX;
use crate::event::UpstreamRecord;

/// Counters and histograms since the start (or since the last export).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// By the labels of [`EXCHANGES`].
    pub(super) exchanges: BTreeMap<[Label; 6], Histogram>,
    /// By the labels of [`UPSTREAM_CALLS`].
    pub(super) upstream_calls: BTreeMap<[Label; 6], Histogram>,
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
        slot(&mut self.exchanges, exchange_key(record, route())).add(record.duration_us);
        for call in record.calls() {
            slot(&mut self.upstream_calls, call_key(record, call)).add(call.duration_us);
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
        histograms(&mut out, &EXCHANGES, &self.exchanges);
        histograms(&mut out, &UPSTREAM_CALLS, &self.upstream_calls);
        counters(&mut out, &REFUSALS, &self.refusals);
        counters(&mut out, &CACHE_OUTCOMES, &self.cache);
        counters(&mut out, &OPEN_ON_FAILURE, &self.open_on_failure);
        out
    }
}

/// The values of the labels of [`EXCHANGES`].
fn exchange_key(record: &ExchangeRecord, route_id: Label) -> [Label; 6] {
    let template = record.events.route().map_or(Label::Absent, |route| Label::Shared(Arc::clone(&route.template)));
    let error = match record.error_type() {
        Some(Ok(kind)) => Label::Fixed(kind),
        Some(Err(status)) => Label::Number(status),
        None => Label::Absent,
    };
    let (method, scheme) = (Label::Fixed(record.method), Label::Fixed(record.client.scheme()));
    [route_id, template, method, Label::Number(record.status), scheme, error]
}

/// The values of the labels of [`UPSTREAM_CALLS`].
fn call_key(record: &ExchangeRecord, call: &UpstreamRecord) -> [Label; 6] {
    let (status, error) = match call.outcome {
        Ok(status) if status >= 400 => (Label::Number(status), Label::Number(status)),
        Ok(status) => (Label::Number(status), Label::Absent),
        Err(error) => (Label::Absent, Label::Fixed(error.proxy_status())),
    };
    let upstream = &call.upstream;
    let (name, address) = (Label::Shared(Arc::clone(&upstream.name)), Label::Shared(Arc::clone(&upstream.address)));
    [name, Label::Fixed(record.method), address, Label::Number(upstream.port), status, error]
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

fn histograms<const N: usize>(out: &mut String, family: &Family<N>, series: &BTreeMap<[Label; N], Histogram>) {
    let name = family.prometheus;
    // Writing to a String does not fail.
    let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} histogram", family.help);
    for (values, histogram) in series {
        let set = label_set(family, values);
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

fn counters<const N: usize>(out: &mut String, family: &Family<N>, series: &BTreeMap<[Label; N], u64>) {
    let name = family.prometheus;
    let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} counter", family.help);
    for (values, count) in series {
        let _ = writeln!(out, "{name}{{{}}} {count}", label_set(family, values));
    }
}

fn label_set<const N: usize>(family: &Family<N>, values: &[Label; N]) -> String {
    let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = family.labels.iter().zip(values);
    let pairs: Vec<String> =
        pairs.filter_map(|(label, value)| Some(format!("{label}=\"{}\"", escape(&value.text()?)))).collect();
    pairs.join(",")
}

/// Microseconds written in seconds, exactly.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
