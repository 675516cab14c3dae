//! Runs the futures of requests: immediately when JavaScript calls, and again when a promise that they await settles.
//!
//! `wasm-bindgen-futures` could be used, but it schedules every poll with the platform's `queueMicrotask` and creates
//! two closures for every promise. On workerd that takes longer than the gateway's own work.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures_channel::oneshot;
use js_sys::Promise;
use wasm_bindgen::prelude::*;

use crate::platform;

/// Runs a future until it waits; it continues when its promise settles.
pub(crate) fn start(future: impl Future<Output = ()> + 'static) {
    let id = NEXT.get();
    NEXT.set(id + 1);
    let abandoned = TASKS.with_borrow_mut(|tasks| {
        tasks.insert(id, Box::pin(future));
        if tasks.len() > TASKS_MAX { tasks.pop_first() } else { None }
    });
    drop(abandoned);
    READY.with_borrow_mut(|ready| ready.push_back(id));
    run_ready();
}

/// Maximum number of futures, more than an isolate has requests in progress. The platform ends a request whose client
/// has disconnected without a notification, and its future remains; beyond this number the oldest is assumed to be one
/// of these.
const TASKS_MAX: usize = 4096;

/// The result of a promise; a call that fails before there is a promise counts as a rejected promise.
pub(crate) async fn settled(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    let (sender, receiver) = oneshot::channel();
    let awaited = Awaited(platform::settle_later(&promise?)?);
    AWAITED.with_borrow_mut(|all| all.insert(awaited.0, sender));
    // The sender stays in the map while `awaited` exists, so it is not dropped unused.
    receiver.await.unwrap_or_else(|_| Err(JsValue::UNDEFINED))
}

/// Receives the result of the promise with this number (`settleLater` in `js/host.mjs`).
///
/// It runs in the context of the request that created the promise, and wakes only that request's future.
#[wasm_bindgen]
pub fn settle(number: u32, value: JsValue, fulfilled: bool) {
    let Some(sender) = AWAITED.with_borrow_mut(|all| all.remove(&number)) else { return };
    // The receiver may have been dropped.
    let _ = sender.send(if fulfilled { Ok(value) } else { Err(value) });
    run_ready();
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(0) };
    /// Futures that are not being polled.
    static TASKS: RefCell<BTreeMap<u64, Task>> = const { RefCell::new(BTreeMap::new()) };
    static READY: RefCell<VecDeque<u64>> = const { RefCell::new(VecDeque::new()) };
    static AWAITED: RefCell<HashMap<u32, oneshot::Sender<Result<JsValue, JsValue>>>> = RefCell::default();
}

/// An awaited promise; removed when its future is dropped, for example that of an unused timer.
struct Awaited(u32);

impl Drop for Awaited {
    fn drop(&mut self) {
        AWAITED.with_borrow_mut(|all| all.remove(&self.0));
    }
}

fn run_ready() {
    while let Some(id) = READY.with_borrow_mut(VecDeque::pop_front) {
        let Some(mut task) = TASKS.with_borrow_mut(|tasks| tasks.remove(&id)) else { continue };
        let waker = Waker::from(Arc::new(Ready(id)));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            TASKS.with_borrow_mut(|tasks| tasks.insert(id, task));
        }
    }
}

/// Marks a task as ready to go on.
struct Ready(u64);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        READY.with_borrow_mut(|ready| ready.push_back(self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Poll;

    #[test]
    fn a_task_runs_until_it_waits_and_continues_when_woken() {
        let (sender, receiver) = oneshot::channel::<u8>();
        let got = Rc::new(Cell::new(0));
        let seen = Rc::clone(&got);
        start(async move { seen.set(receiver.await.unwrap_or_default()) });
        assert_eq!(got.get(), 0);
        sender.send(7).unwrap();
        run_ready();
        assert_eq!(got.get(), 7);
        assert!(TASKS.with_borrow(BTreeMap::is_empty));
    }

    #[test]
    fn a_task_that_wakes_itself_is_polled_again_immediately() {
        let polls = Rc::new(Cell::new(0));
        let seen = Rc::clone(&polls);
        start(poll_fn(move |context| {
            seen.set(seen.get() + 1);
            context.waker().wake_by_ref();
            if seen.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert_eq!(polls.get(), 3);
        assert!(READY.with_borrow(VecDeque::is_empty) && TASKS.with_borrow(BTreeMap::is_empty));
    }

    #[test]
    fn futures_of_abandoned_requests_are_bounded() {
        for _ in 0..=TASKS_MAX {
            start(std::future::pending());
        }
        assert_eq!(TASKS.with_borrow(BTreeMap::len), TASKS_MAX);
        TASKS.with_borrow_mut(BTreeMap::clear);
    }
}
