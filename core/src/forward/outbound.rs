//! All that an upstream will see of a request: what came plus edits.

use http::{HeaderMap, Method, Uri};

use super::{Edits, Fields};

/// The resource that a request is for, as its client named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'r> {
    /// The canonical host.
    pub host: &'r str,
    /// The canonical path.
    pub path: &'r str,
    /// The query as it is forwarded: without keys.
    pub query: Option<&'r str>,
}

/// A request as its upstream will see it.
///
/// It is built once, before the cache is asked, and every later step reads this and not what the client sent: whatever was
/// dropped on the way decides no key, and whatever is forwarded can. Edits that belong to one attempt (its span, the
/// validators of a stored response, credentials of the gateway's own) come after the lasting ones and are not seen by
/// [`Outbound::fields`], so that they decide no key either.
#[derive(Debug)]
pub struct Outbound<'r> {
    method: &'r Method,
    target: Uri,
    resource: (&'r str, &'r str),
    forwarded_host: &'r str,
    has_content: bool,
    came: &'r HeaderMap,
    edits: Edits,
    /// How many of the edits last from attempt to attempt.
    lasting: usize,
}

impl<'r> Outbound<'r> {
    /// A request of the gateway's own, or one that is sent as it came.
    #[must_use]
    pub fn new(method: &'r Method, target: Uri, fields: &'r HeaderMap, has_content: bool) -> Self {
        let (resource, forwarded_host) = (("", ""), "");
        Self {
            method,
            target,
            resource,
            forwarded_host,
            has_content,
            came: fields,
            edits: Edits::default(),
            lasting: 0,
        }
    }

    /// The same with the client's host and path, and the host that the upstream learns of: as the client wrote it.
    #[must_use]
    pub fn on_behalf_of(self, host: &'r str, path: &'r str, forwarded_host: &'r str) -> Self {
        Self { resource: (host, path), forwarded_host, ..self }
    }

    /// The same with edits that last from attempt to attempt.
    #[must_use]
    pub fn with_edits(self, edits: Edits) -> Self {
        Self { lasting: edits.len(), edits, ..self }
    }

    /// Begins an attempt: edits of an earlier one are gone, and those of this one are added to what is answered.
    pub fn begin_attempt(&mut self) -> &mut Edits {
        self.edits.truncate(self.lasting);
        &mut self.edits
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'r Method {
        self.method
    }

    /// The absolute URI that it is sent to.
    #[must_use]
    pub const fn target(&self) -> &Uri {
        &self.target
    }

    /// The resource that it is for.
    #[must_use]
    pub fn resource(&self) -> Resource<'_> {
        let (host, path) = self.resource;
        Resource { host, path, query: self.target.query() }
    }

    /// The client's host as the upstream learns of it: with its port, in the client's spelling.
    #[must_use]
    pub const fn forwarded_host(&self) -> &'r str {
        self.forwarded_host
    }

    /// Whether it has content, as far as is known without reading it.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        self.has_content
    }

    /// The fields that are the same for every attempt: what may decide a key.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields::new(self.came, &self.edits.as_slice()[..self.lasting])
    }

    /// The fields of the attempt that was begun last.
    #[must_use]
    pub fn sent(&self) -> Fields<'_> {
        self.edits.over(self.came)
    }

    /// What changes between what came and what is sent, for a host that edits the message that came.
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
    fn an_attempt_has_edits_of_its_own_and_the_lasting_fields_do_not() {
        let came = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("the client's"))]);
        let mut lasting = Edits::default();
        lasting.remove(AUTHORIZATION);
        let mut outbound =
            Outbound::new(&Method::GET, Uri::from_static("http://a/?q"), &came, false).with_edits(lasting);
        outbound.begin_attempt().set_text(AUTHORIZATION, "the gateway's");
        assert_eq!(outbound.sent().get(AUTHORIZATION).unwrap(), "the gateway's");
        assert!(!outbound.fields().contains(AUTHORIZATION));
        outbound.begin_attempt().set_text(IF_NONE_MATCH, "\"a\"");
        assert!(!outbound.sent().contains(AUTHORIZATION) && outbound.sent().contains(IF_NONE_MATCH));
        assert_eq!(outbound.resource().query, Some("q"));
    }
}
