//! TLS with clients: the gateway's certificate, the authorities of clients' certificates and what they have revoked. The files
//! are read again when they change, without a restart.

mod files;
mod namesakes;
mod peer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime, pem};
use thiserror::Error;

use crate::settings::TlsFiles;
use files::{Stamps, Verifier};
pub(super) use peer::Peer;

/// Why TLS with clients cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{} cannot be read: {source}; it must be a PEM file with {content}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should contain.
        content: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// Certificate and key do not match, or are of an unsupported kind.
    #[error("the certificate in {} and its key cannot be used: {source}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// The reason.
        source: rustls::Error,
    },
    /// A certificate of an authority for clients cannot be used.
    #[error("a certificate in {} cannot be used as an authority for clients: {reason}", path.display())]
    Authority {
        /// The file of the authorities.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// TLS at one address, for all isolates.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    current: RwLock<Current>,
}

/// What the files said when they were read last.
#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// Verifies the certificates of clients, if any are asked for.
    clients: Option<Verifier>,
    stamps: Stamps,
    /// How often they were read.
    generation: u64,
}

impl Tls {
    /// Reads the files.
    pub(super) fn open(files: &TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Current::read(files, 0)?);
        Ok(Arc::new(Self { files: files.clone(), current }))
    }

    /// The settings of a connection that begins now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().config)
    }

    /// Changes when the files have been read again.
    pub(super) fn generation(&self) -> u64 {
        self.current().generation
    }

    /// Reads the files again if they have changed, and answers which did; `None` if none has. If they cannot be used, what was
    /// read before stays in use, and the next call tries again.
    pub(super) fn reload(&self) -> Option<Result<Vec<&Path>, TlsError>> {
        let Current { stamps, generation, .. } = self.current();
        if stamps == Stamps::of(&self.files) {
            return None;
        }
        Some(Current::read(&self.files, generation + 1).map(|current| {
            let changed = current.stamps.changed(&stamps, &self.files);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
            changed
        }))
    }

    /// Whether the certificate of a client, with those that it sent beside it, would be accepted now.
    pub(super) fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(clients), Some((own, others))) = (self.current().clients, chain.split_first()) else { return false };
        clients.verify_client_cert(own, others, UnixTime::now()).is_ok()
    }

    fn current(&self) -> Current {
        // Nothing that holds the lock can panic half-way.
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Current {
    /// A file that changes while it is read has another stamp the next time.
    fn read(files: &TlsFiles, generation: u64) -> Result<Self, TlsError> {
        let stamps = Stamps::of(files);
        let (config, clients) = files::read(files)?;
        Ok(Self { config, clients, stamps, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection};

    fn client(roots: &RootCertStore) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        Arc::new(config)
    }

    /// Connects, and answers whether a session was resumed.
    fn connect(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Option<HandshakeKind> {
        let name = "gateway.test".try_into().unwrap();
        let mut near = ClientConnection::new(Arc::clone(client), name).unwrap();
        let mut far = ServerConnection::new(Arc::clone(server)).unwrap();
        for _ in 0..4 {
            let (mut sent, mut answered) = (Vec::new(), Vec::new());
            near.write_tls(&mut sent).unwrap();
            far.read_tls(&mut &sent[..]).unwrap();
            far.process_new_packets().unwrap();
            far.write_tls(&mut answered).unwrap();
            near.read_tls(&mut &answered[..]).unwrap();
            near.process_new_packets().unwrap();
        }
        near.handshake_kind()
    }

    #[test]
    fn a_reload_names_the_files_that_have_changed() {
        let signed = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = TlsFiles { certificate: path("cert.pem"), key: path("key.pem"), clients: None };
        std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
        std::fs::write(&files.key, signed.signing_key.serialize_pem()).unwrap();
        let tls = Tls::open(&files).unwrap();
        assert!(tls.reload().is_none());
        std::fs::write(path("new"), signed.signing_key.serialize_pem()).unwrap();
        std::fs::rename(path("new"), &files.key).unwrap();
        assert_eq!(tls.reload().unwrap().unwrap(), [&files.key]);
        assert!(tls.reload().is_none());
    }

    #[test]
    fn a_session_is_resumed_after_those_of_many_other_clients() {
        let signed = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files =
            TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem"), clients: None };
        std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
        std::fs::write(&files.key, signed.signing_key.serialize_pem()).unwrap();
        let server = Tls::open(&files).unwrap().config();
        let mut roots = RootCertStore::empty();
        roots.add(signed.cert.der().clone()).unwrap();
        let first = client(&roots);
        assert_eq!(connect(&first, &server), Some(HandshakeKind::Full));
        for _ in 0..300 {
            connect(&client(&roots), &server);
        }
        assert_eq!(connect(&first, &server), Some(HandshakeKind::Resumed));
    }
}
