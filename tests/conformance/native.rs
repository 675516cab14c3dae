//! The native adapter's implementations in one isolate.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use http::HeaderMap;
use http_body_util::BodyExt;
use tollgate_contracts::stage::{Answer, Command, Store};
use tollgate_contracts::{Breach, Subject};
use tollgate_core::forward::Reply;
use tollgate_core::secret::Secret;
use tollgate_edge::ports::Content;
use tollgate_native::faults::{Faults, FaultyStore};
use tollgate_native::{NativeContent, NativeHost, RecordChange, RecordStore, RedisSettings, SecretSource, Settings};

use crate::stage::{Stage, Stores};

/// The ports of one isolate.
pub(crate) struct Isolate {
    host: NativeHost,
    stage: Stage<NativeStores>,
}

struct NativeStores {
    records: RecordStore,
    faults: Faults,
}

impl Isolate {
    /// Must be called within a `LocalSet`.
    pub(crate) fn new() -> Self {
        Self::with_counters(None)
    }

    /// With counters in a Redis server.
    pub(crate) fn with_counters(url: Option<&str>) -> Self {
        let records = RecordStore::in_memory().expect("a store");
        let faults = Faults::default();
        let mut settings = Settings::new("g", SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.isolates = NonZeroUsize::new(1);
        let secret = ("TOKEN".to_owned(), Secret::new("s3cret".to_owned()));
        settings.secrets = SecretSource::Given(BTreeMap::from([secret]));
        settings.counters_redis =
            url.map(|url| RedisSettings { address: url.parse().expect("an address"), authorities: None });
        let host = NativeHost::unserved(&settings, &records, faults.clone()).expect("ports");
        Self { host, stage: Stage::new(NativeStores { records, faults }) }
    }
}

impl Subject for Isolate {
    type Host = NativeHost;

    fn host(&self) -> &NativeHost {
        &self.host
    }

    fn received_content(&self, _: &HeaderMap) -> Result<NativeContent, Breach> {
        Ok(NativeContent::empty())
    }

    async fn sent(&self, reply: Reply<NativeContent>) -> Result<(HeaderMap, NativeContent), Breach> {
        let (head, content) = reply.into_response().into_parts();
        Ok((head.headers, content))
    }

    async fn read(&self, content: NativeContent) -> Result<Vec<u8>, Breach> {
        match content.collect().await {
            Ok(collected) => Ok(collected.to_bytes().to_vec()),
            Err(error) => Err(Breach(error.to_string())),
        }
    }

    async fn command(&self, command: &Command) -> Result<Answer, Breach> {
        self.stage.command(command).await
    }
}

impl Stores for NativeStores {
    async fn write(&self, key: &str, value: Option<&str>) -> Result<(), String> {
        let change = match value {
            Some(value) => RecordChange::Put { key, value: value.as_bytes() },
            None => RecordChange::Delete { key },
        };
        self.records.write(&[change]).map(drop).map_err(|error| error.to_string())
    }

    async fn set_unavailable(&self, store: Store, unavailable: bool) -> Result<(), String> {
        let store = match store {
            Store::Records => FaultyStore::Records,
            Store::Counters => FaultyStore::Counters,
            Store::ResponseCache => FaultyStore::ResponseCache,
        };
        self.faults.set(store, unavailable);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tollgate_contracts::{charge, part};
    use tollgate_core::cell::{OperationId, Terms, Update};
    use tollgate_edge::ports::Counters;
    use tollgate_native::{NativeCounters, SystemClock};

    use crate::on_one_thread;

    #[test]
    fn counters_are_exact_between_threads() {
        let shared = NativeCounters::in_memory(1_000);
        let now = SystemClock::now();
        let threads: Vec<_> = (0..4u8)
            .map(|thread| {
                let counters = shared.clone();
                std::thread::spawn(move || {
                    let one = |n: u8| Update {
                        terms: Terms { id: OperationId::new([thread; 16]).step(n), hold_ms: None, refund_ms: None },
                        cells: vec![part("consumer=threads", vec![charge("p", 100, 1)])],
                    };
                    let charges = async {
                        let mut granted = 0;
                        for n in 0..100 {
                            granted += u32::from(counters.update(&one(n), now).await.expect("it answers").granted);
                        }
                        granted
                    };
                    on_one_thread(charges)
                })
            })
            .collect();
        let granted: u32 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        assert_eq!(granted, 100);
    }
}
