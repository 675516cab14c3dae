//! The requests of a path that has no template, such as `/files/{name}.{ext}` and `/files/{+path}`.

use tollgate_core::route::PathTemplate;

/// A path of OpenAPI, or of a URI template (RFC 6570), without the types of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Vec<String>>,
    /// Whether the last segment stands for several.
    has_rest: bool,
}

impl Pattern {
    pub(crate) fn new(path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut all: Vec<&str> = path.split('/').collect();
        let rest = all.iter().position(|segment| SEVERAL.iter().any(|sign| segment.contains(sign)));
        if let Some(at) = rest {
            all.truncate(at + 1);
        }
        Self { segments: all.iter().map(|segment| fixed_texts(segment)).collect(), has_rest: rest.is_some() }
    }

    /// A template that matches these requests and maybe others, and one that matches some of them only.
    pub(crate) fn templates(&self) -> Vec<PathTemplate> {
        let written = [false, true].map(|is_example| self.template(is_example));
        let mut found: Vec<PathTemplate> = written.iter().filter_map(|text| text.parse().ok()).collect();
        found.dedup();
        found
    }

    fn template(&self, is_example: bool) -> String {
        let mut text = String::new();
        for (place, texts) in self.segments.iter().enumerate() {
            let is_last = place + 1 == self.segments.len();
            text.push_str(&match texts.as_slice() {
                _ if is_last && self.has_rest => "/{*rest}".to_owned(),
                [_, _, _, ..] if is_example => format!("/{}", texts.join(VALUE)),
                [first, .., last] => format!("/{first}{{p{place}}}{last}"),
                texts => format!("/{}", texts.concat()),
            });
        }
        text
    }

    /// Whether a path is one of these requests; of what several segments stand for, any text is a value.
    pub(crate) fn has(&self, path: &str) -> bool {
        let found: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let compared = self.segments.len() - usize::from(self.has_rest);
        let is_long = if self.has_rest { found.len() > compared } else { found.len() == compared };
        is_long && self.segments.iter().take(compared).zip(found).all(|(texts, found)| has_texts(texts, found))
    }
}

/// The texts before, between and after the values of a segment.
fn fixed_texts(segment: &str) -> Vec<String> {
    let (mut texts, mut rest) = (Vec::new(), segment);
    while let Some((before, after)) = rest.split_once('{') {
        texts.push(before.to_owned());
        // A brace that is not closed is a value until the end of the segment.
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    texts.push(rest.to_owned());
    texts
}

/// Whether a segment has these texts in this order, with values between them that are not empty.
fn has_texts(texts: &[String], found: &str) -> bool {
    let (Some(first), Some(last)) = (texts.first(), texts.last()) else { return false };
    if texts.len() == 1 {
        return first == found;
    }
    let within = found.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
    let Some(mut rest) = within else { return false };
    for text in texts.iter().skip(1).take(texts.len() - 2) {
        let value = rest.chars().next().map_or(0, char::len_utf8);
        let after = rest.get(value..).unwrap_or_default();
        let Some(at) = after.find(text.as_str()).filter(|_| value > 0) else { return false };
        rest = &after[at + text.len()..];
    }
    !rest.is_empty()
}

/// A value that is no fixed text of a path.
pub(super) const VALUE: &str = "~~";

/// The signs of a value for several segments.
const SEVERAL: &[&str] = &["{+", "{*", "*}", "+}", "{/"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_the_requests_of_a_path_without_a_template() {
        for (path, template, has, has_not) in [
            (
                "/f/{name}.{ext}",
                "/f/{p1}",
                &["/f/a.b", "/f/a.b.c", "/f/..a"][..],
                &["/f/a", "/f/.b", "/f/a.", "/g/a.b"][..],
            ),
            ("/f/a{x}b{y}c", "/f/a{p1}c", &["/f/a1b2c"], &["/f/abc", "/f/a1c", "/f/a1bc"]),
            ("/f/{x}{y}", "/f/{p1}", &["/f/ab"], &["/f/a"]),
            ("/f/{+path}", "/f/{*rest}", &["/f/a", "/f/a/b"], &["/f", "/g/a"]),
            ("/{proxy+}/x", "/{*rest}", &["/a/x"], &[]),
            ("f/{id", "/f/{p1}", &["/f/a"], &["/f"]),
            ("/f?v=1", "/f", &["/f"], &["/g"]),
            ("/{b}/{x}.{y}", "/{p0}/{p1}", &["/1/~~.~~"], &["/1/~~"]),
        ] {
            let pattern = Pattern::new(path);
            assert_eq!(pattern.templates()[0].as_str(), template, "{path}");
            has.iter().for_each(|request| assert!(pattern.has(request), "{path} {request}"));
            let example = pattern.templates().last().map(PathTemplate::witness).unwrap_or_default();
            assert!(pattern.has(&example), "{path} {example}");
            has_not.iter().for_each(|request| assert!(!pattern.has(request), "{path} {request}"));
        }
    }
}
