//! Tasks that stay on their thread, and the number of those that a drain waits for.

use std::cell::Cell;
use std::rc::Rc;

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

/// Whether the isolate is stopping.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    started: Cell<bool>,
    changed: Notify,
}

impl Drain {
    /// Returns when the isolate is stopping.
    pub(crate) async fn started(&self) {
        while !self.started.get() {
            self.changed.notified().await;
        }
    }

    pub(crate) fn begin(&self) {
        self.started.set(true);
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
