//! Measures two programs alternately, and prints the table of results.

use std::time::Duration;

use crate::load::{Load, Sample, run};

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) tollgate: String,
    pub(crate) other: String,
    pub(crate) ratio: String,
    /// The CPU time per request of the reference divided by Tollgate's: what the ratio of requests a second would be
    /// if nothing else ran on the machine.
    pub(crate) cpu_ratio: String,
}

impl Row {
    /// A row without CPU times.
    pub(crate) fn plain(what: impl Into<String>, tollgate: String, other: String, ratio: String) -> Self {
        Self { what: what.into(), tollgate, other, ratio, cpu_ratio: String::new() }
    }
}

/// How often each of two programs is measured, and for how long.
const ROUNDS: usize = 5;
const MORE_ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);

/// For benchmarks with many rows.
const SHORT_ROUND: Duration = Duration::from_millis(1_400);
/// For the one that measures a dozen programs, so that it takes less than three minutes.
const TURN: Duration = Duration::from_millis(1_100);

/// Measures two programs under load, alternately, after a warm-up of each.
pub(crate) fn compare(what: &str, tollgate: &Load, other: &Load) -> Result<Row, String> {
    compare_for(ROUND, what, tollgate, other)
}

/// The same, in shorter rounds.
pub(crate) fn compare_briefly(what: &str, tollgate: &Load, other: &Load) -> Result<Row, String> {
    compare_for(SHORT_ROUND, what, tollgate, other)
}

fn compare_for(round: Duration, what: &str, tollgate: &Load, other: &Load) -> Result<Row, String> {
    let samples = rounds(ROUNDS, round, &[tollgate, other])?;
    Ok(row(what, &samples[0], &samples[1]))
}

/// Measures many programs in turns, after a warm-up of each; answers the rounds of each.
pub(crate) fn in_turns(loads: &[&Load]) -> Result<Vec<Vec<Sample>>, String> {
    rounds(ROUNDS, TURN, loads)
}

/// The same in more rounds, for ratios near 1.
pub(crate) fn in_more_turns(loads: &[&Load]) -> Result<Vec<Vec<Sample>>, String> {
    rounds(MORE_ROUNDS, TURN, loads)
}

fn rounds(count: usize, round: Duration, loads: &[&Load]) -> Result<Vec<Vec<Sample>>, String> {
    for load in loads {
        run(load, WARM_UP)?;
    }
    let mut samples: Vec<Vec<Sample>> = loads.iter().map(|_| Vec::new()).collect();
    for _ in 0..count {
        for (load, samples) in loads.iter().zip(&mut samples) {
            samples.push(run(load, round)?);
        }
    }
    Ok(samples)
}

/// The row of the rounds of two programs, measured in turns.
pub(crate) fn row(what: &str, tollgate: &[Sample], other: &[Sample]) -> Row {
    let pairs = || tollgate.iter().zip(other);
    let mut ratios: Vec<f64> = pairs().map(|(a, b)| a.per_second / b.per_second).collect();
    let mut cpu: Vec<f64> = pairs().filter_map(|(a, b)| Some(b.cpu_us? / a.cpu_us?)).collect();
    Row {
        what: what.to_owned(),
        tollgate: summary(tollgate.iter()),
        other: summary(other.iter()),
        ratio: spread(&mut ratios),
        cpu_ratio: spread(&mut cpu),
    }
}

/// The median with the lowest and the highest value; nothing where the platform does not tell CPU times.
fn spread(ratios: &mut [f64]) -> String {
    ratios.sort_by(f64::total_cmp);
    match (ratios.first(), ratios.get(ratios.len() / 2), ratios.last()) {
        (Some(low), Some(median), Some(high)) => format!("{median:.2} ({low:.2} to {high:.2})"),
        _ => String::new(),
    }
}

/// Prints the rows in columns.
pub(crate) fn print<'r>(rows: impl Iterator<Item = &'r Row>) {
    let head = ["measured", "tollgate", "reference", "ratio", "CPU ratio"].map(str::to_owned);
    let mut table = vec![head];
    let cells = |r: &Row| [&r.what, &r.tollgate, &r.other, &r.ratio, &r.cpu_ratio].map(String::clone);
    table.extend(rows.map(cells));
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    for row in &table {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn summary<'a>(samples: impl Iterator<Item = &'a Sample>) -> String {
    let mut all: Vec<&Sample> = samples.collect();
    all.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = all[all.len() / 2];
    let cpu = middle.cpu_us.map_or_else(String::new, |us| format!(", {us:.0} µs CPU"));
    format!("{:.0}/s, p50 {:.2} ms, p99 {:.2} ms{cpu}", middle.per_second, middle.p50_ms, middle.p99_ms)
}
