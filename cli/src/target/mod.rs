//! Where records are published to: the store that a host reads.

mod cloudflare;
mod native;
mod plans;
mod publish;
mod spin;

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::failure::Failure;
use cloudflare::KvNamespace;
pub(crate) use plans::Plans;
pub(crate) use publish::{begin, publish, rollback};
use spin::SpinStore;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{expiring, keys};
use tollgate_native::RecordStore;

/// A key and a value.
pub(crate) type KeyValue = (String, Vec<u8>);

/// The platforms with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The SQLite file that `tollgate serve` reads.
    Native,
    /// The Workers KV namespace, accessed with `npx wrangler`.
    Cloudflare,
    /// The SQLite file of Spin's default key-value store.
    Spin,
}

/// The options that select a store of a platform.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The store's file (native: required; spin: default .spin/sqlite_key_value.db).
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// The KV namespace's binding in wrangler.toml (cloudflare; TOLLGATE_RECORDS where it is left out).
    #[arg(long, value_name = "NAME")]
    binding: Option<String>,
    /// Use the local store of `wrangler dev` (cloudflare; the default).
    #[arg(long, conflicts_with = "remote")]
    local: bool,
    /// Use Cloudflare itself (cloudflare).
    #[arg(long)]
    remote: bool,
}

impl StoreArgs {
    fn check(&self, place: Place) -> Result<(), Failure> {
        if place != Place::Cloudflare && (self.local || self.remote || self.binding.is_some()) {
            return Err(Failure::usage("--binding, --local and --remote can only be used with cloudflare"));
        }
        Ok(())
    }
}

/// A store to write to.
pub(crate) enum Target {
    Native { store: RecordStore, path: PathBuf },
    Cloudflare(KvNamespace),
    Spin(SpinStore),
}

impl Target {
    /// Opens the store that the command line selects; options for another platform are refused.
    pub(crate) fn of(place: Place, args: &StoreArgs) -> Result<Self, Failure> {
        args.check(place)?;
        match (place, &args.store) {
            (Place::Native, None) => Err(Failure::usage("native needs --store PATH: the file the host reads")),
            (Place::Native, Some(path)) => native::open(path),
            (Place::Cloudflare, Some(_)) => {
                Err(Failure::usage("--store cannot be used with cloudflare; see --binding"))
            }
            (Place::Cloudflare, None) => {
                let binding = args.binding.as_deref().unwrap_or(cloudflare::DEFAULT_BINDING);
                Ok(Self::Cloudflare(KvNamespace::new(binding, args.remote)))
            }
            (Place::Spin, path) => {
                let path = path.clone().unwrap_or_else(|| PathBuf::from(spin::DEFAULT_FILE));
                SpinStore::open(path).map(Self::Spin)
            }
        }
    }

    /// The same for an existing store: a mistyped path does not create a new one.
    pub(crate) fn existing(place: Place, args: &StoreArgs) -> Result<Self, Failure> {
        args.check(place)?;
        let file = match (place, &args.store) {
            (Place::Native | Place::Cloudflare, path) => path.clone(),
            (Place::Spin, path) => Some(path.clone().unwrap_or_else(|| PathBuf::from(spin::DEFAULT_FILE))),
        };
        match file.filter(|file| !file.exists()) {
            Some(missing) if place != Place::Cloudflare => {
                let missing = missing.display();
                Err(Failure::problem(format!("there is no store at {missing}; `tollgate publish` creates it")))
            }
            Some(_) | None => Self::of(place, args),
        }
    }

    /// The location, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Native { path, .. } => path.display().to_string(),
            Self::Cloudflare(namespace) => namespace.name(),
            Self::Spin(store) => store.name(),
        }
    }

    /// Writes the records.
    pub(crate) fn put(&self, records: &[KeyValue]) -> Result<(), Failure> {
        match self {
            Self::Native { store, .. } => native::put(store, records),
            Self::Cloudflare(namespace) => namespace.put(records),
            Self::Spin(store) => store.put(records),
        }
    }

    /// Writes the records, which are gone after an instant.
    pub(crate) fn put_until(&self, records: &[KeyValue], end: Timestamp) -> Result<(), Failure> {
        match self {
            Self::Native { store, .. } => native::put_until(store, records, end),
            Self::Cloudflare(_) => Err(Failure::problem("records with an end are not written at Cloudflare")),
            Self::Spin(store) => {
                let wrap = |(key, value): &KeyValue| (key.clone(), expiring::wrap(key, end, value));
                store.put(&records.iter().map(wrap).collect::<Vec<_>>())
            }
        }
    }

    /// Removes the records under these keys.
    pub(crate) fn remove(&self, keys: &[String]) -> Result<(), Failure> {
        match self {
            Self::Native { store, .. } => native::remove(store, keys),
            Self::Cloudflare(_) => Err(Failure::problem("records are not removed at Cloudflare")),
            Self::Spin(store) => store.remove(keys),
        }
    }

    /// Writes a value if the stored one is still `before`, and returns whether it was; `None` if the store cannot do that.
    pub(crate) fn swap(&self, key: &str, before: Option<&[u8]>, value: &[u8]) -> Result<Option<bool>, Failure> {
        match self {
            Self::Native { store, .. } => store.swap(key, before, value).map(Some).map_err(Failure::problem),
            // Workers KV has no conditional writes.
            Self::Cloudflare(_) => Ok(None),
            Self::Spin(store) => store.swap(key, before, value).map(Some),
        }
    }

    /// Whether all of these records can be read as written.
    pub(crate) fn has(&self, records: &[KeyValue]) -> Result<bool, Failure> {
        if let Self::Cloudflare(namespace) = self {
            return namespace.has(records);
        }
        for (key, value) in records {
            if self.get(key)?.as_ref() != Some(value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first of these keys of a gateway that the store does not have.
    pub(crate) fn missing(&self, gateway: &str, keys: &BTreeSet<String>) -> Result<Option<String>, Failure> {
        if let Self::Cloudflare(namespace) = self {
            let listed: BTreeSet<String> = namespace.keys(&format!("{gateway}:"))?.into_iter().collect();
            return Ok(keys.difference(&listed).next().cloned());
        }
        for key in keys {
            if self.get(key)?.is_none() {
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Native { store, .. } => store.read(key).map_err(Failure::problem),
            Self::Cloudflare(namespace) => namespace.get(key),
            Self::Spin(store) => store.get(key),
        }
    }

    /// When the record under a key ends, if it does; of a store that this process reads itself.
    pub(crate) fn end_of(&self, key: &str) -> Result<Option<Timestamp>, Failure> {
        match self {
            Self::Native { store, .. } => store.end_of(key).map_err(Failure::problem),
            Self::Cloudflare(_) => Ok(None),
            Self::Spin(store) => {
                Ok(store.get(key)?.and_then(|value| expiring::key_and_end(&value).map(|(_, end)| end)))
            }
        }
    }

    /// The pointer of a gateway.
    ///
    /// # Errors
    /// If nothing was published for a gateway of this name.
    pub(crate) fn pointer(&self, gateway: &str) -> Result<Vec<u8>, Failure> {
        let missing = || {
            let name = self.name();
            let fix = "publish its project first, or correct the name";
            Failure::problem(format!("{name} has no configuration for gateway {gateway}: {fix}"))
        };
        self.get(&keys::active(gateway))?.ok_or_else(missing)
    }

    /// Keys with this prefix, sorted, at most `max` where the store can be asked for so many.
    pub(crate) fn keys(&self, prefix: &str, max: usize) -> Result<Vec<String>, Failure> {
        match self {
            Self::Native { store, .. } => store.keys(prefix, max).map_err(Failure::problem),
            Self::Cloudflare(namespace) => namespace.keys(prefix),
            Self::Spin(store) => store.keys(prefix, max),
        }
    }
}

/// Records in the format of `wrangler kv bulk put`.
pub(crate) fn bulk_json<'r>(records: impl IntoIterator<Item = &'r KeyValue>) -> String {
    let all: Value = records.into_iter().map(entry_json).collect();
    format!("{all:#}\n")
}

/// A record in the format of `wrangler kv bulk put` and of the launchers: bytes that are not text are in base64.
pub(crate) fn entry_json((key, value): &KeyValue) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(char::is_control) => json!({"key": key, "value": text}),
        Ok(_) | Err(_) => json!({"key": key, "value": BASE64_STANDARD.encode(value), "base64": true}),
    }
}
