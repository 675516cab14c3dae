//! The results as a table for people, as JSON, and as CSV.

use serde_json::{Value, json};

use super::world::{Run, World};
use crate::commands::usage::csv_line;
use crate::terminal;

pub(super) fn text(world: World, runs: &[Run]) -> String {
    let mut out = String::new();
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(runs.iter().map(row));
    let (sites, seeds) = runs.first().map_or((0, 0), |run| (run.settings.sites, run.seeds()));
    out.push_str(&format!(
        "{}\n",
        terminal::heading(&format!(
            "a {} world: {sites} sites, {seeds} seeds, one partition of each limit",
            world.word()
        ))
    ));
    out.push_str(&terminal::table(&rows));
    out.push_str(NOTES);
    out.push_str(&note_of_costs(runs));
    if runs.iter().any(|run| run.sum(|report| report.unanswered) > 0) {
        out.push_str(NOTE_OF_UNANSWERED);
    }
    out
}

/// Says of limits with costs that are read what they are simulated with.
fn note_of_costs(runs: &[Run]) -> String {
    let mut costs: Vec<String> = Vec::new();
    for run in runs {
        let Some(cost) = run.limit.cost() else { continue };
        let (of, simulated) = (&cost.of, run.limit.charge().cost);
        let own = if simulated == cost.reserve { "its `reserve`" } else { "a cost" };
        let text = format!(
            "`{}` costs what `{of}` says, and each request is simulated with {own} of {simulated}",
            run.limit.name
        );
        if !costs.contains(&text) {
            costs.push(text);
        }
    }
    if costs.is_empty() {
        String::new()
    } else {
        format!("{}: what is settled after replies is not simulated.\n", costs.join("; "))
    }
}

fn row(run: &Run) -> Vec<String> {
    let waits = run.waits();
    let own = if run.is_own() { "*" } else { "" };
    vec![
        run.limit.name.clone(),
        run.limit.numbers(),
        run.limit.algorithm().to_owned(),
        format!("{}{own}", run.mode),
        requests_per_s(run),
        percent(run.per_million(|report| report.admitted)),
        run.used().map_or_else(|| "-".to_owned(), percent),
        run.overshoot().to_string(),
        run.bound().to_string(),
        percent(run.per_million(|report| report.falsely_refused)),
        percent(run.per_million(|report| report.unanswered)),
        run.calls_mean().to_string(),
        run.calls_max(0).to_string(),
        run.calls_max(WARM_UP_S).to_string(),
        ms(waits.at_per_mille(500)),
        ms(waits.at_per_mille(990)),
    ]
}

pub(super) fn json(world: World, runs: &[Run]) -> Value {
    let runs: Vec<Value> = runs.iter().map(of_run).collect();
    json!({ "world": world.word(), "runs": runs })
}

fn of_run(run: &Run) -> Value {
    let (settings, waits) = (&run.settings, run.waits());
    json!({
        "limit": run.limit.name,
        "plan": run.limit.plan,
        "numbers": run.limit.numbers(),
        "algorithm": run.limit.algorithm(),
        "cost_of": run.limit.cost().map(|cost| cost.of.to_string()),
        "cost": run.limit.charge().cost,
        "consistency": run.mode.word(),
        "is_own": run.is_own(),
        "sites": settings.sites,
        "seconds": settings.lasts_ms / 1_000,
        "seeds": run.seeds(),
        "requests": run.sum(|report| report.requests),
        "admitted": run.sum(|report| report.admitted),
        "possible": run.sum(|report| report.possible),
        "overshoot": run.overshoot(),
        "bound": run.bound(),
        "falsely_refused": run.sum(|report| report.falsely_refused),
        "unanswered": run.sum(|report| report.unanswered),
        "passed_open": run.sum(|report| report.passed_open),
        "without_call": run.sum(|report| report.without_call),
        "refused_without_call": run.sum(|report| report.refused_without_call),
        "owner": {
            "calls": run.sum(|report| report.calls.iter().sum()),
            "calls_per_s": run.calls_mean(),
            "calls_in_busiest_second": run.calls_max(0),
            "calls_in_busiest_second_after_two": run.calls_max(WARM_UP_S),
            "turned_away": run.sum(|report| report.turned_away),
        },
        "added_us": {
            "p50": waits.at_per_mille(500),
            "p99": waits.at_per_mille(990),
            "longest": waits.longest_us(),
        },
    })
}

pub(super) fn csv(runs: &[Run]) -> String {
    let head = csv_line(&CSV_HEAD.map(str::to_owned));
    let rows = runs.iter().map(|run| {
        let waits = run.waits();
        let numbers = [
            run.settings.sites.into(),
            u64::from(run.settings.lasts_ms / 1_000),
            run.seeds() as u64,
            run.sum(|report| report.requests),
            run.sum(|report| report.admitted),
            run.sum(|report| report.possible),
            run.overshoot(),
            run.bound(),
            run.sum(|report| report.falsely_refused),
            run.sum(|report| report.unanswered),
            run.sum(|report| report.passed_open),
            run.sum(|report| report.without_call),
            run.sum(|report| report.calls.iter().sum()),
            run.calls_max(0),
            run.calls_max(WARM_UP_S),
            waits.at_per_mille(500),
            waits.at_per_mille(990),
        ];
        let words = [
            run.limit.name.clone(),
            run.limit.plan.clone().unwrap_or_default(),
            run.limit.algorithm().to_owned(),
            run.mode.to_string(),
            run.is_own().to_string(),
        ];
        csv_line(&words.into_iter().chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>())
    });
    std::iter::once(head).chain(rows).collect()
}

fn requests_per_s(run: &Run) -> String {
    let tenths = u64::from(run.settings.requests) * 10_000 / u64::from(run.settings.lasts_ms.max(1));
    if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() }
}

/// A part of a million in percent, with the decimals that matter.
pub(super) fn percent(millionths: u64) -> String {
    match millionths {
        0 => "0".to_owned(),
        1..100 => "<0.01%".to_owned(),
        100..100_000 => format!("{}.{:02}%", millionths / 10_000, millionths / 100 % 100),
        _ => format!("{}.{}%", millionths / 10_000, millionths / 1_000 % 10),
    }
}

pub(super) fn ms(us: u64) -> String {
    if us < 10_000 { format!("{}.{}", us / 1_000, us / 100 % 10) } else { (us / 1_000).to_string() }
}

/// In the first seconds sites learn how many requests they have.
pub(super) const WARM_UP_S: usize = 2;

const HEAD: [&str; 16] = [
    "LIMIT",
    "NUMBERS",
    "ALGORITHM",
    "MODE",
    "REQ/S",
    "ADMITTED",
    "USED",
    "OVERSHOOT",
    "BOUND",
    "FALSELY REFUSED",
    "NO ANSWER",
    "CALLS/S",
    "PEAK",
    "LATER PEAK",
    "P50 MS",
    "P99 MS",
];

const CSV_HEAD: [&str; 22] = [
    "limit",
    "plan",
    "algorithm",
    "consistency",
    "own",
    "sites",
    "seconds",
    "seeds",
    "requests",
    "admitted",
    "possible",
    "overshoot",
    "bound",
    "falsely_refused",
    "unanswered",
    "passed_open",
    "without_call",
    "calls",
    "calls_peak",
    "calls_later_peak",
    "added_p50_us",
    "added_p99_us",
];

const NOTES: &str = "
* as the project says. USED: of what the limit would admit if each request was decided when it came, in one place. CALLS/S, PEAK: calls to the owner of the counter, the mean and the busiest second; LATER PEAK: from the third second
on, when sites know how many requests they have. P50, P99: how long requests wait for the owner, and for their turn.
";

const NOTE_OF_UNANSWERED: &str = "NO ANSWER: the owner did not answer in time; `on-unavailable` decides whether such a request passes, and it is neither in ADMITTED nor in
OVERSHOOT.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_times_read_as_people_write_them() {
        for (part, shown) in
            [(0, "0"), (99, "<0.01%"), (100, "0.01%"), (12_345, "1.23%"), (100_000, "10.0%"), (1_000_000, "100.0%")]
        {
            assert_eq!(percent(part), shown);
        }
        for (us, shown) in [(0, "0.0"), (1_234, "1.2"), (9_999, "9.9"), (10_000, "10"), (3_000_000, "3000")] {
            assert_eq!(ms(us), shown);
        }
    }
}
