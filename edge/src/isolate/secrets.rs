//! The cache of secrets in an isolate, so that not every request reads them from the platform.

use std::collections::HashMap;

use tollgate_core::operator::SECRET_PREFIX;
use tollgate_core::secret::{Secret, SecretText};
use tollgate_core::time::MonotonicInstant;

use super::aged::Aged;
use super::{Freshness, Isolate};
use crate::ports::{Clock, Host, Unavailable};
use crate::timeout;

/// The cache of secrets in an isolate; bounded by the secrets of the configuration.
#[derive(Debug, Default)]
pub(crate) struct SecretCache(HashMap<String, Aged<Secret>>);

/// A configured text to send, with its references resolved; `Ok(None)` if a secret is missing, without saying which.
pub(crate) async fn resolve<H: Host>(
    isolate: &Isolate,
    host: &H,
    text: &SecretText,
) -> Result<Option<Secret>, Unavailable> {
    let values = values(isolate, host, text).await?;
    Ok(values.and_then(|values| text.resolve(|name| find(&values, name))))
}

/// The texts to accept: two while a secret is rotated.
pub(crate) async fn resolve_all<H: Host>(
    isolate: &Isolate,
    host: &H,
    text: &SecretText,
) -> Result<Option<Vec<Secret>>, Unavailable> {
    let values = values(isolate, host, text).await?;
    Ok(values.and_then(|values| text.resolve_all(|name| find(&values, name))))
}

fn find(values: &[(&str, Secret)], name: &str) -> Option<Secret> {
    values.iter().find(|(known, _)| *known == name).map(|(_, secret)| secret.clone())
}

/// The secrets of a text that have a value; `Ok(None)` if it may not have one of them.
async fn values<'t, H: Host>(
    isolate: &Isolate,
    host: &H,
    text: &'t SecretText,
) -> Result<Option<Vec<(&'t str, Secret)>>, Unavailable> {
    if text.secret_names().any(|name| name.starts_with(SECRET_PREFIX)) {
        // An operator's token must never be sent to an upstream, whatever a project contains.
        return Ok(None);
    }
    let mut values = Vec::new();
    for name in text.secret_names() {
        values.extend(secret(isolate, host, name).await?.map(|secret| (name, secret)));
    }
    Ok(Some(values))
}

/// The value of a secret: from memory while it is fresh, otherwise from the store; from memory again if the store is
/// unavailable and the value is not too old.
async fn secret<H: Host>(isolate: &Isolate, host: &H, name: &str) -> Result<Option<Secret>, Unavailable> {
    let now = host.clock().instant();
    if isolate.settings.freshness == Freshness::Cached
        && let Some(secret) = isolate.secrets.borrow_mut().current_or_ask(name, now)
    {
        return Ok(Some(secret));
    }
    let read = timeout::secret(host, name).await;
    let mut cache = isolate.secrets.borrow_mut();
    match read {
        Ok(found) => {
            cache.put(name, found.clone(), now);
            Ok(found)
        }
        Err(unavailable) => cache.last(name, host.clock().instant()).map(Some).ok_or(unavailable),
    }
}

impl SecretCache {
    /// The value that need not be read; otherwise the caller reads it, and others use the old one meanwhile.
    fn current_or_ask(&mut self, name: &str, now: MonotonicInstant) -> Option<Secret> {
        self.0.get_mut(name)?.current_or_ask(now)
    }

    /// Records the answer to a read that began at an instant; a secret without a value was withdrawn.
    fn put(&mut self, name: &str, found: Option<Secret>, at: MonotonicInstant) {
        if self.0.get(name).is_some_and(|known| known.is_newer_than(at)) {
            return;
        }
        match found {
            Some(secret) => drop(self.0.insert(name.to_owned(), Aged::read(secret, at))),
            None => drop(self.0.remove(name)),
        }
    }

    /// The value that may be used although the store is unavailable; one that is too old is forgotten.
    fn last(&mut self, name: &str, now: MonotonicInstant) -> Option<Secret> {
        let last = self.0.get(name)?.last(now);
        if last.is_none() {
            self.0.remove(name);
        }
        last
    }
}
