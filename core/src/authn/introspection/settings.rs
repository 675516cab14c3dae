//! The settings of an `introspection` policy.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::authn::{Authenticator, CredentialPlace, IdentityRules};
use crate::bounds::ROUTE_LIST_MAX;
use crate::codec;
use crate::kinds::{PolicyKind, Uses};
use crate::oauth::ClientAuthentication;

/// Settings of one `introspection` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IntrospectionSettings {
    /// The URL of the server's introspection endpoint; absent, the metadata of the one issuer names it (RFC 8414).
    #[serde(default)]
    #[n(0)]
    pub url: Option<String>,
    /// Whether the server may have an address that is not public.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub is_private: bool,
    /// How the gateway proves to the server who it is.
    #[n(2)]
    pub client: ClientAuthentication,
    /// Where a request presents the token.
    #[n(3)]
    pub place: CredentialPlace,
    /// What the server must say of the token, and who its bearer is.
    #[n(4)]
    pub rules: IdentityRules,
    /// How long an answer is used, in milliseconds: the time within which a revocation is seen.
    #[n(5)]
    pub cache_ms: u32,
}

impl codec::Section for IntrospectionSettings {}

impl PolicyKind for IntrospectionSettings {
    fn is_coherent(&self) -> bool {
        // The metadata of one issuer names the endpoint.
        let is_found = self.url.is_some() || self.rules.issuers.len() == 1;
        is_found && self.rules.is_for_somebody() && self.rules.group_claims.len() <= ROUTE_LIST_MAX
    }

    fn uses(&self) -> Uses<'_> {
        // The metadata, and the question itself.
        let fetches = if self.url.is_some() { 1 } else { 2 };
        Uses { credential: Some(&self.place), secrets: std::slice::from_ref(self.client.secret()), fetches, ..Uses::default() }
    }
}

impl Authenticator for IntrospectionSettings {
    fn challenge(&self, realm: &str) -> String {
        self.place.challenge("Bearer", realm)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::secret::SecretText;
    use http::header::AUTHORIZATION;
    use wasm_bindgen_test::wasm_bindgen_test;

    pub(in super::super) fn settings() -> IntrospectionSettings {
        let secret = SecretText::parse("${secret.CLIENT}").unwrap();
        IntrospectionSettings {
            url: Some("https://id.example.com/introspect".into()),
            is_private: false,
            client: ClientAuthentication::Basic("gateway".into(), secret),
            place: CredentialPlace::field(AUTHORIZATION, Some("Bearer".into())),
            rules: IdentityRules {
                issuers: vec!["https://id.example.com".into()],
                audiences: vec!["pets".into()],
                ..IdentityRules::default()
            },
            cache_ms: 30_000,
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_endpoint_is_named_or_found_by_one_issuer() {
        let with = |url: Option<&str>, issuers: &[&str]| {
            let rules =
                IdentityRules { issuers: issuers.iter().map(|i| (*i).to_owned()).collect(), ..settings().rules };
            IntrospectionSettings { url: url.map(str::to_owned), rules, ..settings() }.is_coherent()
        };
        assert!(with(Some("https://a/i"), &[]) && with(Some("https://a/i"), &["a", "b"]) && with(None, &["a"]));
        assert!(!with(None, &[]) && !with(None, &["a", "b"]));
        let anybody = IdentityRules { audiences: vec![], ..settings().rules };
        assert!(!IntrospectionSettings { rules: anybody, ..settings() }.is_coherent());
    }
}
