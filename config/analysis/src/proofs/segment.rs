//! Finds paths that two templates share, segment by segment.

use tollgate_core::route::{CanonicalPath, ParameterType, Segment};

/// A path that both templates match, in canonical form; `None` if they share no path.
pub(crate) fn shared_path(a: &[Segment], b: &[Segment]) -> Option<String> {
    path_of(&shared_texts(a, b)?)
}

/// The decoded segments of a path that both templates match; `None` if they share no path.
pub(super) fn shared_texts(a: &[Segment], b: &[Segment]) -> Option<Vec<String>> {
    let mut texts: Vec<String> = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter(), b.iter());
    loop {
        let (x, y) = match (a.next(), b.next()) {
            (None, None) => return Some(texts),
            (None, Some(_)) | (Some(_), None) => return None,
            (Some(x), Some(y)) => (x, y),
        };
        texts.push(shared_text(x, y)?);
        let rest = match (x, y) {
            (Segment::Rest { .. }, Segment::Rest { .. }) => return Some(texts),
            (Segment::Rest { .. }, _) => b,
            (_, Segment::Rest { .. }) => a,
            (_, _) => continue,
        };
        texts.extend(rest.map(Segment::example));
        return Some(texts);
    }
}

/// The canonical path of decoded segments; `None` if no request can contain them.
pub(crate) fn path_of(texts: &[String]) -> Option<String> {
    let mut raw = String::new();
    for text in texts {
        raw.push('/');
        // Characters with a meaning in paths or escapes are escaped; the parser handles the others.
        for byte in text.bytes() {
            match byte {
                b'/' | b'%' | b'?' | b'#' | b'\\' | b';' => raw.push_str(&format!("%{byte:02X}")),
                b'!'..=b'~' => raw.push(char::from(byte)),
                _ => raw.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    CanonicalPath::parse(raw.as_bytes()).ok().map(|path| path.as_str().to_owned())
}

/// A decoded segment that both match; `None` only if there is none.
pub(crate) fn shared_text(a: &Segment, b: &Segment) -> Option<String> {
    let both = |text: String| {
        let taken = a.value_of(&text).is_some() && b.value_of(&text).is_some();
        (taken && path_of(std::slice::from_ref(&text)).is_some()).then_some(text)
    };
    match (a, b) {
        (Segment::Rest { .. }, other) | (other, Segment::Rest { .. }) => Some(other.example()),
        (Segment::Literal(text), _) | (_, Segment::Literal(text)) => both(text.clone()),
        (
            Segment::Parameter { prefix: p, of, suffix: s, .. },
            Segment::Parameter { prefix: q, of: other, suffix: t, .. },
        ) => match (of, other) {
            (ParameterType::OneOf(values), _) => values.iter().find_map(|value| both(format!("{p}{value}{s}"))),
            (_, ParameterType::OneOf(values)) => values.iter().find_map(|value| both(format!("{q}{value}{t}"))),
            (ParameterType::Uuid, _) => both(uuid_within(p, s, q, t)?),
            (_, ParameterType::Uuid) => both(uuid_within(q, t, p, s)?),
            (ParameterType::Int | ParameterType::Any, ParameterType::Int | ParameterType::Any) => {
                let prefix = if p.len() >= q.len() { p } else { q };
                let suffix = if s.len() >= t.len() { s } else { t };
                let filled = FILLERS.iter().map(|filler| format!("{prefix}{filler}{suffix}"));
                filled.chain(overlaps(prefix, suffix)).find_map(both)
            }
        },
    }
}

/// Whether both match the same texts.
pub(crate) fn is_same(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Literal(x), Segment::Literal(y)) => x == y,
        (
            Segment::Parameter { prefix: p, of: x, suffix: s, .. },
            Segment::Parameter { prefix: q, of: y, suffix: t, .. },
        ) => p == q && s == t && x == y,
        (Segment::Rest { .. }, Segment::Rest { .. }) => true,
        (Segment::Literal(_) | Segment::Parameter { .. } | Segment::Rest { .. }, _) => false,
    }
}

/// Texts that begin with the prefix and end with the suffix, with nothing between them; the two may overlap.
pub(super) fn overlaps<'t>(prefix: &'t str, suffix: &'t str) -> impl Iterator<Item = String> + 't {
    (0..=prefix.len().min(suffix.len())).filter_map(move |shared| {
        let (both, rest) = suffix.split_at_checked(shared)?;
        prefix.ends_with(both).then(|| format!("{prefix}{rest}"))
    })
}

/// A UUID between `prefix` and `suffix`, so that the whole text begins and ends with the other texts.
fn uuid_within(prefix: &str, suffix: &str, begins: &str, ends: &str) -> Option<String> {
    let begins = begins.strip_prefix(prefix).unwrap_or_default();
    let ends = ends.strip_suffix(suffix).unwrap_or_default();
    let example = ParameterType::Uuid.example();
    let middle = example.get(begins.len()..example.len().checked_sub(ends.len())?)?;
    Some(format!("{prefix}{begins}{middle}{ends}{suffix}"))
}

/// Example values: one of them is a value of every type without a list, and does not begin an escape.
const FILLERS: &[&str] = &["a", "1", "x"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tollgate_core::route::PathTemplate;

    fn template(text: &str) -> PathTemplate {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(a: &str, b: &str, expected: Option<&str>) {
        let (a, b) = (template(a), template(b));
        assert_eq!(shared_path(a.segments(), b.segments()).as_deref(), expected, "{a} {b}");
        assert_eq!(shared_path(b.segments(), a.segments()).is_some(), expected.is_some(), "{b} {a}");
    }

    #[test]
    fn a_shared_path_matches_both_templates() {
        check("/a/{x}", "/{y}/b", Some("/a/b"));
        check("/a/{x}", "/a", None);
        check("/a/{*x}", "/{y}/b/{z:int}", Some("/a/b/1"));
        check("/{*x}", "/{*y}", Some("/a"));
        check("/{x:int}", "/{y:uuid}", None);
        check("/{x:int}", "/4{y}2", Some("/412"));
        check("/{x:int}", "/v{y:int}", None);
        check("/a{x:int}", "/{y}-1", Some("/a-1"));
        check("/{x:int}", "/-{y:int}", Some("/-1"));
        check("/{x:bool}", "/{y}e", Some("/false"));
        check("/{x:(a|b)}", "/{y:(b|c)}", Some("/b"));
        check("/{x:(a|b)}", "/{y:(c|d)}", None);
        check("/{x:uuid}", "/0188{y}ff", Some("/01880000-0000-4000-8000-0000000000ff"));
        check("/{x:uuid}", "/00000000-0000-4000-8000-{y:int}", Some("/00000000-0000-4000-8000-000000000000"));
        check("/{x:uuid}", "/a{y:uuid}", None);
        check("/%25{x}", "/{y}41", Some("/%25x41"));
    }

    fn segment() -> impl Strategy<Value = String> {
        let fixed = || prop::sample::select(vec!["", "a", "1", "-", "1a", "-1"]);
        let of = prop::sample::select(vec!["{x}", "{x:int}", "{x:bool}", "{x:(1|a|11|-1)}", "{x:(a1|-)}", "{*x}", ""]);
        (fixed(), of, fixed()).prop_map(|(prefix, of, suffix)| match of {
            "{*x}" => of.to_owned(),
            "" => format!("b{prefix}{suffix}"),
            _ => format!("{prefix}{of}{suffix}"),
        })
    }

    proptest! {
        /// A shared text is found if both match some short text, and the found text matches both.
        #[test]
        fn a_shared_text_is_found_if_there_is_one(a in segment(), b in segment()) {
            let (a, b) = (template(&format!("/{a}")), template(&format!("/{b}")));
            let (a, b) = (&a.segments()[0], &b.segments()[0]);
            let letters = ["a", "1", "-", "b"];
            let mut texts: Vec<String> = vec!["true".into(), "false".into(), "1true".into(), "atrue".into()];
            let mut last = vec![String::new()];
            for _ in 0..5 {
                last = last.iter().flat_map(|t| letters.iter().map(move |l| format!("{t}{l}"))).collect();
                texts.extend(last.iter().cloned());
            }
            let takes = |text: &String| a.value_of(text).is_some() && b.value_of(text).is_some();
            let found = shared_text(a, b);
            if let Some(found) = &found {
                prop_assert!(takes(found), "{found}");
            }
            if texts.iter().any(takes) {
                prop_assert!(found.is_some());
            }
        }
    }
}
