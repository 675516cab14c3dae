//! The certificate of a connection's client.

use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use tollgate_core::authn::{PeerCertificate, PresentedCertificate, Trust};
use tollgate_core::x509::Certificate;

use super::Tls;

/// A client that has presented a certificate, which was verified in the handshake.
#[derive(Debug)]
pub(in crate::server) struct Peer {
    tls: Arc<Tls>,
    /// Its certificate, and those that it sent beside it.
    chain: Vec<CertificateDer<'static>>,
    certificate: Rc<PeerCertificate>,
}

impl Peer {
    /// The client of a connection whose handshake is complete; `None` if it has presented no certificate.
    pub(in crate::server) fn of(connection: &ServerConnection, tls: &Arc<Tls>) -> Option<Self> {
        let chain: Vec<_> = connection.peer_certificates()?.iter().map(|item| item.clone().into_owned()).collect();
        let certificate = match Certificate::parse(chain.first()?) {
            Ok(certificate) => {
                let presented = PresentedCertificate { certificate, trust: Trust::Verified };
                PeerCertificate::Presented(Box::new(presented))
            }
            Err(error) => PeerCertificate::Unreadable(error),
        };
        Some(Self { tls: Arc::clone(tls), chain, certificate: Rc::new(certificate) })
    }

    pub(in crate::server) fn certificate(&self) -> &Rc<PeerCertificate> {
        &self.certificate
    }

    /// Whether it would be accepted now.
    pub(in crate::server) fn is_accepted(&self) -> bool {
        self.tls.accepts(&self.chain)
    }
}
