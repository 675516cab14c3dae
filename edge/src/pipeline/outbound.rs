//! outbound: builds the request that the upstream will see, as the received one plus edits. Later steps read only this.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, HeaderName, Method, Uri};
use tollgate_core::cache::forwarded_query;
use tollgate_core::event::{Local, Phase, Reason};
use tollgate_core::forward::{Edits, ForwardedFor, Outbound, UpstreamSettings, reads_as, request_edits};
use tollgate_core::kinds::{AuthnPolicy, Named, SlotPolicy};
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
    let origin = &received.origin;
    let client = ForwardedFor {
        peer: received.client.address,
        host: &received.authority,
        https: received.client.https,
        earlier: &origin.earlier,
        client_host: origin.host.as_ref().unwrap_or(&received.authority),
        client_https: origin.https,
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

/// Removes every API key: the fields that the route's policies read always, and those of all policies of the host.
fn remove_keys(exchange: &Exchange, edits: &mut Edits) {
    let fields = &exchange.received.fields;
    for name in fields.keys() {
        let reads = |named: &Named<AuthnPolicy>| {
            named.policy.as_kind().uses().credential.is_some_and(|place| reads_as(name.as_str(), place.field))
        };
        let is_own = exchange.authenticators().any(reads);
        if is_own || exchange.sites.iter().any(|site| site.keys.may_hold_key(fields, name)) {
            edits.remove(name.clone());
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

/// Capacity: the edits of a typical request, including those of an attempt.
const EDITS_USUAL: usize = 20;
