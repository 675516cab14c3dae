//! What an operator says about the outage of an identity provider: a call of the operator endpoint, as of a running gateway.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tollgate_config::policy_tests::{OutageStep, Said};
use tollgate_core::operator::OutageView;
use tollgate_edge::memory::Content;
use tollgate_edge::operator::serve_operator;
use tollgate_edge::ports::Content as _;

use super::outcome::Mismatch;
use super::stage::Bench;

/// Says it, or compares what is listed.
pub(super) fn say(bench: &Bench, outage: &OutageStep) -> Result<(), Mismatch> {
    let (call, content) = match &outage.said {
        Said::Allow(consumers, time_s) => {
            let content = json!({"consumers": consumers, "for": format!("{time_s}s"), "reason": "policy test"});
            (Some("allow"), Some(content))
        }
        Said::End => (Some("end"), None),
        Said::Revoke => (Some("revoke"), Some(json!({"all": true}))),
        Said::RevokeConsumers(consumers) => (Some("revoke"), Some(json!({"consumers": consumers}))),
        Said::Admitted(_) => (None, None),
    };
    let differs = |expected: String, got: String| {
        Err(Mismatch { what: "idp-outage".into(), at: outage.policy.span, expected, got })
    };
    let answer = call_operator(bench, &outage.policy.value, call, content.as_ref());
    let view = match answer {
        Ok(view) => view,
        Err(why) => return differs("a call of the operator endpoint that is done".to_owned(), why),
    };
    let Said::Admitted(expected) = &outage.said else { return Ok(()) };
    let mut consumers: Vec<&str> = view.tokens.iter().map(|token| token.consumer.as_str()).collect();
    consumers.sort_unstable();
    if consumers == *expected { Ok(()) } else { differs(expected.join(", "), consumers.join(", ")) }
}

fn call_operator(
    bench: &Bench,
    policy: &str,
    call: Option<&str>,
    content: Option<&Value>,
) -> Result<OutageView, String> {
    let path = format!("idp-outages/{policy}");
    let (method, path) = call.map_or((Method::GET, path.clone()), |call| (Method::POST, format!("{path}/{call}")));
    let answer = ask_operator(bench, method, &path, content).map_err(|refused| refused.why)?;
    serde_json::from_slice(&answer).map_err(|error| error.to_string())
}

/// Why an operator's call was refused.
pub(super) struct Refused {
    pub(super) is_not_found: bool,
    pub(super) why: String,
}

/// The answer to a call of the operator endpoint.
pub(super) fn ask_operator(
    bench: &Bench,
    method: Method,
    path: &str,
    content: Option<&Value>,
) -> Result<Vec<u8>, Refused> {
    let other = |why: &str| Refused { is_not_found: false, why: why.to_owned() };
    let content = content.map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(format!("/.tollgate/v1/{path}"))
        .header(AUTHORIZATION, format!("Bearer {OPERATOR_TOKEN}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Content::from_bytes(content.into()))
        .map_err(|_| other("the name is none of a policy"))?;
    let answered = bench.host.clock.drive(serve_operator(&bench.isolate, &bench.host, request, None));
    let answer = answered.ok_or_else(|| other("a call that waits for an event that never happens"))?;
    let content = answer.body().bytes();
    if answer.status().is_success() {
        return Ok(content.to_vec());
    }
    let problem: Value = serde_json::from_slice(content).unwrap_or_default();
    let why = problem["detail"].as_str().unwrap_or("no reason was given").to_owned();
    Err(Refused { is_not_found: answer.status() == StatusCode::NOT_FOUND, why })
}

/// The token of the operator in policy tests.
pub(super) const OPERATOR_TOKEN: &str = "policy-test-operator-token-00000000";
