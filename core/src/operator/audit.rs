//! The record of one call of the endpoint: who asked for what, and what came of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Caller, Role};
use crate::time::Timestamp;

/// One call. Every call is a line of the log; one that changes something is also kept in the record store.
///
/// It holds no token and no key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When it was received.
    pub at: Timestamp,
    /// The id that its answer carries.
    pub request_id: String,
    /// Who asked; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<AuditCaller>,
    /// The address that it came from, where the platform says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What was asked for, such as `purge.new`; `unknown` where there is no such resource or the caller is not known.
    pub action: String,
    /// What it was done to: keys of the cache, a key's public id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// The slug of the problem it was answered with, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCaller {
    /// The token's name.
    pub name: String,
    /// Its role.
    pub role: Role,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was not allowed, or not understood.
    Refused,
    /// It could not be done.
    Failed,
}

impl AuditEvent {
    /// The line of the log, one JSON object without a line end; `unlogged` failed authentications had no line of their own.
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
        serde_json::to_string(&line).unwrap_or_default()
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

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference; on 32 bits clippy does not mind it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_line_says_who_asked_for_what_and_what_came_of_it() {
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
