//! The host's own stream of content, and how it is read.

use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::select;
use futures_util::stream;
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::http::types::{ErrorCode, Trailers};
use spin_sdk::wasip3::spawn;
use spin_sdk::wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult};

use super::{Interrupted, READ_BYTES, Step, Steps};
use crate::clock::NANOS_PER_MS;

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

impl Raw {
    /// Reads so many bytes at once.
    pub(super) fn into_steps(self, bytes: usize) -> Steps {
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
    pub(super) fn into_steps_or_discard(self) -> Steps {
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
