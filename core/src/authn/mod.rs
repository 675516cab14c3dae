//! Who is calling: credentials presented by a request, and what the record of one allows.

pub mod api_key;
mod credential;

pub use api_key::{ApiKey, ApiKeySettings, KeyDigest, KeyError, Presented, query_without_keys};
pub use credential::{Credential, CredentialState};

use serde::{Deserialize, Serialize};

/// Whom a request is made for, once authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The owner of the credential.
    pub consumer: String,
    /// The credential's public id, never the key.
    pub credential: String,
    /// The plan the credential was issued for.
    pub plan: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The policy that authenticated it.
    pub policy: String,
}
