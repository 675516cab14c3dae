//! The steps of publishing a bundle to a store.

use thiserror::Error;

use crate::{Bundle, GENERATION_MAX, Generation, Id, Pointer, RecordError, decode, encode};

/// One publication of a bundle to a store that may be eventually consistent.
///
/// The steps, each executed by the code that has access to the store:
///
/// 1. Read the pointer: [`Publication::begin`].
/// 2. Write [`Publication::content`], and read it back until all of it is visible.
/// 3. Read the pointer again, and write the result of [`Publication::pointer`].
/// 4. Read it once more: [`Publication::finish`] says whether another publication came in between.
///
/// So no edge reads a name without its record, except for misses that a store has cached, and concurrent publications
/// are detected. A store that supports conditional writes replaces the pointer in step 3 only if it has not changed: then
/// one of several concurrent publications succeeds, the others fail with [`Publication::moved`], and step 4 is omitted.
#[derive(Clone, Debug)]
pub struct Publication<'b> {
    content: &'b [(String, Vec<u8>)],
    before: Before,
    pointer: Pointer,
}

/// The pointer that the store had.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Before {
    /// None, or one that could be read.
    Read(Option<Pointer>),
    /// One that cannot be read.
    Unreadable,
}

/// Why a publication stops. The pointer was not changed, except in the last case.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The pointer in the store is damaged or has a newer version, so the next generation is not known.
    #[error("the pointer in the store cannot be read: {0}")]
    Unreadable(#[from] RecordError),
    /// Another publication changed the pointer since this one began.
    #[error(
        "another publication changed the pointer meanwhile, from generation {} to {}: nothing was activated; check what was published, then publish again",
        number(*.began), number(*.found)
    )]
    Moved {
        /// The generation at the beginning.
        began: Option<u64>,
        /// The generation now.
        found: Option<u64>,
    },
    /// The number of the new generation would be too large.
    #[error("no generation can follow {0}: the largest is {GENERATION_MAX}")]
    TooLarge(u64),
    /// There is nothing to go back to.
    #[error("the store has no earlier generation: nothing was published before the active bundle")]
    NoPrevious,
    /// Another publication overwrote this one's pointer.
    #[error(
        "another publication replaced generation {} at the same time, the store now has {}: check what was published, then publish again",
        .written, number(*.found)
    )]
    Replaced {
        /// The generation of this publication.
        written: u64,
        /// The generation now.
        found: Option<u64>,
    },
}

impl<'b> Publication<'b> {
    /// Begins with the pointer that the store has.
    ///
    /// # Errors
    /// If that cannot be read; [`Publication::replacing`] publishes in spite of it.
    pub fn begin(bundle: &'b Bundle, stored: Option<&[u8]>) -> Result<Self, PublishError> {
        let before = stored.map(decode::<Pointer>).transpose()?;
        let generation = before.as_ref().map_or(Ok(1), |pointer| following(pointer.newest.generation))?;
        let pointer = bundle.pointer(generation, before.as_ref());
        Ok(Self { content: bundle.content(), before: Before::Read(before), pointer })
    }

    /// Begins in a store whose pointer cannot be read, after the last known generation.
    ///
    /// # Errors
    /// If no generation can follow that one.
    pub fn replacing(bundle: &'b Bundle, generation: u64) -> Result<Self, PublishError> {
        let pointer = bundle.pointer(following(generation)?, None);
        Ok(Self { content: bundle.content(), before: Before::Unreadable, pointer })
    }

    /// Begins to publish the bundle of the previous generation again. The store already has its records.
    ///
    /// # Errors
    /// If the pointer cannot be read, or names no previous generation.
    pub fn rollback(stored: Option<&[u8]>) -> Result<Self, PublishError> {
        let before = stored.map(decode::<Pointer>).transpose()?;
        let Some(Pointer { newest, previous: Some(previous) }) = &before else { return Err(PublishError::NoPrevious) };
        let again = Generation { generation: following(newest.generation)?, ..previous.clone() };
        let pointer = Pointer { newest: again, previous: Some(newest.clone()) };
        Ok(Self { content: &[], before: Before::Read(before), pointer })
    }

    /// Makes the generation larger than this one, whatever the store contains.
    ///
    /// Edges refuse a generation that is smaller than one they have read, so publishing to a store that was lost or
    /// damaged needs the number of the last known publication.
    ///
    /// # Errors
    /// If no generation can follow that one.
    pub fn after(mut self, generation: u64) -> Result<Self, PublishError> {
        self.pointer.newest.generation = self.pointer.newest.generation.max(following(generation)?);
        Ok(self)
    }

    /// The records to write first.
    #[must_use]
    pub fn content(&self) -> &'b [(String, Vec<u8>)] {
        self.content
    }

    /// The generation of this publication.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.pointer.newest.generation
    }

    /// The bundle of this publication.
    #[must_use]
    pub fn bundle(&self) -> Id {
        self.pointer.newest.bundle
    }

    /// The pointer to write once the content can be read, given the one that the store has now.
    ///
    /// # Errors
    /// If it is not the one that this publication began with.
    pub fn pointer(&self, stored: Option<&[u8]>) -> Result<Vec<u8>, PublishError> {
        let now = read(stored);
        let is_unchanged = match &self.before {
            Before::Read(before) => *before == now,
            Before::Unreadable => now.is_none(),
        };
        if is_unchanged { Ok(encode(&self.pointer)) } else { Err(self.moved(stored)) }
    }

    /// The error for a store that has this pointer instead of the one that this publication began with.
    #[must_use]
    pub fn moved(&self, stored: Option<&[u8]>) -> PublishError {
        let number = |pointer: &Pointer| pointer.newest.generation;
        let began = match &self.before {
            Before::Read(before) => before.as_ref().map(number),
            Before::Unreadable => None,
        };
        PublishError::Moved { began, found: read(stored).as_ref().map(number) }
    }

    /// Checks that the store still has the pointer that was written.
    ///
    /// # Errors
    /// If it has another one.
    pub fn finish(&self, stored: Option<&[u8]>) -> Result<(), PublishError> {
        let now = read(stored);
        if now.as_ref() == Some(&self.pointer) {
            return Ok(());
        }
        Err(PublishError::Replaced { written: self.generation(), found: now.map(|pointer| pointer.newest.generation) })
    }
}

/// The generation after another.
fn following(generation: u64) -> Result<u64, PublishError> {
    let next = generation.checked_add(1).filter(|next| *next <= GENERATION_MAX);
    next.ok_or(PublishError::TooLarge(generation))
}

fn read(stored: Option<&[u8]>) -> Option<Pointer> {
    stored.and_then(|bytes| decode(bytes).ok())
}

fn number(generation: Option<u64>) -> String {
    generation.map_or_else(|| "none".to_owned(), |generation| generation.to_string())
}
