//! `wasm-order MODULE WRITTEN`: writes a wasm module anew with like functions beside each other.

use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [module, written] = words.as_slice() else {
        eprintln!("usage: wasm-order MODULE WRITTEN");
        return ExitCode::from(2);
    };
    match run(module, written) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(module: &OsString, written: &OsString) -> Result<(), String> {
    let bytes = fs::read(module).map_err(|error| format!("{}: {error}", module.display()))?;
    let ordered =
        tollgate_wasm_order::in_order_of_likeness(&bytes).map_err(|error| format!("{}: {error}", module.display()))?;
    fs::write(written, ordered).map_err(|error| format!("{}: {error}", written.display()))
}
