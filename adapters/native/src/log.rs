//! The log: lines are collected by each isolate and written by one thread; nothing waits for it.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel, sync_channel};
use std::time::Duration;

/// The thread that writes the log of one server.
#[derive(Debug)]
pub(crate) struct LogWriter {
    blocks: Sender<Block>,
    counts: Arc<Counts>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// What is counted of a log.
#[derive(Debug, Default)]
struct Counts {
    /// Lines that could not be written.
    dropped: AtomicU64,
    /// Bytes that wait for the reader of the log.
    waiting: AtomicUsize,
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
        let (blocks, waiting) = channel();
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let (ends, ended) = sync_channel(0);
        std::thread::Builder::new().name("tollgate-log".into()).spawn(move || {
            write_all(&waiting, output, &counted);
            drop(ends);
        })?;
        Ok(Self { blocks, counts, ended })
    }

    pub(crate) fn handle(&self) -> LogHandle {
        LogHandle { blocks: self.blocks.clone(), counts: Arc::clone(&self.counts) }
    }

    /// Waits until all submitted lines are written, but no longer than this, because the reader of the log may have
    /// stopped reading; returns whether they are. Every [`LogHandle`] must be dropped before.
    pub(crate) fn finish(self, within: Duration) -> bool {
        drop(self.blocks);
        // The thread ends with the process. If its writer panics, that is reported on standard error.
        self.ended.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }
}

fn write_all(waiting: &Receiver<Block>, mut output: Box<dyn Write + Send>, counts: &Counts) {
    while let Ok(block) = waiting.recv() {
        // The reader of the log may have closed it; the gateway continues and counts the lost lines.
        if output.write_all(&block.text).and_then(|()| output.flush()).is_err() {
            counts.dropped.fetch_add(block.lines, Ordering::Relaxed);
        }
        counts.waiting.fetch_sub(block.text.len(), Ordering::Relaxed);
    }
}

/// A handle to the log that can be sent to a thread.
#[derive(Clone, Debug)]
pub(crate) struct LogHandle {
    blocks: Sender<Block>,
    counts: Arc<Counts>,
}

impl LogHandle {
    /// A handle that drops and counts every line.
    pub(crate) fn discarding() -> Self {
        Self { blocks: channel().0, counts: Arc::default() }
    }

    /// The number of lines that could not be written, because the log was slow or closed.
    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Hands in a block, unless too much waits already.
    fn hand_in(&self, mut block: Block) {
        let bytes = block.text.len();
        if block.text.capacity() > 2 * bytes {
            block.text.shrink_to_fit();
        }
        let before = self.counts.waiting.fetch_add(bytes, Ordering::Relaxed);
        let sent = if before + bytes > WAITING_BYTES_MAX { Err(SendError(block)) } else { self.blocks.send(block) };
        if let Err(SendError(lost)) = sent {
            self.counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(lost.lines, Ordering::Relaxed);
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

/// Bytes that may wait for a slow reader of the log; then lines are dropped and counted. Blocks are not counted: with little
/// traffic each holds a few lines.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

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
        let fit = WAITING_BYTES_MAX / (BLOCK_BYTES + 1);
        on_an_isolate(async |log| (0..fit + 10).for_each(|_| log.line(&line)), writer.handle());
        assert_eq!(handle.dropped(), 10);
        drop((release, handle));
        assert!(writer.finish(Duration::from_secs(10)));
    }

    #[test]
    fn a_slow_reader_has_time_however_few_lines_there_are() {
        struct Held(Receiver<()>, Written);
        impl Write for Held {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                self.1.write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let ((release, held), written) = (sync_channel::<()>(0), Written::default());
        let writer = LogWriter::start(Box::new(Held(held, written.clone()))).unwrap();
        let handle = writer.handle();
        // As many blocks as eight isolates hand in in a minute.
        let blocks = 24_000;
        let hand_in = async |log: IsolateLog| {
            for _ in 0..blocks {
                log.line("a line");
                log.flush();
            }
        };
        on_an_isolate(hand_in, writer.handle());
        assert_eq!(handle.dropped(), 0);
        drop((release, handle));
        assert!(writer.finish(Duration::from_secs(10)));
        assert_eq!(written.0.lock().unwrap().len(), blocks * "a line\n".len());
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
