//! The kinds of files in the configuration format.

use serde_json::Value;

use super::tables;
use crate::schema::{Document, Object};

/// A kind of file in the configuration format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The project file.
    Project,
    /// The file of one API.
    Api,
    /// Policies of the project.
    Policies,
    /// Plans of the project.
    Plans,
    /// The values of an environment.
    Environment,
    /// Policy tests.
    Test,
    /// Consumers and keys for local use.
    Fixtures,
    /// The prices of platforms.
    Prices,
}

impl FileKind {
    /// All kinds, the project file first.
    pub const ALL: &[Self] = &[
        Self::Project,
        Self::Api,
        Self::Policies,
        Self::Plans,
        Self::Environment,
        Self::Test,
        Self::Fixtures,
        Self::Prices,
    ];

    /// The kind's name, such as `project`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Api => "api",
            Self::Policies => "policies",
            Self::Plans => "plans",
            Self::Environment => "env",
            Self::Test => "test",
            Self::Fixtures => "fixtures",
            Self::Prices => "prices",
        }
    }

    /// The path of such a file in a project's folder; `<...>` is a name of the author's choice.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Project => "tollgate.yaml",
            Self::Api => "apis/<name>/api.yaml",
            Self::Policies => "policies/<any>.yaml",
            Self::Plans => "plans/<any>.yaml",
            Self::Environment => "env/<name>.yaml",
            Self::Test => "tests/<any>.test.yaml",
            Self::Fixtures => "dev/fixtures.yaml",
            Self::Prices => "prices.yaml",
        }
    }

    /// The name of the file with its JSON Schema.
    #[must_use]
    pub fn schema_file(self) -> &'static str {
        match self {
            Self::Project => "tollgate.schema.json",
            Self::Api => "api.schema.json",
            Self::Policies => "policies.schema.json",
            Self::Plans => "plans.schema.json",
            Self::Environment => "env.schema.json",
            Self::Test => "test.schema.json",
            Self::Fixtures => "fixtures.schema.json",
            Self::Prices => "prices.schema.json",
        }
    }

    /// The JSON Schema (2020-12) of such files.
    #[must_use]
    pub fn schema(self) -> Value {
        let document = Document { name: self.name(), title: self.path(), takes_values: self.takes_values() };
        document.schema(self.root())
    }

    /// The JSON Schema as the text of a file.
    #[must_use]
    pub fn schema_text(self) -> String {
        format!("{:#}\n", self.schema())
    }

    /// The table of the file's root.
    pub(crate) fn root(self) -> &'static Object {
        match self {
            Self::Project => &tables::PROJECT,
            Self::Api => &tables::API_FILE,
            Self::Policies => &tables::POLICIES_FILE,
            Self::Plans => &tables::PLANS_FILE,
            Self::Environment => &tables::ENVIRONMENT_FILE,
            Self::Test => &tables::TEST_FILE,
            Self::Fixtures => &tables::FIXTURES,
            Self::Prices => &tables::PRICES,
        }
    }

    /// Whether such a file may contain `${value.NAME}`.
    pub(crate) fn takes_values(self) -> bool {
        match self {
            Self::Project | Self::Api | Self::Policies | Self::Plans => true,
            Self::Environment | Self::Test | Self::Fixtures | Self::Prices => false,
        }
    }
}
