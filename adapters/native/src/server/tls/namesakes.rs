//! Certificates of clients whose authorities may not take each other's names.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tollgate_core::x509::Certificate;

use super::files::Verifier;

/// Verifies the certificates of clients without the intermediate ones that have the name of a trusted authority.
///
/// Policies compare the name of a certificate's issuer. A trusted authority that may make further authorities could give one of
/// them the name of another trusted one; paths through such a certificate do not count. Those that the named authority has
/// issued itself, to change its key, do.
#[derive(Debug)]
pub(super) struct WithoutNamesakes {
    verifier: Verifier,
    /// The names of the trusted authorities, as policies compare them.
    authorities: Vec<String>,
}

impl WithoutNamesakes {
    pub(super) fn new(verifier: Verifier, authorities: &[CertificateDer<'_>]) -> Self {
        let names = authorities.iter().filter_map(|authority| Some(Certificate::parse(authority).ok()?.subject));
        Self { verifier, authorities: names.collect() }
    }

    /// Whether it may be part of a path. One that cannot be read could have any name.
    fn may_vouch(&self, intermediate: &CertificateDer<'_>) -> bool {
        Certificate::parse(intermediate)
            .is_ok_and(|read| read.subject == read.issuer || !self.authorities.contains(&read.subject))
    }
}

impl ClientCertVerifier for WithoutNamesakes {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if intermediates.iter().all(|one| self.may_vouch(one)) {
            return self.verifier.verify_client_cert(end_entity, intermediates, now);
        }
        let others: Vec<_> = intermediates.iter().filter(|one| self.may_vouch(one)).cloned().collect();
        self.verifier.verify_client_cert(end_entity, &others, now)
    }

    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rustls::RootCertStore;
    use rustls::server::WebPkiClientVerifier;

    use super::*;

    /// A certificate with the key that it is for.
    struct Made {
        certificate: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    fn made(name: &str, key: KeyPair, by: Option<&Made>) -> Made {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = match by {
            Some(by) => params.signed_by(&key, &by.issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Made { certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn client(by: &Made) -> CertificateDer<'static> {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "client");
        params.signed_by(&KeyPair::generate().unwrap(), &by.issuer).unwrap().der().clone()
    }

    #[test]
    fn an_authority_cannot_vouch_in_the_name_of_another_one() {
        let key = || KeyPair::generate().unwrap();
        let (partners, devices) = (made("Partners", key(), None), made("Devices", key(), None));
        let roots = [&partners, &devices].map(|root| root.certificate.clone());
        let mut store = RootCertStore::empty();
        roots.iter().for_each(|root| store.add(root.clone()).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let plain = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build().unwrap();
        let verifier = WithoutNamesakes::new(Arc::clone(&plain) as Verifier, &roots);
        let check = |chain: &[&Made], is_accepted: bool| {
            let others: Vec<_> = chain.iter().map(|made| made.certificate.clone()).collect();
            let own = client(chain[0]);
            assert!(plain.verify_client_cert(&own, &others, UnixTime::now()).is_ok());
            assert_eq!(verifier.verify_client_cert(&own, &others, UnixTime::now()).is_ok(), is_accepted);
        };
        check(&[&devices], true);
        check(&[&made("Sales", key(), Some(&partners))], true);
        let namesake = made("Devices", key(), Some(&partners));
        check(&[&namesake], false);
        check(&[&made("Sales", key(), Some(&namesake)), &namesake], false);
        // It has a new key, and vouches for it by the old one.
        check(&[&made("Devices", key(), Some(&devices))], true);
        // Another authority vouches for its own key: it is trusted without that.
        let copy = KeyPair::from_pem(&devices.issuer.key().serialize_pem()).unwrap();
        check(&[&made("Devices", copy, Some(&partners))], true);
    }
}
