//! The `external` policy: a service decides whether a request is authorized.
//!
//! What the service is told of a request are the values of expressions, by name; nothing else leaves the gateway. This module
//! makes the content of the question and reads the answer; the edge asks, within a deadline, and remembers the decision.

use minicbor::Encode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Asked, Authorizer, Checked, not_authorized};
use crate::bounds::ROUTE_LIST_MAX;
use crate::codec::{self, Decode};
use crate::event::Reason;
use crate::expression::{EvaluationError, Expression, Facts, Items, Source, Value};
use crate::fetch::FetchAnswer;
use crate::jose::{self, Members};
use crate::json;
use crate::kinds::{PolicyKind, Uses};
use crate::limit::OnUnavailable;
use crate::problem::Problem;
use crate::secret::SecretText;
use crate::time::Timestamp;

/// Settings of one `external` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ExternalSettings {
    /// The URL that is asked.
    #[n(0)]
    pub url: String,
    /// Whether the service may have an address that is not public.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub is_private: bool,
    /// The form of questions and answers.
    #[n(2)]
    pub protocol: Protocol,
    /// What the service is told, sorted by path.
    #[n(3)]
    pub sent: Vec<Sent>,
    /// How long a decision is used for equal questions, in milliseconds; 0 means not at all.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub cache_ms: u32,
    /// The maximum time of an answer, in milliseconds.
    #[n(5)]
    pub timeout_ms: u32,
    /// What happens if there is no decision.
    #[n(6)]
    pub on_unavailable: OnUnavailable,
    /// A bearer token with which the gateway proves who it is; at most one.
    #[serde(default)]
    #[cbor(n(7), skip_if = "codec::is_default")]
    pub token: Vec<SecretText>,
}

/// Version 2 reads cookies.
impl codec::Section for ExternalSettings {
    const VERSION: u16 = 2;

    fn least_version(&self) -> u16 {
        let mut sources = self.sent.iter().flat_map(|sent| sent.value.sources());
        if sources.any(Source::is_cookie) { Self::VERSION } else { Self::OLDEST }
    }
}

/// The form of questions and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Protocol {
    /// The data API of Open Policy Agent: what is sent is the member `input`, the decision is in `result`.
    #[n(0)]
    Opa,
    /// The evaluation API of `AuthZEN` 1.0: the decision is in `decision`.
    #[n(1)]
    Authzen,
    /// Any service: a status of success authorizes, 401 and 403 refuse.
    #[n(2)]
    Http,
}

/// A value that the service is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Sent {
    /// The names of the members that lead to it.
    #[n(0)]
    pub path: Vec<String>,
    /// The value; without one, the member is left out.
    #[n(1)]
    pub value: Expression,
    /// As it is written.
    #[n(2)]
    pub text: String,
}

/// What a service decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request is authorized.
    Authorized,
    /// It is not.
    Refused,
    /// The rule has no value, so nothing authorizes the request.
    Undefined,
}

/// Why an answer is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoDecision {
    /// Its status says that the service did not decide.
    #[error("the service answers with status {0}")]
    Status(u16),
    /// It has another form than that of the protocol.
    #[error("the answer of the service is not one of the protocol")]
    Form,
}

impl ExternalSettings {
    /// The content of the question about a request.
    ///
    /// # Errors
    /// If a value that is there cannot be sent. One that is missing is left out.
    pub fn question(&self, request: &Facts<'_>) -> Result<String, EvaluationError> {
        let mut out = String::with_capacity(QUESTION_BYTES_USUAL);
        let input = matches!(self.protocol, Protocol::Opa);
        out.push_str(if input { "{\"input\":" } else { "" });
        self.object(&self.sent, 0, request, &mut out)?;
        out.push_str(if input { "}" } else { "" });
        Ok(out)
    }

    /// Writes the members with the same first names, which are beside each other.
    fn object(&self, all: &[Sent], depth: usize, request: &Facts<'_>, out: &mut String) -> Result<(), EvaluationError> {
        out.push('{');
        let mut is_first = true;
        for same in all.chunk_by(|one, other| one.path.get(depth) == other.path.get(depth)) {
            let [first, ..] = same else { continue };
            let Some(name) = first.path.get(depth) else { continue };
            let before = out.len();
            out.push_str(if is_first { "" } else { "," });
            json::string(out, name);
            out.push(':');
            if first.path.len() > depth + 1 {
                self.object(same, depth + 1, request, out)?;
            } else {
                match first.value.evaluate(request) {
                    Ok(value) => write(&first.value, request, &value, out)?,
                    Err(EvaluationError::Missing(_)) => {
                        out.truncate(before);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            is_first = false;
        }
        out.push('}');
        Ok(())
    }

    /// What the service decided about the request.
    ///
    /// # Errors
    /// If the answer is no decision.
    pub fn decision(&self, answer: &FetchAnswer) -> Result<Decision, NoDecision> {
        let status = answer.status.as_u16();
        let members = || match status {
            200 => Members::parse(&answer.content).map_err(|_| NoDecision::Form),
            status => Err(NoDecision::Status(status)),
        };
        match self.protocol {
            Protocol::Opa => match members()?.get("result") {
                // The data API answers so about a rule that does not exist, too.
                None => Ok(Decision::Undefined),
                Some(jose::Value::Bool(decision)) => Ok(Decision::of(*decision)),
                Some(jose::Value::Object(result)) => match result.get("allow") {
                    Some(jose::Value::Bool(decision)) => Ok(Decision::of(*decision)),
                    _ => Err(NoDecision::Form),
                },
                Some(_) => Err(NoDecision::Form),
            },
            Protocol::Authzen => match members()?.get("decision") {
                Some(jose::Value::Bool(decision)) => Ok(Decision::of(*decision)),
                _ => Err(NoDecision::Form),
            },
            Protocol::Http => match status {
                200..=299 => Ok(Decision::Authorized),
                401 | 403 => Ok(Decision::Refused),
                status => Err(NoDecision::Status(status)),
            },
        }
    }
}

impl Decision {
    const fn of(is_authorized: bool) -> Self {
        if is_authorized { Self::Authorized } else { Self::Refused }
    }

    /// Why the request is authorized.
    ///
    /// # Errors
    /// The refusal of a request that is not.
    pub fn verdict(self) -> Result<Reason, Problem> {
        match self {
            Self::Authorized => Ok(Reason::Authorized),
            Self::Refused => Err(not_authorized(Reason::ExternalRefused)),
            Self::Undefined => Err(not_authorized(Reason::ExternalUndefined)),
        }
    }
}

/// Writes a value as JSON.
fn write<'v>(
    of: &'v Expression,
    request: &'v Facts<'v>,
    value: &Value<'v>,
    out: &mut String,
) -> Result<(), EvaluationError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Double(value) if value.is_finite() => json::float(out, *value),
        Value::Text(text) => json::string(out, text),
        Value::Timestamp(micros) => match u64::try_from(micros / 1_000) {
            Ok(ms) => json::string(out, &Timestamp::from_millis(ms).to_rfc3339()),
            Err(_) => return Err(EvaluationError::Overflow),
        },
        Value::Address(address) => json::string(out, &address.to_string()),
        Value::List(items) => return list(of, request, *items, out),
        Value::Double(_) | Value::Duration(_) | Value::Networks(_) | Value::Object => {
            return Err(EvaluationError::Type);
        }
    }
    Ok(())
}

fn list<'v>(
    of: &'v Expression,
    request: &'v Facts<'v>,
    items: Items<'v>,
    out: &mut String,
) -> Result<(), EvaluationError> {
    out.push('[');
    for at in 0..items.len() {
        out.push_str(if at > 0 { "," } else { "" });
        write(of, request, &of.item(request, items, at)?, out)?;
    }
    out.push(']');
    Ok(())
}

impl Authorizer for ExternalSettings {
    fn check(&self, request: &Facts<'_>) -> Result<Checked<'_>, Problem> {
        match self.question(request) {
            Ok(content) => Ok(Checked::Ask(Asked { settings: self, content })),
            Err(error) => Err(not_authorized(Reason::ConditionFailed { error })),
        }
    }

    fn needs_caller(&self) -> bool {
        false
    }

    fn reads(&self) -> Vec<&Source> {
        // A parameter that the path does not have is left out.
        let all = self.sent.iter().flat_map(|sent| sent.value.sources());
        all.filter(|source| !matches!(source, Source::Parameter(_))).collect()
    }
}

impl PolicyKind for ExternalSettings {
    fn is_coherent(&self) -> bool {
        self.sent.len() <= ROUTE_LIST_MAX
            && self.token.len() <= 1
            && self.sent.iter().all(|sent| sent.path.len() <= PATH_MAX && sent.value.is_coherent())
    }

    fn uses(&self) -> Uses<'_> {
        Uses { questions: 1, secrets: &self.token, ..Uses::default() }
    }
}

/// Names of a path: those of `AuthZEN` have three.
pub const PATH_MAX: usize = 8;

const QUESTION_BYTES_USUAL: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::Principal;
    use crate::expression::{Node, with_facts};
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use wasm_bindgen_test::wasm_bindgen_test;

    fn settings(protocol: Protocol, sent: Vec<(&str, Vec<Node>)>) -> ExternalSettings {
        let sent = sent.into_iter().map(|(path, nodes)| Sent {
            path: path.split('.').map(str::to_owned).collect(),
            value: Expression::new(nodes).unwrap(),
            text: String::new(),
        });
        ExternalSettings {
            url: "http://opa/v1/data/allow".into(),
            is_private: true,
            protocol,
            sent: sent.collect(),
            cache_ms: 0,
            timeout_ms: 500,
            on_unavailable: OnUnavailable::Closed,
            token: vec![],
        }
    }

    fn read(source: Source) -> Vec<Node> {
        vec![Node::Read(source)]
    }

    fn question(settings: &ExternalSettings) -> Result<String, EvaluationError> {
        let caller = Principal::new("ac\"me".into(), "k1".into(), None, vec!["read".into(), "write".into()]);
        with_facts(Some(&caller), |facts| settings.question(facts))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_service_is_told_what_is_named_and_no_more() {
        let list = vec![Node::Integer(-1), Node::Read(Source::Method), Node::List(vec![0, 1])];
        let sent = vec![
            ("a", vec![Node::Bool(true)]),
            ("b.c", read(Source::Consumer)),
            ("b.d.e", read(Source::Scopes)),
            ("f", read(Source::Plan)),
            ("g", list),
            ("h", read(Source::Parameter("id".into()))),
            ("i", read(Source::Now)),
        ];
        let want = r#"{"a":true,"b":{"c":"ac\"me","d":{"e":["read","write"]}},"g":[-1,"GET"],"h":"7","i":"1970-01-01T00:00:00.000Z"}"#;
        assert_eq!(question(&settings(Protocol::Authzen, sent.clone())).as_deref(), Ok(want));
        let wrapped = format!("{{\"input\":{want}}}");
        assert_eq!(question(&settings(Protocol::Opa, sent)), Ok(wrapped));
        let left_out = vec![("a", read(Source::Plan)), ("b", read(Source::Address))];
        assert_eq!(question(&settings(Protocol::Http, left_out)).as_deref(), Ok("{}"));
        let unsendable = vec![("a", vec![Node::Duration(1)])];
        assert_eq!(question(&settings(Protocol::Http, unsendable)), Err(EvaluationError::Type));
    }

    #[track_caller]
    fn check(protocol: Protocol, status: u16, content: &'static str, want: Result<Decision, NoDecision>) {
        let (status, fields) = (StatusCode::from_u16(status).unwrap(), HeaderMap::new());
        let answer = FetchAnswer { status, fields, content: Bytes::from_static(content.as_bytes()) };
        assert_eq!(settings(protocol, vec![]).decision(&answer), want, "{protocol:?} {status} {content}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_decision_authorizes() {
        use Decision::{Authorized, Refused, Undefined};
        use NoDecision::{Form, Status};
        for (content, want) in [
            (r#"{"result":true}"#, Ok(Authorized)),
            (r#"{"result":false}"#, Ok(Refused)),
            (r#"{"result":{"allow":true,"reasons":[]}}"#, Ok(Authorized)),
            (r#"{"result":{"allow":false}}"#, Ok(Refused)),
            (r#"{"decision_id":"1"}"#, Ok(Undefined)),
            ("{}", Ok(Undefined)),
            (r#"{"result":"true"}"#, Err(Form)),
            (r#"{"result":{"allow":"true"}}"#, Err(Form)),
            (r#"{"result":false,"result":true}"#, Err(Form)),
            ("true", Err(Form)),
            ("<html>", Err(Form)),
            ("", Err(Form)),
        ] {
            check(Protocol::Opa, 200, content, want);
        }
        check(Protocol::Opa, 500, r#"{"result":true}"#, Err(Status(500)));
        check(Protocol::Authzen, 200, r#"{"decision":true,"context":{}}"#, Ok(Authorized));
        check(Protocol::Authzen, 200, r#"{"decision":false}"#, Ok(Refused));
        check(Protocol::Authzen, 200, r#"{"result":true}"#, Err(Form));
        check(Protocol::Authzen, 403, r#"{"decision":true}"#, Err(Status(403)));
        for (status, want) in [
            (200, Ok(Authorized)),
            (204, Ok(Authorized)),
            (401, Ok(Refused)),
            (403, Ok(Refused)),
            (302, Err(Status(302))),
            (500, Err(Status(500))),
        ] {
            check(Protocol::Http, status, "", want);
        }
    }
}
