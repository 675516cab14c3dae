//! Operations with requests in common, and the types of parameters that would divide them.
//!
//! A request whose value is not of a parameter's type is answered by the next operation that matches it. If that one
//! required less, callers would pass with a value that the upstream reads as the type: `5.0` for an integer.

use std::collections::{HashMap, HashSet};

use tollgate_core::route::{PathTemplate, Precedence, Segment};

use super::Spec;
use super::operations::Operation;
use super::security::implies;

impl Spec {
    /// Removes the types of an operation's parameters if another one would answer the rest of its requests and requires less.
    pub(super) fn widen(&mut self, is_routed: impl Fn(usize) -> bool) {
        let routed: Vec<&Operation> =
            self.operations.iter().enumerate().filter(|(place, _)| is_routed(*place)).map(|(_, one)| one).collect();
        let mut groups: HashMap<(&str, usize), Vec<(&Operation, PathTemplate)>> = HashMap::new();
        for operation in &routed {
            let key = (operation.method, operation.template.segments().len());
            groups.entry(key).or_default().push((operation, untyped(&operation.template)));
        }
        let mut remaining = COMPARED_MAX;
        let mut widened: HashSet<String> = HashSet::new();
        for operation in routed.iter().filter(|one| is_typed(one) && one.requires_credential()) {
            let (label, count) = (untyped(&operation.template), operation.template.segments().len());
            let head = (operation.method == "GET" && !operation.has_head).then_some("HEAD");
            let methods = std::iter::once(operation.method).chain(head);
            let mut others = methods.filter_map(|method| groups.get(&(method, count))).flatten();
            if others.any(|(other, path)| takes_rest(operation, &label, other, path, &mut remaining)) {
                widened.insert(label.as_str().to_owned());
            }
        }
        for operation in &mut self.operations {
            if is_typed(operation) && widened.contains(operation.template.label()) {
                operation.template = untyped(&operation.template);
            }
        }
    }
}

/// Whether another operation, which requires less, answers requests of this one that do not have its types; also assumed
/// when there were too many comparisons.
fn takes_rest(
    operation: &Operation,
    label: &PathTemplate,
    other: &Operation,
    path: &PathTemplate,
    remaining: &mut usize,
) -> bool {
    if *remaining == 0 {
        return true;
    }
    *remaining -= 1;
    if !overlap(label, path) || precedence(path) < precedence(label) {
        return false;
    }
    *remaining = remaining.saturating_sub(IMPLIES_WORK);
    !implies(other.requirement.as_ref(), operation.requirement.as_ref())
}

/// Whether there is a path that both templates match with equal precedence.
pub(super) fn is_conflict(a: &PathTemplate, b: &PathTemplate) -> bool {
    precedence(a) == precedence(b) && overlap(a, b)
}

fn is_typed(operation: &Operation) -> bool {
    operation.template.label() != operation.template.as_str()
}

/// The template without the types of its parameters.
pub(super) fn untyped(template: &PathTemplate) -> PathTemplate {
    let is_typed = template.label() != template.as_str();
    let label = is_typed.then(|| template.label().parse().ok()).flatten();
    label.unwrap_or_else(|| template.clone())
}

fn precedence(template: &PathTemplate) -> Vec<Precedence> {
    template.segments().iter().map(Segment::precedence).collect()
}

/// Whether there is a path that both templates match, apart from types.
fn overlap(a: &PathTemplate, b: &PathTemplate) -> bool {
    let (a, b) = (a.segments(), b.segments());
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| meet(a, b))
}

/// Whether there is a segment that both match, apart from types.
fn meet(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Rest { .. }, _) | (_, Segment::Rest { .. }) => true,
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Literal(text), Segment::Parameter { prefix, suffix, .. })
        | (Segment::Parameter { prefix, suffix, .. }, Segment::Literal(text)) => {
            text.len() > prefix.len() + suffix.len()
                && text.starts_with(prefix.as_str())
                && text.ends_with(suffix.as_str())
        }
        (Segment::Parameter { prefix: a, suffix: c, .. }, Segment::Parameter { prefix: b, suffix: d, .. }) => {
            (a.starts_with(b.as_str()) || b.starts_with(a.as_str()))
                && (c.ends_with(d.as_str()) || d.ends_with(c.as_str()))
        }
    }
}

/// The number of comparisons after which types are removed without one.
const COMPARED_MAX: usize = 4_000_000;

/// The comparisons of templates that cost as much as one of requirements.
const IMPLIES_WORK: usize = 64;
