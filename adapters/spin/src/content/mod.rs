//! Content on Spin: passed through as the host's own stream, or read in steps if it is observed.

mod copy;
mod raw;
mod watch;

use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types::{ErrorCode, Trailers};
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered, GatheredContent};

use crate::message::{fields_of, host_fields, host_lines};
use copy::{Copying, copied};
pub(crate) use raw::Raw;
pub(crate) use watch::Watch;
use watch::watched;

/// The content of a request or a response.
///
/// A response's content that is not counted, copied or limited in time is the host's own stream and never enters the
/// component. A request's content is read through the component: the host reports content that the client broke off
/// like a failure of the upstream, and only a reader of the content can distinguish them.
pub struct SpinContent {
    pub(crate) source: Source,
    /// The instant of the monotonic clock at which it is aborted, whether or not it is read; not of content in memory.
    pub(crate) ends: Option<u64>,
    /// Observes the delivery of content in memory.
    pub(crate) watch: Option<Watch>,
}

pub(crate) enum Source {
    Nothing,
    Bytes(Bytes),
    Raw(Raw),
    Steps(Steps),
}

/// Content read through the component; it ends with its last step or the first failure.
pub(crate) type Steps = LocalBoxStream<'static, Result<Step, Interrupted>>;

pub(crate) enum Step {
    Data(Bytes),
    Trailers(Trailers),
}

/// Why content ended early.
#[derive(Clone, Debug)]
pub(crate) enum Interrupted {
    /// The sender aborted it.
    BySender(ErrorCode),
    /// It is longer than allowed.
    AtLimit,
    /// Its timeout expired.
    AtDeadline,
}

impl From<&Interrupted> for ContentFault {
    fn from(broken: &Interrupted) -> Self {
        match broken {
            Interrupted::AtLimit => Self::LimitExceeded,
            Interrupted::BySender(_) | Interrupted::AtDeadline => Self::Interrupted,
        }
    }
}

/// The copied content, after all of it has passed; absent if the copy was abandoned.
pub struct ContentCopy(oneshot::Receiver<Bytes>);

impl ContentCopy {
    /// Waits until the content has passed; `None` if it was interrupted or too long.
    pub(crate) async fn whole(self) -> Option<Bytes> {
        self.0.await.ok()
    }
}

/// Bytes read from the host at once: few crossings, and bounded memory with 16 exchanges in an instance.
const READ_BYTES: usize = 64 * 1024;

impl Content for SpinContent {
    type Copy = ContentCopy;

    fn empty() -> Self {
        Self::of(Source::Nothing)
    }

    fn from_bytes(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::of(Source::Bytes(bytes))
    }

    fn is_empty(&self) -> bool {
        matches!(self.source, Source::Nothing)
    }

    fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Nothing => Some(0),
            Source::Bytes(bytes) => Some(bytes.len() as u64),
            Source::Raw(_) | Source::Steps(_) => None,
        }
    }

    fn limited(self, max_bytes: u64) -> Self {
        match self.source {
            Source::Nothing => self,
            Source::Bytes(ref bytes) if bytes.len() as u64 <= max_bytes => self,
            source => Self { source: Source::Steps(limited(source.into_steps(), max_bytes)), ..self },
        }
    }

    fn tee(self, max_bytes: u64) -> (Self, ContentCopy) {
        let (sender, receiver) = oneshot::channel();
        let source = match self.source {
            // Complete already: nobody may read it to its end.
            Source::Nothing => {
                let _ = sender.send(Bytes::new());
                Source::Nothing
            }
            Source::Bytes(bytes) if bytes.len() as u64 <= max_bytes => {
                let _ = sender.send(bytes.clone());
                Source::Bytes(bytes)
            }
            source => Source::Steps(copied(source.into_steps(), Copying::new(sender, max_bytes))),
        };
        (Self { source, ..self }, ContentCopy(receiver))
    }

    async fn gather(self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault> {
        let (mut steps, mut end) = (self.source.into_steps(), Deadline::at(self.ends));
        let (mut bytes, mut trailers) = (Vec::new(), None);
        while let Some(step) = end.next_of(&mut steps).await {
            match step.map_err(|broken| ContentFault::from(&broken))? {
                Step::Data(data) => bytes.extend_from_slice(&data),
                Step::Trailers(fields) => trailers = Some(fields_of(&fields)),
            }
            if bytes.len() as u64 > bytes_max {
                let beginning = stream::iter([Ok(Step::Data(bytes.into()))]);
                let source = Source::Steps(beginning.chain(steps).boxed_local());
                return Ok(Gathered::TooLarge(Self { source, ..self }));
            }
        }
        Ok(Gathered::Complete(GatheredContent { bytes: bytes.into(), trailers }))
    }

    fn replay(whole: &GatheredContent) -> Self {
        let Some(trailers) = &whole.trailers else { return Self::from_bytes(whole.bytes.clone()) };
        let steps =
            [Ok(Step::Data(whole.bytes.clone())), Ok(Step::Trailers(host_fields(&host_lines(trailers.into()))))];
        Self::of(Source::Steps(stream::iter(steps).boxed_local()))
    }

    fn watched(self, is_counted: bool) -> (Self, impl Future<Output = Delivery> + 'static) {
        let (sender, receiver) = oneshot::channel();
        let delivery = receiver.map(|told| told.unwrap_or(Delivery::Unobserved));
        let mut watch = Watch::new(sender);
        let source = match self.source {
            source @ Source::Raw(_) if is_counted => Source::Steps(source.into_steps()),
            source => source,
        };
        let content = match source {
            Source::Nothing => {
                watch.end(Delivery::Complete { bytes: 0 });
                Self { source, ..self }
            }
            Source::Bytes(_) => Self { source, watch: Some(watch), ..self },
            // Content that passes through unchanged is not observed.
            Source::Raw(_) => {
                watch.forget();
                Self { source, ..self }
            }
            Source::Steps(steps) => Self { source: Source::Steps(watched(steps, watch)), ..self },
        };
        (content, delivery)
    }
}

impl SpinContent {
    pub(crate) fn of(source: Source) -> Self {
        Self { source, ends: None, watch: None }
    }

    /// Reads all of it, without its trailers.
    ///
    /// # Errors
    /// If it is interrupted; the part received until then is dropped.
    pub async fn whole(self) -> Result<Bytes, ErrorCode> {
        let Self { source, ends, watch, .. } = self;
        let mut steps = match watch {
            Some(watch) => watched(source.into_steps(), watch),
            None => source.into_steps(),
        };
        let (mut whole, mut end) = (Vec::new(), Deadline::at(ends));
        while let Some(step) = end.next_of(&mut steps).await {
            if let Step::Data(data) = step.map_err(Interrupted::into_code)? {
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.into())
    }

    /// The same content after its beginning has arrived; empty content if it ends without any. If neither has happened
    /// when `end` resolves, there is content that is still to come.
    pub(crate) async fn begun(self, end: impl Future<Output = ()>) -> Self {
        let mut steps = self.source.into_steps();
        // Dropping the wait for a step does not lose the step.
        let first = match select(steps.next(), pin!(end)).await {
            Either::Left((first, _)) => Some(first),
            Either::Right(((), _)) => None,
        };
        let source = match first {
            Some(None) => Source::Nothing,
            Some(Some(first)) => Source::Steps(stream::iter([first]).chain(steps).boxed_local()),
            None => Source::Steps(steps),
        };
        Self { source, ..self }
    }

    /// The content of a received request, read through the component, so that the component learns how it ends.
    pub(crate) fn of_request(raw: Raw) -> Self {
        Self::of(Source::Steps(raw.into_steps_or_discard()))
    }

    /// The same content, in memory if all of it has arrived with its head. Then nothing is left to wait for: it needs no
    /// timer, and it is handed on in one piece.
    pub(crate) fn if_arrived(self) -> Self {
        let (raw, bytes) = match self.source {
            Source::Raw(raw) => match raw.left.and_then(|left| usize::try_from(left).ok()) {
                Some(bytes @ 1..=READ_BYTES) => (raw, bytes),
                Some(_) | None => return Self { source: Source::Raw(raw), ..self },
            },
            source => return Self { source, ..self },
        };
        let mut steps = raw.into_steps(bytes);
        let source = match steps.next().now_or_never() {
            Some(None) => Source::Nothing,
            Some(Some(Ok(Step::Data(data)))) => {
                match (data.len() == bytes).then(|| steps.next().now_or_never()).flatten() {
                    Some(None) => Source::Bytes(data),
                    Some(Some(last)) => {
                        Source::Steps(stream::iter([Ok(Step::Data(data)), last]).chain(steps).boxed_local())
                    }
                    None => Source::Steps(stream::iter([Ok(Step::Data(data))]).chain(steps).boxed_local()),
                }
            }
            Some(Some(first)) => Source::Steps(stream::iter([first]).chain(steps).boxed_local()),
            // Dropping the wait for a step does not lose the step.
            None => Source::Steps(steps),
        };
        Self { source, ..self }
    }

    /// The same content, aborted at an instant of the monotonic clock, unless it is in memory.
    pub(crate) fn until(self, ends: u64) -> Self {
        match self.source {
            Source::Nothing | Source::Bytes(_) => self,
            // Its bytes must be read by the component, which alone can abort them.
            source => Self { source: Source::Steps(source.into_steps()), ends: Some(ends), ..self },
        }
    }
}

impl Source {
    pub(crate) fn into_steps(self) -> Steps {
        match self {
            Self::Nothing => stream::empty().boxed_local(),
            Self::Bytes(bytes) => stream::iter([Ok(Step::Data(bytes))]).boxed_local(),
            Self::Raw(raw) => raw.into_steps(READ_BYTES),
            Self::Steps(steps) => steps,
        }
    }
}

fn limited(steps: Steps, max_bytes: u64) -> Steps {
    stream::unfold(Some((steps, max_bytes)), |state| async {
        let (mut steps, left) = state?;
        let step = steps.next().await?;
        let Ok(Step::Data(data)) = &step else {
            return Some((step, Some((steps, left))));
        };
        match left.checked_sub(data.len() as u64) {
            Some(left) => Some((step, Some((steps, left)))),
            None => Some((Err(Interrupted::AtLimit), None)),
        }
    })
    .boxed_local()
}

/// A timer that begins when something has to be waited for.
pub(crate) struct Deadline(Option<Pin<Box<dyn Future<Output = ()>>>>);

impl Deadline {
    /// At an instant of the monotonic clock, if there is one.
    pub(crate) fn at(ends: Option<u64>) -> Self {
        // The host is asked for the timer at the first poll.
        Self(ends.map(|ends| Box::pin(monotonic_clock::wait_until(ends)) as Pin<Box<dyn Future<Output = ()>>>))
    }

    /// The next step; at the deadline, that the content is interrupted.
    async fn next_of(&mut self, steps: &mut Steps) -> Option<Result<Step, Interrupted>> {
        self.before(steps.next()).await.unwrap_or(Some(Err(Interrupted::AtDeadline)))
    }

    /// Waits for a result; `None` at the deadline, after which this must not be called again.
    pub(crate) async fn before<T>(&mut self, result: impl Future<Output = T>) -> Option<T> {
        let result = pin!(result);
        let Some(end) = &mut self.0 else { return Some(result.await) };
        match select(result, end).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(((), _)) => None,
        }
    }
}

#[cfg(test)]
mod tests;
