//! What the first request of a new instance spends on its configuration, up to its route: counted natively, and the time
//! natively and in wasm.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tollgate_bench_loader::{load, pack};

use crate::compare::Row;
use crate::side::{artifact_folder, root};
use crate::valgrind::{Runs, cost, output};

/// Two bundles to compare: hosts, routes on the requested host, whether as JSON.
struct Pair {
    what: &'static str,
    one: (usize, usize, bool),
    other: (usize, usize, bool),
}

const PAIRS: [Pair; 5] = [
    Pair { what: "1,000 routes, against the same as JSON", one: (1, 1_000, false), other: (1, 1_000, true) },
    Pair { what: "10,000 routes, against the same as JSON", one: (1, 10_000, false), other: (1, 10_000, true) },
    Pair { what: "1,000 routes, against 100", one: (1, 1_000, false), other: (1, 100, false) },
    Pair {
        what: "100 routes on each of 1,000 hosts, against 1 host",
        one: (1_000, 100, false),
        other: (1, 100, false),
    },
    Pair {
        what: "100 routes on each of 10,000 hosts, against 1 host",
        one: (10_000, 100, false),
        other: (1, 100, false),
    },
];

/// How often each bundle is loaded; the first few are warm-up.
const ROUNDS: usize = 25;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let mut rows = counted()?;
    rows.extend(PAIRS.iter().map(|pair| row("native", pair, &native(pair.one), &native(pair.other))));
    let folder = artifact_folder("target/bench-loader");
    for pair in &PAIRS {
        let (one, other) = in_wasm(&folder, pair)?;
        rows.push(row("wasm", pair, &one, &other));
    }
    Ok(rows)
}

/// Hosts and routes of gateways whose loading is counted, compared with the first.
const COUNTED: [(usize, usize); 5] = [(1, 10), (1, 1_000), (1, 10_000), (1, 100_000), (1_000, 100)];

fn counted() -> Result<Vec<Row>, String> {
    let program = artifact_folder("target/release/tollgate-bench-counted");
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("packed");
    let (mut rows, mut least) = (Vec::new(), None);
    for (hosts, routes) in COUNTED {
        output(Command::new(&program).arg("bundle").arg(&file).args([hosts, routes].map(|number| number.to_string())))?;
        let cost = cost(&program, "load", &file, Runs { shorter: 1, more: 4 })?;
        let least = *least.get_or_insert(cost);
        let ratio = cost.instructions as f64 / least.instructions.max(1) as f64;
        let hosts = if hosts == 1 { "a host".to_owned() } else { format!("{hosts} hosts") };
        let what = format!("loading, counted: {hosts} with {routes} routes, against {} routes", COUNTED[0].1);
        rows.push(Row::plain(what, cost.to_string(), least.to_string(), format!("{ratio:.2} (more is slower)")));
    }
    Ok(rows)
}

fn native((hosts, routes, json): (usize, usize, bool)) -> Vec<f64> {
    let packed = pack(hosts, routes, json);
    let once = || {
        let begun = Instant::now();
        assert!(black_box(load(black_box(&packed))), "the route is found");
        begun.elapsed().as_secs_f64() * 1000.0
    };
    (0..ROUNDS).map(|_| once()).collect()
}

fn in_wasm(folder: &Path, pair: &Pair) -> Result<(Vec<f64>, Vec<f64>), String> {
    let words = [pair.one, pair.other].map(|(hosts, routes, json)| format!("{hosts},{routes},{}", u8::from(json)));
    let mut node = Command::new("node");
    node.arg(root().join("bench/loader/measure.mjs")).arg(folder).arg(ROUNDS.to_string()).args(words);
    let output = node.output().map_err(|e| format!("node: {e}; it runs wasm"))?;
    if !output.status.success() {
        return Err(format!("measure.mjs: {}", String::from_utf8_lossy(&output.stderr).trim_end()));
    }
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|e| format!("measure.mjs: {e}"))?;
    let times =
        |place: usize| said[place]["times"].as_array().into_iter().flatten().filter_map(|t| t.as_f64()).collect();
    Ok((times(0), times(1)))
}

fn row(where_: &str, pair: &Pair, one: &[f64], other: &[f64]) -> Row {
    let mut ratios: Vec<f64> = one.iter().zip(other).skip(ROUNDS / 5).map(|(one, other)| one / other).collect();
    let ratio = median(&mut ratios);
    let time = |times: &[f64]| format!("{:.3} ms", median(&mut times[ROUNDS / 5..].to_vec()));
    let what = format!("loading, {where_}: {}", pair.what);
    let (lowest, highest) = (ratios.first().copied().unwrap_or(ratio), ratios.last().copied().unwrap_or(ratio));
    Row::plain(what, time(one), time(other), format!("{ratio:.2} ({lowest:.2} to {highest:.2}; more is slower)"))
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
