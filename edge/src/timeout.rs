//! Timeouts of stores: a store that takes too long counts as unavailable.

use std::pin::{Pin, pin};

use futures_util::future::{Either, select};

use tollgate_core::cell::{Outcome, Update};
use tollgate_core::jose::SignatureCheck;
use tollgate_core::secret::Secret;

use crate::ports::{Clock, CounterFault, Counters, Host, Records, Secrets, Signatures, Unavailable, WriteFault};

/// An answer that is waited for in a box.
pub(crate) type Later<'h, T> = Pin<Box<dyn Future<Output = T> + 'h>>;

/// The timeout of one call to a store; a working store answers within milliseconds.
pub(crate) const STORE_TIMEOUT_MS: u64 = 3_000;

/// The store's answer, or [`Unavailable`] after [`STORE_TIMEOUT_MS`].
pub(crate) async fn within<H: Host, T, E: From<Unavailable>>(
    host: &H,
    store: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    in_time(host, STORE_TIMEOUT_MS, answer)
        .await
        .unwrap_or_else(|| Err(Unavailable::new(format!("{store} did not answer within {STORE_TIMEOUT_MS} ms")).into()))
}

/// A record, read in time. Its own function and box: many wait for a record, few at a time, and a store is far away.
pub(crate) fn record<'h, H: Host>(host: &'h H, key: &'h str) -> Later<'h, Result<Option<Vec<u8>>, Unavailable>> {
    Box::pin(within(host, "the record store", host.records().read(key)))
}

/// Writes a record without expiry, in time.
pub(crate) fn keep<'h, H: Host>(host: &'h H, key: &'h str, bytes: &'h [u8]) -> Later<'h, Result<(), WriteFault>> {
    Box::pin(within(host, "the record store", host.records().keep(key, bytes)))
}

/// A secret, read in time.
pub(crate) fn secret<'h, H: Host>(host: &'h H, name: &'h str) -> Later<'h, Result<Option<Secret>, Unavailable>> {
    Box::pin(within(host, "the secret store", host.secrets().secret(name)))
}

/// Whether a key made a signature, in time.
pub(crate) fn verifies<'h, H: Host>(
    host: &'h H,
    check: &'h SignatureCheck<'h>,
) -> Later<'h, Result<bool, Unavailable>> {
    Box::pin(within(host, "the verification of signatures", host.signatures().verifies(check)))
}

/// The result of a future, or `None` after a time.
pub(crate) async fn in_time<H: Host, T>(host: &H, timeout_ms: u64, result: impl Future<Output = T>) -> Option<T> {
    // The future is polled first, so that a result that is ready never times out.
    match select(pin!(result), pin!(host.clock().sleep(timeout_ms))).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(((), _)) => None,
    }
}

/// The counter store's answer to an update. If the owner was replaced while it had the update, the update is sent once
/// more; because of its id it takes effect once.
pub(crate) async fn counted<H: Host>(host: &H, update: &Update) -> Result<Outcome, CounterFault> {
    counted_within(host, update, STORE_TIMEOUT_MS).await
}

/// As [`counted`], within another time.
pub(crate) async fn counted_within<H: Host>(
    host: &H,
    update: &Update,
    timeout_ms: u64,
) -> Result<Outcome, CounterFault> {
    let ask = || host.counters().update(update, host.clock().now());
    let answer = async {
        match ask().await {
            Err(CounterFault::Interrupted(_)) => ask().await,
            answer => answer,
        }
    };
    in_time(host, timeout_ms, answer).await.unwrap_or_else(|| {
        Err(Unavailable::new(format!("the counter store did not answer within {timeout_ms} ms")).into())
    })
}
