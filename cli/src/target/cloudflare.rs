//! A Workers KV namespace, accessed with `npx wrangler`, which has the account's credentials.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{KeyValue, bulk_json};
use crate::failure::Failure;
use crate::terminal;

/// The binding of the Worker's records in wrangler.toml of the repository.
pub(super) const DEFAULT_BINDING: &str = "TOLLGATE_RECORDS";

/// A namespace that is bound in wrangler.toml of the current folder.
pub(crate) struct KvNamespace {
    binding: String,
    remote: bool,
}

impl KvNamespace {
    pub(super) fn new(binding: &str, remote: bool) -> Self {
        Self { binding: binding.to_owned(), remote }
    }

    pub(super) fn name(&self) -> String {
        let where_ =
            if self.remote { "at Cloudflare" } else { "of wrangler's local store (--remote for Cloudflare's)" };
        format!("the namespace {} {where_}", self.binding)
    }

    pub(super) fn put(&self, records: &[KeyValue]) -> Result<(), Failure> {
        let (alone, bulk): (Vec<_>, Vec<_>) = records.iter().partition(|record| !self.goes_in_bulk(record));
        for (key, value) in alone {
            self.write(&["kv", "key", "put", key, "--path"], value)?;
        }
        for batch in batches(&bulk) {
            self.write(&["kv", "bulk", "put"], bulk_json(batch.iter().copied()).as_bytes())?;
        }
        Ok(())
    }

    /// Whether all keys are listed, and the last record can be read as written: reading thousands of records would take
    /// a second for each.
    pub(super) fn has(&self, records: &[KeyValue]) -> Result<bool, Failure> {
        let Some(((last, value), _)) = records.split_last() else { return Ok(true) };
        let (gateway, _) = last.split_once(':').unwrap_or_default();
        let listed: BTreeSet<String> = self.keys(&format!("{gateway}:"))?.into_iter().collect();
        if !records.iter().all(|(key, _)| listed.contains(key)) {
            return Ok(false);
        }
        Ok(self.read(last)? == *value)
    }

    /// With its local store, wrangler's bulk write stores base64 values as text, which damages binary values.
    fn goes_in_bulk(&self, (_, value): &KeyValue) -> bool {
        self.remote || std::str::from_utf8(value).is_ok()
    }

    /// Runs wrangler with these arguments, followed by a file with this content.
    fn write(&self, words: &[&str], content: &[u8]) -> Result<(), Failure> {
        let file = TemporaryFile::write(content)?;
        let path = file.0.to_string_lossy();
        let command = self.command(&[words, &[&*path]].concat());
        terminal::note(&format!("$ {}", shown(&command)));
        // Standard output is for this command's own output.
        run(command, Stdio::from(std::io::stderr())).map(drop)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        if !self.keys(key)?.iter().any(|found| found == key) {
            return Ok(None);
        }
        self.read(key).map(Some)
    }

    /// An existing value; without `--text`, which would damage binary values and add a line break.
    fn read(&self, key: &str) -> Result<Vec<u8>, Failure> {
        run(self.command(&["kv", "key", "get", key]), Stdio::piped())
    }

    pub(super) fn keys(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let listed = run(self.command(&["kv", "key", "list", "--prefix", prefix]), Stdio::piped())?;
        let listed: Value = serde_json::from_slice(&listed)
            .map_err(|error| Failure::problem(format!("wrangler listed keys in an unknown format: {error}")))?;
        let names = listed.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("npx");
        let place = if self.remote { "--remote" } else { "--local" };
        command.arg("wrangler").args(words).args(["--binding", &self.binding, place]);
        command
    }
}

/// Runs wrangler to completion; its messages are shown to the user.
fn run(mut command: Command, answer: Stdio) -> Result<Vec<u8>, Failure> {
    let shown_command = shown(&command);
    let output = command.stdin(Stdio::null()).stdout(answer).stderr(Stdio::inherit()).output().map_err(|error| {
        Failure::problem(format!("npx could not be started ({error}): install Node.js 20 or newer, then run `npm ci`"))
    })?;
    if !output.status.success() {
        let why = "see wrangler's output above; it reads wrangler.toml of the current folder";
        return Err(Failure::problem(format!("`{shown_command}` failed ({}): {why}", output.status)));
    }
    Ok(output.stdout)
}

fn shown(command: &Command) -> String {
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once("npx".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A temporary file for wrangler, removed afterwards. It contains digests of keys, never keys.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn write(content: &[u8]) -> Result<Self, Failure> {
        let mut random = [0u8; 8];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::problem(format!("the system has no entropy: {error}")))?;
        let name = format!("tollgate-{}", tollgate_core::hex::encode(&random));
        let path = std::env::temp_dir().join(name);
        let failed = |error| Failure::problem(format!("{}: {error}", path.display()));
        create(&path).and_then(|mut file| file.write_all(content)).map_err(failed)?;
        Ok(Self(path))
    }
}

/// A new file, never an existing one.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // The system removes files that remain in its temporary folder.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Splits records into bulk writes that Cloudflare accepts.
fn batches<'b, 'r>(records: &'b [&'r KeyValue]) -> impl Iterator<Item = &'b [&'r KeyValue]> {
    let (mut pairs, mut bytes) = (0, 0);
    records.chunk_by(move |_, (key, value)| {
        let size = key.len() + value.len();
        (pairs, bytes) = (pairs + 1, bytes + size);
        let fits = pairs < BULK_MAX && bytes <= BULK_BYTES_MAX;
        if !fits {
            (pairs, bytes) = (0, size);
        }
        fits
    })
}

/// Pairs and bytes in one bulk write: Cloudflare's limit is 10,000 and 100 MB, and base64 needs a third more.
const BULK_MAX: usize = 1000;
const BULK_BYTES_MAX: usize = 50_000_000;
