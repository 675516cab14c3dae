//! A signed token in the compact form (RFC 7515, section 7.1), before its signature is verified.

use thiserror::Error;

use super::base64url;
use super::{Algorithm, Members, Value, ValueError};

/// A signed token whose signature is not verified yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Token<'t> {
    /// The algorithm in its header.
    pub algorithm: Algorithm,
    /// The key that its header names; only a hint (RFC 7515, section 4.1.4).
    pub key_id: Option<String>,
    /// The type of token in its header, in lower case and without `application/` (section 4.1.9).
    pub kind: Option<String>,
    /// What was signed: header and payload as they were sent.
    pub signed: &'t str,
    /// The signature.
    pub signature: Vec<u8>,
    payload: Vec<u8>,
}

/// Why a text is not a signed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It does not consist of three parts.
    #[error("a signed token has three parts, separated by dots")]
    Parts,
    /// It has the five parts of an encrypted token.
    #[error("encrypted tokens are not supported")]
    Encrypted,
    /// It is too long.
    #[error("a token may have {TOKEN_BYTES_MAX} bytes")]
    Size,
    /// A part is not base64url without padding.
    #[error("a part of it is not base64url without padding")]
    Encoding,
    /// The header is not valid.
    #[error("its header is not valid: {0}")]
    Header(ValueError),
    /// A member of the header has another type than it must have.
    #[error("a member of its header has the wrong type")]
    HeaderMember,
    /// The header names no algorithm that the gateway knows; `none` is not one.
    #[error("its algorithm is not supported")]
    Algorithm,
    /// The header has extensions that a reader must understand.
    #[error("its header has critical extensions, which are not supported")]
    Critical,
    /// The payload is not a valid object.
    #[error("its claims are not valid: {0}")]
    Claims(ValueError),
}

/// Bytes of a token; the fields of a request may have twice as many.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

impl<'t> Token<'t> {
    /// Parses a token.
    ///
    /// # Errors
    /// If it is not a signed token in its canonical form, or one that asks for what the gateway does not do.
    pub fn parse(text: &'t str) -> Result<Self, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Size);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(TokenError::Parts);
        };
        match parts.count() {
            0 => {}
            2 => return Err(TokenError::Encrypted),
            _ => return Err(TokenError::Parts),
        }
        let decode = |part: &str| base64url::decode(part).ok_or(TokenError::Encoding);
        let members = Members::parse(&decode(header)?).map_err(TokenError::Header)?;
        let signed = &text[..header.len() + 1 + payload.len()];
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        // What must be understood is not (RFC 7515, section 4.1.11), and `b64` must be critical (RFC 7797, section 6).
        if members.get("crit").is_some() || members.get("b64").is_some() {
            return Err(TokenError::Critical);
        }
        let algorithm = text_member(&members, "alg")?.ok_or(TokenError::Algorithm)?;
        let algorithm = algorithm.parse().map_err(|()| TokenError::Algorithm)?;
        let key_id = text_member(&members, "kid")?.map(str::to_owned);
        let kind = text_member(&members, "typ")?.map(media_type);
        Ok(Self { algorithm, key_id, kind, signed, signature, payload })
    }

    /// The key that its header contains. It means nothing before something else says whose it is (RFC 7515, section 4.1.3).
    #[must_use]
    pub(crate) fn embedded_key(&self) -> Option<Members> {
        let header = base64url::decode(self.signed.split('.').next()?)?;
        match Members::parse(&header).ok()?.get("jwk")? {
            Value::Object(key) => Some(key.clone()),
            _ => None,
        }
    }

    /// The claims. They mean nothing before the signature is verified.
    ///
    /// # Errors
    /// If the payload is not a valid object.
    pub fn claims(&self) -> Result<Members, TokenError> {
        Members::parse(&self.payload).map_err(TokenError::Claims)
    }
}

impl TokenError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Parts => "parts",
            Self::Encrypted => "encrypted",
            Self::Size => "size",
            Self::Encoding => "encoding",
            Self::Header(_) => "header",
            Self::HeaderMember => "header-member",
            Self::Algorithm => "algorithm",
            Self::Critical => "critical",
            Self::Claims(_) => "claims",
        }
    }
}

/// A member of the header that is a text, if it is there.
fn text_member<'m>(members: &'m Members, name: &str) -> Result<Option<&'m str>, TokenError> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_text().map(Some).ok_or(TokenError::HeaderMember),
    }
}

/// A media type as it is compared (RFC 7515, section 4.1.9): `application/` is implied if there is no other slash.
#[must_use]
pub fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

/// What is signed of a text that has the form of a JWT: three parts, of which the first is an object of JSON.
pub(crate) fn signed_part(token: &str) -> Option<&str> {
    let (signed, _) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let is_object = |bytes: Vec<u8>| bytes.trim_ascii_start().first() == Some(&b'{');
    let is_jwt = !payload.contains('.') && base64url::decode(header).is_some_and(is_object);
    is_jwt.then_some(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn token(header: &str, payload: &str) -> String {
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        format!("{}.{}.AAAA", part(header), part(payload))
    }

    #[track_caller]
    fn check_header(header: &str, want: Result<(Option<&str>, Option<&str>), TokenError>) {
        let text = token(header, "{}");
        let parsed = Token::parse(&text);
        let found = parsed.as_ref().map(|token| (token.key_id.as_deref(), token.kind.as_deref())).map_err(|e| *e);
        assert_eq!(found, want, "{header}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7515_appendix_a_1_is_parsed() {
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                    cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let token = Token::parse(text).unwrap();
        assert_eq!(
            (token.algorithm, token.kind.as_deref(), token.signature.len()),
            (Algorithm::Hs256, Some("jwt"), 32)
        );
        assert!(text.starts_with(token.signed) && text[token.signed.len()..].starts_with(".dBj"));
        let claims = token.claims().unwrap();
        assert_eq!(
            (claims.text("iss"), claims.get("exp")),
            (Some("joe"), Some(&super::super::Value::Integer(1_300_819_380)))
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_has_three_canonical_parts() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        assert!(Token::parse(&good).is_ok());
        let bad = |text: &str, want| assert_eq!(Token::parse(text).err(), Some(want), "{text}");
        for text in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e.f"] {
            bad(text, TokenError::Parts);
        }
        bad("a.b.c.d.e", TokenError::Encrypted);
        bad(&format!("{good}="), TokenError::Encoding);
        bad(&format!("{good} "), TokenError::Encoding);
        bad(&format!(" {good}"), TokenError::Encoding);
        bad(&good.replace(".e30.", ".e31."), TokenError::Encoding);
        bad(&good.replace(".e30.", ".e30=."), TokenError::Encoding);
        bad(&format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX)), TokenError::Size);
        let unsigned = good.replace("AAAA", "");
        assert_eq!(Token::parse(&unsigned).map(|token| token.signature), Ok(vec![]), "no key verifies it");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_header_says_nothing_that_is_not_understood() {
        check_header(r#"{"alg":"RS256"}"#, Ok((None, None)));
        check_header(
            r#"{"alg":"RS256","kid":"a/../b' OR 1=1","typ":"Application/AT+JWT"}"#,
            Ok((Some("a/../b' OR 1=1"), Some("at+jwt"))),
        );
        check_header(
            r#"{"alg":"RS256","typ":"text/jwt","jku":"https://a","jwk":{},"x5u":"","x5c":[1]}"#,
            Ok((None, Some("text/jwt"))),
        );
        for header in [r#"{}"#, r#"{"alg":"none"}"#, r#"{"alg":"NONE"}"#, r#"{"alg":""}"#, r#"{"alg":"ES512"}"#] {
            check_header(header, Err(TokenError::Algorithm));
        }
        for header in [r#"{"alg":1}"#, r#"{"alg":null}"#, r#"{"alg":["RS256"]}"#, r#"{"alg":"RS256","kid":1}"#] {
            check_header(header, Err(TokenError::HeaderMember));
        }
        for header in [
            r#"{"alg":"RS256","crit":[]}"#,
            r#"{"alg":"RS256","crit":["exp"],"exp":1}"#,
            r#"{"alg":"HS256","b64":false}"#,
        ] {
            check_header(header, Err(TokenError::Critical));
        }
        check_header(r#"{"alg":"RS256","alg":"none"}"#, Err(TokenError::Header(ValueError::Repeated)));
        check_header("[]", Err(TokenError::Header(ValueError::NotAnObject)));
        check_header("{\"alg\":\"RS256\"}x", Err(TokenError::Header(ValueError::Syntax)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn claims_are_one_object_without_repeated_members() {
        let claims = |payload: &str| Token::parse(&token(r#"{"alg":"RS256"}"#, payload)).unwrap().claims().err();
        assert_eq!(claims(r#"{"sub":"a"}"#), None);
        assert_eq!(claims(r#"{"sub":"a","sub":"b"}"#), Some(TokenError::Claims(ValueError::Repeated)));
        assert_eq!(claims("\"text\""), Some(TokenError::Claims(ValueError::NotAnObject)));
        assert_eq!(claims(&"[".repeat(1_000)), Some(TokenError::Claims(ValueError::Depth)));
    }

    #[test]
    fn what_is_signed_is_known_of_texts_that_have_the_form_of_a_jwt_only() {
        for (text, want) in [
            ("eyJhIjoxfQ.e30.c2ln", Some("eyJhIjoxfQ.e30")),
            ("ewogfQ.e30.", Some("ewogfQ.e30")),
            ("v4.local.c2VjcmV0", None),
            ("eyJhIjoxfQ.e30.c2ln.x.y", None),
            ("eyJhIjoxfQ.e30", None),
            ("opaque", None),
            ("..", None),
        ] {
            assert_eq!(signed_part(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_character_makes_another_token_or_none(at in 0usize..200, with in "[A-Za-z0-9_.-]") {
            let good = token(r#"{"alg":"ES256","kid":"k"}"#, r#"{"sub":"a","exp":1}"#);
            let at = at % good.len();
            let mut other = good.clone();
            other.replace_range(at..=at, &with);
            if other != good && let Ok(parsed) = Token::parse(&other) {
                let own = Token::parse(&good).unwrap();
                prop_assert!(parsed.signed != own.signed || parsed.signature != own.signature);
            }
        }

        #[test]
        fn no_text_panics(text in "[A-Za-z0-9_.=+/{}\" -]{0,80}") {
            let _ = Token::parse(&text).map(|token| token.claims());
        }
    }
}
