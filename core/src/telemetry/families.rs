//! Metrics as JSON: one object for each metric family, with the names and labels of the Prometheus format.

use serde_json::{Map, Value, json};

use super::Metrics;
use super::attributes::{Description, Family};
use super::label::Label;
use super::metrics::{BOUNDS_US, Histogram, Sample};

impl Metrics {
    /// Every family with its samples; durations are in seconds.
    #[must_use]
    pub fn to_json(&self) -> Vec<Value> {
        Family::ALL.into_iter().map(|family| self.family(family)).collect()
    }

    fn family(&self, family: Family) -> Value {
        let Description { prometheus: name, is_histogram, .. } = family.description();
        let kind = if *is_histogram { "histogram" } else { "counter" };
        let sample = |(values, sample): (&[Label], &Sample)| {
            let mut json = match sample {
                Sample::Count(count) => json!({"value": count}),
                Sample::Histogram(of) => histogram(of),
            };
            json["labels"] = labels(family, values);
            json
        };
        let samples: Vec<Value> = self.of(family).map(sample).collect();
        json!({"name": name, "type": kind, "samples": samples})
    }
}

fn labels(family: Family, values: &[Label]) -> Value {
    let mut labels = Map::new();
    for ((_, label), value) in family.description().labels.iter().zip(values) {
        if let Some(text) = value.text() {
            labels.insert((*label).to_owned(), Value::String(text.into_owned()));
        }
    }
    Value::Object(labels)
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
