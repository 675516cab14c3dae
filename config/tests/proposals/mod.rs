//! Applies what a finding tells to write, and compiles the result.

use std::ops::Range;

use tollgate_config::{Diagnostic, Diagnostics, Position, Severity};

/// What a finding tells to write in the place that it shows.
struct Proposal {
    /// Texts, each of which can be written there.
    texts: Vec<String>,
    /// Whether they are examples, which may be of another project.
    is_example: bool,
}

/// Writes what all findings of a text tell to write; returns how many texts were written, and what is refused of them.
pub(crate) fn follow(text: &str, found: &Diagnostics, findings: impl Fn(&str) -> Diagnostics) -> (usize, Vec<String>) {
    let (mut count, mut refused) = (0, Vec::new());
    for finding in found {
        // The place of a list or mapping is only its beginning.
        let is_scalar = !["", "-", "[", "{"].contains(&text_at(text, finding));
        let Some(Proposal { texts, is_example }) = proposal(finding).filter(|_| is_scalar) else { continue };
        for proposed in texts {
            let quoted = serde_json::Value::from(proposed.as_str()).to_string();
            let written = [proposed, quoted].map(|proposed| replaced(text, finding, &proposed));
            let after = written.each_ref().map(|text| findings(text));
            if !after.iter().any(|after| is_accepted(after, finding, is_example)) {
                refused.push(format!("{found}\nwhat it tells to write is refused:\n{}", after[1]));
            }
            count += 1;
        }
    }
    (count, refused)
}

/// Whether nothing is wrong any more in the place of a finding.
fn is_accepted(after: &Diagnostics, before: &Diagnostic, is_example: bool) -> bool {
    let is_same = |finding: &&Diagnostic| finding.span.start == before.span.start;
    let is_wrong =
        |finding: &Diagnostic| finding.code == before.code || (finding.severity == Severity::Error && !is_example);
    // A text that is no YAML has no other findings.
    !after.iter().any(|finding| finding.code.id() == "TG0102") && !after.iter().filter(is_same).any(is_wrong)
}

fn proposal(finding: &Diagnostic) -> Option<Proposal> {
    let fix = finding.fix.as_str();
    let all = || fix.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let is_of_key = ["TG0201", "TG0203"].contains(&finding.code.id());
    let (texts, is_example) = if fix.starts_with("did you mean `") {
        (all(), false)
    } else if is_of_key
        || finding.code.id() == "TG0606"
        || fix.contains("NAME")
        || fix.contains("not in a list")
        || fix.contains("in place of")
    {
        return None;
    } else if fix.starts_with("write two routes, ") || fix.starts_with("write one route for each") {
        (all().into_iter().filter(|text| text.starts_with('/') && !text.contains('%')).collect(), false)
    } else if fix.starts_with("write a value such as ") || fix.starts_with("write a list, such as ") {
        (all(), true)
    } else {
        let rest = fix.strip_prefix("write the list `").or_else(|| fix.strip_prefix("write `"))?;
        let (first, behind) = rest.split_once('`')?;
        let other = behind.strip_prefix(" or `").and_then(|behind| behind.split_once('`'));
        // A key with its value is not written in the place of one of them.
        let is_one = !first.contains(": ")
            && !behind.starts_with(" and `")
            && !behind.starts_with(", `")
            && !behind.starts_with(" with `");
        let texts = std::iter::once(first).chain(other.map(|(other, _)| other)).map(str::to_owned).collect();
        let is_one = is_one || first.starts_with(['{', '[', '"', '/']);
        (if is_one { texts } else { Vec::new() }, false)
    };
    Some(Proposal { texts, is_example })
}

/// The text with another one in the place of a finding.
fn replaced(text: &str, finding: &Diagnostic, by: &str) -> String {
    let place = place(text, finding);
    format!("{}{by}{}", &text[..place.start], &text[place.end..])
}

fn text_at<'t>(text: &'t str, finding: &Diagnostic) -> &'t str {
    &text[place(text, finding)]
}

fn place(text: &str, finding: &Diagnostic) -> Range<usize> {
    let offset = |Position { line, column }| {
        let [line, column] = [line, column].map(|number| usize::try_from(number - 1).expect("a number"));
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        start + text[start..].chars().take(column).map(char::len_utf8).sum::<usize>()
    };
    offset(finding.span.start)..offset(finding.span.end)
}
