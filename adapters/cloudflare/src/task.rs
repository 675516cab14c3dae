//! Runs the futures of requests: immediately when JavaScript calls, and again when a promise that they await settles.
//!
//! `wasm-bindgen-futures` could be used, but it schedules every poll with the platform's `queueMicrotask` and creates
//! two closures for every promise. On workerd that takes longer than the gateway's own work.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures_channel::oneshot;
use js_sys::Promise;
use rustc_hash::FxHasher;
use wasm_bindgen::prelude::*;

use crate::platform;

/// Runs a future until it waits; it continues when its promise settles.
pub(crate) fn start(future: impl Future<Output = ()> + 'static) {
    let id = NEXT.get();
    NEXT.set(id + 1);
    let abandoned = TASKS.with_borrow_mut(|tasks| {
        tasks.insert(id, Box::pin(future));
        let oldest = if tasks.len() > TASKS_MAX { tasks.keys().min().copied() } else { None };
        oldest.and_then(|id| tasks.remove(&id))
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
    happened(Event::Promise(platform::settle_later(&promise?)?)).await
}

/// Returns after a number of milliseconds; the timer ends with the future.
pub(crate) async fn elapsed(ms: f64) {
    // A timer does not fail.
    drop(happened(Event::Timer(platform::start_timer(ms))).await);
}

/// Receives the result of the promise with this number (`settleLater` in `js/host.mjs`).
///
/// It runs in the context of the request that created the promise, and wakes only that request's future.
#[wasm_bindgen]
pub fn settle(number: u32, value: JsValue, fulfilled: bool) {
    happen(Event::Promise(number), if fulfilled { Ok(value) } else { Err(value) });
}

/// Receives the end of the timer with this number, in the context of the request that started it.
#[wasm_bindgen]
pub fn elapse(timer: u32) {
    happen(Event::Timer(timer), Ok(JsValue::UNDEFINED));
}

/// What a future waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Event {
    Promise(u32),
    Timer(u32),
}

async fn happened(event: Event) -> Result<JsValue, JsValue> {
    let (sender, receiver) = oneshot::channel();
    AWAITED.with_borrow_mut(|all| all.insert(event, sender));
    let _awaited = Awaited(event);
    // The sender stays in the map while `_awaited` exists, so it is not dropped unused.
    receiver.await.unwrap_or_else(|_| Err(JsValue::UNDEFINED))
}

fn happen(event: Event, result: Result<JsValue, JsValue>) {
    let Some(sender) = AWAITED.with_borrow_mut(|all| all.remove(&event)) else { return };
    // The receiver may have been dropped.
    let _ = sender.send(result);
    run_ready();
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// By a number that only this module gives out.
type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

thread_local! {
    static NEXT: Cell<u64> = const { Cell::new(0) };
    static TIME: Cell<Time> = const { Cell::new(Time::Changing) };
    /// Futures that are not being polled.
    static TASKS: RefCell<Numbered<u64, Task>> = RefCell::default();
    static READY: RefCell<VecDeque<u64>> = const { RefCell::new(VecDeque::new()) };
    static AWAITED: RefCell<Numbered<Event, oneshot::Sender<Result<JsValue, JsValue>>>> = RefCell::default();
}

/// An awaited event; removed when its future is dropped. A timer that is not needed any more is ended: the platform would
/// keep it for as long as it runs.
struct Awaited(Event);

impl Drop for Awaited {
    fn drop(&mut self) {
        let is_pending = AWAITED.with_borrow_mut(|all| all.remove(&self.0)).is_some();
        if let (Event::Timer(timer), true) = (self.0, is_pending) {
            platform::end_timer(timer);
        }
    }
}

/// The time in milliseconds. It is read once while futures run without waiting: time advances only with I/O, and each reading
/// is a call of the platform.
pub(crate) fn now_ms() -> f64 {
    match TIME.get() {
        Time::Read(ms) => ms,
        Time::Unread => {
            let ms = js_sys::Date::now();
            TIME.set(Time::Read(ms));
            ms
        }
        Time::Changing => js_sys::Date::now(),
    }
}

/// What is known about the time.
#[derive(Clone, Copy, Debug)]
enum Time {
    /// No future runs.
    Changing,
    /// Nothing has needed it since futures run.
    Unread,
    /// The time.
    Read(f64),
}

fn run_ready() {
    TIME.set(Time::Unread);
    while let Some(id) = READY.with_borrow_mut(VecDeque::pop_front) {
        let Some(mut task) = TASKS.with_borrow_mut(|tasks| tasks.remove(&id)) else { continue };
        let waker = Waker::from(Arc::new(Ready(id)));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            TASKS.with_borrow_mut(|tasks| tasks.insert(id, task));
        }
    }
    TIME.set(Time::Changing);
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
        assert!(TASKS.with_borrow(HashMap::is_empty));
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
        assert!(READY.with_borrow(VecDeque::is_empty) && TASKS.with_borrow(HashMap::is_empty));
    }

    #[test]
    fn futures_of_abandoned_requests_are_bounded() {
        for _ in 0..=TASKS_MAX {
            start(std::future::pending());
        }
        assert_eq!(TASKS.with_borrow(HashMap::len), TASKS_MAX);
        TASKS.with_borrow_mut(HashMap::clear);
    }
}
