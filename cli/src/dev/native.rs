//! The project on the native host, within this process.

use std::path::Path;

use tollgate_edge::Freshness;
use tollgate_native::{AdminSettings, RecordStore, SecretSource, Server, Settings};

use super::follow::Follower;
use super::store::Store;
use super::{DRAINING, Echo, Session, StopSignal, banner::banner, explain_start, secrets};
use crate::at::DevToken;
use crate::failure::Failure;
use crate::terminal;

pub(super) async fn run(session: Session) -> Result<(), Failure> {
    let new = session.options.store.clone().filter(|path| !path.exists());
    let started = start(session).await;
    if let (Err(_), Some(path)) = (&started, &new) {
        remove(path);
    }
    let Started { server, stop, follower, banner, token: _token, echo: _echo } = started?;
    terminal::print(&banner);
    tokio::select! {
        ended = server.run(stop.wait(DRAINING)) => ended.map_err(Failure::problem),
        never = follower.follow() => match never {},
    }
}

/// A server that listens, with the first configuration in its store.
struct Started {
    server: Server,
    stop: StopSignal,
    follower: Follower,
    banner: String,
    /// Removed from its files at the end.
    token: DevToken,
    /// Answers until the end.
    echo: Option<Echo>,
}

async fn start(session: Session) -> Result<Started, Failure> {
    let records = match &session.options.store {
        None => RecordStore::in_memory(),
        Some(path) => RecordStore::create(path),
    };
    let records = records.map_err(Failure::problem)?;
    let admin = session.options.admin_address();
    let server = Server::builder(settings(&session), records.clone())
        .bind()
        .map_err(|error| explain_start(&error, "--port", Some((admin, "--admin-port"))))?;
    let stop = StopSignal::listen()?;
    let url = server.addresses().first().map(|address| format!("http://{address}")).unwrap_or_default();
    let banner = banner(&session, &url, server.admin_address());
    let Session { project, snapshot, echo, watch, mut token, .. } = session;
    token.leave(&url);
    if let Some(admin) = server.admin_address() {
        token.leave(&format!("http://{admin}"));
    }
    let moved = echo.as_ref().and_then(Echo::moved_to);
    let follower = Follower::publish_first(project, moved, watch, Store::Native(records), snapshot)
        .await
        .map_err(Failure::problem)?;
    Ok(Started { server, stop, follower, banner, token, echo })
}

/// Removes a store that was created for a server that could not start, with the files that SQLite keeps beside it.
fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let _ = std::fs::remove_file(file);
    }
}

fn settings(session: &Session) -> Settings {
    let mut settings = Settings::new(&session.snapshot.gateway, session.options.address());
    settings.freshness = Freshness::EachRequest;
    settings.secrets = SecretSource::Given(secrets(&session.token));
    settings.operator.answers = true;
    settings.admin = Some(AdminSettings { address: session.options.admin_address(), open_metrics: true });
    settings
}
