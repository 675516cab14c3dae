//! The project on a host in a separate process: workerd, or the component host.

use tokio::process::Command;

use super::follow::Follower;
use super::launcher::Launcher;
use super::store::Store;
use super::workspace::{LAUNCHER, Workspace};
use super::{DRAINING, On, Session, StopSignal, banner::banner, secrets};
use crate::failure::Failure;
use crate::terminal;

pub(super) async fn run(session: Session) -> Result<(), Failure> {
    let on = session.options.on;
    let workspace = Workspace::find(on)?;
    workspace.prepare(on)?;
    let hint = if on == On::Spin { " (the first start compiles the component: a minute or two)" } else { "" };
    terminal::note(&format!("starting the {} host{hint}", on.name()));
    let mut launcher = Launcher::start(command(&session, &workspace)).await.map_err(Failure::problem)?;
    let stop = StopSignal::listen()?;
    let banner = banner(&session, &launcher.url, None);
    let Session { project, snapshot, echo, watch, mut token, .. } = session;
    token.leave(&launcher.url);
    let moved = echo.as_ref().and_then(super::Echo::moved_to);
    let store = Store::Launched(launcher.handle.clone());
    let follower = Follower::publish_first(project, moved, watch, store, snapshot).await.map_err(Failure::problem)?;
    terminal::print(&banner);
    tokio::select! {
        () = stop.wait(ending(on)) => {}
        () = launcher.ended() => return Err(Failure::problem(format!("the {} host has stopped unexpectedly; see above", on.name()))),
        never = follower.follow() => match never {},
    }
    launcher.end().await;
    Ok(())
}

/// The component host finishes open requests; workerd is stopped together with its open requests.
fn ending(on: On) -> &'static str {
    match on {
        On::Native | On::Spin => DRAINING,
        On::Cloudflare => "stopping: workerd is stopped together with its open requests",
    }
}

fn command(session: &Session, workspace: &Workspace) -> Command {
    let mut command = match session.options.on {
        On::Native | On::Cloudflare => {
            let mut node = Command::new("node");
            node.arg(workspace.root.join(LAUNCHER)).arg("--await-records");
            node
        }
        On::Spin => {
            let mut host = Command::new(workspace.spin_host());
            host.arg("--manifest").arg(workspace.root.join("spin.toml")).arg("--component").arg(workspace.component());
            host
        }
    };
    command.args(["--port", &session.options.port.to_string(), "--gateway", &session.snapshot.gateway, "--dev"]);
    for (name, value) in secrets(&session.token) {
        command.arg("--secret").arg(format!("{name}={}", value.expose()));
    }
    command.current_dir(&workspace.root);
    command
}
