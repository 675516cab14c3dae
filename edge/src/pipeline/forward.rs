//! forward: the request is sent to the upstream with streaming content; a failure becomes a problem.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use tollgate_core::authn::Principal;
use tollgate_core::cache::{StoredMeta, validators};
use tollgate_core::event::{Local, Phase, Reason, UpstreamRecord, Verdict};
use tollgate_core::forward::{
    Edits, Outbound, PSEUDONYM, Told, UpstreamAuth, UpstreamError, UpstreamSettings, check_response,
};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::secret::{Secret, SecretText};

use super::exchange::{Exchange, Journal};
use super::guard::too_large;
use super::settle;
use super::upstream_auth::authenticated;
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::isolate::secrets::resolve;
use crate::ports::{Clock, Host, Unavailable, Upstream, UpstreamCall};
use crate::problems::secret_missing;

/// The upstream's response, unchanged, if it is one that can be forwarded. `stale` is the stored response to validate.
pub(super) async fn forward<H: Host>(
    isolate: &Isolate,
    host: &H,
    (exchange, principal): (&Exchange, Option<&Principal>),
    outbound: &mut Outbound<'_>,
    mut content: H::Content,
    stale: Option<&StoredMeta>,
    journal: &mut Journal,
) -> Result<Response<H::Content>, Problem> {
    let settings = exchange.upstream();
    let edits = outbound.begin_attempt();
    let span = journal.upstream_span();
    journal.trace.attempt(span, edits, &mut journal.texts);
    edits.extend(stale.into_iter().flat_map(validators));
    configured(isolate, host, settings, edits).await.map_err(|p| journal.refused(Phase::Forward, p))?;
    let is_told_by_token = settings.identity.iter().any(|field| matches!(field.tells, Told::Token(_)));
    let token = if matches!(settings.auth, UpstreamAuth::None | UpstreamAuth::Basic(..)) && !is_told_by_token {
        None
    } else {
        let sent = rare(authenticated(isolate, host, (exchange, principal), outbound, &mut content));
        sent.await.map_err(|p| journal.refused(Phase::Forward, p))?
    };
    if !journal.settlements.is_empty() {
        content = settle::count_request(content, journal);
    }
    let call = UpstreamCall {
        connect_timeout_ms: settings.connect_timeout_ms,
        timeout_ms: exchange.route().timeout_ms,
        certificate: settings.certificate.as_ref(),
        runs_to_end: !journal.ends.is_empty(),
    };
    let (started, since) = (host.clock().now(), host.clock().instant());
    let answer = host.upstream().send(outbound, content, &call).await.and_then(|response| {
        check_response(response.status(), response.headers())?;
        Ok(response)
    });
    let duration_us = host.clock().instant().micros_since(since);
    let outcome = answer.as_ref().map(|response| response.status().as_u16()).map_err(|error| *error);
    let call = UpstreamRecord { upstream: exchange.upstream_label(), span, started, duration_us, outcome };
    match answer {
        Ok(response) => {
            journal.note(Phase::Forward, Verdict::Pass, Reason::Called { call });
            if !journal.settlements.is_empty() {
                settle::read(journal, response.headers(), response.body());
            }
            if let (StatusCode::UNAUTHORIZED, Some((key, token))) = (response.status(), token) {
                isolate.upstream_tokens.borrow_mut().forget(key, &token, host.clock().instant());
            }
            Ok(response)
        }
        Err(error) => {
            if error.may_have_arrived() {
                journal.undos.clear();
            }
            journal.note(Phase::Forward, Verdict::Error, Reason::Called { call: call.clone() });
            Err(failed(error, exchange, Reason::Called { call }))
        }
    }
}

/// Sets the fields that the configuration sets for this upstream, with secrets resolved. They are the same for every client, so
/// they are not part of any key.
async fn configured<H: Host>(
    isolate: &Isolate,
    host: &H,
    settings: &UpstreamSettings,
    edits: &mut Edits,
) -> Result<(), Problem> {
    for (name, text) in &settings.fields {
        let value = resolved(isolate, host, text).await?;
        set(edits, HeaderName::try_from(name).ok(), name, &value)?;
    }
    if let UpstreamAuth::Basic(user, password) = &settings.auth {
        let password = resolved(isolate, host, password).await?;
        set(edits, Some(AUTHORIZATION), AUTHORIZATION.as_str(), &UpstreamAuth::basic(user, &password))?;
    }
    Ok(())
}

pub(super) async fn resolved<H: Host>(isolate: &Isolate, host: &H, text: &SecretText) -> Result<Secret, Problem> {
    let unavailable = |error: Unavailable| secret_missing(Reason::SecretsUnavailable { text: Local(error.0.into()) });
    let names = || text.secret_names().collect::<Vec<_>>().join(", ").into();
    let secret = resolve(isolate, host, text).await.map_err(unavailable)?;
    secret.ok_or_else(|| secret_missing(Reason::SecretMissing { names: names() }))
}

pub(super) fn set(edits: &mut Edits, name: Option<HeaderName>, written: &str, value: &Secret) -> Result<(), Problem> {
    let (Some(name), Ok(mut value)) = (name, HeaderValue::from_str(value.expose())) else {
        return Err(secret_missing(Reason::SecretNotAFieldValue { field: written.into() }));
    };
    value.set_sensitive(true);
    edits.set(name, value);
    Ok(())
}

fn failed(error: UpstreamError, exchange: &Exchange, reason: Reason) -> Problem {
    let kind = match error {
        UpstreamError::RequestContentTooLarge => return too_large(exchange.route().content_bytes_max, reason),
        UpstreamError::RequestContentBroken => {
            let detail = "The request's content is incomplete or invalid.";
            return Problem::new(ProblemKind::BadRequest, detail, reason);
        }
        UpstreamError::RequestContentTimeout => {
            let detail = "The request's content did not arrive in time. Send it faster, or in smaller parts.";
            return Problem::new(ProblemKind::ContentTimeout, detail, reason);
        }
        UpstreamError::ClientGone => {
            return Problem::new(ProblemKind::ClientGone, "The client is gone.", reason);
        }
        UpstreamError::GatewayStopped => {
            return Problem::new(ProblemKind::Stopped, "The gateway stopped.", reason);
        }
        UpstreamError::OwnCertificateMissing | UpstreamError::OwnCertificateUnusable => {
            return with_error(secret_missing(reason), error);
        }
        timeout if timeout.status() == StatusCode::GATEWAY_TIMEOUT => ProblemKind::UpstreamTimeout,
        _ => ProblemKind::UpstreamFailed,
    };
    let detail = format!("{}. Trying again later may help.", sentence(error));
    with_error(Problem::new(kind, detail, reason), error)
}

/// The problem with the error of RFC 9209.
fn with_error(problem: Problem, error: UpstreamError) -> Problem {
    problem.with(HeaderName::from_static("proxy-status"), format!("{PSEUDONYM}; error={}", error.proxy_status()))
}

fn sentence(error: UpstreamError) -> String {
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
