//! What an isolate knows of operators: where their endpoint stands, the tokens that are bound, failed authentications.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;
use tollgate_core::operator::{FailedAttempts, Place, Role, TokenError, Tokens};
use tollgate_core::time::MonotonicInstant;

use super::{Freshness, Isolate};
use crate::patience::within;
use crate::ports::{Clock, Host, Secrets, TelemetrySink, Unavailable};

/// How an isolate answers operators.
#[derive(Clone, Debug, Default)]
pub struct OperatorSettings {
    /// Where the endpoint stands.
    pub place: Place,
    /// Whether it answers among the requests of clients.
    ///
    /// Where it does not, its paths are reserved all the same: a token that is sent there by mistake reaches no upstream. The
    /// tokens are those that [`crate::ports::Secrets`] knows by [`tollgate_core::operator::Role::secret_name`].
    pub answers: bool,
}

/// What an isolate knows of operators.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    pub(crate) settings: OperatorSettings,
    pub(crate) attempts: RefCell<FailedAttempts>,
    bound: RefCell<Option<(Rc<Tokens>, MonotonicInstant)>>,
}

impl Operators {
    pub(crate) fn new(settings: OperatorSettings) -> Self {
        Self { settings, ..Self::default() }
    }
}

/// The tokens that are bound now, or were within [`TOKENS_FRESH_MS`].
pub(crate) async fn tokens<H: Host>(isolate: &Isolate, host: &H) -> Result<Rc<Tokens>, Unavailable> {
    let now = host.clock().instant();
    if isolate.settings.freshness == Freshness::Behind
        && let Some((tokens, at)) = isolate.operators.bound.borrow().as_ref()
        && now.millis_since(*at) < TOKENS_FRESH_MS
    {
        return Ok(Rc::clone(tokens));
    }
    let mut tokens = Tokens::default();
    for role in Role::ALL {
        let secret = within(host, "the secret store", host.secrets().secret(role.secret_name())).await?;
        // A secret that cannot be used binds nothing; the others do.
        if let Some(Err(error)) = secret.map(|secret| tokens.add(role, &secret)) {
            complain(isolate, host, &error);
        }
    }
    let tokens = Rc::new(tokens);
    isolate.operators.bound.replace(Some((Rc::clone(&tokens), now)));
    Ok(tokens)
}

fn complain<H: Host>(isolate: &Isolate, host: &H, error: &TokenError) {
    let gateway = &isolate.settings.gateway;
    let line =
        json!({"level": "error", "event": "operator-secret-refused", "gateway": gateway, "reason": error.to_string()});
    host.telemetry_sink().log(&line.to_string());
}

/// How long bound tokens are remembered: one that is taken away is refused after this time at the latest.
const TOKENS_FRESH_MS: u64 = 60_000;
