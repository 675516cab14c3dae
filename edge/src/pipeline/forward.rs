//! forward: the request goes to the upstream, its content streaming; what fails becomes a problem.

use http::header::{HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use tollgate_core::cache::validators;
use tollgate_core::forward::{
    ForwardedFor, PSEUDONYM, UpstreamError, UpstreamSettings, request_fields, response_fields,
};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::telemetry::TraceContext;
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Exchange, Journal};
use super::guard::too_large;
use super::look_up::CacheUse;
use crate::isolate::Isolate;
use crate::isolate::secrets::resolve;
use crate::ports::{Clock, Host, Upstream, UpstreamCall};

/// The upstream's response, its fields made fit for the client.
pub(super) async fn forward<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    content: H::Content,
    cache: Option<&CacheUse<'_, H::Content>>,
    journal: &mut Journal,
) -> Result<Response<H::Content>, Problem> {
    let settings = &exchange.site.settings.upstreams[exchange.route().upstream];
    let mut request = Request::new(content);
    *request.method_mut() = exchange.received.method.clone();
    *request.uri_mut() = target(exchange, settings)?;
    *request.headers_mut() = fields(exchange, settings, cache, journal);
    add_configured(isolate, host, settings, request.headers_mut()).await.inspect_err(|problem| {
        journal.decisions.note(Phase::Forward, Verdict::Error, problem.log.clone());
    })?;
    let call =
        UpstreamCall { connect_timeout_ms: settings.connect_timeout_ms, timeout_ms: exchange.route().timeout_ms };
    let (started, since) = (host.clock().now(), host.clock().instant());
    let answer = host.upstream().send(request, &call).await;
    let duration_us = host.clock().instant().micros_since(since);
    journal.called(&settings.name, started, duration_us, answer.as_ref().map(|r| r.status().as_u16()).map_err(|e| *e));
    match answer {
        Ok(mut response) => {
            let reason = format!("{} answered {}", settings.name, response.status().as_u16());
            journal.decisions.note(Phase::Forward, Verdict::Pass, reason);
            let version = response.version();
            response_fields(response.headers_mut(), version);
            Ok(response)
        }
        Err(error) => {
            journal.decisions.note(Phase::Forward, Verdict::Error, format!("{}: {error}", settings.name));
            Err(failed(error, exchange, &settings.name))
        }
    }
}

fn target(exchange: &Exchange, settings: &UpstreamSettings) -> Result<Uri, Problem> {
    let path = exchange.received.path.without_base(exchange.route().strip_segments);
    settings.url.target(path, exchange.forwarded_query.as_deref()).map_err(|error| {
        Problem::new(ProblemKind::BadRequest, "The URL cannot be forwarded.").logged(error.to_string())
    })
}

/// The client's fields, made fit for the upstream: no key of ours, no hop-by-hop field, our own put on.
fn fields<C>(
    exchange: &Exchange,
    settings: &UpstreamSettings,
    cache: Option<&CacheUse<'_, C>>,
    journal: &Journal,
) -> HeaderMap {
    let received = &exchange.received;
    let client = ForwardedFor {
        address: received.client.address,
        host: &received.authority,
        https: received.client.https,
        trusted: exchange.site.gateway.trust_forwarded,
        version: received.version,
    };
    let mut fields = request_fields(&received.fields, &client);
    remove_keys(exchange, &mut fields);
    let call = TraceContext { span: journal.upstream_span(), ..journal.trace.clone() };
    call.propagate(&mut fields);
    if let Some(stale) = cache.and_then(|cache| cache.stale.as_ref()) {
        // Our validators replace the client's; its own condition is judged against what is stored then.
        fields.remove(IF_NONE_MATCH);
        fields.remove(IF_MODIFIED_SINCE);
        fields.extend(validators(&stale.meta));
    }
    set(&mut fields, REQUEST_ID, &journal.request_id);
    set(&mut fields, HOST, settings.url.authority());
    fields
}

/// Takes off every key: a route's own key fields go in any case, those of other routes where they hold a key.
fn remove_keys(exchange: &Exchange, fields: &mut HeaderMap) {
    for authenticator in exchange.authenticators() {
        authenticator.policy.field().map(|field| fields.remove(field));
    }
    for authenticator in exchange.site_authenticators() {
        if authenticator.policy.is_presented(&exchange.received.fields) {
            authenticator.policy.field().map(|field| fields.remove(field));
        }
    }
}

/// Sets a field to a text that is a field value by construction; another is left out.
pub(super) fn set(fields: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        fields.insert(name, value);
    }
}

/// The field that carries the request id, to the upstream and to the client.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The fields that the configuration sets for this upstream, their secrets resolved.
async fn add_configured<H: Host>(
    isolate: &Isolate,
    host: &H,
    settings: &UpstreamSettings,
    fields: &mut HeaderMap,
) -> Result<(), Problem> {
    for (name, text) in &settings.fields {
        let missing = |log: String| {
            Problem::new(ProblemKind::SecretMissing, "The operator of this gateway has been told.").logged(log)
        };
        let resolved = resolve(isolate, host, text).await.map_err(|away| missing(away.to_string()))?;
        let names = || text.secret_names().collect::<Vec<_>>().join(", ");
        let secret = resolved.ok_or_else(|| missing(format!("a secret has no value on this host: {}", names())))?;
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_str(secret.expose())) else {
            return Err(missing(format!("the value of the field {name} has characters that no field may have")));
        };
        value.set_sensitive(true);
        fields.insert(name, value);
    }
    Ok(())
}

fn failed(error: UpstreamError, exchange: &Exchange, upstream: &str) -> Problem {
    let kind = match error {
        UpstreamError::RequestContentTooLarge => return too_large(exchange.route().content_bytes_max),
        UpstreamError::RequestContentBroken => {
            return Problem::new(ProblemKind::BadRequest, "The request's content is not whole or not valid.")
                .logged("the client's content broke off");
        }
        timeout if timeout.status() == http::StatusCode::GATEWAY_TIMEOUT => ProblemKind::UpstreamTimeout,
        _ => ProblemKind::UpstreamFailed,
    };
    let detail = format!("{}. Trying again later may help.", sentence(error));
    Problem::new(kind, detail)
        .with(HeaderName::from_static("proxy-status"), format!("{PSEUDONYM}; error={}", error.proxy_status()))
        .logged(format!("upstream {upstream}: {}", error.proxy_status()))
}

fn sentence(error: UpstreamError) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
