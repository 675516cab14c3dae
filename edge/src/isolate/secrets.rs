//! The cache of secrets in an isolate, so that not every request reads them from the platform.

use std::collections::HashMap;

use tollgate_core::operator::SECRET_PREFIX;
use tollgate_core::secret::{Secret, SecretText};
use tollgate_core::time::MonotonicInstant;

use super::Isolate;
use crate::ports::{Clock, Host, Secrets, Unavailable};
use crate::timeout::within;

/// How long a secret is cached: a rotation takes effect within this time.
const SECRET_FRESH_MS: u64 = 60_000;

/// The cache of secrets in an isolate; bounded by the secrets of the configuration.
pub(crate) type SecretCache = HashMap<String, (Secret, MonotonicInstant)>;

/// A configured text with its references resolved; `Ok(None)` if a secret is missing, without saying which.
pub(crate) async fn resolve<H: Host>(
    isolate: &Isolate,
    host: &H,
    text: &SecretText,
) -> Result<Option<Secret>, Unavailable> {
    let now = host.clock().instant();
    if text.secret_names().any(|name| name.starts_with(SECRET_PREFIX)) {
        // An operator's token must never be sent to an upstream, whatever a project contains.
        return Ok(None);
    }
    for name in text.secret_names() {
        let known = isolate.secrets.borrow().get(name).is_some_and(|(_, at)| now.millis_since(*at) < SECRET_FRESH_MS);
        if !known && let Some(secret) = within(host, "the secret store", host.secrets().secret(name)).await? {
            isolate.secrets.borrow_mut().insert(name.to_owned(), (secret, now));
        }
    }
    let cache = isolate.secrets.borrow();
    Ok(text.resolve(|name| cache.get(name).map(|(secret, _)| secret.clone())))
}
