use bytes::Bytes;
use http::HeaderMap;

use tollgate_core::telemetry::AbortedBy;

use crate::ports::{self, ContentFault, Delivery, Gathered, GatheredContent};

/// Content in memory, which can fail: beyond a limit, or where an upstream aborts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    bytes: Bytes,
    fault: Option<ContentFault>,
    trailers: Option<HeaderMap>,
    left_out: HeaderMap,
}

/// The copy of a [`Content`], absent if it was abandoned or interrupted.
#[derive(Debug)]
pub struct Copy(pub(super) Option<Bytes>);

impl Content {
    /// The bytes up to the end, or up to where it fails.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether reading it fails before its end.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.fault.is_some()
    }

    /// Content that is interrupted after these bytes.
    #[must_use]
    pub fn breaking_after(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), fault: Some(ContentFault::Interrupted), ..Self::default() }
    }

    /// Content of a message some of whose fields are left out.
    #[must_use]
    pub fn with_left_out(fields: HeaderMap) -> Self {
        Self::default().leaving_out(fields)
    }

    /// The same content, of a message some of whose fields are left out.
    #[must_use]
    pub fn leaving_out(self, fields: HeaderMap) -> Self {
        Self { left_out: fields, ..self }
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Self { bytes: Bytes::from_static(text.as_bytes()), ..Self::default() }
    }
}

impl ports::Content for Content {
    type Copy = Copy;

    fn empty() -> Self {
        Self::default()
    }

    fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes, ..Self::default() }
    }

    fn left_out(&self) -> HeaderMap {
        self.left_out.clone()
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.is_broken()
    }

    fn length(&self) -> Option<u64> {
        (!self.is_broken()).then_some(self.bytes.len() as u64)
    }

    fn limited(self, max_bytes: u64) -> Self {
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        if self.bytes.len() <= max {
            return self;
        }
        Self { bytes: self.bytes.slice(..max), fault: Some(ContentFault::LimitExceeded), ..Self::default() }
    }

    fn tee(self, max_bytes: u64) -> (Self, Copy) {
        let fits = !self.is_broken() && self.bytes.len() as u64 <= max_bytes;
        let copy = Copy(fits.then(|| self.bytes.clone()));
        (self, copy)
    }

    async fn gather(self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault> {
        match self.fault {
            _ if self.bytes.len() as u64 > bytes_max => Ok(Gathered::TooLarge(self)),
            Some(fault) => Err(fault),
            None => Ok(Gathered::Complete(GatheredContent { bytes: self.bytes, trailers: self.trailers })),
        }
    }

    fn replay(whole: &GatheredContent) -> Self {
        Self { bytes: whole.bytes.clone(), trailers: whole.trailers.clone(), ..Self::default() }
    }

    fn watched(self, _: bool) -> (Self, impl Future<Output = Delivery> + 'static) {
        let bytes = self.bytes.len() as u64;
        let delivery = if self.is_broken() {
            Delivery::Aborted { bytes, by: AbortedBy::Upstream }
        } else {
            Delivery::Complete { bytes }
        };
        (self, std::future::ready(delivery))
    }
}
