//! The request as its upstream will see it: the received one plus edits.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri};

use super::{Ambiguity, Edits, Fields, IdentityField, TrailerRules};

/// The resource that a request is for, as its client named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'r> {
    /// The canonical host.
    pub host: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The query as it is forwarded: without API keys.
    pub query: Option<&'r str>,
}

/// A request as its upstream will see it.
///
/// It is built once, before the look-up in the cache, and every later step reads it instead of the received request:
/// removed fields cannot influence a cache key, and forwarded ones can. Edits that belong to one attempt (its span, the
/// validators of a stored response, the gateway's own credentials) come after the lasting ones. [`Outbound::fields`]
/// does not contain them, so they cannot influence a key either.
#[derive(Debug)]
pub struct Outbound<'r> {
    method: &'r Method,
    target: Uri,
    resource: (&'r str, &'r str),
    has_content: bool,
    ambiguity: Option<Ambiguity>,
    trailer_rules: Option<Arc<TrailerRules>>,
    identity: &'r [IdentityField],
    received: &'r HeaderMap,
    edits: Edits,
    /// The number of edits that apply to every attempt.
    lasting: usize,
}

impl<'r> Outbound<'r> {
    /// A request that the gateway itself makes, or one that is sent as received.
    #[must_use]
    pub fn new(method: &'r Method, target: Uri, fields: &'r HeaderMap, has_content: bool) -> Self {
        let (resource, edits) = (("", ""), Edits::default());
        let (ambiguity, trailer_rules, identity) = (None, None, &[]);
        Self {
            method,
            target,
            resource,
            has_content,
            ambiguity,
            trailer_rules,
            identity,
            received: fields,
            edits,
            lasting: 0,
        }
    }

    /// The same with the client's host and path.
    #[must_use]
    pub fn on_behalf_of(self, host: &'r str, path: &'r str) -> Self {
        Self { resource: (host, path), ..self }
    }

    /// The same with edits that apply to every attempt.
    #[must_use]
    pub fn with_edits(self, edits: Edits) -> Self {
        Self { lasting: edits.len(), edits, ..self }
    }

    /// The same, with what is not certain about it.
    #[must_use]
    pub fn with_ambiguity(self, ambiguity: Option<Ambiguity>) -> Self {
        Self { ambiguity, ..self }
    }

    /// The same, with rules for the trailers of its content.
    #[must_use]
    pub fn with_trailer_rules(self, rules: Option<Arc<TrailerRules>>) -> Self {
        Self { trailer_rules: rules, ..self }
    }

    /// The same, with the fields that tell the upstream who the caller is; the edits set them.
    #[must_use]
    pub fn with_identity(self, identity: &'r [IdentityField]) -> Self {
        Self { identity, ..self }
    }

    /// Starts an attempt: removes the edits of an earlier one, and returns the edits to add those of this one to.
    pub fn begin_attempt(&mut self) -> &mut Edits {
        self.edits.truncate(self.lasting);
        &mut self.edits
    }

    /// The edits of the current attempt, to add more.
    pub const fn attempt(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'r Method {
        self.method
    }

    /// The absolute URI of the request.
    #[must_use]
    pub const fn target(&self) -> &Uri {
        &self.target
    }

    /// The requested resource.
    #[must_use]
    pub fn resource(&self) -> Resource<'_> {
        let (host, path) = self.resource;
        Resource { host, path, query: self.target.query() }
    }

    /// Whether it has content, as far as this is known without reading it.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        self.has_content
    }

    /// What is not certain about it.
    #[must_use]
    pub const fn ambiguity(&self) -> Option<Ambiguity> {
        self.ambiguity
    }

    /// The fields that tell the upstream who the caller is.
    #[must_use]
    pub const fn identity(&self) -> &'r [IdentityField] {
        self.identity
    }

    /// The rules for the trailers of its content.
    #[must_use]
    pub fn trailer_rules(&self) -> Option<Arc<TrailerRules>> {
        self.trailer_rules.clone()
    }

    /// Whether it may be sent again after its connection was lost: it has no content, and its method is idempotent (RFC
    /// 9110, section 9.2.2).
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        !self.has_content && self.method.is_idempotent()
    }

    /// The fields that are the same for every attempt; only these may influence a cache key.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::new(self.received, &self.edits.as_slice()[..self.lasting])
    }

    /// The fields of the current attempt.
    #[must_use]
    pub fn sent(&self) -> Fields<'_> {
        self.edits.over(self.received)
    }

    /// The edits from the received to the sent message, for a host that edits the received message.
    #[must_use]
    pub const fn edits(&self) -> &Edits {
        &self.edits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::{AUTHORIZATION, IF_NONE_MATCH};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn edits_of_an_attempt_are_not_part_of_the_lasting_fields() {
        let received = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("the client's"))]);
        let mut lasting = Edits::default();
        lasting.remove(AUTHORIZATION);
        let mut outbound =
            Outbound::new(&Method::GET, Uri::from_static("http://a/?q"), &received, false).with_edits(lasting);
        outbound.begin_attempt().set(AUTHORIZATION, HeaderValue::from_static("the gateway's"));
        assert_eq!(outbound.sent().get(AUTHORIZATION).unwrap(), "the gateway's");
        assert!(!outbound.fields().contains(AUTHORIZATION));
        outbound.begin_attempt().set(IF_NONE_MATCH, HeaderValue::from_static("\"a\""));
        assert!(!outbound.sent().contains(AUTHORIZATION) && outbound.sent().contains(IF_NONE_MATCH));
        assert_eq!(outbound.resource().query, Some("q"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_an_idempotent_request_without_content_is_repeatable() {
        let fields = HeaderMap::new();
        let repeatable = |method: &Method, has_content| {
            Outbound::new(method, Uri::from_static("http://a/"), &fields, has_content).is_repeatable()
        };
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            assert!(repeatable(&method, false), "{method}");
            assert!(!repeatable(&method, true), "{method}");
        }
        for method in [Method::POST, Method::PATCH, Method::from_bytes(b"PURGE").unwrap()] {
            assert!(!repeatable(&method, false), "{method}");
        }
    }
}
