//! A Workers KV namespace, by way of `npx wrangler`, which knows the account and its rights.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{KeyValue, bulk_json};
use crate::failure::Failure;
use crate::terminal;

/// The binding that the Worker reads its records from, as wrangler.toml of the repository has it.
pub(super) const DEFAULT_BINDING: &str = "TOLLGATE_RECORDS";

/// A namespace as wrangler.toml of the current folder binds it.
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

    /// Whether all keys are listed, and the last record can be read as it was written: reading each of thousands would
    /// take a second each.
    pub(super) fn has(&self, records: &[KeyValue]) -> Result<bool, Failure> {
        let Some(((last, value), _)) = records.split_last() else { return Ok(true) };
        let (gateway, _) = last.split_once(':').unwrap_or_default();
        let listed: BTreeSet<String> = self.keys(&format!("{gateway}:"))?.into_iter().collect();
        if !records.iter().all(|(key, _)| listed.contains(key)) {
            return Ok(false);
        }
        Ok(self.read(last)? == *value)
    }

    /// Into its local store, wrangler's bulk write puts what is in base64 as text, which damages bytes that are none.
    fn goes_in_bulk(&self, (_, value): &KeyValue) -> bool {
        self.remote || std::str::from_utf8(value).is_ok()
    }

    /// Has wrangler read a file with this content, which the words end with.
    fn write(&self, words: &[&str], content: &[u8]) -> Result<(), Failure> {
        let file = HandedFile::write(content)?;
        let path = file.0.to_string_lossy();
        let command = self.command(&[words, &[&*path]].concat());
        terminal::note(&format!("$ {}", shown(&command)));
        // Standard output is for our own answer.
        run(command, Stdio::from(std::io::stderr())).map(drop)
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        if !self.keys(key)?.iter().any(|found| found == key) {
            return Ok(None);
        }
        self.read(key).map(Some)
    }

    /// A value that is there; without `--text`, which would damage bytes that are none and add a line break.
    fn read(&self, key: &str) -> Result<Vec<u8>, Failure> {
        run(self.command(&["kv", "key", "get", key]), Stdio::piped())
    }

    pub(super) fn keys(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let listed = run(self.command(&["kv", "key", "list", "--prefix", prefix]), Stdio::piped())?;
        let listed: Value = serde_json::from_slice(&listed)
            .map_err(|error| Failure::problem(format!("wrangler listed keys in an unknown form: {error}")))?;
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

/// Runs wrangler to its end; what it says besides its answer goes to the person.
fn run(mut command: Command, answer: Stdio) -> Result<Vec<u8>, Failure> {
    let said = shown(&command);
    let output = command.stdin(Stdio::null()).stdout(answer).stderr(Stdio::inherit()).output().map_err(|error| {
        Failure::problem(format!("npx could not be started ({error}): install Node.js 20 or newer, then run `npm ci`"))
    })?;
    if !output.status.success() {
        let why = "see what wrangler says above; it reads wrangler.toml of the current folder";
        return Err(Failure::problem(format!("`{said}` failed ({}): {why}", output.status)));
    }
    Ok(output.stdout)
}

fn shown(command: &Command) -> String {
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once("npx".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A file for wrangler to read, removed when it is done. It holds digests of keys, never keys.
struct HandedFile(PathBuf);

impl HandedFile {
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

/// A new file, never one that somebody has put there before.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}

impl Drop for HandedFile {
    fn drop(&mut self) {
        // A file left in the system's folder for such files is the system's to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Cuts records into bulk writes that Cloudflare takes.
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

/// Pairs and bytes in one bulk write: Cloudflare's limit is 10,000 and 100 MB, of which base64 takes a third more.
const BULK_MAX: usize = 1000;
const BULK_BYTES_MAX: usize = 50_000_000;
