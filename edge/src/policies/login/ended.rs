//! Sessions that ended before their time: what the provider tells the gateway (OpenID Connect Back-Channel Logout 1.0), and what is
//! written and read of it.
//!
//! One record stands for a session at the provider, another one for a person, each with the time until which ID tokens of sessions
//! that ended were issued. It is written when somebody logs out, so concurrent logouts do not overwrite each other, and it expires with
//! the last session that it can end.

use futures_util::future::join;
use tollgate_core::authn::{EndedSessions, OidcLoginSettings, Session};
use tollgate_core::bounds::TIMEOUT_MS_DEFAULT;
use tollgate_core::event::{Local, Reason};
use tollgate_core::jose::Token;
use tollgate_core::kinds::{AuthnPolicy, Named, PolicyName};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::query::parameter;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{SessionsEnd, decode, encode, keys};

use super::{unavailable, written};
use crate::isolate::Isolate;
use crate::pipeline::gathered;
use crate::policies::jwt::{malformed, not_accepted, verify};
use crate::ports::{Clock, Host};
use crate::timeout::record;

/// The provider says that sessions have ended.
pub(super) async fn told<H: Host>(
    named: &Named<AuthnPolicy>,
    settings: &OidcLoginSettings,
    (isolate, host): (&Isolate, &H),
    content: H::Content,
) -> Result<(), Problem> {
    let form = gathered(host, content, FORM_BYTES_MAX, TIMEOUT_MS_DEFAULT).await?.bytes;
    let sent = std::str::from_utf8(&form).ok().and_then(|form| parameter(form, "logout_token"));
    let text = sent.ok_or_else(|| {
        let detail = "The content has to be a form with a `logout_token` (OpenID Connect Back-Channel Logout 1.0).";
        Problem::new(ProblemKind::BadRequest, detail, Reason::LogoutTokenMissing)
    })?;
    let ended = verified(&named.name, settings, (isolate, host), &text).await.map_err(bad_request)?;
    end(&named.name, settings, (isolate, host), ended.clone()).await.map_err(unavailable)?;
    // An older message that comes at the same time may have been written after it.
    host.clock().sleep(LOOK_AGAIN_MS).await;
    end(&named.name, settings, (isolate, host), ended).await.map_err(unavailable)
}

/// After this time, messages that came together are written.
const LOOK_AGAIN_MS: u64 = 500;

/// What a logout token ends. Its claims are checked first: of a token for others, no keys are fetched.
async fn verified<H: Host>(
    policy: &PolicyName,
    settings: &OidcLoginSettings,
    (isolate, host): (&Isolate, &H),
    text: &str,
) -> Result<EndedSessions, Problem> {
    let token = Token::parse(text).map_err(malformed)?;
    let claims = token.claims().map_err(malformed)?;
    let ended = settings.ended_by(&token, &claims, isolate.time(host.clock())).map_err(not_accepted)?;
    let verification = isolate.tokens.borrow_mut().policy(policy, &settings.verification());
    verify(&verification, isolate, host, &token).await?;
    Ok(ended)
}

/// The provider learns what is wrong with its token by 400 (section 2.8), and that it may try again by 503.
fn bad_request(mut problem: Problem) -> Problem {
    if problem.kind != ProblemKind::StoreUnavailable {
        problem.kind = ProblemKind::BadRequest;
    }
    problem
}

/// Ends sessions: in this isolate at once, in others when they look after a session again. An error is for the operator.
pub(super) async fn end<H: Host>(
    policy: &PolicyName,
    settings: &OidcLoginSettings,
    (isolate, host): (&Isolate, &H),
    ended: EndedSessions,
) -> Result<(), String> {
    let key = keys::sessions_end(&isolate.settings.gateway, policy, &ended.mark);
    let before = record(host, &key).await.map_err(|away| away.0)?;
    let before = before.and_then(|bytes| decode::<SessionsEnd>(&bytes).ok());
    let end = SessionsEnd { issued_until: Timestamp::from_millis(ended.issued_s.saturating_mul(1_000)) };
    // A message that comes again, or late, must not take back what another one has ended.
    if before.is_none_or(|before| before.issued_until < end.issued_until) {
        let keep_s = settings.session_s.saturating_add(LATE_S);
        written(host, &key, &encode(&end), keep_s).await.map_err(|fault| fault.to_string())?;
    }
    isolate.sessions.borrow_mut().end(policy, ended, host.clock().instant());
    Ok(())
}

/// Whether the person was logged out. If that is not known, the session is not used.
pub(crate) async fn has_ended<H: Host>(
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    session: &Session,
) -> Result<bool, Problem> {
    if isolate.sessions.borrow().has_ended(policy, session, host.clock().instant()) {
        return Ok(true);
    }
    let [own, person] = session.marks().map(|mark| keys::sessions_end(&isolate.settings.gateway, policy, &mark));
    let (own, person) = join(record(host, &own), record(host, &person)).await;
    for read in [own, person] {
        let read = read.map_err(|away| unknown(away.0))?;
        let end = read.map(|bytes| decode::<SessionsEnd>(&bytes)).transpose();
        let end = end.map_err(|error| unknown(error.to_string()))?;
        if end.is_some_and(|end| session.is_ended_by(end.issued_until.as_secs())) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn unknown(why: String) -> Problem {
    let mut problem = unavailable(String::new());
    problem.reason = Reason::LogoutsUnknown { text: Local(why.into()) };
    problem
}

/// A token has 16 KiB at most, and its form some bytes more.
const FORM_BYTES_MAX: u64 = 20 * 1024;

/// A session begins after its ID token was issued, by clocks that differ by less, together with the time that an answer takes.
const LATE_S: u32 = 600;
