//! Replays the committed corpus, which has findings of the fuzzer and manual inputs, with a limit on memory.
//!
//! Time is not checked, because it depends on the machine; memory does not.

use std::fs;
use std::path::{Path, PathBuf};

use peak_alloc::PeakAlloc;
use tollgate_fuzzed::{TARGETS, Target};

/// Counts allocations. Nothing else runs in this program while an input is processed.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The inputs of a target with their file names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(root().join("fuzz/corpus").join(target)).expect("a folder of inputs");
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an input"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("an input")))
        .collect();
    inputs.sort();
    inputs
}

/// The peak of additional memory while a target processes an input.
fn peak(target: Target, input: &[u8]) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    target(input);
    ALLOCATOR.peak_usage().saturating_sub(before)
}

#[test]
fn no_input_breaks_a_promise_or_takes_more_memory_than_its_size_allows() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the manifest of the fuzz targets");
    for (name, target) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has no program in fuzz/");
        let inputs = corpus(name);
        assert!(inputs.len() >= INPUTS_MIN, "{name} has {} inputs", inputs.len());
        // Data that is created once and kept, such as tables, exists by now.
        target(b"format: 1\n");
        for (file, input) in inputs {
            let peak = peak(*target, &input);
            let bound = BYTES_MAX + BYTES_PER_BYTE * input.len();
            assert!(
                peak <= bound,
                "{name}/{file}: {peak} bytes of peak memory for {} bytes of input, {bound} allowed",
                input.len()
            );
            if std::env::var_os("TOLLGATE_FUZZ_PEAKS").is_some() {
                println!("{name}/{file}: {} bytes of input, {peak} bytes of peak memory", input.len());
            }
        }
    }
    let folders = fs::read_dir(root().join("fuzz/corpus")).expect("the corpus").count();
    assert_eq!(folders, TARGETS.len(), "fuzz/corpus has a folder without a target");
}

/// The memory that an input of any size may use, because of aliases: 400,000 values of about a hundred bytes each, and
/// some mebibytes of text.
const BYTES_MAX: usize = 96 << 20;

/// The memory per byte of input: a value of two bytes becomes a node of about a hundred, kept in several forms.
const BYTES_PER_BYTE: usize = 1024;

/// Fewer inputs would mean that the corpus was lost.
const INPUTS_MIN: usize = 10;
