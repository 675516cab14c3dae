use tollgate_core::fetch::{FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::forward::UpstreamError;

use super::{Content, Fault, Script, ScriptedUpstream, VirtualClock};
use crate::ports::{Fetch, fetch_over};

/// Requests that the gateway itself makes, answered by a script; all bounds of the port are applied.
#[derive(Clone, Debug)]
pub struct ScriptedFetch {
    services: ScriptedUpstream,
    clock: VirtualClock,
    /// Makes each request fail.
    pub fault: Fault,
}

impl ScriptedFetch {
    /// Services that answer by the script.
    #[must_use]
    pub fn new(clock: VirtualClock, script: impl Script + 'static) -> Self {
        Self { services: ScriptedUpstream::new(clock.clone(), script), clock, fault: Fault::default() }
    }

    /// A network without any service.
    #[must_use]
    pub fn unanswered(clock: VirtualClock) -> Self {
        Self::new(clock, |_: &http::Request<Content>| (0, Err(UpstreamError::ConnectionRefused)))
    }

    /// The requests received since the last call.
    #[must_use]
    pub fn take_received(&self) -> Vec<http::Request<Content>> {
        self.services.take_received()
    }
}

impl Fetch for ScriptedFetch {
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError> {
        let unreachable = |_| FetchError::Failed(UpstreamError::DestinationUnavailable);
        self.fault.check("the network").map_err(unreachable)?;
        fetch_over(&self.services, &self.clock, request, bounds).await
    }
}
