//! Costs as tables and as JSON.

use serde_json::{Value, json};
use tollgate_analysis::bounds::{Counting, Platform};

use super::{Case, Costs, RouteCosts};
use crate::terminal::{heading, table};

pub(super) fn text(costs: &Costs<'_>) -> String {
    let mut out = format!("{} on {}\n", heading("worst case: a cold isolate, the most expensive path,"), costs.target);
    out.push_str(&rows(costs, |route| &route.worst));
    let hits = format!("{}.{:02}", costs.hits / 10_000, costs.hits / 100 % 100);
    let hits = hits.trim_end_matches('0').trim_end_matches('.');
    out.push_str(&format!(
        "\n{}\n",
        heading(&format!("typical: a warm isolate, {hits}% of requests to cached routes answered from the cache"))
    ));
    out.push_str(&rows(costs, |route| &route.typical));
    let prices = &costs.of_target;
    if !prices.are_some() {
        out.push_str(&format!(
            "\nThere are no prices of {} as of {}: write them into prices.yaml (`tollgate cost --print-prices > prices.yaml`).\n",
            costs.target, costs.prices.as_of
        ));
        return out;
    }
    out.push_str(&format!(
        "\n1M is the price of a million requests in {} as of {}{}; assumed: {} ms of CPU and {} of content per request.\n",
        costs.prices.currency,
        costs.prices.as_of,
        prices.source.as_ref().map_or_else(String::new, |source| format!(" ({source})")),
        prices.cpu_ms,
        bytes(prices.response_bytes),
    ));
    out
}

fn rows<'c>(costs: &'c Costs<'_>, case: impl Fn(&'c RouteCosts<'_>) -> &'c Case) -> String {
    let mut rows: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).to_vec()];
    let target = costs.target;
    for route in &costs.routes {
        let Case { usage, estimate } = case(route);
        let count = |n: u64| if n == 0 { "-".to_owned() } else { n.to_string() };
        rows.push(vec![
            route.route.settings.id.clone(),
            count(usage.record_reads + usage.record_writes),
            count(usage.verifications),
            count(usage.counter_calls),
            count(usage.cache_look_ups + usage.cache_stores),
            count(usage.secret_reads),
            count(usage.fetches),
            count(usage.upstream_attempts),
            count(usage.export_posts),
            count(target.subrequests(usage, Counting::Outside)),
            count(target.subrequests(usage, Counting::Service)),
            bytes(target.buffered_bytes(usage)),
            if costs.of_target.are_some() { amount(estimate.total_micro) } else { "no prices".to_owned() },
        ]);
    }
    table(&rows)
}

pub(super) fn json(costs: &[Costs<'_>]) -> String {
    let all: Value = costs.iter().map(of_target).collect();
    format!("{all:#}\n")
}

fn of_target(costs: &Costs<'_>) -> Value {
    let case = |case: &Case| {
        let items = case.estimate.items.iter();
        let items: Vec<Value> =
            items.map(|(unit, quantity, micro)| json!({"unit": unit, "quantity": quantity, "micro": micro})).collect();
        let per_million = json!({"total_micro": case.estimate.total_micro, "items": items});
        json!({
            "usage": case.usage,
            "subrequests": {
                "outside": costs.target.subrequests(&case.usage, Counting::Outside),
                "services": costs.target.subrequests(&case.usage, Counting::Service),
            },
            "buffered_bytes": costs.target.buffered_bytes(&case.usage),
            "per_million": costs.of_target.are_some().then_some(per_million),
        })
    };
    let routes: Vec<Value> = costs
        .routes
        .iter()
        .map(|route| json!({"id": route.route.settings.id, "worst": case(&route.worst), "typical": case(&route.typical)}))
        .collect();
    json!({
        "target": costs.target,
        "currency": costs.prices.currency,
        "as_of": costs.prices.as_of,
        "source": costs.of_target.source,
        "cpu_ms": costs.of_target.cpu_ms,
        "response_bytes": costs.of_target.response_bytes,
        "hit_ratio_ppm": costs.hits,
        "routes": routes,
    })
}

/// A size in the largest fitting unit, without decimals if it is a whole number of units.
fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 2] = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        _ if bytes == 0 => "-".to_owned(),
        None => format!("{bytes}B"),
        Some((unit, name)) if bytes.is_multiple_of(*unit) => format!("{}{name}", bytes / unit),
        Some((unit, name)) => format!("{}.{}{name}", bytes / unit, bytes % unit * 10 / unit),
    }
}

/// An amount of the currency without trailing zeros, but with at least two decimals.
fn amount(micro: u64) -> String {
    let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    let shown = text.trim_end_matches('0');
    let decimals = shown.len() - shown.find('.').map_or(shown.len(), |dot| dot + 1);
    format!("{shown}{}", "0".repeat(2usize.saturating_sub(decimals)))
}

const HEAD: [&str; 13] = [
    "ROUTE", "RECORDS", "VERIFIED", "COUNTERS", "CACHE", "SECRETS", "ASKED", "UPSTREAM", "EXPORTS", "OUTSIDE",
    "SERVICES", "BUFFERED", "1M",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_amounts_read_as_people_write_them() {
        for (size, shown) in [(0, "-"), (1023, "1023B"), (10 << 10, "10KiB"), (1_600, "1.5KiB"), (4 << 20, "4MiB")] {
            assert_eq!(bytes(size), shown);
        }
        for (micro, shown) in
            [(0, "0.00"), (340_000, "0.34"), (1_500_000, "1.50"), (1, "0.000001"), (123_400, "0.1234")]
        {
            assert_eq!(amount(micro), shown);
        }
    }
}
