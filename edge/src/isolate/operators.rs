//! The state of the operator endpoint in an isolate: its address, the bound tokens, failed authentications.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;
use tollgate_core::operator::{FailedAttempts, Place, Role, TokenError, Tokens};
use tollgate_core::time::MonotonicInstant;

use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, Secrets, TelemetrySink, Unavailable};
use crate::timeout::within;

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
    bound: RefCell<Option<(Rc<Tokens>, MonotonicInstant)>>,
}

impl Operators {
    pub(crate) fn new(settings: OperatorSettings) -> Self {
        Self { settings, ..Self::default() }
    }
}

/// The bound tokens, cached for [`TOKENS_FRESH_MS`].
pub(crate) async fn tokens<H: Host>(isolate: &Isolate, host: &H) -> Result<Rc<Tokens>, Unavailable> {
    let now = host.clock().instant();
    if isolate.settings.freshness == Freshness::Cached
        && let Some((tokens, at)) = isolate.operators.bound.borrow().as_ref()
        && now.millis_since(*at) < TOKENS_FRESH_MS
    {
        return Ok(Rc::clone(tokens));
    }
    let mut tokens = Tokens::default();
    for role in Role::ALL {
        let secret = within(host, "the secret store", host.secrets().secret(role.secret_name())).await?;
        // An invalid secret binds nothing; the others are not affected.
        if let Some(Err(error)) = secret.map(|secret| tokens.add(role, &secret)) {
            log_refused(isolate, host, &error);
        }
    }
    let tokens = Rc::new(tokens);
    isolate.operators.bound.replace(Some((Rc::clone(&tokens), now)));
    Ok(tokens)
}

fn log_refused<H: Host>(isolate: &Isolate, host: &H, error: &TokenError) {
    let gateway = &isolate.settings.gateway;
    let line =
        json!({"level": "error", "event": "operator-secret-refused", "gateway": gateway, "reason": error.to_string()});
    host.telemetry_sink().log(&line.to_string());
}

/// How long bound tokens are cached: a removed token is refused after this time at the latest.
const TOKENS_FRESH_MS: u64 = 60_000;
