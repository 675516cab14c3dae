//! The lists of networks that policies read from files of the project: one network a line.

use tollgate_core::bounds::NETWORKS_MAX;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::Project;
use crate::place::{FileId, Position, Span, Spanned};
use crate::policies::Written;
use crate::source::{Limits, Loader};

/// Adds the networks of the files that policies name to their lists.
pub(crate) fn expand(project: &mut Project, loader: &mut Loader, report: &mut Report) {
    let of_apis = project.apis.iter_mut().filter_map(|(_, api)| api.as_mut()).flat_map(|api| &mut api.policies);
    for policy in project.policies.iter_mut().chain(of_apis).filter_map(|(_, policy)| policy.as_mut()) {
        for (file, list) in FILES {
            add(&mut policy.written, (file, list), loader, report);
        }
    }
}

/// The keys that name files, each with the key of the list to which the networks are added.
const FILES: [(&str, &str); 2] = [("allow-file", "allow"), ("deny-file", "deny")];

fn add(written: &mut Written, (key, list): (&str, &'static str), loader: &mut Loader, report: &mut Report) {
    let Some(named) = written.text(key) else { return };
    let Some(file) = loader.load_beside(&named, &LIMITS, report) else { return };
    let networks = networks(loader.files().text(file), file);
    if networks.is_empty() {
        report.push(
            Diagnostic::error(Code::EmptyValue, named.span, format!("`{}` has no networks", named.value))
                .why("an empty list could mean nothing or everything")
                .fix("write a network in each line, or remove the key"),
        );
        return;
    }
    if networks.len() + written.list(list).len() > NETWORKS_MAX {
        report.push(
            Diagnostic::error(
                Code::TooMany,
                named.span,
                format!("the list `{list}` has more than {NETWORKS_MAX} networks"),
            )
            .why(format!("`{}` has {} of them, and the memory of an edge is bounded", named.value, networks.len()))
            .fix("combine adjacent networks to larger ones, or split the list over several policies"),
        );
        return;
    }
    written.extend(list, named.span, networks);
}

/// The networks of a text, each with its place. What follows `#` or `;` in a line is a comment.
fn networks(text: &str, file: FileId) -> Vec<Spanned<String>> {
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().zip(1_u32..);
    let network = |(line, number): (&str, u32)| {
        let content = line.split(['#', ';']).next().unwrap_or_default();
        let network = content.trim();
        let before = content.len() - content.trim_start().len();
        let column = |at: usize| u32::try_from(content[..at].chars().count() + 1).unwrap_or(u32::MAX);
        let position = |at| Position { line: number, column: column(at) };
        let span = Span { file, start: position(before), end: position(before + network.len()) };
        (!network.is_empty()).then(|| Spanned::new(network.to_owned(), span))
    };
    lines.filter_map(network).collect()
}

/// The longest lists with a comment for each network.
const LIMITS: Limits = Limits { bytes: 2 << 20, ..Limits::AUTHORED };
