//! Tasks that stay on their thread, and the number of those that a drain waits for.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// Spawns hyper's tasks on the isolate's own thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// Runs the work in a separate task, to its end, and waits for the value that it gives; `None` if it panicked.
pub(crate) async fn apart<T, W>(work: impl FnOnce(Giver<T>) -> W) -> Option<T>
where
    T: 'static,
    W: Future<Output = ()> + 'static,
{
    let (giver, taker) = handover();
    // Some kilobytes of state: created in its box, so that nothing moves them.
    tokio::task::spawn_local(Box::into_pin(Box::write(Box::new_uninit(), work(giver))));
    // A panic was reported on standard error.
    taker.await
}

/// Hands over one value within the thread: without the atomic operations of a channel between threads.
pub(crate) fn handover<T>() -> (Giver<T>, Taker<T>) {
    let shared = Rc::new(Handover { value: Cell::new(None), waker: Cell::new(None), is_over: Cell::new(false) });
    (Giver(Rc::clone(&shared)), Taker(shared))
}

/// Gives the value.
#[derive(Debug)]
pub(crate) struct Giver<T>(Rc<Handover<T>>);

/// Waits for the value; `None` if it is not given.
#[derive(Debug)]
pub(crate) struct Taker<T>(Rc<Handover<T>>);

struct Handover<T> {
    value: Cell<Option<T>>,
    /// Of the taker.
    waker: Cell<Option<Waker>>,
    /// Whether one of both is gone.
    is_over: Cell<bool>,
}

impl<T> std::fmt::Debug for Handover<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover")
    }
}

impl<T> Giver<T> {
    /// Gives the value, or returns it if the taker is gone.
    pub(crate) fn give(self, value: T) -> Result<(), T> {
        if self.0.is_over.get() {
            return Err(value);
        }
        self.0.value.set(Some(value));
        Ok(())
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.0.is_over.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Future for Taker<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let shared = &self.0;
        if shared.is_over.get() {
            return Poll::Ready(shared.value.take());
        }
        let waker = shared.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        shared.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.is_over.set(true);
        self.0.waker.take();
        // Now, and not with the giver: what is not taken must be noticed.
        drop(self.0.value.take());
    }
}

/// Something that happens once, and that tasks of the thread wait for.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    given: Cell<bool>,
    changed: Notify,
}

impl Signal {
    /// Returns when the signal is given.
    pub(crate) async fn given(&self) {
        while !self.given.get() {
            self.changed.notified().await;
        }
    }

    pub(crate) fn is_given(&self) -> bool {
        self.given.get()
    }

    pub(crate) fn give(&self) {
        self.given.set(true);
        self.changed.notify_waiters();
    }
}

/// Counts the work that must end before the isolate ends; clones share the count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracker(Rc<Tracked>);

#[derive(Debug, Default)]
struct Tracked {
    count: Cell<usize>,
    changed: Notify,
}

/// A counted item, until it is dropped.
#[derive(Debug)]
pub(crate) struct Tracking(Rc<Tracked>);

impl Tracker {
    pub(crate) fn track(&self) -> Tracking {
        self.0.count.set(self.0.count.get() + 1);
        Tracking(Rc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.count.get()
    }

    /// Returns when the count is below `most`.
    pub(crate) async fn below(&self, most: usize) {
        while self.count() >= most {
            self.0.changed.notified().await;
        }
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_one_task() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        runtime.block_on(async {
            assert_eq!(apart(|_: Giver<u8>| async { panic!("this is part of a test") }).await, None);
            assert_eq!(apart(|giver| async { giver.give(7).unwrap() }).await, Some(7));
        });
    }

    #[tokio::test]
    async fn a_value_is_handed_over_once_or_returned() {
        let (giver, taker) = handover();
        let (given, taken) = tokio::join!(async { giver.give(1) }, taker);
        assert_eq!((given, taken), (Ok(()), Some(1)));
        let (giver, taker) = handover::<u8>();
        let mut taker = waiting(taker);
        drop(giver);
        assert_eq!((&mut taker).await, None);
        let (giver, taker) = handover();
        drop(taker);
        assert_eq!(giver.give(1), Err(1));
        let value = Rc::new(1);
        let (giver, taker) = handover();
        giver.give(Rc::clone(&value)).unwrap();
        drop(taker);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    fn waiting(mut taker: Taker<u8>) -> Taker<u8> {
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut taker).poll(&mut context).is_pending());
        taker
    }
}
