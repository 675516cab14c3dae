//! Requests that the gateway itself makes.

use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_edge::ports::{Fetch, fetch_over};

use crate::clock::SystemClock;
use crate::upstream::NativeUpstream;

/// The requests that the gateway itself makes, from one isolate.
///
/// Each address rule has separate connections: a connection made under the wider rule must not be used for a request
/// under the narrower one.
#[derive(Clone, Debug)]
pub struct NativeFetch {
    public: NativeUpstream,
    any: NativeUpstream,
    clock: SystemClock,
}

impl NativeFetch {
    /// Uses the connections to upstreams, and separate connections for public addresses.
    pub(crate) fn new(upstream: &NativeUpstream, clock: SystemClock) -> Self {
        Self { public: upstream.to(AddressRule::Public), any: upstream.clone(), clock }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn drop_idle(&self) {
        self.public.drop_idle();
    }
}

impl Fetch for NativeFetch {
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError> {
        let upstream = match bounds.addresses {
            AddressRule::Public => &self.public,
            AddressRule::Any => &self.any,
        };
        // Boxed, because it is large and rarely used.
        Box::pin(fetch_over(upstream, &self.clock, request, bounds)).await
    }
}
