//! Diagnostics as SARIF 2.1.0, which code hosting services and editors show next to the lines.

use serde_json::{Value, json};

use super::{Code, Diagnostic, Diagnostics, Related, Severity};
use crate::place::{Files, Span};

/// Writes the findings of several runs, such as those of a project and of its fixtures, to one log.
///
/// `folder` is the project's folder, relative to the analysed root (or absolute); it is prepended to the names of files.
/// The log contains only rules with findings.
#[must_use]
pub fn sarif<'d>(all: impl IntoIterator<Item = &'d Diagnostics>, folder: &str) -> Value {
    let all: Vec<&Diagnostics> = all.into_iter().collect();
    let mut codes: Vec<Code> = all.iter().flat_map(|found| found.iter()).map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let log = Log { codes, folder };
    let results = all.iter().flat_map(|found| found.iter().map(|finding| log.result(&found.files, finding)));
    let results: Vec<Value> = results.collect();
    let sound = !all.iter().any(|found| found.has_errors());
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Tollgate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": log.codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            }},
            "invocations": [{ "executionSuccessful": true, "properties": { "sound": sound } }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// The context of the log's entries.
struct Log<'a> {
    /// The rules, in the order of the log.
    codes: Vec<Code>,
    folder: &'a str,
}

impl Log<'_> {
    fn result(&self, files: &Files, finding: &Diagnostic) -> Value {
        json!({
            "ruleId": finding.code.id(),
            "ruleIndex": self.codes.binary_search(&finding.code).unwrap_or_default(),
            "level": level(finding.severity),
            "message": { "text": message(finding) },
            "locations": [{ "physicalLocation": self.place(files, finding.span) }],
            "relatedLocations":
                finding.related.iter().enumerate().map(|(at, related)| self.related(files, at, related)).collect::<Vec<_>>(),
            "properties": { "what": finding.what, "why": finding.why, "fix": finding.fix },
        })
    }

    fn related(&self, files: &Files, id: usize, related: &Related) -> Value {
        json!({
            "id": id,
            "physicalLocation": self.place(files, related.span),
            "message": { "text": related.label },
        })
    }

    fn place(&self, files: &Files, span: Span) -> Value {
        json!({
            "artifactLocation": self.file(files.name(span.file)),
            "region": {
                "startLine": span.start.line,
                "startColumn": span.start.column,
                "endLine": span.end.line,
                "endColumn": span.end.column,
            },
        })
    }

    /// The file, relative to the analysed root unless the folder is absolute.
    fn file(&self, name: &str) -> Value {
        let folder = self.folder.replace('\\', "/");
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        let path = if folder.is_empty() || folder == "." { name.to_owned() } else { format!("{folder}/{name}") };
        let uri: String = path.bytes().map(escaped).collect();
        if folder.starts_with('/') {
            return json!({ "uri": format!("file://{uri}") });
        }
        if folder.as_bytes().get(1) == Some(&b':') {
            return json!({ "uri": format!("file:///{uri}") });
        }
        json!({ "uri": uri, "uriBaseId": "%SRCROOT%" })
    }
}

/// A byte of a path in a URI (RFC 3986, section 3.3); `:` is escaped too, so that nothing looks like a scheme.
fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.id(),
        "name": code.name(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": code.explanation() },
        "help": {
            "text": format!("{} {}", code.title(), code.explanation()),
            "markdown": format!("**{}** {}\n\n`tollgate explain {code}` shows an example.", code.title(), code.explanation()),
        },
        "helpUri": format!("urn:tollgate:diagnostic:{code}"),
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What, why and fix as sentences, because some viewers show only the message.
fn message(finding: &Diagnostic) -> String {
    let parts = [("", &finding.what), ("Why: ", &finding.why), ("Fix: ", &finding.fix)];
    let present = parts.iter().filter(|(_, text)| !text.is_empty());
    present.map(|(label, text)| format!("{label}{text}.")).collect::<Vec<_>>().join(" ")
}
