//! The committed corpus, replayed: what fuzzing once found, and what people thought of, with a bound on memory.
//!
//! Time is not looked at, because machines differ; memory is, because it does not.

use std::fs;
use std::path::{Path, PathBuf};

use peak_alloc::PeakAlloc;
use tollgate_fuzzed::{TARGETS, Target};

/// Counts what is allocated. Nothing else runs in this program while an input is looked at.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The inputs of a target by the names of their files.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(root().join("fuzz/corpus").join(target)).expect("a folder of inputs");
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an input"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("an input")))
        .collect();
    inputs.sort();
    inputs
}

/// How much more is allocated at once while a target looks at an input.
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
        // What is made once and kept, such as tables, is made by now.
        target(b"format: 1\n");
        for (file, input) in inputs {
            let peak = peak(*target, &input);
            let bound = BYTES_MAX + BYTES_PER_BYTE * input.len();
            assert!(
                peak <= bound,
                "{name}/{file}: {peak} bytes at once for {} bytes of input, {bound} allowed",
                input.len()
            );
            if std::env::var_os("TOLLGATE_FUZZ_PEAKS").is_some() {
                println!("{name}/{file}: {} bytes of input, {peak} at once", input.len());
            }
        }
    }
    let folders = fs::read_dir(root().join("fuzz/corpus")).expect("the corpus").count();
    assert_eq!(folders, TARGETS.len(), "fuzz/corpus has a folder of no target");
}

/// What an input may take whatever its size, which is what aliases may repeat: 400,000 values of about a hundred bytes each,
/// and some mebibytes of text.
const BYTES_MAX: usize = 96 << 20;

/// What each byte of an input may take: a value of two bytes becomes a node of about a hundred, held in several forms.
const BYTES_PER_BYTE: usize = 1024;

/// Fewer inputs would mean that the corpus got lost.
const INPUTS_MIN: usize = 10;
