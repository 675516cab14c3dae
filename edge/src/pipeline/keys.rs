//! The public keys of the tokens in which the gateway tells upstreams who callers are (RFC 7517, section 5).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response};
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::forward::{Reply, TokenSigning};
use tollgate_core::jose::public_set;
use tollgate_core::problem::{Problem, ProblemKind};

use super::exchange::{Answer, Journal, Received};
use super::step::Step;
use crate::isolate::Isolate;
use crate::isolate::identity_tokens::signing_keys;
use crate::ports::{Content, Host};
use crate::site::Sites;

/// How the gateway signs, if the request asks for its public keys.
pub(super) fn asked<'s>(sites: &'s Sites, received: &Received) -> Option<&'s TokenSigning> {
    let signing = sites.first()?.gateway.identity_tokens.as_ref()?;
    let is_read = received.method == Method::GET || received.method == Method::HEAD;
    (is_read && received.path.as_str() == signing.keys_path).then_some(signing)
}

/// The public keys.
pub(super) async fn answer<H: Host>(
    isolate: &Isolate,
    host: &H,
    signing: &TokenSigning,
    is_head: bool,
    journal: &mut Journal,
) -> Step<Answer<H::Content>, H::Content> {
    let keys = signing_keys(isolate, host, signing).await.map_err(|why| {
        let reason = Reason::IdentityTokenUnavailable { text: Local(why.into()) };
        let detail = "The keys cannot be read right now. Try again shortly.";
        let problem = Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1");
        journal.refused(Phase::Route, problem)
    })?;
    let set = Bytes::from(public_set(&keys));
    journal.note(Phase::Route, Verdict::Answer, Reason::MetadataAnswered);
    let length = set.len();
    let mut response = Response::new(if is_head { H::Content::empty() } else { H::Content::from_bytes(set) });
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    Ok(Answer::new(Reply::own(response)))
}
