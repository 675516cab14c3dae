//! How a failed command ends: a message for people, an exit code for scripts.

use std::fmt::Display;
use std::process::ExitCode;

use serde_json::{Value, json};
use tollgate_config::Diagnostics;

use crate::terminal;

/// The failure of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    kind: Kind,
    /// The JSON that programs get instead of an answer.
    instead: Option<Value>,
}

#[derive(Debug)]
enum Kind {
    /// The command could not be carried out, or found a mistake.
    Problem,
    /// The command line is invalid.
    Usage,
    /// Everything was reported already.
    Reported,
}

impl Failure {
    /// The command could not be carried out; the text says what failed, why, and how to fix it.
    pub(crate) fn problem(text: impl Display) -> Self {
        Self::with(text.to_string(), Kind::Problem)
    }

    /// The command line is invalid in a way that its parser cannot detect.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self::with(text.to_string(), Kind::Usage)
    }

    fn with(text: String, kind: Kind) -> Self {
        let instead = json!({ "error": text });
        Self { text, kind, instead: Some(instead) }
    }

    /// The command found problems and has reported them.
    pub(crate) fn reported() -> Self {
        Self { text: String::new(), kind: Kind::Reported, instead: None }
    }

    /// The project does not compile, and its diagnostics have been reported.
    pub(crate) fn refused(found: &Diagnostics) -> Self {
        Self { instead: Some(json!({ "diagnostics": found.to_json() })), ..Self::reported() }
    }

    /// Reports the failure on standard error, and on standard output too if JSON is expected there.
    ///
    /// Returns the exit code of the process.
    pub(crate) fn report(self) -> ExitCode {
        if let Some(instead) = &self.instead {
            terminal::print_instead(instead);
        }
        if !self.text.is_empty() {
            terminal::message(&format!("{} {}", terminal::mark_error("error:"), self.text));
        }
        match self.kind {
            Kind::Problem | Kind::Reported => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

#[cfg(test)]
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
