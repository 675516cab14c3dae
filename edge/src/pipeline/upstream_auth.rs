//! How the gateway proves to the upstream of a request who it is, where that takes more than a secret.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderName, HeaderValue};
use tollgate_core::authn::{Presented, Principal};
use tollgate_core::event::{Local, Reason};
use tollgate_core::forward::{
    AwsRequest, AwsSettings, IdentityField, Outbound, Told, UNSIGNED_CONTENT, UpstreamAuth, aws_digest, aws_time,
};
use tollgate_core::kinds::{PolicyName, SlotPolicy};
use tollgate_core::oauth::GrantError;
use tollgate_core::order;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::secret::Secret;

use super::challenges::challenged;
use super::content::RequestContent;
use super::exchange::Exchange;
use super::forward::{resolved, set};
use crate::isolate::Isolate;
use crate::isolate::identity_tokens::identity_token;
use crate::isolate::upstream_tokens::{NoToken, TokenKey, upstream_token};
use crate::ports::Host;

/// A token that the gateway sends, with what it was asked for with.
pub(super) type Sent = (TokenKey, Secret);

/// Adds what the upstream's `auth` says to the current attempt, after all other edits. Answers the token that is sent, if there is
/// one.
pub(super) async fn authenticated<H: Host>(
    isolate: &Isolate,
    host: &H,
    (exchange, principal): (&Exchange, Option<&Principal>),
    outbound: &mut Outbound<'_>,
    content: &mut H::Content,
) -> Result<Option<Sent>, Problem> {
    sign_identity(isolate, host, exchange, outbound).await?;
    let auth = &exchange.upstream().auth;
    let subject = match auth {
        UpstreamAuth::None | UpstreamAuth::Basic(..) => return Ok(None),
        UpstreamAuth::Aws(aws) => {
            sign(isolate, host, aws, exchange, outbound, content).await?;
            return Ok(None);
        }
        UpstreamAuth::TokenExchange(_) | UpstreamAuth::ClientCredentials(_) => {
            principal.and_then(|principal| exchanged(exchange, principal))
        }
    };
    let text = subject.map(|(_, text)| text);
    let found = upstream_token(isolate, host, auth, text).await;
    let found = found.map_err(|why| no_token(why, exchange, subject.map(|(policy, _)| policy)));
    let (key, token) = found?;
    let value = Secret::new(["Bearer ", token.expose()].concat());
    set(outbound.attempt(), Some(AUTHORIZATION), AUTHORIZATION.as_str(), &value)?;
    Ok(Some((key, token)))
}

/// Replaces what the tokens about the caller say by these tokens.
async fn sign_identity<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    outbound: &mut Outbound<'_>,
) -> Result<(), Problem> {
    let Some(signing) = &exchange.site.gateway.identity_tokens else { return Ok(()) };
    let told = exchange.upstream().identity.iter().filter(|field| matches!(field.tells, Told::Token(_)));
    for IdentityField { name, .. } in told {
        // Absent if there is no caller.
        let Some(claims) = outbound.fields().get(name).cloned() else { continue };
        let is_bearer = *name == AUTHORIZATION;
        let token = identity_token(isolate, host, signing, claims.as_bytes(), is_bearer).await.map_err(|why| {
            let detail = "The gateway cannot call the service right now. Try again shortly.";
            let reason = Reason::IdentityTokenUnavailable { text: Local(why.into()) };
            Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
        })?;
        outbound.attempt().set(name.clone(), token);
    }
    Ok(())
}

/// The token with which a policy authenticated the caller, if the upstream gets another one for it.
pub(super) fn exchanged<'e>(exchange: &'e Exchange, principal: &Principal) -> Option<(&'e PolicyName, &'e str)> {
    if !matches!(exchange.upstream().auth, UpstreamAuth::TokenExchange(_)) {
        return None;
    }
    let received = &exchange.received;
    exchange.authenticators().find_map(|named| {
        let place = named.policy.as_kind().uses().credential?;
        match place.presented(&received.fields, received.query.as_deref()) {
            Presented::Text(text) if principal.has_token(text) => Some((&named.name, text)),
            Presented::Text(_) | Presented::Nothing | Presented::Several => None,
        }
    })
}

/// The upstream would refuse a request without the token.
fn no_token(why: NoToken, exchange: &Exchange, policy: Option<&PolicyName>) -> Problem {
    let (kind, detail, reason) = match why {
        NoToken::Away(text) | NoToken::Unusable(text) => {
            let detail = "The gateway cannot call the service right now. Try again shortly.";
            let reason = Reason::UpstreamTokenUnavailable { text: Local(text) };
            return Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1");
        }
        NoToken::Refused(error @ GrantError::Grant) => {
            let detail =
                "Your identity provider does not accept the token for this service any more. Request a new one.";
            (ProblemKind::CredentialNotAccepted, detail, Reason::ExchangeRefused { error })
        }
        NoToken::Refused(error) => {
            let detail = "Your identity provider gives you no token for this service.";
            (ProblemKind::NotAuthorized, detail, Reason::ExchangeRefused { error })
        }
    };
    let problem = Problem::new(kind, detail, reason);
    challenged(
        match policy {
            Some(policy) => problem.by(policy.clone()),
            None => problem,
        },
        exchange,
    )
}

/// Refuses content that an AWS client has framed for a signature of its own: without the fields of that signature, which are
/// removed, S3 would store the frames.
fn check_framing(aws: &AwsSettings, outbound: &Outbound<'_>) -> Result<(), Problem> {
    let is_framed = |value: &HeaderValue| {
        value.as_bytes().to_ascii_lowercase().windows(AWS_CHUNKED.len()).any(|w| w == AWS_CHUNKED)
    };
    if !aws.is_s3() || !outbound.sent().iter().any(|(name, value)| *name == CONTENT_ENCODING && is_framed(value)) {
        return Ok(());
    }
    let detail = "The content is framed as `aws-chunked`, which the gateway cannot sign. Send it as it is: AWS clients do so with \
                  `request_checksum_calculation = when_required`.";
    Err(Problem::plain(ProblemKind::UnsupportedMediaType, detail))
}

const AWS_CHUNKED: &[u8] = b"aws-chunked";

/// Signs the request as it is sent now.
async fn sign<H: Host>(
    isolate: &Isolate,
    host: &H,
    aws: &AwsSettings,
    exchange: &Exchange,
    outbound: &mut Outbound<'_>,
    content: &mut H::Content,
) -> Result<(), Problem> {
    let key_id = resolved(isolate, host, &aws.key_id).await?;
    let secret = resolved(isolate, host, &aws.secret).await?;
    let session = match &aws.session {
        Some(text) => Some(resolved(isolate, host, text).await?),
        None => None,
    };
    check_framing(aws, outbound)?;
    // S3 refuses content of unknown length (`MissingContentLength`).
    let is_streamed =
        aws.streams && (!aws.is_s3() || !outbound.has_content() || outbound.sent().contains(CONTENT_LENGTH));
    let digest = if is_streamed {
        UNSIGNED_CONTENT.to_owned()
    } else {
        let content = if outbound.has_content() {
            RequestContent::new(exchange, content, &mut Vec::new(), &mut None).gathered(host).await?
        } else {
            Bytes::new()
        };
        aws_digest(&content)
    };
    let time = aws_time(isolate.time(host.clock()));
    let upstream = exchange.upstream();
    let is_set = |name: &HeaderName| {
        upstream.fields.iter().any(|(own, _)| own == name.as_str())
            || upstream.identity.iter().any(|own| own.name == *name)
    };
    let is_removed = |name: &&HeaderName| aws.removes(name.as_str()) && !is_set(name);
    let removed: Vec<HeaderName> = outbound.sent().iter().map(|(name, _)| name).filter(is_removed).cloned().collect();
    let edits = outbound.attempt();
    removed.into_iter().for_each(|name| edits.remove(name));
    let [named_time, named_digest, named_session] = AwsSettings::SET;
    edits.set_some(named_time, HeaderValue::from_str(&time).ok());
    edits.set_some(named_digest, HeaderValue::from_str(&digest).ok());
    if let Some(session) = &session {
        set(edits, Some(named_session.clone()), named_session.as_str(), session)?;
    }
    let key = isolate.aws_key(host, aws, &secret, &time);
    let signed = outbound.sent().select(AwsSettings::signs).enumerate();
    let mut fields: Vec<(&str, usize, &[u8])> =
        signed.map(|(at, (name, value))| (name.as_str(), at, value.as_bytes())).collect();
    order::sort_by(&mut fields, |one, other| (one.0, one.1) < (other.0, other.1));
    let fields: Vec<(&str, &[u8])> = fields.into_iter().map(|(name, _, value)| (name, value)).collect();
    let target = outbound.target();
    let request = AwsRequest {
        method: outbound.method().as_str(),
        path: target.path(),
        query: target.query(),
        fields: &fields,
        content: &digest,
        time: &time,
    };
    let value = aws.authorization(&key_id, &key, &request);
    set(outbound.attempt(), Some(AUTHORIZATION), AUTHORIZATION.as_str(), &value)
}
