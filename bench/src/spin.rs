//! Tollgate in the component host of the tests, compared with a component that makes the same call and nothing else
//! (`spin-floor/`): CPU time, and counts that do not depend on what else the machine does.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::compare::{Row, in_turns, row};
use crate::load::{Asked, Load, in_turn};
use crate::project;
use crate::server::{Program, next_json, upstream};
use crate::side::{self, Record, Side};

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let upstream = upstream()?;
    let mut rows = measured(upstream)?;
    let counting = ["--count"];
    let mut floors = Vec::new();
    for (steps, what) in STEPS {
        let mut floor = Host::floor(upstream, steps, &counting)?;
        let counts = floor.counts(&floor.load("/public", &[]))?;
        rows.extend(counts.rows(&format!("floor, {what}"), floors.first().unwrap_or(&counts)));
        floors.push(counts);
    }
    let mut tollgate = Host::tollgate(upstream, &counting)?;
    let mut floor = Host::floor(upstream, ALL, &counting)?;
    let least =
        tollgate.loads().iter().map(|(_, load)| floor.counts(&floor.of_path(load))).collect::<Result<Vec<_>, _>>()?;
    for ((what, load), least) in tollgate.loads().iter().zip(&least) {
        rows.extend(tollgate.counts(load)?.rows(&format!("{what}, against the same calls"), least));
    }
    Ok(rows)
}

/// The steps of the floor, as `spin-floor/` names them; each has those before it.
const STEPS: [(&str, &str); 7] = [
    ("", "which forwards"),
    ("options", "with a timeout"),
    ("request", "and whether the request has content"),
    ("ids", "and clocks and ids"),
    ("response", "and other fields of the response"),
    ("content", "and its content read and written"),
    (ALL, "and a log line"),
];

/// All steps: the calls of the host that Tollgate makes.
const ALL: &str = "log";

/// CPU time and requests a second, of all in turns.
fn measured(upstream: SocketAddr) -> Result<Vec<Row>, String> {
    let tollgate = Host::tollgate(upstream, &[])?;
    let floors: Vec<Host> =
        STEPS.iter().map(|(steps, _)| Host::floor(upstream, steps, &[])).collect::<Result<_, _>>()?;
    let own = tollgate.loads();
    let mut loads: Vec<Load> = floors.iter().map(|floor| floor.load("/public", &[])).collect();
    let all = &floors[STEPS.len() - 1];
    // The last step has measured a forward.
    loads.extend(own[1..].iter().map(|(_, load)| all.of_path(load)));
    loads.extend(own.iter().map(|(_, load)| load.clone()));
    let samples = in_turns(&loads.iter().collect::<Vec<_>>())?;
    let (floor, tollgate) = samples.split_at(STEPS.len() + own.len() - 1);
    let mut rows: Vec<Row> = Vec::new();
    for ((_, what), samples) in STEPS.iter().zip(floor).skip(1) {
        rows.push(row(&format!("spin: the floor {what}, against the floor"), samples, &floor[0]));
    }
    for ((what, _), samples) in own.iter().zip(tollgate) {
        rows.push(row(&format!("spin: {what}, against the floor"), samples, &floor[0]));
    }
    for (((what, _), samples), same) in own.iter().zip(tollgate).zip(&floor[STEPS.len() - 1..]) {
        rows.push(row(&format!("spin: {what}, against the same calls"), samples, same));
    }
    Ok(rows)
}

/// A component in a host of its own, whose stores answer at once.
pub(crate) struct Host {
    address: SocketAddr,
    program: Program,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Host {
    /// Tollgate, with the defaults that a project has.
    fn tollgate(upstream: SocketAddr, options: &[&str]) -> Result<Self, String> {
        Self::of(&project::files(upstream, true), options)
    }

    /// Tollgate, with a project of these files.
    pub(crate) fn of_files(files: &[(String, String)]) -> Result<Self, String> {
        Self::of(files, &[])
    }

    fn of(files: &[(String, String)], options: &[&str]) -> Result<Self, String> {
        let side = Side::own();
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let store = side.publish_files(folder.path(), files)?;
        let mut host = Self::start(&side, "spin.toml", &[&["--gateway", project::GATEWAY], options].concat())?;
        let entry = |(key, value): Record| json!({"key": key, "value": BASE64_STANDARD.encode(value), "base64": true});
        let put: Vec<_> = side::records(&store)?.into_iter().map(entry).collect();
        host.command(json!({"put": put}))?;
        Ok(host)
    }

    fn floor(upstream: SocketAddr, steps: &str, options: &[&str]) -> Result<Self, String> {
        let mut side = Side::own();
        side.component.set_file_name("tollgate_bench_spin_floor.wasm");
        let (upstream, steps) = (format!("UPSTREAM={upstream}"), format!("STEPS={steps}"));
        let options = [&["--secret", &upstream, "--secret", &steps], options].concat();
        Self::start(&side, "bench/spin-floor/spin.toml", &options)
    }

    fn start(side: &Side, manifest: &str, options: &[&str]) -> Result<Self, String> {
        let host = side.program.with_file_name(format!("tollgate-spin-host{}", std::env::consts::EXE_SUFFIX));
        let mut child = Command::new(&host)
            .arg("--manifest")
            .arg(side.root.join(manifest))
            .arg("--component")
            .arg(&side.component)
            .arg("--bare")
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}; `cargo build --release -p tollgate-spin-host` builds it", host.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let program = Program(child);
        let (input, output) = (input.ok_or("no input")?, output.ok_or("no output")?);
        let mut output = BufReader::new(output);
        let ready = next_json(&mut output)?;
        let url = ready["ready"]["url"].as_str().ok_or_else(|| format!("the host did not start: {ready}"))?;
        let address = url.trim_start_matches("http://").parse().map_err(|_| format!("not an address: {url}"))?;
        Ok(Self { address, program, input, output })
    }

    fn command(&mut self, mut command: Value) -> Result<Value, String> {
        command["id"] = json!(1);
        writeln!(self.input, "{command}").map_err(|e| e.to_string())?;
        let answer = next_json(&mut self.output)?;
        if answer["ack"] == 1 { Ok(answer) } else { Err(format!("the host says {answer}")) }
    }

    /// What is measured of Tollgate.
    fn loads(&self) -> [(&'static str, Load); 3] {
        let key = project::key();
        [
            ("forward", self.load("/public", &[])),
            ("cache hit", self.load("/cached", &[])),
            ("key + limit + forward", self.load("/keyed", &[("x-api-key", &key)])),
        ]
    }

    fn load(&self, path: &str, fields: &[(&str, &str)]) -> Load {
        Load::new(self.address, self.program.0.id(), path, fields)
    }

    /// The same request to this host.
    fn of_path(&self, load: &Load) -> Load {
        self.of_asked(load.asked.clone())
    }

    /// These requests to this host.
    pub(crate) fn of_asked(&self, asked: Vec<Asked>) -> Load {
        Load::of(self.address, self.program.0.id(), asked)
    }

    /// What one request costs in an instance that has served one, and what the first one costs.
    fn counts(&mut self, load: &Load) -> Result<Counts, String> {
        // The cache is filled, and the configuration checked, by an instance that is not counted.
        self.counted(load, 1)?;
        let first = self.counted(load, 1)?;
        let both = self.counted(load, 1 + REQUESTS)?;
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let mean = |all: u64, first: u64| (all - first.min(all)) as f64 / REQUESTS as f64;
        let calls = both
            .calls
            .iter()
            .map(|(name, all)| (name.clone(), mean(*all, first.calls.get(name).copied().unwrap_or(0))));
        Ok(Counts { fuel: mean(both.fuel, first.fuel), first_fuel: first.fuel, calls: calls.collect() })
    }

    /// The counts of one instance that serves some requests.
    fn counted(&mut self, load: &Load, requests: usize) -> Result<Counted, String> {
        in_turn(load, requests)?;
        sleep(INSTANCE_ENDS);
        let answer = self.command(json!({"counts": true}))?;
        let calls = answer["counts"]["calls"].as_object().into_iter().flatten();
        let calls = calls.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
        Ok(Counted { fuel: answer["counts"]["fuel"].as_u64().unwrap_or(0), calls })
    }
}

/// Fewer than an instance serves in all.
const REQUESTS: usize = 100;
/// The host drops an instance a second after its last work.
const INSTANCE_ENDS: Duration = Duration::from_millis(2_200);

struct Counted {
    fuel: u64,
    calls: BTreeMap<String, u64>,
}

/// The counts of one request.
struct Counts {
    fuel: f64,
    first_fuel: u64,
    calls: BTreeMap<String, f64>,
}

impl Counts {
    fn rows(&self, what: &str, least: &Self) -> Vec<Row> {
        let row = |unit: &str, own: f64, floor: f64| {
            Row::plain(
                format!("spin: {what}, {unit}"),
                format!("{own:.0}"),
                format!("{floor:.0}"),
                format!("{:.2}", own / floor),
            )
        };
        let interfaces = |counts: &Self| counts.sum(|name| !name.starts_with(RUNTIME));
        let events = |counts: &Self| counts.sum(|name| name == DELIVERED);
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let first = [self.first_fuel as f64, least.first_fuel as f64];
        for (name, own) in self.calls.iter().filter(|(name, own)| !name.starts_with(RUNTIME) && **own > 0.0) {
            println!("spin: {what}: {own:.2} {name}, the floor {:.2}", least.calls.get(name).copied().unwrap_or(0.0));
        }
        let suspensions = |counts: &Self| counts.sum(|name| name == SUSPENDED);
        let transmits = |counts: &Self| counts.sum(|name| name == TRANSMIT);
        vec![
            row("fuel", self.fuel, least.fuel),
            row("calls of interfaces", interfaces(self), interfaces(least)),
            row("events delivered to the component", events(self), events(least)),
            row("suspensions of the component's fiber", suspensions(self), suspensions(least)),
            row("streams and futures", transmits(self), transmits(least)),
            row("fuel of the first request", first[0], first[1]),
        ]
    }

    fn sum(&self, is_of: impl Fn(&str) -> bool) -> f64 {
        self.calls.iter().filter(|(name, _)| is_of(name)).map(|(_, count)| count).sum()
    }
}

/// The beginning of names that the host gives to operations of its runtime.
const RUNTIME: &str = "runtime:";
const DELIVERED: &str = "runtime: deliver event";
const SUSPENDED: &str = "runtime: suspend fiber";
const TRANSMIT: &str = "runtime: new transmit";
