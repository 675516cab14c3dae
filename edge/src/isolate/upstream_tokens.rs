//! The tokens with which the gateway authenticates itself to upstreams: one for each server and what is asked of it, for its time.
//!
//! One request of an isolate fetches a token at a time. If there is one that can still be used, the others use it meanwhile; otherwise
//! they wait, each with timers of its own.

use std::sync::Arc;

use tollgate_core::forward::ClientCredentials;
use tollgate_core::oauth::Granted;
use tollgate_core::secret::Secret;
use tollgate_core::time::MonotonicInstant;

use super::Isolate;
use super::oauth::{AuthorizationServer, TIMEOUT_MS};
use crate::ports::{Clock, Host};

/// The tokens of an isolate.
#[derive(Debug, Default)]
pub(crate) struct UpstreamTokens(Vec<Known>);

/// What is known of a server and what is asked of it.
#[derive(Debug)]
struct Known {
    of: ClientCredentials,
    token: Option<Token>,
    /// Until when a request fetches a token.
    asked_until: MonotonicInstant,
    /// Why there was no answer, and until when the server is not asked again.
    away: Option<(Arc<str>, MonotonicInstant)>,
}

#[derive(Debug)]
struct Token {
    value: Secret,
    asked_at: MonotonicInstant,
    /// When it is fetched again, although it can still be used.
    refresh_at: MonotonicInstant,
    ends_at: MonotonicInstant,
}

/// The next step of a request that needs a token.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Use(Secret),
    Fetch,
    Wait,
    Away(Arc<str>),
}

impl UpstreamTokens {
    fn known(&mut self, of: &ClientCredentials) -> &mut Known {
        let place = self.0.iter().position(|known| known.of == *of).unwrap_or_else(|| {
            if self.0.len() >= SERVERS_MAX {
                // Most of them are those of earlier configurations; a token can be fetched again.
                self.0.clear();
            }
            let asked_until = MonotonicInstant::default();
            self.0.push(Known { of: of.clone(), token: None, asked_until, away: None });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    /// The next step; with `Fetch`, the caller has the right to fetch.
    fn step(&mut self, of: &ClientCredentials, now: MonotonicInstant) -> Step {
        let known = self.known(of);
        let usable = known.token.as_ref().filter(|token| now < token.ends_at);
        let is_fresh = usable.is_some_and(|token| now < token.refresh_at);
        let away = known.away.as_ref().filter(|(_, until)| now < *until);
        match (usable, away) {
            (Some(token), away) if is_fresh || away.is_some() || now < known.asked_until => {
                Step::Use(token.value.clone())
            }
            (None, Some((why, _))) => Step::Away(Arc::clone(why)),
            (None, None) if now < known.asked_until => Step::Wait,
            _ => {
                known.asked_until = now.plus_millis(ATTEMPT_MS);
                Step::Fetch
            }
        }
    }

    /// Takes a token whose request began at an instant, or why there is none.
    fn put(
        &mut self,
        of: &ClientCredentials,
        answer: Result<&Granted, &Arc<str>>,
        asked_at: MonotonicInstant,
        now: MonotonicInstant,
    ) {
        let known = self.known(of);
        known.asked_until = now;
        match answer {
            Ok(granted) => {
                let lifetime_ms = u64::from(granted.lifetime_s) * 1_000;
                let at = |percent: u64| asked_at.plus_millis(lifetime_ms * percent / 100);
                let (value, refresh_at, ends_at) = (granted.token.clone(), at(REFRESH_PERCENT), at(END_PERCENT));
                known.token = Some(Token { value, asked_at, refresh_at, ends_at });
                known.away = None;
            }
            Err(why) => known.away = Some((Arc::clone(why), now.plus_millis(AWAY_MS))),
        }
    }

    /// Forgets a token that an upstream does not accept, unless there is another one already, or it is new: an upstream that accepts none
    /// does not make each request ask for one.
    pub(crate) fn forget(&mut self, of: &ClientCredentials, used: &Secret, now: MonotonicInstant) {
        let known = self.known(of);
        let is_old = |token: &Token| token.value == *used && now.millis_since(token.asked_at) >= NEW_MS;
        if known.token.as_ref().is_some_and(is_old) {
            known.token = None;
        }
    }
}

/// The token for an upstream. An error is for the operator.
pub(crate) async fn upstream_token<H: Host>(
    isolate: &Isolate,
    host: &H,
    of: &ClientCredentials,
) -> Result<Secret, Arc<str>> {
    let began = host.clock().instant();
    loop {
        let now = host.clock().instant();
        let step = isolate.upstream_tokens.borrow_mut().step(of, now);
        match step {
            Step::Use(token) => return Ok(token),
            Step::Away(why) => return Err(why),
            Step::Fetch => break,
            Step::Wait if now.millis_since(began) < ATTEMPT_MS => host.clock().sleep(POLL_MS).await,
            Step::Wait => return Err("another request waits for the token".into()),
        }
    }
    let asked_at = host.clock().instant();
    let answer =
        granted(isolate, host, of).await.map_err(|why| Arc::from(format!("the token for the upstream: {why}")));
    let now = host.clock().instant();
    let mut tokens = isolate.upstream_tokens.borrow_mut();
    tokens.put(of, answer.as_ref(), asked_at, now);
    match answer {
        Ok(granted) => Ok(granted.token),
        // It was fetched early, and the one before can still be used.
        Err(why) => match tokens.step(of, now) {
            Step::Use(token) => Ok(token),
            Step::Fetch | Step::Wait | Step::Away(_) => Err(why),
        },
    }
}

async fn granted<H: Host>(isolate: &Isolate, host: &H, of: &ClientCredentials) -> Result<Granted, String> {
    let server = AuthorizationServer { url: &of.url, is_private: of.is_private, audience: &of.url, client: &of.client };
    let parameters = of.parameters();
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = server.ask(isolate, host, &parameters, "application/json").await?;
    Granted::read(answer.status, &answer.content).map_err(|error| error.to_string())
}

/// Servers, and what is asked of them, of the configurations that an isolate has seen.
const SERVERS_MAX: usize = 256;

/// The part of its lifetime after which a token is fetched again.
const REFRESH_PERCENT: u64 = 75;

/// The part of its lifetime for which a token is used: the request takes a while, and clocks differ.
const END_PERCENT: u64 = 95;

/// The maximum time of an attempt, with the secret, which is usually known.
const ATTEMPT_MS: u64 = 2 * TIMEOUT_MS + 500;

/// How long a server that gave no token is not asked again.
const AWAY_MS: u64 = 1_000;

/// How long a token is new.
const NEW_MS: u64 = 5_000;

/// The interval at which a request checks whether another has a token.
const POLL_MS: u64 = 20;
