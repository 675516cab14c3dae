//! route: selects the configuration for the host, and the most specific route in it.

use std::rc::Rc;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, MAX_FORWARDS};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tollgate_core::authn::METADATA_PATH;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::forward::Reply;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::{PathError, RequestHead};
use tollgate_kv_schemas::RecordError;

use super::exchange::{Answer, Exchange, Journal, Received};
use super::receive::{admit, no_host, refused_path};
use super::step::Step;
use crate::apart::rare;
use crate::config::NoSite;
use crate::isolate::{Freshness, Isolate};
use crate::ports::{Content, Host, complete};
use crate::problems::{no_site, not_found, unusable_page};
use crate::site::{Found, Site, Sites};

/// The configuration for the request's host, the part of the most specific pattern first. It says who the client is.
pub(super) async fn sites<H: Host>(
    isolate: &Isolate,
    host: &H,
    received: &mut Received,
    content: &H::Content,
    journal: &mut Journal,
) -> Result<Sites, Problem> {
    if isolate.settings.freshness == Freshness::EachRequest && isolate.is_ready() {
        rare(isolate.refresh(host)).await;
    }
    let is_first = !isolate.is_ready();
    let found = isolate.config.sites(host, &received.host, &received.path, received.client.inside).await;
    if is_first {
        // It was read just now.
        isolate.checked_at.set(Some(journal.begun));
    }
    // A part may be of an older generation than the newest one.
    let gateway = match found.as_ref().ok().and_then(|sites| sites.first()) {
        Some(site) => Some(Rc::clone(&site.gateway)),
        None => isolate.config.gateway(),
    };
    if let Some(gateway) = gateway {
        received.find_client(&gateway);
        if found.as_ref().is_ok_and(|sites| sites.iter().any(|site| site.reads_certificates)) {
            received.find_certificates(host.client_certificate(content), &gateway);
        }
        if found.as_ref().is_ok_and(|sites| sites.iter().any(|site| site.reads_location)) {
            received.find_location(|| host.client_location(content), &gateway);
        }
        journal.identify(received, &gateway);
    }
    admit(host, received, content, journal)?;
    if found.as_ref().is_ok_and(|sites| sites.iter().any(|site| site.names_left_out)) {
        complete(&mut received.fields, content.left_out());
    }
    found.map_err(|reason| {
        let problem = match reason {
            NoSite::UnknownHost if received.host.is_absent() => no_host(),
            reason => no_site(&reason, &isolate.settings.gateway),
        };
        journal.refused(Phase::Route, problem)
    })
}

/// The route of the request; `OPTIONS` without a route is answered here, and so are requests for metadata.
pub(super) fn route<C: Content>(sites: Sites, received: Received, journal: &mut Journal) -> Step<Box<Exchange>, C> {
    if let Some(answer) = metadata(&sites, &received) {
        journal.note(Phase::Route, Verdict::Answer, Reason::MetadataAnswered);
        return Err(answer.into());
    }
    match search(&sites, &received).map_err(|problem| journal.refused(Phase::Route, problem))? {
        Found::Route(selected) => {
            let exchange = Exchange::new(received, sites, selected);
            // The compiler puts internal routes on internal hosts only; this check does not rely on it.
            if exchange.route().internal && !exchange.received.client.inside {
                return Err(journal.refused(Phase::Route, not_found(Reason::RouteInternal)).into());
            }
            if exchange.received.method == Method::OPTIONS && max_forwards(&exchange.received.fields) == Some(0) {
                journal.note(Phase::Route, Verdict::Answer, Reason::OptionsAnswered);
                return Err(options(&exchange.route().methods.join(", ")).into());
            }
            journal.note(Phase::Route, Verdict::Pass, Reason::RouteFound { route: exchange.label() });
            Ok(Box::new(exchange))
        }
        Found::OtherMethods(methods) => {
            let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            if received.method == Method::OPTIONS {
                journal.note(Phase::Route, Verdict::Answer, Reason::OptionsAnswered);
                return Err(options(&allow).into());
            }
            let detail = format!("This URL supports {allow}.");
            let problem = Problem::new(ProblemKind::MethodNotAllowed, detail, Reason::OtherMethod).with(ALLOW, allow);
            Err(journal.refused(Phase::Route, problem).into())
        }
        Found::Nothing => Err(journal.refused(Phase::Route, not_found(Reason::NoRoute)).into()),
    }
}

/// The result of the search, if matrix parameters of the path are allowed.
fn search(sites: &Sites, received: &Received) -> Result<Found, Problem> {
    let unusable = |error| unusable_page(&error, &sites[0]);
    let found = Site::find(sites, &received.head(&received.method)).map_err(unusable)?;
    if received.path.has_parameters() && !allows_parameters(sites, received, &found).map_err(unusable)? {
        return Err(refused_path(PathError::Parameters));
    }
    Ok(found)
}

/// Whether the route allows matrix parameters, and is the route of the path without them too: a server that removes them
/// must not find a resource that another route protects.
fn allows_parameters(sites: &Sites, received: &Received, found: &Found) -> Result<bool, RecordError> {
    let Found::Route(selected) = found else { return Ok(false) };
    let Ok(path) = received.path.without_parameters() else { return Ok(false) };
    let plain = Site::find(sites, &RequestHead { path: &path, ..received.head(&received.method) })?;
    Ok(selected.route().matrix_parameters && matches!(plain, Found::Route(same) if same.is(selected)))
}

/// How many more hops an `OPTIONS` request may take (RFC 9110, section 7.6.2).
pub(super) fn max_forwards(fields: &HeaderMap) -> Option<u64> {
    fields.get(MAX_FORWARDS)?.to_str().ok()?.parse().ok()
}

/// The metadata of a protected resource that a policy asks for (RFC 9728). They are public, also for scripts of other origins.
fn metadata<C: Content>(sites: &Sites, received: &Received) -> Option<Answer<C>> {
    let (path, method) = (received.path.as_str(), &received.method);
    if !path.starts_with(METADATA_PATH) || !(*method == Method::GET || *method == Method::HEAD) {
        return None;
    }
    let found = sites.iter().flat_map(|site| &site.metadata).find(|metadata| metadata.path == path)?;
    let is_head = *method == Method::HEAD;
    let mut response = Response::new(if is_head { C::empty() } else { C::from_bytes(found.document.clone()) });
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(found.document.len()));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Some(Answer::new(Reply::own(response)))
}

fn options<C: Content>(allow: &str) -> Answer<C> {
    let mut response = Response::new(C::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    // A route without methods takes all; an empty list would say that there are none.
    if !allow.is_empty()
        && let Ok(value) = HeaderValue::from_str(allow)
    {
        response.headers_mut().insert(ALLOW, value);
    }
    Answer::new(Reply::own(response))
}
