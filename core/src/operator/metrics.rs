//! What was counted, as an answer.

use std::fmt::Write;

use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::{Value, json};

use crate::telemetry::Metrics;

/// What the numbers are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsScope {
    /// The isolate that answered, since it began; others count for themselves.
    Isolate,
    /// All isolates of the process that answered, since it began.
    Process,
}

/// What a host has counted.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// What the numbers are about.
    pub scope: MetricsScope,
    /// What was counted of exchanges.
    pub metrics: Metrics,
    /// What the host knows of itself.
    pub gauges: Vec<Gauge>,
}

/// A number that a host knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Its name in Prometheus' form.
    pub name: &'static str,
    /// What it counts, as a sentence.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: GaugeKind,
    /// The number.
    pub value: u64,
}

/// Whether a number only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeKind {
    /// It only grows until the process ends.
    Counter,
    /// It grows and shrinks.
    Gauge,
}

/// The answer in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAnswer {
    /// A JSON object.
    Json(Value),
    /// The text exposition format of Prometheus.
    Text(String),
}

impl MetricsScope {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Isolate => "isolate",
            Self::Process => "process",
        }
    }
}

impl GaugeKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

impl MetricsSnapshot {
    /// The answer that a request with these fields is for.
    #[must_use]
    pub fn answer(&self, fields: &HeaderMap) -> MetricsAnswer {
        if wants_text(fields) { MetricsAnswer::Text(self.to_prometheus()) } else { MetricsAnswer::Json(self.to_json()) }
    }

    /// The text exposition format of Prometheus (version 0.0.4).
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut out = self.metrics.to_prometheus();
        for Gauge { name, help, kind, value } in &self.gauges {
            let kind = kind.as_str();
            // Writing to a String does not fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }

    fn to_json(&self) -> Value {
        let gauges = self.gauges.iter().map(|gauge| {
            json!({"name": gauge.name, "help": gauge.help, "type": gauge.kind.as_str(), "samples": [{"labels": {}, "value": gauge.value}]})
        });
        let families: Vec<Value> = self.metrics.to_json().into_iter().chain(gauges).collect();
        json!({"scope": self.scope.as_str(), "metrics": families})
    }
}

/// Whether a request prefers Prometheus' text to JSON: it accepts `text/plain` or OpenMetrics and does not name JSON.
#[must_use]
pub fn wants_text(fields: &HeaderMap) -> bool {
    let accepted: Vec<&str> = fields.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let names = |name: &str| {
        let mut types = accepted.iter().flat_map(|line| line.split(','));
        types.any(|part| part.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(name)))
    };
    !names("application/json") && (names("text/plain") || names("application/openmetrics-text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_collector_gets_text_and_others_json() {
        let check = |accept: Option<&'static str>, text: bool| {
            let mut fields = HeaderMap::new();
            fields.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
            assert_eq!(wants_text(&fields), text, "{accept:?}");
        };
        check(None, false);
        check(Some("*/*"), false);
        check(Some("application/json, text/plain"), false);
        check(Some("text/plain"), true);
        check(Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"), true);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_answer_says_what_the_numbers_are_about() {
        let gauge = Gauge { name: "g", help: "G.", kind: GaugeKind::Gauge, value: 3 };
        let snapshot =
            MetricsSnapshot { scope: MetricsScope::Isolate, metrics: Metrics::default(), gauges: vec![gauge] };
        let MetricsAnswer::Json(json) = snapshot.answer(&HeaderMap::new()) else { panic!("JSON is the usual form") };
        assert_eq!(json["scope"], "isolate");
        let families = json["metrics"].as_array().unwrap();
        assert_eq!(families.last().unwrap()["samples"][0]["value"], 3);
        assert!(snapshot.to_prometheus().ends_with("# HELP g G.\n# TYPE g gauge\ng 3\n"));
    }
}
