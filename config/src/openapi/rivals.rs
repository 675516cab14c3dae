//! Which of several operations that match the same requests is routed.

use std::collections::{HashMap, HashSet};

use super::operations::Operation;
use super::reference::short;
use super::walk::{Candidate, Imported, REPORTED_MAX};
use crate::diagnostic::{Code, Diagnostic, Report};

/// The places of the operations that are not routed, because another one for the same requests is stricter, or none is.
///
/// This is decided when all operations are known, so that their order has no effect.
pub(super) fn lost(
    candidates: &[Candidate],
    shapes: HashMap<(String, &'static str), Vec<usize>>,
    imported: &mut Imported,
    report: &mut Report,
) -> HashSet<usize> {
    let mut groups: Vec<Vec<usize>> = shapes.into_values().filter(|places| places.len() > 1).collect();
    groups.sort_unstable();
    let mut lost = HashSet::new();
    for group in groups {
        let operation = |place: usize| &candidates[place].operation;
        let strictest = strictest(&group, operation);
        let kept = strictest.or(group.first().copied()).unwrap_or_default();
        imported.refused += usize::from(strictest.is_none());
        for other in group.iter().copied().filter(|place| *place != kept) {
            imported.refused += 1;
            if imported.refused <= REPORTED_MAX {
                report.push(same_requests(operation(kept), operation(other), strictest.is_some()));
            }
        }
        lost.extend(group.into_iter().filter(|place| Some(*place) != strictest));
    }
    lost
}

/// The operation that requires all that the others require; none if they have different `x-tollgate`.
///
/// Only the last one that is stricter than the one before can be it, so each is compared twice at most.
fn strictest<'o>(group: &[usize], operation: impl Fn(usize) -> &'o Operation) -> Option<usize> {
    let stricter = |kept: usize, other: usize| {
        let (kept_one, other_one) = (operation(kept), operation(other));
        let is_other = other_one.is_as_strict_as(kept_one) && !kept_one.is_as_strict_as(other_one);
        if is_other { other } else { kept }
    };
    let found = group.iter().copied().reduce(stricter)?;
    let is_decided = |other: &usize| {
        let (found, other) = (operation(found), operation(*other));
        found.is_as_strict_as(other) && has_same_extensions(found, other)
    };
    group.iter().all(is_decided).then_some(found)
}

fn has_same_extensions(a: &Operation, b: &Operation) -> bool {
    a.extensions.len() == b.extensions.len() && a.extensions.iter().zip(&b.extensions).all(|(a, b)| a.is_same(b))
}

/// The finding about two operations that match the same requests; both are not routed if it is not decided which is.
fn same_requests(kept: &Operation, other: &Operation, is_decided: bool) -> Diagnostic {
    let (method, of_kept, of_other) = (kept.method, short(kept.path()), short(other.path()));
    let why = "paths that differ only in the names of their parameters match the same requests";
    let (what, why) = if is_decided {
        let what = format!("`{method} {of_other}` is not routed: `{method} {of_kept}` matches the same requests");
        (what, format!("{why}; the stricter of two such operations is routed"))
    } else {
        let what = format!(
            "`{method} {of_kept}` and `{method} {of_other}` are not routed: they match the same requests, and neither \
             requires all that the other one requires"
        );
        (what, format!("{why}, and nothing decides which of the requirements or `x-tollgate` applies"))
    };
    Diagnostic::warning(Code::NotRouted, other.span, what)
        .why(why)
        .fix("remove one of them, or change one of the paths")
        .related(kept.span, "the other operation")
}
