//! Secrets and tokens that were used, and the search for them in what the gateway wrote.
//!
//! What is a secret is known by where it was sent: fields and queries of requests, cookies of answers, forms and JSON of authorization
//! servers. What is nowhere sent, such as a key, is noted by its text. The search finds it as it is, and as a string of JSON.

use std::cell::RefCell;
use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::upstream::{Received, decoded};

/// Every credential that was used, and every problem that a client received.
#[derive(Debug, Default)]
pub struct Seen {
    secrets: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

impl Seen {
    /// Notes a secret, and its parts that are secrets by themselves.
    pub fn secret(&self, text: &str) {
        self.note(text);
        if let Some(signature) = signature_of(text) {
            self.note(signature);
        }
        private_lines(text).for_each(|line| self.note(line));
        if let Ok(key @ Value::Object(_)) = serde_json::from_str(text) {
            PRIVATE_MEMBERS.iter().filter_map(|name| key[name].as_str()).for_each(|part| self.note(part));
        }
    }

    fn note(&self, text: &str) {
        let mut known = self.secrets.borrow_mut();
        if text.len() >= SECRET_BYTES_MIN && known.len() < SECRETS_MAX {
            known.insert(text.to_owned());
        }
    }

    /// Notes the credentials in a request.
    pub fn request(&self, target: &str, fields: &[(String, String)]) {
        for (name, value) in fields {
            match name.to_ascii_lowercase().as_str() {
                "authorization" | "proxy-authorization" => self.authorization(value),
                "x-api-key" | "dpop" => self.secret(value),
                "cookie" => value.split(';').for_each(|pair| self.cookie(pair)),
                _ => {}
            }
        }
        self.parameters(target.split_once('?').map_or("", |(_, query)| query), QUERY_PARAMETERS);
    }

    /// Notes the credentials in an answer, and the whole, if it is a problem of the gateway.
    pub fn answer(&self, fields: &[(String, String)], content: &[u8]) {
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("set-cookie") {
                self.cookie(value.split(';').next().unwrap_or_default());
            }
            if name.eq_ignore_ascii_case("content-type") && value == "application/problem+json" {
                self.problems.borrow_mut().push(String::from_utf8_lossy(content).into_owned());
            }
        }
    }

    /// Notes the credentials in a request as it is sent, which may be none of HTTP.
    pub fn raw_request(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let target = head.split(' ').nth(1).unwrap_or_default();
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        self.request(target, &fields);
    }

    /// Notes answers as they come, if one is a problem of the gateway.
    pub fn raw_answer(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if text.contains("application/problem+json") {
            self.problems.borrow_mut().push(text.into_owned());
        }
    }

    /// Notes the credentials in a request that a server received: those of the gateway itself, for example in a form.
    pub fn received(&self, request: &Received) {
        self.request(&request.target, &request.fields);
        self.parameters(&request.content, FORM_PARAMETERS);
    }

    /// Notes the tokens in the content of an authorization server's answer.
    pub fn granted(&self, content: &str) {
        if let Ok(answer @ Value::Object(_)) = serde_json::from_str(content) {
            GRANTED_MEMBERS.iter().filter_map(|name| answer[name].as_str()).for_each(|token| self.secret(token));
        }
    }

    /// What follows the scheme; of `Basic` also the password, because who logs the name may log this with it.
    fn authorization(&self, value: &str) {
        // One word is a scheme, or a key without one.
        let is_scheme = value.bytes().all(|byte| byte.is_ascii_alphabetic());
        let (scheme, credential) = value.split_once(' ').unwrap_or(("", if is_scheme { "" } else { value }));
        self.secret(credential);
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(pair) = BASE64_STANDARD.decode(credential)
            && let Ok(pair) = String::from_utf8(pair)
            && let Some((_, password)) = pair.split_once(':')
        {
            self.secret(password);
        }
    }

    fn cookie(&self, pair: &str) {
        if let Some((_, value)) = pair.split_once('=') {
            self.secret(value);
        }
    }

    /// Notes the values of these parameters of a query or a form, as they are written and as they are meant.
    fn parameters(&self, text: &str, names: &[&str]) {
        for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            if names.contains(&name) {
                self.secret(value);
                self.secret(&decoded(value));
            }
        }
    }

    /// All secrets so far.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.borrow().iter().cloned().collect()
    }

    /// All problems so far.
    #[must_use]
    pub fn problems(&self) -> String {
        self.problems.borrow().join("\n")
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.secrets.borrow_mut().clear();
        self.problems.borrow_mut().clear();
    }
}

/// Where one of these secrets is in one of these texts, each with its name.
#[must_use]
pub fn leak(secrets: &[String], texts: &[(&str, String)]) -> Option<String> {
    for secret in secrets {
        let quoted = Value::from(secret.as_str()).to_string();
        let escaped = &quoted[1..quoted.len() - 1];
        for (name, text) in texts {
            for form in [secret.as_str(), escaped] {
                if let Some(at) = find(text, form) {
                    let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                    let line = text[from..].lines().next().unwrap_or_default();
                    return Some(format!("the secret `{secret}` is in {name}: {line}"));
                }
            }
        }
    }
    None
}

/// Where a secret is in a text; a short one only as a word, because it is by chance in longer ones.
fn find(text: &str, secret: &str) -> Option<usize> {
    let is_word = |at: usize| {
        let neighbours = [text[..at].chars().next_back(), text[at + secret.len()..].chars().next()];
        !neighbours.into_iter().flatten().any(|neighbour| neighbour.is_alphanumeric() || neighbour == '_')
    };
    text.match_indices(secret).map(|(at, _)| at).find(|at| secret.len() >= SHORT_BYTES || is_word(*at))
}

/// The signature of a token in three parts: who has it has the token.
fn signature_of(text: &str) -> Option<&str> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(_), Some(signature), None) => Some(signature),
        _ => None,
    }
}

/// The lines of private keys in PEM: one is logged as several lines, or with escapes in their place.
fn private_lines(text: &str) -> impl Iterator<Item = &str> {
    let keys = text.split("-----BEGIN ").skip(1).filter(|block| block.split("-----").next().is_some_and(is_private));
    keys.flat_map(|block| block.split("-----END ").next().unwrap_or_default().lines().skip(1)).map(str::trim)
}

fn is_private(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// Of JSON Web Keys (RFC 7518, section 6).
const PRIVATE_MEMBERS: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "k"];

/// Of URLs of clients, and of the URLs to which a login leads.
const QUERY_PARAMETERS: &[&str] = &["key", "token", "access_token", "code", "state"];

/// Of the requests that a gateway sends to authorization servers.
const FORM_PARAMETERS: &[&str] = &[
    "client_secret",
    "client_assertion",
    "token",
    "subject_token",
    "actor_token",
    "assertion",
    "code",
    "code_verifier",
    "refresh_token",
    "password",
];

/// Of the answers of authorization servers.
const GRANTED_MEMBERS: &[&str] = &["access_token", "refresh_token", "id_token"];

/// A text that is shorter could be a number or a word of any log line.
const SECRET_BYTES_MIN: usize = 4;

/// A shorter text can be a part of a longer one by chance.
const SHORT_BYTES: usize = 16;

/// A scenario with more credentials has them from one source.
const SECRETS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLWFkYQ";
    const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLWFkYQ";

    fn found(seen: &Seen, leaked: &str) -> Option<String> {
        let log = format!("{{\"status\":200}}\n{{\"status\":401,\"detail\":\"{leaked}\"}}\n");
        leak(&seen.secrets(), &[("the problems", String::new()), ("the log", log)])
    }

    /// What this notes is found, if one of these texts is in the log, and the log without them is clean.
    #[track_caller]
    fn check(note: impl Fn(&Seen), leaks: &[&str]) {
        let seen = Seen::default();
        note(&seen);
        assert_eq!(found(&seen, "no secret: key, token, ada, 401"), None);
        for leaked in leaks {
            let found = found(&seen, leaked);
            assert!(found.as_deref().is_some_and(|found| found.contains("in the log: {\"status\":401")), "{leaked}");
        }
    }

    fn request(target: &'static str, name: &'static str, value: String) -> impl Fn(&Seen) {
        move |seen| seen.request(target, &[(name.to_owned(), value.clone())])
    }

    fn form(content: String) -> impl Fn(&Seen) {
        move |seen| seen.received(&Received { content: content.clone(), ..Received::default() })
    }

    #[test]
    fn a_token_is_found_by_its_signature() {
        for scheme in ["Bearer", "DPoP", "bearer"] {
            check(request("/a", "Authorization", format!("{scheme} {TOKEN}")), &[TOKEN, SIGNATURE]);
        }
        check(request("/a", "DPoP", TOKEN.to_owned()), &[TOKEN, SIGNATURE]);
    }

    #[test]
    fn a_key_is_found_in_every_place_of_a_request() {
        let key = "tg_dev_0123456789abcdef";
        check(request("/a", "X-API-Key", key.to_owned()), &[key]);
        check(request("/a", "Cookie", format!("x=1; session={key}")), &[key]);
        check(request("/a?x=1&token=tg_dev_0123456789abcdef", "accept", "*/*".to_owned()), &[key]);
        check(request("/a?key=two%20words%21", "accept", "*/*".to_owned()), &["two%20words%21", "two words!"]);
        check(request("/cb?code=c0de&state=st4te", "accept", "*/*".to_owned()), &["c0de", "st4te"]);
    }

    #[test]
    fn a_request_that_is_written_byte_by_byte_is_one_too() {
        let raw =
            b"GET /a?token=t0k3n HTTP/1.1\r\nHost: a\r\nx-api-key:  tg_dev_0123456789abcdef\r\n\r\nDPoP: content\r\n";
        check(|seen| seen.raw_request(raw), &["t0k3n", "tg_dev_0123456789abcdef"]);
        let seen = Seen::default();
        seen.raw_answer(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n\r\n{}");
        assert!(seen.problems().contains("400"));
    }

    #[test]
    fn a_password_is_found_in_clear() {
        let basic = |pair: &str| request("/a", "authorization", format!("Basic {}", BASE64_STANDARD.encode(pair)));
        check(basic("ada:s3cr3t"), &["YWRhOnMzY3IzdA==", "s3cr3t", "ada:s3cr3t"]);
        check(basic("ada:a:b c \"d\""), &["a:b c \\\"d\\\""]);
    }

    #[test]
    fn a_session_is_found_when_the_gateway_sets_it() {
        let line = |value: &str| vec![("Set-Cookie".to_owned(), format!("__Host-session={value}; Path=/; Secure"))];
        check(|seen| seen.answer(&line("AbCd-123_xyz"), b""), &["AbCd-123_xyz"]);
    }

    #[test]
    fn what_authorization_servers_get_and_give_is_found() {
        check(form(format!("grant_type=x&subject_token={TOKEN}&client_secret=s%2Fc")), &[SIGNATURE, "s%2Fc"]);
        check(form(format!("client_assertion={TOKEN}&code=c0de&code_verifier=v3rifier")), &[TOKEN, "c0de", "v3rifier"]);
        check(form("grant_type=refresh_token&refresh_token=r3fresh".to_owned()), &["r3fresh"]);
        let tokens = format!(r#"{{"access_token":"exch4nged","refresh_token":"r3fresh","id_token":"{TOKEN}"}}"#);
        check(|seen| seen.granted(&tokens), &["exch4nged", "r3fresh", SIGNATURE]);
        check(|seen| seen.granted("no JSON"), &[]);
    }

    #[test]
    fn a_private_key_is_found_by_each_of_its_lines() {
        let pem = "-----BEGIN CERTIFICATE-----\nTWlJQ2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\r\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v\r\nVOGM\r\n-----END PRIVATE KEY-----\n";
        let escaped = pem.replace('\r', "\\r").replace('\n', "\\n");
        check(|seen| seen.secret(pem), &["MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v", "VOGM", &escaped]);
        let seen = Seen::default();
        seen.secret(pem);
        assert_eq!(found(&seen, "TWlJQ2VydGlmaWNhdGU="), None, "a certificate is public");
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0","x":"11qYAYKxCrfVS_7T"}"#;
        check(|seen| seen.secret(jwk), &["nWGxne_9WmC6hEr0", &jwk.replace('"', "\\\"")]);
    }

    #[test]
    fn a_short_secret_is_found_as_a_word() {
        let seen = Seen::default();
        seen.secret("t0k3n");
        for leaked in ["t0k3n", "a t0k3n.", "token=t0k3n&a", "\\\"t0k3n\\\""] {
            assert!(found(&seen, leaked).is_some(), "{leaked}");
        }
        for chance in ["t0k3ns", "at0k3n", "t0k3n_1", "xt0k3n t0k3nx"] {
            assert_eq!(found(&seen, chance), None, "{chance}");
        }
        assert!(found(&seen, "at0k3n t0k3n").is_some(), "a later place");
        seen.secret("a-long-secret-of-the-tests");
        assert!(found(&seen, "xa-long-secret-of-the-testsx").is_some());
    }

    #[test]
    fn problems_are_those_of_the_gateway() {
        let seen = Seen::default();
        let of = |media_type: &str| vec![("content-type".to_owned(), media_type.to_owned())];
        seen.answer(&of("application/problem+json"), b"{\"status\":401}");
        seen.answer(&of("application/json"), b"{\"echo\":1}");
        assert_eq!(seen.problems(), "{\"status\":401}");
    }
}
