//! How the gateway authenticates itself to an upstream.

use base64ct::{Base64, Encoding};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Decode};
use crate::oauth::ClientAuthentication;
use crate::secret::{Secret, SecretText};

/// How the gateway authenticates itself to an upstream, in the field `Authorization`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum UpstreamAuth {
    /// Not at all, or by the fields that are set.
    #[default]
    #[n(0)]
    None,
    /// By a name and a password (RFC 7617).
    #[n(1)]
    Basic(#[n(0)] String, #[n(1)] SecretText),
    /// By a token that an authorization server issues to the gateway (RFC 6749, section 4.4).
    #[n(2)]
    ClientCredentials(#[n(0)] ClientCredentials),
}

/// What the gateway asks of an authorization server for an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ClientCredentials {
    /// The URL of the token endpoint.
    #[n(0)]
    pub url: String,
    /// Whether the server may have an address that is not public.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub is_private: bool,
    /// How the gateway proves to the server who it is.
    #[n(2)]
    pub client: ClientAuthentication,
    /// The scopes that are asked for.
    #[serde(default)]
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub scopes: Vec<String>,
    /// For whom the token is asked for; some servers require it.
    #[serde(default)]
    #[n(4)]
    pub audience: Option<String>,
}

impl UpstreamAuth {
    /// Whether the gateway does not set the field `Authorization` in this way.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The word in configuration; `none` if there is no authentication.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic(..) => "basic",
            Self::ClientCredentials(_) => "client-credentials",
        }
    }

    /// The text with the secret, if there is one.
    #[must_use]
    pub const fn secret(&self) -> Option<&SecretText> {
        match self {
            Self::None => None,
            Self::Basic(_, password) => Some(password),
            Self::ClientCredentials(credentials) => Some(credentials.client.secret()),
        }
    }

    /// The value of the field for a name and a password (RFC 7617, section 2).
    #[must_use]
    pub fn basic(name: &str, password: &Secret) -> Secret {
        let pair = format!("{name}:{}", password.expose());
        Secret::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())))
    }
}

impl ClientCredentials {
    /// The parameters of the request (RFC 6749, section 4.4.2), without those of the client's authentication.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let scopes = (!self.scopes.is_empty()).then(|| ("scope", self.scopes.join(" ")));
        let audience = self.audience.clone().map(|audience| ("audience", audience));
        [Some(("grant_type", "client_credentials".to_owned())), scopes, audience].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// RFC 7617, section 2: the pair of this example, and one beyond ASCII (section 2.1).
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7617_2_name_and_password_are_joined_as_they_are() {
        let basic = |name, password: &str| UpstreamAuth::basic(name, &Secret::new(password.into())).expose().to_owned();
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
    }

    /// RFC 6749, section 4.4.2.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_6749_4_4_2_scopes_and_audience_are_asked_for_if_there_are_some() {
        let secret = SecretText::parse("${secret.A}").unwrap();
        let plain = ClientCredentials {
            url: "https://a/token".into(),
            is_private: false,
            client: ClientAuthentication::Basic("gateway".into(), secret),
            scopes: vec![],
            audience: None,
        };
        assert_eq!(plain.parameters(), [("grant_type", "client_credentials".to_owned())]);
        let more = ClientCredentials { scopes: vec!["a".into(), "b".into()], audience: Some("x".into()), ..plain };
        assert_eq!(more.parameters()[1..], [("scope", "a b".to_owned()), ("audience", "x".to_owned())]);
    }
}
