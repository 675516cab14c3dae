//! The parts of a request that may be shown: no keys, no credentials, no control characters.

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderName, HeaderValue};
use tollgate_core::authn::ApiKey;

use crate::terminal::printable;

/// The value of a field, unless it is secret.
pub(crate) fn shown(name: &HeaderName, value: &HeaderValue) -> String {
    let secret = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name) || value.is_sensitive();
    if secret { "(secret)".to_owned() } else { shown_bytes(value.as_bytes()) }
}

/// Bytes as text.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes))
}

/// The text with every API key in it, and everything similar to one, reduced to its environment.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("tg_") {
        let (before, found) = rest.split_at(at);
        let end = found.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(found.len());
        let (word, after) = found.split_at(end);
        out.push_str(before);
        out.push_str(&redacted_word(word));
        rest = after;
    }
    out + rest
}

fn redacted_word(word: &str) -> String {
    let environment = word.split('_').nth(1).filter(|_| word.matches('_').count() >= 2);
    match environment {
        Some(environment) if ApiKey::parse(word).is_ok() || word.len() > KEY_LIKE => {
            format!("tg_{environment}_(secret)")
        }
        _ => word.to_owned(),
    }
}

/// A longer word that begins like a key is treated as a key, perhaps one with a typo.
const KEY_LIKE: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_redacted_at_any_position() {
        let key = "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW";
        assert_eq!(redact(&format!("/a?k={key}&b=tg_x")), "/a?k=tg_dev_(secret)&b=tg_x");
        assert_eq!(redact(&format!("{key}{key}")), "tg_dev_(secret)");
        assert_eq!(redact(&key.replace('W', "x")), "tg_dev_(secret)");
        assert_eq!(redact("no key"), "no key");
    }
}
