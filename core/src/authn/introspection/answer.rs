//! What an authorization server answers about a token (RFC 7662, section 2.2).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use thiserror::Error;

use super::IntrospectionSettings;
use crate::authn::{ClaimError, Identity};
use crate::fetch::FetchAnswer;
use crate::jose::{Members, Token, Value, ValueError};
use crate::time::Timestamp;

/// Why an answer says nothing about the token. The texts are for the operator, and contain nothing of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The gateway is not a client that may ask (section 2.3).
    #[error(
        "it refuses the gateway as its client with status {0}: check `client-id` and `client-secret`, and what the client may do"
    )]
    Client(u16),
    /// Another status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It is not JSON.
    #[error("its answer cannot be read: {0}")]
    Content(ValueError),
    /// It is not signed, or not a signed answer about a token.
    #[error("its answer is not a signed one about a token (RFC 9701, section 5)")]
    NotSigned,
    /// It is signed by another issuer, or for another client.
    #[error("its signed answer is that of another issuer, or for another client")]
    OfOthers,
    /// It does not say whether the token is active.
    #[error("its answer has no member `active` that is true or false (RFC 7662, section 2.2)")]
    Active,
}

/// Whether a text can be a token (RFC 6749, appendix A.12), within the bound of a token.
#[must_use]
pub fn is_token_text(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Bytes of a token: those of providers have up to some hundred, and signed ones, which may be asked about too, some thousand.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

impl IntrospectionSettings {
    /// What the server says of a token: its claims, or `None` if it is not active.
    ///
    /// # Errors
    /// If it says neither.
    pub fn claims(answer: &FetchAnswer) -> Result<Option<Members>, AnswerError> {
        check_status(answer.status)?;
        let claims = Members::parse(&answer.content).map_err(AnswerError::Content)?;
        if_active(claims)
    }

    /// The signed answer (RFC 9701, section 5), whose signature is not verified yet.
    ///
    /// # Errors
    /// If it is not one.
    pub fn signed(answer: &FetchAnswer) -> Result<Token<'_>, AnswerError> {
        check_status(answer.status)?;
        let text = std::str::from_utf8(&answer.content).map_err(|_| AnswerError::NotSigned)?;
        // Without this, a token of the same server could be sent as an answer (RFC 9701, section 8.1).
        let token = Token::parse(text.trim_ascii()).map_err(|_| AnswerError::NotSigned)?;
        if token.kind.as_deref() == Some(ANSWER_KIND) { Ok(token) } else { Err(AnswerError::NotSigned) }
    }

    /// What a signed answer says of a token, once its signature was verified.
    ///
    /// # Errors
    /// If it is not an answer of the issuer to this client.
    pub fn signed_claims(&self, answer: &Token<'_>) -> Result<Option<Members>, AnswerError> {
        let claims = answer.claims().map_err(|_| AnswerError::NotSigned)?;
        let is_of_issuer = claims.text("iss").is_some_and(|issuer| self.rules.issuers.iter().any(|own| own == issuer));
        let is_ours = |value: &Value| value.as_text().is_some() && value.as_text() == self.client.client_id();
        let is_for_us = match claims.get("aud") {
            Some(Value::List(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        if !is_of_issuer || !is_for_us {
            return Err(AnswerError::OfOthers);
        }
        match claims.get("token_introspection") {
            Some(Value::Object(inner)) => if_active(inner.clone()),
            _ => Err(AnswerError::NotSigned),
        }
    }

    /// The identity of the bearer of an active token, for the policy of this name, until this answer is too old.
    ///
    /// # Errors
    /// If the policy does not accept the token now.
    pub fn identity(&self, policy: &str, claims: &Members, now: Timestamp) -> Result<Identity, ClaimError> {
        let identity = self.rules.of_answer(policy, claims, now)?;
        Ok(Identity { until: identity.until.min(now.plus_millis(self.cache_ms.into())), ..identity })
    }

    /// What the server said of a token when it was active, from the content of an answer that was believed then.
    #[must_use]
    pub fn known_claims(&self, content: &str) -> Option<Members> {
        let content = Bytes::copy_from_slice(content.as_bytes());
        let answer = FetchAnswer { status: StatusCode::OK, fields: HeaderMap::new(), content };
        let claims = match self.signed {
            None => Self::claims(&answer),
            Some(_) => Self::signed(&answer).and_then(|token| self.signed_claims(&token)),
        };
        claims.ok().flatten()
    }
}

fn check_status(status: StatusCode) -> Result<(), AnswerError> {
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(AnswerError::Client(status.as_u16())),
        other => Err(AnswerError::Status(other.as_u16())),
    }
}

fn if_active(claims: Members) -> Result<Option<Members>, AnswerError> {
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Some(claims)),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err(AnswerError::Active),
    }
}

/// The type of signed answers, without `application/` (RFC 9701, section 5).
const ANSWER_KIND: &str = "token-introspection+jwt";

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn answer(status: u16, content: &str) -> FetchAnswer {
        let content = Bytes::from(content.to_owned());
        FetchAnswer { status: StatusCode::from_u16(status).unwrap(), fields: HeaderMap::new(), content }
    }

    fn identity(content: &str) -> Result<Identity, ClaimError> {
        let claims = IntrospectionSettings::claims(&answer(200, content)).unwrap().unwrap();
        settings().identity("opaque", &claims, NOW)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_answer_says_whether_the_token_is_active_or_nothing() {
        let read =
            |status, content| IntrospectionSettings::claims(&answer(status, content)).map(|claims| claims.is_some());
        assert_eq!(read(200, r#"{"active":true,"sub":"ada"}"#), Ok(true));
        assert_eq!(read(200, r#"{"active":false,"sub":"ada"}"#), Ok(false));
        for unclear in ["{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null}"#, r#"{"Active":true}"#] {
            assert_eq!(read(200, unclear), Err(AnswerError::Active), "{unclear}");
        }
        assert_eq!(read(200, "<html>"), Err(AnswerError::Content(ValueError::Syntax)));
        assert_eq!(read(200, r#"{"active":false,"active":true}"#), Err(AnswerError::Content(ValueError::Repeated)));
        assert_eq!(read(401, r#"{"active":true}"#), Err(AnswerError::Client(401)));
        assert_eq!(read(403, ""), Err(AnswerError::Client(403)));
        for other in [201, 204, 302, 400, 404, 429, 500] {
            assert_eq!(read(other, r#"{"active":true}"#), Err(AnswerError::Status(other)));
        }
    }

    /// RFC 8705, section 3.2; RFC 9449, section 6.2: the answer says to what the token is bound, as the token itself would.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_8705_3_2_an_answer_says_to_what_the_token_is_bound() {
        let with = |cnf: &str| identity(&format!(r#"{{"active":true,"aud":"pets","sub":"ada"{cnf}}}"#));
        let digest = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        assert_eq!(with("").unwrap().confirmation, None);
        let of_key = with(&format!(r#","cnf":{{"jkt":"{digest}"}}"#)).unwrap().confirmation.unwrap();
        assert!(of_key.key.is_some() && of_key.certificate.is_none());
        let of_certificate = with(&format!(r#","cnf":{{"x5t#S256":"{digest}"}}"#)).unwrap().confirmation.unwrap();
        assert!(of_certificate.key.is_none() && of_certificate.certificate.is_some());
        for unclear in [r#","cnf":{"jkt":"short"}"#, r#","cnf":{"x5t#S256":7}"#, r#","cnf":"a""#] {
            assert!(with(unclear).is_err(), "{unclear}");
        }
    }

    /// RFC 7662, section 2.2: issuer and end are optional; what is there is checked (section 4).
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7662_4_what_the_answer_says_of_a_token_is_checked() {
        let later = NOW.as_secs() + 3;
        let found = identity(r#"{"active":true,"aud":["pets"],"sub":"ada","scope":"b a"}"#).unwrap();
        assert_eq!((found.consumer.as_str(), found.scopes.join(" ").as_str()), ("opaque:ada", "a b"));
        assert_eq!(found.until, NOW.plus_millis(30_000), "no longer than answers are used");
        let ending = identity(&format!(r#"{{"active":true,"aud":"pets","sub":"ada","exp":{later}}}"#)).unwrap();
        assert_eq!(ending.until, NOW.plus_millis(3_000));
        for (wrong, error) in [
            (r#""sub":"ada""#.to_owned(), ClaimError::Missing("aud".into())),
            (r#""aud":"owners","sub":"ada""#.to_owned(), ClaimError::Audience),
            (r#""aud":"pets""#.to_owned(), ClaimError::Missing("sub".into())),
            (r#""aud":"pets","sub":"ada","iss":"https://evil.example""#.to_owned(), ClaimError::Issuer),
            (format!(r#""aud":"pets","sub":"ada","exp":{}"#, NOW.as_secs()), ClaimError::Expired),
            (format!(r#""aud":"pets","sub":"ada","nbf":{later}"#), ClaimError::NotYet),
            (r#""aud":"pets","sub":"ada","exp":"soon""#.to_owned(), ClaimError::Form("exp".into())),
        ] {
            assert_eq!(identity(&format!(r#"{{"active":true,{wrong}}}"#)), Err(error), "{wrong}");
        }
        let ours = r#"{"active":true,"aud":"pets","sub":"ada","iss":"https://id.example.com"}"#;
        assert!(identity(ours).is_ok());
    }

    /// RFC 9701, sections 5 and 8.1.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9701_5_a_signed_answer_is_one_of_the_issuer_for_this_client() {
        let read = |header: &str, claims: &str| {
            let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
            let answer = answer(200, &format!("{}.{}.AA", part(header), part(claims)));
            let token = IntrospectionSettings::signed(&answer)?;
            settings().signed_claims(&token).map(|claims| claims.is_some())
        };
        let header = r#"{"alg":"ES256","typ":"token-introspection+jwt"}"#;
        let claims = |inner: &str| {
            format!(r#"{{"iss":"https://id.example.com","aud":["gateway"],"iat":1,"token_introspection":{inner}}}"#)
        };
        let active = claims(r#"{"active":true}"#);
        assert_eq!(read(header, &active), Ok(true));
        assert_eq!(read(header, &claims(r#"{"active":false}"#)), Ok(false));
        assert_eq!(read(header, &claims("{}")), Err(AnswerError::Active));
        assert_eq!(read(r#"{"alg":"ES256","typ":"at+jwt"}"#, &active), Err(AnswerError::NotSigned));
        assert_eq!(read(r#"{"alg":"none","typ":"token-introspection+jwt"}"#, &active), Err(AnswerError::NotSigned));
        assert_eq!(read(header, &active.replace("id.example", "evil.example")), Err(AnswerError::OfOthers));
        assert_eq!(read(header, &active.replace("gateway", "others")), Err(AnswerError::OfOthers));
        let flat = r#"{"iss":"https://id.example.com","aud":"gateway","active":true}"#;
        assert_eq!(read(header, flat), Err(AnswerError::NotSigned));
        let plain = answer(200, r#"{"active":true}"#);
        assert_eq!(IntrospectionSettings::signed(&plain).unwrap_err(), AnswerError::NotSigned);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_is_visible_ascii_within_a_bound() {
        assert!(is_token_text("mF_9.B5f-4.1JqM") && is_token_text(&"x".repeat(TOKEN_BYTES_MAX)));
        for text in ["", "a b", "a\tb", "\u{e9}", "a\n"] {
            assert!(!is_token_text(text), "{text:?}");
        }
        assert!(!is_token_text(&"x".repeat(TOKEN_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_only_a_literal_true_is_active(content in r#"\{"active":[a-z0-9"]{0,8}(,"sub":"a")?\}"#) {
            let is_active = matches!(IntrospectionSettings::claims(&answer(200, &content)), Ok(Some(_)));
            prop_assert_eq!(is_active, content.starts_with(r#"{"active":true"#) && content.as_bytes()[14].is_ascii_punctuation());
        }
    }
}
