//! Sizes of the artifacts that a deployment uploads and an isolate loads.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::compare::Row;
use crate::side::Side;

/// The limit of Workers on the free plan, compressed.
const FREE_PLAN_BYTES: u64 = 3 * 1024 * 1024;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let plan = format!("{} KiB gzip on the free plan", FREE_PLAN_BYTES / 1024);
    let row = |(name, size): (String, Size)| {
        Row::plain(name, size.text(), plan.clone(), format!("{}% of it", size.compressed * 100 / FREE_PLAN_BYTES))
    };
    Ok(sizes(&Side::own())?.into_iter().map(row).collect())
}

/// The sizes of the artifacts of two commits that both have.
pub(crate) fn against(other: &Side) -> Result<Vec<Row>, String> {
    let mut before = sizes(other)?;
    let row = |(name, now): (String, Size)| {
        let before = before.remove(&name)?;
        let ratio = format!("{:.2}", now.compressed as f64 / before.compressed.max(1) as f64);
        Some(Row::plain(name, now.text(), before.text(), ratio))
    };
    Ok(sizes(&Side::own())?.into_iter().filter_map(row).collect())
}

/// The size of a file, in bytes.
struct Size {
    raw: u64,
    compressed: u64,
}

impl Size {
    fn text(&self) -> String {
        format!("{} KiB, {} KiB gzip", self.raw / 1024, self.compressed / 1024)
    }
}

/// The deployed files by name.
fn sizes(side: &Side) -> Result<BTreeMap<String, Size>, String> {
    let build = side.root.join("build");
    let built = fs::read_dir(&build).map_err(|e| format!("{}: {e}; build it first", build.display()))?;
    let worker = built.flatten().map(|entry| entry.path());
    let deployed = worker.filter(|path| path.extension().is_some_and(|ext| ext == "wasm" || ext == "mjs"));
    let component = side.component.is_file().then(|| side.component.clone());
    let measured = deployed.chain(component).map(|path| {
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}; build it first", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, Size { raw: bytes.len() as u64, compressed: gzip(&bytes)? }))
    });
    measured.collect()
}

/// The compressed size of the Worker's module, and that of all that is deployed with it, in bytes.
pub(crate) fn of_worker(side: &Side) -> Result<(u64, u64), String> {
    let sizes = sizes(side)?;
    let module = sizes.get("tollgate.wasm").ok_or("build/tollgate.wasm is missing; build it first")?.compressed;
    let is_component = |name: &str| side.component.file_name().is_some_and(|component| component == name);
    let deployed = sizes.iter().filter(|(name, _)| !is_component(name));
    Ok((module, deployed.map(|(_, size)| size.compressed).sum()))
}

fn gzip(bytes: &[u8]) -> Result<u64, String> {
    let say = |e: std::io::Error| format!("gzip: {e}");
    let mut child =
        Command::new("gzip").args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(say)?;
    let mut input = child.stdin.take().ok_or("gzip has no input")?;
    let owned = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&owned));
    let output = child.wait_with_output().map_err(say)?;
    let _ = writer.join();
    Ok(output.stdout.len() as u64)
}
