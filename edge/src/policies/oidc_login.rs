//! The `oidc-login` policy: the session in the cookie; without one, a person who opens a page is sent to the provider.

use std::sync::Arc;

use tollgate_core::authn::{
    OidcLoginSettings, Presented, Principal, Session, SessionCheck, Standing, TextMark, is_navigation, is_same_origin,
};
use tollgate_core::event::Reason;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use crate::apart::rare;
use crate::isolate::{Freshness, Isolate};
use crate::pipeline::{Received, RequestContent};
use crate::policies::login::{confirmed, cookie, has_ended, origin, session, session_cookie, unavailable};
use crate::policies::outage::revoked;
use crate::ports::Host;

impl Authenticates for OidcLoginSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let text = match cookie(&received.fields, &self.cookie) {
            Presented::Text(text) => text,
            Presented::Nothing => return Err(without_session(received, Reason::SessionMissing)),
            Presented::Several => {
                let detail =
                    "The request has several session cookies. Delete the cookies of this site, and log in again.";
                return Err(Problem::new(ProblemKind::CredentialMalformed, detail, Reason::SessionsSeveral));
            }
        };
        if !is_same_origin(&received.method, &received.fields, || origin(received)) {
            let detail =
                "A request that changes something has to come from a page of this site (`Sec-Fetch-Site` or `Origin`).";
            return Err(Problem::new(ProblemKind::CredentialNotAccepted, detail, Reason::SessionCrossSite));
        }
        let remembers = isolate.settings.freshness == Freshness::Cached;
        let mark = remembers.then(|| TextMark::of(text, &isolate.mark_secret(host)));
        let known = mark.and_then(|mark| isolate.sessions.borrow().get(mark, name, isolate.times(host.clock())));
        let person = match known {
            Some(known) => known,
            None => rare(read(self, name, (isolate, host), received, (text, mark), content)).await?,
        };
        if self.is_revocable
            && let Some(revoked) = rare(revoked(isolate, host, name, &person)).await?
        {
            return Err(without_session(received, revoked));
        }
        Ok(person)
    }
}

/// The person whose cookie it is. The cookie of somebody who is active is made anew.
async fn read<H: Host>(
    settings: &OidcLoginSettings,
    name: &PolicyName,
    (isolate, host): (&Isolate, &H),
    received: &Received,
    (text, mark): (&str, Option<TextMark>),
    content: &mut RequestContent<'_, H::Content>,
) -> Result<Arc<Principal>, Problem> {
    let Some(session) = session(settings, name, isolate, host, text).await.map_err(unavailable)? else {
        return Err(without_session(received, Reason::SessionUnreadable));
    };
    let (now, instant) = isolate.times(host.clock());
    let check = session.check(settings, now);
    if check == SessionCheck::Ended {
        return Err(without_session(received, Reason::SessionEnded));
    }
    if !session.person.is_empty() && settings.is_revocable && rare(has_ended(name, (isolate, host), &session)).await? {
        return Err(without_session(received, Reason::SessionLoggedOut));
    }
    let (at, is_fresh) = (session.confirmed_s, session.standing(settings, now) == Standing::Fresh);
    let session = if is_fresh {
        session
    } else {
        let confirmed = rare(confirmed(settings, name, (isolate, host), session, now)).await.map_err(unavailable)?;
        confirmed.ok_or_else(|| without_session(received, Reason::SessionWithdrawn))?
    };
    let principal = Arc::new(session.principal(name, settings));
    match check {
        SessionCheck::Valid(until) if is_fresh => {
            if let Some(mark) = mark {
                let ends = settings.is_revocable.then(|| Box::new(session.marks()));
                let person = Arc::clone(&principal);
                isolate.sessions.borrow_mut().put(mark, name, person, ends, until, (now, instant));
            }
        }
        // It is being confirmed; what comes of it is in the next cookie.
        SessionCheck::Valid(_) if session.confirmed_s == at => {}
        _ => {
            let renewed = Session { renewed_s: now.as_secs(), ..session };
            // If it cannot be made now, the next request does it.
            if let Ok(Some(line)) = session_cookie(settings, name, isolate, host, &renewed).await {
                content.set_cookie(&line);
            }
        }
    }
    Ok(principal)
}

/// There is no session, or none any more. A person who opens a page is sent to the provider, if no other policy of the route admits
/// the request.
fn without_session(received: &Received, why: Reason) -> Problem {
    if is_navigation(&received.method, &received.fields) {
        let detail = "Log in at the identity provider, to which the field `Location` leads.";
        return Problem::new(ProblemKind::LoginRequired, detail, why);
    }
    if matches!(why, Reason::SessionMissing) {
        let detail = "Log in with a browser at a page of this site, and send its session cookie.";
        return Problem::new(ProblemKind::CredentialMissing, detail, why);
    }
    Problem::new(ProblemKind::CredentialExpired, "The session has ended. Log in again.", why)
}
