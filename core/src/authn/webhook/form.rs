//! How each sender signs its messages.

use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use http::HeaderMap;

use super::settings::{Encoding, WebhookSender};
use super::{Signature, WEBHOOK_SECRET_BYTES_MIN, WebhookKeyError};
use crate::authn::MessageError;
use crate::hex;
use crate::jose::{Algorithm, Jwk};

/// Where the parts of a signature are, and what is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'f> {
    /// The field of the signatures.
    pub(super) field: &'f str,
    /// What separates its members; absent, it is one signature.
    separator: Option<char>,
    /// What is before a signature of a shared secret.
    prefix: &'f str,
    /// What is before a signature of a public key.
    public_prefix: Option<&'f str>,
    encoding: Encoding,
    pub(super) algorithm: Algorithm,
    /// The field of the message's id.
    pub(super) id: Option<&'f str>,
    pub(super) timestamp: TimestampPlace<'f>,
    /// What is signed; [`ID`], [`TIMESTAMP`] and [`CONTENT`] stand for the parts of the message.
    signed: &'f str,
}

/// Where the time of signing is.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimestampPlace<'f> {
    /// It is not signed.
    Nowhere,
    /// In a field.
    Field(&'f str),
    /// In a member of the field of the signatures, after this name and `=`.
    Member(&'f str),
}

/// Standard Webhooks 1.0.0.
const STANDARD: Form<'static> = Form {
    field: "webhook-signature",
    separator: Some(' '),
    prefix: "v1,",
    public_prefix: Some("v1a,"),
    encoding: Encoding::Base64,
    algorithm: Algorithm::Hs256,
    id: Some("webhook-id"),
    timestamp: TimestampPlace::Field("webhook-timestamp"),
    signed: "{id}.{timestamp}.{body}",
};

/// The same, with the names that the fields had before the standard: Svix still sends these.
const SVIX: Form<'static> = Form {
    field: "svix-signature",
    id: Some("svix-id"),
    timestamp: TimestampPlace::Field("svix-timestamp"),
    ..STANDARD
};

const GITHUB: Form<'static> = Form {
    field: "x-hub-signature-256",
    separator: None,
    prefix: "sha256=",
    public_prefix: None,
    encoding: Encoding::Hex,
    algorithm: Algorithm::Hs256,
    id: None,
    timestamp: TimestampPlace::Nowhere,
    signed: CONTENT,
};

const STRIPE: Form<'static> = Form {
    field: "stripe-signature",
    separator: Some(','),
    prefix: "v1=",
    timestamp: TimestampPlace::Member("t="),
    signed: "{timestamp}.{body}",
    ..GITHUB
};

const SLACK: Form<'static> = Form {
    field: "x-slack-signature",
    prefix: "v0=",
    timestamp: TimestampPlace::Field("x-slack-request-timestamp"),
    signed: "v0:{timestamp}:{body}",
    ..GITHUB
};

impl WebhookSender {
    pub(super) fn form(&self) -> Form<'_> {
        match self {
            Self::StandardWebhooks => STANDARD,
            Self::GitHub => GITHUB,
            Self::Stripe => STRIPE,
            Self::Slack => SLACK,
            Self::Hmac(own) => Form {
                field: &own.field,
                separator: Some(','),
                prefix: &own.prefix,
                encoding: own.encoding,
                algorithm: own.algorithm.into(),
                timestamp: own.timestamp_field.as_deref().map_or(TimestampPlace::Nowhere, TimestampPlace::Field),
                signed: &own.signed,
                ..GITHUB
            },
        }
    }

    /// The form of a request with these fields: the first one whose signature is there.
    pub(super) fn form_in(&self, fields: &HeaderMap) -> Form<'_> {
        let is_older =
            *self == Self::StandardWebhooks && !fields.contains_key(STANDARD.field) && fields.contains_key(SVIX.field);
        if is_older { SVIX } else { self.form() }
    }

    pub(super) fn key(&self, secret: &str) -> Result<Jwk, WebhookKeyError> {
        let bytes = match self {
            Self::StandardWebhooks => {
                if let Some(point) = secret.strip_prefix("whpk_") {
                    let point = Base64::decode_vec(point).ok().and_then(|bytes| bytes.try_into().ok());
                    return point.and_then(Jwk::of_ed25519).ok_or(WebhookKeyError::Form);
                }
                return Ok(Jwk::of_secret(standard_key(secret)?));
            }
            Self::GitHub | Self::Stripe | Self::Slack | Self::Hmac(_) => secret.as_bytes().to_vec(),
        };
        if bytes.len() < WEBHOOK_SECRET_BYTES_MIN { Err(WebhookKeyError::Short) } else { Ok(Jwk::of_secret(bytes)) }
    }
}

/// The bytes of a shared secret of Standard Webhooks.
///
/// # Errors
/// If it has another form, or few bytes.
pub fn standard_key(secret: &str) -> Result<Vec<u8>, WebhookKeyError> {
    let bytes = secret.strip_prefix("whsec_").and_then(|encoded| Base64::decode_vec(encoded).ok());
    let bytes = bytes.ok_or(WebhookKeyError::Form)?;
    if bytes.len() < WEBHOOK_SECRET_BYTES_MIN { Err(WebhookKeyError::Short) } else { Ok(bytes) }
}

impl<'f> Form<'f> {
    /// The signatures in a field; members with other names are of versions that are not known here.
    pub(super) fn signatures(&self, text: &str) -> Result<Vec<Signature>, MessageError> {
        let mut signatures = Vec::new();
        for member in self.members(text) {
            let public = self.public_prefix.and_then(|prefix| member.strip_prefix(prefix));
            let Some(encoded) = public.or_else(|| member.strip_prefix(self.prefix)) else { continue };
            if signatures.len() == SIGNATURES_MAX {
                return Err(MessageError::TooMany);
            }
            let bytes = self.encoding.decode(encoded).filter(|bytes| !bytes.is_empty()).ok_or(MessageError::Form)?;
            signatures.push(Signature { is_public: public.is_some(), bytes });
        }
        if signatures.is_empty() { Err(MessageError::Form) } else { Ok(signatures) }
    }

    /// The one member of a field that begins with a name.
    pub(super) fn member<'t>(&self, text: &'t str, name: &str) -> Result<Option<&'t str>, MessageError> {
        let mut found = self.members(text).filter_map(|member| member.strip_prefix(name));
        let first = found.next();
        if found.next().is_some() { Err(MessageError::Several) } else { Ok(first) }
    }

    fn members<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let separator = self.separator.unwrap_or('\0');
        text.split(separator).map(str::trim)
    }

    /// A signature as the sender writes it.
    pub(super) fn written(&self, signature: &[u8]) -> String {
        let encoded = match self.encoding {
            Encoding::Hex => hex::encode(signature),
            Encoding::Base64 => Base64::encode_string(signature),
        };
        [self.prefix, &encoded].concat()
    }

    /// What is signed of a message with these parts.
    pub(super) fn message(&self, id: &str, timestamp: &str, content: &Bytes) -> Bytes {
        if self.signed == CONTENT {
            return content.clone();
        }
        let mut message = Vec::with_capacity(self.signed.len() + id.len() + timestamp.len() + content.len());
        let mut rest = self.signed;
        while !rest.is_empty() {
            let parts: [(&str, &[u8]); 3] =
                [(ID, id.as_bytes()), (TIMESTAMP, timestamp.as_bytes()), (CONTENT, content)];
            match parts.iter().find_map(|(name, part)| Some((rest.strip_prefix(name)?, part))) {
                Some((after, part)) => {
                    message.extend_from_slice(part);
                    rest = after;
                }
                None => {
                    let end = rest[1..].find('{').map_or(rest.len(), |at| at + 1);
                    message.extend_from_slice(&rest.as_bytes()[..end]);
                    rest = &rest[end..];
                }
            }
        }
        message.into()
    }
}

impl Encoding {
    /// The bytes of a signature.
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => {
                let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
                pairs.iter().map(|[high, low]| Some(hex::digit(*high)? << 4 | hex::digit(*low)?)).collect()
            }
            Self::Base64 => Base64::decode_vec(text).ok(),
        }
    }
}

pub(super) const ID: &str = "{id}";
pub(super) const TIMESTAMP: &str = "{timestamp}";
pub(super) const CONTENT: &str = "{body}";

/// Signatures that are tried: while a sender replaces a secret, it signs with both.
const SIGNATURES_MAX: usize = 4;
