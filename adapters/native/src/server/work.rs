//! The work of one exchange: the pipeline up to its response, and the rest after it.
//!
//! It needs no task of its own: whoever waits for the response polls it, and one task of the isolate does the rest for all exchanges.
//! It runs on in a task if it is dropped, so that every exchange is recorded and refunds are made.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tollgate_edge::Client;

use super::isolate::Serving;
use crate::content::{NativeContent, RequestState};
use crate::local::{Signal, Tracking};

/// A request to serve.
pub(super) struct Job {
    pub(super) serving: Rc<Serving>,
    pub(super) request: Request<NativeContent>,
    pub(super) client: Client,
    /// The state of the request.
    pub(super) state: RequestState,
    /// Counted until the work has ended.
    pub(super) tracking: [Tracking; 2],
}

/// The work of one exchange. Dropped before its end, it runs on in a task.
pub(super) struct Work {
    /// `None` once it has ended.
    worker: Option<Worker>,
    workers: Rc<Workers>,
    /// Whether a task does it, which is dropped with its runtime only.
    is_apart: bool,
}

/// The workers of an isolate that have no work.
pub(super) struct Workers {
    idle: RefCell<Vec<Worker>>,
    /// How many of them were never needed since the last look at it.
    unused: Cell<usize>,
    /// Given before the gateway ends all connections.
    cut_off: Rc<Signal>,
}

/// Work whose response is sent, done by one task of the isolate: the code for the rest stays in the processor's cache for many.
#[derive(Default)]
pub(super) struct Rests {
    queue: RefCell<Vec<Work>>,
    /// Of the task.
    waker: Cell<Option<Waker>>,
}

/// A future that does one job after another: to allocate its kilobytes for each exchange would take longer than to keep them.
struct Worker {
    future: Pin<Box<dyn Future<Output = ()>>>,
    desk: Rc<Desk>,
}

/// What a worker gets and gives.
#[derive(Default)]
struct Desk {
    job: Cell<Option<Job>>,
    /// The response; within it `None` if there is no place for its delivery.
    response: Cell<Option<Option<Response<NativeContent>>>>,
    has_ended: Cell<bool>,
}

impl Work {
    pub(super) fn begin(workers: &Rc<Workers>, job: Job) -> Self {
        let worker = workers.take().unwrap_or_else(|| Worker::new(work));
        worker.desk.job.set(Some(job));
        Self { worker: Some(worker), workers: Rc::clone(workers), is_apart: false }
    }

    /// The response; `None` if there is no place for its delivery.
    pub(super) async fn response(&mut self) -> Option<Response<NativeContent>> {
        poll_fn(|cx| {
            let polled = self.poll(cx, |desk| desk.response.take());
            polled.map(|response| response.unwrap_or_else(|| Some(tollgate_edge::failed())))
        })
        .await
    }

    /// Returns when the work has ended.
    async fn ended(mut self) {
        poll_fn(|cx| self.poll_end(cx)).await;
    }

    /// Polls the work to its end. Nobody waits for the response any more.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut polled = self.poll(cx, Desk::ended);
        if let Some(worker) = &self.worker
            && let Some(unsent) = worker.desk.response.take()
        {
            // Its delivery is recorded as aborted.
            if self.workers.cut_off.is_given() {
                cut_off(unsent);
            }
            polled = self.poll(cx, Desk::ended);
        }
        polled.map(|_| self.worker.take().into_iter().for_each(|worker| self.workers.keep(worker)))
    }

    /// Polls the worker, and takes what it has given; `None` if it panicked, which was reported on standard error.
    fn poll<T>(&mut self, cx: &mut Context<'_>, take: fn(&Desk) -> Option<T>) -> Poll<Option<T>> {
        let Some(worker) = &mut self.worker else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| worker.future.as_mut().poll(cx)));
        match polled {
            Ok(_) => take(&worker.desk).map_or(Poll::Pending, |given| Poll::Ready(Some(given))),
            Err(_) => {
                self.worker = None;
                Poll::Ready(None)
            }
        }
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take().filter(|_| !self.is_apart) {
            let work = Self { worker: Some(worker), workers: Rc::clone(&self.workers), is_apart: true };
            tokio::task::spawn_local(work.ended());
        }
    }
}

impl Rests {
    pub(super) fn add(&self, work: Work) {
        self.queue.borrow_mut().push(work);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Does the rest of all work; some of it has to wait, and goes on in tasks of its own.
    pub(super) async fn run(&self) {
        poll_fn(|cx| {
            self.waker.set(Some(cx.waker().clone()));
            let mut queue = self.queue.take();
            for mut work in queue.drain(..) {
                let _ = work.poll_end(cx);
            }
            // Nothing was added meanwhile, and its memory is used again.
            self.queue.replace(queue);
            Poll::<()>::Pending
        })
        .await;
    }
}

impl Workers {
    pub(super) fn new(cut_off: &Rc<Signal>) -> Self {
        Self { idle: RefCell::default(), unused: Cell::new(0), cut_off: Rc::clone(cut_off) }
    }

    fn take(&self) -> Option<Worker> {
        let mut all = self.idle.borrow_mut();
        let worker = all.pop()?;
        self.unused.set(self.unused.get().min(all.len()));
        Some(worker)
    }

    fn keep(&self, worker: Worker) {
        self.idle.borrow_mut().push(worker);
    }

    /// Drops those that had no work since the last call.
    pub(super) fn drop_unused(&self) {
        let mut idle = self.idle.borrow_mut();
        // The first ones: the last one is taken first.
        idle.drain(..self.unused.get());
        self.unused.set(idle.len());
    }
}

impl Worker {
    fn new<W: Future<Output = ()> + 'static>(work: impl FnOnce(Rc<Desk>) -> W) -> Self {
        let desk = Rc::<Desk>::default();
        // Created in its box, so that nothing moves its kilobytes.
        let future = Box::write(Box::new_uninit(), work(Rc::clone(&desk)));
        Self { future: Box::into_pin(future), desk }
    }
}

impl Desk {
    fn ended(&self) -> Option<()> {
        self.has_ended.take().then_some(())
    }
}

/// Does one job after another; whoever polls it takes what it has given before polling it again.
async fn work(desk: Rc<Desk>) {
    loop {
        if let Some(job) = desk.job.take() {
            serve(job, &desk).await;
            desk.has_ended.set(true);
        }
        pause().await;
    }
}

async fn serve(job: Job, desk: &Desk) {
    let Job { serving, request, client, state, tracking } = job;
    let served = tollgate_edge::serve(&serving.isolate, &serving.host, request, client).await;
    let mut response = Some(served.reply.into_response());
    if !state.responded(&serving.refusal_places) {
        // Without work that waits for the delivery: the record says that the client did not get this response.
        cut_off(response.take());
    }
    desk.response.set(Some(response));
    pause().await;
    let _ = served.after.await;
    state.ended();
    drop(tracking);
}

fn cut_off(response: Option<Response<NativeContent>>) {
    if let Some(mut response) = response {
        response.body_mut().cut_off();
    }
}

/// Returns when it is polled again.
async fn pause() {
    let mut is_over = false;
    poll_fn(|_| if std::mem::replace(&mut is_over, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_edge::ports::Content;

    /// Runs the test, and drops its tasks.
    fn run(test: impl AsyncFnOnce(&Rc<Workers>)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        runtime.block_on(test(&Rc::new(Workers::new(&Rc::default()))));
        runtime.shutdown_background();
    }

    fn begin<W: Future<Output = ()> + 'static>(workers: &Rc<Workers>, work: impl FnOnce(Rc<Desk>) -> W) -> Work {
        Work { worker: Some(Worker::new(work)), workers: Rc::clone(workers), is_apart: false }
    }

    async fn answers_after(pauses: u8, desk: Rc<Desk>, told: Rc<Cell<bool>>) {
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
        desk.response.set(Some(Some(Response::new(NativeContent::from_bytes("x".into())))));
        pause().await;
        tokio::task::yield_now().await;
        told.set(true);
        desk.has_ended.set(true);
        pause().await;
    }

    #[test]
    fn a_panic_costs_one_exchange() {
        run(async |workers| {
            let mut work = begin(workers, async |_| panic!("this is part of a test"));
            assert_eq!(work.response().await.unwrap().status(), 500);
            work.ended().await;
            assert_eq!(workers.idle.borrow().len(), 0);
        });
    }

    #[test]
    fn work_runs_to_its_end_whenever_it_is_dropped() {
        for (polls, pauses) in [(0, 0), (0, 2), (1, 2), (2, 2), (3, 2)] {
            run(async |workers| {
                let told = Rc::<Cell<bool>>::default();
                let of_work = Rc::clone(&told);
                let mut work = begin(workers, |desk| answers_after(pauses, desk, of_work));
                for _ in 0..polls {
                    let _ = futures_util::poll!(std::pin::pin!(work.response()));
                }
                drop(work);
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                assert!(told.get(), "{polls} {pauses}");
                assert_eq!(workers.idle.borrow().len(), 1);
            });
        }
    }

    #[test]
    fn a_rest_that_waits_or_panics_delays_no_other() {
        run(async |workers| {
            let rests = Rc::<Rests>::default();
            let of_task = Rc::clone(&rests);
            tokio::task::spawn_local(async move { of_task.run().await });
            let told = [(); 4].map(|()| Rc::<Cell<bool>>::default());
            for (number, told) in told.iter().enumerate() {
                let told = Rc::clone(told);
                let mut work = begin(workers, async move |desk| {
                    desk.response.set(Some(None));
                    pause().await;
                    match number {
                        1 => std::future::pending().await,
                        2 => panic!("this is part of a test"),
                        _ => answers_after(0, desk, told).await,
                    }
                });
                assert!(work.response().await.is_none());
                rests.add(work);
            }
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            assert_eq!(told.map(|told| told.get()), [true, false, false, true]);
        });
    }

    #[test]
    fn work_is_dropped_with_its_runtime() {
        let held = Rc::new(());
        let of_work = Rc::clone(&held);
        run(async |workers| {
            let mut work = begin(workers, async move |_| {
                std::future::pending::<()>().await;
                drop(of_work);
            });
            tokio::task::spawn_local(async move { drop(work.response().await) });
            tokio::task::yield_now().await;
        });
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn workers_are_dropped_if_they_are_not_needed() {
        run(async |workers| {
            let worker = || Worker::new(async |_| ());
            (0..5).for_each(|_| workers.keep(worker()));
            for (used, left) in [(5, 5), (3, 3), (3, 3), (1, 1), (0, 0)] {
                let taken: Vec<Worker> = (0..used).map(|_| workers.take().unwrap()).collect();
                taken.into_iter().for_each(|worker| workers.keep(worker));
                workers.drop_unused();
                assert_eq!(workers.idle.borrow().len(), left);
            }
        });
    }
}
