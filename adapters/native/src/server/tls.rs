//! TLS with clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::settings::TlsFiles;

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
}

/// The settings for TLS with clients, HTTP/2 preferred.
pub(super) fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Unreadable {
        path: files.key.clone(),
        content: "a private key",
        source,
    })?;
    let unusable = |source| TlsError::Unusable { path: files.certificate.clone(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Without tickets, only the last 128 clients could resume their sessions: rustls keeps 256, and gives each client two.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(unusable)?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), content: "certificates", source };
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    Ok(found)
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
    fn a_session_is_resumed_after_those_of_many_other_clients() {
        let signed = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
        std::fs::write(&files.key, signed.signing_key.serialize_pem()).unwrap();
        let server = server_config(&files).unwrap();
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
