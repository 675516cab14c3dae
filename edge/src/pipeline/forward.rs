//! forward: the request goes to the upstream, its content streaming; what fails becomes a problem.

use http::{HeaderName, HeaderValue, Response};
use tollgate_core::cache::validators;
use tollgate_core::forward::{Edits, Outbound, PSEUDONYM, UpstreamError, UpstreamSettings};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Exchange, Journal};
use super::guard::too_large;
use super::look_up::CacheUse;
use crate::isolate::Isolate;
use crate::isolate::secrets::resolve;
use crate::ports::{Clock, Host, Upstream, UpstreamCall};

/// The upstream's response, as it came.
pub(super) async fn forward<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    outbound: &mut Outbound<'_>,
    content: H::Content,
    cache: Option<&CacheUse<'_, H::Content>>,
    journal: &mut Journal,
) -> Result<Response<H::Content>, Problem> {
    let settings = exchange.upstream();
    let edits = outbound.begin_attempt();
    journal.trace.attempt(journal.upstream_span(), edits);
    if let Some(stale) = cache.and_then(|cache| cache.stale.as_ref()) {
        edits.extend(validators(&stale.meta));
    }
    add_configured(isolate, host, settings, edits).await.inspect_err(|problem| {
        journal.decisions.note(Phase::Forward, Verdict::Error, problem.log.clone());
    })?;
    let call =
        UpstreamCall { connect_timeout_ms: settings.connect_timeout_ms, timeout_ms: exchange.route().timeout_ms };
    let (started, since) = (host.clock().now(), host.clock().instant());
    let answer = host.upstream().send(outbound, content, &call).await;
    let duration_us = host.clock().instant().micros_since(since);
    journal.called(&settings.name, started, duration_us, answer.as_ref().map(|r| r.status().as_u16()).map_err(|e| *e));
    match answer {
        Ok(response) => {
            let reason = format!("{} answered {}", settings.name, response.status().as_u16());
            journal.decisions.note(Phase::Forward, Verdict::Pass, reason);
            Ok(response)
        }
        Err(error) => {
            journal.decisions.note(Phase::Forward, Verdict::Error, format!("{}: {error}", settings.name));
            Err(failed(error, exchange, &settings.name))
        }
    }
}

/// The fields that the configuration sets for this upstream, their secrets resolved. They are the gateway's, the same for
/// every client, and so decide no key.
async fn add_configured<H: Host>(
    isolate: &Isolate,
    host: &H,
    settings: &UpstreamSettings,
    edits: &mut Edits,
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
        edits.set(name, value);
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
