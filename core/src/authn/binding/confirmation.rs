//! What a token is bound to.

use super::BindingError;
use crate::authn::{ClaimError, PeerCertificate};
use crate::jose::{Members, Thumbprint, Value};
use crate::time::Timestamp;
use crate::x509::Fingerprint;

/// What a token is bound to, by its claim `cnf` (RFC 7800, section 3.1): a certificate, a key, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The certificate of the client (RFC 8705, section 3.1).
    pub certificate: Option<Fingerprint>,
    /// The key of the client's proofs (RFC 9449, section 6.1).
    pub key: Option<Thumbprint>,
}

impl Confirmation {
    /// What a token with these claims is bound to. Other members of `cnf` are ignored (RFC 7800, section 3.1).
    ///
    /// # Errors
    /// If `cnf` has another form.
    pub fn of(claims: &Members) -> Result<Option<Box<Self>>, ClaimError> {
        let form = || ClaimError::Form("cnf".to_owned());
        let members = match claims.get("cnf") {
            None => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(form()),
        };
        let thumbprint = |name| match members.get(name) {
            None => Ok(None),
            Some(value) => value.as_text().and_then(Thumbprint::parse).map(Some).ok_or_else(form),
        };
        let certificate = thumbprint("x5t#S256")?.map(|digest| Fingerprint::new(*digest.as_bytes()));
        let key = thumbprint("jkt")?;
        let is_bound = certificate.is_some() || key.is_some();
        Ok(is_bound.then(|| Box::new(Self { certificate, key })))
    }

    /// Checks that the client has the certificate to which the token is bound (RFC 8705, section 3).
    ///
    /// # Errors
    /// If the client has none or another one, or one that is not accepted now.
    pub fn check_certificate(&self, peer: &PeerCertificate, now: Timestamp) -> Result<(), BindingError> {
        let Some(bound) = &self.certificate else { return Ok(()) };
        let presented = match peer {
            PeerCertificate::Absent => return Err(BindingError::NoCertificate),
            PeerCertificate::Unreadable(_) => return Err(BindingError::MalformedCertificate),
            PeerCertificate::Presented(presented) => presented,
        };
        if presented.certificate.fingerprint != *bound {
            return Err(BindingError::OtherCertificate);
        }
        presented.valid(now).map(drop).map_err(|_| BindingError::BadCertificate)
    }

    /// A text that is the same for all tokens of one installation of a client.
    #[must_use]
    pub fn installation(&self) -> String {
        match (&self.key, &self.certificate) {
            (Some(key), _) => key.to_string(),
            (None, Some(certificate)) => certificate.to_base64url(),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::{PresentedCertificate, Trust};
    use crate::x509::{AlternativeNames, Certificate};
    use wasm_bindgen_test::wasm_bindgen_test;

    const DIGEST: &str = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";

    fn confirmation(cnf: &str) -> Result<Option<Box<Confirmation>>, ClaimError> {
        Confirmation::of(&Members::parse(format!(r#"{{"cnf":{cnf}}}"#).as_bytes()).unwrap())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7800_3_1_a_token_is_bound_to_what_its_claim_says() {
        // The last character has bits that have no meaning.
        let digest = DIGEST.replace("dg2", "dg0");
        let bound = |cnf: String| confirmation(&cnf).unwrap().unwrap();
        let to_certificate = bound(format!(r#"{{"x5t#S256":"{digest}"}}"#));
        assert_eq!(to_certificate.certificate.as_ref().map(Fingerprint::to_base64url), Some(digest.clone()));
        assert!(to_certificate.key.is_none() && to_certificate.installation() == digest);
        let to_key = bound(format!(r#"{{"jkt":"{digest}","kid":"a"}}"#));
        assert!(to_key.certificate.is_none() && to_key.installation() == digest);
        assert_eq!(Confirmation::of(&Members::parse(b"{}").unwrap()), Ok(None));
        assert_eq!(confirmation(r#"{"kid":"a"}"#), Ok(None));
        for other in ["1", "null", r#"{"jkt":1}"#, r#"{"jkt":""}"#, r#"{"x5t#S256":"AAAA"}"#] {
            assert_eq!(confirmation(other), Err(ClaimError::Form("cnf".into())), "{other}");
        }
        assert!(confirmation(&format!(r#"{{"jkt":"{DIGEST}"}}"#)).is_err());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_8705_3_a_bound_token_is_accepted_from_who_has_the_certificate() {
        let certificate = |trust| {
            let certificate = Certificate {
                fingerprint: Fingerprint::of(b"own"),
                subject: "CN=a".into(),
                common_name: None,
                issuer: "CN=ca".into(),
                not_before: Timestamp::from_millis(1_000),
                not_after: Timestamp::from_millis(9_000),
                names: AlternativeNames::default(),
            };
            PeerCertificate::Presented(Box::new(PresentedCertificate { certificate, trust }))
        };
        let bound = |to: &[u8]| Confirmation { certificate: Some(Fingerprint::of(to)), key: None };
        let check =
            |to, peer: &PeerCertificate, ms| bound(to).check_certificate(peer, Timestamp::from_millis(ms)).err();
        assert_eq!(check(b"own", &certificate(Trust::Verified), 5_000), None);
        assert_eq!(check(b"own", &PeerCertificate::Absent, 5_000), Some(BindingError::NoCertificate));
        assert_eq!(check(b"other", &certificate(Trust::Verified), 5_000), Some(BindingError::OtherCertificate));
        for (trust, ms) in [
            (Trust::Verified, 10_000),
            (Trust::Verified, 999),
            (Trust::Revoked, 5_000),
            (Trust::NotVerified("self-signed".into()), 5_000),
        ] {
            assert_eq!(check(b"own", &certificate(trust), ms), Some(BindingError::BadCertificate));
        }
        let to_key = Confirmation { certificate: None, key: None };
        assert_eq!(to_key.check_certificate(&PeerCertificate::Absent, Timestamp::from_millis(1)), Ok(()));
    }
}
