use bytes::Bytes;

use crate::ports::{self, Delivery};

/// Content that is all here, and may break: past a limit, or where an upstream breaks off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    bytes: Bytes,
    broken: bool,
}

/// The copy of a [`Content`], absent where it gave up or broke.
#[derive(Debug)]
pub struct Copy(pub(super) Option<Bytes>);

impl Content {
    /// The bytes up to the end, or up to where it breaks.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether reading it fails before its end.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Content that breaks off after these bytes.
    #[must_use]
    pub fn breaking_after(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), broken: true }
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Self { bytes: Bytes::from_static(text.as_bytes()), broken: false }
    }
}

impl ports::Content for Content {
    type Copy = Copy;

    fn empty() -> Self {
        Self::default()
    }

    fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes, broken: false }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.broken
    }

    fn limited(self, max_bytes: u64) -> Self {
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        if self.bytes.len() <= max { self } else { Self { bytes: self.bytes.slice(..max), broken: true } }
    }

    fn tee(self, max_bytes: u64) -> (Self, Copy) {
        let fits = !self.broken && self.bytes.len() as u64 <= max_bytes;
        let copy = Copy(fits.then(|| self.bytes.clone()));
        (self, copy)
    }

    fn watched(self) -> (Self, impl Future<Output = Delivery> + 'static) {
        let bytes = self.bytes.len() as u64;
        let delivery =
            if self.broken { Delivery::Aborted { bytes, by_upstream: true } } else { Delivery::Complete { bytes } };
        (self, std::future::ready(delivery))
    }
}
