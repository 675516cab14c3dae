//! Authentication of operators: bearer tokens, each with a name and a role.

use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::json::FromJson;
use crate::problem::{Problem, ProblemKind};
use crate::secret::Secret;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, FromJson)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read access only.
    Read,
    /// Purging stored responses, and nothing else.
    Purge,
    /// Everything.
    Operate,
}

/// The caller, as named in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, or that of its role if it has none.
    pub name: String,
    /// Its role.
    pub role: Role,
}

/// The tokens that are bound to the endpoint. Only their digests are kept.
///
/// The secret of a role contains one or more tokens, separated by whitespace or commas; `NAME:TOKEN` gives a token a
/// name. A token has 32 to 256 characters of `A-Z a-z 0-9 - . _ ~ + /`, optionally followed by `=` (RFC 6750, section
/// 2.1): the shortest can contain 128 random bits, so guessing is infeasible.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Bound>);

#[derive(Clone)]
struct Bound {
    caller: Caller,
    digest: [u8; 32],
}

/// Why a bound secret cannot be used. Reveals nothing about its content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// A token that is too short, too long, or has other characters.
    #[error("{secret}: token {number} is not 32 to 256 characters of A-Z a-z 0-9 - . _ ~ + / =")]
    Form {
        /// The secret's name.
        secret: String,
        /// Which token of the secret, from 1.
        number: usize,
    },
    /// An invalid name.
    #[error("{secret}: the name of token {number} is not 1 to 80 letters, digits, `-`, `_` and `.`")]
    Name {
        /// The secret's name.
        secret: String,
        /// Which token of the secret, from 1.
        number: usize,
    },
    /// More tokens than allowed in total.
    #[error("{secret}: there are more than {TOKENS_MAX} tokens")]
    TooMany {
        /// The secret's name.
        secret: String,
    },
    /// A token is bound twice, so the caller would be ambiguous.
    #[error("{secret}: token {number} is also bound by {other}; a token has one name and one role, so bind it once")]
    Repeated {
        /// The secret's name.
        secret: String,
        /// Which token of the secret, from 1.
        number: usize,
        /// The name of the secret that binds it already.
        other: String,
    },
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Read, Self::Purge, Self::Operate];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Purge => "purge",
            Self::Operate => "operate",
        }
    }

    /// The name of the secret with its tokens.
    #[must_use]
    pub const fn secret_name(self) -> &'static str {
        match self {
            Self::Read => "TOLLGATE_OPERATOR_READ",
            Self::Purge => "TOLLGATE_OPERATOR_PURGE",
            Self::Operate => "TOLLGATE_OPERATOR_OPERATE",
        }
    }

    /// Whether a token of this role may use what requires `needed`.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self == needed || self == Self::Operate
    }
}

impl Tokens {
    /// Adds the tokens in the secret of a role; an empty secret has none.
    ///
    /// # Errors
    /// If one of them cannot be used; then none is added.
    pub fn add(&mut self, role: Role, secret: &Secret) -> Result<(), TokenError> {
        let name_of_secret = || role.secret_name().to_owned();
        let before = self.0.len();
        let is_divider = |c: char| c.is_ascii_whitespace() || c == ',';
        let entries = secret.expose().split(is_divider).filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            let bound = match self.bound(role, entry) {
                Ok(_) if self.0.len() >= TOKENS_MAX => Err(TokenError::TooMany { secret: name_of_secret() }),
                Ok(bound) => Ok(bound),
                Err(Invalid::Name) => Err(TokenError::Name { secret: name_of_secret(), number }),
                Err(Invalid::Token) => Err(TokenError::Form { secret: name_of_secret(), number }),
                Err(Invalid::Repeated(other)) => {
                    let other = other.secret_name().to_owned();
                    Err(TokenError::Repeated { secret: name_of_secret(), number, other })
                }
            };
            let bound = bound.inspect_err(|_| self.0.truncate(before))?;
            self.0.push(bound);
        }
        Ok(())
    }

    /// Whether none is bound: the endpoint is off.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The caller of a request with these fields.
    ///
    /// The time depends on the length of the presented token and on the number of bound tokens, not on their content.
    ///
    /// # Errors
    /// The problem for the response: no token, more than one, or an unknown one.
    pub fn authenticate(&self, fields: &HeaderMap) -> Result<&Caller, Problem> {
        let mut lines = fields.get_all(AUTHORIZATION).iter();
        let Some(line) = lines.next() else {
            return Err(challenge(
                ProblemKind::CredentialMissing,
                "A bearer token of the operator endpoint is required.",
            ));
        };
        let presented = if lines.next().is_some() { None } else { bearer(line.as_bytes()) };
        let Some(presented) = presented else {
            return Err(challenge(
                ProblemKind::CredentialMalformed,
                "Send one field in the form Authorization: Bearer TOKEN.",
            ));
        };
        self.caller(presented).ok_or_else(|| {
            // No token has a colon, but the secret that binds it may: `NAME:TOKEN`.
            let detail = if presented.contains(&b':') {
                "The token is not bound to the operator endpoint. Send the token alone, without the name that it is bound with."
            } else {
                "The token is not bound to the operator endpoint."
            };
            challenge(ProblemKind::CredentialUnknown, detail)
        })
    }

    fn caller(&self, presented: &[u8]) -> Option<&Caller> {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let mut found = None;
        for bound in &self.0 {
            if equal(&bound.digest, &presented) {
                found = Some(&bound.caller);
            }
        }
        found
    }

    fn bound(&self, role: Role, entry: &str) -> Result<Bound, Invalid> {
        let (name, token) = entry.split_once(':').unwrap_or((role.as_str(), entry));
        if !super::is_name(name) {
            return Err(Invalid::Name);
        }
        if !is_token(token) {
            return Err(Invalid::Token);
        }
        let digest = Sha256::digest(token.as_bytes()).into();
        if let Some(other) = self.0.iter().find(|bound| bound.digest == digest) {
            return Err(Invalid::Repeated(other.caller.role));
        }
        Ok(Bound { caller: Caller { name: name.to_owned(), role }, digest })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|bound| &bound.caller)).finish()
    }
}

impl Caller {
    /// Checks that the caller's role may use what requires `needed`.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn check_role(&self, needed: Role) -> Result<(), Problem> {
        if self.role.allows(needed) {
            return Ok(());
        }
        let detail =
            format!("This requires the role `{}`; the token has the role `{}`.", needed.as_str(), self.role.as_str());
        Err(Problem::plain(ProblemKind::RoleMissing, detail))
    }
}

enum Invalid {
    Name,
    Token,
    /// Bound already, in this role.
    Repeated(Role),
}

fn challenge(kind: ProblemKind, detail: &'static str) -> Problem {
    Problem::plain(kind, detail).with(WWW_AUTHENTICATE, "Bearer realm=\"tollgate-operator\"")
}

/// The token of the `Bearer` scheme, whose name is case-insensitive (RFC 9110, section 11.1).
fn bearer(line: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = line.split_at_checked(SCHEME.len())?;
    let token = rest.strip_prefix(b" ").map(<[u8]>::trim_ascii)?;
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&text.len())
        && !body.is_empty()
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// Compares without an early exit.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y));
    std::hint::black_box(difference) == 0
}

/// The prefix of the names of all secrets of the endpoint. A project cannot use them:
/// `${secret.TOLLGATE_OPERATOR_READ}` would send an operator's token to an upstream.
pub const SECRET_PREFIX: &str = "TOLLGATE_OPERATOR_";

/// Maximum number of bound tokens: more than the people and programs of a team that operate a gateway.
pub(crate) const TOKENS_MAX: usize = 64;

/// 128 bits in hexadecimal, or 192 in base64.
const TOKEN_BYTES_MIN: usize = 32;
const TOKEN_BYTES_MAX: usize = 256;

const SCHEME: &[u8] = b"Bearer";

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    const READ: &str = "0123456789abcdef0123456789abcdef";
    const CI: &str = "cici456789abcdef0123456789abcdef+/==";

    fn tokens() -> Tokens {
        let mut tokens = Tokens::default();
        tokens.add(Role::Read, &Secret::new(READ.into())).unwrap();
        tokens.add(Role::Purge, &Secret::new(format!("ci:{CI}, deploy:{READ}x\n"))).unwrap();
        tokens
    }

    fn asked(lines: &[&str]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        fields
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_bound_token_identifies_the_caller_and_its_role() {
        let tokens = tokens();
        let caller = |line: String| tokens.authenticate(&asked(&[&line])).unwrap().clone();
        assert_eq!(caller(format!("Bearer {READ}")), Caller { name: "read".into(), role: Role::Read });
        assert_eq!(caller(format!("bearer  {CI}")), Caller { name: "ci".into(), role: Role::Purge });
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn anything_else_is_refused_with_a_challenge() {
        let tokens = tokens();
        let check = |lines: &[&str], expected: ProblemKind| {
            let problem = tokens.authenticate(&asked(lines)).unwrap_err();
            assert_eq!(problem.kind, expected, "{lines:?}");
            assert_eq!(problem.fields[WWW_AUTHENTICATE], "Bearer realm=\"tollgate-operator\"");
        };
        check(&[], ProblemKind::CredentialMissing);
        check(&["Bearer"], ProblemKind::CredentialMalformed);
        check(&["Bearer "], ProblemKind::CredentialMalformed);
        check(&[&format!("Basic {READ}")], ProblemKind::CredentialMalformed);
        check(&[&format!("Bearer {READ}"), &format!("Bearer {READ}")], ProblemKind::CredentialMalformed);
        check(&[&format!("Bearer {}", &READ[..31])], ProblemKind::CredentialUnknown);
        check(&[&format!("Bearer {READ} ,x")], ProblemKind::CredentialUnknown);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_that_is_sent_with_its_name_is_refused_with_a_hint() {
        let detail = |line: String| tokens().authenticate(&asked(&[&line])).unwrap_err().into_parts().detail;
        assert!(detail(format!("Bearer ci:{CI}")).contains("without the name"));
        assert!(!detail(format!("Bearer {CI}x")).contains("without the name"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn secrets_that_cannot_be_used_add_nothing() {
        let check = |secret: &str, expected: &str| {
            let mut tokens = tokens();
            let error = tokens.add(Role::Operate, &Secret::new(secret.into())).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(secret.len() < 9 || !error.contains(secret));
            assert_eq!(tokens.0.len(), 3);
        };
        check("short", "token 1 is not 32 to 256");
        check(&format!("{READ}y {READ}\"\\zz"), "token 2 is not 32 to 256");
        check(&"=".repeat(40), "token 1");
        check(&format!(":{READ}y"), "the name of token 1");
        check(&format!("a b:{READ}y"), "token 1");
        check(READ, "token 1 is also bound by TOLLGATE_OPERATOR_READ");
        let many: Vec<String> = (100..200).map(|n| format!("{READ}{n}")).collect();
        check(&many.join(" "), "more than 64");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_empty_secret_binds_nothing() {
        let mut tokens = Tokens::default();
        tokens.add(Role::Operate, &Secret::new(" \n".into())).unwrap();
        assert!(tokens.is_empty());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn operate_allows_everything_and_the_others_themselves() {
        for needed in Role::ALL {
            assert!(Role::Operate.allows(needed) && needed.allows(needed));
        }
        assert!(!Role::Read.allows(Role::Purge) && !Role::Purge.allows(Role::Read));
        let caller = Caller { name: "ci".into(), role: Role::Purge };
        assert_eq!(caller.check_role(Role::Operate).unwrap_err().kind, ProblemKind::RoleMissing);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn tokens_are_never_printed() {
        let printed = format!("{:?}", tokens());
        assert!(printed.contains("ci") && !printed.contains(CI) && !printed.contains("digest"), "{printed}");
    }
}
