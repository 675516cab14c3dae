//! Timeouts of stores: a store that takes too long counts as unavailable.

use std::pin::pin;

use futures_util::future::{Either, select};

use tollgate_core::cell::{Outcome, Update};

use crate::ports::{Clock, CounterFault, Counters, Host, Unavailable};

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
    let ask = || host.counters().update(update, host.clock().now());
    let answer = async {
        match ask().await {
            Err(CounterFault::Interrupted(_)) => ask().await,
            answer => answer,
        }
    };
    within(host, "the counter store", answer).await
}
