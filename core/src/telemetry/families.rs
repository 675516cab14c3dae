//! Metrics as JSON: one object for each metric family, with the names and labels of the Prometheus format.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Metrics;
use super::attributes::{CACHE_OUTCOMES, EXCHANGES, Family, OPEN_ON_FAILURE, REFUSALS, UPSTREAM_CALLS};
use super::label::Label;
use super::metrics::{BOUNDS_US, Histogram};

impl Metrics {
    /// Every family with its samples; durations are in seconds.
    #[must_use]
    pub fn to_json(&self) -> Vec<Value> {
        vec![
            family(&EXCHANGES, "histogram", &self.exchanges, histogram),
            family(&UPSTREAM_CALLS, "histogram", &self.upstream_calls, histogram),
            family(&REFUSALS, "counter", &self.refusals, count),
            family(&CACHE_OUTCOMES, "counter", &self.cache, count),
            family(&OPEN_ON_FAILURE, "counter", &self.open_on_failure, count),
        ]
    }
}

fn family<const N: usize, V>(
    family: &Family<N>,
    kind: &str,
    series: &BTreeMap<[Label; N], V>,
    sample: impl Fn(&V) -> Value,
) -> Value {
    let samples = series.iter().map(|(values, value)| {
        let labels = family.labels.iter().zip(values);
        let labels: Map<String, Value> =
            labels.filter_map(|(label, value)| Some(((*label).to_owned(), json!(value.text()?)))).collect();
        let mut sample = sample(value);
        sample["labels"] = Value::Object(labels);
        sample
    });
    json!({"name": family.prometheus, "type": kind, "samples": samples.collect::<Vec<_>>()})
}

fn count(count: &u64) -> Value {
    json!({"value": count})
}

/// Buckets are cumulative, as in Prometheus; the last bound is infinite, so `count` represents it.
fn histogram(histogram: &Histogram) -> Value {
    let mut total = 0;
    let buckets = BOUNDS_US.iter().zip(histogram.buckets).map(|(bound, count)| {
        total += count;
        json!({"le": seconds(*bound), "count": total})
    });
    let buckets: Vec<Value> = buckets.collect();
    json!({"buckets": buckets, "sum": seconds(histogram.sum_us), "count": histogram.count()})
}

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}
