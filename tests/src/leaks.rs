//! Secrets and tokens that were used, and the search for them in what the gateway wrote.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// What the clients of a host sent and received: every credential, and every problem.
#[derive(Debug, Default)]
pub struct Seen {
    credentials: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

impl Seen {
    /// Notes a credential; a token in three parts is also known by its signature.
    pub fn credential(&self, text: &str) {
        let mut known = self.credentials.borrow_mut();
        let parts: Vec<&str> = text.split('.').collect();
        let signature = match parts.as_slice() {
            [_, _, signature] => Some(*signature),
            _ => None,
        };
        for text in [Some(text), signature].into_iter().flatten() {
            if text.len() >= SECRET_BYTES_MIN && known.len() < CREDENTIALS_MAX {
                known.insert(text.to_owned());
            }
        }
    }

    /// Notes the credentials in a request.
    pub fn request(&self, target: &str, fields: &[(String, String)]) {
        for (name, value) in fields {
            match name.to_ascii_lowercase().as_str() {
                "authorization" | "proxy-authorization" => {
                    self.credential(value.split_once(' ').map_or(value, |(_, rest)| rest));
                }
                "x-api-key" => self.credential(value),
                "cookie" => {
                    value.split(';').filter_map(|pair| pair.split_once('=')).for_each(|(_, v)| self.credential(v));
                }
                _ => {}
            }
        }
        let query = target.split_once('?').map_or("", |(_, query)| query);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            if ["key", "token", "access_token"].contains(&name) {
                self.credential(value);
            }
        }
    }

    /// Notes an answer, if it is a problem of the gateway.
    pub fn answer(&self, media_type: Option<&str>, content: &[u8]) {
        if media_type == Some("application/problem+json") {
            self.problems.borrow_mut().push(String::from_utf8_lossy(content).into_owned());
        }
    }

    /// All credentials so far.
    #[must_use]
    pub fn credentials(&self) -> Vec<String> {
        self.credentials.borrow().iter().cloned().collect()
    }

    /// All problems so far.
    #[must_use]
    pub fn problems(&self) -> String {
        self.problems.borrow().join("\n")
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.credentials.borrow_mut().clear();
        self.problems.borrow_mut().clear();
    }
}

/// Where one of these secrets is in one of these texts, each with its name.
#[must_use]
pub fn leak(secrets: &[String], texts: &[(&str, String)]) -> Option<String> {
    for (name, text) in texts {
        for secret in secrets {
            if let Some(at) = text.find(secret.as_str()) {
                let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                let line = text[from..].lines().next().unwrap_or_default();
                return Some(format!("the secret `{secret}` is in {name}: {line}"));
            }
        }
    }
    None
}

/// Shorter texts are no credentials, and occur by chance.
const SECRET_BYTES_MIN: usize = 16;

/// A scenario with more credentials has them from one source.
const CREDENTIALS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLWFkYQ";

    fn sent(target: &str, name: &str, value: &str) -> Vec<String> {
        let seen = Seen::default();
        seen.request(target, &[(name.to_owned(), value.to_owned())]);
        seen.credentials()
    }

    #[test]
    fn a_leak_is_found_wherever_it_is() {
        let secrets = sent("/a", "Authorization", &format!("Bearer {TOKEN}"));
        let line = |text: &str| format!("{{\"status\":200}}\n{{\"status\":401,\"detail\":\"{text}\"}}\n");
        let found = |text: &str| leak(&secrets, &[("the problems", String::new()), ("the log", line(text))]);
        assert_eq!(found("no secret"), None);
        assert!(found(TOKEN).is_some_and(|found| found.contains("in the log: {\"status\":401")));
        assert!(found("c2lnbmF0dXJlLW9mLWFkYQ").is_some(), "who has the signature has the token");
    }

    #[test]
    fn credentials_are_found_in_every_place_of_a_request() {
        let key = "tg_dev_0123456789abcdef";
        assert_eq!(sent("/a", "X-API-Key", key), [key]);
        assert_eq!(sent("/a", "Cookie", &format!("x=1; session={key}")), [key]);
        assert_eq!(sent(&format!("/a?x=1&token={key}"), "accept", "*/*"), [key]);
        assert_eq!(sent("/a", "Authorization", "Bearer hello"), Vec::<String>::new());
    }

    #[test]
    fn problems_are_those_of_the_gateway() {
        let seen = Seen::default();
        seen.answer(Some("application/problem+json"), b"{\"status\":401}");
        seen.answer(Some("application/json"), b"{\"echo\":1}");
        assert_eq!(seen.problems(), "{\"status\":401}");
    }
}
