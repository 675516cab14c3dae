//! Metrics as JSON: one object for each metric family, with the names and labels of the Prometheus format.

use super::Metrics;
use super::attributes::{Description, Family};
use super::label::Label;
use super::metrics::{BOUNDS_US, Histogram, Sample};
use crate::json::{Object, millionths, object};

impl Metrics {
    /// The families, each to be written with its samples; durations are in seconds.
    pub(crate) fn families(&self) -> impl Iterator<Item = impl FnOnce(&mut Object<'_>)> {
        let write = move |family| move |members: &mut Object<'_>| self.write_family(family, members);
        Family::ALL.into_iter().map(write)
    }

    fn write_family(&self, family: Family, members: &mut Object<'_>) {
        let Description { prometheus: name, is_histogram, .. } = family.description();
        members.text("name", name);
        members.text("type", if *is_histogram { "histogram" } else { "counter" });
        members.list("samples", self.of(family), |out, (values, sample)| {
            object(out, |members| {
                members.object("labels", |members| labels(family, values, members));
                match sample {
                    Sample::Count(count) => members.number("value", *count),
                    Sample::Histogram(of) => histogram(of, members),
                }
            });
        });
    }
}

fn labels(family: Family, values: &[Label], members: &mut Object<'_>) {
    for ((_, label), value) in family.description().labels.iter().zip(values) {
        if let Some(text) = value.text() {
            members.text(label, &text);
        }
    }
}

/// Buckets are cumulative, as in Prometheus; the last bound is infinite, so `count` represents it.
fn histogram(histogram: &Histogram, members: &mut Object<'_>) {
    let mut total = 0;
    members.list("buckets", BOUNDS_US.iter().zip(histogram.buckets), |out, (bound, count)| {
        total += count;
        object(out, |members| {
            members.value("le", |out| millionths(out, *bound));
            members.number("count", total);
        });
    });
    members.value("sum", |out| millionths(out, histogram.sum_us));
    members.number("count", histogram.count());
}
