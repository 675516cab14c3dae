//! Tollgate on the native host compared with nginx and others, or with another commit, each with one worker.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::compare::{Row, compare, compare_briefly};
use crate::load::{Load, Over};
use crate::peers::{self, Peer};
use crate::project;
use crate::server::{Program, free_port, upstream};
use crate::side::Side;
use crate::start;

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let upstream = upstream()?;
    let (plain, _nginx) = split(peers::nginx(&folder.path().join("nginx"), upstream, "")?);
    let tollgate = Gateway::start(&Side::own(), &folder.path().join("own"), upstream)?;
    let sized = |bytes: usize| (tollgate.load(&size(bytes), &[]), plain(&size(bytes)));
    let mut rows = Vec::new();
    let mut add = |what: &str, (own, other): (Load, Load)| {
        rows.push(compare_briefly(&format!("native: {what}"), &own, &other)?);
        Ok::<_, String>(())
    };
    add("forward, 1 KiB, against nginx proxy_pass", sized(1024))?;
    add("key + limit + forward, against the same", (tollgate.keyed(), plain("/keyed")))?;
    let (bare, _hyper) = split(peers::hyper(upstream, &[])?);
    add("a bare proxy on hyper, 1 KiB, against the same", (bare(&size(1024)), plain(&size(1024))))?;
    let (least, _least) = split(peers::hyper(upstream, &LEAST)?);
    add("that proxy with the least of a gateway, 1 KiB, against the same", (least(&size(1024)), plain(&size(1024))))?;
    add("forward, 64 KiB, against the same", sized(64 * 1024))?;
    add("forward, 1 MiB, against the same", sized(1024 * 1024))?;
    let (http2, _nginx) = split(peers::nginx(&folder.path().join("nginx2"), upstream, "http2")?);
    let over_http2 = |load: Load| Load { over: Over::Http2, ..load };
    let both = (over_http2(tollgate.load(&size(1024), &[])), over_http2(http2(&size(1024))));
    add("forward, HTTP/2, 1 KiB, against nginx with HTTP/2", both)?;
    let (bare, _bare) = split(peers::hyper(upstream, &["http2"])?);
    let both = (over_http2(bare(&size(1024))), over_http2(http2(&size(1024))));
    add("a bare proxy on hyper, HTTP/2, 1 KiB, against the same", both)?;
    rows.push(with_tls(folder.path(), upstream)?);
    rows.push(start::measure(upstream)?);
    Ok(rows)
}

/// What a gateway cannot leave out.
const LEAST: [&str; 5] = ["timeout", "fields", "ids", "counters", "log"];

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
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) program: Program,
}

impl Gateway {
    fn start(side: &Side, folder: &Path, upstream: SocketAddr) -> Result<Self, String> {
        Self::start_with(side, folder, upstream, &[])
    }

    /// As [`Self::start`], with more options.
    fn start_with(side: &Side, folder: &Path, upstream: SocketAddr, options: &[&str]) -> Result<Self, String> {
        Self::of_files(side, folder, &project::files(upstream, true), options)
    }

    /// With a project of these files.
    pub(crate) fn of_files(
        side: &Side,
        folder: &Path,
        files: &[(String, String)],
        options: &[&str],
    ) -> Result<Self, String> {
        let store = side.publish_files(folder, files)?;
        let (address, program) = started(side, &store, options)?;
        Ok(Self { address, program })
    }

    fn forward(&self) -> Load {
        self.load("/public", &[])
    }

    fn keyed(&self) -> Load {
        self.load("/keyed", &[("x-api-key", &project::key())])
    }

    pub(crate) fn load(&self, path: &str, fields: &[(&str, &str)]) -> Load {
        Load::new(self.address, self.program.0.id(), path, fields)
    }
}

/// The path of a route whose upstream answers with so many bytes.
fn size(bytes: usize) -> String {
    format!("/size/{bytes}")
}

/// Loads on a program, and the program, which runs while it is held.
fn split((address, program): Peer) -> (impl Fn(&str) -> Load, Program) {
    let process = program.0.id();
    let load = move |path: &str| Load::new(address, process, path, &[]);
    (load, program)
}

/// Forwards over TLS, with one certificate for both programs.
fn with_tls(folder: &Path, upstream: SocketAddr) -> Result<Row, String> {
    let say = |error: &dyn std::fmt::Display| error.to_string();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| say(&error))?;
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&certificate, signed.cert.pem()).map_err(|error| say(&error))?;
    fs::write(&key, signed.signing_key.serialize_pem()).map_err(|error| say(&error))?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).map_err(|error| say(&error))?;
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| say(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let over = Over::Tls(Arc::new(client));
    let (shown_certificate, shown_key) = (certificate.display().to_string(), key.display().to_string());
    let listen = format!("ssl;\n ssl_certificate {shown_certificate};\n ssl_certificate_key {shown_key}");
    let (nginx, _nginx) = split(peers::nginx(&folder.join("nginx-tls"), upstream, &listen)?);
    let options = ["--tls-cert", &shown_certificate, "--tls-key", &shown_key];
    let tollgate = Gateway::start_with(&Side::own(), &folder.join("own-tls"), upstream, &options)?;
    let own = Load { over: over.clone(), ..tollgate.load(&size(1024), &[]) };
    let other = Load { over, ..nginx(&size(1024)) };
    compare_briefly("native: forward, TLS, 1 KiB, against nginx with TLS", &own, &other)
}

/// Serves a store with the program of a side.
pub(crate) fn started(side: &Side, store: &Path, options: &[&str]) -> Result<Peer, String> {
    let (port, mut command) = serve(side, store)?;
    peers::started(command.args(options).spawn().map_err(|error| side.missing(&error))?, port)
}

/// The command that serves a store, at this port.
pub(crate) fn serve(side: &Side, store: &Path) -> Result<(u16, Command), String> {
    let port = free_port()?;
    let mut command = Command::new(&side.program);
    command
        .args(["serve", "--gateway", project::GATEWAY, "--workers", "1", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--admin", &format!("127.0.0.1:{}", free_port()?), "--store"])
        .arg(store)
        .stdout(Stdio::null());
    Ok((port, command))
}
