//! Content on Spin: passed through as the host's own stream, or read in steps if it is observed.

use std::cell::Cell;
use std::pin::{Pin, pin};

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Trailers};
use spin_sdk::wasip3::spawn;
use spin_sdk::wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult};
use tollgate_core::telemetry::AbortedBy;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered, GatheredContent};

use crate::message::{fields_of, host_fields, host_lines};
use crate::upstream::NANOS_PER_MS;

/// The content of a request or a response.
///
/// A response's content that is not counted, copied or limited in time is the host's own stream and never enters the
/// component. A request's content is read through the component: the host reports content that the client broke off
/// like a failure of the upstream, and only a reader of the content can distinguish them.
pub struct SpinContent {
    pub(crate) source: Source,
    /// The fields of its received response, to be edited and passed on.
    pub(crate) received: Option<Fields>,
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

/// The host's own stream; its trailers also show whether it was interrupted.
pub(crate) struct Raw {
    pub(crate) stream: StreamReader<u8>,
    pub(crate) trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    /// The bytes after which it is complete, if that is known: its length if it announces no trailers. Then the host is
    /// not asked how it ended, which suspends the component.
    pub(crate) left: Option<u64>,
    /// When dropped, informs the sender that the content was read.
    pub(crate) _taken: FutureWriter<Result<(), ErrorCode>>,
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

    fn watched(self) -> (Self, impl Future<Output = Delivery> + 'static) {
        let (sender, receiver) = oneshot::channel();
        let delivery = receiver.map(|told| told.unwrap_or(Delivery::Unobserved));
        let mut watch = Watch::new(sender);
        let content = match self.source {
            Source::Nothing => {
                watch.end(Delivery::Complete { bytes: 0 });
                self
            }
            Source::Bytes(_) => Self { watch: Some(watch), ..self },
            // Content that passes through unchanged is not observed.
            Source::Raw(_) => {
                watch.tell = None;
                self
            }
            Source::Steps(steps) => Self { source: Source::Steps(watched(steps, watch)), ..self },
        };
        (content, delivery)
    }
}

impl SpinContent {
    /// Content without a received message, or with one that is not passed on.
    pub(crate) fn of(source: Source) -> Self {
        Self { source, received: None, ends: None, watch: None }
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

impl Raw {
    /// Reads so many bytes at once.
    fn into_steps(self, bytes: usize) -> Steps {
        stream::unfold(Some(self), move |raw| async move {
            let mut raw = raw?;
            match raw.data(bytes).await {
                Some(data) => Some((Ok(data), Some(raw))),
                None => Some((raw.end().await?, None)),
            }
        })
        .boxed_local()
    }

    /// The same; if they are not read to their end, the rest is discarded.
    fn into_steps_or_discard(self) -> Steps {
        stream::unfold(Some(Unread(Some(self))), |unread| async {
            let mut unread = unread?;
            if let Some(data) = unread.0.as_mut()?.data(READ_BYTES).await {
                return Some((Ok(data), Some(unread)));
            }
            Some((unread.0.take()?.end().await?, None))
        })
        .boxed_local()
    }

    /// The next bytes, until there are none.
    async fn data(&mut self, bytes: usize) -> Option<Step> {
        let (result, read) = self.stream.read(Vec::with_capacity(bytes)).await;
        self.left = self.left.and_then(|left| left.checked_sub(read.len() as u64));
        matches!(result, StreamResult::Complete(_)).then(|| Step::Data(read.into()))
    }

    /// What comes after the last bytes.
    async fn end(self) -> Option<Result<Step, Interrupted>> {
        if self.left == Some(0) {
            return None;
        }
        match self.trailers.await {
            Ok(None) => None,
            Ok(Some(trailers)) => Some(Ok(Step::Trailers(trailers))),
            Err(code) => Some(Err(Interrupted::BySender(code))),
        }
    }
}

/// A request's content that may not have been read to its end.
///
/// Dropping it goes on reading for a while: if the host closed the connection while the client still sends, the client
/// would often not see the response (RFC 9112, section 9.6).
struct Unread(Option<Raw>);

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(raw) = self.0.take() {
            spawn(discard(raw));
        }
    }
}

async fn discard(mut raw: Raw) {
    let read = async {
        let mut bytes = 0;
        while let Some(Step::Data(data)) = raw.data(READ_BYTES).await {
            bytes += data.len();
            if bytes > DISCARDED_BYTES_MAX {
                return;
            }
        }
    };
    select(pin!(read), pin!(monotonic_clock::wait_for(DISCARDING_MAX_MS * NANOS_PER_MS))).await;
}

/// What is discarded of one request, as on the native host.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;
const DISCARDING_MAX_MS: u64 = 30_000;

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

fn copied(steps: Steps, copying: Copying) -> Steps {
    stream::unfold((steps, copying), |(mut steps, mut copying)| async {
        let step = steps.next().await;
        copying.note(step.as_ref());
        Some((step?, (steps, copying)))
    })
    .boxed_local()
}

/// An unfinished copy; dropping it abandons it.
struct Copying {
    done: Option<oneshot::Sender<Bytes>>,
    bytes: Vec<u8>,
    max: usize,
}

thread_local! {
    /// The bytes of all unfinished copies of this instance.
    static COPYING: Cell<usize> = const { Cell::new(0) };
}

/// The bytes that all unfinished copies may have: an instance answers 16 requests at once, and clients decide how fast
/// they read.
const COPYING_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Copying {
    fn new(done: oneshot::Sender<Bytes>, max_bytes: u64) -> Self {
        Self { done: Some(done), bytes: Vec::new(), max: usize::try_from(max_bytes).unwrap_or(usize::MAX) }
    }

    fn note(&mut self, step: Option<&Result<Step, Interrupted>>) {
        match step {
            Some(Ok(Step::Data(data))) if self.done.is_some() => {
                let fits = self.bytes.len() + data.len() <= self.max;
                if fits && COPYING.get() + data.len() <= COPYING_BYTES_MAX {
                    COPYING.set(COPYING.get() + data.len());
                    self.bytes.extend_from_slice(data);
                } else {
                    self.give_up();
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) => self.give_up(),
            None => {
                let bytes = self.take();
                if let Some(done) = self.done.take() {
                    let _ = done.send(bytes.into());
                }
            }
        }
    }

    fn give_up(&mut self) {
        self.done = None;
        self.take();
    }

    fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        COPYING.set(COPYING.get() - bytes.len());
        bytes
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.take();
    }
}

fn watched(steps: Steps, watch: Watch) -> Steps {
    stream::unfold((steps, watch), |(mut steps, mut watch)| async {
        let step = steps.next().await;
        watch.note(step.as_ref());
        Some((step?, (steps, watch)))
    })
    .boxed_local()
}

/// Counts the delivered bytes; dropped before the end, it reports that the client disconnected.
pub(crate) struct Watch {
    tell: Option<oneshot::Sender<Delivery>>,
    bytes: u64,
}

impl Watch {
    fn new(tell: oneshot::Sender<Delivery>) -> Self {
        let tell = Some(tell);
        Self { tell, bytes: 0 }
    }

    /// The delivery of content in memory has ended, with so many bytes not taken.
    pub(crate) fn note_written(&mut self, bytes: usize, rest: usize) {
        self.bytes = (bytes - rest) as u64;
        if rest == 0 {
            self.end(Delivery::Complete { bytes: self.bytes });
        }
    }

    fn note(&mut self, step: Option<&Result<Step, Interrupted>>) {
        let bytes = self.bytes;
        match step {
            Some(Ok(Step::Data(data))) => self.bytes += data.len() as u64,
            Some(Ok(Step::Trailers(_))) => {}
            Some(Err(_)) => self.end(Delivery::Aborted { bytes, by: AbortedBy::Upstream }),
            None => self.end(Delivery::Complete { bytes }),
        }
    }

    fn end(&mut self, delivery: Delivery) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(delivery);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Delivery::Aborted { bytes: self.bytes, by: AbortedBy::Client });
    }
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;
    use futures_util::stream::StreamExt;

    use super::*;

    fn of(chunks: &[&'static str]) -> SpinContent {
        let steps: Vec<_> = chunks.iter().map(|chunk| Ok(Step::Data(Bytes::from_static(chunk.as_bytes())))).collect();
        SpinContent::of(Source::Steps(stream::iter(steps).boxed_local()))
    }

    fn broken_after(chunk: &'static str) -> SpinContent {
        let steps = of(&[chunk]).source.into_steps();
        let end = stream::iter([Err(Interrupted::BySender(ErrorCode::ConnectionTerminated))]);
        SpinContent::of(Source::Steps(steps.chain(end).boxed_local()))
    }

    /// Reads to the end: the text, and whether it ended without an error.
    fn read(content: SpinContent) -> (String, bool) {
        let mut text = String::new();
        let mut steps = content.source.into_steps();
        while let Some(step) = block_on(steps.next()) {
            match step {
                Ok(Step::Data(data)) => text.push_str(&String::from_utf8_lossy(&data)),
                Ok(Step::Trailers(_)) => {}
                Err(_) => return (text, false),
            }
        }
        (text, true)
    }

    #[test]
    fn a_limit_passes_its_last_byte_and_nothing_after() {
        assert_eq!(read(of(&["ab", "cd"]).limited(4)), ("abcd".into(), true));
        assert_eq!(read(of(&["ab", "cd"]).limited(3)), ("ab".into(), false));
        assert_eq!(read(SpinContent::empty().limited(0)), (String::new(), true));
    }

    #[test]
    fn a_copy_is_complete_or_absent() {
        let (content, copy) = of(&["ab", "cd"]).tee(4);
        assert_eq!(read(content), ("abcd".into(), true));
        assert_eq!(block_on(copy.whole()).unwrap(), "abcd");

        let (content, copy) = of(&["ab", "cd"]).tee(3);
        assert_eq!(read(content), ("abcd".into(), true));
        assert_eq!(block_on(copy.whole()), None);

        let (content, copy) = broken_after("ab").tee(9);
        assert_eq!(read(content), ("ab".into(), false));
        assert_eq!(block_on(copy.whole()), None);

        let (content, copy) = of(&["ab"]).tee(9);
        drop(content);
        assert_eq!(block_on(copy.whole()), None);

        let (content, copy) = SpinContent::empty().tee(9);
        drop(content);
        assert_eq!(block_on(copy.whole()).unwrap(), "");
    }

    #[test]
    fn a_watch_reports_how_the_delivery_ended() {
        let (content, delivery) = of(&["ab", "cd"]).watched();
        read(content);
        assert_eq!(block_on(delivery), Delivery::Complete { bytes: 4 });

        let (content, delivery) = broken_after("ab").watched();
        read(content);
        let by_upstream = Delivery::Aborted { bytes: 2, by: AbortedBy::Upstream };
        assert_eq!(block_on(delivery), by_upstream);

        let (content, delivery) = of(&["ab"]).watched();
        drop(content);
        let by_client = Delivery::Aborted { bytes: 0, by: AbortedBy::Client };
        assert_eq!(block_on(delivery), by_client);
    }

    #[test]
    fn gathered_content_is_complete_and_longer_content_can_be_read_from_its_beginning() {
        let Ok(Gathered::Complete(whole)) = block_on(of(&["ab", "c"]).gather(3)) else {
            panic!("three bytes fit in three")
        };
        assert_eq!((&whole.bytes[..], whole.trailers.is_none()), (&b"abc"[..], true));
        assert_eq!(read(SpinContent::replay(&whole)), ("abc".into(), true));
        let Ok(Gathered::TooLarge(same)) = block_on(of(&["ab", "c", "d"]).gather(2)) else { panic!("four fit in two") };
        assert_eq!(read(same), ("abcd".into(), true));
        let limited = block_on(of(&["ab", "c"]).limited(2).gather(9));
        assert!(matches!(limited, Err(ContentFault::LimitExceeded)));
    }

    #[test]
    fn content_that_has_begun_is_known_to_be_empty_or_not() {
        let never = std::future::pending;
        assert!(block_on(of(&[]).begun(never())).is_empty());
        let begun = block_on(of(&["ab", "c"]).begun(never()));
        assert!(!begun.is_empty());
        assert_eq!(read(begun), ("abc".into(), true));

        let (mut sender, late) = futures_channel::mpsc::unbounded();
        let late = late.map(|text: &'static str| Ok(Step::Data(text.into()))).boxed_local();
        let late = block_on(SpinContent::of(Source::Steps(late)).begun(async {}));
        assert!(!late.is_empty());
        block_on(futures_util::SinkExt::send(&mut sender, "late")).unwrap();
        drop(sender);
        assert_eq!(read(late), ("late".into(), true));
    }

    #[test]
    fn a_deadline_applies_to_what_has_to_be_waited_for() {
        let mut end = Deadline(Some(Box::pin(async {})));
        assert_eq!(block_on(end.before(async { 1 })), Some(1));
        assert_eq!(block_on(end.before(std::future::pending::<()>())), None);
        assert_eq!(block_on(Deadline::at(None).before(async { 1 })), Some(1));
    }

    #[test]
    fn content_in_memory_needs_no_deadline_and_is_copied_at_once() {
        let content = SpinContent::from_bytes("ab".into()).until(0);
        assert_eq!(content.ends, None);
        assert_eq!(of(&["ab"]).until(7).ends, Some(7));
        let (content, copy) = content.tee(2);
        drop(content);
        assert_eq!(block_on(copy.whole()).unwrap(), "ab");
        let (content, copy) = SpinContent::from_bytes("abc".into()).tee(2);
        assert_eq!(read(content), ("abc".into(), true));
        assert_eq!(block_on(copy.whole()), None);
        assert_eq!(read(SpinContent::from_bytes("abc".into()).limited(2)), (String::new(), false));
        assert_eq!(read(SpinContent::from_bytes("ab".into()).limited(2)), ("ab".into(), true));
    }

    #[test]
    fn a_watch_of_content_in_memory_reports_what_was_taken() {
        let delivered = |rest| {
            let (content, delivery) = SpinContent::from_bytes("abc".into()).watched();
            let mut watch = content.watch.unwrap();
            watch.note_written(3, rest);
            drop(watch);
            block_on(delivery)
        };
        assert_eq!(delivered(0), Delivery::Complete { bytes: 3 });
        assert_eq!(delivered(2), Delivery::Aborted { bytes: 1, by: AbortedBy::Client });
        let (content, delivery) = SpinContent::empty().watched();
        drop(content);
        assert_eq!(block_on(delivery), Delivery::Complete { bytes: 0 });
    }

    #[test]
    fn unfinished_copies_share_a_budget() {
        let copying = |bytes: usize| {
            let (sender, copy) = oneshot::channel();
            let mut copying = Copying::new(sender, u64::MAX);
            copying.note(Some(&Ok(Step::Data(vec![0; bytes].into()))));
            (copying, copy)
        };
        let (mut first, first_copy) = copying(COPYING_BYTES_MAX - 1);
        let (second, _) = copying(2);
        assert!(second.done.is_none() && first.done.is_some());
        first.note(None);
        assert_eq!(block_on(first_copy).unwrap().len(), COPYING_BYTES_MAX - 1);
        drop(copying(COPYING_BYTES_MAX));
        assert!(copying(COPYING_BYTES_MAX).0.done.is_some(), "nothing is counted any more");
    }
}
