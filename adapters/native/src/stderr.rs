//! Standard error, without waiting for a reader that does not read.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Whether a line is being written: further ones are dropped until then.
static IS_WRITING: AtomicBool = AtomicBool::new(false);

/// Writes a line for the operator.
///
/// A pipe may be full: the server must not stop for that, so a thread of its own writes.
pub(crate) fn report(text: String) {
    if IS_WRITING.swap(true, Ordering::AcqRel) {
        return;
    }
    let (written, waiting) = sync_channel::<()>(0);
    let writer = std::thread::Builder::new().name("tollgate-stderr".into());
    let started = writer.spawn(move || {
        // If it is closed, there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "tollgate: {text}");
        IS_WRITING.store(false, Ordering::Release);
        drop(written);
    });
    match started {
        // The usual case: it is written before what happens next.
        Ok(_) => drop(waiting.recv_timeout(PATIENCE)),
        Err(_) => IS_WRITING.store(false, Ordering::Release),
    }
}

const PATIENCE: Duration = Duration::from_millis(100);
