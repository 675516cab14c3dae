//! The signatures of a request, and the checks that need no key.

use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::base::{SignedRequest, combined, is_known};
use super::settings::{CONTENT_DIGEST, HttpSignatureSettings, TARGET_URI};
use crate::authn::MessageError;
use crate::authn::signed::check_age;
use crate::jose::{Algorithm, Algorithms};
use crate::structured::{Bare, InnerList, Item, Member, Members, Parameters};
use crate::time::Timestamp;

/// One signature of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedSignature {
    /// What it covers, with the parameters of the signature.
    input: InnerList,
    /// The identifiers of its components, for comparisons.
    identifiers: Vec<String>,
    /// The bytes of the signature.
    pub signature: Vec<u8>,
}

impl HttpSignatureSettings {
    /// Reads the signatures with the label and the tag of the policy; `None` if the request has no signature at all.
    ///
    /// # Errors
    /// If the fields cannot be read, or no signature is meant for the policy.
    pub fn presented(&self, fields: &HeaderMap) -> Result<Option<Vec<PresentedSignature>>, MessageError> {
        let (input, signature) = (combined(fields, "signature-input")?, combined(fields, "signature")?);
        let (input, signature) = match (input, signature) {
            (None, None) => return Ok(None),
            (Some(input), Some(signature)) => (input, signature),
            _ => return Err(MessageError::Form),
        };
        let parsed = |text: &str| Members::dictionary(text).map_err(|_| MessageError::Form);
        let (inputs, signatures) = (parsed(&input)?, parsed(&signature)?);
        if inputs.repeats || signatures.repeats {
            return Err(MessageError::Several);
        }
        let mut found = Vec::new();
        for (label, member) in inputs.all {
            let Member::Inner(input) = member else { return Err(MessageError::Form) };
            if !self.is_meant(&label, &input) {
                continue;
            }
            if found.len() == SIGNATURES_MAX {
                return Err(MessageError::TooMany);
            }
            let bytes = signatures.get(&label).and_then(Member::as_bytes).ok_or(MessageError::Form)?;
            found.push(PresentedSignature::new(input, bytes.to_vec())?);
        }
        if found.is_empty() { Err(MessageError::OtherSignature) } else { Ok(Some(found)) }
    }

    fn is_meant(&self, label: &str, input: &InnerList) -> bool {
        let has_tag = |tag: &String| input.parameters.text("tag") == Some(tag);
        self.label.as_ref().is_none_or(|own| own == label) && self.tag.as_ref().is_none_or(has_tag)
    }
}

impl HttpSignatureSettings {
    /// The fields with which a request is signed for this policy, for tools that play its sender; `sign` makes the bytes.
    ///
    /// # Errors
    /// If the request lacks a component that must be signed.
    pub fn fields_of(
        &self,
        key_id: &str,
        request: &SignedRequest<'_>,
        content: &[u8],
        now: Timestamp,
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Vec<(&'static str, String)>, MessageError> {
        let digest = member("sha-256", Sha256::digest(content).to_vec());
        let mut fields = request.fields.clone();
        if !content.is_empty() {
            let value = HeaderValue::try_from(digest.as_str()).map_err(|_| MessageError::Digest)?;
            fields.insert(HeaderName::from_static("content-digest"), value);
        }
        let label = self.label.as_deref().unwrap_or("sig");
        let seconds = Bare::Integer(i64::try_from(now.as_secs()).unwrap_or_default());
        let mut parameters = vec![("created", seconds.clone()), ("keyid", Bare::String(key_id.to_owned()))];
        parameters.extend(self.tag.clone().map(|tag| ("tag", Bare::String(tag))));
        let asked = |name: &str| self.required.iter().any(|own| own == name);
        let algorithm = SIGNATURE_ALGORITHMS.iter().find(|(_, own)| self.algorithms.contains(*own) && asked("alg"));
        parameters.extend(algorithm.map(|(name, _)| ("alg", Bare::String((*name).to_owned()))));
        parameters.extend(asked("expires").then(|| ("expires", after(&seconds, self.age_max_s))));
        parameters.extend(asked("nonce").then(|| ("nonce", Bare::String(format!("{}-{key_id}", now.as_secs())))));
        let parameters = Parameters(parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let covered = self.required_components().filter(|name| *name != CONTENT_DIGEST || !content.is_empty());
        let items = covered.map(Item::parse).collect::<Result<_, _>>().map_err(|_| MessageError::Component)?;
        let signed = PresentedSignature::new(InnerList { items, parameters }, Vec::new())?;
        let signature = sign(&signed.base(&SignedRequest { fields: &fields, ..*request })?);
        let mut lines =
            vec![("signature-input", format!("{label}={}", signed.written())), ("signature", member(label, signature))];
        lines.extend((!content.is_empty()).then_some(("content-digest", digest)));
        Ok(lines)
    }
}

/// A member of a dictionary.
fn member(name: &str, bytes: Vec<u8>) -> String {
    let mut text = format!("{name}=");
    Bare::Bytes(bytes).write(&mut text);
    text
}

fn after(seconds: &Bare, more: u32) -> Bare {
    match seconds {
        Bare::Integer(seconds) => Bare::Integer(seconds.saturating_add(more.into())),
        other => other.clone(),
    }
}

impl PresentedSignature {
    fn new(input: InnerList, signature: Vec<u8>) -> Result<Self, MessageError> {
        let mut identifiers = Vec::with_capacity(input.items.len());
        for item in &input.items {
            let own = identifier(item)?;
            if identifiers.len() == COMPONENTS_MAX || identifiers.contains(&own) {
                return Err(MessageError::Component);
            }
            identifiers.push(own);
        }
        Ok(Self { input, identifiers, signature })
    }

    /// Checks everything that needs no key: the parameters, the times, and what is covered.
    ///
    /// # Errors
    /// If the policy does not accept it.
    pub fn check(
        &self,
        settings: &HttpSignatureSettings,
        request: &SignedRequest<'_>,
        has_content: bool,
        now: Timestamp,
    ) -> Result<(), MessageError> {
        self.check_parameters(settings)?;
        self.check_times(settings, now)?;
        if self.algorithms(settings).is_empty() {
            return Err(MessageError::Algorithm);
        }
        let is_covered = |wanted: &str| match wanted {
            CONTENT_DIGEST if !has_content => true,
            TARGET_URI => self.covers(TARGET_URI) || self.covers_parts_of_url(request.query.is_some()),
            wanted => self.covers(wanted),
        };
        if settings.required_components().all(is_covered) { Ok(()) } else { Err(MessageError::Uncovered) }
    }

    /// Names that begin with a letter have other types than texts and numbers only where they are not known here.
    fn check_parameters(&self, settings: &HttpSignatureSettings) -> Result<(), MessageError> {
        for (name, value) in &self.input.parameters.0 {
            let has_type = match name.as_str() {
                "created" | "expires" => matches!(value, Bare::Integer(_)),
                "nonce" | "alg" | "keyid" | "tag" => matches!(value, Bare::String(_)),
                _ => true,
            };
            if !has_type {
                return Err(MessageError::Parameter);
            }
        }
        let has = |name: &str| self.input.parameters.get(name).is_some();
        let is_complete = has("created") && has("keyid") && settings.required.iter().all(|name| has(name));
        if is_complete { Ok(()) } else { Err(MessageError::Parameter) }
    }

    fn check_times(&self, settings: &HttpSignatureSettings, now: Timestamp) -> Result<(), MessageError> {
        let seconds = |name| match self.input.parameters.get(name) {
            Some(Bare::Integer(seconds)) => u64::try_from(*seconds).map(Some).map_err(|_| MessageError::Parameter),
            _ => Ok(None),
        };
        let leeway_s = u64::from(settings.leeway_s);
        let created = seconds("created")?.ok_or(MessageError::Parameter)?;
        if created > now.as_secs().saturating_add(leeway_s) {
            return Err(MessageError::Early);
        }
        if created <= now.as_secs() {
            check_age(created, settings.age_max_s.saturating_add(settings.leeway_s), now)?;
        }
        match seconds("expires")? {
            Some(expires) if expires.saturating_add(leeway_s) <= now.as_secs() => Err(MessageError::Late),
            _ => Ok(()),
        }
    }

    /// Whether a component is covered, as it is or in one of the forms of its whole value.
    fn covers(&self, wanted: &str) -> bool {
        let is_form = |rest: &str| matches!(rest, "" | ";sf" | ";bs");
        self.identifiers.iter().any(|own| own.strip_prefix(wanted).is_some_and(is_form))
    }

    fn covers_parts_of_url(&self, has_query: bool) -> bool {
        let has_path = self.covers("\"@path\"") && (!has_query || self.covers("\"@query\""));
        self.covers("\"@authority\"") && (has_path || self.covers("\"@request-target\""))
    }

    /// The algorithms with which it may have been made: a key of RSA is for two, if neither the key nor the signature names one.
    #[must_use]
    pub fn algorithms(&self, settings: &HttpSignatureSettings) -> Algorithms {
        let Some(name) = self.input.parameters.text("alg") else { return settings.algorithms };
        let known = SIGNATURE_ALGORITHMS
            .iter()
            .filter(|(own, algorithm)| *own == name && settings.algorithms.contains(*algorithm));
        known.map(|(_, algorithm)| *algorithm).collect()
    }

    /// The id of the key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.input.parameters.text("keyid").unwrap_or_default()
    }

    /// Whether it covers the digest of the content, in any form.
    #[must_use]
    pub fn covers_digest(&self) -> bool {
        self.identifiers.iter().any(|own| own.starts_with(CONTENT_DIGEST))
    }

    /// Whether it covers trailers, which come after the content.
    #[must_use]
    pub fn covers_trailers(&self) -> bool {
        self.input.items.iter().any(|item| item.parameters.get("tr").is_some())
    }

    /// What is used up if a signature is accepted once: the nonce of a key, or what it signed.
    #[must_use]
    pub fn used<'b>(&self, base: &'b [u8]) -> std::borrow::Cow<'b, [u8]> {
        match self.input.parameters.text("nonce") {
            Some(nonce) => [self.key_id(), nonce].join("\n").into_bytes().into(),
            None => base.into(),
        }
    }

    /// What is signed (section 2.5).
    ///
    /// # Errors
    /// If the request lacks a component.
    pub fn base(&self, request: &SignedRequest<'_>) -> Result<Vec<u8>, MessageError> {
        let (mut base, mut read) = (String::with_capacity(BASE_BYTES_USUAL), 0);
        for item in &self.input.items {
            item.write(&mut base);
            base.push_str(": ");
            read += request.write(item, &mut base)?;
            base.push('\n');
            if read > BYTES_READ_MAX {
                return Err(MessageError::Large);
            }
        }
        base.push_str("\"@signature-params\": ");
        self.input.write(&mut base);
        // A query may have others (section 2.5).
        if base.is_ascii() { Ok(base.into_bytes()) } else { Err(MessageError::Component) }
    }

    /// What is signed, as in `Signature-Input`.
    fn written(&self) -> String {
        let mut text = String::new();
        self.input.write(&mut text);
        text
    }
}

/// The identifier of a component that a request can have, for comparisons: the order of parameters is not significant (section 2).
pub(super) fn identifier(item: &Item) -> Result<String, MessageError> {
    if !is_known(item) {
        return Err(MessageError::Component);
    }
    let mut text = String::new();
    item.value.write(&mut text);
    for known in ["bs", "key", "name", "sf", "tr"] {
        if let Some(value) = item.parameters.get(known) {
            text.push(';');
            text.push_str(known);
            if let Bare::String(_) = value {
                text.push('=');
                value.write(&mut text);
            }
        }
    }
    Ok(text)
}

/// The names of section 6.2.2; the others of its registry are not of this kind of key, or not registered.
pub const SIGNATURE_ALGORITHMS: [(&str, Algorithm); 6] = [
    ("rsa-pss-sha512", Algorithm::Ps512),
    ("rsa-v1_5-sha256", Algorithm::Rs256),
    ("hmac-sha256", Algorithm::Hs256),
    ("ecdsa-p256-sha256", Algorithm::Es256),
    ("ecdsa-p384-sha384", Algorithm::Es384),
    ("ed25519", Algorithm::EdDsa),
];

/// Signatures for one policy that are tried.
const SIGNATURES_MAX: usize = 4;

/// Components of one signature.
const COMPONENTS_MAX: usize = 64;

/// Bytes of fields and queries that are parsed or encoded for one signature, before anything is known of its sender: each
/// component may be about another part of the same value.
const BYTES_READ_MAX: usize = 64 * 1024;

const BASE_BYTES_USUAL: usize = 512;
