//! The response that a problem owes the client.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use tollgate_core::problem::Problem;

use crate::ports::Content;

/// The response a problem owes the client.
pub(crate) fn problem_response<C: Content>(problem: Problem, request_id: &str, is_head: bool) -> Response<C> {
    let document = problem.document(request_id);
    let bytes = document.len();
    let mut response = Response::new(if is_head { C::empty() } else { C::from_bytes(document.into()) });
    *response.status_mut() = problem.kind.status();
    *response.headers_mut() = *problem.fields;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    // Only this client's problem, at this instant.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
