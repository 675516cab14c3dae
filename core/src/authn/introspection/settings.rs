//! The settings of an `introspection` policy.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::authn::resource::{bearer_challenge, proof_challenge};
use crate::authn::{
    Authenticator, CertificateSource, CredentialPlace, IdentityRules, JwtSettings, KeySource, OutageRules,
    ProtectedResource,
};
use crate::bounds::ROUTE_LIST_MAX;
use crate::codec::{self, Decode};
use crate::jose::Algorithm;
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
    /// Where the keys are that sign the server's answers; absent, they are not signed.
    #[serde(default)]
    #[n(6)]
    pub signed: Option<SignedAnswers>,
    /// Which tokens are admitted while the server is away; absent, only those that are remembered.
    #[serde(default)]
    #[n(7)]
    pub outage: Option<OutageRules>,
}

/// The answers of a server are signed (RFC 9701).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct SignedAnswers {
    /// The URL of the keys; absent, the metadata of the one issuer names it.
    #[serde(default)]
    #[n(0)]
    pub jwks: Option<String>,
}

impl codec::Section for IntrospectionSettings {
    const VERSION: u16 = IdentityRules::VERSION;

    fn least_version(&self) -> u16 {
        self.rules.least_version(self.outage.is_some())
    }
}

impl PolicyKind for IntrospectionSettings {
    fn is_coherent(&self) -> bool {
        // The metadata of one issuer names the endpoint.
        let is_found = self.url.is_some() || self.rules.issuers.len() == 1;
        // One issuer signs, for the client that asks.
        let is_signed = self.rules.issuers.len() == 1 && self.client.client_id().is_some();
        is_found
            && self.rules.is_for_somebody()
            && (self.signed.is_none() || is_signed)
            && self.outage.as_ref().is_none_or(OutageRules::is_coherent)
            && self.rules.group_claims.len() <= ROUTE_LIST_MAX
            && self.rules.has_coherent_binding(&self.place)
    }

    fn uses(&self) -> Uses<'_> {
        // The same metadata name the endpoint and the keys.
        let reads_metadata = self.url.is_none() || self.signed.as_ref().is_some_and(|signed| signed.jwks.is_none());
        let answers = u32::from(reads_metadata) + u32::from(self.signed.is_some());
        let dpop = self.rules.dpop();
        let of_answer = self.signed.as_ref().map_or(0, |signed| self.key_source(signed).verifications());
        let secrets = std::slice::from_ref(self.client.secret());
        // The question about the token is asked by each isolate, about each request if answers are not remembered.
        let questions = u32::from(self.cache_ms == 0);
        let fetches = answers + 1 - questions;
        let outage = self.outage.as_ref();
        Uses {
            credential: Some(&self.place),
            secrets,
            fetches,
            questions,
            answers,
            verifications: of_answer + u32::from(dpop.is_some()),
            outage,
            once: dpop.is_some_and(|rules| rules.once),
            nonce: dpop.and_then(|rules| rules.nonce.as_ref()),
            link: self.rules.links.is_some(),
            named_certificate: self.rules.certificate_source() == CertificateSource::Field,
            ..Uses::default()
        }
    }
}

impl Authenticator for IntrospectionSettings {
    fn challenge(&self, realm: &str) -> String {
        bearer_challenge(&self.rules, &self.place, realm)
    }

    fn scope_in_credential<'s>(&'s self, scope: &'s str) -> &'s str {
        self.rules.scope_in_token(scope)
    }

    fn proof_challenge(&self, realm: &str) -> Option<String> {
        proof_challenge(&self.rules, &self.place, realm)
    }

    fn protected_resource(&self) -> Option<ProtectedResource<'_>> {
        ProtectedResource::of(&self.rules, &self.place)
    }
}

impl IntrospectionSettings {
    fn key_source(&self, signed: &SignedAnswers) -> KeySource {
        match &signed.jwks {
            Some(url) => KeySource::Set(url.clone(), self.is_private),
            None => KeySource::Discovery(self.is_private),
        }
    }

    /// How the signature of an answer is verified: as that of a token of the issuer, with these keys.
    #[must_use]
    pub fn verification(&self, signed: &SignedAnswers) -> JwtSettings {
        let keys = self.key_source(signed);
        let rules = IdentityRules { issuers: self.rules.issuers.clone(), ..IdentityRules::default() };
        let algorithms = Algorithm::PUBLIC.into_iter().collect();
        JwtSettings { keys, algorithms, place: self.place.clone(), kind: None, rules, outage: None }
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
            signed: None,
            outage: None,
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

    #[wasm_bindgen_test(unsupported = test)]
    fn signed_answers_are_those_of_one_issuer_for_a_client() {
        let signed = || IntrospectionSettings { signed: Some(SignedAnswers { jwks: None }), ..settings() };
        let bearer = ClientAuthentication::Bearer(SecretText::parse("${secret.A}").unwrap());
        assert!(signed().is_coherent() && !IntrospectionSettings { client: bearer, ..signed() }.is_coherent());
        let several = IdentityRules { issuers: vec!["a".into(), "b".into()], ..settings().rules };
        assert!(!IntrospectionSettings { rules: several, ..signed() }.is_coherent());
        assert_eq!((settings().uses().fetches, signed().uses().fetches), (1, 3));
    }
}
