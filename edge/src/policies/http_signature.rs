//! The `http-signature` policy: what needs no content is checked first, then the signature is verified, then the content is
//! read for its digest.

use std::rc::Rc;
use std::sync::Arc;

use tollgate_core::authn::{
    HttpSignatureSettings, MessageError, Once, PresentedSignature, Principal, SignedRequest, SigningKeys,
    content_digests, shared_key,
};
use tollgate_core::event::Reason;
use tollgate_core::jose::JwkSet;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::Problem;

use super::Authenticates;
use super::jwt::keys::{self, Keys};
use super::signed::{accept_once, keys_unavailable, not_signed, refused, secrets};
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::isolate::signers::Source;
use crate::pipeline::{Received, RequestContent};
use crate::ports::{Host, Signatures};

impl Authenticates for HttpSignatureSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let presented = self.presented(&received.fields).map_err(refused)?;
        let presented =
            presented.ok_or_else(|| not_signed("Sign the request as `Accept-Signature` says (RFC 9421)."))?;
        let mut first = None;
        for one in presented {
            match rare(accepted(self, name, isolate, host, &one, received, content)).await {
                Ok(principal) => return Ok(principal),
                // Of several signatures one may be for somebody else; what is wrong with the first one is told.
                Err(problem) => first = first.or(Some(problem)),
            }
            if !content.is_there() {
                break;
            }
        }
        Err(first.unwrap_or_else(|| refused(MessageError::OtherSignature)))
    }
}

async fn accepted<H: Host>(
    settings: &HttpSignatureSettings,
    name: &PolicyName,
    isolate: &Isolate,
    host: &H,
    presented: &PresentedSignature,
    received: &Received,
    content: &mut RequestContent<'_, H::Content>,
) -> Result<Arc<Principal>, Problem> {
    let authority = received.origin.host.as_deref().unwrap_or(received.authority());
    let mut request = SignedRequest {
        method: received.method.as_str(),
        https: received.origin.https,
        authority,
        path: received.path_as_sent(),
        query: received.query.as_deref(),
        fields: &received.fields,
        trailers: None,
        joins_lines: host.joins_lines(),
    };
    let checked = presented.check(settings, &request, !content.is_empty(), isolate.time(host.clock()));
    let consumer = settings.consumer(name, presented.key_id()).ok_or(MessageError::KeyUnknown);
    let consumer = checked.and(consumer).map_err(refused)?;
    if presented.covers_trailers() {
        rare(content.gathered(host)).await?;
    }
    let trailers = content.trailers();
    request.trailers = trailers.as_ref();
    let base = presented.base(&request).map_err(refused)?;
    verify(settings, isolate, host, presented, &base).await?;
    if presented.covers_digest() {
        let digests = content_digests(&received.fields).map_err(refused)?;
        let content = rare(content.gathered(host)).await?;
        for (hash, digest) in digests {
            let own = host.signatures().digest(hash, &content).await.map_err(|away| keys_unavailable(away.0))?;
            if own != digest {
                return Err(refused(MessageError::DigestWrong));
            }
        }
    }
    if let Some(window_ms) = settings.once_ms {
        let used = presented.used(&base);
        let once = Once { policy: Some(name), signer: presented.key_id().as_bytes(), used: &used };
        rare(accept_once(host, content, once, window_ms)).await?;
    }
    let credential = [name.as_ref(), "/", presented.key_id()].concat();
    Ok(Arc::new(Principal::new(consumer, credential, None, Vec::new())))
}

/// Verifies the signature with the keys of its id.
async fn verify<H: Host>(
    settings: &HttpSignatureSettings,
    isolate: &Isolate,
    host: &H,
    presented: &PresentedSignature,
    base: &[u8],
) -> Result<(), Problem> {
    let keys = keys_of(settings, isolate, host, presented.key_id()).await?;
    let presented = keys::Presented {
        algorithms: presented.algorithms(settings),
        key_id: Some(presented.key_id()),
        is_named: true,
        message: base,
        signature: &presented.signature,
    };
    match rare(keys.made(isolate, host, &presented)).await.map_err(|away| keys_unavailable(away.0))? {
        Some(true) => Ok(()),
        Some(false) => {
            let detail = "The signed request is not accepted: the signature is wrong. Sign it exactly as it is sent.";
            Err(Problem::new(MessageError::Signature.kind(), detail, Reason::SignatureWrong))
        }
        None => Err(refused(MessageError::KeyUnknown)),
    }
}

/// The keys that may have an id.
async fn keys_of<H: Host>(
    settings: &HttpSignatureSettings,
    isolate: &Isolate,
    host: &H,
    id: &str,
) -> Result<Keys<'static>, Problem> {
    let signer = isolate.signers.borrow_mut().of(&settings.keys);
    match signer.source.as_ref().map_err(|why| keys_unavailable(why.clone()))? {
        Source::Fixed(set) => Ok(Keys::fixed(Rc::clone(set))),
        Source::Set(plan) => rare(Keys::fetched(isolate, host, Rc::clone(plan))).await,
        Source::Secrets => {
            let unknown = || refused(MessageError::KeyUnknown);
            let SigningKeys::Secrets(ids, texts) = &settings.keys else { return Err(unknown()) };
            let at = ids.iter().position(|own| own == id).ok_or_else(unknown)?;
            let mut keys = Vec::new();
            for secret in rare(secrets(isolate, host, texts.get(at..=at).unwrap_or_default())).await? {
                keys.push(shared_key(id, &secret).map_err(|error| keys_unavailable(error.to_string()))?);
            }
            Ok(Keys::fixed(Rc::new(JwkSet { keys, unused: Vec::new() })))
        }
    }
}
