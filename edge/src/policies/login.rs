//! Logins of people at an OpenID Connect provider (`oidc-login`): the redirect to the provider, and what the policy answers itself.

mod answer;
mod ended;
mod provider;
mod refresh;

pub(crate) use answer::{Asked, answer};
pub(crate) use ended::has_ended;
use provider::OpenIdProvider;
pub(crate) use refresh::{confirmed, work};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use tollgate_core::authn::{
    CredentialPlace, Identity, LOGIN_S, Login, LoginRefusal, OidcLoginSettings, Presented, Session, digest_text,
    return_target,
};
use tollgate_core::event::{Local, Reason};
use tollgate_core::jose::{Members, Token};
use tollgate_core::kinds::PolicyName;
use tollgate_core::oauth::add_parameter;
use tollgate_core::problem::{Problem, ProblemKind};

use crate::apart::rare;
use crate::isolate::Isolate;
use crate::isolate::sealed::Sealing;
use crate::pipeline::Received;
use crate::policies::jwt::{malformed, not_accepted, verify};
use crate::policies::linked::linked;
use crate::ports::{Clock, Entropy, Host, Records, WriteFault};
use crate::timeout::within;

/// What is encrypted.
const SESSION: &str = "session";
const LOGIN: &str = "login";
const KEPT: &str = "kept";

/// The value of a cookie.
pub(crate) fn cookie<'r>(fields: &'r HeaderMap, name: &str) -> Presented<'r> {
    CredentialPlace::in_cookie(fields, name)
}

/// The origin of the request's URL, as browsers write it.
pub(crate) fn origin(received: &Received) -> String {
    let scheme = if received.origin.https { "https" } else { "http" };
    format!("{scheme}://{}", received.authority())
}

/// The line of a cookie that only this host gets, over HTTPS, and no script (RFC 6265bis, sections 4.1.2 and 4.1.3).
pub(crate) fn set_cookie(name: &str, value: &str, age_s: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={age_s}; Secure; HttpOnly; SameSite=Lax")
}

/// The line of the session's cookie; none if it is too large. An error is for the operator.
pub(crate) async fn session_cookie<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    isolate: &Isolate,
    host: &H,
    session: &Session,
) -> Result<Option<String>, String> {
    let sealing = Sealing { secret: &settings.secrets[0], policy, purpose: SESSION };
    let value = sealing.seal(isolate, host, &session.to_bytes()).await?;
    let line = set_cookie(&settings.cookie, &value, settings.session_s.into());
    Ok(Some(line).filter(|line| line.len() <= COOKIE_BYTES_MAX))
}

/// Who has an ID token, and what it says, once it is verified.
async fn who<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    text: &str,
) -> Result<(Identity, Members), Problem> {
    let token = Token::parse(text).map_err(malformed)?;
    let verification = isolate.tokens.borrow_mut().policy(policy, &settings.verification());
    verify(&verification, isolate, host, &token).await?;
    let claims = token.claims().map_err(malformed)?;
    let identity = settings.rules.of_token(policy, &claims, isolate.time(host.clock())).map_err(not_accepted)?;
    settings.check_client(&claims).map_err(refused)?;
    let identity = rare(linked(&settings.rules, identity, isolate, host)).await?;
    Ok((identity, claims))
}

fn refused(error: LoginRefusal) -> Problem {
    let detail = format!("Nobody was logged in: {error}.");
    Problem::new(ProblemKind::CredentialNotAccepted, detail, Reason::LoginRefused { error })
}

/// The session in a cookie, if the gateway made it. An error is for the operator.
pub(crate) async fn session<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    isolate: &Isolate,
    host: &H,
    text: &str,
) -> Result<Option<Session>, String> {
    let sealing = Sealing { secret: &settings.secrets[0], policy, purpose: SESSION };
    let opened = sealing.open(isolate, host, text).await?;
    Ok(opened.and_then(|bytes| Session::read(&bytes)))
}

/// The URL of the provider to which the browser goes, and the line of the login's cookie. An error is for the operator.
pub(crate) async fn begin<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    isolate: &Isolate,
    host: &H,
    received: &Received,
) -> Result<(String, String), String> {
    let provider = OpenIdProvider::of(settings, isolate, host).await?;
    let mut random = [0; 56];
    host.entropy().fill(&mut random);
    let query = received.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", received.path_as_sent());
    let login = Login::new(&random, return_target(&target), isolate.time(host.clock()));
    let sealing = Sealing { secret: &settings.secrets[0], policy, purpose: LOGIN };
    let state = state(settings, (isolate, host), (&sealing, &login), received).await?;
    let mut query = String::new();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", settings.client.client_id().unwrap_or_default()),
        ("redirect_uri", &redirect_uri(settings, received)),
        ("scope", &settings.scope),
        ("state", &state),
        ("nonce", &login.nonce),
        ("code_challenge", &digest_text(&login.verifier)),
        ("code_challenge_method", "S256"),
    ] {
        add_parameter(&mut query, name, value);
    }
    let joint = if provider.authorization.contains('?') { '&' } else { '?' };
    let name = settings.login_cookie(Login::number(&state));
    Ok((format!("{}{joint}{query}", provider.authorization), set_cookie(&name, &digest_text(&state), LOGIN_S)))
}

/// The sealed login, whose cookie replaces that of no other tab if there is room for it.
async fn state<H: Host>(
    settings: &OidcLoginSettings,
    (isolate, host): (&Isolate, &H),
    (sealing, login): (&Sealing<'_>, &Login),
    received: &Received,
) -> Result<String, String> {
    let mut state = sealing.seal(isolate, host, &login.to_bytes()).await?;
    for _ in 0..STATES_TRIED {
        let name = settings.login_cookie(Login::number(&state));
        if matches!(cookie(&received.fields, &name), Presented::Nothing) {
            break;
        }
        state = sealing.seal(isolate, host, &login.to_bytes()).await?;
    }
    Ok(state)
}

/// With half of the cookies taken, one try in 65,536 finds none that is free.
const STATES_TRIED: usize = 16;

/// Where the provider sends the browser afterwards.
pub(crate) fn redirect_uri(settings: &OidcLoginSettings, received: &Received) -> String {
    format!("{}{}/callback", origin(received), settings.path)
}

/// Writes a record of sessions, which expires. A store may refuse to write a key twice in a second (Workers KV), and a person may log in
/// and out at once: then it waits.
async fn written<H: Host>(host: &H, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
    let write = || within(host, "the record store", host.records().write(key, bytes, keep_s));
    match write().await {
        Err(WriteFault::TooOften) => {
            host.clock().sleep(WRITES_APART_MS).await;
            write().await
        }
        written => written,
    }
}

const WRITES_APART_MS: u64 = 1_100;

/// The login or the session cannot be made or read now.
pub(crate) fn unavailable(why: String) -> Problem {
    let detail = "The gateway cannot log anyone in right now. Try again shortly.";
    let reason = Reason::LoginUnavailable { text: Local(why.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}

/// What browsers keep at least (RFC 6265, section 6.1).
const COOKIE_BYTES_MAX: usize = 4_096;
