//! Runs other programs: announced, without stdin, with their output passed on immediately.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::place::{self, Place};

/// A cargo command at the root of the clone.
pub(crate) fn cargo(place: &Place) -> Command {
    let mut command = Command::new(place::cargo());
    command
        .current_dir(&place.root)
        .env("TOLLGATE_CACHE", &place.cache)
        // The variables that cargo sets for xtask must not leak into builds: they would change the fingerprints.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH")
        .env_remove("CARGO_PKG_NAME");
    command
}

/// Prints what runs and how long it took; the error is the announcement with the exit status.
pub(crate) fn announced(what: &str, command: &mut Command) -> Result<(), String> {
    println!("==> {what}");
    let started = Instant::now();
    let status = command.stdin(Stdio::null()).status().map_err(|error| could_not_start(command, &error))?;
    if status.success() {
        println!("    {what}: done in {:.1} s", started.elapsed().as_secs_f64());
        return Ok(());
    }
    Err(format!("{what} failed ({status})"))
}

/// Runs a program, passes its output on and keeps a copy; the bool is true if it succeeded.
pub(crate) fn watched(command: &mut Command) -> Result<(bool, String), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| could_not_start(command, &error))?;
    let kept = Arc::new(Mutex::new(String::new()));
    let mut pumps = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        pumps.push(pump(stdout, std::io::stdout(), Arc::clone(&kept)));
    }
    if let Some(stderr) = child.stderr.take() {
        pumps.push(pump(stderr, std::io::stderr(), Arc::clone(&kept)));
    }
    for pump in pumps {
        pump.join().map_err(|_| "reading a program's output failed")?;
    }
    let status = child.wait().map_err(|error| format!("waiting for {command:?}: {error}"))?;
    let text = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((status.success(), text))
}

/// Runs a program without output; `None` if it is not installed or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn pump(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    kept: Arc<Mutex<String>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
            // Reading continues even if stdout is closed: otherwise the child would block on a full pipe.
            let _ = to.write_all(&line);
            kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

fn could_not_start(command: &Command, error: &std::io::Error) -> String {
    format!("{} could not start: {error}", command.get_program().to_string_lossy())
}
