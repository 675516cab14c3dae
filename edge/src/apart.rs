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

/// Runs futures concurrently, and answers what they answer, in their order. For some dozens: each is polled when one of them may go on.
pub(crate) async fn together<'f, T: 'f>(futures: impl IntoIterator<Item = impl Future<Output = T> + 'f>) -> Vec<T> {
    let mut running: Vec<Running<'f, T>> = futures.into_iter().map(|future| Running::Waits(Box::pin(future))).collect();
    poll_fn(|context| all_polled(&mut running, context)).await;
    let answer = |running| match running {
        Running::Has(answer) => Some(answer),
        Running::Waits(_) => None,
    };
    running.into_iter().filter_map(answer).collect()
}

/// One of several futures.
enum Running<'f, T> {
    Waits(Pin<Box<dyn Future<Output = T> + 'f>>),
    Has(T),
}

#[inline(never)]
fn all_polled<T>(all: &mut [Running<'_, T>], context: &mut Context<'_>) -> Poll<()> {
    let mut ended = Poll::Ready(());
    for one in all {
        if let Running::Waits(future) = one {
            match future.as_mut().poll(context) {
                Poll::Ready(answer) => *one = Running::Has(answer),
                Poll::Pending => ended = Poll::Pending,
            }
        }
    }
    ended
}

#[inline(never)]
fn polled<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{Ready, poll_fn};
    use std::task::Poll;

    use futures_executor::block_on;

    use super::together;

    #[test]
    fn futures_wait_for_each_other_and_answer_in_their_order() {
        let ended = Cell::new(0);
        // Each but the last ends after the one behind it.
        let all = (0..4).map(|number| {
            let ended = &ended;
            poll_fn(move |context| {
                if ended.get() < 3 - number {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                ended.set(ended.get() + 1);
                Poll::Ready(number)
            })
        });
        assert_eq!(block_on(together(all)), [0, 1, 2, 3]);
        assert_eq!(ended.get(), 4, "none runs twice");
        assert!(block_on(together(Vec::<Ready<u8>>::new())).is_empty());
    }
}
