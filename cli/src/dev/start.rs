//! Starting and stopping, shared by `dev` and `serve`.

use std::net::SocketAddr;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_native::{ListenError, StartError};

use crate::failure::Failure;
use crate::terminal;

/// Ctrl-C or SIGTERM.
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// Installs the handlers: from now on these signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let refused = |error| Failure::problem(format!("signal handlers cannot be installed: {error}"));
        let interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let terminate = signal(SignalKind::terminate()).map_err(refused)?;
        Ok(Self { interrupt, terminate })
    }

    /// Resolves on the first signal and reports it; a second one ends the process immediately.
    pub(crate) async fn wait(mut self, ending: &'static str) {
        self.next().await;
        terminal::note_without_waiting(ending);
        tokio::task::spawn_local(async move {
            self.next().await;
            std::process::exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Explains why a server cannot start, and which flag solves it.
pub(crate) fn explain_start(
    error: &StartError,
    listen_flag: &str,
    admin: Option<(SocketAddr, &'static str)>,
) -> Failure {
    let StartError::Listen(error) = error else { return Failure::problem(error) };
    let flag = |address: &SocketAddr| admin.filter(|(admin, _)| admin == address).map_or(listen_flag, |(_, flag)| flag);
    match error {
        ListenError::Taken(address) => taken(*address, flag(address)),
        ListenError::NotAllowed(address) => Failure::problem(format!(
            "port {} on {} is not allowed for this program: ports below 1024 often need more privileges; choose another with {}",
            address.port(),
            address.ip(),
            flag(address)
        )),
        ListenError::NoSuchAddress(address) => Failure::problem(format!(
            "this machine has no address {}; choose another with {}",
            address.ip(),
            flag(address)
        )),
        ListenError::Failed { .. } => Failure::problem(error),
    }
}

/// Refuses a port that is in use; the host reports other problems with it.
pub(super) fn check_free(address: SocketAddr, flag: &str) -> Result<(), Failure> {
    match std::net::TcpListener::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(taken(address, flag)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The failure for a port that is in use.
pub(super) fn taken(address: SocketAddr, flag: &str) -> Failure {
    let (port, host) = (address.port(), address.ip());
    Failure::problem(format!("port {port} on {host} is in use by another program; choose another with {flag}"))
}

/// The message while open requests are finished.
pub(crate) const DRAINING: &str = "stopping: open requests are finished first; press Ctrl-C again to stop immediately";

/// The exit code that shells report for a program ended by Ctrl-C.
const INTERRUPTED: i32 = 130;
