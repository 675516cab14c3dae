//! What a request asks of Spin, counted: a call or a suspension more is seen here before it is felt.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;
use tollgate_tests::client::{Client, Request};
use tollgate_tests::hosts::Host;

use crate::project::{Key, Project};
use crate::scenario::{Outcome, scenarios};
use crate::world::World;

scenarios! { "spin";
    a_request_asks_the_host_no_more_than_it_needs
        except (Native, "counts calls of WASI interfaces") (Cloudflare, "counts calls of WASI interfaces"),
}

/// What one request takes, on average, of an instance that has served others; some answers are there at once and take less.
#[derive(Debug)]
struct Asked {
    /// Of the component's fiber, each of which costs about ten changes of fibers.
    suspensions: u64,
    timers: u64,
    /// All calls of interfaces, with timers.
    calls: u64,
    streams_and_futures: u64,
}

async fn a_request_asks_the_host_no_more_than_it_needs(world: Rc<World>) -> Outcome {
    let host = world.start_counting_host().await?;
    let project = Project::new(&world)
        .policy("often: {kind: rate-limit, rate: 1000000/s, burst: 1000000, by: consumer}")
        .route("{path: /forward, methods: [GET]}")
        .route("{path: /cached, methods: [GET], cache: {ttl: 1h}}")
        .route("{path: /keyed, methods: [GET], authn: keys, limit: often}");
    world.publish_to(&host, &project.yaml()).await?;
    let key = Key::new(&world.name, 1, &world.name);
    host.put(&key.records()?).await?;
    let client = host.client().for_host(&world.domain);
    let get = |path: &str| Request::get(path);
    let keyed = || get("/keyed").field("x-api-key", &key.text);
    let most = |suspensions, calls, streams_and_futures| Asked { suspensions, timers: 0, calls, streams_and_futures };
    check(&host, &client, || get("/forward"), most(6, 27, 11)).await?;
    check(&host, &client, || get("/cached"), most(3, 14, 6)).await?;
    check(&host, &client, keyed, most(6, 32, 11)).await
}

/// Requests that one measurement counts.
const REQUESTS: u64 = 8;
/// A measurement is repeated: content that comes later than its head, or the end of a moment, costs more.
const ATTEMPTS: usize = 8;
/// Work after a reply ends within it.
const AFTER: Duration = Duration::from_millis(150);

async fn check(host: &Host, client: &Client, request: impl Fn() -> Request, most: Asked) -> Outcome {
    let mut least = None;
    for _ in 0..ATTEMPTS {
        // The first may need a new instance.
        for _ in 0..2 {
            assert_eq!(client.send(request()).await?.status, 200);
        }
        sleep(AFTER).await;
        host.counts().await?;
        for _ in 0..REQUESTS {
            assert_eq!(client.send(request()).await?.status, 200);
        }
        sleep(AFTER).await;
        let asked = Asked::of(&host.counts().await?);
        if asked.is_within(&most) {
            return Ok(());
        }
        if least.as_ref().is_none_or(|least: &Asked| asked.calls < least.calls) {
            least = Some(asked);
        }
    }
    Err(format!("{least:?} is more than {most:?}").into())
}

impl Asked {
    fn is_within(&self, most: &Self) -> bool {
        self.suspensions <= most.suspensions
            && self.timers <= most.timers
            && self.calls <= most.calls
            && self.streams_and_futures <= most.streams_and_futures
    }

    /// Rounded: random bytes are read for several requests at once.
    fn of(counts: &BTreeMap<String, u64>) -> Self {
        let sum = |is_of: fn(&str) -> bool| {
            let all: u64 = counts.iter().filter(|(name, _)| is_of(name)).map(|(_, count)| count).sum();
            all / REQUESTS
        };
        Self {
            suspensions: sum(|name| name == "runtime: suspend fiber"),
            timers: sum(|name| name.starts_with("monotonic-clock wait")),
            calls: sum(|name| !name.starts_with("runtime:")),
            streams_and_futures: sum(|name| name == "runtime: new transmit"),
        }
    }
}
