//! Asks services whether requests are authorized.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Uri};
use tollgate_core::authz::{Asked, Decision, ExternalSettings};
use tollgate_core::event::{Local, Reason};
use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::OnUnavailable;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_kv_schemas::Id;

use crate::isolate::secrets::resolve;
use crate::isolate::{Freshness, Isolate};
use crate::ports::{Clock, Fetch, Host};

/// Why a request is authorized, or the problem of its refusal, without the policy's name.
pub(super) async fn ask<H: Host>(
    isolate: &Isolate,
    host: &H,
    name: &PolicyName,
    asked: Asked<'_>,
) -> Result<Reason, Problem> {
    let Asked { settings, content } = asked;
    match decide(isolate, host, name, settings, content).await {
        Ok(decision) => decision.verdict(),
        Err(why) => {
            let reason = Reason::ExternalUnavailable { text: Local(why.into()) };
            match settings.on_unavailable {
                OnUnavailable::Open => Ok(reason),
                OnUnavailable::Closed => Err(unavailable(reason)),
            }
        }
    }
}

/// The decision that is known of an equal question, or a new one. An error is for the operator; it has nothing of the request.
async fn decide<H: Host>(
    isolate: &Isolate,
    host: &H,
    name: &PolicyName,
    settings: &ExternalSettings,
    content: String,
) -> Result<Decision, String> {
    let is_kept = settings.cache_ms > 0 && isolate.settings.freshness == Freshness::Cached;
    // Another service may decide differently, and one that is asked under another name with another token.
    let question = is_kept.then(|| Id::of([name.as_str(), &settings.url, &content].join("\n").as_bytes()));
    let now = host.clock().instant();
    if let Some(decision) = question.and_then(|question| isolate.decisions.borrow().get(question, now)) {
        return Ok(decision);
    }
    let service = Id::of(settings.url.as_bytes());
    if isolate.decisions.borrow().is_away(service, now) {
        return Err("the service did not decide a moment ago".to_owned());
    }
    let answer = fetch(isolate, host, settings, content).await;
    let mut decisions = isolate.decisions.borrow_mut();
    let decision = match answer? {
        Ok(answer) => settings.decision(&answer).map_err(|error| error.to_string())?,
        Err(error) => {
            // A question that a client made hard to answer says nothing of others.
            if let FetchError::Failed(_) = error {
                decisions.put_away(service, host.clock().instant());
            }
            return Err(error.to_string());
        }
    };
    if let Some(question) = question {
        // What the service says may be as old as the question.
        decisions.put(question, decision, now.plus_millis(settings.cache_ms.into()), host.clock().instant());
    }
    Ok(decision)
}

/// The answer of the service. An error is one of the configuration or of the host.
async fn fetch<H: Host>(
    isolate: &Isolate,
    host: &H,
    settings: &ExternalSettings,
    content: String,
) -> Result<Result<FetchAnswer, FetchError>, String> {
    let url: Uri = settings.url.parse().map_err(|_| "the URL is not valid")?;
    // Anyone on the way could read what is sent, and answer in place of the service.
    if url.scheme_str() != Some("https") && !settings.is_private {
        return Err("the URL is not one of https".to_owned());
    }
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(token) = settings.token.first() {
        let value = resolve(isolate, host, token).await.map_err(|away| away.0)?;
        let value = value.and_then(|token| HeaderValue::try_from(["Bearer ", token.expose()].concat()).ok());
        let mut value = value.ok_or("the token has no value on this host, or one that a field must not have")?;
        value.set_sensitive(true);
        fields.insert(AUTHORIZATION, value);
    }
    let request = FetchRequest { method: Method::POST, url, fields, content: Bytes::from(content) };
    let addresses = AddressRule::with_private(settings.is_private);
    let bounds = FetchBounds { timeout_ms: settings.timeout_ms.into(), answer_bytes_max: ANSWER_BYTES_MAX, addresses };
    Ok(host.fetch().fetch(&request, &bounds).await)
}

fn unavailable(reason: Reason) -> Problem {
    let detail = "The gateway cannot find out right now whether this request is allowed. Try again shortly.";
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}

/// A decision with its reasons.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
