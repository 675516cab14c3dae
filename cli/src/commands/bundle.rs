//! `tollgate bundle`: writes a project's records to a file, and shows the contents of records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Arg, Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tollgate_kv_schemas::{Bundle, GENERATION_MAX, Manifest, Pointer, decode, keys, readable};

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::target::{KeyValue, Place, StoreArgs, Target, begin, bulk_json};
use crate::terminal;
use crate::write::replace_file;

/// Compile a project to records: a JSON array of {key, value}, as `wrangler kv bulk put` reads it.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tollgate bundle shop --out shop.json
  tollgate bundle shop | jq -r '.[].key'
  tollgate bundle show --project shop

  tollgate bundle shop --step content --out content.json    what to write first
  tollgate bundle shop --step pointer --stored now.json --out pointer.json

To do the steps of `tollgate publish` yourself: write the parts and the manifest, wait until they can be read, then write
the pointer, which has the generation after that of the stored one. Without --stored, the store is assumed to have no
pointer. Binary values are in base64, marked with \"base64\": true."
)]
pub(crate) struct BundleArgs {
    #[command(subcommand)]
    command: Option<BundleCommand>,
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// Only the records of one step of publishing.
    #[arg(long, value_enum, value_name = "STEP")]
    step: Option<Step>,
    /// A file with the pointer that is in the store.
    #[arg(long, value_name = "FILE")]
    stored: Option<PathBuf>,
    /// A generation that the new one must exceed.
    #[arg(long, value_name = "GENERATION", value_parser = clap::value_parser!(u64).range(..GENERATION_MAX))]
    after: Option<u64>,
    /// The file to write (default: standard output)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The steps of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Parts and manifest.
    Content,
    /// The pointer.
    Pointer,
}

#[derive(Debug, Subcommand)]
enum BundleCommand {
    Show(ShowArgs),
}

/// Show the contents of a record as JSON; without a record, list all with their sizes and hosts.
#[derive(Debug, Args)]
#[command(
    mut_args(of_source),
    after_help = "\
Examples:
  tollgate bundle show --project shop                       the records, the largest part first
  tollgate bundle show part:3f2a --project shop             one of them, by a part of its key
  tollgate bundle show --file shop.json --output json
  tollgate bundle show --from native --store shop.db --gateway shop
  tollgate bundle show shop:config:active --from cloudflare --remote --gateway shop"
)]
struct ShowArgs {
    /// A record: its key, or a part of its key that no other key contains.
    record: Option<String>,
    /// The project to compile.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// A file that `tollgate bundle --out` wrote, instead of a project.
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    file: Option<PathBuf>,
    /// The store to read, instead of a project.
    #[arg(long, value_enum, value_name = "HOST", conflicts_with_all = ["project", "file"], requires = "gateway")]
    from: Option<Place>,
    /// The gateway whose records to read from the store.
    #[arg(long, value_name = "NAME", requires = "from")]
    gateway: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// The output format of the list; a record is always JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Refuses options of another source than the one that is named: they would be ignored in silence.
fn of_source(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "store" | "binding" | "local" | "remote" => arg.requires("from").conflicts_with_all(["project", "file"]),
        "env" => arg.conflicts_with_all(["file", "from"]),
        _ => arg,
    }
}

pub(crate) fn run(args: &BundleArgs) -> Result<(), Failure> {
    if let Some(BundleCommand::Show(args)) = &args.command {
        return show(args);
    }
    let compiled = Project::at(&args.project).in_environment(&args.env).compiled()?;
    let records = records_of(args, compiled.bundle())?;
    let text = bulk_json(&records);
    let Some(out) = &args.out else {
        terminal::print(&text);
        return Ok(());
    };
    replace_file(out, text.as_bytes())?;
    let (count, id) = (records.len(), compiled.id());
    terminal::note(&format!("{}: {count} records of bundle {id}", out.display()));
    Ok(())
}

/// The records that were asked for, the pointer being the one that follows what the store has.
fn records_of(args: &BundleArgs, bundle: &Bundle) -> Result<Vec<KeyValue>, Failure> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| Failure::problem(format!("{}: {error}", path.display())));
    let stored = args.stored.as_ref().map(read).transpose()?;
    let publication = begin(bundle, stored.as_deref(), args.after)?;
    let pointer = publication.pointer(stored.as_deref()).map_err(Failure::problem)?;
    let (content, pointer) = (publication.content().to_vec(), (bundle.pointer_key(), pointer));
    Ok(match args.step {
        Some(Step::Content) => content,
        Some(Step::Pointer) => vec![pointer],
        None => content.into_iter().chain([pointer]).collect(),
    })
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let records = match (&args.file, args.from, &args.gateway) {
        (Some(file), ..) => records_in(file)?,
        (None, Some(place), Some(gateway)) => {
            stored(&Target::existing(place, &args.store)?, gateway, args.record.as_deref())?
        }
        (None, Some(_), None) | (None, None, _) => {
            Project::at(&args.project).in_environment(&args.env).compiled()?.records().to_vec()
        }
    };
    let text = match (&args.record, args.output) {
        (Some(name), _) => {
            let (key, value) = one(&records, name)?;
            format!("{:#}\n", readable(value).map_err(|error| Failure::problem(format!("{key}: {error}")))?)
        }
        (None, Output::Json) => format!("{:#}\n", Value::from_iter(list(&records).iter().map(Listed::to_json))),
        (None, Output::Text) => list(&records).iter().map(Listed::to_line).collect(),
    };
    terminal::print(&text);
    Ok(())
}

/// The record with this key, or the only one whose key contains it.
fn one<'r>(records: &'r [KeyValue], name: &str) -> Result<&'r KeyValue, Failure> {
    if let Some(found) = records.iter().find(|(key, _)| key == name) {
        return Ok(found);
    }
    let mut found = records.iter().filter(|(key, _)| key.contains(name));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let hint = "name a record beside the bundle (audit, purges, credential) by its whole key";
            Err(Failure::problem(format!("no record of the bundle has a key that contains `{name}`; {hint}")))
        }
        (Some(_), Some(_)) => {
            Err(Failure::problem(format!("the keys of several records contain `{name}`; give a longer part")))
        }
    }
}

/// The records in a file of `tollgate bundle`.
fn records_in(file: &Path) -> Result<Vec<KeyValue>, Failure> {
    let failed = |why: String| Failure::problem(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let entries: Vec<Value> =
        serde_json::from_str(&text).map_err(|error| failed(format!("not a JSON list: {error}")))?;
    let record = |entry: &Value| {
        let (key, value) = (entry["key"].as_str()?, entry["value"].as_str()?);
        let value = if entry["base64"] == true { BASE64_STANDARD.decode(value).ok()? } else { value.into() };
        Some((key.to_owned(), value))
    };
    let records = entries.iter().map(record).collect::<Option<Vec<_>>>();
    records.ok_or_else(|| failed("not the records that `tollgate bundle --out` writes".to_owned()))
}

/// A complete bundle in a store, or only one record if its full key is given.
fn stored(target: &Target, gateway: &str, asked: Option<&str>) -> Result<Vec<KeyValue>, Failure> {
    let read = |key: String| match target.get(&key)? {
        Some(value) => Ok((key, value)),
        None => Err(Failure::problem(format!("{} has no record {key}", target.name()))),
    };
    if let Some(key) = asked.filter(|key| key.starts_with(&format!("{gateway}:"))) {
        return Ok(vec![read(key.to_owned())?]);
    }
    let refused = |key: &str, error| Failure::problem(format!("{key}: {error}"));
    let pointer = (keys::active(gateway), target.pointer(gateway)?);
    let bundle = decode::<Pointer>(&pointer.1).map_err(|error| refused(&pointer.0, error))?.newest.bundle;
    let manifest = read(keys::manifest(gateway, &bundle))?;
    let decoded = Manifest::decode(manifest.1.clone(), &bundle).map_err(|error| refused(&manifest.0, error))?;
    let mut ids: Vec<_> =
        decoded.parts().map_err(|error| refused(&manifest.0, error))?.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    let parts = ids.iter().map(|id| read(keys::part(gateway, id))).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().chain([manifest, pointer]).collect())
}

/// A record in a list.
struct Listed<'r> {
    key: &'r str,
    bytes: usize,
    /// The host patterns of the part.
    hosts: Vec<String>,
}

/// The records, the largest first.
fn list(records: &[KeyValue]) -> Vec<Listed<'_>> {
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in records.iter().filter(|(key, _)| key.contains(":manifest:")) {
        let gateway = key.split(':').next().unwrap_or_default();
        let manifest = Manifest::decode_unnamed(value.clone()).ok();
        for (host, id) in manifest.iter().filter_map(|manifest| manifest.parts().ok()).flatten() {
            hosts.entry(keys::part(gateway, &id)).or_default().push(host.to_owned());
        }
    }
    let listed = |(key, value): &'_ KeyValue| (value.len(), hosts.get(key).cloned().unwrap_or_default());
    let mut all: Vec<_> = records
        .iter()
        .map(|record| {
            let (bytes, hosts) = listed(record);
            Listed { key: &record.0, bytes, hosts }
        })
        .collect();
    all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.key.cmp(b.key)));
    all
}

impl Listed<'_> {
    fn to_json(&self) -> Value {
        json!({"key": self.key, "bytes": self.bytes, "hosts": self.hosts})
    }

    fn to_line(&self) -> String {
        let mut hosts = self.hosts.iter().take(HOSTS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if self.hosts.len() > HOSTS_SHOWN {
            hosts.push_str(&format!(" and {} more", self.hosts.len() - HOSTS_SHOWN));
        }
        format!("{:>9}  {}  {hosts}", self.bytes, self.key).trim_end().to_owned() + "\n"
    }
}

/// The number of hosts shown in a line of the list.
const HOSTS_SHOWN: usize = 3;
