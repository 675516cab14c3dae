//! Starting and stopping, shared by `dev` and `serve`.

use std::net::SocketAddr;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_native::{ListenError, StartError};

use crate::failure::Failure;
use crate::terminal;

/// Ctrl-C, SIGTERM, or the end of the terminal (SIGHUP).
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if the parent process made this one ignore it, as `nohup` does.
    hang_up: Option<Signal>,
}

impl StopSignal {
    /// Installs the handlers: from now on these signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let refused = |error| Failure::problem(format!("signal handlers cannot be installed: {error}"));
        let interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let hang_up = (!ignores_hang_up()).then(|| signal(SignalKind::hangup()).map_err(refused)).transpose()?;
        Ok(Self { interrupt, terminate, hang_up })
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
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Whether this process was started with SIGHUP ignored. Only Linux tells.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_hang_up_ignored(&status))
}

/// Whether the mask of ignored signals has the bit of SIGHUP (proc(5)).
fn is_hang_up_ignored(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hang_up_is_found_in_the_status_of_the_process() {
        assert!(is_hang_up_ignored("Name:\ttollgate\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!is_hang_up_ignored("Name:\ttollgate\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!is_hang_up_ignored(""));
    }
}
