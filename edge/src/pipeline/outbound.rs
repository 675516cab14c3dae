//! outbound: builds the request that the upstream will see, as the received one plus edits. Later steps read only this.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, HeaderName, Method, Uri};
use tollgate_core::cache::forwarded_query;
use tollgate_core::event::{Local, Phase, Reason};
use tollgate_core::forward::{Edits, ForwardedFor, Outbound, UpstreamSettings, reads_as, request_edits};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::Subject;
use tollgate_core::settings::RouteSettings;

use super::exchange::{Exchange, Journal};
use crate::ports::Content;
use crate::problems::REQUEST_ID;
use crate::site::Site;

/// The request as it will be forwarded, without the edits of an attempt.
pub(super) fn outbound<'e, C: Content>(
    exchange: &'e Exchange,
    content: &C,
    journal: &mut Journal,
) -> Result<Outbound<'e>, Problem> {
    let received = &exchange.received;
    let target = target(exchange, &exchange.site, exchange.route(), &received.method).map_err(|error| {
        let reason = Reason::TargetNotForwarded { text: Local(error.to_string().into()) };
        let problem = Problem::new(ProblemKind::BadRequest, "The URL cannot be forwarded.", reason);
        journal.refused(Phase::Forward, problem)
    })?;
    Ok(Outbound::new(&received.method, target, &received.fields, !content.is_empty())
        .on_behalf_of(received.host.as_str(), received.path.as_str())
        .with_edits(edits(exchange, exchange.upstream(), journal)))
}

/// The URL to which a route of this part forwards the request with a method.
pub(super) fn target(
    exchange: &Exchange,
    site: &Site,
    route: &RouteSettings,
    method: &Method,
) -> Result<Uri, http::Error> {
    let query = exchange.query_without_keys.as_deref();
    let query = match &route.cache {
        Some(cache) if *method == Method::GET || *method == Method::HEAD => forwarded_query(cache, &route.when, query),
        Some(_) | None => query.map(Cow::Borrowed),
    };
    let path = exchange.received.path.without_base(route.strip_segments);
    site.settings.upstreams[route.upstream].url.target(path, query.as_deref())
}

/// Removes API keys, hop-by-hop fields and fields that the configuration sets, and adds those of the gateway.
fn edits(exchange: &Exchange, settings: &UpstreamSettings, journal: &Journal) -> Edits {
    let received = &exchange.received;
    let client = ForwardedFor {
        address: received.client.address,
        host: &received.authority,
        https: received.client.https,
        trusted: exchange.site.gateway.trust_forwarded,
        version: received.version,
    };
    let mut edits = Edits::with_capacity(EDITS_USUAL);
    // A field that selected the route is forwarded even if `Connection` names it: the upstream must see what selected
    // the route.
    let decided = |name: &HeaderName| {
        let named = |subject: &Subject| matches!(subject, Subject::Header(field) if field == name.as_str());
        exchange.route().when.iter().any(|predicate| named(&predicate.of))
    };
    request_edits(&mut edits, &received.fields, &client, decided);
    remove_keys(exchange, &mut edits);
    remove_configured(settings, &received.fields, &mut edits);
    journal.trace.forward(&received.fields, &mut edits);
    edits.set_text(REQUEST_ID, &journal.request_id);
    edits.set_text(HOST, settings.url.authority());
    edits
}

/// Removes every API key: the route's own key fields always, those of other routes if they contain a key.
fn remove_keys(exchange: &Exchange, edits: &mut Edits) {
    let fields = &exchange.received.fields;
    for field in exchange.authenticators().filter_map(|named| named.policy.field()) {
        remove(edits, fields, field);
    }
    for authenticator in exchange.site_authenticators() {
        if let Some(field) = authenticator.policy.field()
            && fields.contains_key(field)
            && authenticator.policy.is_presented(fields)
        {
            remove(edits, fields, field);
        }
    }
}

/// Removes the fields that the configuration sets, in every spelling that a server could read as theirs.
fn remove_configured(settings: &UpstreamSettings, fields: &HeaderMap, edits: &mut Edits) {
    for name in fields.keys() {
        if settings.fields.iter().any(|(field, _)| reads_as(name.as_str(), field)) {
            edits.remove(name.clone());
        }
    }
}

fn remove(edits: &mut Edits, fields: &HeaderMap, name: &str) {
    if fields.contains_key(name)
        && let Ok(name) = HeaderName::try_from(name)
    {
        edits.remove(name);
    }
}

/// Capacity: the edits of a typical request, including those of an attempt.
const EDITS_USUAL: usize = 20;
