//! The names and other texts of a certificate, by kind.

use std::fmt;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{AlternativeNames, Certificate};
use crate::codec::Decode;

/// What a certificate may be accepted by, and what upstreams may be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum CertificateName {
    /// The common name in its subject.
    #[n(0)]
    CommonName,
    /// Its subject (RFC 4514).
    #[n(1)]
    Subject,
    /// A host name in its alternative names.
    #[n(2)]
    Dns,
    /// A URI in its alternative names.
    #[n(3)]
    Uri,
    /// An address of mail in its alternative names.
    #[n(4)]
    Email,
    /// Its fingerprint.
    #[n(5)]
    Fingerprint,
    /// Its issuer (RFC 4514).
    #[n(6)]
    Issuer,
}

impl CertificateName {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::CommonName, Self::Subject, Self::Dns, Self::Uri, Self::Email, Self::Fingerprint, Self::Issuer];

    /// The word in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CommonName => "common-name",
            Self::Subject => "subject",
            Self::Dns => "dns",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Fingerprint => "fingerprint",
            Self::Issuer => "issuer",
        }
    }

    /// The values of this kind that a certificate has.
    #[must_use]
    pub fn values(self, certificate: &Certificate) -> Vec<String> {
        let text = |text: &String| if text.is_empty() { Vec::new() } else { vec![text.clone()] };
        let AlternativeNames { dns, uris, emails, .. } = &certificate.names;
        match self {
            Self::CommonName => certificate.common_name.iter().cloned().collect(),
            Self::Subject => text(&certificate.subject),
            Self::Dns => dns.clone(),
            Self::Uri => uris.clone(),
            Self::Email => emails.clone(),
            Self::Fingerprint => vec![certificate.fingerprint.to_string()],
            Self::Issuer => text(&certificate.issuer),
        }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
