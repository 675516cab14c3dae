//! Digests of files and folders, to notice when a compilation would read something else.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::folder::{Folder, Listed};

/// The digest of a file's content.
pub(super) fn digest_of_content(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The digest of a folder's entries that a compilation may read; other files in it make no difference.
pub(super) fn digest_of_entries(entries: &[Listed]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for entry in entries.iter().filter(|entry| entry.is_folder || super::layout::has_extension(&entry.name)) {
        (&entry.name, entry.is_folder, entry.is_utf8).hash(&mut hasher);
    }
    hasher.finish()
}

impl Folder {
    /// The digest of a file's content as it is now; `None` if it cannot be read.
    pub(crate) fn digest_file(&self, path: &str) -> Option<u64> {
        self.read(path, super::loader::PROJECT_BYTES_MAX).ok().map(|bytes| digest_of_content(&bytes))
    }

    /// The digest of a folder's entries as they are now; `None` if it cannot be listed.
    pub(crate) fn digest_folder(&self, path: &str) -> Option<u64> {
        self.list(path).ok().map(|entries| digest_of_entries(&entries))
    }
}
