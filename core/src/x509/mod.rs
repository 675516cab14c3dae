//! What the gateway reads of X.509 certificates (RFC 5280): who they name, and when they are valid.
//!
//! Nothing here verifies a certificate: the host has verified its chain when it accepted the connection, or a trusted
//! proxy has. A library that reads all of X.509 would be an eighth of the Worker's size
//! ([decision 24](../../../docs/decisions/0024-certificates.md)).

mod certificate;
mod certificate_name;
mod der;
mod name;

pub use certificate::{AlternativeNames, Certificate, CertificateError, Fingerprint};
pub use certificate_name::CertificateName;
