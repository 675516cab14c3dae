//! `dev/fixtures.yaml`: consumers and keys that seed the local registry.
//!
//! Fixtures are for development and tests. They are never part of a bundle, and only the digest of a key is stored.

use std::collections::HashMap;
use std::path::Path;

use tollgate_core::authn::{ApiKey, Credential, KeyDigest};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{encode, keys};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::model::fixtures::{self as model, Consumer, Key};
use crate::place::{FileId, Files, Span, Spanned};
use crate::source::{self, Folder, Limits, Loader};

/// The consumers' credentials of a fixtures file.
#[derive(Debug, Default)]
pub struct Fixtures {
    /// Each credential with the digest it is stored under, in the order of the file.
    pub credentials: Vec<(KeyDigest, Credential)>,
    /// The first key that holds at all times, for a command to show; absent when there is none.
    pub sample: Option<SampleKey>,
    /// What is probably not meant.
    pub warnings: Diagnostics,
}

impl Fixtures {
    /// The records of the credentials, as keys and values; the key itself is in none of them.
    #[must_use]
    pub fn records(&self, gateway: &str) -> Vec<(String, Vec<u8>)> {
        let record =
            |(digest, credential): &(KeyDigest, Credential)| (keys::credential(gateway, digest), encode(credential));
        self.credentials.iter().map(record).collect()
    }
}

/// A key that works, to paste into a command.
#[derive(Clone, Debug)]
pub struct SampleKey {
    /// The key.
    pub key: ApiKey,
    /// Its consumer.
    pub consumer: String,
}

/// Reads `dev/fixtures.yaml` of a project folder; a project without one has no fixtures.
///
/// # Errors
/// When the file is there and has a mistake.
pub fn load_dir(project: &Path) -> Result<Fixtures, Diagnostics> {
    if !project.join(FILE).exists() {
        return Ok(Fixtures::default());
    }
    let (mut loader, mut report) = (Loader::new(Folder::Disk(project.to_owned())), Report::default());
    let file = loader.load(FILE, &Limits::AUTHORED, &mut report);
    build(file, loader.into_files(), report)
}

/// Reads fixtures from a text; `name` is what diagnostics call it.
///
/// # Errors
/// When the text has a mistake.
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
                let what = format!("there are two consumers `{}`", consumer.id.value);
                let why = "the id names a consumer in limits, logs and metrics";
                report.push(duplicate(Code::DuplicateConsumer, consumer.id.span, first, &what, why));
            }
            for key in &consumer.keys {
                self.key(consumer, key, report);
            }
        }
        self.fixtures
    }

    fn key(&mut self, consumer: &Consumer, key: &Key, report: &mut Report) {
        let parsed = api_key(&key.key, report);
        let not_before = key.not_before.as_ref().map(|text| timestamp(text, report));
        let expires = key.expires.as_ref().map(|text| timestamp(text, report));
        let Some(parsed) = parsed else { return };
        if let Some(first) = self.keys.insert(key.key.value.clone(), key.key.span) {
            let why = "a request with it could not be told apart";
            report.push(duplicate(Code::DuplicateKeyText, key.key.span, first, "this key is given twice", why));
        }
        let credential = Credential {
            id: parsed.public_id(),
            consumer: consumer.id.value.clone(),
            plan: consumer.plan.as_ref().map(|plan| plan.value.clone()),
            scopes: key.scopes.iter().map(|scope| scope.value.clone()).collect(),
            not_before: not_before.flatten(),
            expires: expires.flatten(),
            revoked: key.revoked,
        };
        never_valid(key, &credential, report);
        if self.fixtures.sample.is_none() && not_before.is_none() && expires.is_none() && !key.revoked {
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
                Diagnostic::error(Code::BadKey, text.span, format!("this is not a key: {error}"))
                    .why("the gateway refuses it before it looks for its record")
                    .fix("make a key with `tollgate key new`"),
            );
            None
        }
    }
}

fn timestamp(text: &Spanned<String>, report: &mut Report) -> Option<Timestamp> {
    let found = Timestamp::from_rfc3339(&text.value);
    if found.is_none() {
        report.push(
            Diagnostic::error(Code::BadTimestamp, text.span, format!("`{}` is not a time", text.value))
                .why("times are written as in RFC 3339, with an offset")
                .fix("write it as in `2026-01-31T23:59:50Z`"),
        );
    }
    found
}

fn never_valid(key: &Key, credential: &Credential, report: &mut Report) {
    let (Some(start), Some(end)) = (credential.not_before, credential.expires) else { return };
    if end <= start {
        report.push(
            Diagnostic::warning(Code::NeverValid, key.key.span, "this key can never be used")
                .why("it expires before it begins to be valid")
                .fix("put `expires` after `not-before`"),
        );
    }
}

fn duplicate(code: Code, span: Span, first: Span, what: &str, why: &str) -> Diagnostic {
    Diagnostic::error(code, span, what).why(why).fix("remove one of them").related(first, "the other one")
}

/// Where fixtures stand in a project folder.
pub const FILE: &str = "dev/fixtures.yaml";
