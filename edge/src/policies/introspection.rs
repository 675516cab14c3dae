//! The `introspection` policy: the authorization server is asked about each token, and its answer is remembered for a short time.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::RETRY_AFTER;
use tollgate_core::authn::{
    Identity, IdentityRules, IntrospectionSettings, KnownToken, Principal, TextMark, is_token_text, token_id,
};
use tollgate_core::event::{Local, Reason};
use tollgate_core::fetch::FetchAnswer;
use tollgate_core::jose::Members;
use tollgate_core::kinds::PolicyName;
use tollgate_core::oauth::refusal;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::Authenticates;
use super::binding::Held;
use super::jwt::{not_accepted, verify};
use super::linked::linked;
use super::outage::{self, KnownTokens};
use super::token::presented;
use crate::apart::rare;
use crate::isolate::fetched::{Meaning, fetched, renewed};
use crate::isolate::introspected::{Asking, Policy, Refusal, Step, TokenKey};
use crate::isolate::issuer::answer;
use crate::isolate::oauth::{AuthorizationServer, TIMEOUT_MS, Unanswered};
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
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let token = token(self, received)?;
        let bearer = match &self.outage {
            None => answered(self, name, isolate, host, token).await,
            Some(rules) => {
                let presented = outage::Presented { policy: name, rules, text: token, kind: self };
                let answered = rare(answered(self, name, isolate, host, token));
                rare(outage::authenticate(&presented, isolate, host, answered)).await
            }
        }?;
        let held = Held { rules: &self.rules, place: &self.place, text: token };
        held.by(bearer, isolate, host, received, content).await
    }
}

impl KnownTokens for IntrospectionSettings {
    /// By what the server said when the token was recorded.
    fn identity(
        &self,
        presented: &outage::Presented<'_>,
        known: &KnownToken,
        now: Timestamp,
    ) -> Result<(Identity, Members), Problem> {
        let claims = known.answer.as_deref().and_then(|answer| self.known_claims(answer));
        let claims = claims.ok_or_else(|| refused(Refusal::Inactive))?;
        let late_s = presented.rules.late_s;
        let identity = self.rules.of_late_answer(presented.policy, &claims, now, late_s).map_err(not_accepted)?;
        Ok((identity, claims))
    }

    fn bearer(&self, identity: Identity, text: &str, claims: &Members) -> Principal {
        outage::bearer(&self.rules, self.outage.is_some(), token_id("token", text), identity, claims)
    }

    fn rules(&self) -> &IdentityRules {
        &self.rules
    }

    fn away_ms(&self, policy: &PolicyName, isolate: &Isolate, now: MonotonicInstant) -> u64 {
        isolate.introspected.borrow_mut().policy(policy, self).away_ms(now)
    }
}

/// The bearer of a token that the server says is active, now or as far as it is remembered.
async fn answered<H: Host>(
    settings: &IntrospectionSettings,
    name: &PolicyName,
    isolate: &Isolate,
    host: &H,
    token: &str,
) -> Result<Arc<Principal>, Problem> {
    let policy = isolate.introspected.borrow_mut().policy(name, settings);
    if isolate.settings.freshness == Freshness::EachRequest {
        let asked = rare(ask(&policy, isolate, host, token)).await;
        let asked = asked.map_err(|unanswered| unavailable(&unanswered.why))?;
        let decided = rare(decide(&policy, token, &asked, isolate, host)).await?;
        return decided.map(|(principal, _)| principal).map_err(refused);
    }
    let key = policy.key(TextMark::of(token, &isolate.mark_secret(host)));
    remembered(&policy, isolate, host, token, key).await
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
    let asked = answer.map_err(|unanswered| {
        if !unanswered.is_of_question {
            policy.put_away(Arc::from(unanswered.why.as_str()), now);
        }
        unavailable(&unanswered.why)
    })?;
    policy.put_answered();
    let decided = rare(decide(policy, token, &asked, isolate, host)).await?;
    let mut known = isolate.introspected.borrow_mut();
    match decided {
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

/// The bearer of the token, and until when the answer says so; an error if it is not known which consumer it is.
async fn decide<H: Host>(
    policy: &Policy,
    token: &str,
    asked: &Asked,
    isolate: &Isolate,
    host: &H,
) -> Result<Result<(Arc<Principal>, Timestamp), Refusal>, Problem> {
    let Policy { name, settings, .. } = policy;
    let Some(claims) = &asked.claims else { return Ok(Err(Refusal::Inactive)) };
    let identity = match settings.identity(name, claims, isolate.time(host.clock())) {
        Ok(identity) => linked(&settings.rules, identity, isolate, host).await?,
        Err(error) => return Ok(Err(Refusal::Claim(error))),
    };
    let until = identity.until;
    let principal = Arc::new(settings.bearer(identity, token, claims));
    if let Some(rules) = &settings.outage {
        let presented = outage::Presented { policy: name, rules, text: token, kind: settings };
        let ends = settings.rules.end(claims).unwrap_or(until);
        presented.note(isolate, host, &principal, ends, Some(&asked.content));
    }
    Ok(Ok((principal, until)))
}

/// What the server says of a token.
struct Asked {
    /// `None` if it is not active.
    claims: Option<Members>,
    /// The same as it was received.
    content: Bytes,
}

/// The token in the request, if there is one that can be one.
fn token<'r>(settings: &IntrospectionSettings, received: &'r Received) -> Result<&'r str, Problem> {
    let text = presented(&settings.place, received)?;
    if is_token_text(text) {
        return Ok(text);
    }
    let detail = "This is not a token: a token has 1 to 8,192 visible ASCII characters.";
    Err(Problem::new(ProblemKind::CredentialMalformed, detail, Reason::TokenNotText))
}

/// Statuses of clients' errors that are not about the token: the gateway is not accepted, or asks too slowly or too often. A 403 may
/// be a firewall's, about what it sees in the token.
const NOT_OF_TOKEN: [u16; 3] = [401, 408, 429];

/// What the server says of the token.
async fn ask<H: Host>(policy: &Policy, isolate: &Isolate, host: &H, token: &str) -> Result<Asked, Unanswered> {
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
    let answer = server.ask(isolate, host, &parameters, accept).await;
    if let Some(Ok(plan)) = policy.metadata.as_ref().filter(|_| may_have_moved(settings, &answer)) {
        // The next question is asked where the metadata say now.
        if let Some(metadata) = rare(renewed(isolate, host, plan, MOVED_MS)).await {
            isolate.defer(metadata.after_reply);
        }
    }
    let told = |why: &str, more: &str| format!("introspection: {why}{more}");
    let answer = answer.map_err(|unanswered| Unanswered { why: told(&unanswered.why, ""), ..unanswered })?;
    if answer.status == StatusCode::BAD_REQUEST && says_no_token(&answer) {
        return Ok(Asked { claims: None, content: answer.content });
    }
    // One that cannot be read says something of this token: its bearer may have chosen what is in it.
    let status = answer.status;
    let is_of_question = status.is_success() || status.is_client_error() && !NOT_OF_TOKEN.contains(&status.as_u16());
    let claims = match &policy.signed {
        None => {
            let claims = IntrospectionSettings::claims(&answer);
            claims.map_err(|error| Unanswered { why: error.to_string(), is_of_question })
        }
        Some(signed) => signed_claims((settings, signed), isolate, host, &answer, is_of_question).await,
    };
    let claims = claims.map_err(|unanswered| {
        let said = status.is_client_error().then(|| refusal(&answer.content, token)).flatten();
        let said = said.map(|said| format!("; it says {said}")).unwrap_or_default();
        Unanswered { why: told(&unanswered.why, &said), ..unanswered }
    })?;
    Ok(Asked { claims, content: answer.content })
}

/// Whether the server refuses a text that it would never have issued as a token, in place of `"active": false` (RFC 7662, section 2.2):
/// some answer so to tokens that are JWTs.
fn says_no_token(answer: &FetchAnswer) -> bool {
    let error = Members::parse(&answer.content).ok();
    let error = error.as_ref().and_then(|members| members.text("error"));
    matches!(error, Some("unsupported_token_type" | "invalid_token"))
}

/// Whether the endpoint that the metadata named may be another one by now.
fn may_have_moved(settings: &IntrospectionSettings, answer: &Result<FetchAnswer, Unanswered>) -> bool {
    let is_gone = |answer: &FetchAnswer| GONE.contains(&answer.status.as_u16());
    settings.url.is_none() && answer.as_ref().map_or(true, is_gone)
}

/// Statuses of a URL that is no introspection endpoint, or not any more.
const GONE: [u16; 3] = [404, 405, 410];

/// The least time between two fetches of the metadata that a failure of the endpoint causes.
const MOVED_MS: u64 = 5_000;

/// What a signed answer says, if its signature is that of the issuer.
async fn signed_claims<H: Host>(
    (settings, signed): (&IntrospectionSettings, &tokens::Policy),
    isolate: &Isolate,
    host: &H,
    answer: &FetchAnswer,
    is_of_question: bool,
) -> Result<Option<Members>, Unanswered> {
    let of_question = |why: String| Unanswered { why, is_of_question };
    let token = IntrospectionSettings::signed(answer).map_err(|error| of_question(error.to_string()))?;
    let verified = verify(signed, isolate, host, &token).await;
    verified.map_err(|problem| Unanswered {
        why: format!("its signed answer: {}", problem.reason),
        is_of_question: problem.kind != ProblemKind::StoreUnavailable,
    })?;
    settings.signed_claims(&token).map_err(|error| of_question(error.to_string()))
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
