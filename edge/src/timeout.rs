//! Bounded waiting: a store that takes too long counts as one that is away.

use std::pin::pin;

use futures_util::future::{Either, select};

use tollgate_core::cell::{Outcome, Update};

use crate::ports::{Clock, CounterFault, Counters, Host, Unavailable};

/// The longest wait for one answer of a store; stores answer in milliseconds or are in trouble.
pub(crate) const STORE_TIMEOUT_MS: u64 = 3_000;

/// The store's answer, or its absence once [`STORE_TIMEOUT_MS`] have passed.
pub(crate) async fn within<H: Host, T, E: From<Unavailable>>(
    host: &H,
    store: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    // The answer is polled first, so that one that is already there never loses.
    match select(pin!(answer), pin!(host.clock().sleep(STORE_TIMEOUT_MS))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => {
            Err(Unavailable::new(format!("{store} did not answer within {STORE_TIMEOUT_MS} ms")).into())
        }
    }
}

/// What the counter store answers to an update. An owner that was replaced while it had the update is asked once more: the
/// id makes it one change.
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
