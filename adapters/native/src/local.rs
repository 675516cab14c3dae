//! Tasks that stay on their thread, and the number of those that a drain waits for.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, oneshot};

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

/// Runs the work in a separate task, to its end, and waits for the value that it sends; `None` if it panicked.
pub(crate) async fn apart<T, W>(work: impl FnOnce(oneshot::Sender<T>) -> W) -> Option<T>
where
    T: 'static,
    W: Future<Output = ()> + 'static,
{
    let (sender, receiver) = oneshot::channel();
    // Some kilobytes of state: created in its box, so that nothing moves them.
    tokio::task::spawn_local(Box::into_pin(Box::write(Box::new_uninit(), work(sender))));
    // A panic was reported on standard error.
    receiver.await.ok()
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

    /// Returns when the count is below `most`.
    pub(crate) async fn below(&self, most: usize) {
        while self.0.count.get() >= most {
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
            assert_eq!(apart(|_: oneshot::Sender<u8>| async { panic!("this is part of a test") }).await, None);
            assert_eq!(apart(|sender| async { sender.send(7).unwrap() }).await, Some(7));
        });
    }
}
