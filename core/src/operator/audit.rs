//! The audit record of one call of the endpoint: the caller, the action and the outcome.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Caller, Role};
use crate::json::{FromJson, to_text};
use crate::time::Timestamp;

/// One call. Every call is logged in one line; a call that changes something is also stored as a record.
///
/// It contains no token and no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct AuditEvent {
    /// When it was received.
    pub at: Timestamp,
    /// The id in its response.
    pub request_id: String,
    /// The caller; absent if not authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<AuditCaller>,
    /// The caller's address, if the platform provides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The action, such as `purge.new`; `unknown` if there is no such resource or the caller is not authenticated.
    pub action: String,
    /// The targets of the action: keys of the cache, a key's public id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The outcome.
    pub outcome: AuditOutcome,
    /// The slug of the problem in the response, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct AuditCaller {
    /// The token's name.
    pub name: String,
    /// Its role.
    pub role: Role,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, FromJson)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It succeeded.
    Done,
    /// It was not allowed, or not understood.
    Refused,
    /// It failed.
    Failed,
}

impl AuditEvent {
    /// The log line: one JSON object without a line break. `unlogged` is the number of earlier failed authentications
    /// that were not logged.
    #[must_use]
    pub fn line(&self, gateway: &str, unlogged: u64) -> String {
        let line = Line {
            time: self.at.to_rfc3339(),
            level: if self.outcome == AuditOutcome::Done { "info" } else { "warn" },
            event: "audit",
            gateway,
            request_id: &self.request_id,
            caller: self.caller.as_ref().map(|caller| caller.name.as_str()),
            role: self.caller.as_ref().map(|caller| caller.role),
            address: self.address,
            action: &self.action,
            targets: &self.targets,
            outcome: self.outcome,
            problem: self.problem.as_deref(),
            unlogged,
        };
        to_text(&line)
    }
}

impl From<&Caller> for AuditCaller {
    fn from(caller: &Caller) -> Self {
        Self { name: caller.name.clone(), role: caller.role }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    event: &'static str,
    gateway: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    action: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    targets: &'a [String],
    outcome: AuditOutcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    unlogged: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference; on 32-bit targets clippy does not report it"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_line_has_caller_action_and_outcome() {
        let event = AuditEvent {
            at: Timestamp::from_millis(1_800_000_000_000),
            request_id: "1f".into(),
            caller: Some(AuditCaller { name: "ci".into(), role: Role::Purge }),
            address: Some("192.0.2.7".parse().unwrap()),
            action: "purge.new".into(),
            targets: vec!["all".into()],
            outcome: AuditOutcome::Done,
            problem: None,
        };
        let line: Value = serde_json::from_str(&event.line("acme", 0)).unwrap();
        let expected = json!({
            "time": event.at.to_rfc3339(), "level": "info", "event": "audit", "gateway": "acme", "request_id": "1f",
            "caller": "ci", "role": "purge", "address": "192.0.2.7", "action": "purge.new", "targets": ["all"],
            "outcome": "done",
        });
        assert_eq!(line, expected);
    }
}
