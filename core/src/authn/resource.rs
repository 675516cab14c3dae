//! The metadata of protected resources (RFC 9728): which authorization servers issue tokens for an API.

use bytes::Bytes;
use http::header::AUTHORIZATION;

use super::{CredentialPlace, IdentityRules};
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
        Some(Self { url: rules.resource.as_deref()?, issuers: &rules.issuers, place })
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
    let mut challenge = place.challenge("Bearer", realm);
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
    });
    ResourceMetadata { path: [METADATA_PATH, of.parts().1].concat(), document: document.into() }
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
    use crate::authn::{Authenticator, JwtSettings, KeySource};
    use crate::jose::Algorithm;
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
