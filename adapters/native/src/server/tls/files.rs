//! The PEM files of TLS with clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::TlsError;
use super::namesakes::WithoutNamesakes;
use crate::settings::{ClientAuthorities, TlsFiles};

/// What tells whether files have changed: a new file in place of an old one, as Kubernetes and ACME clients write them, or new
/// content in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    #[cfg(unix)]
    number: u64,
}

impl Stamps {
    pub(super) fn of(files: &TlsFiles) -> Self {
        Self(paths(files).map(stamp).collect())
    }

    /// The files that are not as they were.
    pub(super) fn changed<'f>(&self, before: &Self, files: &'f TlsFiles) -> Vec<&'f Path> {
        let all = paths(files).zip(self.0.iter().zip(&before.0));
        all.filter(|(_, (now, before))| now != before).map(|(path, _)| path).collect()
    }
}

fn paths(files: &TlsFiles) -> impl Iterator<Item = &Path> {
    let of_clients = files.clients.iter().flat_map(|clients| clients.revocations.iter().chain([&clients.authorities]));
    [&files.certificate, &files.key].into_iter().chain(of_clients).map(PathBuf::as_path)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
        #[cfg(unix)]
        number: std::os::unix::fs::MetadataExt::ino(&metadata),
    })
}

/// Verifies the certificates of clients.
pub(super) type Verifier = Arc<dyn ClientCertVerifier>;

/// What the files say: the settings of connections, HTTP/2 preferred, and what verifies the certificates of clients.
///
/// The settings have a new secret for the tickets of sessions: a client that resumes one presents no certificate, so a session
/// must not outlast what its certificate was verified with.
pub(super) fn read(files: &TlsFiles) -> Result<(Arc<ServerConfig>, Option<Verifier>), TlsError> {
    let chain: Vec<CertificateDer<'_>> = items(&files.certificate, "certificates")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Unreadable {
        path: files.key.clone(),
        content: "a private key",
        source,
    })?;
    let unusable = |source| TlsError::Unusable { path: files.certificate.clone(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = files.clients.as_ref().map(|clients| verifier(clients, &provider)).transpose()?;
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = match &clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Without tickets, only the last 128 clients could resume their sessions: rustls keeps 256, and gives each client two.
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(unusable)?;
    Ok((Arc::new(config), clients))
}

/// With lists of revoked certificates, each authority must have one that is current: one that is missing or outdated must not
/// admit what it would refuse.
fn verifier(clients: &ClientAuthorities, provider: &Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
    let refused = |reason: String| TlsError::Authority { path: clients.authorities.clone(), reason };
    let mut roots = RootCertStore::empty();
    let authorities: Vec<CertificateDer<'_>> = items(&clients.authorities, "certificates")?;
    for authority in &authorities {
        roots.add(authority.clone()).map_err(|error| refused(error.to_string()))?;
    }
    let mut lists: Vec<CertificateRevocationListDer<'_>> = Vec::new();
    for path in &clients.revocations {
        lists.extend(items(path, "lists of revoked certificates (X509 CRL)")?);
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = builder.with_crls(lists).enforce_revocation_expiration();
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|error| refused(error.to_string()))?;
    Ok(Arc::new(WithoutNamesakes::new(verifier, &authorities)))
}

/// The items of a PEM file, at least one.
fn items<T: PemObject>(path: &Path, content: &'static str) -> Result<Vec<T>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), content, source };
    let found: Vec<T> = T::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    if found.is_empty() {
        return Err(unreadable(pem::Error::NoItemsFound));
    }
    Ok(found)
}
