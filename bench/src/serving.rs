//! What one request costs the decision engine and the pipeline: instructions and allocations, counted by valgrind.

use std::process::Command;

use crate::compare::Row;
use crate::side::artifact_folder;
use crate::valgrind::{Cost, Runs, cost, output};

/// Routes of the gateways that are measured.
const ROUTES: [usize; 4] = [10, 1_000, 10_000, 100_000];

/// Requests of the shorter run, which warm everything up, and how many more the longer run has.
const RUNS: Runs = Runs { shorter: 100, more: 1_000 };

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let program = artifact_folder("target/release/tollgate-bench-counted");
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = |routes: usize| folder.path().join(routes.to_string());
    let bare = cost(&program, "bare", &file(0), RUNS)?;
    let floor = cost(&program, "floor", &file(ROUTES[0]), RUNS)?.above(bare);
    let row = |what: String, served: Cost| {
        let ratio = served.instructions as f64 / floor.instructions.max(1) as f64;
        Row::plain(what, served.to_string(), floor.to_string(), format!("{ratio:.1}"))
    };
    let mut rows = Vec::new();
    for routes in ROUTES {
        output(Command::new(&program).arg("pack").arg(file(routes)).arg(routes.to_string()))?;
        let served = cost(&program, "serve", &file(routes), RUNS)?.above(bare);
        rows.push(row(format!("serving: key + limit + forward, {routes} routes, against the same by hand"), served));
    }
    let others = [
        ("leased", "key + leased limit + forward"),
        ("key", "key + forward"),
        ("forward", "forward"),
        ("hit", "cache hit"),
    ];
    for (mode, what) in others {
        let served = cost(&program, mode, &file(ROUTES[0]), RUNS)?.above(bare);
        rows.push(row(format!("serving: {what}, {} routes, against key + limit + forward by hand", ROUTES[0]), served));
    }
    Ok(rows)
}
