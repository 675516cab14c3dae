//! The compiler's findings about a project: the position, what is wrong, why it matters, and how to fix it.

mod codes;
mod render;
mod sarif;
mod words;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

pub use codes::Code;
pub use sarif::sarif;
pub(crate) use words::{closest, listed};

use crate::place::{FileId, Files, Inputs, Place, Span, Spanned};

/// Whether a diagnostic stops the compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The project cannot be compiled until this is fixed.
    Error,
    /// The project compiles; this is probably not intended.
    Warning,
}

/// A second place of a diagnostic, such as the other one of two conflicting routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// The place.
    pub span: Span,
    /// The label shown at that place.
    pub label: String,
}

/// One finding about a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code; [`Code::explanation`] has the full explanation.
    pub code: Code,
    /// Whether it stops the compilation.
    pub severity: Severity,
    /// Its place.
    pub span: Span,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// Why that matters.
    pub why: String,
    /// What to write instead.
    pub fix: String,
    /// Related places.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// A finding that stops the compilation.
    pub fn error(code: Code, span: Span, what: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, what.into())
    }

    /// A finding that does not stop the compilation.
    pub fn warning(code: Code, span: Span, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, what.into())
    }

    /// The same finding, with the reason why it matters.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// The same finding, with what to write instead.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// The same finding, with a related place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push(Related { span, label: label.into() });
        self
    }

    /// The same finding in another list of files: `places` has the new id of each file.
    fn moved(mut self, places: &[FileId]) -> Self {
        self.span = self.span.moved(places);
        for related in &mut self.related {
            related.span = related.span.moved(places);
        }
        self
    }

    fn new(severity: Severity, code: Code, span: Span, what: String) -> Self {
        Self { code, severity, span, what, why: String::new(), fix: String::new(), related: Vec::new() }
    }
}

/// The places at which `${value.NAME}` is written, each with the name and the place where the value is assigned.
pub(crate) type Substituted = HashMap<Span, Spanned<String>>;

/// Collects diagnostics while a project is read; one finding never hides another.
#[derive(Debug, Default)]
pub struct Report {
    list: Vec<Diagnostic>,
    /// The findings that are already in the list: a mistake at a higher level is found again in every route below it.
    known: HashSet<(Span, Code, String)>,
    omitted: usize,
    errors: usize,
    /// The places of references to values, with the places where the values are assigned.
    substituted: Substituted,
    /// The words that were refused because parsers of YAML 1.1 read a boolean, with this boolean.
    yaml_1_1_booleans: HashMap<Span, (String, bool)>,
}

impl Report {
    /// Records that the value at a place is assigned at another place, which findings about it then show too.
    pub(crate) fn substituted(&mut self, at: Span, given: Spanned<String>) {
        self.substituted.insert(at, given);
    }

    /// All recorded places of references to values.
    pub(crate) fn all_substituted(&self) -> &Substituted {
        &self.substituted
    }

    /// Records a word that is refused because parsers of YAML 1.1 read a boolean.
    pub(crate) fn refuse_yaml_1_1_boolean(&mut self, at: Span, word: &str, boolean: bool) {
        self.yaml_1_1_booleans.insert(at, (word.to_owned(), boolean));
    }

    /// The word at a place that was refused because parsers of YAML 1.1 read this boolean.
    pub(crate) fn yaml_1_1_boolean(&self, at: Span) -> Option<(String, bool)> {
        self.yaml_1_1_booleans.get(&at).cloned()
    }

    /// Replaces what to write instead in the findings with this code at a place; `None` leaves it.
    pub(crate) fn amend(&mut self, at: Span, code: Code, fix: Option<String>) {
        let Some(fix) = fix else { return };
        let found = self.list.iter_mut().filter(|finding| finding.span == at && finding.code == code);
        found.for_each(|finding| finding.fix.clone_from(&fix));
    }

    /// Adds a finding, unless the same one was added for the same place.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.known.contains(&(diagnostic.span, diagnostic.code, diagnostic.what.clone())) {
            return;
        }
        if self.list.len() < DIAGNOSTICS_MAX {
            self.known.insert((diagnostic.span, diagnostic.code, diagnostic.what.clone()));
        }
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else if diagnostic.severity == Severity::Error && !self.has_errors() {
            // Errors are kept even if there are too many warnings.
            self.list.pop();
            self.list.push(diagnostic);
            self.omitted += 1;
        } else {
            self.omitted += 1;
        }
    }

    /// Whether one of the findings is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// The number of errors so far; it grows whenever something is refused.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether further findings are only counted, so that costly texts need not be built.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX
    }

    /// Sorts the findings in the order of the files, independent of the order of the checks.
    pub(crate) fn finish(self, files: Files) -> Diagnostics {
        let Self { mut list, omitted, substituted, .. } = self;
        for diagnostic in &mut list {
            if let Some(given) = substituted.get(&diagnostic.span) {
                let label = format!("`${{value.{}}}` is assigned here", given.value);
                diagnostic.related.push(Related { span: given.span, label });
            }
        }
        list.sort_by(|a, b| (a.span, a.code, &a.what).cmp(&(b.span, b.code, &b.what)));
        Diagnostics { files, list, omitted }
    }
}

/// All findings about a project in the order of the files, with the sources that they quote.
///
/// `Display` and `Debug` print [`to_text`](Self::to_text) without colours, so that a failed `expect` on a compilation
/// is readable.
#[derive(Clone, Default)]
pub struct Diagnostics {
    files: Files,
    list: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there are no findings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of findings, without the [omitted](Self::omitted) ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The number of findings that were omitted because there were too many.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether there is an error among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Merges the findings of one project that was compiled for several environments, each reported once. A finding
    /// that the first compilation does not have names its environment.
    #[must_use]
    pub fn merged(all: Vec<(Option<String>, Self)>) -> Self {
        let mut merged = Self::default();
        let mut seen = HashSet::new();
        for (n, (environment, found)) in all.into_iter().enumerate() {
            let Self { files, list, omitted } = found;
            merged.omitted = merged.omitted.max(omitted);
            let places = merged.files.join(&files);
            for diagnostic in list {
                let mut diagnostic = diagnostic.moved(&places);
                let is_new = seen.insert((diagnostic.span, diagnostic.code, diagnostic.what.clone()));
                if !is_new {
                    continue;
                }
                if let (Some(name), true) = (&environment, n > 0) {
                    diagnostic.what = format!("in environment `{name}`, {}", diagnostic.what);
                }
                merged.list.push(diagnostic);
            }
        }
        merged.list.sort_by(|a, b| (a.span, a.code, &a.what).cmp(&(b.span, b.code, &b.what)));
        merged
    }

    /// What was read from the project's folder.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        self.files.inputs()
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// The name of the file that a finding is in.
    #[must_use]
    pub fn file_of(&self, diagnostic: &Diagnostic) -> &str {
        self.files.name(diagnostic.span.file)
    }

    /// The start of a span as file, line and column.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let Span { file, start, .. } = span;
        Place { file: self.files.name(file).to_owned(), line: start.line, column: start.column }
    }

    /// The findings with the severities that `severity_of` returns; those for which it returns `None` are removed.
    #[must_use]
    pub fn map_severity(mut self, severity_of: impl Fn(&Diagnostic) -> Option<Severity>) -> Self {
        self.list.retain_mut(|finding| match severity_of(finding) {
            Some(severity) => {
                finding.severity = severity;
                true
            }
            None => false,
        });
        self
    }

    /// The findings as text for people: source excerpt, caret, reason and fix; with terminal colours if `colour` is set.
    #[must_use]
    pub fn to_text(&self, colour: bool) -> String {
        render::text(&self.files, &self.list, self.omitted, colour)
    }

    /// The findings as a JSON array, one object each, lines and columns counted from 1.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        render::json(&self.files, &self.list)
    }

    /// The findings as a SARIF 2.1.0 log; see [`sarif`] for the findings of several runs in one log.
    #[must_use]
    pub fn to_sarif(&self) -> serde_json::Value {
        sarif([self], "")
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(false))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Diagnostics {}

/// The maximum number of findings: more than people read, and few enough that a hostile file cannot exhaust memory.
const DIAGNOSTICS_MAX: usize = 500;
