//! A response to the client: the received one plus edits.

use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode, Version, response};

use super::{Edits, Fields, response_edits};

/// Whether a final response with this status has no content, whatever its fields say (RFC 9110, sections 15.3.5, 15.3.6 and
/// 15.4.5).
#[must_use]
pub fn has_no_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// A response to the client.
///
/// A response of an upstream keeps the received fields, and every change is an edit, so that a host can pass on its own
/// message with a few changes. A response that the gateway generates (a stored response, a problem) has edits too, but
/// no underlying message of the platform.
#[derive(Debug)]
pub struct Reply<C> {
    head: response::Parts,
    edits: Edits,
    content: C,
    passes_through: bool,
}

impl<C> Reply<C> {
    /// An upstream's response, with the edits for the client.
    #[must_use]
    pub fn of_upstream(response: Response<C>) -> Self {
        let (mut head, content) = response.into_parts();
        let mut edits = Edits::with_capacity(EDITS_USUAL);
        response_edits(&mut edits, &head);
        // The version is that of the gateway, not the upstream's (RFC 9112, section 2.3): as HTTP/1.0, a response without
        // a length would be delimited by the end of the connection, and one that is cut off would look complete.
        head.version = Version::default();
        Self { head, edits, content, passes_through: true }
    }

    /// A response that the gateway generates.
    #[must_use]
    pub fn own(response: Response<C>) -> Self {
        let (head, content) = response.into_parts();
        Self { head, edits: Edits::default(), content, passes_through: false }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The fields as the client will see them.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        self.edits.over(&self.head.headers)
    }

    /// The edits, for adding more.
    pub const fn edits_mut(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// The edits from the received to the sent message, for a host that edits the received message.
    #[must_use]
    pub const fn edits(&self) -> &Edits {
        &self.edits
    }

    /// Whether it is an upstream's response, so that a host may edit the platform's message instead of creating a new
    /// one.
    #[must_use]
    pub const fn passes_through(&self) -> bool {
        self.passes_through
    }

    /// The content.
    #[must_use]
    pub const fn content(&self) -> &C {
        &self.content
    }

    /// The same response with its content observed, and the result of the observation.
    pub fn observed<T>(self, observe: impl FnOnce(C) -> (C, T)) -> (Self, T) {
        let (content, answer) = observe(self.content);
        (Self { content, ..self }, answer)
    }

    /// The same response as its status allows: a status without content has none, and no length of it. `empty` replaces
    /// content that there may be.
    #[must_use]
    pub fn as_status_allows(mut self, has_content: bool, empty: impl FnOnce() -> C) -> Self {
        if !has_no_content(self.status()) {
            return self;
        }
        // A 304 declares the length that the content would have had.
        if self.status() != StatusCode::NOT_MODIFIED && self.fields().contains(CONTENT_LENGTH) {
            self.edits.remove(CONTENT_LENGTH);
        }
        if has_content { Self { content: empty(), ..self } } else { self }
    }

    /// The content, without the rest.
    pub fn into_content(self) -> C {
        self.content
    }

    /// The response with its edits applied in place.
    pub fn into_response(self) -> Response<C> {
        let mut response = Response::from_parts(self.head, self.content);
        self.edits.apply(response.headers_mut());
        response
    }
}

/// Capacity: edits of hop-by-hop fields, `Via`, the request id, and some of policies.
const EDITS_USUAL: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_status_without_content_has_neither_content_nor_its_length() {
        for (status, has_length, content) in
            [(200, true, "x"), (204, false, ""), (205, false, ""), (304, true, ""), (404, true, "x")]
        {
            let upstream = Response::builder().status(status).header(CONTENT_LENGTH, "1").body("x").unwrap();
            for reply in [Reply::of_upstream(upstream.clone()), Reply::own(upstream)] {
                let response = reply.as_status_allows(true, || "").into_response();
                assert_eq!(response.headers().contains_key(CONTENT_LENGTH), has_length, "{status}");
                assert_eq!(*response.body(), content, "{status}");
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_version_of_the_upstream_is_not_that_of_the_answer() {
        let upstream = Response::builder().version(Version::HTTP_10).body(()).unwrap();
        let answer = Reply::of_upstream(upstream).into_response();
        assert_eq!((answer.version(), &answer.headers()["via"]), (Version::HTTP_11, &"1.0 tollgate".parse().unwrap()));
    }
}
