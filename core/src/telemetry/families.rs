//! Metrics as JSON: one object for each metric family, with the names and labels of the Prometheus format.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Metrics;
use super::label::Label;
use super::metrics::{BOUNDS_US, Histogram};

impl Metrics {
    /// Every family with its samples; durations are in seconds.
    #[must_use]
    pub fn to_json(&self) -> Vec<Value> {
        let route_labels = ["route_id", "http_request_method", "status_class"];
        vec![
            family("http_server_request_duration_seconds", "histogram", route_labels, &self.exchanges, histogram),
            family(
                "http_client_request_duration_seconds",
                "histogram",
                ["upstream", "outcome"],
                &self.upstream_calls,
                histogram,
            ),
            family("tollgate_refusals_total", "counter", ["route_id", "policy", "problem"], &self.refusals, count),
            family("tollgate_cache_outcomes_total", "counter", ["route_id", "outcome"], &self.cache, count),
            family("tollgate_open_on_failure_total", "counter", ["policy"], &self.open_on_failure, count),
        ]
    }
}

fn family<const N: usize, V>(
    name: &str,
    kind: &str,
    labels: [&str; N],
    series: &BTreeMap<[Label; N], V>,
    sample: impl Fn(&V) -> Value,
) -> Value {
    let samples = series.iter().map(|(values, value)| {
        let labels: Map<String, Value> =
            labels.iter().zip(values).map(|(label, value)| ((*label).to_owned(), json!(value.as_str()))).collect();
        let mut sample = sample(value);
        sample["labels"] = Value::Object(labels);
        sample
    });
    json!({"name": name, "type": kind, "samples": samples.collect::<Vec<_>>()})
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
