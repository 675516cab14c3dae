//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2).

use http::StatusCode;
use thiserror::Error;

use crate::jose::{Members, Value, ValueError};
use crate::secret::Secret;

/// A token for the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The token.
    pub token: Secret,
    /// For how long it can be used, in seconds.
    pub lifetime_s: u32,
}

/// Why there is no token. The texts are for the operator, and contain nothing of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GrantError {
    /// It refuses the gateway (section 5.2).
    #[error("it refuses the gateway as its client with status {0}: check id, secret, scopes and audience")]
    Client(u16),
    /// It does not give its client tokens in this way (section 5.2).
    #[error("it gives this client no tokens by this grant (`unauthorized_client` or `unsupported_grant_type`)")]
    Unsupported,
    /// It does not accept what the token is asked for with, such as the caller's token (RFC 8693, section 2.2.2).
    #[error("it does not accept the grant (`invalid_grant` or `invalid_request`)")]
    Grant,
    /// It gives no token for this (RFC 8693, section 2.2.2; RFC 8707, section 2).
    #[error(
        "it gives no token for these scopes, this audience or this resource (`invalid_scope`, `invalid_target` or `access_denied`)"
    )]
    Target,
    /// Another status.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It is not JSON.
    #[error("its answer cannot be read: {0}")]
    Content(ValueError),
    /// It has no token that can be sent.
    #[error("its answer has no `access_token` that can be sent")]
    Token,
    /// The token is of another type.
    #[error("its tokens are not bearer tokens")]
    Kind,
}

impl GrantError {
    /// Whether it says something of the server or its client, and not of this request alone.
    #[must_use]
    pub const fn is_of_server(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Status(408 | 429 | 502..=504))
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Unsupported => "unsupported",
            Self::Grant => "grant",
            Self::Target => "target",
            Self::Status(_) => "status",
            Self::Content(_) => "content",
            Self::Token => "token",
            Self::Kind => "kind",
        }
    }
}

impl Granted {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it grants no bearer token.
    pub fn read(status: StatusCode, content: &[u8]) -> Result<Self, GrantError> {
        match status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(refused(status, content));
            }
            other => return Err(GrantError::Status(other.as_u16())),
        }
        let answer = Members::parse(content).map_err(GrantError::Content)?;
        // The type is required, and its case makes no difference (section 7.1).
        if !answer.text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(GrantError::Kind);
        }
        // Of an exchange (RFC 8693, section 2.2.1). Who has a refresh token can get other tokens with it.
        if answer.text("issued_token_type") == Some("urn:ietf:params:oauth:token-type:refresh_token") {
            return Err(GrantError::Kind);
        }
        let token = answer.text("access_token").filter(|token| is_sendable(token)).ok_or(GrantError::Token)?;
        let lifetime_s = match answer.get("expires_in") {
            Some(Value::Integer(seconds)) => u32::try_from(*seconds).unwrap_or(LIFETIME_S_UNKNOWN).min(LIFETIME_S_MAX),
            // Some servers write a text.
            Some(Value::Text(text)) => text.parse().unwrap_or(LIFETIME_S_UNKNOWN).min(LIFETIME_S_MAX),
            _ => LIFETIME_S_UNKNOWN,
        };
        Ok(Self { token: Secret::new(token.to_owned()), lifetime_s })
    }
}

/// Why a token was refused: the server says it in a member `error`.
fn refused(status: StatusCode, content: &[u8]) -> GrantError {
    let answer = Members::parse(content).unwrap_or_default();
    match answer.text("error") {
        Some("invalid_grant" | "invalid_request") => GrantError::Grant,
        Some("invalid_scope" | "invalid_target" | "access_denied") => GrantError::Target,
        Some("unauthorized_client" | "unsupported_grant_type") => GrantError::Unsupported,
        Some("invalid_client") => GrantError::Client(status.as_u16()),
        _ if status == StatusCode::UNAUTHORIZED => GrantError::Client(status.as_u16()),
        _ => GrantError::Status(status.as_u16()),
    }
}

/// Appendix A.12, within what servers accept in a field.
fn is_sendable(token: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The lifetime of a token whose answer does not tell it: shorter than that of any server in use.
const LIFETIME_S_UNKNOWN: u32 = 60;

/// A token is fetched again at least once a day.
const LIFETIME_S_MAX: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(status: u16, content: &str, want: Result<(&str, u32), GrantError>) {
        let read = Granted::read(StatusCode::from_u16(status).unwrap(), content.as_bytes());
        assert_eq!(
            read.as_ref().map(|granted| (granted.token.expose(), granted.lifetime_s)),
            want.as_ref().copied(),
            "{content}"
        );
    }

    /// RFC 6749, section 5.1.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_6749_5_1_a_bearer_token_is_granted_for_a_time() {
        check(200, r#"{"access_token":"2Yo","token_type":"Bearer","expires_in":3600}"#, Ok(("2Yo", 3600)));
        check(200, r#"{"access_token":"2Yo","token_type":"bearer","expires_in":"7"}"#, Ok(("2Yo", 7)));
        check(200, r#"{"access_token":"2Yo","token_type":"BEARER"}"#, Ok(("2Yo", 60)));
        check(200, r#"{"access_token":"2Yo","token_type":"Bearer","expires_in":-1}"#, Ok(("2Yo", 60)));
        check(200, r#"{"access_token":"2Yo","token_type":"Bearer","expires_in":99999999999}"#, Ok(("2Yo", 60)));
        check(200, r#"{"access_token":"2Yo","token_type":"Bearer","expires_in":999999}"#, Ok(("2Yo", 86_400)));
        check(200, r#"{"access_token":"2Yo","token_type":"mac"}"#, Err(GrantError::Kind));
        for (kind, want) in
            [("access_token", Ok(("2Yo", 60))), ("jwt", Ok(("2Yo", 60))), ("refresh_token", Err(GrantError::Kind))]
        {
            let issued = format!("urn:ietf:params:oauth:token-type:{kind}");
            check(
                200,
                &format!(r#"{{"access_token":"2Yo","token_type":"Bearer","issued_token_type":"{issued}"}}"#),
                want,
            );
        }
        check(200, r#"{"access_token":"2Yo"}"#, Err(GrantError::Kind));
        for broken in ["\"\"", "\"a b\"", "\"a\\nb\"", "7", "null"] {
            check(200, &format!(r#"{{"access_token":{broken},"token_type":"Bearer"}}"#), Err(GrantError::Token));
        }
        check(200, "<html>", Err(GrantError::Content(ValueError::Syntax)));
    }

    /// RFC 6749, section 5.2.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_6749_5_2_a_refusal_is_one_of_the_client() {
        let content = r#"{"error":"invalid_client"}"#;
        [400, 401, 403].into_iter().for_each(|status| check(status, content, Err(GrantError::Client(status))));
        for error in ["invalid_grant", "invalid_request"] {
            check(400, &format!(r#"{{"error":"{error}","error_description":"x"}}"#), Err(GrantError::Grant));
        }
        for error in ["invalid_scope", "invalid_target", "access_denied"] {
            check(403, &format!(r#"{{"error":"{error}"}}"#), Err(GrantError::Target));
        }
        check(400, r#"{"error":"unauthorized_client"}"#, Err(GrantError::Unsupported));
        check(400, "<html>", Err(GrantError::Status(400)));
        check(401, "<html>", Err(GrantError::Client(401)));
        [201, 302, 429, 500].into_iter().for_each(|status| check(status, content, Err(GrantError::Status(status))));
    }
}
