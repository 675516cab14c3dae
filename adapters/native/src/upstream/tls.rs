//! The certificate authorities for TLS with upstreams.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Why the certificate authorities could not be read.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file of additional authorities is not readable as PEM.
    #[error("the certificate authorities in {} cannot be read: {source}; it must be a PEM file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The file contains no usable certificate.
    #[error("{} contains no certificate of a certificate authority", .0.display())]
    Empty(PathBuf),
    /// The cryptography provider of this program does not support the required protocol versions.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The settings for TLS with upstreams: the platform's authorities, and those of one additional file.
///
/// A platform without any is not an error: then no certificate of an upstream is trusted.
///
/// # Errors
/// [`TrustError`] if the file cannot be used.
pub fn client_config(extra: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra {
        let (added, _) = roots.add_parsable_certificates(authorities(path)?);
        if added == 0 {
            return Err(TrustError::Empty(path.to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: path.to_owned(), source };
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}
