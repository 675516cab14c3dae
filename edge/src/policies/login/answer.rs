//! What an `oidc-login` policy answers itself: the return from the provider, and logouts.

use http::header::{ALLOW, CACHE_CONTROL, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use tollgate_core::authn::{
    KeptSession, Login, LoginPath, LoginRefusal, OidcLoginSettings, Presented, Session, SessionCheck, TextMark,
    digest_text, is_caused_here,
};
use tollgate_core::event::Reason;
use tollgate_core::kinds::{AuthnPolicy, Named, PolicyName};
use tollgate_core::oauth::add_parameter;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::query::parameter;

use super::ended::{end, has_ended, told};
use super::provider::{Granted, TokenRefused};
use super::{
    LOGIN, OpenIdProvider, cookie, origin, redirect_uri, refused, session, session_cookie, set_cookie, unavailable, who,
};
use crate::isolate::Isolate;
use crate::isolate::sealed::Sealing;
use crate::isolate::sessions::SessionWork;
use crate::pipeline::Received;
use crate::ports::{Content, Entropy, Host};

/// A policy with its settings.
pub(crate) type Asked<'s> = (&'s Named<AuthnPolicy>, &'s OidcLoginSettings, LoginPath);

/// The response to a request for a path of a policy.
pub(crate) async fn answer<H: Host>(
    isolate: &Isolate,
    host: &H,
    received: &Received,
    content: H::Content,
    (named, settings, asked): Asked<'_>,
) -> Result<Response<H::Content>, Problem> {
    let (methods, allow): (&[Method], _) = match asked {
        LoginPath::Callback => (&[Method::GET], "GET"),
        LoginPath::Logout => (&[Method::GET, Method::POST], "GET, POST"),
        LoginPath::BackChannelLogout => (&[Method::POST], "POST"),
    };
    if !methods.contains(&received.method) {
        let detail = format!("This URL supports {allow}.");
        return Err(Problem::new(ProblemKind::MethodNotAllowed, detail, Reason::OtherMethod).with(ALLOW, allow));
    }
    let answered = match asked {
        LoginPath::Callback => logged_in(named, settings, isolate, host, received).await,
        LoginPath::Logout => logged_out(named, settings, isolate, host, received).await,
        LoginPath::BackChannelLogout => {
            let told = told(named, settings, (isolate, host), content).await;
            return told.map(|()| done()).map_err(|problem| problem.by(named.name.clone()));
        }
    };
    let (location, cookies) = answered.map_err(|problem| problem.by(named.name.clone()))?;
    Ok(redirect(&location, &cookies))
}

/// What the provider told was taken note of (OpenID Connect Back-Channel Logout 1.0, section 2.8).
fn done<C: Content>() -> Response<C> {
    let mut response = Response::new(C::empty());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A redirect that sets cookies. Its URL is not told to the next page: that of the provider's answer contains a code.
fn redirect<C: Content>(location: &str, cookies: &[String]) -> Response<C> {
    let mut response = Response::new(C::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let fields = response.headers_mut();
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.append(name, value);
        }
    };
    add(LOCATION, location);
    add(CACHE_CONTROL, "no-store");
    add(REFERRER_POLICY, "no-referrer");
    cookies.iter().for_each(|line| add(SET_COOKIE, line));
    response
}

/// The provider has sent the browser back: who the person is, and where the browser goes.
async fn logged_in<H: Host>(
    named: &Named<AuthnPolicy>,
    settings: &OidcLoginSettings,
    isolate: &Isolate,
    host: &H,
    received: &Received,
) -> Result<(String, Vec<String>), Problem> {
    let name = &named.name;
    let query = received.query.as_deref().unwrap_or_default();
    let sent = |parameter_name| parameter(query, parameter_name);
    let (Some(state), now) = (sent("state"), isolate.time(host.clock())) else {
        return Err(refused(LoginRefusal::Unknown));
    };
    let sealing = Sealing { secret: &settings.secrets[0], policy: name, purpose: LOGIN };
    let opened = sealing.open(isolate, host, &state).await.map_err(unavailable)?;
    let login = opened.and_then(|bytes| Login::read(&bytes)).ok_or_else(|| refused(LoginRefusal::Unknown))?;
    let login_name = settings.login_cookie(Login::number(&state));
    let is_of_browser = cookie(&received.fields, &login_name) == Presented::Text(&digest_text(&state));
    if !is_of_browser || !login.is_open(now) {
        // Another tab was faster, or the person went back: whoever is logged in needs nothing of this answer.
        let has_session = has_session(named, settings, isolate, host, received).await?;
        return if has_session { Ok((login.target, Vec::new())) } else { Err(refused(LoginRefusal::Unknown)) };
    }
    let provider = OpenIdProvider::of(settings, isolate, host).await.map_err(unavailable)?;
    // RFC 9207, section 2.4.
    let is_asked = match sent("iss") {
        Some(issuer) => settings.rules.issuers.contains(&issuer),
        None => !provider.says_issuer,
    };
    if !is_asked {
        return Err(refused(LoginRefusal::Issuer));
    }
    let Some(code) = sent("code") else {
        // OpenID Connect Core 1.0, section 3.1.2.6, and RFC 6749, section 4.1.2.1.
        let is_away = sent("error").is_some_and(|error| error == "temporarily_unavailable" || error == "server_error");
        let away = || unavailable("the identity provider says that it is unavailable".to_owned());
        return Err(if is_away { away() } else { refused(LoginRefusal::Provider) });
    };
    let parameters = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", login.verifier.as_str()),
        ("redirect_uri", &redirect_uri(settings, received)),
    ];
    let granted = provider.granted(settings, isolate, host, &parameters).await;
    let Granted { id_token, refresh_token } = granted.map_err(|why| match why {
        TokenRefused::Grant => refused(LoginRefusal::Unknown),
        TokenRefused::Away(why) => unavailable(why),
    })?;
    let none = || unavailable("the answer of its token endpoint has no `id_token`".to_owned());
    let (identity, claims) = who(settings, name, (isolate, host), &id_token.ok_or_else(none)?).await?;
    settings.check_login(&login, &claims).map_err(refused)?;
    let mut random = [0; 8];
    host.entropy().fill(&mut random);
    let session = Session::new(settings, (identity, &claims), random, now);
    // A logout of the same second would send the browser in circles.
    if settings.is_revocable && has_ended(name, (isolate, host), &session).await? {
        return Err(refused(LoginRefusal::Ended));
    }
    let line = session_cookie(settings, name, isolate, host, &session).await.map_err(unavailable)?;
    let line = line.ok_or_else(|| refused(LoginRefusal::TooLarge))?;
    if settings.refresh_s > 0 && refresh_token.is_some() {
        let kept = KeptSession { session, token: refresh_token };
        isolate.sessions.borrow_mut().leave(SessionWork::keep(name, settings, kept));
    }
    Ok((login.target, vec![line, set_cookie(&login_name, "", 0)]))
}

/// Whether the browser has a session that is valid.
async fn has_session<H: Host>(
    named: &Named<AuthnPolicy>,
    settings: &OidcLoginSettings,
    isolate: &Isolate,
    host: &H,
    received: &Received,
) -> Result<bool, Problem> {
    let Presented::Text(text) = cookie(&received.fields, &settings.cookie) else { return Ok(false) };
    let session = session(settings, &named.name, isolate, host, text).await.map_err(unavailable)?;
    Ok(session.is_some_and(|session| session.check(settings, isolate.time(host.clock())) != SessionCheck::Ended))
}

/// Whoever has copied the cookie of a session loses it. That a store is away must not keep anybody logged in here.
async fn withdraw<H: Host>(
    policy: &PolicyName,
    settings: &OidcLoginSettings,
    (isolate, host): (&Isolate, &H),
    session: Session,
) {
    // Whoever sends the cookie again causes no other write.
    if settings.is_revocable && !matches!(has_ended(policy, (isolate, host), &session).await, Ok(true)) {
        let _ = end(policy, settings, (isolate, host), session.ended()).await;
    }
    if settings.refresh_s > 0 {
        let kept = KeptSession { session, token: None };
        isolate.sessions.borrow_mut().leave(SessionWork::keep(policy, settings, kept));
    }
}

/// The session ends, here and at the provider.
async fn logged_out<H: Host>(
    named: &Named<AuthnPolicy>,
    settings: &OidcLoginSettings,
    isolate: &Isolate,
    host: &H,
    received: &Received,
) -> Result<(String, Vec<String>), Problem> {
    let origin = origin(received);
    if !is_caused_here(&received.fields, &origin) {
        let detail = "A logout has to come from a page of this site (`Sec-Fetch-Site` or `Origin`).";
        return Err(Problem::new(ProblemKind::CredentialNotAccepted, detail, Reason::SessionCrossSite));
    }
    if let Presented::Text(text) = cookie(&received.fields, &settings.cookie) {
        isolate.sessions.borrow_mut().remove(TextMark::of(text, &isolate.mark_secret(host)));
        if (settings.refresh_s > 0 || settings.is_revocable)
            && let Ok(Some(session)) = session(settings, &named.name, isolate, host, text).await
        {
            withdraw(&named.name, settings, (isolate, host), session).await;
        }
    }
    // A provider that is away must not keep anybody logged in here.
    let provider = OpenIdProvider::of(settings, isolate, host).await.ok();
    let location = match provider.and_then(|provider| provider.end_session) {
        None => settings.after_logout.clone(),
        Some(end) => {
            let mut query = String::new();
            add_parameter(&mut query, "client_id", settings.client.client_id().unwrap_or_default());
            add_parameter(&mut query, "post_logout_redirect_uri", &format!("{origin}{}", settings.after_logout));
            format!("{end}{}{query}", if end.contains('?') { '&' } else { '?' })
        }
    };
    Ok((location, vec![set_cookie(&settings.cookie, "", 0)]))
}
