//! The component's standard output and error: every line becomes a `log` event.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde_json::json;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::protocol::emit;

/// A standard stream of an instance.
#[derive(Clone, Copy)]
pub(crate) struct Logs;

impl IsTerminal for Logs {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Logs {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines::default())
    }
}

/// Collects bytes until a line is complete. An incomplete line is emitted when the stream is dropped.
#[derive(Default)]
struct Lines {
    open: Vec<u8>,
}

/// A longer line is split into lines of this length, so that one line cannot exhaust the host's memory.
const LINE_BYTES_MAX: usize = 64 * 1024;

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                self.open.push(byte);
            }
            if byte == b'\n' || self.open.len() == LINE_BYTES_MAX {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        let line = std::mem::take(&mut self.open);
        emit(&json!({"log": String::from_utf8_lossy(&line)}));
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.open.is_empty() {
            self.finish();
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
