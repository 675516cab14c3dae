//! `dev/fixtures.yaml`: consumers and keys of a local gateway.
//!
//! Fixtures are for development and tests. They are never part of a bundle, and only the digest of a key is stored.

use std::collections::HashMap;
use std::path::Path;

use tollgate_core::authn::{ApiKey, Credential, KeyDigest};
use tollgate_core::entitlement::PlanNumbers;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{encode, keys};

use crate::compile::Compiled;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report, Severity};
use crate::model::fixtures::{self as model, Consumer, Key};
use crate::place::{FileId, Files, Span, Spanned};
use crate::source::{self, Folder, Limits, Loader};

/// The consumers' credentials of a fixtures file.
#[derive(Debug, Default)]
pub struct Fixtures {
    /// Each credential with the digest of its key, which is part of the record's key, in the order of the file.
    pub credentials: Vec<(KeyDigest, Credential)>,
    /// The first key that is always valid, to be shown by a command; `None` if there is none.
    pub sample: Option<SampleKey>,
    /// The warnings: settings that are probably not intended.
    pub warnings: Diagnostics,
    /// The plans of consumers.
    plans: Vec<Spanned<String>>,
    /// When keys expire.
    expiries: Vec<Spanned<Timestamp>>,
    /// The numbers that keys have for limits.
    limits: Vec<Spanned<PlanNumbers>>,
}

impl Fixtures {
    /// The records of the credentials, as keys and values. They do not contain the API keys.
    #[must_use]
    pub fn records(&self, gateway: &str) -> Vec<(String, Vec<u8>)> {
        let record =
            |(digest, credential): &(KeyDigest, Credential)| (keys::credential(gateway, digest), encode(credential));
        self.credentials.iter().map(record).collect()
    }

    /// Reports plans that the project does not define, keys that have expired, and numbers of keys that have no effect.
    #[must_use]
    pub fn check(&self, compiled: &Compiled, now: Timestamp) -> Diagnostics {
        let mut report = Report::default();
        for plan in &self.plans {
            compiled.check_plan(plan, &mut report);
        }
        for expiry in self.expiries.iter().filter(|expiry| expiry.value <= now) {
            report.push(
                Diagnostic::warning(Code::Expired, expiry.span, "the key has expired")
                    .why("the gateway refuses it")
                    .fix("remove `expires`, or write a later time"),
            );
        }
        for fault in self.limits.iter().filter_map(|numbers| compiled.number_fault(numbers)) {
            report.push(Diagnostic { severity: Severity::Warning, ..fault });
        }
        report.finish(self.warnings.files().clone())
    }
}

/// A valid API key, to be used in a command.
#[derive(Clone, Debug)]
pub struct SampleKey {
    /// The key.
    pub key: ApiKey,
    /// The id of its consumer.
    pub consumer: String,
}

/// Reads `dev/fixtures.yaml` of a project folder; without this file, a project has no fixtures.
///
/// # Errors
/// If the file exists and has a mistake.
pub fn load_dir(project: &Path) -> Result<Fixtures, Diagnostics> {
    let (mut loader, mut report) = (Loader::new(Folder::Disk(project.to_owned())), Report::default());
    if !project.join(FILE).exists() {
        return Ok(Fixtures { warnings: report.finish(loader.without(FILE)), ..Fixtures::default() });
    }
    let file = loader.load(FILE, &Limits::AUTHORED, &mut report);
    build(file, loader.into_files(), report)
}

/// Reads fixtures from a text; `name` is its file name in diagnostics.
///
/// # Errors
/// If the text has a mistake.
pub fn load_str(name: &str, text: &str) -> Result<Fixtures, Diagnostics> {
    let mut files = Files::new();
    let file = files.add(name, text);
    build(Some(file), files, Report::default())
}

fn build(file: Option<FileId>, files: Files, mut report: Report) -> Result<Fixtures, Diagnostics> {
    let read = |file: FileId| {
        let root = source::read(file, files.text(file), &Limits::AUTHORED, &mut report)?;
        let consumers = model::decode(&root, &mut report)?;
        Some(Lowering::default().consumers(&consumers, &mut report))
    };
    let fixtures = file.and_then(read);
    let has_errors = report.has_errors();
    let found = report.finish(files);
    match fixtures {
        Some(fixtures) if !has_errors => Ok(Fixtures { warnings: found, ..fixtures }),
        _ => Err(found),
    }
}

#[derive(Default)]
struct Lowering {
    consumers: HashMap<String, Span>,
    keys: HashMap<String, Span>,
    fixtures: Fixtures,
}

impl Lowering {
    fn consumers(mut self, consumers: &[Consumer], report: &mut Report) -> Fixtures {
        for consumer in consumers {
            if let Some(first) = self.consumers.insert(consumer.id.value.clone(), consumer.id.span) {
                let what = format!("duplicate consumer `{}`", consumer.id.value);
                let why = "the id identifies a consumer in limits, logs and metrics";
                report.push(duplicate(Code::DuplicateConsumer, consumer.id.span, first, &what, why));
            }
            self.fixtures.plans.extend(consumer.plan.clone());
            for key in &consumer.keys {
                self.key(consumer, key, report);
            }
            self.fixtures.credentials.extend(consumer.links.iter().cloned());
        }
        self.fixtures
    }

    fn key(&mut self, consumer: &Consumer, key: &Key, report: &mut Report) {
        let Some(parsed) = api_key(&key.key, report) else { return };
        if let Some(first) = self.keys.insert(key.key.value.clone(), key.key.span) {
            let why = "a request with this key could belong to either of them";
            report.push(duplicate(Code::DuplicateKeyText, key.key.span, first, "duplicate key", why));
        }
        self.fixtures.expiries.extend(key.properties.expires.clone());
        self.fixtures.limits.extend(key.properties.limits.iter().cloned());
        let plan = consumer.plan.as_ref().map(|plan| plan.value.as_str());
        let credential = key.properties.credential(parsed.public_id(), &consumer.id.value, plan);
        never_valid(key, &credential, report);
        if self.fixtures.sample.is_none() && key.properties.is_always_valid() {
            let consumer = consumer.id.value.clone();
            self.fixtures.sample = Some(SampleKey { key: parsed.clone(), consumer });
        }
        self.fixtures.credentials.push((parsed.digest(), credential));
    }
}

fn api_key(text: &Spanned<String>, report: &mut Report) -> Option<ApiKey> {
    match ApiKey::parse(&text.value) {
        Ok(key) => Some(key),
        Err(error) => {
            report.push(
                Diagnostic::error(Code::BadKey, text.span, format!("the key is not valid: {error}"))
                    .why("the gateway refuses the key without looking it up")
                    .fix("create a key with `tollgate key new`"),
            );
            None
        }
    }
}

fn never_valid(key: &Key, credential: &Credential, report: &mut Report) {
    let (Some(start), Some(end)) = (credential.not_before, credential.expires) else { return };
    if end <= start {
        report.push(
            Diagnostic::warning(Code::NeverValid, key.key.span, "the key is never valid")
                .why("it expires before it becomes valid")
                .fix("set `expires` to a time after `not-before`"),
        );
    }
}

fn duplicate(code: Code, span: Span, first: Span, what: &str, why: &str) -> Diagnostic {
    Diagnostic::error(code, span, what).why(why).fix("remove one of them").related(first, "the first one")
}

/// The path of fixtures in a project folder.
pub const FILE: &str = "dev/fixtures.yaml";
