//! Decodes a test file.

use std::collections::HashMap;

use tollgate_core::time::Timestamp;

use super::consumer::{self, Consumer, Keys};
use super::invariant::Invariant;
use super::issuer::{self, Issuer};
use super::step::{Action, Case};
use super::upstream::{self, Script};
use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::model::project::format_version;
use crate::model::tables;
use crate::place::{Files, Span, Spanned};
use crate::source::{Entry, Node, Value};

/// A test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Its path in the project, such as `tests/pets.test.yaml`.
    pub name: String,
    /// The time at which every case begins.
    pub clock: Timestamp,
    /// The environment for which the project is compiled, if the file names one.
    pub env: Option<Spanned<String>>,
    /// The consumers.
    pub consumers: Vec<Consumer>,
    /// The identity providers.
    pub issuers: Vec<Issuer>,
    /// The scripts of upstreams, by name, for steps and cases without other responses.
    pub upstreams: Vec<(Spanned<String>, Script)>,
    /// The scripts of services that the gateway itself asks, by URL, for cases without other responses.
    pub fetches: Vec<(Spanned<String>, Script)>,
    /// The values of secrets; every other secret of the project has a generated value.
    pub secrets: Vec<(Spanned<String>, String)>,
    /// The test cases, each with its own stores.
    pub cases: Vec<Case>,
    /// The invariants, which are proved without requests.
    pub invariants: Vec<Invariant>,
    /// The warnings: settings that are probably not intended.
    pub warnings: Diagnostics,
    pub(super) files: Files,
}

impl TestFile {
    pub(super) fn decode(name: &str, root: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(root, &tables::TEST_FILE, "the file", root.span, report)?;
        format_version(&mut fields, report);
        let clock = fields.optional("clock", report, consumer::timestamp).unwrap_or(CLOCK);
        let env = fields.optional("env", report, decode::text);
        let mut keys = Keys::new();
        let consumers =
            fields.optional("consumers", report, |node, report| consumer::consumers(node, &mut keys, report));
        let issuers = fields.optional("issuers", report, issuer::issuers).unwrap_or_default();
        let upstreams = fields.optional("upstreams", report, upstream::scripts);
        let fetches = fields.optional("fetches", report, upstream::services);
        let secrets = fields.optional("secrets", report, secrets);
        let cases = fields.optional("cases", report, |node, report| {
            decode::list(node, report, |node, report| Case::decode(node, clock, &keys, report))
        });
        let invariants =
            fields.optional("invariants", report, |node, report| decode::list(node, report, Invariant::decode));
        fields.finish(report);
        let (cases, invariants) = (cases.unwrap_or_default(), invariants.unwrap_or_default());
        check_names(&cases, report);
        // A broken issuer is reported once.
        if !report.has_errors() {
            check_issuers(&cases, &issuers, report);
        }
        if cases.is_empty() && invariants.is_empty() {
            report.push(
                Diagnostic::error(Code::EmptyTestFile, root.span, "the file has neither cases nor invariants")
                    .why("the file would always pass")
                    .fix("add `cases:` or `invariants:`, or remove the file"),
            );
        }
        Some(Self {
            name: name.to_owned(),
            clock,
            env,
            consumers: consumers.unwrap_or_default(),
            issuers,
            upstreams: upstreams.unwrap_or_default(),
            fetches: fetches.unwrap_or_default(),
            secrets: secrets.unwrap_or_default(),
            cases,
            invariants,
            warnings: Diagnostics::default(),
            files: Files::new(),
        })
    }

    /// The line of the file at a place, to be quoted in a report.
    #[must_use]
    pub fn line(&self, at: Span) -> Option<&str> {
        self.files.line(at.file, at.start.line)
    }
}

fn secrets(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, String)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from names to values of secrets",
            "write a mapping such as `{NAME: value}`",
            report,
        );
    };
    let pair = |Entry { key, value }: &Entry| Some((key.clone(), decode::text(value, report)?.value));
    Some(entries.iter().filter_map(pair).collect())
}

fn check_names(cases: &[Case], report: &mut Report) {
    let mut seen = HashMap::new();
    for case in cases {
        if let Some(first) = seen.insert(case.name.value.as_str(), case.name.span) {
            report.push(duplicate("case", &case.name, first));
        }
    }
}

fn check_issuers(cases: &[Case], issuers: &[Issuer], report: &mut Report) {
    for step in cases.iter().flat_map(|case| &case.steps) {
        match &step.action {
            Action::Request(request) => {
                request
                    .token
                    .iter()
                    .chain(&request.log_in)
                    .for_each(|token| issuer::check_name(&token.issuer, issuers, report));
            }
            Action::Issuers(changes) => {
                changes.iter().for_each(|(name, _)| issuer::check_name(name, issuers, report));
            }
            Action::Advance(_)
            | Action::At(_)
            | Action::Purge(_)
            | Action::Fault(_)
            | Action::Restore(_)
            | Action::Outage(_)
            | Action::Entitle(_) => {}
        }
    }
}

pub(super) fn duplicate(noun: &str, name: &Spanned<String>, first: Span) -> Diagnostic {
    let what = format!("duplicate {noun} `{}`", name.value);
    Diagnostic::error(Code::DuplicateTestName, name.span, what)
        .why("the name must identify it in reports and steps")
        .fix("rename one of them")
        .related(first, "the first one")
}

/// The default of `clock`: 2026-01-01T00:00:00Z.
const CLOCK: Timestamp = Timestamp::from_millis(1_767_225_600_000);
