//! Tollgate on workerd compared with a bare JavaScript pass-through on the same workerd.

use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::compare::{Row, compare};
use crate::load::{Load, first_byte};
use crate::project;
use crate::server::{Program, next_json, upstream};

/// The number of newly started workerd processes whose first request is timed.
const COLD_STARTS: usize = 5;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let upstream = upstream()?;
    let tollgate = Worker::tollgate(upstream)?;
    let other = Worker::pass_through(upstream)?;
    let forward = tollgate.load("/public", &[]);
    let keyed = tollgate.load("/keyed", &[("x-api-key", &project::key())]);
    let passed = other.load("/keyed", &[]);
    let mut rows = vec![
        compare("workerd: forward, against a bare JS pass-through", &forward, &passed)?,
        compare("workerd: key + limit + forward, against the same", &keyed, &passed)?,
    ];
    drop((tollgate, other));
    rows.push(cold_start(upstream)?);
    Ok(rows)
}

/// A folder of artifacts, in cargo's target folder if it is there.
pub(crate) fn artifact_folder(folder: &str) -> PathBuf {
    let root = root();
    match (folder.strip_prefix("target/"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(rest), Some(target)) => Path::new(&target).join(rest),
        _ => root.join(folder),
    }
}

/// The time until the first byte of the first answer of a newly started workerd, which loads the worker for it.
fn cold_start(upstream: SocketAddr) -> Result<Row, String> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..COLD_STARTS {
        ours.push(first_byte(&Worker::tollgate(upstream)?.load("/public", &[]))?.as_secs_f64() * 1000.0);
        theirs.push(first_byte(&Worker::pass_through(upstream)?.load("/public", &[]))?.as_secs_f64() * 1000.0);
    }
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    let (a, b) = (ours[COLD_STARTS / 2], theirs[COLD_STARTS / 2]);
    let ratio = format!("{:.2} (more is slower)", a / b);
    Ok(Row::plain("workerd: cold start to first byte", format!("{a:.1} ms"), format!("{b:.1} ms"), ratio))
}

/// A worker on a separate workerd.
struct Worker {
    address: SocketAddr,
    program: Program,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn tollgate(upstream: SocketAddr) -> Result<Self, String> {
        let compiled = tollgate_analysis::compile_str("tollgate.yaml", &project::tollgate_yaml(upstream))
            .map_err(|found| format!("the benchmark's own project does not compile: {found:?}"))?;
        let fixtures = tollgate_config::fixtures::load_str("fixtures.yaml", &project::fixtures_yaml())
            .map_err(|found| format!("the benchmark's own fixtures do not compile: {found:?}"))?;
        let mut worker = Self::start("build", &[("--gateway", project::GATEWAY)])?;
        let fixtures = fixtures.records(project::GATEWAY);
        let records = compiled.records().iter().chain(&fixtures);
        let entry = |(key, value): &(String, Vec<u8>)| json!({"key": key, "value": BASE64_STANDARD.encode(value), "base64": true});
        let put: Vec<_> = records.map(entry).collect();
        worker.command(&json!({"id": 1, "put": put}))?;
        Ok(worker)
    }

    fn pass_through(upstream: SocketAddr) -> Result<Self, String> {
        Self::start("bench/passthrough", &[("--secret", &format!("UPSTREAM=http://{upstream}"))])
    }

    fn start(artifact: &str, options: &[(&str, &str)]) -> Result<Self, String> {
        let mut command = Command::new("node");
        command
            .arg(root().join("tests/miniflare/launch.mjs"))
            .arg("--bare")
            .arg("--artifact")
            .arg(root().join(artifact));
        for (option, value) in options {
            command.args([option, value]);
        }
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
        let address = url.trim_start_matches("http://").parse().map_err(|_| format!("not an address: {url}"))?;
        Ok(Self { address, program, input, output })
    }

    fn command(&mut self, command: &serde_json::Value) -> Result<(), String> {
        writeln!(self.input, "{command}").map_err(|e| e.to_string())?;
        let answer = next_json(&mut self.output)?;
        if answer["ack"] == command["id"] { Ok(()) } else { Err(format!("the launcher says {answer}")) }
    }

    fn load(&self, path: &str, fields: &[(&str, &str)]) -> Load {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Load { address: self.address, process: self.program.0.id(), hosts: vec![], path: path.to_owned(), fields }
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
