//! Splits the text of an expression into tokens.

use std::ops::Range;

use super::Fault;

/// A token with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Name(String),
    /// The digits of an integer, without a sign.
    Integer(u64),
    Double(f64),
    Text(String),
    Symbol(&'static str),
    End,
}

/// The longest first.
const SYMBOLS: [&str; 26] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", "(", ")", "[", "]", "{", "}",
    ",", ".", "=", "&",
];

/// The tokens of a text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += blank(&text[at..]);
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            tokens.push(Token { at: at..at, kind: Kind::End });
            return Ok(tokens);
        };
        let (kind, length) = if first.is_ascii_digit() || (first == '.' && starts_with_digit(&rest[1..])) {
            number(rest, at)?
        } else if let Some(quoted) = quoted(rest, at) {
            quoted?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Kind::Name(rest[..length].to_owned()), length)
        } else {
            let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
            let Some(symbol) = symbol.filter(|symbol| *symbol != "&") else { return Err(unknown(first, at)) };
            (Kind::Symbol(symbol), symbol.len())
        };
        tokens.push(Token { at: at..at + length, kind });
        at += length;
    }
}

/// The length of white space and comments.
fn blank(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with("//") {
            return at;
        }
        at += trimmed.find('\n').unwrap_or(trimmed.len());
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn unknown(first: char, at: usize) -> Fault {
    let fix = match first {
        '&' => "write `&&`",
        '|' => "write `||`",
        '“' | '”' | '‘' | '’' => "write `\"` or `'`",
        ';' => "remove it: an expression has one value",
        '$' | '#' | '@' => "names have no such prefix: write `request.path`",
        '~' | '^' => "write `matches` as `startsWith`, `endsWith` or `contains`",
        _ => "remove it, or put it into a text: `\"...\"`",
    };
    let why = "an expression consists of names, texts, numbers and operators";
    Fault::new(at..at + first.len_utf8(), format!("`{first}` has no meaning here"), why, fix)
}

fn number(rest: &str, at: usize) -> Result<(Kind, usize), Fault> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let bad = |length: usize, why: &str, fix: &str| {
        Fault::new(at..at + length, format!("`{}` is not a number", &rest[..length]), why, fix)
    };
    if let Some(hexadecimal) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let length = hexadecimal.bytes().take_while(u8::is_ascii_hexdigit).count();
        let value = u64::from_str_radix(&hexadecimal[..length], 16);
        let value =
            value.map_err(|_| bad(length + 2, "it has no digits, or more than 64 bits", "write a smaller number"))?;
        return whole_word(rest, length + 2, Kind::Integer(value), at);
    }
    let mut length = digits(rest);
    let mut is_double = false;
    if rest[length..].starts_with('.') && starts_with_digit(&rest[length + 1..]) {
        length += 1 + digits(&rest[length + 1..]);
        is_double = true;
    }
    if rest[length..].starts_with(['e', 'E']) {
        let exponent = &rest[length + 1..];
        let sign = usize::from(exponent.starts_with(['+', '-']));
        if starts_with_digit(&exponent[sign..]) {
            length += 1 + sign + digits(&exponent[sign..]);
            is_double = true;
        }
    }
    let kind = if is_double {
        let value = rest[..length].parse::<f64>().ok().filter(|value| value.is_finite());
        Kind::Double(value.ok_or_else(|| bad(length, "it is out of range", "write a smaller number"))?)
    } else {
        let value = rest[..length].parse();
        Kind::Integer(value.map_err(|_| bad(length, "it has more than 64 bits", "write a smaller number"))?)
    };
    whole_word(rest, length, kind, at)
}

/// A number that ends where the word does.
fn whole_word(rest: &str, length: usize, kind: Kind, at: usize) -> Result<(Kind, usize), Fault> {
    let more = rest[length..].bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if more == 0 {
        return Ok((kind, length));
    }
    let (why, fix) = match &rest[length..length + more] {
        "u" | "U" => ("unsigned numbers are not offered", "remove `u`"),
        _ => ("a number has no unit", "write a number alone, or `duration(\"10m\")` for a time"),
    };
    Err(Fault::new(at..at + length + more, format!("`{}` is not a number", &rest[..length + more]), why, fix))
}

/// A text in quotes, if there is one: `"a"`, `'a'`, `"""a"""`, each perhaps raw.
fn quoted(rest: &str, at: usize) -> Option<Result<(Kind, usize), Fault>> {
    let prefix = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let quote = rest[prefix..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let is_raw = match &rest[..prefix] {
        "" => false,
        "r" | "R" => true,
        "b" | "B" | "br" | "bR" | "Br" | "BR" | "rb" | "rB" | "Rb" | "RB" => {
            let what = "a byte string";
            return Some(Err(Fault::new(
                at..at + prefix + 1,
                what,
                "byte strings are not offered",
                "write a text: `\"...\"`",
            )));
        }
        _ => return None,
    };
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let close = if rest[prefix..].starts_with(&triple) { triple } else { quote.to_string() };
    Some(
        text(&rest[prefix + close.len()..], &close, is_raw, at + prefix + close.len(), at)
            .map(|(text, length)| (Kind::Text(text), prefix + close.len() + length)),
    )
}

/// The characters up to the closing quotes, and the length with them.
fn text(rest: &str, close: &str, is_raw: bool, from: usize, start: usize) -> Result<(String, usize), Fault> {
    let mut out = String::new();
    let mut at = 0;
    loop {
        let tail = &rest[at..];
        if tail.starts_with(close) {
            return Ok((out, at + close.len()));
        }
        let next = tail.chars().next().filter(|c| close.len() == 3 || !matches!(c, '\n' | '\r'));
        let Some(next) = next else {
            let why = "a text ends with the quotes that it begins with, on the same line";
            return Err(Fault::new(start..from + at, "a text without an end", why, format!("add {close} at its end")));
        };
        if next == '\\' && !is_raw {
            let (character, length) = escape(&tail[1..]).ok_or_else(|| {
                let length = 1 + tail[1..].chars().next().map_or(0, char::len_utf8);
                let what = format!("`{}` is not an escape", &tail[..length]);
                let fix = "write `\\\\` for a backslash, or a raw text: `r\"...\"`";
                Fault::new(
                    from + at..from + at + length,
                    what,
                    "escapes are `\\n`, `\\t`, `\\\"`, `\\x41`, `\\u0041` and others of CEL",
                    fix,
                )
            })?;
            out.push(character);
            at += 1 + length;
        } else {
            out.push(next);
            at += next.len_utf8();
        }
    }
}

/// The character of an escape after its backslash, and its length.
fn escape(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let coded = |from: usize, length: usize, radix: u32| {
        let digits = text.get(from..from + length)?;
        let is_number = digits.chars().all(|c| c.is_digit(radix));
        let code = if is_number { u32::from_str_radix(digits, radix).ok()? } else { return None };
        Some((char::from_u32(code)?, from + length))
    };
    let plain = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '?' | '"' | '\'' | '`' => first,
        'x' | 'X' => return coded(1, 2, 16),
        'u' => return coded(1, 4, 16),
        'U' => return coded(1, 8, 16),
        '0'..='3' => return coded(0, 3, 8),
        _ => return None,
    };
    Some((plain, 1))
}
