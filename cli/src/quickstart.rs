//! The built-in quickstart project, for use outside a clone.

use std::collections::BTreeMap;

/// The files of the project.
pub(crate) fn files() -> BTreeMap<String, String> {
    BTreeMap::from([("tollgate.yaml".to_owned(), PROJECT.to_owned())])
}

const PROJECT: &str = include_str!("../../examples/quickstart/tollgate.yaml");

/// What diagnostics call its fixtures.
pub(crate) const FIXTURES_NAME: &str = "examples/quickstart/dev/fixtures.yaml";

/// Its consumers and keys.
pub(crate) const FIXTURES: &str = include_str!("../../examples/quickstart/dev/fixtures.yaml");
