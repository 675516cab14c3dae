//! People whose passwords an isolate has verified: bounded, each for some minutes, so that a request need not compute a slow hash; and
//! how many it computes now.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rustc_hash::FxHasher;
use tollgate_core::authn::{Principal, TextMark};
use tollgate_core::bounds::TOKENS_REMEMBERED_MAX;
use tollgate_core::time::MonotonicInstant;

use super::room::make_room;

/// The people that an isolate remembers, by the marks of all that they were verified with.
#[derive(Debug, Default)]
pub(crate) struct People(HashMap<TextMark, (Arc<Principal>, MonotonicInstant), BuildHasherDefault<FxHasher>>);

impl People {
    /// The person with this mark.
    pub(crate) fn get(&self, mark: TextMark, now: MonotonicInstant) -> Option<Arc<Principal>> {
        let (principal, at) = self.0.get(&mark)?;
        (now.millis_since(*at) < REMEMBERED_MS).then(|| Arc::clone(principal))
    }

    /// Remembers a person.
    pub(crate) fn put(&mut self, mark: TextMark, principal: Arc<Principal>, now: MonotonicInstant) {
        make_room(&mut self.0, TOKENS_REMEMBERED_MAX, |(_, at)| now.millis_since(*at) < REMEMBERED_MS);
        self.0.insert(mark, (principal, now));
    }
}

/// The slow hashes that an isolate computes now.
#[derive(Debug, Default)]
pub(crate) struct Hashing(Cell<u32>);

/// A place among them, until it is dropped.
pub(crate) struct HashingPlace<'i>(&'i Hashing);

impl Hashing {
    /// A place, unless all are taken.
    pub(crate) fn place(&self) -> Option<HashingPlace<'_>> {
        let count = self.0.get();
        (count < HASHES_MAX).then(|| {
            self.0.set(count + 1);
            HashingPlace(self)
        })
    }
}

impl Drop for HashingPlace<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

const REMEMBERED_MS: u64 = 300_000;

/// Each takes up to 64 MiB and some tens of milliseconds of a core.
const HASHES_MAX: u32 = 4;
