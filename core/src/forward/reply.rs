//! A response on its way to the client: what came plus edits.

use http::{Response, StatusCode, response};

use super::{Edits, Fields, response_edits};

/// A response to the client.
///
/// One that passes through keeps the upstream's fields as they came; whatever changes is an edit, so that a host may hand
/// on its own message with a few changes. One of the gateway's own (a stored response, a problem) has edits too, but there
/// is no message of the platform's beneath it.
#[derive(Debug)]
pub struct Reply<C> {
    head: response::Parts,
    edits: Edits,
    content: C,
    passes_through: bool,
}

impl<C> Reply<C> {
    /// An upstream's response, made fit for the client.
    #[must_use]
    pub fn of_upstream(response: Response<C>) -> Self {
        let (head, content) = response.into_parts();
        let mut edits = Edits::with_capacity(EDITS_USUAL);
        response_edits(&mut edits, &head.headers, head.version);
        Self { head, edits, content, passes_through: true }
    }

    /// A response of the gateway's own.
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

    /// The edits, to add to.
    pub const fn edits_mut(&mut self) -> &mut Edits {
        &mut self.edits
    }

    /// What changes between what came and what is sent, for a host that edits the message that came.
    #[must_use]
    pub const fn edits(&self) -> &Edits {
        &self.edits
    }

    /// Whether it is an upstream's response, whose platform message may be edited in place of making a new one.
    #[must_use]
    pub const fn passes_through(&self) -> bool {
        self.passes_through
    }

    /// The content.
    #[must_use]
    pub const fn content(&self) -> &C {
        &self.content
    }

    /// The same response with its content observed, and what the observation answers.
    pub fn observed<T>(self, observe: impl FnOnce(C) -> (C, T)) -> (Self, T) {
        let (content, answer) = observe(self.content);
        (Self { content, ..self }, answer)
    }

    /// The content alone.
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

/// Hop-by-hop fields, `Via`, the request id, and some that policies add.
const EDITS_USUAL: usize = 8;
