//! The examples and their tests.

use std::path::Path;

use crate::support::run;

#[test]
fn the_tests_of_all_examples_pass() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut tested = 0;
    for example in std::fs::read_dir(examples).expect("the examples").map(|entry| entry.expect("an example").path()) {
        if example.join("tests").is_dir() {
            let ran = run(&["test", &example.display().to_string()]);
            assert_eq!(ran.code, Some(0), "{}: {ran:?}", example.display());
            tested += 1;
        }
    }
    assert!(tested > 10, "{tested}");
}
