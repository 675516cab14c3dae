//! Metrics as a response.

use std::fmt::Write;

use http::HeaderMap;
use http::header::ACCEPT;

use crate::json::{Object, listed, object};
use crate::telemetry::Metrics;

/// The scope of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsScope {
    /// The isolate that answered, since its start; other isolates count separately.
    Isolate,
    /// All isolates of the process that answered, since its start.
    Process,
}

/// The metrics of a host.
#[derive(Clone, Debug)]
pub struct MetricsSnapshot {
    /// The scope of the numbers.
    pub scope: MetricsScope,
    /// The metrics of exchanges.
    pub metrics: Metrics,
    /// Additional metrics of the host.
    pub gauges: Vec<Gauge>,
}

/// An additional metric of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Its Prometheus name.
    pub name: &'static str,
    /// Its description, as a sentence.
    pub help: &'static str,
    /// Whether it only increases.
    pub kind: GaugeKind,
    /// The value.
    pub value: u64,
}

/// Whether a value only increases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeKind {
    /// It only increases until the process ends.
    Counter,
    /// It increases and decreases.
    Gauge,
}

/// The response in one of its formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAnswer {
    /// A JSON object.
    Json(String),
    /// The text exposition format of Prometheus.
    Text(String),
}

impl MetricsScope {
    /// Its name.
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

impl Gauge {
    fn write(&self, members: &mut Object<'_>) {
        members.text("name", self.name);
        members.text("help", self.help);
        members.text("type", self.kind.as_str());
        members.list("samples", [self.value], |out, value| {
            object(out, |sample| {
                sample.object("labels", |_| {});
                sample.number("value", value);
            });
        });
    }
}

impl MetricsSnapshot {
    /// The response in the format that a request with these fields accepts.
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

    fn to_json(&self) -> String {
        let mut out = String::new();
        object(&mut out, |all| {
            all.text("scope", self.scope.as_str());
            all.value("metrics", |out| {
                listed(out, |metrics| {
                    self.metrics.families().for_each(|family| metrics.item(|out| object(out, family)));
                    for gauge in &self.gauges {
                        metrics.item(|out| object(out, |members| gauge.write(members)));
                    }
                });
            });
        });
        out
    }
}

/// Whether a request prefers the Prometheus text format to JSON: it accepts `text/plain` or OpenMetrics and does not
/// name JSON.
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
        let MetricsAnswer::Json(json) = snapshot.answer(&HeaderMap::new()) else { panic!("JSON is the default") };
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["scope"], "isolate");
        let families = json["metrics"].as_array().unwrap();
        assert_eq!(families.last().unwrap()["samples"][0]["value"], 3);
        assert!(snapshot.to_prometheus().ends_with("# HELP g G.\n# TYPE g gauge\ng 3\n"));
    }
}
