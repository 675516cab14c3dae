//! The quickstart project, for where its folder is not at hand.

/// What diagnostics call the project's file.
pub(crate) const PROJECT_NAME: &str = "examples/quickstart/tollgate.yaml";

/// The project.
pub(crate) const PROJECT: &str = include_str!("../../examples/quickstart/tollgate.yaml");

/// What diagnostics call its fixtures.
pub(crate) const FIXTURES_NAME: &str = "examples/quickstart/dev/fixtures.yaml";

/// Its consumers and keys.
pub(crate) const FIXTURES: &str = include_str!("../../examples/quickstart/dev/fixtures.yaml");
