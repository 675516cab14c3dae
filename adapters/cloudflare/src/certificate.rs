//! What the platform says of a client's certificate (`request.cf.tlsClientAuth`).

use tollgate_core::authn::{PeerCertificate, PresentedCertificate, Trust};
use tollgate_core::time::Timestamp;
use tollgate_core::x509::{AlternativeNames, Certificate, CertificateError, Fingerprint};

/// Reads the lines that `js/host.mjs` makes of it.
///
/// A revoked certificate is verified, too: it is accepted only if both say so.
pub(crate) fn read(said: &str) -> PeerCertificate {
    let mut lines = said.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (verified, revoked) = (line(), line());
    let trust = match (verified, revoked) {
        ("SUCCESS", "0") => Trust::Verified,
        ("SUCCESS", _) => Trust::Revoked,
        (reason, _) => Trust::NotVerified(reason.strip_prefix("FAILED:").unwrap_or(reason).to_owned()),
    };
    let (whole, fingerprint, issuer, subject) = (line(), line(), line(), line());
    let certificate = match whole {
        // It is longer than what the platform passes on.
        "" => described(fingerprint, issuer, subject),
        whole => Certificate::parse_field(whole),
    };
    match certificate {
        Ok(certificate) => PeerCertificate::Presented(Box::new(PresentedCertificate { certificate, trust })),
        Err(error) => PeerCertificate::Unreadable(error),
    }
}

/// A certificate without alternative names, because the platform does not say them. That it is valid now, the platform has
/// checked.
fn described(fingerprint: &str, issuer: &str, subject: &str) -> Result<Certificate, CertificateError> {
    Ok(Certificate {
        fingerprint: Fingerprint::parse(fingerprint).ok_or(CertificateError::Form)?,
        subject: subject.to_owned(),
        common_name: None,
        issuer: issuer.to_owned(),
        not_before: Timestamp::default(),
        not_after: Timestamp::MAX,
        names: AlternativeNames::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "b7b5b71a982b2c6584a68c4456651da88f764d51593a46ea6fc4a22f24621db0";

    #[track_caller]
    fn check(verified: &str, revoked: &str, want: &Trust) {
        let said = format!("{verified}\n{revoked}\n\n{DIGEST}\nCN=CA\nCN=d7");
        let PeerCertificate::Presented(read) = read(&said) else { panic!("{said}") };
        assert_eq!(read.trust, *want);
        assert_eq!((read.certificate.subject.as_str(), read.certificate.issuer.as_str()), ("CN=d7", "CN=CA"));
        assert_eq!(read.certificate.fingerprint.to_string(), DIGEST);
    }

    #[test]
    fn only_a_verified_certificate_that_is_not_revoked_is_trusted() {
        check("SUCCESS", "0", &Trust::Verified);
        check("SUCCESS", "1", &Trust::Revoked);
        check("SUCCESS", "", &Trust::Revoked);
        check("FAILED:certificate has expired", "0", &Trust::NotVerified("certificate has expired".into()));
        check("FAILED", "0", &Trust::NotVerified("FAILED".into()));
        check("NONE", "0", &Trust::NotVerified("NONE".into()));
        check("", "0", &Trust::NotVerified(String::new()));
    }

    #[test]
    fn what_cannot_be_read_is_not_a_certificate() {
        for said in ["", "SUCCESS", "SUCCESS\n0\n\nabc", "SUCCESS\n0\n:MII:"] {
            assert_eq!(read(said), PeerCertificate::Unreadable(CertificateError::Form), "{said}");
        }
    }
}
