//! Differences as text and as JSON.

use serde_json::{Value, json};
use tollgate_analysis::diff::{Change, Effect};

use crate::terminal::heading;

/// The differences for people, grouped by subject, with a summary.
pub(crate) fn text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no differences for requests\n".to_owned();
    }
    let mut out = String::new();
    let mut subject = "";
    for change in changes {
        if change.subject != subject {
            subject = &change.subject;
            out.push_str(&format!("{}\n", heading(subject)));
        }
        out.push_str(&line(change));
    }
    out.push_str(&format!("\n{}\n", summary(changes)));
    out
}

fn line(change: &Change) -> String {
    let value = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (None, Some(to)) => format!("+ {to}"),
        (Some(from), None) => format!("- {from}"),
        (None, None) => String::new(),
    };
    let loosens = if change.loosens { ", loosens protection" } else { "" };
    let mut out =
        format!("  {:<10}  {}: {value} ({}{loosens})\n", change.effect.as_str(), change.setting, change.reason);
    if let Some(witness) = &change.witness {
        out.push_str(&format!("              {witness}\n"));
    }
    out
}

fn summary(changes: &[Change]) -> String {
    let of = |effect| changes.iter().filter(|change| change.effect == effect).count();
    let loosening = changes.iter().filter(|change| change.loosens).count();
    let plural = if changes.len() == 1 { "" } else { "s" };
    format!(
        "{} difference{plural}: {} breaking, {} to review, {} compatible; {loosening} loosen protection",
        changes.len(),
        of(Effect::Breaking),
        of(Effect::Review),
        of(Effect::Compatible),
    )
}

/// The differences for programs.
pub(crate) fn json(changes: &[Change]) -> Value {
    json!({
        "changes": changes,
        "breaking": changes.iter().any(|change| change.effect == Effect::Breaking),
        "loosens": changes.iter().any(|change| change.loosens),
    })
}
