//! Tollgate on workerd compared with a bare JavaScript pass-through on the same workerd, or with another commit.

use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::compare::{Row, compare_briefly};
use crate::cpu::cpu_time;
use crate::load::{Load, first_byte};
use crate::project;
use crate::server::{Program, next_json, upstream};
use crate::side::{self, Record, Side};

/// The number of newly started workerd processes whose first request is timed.
const COLD_STARTS: usize = 15;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let (upstream, own) = (upstream()?, Side::own());
    let tollgate = Worker::tollgate(&own, upstream)?;
    let other = Worker::pass_through(upstream)?;
    let passed = other.load("/keyed", &[]);
    let [edits, calls, hono] = ["edits", "calls", "hono"].map(|name| Worker::peer(name, upstream));
    let (edits, calls, hono) = (edits?, calls?, hono?);
    let mut rows = vec![
        compare_briefly("workerd: forward, against a bare JS pass-through", &tollgate.forward(), &passed)?,
        compare_briefly("workerd: key + limit + forward, against the same", &tollgate.keyed(), &passed)?,
        compare_briefly("workerd: cached, against the same", &tollgate.load("/cached", &[]), &passed)?,
        compare_briefly("workerd: key + limit + forward, against Hono", &tollgate.keyed(), &hono.keyed())?,
        compare_briefly("workerd: floor in wasm, against the pass-through", &edits.keyed(), &passed)?,
        compare_briefly("workerd: Hono, against the same", &hono.keyed(), &passed)?,
        compare_briefly(
            "workerd: forward, against the same calls of the platform",
            &tollgate.forward(),
            &calls.forward(),
        )?,
        compare_briefly("workerd: key + limit + forward, against the same calls", &tollgate.keyed(), &calls.keyed())?,
        compare_briefly(
            "workerd: cached, against the same calls",
            &tollgate.load("/cached", &[]),
            &calls.load("/cached", &[]),
        )?,
    ];
    drop((tollgate, other, edits, calls, hono));
    let started = [&|| Worker::tollgate(&own, upstream), &|| Worker::pass_through(upstream)] as [Start<'_>; 2];
    rows.push(cold_start("workerd: cold start to first byte", started)?);
    Ok(rows)
}

/// The Workers of two commits, on the same workerd.
pub(crate) fn against(other: &Side) -> Result<Vec<Row>, String> {
    let (upstream, own) = (upstream()?, Side::own());
    let (now, before) = (Worker::tollgate(&own, upstream)?, Worker::tollgate(other, upstream)?);
    let mut rows = vec![
        compare_briefly("workerd: forward, against the other commit", &now.forward(), &before.forward())?,
        compare_briefly("workerd: key + limit + forward, against the same", &now.keyed(), &before.keyed())?,
    ];
    drop((now, before));
    let started = [&|| Worker::tollgate(&own, upstream), &|| Worker::tollgate(other, upstream)] as [Start<'_>; 2];
    rows.push(cold_start("workerd: cold start to first byte, against the same", started)?);
    Ok(rows)
}

/// Starts a worker.
type Start<'a> = &'a dyn Fn() -> Result<Worker, String>;

/// The time until the first byte of the first answer of a newly started workerd, and the CPU time of the process meanwhile: the mean,
/// because each is only a few of the clock's ticks.
fn cold_start(what: &str, start: [Start<'_>; 2]) -> Result<Row, String> {
    let mut taken = [Vec::new(), Vec::new()];
    let mut cpu_ms = [0.0; 2];
    for _ in 0..COLD_STARTS {
        for ((start, taken), cpu_ms) in start.iter().zip(&mut taken).zip(&mut cpu_ms) {
            let worker = start()?;
            let load = worker.forward();
            let before = cpu_time(load.process);
            taken.push(first_byte(&load)?.as_secs_f64() * 1000.0);
            let cpu = cpu_time(load.process).zip(before).map(|(after, before)| after.saturating_sub(before));
            *cpu_ms += cpu.unwrap_or_default().as_secs_f64() * 1000.0;
        }
    }
    let [a, b] = taken.map(|mut taken| {
        taken.sort_by(f64::total_cmp);
        taken[COLD_STARTS / 2]
    });
    let [cpu_a, cpu_b] = cpu_ms;
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let said = |wall: f64, cpu: f64| format!("{wall:.1} ms, {:.1} ms CPU", cpu / COLD_STARTS as f64);
    let row = Row::plain(what, said(a, cpu_a), said(b, cpu_b), format!("{:.2} (more is slower)", a / b));
    Ok(Row { cpu_ratio: format!("{:.2}", cpu_b / cpu_a), ..row })
}

/// A worker on a separate workerd.
pub(crate) struct Worker {
    pub(crate) address: SocketAddr,
    /// Further isolates, which share its records and counters.
    others: Vec<SocketAddr>,
    pub(crate) program: Program,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// The Worker of a side, with the records that the same side's compiler makes.
    fn tollgate(side: &Side, upstream: SocketAddr) -> Result<Self, String> {
        Self::of_files(side, &project::files(upstream, false))
    }

    /// The Worker of a side, with a project of these files.
    pub(crate) fn of_files(side: &Side, files: &[(String, String)]) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let store = side.publish_files(folder.path(), files)?;
        Self::with_records(side, side::records(&store)?, &[])
    }

    /// The Worker of a side with these records, and more options of the launcher.
    pub(crate) fn with_records(side: &Side, records: Vec<Record>, options: &[&str]) -> Result<Self, String> {
        Self::start(&side.root, &side.root.join("build"), options)?.with(records)
    }

    /// As [`Self::of_files`], by so many isolates, and with a wrapper that counts the calls of counters.
    pub(crate) fn counting(side: &Side, files: &[(String, String)], isolates: usize) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let store = side.publish_files(folder.path(), files)?;
        let isolates = isolates.to_string();
        Self::launched(&side.root, &side.root.join("build"), &["--isolates", &isolates])?.with(side::records(&store)?)
    }

    fn with(mut self, records: Vec<Record>) -> Result<Self, String> {
        let entry = |(key, value): Record| json!({"key": key, "value": BASE64_STANDARD.encode(value), "base64": true});
        let put: Vec<_> = records.into_iter().map(entry).collect();
        self.command(&json!({"id": 1, "put": put}))?;
        Ok(self)
    }

    /// How often objects that count were called until now.
    pub(crate) fn calls(&mut self) -> Result<u64, String> {
        let answer = self.command(&json!({"id": 2, "count-calls": true}))?;
        answer["calls"].as_u64().ok_or_else(|| format!("the launcher says {answer}"))
    }

    /// Ends workerd, and waits until it has written what it keeps.
    pub(crate) fn stop(self) -> Result<(), String> {
        let Self { mut program, input, .. } = self;
        drop(input);
        program.0.wait().map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn pass_through(upstream: SocketAddr) -> Result<Self, String> {
        let root = side::root();
        Self::start(&root, &root.join("bench/passthrough"), &["--secret", &format!("UPSTREAM=http://{upstream}")])
    }

    /// A Worker of `bench/peers`.
    pub(crate) fn peer(name: &str, upstream: SocketAddr) -> Result<Self, String> {
        let (url, key) = (format!("UPSTREAM=http://{upstream}"), format!("KEY={}", project::key()));
        let artifact = side::artifact_folder("target/bench-peers").join(name);
        Self::start(&side::root(), &artifact, &["--secret", &url, "--secret", &key])
    }

    /// Hono with its middleware for these keys.
    pub(crate) fn hono_with_keys(upstream: SocketAddr, jwks: &str) -> Result<Self, String> {
        let (url, keys) = (format!("UPSTREAM=http://{upstream}"), format!("JWKS={jwks}"));
        let artifact = side::artifact_folder("target/bench-peers").join("hono-jwk");
        Self::start(&side::root(), &artifact, &["--secret", &url, "--secret", &keys])
    }

    fn start(root: &Path, artifact: &Path, options: &[&str]) -> Result<Self, String> {
        Self::launched(root, artifact, &[&["--bare"], options].concat())
    }

    fn launched(root: &Path, artifact: &Path, options: &[&str]) -> Result<Self, String> {
        let mut command = Command::new("node");
        command.arg(root.join("tests/miniflare/launch.mjs")).arg("--artifact").arg(artifact);
        command.args(["--gateway", project::GATEWAY]).args(options);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("node: {e}; it runs workerd"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let program = Program(child);
        let (input, output) = (input.ok_or("no input")?, output.ok_or("no output")?);
        let mut output = BufReader::new(output);
        let ready = next_json(&mut output)?;
        let url = ready["ready"]["url"].as_str().ok_or_else(|| format!("workerd did not start: {ready}"))?;
        let address = |url: &str| {
            url.trim_start_matches("http://").parse::<SocketAddr>().map_err(|_| format!("not an address: {url}"))
        };
        // Absent from an older launcher.
        let others = ready["ready"]["others"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        let others = others.map(address).collect::<Result<_, String>>()?;
        Ok(Self { address: address(url)?, others, program, input, output })
    }

    fn command(&mut self, command: &serde_json::Value) -> Result<serde_json::Value, String> {
        writeln!(self.input, "{command}").map_err(|e| e.to_string())?;
        let answer = next_json(&mut self.output)?;
        if answer["ack"] == command["id"] { Ok(answer) } else { Err(format!("the launcher says {answer}")) }
    }

    fn forward(&self) -> Load {
        self.load("/public", &[])
    }

    pub(crate) fn keyed(&self) -> Load {
        self.load("/keyed", &[("x-api-key", &project::key())])
    }

    pub(crate) fn load(&self, path: &str, fields: &[(&str, &str)]) -> Load {
        Load::new(self.address, self.program.0.id(), path, fields)
    }

    /// The same request to each isolate, of the first so many.
    pub(crate) fn loads(&self, path: &str, fields: &[(&str, &str)], isolates: usize) -> Vec<Load> {
        let addresses = std::iter::once(&self.address).chain(&self.others).take(isolates);
        addresses.map(|address| Load { address: *address, ..self.load(path, fields) }).collect()
    }
}
