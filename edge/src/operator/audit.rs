//! The audit of calls: one log line for each, and a record for each that changes something.

use std::net::IpAddr;

use tollgate_core::operator::{AuditCaller, AuditEvent, AuditOutcome, Caller, Resource};
use tollgate_core::problem::Problem;
use tollgate_core::telemetry::event_line;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{encode, keys};

use crate::isolate::Isolate;
use crate::ports::{Clock, Host, Records, TelemetrySink};
use crate::timeout::within;

/// The audit data collected during a call.
pub(super) struct Ledger {
    event: AuditEvent,
    /// Earlier failed authentications that were not logged.
    unlogged: u64,
    /// Whether this call is not logged.
    is_silent: bool,
    /// Whether it changes something.
    changes: bool,
}

impl Ledger {
    pub(super) fn begin(at: Timestamp, request_id: &str, address: Option<IpAddr>) -> Self {
        let event = AuditEvent {
            at,
            request_id: request_id.to_owned(),
            caller: None,
            address: address.map(|address| address.to_canonical()),
            action: "unknown".to_owned(),
            targets: Vec::new(),
            outcome: AuditOutcome::Done,
            problem: None,
        };
        Self { event, unlogged: 0, is_silent: false, changes: false }
    }

    pub(super) fn called(&mut self, caller: &Caller) {
        self.event.caller = Some(AuditCaller::from(caller));
    }

    pub(super) fn asked(&mut self, resource: Resource) {
        resource.action().clone_into(&mut self.event.action);
        self.changes = resource.changes();
    }

    pub(super) fn targets(&mut self) -> &mut Vec<String> {
        &mut self.event.targets
    }

    pub(super) fn after_unlogged(&mut self, count: u64) {
        self.unlogged = count;
    }

    pub(super) fn silence(&mut self) {
        self.is_silent = true;
    }

    /// Logs the call, and stores a record if it changed something or may have.
    pub(super) async fn close<H: Host>(mut self, isolate: &Isolate, host: &H, problem: Option<&Problem>) {
        if self.is_silent {
            return;
        }
        if let Some(problem) = problem {
            let is_failure = problem.kind.status().is_server_error();
            self.event.outcome = if is_failure { AuditOutcome::Failed } else { AuditOutcome::Refused };
            self.event.problem = Some(problem.kind.slug().to_owned());
        }
        let gateway = &isolate.settings.gateway;
        host.telemetry_sink().log(&self.event.line(gateway, self.unlogged));
        if self.changes && self.event.outcome != AuditOutcome::Refused {
            self.record(gateway, host).await;
        }
    }

    /// A record that cannot be written is reported; the log line is written in any case.
    async fn record<H: Host>(&self, gateway: &str, host: &H) {
        let key = keys::audit(gateway, &self.event.action, &self.event.request_id);
        let value = encode(&self.event);
        let written = within(host, "the record store", host.records().write(&key, &value, KEEP_S)).await;
        if let Err(error) = written {
            let line = event_line(host.clock().now(), "error", "audit-not-recorded", gateway, |line| {
                line.text("request_id", &self.event.request_id);
                line.text("reason", &error.to_string());
            });
            host.telemetry_sink().log(&line);
        }
    }
}

/// How long audit records are kept: 400 days, a year and some time for an audit.
const KEEP_S: u32 = 400 * 24 * 60 * 60;
