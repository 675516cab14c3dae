//! The gateway's own requests.

use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_edge::ports::{Fetch, fetch_over};

use crate::clock::SystemClock;
use crate::upstream::NativeUpstream;

/// The gateway's own requests from one isolate.
///
/// Each rule for addresses has connections of its own: one that was made under the wider rule must not serve a request
/// under the narrower.
#[derive(Clone, Debug)]
pub struct NativeFetch {
    public: NativeUpstream,
    any: NativeUpstream,
    clock: SystemClock,
}

impl NativeFetch {
    /// Over the connections to upstreams, and connections of its own to public addresses.
    pub(crate) fn new(upstream: &NativeUpstream, clock: SystemClock) -> Self {
        Self { public: upstream.to(AddressRule::Public), any: upstream.clone(), clock }
    }

    /// Lets go of connections that have been idle for long.
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
        // On the heap, because it is large and seldom.
        Box::pin(fetch_over(upstream, &self.clock, request, bounds)).await
    }
}
