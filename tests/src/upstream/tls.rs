//! TLS with a self-signed certificate, to prove that a gateway verifies its upstreams; and with certificates of the gateway.

use std::io::{Error, Result};
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A new key and certificate for `localhost` and `127.0.0.1`.
pub fn self_signed() -> Result<TlsAcceptor> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(Error::other)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// An authority for the certificates of upstreams and of the gateway.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new([]).map_err(Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(Error::other)?;
        let certificate = params.self_signed(&key).map_err(Error::other)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a name, followed by its key, in PEM.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn certified(&self, name: &str) -> Result<String> {
        let (certificate, key) = self.signed(name)?;
        Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
    }

    /// A server for `localhost` that requires a certificate of this authority.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn requiring(&self) -> Result<TlsAcceptor> {
        let (certificate, key) = self.signed("localhost")?;
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).map_err(Error::other)?;
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::other)?
            .with_client_cert_verifier(clients.build().map_err(Error::other)?)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .map_err(Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn signed(&self, name: &str) -> Result<(Certificate, KeyPair)> {
        let key = KeyPair::generate().map_err(Error::other)?;
        let params = CertificateParams::new([name.to_owned()]).map_err(Error::other)?;
        Ok((params.signed_by(&key, &self.issuer).map_err(Error::other)?, key))
    }
}
