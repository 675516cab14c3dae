//! The intersection of two templates as a list of templates, so that it can be compared with other templates.

use tollgate_core::route::{ParameterType, Segment};

use super::cover::takes_all;
use super::segment::overlaps;

/// Templates that together match exactly the paths that both match; `None` if there are no such templates, or too many.
pub(super) fn meets(a: &[Segment], b: &[Segment]) -> Option<Vec<Vec<Segment>>> {
    let mut all: Vec<Vec<Segment>> = vec![Vec::new()];
    let (mut a, mut b) = (a.iter(), b.iter());
    loop {
        let (x, y) = match (a.next(), b.next()) {
            (None, None) => return Some(all),
            (None, Some(_)) | (Some(_), None) => return Some(Vec::new()),
            (Some(x), Some(y)) => (x, y),
        };
        let rest = match (x, y) {
            (Segment::Rest { .. }, _) => std::iter::once(y).chain(b),
            (_, Segment::Rest { .. }) => std::iter::once(x).chain(a),
            (_, _) => {
                let both = meet(x, y)?;
                if all.len().saturating_mul(both.len()) > MEETS_MAX {
                    return None;
                }
                let longer = |done: &Vec<Segment>| -> Vec<Vec<Segment>> {
                    both.iter().map(|next| done.iter().chain([next]).cloned().collect()).collect()
                };
                all = all.iter().flat_map(longer).collect();
                continue;
            }
        };
        let rest: Vec<Segment> = rest.cloned().collect();
        all.iter_mut().for_each(|done| done.extend(rest.iter().cloned()));
        return Some(all);
    }
}

/// The same for two segments, neither of which is `{*rest}`.
fn meet(a: &Segment, b: &Segment) -> Option<Vec<Segment>> {
    if takes_all(a, b) {
        return Some(vec![b.clone()]);
    }
    if takes_all(b, a) {
        return Some(vec![a.clone()]);
    }
    match (a, b) {
        (Segment::Literal(text), other) | (other, Segment::Literal(text)) => {
            let taken = other.value_of(text).is_some();
            Some(taken.then(|| Segment::Literal(text.clone())).into_iter().collect())
        }
        (one_of @ Segment::Parameter { of: ParameterType::OneOf(_), .. }, other)
        | (other, one_of @ Segment::Parameter { of: ParameterType::OneOf(_), .. }) => Some(filtered(one_of, other)),
        (
            Segment::Parameter { prefix: p, of: ParameterType::Any, suffix: s, name },
            Segment::Parameter { prefix: q, of: ParameterType::Any, suffix: t, .. },
        ) => {
            let prefix = if p.len() >= q.len() { p } else { q };
            let suffix = if s.len() >= t.len() { s } else { t };
            let between = Segment::Parameter {
                prefix: prefix.clone(),
                name: name.clone(),
                of: ParameterType::Any,
                suffix: suffix.clone(),
            };
            if !(takes_all(a, &between) && takes_all(b, &between)) {
                return Some(Vec::new());
            }
            let is_taken = |text: &String| a.value_of(text).is_some() && b.value_of(text).is_some();
            let others = overlaps(prefix, suffix).filter(is_taken).map(Segment::Literal);
            Some(std::iter::once(between).chain(others).collect())
        }
        (Segment::Parameter { .. } | Segment::Rest { .. }, _) => None,
    }
}

/// The values of a list that the other segment also matches.
fn filtered(one_of: &Segment, other: &Segment) -> Vec<Segment> {
    let Segment::Parameter { prefix, of: ParameterType::OneOf(values), suffix, .. } = one_of else { return Vec::new() };
    let texts = values.iter().map(|value| format!("{prefix}{value}{suffix}"));
    texts.filter(|text| other.value_of(text).is_some()).map(Segment::Literal).collect()
}

/// The maximum number of templates of an intersection.
const MEETS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tollgate_core::route::PathTemplate;

    fn segment() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "/a",
            "/b",
            "/{x}",
            "/a{x}",
            "/{x}a",
            "/ab{x}",
            "/{x}ba",
            "/a{x}b",
            "/{x:(a|ab)}",
            "/{x:(ab|b)}",
            "/{*x}",
        ])
        .prop_map(str::to_owned)
    }

    fn takes(segment: &Segment, text: &str) -> bool {
        matches!(segment, Segment::Rest { .. }) || segment.value_of(text).is_some()
    }

    proptest! {
        /// One of the templates matches a text if and only if both segments do.
        #[test]
        fn the_intersection_matches_what_both_match(a in segment(), b in segment(), text in "[ab]{1,5}") {
            let (a, b): (PathTemplate, PathTemplate) = (a.parse().unwrap(), b.parse().unwrap());
            let met = meets(a.segments(), b.segments()).unwrap();
            let both = takes(&a.segments()[0], &text) && takes(&b.segments()[0], &text);
            prop_assert_eq!(met.iter().any(|met| takes(&met[0], &text)), both, "{} {} {}", a, b, text);
        }
    }
}
