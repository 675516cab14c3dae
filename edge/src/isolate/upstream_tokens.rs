//! The tokens with which the gateway authenticates itself to upstreams, each for its time: one for each server and what is asked of
//! it, or one for each caller's token.
//!
//! One request of an isolate fetches a token at a time. If there is one that can still be used, the others use it meanwhile; otherwise
//! they wait, each with timers of its own.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::TextMark;
use tollgate_core::bounds::{TOKENS_REFUSED_MS, TOKENS_REMEMBERED_MAX};
use tollgate_core::forward::{ClientCredentials, UpstreamAuth};
use tollgate_core::oauth::{GrantError, Granted};
use tollgate_core::secret::Secret;
use tollgate_core::time::MonotonicInstant;

use super::Isolate;
use super::oauth::{AuthorizationServer, TIMEOUT_MS};
use super::room::make_room;
use super::secrets::resolve;
use crate::ports::{Clock, Host};

/// The tokens of an isolate.
#[derive(Debug, Default)]
pub(crate) struct UpstreamTokens {
    servers: Vec<Server>,
    /// The number of servers so far.
    numbered: u32,
    known: HashMap<TokenKey, Known, BuildHasherDefault<FxHasher>>,
}

/// A server and what is asked of it.
#[derive(Debug)]
struct Server {
    of: UpstreamAuth,
    number: u32,
    /// Why there was no answer, and until when it is not asked again.
    away: Option<(Arc<str>, MonotonicInstant)>,
}

/// What a token was asked for with: the number of its server, and the mark of the caller's token, if it is for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenKey(u32, Option<TextMark>);

/// What is known of a token.
#[derive(Debug, Default)]
struct Known {
    token: Option<Token>,
    /// Until when a request fetches it.
    asked_until: MonotonicInstant,
    /// Why there is none for this caller, and until when the server is not asked again.
    refused: Option<(NoToken, MonotonicInstant)>,
}

#[derive(Debug)]
struct Token {
    value: Secret,
    asked_at: MonotonicInstant,
    /// When it is fetched again, although it can still be used.
    refresh_at: MonotonicInstant,
    ends_at: MonotonicInstant,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// For the operator.
    Away(Arc<str>),
    /// The server gives none for this caller.
    Refused(GrantError),
    /// What the server answers for this caller cannot be used; it may answer others. For the operator.
    Unusable(Arc<str>),
}

/// The next step of a request that needs a token.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Use(Secret),
    Fetch,
    Wait,
    None(NoToken),
}

impl UpstreamTokens {
    /// The key of a token.
    fn key(&mut self, of: &UpstreamAuth, subject: Option<TextMark>) -> TokenKey {
        if let Some(known) = self.servers.iter().find(|known| known.of == *of) {
            return TokenKey(known.number, subject);
        }
        if self.servers.len() >= SERVERS_MAX {
            // Most of them are those of earlier configurations; a token can be fetched again.
            self.servers.clear();
            self.known.clear();
        }
        self.numbered = self.numbered.wrapping_add(1);
        self.servers.push(Server { of: of.clone(), number: self.numbered, away: None });
        TokenKey(self.numbered, subject)
    }

    fn server(&mut self, key: TokenKey) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.number == key.0)
    }

    fn known(&mut self, key: TokenKey, now: MonotonicInstant) -> &mut Known {
        if !self.known.contains_key(&key) {
            let is_used = |known: &Known| {
                now < known.asked_until || known.token.as_ref().is_some_and(|token| now < token.ends_at)
            };
            make_room(&mut self.known, TOKENS_REMEMBERED_MAX, is_used);
        }
        self.known.entry(key).or_default()
    }

    /// The next step; with `Fetch`, the caller has the right to fetch.
    fn step(&mut self, key: TokenKey, now: MonotonicInstant) -> Step {
        let away = self.server(key).and_then(|server| server.away.clone()).filter(|(_, until)| now < *until);
        let known = self.known(key, now);
        let usable = known.token.as_ref().filter(|token| now < token.ends_at);
        let is_fresh = usable.is_some_and(|token| now < token.refresh_at);
        let refused = known.refused.as_ref().filter(|(_, until)| now < *until).map(|(why, _)| why);
        let is_asked = now < known.asked_until || matches!(refused, Some(NoToken::Unusable(_)));
        match (usable, away) {
            (Some(token), away) if is_fresh || away.is_some() || is_asked => Step::Use(token.value.clone()),
            (None, Some((why, _))) => Step::None(NoToken::Away(why)),
            (None, None) if now < known.asked_until => Step::Wait,
            _ => match refused {
                Some(why) => Step::None(why.clone()),
                None => {
                    known.asked_until = now.plus_millis(ATTEMPT_MS);
                    Step::Fetch
                }
            },
        }
    }

    /// Takes a token whose request began at an instant, or why there is none.
    fn put(
        &mut self,
        key: TokenKey,
        answer: Result<&Granted, &NoToken>,
        asked_at: MonotonicInstant,
        now: MonotonicInstant,
    ) {
        let away = match answer {
            Err(NoToken::Away(why)) => Some((Arc::clone(why), now.plus_millis(AWAY_MS))),
            Ok(_) | Err(NoToken::Refused(_) | NoToken::Unusable(_)) => None,
        };
        if let Some(server) = self.server(key) {
            server.away = away;
        }
        let known = self.known(key, now);
        known.asked_until = now;
        match answer {
            Ok(granted) => {
                let lifetime_ms = u64::from(granted.lifetime_s) * 1_000;
                let at = |percent: u64| asked_at.plus_millis(lifetime_ms * percent / 100);
                let (value, refresh_at, ends_at) = (granted.token.clone(), at(REFRESH_PERCENT), at(END_PERCENT));
                known.token = Some(Token { value, asked_at, refresh_at, ends_at });
                known.refused = None;
            }
            // What was exchanged before is not used either: the caller may have lost the right.
            Err(why @ NoToken::Refused(_)) => {
                let refused = Some((why.clone(), now.plus_millis(TOKENS_REFUSED_MS)));
                *known = Known { refused, ..Known::default() };
            }
            Err(why @ NoToken::Unusable(_)) => known.refused = Some((why.clone(), now.plus_millis(AWAY_MS))),
            Err(NoToken::Away(_)) => {}
        }
    }

    /// Forgets a token that an upstream does not accept, unless there is another one already, or it is new: an upstream that accepts none
    /// does not make each request ask for one.
    pub(crate) fn forget(&mut self, key: TokenKey, used: &Secret, now: MonotonicInstant) {
        let Some(known) = self.known.get_mut(&key) else { return };
        let is_old = |token: &Token| token.value == *used && now.millis_since(token.asked_at) >= NEW_MS;
        if known.token.as_ref().is_some_and(is_old) {
            known.token = None;
        }
    }
}

/// The token for an upstream, in place of a caller's token if there is one.
pub(crate) async fn upstream_token<H: Host>(
    isolate: &Isolate,
    host: &H,
    of: &UpstreamAuth,
    subject: Option<&str>,
) -> Result<(TokenKey, Secret), NoToken> {
    let began = host.clock().instant();
    let mark = subject.map(|text| TextMark::of(text, &isolate.mark_secret(host)));
    let key = isolate.upstream_tokens.borrow_mut().key(of, mark);
    let _fetching = loop {
        let now = host.clock().instant();
        let step = isolate.upstream_tokens.borrow_mut().step(key, now);
        match step {
            Step::Use(token) => return Ok((key, token)),
            Step::None(why) => return Err(why),
            Step::Fetch => break Fetching { isolate, key, until: now.plus_millis(ATTEMPT_MS) },
            Step::Wait if now.millis_since(began) < ATTEMPT_MS => host.clock().sleep(POLL_MS).await,
            Step::Wait => return Err(NoToken::Away("another request waits for the token".into())),
        }
    };
    let asked_at = host.clock().instant();
    let answer = granted(isolate, host, of, subject).await;
    let now = host.clock().instant();
    let mut tokens = isolate.upstream_tokens.borrow_mut();
    tokens.put(key, answer.as_ref(), asked_at, now);
    match answer {
        Ok(granted) => Ok((key, granted.token)),
        // It was fetched early, and the one before can still be used.
        Err(why) => match tokens.step(key, now) {
            Step::Use(token) => Ok((key, token)),
            Step::Fetch | Step::Wait | Step::None(_) => Err(why),
        },
    }
}

/// The right to fetch a token, which is given back when the request is dropped.
struct Fetching<'i> {
    isolate: &'i Isolate,
    key: TokenKey,
    until: MonotonicInstant,
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        // A request that is done has given the right back, and holds the tokens.
        let Ok(mut tokens) = self.isolate.upstream_tokens.try_borrow_mut() else { return };
        if let Some(known) = tokens.known.get_mut(&self.key).filter(|known| known.asked_until == self.until) {
            known.asked_until = MonotonicInstant::default();
        }
    }
}

async fn granted<H: Host>(
    isolate: &Isolate,
    host: &H,
    of: &UpstreamAuth,
    subject: Option<&str>,
) -> Result<Granted, NoToken> {
    let away = |why: &str| NoToken::Away(["the token for the upstream: ", why].concat().into());
    let (server, parameters) = match (of, subject) {
        (UpstreamAuth::TokenExchange(exchange), Some(subject)) => {
            let actor = match &exchange.actor {
                None => None,
                Some(text) => {
                    let found = resolve(isolate, host, text).await.map_err(|error| away(&error.0))?;
                    Some(found.ok_or_else(|| away("the secret of `actor-token` has no value on this host"))?)
                }
            };
            (&exchange.server, exchange.parameters(subject, actor.as_ref()))
        }
        (UpstreamAuth::ClientCredentials(server), _) => (server, server.parameters()),
        (UpstreamAuth::TokenExchange(_), None) => return Err(away("the caller has no token that could be exchanged")),
        (UpstreamAuth::None | UpstreamAuth::Basic(..) | UpstreamAuth::Aws(_), _) => {
            return Err(away("it is not one that a server issues"));
        }
    };
    let ClientCredentials { url, is_private, client, .. } = server;
    let server = AuthorizationServer { url, is_private: *is_private, audience: url, client };
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let failed = |why: &str, is_of_subject: bool| match away(why) {
        NoToken::Away(why) if is_of_subject && subject.is_some() => NoToken::Unusable(why),
        why => why,
    };
    let answer = server.ask(isolate, host, &parameters, "application/json").await;
    let answer = answer.map_err(|unanswered| failed(&unanswered.why, unanswered.is_of_question))?;
    Granted::read(answer.status, &answer.content).map_err(|error| match error {
        GrantError::Grant | GrantError::Target if subject.is_some() => NoToken::Refused(error),
        _ => failed(&error.to_string(), !error.is_of_server()),
    })
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
