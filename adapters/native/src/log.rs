//! The log: lines are collected by each isolate and written by one thread; nothing waits for it.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// The thread that writes the log of one server.
#[derive(Debug)]
pub(crate) struct LogWriter {
    blocks: SyncSender<Block>,
    dropped: Arc<AtomicU64>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// Complete lines, each with its line break.
#[derive(Debug, Default)]
struct Block {
    text: Vec<u8>,
    lines: u64,
}

impl LogWriter {
    /// Starts the thread; every write consists of complete lines.
    pub(crate) fn start(output: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let (blocks, waiting) = sync_channel(BLOCKS_MAX);
        let dropped = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&dropped);
        let (ends, ended) = sync_channel(0);
        std::thread::Builder::new().name("tollgate-log".into()).spawn(move || {
            write_all(&waiting, output, &counted);
            drop(ends);
        })?;
        Ok(Self { blocks, dropped, ended })
    }

    pub(crate) fn handle(&self) -> LogHandle {
        LogHandle { blocks: self.blocks.clone(), dropped: Arc::clone(&self.dropped) }
    }

    /// Waits until all submitted lines are written, but no longer than this, because the reader of the log may have
    /// stopped reading; returns whether they are. Every [`LogHandle`] must be dropped before.
    pub(crate) fn finish(self, within: Duration) -> bool {
        drop(self.blocks);
        // The thread ends with the process. If its writer panics, that is reported on standard error.
        self.ended.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write_all(waiting: &Receiver<Block>, mut output: Box<dyn Write + Send>, dropped: &AtomicU64) {
    while let Ok(block) = waiting.recv() {
        // The reader of the log may have closed it; the gateway continues and counts the lost lines.
        if output.write_all(&block.text).and_then(|()| output.flush()).is_err() {
            dropped.fetch_add(block.lines, Ordering::Relaxed);
        }
    }
}

/// A handle to the log that can be sent to a thread.
#[derive(Clone, Debug)]
pub(crate) struct LogHandle {
    blocks: SyncSender<Block>,
    dropped: Arc<AtomicU64>,
}

impl LogHandle {
    /// A handle that drops and counts every line.
    pub(crate) fn discarding() -> Self {
        Self { blocks: sync_channel(0).0, dropped: Arc::default() }
    }

    /// The number of lines that could not be written, because the log was slow or closed.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn hand_in(&self, block: Block) {
        if let Err(TrySendError::Full(block) | TrySendError::Disconnected(block)) = self.blocks.try_send(block) {
            self.dropped.fetch_add(block.lines, Ordering::Relaxed);
        }
    }
}

/// The log of one isolate; clones write to the same log.
#[derive(Clone, Debug)]
pub(crate) struct IsolateLog {
    shared: Rc<Gathered>,
}

#[derive(Debug)]
struct Gathered {
    block: RefCell<Block>,
    handle: LogHandle,
}

impl IsolateLog {
    pub(crate) fn new(handle: LogHandle) -> Self {
        let block = RefCell::new(Block::default());
        Self { shared: Rc::new(Gathered { block, handle }) }
    }

    /// Adds a line; it is written within [`WRITE_DELAY`].
    pub(crate) fn line(&self, line: &str) {
        let mut block = self.shared.block.borrow_mut();
        let is_first = block.lines == 0;
        if is_first {
            // At once: a block that grows is copied as often as its size doubles.
            block.text.reserve(BLOCK_BYTES + line.len() + 1);
        }
        block.text.extend_from_slice(line.as_bytes());
        block.text.push(b'\n');
        block.lines += 1;
        if block.text.len() >= BLOCK_BYTES {
            let full = std::mem::take(&mut *block);
            drop(block);
            self.shared.handle.hand_in(full);
        } else if is_first {
            let later = self.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(WRITE_DELAY).await;
                later.flush();
            });
        }
    }

    /// Submits the collected lines.
    pub(crate) fn flush(&self) {
        let block = self.shared.block.take();
        if block.lines > 0 {
            self.shared.handle.hand_in(block);
        }
    }
}

impl Drop for Gathered {
    /// Hands in the last lines of a thread that ends.
    fn drop(&mut self) {
        let block = self.block.take();
        if block.lines > 0 {
            self.handle.hand_in(block);
        }
    }
}

/// Lines are written in blocks of about this size: about 240 exchanges for one system call, and for waking the thread.
const BLOCK_BYTES: usize = 128 * 1024;

/// Blocks that may wait for a slow reader of the log: 8 MiB, then lines are dropped and counted.
const BLOCKS_MAX: usize = 64;

/// How long a line waits for further ones; short enough to follow the log live.
const WRITE_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn on_an_isolate(test: impl AsyncFnOnce(IsolateLog), handle: LogHandle) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(test(IsolateLog::new(handle)));
    }

    #[test]
    fn lines_are_written_complete_in_order_and_soon() {
        let written = Written::default();
        let writer = LogWriter::start(Box::new(written.clone())).unwrap();
        on_an_isolate(
            async |log| {
                (0..1000).for_each(|n| log.line(&format!("line {n}")));
                tokio::time::sleep(WRITE_DELAY * 3).await;
                log.line("last");
                log.flush();
            },
            writer.handle(),
        );
        assert!(writer.finish(Duration::from_secs(10)));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[999], lines[1000]), (1001, "line 0", "line 999", "last"));
    }

    #[test]
    fn a_blocked_reader_loses_lines_and_delays_no_requests() {
        let (release, held) = sync_channel::<()>(0);
        struct Held(Receiver<()>);
        impl Write for Held {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let writer = LogWriter::start(Box::new(Held(held))).unwrap();
        let handle = writer.handle();
        let line = "x".repeat(BLOCK_BYTES);
        on_an_isolate(async |log| (0..BLOCKS_MAX + 10).for_each(|_| log.line(&line)), writer.handle());
        let dropped = handle.dropped();
        assert!((9..=10).contains(&dropped), "{dropped}");
        drop((release, handle));
        assert!(writer.finish(Duration::from_secs(10)));
    }
    #[test]
    fn a_log_that_nobody_reads_delays_the_end_only_for_its_time() {
        struct Blocked(Receiver<()>);
        impl Write for Blocked {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (_release, held) = sync_channel::<()>(0);
        let writer = LogWriter::start(Box::new(Blocked(held))).unwrap();
        on_an_isolate(async |log| log.line("x"), writer.handle());
        let begun = std::time::Instant::now();
        assert!(!writer.finish(Duration::from_millis(100)));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
