//! Futures that are not compiled into the function that awaits them.
//!
//! A Worker's functions are compiled when they first run, so a new isolate's first request waits for all of the function
//! that runs every exchange. What only some routes need is therefore a function of its own.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that few exchanges need. It has its own box too, so that it does not enlarge the future of every exchange.
pub(crate) fn rare<'f, T>(future: impl Future<Output = T> + 'f) -> Pin<Box<dyn Future<Output = T> + 'f>> {
    Box::pin(future)
}

/// A future that many exchanges need, and some do not.
pub(crate) fn apart<F: Future>(mut future: Pin<&mut F>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| polled(future.as_mut(), context))
}

#[inline(never)]
fn polled<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}
