//! A real HTTP/1.1 server that behaves as the request's query says, and records what it received.
//!
//! It is the upstream of a gateway in tests. It does NOT speak HTTP/2 and is not a correct server: on request it closes
//! early, sends invalid data and delays. [`Upstream::start`] runs one on a free port; the program `upstream` runs one
//! for people. The options are in `plan.rs`; without a query it reports the request as JSON.

mod answer;
mod plan;
mod received;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use plan::decoded;
pub use received::{Received, Report};
pub use tls::{Authority, self_signed};

/// A running upstream; dropping it closes its port, open connections finish by themselves.
pub struct Upstream {
    address: SocketAddr,
    report: Rc<Report>,
    accepting: JoinHandle<()>,
    tls: bool,
}

impl Upstream {
    /// Listens on a free port of 127.0.0.1. Must be called within a tokio `LocalSet`.
    pub async fn start() -> std::io::Result<Self> {
        Self::listen(TcpListener::bind("127.0.0.1:0").await?, None)
    }

    /// The same behind TLS, with an untrusted certificate for `localhost` and `127.0.0.1`.
    pub async fn start_tls() -> std::io::Result<Self> {
        let acceptor = tls::self_signed()?;
        Self::listen(TcpListener::bind("127.0.0.1:0").await?, Some(acceptor))
    }

    /// Serves on the caller's listener.
    pub fn listen(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let report = Rc::new(Report::default());
        let secured = tls.is_some();
        let accepting = tokio::task::spawn_local(accept(listener, tls, Rc::clone(&report)));
        Ok(Self { address, report, accepting, tls: secured })
    }

    /// `http://127.0.0.1:PORT`, or `https://` behind TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// What it has received so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The same, which outlasts it.
    #[must_use]
    pub fn shared_report(&self) -> Rc<Report> {
        Rc::clone(&self.report)
    }

    /// Answers requests for a path with this content, as JSON.
    pub fn serve(&self, path: &str, content: &str) {
        self.report.serve(path, content);
    }

    /// Waits until the accept loop ends, which it does not by itself.
    pub async fn run(mut self) {
        // The loop is only aborted by the drop below.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, report: Rc<Report>) {
    let mut connection = 0;
    while let Ok((stream, _)) = listener.accept().await {
        connection += 1;
        tokio::task::spawn_local(serve(stream, tls.clone(), Rc::clone(&report), connection));
    }
}

async fn serve(stream: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>, report: Rc<Report>, connection: u64) {
    let _ = stream.set_nodelay(true);
    let io: Box<dyn wire::Io> = match tls {
        None => Box::new(stream),
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => Box::new(stream),
            Err(_) => {
                report.refused_handshake();
                return;
            }
        },
    };
    let mut wire = wire::Wire::new(io);
    // An error is a peer that disconnected or sent invalid data: the connection ends, the report is kept.
    let _ = answer::requests(&mut wire, &report, connection).await;
}

#[cfg(test)]
mod tests;
