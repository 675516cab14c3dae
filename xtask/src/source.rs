//! Scans Rust source: separates words of the code from comments and strings.

/// Whether the code of `source` contains `word` as a whole word.
pub(crate) fn says(source: &str, word: &str) -> bool {
    let code = code_of(source);
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    })
}

/// A word or a single mark of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'c> {
    /// A name, a keyword or a number.
    Word(&'c str),
    /// Anything else but white space.
    Mark(char),
}

/// Code without comments and without the contents of string literals.
pub(crate) struct Code(String);

impl Code {
    pub(crate) fn of(source: &str) -> Self {
        Self(code_of(source))
    }

    /// Its words and marks, in order.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(first) = rest.chars().next() {
            let length = if in_word(first) {
                let length = rest.find(|letter| !in_word(letter)).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..length]));
                length
            } else {
                if !first.is_whitespace() {
                    tokens.push(Token::Mark(first));
                }
                first.len_utf8()
            };
            rest = &rest[length..];
        }
        tokens
    }
}

fn in_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// The source without comments and without the contents of string literals.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, code.chars().next_back()) {
            length
        } else if first == '"' {
            string(rest)
        } else if let Some(length) = letter(rest) {
            length
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[end..];
    }
    code
}

/// The length of the block comment at the start, with those nested in it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the raw string at the start, if there is one (and not a word that ends in `r`).
fn raw_string(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|letter| in_word(letter) && letter != 'b') {
        return None;
    }
    let fence = text.strip_prefix('r')?;
    let hashes = fence.len() - fence.trim_start_matches('#').len();
    fence[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let inside = 1 + hashes + 1;
    Some(text[inside..].find(&closing).map_or(text.len(), |end| inside + end + closing.len()))
}

/// The length of the character literal at the start, if it is one and not a lifetime.
fn letter(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let skipped = if first == '\\' { 2 } else { first.len_utf8() };
    let length = inside.get(skipped..)?.find('\'')?;
    (length == 0 || first == '\\').then_some(1 + skipped + length + 1)
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, word: &str, said: bool) {
        assert_eq!(says(source, word), said, "{source}");
    }

    #[test]
    fn code_is_told_from_comments_and_strings() {
        check("fn f() { unsafe { g() } }", "unsafe", true);
        check("#[cfg(target_arch = \"wasm32\")]", "target_arch", true);
        check("#![allow(unsafe_code)]", "unsafe", false);
        check("// unsafe\nfn f() {}", "unsafe", false);
        check("/* a /* b */ unsafe */ fn f() {}", "unsafe", false);
        check("let s = \"unsafe \\\" unsafe\";", "unsafe", false);
        check("let s = r#\"unsafe \" unsafe\"#; x", "unsafe", false);
        check("let q = '\"'; unsafe {}", "unsafe", true);
        check("let q = '\\\"'; unsafe {}", "unsafe", true);
        check("let s = \"a\"; unsafe {}", "unsafe", true);
        check("let q = '\\u{22}'; unsafe {}", "unsafe", true);
        check("fn f<'a>(x: &'a str, y: char) { y == '\"'; unsafe {} }", "unsafe", true);
    }

    #[test]
    fn tokens_are_words_and_marks() {
        use Token::{Mark, Word};
        let code = Code::of("use a::B; // c\n'\"'");
        assert_eq!(code.tokens(), [Word("use"), Word("a"), Mark(':'), Mark(':'), Word("B"), Mark(';')]);
    }
}
