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
}

/// How often each of two programs is measured, and for how long.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures two programs under load, alternately, after a warm-up of each.
pub(crate) fn compare(what: &str, tollgate: &Load, other: &Load) -> Result<Row, String> {
    run(tollgate, WARM_UP)?;
    run(other, WARM_UP)?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push((run(tollgate, ROUND)?, run(other, ROUND)?));
    }
    let mut ratios: Vec<f64> = pairs.iter().map(|(a, b)| a.per_second / b.per_second).collect();
    ratios.sort_by(f64::total_cmp);
    let (low, median, high) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
    Ok(Row {
        what: what.to_owned(),
        tollgate: summary(pairs.iter().map(|(a, _)| a)),
        other: summary(pairs.iter().map(|(_, b)| b)),
        ratio: format!("{median:.2} ({low:.2} to {high:.2})"),
    })
}

/// Prints the rows in columns.
pub(crate) fn print(rows: &[Row]) {
    let head = ["measured", "tollgate", "reference", "ratio"].map(str::to_owned);
    let mut table = vec![head];
    table.extend(rows.iter().map(|r| [r.what.clone(), r.tollgate.clone(), r.other.clone(), r.ratio.clone()]));
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    for row in &table {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn summary<'a>(samples: impl Iterator<Item = &'a Sample>) -> String {
    let mut all: Vec<&Sample> = samples.collect();
    all.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = all[all.len() / 2];
    format!("{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", middle.per_second, middle.p50_ms, middle.p99_ms)
}
