//! login: requests for the paths of `oidc-login` policies are answered before routing.

use http::{HeaderName, HeaderValue};
use tollgate_core::authn::LoginPath;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::forward::Reply;

use super::exchange::{Answer, Journal, Received};
use super::step::Step;
use crate::isolate::Isolate;
use crate::policies::login::{Asked, answer};
use crate::ports::Host;
use crate::site::Sites;

/// The policy that a request is for, if it is for one itself.
pub(super) fn asked<'s>(sites: &'s Sites, path: &str) -> Option<Asked<'s>> {
    sites.iter().find_map(|site| site.login(path))
}

/// Clear Site Data, section 3.1.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Answers it.
pub(super) async fn answered<H: Host>(
    isolate: &Isolate,
    host: &H,
    received: &Received,
    content: H::Content,
    asked: Asked<'_>,
    journal: &mut Journal,
) -> Step<Answer<H::Content>, H::Content> {
    let (named, _, path) = asked;
    let response = answer(isolate, host, received, content, asked).await;
    let mut response = response.map_err(|problem| journal.refused(Phase::Authenticate, problem))?;
    let reason = match path {
        LoginPath::Callback => Reason::LoggedIn,
        LoginPath::Logout => {
            // The back button shows pages without asking for them: here the next person would see those of this one.
            response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
            Reason::LoggedOut
        }
        LoginPath::BackChannelLogout => Reason::SessionsEnded,
    };
    journal.note_policy(Phase::Authenticate, &named.name, Verdict::Answer, reason);
    Ok(Answer::new(Reply::own(response)))
}
