//! The response of a problem.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};
use tollgate_core::problem::Problem;

use crate::ports::Content;

/// The response of a problem.
pub(crate) fn problem_response<C: Content>(problem: Problem, request_id: &str, is_head: bool) -> Response<C> {
    let document = problem.document(request_id);
    let bytes = document.len();
    let mut response = Response::new(if is_head { C::empty() } else { C::from_bytes(document.into()) });
    *response.status_mut() = problem.kind.status();
    *response.headers_mut() = *problem.fields;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    // A problem is only for this client and this request.
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(request_id) = HeaderValue::from_str(request_id).ok().filter(|id| !id.is_empty()) {
        fields.insert(REQUEST_ID, request_id);
    }
    response
}

/// The field with the request id, for the upstream and the client.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
