//! What the fuzz targets do with an input: hand it to a door through which outside input comes, and check what the door
//! promises of any input.
//!
//! `fuzz/` calls these functions with inputs that it makes up, `tests/replay.rs` with those of `fuzz/corpus/`. They panic
//! where a promise is broken, and never else. Where to start: [`TARGETS`].
#![forbid(unsafe_code)]

use tollgate_analysis::compile_str;
use tollgate_config::{Code, Diagnostics, fixtures, fmt, openapi, policy_tests};
use tollgate_core::route::HostName;
use tollgate_edge::BundleRecords;
use tollgate_kv_schemas::readable;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// A target by its name, which is that of its program in `fuzz/fuzz_targets/` and of its folder in `fuzz/corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("yaml_reader", yaml_reader),
    ("openapi_import", openapi_import),
    ("formatter", formatter),
    ("policy_tests", policy_tests),
    ("bundle_loader", bundle_loader),
];

/// A project of one file, and the same text as fixtures: whatever it is, it is compiled or refused with a reason.
pub fn yaml_reader(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match compile_str("tollgate.yaml", &text) {
        Ok(compiled) => {
            assert!(!compiled.records().is_empty(), "a compiled project has records");
            printable(compiled.warnings());
        }
        Err(found) => refused(&found),
    }
    match fixtures::load_str("dev/fixtures.yaml", &text) {
        Ok(fixtures) => printable(&fixtures.warnings),
        Err(found) => refused(&found),
    }
}

/// A specification: whatever it is, it is imported or refused with a reason.
pub fn openapi_import(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let name = if text.trim_start().starts_with('{') { "openapi.json" } else { "openapi.yaml" };
    match openapi::import(name, &text) {
        Ok((spec, found)) => {
            assert!(!spec.files().is_empty(), "what is imported comes from a file");
            printable(&found);
        }
        Err(found) => refused(&found),
    }
    if let Ok(published) = openapi::published(name, &text) {
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&published).is_ok(), "what is published is JSON");
    }
}

/// A file to format: the result is its own canonical form, or there is a reason why there is none.
pub fn formatter(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for name in ["tollgate.yaml", "tollgate.json"] {
        match fmt::format_text(name, &text) {
            Ok(formatted) => {
                let again = fmt::format_text(name, &formatted).ok();
                assert_eq!(again.as_deref(), Some(formatted.as_str()), "formatting is idempotent");
            }
            Err(found) => {
                assert!(found.iter().all(|finding| finding.code != Code::NotFormatted), "the reader takes it: {found}");
                refused(&found);
            }
        }
    }
}

/// A file of policy tests: whatever it is, it is read or refused with a reason.
pub fn policy_tests(input: &[u8]) {
    match policy_tests::load_str("tests/a.test.yaml", &String::from_utf8_lossy(input)) {
        Ok(file) => printable(&file.warnings),
        Err(found) => refused(&found),
    }
}

/// The records of a bundle: whatever they are, they are loaded as an edge does, the router included, or refused.
///
/// The input begins with the lengths of pointer and manifest, two bytes each; the part is the rest.
pub fn bundle_loader(input: &[u8]) {
    let Some((lengths, records)) = input.split_first_chunk::<4>() else { return };
    let length = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high]));
    let [a, b, c, d] = *lengths;
    let (pointer, rest) = records.split_at(length(a, b).min(records.len()));
    let (manifest, part) = rest.split_at(length(c, d).min(rest.len()));
    for record in [pointer, manifest, part] {
        if let Err(refused) = readable(record) {
            assert!(!refused.to_string().is_empty(), "what is refused has a reason");
        }
    }
    let Ok(host) = HostName::from_authority("api.example.com") else { return };
    // What an edge loads it can load again, and nothing of it depends on the name.
    let bundle = BundleRecords { pointer, manifest, part };
    let routes = || bundle.load_unnamed(&host).map(|part| part.routes());
    assert_eq!(routes(), routes());
    let _ = bundle.load(&host);
}

fn refused(found: &Diagnostics) {
    assert!(found.has_errors(), "what is refused has a reason");
    printable(found);
}

/// Findings can be shown in every form, whatever they quote.
fn printable(found: &Diagnostics) {
    assert_eq!(found.to_text(true).is_empty(), found.is_empty());
    assert_eq!(found.to_json().as_array().map(Vec::len), Some(found.len()));
}
