//! How the gateway authenticates itself to an upstream.

use base64ct::{Base64, Encoding};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::AwsSettings;
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
    /// By a token that an authorization server issues for the caller's (RFC 8693).
    #[n(3)]
    TokenExchange(#[n(0)] TokenExchange),
    /// By a signature of each request.
    #[n(4)]
    Aws(#[n(0)] AwsSettings),
}

/// What the gateway asks of an authorization server for each token of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct TokenExchange {
    /// The server, and what is asked for.
    #[n(0)]
    pub server: ClientCredentials,
    /// What kind of token those of callers are (RFC 8693, section 3).
    #[n(1)]
    pub subject: TokenType,
    /// A token of the gateway itself, as the party that acts for the caller.
    #[serde(default)]
    #[n(2)]
    pub actor: Option<SecretText>,
}

/// A kind of token (RFC 8693, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum TokenType {
    /// An access token.
    #[n(0)]
    AccessToken,
    /// A JSON Web Token.
    #[n(1)]
    Jwt,
    /// An ID token.
    #[n(2)]
    IdToken,
}

impl TokenType {
    /// Its identifier.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => ACCESS_TOKEN,
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
        }
    }
}

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

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
    /// The resources for which the token is asked for (RFC 8707).
    #[serde(default)]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub resources: Vec<String>,
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
            Self::TokenExchange(_) => "token-exchange",
            Self::Aws(_) => "aws-sigv4",
        }
    }

    /// The texts with secrets, in the order in which they are read.
    #[must_use]
    pub fn secrets(&self) -> Vec<&SecretText> {
        match self {
            Self::None => Vec::new(),
            Self::Basic(_, password) => vec![password],
            Self::ClientCredentials(credentials) => vec![credentials.client.secret()],
            Self::TokenExchange(exchange) => exchange.actor.iter().chain([exchange.server.client.secret()]).collect(),
            Self::Aws(aws) => [&aws.key_id, &aws.secret].into_iter().chain(&aws.session).collect(),
        }
    }

    /// The server that is asked for tokens, if there is one.
    #[must_use]
    pub const fn server(&self) -> Option<&ClientCredentials> {
        match self {
            Self::ClientCredentials(server) | Self::TokenExchange(TokenExchange { server, .. }) => Some(server),
            Self::None | Self::Basic(..) | Self::Aws(_) => None,
        }
    }

    /// Whether it reads the whole content of requests into memory.
    #[must_use]
    pub const fn reads_content(&self) -> bool {
        matches!(self, Self::Aws(aws) if !aws.streams)
    }

    /// The value of the field for a name and a password (RFC 7617, section 2).
    #[must_use]
    pub fn basic(name: &str, password: &Secret) -> Secret {
        let pair = format!("{name}:{}", password.expose());
        Secret::new(format!("Basic {}", Base64::encode_string(pair.as_bytes())))
    }
}

impl ClientCredentials {
    /// The parameters of the request (RFC 6749, section 4.4.2; RFC 8707, section 2), without those of the client's
    /// authentication.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        self.parameters_of("client_credentials")
    }

    fn parameters_of(&self, grant: &str) -> Vec<(&'static str, String)> {
        let scopes = (!self.scopes.is_empty()).then(|| ("scope", self.scopes.join(" ")));
        let audience = self.audience.clone().map(|audience| ("audience", audience));
        let resources = self.resources.iter().map(|resource| ("resource", resource.clone()));
        let all = [Some(("grant_type", grant.to_owned())), scopes, audience].into_iter().flatten();
        all.chain(resources).collect()
    }
}

impl TokenExchange {
    /// The parameters of the request for a caller's token (RFC 8693, section 2.1), without those of the client's
    /// authentication.
    #[must_use]
    pub fn parameters(&self, subject: &str, actor: Option<&Secret>) -> Vec<(&'static str, String)> {
        let mut all = self.server.parameters_of("urn:ietf:params:oauth:grant-type:token-exchange");
        all.push(("subject_token", subject.to_owned()));
        all.push(("subject_token_type", self.subject.as_str().to_owned()));
        if let Some(actor) = actor {
            all.push(("actor_token", actor.expose().to_owned()));
            all.push(("actor_token_type", ACCESS_TOKEN.to_owned()));
        }
        all
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

    /// RFC 6749, section 4.4.2; RFC 8693, section 2.1; RFC 8707, section 2.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_6749_4_4_2_scopes_audience_and_resources_are_asked_for_if_there_are_some() {
        let secret = SecretText::parse("${secret.A}").unwrap();
        let plain = ClientCredentials {
            url: "https://a/token".into(),
            is_private: false,
            client: ClientAuthentication::Basic("gateway".into(), secret),
            scopes: vec![],
            audience: None,
            resources: vec![],
        };
        assert_eq!(plain.parameters(), [("grant_type", "client_credentials".to_owned())]);
        let more = ClientCredentials { scopes: vec!["a".into(), "b".into()], audience: Some("x".into()), ..plain };
        assert_eq!(more.parameters()[1..], [("scope", "a b".to_owned()), ("audience", "x".to_owned())]);
        let resources = vec!["https://a".to_owned(), "https://b".to_owned()];
        let server = ClientCredentials { resources, scopes: vec![], audience: None, ..more };
        let resources = [("resource", "https://a".to_owned()), ("resource", "https://b".to_owned())];
        assert_eq!(server.parameters()[1..], resources);
        let exchange = TokenExchange { server, subject: TokenType::Jwt, actor: None };
        let asked = |actor| {
            let all = exchange.parameters("a.b.c", actor);
            all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        let urn = "urn:ietf:params:oauth";
        let want = format!(
            "grant_type={urn}:grant-type:token-exchange&resource=https://a&resource=https://b&subject_token=a.b.c\
             &subject_token_type={urn}:token-type:jwt"
        );
        assert_eq!(asked(None), want);
        let actor = format!("{want}&actor_token=g&actor_token_type={urn}:token-type:access_token");
        assert_eq!(asked(Some(&Secret::new("g".into()))), actor);
    }
}
