//! The `introspection` policy: the authorization server is asked about each token, and its answer is remembered for a short time.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{IntrospectionSettings, Presented, Principal, TextMark, is_token_text, token_id};
use tollgate_core::event::{Local, Reason};
use tollgate_core::fetch::FetchAnswer;
use tollgate_core::jose::Members;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::Timestamp;

use super::Authenticates;
use super::jwt::{not_accepted, verify};
use crate::apart::rare;
use crate::isolate::fetched::{Meaning, fetched};
use crate::isolate::introspected::{Asking, Policy, Refusal, Step, TokenKey};
use crate::isolate::issuer::answer;
use crate::isolate::oauth::{AuthorizationServer, TIMEOUT_MS};
use crate::isolate::{Freshness, Isolate, tokens};
use crate::pipeline::{Received, RequestContent};
use crate::ports::{Clock, Host};

impl Authenticates for IntrospectionSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        _: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let token = presented(self, received)?;
        let policy = isolate.introspected.borrow_mut().policy(name, self);
        if isolate.settings.freshness == Freshness::EachRequest {
            let claims =
                rare(ask(&policy, isolate, host, token)).await.map_err(|unanswered| unavailable(&unanswered.why))?;
            let decided = decide(&policy, token, claims.as_ref(), isolate.time(host.clock()));
            return decided.map(|(principal, _)| principal).map_err(refused);
        }
        let key = policy.key(TextMark::of(token, &isolate.mark_secret(host)));
        remembered(&policy, isolate, host, token, key).await
    }
}

/// What is known of the token, or what the server says of it. While another request asks, this one waits for as long as an
/// attempt may take.
async fn remembered<H: Host>(
    policy: &Policy,
    isolate: &Isolate,
    host: &H,
    token: &str,
    key: TokenKey,
) -> Result<Arc<Principal>, Problem> {
    let began = host.clock().instant();
    let _asking = loop {
        let (now, time) = (host.clock().instant(), isolate.time(host.clock()));
        let step = isolate.introspected.borrow().step(policy, key, now, time);
        match step {
            Step::Known(answer) => return answer.map_err(refused),
            Step::Away(why) => return Err(unavailable(&why)),
            Step::Ask => break Asking::begin(isolate, key, ATTEMPT_MS, now),
            Step::Wait if now.millis_since(began) < ATTEMPT_MS => host.clock().sleep(POLL_MS).await,
            Step::Wait => return Err(unavailable("another request waits for the answer")),
        }
    };
    // What the server says may be as old as the question.
    let asked_at = host.clock().instant();
    let answer = rare(ask(policy, isolate, host, token)).await;
    let (now, time) = (host.clock().instant(), isolate.time(host.clock()));
    let mut known = isolate.introspected.borrow_mut();
    let claims = answer.map_err(|unanswered| {
        if !unanswered.is_of_token {
            policy.put_away(Arc::from(unanswered.why.as_str()), now);
        }
        unavailable(&unanswered.why)
    })?;
    match decide(policy, token, claims.as_ref(), time) {
        Ok((principal, until)) => {
            known.put_active(key, Arc::clone(&principal), (policy.settings.cache_ms, until), (asked_at, time));
            Ok(principal)
        }
        Err(refusal) => {
            known.put_refused(key, refusal.clone(), (asked_at, time));
            Err(refused(refusal))
        }
    }
}

/// The bearer of the token, and until when the answer says so.
fn decide(
    policy: &Policy,
    token: &str,
    claims: Option<&Members>,
    now: Timestamp,
) -> Result<(Arc<Principal>, Timestamp), Refusal> {
    let claims = claims.ok_or(Refusal::Inactive)?;
    let Policy { name, settings, .. } = policy;
    let identity = settings.identity(name, claims, now).map_err(Refusal::Claim)?;
    let principal = Principal::new(identity.consumer, token_id("token", token), identity.plan, identity.scopes);
    Ok((
        Arc::new(principal.with_groups(identity.groups).with_claims(&settings.rules.kept_claims, claims)),
        identity.until,
    ))
}

/// The token in the request, if there is one that can be one.
fn presented<'r>(settings: &IntrospectionSettings, received: &'r Received) -> Result<&'r str, Problem> {
    let place = || settings.place.in_words("token");
    let (kind, detail, reason) = match settings.place.presented(&received.fields, received.query.as_deref()) {
        Presented::Text(text) if is_token_text(text) => return Ok(text),
        Presented::Text(_) => {
            let detail = "This is not a token: a token has 1 to 8,192 visible ASCII characters.".to_owned();
            (ProblemKind::CredentialMalformed, detail, Reason::TokenNotText)
        }
        Presented::Nothing => {
            let detail = format!("Send a token of your identity provider in {}.", place());
            (ProblemKind::CredentialMissing, detail, Reason::TokenMissing)
        }
        Presented::Several => {
            let detail = format!("Send one token, once, in {}.", place());
            (ProblemKind::CredentialMalformed, detail, Reason::TokensSeveral)
        }
    };
    Err(Problem::new(kind, detail, reason))
}

/// Why nothing is known of a token, for the operator.
struct Unanswered {
    why: String,
    /// The server refused this question; it may answer others, so nobody can make it unavailable for them.
    is_of_token: bool,
}

impl From<String> for Unanswered {
    fn from(why: String) -> Self {
        Self { why, is_of_token: false }
    }
}

/// Statuses of clients' errors that are not about the token: the gateway is not accepted, or asks too slowly or too often. A 403 may
/// be a firewall's, about what it sees in the token.
const NOT_OF_TOKEN: [u16; 3] = [401, 408, 429];

/// What the server says of the token; `None` if it is not active.
async fn ask<H: Host>(
    policy: &Policy,
    isolate: &Isolate,
    host: &H,
    token: &str,
) -> Result<Option<Members>, Unanswered> {
    let settings = &policy.settings;
    let url = endpoint(policy, isolate, host).await?;
    // Servers expect assertions for themselves by the name of the issuer, or by the URL that is asked.
    let audience = match settings.rules.issuers.as_slice() {
        [issuer] => issuer,
        _ => &*url,
    };
    let server = AuthorizationServer { url: &url, is_private: settings.is_private, audience, client: &settings.client };
    let parameters = [("token", token), ("token_type_hint", "access_token")];
    let accept = if settings.signed.is_some() { SIGNED } else { "application/json" };
    let answer = server.ask(isolate, host, &parameters, accept).await.map_err(|why| format!("introspection: {why}"))?;
    let claims = match &policy.signed {
        None => IntrospectionSettings::claims(&answer).map_err(|error| error.to_string()),
        Some(signed) => signed_claims(settings, signed, isolate, host, &answer).await,
    };
    let is_of_token = answer.status.is_client_error() && !NOT_OF_TOKEN.contains(&answer.status.as_u16());
    claims.map_err(|why| Unanswered { why: format!("introspection: {why}"), is_of_token })
}

/// What a signed answer says, if its signature is that of the issuer.
async fn signed_claims<H: Host>(
    settings: &IntrospectionSettings,
    signed: &tokens::Policy,
    isolate: &Isolate,
    host: &H,
    answer: &FetchAnswer,
) -> Result<Option<Members>, String> {
    let token = IntrospectionSettings::signed(answer).map_err(|error| error.to_string())?;
    let verified = verify(signed, isolate, host, &token).await;
    verified.map_err(|problem| format!("its signed answer: {}", problem.reason))?;
    settings.signed_claims(&token).map_err(|error| error.to_string())
}

/// The type of signed answers (RFC 9701, section 4).
const SIGNED: &str = "application/token-introspection+jwt";

/// The URL of the server's endpoint: the configured one, or the one that the issuer's metadata names (RFC 8414, section 2).
async fn endpoint<'p, H: Host>(policy: &'p Policy, isolate: &Isolate, host: &H) -> Result<Cow<'p, str>, String> {
    let plan = match (&policy.settings.url, &policy.metadata) {
        (Some(url), _) => return Ok(Cow::Borrowed(url)),
        (None, Some(plan)) => plan.as_ref(),
        (None, None) => return Err("the configuration names neither an endpoint nor an issuer".to_owned()),
    };
    let plan = plan.map_err(|why| format!("the metadata of the issuer: {why}"))?;
    let metadata = answer(isolate, fetched(isolate, host, plan).await);
    let metadata = metadata.map_err(|why| format!("the metadata of the issuer: {why}"))?;
    let url = match &metadata.meaning {
        Meaning::Services(services) => services.introspection.as_ref(),
        Meaning::Content | Meaning::Keys(_) => None,
    };
    url.map(|url| Cow::Owned(url.to_string())).ok_or_else(|| "the metadata of the issuer name no endpoint".to_owned())
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Inactive => {
            let detail = "The token is not active: it has expired, was revoked, or is not one of this provider. Request a new one.";
            Problem::new(ProblemKind::CredentialUnknown, detail, Reason::TokenInactive)
        }
        Refusal::Claim(error) => not_accepted(error),
    }
}

/// A caller that cannot be authenticated is never admitted.
fn unavailable(why: &str) -> Problem {
    let detail = "The gateway cannot verify tokens right now. Try again shortly.";
    let reason = Reason::IntrospectionUnavailable { text: Local(why.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}

/// The maximum time of an attempt: for the secret and the metadata, which are usually known, and for the answer.
const ATTEMPT_MS: u64 = 3 * TIMEOUT_MS + 500;

/// The interval at which a request checks whether another has an answer.
const POLL_MS: u64 = 20;
