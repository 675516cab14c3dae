//! Writes the table of the pages of `docs/diagnostics/`, so that `tollgate explain TG0102` has them wherever it runs.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Asked when it runs: a build folder may serve a clone that has moved.
    let root = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| io::Error::other("cargo names no folder"))?;
    let folder = Path::new(&root).join("../docs/diagnostics").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("TG") {
            pages.push((name, path));
        }
    }
    pages.sort();
    let mut table = String::from("&[\n");
    for (name, path) in pages {
        let line = writeln!(table, "    ({name:?}, include_str!({:?})),", path.display().to_string());
        line.map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("pages.rs"), table)
}
