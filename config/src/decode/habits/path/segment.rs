//! The pieces of one segment: fixed text, and parameters as they are written here or in other routers.

use super::meant::is_name;
use crate::decode::habits::regex::{Matches, matches, quantifier};

/// A piece of a segment.
#[derive(Debug)]
pub(super) struct Piece<'t> {
    pub(super) raw: &'t str,
    pub(super) token: Token<'t>,
    /// Whether it is written as in another router.
    pub(super) is_foreign: bool,
}

/// What a piece stands for.
#[derive(Debug)]
pub(super) enum Token<'t> {
    /// This text.
    Text(&'t str),
    /// A value; `of` is a type or a regular expression.
    Parameter { name: &'t str, of: &'t str, is_optional: bool },
    /// What is left of the segment, and paths below it.
    Below,
    /// Nothing, such as the sign of an end.
    Nothing,
    /// Something that a path cannot express.
    Unclear,
}

impl<'t> Token<'t> {
    /// The text that stands for itself.
    pub(super) fn text(&self) -> &'t str {
        match self {
            Self::Text(text) => text,
            Self::Parameter { .. } | Self::Below | Self::Nothing | Self::Unclear => "",
        }
    }

    pub(super) fn name(&self) -> Option<&'t str> {
        match self {
            Self::Parameter { name, .. } => Some(name),
            Self::Text(_) | Self::Below | Self::Nothing | Self::Unclear => None,
        }
    }

    pub(super) fn is_optional(&self) -> bool {
        matches!(self, Self::Parameter { is_optional: true, .. })
    }

    fn parameter(name: &'t str, of: &'t str) -> Self {
        Self::Parameter { name, of, is_optional: false }
    }
}

impl Piece<'_> {
    /// Lets what is left of a segment that is not the last one be a parameter.
    pub(super) fn keep_segment(&mut self) {
        if let Token::Below = self.token {
            self.token = Token::parameter("", "[^/]+");
        }
    }
}

/// A number of bytes, what they stand for, and whether they are written as in another router.
type Found<'t> = (usize, Token<'t>, bool);

/// Whether a segment, or a part of it, has a parameter.
pub(super) fn has_parameter(segment: &str) -> bool {
    pieces(segment).iter().any(|piece| matches!(piece.token, Token::Parameter { .. } | Token::Below))
}

/// The pieces of a segment.
pub(super) fn pieces(segment: &str) -> Vec<Piece<'_>> {
    if let Some(token) = whole(segment) {
        return vec![Piece { raw: segment, token, is_foreign: true }];
    }
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(first) = segment[at..].chars().next() {
        let text = (first.len_utf8(), Token::Text(&segment[at..at + first.len_utf8()]), false);
        let (length, token, is_foreign) = piece(&segment[..at], &segment[at..]).unwrap_or(text);
        all.push(Piece { raw: &segment[at..at + length], token, is_foreign });
        at += length;
    }
    all
}

/// What a segment stands for as a whole.
fn whole(segment: &str) -> Option<Token<'_>> {
    let delimited = |open: &str, close: &str| segment.strip_prefix(open)?.strip_suffix(close);
    let rest = delimited("[[...", "]]").or_else(|| delimited("[...", "]"));
    if let Some(name) = rest.filter(|name| is_name(name)) {
        return Some(Token::parameter(name, ".*"));
    }
    if ["*", "**", "***"].contains(&segment) {
        return Some(Token::parameter("", segment));
    }
    if let Some(name) = segment.strip_prefix('*').map(|name| name.trim_start_matches('*')).filter(|name| is_name(name))
    {
        return Some(Token::parameter(name, ".*"));
    }
    let is_regex = segment.starts_with(['[', '(', '\\']) && segment.contains("{8}");
    if is_regex && matches(segment) == Matches::Uuid {
        return Some(Token::parameter("", segment));
    }
    let has_words = segment.contains('|') && !segment.contains(['{', '<', '(', '[']);
    has_words.then(|| match matches(segment) {
        Matches::OneOf(_) => Token::parameter("", segment),
        Matches::Int | Matches::Uuid | Matches::Rest | Matches::Any | Matches::Pattern => Token::Unclear,
    })
}

/// The piece at the beginning of a text that is more than one character of fixed text; `before` is in the same segment.
fn piece<'t>(before: &str, rest: &'t str) -> Option<Found<'t>> {
    let next = rest.chars().nth(1).unwrap_or(' ');
    match rest.chars().next()? {
        '{' => braces(rest),
        '$' | '#' if next == '{' => {
            let (length, token, _) = braces(&rest[1..])?;
            Some((length + 1, token, true))
        }
        ':' if (next.is_ascii_alphabetic() || next == '_') && !before.ends_with(is_word_end) => Some(colon(rest)),
        '<' => Some(angle(rest).unwrap_or((1, Token::Unclear, true))),
        '[' => Some(bracket(rest).unwrap_or((1, Token::Unclear, true))),
        '(' => group(rest).map(|found| below(before, rest, found)),
        '\\' => Some(escape(rest)),
        '.' if next == '*' || next == '+' => {
            let length = 1 + quantifier(&rest[1..]);
            Some(below(before, rest, (length, Token::parameter("", ".*"), true)))
        }
        '*' => {
            let length = rest.len() - rest.trim_start_matches('*').len();
            let is_end = length == rest.len();
            Some((length, if is_end { Token::Below } else { Token::parameter("", "[^/]+") }, true))
        }
        '^' => Some((1, Token::Nothing, true)),
        '|' | ']' | '>' => Some((1, Token::Unclear, true)),
        _ => None,
    }
}

/// Anything behind fixed text at the end of a segment is the rest of a prefix: `/users.*`, `/users(.*)`.
fn below<'t>(before: &str, rest: &str, (length, token, is_foreign): Found<'t>) -> Found<'t> {
    let is_end = length == rest.len() && !before.is_empty() && !before.ends_with('}');
    match token {
        Token::Parameter { name: "", of, .. } if is_end && matches(of) == Matches::Rest => {
            (length, Token::Below, is_foreign)
        }
        token => (length, token, is_foreign),
    }
}

/// Whether a colon behind this character is part of fixed text, as in `users:batchGet` and `{id}:cancel`.
fn is_word_end(c: char) -> bool {
    c.is_alphanumeric() || c == '}' || c == ')' || c == '_'
}

/// `{...}`, and what is written behind it for its repetition.
fn braces(rest: &str) -> Option<Found<'_>> {
    let end = closing(&rest[1..])? + 2;
    let (inside, behind) = (&rest[1..end - 1], &rest[end..]);
    let (token, is_foreign) = inside_braces(inside);
    match (behind, token) {
        ("?", Token::Parameter { name, of, .. }) => {
            Some((end + 1, Token::Parameter { name, of, is_optional: true }, true))
        }
        ("+", Token::Parameter { name, .. }) => Some((end + 1, Token::parameter(name, ".*"), true)),
        (_, token) => Some((end, token, is_foreign)),
    }
}

fn inside_braces(inside: &str) -> (Token<'_>, bool) {
    if let Some(inside) = inside.strip_prefix('{') {
        return (Token::parameter(inside.trim_matches(['{', '}', ' ']), ""), true);
    }
    if inside == "$" {
        return (Token::Nothing, true);
    }
    let (name, of) = inside.split_once([':', '=']).unwrap_or((inside, ""));
    if CONVERTERS.contains(&name) && is_name(of) && !is_our_type(of) {
        return (Token::parameter(of, name), true);
    }
    let of = if name.ends_with(' ') { of.trim() } else { of };
    let bare = name.trim().trim_matches(['*', '+', '.', '?']);
    let is_ours = !bare.is_empty()
        && (name == bare || name.strip_prefix('*') == Some(bare))
        && !inside.contains('=')
        && is_our_type(of);
    if is_ours || (!is_name(bare) && !bare.is_empty()) {
        return (Token::parameter(bare, of), false);
    }
    let is_rest = name.trim() != bare && !name.ends_with('?');
    // `{name=*}` is one segment, `{name=**}` the rest.
    let of = if inside.contains('=') && of == "*" { "" } else { of };
    let of = if is_rest { ".*" } else { of };
    (Token::Parameter { name: bare, of, is_optional: name.ends_with('?') }, true)
}

/// The end of what the first brace opens: a regular expression in it may have braces, too.
fn closing(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    rest.bytes().enumerate().find_map(|(at, byte)| match byte {
        b'{' => {
            depth += 1;
            None
        }
        b'}' if depth == 0 => Some(at),
        b'}' => {
            depth -= 1;
            None
        }
        _ => None,
    })
}

fn is_our_type(of: &str) -> bool {
    let is_list =
        of.len() > 2 && of.starts_with('(') && of.ends_with(')') && of[1..of.len() - 1].split('|').all(is_value);
    ["", "int", "uuid", "bool"].contains(&of) || is_list
}

/// Whether a value of a list stands for itself, and is no part of a regular expression.
fn is_value(value: &str) -> bool {
    !value.contains(['(', ')', '\\', '[', '*', '+', '?', '^']) && !value.ends_with('$')
}

/// `:name`, `:name?`, `:name*`, `:name(regex)`, `:name<regex>`.
fn colon(rest: &str) -> Found<'_> {
    let end = 1 + rest[1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len() - 1);
    let (name, behind) = (&rest[1..end], &rest[end..]);
    let of = match behind.chars().next() {
        Some('(') => group_end(behind, '(', ')').unwrap_or_default(),
        Some('<') => group_end(behind, '<', '>').unwrap_or_default(),
        _ => 0,
    };
    let (regex, behind) = behind.split_at(of);
    let regex = regex.trim_matches(['<', '>']);
    match behind.chars().next() {
        Some('?') => (end + of + 1, Token::Parameter { name, of: regex, is_optional: true }, true),
        Some('*' | '+') => (end + of + 1, Token::parameter(name, if of == 0 { ".*" } else { regex }), true),
        _ => (end + of, Token::parameter(name, regex), true),
    }
}

/// `<name>`, `<int:name>`, `<name:int>`, `<name:regex>`.
fn angle(rest: &str) -> Option<Found<'_>> {
    let end = group_end(rest, '<', '>')?;
    let inside = &rest[1..end - 1];
    // A converter may have arguments: `<regex("[a-z]{2}"):lang>`.
    let with_arguments = inside.rsplit_once(':').filter(|(of, name)| of.ends_with(')') && is_name(name));
    let with_arguments = with_arguments.filter(|(of, _)| of.split_once('(').is_some_and(|(word, _)| is_name(word)));
    let token = match with_arguments.or_else(|| inside.split_once(':')) {
        Some((of, name)) if with_arguments.is_some() => Token::parameter(name, of),
        Some((of, name)) if CONVERTERS.contains(&of) => Token::parameter(name, of),
        Some((name, of)) => Token::parameter(name, of.trim_start_matches("re:")),
        None => Token::parameter(inside, ""),
    };
    Some((end, token, true))
}

/// `[name]`, or a class of characters.
fn bracket(rest: &str) -> Option<Found<'_>> {
    let end = group_end(rest, '[', ']')?;
    let repeated = quantifier(&rest[end..]);
    let inside = rest[1..end - 1].trim_start_matches(':');
    let is_class = inside.bytes().all(|b| b.is_ascii_digit());
    if repeated == 0 && is_name(inside) && !inside.contains('-') && !is_class {
        return Some((end, Token::parameter(inside, ""), true));
    }
    Some((end + repeated, Token::parameter("", &rest[..end + repeated]), true))
}

/// A group of a regular expression; parentheses in other texts stand for themselves.
fn group(rest: &str) -> Option<Found<'_>> {
    let end = group_end(rest, '(', ')')?;
    let repeated = quantifier(&rest[end..]);
    let (inside, regex) = (&rest[1..end - 1], &rest[..end + repeated]);
    if let Some((name, of)) = inside
        .strip_prefix("?<")
        .or_else(|| inside.strip_prefix("?P<"))
        .and_then(|named| named.split_once('>'))
        .filter(|(name, _)| is_name(name))
    {
        return Some((end + repeated, Token::parameter(name, of), true));
    }
    if inside.starts_with('?') && !inside.starts_with("?:") {
        return Some((end + repeated, Token::Unclear, true));
    }
    let is_regex = repeated > 0 || inside.contains(['|', '*', '\\', '[', '?']) || inside.contains(".+");
    is_regex.then(|| (end + repeated, Token::parameter("", regex), true))
}

/// `\d+`, or an escaped character.
fn escape(rest: &str) -> Found<'_> {
    match rest.chars().nth(1) {
        Some('d' | 'D' | 'w' | 'W' | 's' | 'S') => {
            let length = 2 + quantifier(&rest[2..]);
            (length, Token::parameter("", &rest[..length]), true)
        }
        Some(c) if !c.is_alphanumeric() => (1 + c.len_utf8(), Token::Text(&rest[1..1 + c.len_utf8()]), true),
        Some(_) | None => (1, Token::Unclear, true),
    }
}

/// The length of what the first bracket opens.
fn group_end(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let counts = !is_escaped;
        is_escaped = c == '\\' && counts;
        depth = match c {
            c if counts && c == open => depth + 1,
            c if counts && c == close => depth.saturating_sub(1),
            _ => depth,
        };
        (depth == 0).then(|| at + c.len_utf8())
    })
}

/// The types that are written before the name of a parameter.
const CONVERTERS: &[&str] = &["int", "float", "string", "path", "uuid", "slug", "str", "any"];
