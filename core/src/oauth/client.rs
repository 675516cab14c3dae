//! How the gateway proves to an authorization server who it is.

use std::fmt;

use crate::codec::Decode;
use base64ct::{Base64, Encoding};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::form;
use crate::json;
use crate::secret::{Secret, SecretText};
use crate::time::Timestamp;

/// The authentication of the gateway as a client (RFC 6749, section 2.3), without the values of secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum ClientAuthentication {
    /// Id and secret in the field `Authorization` (section 2.3.1).
    #[n(0)]
    Basic(#[n(0)] String, #[n(1)] SecretText),
    /// Id and secret in the content (section 2.3.1).
    #[n(1)]
    Post(#[n(0)] String, #[n(1)] SecretText),
    /// A bearer token (RFC 7662, section 2.1).
    #[n(2)]
    Bearer(#[n(0)] SecretText),
    /// Assertions that the client of this id signs with this private key (RFC 7523, section 2.2).
    #[n(3)]
    PrivateKey(#[n(0)] String, #[n(1)] SecretText),
}

/// The same with the value of its secret.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'s> {
    /// See [`ClientAuthentication::Basic`].
    Basic(&'s str, &'s Secret),
    /// See [`ClientAuthentication::Post`].
    Post(&'s str, &'s Secret),
    /// See [`ClientAuthentication::Bearer`].
    Bearer(&'s Secret),
    /// A signed assertion; see [`ClientAuthentication::PrivateKey`].
    Assertion(&'s str),
}

/// The fields and the content of a request to an authorization server. They contain secrets and are not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientRequest {
    /// The fields.
    pub fields: HeaderMap,
    /// The content: a form.
    pub content: String,
}

impl ClientAuthentication {
    /// The text with the secret.
    #[must_use]
    pub const fn secret(&self) -> &SecretText {
        match self {
            Self::Basic(_, secret) | Self::Post(_, secret) | Self::PrivateKey(_, secret) | Self::Bearer(secret) => {
                secret
            }
        }
    }

    /// The client's id, if it has one.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Basic(id, _) | Self::Post(id, _) | Self::PrivateKey(id, _) => Some(id),
            Self::Bearer(_) => None,
        }
    }
}

impl ClientRequest {
    /// A request with these parameters that is answered with one of these media types; `None` if the secret has characters
    /// that a field must not have.
    #[must_use]
    pub fn new(parameters: &[(&str, &str)], accept: &'static str, proof: Proof<'_>) -> Option<Self> {
        let mut content = String::new();
        for (name, value) in parameters {
            form::add(&mut content, name, value);
        }
        let mut fields = HeaderMap::new();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        fields.insert(ACCEPT, HeaderValue::from_static(accept));
        match proof {
            Proof::Basic(id, secret) => drop(fields.insert(AUTHORIZATION, sensitive(&basic(id, secret))?)),
            Proof::Post(id, secret) => {
                form::add(&mut content, "client_id", id);
                form::add(&mut content, "client_secret", secret.expose());
            }
            Proof::Assertion(assertion) => {
                form::add(&mut content, "client_assertion_type", ASSERTION_TYPE);
                form::add(&mut content, "client_assertion", assertion);
            }
            Proof::Bearer(token) => {
                drop(fields.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose()))?));
            }
        }
        Some(Self { fields, content })
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientRequest(..)")
    }
}

/// RFC 7523, section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The claims of an assertion of a client for an audience (RFC 7523, section 3), with an id that is used once.
#[must_use]
pub fn assertion_claims(client: &str, audience: &str, id: &[u8; 16], now: Timestamp) -> String {
    let issued = now.as_secs();
    let mut claims = String::new();
    json::object(&mut claims, |claims| {
        claims.text("iss", client);
        claims.text("sub", client);
        claims.text("aud", audience);
        claims.hex("jti", id);
        claims.number("iat", issued);
        claims.number("exp", issued + ASSERTION_S);
    });
    claims
}

/// An assertion is used at once; clocks differ by less.
const ASSERTION_S: u64 = 60;

/// Id and secret are encoded before they are joined, so that a colon in the id is not the one between them.
fn basic(id: &str, secret: &Secret) -> String {
    let mut pair = String::new();
    form::encode(&mut pair, id);
    pair.push(':');
    form::encode(&mut pair, secret.expose());
    format!("Basic {}", Base64::encode_string(pair.as_bytes()))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn sent(proof: Proof<'_>) -> (Option<String>, String) {
        let request = ClientRequest::new(&[("token", "a/b")], "application/json", proof).unwrap();
        let authorization = request.fields.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        (authorization, request.content)
    }

    /// RFC 6749, section 2.3.1: both are form-encoded first.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_6749_2_3_1_id_and_secret_are_encoded_in_either_place() {
        let secret = Secret::new("7Fjf p0Z:Br1&KtDRbnfVdmIw".into());
        let (authorization, content) = sent(Proof::Basic("s6Bh:dRkqt3", &secret));
        let pair = Base64::encode_string(b"s6Bh%3AdRkqt3:7Fjf+p0Z%3ABr1%26KtDRbnfVdmIw");
        assert_eq!((authorization, content.as_str()), (Some(format!("Basic {pair}")), "token=a%2Fb"));
        let (authorization, content) = sent(Proof::Post("s6Bh:dRkqt3", &secret));
        assert_eq!(authorization, None);
        assert_eq!(content, "token=a%2Fb&client_id=s6Bh%3AdRkqt3&client_secret=7Fjf+p0Z%3ABr1%26KtDRbnfVdmIw");
    }

    /// RFC 7662, section 2.1.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7662_2_1_a_bearer_token_proves_who_asks() {
        let token = Secret::new("23410913-abewfq.123483".into());
        assert_eq!(sent(Proof::Bearer(&token)).0.as_deref(), Some("Bearer 23410913-abewfq.123483"));
        let broken = Secret::new("a\nb".into());
        assert_eq!(ClientRequest::new(&[], "application/json", Proof::Bearer(&broken)), None);
    }

    /// RFC 7523, sections 2.2 and 3.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7523_3_an_assertion_names_the_client_and_is_valid_for_a_minute() {
        let claims =
            assertion_claims("s6BhdRkqt3", "https://id.example.com/token", &[7; 16], Timestamp::from_millis(9_999));
        let want = r#"{"iss":"s6BhdRkqt3","sub":"s6BhdRkqt3","aud":"https://id.example.com/token","jti":"07070707070707070707070707070707","iat":9,"exp":69}"#;
        assert_eq!(claims, want);
        let (authorization, content) = sent(Proof::Assertion("a.b.c"));
        assert_eq!(authorization, None);
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        assert_eq!(content, format!("token=a%2Fb&client_assertion_type={kind}&client_assertion=a.b.c"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn nothing_of_a_request_is_printed() {
        let secret = Secret::new("hidden".into());
        let request = ClientRequest::new(&[("token", "hidden")], "application/json", Proof::Basic("hidden", &secret));
        let request = request.unwrap();
        assert!(!format!("{request:?} {:?} {:?}", request.fields, Proof::Post("a", &secret)).contains("hidden"));
    }
}
