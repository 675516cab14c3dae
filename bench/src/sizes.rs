//! Sizes of the artifacts that a deployment uploads and an isolate loads.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::compare::Row;

/// The limit of Workers on the free plan, compressed.
const FREE_PLAN_BYTES: u64 = 3 * 1024 * 1024;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for folder in ["build", "target/wasm32-wasip2/wasm"] {
        let folder = crate::workerd::artifact_folder(folder);
        let files = fs::read_dir(&folder).map_err(|e| format!("{}: {e}; build it first", folder.display()))?;
        for path in files.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|ext| ext == "wasm" || ext == "mjs") {
                rows.push(size_of(&path)?);
            }
        }
    }
    Ok(rows)
}

fn size_of(path: &std::path::Path) -> Result<Row, String> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let compressed = gzip(&bytes)?;
    let what = path.file_name().unwrap_or_default().to_string_lossy();
    let size = format!("{} KiB, {} KiB gzip", bytes.len() / 1024, compressed / 1024);
    let plan = format!("{} KiB gzip on the free plan", FREE_PLAN_BYTES / 1024);
    Ok(Row::plain(what, size, plan, format!("{}% of it", compressed * 100 / FREE_PLAN_BYTES)))
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
