//! The `client-certificate` policy: who presents the certificate that the host, or a trusted proxy, has verified.

use std::sync::Arc;

use tollgate_core::authn::{
    CertificateCaller, CertificateRefusal, ClientCertificateSettings, Principal, certificate_id,
};
use tollgate_core::event::Reason;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use super::stored::{principal, store_failed};
use crate::isolate::Isolate;
use crate::isolate::credentials::registered;
use crate::pipeline::{Received, RequestContent};
use crate::ports::{Clock, Host};

impl Authenticates for ClientCertificateSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        _: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let certificate = received.certificates.of(self.source);
        let now = host.clock().now();
        let fingerprint = match self.caller(name, certificate, now).map_err(refused)? {
            CertificateCaller::Named(principal) => return Ok(Arc::new(principal)),
            CertificateCaller::Registered(fingerprint) => fingerprint,
        };
        let found = registered(isolate, host, &fingerprint).await.map_err(|failed| store_failed(&failed))?;
        let found = found.ok_or_else(|| {
            let detail = "This client certificate is not registered. Ask the operator of this API to register it.";
            let reason = Reason::CertificateUnknown { credential: certificate_id(&fingerprint).into() };
            Problem::new(ProblemKind::CredentialUnknown, detail, reason)
        })?;
        let found = principal(&found, "client certificate", now, received)?;
        Ok(self.of_registered(found, certificate))
    }
}

fn refused(error: CertificateRefusal) -> Problem {
    let kind = match error {
        CertificateRefusal::Absent => {
            let detail = "Connect with a client certificate (mutual TLS).";
            return Problem::new(ProblemKind::CredentialMissing, detail, Reason::CertificateMissing);
        }
        CertificateRefusal::Unreadable(_) => ProblemKind::CredentialMalformed,
        CertificateRefusal::Revoked => ProblemKind::CredentialRevoked,
        CertificateRefusal::Expired => ProblemKind::CredentialExpired,
        CertificateRefusal::NotYet => ProblemKind::CredentialNotYetValid,
        CertificateRefusal::NotVerified(_)
        | CertificateRefusal::NotAccepted(_)
        | CertificateRefusal::NoName(_)
        | CertificateRefusal::SeveralNames(_) => ProblemKind::CredentialNotAccepted,
    };
    let detail = format!("The client certificate is not accepted: {error}.");
    Problem::new(kind, detail, Reason::CertificateRefused { error })
}
