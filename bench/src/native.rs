//! Tollgate on the native host compared with nginx with `proxy_pass` or with another commit, each with one worker.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate_core::authn::{ApiKey, Credential};
use tollgate_kv_schemas::{encode, keys};

use crate::compare::{Row, compare};
use crate::load::Load;
use crate::project;
use crate::server::{Program, free_port, upstream, wait_for};
use crate::side::Side;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let upstream = upstream()?;
    let (nginx, process) = start_nginx(folder.path(), upstream)?;
    let tollgate = Gateway::start(&Side::own(), &folder.path().join("own"), upstream)?;
    let passed = Load { address: nginx, process: process.0.id(), hosts: vec![], path: "/keyed".into(), fields: vec![] };
    Ok(vec![
        compare("native: forward, against nginx proxy_pass", &tollgate.forward(), &passed)?,
        compare("native: key + limit + forward, against the same", &tollgate.keyed(), &passed)?,
    ])
}

/// The programs of two commits.
pub(crate) fn against(other: &Side) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let upstream = upstream()?;
    let now = Gateway::start(&Side::own(), &folder.path().join("own"), upstream)?;
    let before = Gateway::start(other, &folder.path().join("other"), upstream)?;
    Ok(vec![
        compare("native: forward, against the other commit", &now.forward(), &before.forward())?,
        compare("native: key + limit + forward, against the same", &now.keyed(), &before.keyed())?,
    ])
}

/// A running `tollgate serve` with the benchmarks' project.
struct Gateway {
    address: SocketAddr,
    program: Program,
}

impl Gateway {
    fn start(side: &Side, folder: &Path, upstream: SocketAddr) -> Result<Self, String> {
        Self::start_with(side, folder, upstream, |_| Ok(()))
    }

    /// As [`Self::start`], with more in the store.
    fn start_with(
        side: &Side,
        folder: &Path,
        upstream: SocketAddr,
        fill: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<Self, String> {
        let files = [
            ("tollgate.yaml".to_owned(), project::tollgate_yaml(upstream, true)),
            ("dev/fixtures.yaml".to_owned(), project::fixtures_yaml()),
        ];
        let (address, program) = start_tollgate(side, folder, &files, fill)?;
        Ok(Self { address, program })
    }

    fn forward(&self) -> Load {
        self.load("/public", vec![])
    }

    fn keyed(&self) -> Load {
        self.load("/keyed", vec![("x-api-key".to_owned(), project::key())])
    }

    fn load(&self, path: &str, fields: Vec<(String, String)>) -> Load {
        Load { address: self.address, process: self.program.0.id(), hosts: vec![], path: path.to_owned(), fields }
    }
}

fn start_nginx(folder: &Path, upstream: SocketAddr) -> Result<(SocketAddr, Program), String> {
    let port = free_port()?;
    let at = folder.display();
    let config = format!(
        "worker_processes 1;\ndaemon off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{ worker_connections 1024; }}\n\
         http {{\n access_log off;\n client_body_temp_path {at}/a;\n proxy_temp_path {at}/b;\n fastcgi_temp_path {at}/c;\n\
         uwsgi_temp_path {at}/d;\n scgi_temp_path {at}/e;\n keepalive_requests 100000000;\n\
         upstream u {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}\n\
         server {{ listen 127.0.0.1:{port};\n location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, config).map_err(|e| e.to_string())?;
    let child = Command::new("nginx")
        .arg("-c")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("nginx: {e}; install nginx to run this comparison"))?;
    started(child, port)
}

/// The same requests to two gateways: one with a few credentials in its store, one with a million.
pub(crate) fn many_keys() -> Result<Vec<Row>, String> {
    let (folder, upstream) = (tempfile::tempdir().map_err(|e| e.to_string())?, upstream()?);
    let start = |name: &str, credentials: u32| {
        Gateway::start_with(&Side::own(), &folder.path().join(name), upstream, |store| fill(store, credentials))
    };
    let (many, few) = (start("many", CREDENTIALS)?, start("few", 10)?);
    let what = "keys: key + limit + forward, 1,000,000 credentials in the store, against 10";
    Ok(vec![compare(what, &many.keyed(), &few.keyed())?])
}

/// Adds credentials that nobody uses.
fn fill(store: &Path, credentials: u32) -> Result<(), String> {
    let add = || -> rusqlite::Result<()> {
        let mut connection = rusqlite::Connection::open(store)?;
        let transaction = connection.transaction()?;
        let mut statement = transaction.prepare("INSERT OR REPLACE INTO record (key, value) VALUES (?1, ?2)")?;
        for n in 0..credentials {
            let mut random = [0; 32];
            random[..4].copy_from_slice(&n.to_be_bytes());
            let Some(key) = ApiKey::generate("dev", &random) else { continue };
            let credential = Credential {
                id: key.public_id(),
                consumer: format!("consumer-{n}"),
                plan: None,
                scopes: Vec::new(),
                not_before: None,
                expires: None,
                revoked: false,
            };
            statement.execute((keys::credential(project::GATEWAY, &key.digest()), encode(&credential)))?;
        }
        drop(statement);
        transaction.commit()
    };
    add().map_err(|error| format!("{}: {error}", store.display()))
}

/// The size of [`many_keys`], as its row says.
const CREDENTIALS: u32 = 1_000_000;

/// The same requests to two gateways: one with one host, one with many, each host with different routes.
pub(crate) fn many_hosts() -> Result<Vec<Row>, String> {
    let (folder, upstream) = (tempfile::tempdir().map_err(|e| e.to_string())?, upstream()?);
    let load = |name: &str, hosts: usize| {
        let hosts: Vec<String> = (0..hosts).map(|n| format!("h{n}.example.com")).collect();
        let mut files = vec![("tollgate.yaml".to_owned(), project::hosts_yaml(upstream))];
        let api = |(n, host): (usize, &String)| (format!("apis/h{n}/api.yaml"), project::api_yaml(host, ROUTES));
        files.extend(hosts.iter().enumerate().map(api));
        let (address, program) = start_tollgate(&Side::own(), &folder.path().join(name), &files, |_| Ok(()))?;
        let process = program.0.id();
        Ok::<_, String>((
            Load { address, process, hosts, path: format!("/r{}/7", ROUTES - 1), fields: vec![] },
            program,
        ))
    };
    let ((many, _many), (one, _one)) = (load("many", HOSTS)?, load("one", 1)?);
    let what = "hosts: warm requests, 100 routes on each of 1,000 hosts, against 1 host";
    Ok(vec![compare(what, &many, &one)?])
}

/// The size of [`many_hosts`], as its row says.
const HOSTS: usize = 1_000;
const ROUTES: usize = 100;

/// Publishes a project of these files to a separate store, adds to it, and serves it with the same side's program.
fn start_tollgate(
    side: &Side,
    folder: &Path,
    files: &[(String, String)],
    fill: impl Fn(&Path) -> Result<(), String>,
) -> Result<(SocketAddr, Program), String> {
    let project = folder.join("project");
    for (name, text) in files {
        write(&project.join(name), text)?;
    }
    let store = folder.join("tollgate.db");
    side.publish(&project, &store)?;
    fill(&store)?;
    let port = free_port()?;
    let child = Command::new(&side.program)
        .args(["serve", "--gateway", project::GATEWAY, "--workers", "1", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--admin", &format!("127.0.0.1:{}", free_port()?), "--store"])
        .arg(&store)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| side.missing(&error))?;
    started(child, port)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).map_err(|e| format!("{}: {e}", path.display()))
}

fn started(child: std::process::Child, port: u16) -> Result<(SocketAddr, Program), String> {
    let program = Program(child);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(address)?;
    Ok((address, program))
}
