//! Sessions that the provider confirms now and then, with the refresh token in a record.
//!
//! The cookie says when the provider has confirmed the session. When that is too long ago, the record is read: another isolate may
//! have asked since. Otherwise this one asks, if no other one does. What it was told is written to the record, and comes to the cookie
//! with the next response.

use std::num::NonZeroU32;

use tollgate_core::authn::{KeptSession, OidcLoginSettings, Once, Session, Standing};
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::ProblemKind;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{SealedSession, decode, encode, keys};

use super::provider::TokenRefused;
use super::{KEPT, OpenIdProvider, who, written};
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::isolate::sealed::Sealing;
use crate::isolate::sessions::SessionWork;
use crate::ports::{Clock, Entropy, Host};
use crate::timeout::{counted, record};

/// Does what was left for a session. If it fails, a later request asks again.
pub(crate) async fn work<H: Host>(
    isolate: &Isolate,
    host: &H,
    SessionWork { policy, settings, kept, asks }: SessionWork,
) {
    if asks {
        let _ = refreshed(&settings, &policy, (isolate, host), kept).await;
    } else {
        write(&settings, &policy, (isolate, host), &kept).await;
    }
}

/// A session that the provider has to confirm, as it was confirmed last; `None` if it has ended. An error is for the operator.
pub(crate) async fn confirmed<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    session: Session,
    now: Timestamp,
) -> Result<Option<Session>, String> {
    let confirmed = known(settings, policy, (isolate, host), session, now).await?;
    // The provider may have confirmed it without an ID token, which would have the claims that are kept now.
    Ok(confirmed.filter(|session| session.keeps(settings)))
}

async fn known<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    session: Session,
    now: Timestamp,
) -> Result<Option<Session>, String> {
    let may_wait = |session: &Session| session.standing(settings, now) != Standing::Overdue;
    let kept = match read(settings, policy, (isolate, host), &session).await {
        Ok(Some(kept)) => kept,
        // It was not written, or is an old copy whose token was used.
        Ok(None) => return Ok(Some(session).filter(may_wait)),
        Err(_) if may_wait(&session) => return Ok(Some(session)),
        Err(why) => return Err(why),
    };
    if kept.token.is_none() {
        return Ok(None);
    }
    let known = kept.session.clone();
    match known.standing(settings, now) {
        Standing::Fresh => Ok(Some(known)),
        Standing::Due => {
            let asks = SessionWork { asks: true, ..SessionWork::keep(policy, settings, kept) };
            isolate.sessions.borrow_mut().leave(asks);
            Ok(Some(known))
        }
        Standing::Overdue => match rare(refreshed(settings, policy, (isolate, host), kept)).await {
            Refreshed::Confirmed(session) => Ok(Some(*session)),
            Refreshed::Claimed => awaited(settings, policy, (isolate, host), &known).await,
            Refreshed::Ended => Ok(None),
            Refreshed::Away(why) => Err(why),
        },
    }
}

/// What another request learns of a session about which it asks the provider. Without an answer, nobody goes on with the session.
async fn awaited<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    known: &Session,
) -> Result<Option<Session>, String> {
    for _ in 0..AWAITED_MS / LOOK_EACH_MS {
        host.clock().sleep(LOOK_EACH_MS).await;
        match read(settings, policy, (isolate, host), known).await? {
            Some(KeptSession { token: None, .. }) => return Ok(None),
            Some(KeptSession { session, .. }) if session.confirmed_s > known.confirmed_s => return Ok(Some(session)),
            Some(_) | None => {}
        }
    }
    Err("another request asks the identity provider about the session, and has no answer yet".to_owned())
}

/// As long as a request to the provider takes at most.
const AWAITED_MS: u64 = 3_000;
const LOOK_EACH_MS: u64 = 150;

/// What the provider says of a session.
enum Refreshed {
    /// This is the session now.
    Confirmed(Box<Session>),
    /// Another isolate asks, or has asked.
    Claimed,
    /// The person may not have it any more.
    Ended,
    /// Nothing; why, for the operator.
    Away(String),
}

/// Asks the provider with the refresh token, once among all isolates, and writes what it said.
async fn refreshed<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    kept: KeptSession,
) -> Refreshed {
    match claimed(settings, policy, host, &kept.session).await {
        Ok(true) => {}
        Ok(false) => return Refreshed::Claimed,
        Err(why) => return Refreshed::Away(why),
    }
    let asked = asked(settings, policy, (isolate, host), &kept).await;
    if let Refreshed::Ended = asked {
        // Another isolate may have used the token in spite of the claim.
        if let Ok(Some(KeptSession { session, token: Some(_) })) =
            read(settings, policy, (isolate, host), &kept.session).await
            && session.confirmed_s > kept.session.confirmed_s
        {
            return Refreshed::Confirmed(Box::new(session));
        }
        write(settings, policy, (isolate, host), &KeptSession { token: None, ..kept }).await;
    }
    asked
}

/// Whether nobody else asks about the session.
async fn claimed<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    host: &H,
    session: &Session,
) -> Result<bool, String> {
    let mut random = [0; 16];
    host.entropy().fill(&mut random);
    let window_ms = NonZeroU32::new(settings.claim_ms()).unwrap_or(NonZeroU32::MIN);
    let claim = session.claim();
    let once = Once { policy: Some(policy), signer: session.id.as_bytes(), used: claim.as_bytes() };
    let update = once.update(window_ms, random);
    counted(host, &update).await.map(|outcome| outcome.granted).map_err(|fault| fault.to_string())
}

/// Asks the provider, and writes the session that it confirms.
async fn asked<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    kept: &KeptSession,
) -> Refreshed {
    let provider = match OpenIdProvider::of(settings, isolate, host).await {
        Ok(provider) => provider,
        Err(why) => return Refreshed::Away(why),
    };
    let token = kept.token.as_deref().unwrap_or_default();
    let parameters = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let granted = match provider.granted(settings, isolate, host, &parameters).await {
        Ok(granted) => granted,
        Err(TokenRefused::Grant) => return Refreshed::Ended,
        Err(TokenRefused::Away(why)) => return Refreshed::Away(why),
    };
    let mut session = kept.session.clone();
    // OpenID Connect Core 1.0, section 12.2: an ID token is of the same person, if there is one.
    if let Some(text) = granted.id_token {
        session = match who(settings, policy, (isolate, host), &text).await {
            Ok((identity, claims)) if identity.consumer == session.consumer => {
                session.of(settings, (identity, &claims))
            }
            Ok(_) => return Refreshed::Ended,
            Err(problem) if problem.kind == ProblemKind::StoreUnavailable => {
                return Refreshed::Away(problem.reason.to_string());
            }
            Err(_) => return Refreshed::Ended,
        };
    }
    let session = session.confirmed(isolate.time(host.clock()));
    let token = granted.refresh_token.or_else(|| kept.token.clone());
    write(settings, policy, (isolate, host), &KeptSession { session: session.clone(), token }).await;
    Refreshed::Confirmed(Box::new(session))
}

/// What is kept of a session, unless its cookie is newer.
async fn read<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    session: &Session,
) -> Result<Option<KeptSession>, String> {
    let key = keys::session(&isolate.settings.gateway, policy, &session.id);
    let Some(bytes) = record(host, &key).await.map_err(|away| away.0)? else { return Ok(None) };
    let Ok(SealedSession { sealed }) = decode(&bytes) else { return Ok(None) };
    let sealing = Sealing { secret: &settings.secrets[0], policy, purpose: KEPT };
    let opened = sealing.open(isolate, host, &sealed).await?;
    let kept = opened.and_then(|bytes| KeptSession::read(&bytes));
    Ok(kept.filter(|kept| kept.session.id == session.id && kept.session.confirmed_s >= session.confirmed_s))
}

/// Writes what is known of a session, until it ends. If that fails, the provider will not know the token, and the person is sent there
/// again.
async fn write<H: Host>(
    settings: &OidcLoginSettings,
    policy: &PolicyName,
    (isolate, host): (&Isolate, &H),
    kept: &KeptSession,
) {
    let sealing = Sealing { secret: &settings.secrets[0], policy, purpose: KEPT };
    let Ok(sealed) = sealing.seal(isolate, host, &kept.to_bytes()).await else { return };
    let key = keys::session(&isolate.settings.gateway, policy, &kept.session.id);
    let bytes = encode(&SealedSession { sealed });
    let _ = written(host, &key, &bytes, settings.session_s).await;
}
