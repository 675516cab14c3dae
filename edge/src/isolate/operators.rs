//! The state of the operator endpoint in an isolate: its address, the bound tokens, failed authentications.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::operator::{FailedAttempts, Place, Role, TokenError, Tokens};
use tollgate_core::telemetry::event_line;

use super::aged::Aged;
use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, TelemetrySink, Unavailable};
use crate::timeout::secret;

/// The settings of the operator endpoint.
#[derive(Clone, Debug, Default)]
pub struct OperatorSettings {
    /// The address of the endpoint.
    pub place: Place,
    /// Whether it is available to requests that arrive at the listener of clients.
    ///
    /// If not, its paths are still reserved, so that a token that is sent there by mistake reaches no upstream. The
    /// tokens are the secrets of [`crate::ports::Secrets`] with the names of
    /// [`tollgate_core::operator::Role::secret_name`].
    pub answers: bool,
}

/// The state of the operator endpoint in an isolate.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    pub(crate) settings: OperatorSettings,
    pub(crate) attempts: RefCell<FailedAttempts>,
    bound: RefCell<Option<Aged<Rc<Tokens>>>>,
}

impl Operators {
    pub(crate) fn new(settings: OperatorSettings) -> Self {
        Self { settings, ..Self::default() }
    }
}

/// The bound tokens: from memory while they are fresh, otherwise from the store, like secrets for upstreams.
pub(crate) async fn tokens<H: Host>(isolate: &Isolate, host: &H) -> Result<Rc<Tokens>, Unavailable> {
    let now = host.clock().instant();
    let bound = &isolate.operators.bound;
    if isolate.settings.freshness == Freshness::Cached
        && let Some(tokens) = bound.borrow_mut().as_mut().and_then(|known| known.current_or_ask(now))
    {
        return Ok(tokens);
    }
    let read = read_tokens(isolate, host).await;
    let mut bound = bound.borrow_mut();
    match read {
        Ok(tokens) => {
            if !bound.as_ref().is_some_and(|known| known.is_newer_than(now)) {
                *bound = Some(Aged::read(Rc::clone(&tokens), now));
            }
            Ok(tokens)
        }
        Err(unavailable) => {
            let last = bound.as_ref().and_then(|known| known.last(host.clock().instant()));
            last.ok_or(unavailable)
        }
    }
}

async fn read_tokens<H: Host>(isolate: &Isolate, host: &H) -> Result<Rc<Tokens>, Unavailable> {
    let mut tokens = Tokens::default();
    for role in Role::ALL {
        let secret = secret(host, role.secret_name()).await?;
        // An invalid secret binds nothing; the others are not affected.
        if let Some(Err(error)) = secret.map(|secret| tokens.add(role, &secret)) {
            log_refused(isolate, host, &error);
        }
    }
    Ok(Rc::new(tokens))
}

fn log_refused<H: Host>(isolate: &Isolate, host: &H, error: &TokenError) {
    let gateway = &isolate.settings.gateway;
    let now = host.clock().now();
    let line = event_line(now, "error", "operator-secret-refused", gateway, |line| {
        line.text("reason", &error.to_string());
    });
    host.telemetry_sink().log(&line);
}
