//! Metrics per route, with a bounded number of series, and their Prometheus text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::ExchangeRecord;
use super::attributes::{Description, Family, LABELS_MAX};
use super::label::Label;
use crate::bounds::METRIC_SERIES_MAX;
use crate::event::{LimitNotice, UpstreamRecord};
use crate::json::millionths;

/// Counters and histograms since the start (or since the last export).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// One map for all families: each type of map is several kilobytes of code.
    series: BTreeMap<Series, Sample>,
    /// The number of series of each family.
    counts: [usize; Family::ALL.len()],
}

/// A family and the values of its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    family: Family,
    labels: [Label; LABELS_MAX],
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Count(u64),
    Histogram(Box<Histogram>),
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
        self.add(Family::Exchanges, exchange_labels(record, route()), record.duration_us);
        for call in record.calls() {
            self.add(Family::UpstreamCalls, call_labels(record, call), call.duration_us);
        }
        if let Some(refusal) = record.refusal() {
            let policy =
                refusal.policy.map_or(Label::Fixed("none"), |policy| Label::Shared(Arc::clone(policy.as_shared())));
            let problem = Label::Fixed(refusal.problem.slug());
            self.add(Family::Refusals, [route(), policy, problem, ABSENT, ABSENT, ABSENT], 1);
        }
        if let Some(cache) = record.cache() {
            let outcome = Label::Fixed(cache.label());
            self.add(Family::CacheOutcomes, [route(), outcome, ABSENT, ABSENT, ABSENT, ABSENT], 1);
        }
        for name in record.events.open_on_failure() {
            let policy = Label::Shared(name.into());
            self.add(Family::OpenOnFailure, [policy, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT], 1);
        }
        for (policy, notice) in record.events.limit_notices() {
            let policy = Label::Shared(Arc::clone(policy.as_shared()));
            let notice = match notice {
                LimitNotice::WouldRefuse => Label::Fixed("would-refuse"),
                LimitNotice::Leased => Label::Fixed("leased"),
                LimitNotice::Reached { percent } => Label::Shared(Arc::from(format!("reached-{percent}"))),
            };
            self.add(Family::LimitNotices, [policy, notice, ABSENT, ABSENT, ABSENT, ABSENT], 1);
        }
        for (policy, delivery) in &record.notices {
            let policy = Label::Shared(Arc::clone(policy.as_shared()));
            let notice = Label::Fixed(delivery.word());
            self.add(Family::LimitNotices, [policy, notice, ABSENT, ABSENT, ABSENT, ABSENT], 1);
        }
    }

    /// Adds to a series: a count, or a duration in microseconds. Beyond [`METRIC_SERIES_MAX`] series of the family, it is
    /// the overflow series.
    fn add(&mut self, family: Family, labels: [Label; LABELS_MAX], value: u64) {
        let mut series = Series { family, labels };
        let count = &mut self.counts[family as usize];
        if *count >= METRIC_SERIES_MAX && !self.series.contains_key(&series) {
            let named = family.description().labels.len();
            series.labels = std::array::from_fn(|at| if at < named { Label::Fixed("overflow") } else { ABSENT });
        }
        let sample = self.series.entry(series).or_insert_with(|| {
            *count += 1;
            if family.description().is_histogram { Sample::Histogram(Box::default()) } else { Sample::Count(0) }
        });
        match sample {
            Sample::Count(count) => *count += value,
            Sample::Histogram(histogram) => histogram.add(value),
        }
    }

    /// The series of a family, in the order of the values of their labels.
    pub(super) fn of(&self, family: Family) -> impl Iterator<Item = (&[Label], &Sample)> {
        let all = self.series.iter().filter(move |(series, _)| series.family == family);
        all.map(|(series, sample)| (series.labels.as_slice(), sample))
    }

    /// Whether there are no counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The text exposition format of Prometheus (version 0.0.4).
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut out = String::new();
        for family in Family::ALL {
            let Description { prometheus: name, help, is_histogram, .. } = family.description();
            let kind = if *is_histogram { "histogram" } else { "counter" };
            // Writing to a String does not fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (values, sample) in self.of(family) {
                let set = label_set(family, values);
                match sample {
                    Sample::Count(count) => drop(writeln!(out, "{name}{{{set}}} {count}")),
                    Sample::Histogram(histogram) => write_histogram(&mut out, name, &set, histogram),
                }
            }
        }
        out
    }
}

const ABSENT: Label = Label::Absent;

/// The values of the labels of [`Family::Exchanges`].
fn exchange_labels(record: &ExchangeRecord, route_id: Label) -> [Label; LABELS_MAX] {
    let template = record.events.route().map_or(Label::Absent, |route| Label::Shared(Arc::clone(&route.template)));
    let error = match record.error_type() {
        Some(Ok(kind)) => Label::Fixed(kind),
        Some(Err(status)) => Label::Number(status),
        None => Label::Absent,
    };
    let (method, scheme) = (Label::Fixed(record.method), Label::Fixed(record.client.scheme()));
    [route_id, template, method, Label::Number(record.status), scheme, error]
}

/// The values of the labels of [`Family::UpstreamCalls`].
fn call_labels(record: &ExchangeRecord, call: &UpstreamRecord) -> [Label; LABELS_MAX] {
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

fn write_histogram(out: &mut String, name: &str, set: &str, histogram: &Histogram) {
    let mut total = 0;
    for (bound, count) in BOUNDS_US.iter().zip(histogram.buckets) {
        total += count;
        let _ = writeln!(out, "{name}_bucket{{{set},le=\"{}\"}} {total}", seconds(*bound));
    }
    let count = histogram.count();
    let _ = writeln!(out, "{name}_bucket{{{set},le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{name}_sum{{{set}}} {}\n{name}_count{{{set}}} {count}", seconds(histogram.sum_us));
}

fn label_set(family: Family, values: &[Label]) -> String {
    let escape = |v: &str| v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = family.description().labels.iter().zip(values);
    let pairs: Vec<String> =
        pairs.filter_map(|((_, label), value)| Some(format!("{label}=\"{}\"", escape(&value.text()?)))).collect();
    pairs.join(",")
}

/// Microseconds written in seconds, exactly.
fn seconds(us: u64) -> String {
    let mut text = String::new();
    millionths(&mut text, us);
    text
}
