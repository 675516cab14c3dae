//! Growth: the same requests to gateways of different sizes, natively and on workerd. A ratio of CPU time of 0.83 is 1.2 times as much
//! as the small gateway takes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tollgate_core::authn::{ApiKey, Credential};
use tollgate_kv_schemas::{encode, keys};

use crate::compare::{Row, compare, compare_briefly};
use crate::load::{Asked, Load};
use crate::native;
use crate::project;
use crate::server::{Program, upstream};
use crate::side::{self, Record, Side};
use crate::workerd::Worker;

/// The native host with routes on one host or on many, each host with different routes.
pub(crate) fn hosts() -> Result<Vec<Row>, String> {
    let (side, folder, upstream) = (Side::own(), tempfile::tempdir().map_err(|e| e.to_string())?, upstream()?);
    let load = |hosts: usize| {
        let hosts: Vec<String> = (0..hosts).map(|n| format!("h{n}.example.com")).collect();
        let mut files = vec![("tollgate.yaml".to_owned(), project::hosts_yaml(upstream))];
        let apis = hosts.iter().enumerate();
        files.extend(apis.flat_map(|(n, host)| project::api_files(&format!("h{n}x"), host, ROUTES_OF_HOST)));
        let store = side.publish_files(&folder.path().join(hosts.len().to_string()), &files)?;
        let asked = |host: &String| asked(host, ROUTES_OF_HOST - 1);
        Gateway::native(&side, &store, hosts.iter().map(asked).collect())
    };
    let (many, one) = (load(HOSTS)?, load(1)?);
    let what = "hosts: warm requests, 100 routes on each of 1,000 hosts, against 1 host";
    Ok(vec![compare(what, &many.load, &one.load)?])
}

/// The size of [`hosts`], as its row says.
const HOSTS: usize = 1_000;
const ROUTES_OF_HOST: usize = 100;

/// Routes on one host. A request is for one of a hundred routes, which are spread over all: they are in many pages.
pub(crate) fn routes() -> Result<Vec<Row>, String> {
    let (side, folder, upstream) = (Side::own(), tempfile::tempdir().map_err(|e| e.to_string())?, upstream()?);
    let mut stores = Vec::new();
    for routes in ROUTES {
        let mut files = vec![("tollgate.yaml".to_owned(), project::hosts_yaml(upstream))];
        files.extend(project::api_files("one", HOST, routes));
        stores.push(side.publish_files(&folder.path().join(routes.to_string()), &files)?);
    }
    let mut rows = Vec::new();
    for (host, start) in [("native", Gateway::native as Start), ("workerd", Gateway::workerd)] {
        let started = |place: usize| start(&side, &stores[place], spread(ROUTES[place]));
        let few = started(0)?;
        for (place, routes) in ROUTES.into_iter().enumerate().skip(1) {
            let many = started(place)?;
            let what = format!("routes, {host}: warm requests, {routes} routes on a host, against {}", ROUTES[0]);
            rows.push(compare_briefly(&what, &many.load, &few.load)?);
        }
    }
    Ok(rows)
}

const ROUTES: [usize; 3] = [10, 1_000, 100_000];
const ASKED: usize = 100;
const HOST: &str = "h0.example.com";

fn spread(routes: usize) -> Vec<Asked> {
    (0..routes).step_by((routes / ASKED).max(1)).map(|route| asked(HOST, route)).collect()
}

fn asked(host: &str, route: usize) -> Asked {
    Asked { host: Some(host.to_owned()), ..Asked::new(&project::path(route), &[]) }
}

/// Credentials in the store, of which up to a thousand are used, by ten consumers.
pub(crate) fn keys() -> Result<Vec<Row>, String> {
    let (side, folder, upstream) = (Side::own(), tempfile::tempdir().map_err(|e| e.to_string())?, upstream()?);
    let store = |name: String| side.publish_files(&folder.path().join(name), &project::files(upstream, false));
    let native = |credentials: u32| {
        let store = store(format!("native{credentials}"))?;
        fill(&store, credentials).map_err(|error| format!("{}: {error}", store.display()))?;
        Gateway::native(&side, &store, with_keys(credentials))
    };
    let what =
        |host| format!("keys, {host}: key + limit + forward, {CREDENTIALS} credentials in the store, against 10");
    let (many, few) = (native(CREDENTIALS)?, native(FEW)?);
    let mut rows = vec![compare_briefly(&what("native"), &many.load, &few.load)?];
    drop((many, few));
    let workerd = |credentials: u32| {
        let kept = folder.path().join(format!("kv{credentials}"));
        let store = store(format!("workerd{credentials}"))?;
        keep(&side, &kept, side::records(&store)?, credentials)?;
        let worker = Worker::with_records(&side, Vec::new(), &["--keep", &kept.to_string_lossy()])?;
        Ok::<_, String>(Gateway::of_worker(worker, with_keys(credentials)))
    };
    let (many, few) = (workerd(CREDENTIALS)?, workerd(FEW)?);
    rows.push(compare_briefly(&what("workerd"), &many.load, &few.load)?);
    Ok(rows)
}

/// The sizes of [`keys()`], as its rows say.
const CREDENTIALS: u32 = 1_000_000;
const FEW: u32 = 10;
const USED: u32 = 1_000;
const CONSUMERS: u32 = 10;

fn with_keys(credentials: u32) -> Vec<Asked> {
    let asked = |n| Some(Asked::new("/keyed", &[("x-api-key", key(n)?.expose())]));
    (0..credentials.min(USED)).filter_map(asked).collect()
}

fn key(number: u32) -> Option<ApiKey> {
    let mut random = [0; 32];
    random[..4].copy_from_slice(&number.to_be_bytes());
    ApiKey::generate("dev", &random)
}

fn record(number: u32) -> Option<Record> {
    let key = key(number)?;
    let credential = Credential::of(key.public_id(), format!("consumer-{}", number % CONSUMERS));
    Some((keys::credential(project::GATEWAY, &key.digest()), encode(&credential)))
}

/// Adds credentials to the store of the native host.
fn fill(store: &Path, credentials: u32) -> rusqlite::Result<()> {
    let mut connection = Connection::open(store)?;
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare("INSERT OR REPLACE INTO record (key, value) VALUES (?1, ?2)")?;
    for record in (0..credentials).filter_map(record) {
        statement.execute(record)?;
    }
    drop(statement);
    transaction.commit()
}

/// Keeps records, and so many credentials, in a folder as miniflare's store of records does.
///
/// Putting a million takes hours. So one is put; the others are rows of the store's index, and share its value: what grows is the
/// index.
fn keep(side: &Side, folder: &Path, mut records: Vec<Record>, credentials: u32) -> Result<(), String> {
    records.extend(record(0));
    let path = folder.to_string_lossy();
    Worker::with_records(side, records, &["--keep", &path])?.stop()?;
    let others = (1..credentials).filter_map(record).map(|(key, _)| key);
    for file in files(folder).filter(|path| path.extension().is_some_and(|end| end == "sqlite")) {
        add_to_index(&file, others.clone()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn add_to_index(file: &Path, keys: impl Iterator<Item = String>) -> rusqlite::Result<()> {
    let mut connection = Connection::open(file)?;
    if !connection.table_exists(None, "_mf_entries")? {
        return Ok(());
    }
    let like = "SELECT blob_id FROM _mf_entries WHERE key LIKE '%:credential:%' LIMIT 1";
    let value: String = connection.query_row(like, [], |row| row.get(0))?;
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare("INSERT INTO _mf_entries (key, blob_id) VALUES (?1, ?2)")?;
    // In order, so that each page of the index is written once.
    let mut keys: Vec<String> = keys.collect();
    keys.sort_unstable();
    for key in keys {
        statement.execute((key, &value))?;
    }
    drop(statement);
    transaction.commit()
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    folders.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten()).map(|entry| entry.path())
}

/// A gateway that runs, and the requests to it.
struct Gateway {
    load: Load,
    _runs: Runs,
}

/// What is stopped when it is dropped.
enum Runs {
    Native(#[expect(dead_code, reason = "it is held")] Program),
    Workerd(#[expect(dead_code, reason = "it is held")] Worker),
}

/// Starts a gateway with the records of a store.
type Start = fn(&Side, &Path, Vec<Asked>) -> Result<Gateway, String>;

impl Gateway {
    fn native(side: &Side, store: &Path, asked: Vec<Asked>) -> Result<Self, String> {
        let (address, program): (SocketAddr, Program) = native::started(side, store, &[])?;
        Ok(Self { load: Load::of(address, program.0.id(), asked), _runs: Runs::Native(program) })
    }

    fn workerd(side: &Side, store: &Path, asked: Vec<Asked>) -> Result<Self, String> {
        Ok(Self::of_worker(Worker::with_records(side, side::records(store)?, &[])?, asked))
    }

    fn of_worker(worker: Worker, asked: Vec<Asked>) -> Self {
        Self { load: Load::of(worker.address, worker.program.0.id(), asked), _runs: Runs::Workerd(worker) }
    }
}
