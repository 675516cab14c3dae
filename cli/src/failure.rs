//! How a command ends that did not do what it was asked: a text for the person, a code for the script.

use std::fmt::Display;
use std::process::ExitCode;

use serde_json::{Value, json};
use tollgate_config::Diagnostics;

use crate::terminal;

/// What a command ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    kind: Kind,
    /// What programs get in place of an answer.
    instead: Option<Value>,
}

#[derive(Debug)]
enum Kind {
    /// What was asked for cannot be done, or has a mistake.
    Problem,
    /// The command line asks for something that makes no sense.
    Usage,
    /// Everything was told already.
    Told,
}

impl Failure {
    /// What was asked for could not be done; the text says what, why and how to mend it.
    pub(crate) fn problem(text: impl Display) -> Self {
        Self::with(text.to_string(), Kind::Problem)
    }

    /// The command line is wrong in a way that its parser cannot know.
    pub(crate) fn usage(text: impl Display) -> Self {
        Self::with(text.to_string(), Kind::Usage)
    }

    fn with(text: String, kind: Kind) -> Self {
        let instead = json!({ "error": text });
        Self { text, kind, instead: Some(instead) }
    }

    /// The command found problems, and has said which.
    pub(crate) fn told() -> Self {
        Self { text: String::new(), kind: Kind::Told, instead: None }
    }

    /// The project does not compile, and people have been told why.
    pub(crate) fn refused(found: &Diagnostics) -> Self {
        Self { instead: Some(json!({ "diagnostics": found.to_json() })), ..Self::told() }
    }

    /// Says it on standard error, and to a program that waits for JSON on standard output too; the code is what the process
    /// ends with.
    pub(crate) fn tell(self) -> ExitCode {
        if let Some(instead) = &self.instead {
            terminal::print_instead(instead);
        }
        if !self.text.is_empty() {
            terminal::tell(&format!("{} {}", terminal::mark_error("error:"), self.text));
        }
        match self.kind {
            Kind::Problem | Kind::Told => ExitCode::from(1),
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
