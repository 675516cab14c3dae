//! The settings of an `http-signature` policy.

use std::num::NonZeroU32;

use base64ct::{Base64, Encoding};
use http::HeaderMap;
use minicbor::Encode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::authn::Authenticator;
use crate::codec::{self, Decode};
use crate::jose::{Algorithm, Algorithms, Jwk, KeyType};
use crate::kinds::{PolicyKind, Uses};
use crate::secret::{Secret, SecretText};
use crate::structured::{Bare, Item, StructureError};

/// Settings of one `http-signature` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct HttpSignatureSettings {
    /// Where the keys are.
    #[n(0)]
    pub keys: SigningKeys,
    /// The algorithms that are accepted.
    #[n(1)]
    pub algorithms: Algorithms,
    /// The components that must be signed, as [`component`] writes them; none: the method, the URL, and the digest of content.
    #[serde(default)]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub components: Vec<String>,
    /// How long after it was created a signature is accepted, in seconds.
    #[n(3)]
    pub age_max_s: u32,
    /// How far the clocks of signers may be from that of the gateway, in seconds.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub leeway_s: u32,
    /// The label of the signature; absent, any.
    #[serde(default)]
    #[n(5)]
    pub label: Option<String>,
    /// The tag of the signature; absent, any.
    #[serde(default)]
    #[n(6)]
    pub tag: Option<String>,
    /// Parameters that a signature must have, besides `created` and `keyid`.
    #[serde(default)]
    #[cbor(n(7), skip_if = "codec::is_default")]
    pub required: Vec<String>,
    /// The ids of keys and their consumers; with none, each key is a consumer of its own.
    #[serde(default)]
    #[cbor(n(8), skip_if = "codec::is_default")]
    pub owners: Vec<(String, String)>,
    /// How long a signature that was accepted, or its nonce, is refused, in milliseconds; absent, it is accepted again.
    #[serde(default)]
    #[n(9)]
    pub once_ms: Option<NonZeroU32>,
}

impl codec::Section for HttpSignatureSettings {}

/// Where the keys of signers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum SigningKeys {
    /// The JWK Set at this URL; the second is whether it may have an address that is not public.
    #[n(0)]
    Set(#[n(0)] String, #[n(1)] bool),
    /// A JWK Set in the configuration.
    #[n(1)]
    Static(#[n(0)] String),
    /// The ids of shared secrets, and the secrets.
    #[n(2)]
    Secrets(#[n(0)] Vec<String>, #[n(1)] Vec<SecretText>),
}

/// The identifier of a component as it is signed, such as `"@query-param";name="id"`, of its form without the first quotes.
///
/// # Errors
/// If it is none that a request can have.
pub fn component(written: &str) -> Result<String, StructureError> {
    let (name, parameters) = written.split_at(written.find(';').unwrap_or(written.len()));
    let item = Item::parse(&format!("\"{name}\"{parameters}"))?;
    super::presented::identifier(&item).map_err(|_| StructureError)
}

/// The key of a shared secret: its text, or the bytes that it encodes after `base64:`.
///
/// # Errors
/// If it cannot be used.
pub fn shared_key(id: &str, secret: &Secret) -> Result<Jwk, SharedKeyError> {
    let bytes = match secret.expose().strip_prefix("base64:") {
        Some(encoded) => Base64::decode_vec(encoded).map_err(|_| SharedKeyError::Base64)?,
        None => secret.expose().as_bytes().to_vec(),
    };
    if bytes.len() < Algorithm::Hs256.secret_bytes_min() {
        return Err(SharedKeyError::Short);
    }
    Ok(Jwk { id: Some(id.to_owned()), ..Jwk::of_secret(bytes) })
}

/// Why a shared secret cannot be used. The texts are for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SharedKeyError {
    /// It has fewer bytes than the hash (RFC 7518, section 3.2).
    #[error("a shared secret has fewer than 32 bytes")]
    Short,
    /// It is not base64.
    #[error("a shared secret begins with `base64:`, and is not base64")]
    Base64,
}

impl HttpSignatureSettings {
    /// The consumer of a key; `None` if nobody has it.
    #[must_use]
    pub fn consumer(&self, policy: &str, key_id: &str) -> Option<String> {
        if self.owners.is_empty() {
            // Another policy, or the provider of the keys, cannot choose the name of another consumer.
            return Some([policy, ":", key_id].concat());
        }
        self.owners.iter().find(|(own, _)| own == key_id).map(|(_, consumer)| consumer.clone())
    }

    /// The identifiers of the components that must be signed.
    pub fn required_components(&self) -> impl Iterator<Item = &str> {
        let default = if self.components.is_empty() { DEFAULT.as_slice() } else { &[] };
        self.components.iter().map(String::as_str).chain(default.iter().copied())
    }

    /// What a signer is asked for (RFC 9421, section 5.1), as the member with this label unless the policy has one.
    fn asked(&self, label: &str) -> String {
        let mut asked = self.label.as_deref().unwrap_or(label).to_owned();
        asked.push_str("=(");
        for (at, component) in self.required_components().enumerate() {
            asked.push_str(if at == 0 { "" } else { " " });
            asked.push_str(component);
        }
        asked.push_str(");created");
        if self.required.iter().any(|name| name == "expires") {
            asked.push_str(";expires");
        }
        if let Some(tag) = &self.tag {
            asked.push_str(";tag=");
            Bare::String(tag.clone()).write(&mut asked);
        }
        asked
    }
}

impl PolicyKind for HttpSignatureSettings {
    fn is_coherent(&self) -> bool {
        let is_shared = |algorithm: Algorithm| algorithm.key_type() == KeyType::Octets;
        // A public key is never the secret of an HMAC, nor the other way round.
        let keys_fit = match &self.keys {
            SigningKeys::Secrets(ids, secrets) => {
                ids.len() == secrets.len() && !ids.is_empty() && self.algorithms.iter().all(is_shared)
            }
            SigningKeys::Set(..) | SigningKeys::Static(_) => !self.algorithms.iter().any(is_shared),
        };
        let is_known = |written: &String| Item::parse(written).is_ok_and(|item| super::base::is_known(&item));
        keys_fit && !self.algorithms.is_empty() && self.components.iter().all(is_known)
    }

    fn uses(&self) -> Uses<'_> {
        let (secrets, fetches): (&[SecretText], u32) = match &self.keys {
            SigningKeys::Secrets(_, secrets) => (secrets, 0),
            SigningKeys::Static(_) => (&[], 0),
            // The keys, and again for a key that is not among them.
            SigningKeys::Set(..) => (&[], 2),
        };
        // A signature may cover the digest where it need not.
        Uses { secrets, content: true, once: self.once_ms.is_some(), fetches, ..Uses::default() }
    }
}

impl Authenticator for HttpSignatureSettings {
    fn challenge(&self, realm: &str) -> String {
        format!("Signature realm=\"{realm}\"")
    }

    fn accept_signature(&self, label: &str) -> Option<String> {
        Some(self.asked(label))
    }

    fn is_signed(&self, fields: &HeaderMap) -> bool {
        fields.contains_key("signature")
    }
}

pub(super) const CONTENT_DIGEST: &str = "\"content-digest\"";

/// What is required if the policy does not say it; `content-digest` only of content.
const DEFAULT: [&str; 3] = ["\"@method\"", TARGET_URI, CONTENT_DIGEST];
pub(super) const TARGET_URI: &str = "\"@target-uri\"";
