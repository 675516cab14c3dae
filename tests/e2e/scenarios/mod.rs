//! All scenarios, in the order of the phases a request goes through.

mod api_key;
mod bad_input;
mod bundle;
mod cache;
mod faults;
mod forwarding;
mod ip_filter;
mod operator;
mod problems;
mod rate_limit;
mod routing;
mod telemetry;

use crate::scenario::Scenario;

/// The scenarios whose title contains all of these words; without words, all scenarios.
pub(crate) fn matching(filter: &[String]) -> Vec<Scenario> {
    let files = [
        routing::ALL,
        bad_input::ALL,
        ip_filter::ALL,
        api_key::ALL,
        rate_limit::ALL,
        cache::ALL,
        forwarding::ALL,
        problems::ALL,
        telemetry::ALL,
        operator::ALL,
        bundle::ALL,
        faults::ALL,
    ];
    let all = files.into_iter().flatten().copied();
    all.filter(|scenario| {
        let title = scenario.title();
        filter.iter().all(|word| title.contains(word.as_str()))
    })
    .collect()
}
