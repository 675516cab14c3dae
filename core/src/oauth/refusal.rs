//! What an authorization server says of a refusal (RFC 6749, section 5.2), for the operator.

use crate::jose::Members;

/// The code and the description in the content of a refusal, for a log; `None` without a code.
///
/// A server may repeat what it was asked about. `asked`, what looks like a part of it and what is as long as a token is left out.
#[must_use]
pub fn refusal(content: &[u8], asked: &str) -> Option<String> {
    let answer = Members::parse(content).ok()?;
    let code = answer.text("error").filter(|code| is_code(code) && is_public(code, asked))?;
    let told = answer.text("error_description").filter(|text| !text.contains(asked));
    let told = told.map(|text| described(text, asked)).filter(|text| !text.is_empty());
    Some(told.map_or_else(|| format!("`{code}`"), |text| format!("`{code}` ({text})")))
}

/// All codes that are registered consist of these characters (RFC 6749, section 11.4).
fn is_code(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// The words of a text that can be in a log, as far as there is room.
fn described(text: &str, asked: &str) -> String {
    let is_shown = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '`');
    let mut out = String::new();
    for word in text.split(|c: char| !is_shown(c)).filter(|word| !word.is_empty()) {
        let word = if word.len() <= WORD_BYTES_MAX && is_public(word, asked) { word } else { LEFT_OUT };
        if out.len() + 1 + word.len() > TEXT_BYTES_MAX {
            break;
        }
        out.push_str(if out.is_empty() { "" } else { " " });
        out.push_str(word);
    }
    out
}

/// Whether a word is no part of what was asked about.
fn is_public(word: &str, asked: &str) -> bool {
    let plain = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    plain.len() < PART_BYTES_MIN || !asked.contains(plain)
}

/// In place of a word.
const LEFT_OUT: &str = "[...]";

/// Words of a language are shorter, and tokens longer.
const WORD_BYTES_MAX: usize = 40;

/// A sentence.
const TEXT_BYTES_MAX: usize = 160;

/// A shorter text is in a token by chance.
const PART_BYTES_MIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

    #[track_caller]
    fn check(content: &str, want: Option<&str>) {
        assert_eq!(refusal(content.as_bytes(), TOKEN).as_deref(), want, "{content}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_code_and_the_description_are_told() {
        check(r#"{"error":"invalid_request"}"#, Some("`invalid_request`"));
        let described = r#"{"error":"invalid_request","error_description":"The parameter 'token' is missing."}"#;
        check(described, Some("`invalid_request` (The parameter 'token' is missing.)"));
        check(r#"{"error":"invalid_client","error_description":17}"#, Some("`invalid_client`"));
        check(r#"{"error":"invalid_client","error_description":""}"#, Some("`invalid_client`"));
        for nothing in ["", "<html>", "{}", r#"{"error":""}"#, r#"{"error":"a b"}"#, r#"{"error":{"code":4}}"#] {
            check(nothing, None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_token_and_parts_of_it_are_left_out() {
        let with = |text: &str| format!(r#"{{"error":"invalid_request","error_description":"{text}"}}"#);
        check(&with(&format!("token {TOKEN} is unknown")), Some("`invalid_request`"));
        check(&with("token '2YotnFZFEjr...' is unknown"), Some("`invalid_request` (token [...] is unknown)"));
        let other = "a".repeat(WORD_BYTES_MAX + 1);
        check(&with(&format!("not {other}")), Some("`invalid_request` (not [...])"));
        check(&format!(r#"{{"error":"{TOKEN}"}}"#), None);
        check(&format!(r#"{{"error":"{}"}}"#, &TOKEN[..12]), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_line_of_a_log_stays_one_of_bounded_length() {
        let with = |text: &str| format!(r#"{{"error":"invalid_request","error_description":"{text}"}}"#);
        check(&with(r"two\nlines\u001b[31m of \u00fcmlauts"), Some("`invalid_request` (two lines [31m of mlauts)"));
        check(&with(r#"a \"quoted\" \\ text"#), Some("`invalid_request` (a quoted text)"));
        let long = refusal(with(&"word ".repeat(1_000)).as_bytes(), TOKEN).unwrap();
        assert!(long.len() <= TEXT_BYTES_MAX + 24 && long.ends_with("word)"), "{long}");
    }
}
