//! The response of a problem, and the problems of several modules.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response};
use tollgate_core::event::{Local, Reason};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_kv_schemas::RecordError;

use crate::config::NoSite;
use crate::ports::Content;
use crate::site::Site;

/// A secret of the configuration has no usable value on this host; the client can only tell that.
pub(crate) fn secret_missing(reason: Reason) -> Problem {
    let detail = "A secret is missing. Tell the operator of this gateway the `request_id`.";
    Problem::new(ProblemKind::SecretMissing, detail, reason)
}

/// The response of a problem.
pub(crate) fn problem_response<C: Content>(problem: Problem, request_id: &str, is_head: bool) -> Response<C> {
    let document = problem.document(request_id);
    let bytes = document.len();
    let mut response = Response::new(if is_head { C::empty() } else { C::from_bytes(document.into()) });
    *response.status_mut() = problem.kind.status();
    *response.headers_mut() = problem.into_parts().fields;
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

/// The same response for routes that do not exist and for routes that are not for this client, so that they cannot be
/// probed.
pub(crate) fn not_found(reason: Reason) -> Problem {
    let detail = "No route matches this host and path. Check the URL; a trailing slash and upper case matter.";
    Problem::new(ProblemKind::RouteNotFound, detail, reason)
}

/// The problem of a request without a configuration.
pub(crate) fn no_site(why: &NoSite, gateway: &str) -> Problem {
    let problem = match why {
        NoSite::UnknownHost => return not_found(Reason::NoRoute),
        NoSite::Unpublished => Problem::new(
            ProblemKind::NoConfiguration,
            format!(
                "Nothing was published to the gateway `{gateway}` yet. Publish a project to it: tollgate publish PROJECT --help shows how for each host."
            ),
            Reason::NoBundle,
        ),
        NoSite::Unavailable(text) => Problem::new(
            ProblemKind::StoreUnavailable,
            "The gateway cannot reach its configuration. Try again later.",
            Reason::ConfigurationUnavailable { text: Local(text.as_str().into()) },
        ),
        NoSite::Unusable(text) => Problem::new(
            ProblemKind::NoConfiguration,
            format!(
                "What was published to the gateway `{gateway}` cannot be used; its log says why. Publish again: tollgate publish PROJECT."
            ),
            Reason::ConfigurationUnusable { text: Local(text.as_str().into()) },
        ),
    };
    problem.with(RETRY_AFTER, "5")
}

/// The problem of a page of routes that cannot be used.
pub(crate) fn unusable_page(error: &RecordError, site: &Site) -> Problem {
    no_site(&NoSite::Unusable(error.to_string()), &site.gateway.name)
}

/// The field with the request id, for the upstream and the client.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
