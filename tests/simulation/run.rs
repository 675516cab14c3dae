//! One run: a gateway of two isolates, parallel clients, random events.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::OnceLock;

use futures_executor::LocalPool;
use futures_util::task::LocalSpawnExt;
use tollgate_config::fixtures;
use tollgate_core::telemetry::UsageBatch;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, MemoryHost, MemorySignatures, VirtualClock};
use tollgate_edge::ports::{Clock, Content as _, Records as _};
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};
use tollgate_kv_schemas::decode;

use crate::check;
use crate::clients::{self, CONSUMERS, PER_DAY};
use crate::dice::Dice;
use crate::shaky::ShakyHost;

/// The intensity of faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// How often a call of a store fails.
    store_fails_percent: u64,
    /// Whether upstreams fail, delay and abort, and bundles are damaged.
    trouble: bool,
}

impl Weather {
    pub(crate) const CALM: Self = Self { store_fails_percent: 0, trouble: false };
    pub(crate) const STORMY: Self = Self { store_fails_percent: 6, trouble: true };
}

/// Exchanges of one run.
const EXCHANGES: u64 = 120;
/// Steps of the clock after which every exchange has ended; waits for stores and upstreams take some seconds each.
const STEPS_MAX: u64 = 20_000;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Rounds and steps in which isolates write the rest of their usage; some writes take a minute.
const QUIET_ROUNDS_MAX: usize = 20;
const QUIET_STEPS: usize = 300;

/// Requests, refused and failed ones, and cost, by hour, route and consumer.
type Sums = BTreeMap<(String, String, Option<String>), [u64; 4]>;

/// What every value of the upstream's secret begins with.
const SECRET: &str = "s3cret";

/// The state of a run that exchanges share.
struct Simulation {
    dice: Dice,
    weather: Weather,
    host: ShakyHost,
    isolates: Vec<Rc<Isolate>>,
    /// The request ids of ended exchanges.
    ended: RefCell<BTreeSet<String>>,
    /// How often each consumer's request passed the closed limit and was forwarded.
    forwarded: RefCell<BTreeMap<String, u64>>,
    /// The version that a change left, by isolate and resource: an isolate never answers with an older one from its cache.
    changed: RefCell<BTreeMap<(usize, String), u64>>,
}

/// Runs a seed to its end; panics if an invariant is violated.
pub(crate) fn run(seed: u64, weather: Weather) {
    let simulation = Rc::new(Simulation::new(seed, weather));
    simulation.publish(0);
    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    let mut begun = 0;
    for _ in 0..STEPS_MAX {
        if begun < EXCHANGES && simulation.dice.percent(40) {
            begun += 1;
            let exchange = exchange(Rc::clone(&simulation), begun);
            spawner.spawn_local(exchange).expect("the pool takes tasks");
        }
        simulation.happen();
        pool.run_until_stalled();
        simulation.host.inner.clock.advance(1 + simulation.dice.below(40));
        if begun == EXCHANGES && simulation.ended.borrow().len() as u64 == EXCHANGES {
            break;
        }
    }
    simulation.conclude();
    simulation.conclude_usage(&mut pool);
}

/// The records of the project and of all keys.
fn compiled(version: u64) -> Records {
    let project = clients::project(version);
    let compiled = tollgate_analysis::compile_str("tollgate.yaml", &project).expect("a project without mistakes");
    let mut yaml = "format: 1\nconsumers:\n".to_owned();
    for consumer in CONSUMERS {
        yaml.push_str(&format!("  - {{id: {consumer}, keys: [{}]}}\n", clients::key(consumer)));
    }
    let fixtures = fixtures::load_str("fixtures.yaml", &yaml).expect("fixtures without mistakes");
    compiled.records().iter().cloned().chain(fixtures.records("sim")).collect()
}

type Records = Vec<(String, Vec<u8>)>;

async fn exchange(simulation: Rc<Simulation>, number: u64) {
    let dice = &simulation.dice;
    let mut request = clients::request(dice);
    let id = format!("exchange-{number}");
    if let Ok(value) = id.parse() {
        request.headers_mut().insert("x-exchange", value);
    }
    let asked = format!("{} {}", request.method(), request.uri());
    let is_head = request.method() == "HEAD";
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let client = Client { address: Some(address), https: dice.percent(50), inside: false };
    let isolate = usize::from(dice.percent(50));
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let resource = (isolate, clients::resource(host, request.uri().path()));
    let (is_change, before) = (request.method() == "POST", simulation.changed.borrow().get(&resource).copied());
    let served = serve(&simulation.isolates[isolate], &simulation.host, request, client).await;
    let response = served.reply.into_response();
    check::response(&asked, &response, is_head);
    let version = check::version(&response);
    if let Some(version) = version.filter(|_| is_change && response.status() == 200) {
        let mut changed = simulation.changed.borrow_mut();
        let known = changed.entry(resource).or_default();
        *known = version.max(*known);
    } else if let (Some(version), Some(before)) = (version, before)
        && check::is_hit(&response)
    {
        assert!(version >= before, "{asked}: version {version} from the cache after a change to {before}");
    }
    let record = served.after.await;
    check::record(&asked, &record, &response);
    let limited = record.route().is_some_and(|route| ["/limited", "/both"].contains(&route.template.as_ref()));
    // Of what is charged while it is forwarded, the upstream may see what is refused.
    let passed = limited && record.refusal().is_none_or(|refusal| refusal.policy.is_none());
    if let Some(principal) = record.principal().filter(|_| passed && record.calls().next().is_some()) {
        *simulation.forwarded.borrow_mut().entry(principal.consumer.clone()).or_default() += 1;
    }
    let new = simulation.ended.borrow_mut().insert(record.request_id.as_str().to_owned());
    assert!(new, "{asked}: its request id was used before");
}

impl Simulation {
    fn new(seed: u64, weather: Weather) -> Self {
        let dice = Dice::new(seed);
        let (upstream_dice, trouble, versions) = (dice.clone(), weather.trouble, clients::Versions::default());
        let script = move |request: &http::Request<_>| clients::answer(request, &upstream_dice, trouble, &versions);
        let mut inner = MemoryHost::new(VirtualClock::at(START), seed, script);
        inner.signatures = MemorySignatures::new(tollgate_signatures::verifies)
            .signing(tollgate_signatures::sign)
            .sealing(tollgate_signatures::seal, tollgate_signatures::open)
            .hashing(inner.clock.clone(), tollgate_signatures::is_password);
        inner.secrets.put("TOKEN", SECRET);
        inner.counters.apart.set(dice.percent(50));
        inner.counters.far.set(dice.percent(50));
        let host = ShakyHost::new(inner, &dice, weather.store_fails_percent);
        let freshness = if dice.percent(50) { Freshness::EachRequest } else { Freshness::Cached };
        let isolate = || Rc::new(Isolate::new(IsolateSettings { gateway: "sim".to_owned(), freshness }));
        Self {
            isolates: vec![isolate(), isolate()],
            dice,
            weather,
            host,
            ended: RefCell::default(),
            forwarded: RefCell::default(),
            changed: RefCell::default(),
        }
    }

    /// Publishes a version of the project, and all keys.
    fn publish(&self, version: usize) {
        static VERSIONS: OnceLock<[Records; 2]> = OnceLock::new();
        let versions = VERSIONS.get_or_init(|| [compiled(0), compiled(1)]);
        for (key, value) in &versions[version] {
            self.host.inner.records.put(key.as_str(), value.as_slice());
        }
    }

    /// May trigger a random event between two steps.
    fn happen(&self) {
        if self.dice.percent(1) {
            self.publish(self.dice.one_of(&[0, 1]));
        }
        if self.weather.trouble && self.dice.percent(1) {
            let damaged = self.dice.one_of(&["", "{", "{\"kind\":\"pointer\",\"v\":9,\"data\":{}}"]);
            self.host.inner.records.put("sim:config:active", damaged);
        }
        if self.weather.trouble && self.dice.percent(1) {
            self.host.inner.clock.step_back(self.dice.below(3_600_000));
        }
        self.answer_what_was_true_before();
        let (inner, counters) = (&self.host.inner, &self.host.inner.counters);
        let counted = [&counters.fault, &counters.faults.contended, &counters.faults.full];
        for fault in [&inner.records.fault, &inner.cache.fault, &inner.secrets.fault].into_iter().chain(counted) {
            if self.weather.trouble && self.dice.percent(2) {
                fault.set(self.dice.percent(30));
            }
        }
    }

    /// May make the record store eventually consistent, or current again, and may change the secret.
    fn answer_what_was_true_before(&self) {
        let (memory, secrets) = (&self.host.inner.records.memory, &self.host.inner.secrets);
        if self.weather.trouble && self.dice.percent(1) {
            memory.set(self.dice.percent(70));
        }
        // Workers KV repeats an answer for a minute; a run takes some seconds.
        if self.dice.percent(2) {
            memory.forget();
        }
        if self.weather.trouble && self.dice.percent(1) {
            match self.dice.below(3) {
                0 => secrets.remove("TOKEN"),
                number => secrets.put("TOKEN", format!("{SECRET}-{number}")),
            }
        }
    }

    /// Checks the invariants of the whole run.
    fn conclude(&self) {
        let ended = self.ended.borrow().len() as u64;
        assert_eq!(ended, EXCHANGES, "exchanges that never ended");
        let lines: Vec<serde_json::Value> =
            self.host.inner.sink.lines().iter().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        let logged = lines.iter().filter(|line| line["event"] == "exchange").count() as u64;
        assert_eq!(logged, EXCHANGES, "one record per exchange");
        self.nothing_secret(&lines);
        self.forwarded_well();
        self.limits_held();
        if !self.weather.trouble {
            let failed: Vec<_> = lines.iter().filter(|line| line["status"] == 502 || line["status"] == 503).collect();
            assert!(failed.is_empty(), "{failed:?}");
        }
    }

    /// Checks that the records of usage have what the log has, once stores work and each isolate has served a few more requests.
    fn conclude_usage(self: &Rc<Self>, pool: &mut LocalPool) {
        let inner = &self.host.inner;
        inner.records.fault.set(false);
        inner.records.memory.set(false);
        self.publish(0);
        for _ in 0..QUIET_ROUNDS_MAX {
            for isolate in &self.isolates {
                let (isolate, host) = (Rc::clone(isolate), self.host.clone());
                let task = async move {
                    let request = http::Request::get("/open/x").header("host", "a.test").body(Content::empty());
                    let client = Client { address: None, https: false, inside: false };
                    serve(&isolate, &host, request.expect("a request"), client).await.after.await;
                };
                pool.spawner().spawn_local(task).expect("the pool takes tasks");
            }
            for _ in 0..QUIET_STEPS {
                pool.run_until_stalled();
                inner.clock.advance(500);
            }
            if self.recorded() == self.logged() {
                return;
            }
        }
        assert_eq!(self.recorded(), self.logged(), "usage in records, and in the log");
    }

    /// What the records of usage have of routes.
    fn recorded(&self) -> Sums {
        let mut sums = Sums::new();
        let records = &self.host.inner.records;
        let page = futures_executor::block_on(records.list("sim:usage:", None, 10_000)).expect("it works");
        for key in page.keys {
            let bytes = futures_executor::block_on(records.read(&key)).expect("it works").expect("it was listed");
            let batch: UsageBatch = decode(&bytes).expect("a batch");
            for row in batch.rows {
                let Some(route) = row.route else { continue };
                let key = (batch.hour.clone(), route, row.consumer);
                let sum = sums.entry(key).or_default();
                sum.iter_mut()
                    .zip([row.requests, row.refused, row.failed, row.cost])
                    .for_each(|(sum, more)| *sum += more);
            }
        }
        sums
    }

    /// What the log has of routes.
    fn logged(&self) -> Sums {
        let mut sums = Sums::new();
        let lines = self.host.inner.sink.lines();
        let lines = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON line"));
        for line in lines.filter(|line| line["event"] == "exchange") {
            let text = |name: &str| line[name].as_str().map(str::to_owned);
            let (Some(time), Some(route)) = (text("time"), text("route_id")) else { continue };
            let refused = line["problem"] == "rate-limit-exceeded";
            let failed = line["status"].as_u64() >= Some(500);
            let more = [1, refused.into(), failed.into(), line["charged"].as_u64().unwrap_or(0)];
            let sum = sums.entry((time[..13].to_owned(), route, text("consumer"))).or_default();
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        sums
    }

    fn nothing_secret(&self, lines: &[serde_json::Value]) {
        let mut emitted: String = lines.iter().map(ToString::to_string).collect();
        for (_, batch) in self.host.inner.sink.posts() {
            emitted.push_str(&String::from_utf8_lossy(&batch));
        }
        for consumer in CONSUMERS {
            assert!(!emitted.contains(&clients::key(consumer)), "a key in telemetry");
        }
        assert!(!emitted.contains(SECRET) && !emitted.contains("q=1"));
    }

    /// Checks the requests that reached the upstream.
    fn forwarded_well(&self) {
        for request in self.host.inner.upstream.take_received() {
            let fields = request.headers();
            assert!(fields["x-token"].as_bytes().starts_with(SECRET.as_bytes()));
            let target = request.uri().to_string();
            assert!(!target.contains(".."), "{target} reached the upstream");
            for consumer in CONSUMERS {
                let key = clients::key(consumer);
                let holds = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(&key);
                let has_key = fields.values().any(holds) || target.contains(&key);
                assert!(!has_key, "a key reached the upstream with {target}");
            }
        }
    }

    /// Checks that a closed limit never lets more pass than the burst and the refill, across both isolates.
    fn limits_held(&self) {
        let elapsed_ms = self.host.inner.clock.instant().as_micros() / 1_000;
        let most = PER_DAY + elapsed_ms * PER_DAY / 86_400_000;
        for (consumer, passed) in self.forwarded.borrow().iter() {
            assert!(*passed <= most, "{passed} of {consumer} passed, {most} allowed");
        }
    }
}
