//! The metadata of protected resources (RFC 9728): which authorization servers issue tokens for an API.

use bytes::Bytes;
use http::header::AUTHORIZATION;

use super::{BindingMode, BindingRules, CredentialPlace, IdentityRules};
use crate::jose::Algorithm;
use crate::json;

/// A protected resource, as a policy describes it.
#[derive(Clone, Copy, Debug)]
pub struct ProtectedResource<'s> {
    /// Its identifier, a URL.
    url: &'s str,
    /// Those who issue tokens for it.
    issuers: &'s [String],
    /// Where a client may send a token.
    place: &'s CredentialPlace,
    /// What tokens must be bound to.
    binding: Option<&'s BindingRules>,
}

/// The metadata of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// The path at which they are served.
    pub path: String,
    /// The document.
    pub document: Bytes,
}

/// The path below which metadata are served (section 3).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

impl<'s> ProtectedResource<'s> {
    /// The resource whose metadata a policy asks for.
    pub(super) fn of(rules: &'s IdentityRules, place: &'s CredentialPlace) -> Option<Self> {
        let url = rules.resource.as_deref()?;
        Some(Self { url, issuers: &rules.issuers, place, binding: rules.binding.as_ref() })
    }

    /// The URL of its metadata: the well-known path comes between the host and the path of the resource (section 3.1).
    fn metadata_url(&self) -> String {
        let (origin, path) = self.parts();
        [origin, METADATA_PATH, path].concat()
    }

    fn parts(&self) -> (&'s str, &'s str) {
        let host = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[host..].find('/').map_or(self.url.len(), |at| host + at);
        let (origin, path) = self.url.split_at(end);
        (origin, if path == "/" { "" } else { path })
    }

    /// How a client may send a token (section 2; RFC 6750, section 2).
    fn methods(&self) -> impl Iterator<Item = &'static str> {
        let in_header = (self.place.field == AUTHORIZATION).then_some("header");
        in_header.into_iter().chain(self.place.query.as_ref().map(|_| "query"))
    }
}

/// The challenge of a policy for bearer tokens, which names the metadata if there are some (section 5.1).
pub(super) fn bearer_challenge(rules: &IdentityRules, place: &CredentialPlace, realm: &str) -> String {
    if rules.binding_mode() == BindingMode::Dpop {
        return dpop_challenge(rules, place, realm);
    }
    with_metadata(place.challenge("Bearer", realm), rules, place)
}

/// The challenge for tokens with a proof, beside that for others.
pub(super) fn proof_challenge(rules: &IdentityRules, place: &CredentialPlace, realm: &str) -> Option<String> {
    let mode = rules.binding_mode();
    (mode.accepts_proofs() && mode != BindingMode::Dpop).then(|| dpop_challenge(rules, place, realm))
}

/// RFC 9449, section 7.1.
fn dpop_challenge(rules: &IdentityRules, place: &CredentialPlace, realm: &str) -> String {
    let algorithms = rules.dpop().map(|dpop| dpop.algorithms).unwrap_or_default();
    let names = algorithms.iter().map(Algorithm::as_str).collect::<Vec<_>>().join(" ");
    with_metadata(["DPoP realm=\"", realm, "\", algs=\"", &names, "\""].concat(), rules, place)
}

fn with_metadata(mut challenge: String, rules: &IdentityRules, place: &CredentialPlace) -> String {
    if let Some(resource) = ProtectedResource::of(rules, place) {
        challenge.push_str(", resource_metadata=\"");
        challenge.push_str(&resource.metadata_url());
        challenge.push('"');
    }
    challenge
}

/// The documents of these resources; policies of one resource have one document.
#[must_use]
pub fn resource_metadata(all: &[ProtectedResource<'_>]) -> Vec<ResourceMetadata> {
    let is_first = |at: usize| all[..at].iter().all(|earlier| earlier.url != all[at].url);
    (0..all.len()).filter(|at| is_first(*at)).map(|at| metadata(all, all[at])).collect()
}

fn metadata(all: &[ProtectedResource<'_>], of: ProtectedResource<'_>) -> ResourceMetadata {
    let (mut issuers, mut methods) = (Vec::new(), Vec::new());
    for same in all.iter().filter(|same| same.url == of.url) {
        add(&mut issuers, same.issuers.iter().map(String::as_str));
        add(&mut methods, same.methods());
    }
    let mut document = String::new();
    json::object(&mut document, |members| {
        members.text("resource", of.url);
        // Members without a value are left out (section 3.2).
        for (name, values) in [("authorization_servers", issuers), ("bearer_methods_supported", methods)] {
            if !values.is_empty() {
                members.list(name, values, json::string);
            }
        }
        bindings(&all.iter().filter(|same| same.url == of.url).collect::<Vec<_>>(), members);
    });
    ResourceMetadata { path: [METADATA_PATH, of.parts().1].concat(), document: document.into() }
}

/// What tokens for a resource may be bound to, and whether they must be: all policies of the resource have to agree on that.
fn bindings(policies: &[&ProtectedResource<'_>], members: &mut json::Object<'_>) {
    let modes = || policies.iter().map(|policy| policy.binding.map(|binding| binding.mode).unwrap_or_default());
    let proofs = policies.iter().filter_map(|policy| policy.binding?.dpop.as_ref());
    let mut algorithms = Vec::new();
    proofs.for_each(|dpop| add(&mut algorithms, dpop.algorithms.iter().map(Algorithm::as_str)));
    if !algorithms.is_empty() {
        members.list("dpop_signing_alg_values_supported", algorithms, json::string);
    }
    let mut supported = Vec::new();
    if modes().all(|mode| mode == BindingMode::Dpop) {
        supported.push("dpop_bound_access_tokens_required");
    }
    if modes().all(|mode| matches!(mode, BindingMode::Certificate | BindingMode::Any)) {
        supported.push("tls_client_certificate_bound_access_tokens");
    }
    for name in supported {
        members.value(name, |out| out.push_str("true"));
    }
}

/// Adds those that are not in the list.
fn add<'t>(list: &mut Vec<&'t str>, texts: impl Iterator<Item = &'t str>) {
    for text in texts {
        if !list.contains(&text) {
            list.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::{Authenticator, CertificateSource, DpopRules, JwtSettings, KeySource};
    use wasm_bindgen_test::wasm_bindgen_test;

    fn policy(issuer: &str, resource: &str) -> JwtSettings {
        let plain = JwtSettings::new(issuer, "a", KeySource::Discovery(false), Algorithm::Es256);
        JwtSettings { rules: IdentityRules { resource: Some(resource.to_owned()), ..plain.rules }, ..plain }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_9728_3_1_the_well_known_path_is_between_host_and_path() {
        for (resource, url) in [
            ("https://api.example.com", "https://api.example.com/.well-known/oauth-protected-resource"),
            ("https://api.example.com/", "https://api.example.com/.well-known/oauth-protected-resource"),
            ("https://api.example.com:8443/v1", "https://api.example.com:8443/.well-known/oauth-protected-resource/v1"),
            ("https://api.example.com/a/b/", "https://api.example.com/.well-known/oauth-protected-resource/a/b/"),
        ] {
            let policy = policy("https://id.example.com", resource);
            assert_eq!(policy.challenge("acme"), format!("Bearer realm=\"acme\", resource_metadata=\"{url}\""));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_document_says_what_tokens_must_be_bound_to() {
        let bound = |mode: BindingMode| {
            let algorithms = [Algorithm::Es256, Algorithm::EdDsa].into_iter().collect();
            let dpop = DpopRules { algorithms, age_max_s: 60, nonce: None, once: true };
            let dpop = mode.accepts_proofs().then_some(dpop);
            let binding = Some(BindingRules { mode, certificate: CertificateSource::Connection, dpop });
            let plain = policy("https://id.example.com", "https://api.example.com");
            JwtSettings { rules: IdentityRules { binding, ..plain.rules.clone() }, ..plain }
        };
        let members = |policies: &[&JwtSettings]| {
            let all: Vec<_> = policies.iter().filter_map(|policy| policy.protected_resource()).collect();
            let document = resource_metadata(&all).remove(0).document;
            let text = std::str::from_utf8(&document).unwrap().to_owned();
            text.split_once(r#"["header"]"#).unwrap().1.to_owned()
        };
        let (dpop, any, certificate) =
            (bound(BindingMode::Dpop), bound(BindingMode::Any), bound(BindingMode::Certificate));
        let algorithms = r#","dpop_signing_alg_values_supported":["ES256","EdDSA"]"#;
        let required = r#","dpop_bound_access_tokens_required":true"#;
        let by_certificate = r#","tls_client_certificate_bound_access_tokens":true"#;
        assert_eq!(members(&[&dpop]), format!("{algorithms}{required}}}"));
        assert_eq!(members(&[&any]), format!("{algorithms}{by_certificate}}}"));
        assert_eq!(members(&[&certificate]), format!("{by_certificate}}}"));
        assert_eq!(members(&[&dpop, &certificate]), format!("{algorithms}}}"));
        let metadata = "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"";
        assert_eq!(dpop.challenge("acme"), format!("DPoP realm=\"acme\", algs=\"ES256 EdDSA\", {metadata}"));
        assert_eq!((dpop.proof_challenge("acme"), certificate.proof_challenge("acme")), (None, None));
        assert!(any.challenge("acme").starts_with("Bearer ") && any.proof_challenge("acme").is_some());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn policies_of_one_resource_have_one_document() {
        let first = policy("https://one.example", "https://api.example.com/v1");
        let place = CredentialPlace { query: Some("t".into()), ..first.place.clone() };
        let second = JwtSettings { place, ..policy("https://two.example", "https://api.example.com/v1") };
        let other = policy("https://one.example", "https://other.example.com");
        let none = JwtSettings::new("https://id.example.com", "a", KeySource::Discovery(false), Algorithm::Es256);
        let all = [&first, &second, &other, &none, &first];
        let all: Vec<_> = all.into_iter().filter_map(Authenticator::protected_resource).collect();
        let written = resource_metadata(&all);
        let texts: Vec<_> =
            written.iter().map(|one| (one.path.as_str(), std::str::from_utf8(&one.document).unwrap())).collect();
        assert_eq!(
            texts,
            [
                (
                    "/.well-known/oauth-protected-resource/v1",
                    r#"{"resource":"https://api.example.com/v1","authorization_servers":["https://one.example","https://two.example"],"bearer_methods_supported":["header","query"]}"#
                ),
                (
                    "/.well-known/oauth-protected-resource",
                    r#"{"resource":"https://other.example.com","authorization_servers":["https://one.example"],"bearer_methods_supported":["header"]}"#
                ),
            ]
        );
    }
}
