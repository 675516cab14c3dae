//! The certificate of a client in a test.

use tollgate_core::authn::{PeerCertificate, PresentedCertificate, Trust};
use tollgate_core::time::Timestamp;
use tollgate_core::x509::{AlternativeNames, Certificate, Fingerprint};

use super::consumer::{Keys, timestamp};
use super::request;
use crate::decode::{self, Fields};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::source::Node;

/// Decodes `client.certificate`.
pub(super) fn certificate(node: &Node, keys: &Keys, report: &mut Report) -> Option<PeerCertificate> {
    let mut f = Fields::open(node, &tables::TEST_CERTIFICATE, "`certificate`", node.span, report)?;
    let common_name = f.optional("common-name", report, decode::text).map(|text| text.value);
    let subject = f.optional("subject", report, decode::text).map(|text| text.value);
    let issuer = f.optional("issuer", report, decode::text).map(|text| text.value);
    let mut names = |key| {
        let read = f.optional(key, report, |node, report| decode::text_or_texts(node, NAMES_MAX, report));
        read.unwrap_or_default().into_iter().map(|text| text.value).collect::<Vec<_>>()
    };
    let (dns, uris, emails) = (names("dns"), names("uri"), names("email"));
    let registered = f.optional("key", report, |node, report| request::key(node, keys, report));
    let expires = f.optional("expires", report, timestamp);
    let trust = f.optional("trust", report, |node, report| decode::word(node, TRUST, report));
    f.finish(report);
    let subject = subject.or_else(|| common_name.as_ref().map(|name| format!("CN={name}"))).unwrap_or_default();
    // The certificate of a key is registered for the key's consumer.
    let key = registered.and_then(|name| keys.get(&name.value)?.as_ref().map(|key| key.digest().to_hex()));
    let fingerprint = key.and_then(|digest| Fingerprint::parse(&digest));
    let certificate = Certificate {
        fingerprint: fingerprint.unwrap_or_else(|| Fingerprint::of(subject.as_bytes())),
        subject,
        common_name,
        issuer: issuer.unwrap_or_else(|| "CN=test".to_owned()),
        not_before: Timestamp::default(),
        not_after: expires.unwrap_or(Timestamp::MAX),
        names: AlternativeNames { dns, uris, emails, addresses: Vec::new() },
    };
    let trust = match trust.unwrap_or("verified") {
        "revoked" => Trust::Revoked,
        "not-verified" => Trust::NotVerified("self-signed".to_owned()),
        _ => Trust::Verified,
    };
    Some(PeerCertificate::Presented(Box::new(PresentedCertificate { certificate, trust })))
}

const TRUST: &[(&str, &str)] = &[("verified", "verified"), ("revoked", "revoked"), ("not-verified", "not-verified")];

/// Far more than certificates of clients have.
const NAMES_MAX: usize = 100;
