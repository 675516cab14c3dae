//! The certificates that the gateway presents to upstreams: secrets in PEM, read again when they change.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys};
use thiserror::Error;
use tollgate_core::forward::{OwnCertificate, UpstreamError};
use tollgate_core::secret::Secret;
use tollgate_core::time::Timestamp;
use tollgate_core::x509::Certificate;

use crate::clock::SystemClock;
use crate::secrets::SecretSource;

/// The certificates that all isolates of a server have read last and could use. An isolate that finds a secret unusable when it
/// first needs it presents what the others present.
#[derive(Clone, Debug, Default)]
pub(crate) struct UsableCertificates(Arc<Mutex<HashMap<OwnCertificate, Usable>>>);

/// A certificate with its key, and its end.
#[derive(Clone, Debug)]
struct Usable {
    pair: Arc<SingleCertAndKey>,
    expires: Option<Timestamp>,
}

/// The certificates of one isolate.
#[derive(Debug)]
pub(super) struct Certificates {
    secrets: SecretSource,
    usable: UsableCertificates,
    /// The settings of connections without a certificate.
    plain: Tls,
    known: RefCell<HashMap<OwnCertificate, Known>>,
    /// The number of the next one.
    next: Cell<u32>,
    /// What operators should know, since it was last asked for.
    news: RefCell<Vec<News>>,
}

/// The settings of connections on which one certificate is presented, or none.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// Of what is presented: a renewed certificate has another one, so connections of the earlier one are not used for it.
    pub(super) number: u32,
}

/// A certificate that was used.
#[derive(Debug)]
struct Known {
    /// What was read last.
    read: Result<Vec<Secret>, Fault>,
    tls: Result<Tls, UpstreamError>,
    expires: Option<Timestamp>,
    /// Whether its end was told.
    is_expired: bool,
}

/// Something that operators should know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) level: &'static str,
    pub(crate) event: &'static str,
    /// The name of the secret.
    pub(crate) certificate: String,
    pub(crate) reason: String,
}

/// Why a certificate of the gateway cannot be presented. It never contains the certificate or the key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// No secret has the name.
    #[error("nothing is bound to the secret `{0}`")]
    Missing(String),
    /// The secret cannot be read.
    #[error("the secret `{0}` cannot be read: {1}")]
    Unreadable(String, String),
    /// The secret has no certificate.
    #[error(
        "the secret `{0}` has no certificate in PEM; write the certificate, followed by its intermediate certificates"
    )]
    NoCertificate(String),
    /// The secret has no private key.
    #[error("the secret `{0}` has no private key in PEM")]
    NoKey(String),
    /// Certificate and key are not a pair.
    #[error("the private key is not the one of the certificate in the secret `{0}`")]
    OtherKey(String),
    /// TLS does not support certificates or keys of this kind.
    #[error(
        "TLS does not support the certificate in the secret `{0}` or its key: use a key of RSA, P-256, P-384 or Ed25519"
    )]
    Unsupported(String),
}

impl Fault {
    const fn error(&self) -> UpstreamError {
        match self {
            Self::Missing(_) => UpstreamError::OwnCertificateMissing,
            Self::Unreadable(..)
            | Self::NoCertificate(_)
            | Self::NoKey(_)
            | Self::OtherKey(_)
            | Self::Unsupported(_) => UpstreamError::OwnCertificateUnusable,
        }
    }
}

/// Checks that a certificate of the gateway can be presented, and answers when it ends, if that can be read.
///
/// # Errors
/// Why it cannot.
pub fn check_certificate(own: &OwnCertificate, secrets: &SecretSource) -> Result<Option<Timestamp>, Fault> {
    let read = read(own, secrets)?;
    let (_, expires) = pair(own, &read)?;
    Ok(expires)
}

impl UsableCertificates {
    fn get(&self, own: &OwnCertificate) -> Option<Usable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(own).cloned()
    }

    fn put(&self, own: &OwnCertificate, usable: Usable) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= CERTIFICATES_MAX && !all.contains_key(own) {
            all.clear();
        }
        all.insert(own.clone(), usable);
    }
}

impl Certificates {
    /// The settings of connections without a certificate; certificates are read from these secrets.
    pub(super) fn new(plain: Arc<ClientConfig>, secrets: SecretSource, usable: UsableCertificates) -> Self {
        Self {
            secrets,
            usable,
            plain: Tls { config: plain, number: 0 },
            known: RefCell::default(),
            next: Cell::new(1),
            news: RefCell::default(),
        }
    }

    /// The settings of connections without a certificate.
    pub(super) const fn plain(&self) -> &Tls {
        &self.plain
    }

    /// The settings of connections on which a certificate is presented.
    pub(super) fn presenting(&self, own: &OwnCertificate) -> Result<Tls, UpstreamError> {
        if let Some(known) = self.known.borrow().get(own) {
            return known.tls.clone();
        }
        let mut known = self.open(own, read(own, &self.secrets));
        self.present_what_others_do(own, &mut known);
        let tls = known.tls.clone();
        let mut all = self.known.borrow_mut();
        if all.len() >= CERTIFICATES_MAX {
            all.clear();
        }
        all.insert(own.clone(), known);
        tls
    }

    /// Reads all certificates again that were used. One that is not usable any more stays in use as it was.
    pub(super) fn renew(&self) {
        for (own, known) in &mut *self.known.borrow_mut() {
            let read = read(own, &self.secrets);
            if read != known.read {
                let new = self.open(own, read);
                if new.tls.is_ok() || known.tls.is_err() {
                    *known = new;
                } else {
                    known.read = new.read;
                }
            }
            self.present_what_others_do(own, known);
            self.watch_end(own, known);
        }
    }

    /// What operators should know since this was last called.
    pub(super) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.news.borrow_mut())
    }

    fn open(&self, own: &OwnCertificate, read: Result<Vec<Secret>, Fault>) -> Known {
        let opened = read.as_ref().map_err(Clone::clone).and_then(|read| pair(own, read));
        let mut known = match opened {
            Ok((pair, expires)) => {
                let usable = Usable { pair: Arc::new(SingleCertAndKey::from(pair)), expires };
                self.usable.put(own, usable.clone());
                Known { read, tls: Ok(self.tls(usable.pair)), expires, is_expired: false }
            }
            Err(fault) => {
                self.tell("error", "upstream-certificate-unusable", own, fault.to_string());
                Known { read, tls: Err(fault.error()), expires: None, is_expired: false }
            }
        };
        self.watch_end(own, &mut known);
        known
    }

    /// A certificate that this isolate cannot use is replaced by the last one that any isolate could.
    fn present_what_others_do(&self, own: &OwnCertificate, known: &mut Known) {
        if let (Err(_), Some(usable)) = (&known.tls, self.usable.get(own)) {
            known.tls = Ok(self.tls(usable.pair));
            known.expires = usable.expires;
            self.watch_end(own, known);
        }
    }

    /// A session is resumed only by who presented the same certificate when it began.
    fn tls(&self, pair: Arc<SingleCertAndKey>) -> Tls {
        let mut config = ClientConfig::clone(&self.plain.config);
        config.client_auth_cert_resolver = pair;
        config.resumption = Resumption::default();
        let number = self.next.replace(self.next.get().wrapping_add(1).max(1));
        Tls { config: Arc::new(config), number }
    }

    /// An expired certificate is still presented: it is the upstream's clock that counts.
    fn watch_end(&self, own: &OwnCertificate, known: &mut Known) {
        let is_over = known.expires.is_some_and(|end| end < SystemClock::now());
        if is_over && !known.is_expired {
            known.is_expired = true;
            let reason = "it has expired, so upstreams will refuse it; bind a new one".to_owned();
            self.tell("warn", "upstream-certificate-expired", own, reason);
        }
    }

    fn tell(&self, level: &'static str, event: &'static str, own: &OwnCertificate, reason: String) {
        self.news.borrow_mut().push(News { level, event, certificate: own.name.clone(), reason });
    }
}

/// The values of the secrets, in the order of their names.
fn read(own: &OwnCertificate, secrets: &SecretSource) -> Result<Vec<Secret>, Fault> {
    let one = |name: &str| match secrets.read(name) {
        Ok(secret) => secret.ok_or_else(|| Fault::Missing(name.to_owned())),
        Err(error) => Err(Fault::Unreadable(name.to_owned(), error.0)),
    };
    own.secret_names().map(one).collect()
}

/// Certificate and key, and the end of the certificate's validity.
fn pair(own: &OwnCertificate, read: &[Secret]) -> Result<(CertifiedKey, Option<Timestamp>), Fault> {
    let OwnCertificate { name, key } = own;
    let (Some(first), Some(last)) = (read.first(), read.last()) else { return Err(Fault::Missing(name.clone())) };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(first.expose().as_bytes()).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| Fault::NoCertificate(name.clone()))?;
    let private = PrivateKeyDer::from_pem_slice(last.expose().as_bytes())
        .map_err(|_| Fault::NoKey(key.as_ref().unwrap_or(name).clone()))?;
    let expires = chain.first().and_then(|own| Certificate::parse(own).ok()).map(|own| own.not_after);
    let provider = rustls::crypto::ring::default_provider();
    let pair = CertifiedKey::from_der(chain, private, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::OtherKey(name.clone()),
        _ => Fault::Unsupported(name.clone()),
    })?;
    Ok((pair, expires))
}

/// More than a gateway has upstreams with certificates; it bounds what is left of earlier configurations.
const CERTIFICATES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use std::fs;

    /// A certificate that ends in this year, and its key, in PEM.
    fn made(year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn own(name: &str, key: Option<&str>) -> OwnCertificate {
        OwnCertificate { name: name.into(), key: key.map(Into::into) }
    }

    fn certificates(folder: &tempfile::TempDir) -> Certificates {
        let secrets = SecretSource::Folder(folder.path().to_owned());
        Certificates::new(super::super::client_config(None).unwrap(), secrets, UsableCertificates::default())
    }

    #[test]
    fn an_isolate_that_finds_a_broken_certificate_presents_what_the_others_do() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("BOTH"), text).unwrap();
        let shared = UsableCertificates::default();
        let isolate = || {
            let secrets = SecretSource::Folder(folder.path().to_owned());
            Certificates::new(super::super::client_config(None).unwrap(), secrets, shared.clone())
        };
        let (early, first, late) = (isolate(), isolate(), isolate());
        write("hello");
        assert_eq!(early.presenting(&own("BOTH", None)).map(drop), Err(UpstreamError::OwnCertificateUnusable));
        let ((certificate, key), (renewed, new_key)) = (made(2100), made(2100));
        write(&format!("{certificate}{key}"));
        assert!(first.presenting(&own("BOTH", None)).is_ok());
        write(&certificate);
        let number = late.presenting(&own("BOTH", None)).unwrap().number;
        assert_eq!(late.take_news()[0].event, "upstream-certificate-unusable");
        early.renew();
        assert!(early.presenting(&own("BOTH", None)).is_ok(), "it is never loaded by this isolate");
        late.renew();
        assert_eq!(late.presenting(&own("BOTH", None)).unwrap().number, number, "nothing has changed");
        write(&format!("{renewed}{new_key}"));
        late.renew();
        assert_ne!(late.presenting(&own("BOTH", None)).unwrap().number, number, "mended");
        assert!(isolate().presenting(&own("OTHER", None)).is_err(), "no other secret is meant");
    }

    #[track_caller]
    fn check_fault(certificate: Option<&str>, key: Option<&str>, expected: &Fault) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("CERT", certificate), ("KEY", key)] {
            text.inspect(|text| fs::write(folder.path().join(name), text).unwrap());
        }
        let all = certificates(&folder);
        let error = expected.error();
        assert_eq!(all.presenting(&own("CERT", Some("KEY"))).map(drop), Err(error));
        assert_eq!(all.presenting(&own("CERT", Some("KEY"))).map(drop), Err(error), "not read again");
        all.renew();
        let news = all.take_news();
        assert_eq!(news.iter().map(|news| &news.reason).collect::<Vec<_>>(), [&expected.to_string()]);
        assert!(key.is_none_or(|key| key.lines().all(|line| !news[0].reason.contains(line))));
    }

    #[test]
    fn a_certificate_that_cannot_be_presented_is_told_by_name() {
        let ((certificate, key), (_, other)) = (made(2100), made(2100));
        check_fault(None, Some(&key), &Fault::Missing("CERT".into()));
        check_fault(Some(&certificate), None, &Fault::Missing("KEY".into()));
        check_fault(Some("hello"), Some(&key), &Fault::NoCertificate("CERT".into()));
        check_fault(Some(&key), Some(&key), &Fault::NoCertificate("CERT".into()));
        check_fault(Some(&certificate), Some("-----BEGIN PRIVATE KEY-----\n!"), &Fault::NoKey("KEY".into()));
        check_fault(Some(&certificate), Some(&certificate), &Fault::NoKey("KEY".into()));
        check_fault(Some(&certificate), Some(&other), &Fault::OtherKey("CERT".into()));
    }

    #[test]
    fn a_renewed_certificate_has_connections_of_its_own_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join("BOTH"), text).unwrap();
        let ((certificate, key), (renewed, new_key)) = (made(2100), made(2100));
        write(&format!("{certificate}{key}"));
        let all = certificates(&folder);
        let number = || all.presenting(&own("BOTH", None)).unwrap().number;
        assert_ne!(number(), all.plain().number);
        let first = number();
        all.renew();
        assert_eq!(number(), first, "nothing has changed");
        write(&renewed);
        all.renew();
        all.renew();
        assert_eq!(number(), first);
        assert_eq!(all.take_news().len(), 1, "told once");
        write(&format!("{renewed}{new_key}"));
        all.renew();
        assert_ne!(number(), first);
        assert_eq!(all.take_news(), []);
    }

    #[test]
    fn an_expired_certificate_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = made(2020);
        fs::write(folder.path().join("BOTH"), format!("{key}{certificate}")).unwrap();
        let all = certificates(&folder);
        assert!(all.presenting(&own("BOTH", None)).is_ok());
        all.renew();
        let events: Vec<_> = all.take_news().into_iter().map(|news| news.event).collect();
        assert_eq!(events, ["upstream-certificate-expired"]);
        let checked = check_certificate(&own("BOTH", None), &SecretSource::Folder(folder.path().to_owned()));
        assert!(checked.unwrap().is_some_and(|end| end < SystemClock::now()));
    }
}
