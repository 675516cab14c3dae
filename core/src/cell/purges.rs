//! The purge log: a cell with several writers, so that concurrent purges are all kept.

use crate::codec::{Decode, Failed, Reader};
use minicbor::Encode;
use minicbor::encode::{Encoder, Write};

use crate::cache::{CacheKey, Purge, Purges};
use crate::time::Timestamp;

/// The purges of a cell, and the number of purges ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct PurgeLog {
    #[n(0)]
    pub(super) sequence: u64,
    #[n(1)]
    pub(super) purges: Purges,
    /// Up to which sequence they were written to the record, as far as that was noted.
    #[n(2)]
    pub(super) recorded: Option<u64>,
}

impl PurgeLog {
    /// Adds a purge; the log is bounded by [`Purges::add`].
    pub(super) fn append(&mut self, purge: &Purge) {
        self.purges.add(purge.clone());
        self.sequence = self.sequence.saturating_add(1);
    }

    /// Notes that they were written to the record; says whether that is news. What was written of a log that was lost since
    /// says nothing about this one.
    pub(super) fn note_recorded(&mut self, sequence: u64) -> bool {
        let is_news = sequence <= self.sequence && Some(sequence) > self.recorded;
        if is_news {
            self.recorded = Some(sequence);
        }
        is_news
    }
}

/// Encoded as the key's text, or null for everything, and the instant in microseconds.
impl<C> Encode<C> for Purge {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.encode_with(self.resource.as_ref().map(CacheKey::as_str), ctx)?.u64(self.at.as_micros())?.ok()
    }
}

impl Decode for Purge {
    fn blank() -> Self {
        Self { resource: None, at: Timestamp::blank() }
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        if reader.list()? != 2 {
            return reader.fail("a purge");
        }
        if !reader.null() {
            match CacheKey::parse(reader.text()?) {
                Some(key) => self.resource = Some(key),
                None => return reader.fail("the key of a resource"),
            }
        }
        self.at.decode(reader)
    }
}

impl<C> Encode<C> for Purges {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.encode_with(self.as_slice(), ctx)?.ok()
    }
}

impl Decode for Purges {
    fn blank() -> Self {
        Self::default()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = Vec::<Purge>::read_from(reader)?.into_iter().collect();
        Ok(())
    }
}
