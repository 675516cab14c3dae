//! The in-memory reference implementations.

use http::HeaderMap;
use tollgate_contracts::stage::{Answer, Command, Store};
use tollgate_contracts::{Breach, Subject};
use tollgate_core::forward::{Reply, UpstreamError};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, MemorySignatures, VirtualClock};

use crate::stage::{Stage, Stores};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The reference, which defines what the contracts mean.
pub(crate) struct Reference {
    host: MemoryHost,
    stage: Stage<MemoryHost>,
}

impl Reference {
    pub(crate) fn new() -> Self {
        let nobody = |_: &http::Request<Content>| (0, Err(UpstreamError::DestinationUnavailable));
        let mut host = MemoryHost::new(VirtualClock::at(NOW), 1, nobody);
        host.signatures = MemorySignatures::new(tollgate_signatures::verifies)
            .signing(tollgate_signatures::sign)
            .sealing(tollgate_signatures::seal, tollgate_signatures::open)
            .hashing(host.clock.clone(), tollgate_signatures::is_password);
        host.secrets.put("TOKEN", "s3cret");
        Self { stage: Stage::new(host.clone()), host }
    }
}

impl Subject for Reference {
    type Host = MemoryHost;

    fn host(&self) -> &MemoryHost {
        &self.host
    }

    fn received_content(&self, _: &HeaderMap) -> Result<Content, Breach> {
        Ok(Content::default())
    }

    async fn sent(&self, reply: Reply<Content>) -> Result<(HeaderMap, Content), Breach> {
        let (head, content) = reply.into_response().into_parts();
        Ok((head.headers, content))
    }

    async fn read(&self, content: Content) -> Result<Vec<u8>, Breach> {
        if content.is_broken() {
            Err(Breach("the content was aborted".to_owned()))
        } else {
            Ok(content.bytes().to_vec())
        }
    }

    async fn command(&self, command: &Command) -> Result<Answer, Breach> {
        self.stage.command(command).await
    }
}

impl Stores for MemoryHost {
    async fn write(&self, key: &str, value: Option<&str>) -> Result<(), String> {
        match value {
            Some(value) => self.records.put(key, value),
            None => self.records.remove(key),
        }
        Ok(())
    }

    async fn set_unavailable(&self, store: Store, unavailable: bool) -> Result<(), String> {
        match store {
            Store::Records => self.records.fault.set(unavailable),
            Store::Counters => self.counters.fault.set(unavailable),
            Store::ResponseCache => self.cache.fault.set(unavailable),
        }
        Ok(())
    }
}
