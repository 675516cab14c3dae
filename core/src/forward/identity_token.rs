//! Tokens in which the gateway tells upstreams who a caller is (RFC 7519), signed with a key of its own.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{Attribute, Caller};
use crate::codec::{self, Decode};
use crate::json;
use crate::secret::SecretText;
use crate::time::Timestamp;

/// How the gateway signs its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct TokenSigning {
    /// The issuer.
    #[n(0)]
    pub issuer: String,
    /// The private key as a JWK. With two values, both public keys are published, and the first one signs.
    #[n(1)]
    pub key: SecretText,
    /// The path at which the public keys are published, on every host of the gateway.
    #[n(2)]
    pub keys_path: String,
    /// For how long a token is valid, in seconds.
    #[n(3)]
    pub lifetime_s: u32,
}

/// For whom a token is, and what it says besides the consumer and its scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IdentityToken {
    /// The audience.
    #[n(0)]
    pub audience: String,
    /// Further claims, sorted by name.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub claims: Vec<TokenClaim>,
}

/// A claim of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct TokenClaim {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// What it tells.
    #[n(1)]
    pub tells: Attribute,
}

impl IdentityToken {
    /// The claims that the gateway writes itself.
    pub const OWN: [&'static str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope"];

    /// Writes what every token for this caller says, as members of a JSON object, in one line.
    pub fn write(&self, issuer: &str, caller: &Caller<'_>, out: &mut String) {
        let start = out.len();
        out.push_str(&json::members(|claims| {
            claims.text("iss", issuer);
            claims.text("sub", caller.consumer);
            claims.text("aud", &self.audience);
            if !caller.scopes.is_empty() {
                claims.text("scope", &caller.scopes.join(" "));
            }
            for TokenClaim { name, tells } in &self.claims {
                tells.write_claim(name, caller, claims);
            }
        }));
        // JSON allows this character, a field's value does not.
        if out[start..].contains('\u{7f}') {
            let written = out[start..].replace('\u{7f}', "\\u007f");
            out.truncate(start);
            out.push_str(&written);
        }
    }
}

/// The claims of a token that is issued now, with an id that is used once.
#[must_use]
pub fn identity_claims(members: &str, id: &[u8; 16], now: Timestamp, lifetime_s: u32) -> String {
    let issued = now.as_secs();
    let mut claims = String::new();
    json::object(&mut claims, |claims| {
        claims.written(members);
        claims.hex("jti", id);
        claims.number("iat", issued);
        claims.number("exp", issued + u64::from(lifetime_s));
    });
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Members, Value};
    use http::HeaderValue;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn claims(names: &[(&str, Attribute)], caller: &Caller<'_>) -> Members {
        let claims =
            names.iter().map(|(name, tells)| TokenClaim { name: (*name).into(), tells: tells.clone() }).collect();
        let token = IdentityToken { audience: "pets".into(), claims };
        let mut members = String::new();
        token.write("https://api.example.com", caller, &mut members);
        assert!(HeaderValue::from_bytes(members.as_bytes()).is_ok(), "{members:?}");
        let all = identity_claims(&members, &[7; 16], Timestamp::from_millis(9_999), 300);
        Members::parse(all.as_bytes()).unwrap()
    }

    fn caller<'p>(consumer: &'p str, scopes: &'p [String], facts: &'p [(Attribute, Value)]) -> Caller<'p> {
        Caller { consumer, credential: "jwt-1", plan: Some("gold"), scopes, groups: scopes, facts }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_says_who_the_caller_is_for_whom_and_for_how_long() {
        let scopes = ["read".to_owned(), "write".to_owned()];
        let path = |name: &str| Attribute::Claim(vec![name.into()]);
        let value = |text: &str| Value::parse(text.as_bytes()).unwrap();
        let facts = [
            (path("email"), value("\"ada@example.com\"")),
            (path("n"), value("7")),
            (path("roles"), value("[\"a\",true,1.5]")),
            (path("object"), value("{}")),
        ];
        let caller = caller("staff:ada", &scopes, &facts);
        let names = [
            ("email", path("email")),
            ("groups", Attribute::Groups),
            ("missing", path("missing")),
            ("n", path("n")),
            ("object", path("object")),
            ("plan", Attribute::Plan),
            ("roles", path("roles")),
        ];
        let found = claims(&names, &caller);
        let text = |name| found.text(name).unwrap_or_default();
        assert_eq!((text("iss"), text("sub"), text("aud")), ("https://api.example.com", "staff:ada", "pets"));
        assert_eq!((text("scope"), text("email"), text("plan")), ("read write", "ada@example.com", "gold"));
        assert_eq!((found.get("iat"), found.get("exp")), (Some(&Value::Integer(9)), Some(&Value::Integer(309))));
        assert_eq!((found.get("n"), found.get("roles")), (Some(&value("7")), Some(&value("[\"a\",true,1.5]"))));
        assert_eq!(found.get("groups"), Some(&value("[\"read\",\"write\"]")));
        assert_eq!((found.get("missing"), found.get("object")), (None, None));
        assert_eq!(text("jti"), "07".repeat(16));
        let none = claims(&[], &Caller { scopes: &[], ..caller });
        assert_eq!(none.get("scope"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_the_claims_are_json_and_the_value_of_a_field(
            name in ".{1,20}", odd in "[\u{0}-\u{20}\"\\\\\u{7f}é]{0,8}"
        ) {
            let scopes = [odd.clone()];
            let facts = [(Attribute::Claim(vec!["a".into()]), Value::Text(odd.clone()))];
            let found = claims(&[("a", facts[0].0.clone())], &caller(&name, &scopes, &facts));
            prop_assert_eq!(found.text("sub"), Some(name.as_str()));
            prop_assert_eq!(found.text("a"), Some(odd.as_str()));
        }
    }
}
