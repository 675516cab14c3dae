//! Who writes the counters of a gateway to a file: one process. Another one would write its own states over them.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// Waits until no other process writes the counters of this gateway to this file, which exists; they are this process's until the
/// returned file is closed. The system closes it when the process dies.
///
/// The lock is that of a file beside it: closing the database's own file a second time would end the locks of SQLite.
pub(super) fn take(counters: &Path, gateway: &str, patience: Duration) -> Result<File, StoreError> {
    let failed = |source| StoreError::NoLock { path: counters.to_owned(), source };
    let path = beside(&counters.canonicalize().map_err(failed)?, gateway);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { path: counters.to_owned(), gateway: gateway.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

fn beside(counters: &Path, gateway: &str) -> PathBuf {
    let mut name = OsString::from(counters);
    name.push(format!("-{gateway}.lock"));
    name.into()
}

const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_writes_the_counters_of_a_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let counters = folder.path().join("shop.counters.db");
        File::create(&counters).unwrap();
        let take = |path: &Path, gateway: &str| super::take(path, gateway, Duration::ZERO);
        let first = take(&counters, "shop").unwrap();
        let told = take(&counters, "shop").unwrap_err().to_string();
        assert!(told.contains("shop.counters.db") && told.contains("--counters redis://"), "{told}");
        let link = folder.path().join("link.db");
        #[cfg(unix)]
        std::os::unix::fs::symlink(&counters, &link).unwrap();
        #[cfg(unix)]
        assert!(take(&link, "shop").is_err(), "another name of the file");
        assert!(take(&counters, "docs").is_ok(), "another gateway has other counters in it");
        drop(first);
        assert!(take(&counters, "shop").is_ok());
    }
}
