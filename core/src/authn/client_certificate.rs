//! The `client-certificate` policy: a caller that has proved, in its TLS handshake, that it has a certificate's key.
//!
//! The host verifies certificates, or a trusted proxy does and passes on what it verified (RFC 9440). The policy decides
//! which verified certificates are accepted, and who their subjects are.

use std::sync::Arc;

use http::HeaderMap;
use minicbor::Encode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Authenticator, Principal};
use crate::codec::{self, Decode};
use crate::kinds::{PolicyKind, Uses};
use crate::time::Timestamp;
use crate::x509::{Certificate, CertificateError, CertificateName, Fingerprint};

/// Settings of one `client-certificate` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ClientCertificateSettings {
    /// Who tells which certificate the client has.
    #[n(0)]
    pub source: CertificateSource,
    /// Who the caller is.
    #[n(1)]
    pub consumer: CertificateConsumer,
    /// What comes before the name in the consumer's name; absent, the name of the policy and a colon, so that another policy
    /// does not have the same consumer.
    #[serde(default)]
    #[n(2)]
    pub consumer_prefix: Option<String>,
    /// What certificates must have: one of the values of each kind.
    #[serde(default)]
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub accepts: Vec<CertificateRule>,
    /// The plan of all callers that are not registered.
    #[serde(default)]
    #[n(4)]
    pub plan: Option<String>,
    /// The scopes of all callers that are not registered.
    #[serde(default)]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub scopes: Vec<String>,
    /// What of the certificate is kept for upstreams.
    #[serde(default)]
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub kept: Vec<CertificateName>,
}

impl codec::Section for ClientCertificateSettings {}

/// Who tells which certificate the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum CertificateSource {
    /// The host, about the connection's peer.
    #[n(0)]
    Connection,
    /// A trusted proxy, in the field `Client-Cert` (RFC 9440).
    #[n(1)]
    Field,
}

/// Who a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum CertificateConsumer {
    /// The consumer of the credential that is stored under the certificate's fingerprint.
    #[n(0)]
    Registered,
    /// The value of a name that the certificate has once.
    #[n(1)]
    CommonName,
    /// See [`CertificateName::Subject`].
    #[n(2)]
    Subject,
    /// See [`CertificateName::Dns`].
    #[n(3)]
    Dns,
    /// See [`CertificateName::Uri`].
    #[n(4)]
    Uri,
    /// See [`CertificateName::Email`].
    #[n(5)]
    Email,
    /// See [`CertificateName::Fingerprint`].
    #[n(6)]
    Fingerprint,
}

/// The values of one kind, one of which a certificate must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct CertificateRule {
    /// The kind.
    #[n(0)]
    pub name: CertificateName,
    /// The values: `*.` stands for one label at the beginning of a host name, `*` for anything at the end of a URI after a
    /// slash.
    #[n(1)]
    pub any_of: Vec<String>,
}

/// What is known of the certificate of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PeerCertificate {
    /// It has none, or it is not known whether it has one.
    #[default]
    Absent,
    /// It is not one that can be read.
    Unreadable(CertificateError),
    /// It has this one.
    Presented(Box<PresentedCertificate>),
}

/// A certificate of a client, and whether it was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// Whether it was verified.
    pub trust: Trust,
}

/// Whether a certificate was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authority that is trusted vouches for it, and has not revoked it.
    Verified,
    /// It is revoked.
    Revoked,
    /// It was not verified, for this reason.
    NotVerified(String),
}

/// Why a certificate does not authenticate its client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateRefusal {
    /// There is none.
    #[error("no certificate")]
    Absent,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(CertificateError),
    /// No trusted authority vouches for it.
    #[error("it is not verified: {0}")]
    NotVerified(String),
    /// Its authority has revoked it.
    #[error("it is revoked")]
    Revoked,
    /// Its time has not begun.
    #[error("it is not valid yet")]
    NotYet,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It has no value that is accepted.
    #[error("it has no {0} that is accepted")]
    NotAccepted(CertificateName),
    /// It has no name of the kind that the policy takes for the consumer.
    #[error("it has no {0} that can be the consumer")]
    NoName(CertificateName),
    /// It has several names of that kind.
    #[error("it has several values of {0}, and one has to be the consumer")]
    SeveralNames(CertificateName),
}

/// The caller that a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateCaller {
    /// The owner of the credential with this fingerprint.
    Registered(Fingerprint),
    /// A consumer that is named by the certificate.
    Named(Principal),
}

impl ClientCertificateSettings {
    /// Who presents the certificate, for the policy of this name.
    ///
    /// # Errors
    /// If the policy does not accept the certificate now.
    pub fn caller(
        &self,
        policy: &str,
        peer: &PeerCertificate,
        now: Timestamp,
    ) -> Result<CertificateCaller, CertificateRefusal> {
        let presented = match peer {
            PeerCertificate::Absent => return Err(CertificateRefusal::Absent),
            PeerCertificate::Unreadable(error) => return Err(CertificateRefusal::Unreadable(*error)),
            PeerCertificate::Presented(presented) => presented,
        };
        let certificate = presented.valid(now)?;
        for rule in &self.accepts {
            if !rule.name.values(certificate).iter().any(|value| rule.takes(value)) {
                return Err(CertificateRefusal::NotAccepted(rule.name));
            }
        }
        let Some(name) = self.consumer.name() else {
            return Ok(CertificateCaller::Registered(certificate.fingerprint));
        };
        let consumer = self.name_of(certificate, name)?;
        let consumer = match &self.consumer_prefix {
            Some(prefix) => format!("{prefix}{consumer}"),
            None => format!("{policy}:{consumer}"),
        };
        let id = certificate_id(&certificate.fingerprint);
        let principal = Principal::new(consumer, id, self.plan.clone(), self.scopes.clone());
        Ok(CertificateCaller::Named(self.keep(principal, certificate)))
    }

    /// The owner of a registered credential, with what is kept of the certificate that was presented.
    #[must_use]
    pub fn of_registered(&self, found: Arc<Principal>, peer: &PeerCertificate) -> Arc<Principal> {
        match peer {
            PeerCertificate::Presented(presented) if !self.kept.is_empty() => {
                Arc::new(self.keep(Principal::clone(&found), &presented.certificate))
            }
            _ => found,
        }
    }

    fn keep(&self, principal: Principal, certificate: &Certificate) -> Principal {
        let all = self.kept.iter();
        all.fold(principal, |principal, name| principal.with_certificate(*name, name.values(certificate)))
    }

    /// The one value of a kind; of several, the one that is accepted.
    fn name_of(&self, certificate: &Certificate, name: CertificateName) -> Result<String, CertificateRefusal> {
        let mut values = name.values(certificate);
        if let Some(rule) = self.accepts.iter().find(|rule| rule.name == name) {
            values.retain(|value| rule.takes(value));
        }
        match values.as_slice() {
            [] => Err(CertificateRefusal::NoName(name)),
            [one] if super::claims::is_name(one) => Ok(one.clone()),
            [_] => Err(CertificateRefusal::NoName(name)),
            _ => Err(CertificateRefusal::SeveralNames(name)),
        }
    }
}

/// The public id of a credential with this fingerprint.
#[must_use]
pub fn certificate_id(fingerprint: &Fingerprint) -> String {
    super::public_id("cert", &fingerprint.as_bytes()[..PUBLIC_ID_BYTES])
}

/// As those of other credentials.
const PUBLIC_ID_BYTES: usize = 6;

impl PeerCertificate {
    /// The certificate that a trusted proxy has verified and names in a request: one line of `Client-Cert` (RFC 9440, section
    /// 2.2).
    #[must_use]
    pub fn passed_on(fields: &HeaderMap) -> Self {
        let mut lines = fields.get_all(CLIENT_CERT).iter();
        let Some(line) = lines.next() else { return Self::Absent };
        let text = line.to_str().ok().filter(|_| lines.next().is_none());
        match text.ok_or(CertificateError::Form).and_then(Certificate::parse_field) {
            Ok(certificate) => Self::Presented(Box::new(PresentedCertificate { certificate, trust: Trust::Verified })),
            Err(error) => Self::Unreadable(error),
        }
    }
}

const CLIENT_CERT: &str = "client-cert";

impl PresentedCertificate {
    /// The certificate if it was verified and is valid. A connection may outlast the certificate with which it began.
    pub(super) fn valid(&self, now: Timestamp) -> Result<&Certificate, CertificateRefusal> {
        match &self.trust {
            Trust::Verified => {}
            Trust::Revoked => return Err(CertificateRefusal::Revoked),
            Trust::NotVerified(reason) => return Err(CertificateRefusal::NotVerified(reason.clone())),
        }
        if now < self.certificate.not_before {
            return Err(CertificateRefusal::NotYet);
        }
        // The last second is part of the validity (RFC 5280, section 4.1.2.5).
        if now >= self.certificate.not_after.plus_millis(1_000) {
            return Err(CertificateRefusal::Expired);
        }
        Ok(&self.certificate)
    }
}

impl CertificateRule {
    fn takes(&self, value: &str) -> bool {
        self.any_of.iter().any(|pattern| match self.name {
            CertificateName::Dns => match pattern.strip_prefix("*.") {
                Some(parent) => value.split_once('.').is_some_and(|(_, rest)| rest == parent),
                None => value == pattern,
            },
            CertificateName::Uri => match pattern.strip_suffix("/*") {
                Some(start) => value.strip_prefix(start).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
                None => value == pattern,
            },
            CertificateName::CommonName
            | CertificateName::Subject
            | CertificateName::Email
            | CertificateName::Fingerprint
            | CertificateName::Issuer => value == pattern,
        })
    }
}

impl CertificateConsumer {
    /// The name that is the consumer's; `None` if the consumer is registered.
    #[must_use]
    pub const fn name(self) -> Option<CertificateName> {
        Some(match self {
            Self::Registered => return None,
            Self::CommonName => CertificateName::CommonName,
            Self::Subject => CertificateName::Subject,
            Self::Dns => CertificateName::Dns,
            Self::Uri => CertificateName::Uri,
            Self::Email => CertificateName::Email,
            Self::Fingerprint => CertificateName::Fingerprint,
        })
    }
}

impl CertificateRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unreadable(error) => error.code(),
            Self::NotVerified(_) => "not-verified",
            Self::Revoked => "revoked",
            Self::NotYet => "not-yet",
            Self::Expired => "expired",
            Self::NotAccepted(_) => "not-accepted",
            Self::NoName(_) => "no-name",
            Self::SeveralNames(_) => "several-names",
        }
    }
}

impl PolicyKind for ClientCertificateSettings {
    fn is_coherent(&self) -> bool {
        let is_registered = self.consumer == CertificateConsumer::Registered;
        let has_own = self.plan.is_some() || !self.scopes.is_empty() || self.consumer_prefix.is_some();
        let each_once = self.accepts.windows(2).all(|rules| rules[0].name < rules[1].name);
        let none_empty = self.accepts.iter().all(|rule| !rule.any_of.is_empty());
        !(is_registered && has_own) && each_once && none_empty
    }

    fn uses(&self) -> Uses<'_> {
        let reads_record = self.consumer == CertificateConsumer::Registered;
        Uses { certificate: true, record: reads_record, ..Uses::default() }
    }
}

impl Authenticator for ClientCertificateSettings {
    fn challenge(&self, realm: &str) -> String {
        format!("ClientCertificate realm=\"{realm}\"")
    }

    fn certificate_source(&self) -> Option<CertificateSource> {
        Some(self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Attribute;
    use crate::x509::AlternativeNames;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn certificate() -> Certificate {
        let names = AlternativeNames {
            dns: vec!["d7.devices.example.com".into(), "d7.example.net".into()],
            uris: vec!["spiffe://example.org/device/7".into()],
            ..AlternativeNames::default()
        };
        Certificate {
            fingerprint: Fingerprint::of(b"a certificate"),
            subject: "CN=d7,O=Example".into(),
            common_name: Some("d7".into()),
            issuer: "CN=Devices CA".into(),
            not_before: Timestamp::from_millis(10_000),
            not_after: Timestamp::from_millis(20_000),
            names,
        }
    }

    fn with_trust(trust: Trust) -> PeerCertificate {
        PeerCertificate::Presented(Box::new(PresentedCertificate { certificate: certificate(), trust }))
    }

    fn settings(consumer: CertificateConsumer, accepts: &[(CertificateName, &[&str])]) -> ClientCertificateSettings {
        let rule = |(name, any_of): &(CertificateName, &[&str])| CertificateRule {
            name: *name,
            any_of: any_of.iter().map(|&text| text.to_owned()).collect(),
        };
        ClientCertificateSettings {
            source: CertificateSource::Connection,
            consumer,
            consumer_prefix: None,
            accepts: accepts.iter().map(rule).collect(),
            plan: None,
            scopes: vec![],
            kept: vec![],
        }
    }

    #[track_caller]
    fn check(settings: &ClientCertificateSettings, want: &Result<&str, CertificateRefusal>) {
        let caller = settings.caller("devices", &with_trust(Trust::Verified), Timestamp::from_millis(15_000));
        let consumer = caller.map(|caller| match caller {
            CertificateCaller::Named(principal) => principal.consumer,
            CertificateCaller::Registered(fingerprint) => fingerprint.to_string(),
        });
        assert_eq!(consumer.as_deref().map_err(Clone::clone), *want);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_consumer_is_the_name_that_the_policy_takes() {
        use CertificateConsumer as By;
        let fingerprint = Fingerprint::of(b"a certificate").to_string();
        check(&settings(By::Registered, &[]), &Ok(&fingerprint));
        check(&settings(By::Fingerprint, &[]), &Ok(&format!("devices:{fingerprint}")));
        check(&settings(By::CommonName, &[]), &Ok("devices:d7"));
        check(&settings(By::Subject, &[]), &Ok("devices:CN=d7,O=Example"));
        check(&settings(By::Uri, &[]), &Ok("devices:spiffe://example.org/device/7"));
        check(&settings(By::Email, &[]), &Err(CertificateRefusal::NoName(CertificateName::Email)));
        let unprefixed = ClientCertificateSettings {
            consumer_prefix: Some(String::new()),
            plan: Some("gold".into()),
            scopes: vec!["read".into()],
            ..settings(By::CommonName, &[])
        };
        check(&unprefixed, &Ok("d7"));
        let now = Timestamp::from_millis(15_000);
        let caller = unprefixed.caller("devices", &with_trust(Trust::Verified), now).unwrap();
        let id = certificate_id(&certificate().fingerprint);
        let want = Principal::new("d7".into(), id, Some("gold".into()), vec!["read".into()]);
        assert_eq!(caller, CertificateCaller::Named(want));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_upstreams_are_told_of_a_certificate_is_kept() {
        let kept = vec![CertificateName::CommonName, CertificateName::Dns, CertificateName::Email];
        let settings = ClientCertificateSettings { kept, ..settings(CertificateConsumer::CommonName, &[]) };
        let peer = with_trust(Trust::Verified);
        let told = |principal: &Principal, name| {
            let mut text = String::new();
            Attribute::Certificate(name).write(&principal.into(), &mut text).then_some(text)
        };
        let named = match settings.caller("devices", &peer, Timestamp::from_millis(15_000)).unwrap() {
            CertificateCaller::Named(principal) => Arc::new(principal),
            CertificateCaller::Registered(_) => unreachable!(),
        };
        let registered = Arc::new(Principal::new("d7".into(), "cert-1".into(), None, vec![]));
        for principal in [named, settings.of_registered(Arc::clone(&registered), &peer)] {
            assert_eq!(told(&principal, CertificateName::CommonName).as_deref(), Some("d7"));
            let names = told(&principal, CertificateName::Dns).unwrap();
            assert_eq!(names.split(' ').collect::<Vec<_>>(), certificate().names.dns);
            assert_eq!(told(&principal, CertificateName::Email), None);
            assert_eq!(told(&principal, CertificateName::Subject), None, "nobody asked for it");
        }
        let nothing = ClientCertificateSettings { kept: vec![], ..settings };
        assert!(Arc::ptr_eq(&registered, &nothing.of_registered(Arc::clone(&registered), &peer)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn of_several_names_the_one_that_is_accepted_is_the_consumer() {
        use CertificateConsumer as By;
        check(&settings(By::Dns, &[]), &Err(CertificateRefusal::SeveralNames(CertificateName::Dns)));
        let devices = (CertificateName::Dns, &["*.devices.example.com"][..]);
        check(&settings(By::Dns, &[devices]), &Ok("devices:d7.devices.example.com"));
        let both = (CertificateName::Dns, &["*.devices.example.com", "d7.example.net"][..]);
        check(&settings(By::Dns, &[both]), &Err(CertificateRefusal::SeveralNames(CertificateName::Dns)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_certificate_must_have_a_value_of_each_kind() {
        let accepts = |name, value: &'static [&'static str]| {
            settings(CertificateConsumer::CommonName, &[(CertificateName::Issuer, &["CN=Devices CA"]), (name, value)])
        };
        use CertificateName as Name;
        let accepted = [
            (Name::Dns, &["*.example.net"][..]),
            (Name::Dns, &["other.example", "d7.example.net"]),
            (Name::Uri, &["spiffe://example.org/*"]),
            (Name::Uri, &["spiffe://example.org/device/7"]),
            (Name::Subject, &["CN=d7,O=Example"]),
        ];
        for (name, value) in accepted {
            check(&accepts(name, value), &Ok("devices:d7"));
        }
        let refused = [
            (Name::Dns, &["*.example.com"][..]),
            (Name::Dns, &["*.net"]),
            (Name::Dns, &["example.net"]),
            (Name::Uri, &["spiffe://example.org/device/7/*"]),
            (Name::Uri, &["spiffe://example.or/*"]),
            (Name::Uri, &["spiffe://example.org/device/"]),
            (Name::Email, &["ops@example.com"]),
            (Name::CommonName, &["D7", "*"]),
        ];
        for (name, value) in refused {
            check(&accepts(name, value), &Err(CertificateRefusal::NotAccepted(name)));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_verified_certificate_is_accepted_and_only_while_it_is_valid() {
        let policy = settings(CertificateConsumer::CommonName, &[]);
        let at = |ms, trust| policy.caller("devices", &with_trust(trust), Timestamp::from_millis(ms)).map(drop);
        assert_eq!(at(9_999, Trust::Verified), Err(CertificateRefusal::NotYet));
        assert_eq!([10_000, 20_999].map(|ms| at(ms, Trust::Verified)), [Ok(()), Ok(())]);
        assert_eq!(at(21_000, Trust::Verified), Err(CertificateRefusal::Expired));
        assert_eq!(at(15_000, Trust::Revoked), Err(CertificateRefusal::Revoked));
        let reason = || "self-signed".to_owned();
        assert_eq!(at(15_000, Trust::NotVerified(reason())), Err(CertificateRefusal::NotVerified(reason())));
        let absent = policy.caller("devices", &PeerCertificate::Absent, Timestamp::default());
        assert_eq!(absent, Err(CertificateRefusal::Absent));
    }
}
