//! The settings of a `webhook` policy.

use std::num::NonZeroU32;

use http::HeaderMap;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::form::{CONTENT, TIMESTAMP};
use crate::authn::Authenticator;
use crate::codec::{self, Decode};
use crate::field_name::is_field_name;
use crate::jose::Algorithm;
use crate::kinds::{PolicyKind, Uses};
use crate::secret::SecretText;

/// Settings of one `webhook` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct WebhookSettings {
    /// Who signs, and how.
    #[n(0)]
    pub sender: WebhookSender,
    /// The secrets, any of which may have been used: two while one is replaced.
    #[n(1)]
    pub secrets: Vec<SecretText>,
    /// The consumer; absent, the name of the policy.
    #[serde(default)]
    #[n(2)]
    pub consumer: Option<String>,
    /// How long before or after now a message may have been signed, in seconds.
    #[n(3)]
    pub tolerance_s: u32,
    /// How long a message that was accepted is refused, in milliseconds; absent, it is accepted again.
    #[serde(default)]
    #[n(4)]
    pub once_ms: Option<NonZeroU32>,
}

impl codec::Section for WebhookSettings {}

/// Who signs, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum WebhookSender {
    /// As in Standard Webhooks 1.0.0.
    #[n(0)]
    StandardWebhooks,
    /// GitHub.
    #[serde(rename = "github")]
    #[n(1)]
    GitHub,
    /// Stripe.
    #[n(2)]
    Stripe,
    /// Slack.
    #[n(3)]
    Slack,
    /// Another sender that uses HMAC.
    #[n(4)]
    Hmac(#[n(0)] HmacSender),
}

/// A sender that signs with HMAC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct HmacSender {
    /// The field with the signature, in lower case.
    #[n(0)]
    pub field: String,
    /// What is before the signature in it.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub prefix: String,
    /// The hash.
    #[n(2)]
    pub algorithm: HmacHash,
    /// How the signature is written.
    #[n(3)]
    pub encoding: Encoding,
    /// The field with the time of signing, in lower case.
    #[serde(default)]
    #[n(4)]
    pub timestamp_field: Option<String>,
    /// What is signed: a text with `{timestamp}` and `{body}`.
    #[n(5)]
    pub signed: String,
}

/// The hash of an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum HmacHash {
    /// SHA-256.
    #[n(0)]
    Sha256,
    /// SHA-384.
    #[n(1)]
    Sha384,
    /// SHA-512.
    #[n(2)]
    Sha512,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Encoding {
    /// Hexadecimal, in either case.
    #[n(0)]
    Hex,
    /// Base64 with padding.
    #[n(1)]
    Base64,
}

impl From<HmacHash> for Algorithm {
    fn from(hash: HmacHash) -> Self {
        match hash {
            HmacHash::Sha256 => Self::Hs256,
            HmacHash::Sha384 => Self::Hs384,
            HmacHash::Sha512 => Self::Hs512,
        }
    }
}

impl HmacSender {
    /// Whether the signed text contains the content once, the time exactly if a field has it, and no other name.
    #[must_use]
    pub fn signs_all(&self) -> bool {
        let count = |name| self.signed.matches(name).count();
        let names = count(CONTENT) + count(TIMESTAMP);
        let has_time = usize::from(self.timestamp_field.is_some());
        count(CONTENT) == 1 && count(TIMESTAMP) == has_time && count("{") == names && count("}") == names
    }
}

impl PolicyKind for WebhookSettings {
    fn is_coherent(&self) -> bool {
        let is_sender = match &self.sender {
            WebhookSender::Hmac(own) => {
                is_field_name(&own.field) && own.timestamp_field.as_deref().is_none_or(is_field_name) && own.signs_all()
            }
            WebhookSender::StandardWebhooks | WebhookSender::GitHub | WebhookSender::Stripe | WebhookSender::Slack => {
                true
            }
        };
        let has_name = self.consumer.as_ref().is_none_or(|consumer| !consumer.is_empty());
        is_sender && has_name && (1..=WEBHOOK_SECRETS_MAX).contains(&self.secrets.len())
    }

    fn uses(&self) -> Uses<'_> {
        Uses { secrets: &self.secrets, content: true, once: self.once_ms.is_some(), ..Uses::default() }
    }
}

impl Authenticator for WebhookSettings {
    /// No scheme is registered for such signatures; the challenge names the field.
    fn challenge(&self, realm: &str) -> String {
        format!("Signature realm=\"{realm}\", header=\"{}\"", self.sender.form().field)
    }

    fn is_signed(&self, fields: &HeaderMap) -> bool {
        fields.contains_key(self.sender.form_in(fields).field)
    }
}

/// Secrets of one policy: one, and another while it is replaced.
pub const WEBHOOK_SECRETS_MAX: usize = 2;
