//! Regular expressions for one segment of a path, and the parameter that matches about the same.

/// What a regular expression for one segment matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matches {
    /// Integers.
    Int,
    /// UUIDs.
    Uuid,
    /// One of a few words, as the list of a parameter's type.
    OneOf(String),
    /// Anything, across segments.
    Rest,
    /// Any text of a segment.
    Any,
    /// Texts of a pattern that a parameter cannot express.
    Pattern,
}

/// What a regular expression, or the name of a type in another router, matches.
pub(super) fn matches(text: &str) -> Matches {
    // Types of ASP.NET: `int:min(1)`, `regex(^[0-9]+$)`.
    let text = text.strip_prefix("regex(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
    let text = text.split_once(':').filter(|(of, _)| is_word(of)).map_or(text, |(of, _)| of);
    let text = without_anchors(text);
    let text = text.strip_prefix("(?:").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    let inner = text.strip_prefix('(').map_or(text, |rest| rest.strip_suffix(')').unwrap_or(rest));
    match inner.to_ascii_lowercase().as_str() {
        ".*" | ".+" | "*" | "**" | "***" | "path" => return Matches::Rest,
        "[^/]+" | "[^/]*" | "[^/]+?" | "[^\\/]+" | "string" | "str" | "text" | "any" | "required" => {
            return Matches::Any;
        }
        "int" | "integer" | "long" | "digit" | "digits" | "i32" | "i64" | "u64" => return Matches::Int,
        "uuid" | "guid" => return Matches::Uuid,
        "bool" | "boolean" => return Matches::OneOf("false|true".to_owned()),
        _ => {}
    }
    let class = inner.trim_end_matches(['+', '*', '?']);
    let class = class.split_once('{').map_or(class, |(class, _)| class);
    if ["[0-9]", "\\d", "\\\\d", "[\\d]", "[1-9][0-9]"].contains(&class) {
        return Matches::Int;
    }
    if let Some(words) = digits(inner) {
        return Matches::OneOf(words);
    }
    if text == inner && inner.contains('|') && inner.split('|').all(is_type) {
        return Matches::Pattern;
    }
    if inner.contains("{8}") && inner.contains("{12}") {
        return Matches::Uuid;
    }
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if inner.contains('|') && inner.split('|').all(is_word) {
        return Matches::OneOf(inner.to_owned());
    }
    Matches::Pattern
}

/// The fixed text before and behind the part of a regular expression that a parameter stands for: `.+\.pdf` ends in `.pdf`.
pub(super) fn parts(of: &str) -> (String, &str, String) {
    let whole = || (String::new(), of, String::new());
    if matches(of) != Matches::Pattern {
        return whole();
    }
    let text = of.strip_prefix("regex(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(of);
    let text = text.trim_start_matches('^').trim_end_matches('$');
    let group = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(|all| all.trim_start_matches("?:"));
    let text = group.filter(|all| !all.contains(['(', ')'])).unwrap_or(text);
    let atoms = atoms(text);
    let fixed = |atoms: &[Atom<'_>]| atoms.iter().filter_map(|atom| atom.fixed).collect::<String>();
    let (Some(first), Some(last)) =
        (atoms.iter().position(|atom| atom.fixed.is_none()), atoms.iter().rposition(|atom| atom.fixed.is_none()))
    else {
        return whole();
    };
    // `min(1)` is a type of another router.
    let is_type = first == last && atoms[first].raw.starts_with('(') && atoms[first].raw.ends_with(')') && first > 0;
    let (before, behind) = (fixed(&atoms[..first]), fixed(&atoms[last + 1..]));
    let is_text = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
    if is_type || !is_text(&before) || !is_text(&behind) || text.contains('|') {
        return whole();
    }
    let inner = atoms[first].at..atoms[last].at + atoms[last].raw.len();
    (before, &text[inner], behind)
}

/// A character of a regular expression, or a group or class, with its repetition.
struct Atom<'t> {
    at: usize,
    raw: &'t str,
    /// The character, if it stands for itself once.
    fixed: Option<char>,
}

fn atoms(text: &str) -> Vec<Atom<'_>> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let escaped = if first == '\\' { rest.chars().nth(1) } else { None };
        let (length, fixed) = match (first, escaped) {
            (_, Some(c)) => (1 + c.len_utf8(), (!c.is_alphanumeric()).then_some(c)),
            ('[', None) => (rest.find(']').map_or(rest.len(), |end| end + 1), None),
            ('(', None) => (rest.rfind(')').map_or(rest.len(), |end| end + 1), None),
            ('.', None) => (1, None),
            (c, None) => (c.len_utf8(), Some(c)),
        };
        let repeated = quantifier(&rest[length..]);
        let fixed = fixed.filter(|_| repeated == 0);
        all.push(Atom { at, raw: &rest[..length + repeated], fixed });
        at += length + repeated;
    }
    all
}

/// The length of a repetition: `*`, `+`, `?`, `{1,9}`, each also with `?` or `+` behind it.
pub(super) fn quantifier(rest: &str) -> usize {
    let length = match rest.chars().next() {
        Some('*' | '+' | '?') => 1,
        Some('{') => match rest.find('}') {
            Some(end) if rest[1..end].bytes().all(|b| b.is_ascii_digit() || b == b',') => end + 1,
            _ => return 0,
        },
        _ => return 0,
    };
    length + usize::from(rest[length..].starts_with(['?', '+']))
}

/// Whether a regular expression or type of integers is one of all integers, and not of those in a range or of a length.
pub(super) fn is_any_integer(text: &str) -> bool {
    let text = text.strip_prefix("regex(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    let inner = without_anchors(text).trim_start_matches("(?:").trim_start_matches('(').trim_end_matches(')');
    inner.bytes().all(|b| b.is_ascii_alphanumeric()) || (inner.ends_with(['+', '*']) && !inner.contains('{'))
}

fn without_anchors(text: &str) -> &str {
    text.trim_start_matches('^').trim_end_matches('$').trim_end_matches(")?")
}

/// The digits of a class of few of them: `[12]` is `1|2`, and so is `[1-2]`.
fn digits(class: &str) -> Option<String> {
    let inside = class.strip_prefix('[')?.strip_suffix(']')?;
    let all: Vec<char> = match inside.split_once('-') {
        Some((from, to)) => {
            let [from, to] = [from, to].map(|end| end.parse::<char>().ok().filter(char::is_ascii_digit));
            (from?..=to?).collect()
        }
        None => inside.chars().collect(),
    };
    let is_list = !all.is_empty() && all.iter().all(char::is_ascii_digit);
    is_list.then(|| all.iter().map(char::to_string).collect::<Vec<_>>().join("|"))
}

fn is_type(word: &str) -> bool {
    ["int", "integer", "number", "uuid", "guid", "bool", "boolean", "string", "str", "float", "double"].contains(&word)
}

impl Matches {
    /// The parameter with a name.
    pub(super) fn parameter(&self, name: &str) -> String {
        match self {
            Self::Int => format!("{{{name}:int}}"),
            Self::Uuid => format!("{{{name}:uuid}}"),
            Self::OneOf(words) => format!("{{{name}:({words})}}"),
            Self::Rest => format!("{{*{name}}}"),
            Self::Any | Self::Pattern => format!("{{{name}}}"),
        }
    }

    /// The name of a parameter that has none.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Int | Self::Uuid => "id",
            Self::Rest => "rest",
            Self::OneOf(_) | Self::Any | Self::Pattern => "name",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_a_parameter_cannot_express_is_not_any_text() {
        for text in ["[a-z]+", "alpha", "number", "float", "int|uuid", "[^/]{1,9}", "slug", "\\w+"] {
            assert_eq!(matches(text), Matches::Pattern, "{text}");
        }
        for text in ["[^/]+", "([^/]+)", "string", "^[^/]+$"] {
            assert_eq!(matches(text), Matches::Any, "{text}");
        }
        for (text, is_any) in [
            ("[0-9]+", true),
            ("regex(^[0-9]+$)", true),
            ("(\\d*)", true),
            ("int", true),
            ("i64", true),
            ("\\d{4}", false),
            ("[0-9]", false),
            ("int:min(1)", false),
        ] {
            assert_eq!((matches(text), is_any_integer(text)), (Matches::Int, is_any), "{text}");
        }
    }

    #[test]
    fn fixed_text_at_the_ends_of_an_expression_is_kept() {
        for (text, before, inner, behind) in [
            (".+\\.pdf", "", ".+", ".pdf"),
            ("^[a-z]+\\.tar\\.gz$", "", "[a-z]+", ".tar.gz"),
            ("img-[0-9]+", "img-", "[0-9]+", ""),
            ("v[0-9]+\\.[0-9]+b", "v", "[0-9]+\\.[0-9]+", "b"),
            ("regex(^a.*$)", "a", ".*", ""),
            ("ab*", "a", "b*", ""),
            ("(?:[a-z]+\\.pdf)", "", "[a-z]+", ".pdf"),
            ("[a-z]+", "", "[a-z]+", ""),
            (".*", "", ".*", ""),
            ("alpha", "", "alpha", ""),
            ("min(1)", "", "min(1)", ""),
            ("a|b.+", "", "a|b.+", ""),
            (".+\\/x", "", ".+\\/x", ""),
        ] {
            assert_eq!(parts(text), (before.to_owned(), inner, behind.to_owned()), "{text}");
        }
    }

    #[test]
    fn usual_expressions_have_a_parameter_of_the_same_meaning() {
        for (text, parameter) in [
            ("[0-9]+", "{id:int}"),
            ("\\d+", "{id:int}"),
            ("(\\d{1,9})", "{id:int}"),
            (".*", "{*rest}"),
            ("(.+)", "{*rest}"),
            ("[^/]+", "{name}"),
            ("[a-z]+", "{name}"),
            ("(open|closed)", "{name:(open|closed)}"),
            ("guid", "{id:uuid}"),
            ("(open|closed)?", "{name:(open|closed)}"),
            ("regex(^[0-9]+$)", "{id:int}"),
            ("int:min(1)", "{id:int}"),
            ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "{id:uuid}"),
        ] {
            let found = matches(text);
            assert_eq!(found.parameter(found.name()), parameter, "{text}");
        }
    }
}
