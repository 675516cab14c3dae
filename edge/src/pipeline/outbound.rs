//! outbound: builds the request that the upstream will see, as the received one plus edits. Later steps read only this.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, HOST, MAX_FORWARDS};
use http::{HeaderName, HeaderValue, Method, Uri};
use tollgate_core::authn::{Principal, authorization_holds_key};
use tollgate_core::cache::forwarded_query;
use tollgate_core::event::{Local, Phase, Reason};
use tollgate_core::forward::{
    Ambiguity, Caller, Edits, Fate, ForwardedFor, IdentityField, Outbound, Told, TrailerRules, UpstreamAuth,
    request_edits,
};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::settings::RouteSettings;

use super::exchange::{Exchange, Journal, Received};
use super::route::max_forwards;
use crate::ports::Content;
use crate::problems::REQUEST_ID;
use crate::site::Site;

/// The request as it will be forwarded, without the edits of an attempt.
pub(super) fn outbound<'e, C: Content>(
    exchange: &'e Exchange,
    content: &C,
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Result<Outbound<'e>, Problem> {
    let received = &exchange.received;
    let target = target(exchange, &exchange.site, exchange.route(), &received.method).map_err(|error| {
        let reason = Reason::TargetNotForwarded { text: Local(error.to_string().into()) };
        let problem = Problem::new(ProblemKind::BadRequest, "The URL cannot be forwarded.", reason);
        journal.refused(Phase::Forward, problem)
    })?;
    let (mut edits, ambiguity) = edits(exchange, journal);
    let identity = exchange.upstream().identity.as_slice();
    if let Some(principal) = principal {
        tell_caller(&mut edits, exchange, &Caller::from(principal), journal);
    }
    Ok(Outbound::new(&received.method, target, &received.fields, !content.is_empty())
        .on_behalf_of(received.host.as_str(), received.path.as_str())
        .with_edits(edits)
        .with_identity(identity)
        .with_ambiguity(ambiguity)
        .with_trailer_rules((!content.is_empty()).then(|| trailer_rules(exchange))))
}

fn trailer_rules(exchange: &Exchange) -> Arc<TrailerRules> {
    let parts = exchange.sites.iter().map(|site| Arc::clone(&site.fields)).collect();
    Arc::new(TrailerRules::of(&exchange.received.fields, parts))
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
    let upstream = &site.part.upstreams[route.upstream];
    // S3 reads a plus sign in a path as a blank.
    let path = match &upstream.auth {
        UpstreamAuth::Aws(aws) if aws.is_s3() && path.contains('+') => Cow::Owned(path.replace('+', "%2B")),
        _ => Cow::Borrowed(path),
    };
    upstream.url.target(&path, query.as_deref())
}

/// Removes API keys, hop-by-hop fields and fields that the configuration sets, and adds those of the gateway.
fn edits(exchange: &Exchange, journal: &mut Journal) -> (Edits, Option<Ambiguity>) {
    let received = &exchange.received;
    let origin = &received.origin;
    let client = ForwardedFor {
        fields: exchange.site.gateway.client_fields,
        peer: received.client.address,
        host: received.authority(),
        https: received.client.https,
        earlier: &origin.earlier,
        client_host: origin.host.as_deref().unwrap_or(received.authority()),
        client_https: origin.https,
        version: received.version,
    };
    let mut edits = Edits::with_capacity(EDITS_USUAL);
    let Journal { texts, trace, .. } = journal;
    let ambiguity = request_edits(&mut edits, texts, &received.fields, &client, |name, read| {
        if trace.drops(name) { Fate::Removed } else { fate(exchange, name, read) }
    });
    for site in exchange.sites.iter().filter(|site| site.credentials.has_cookies()) {
        remove_cookies(site, received, &mut edits);
    }
    if received.method == Method::OPTIONS
        && let Some(left) = max_forwards(&received.fields)
    {
        edits.set(MAX_FORWARDS, HeaderValue::from(left.saturating_sub(1)));
    }
    trace.forward(&received.fields, &mut edits);
    edits.set_some(REQUEST_ID, journal.request_id_value.clone());
    edits.set_some(HOST, exchange.upstream_host());
    (edits, ambiguity)
}

/// Removes the cookies in which the policies of a part read credentials; the others stay.
fn remove_cookies(site: &Site, received: &Received, edits: &mut Edits) {
    let fields = edits.over(&received.fields);
    // Several lines were joined when the request was received.
    let left = fields.get(COOKIE).and_then(|line| site.credentials.cookies_without(line.as_bytes()));
    match left.as_deref().map(HeaderValue::from_bytes) {
        None => {}
        Some(Ok(left)) if !left.is_empty() => edits.set(COOKIE, left),
        Some(_) => edits.remove(COOKIE),
    }
}

/// Tells the upstream who the caller is; what the caller does not have is absent, as is everything on a public route.
fn tell_caller(edits: &mut Edits, exchange: &Exchange, caller: &Caller<'_>, journal: &mut Journal) {
    for IdentityField { name, tells } in &exchange.upstream().identity {
        let mut is_there = false;
        let value = journal.texts.value(|text| match tells {
            Told::Attribute(attribute) => is_there = attribute.write(caller, text),
            // What tokens say selects stored responses; one is signed when the request is sent.
            Told::Token(token) => {
                if let Some(signing) = &exchange.site.gateway.identity_tokens {
                    token.write(&signing.issuer, caller, text);
                    is_there = true;
                }
            }
        });
        edits.set_some(name.clone(), value.filter(|_| is_there));
    }
}

/// What the configuration says of a field: every credential is removed, and every disguise of a field that selects routes, of
/// all parts for the host.
fn fate(exchange: &Exchange, name: &HeaderName, read: &str) -> Fate {
    let (fields, route) = (&exchange.received.fields, exchange.route());
    if *name == AUTHORIZATION && authorization_holds_key(fields) {
        return Fate::Removed;
    }
    let is_own = |policy| route.authenticators().any(|place| place.index() == policy);
    let fate = exchange.site.fields.fate(fields, name, read, route.upstream, is_own);
    let others = exchange.sites.iter().filter(|site| !Rc::ptr_eq(site, &exchange.site));
    others.fold(fate, |fate, site| site.fields.fate_elsewhere(fate, fields, name, read))
}

/// Capacity: the edits of a typical request, including those of an attempt.
const EDITS_USUAL: usize = 12;
