//! The `webhook` policy: a message that its sender signed with a secret that it shares with the receiver.
//!
//! Every form is a row of one table (`form.rs`): which fields have signature, time and id, and what is signed. Whether the
//! signature is right is decided by the platform, which gets the key and the message.

mod form;
mod settings;

use bytes::Bytes;
use http::HeaderMap;
use thiserror::Error;

use super::MessageError;
use super::signed::{check_age, seconds};
use crate::jose::{Algorithm, Jwk, KeyType};
use crate::secret::Secret;
use crate::time::Timestamp;
pub use form::standard_key;
use form::{Form, TimestampPlace};
pub use settings::{Encoding, HmacHash, HmacSender, WEBHOOK_SECRETS_MAX, WebhookSender, WebhookSettings};

/// What the fields of a request say of its signature.
#[derive(Debug)]
pub struct WebhookSigned<'r> {
    form: Form<'r>,
    id: &'r str,
    timestamp: &'r str,
    signatures: Vec<Signature>,
}

#[derive(Debug)]
struct Signature {
    /// Whether a public key verifies it.
    is_public: bool,
    bytes: Vec<u8>,
}

/// Why a secret of a webhook cannot be used. The texts are for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WebhookKeyError {
    /// Everyone could guess it.
    #[error("a secret has fewer than {WEBHOOK_SECRET_BYTES_MIN} bytes")]
    Short,
    /// It has another form than the standard's.
    #[error("a secret is neither `whsec_` with base64, nor `whpk_` with the base64 of 32 bytes")]
    Form,
}

impl WebhookSettings {
    /// Reads the fields of a request; `None` if it has no signature.
    ///
    /// # Errors
    /// If the fields are not those of the sender.
    pub fn presented<'r>(&'r self, fields: &'r HeaderMap) -> Result<Option<WebhookSigned<'r>>, MessageError> {
        let form = self.sender.form_in(fields);
        let Some(text) = only(fields, form.field)? else { return Ok(None) };
        let signatures = form.signatures(text)?;
        let id = match form.id {
            Some(field) => only(fields, field)?.filter(|id| !id.is_empty() && !id.contains('.')),
            None => Some(""),
        };
        let timestamp = match form.timestamp {
            TimestampPlace::Nowhere => Some(""),
            TimestampPlace::Field(field) => only(fields, field)?,
            TimestampPlace::Member(name) => form.member(text, name)?,
        };
        let timestamp = timestamp.ok_or(MessageError::Timestamp)?;
        Ok(Some(WebhookSigned { id: id.ok_or(MessageError::Id)?, timestamp, signatures, form }))
    }

    /// Checks when the message was signed, if that is signed too.
    ///
    /// # Errors
    /// If it was too long ago, or in the future.
    pub fn check_time(&self, signed: &WebhookSigned<'_>, now: Timestamp) -> Result<(), MessageError> {
        if matches!(signed.form.timestamp, TimestampPlace::Nowhere) {
            return Ok(());
        }
        let signed_s = seconds(signed.timestamp).ok_or(MessageError::Timestamp)?;
        check_age(signed_s, self.tolerance_s, now)
    }

    /// The fields with which the sender sends a message, for tools that play the sender; `sign` makes the bytes of the
    /// signature.
    pub fn fields_of(
        &self,
        id: &str,
        now: Timestamp,
        content: &Bytes,
        sign: impl FnOnce(Algorithm, &[u8]) -> Vec<u8>,
    ) -> Vec<(String, String)> {
        let (form, timestamp) = (self.sender.form(), now.as_secs().to_string());
        let signature = form.written(&sign(form.algorithm, &form.message(id, &timestamp, content)));
        let named = |name: &str, value: String| (name.to_owned(), value);
        let mut fields: Vec<_> = form.id.map(|field| named(field, id.to_owned())).into_iter().collect();
        match form.timestamp {
            TimestampPlace::Nowhere => fields.push(named(form.field, signature)),
            TimestampPlace::Member(name) => fields.push(named(form.field, format!("{name}{timestamp},{signature}"))),
            TimestampPlace::Field(field) => {
                fields.extend([named(field, timestamp), named(form.field, signature)]);
            }
        }
        fields
    }

    /// The key that a secret contains.
    ///
    /// # Errors
    /// If the secret cannot be one of the sender.
    pub fn key(&self, secret: &Secret) -> Result<Jwk, WebhookKeyError> {
        self.sender.key(secret.expose())
    }
}

/// Whether a text can be a secret of Standard Webhooks.
#[must_use]
pub fn is_standard_secret(text: &str) -> bool {
    WebhookSender::StandardWebhooks.key(text).is_ok()
}

impl WebhookSigned<'_> {
    /// The algorithm for a key, and the signatures that the key may have made.
    pub fn candidates(&self, key: &Jwk) -> (Algorithm, impl Iterator<Item = &[u8]>) {
        let is_public = key.material.key_type() == KeyType::Ed25519;
        let algorithm = if is_public { Algorithm::EdDsa } else { self.form.algorithm };
        let signatures = self.signatures.iter().filter(move |signature| signature.is_public == is_public);
        (algorithm, signatures.map(|signature| signature.bytes.as_slice()))
    }

    /// What was signed, if the request has this content.
    #[must_use]
    pub fn message(&self, content: &Bytes) -> Bytes {
        self.form.message(self.id, self.timestamp, content)
    }
}

/// The only line of a field.
fn only<'r>(fields: &'r HeaderMap, name: &str) -> Result<Option<&'r str>, MessageError> {
    let mut lines = fields.get_all(name).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(MessageError::Several);
    }
    line.to_str().map(Some).map_err(|_| MessageError::Form)
}

/// The least bytes of a secret of a webhook: with fewer, all can be tried.
pub const WEBHOOK_SECRET_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests;
