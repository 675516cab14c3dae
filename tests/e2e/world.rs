//! The environment of a scenario: a host, its own upstream, a domain that no other scenario uses, consumers and keys.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};
use tollgate_core::cache::{CacheKey, Purge, Purges};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{Id, encode, keys};
use tollgate_tests::client::{Answer, Client, PATIENCE, RawAnswer, Request};
use tollgate_tests::hosts::{Artifacts, Host, Kind, Options, Trail};
use tollgate_tests::leaks::{Seen, leak};
use tollgate_tests::upstream::{Report, Upstream};

use crate::lane::GATEWAY;
use crate::project::{self, Key, Project};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The environment of one scenario.
pub(crate) struct World {
    pub(crate) host: Rc<Host>,
    pub(crate) upstream: Upstream,
    /// A host name that only this scenario uses, together with its subdomains.
    pub(crate) domain: String,
    /// A name that only this scenario uses, for APIs and consumers.
    pub(crate) name: String,
    artifacts: Artifacts,
    keys_made: Cell<u8>,
    /// The hosts that the scenario used.
    trails: RefCell<Vec<Trail>>,
    /// What its collectors of telemetry received.
    collected: RefCell<Vec<Rc<Report>>>,
    /// What its other servers received, and its upstream.
    received: RefCell<Vec<Rc<Report>>>,
    /// Its secrets that no client sent.
    secrets: Rc<Seen>,
}

impl World {
    pub(crate) async fn new(host: Rc<Host>, index: usize, artifacts: Artifacts) -> Result<Self> {
        let name = format!("s{index}");
        let trails = RefCell::new(vec![host.trail()]);
        let upstream = Upstream::start().await?;
        let received = RefCell::new(vec![upstream.shared_report()]);
        Ok(Self {
            host,
            upstream,
            domain: format!("{name}.test"),
            name,
            artifacts,
            keys_made: Cell::new(0),
            trails,
            collected: RefCell::default(),
            received,
            secrets: Rc::default(),
        })
    }

    /// The locations of the programs to run.
    pub(crate) const fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    pub(crate) fn on(&self, kind: Kind) -> bool {
        self.host.kind() == kind
    }

    /// A client that sends requests to the scenario's domain.
    pub(crate) fn client(&self) -> Client {
        self.host.client().for_host(&self.domain)
    }

    /// Compiles and publishes a project.
    pub(crate) async fn publish(&self, project: Project) -> Result<()> {
        self.publish_yaml(&project.yaml()).await
    }

    /// Compiles and publishes a complete `tollgate.yaml`.
    pub(crate) async fn publish_yaml(&self, yaml: &str) -> Result<()> {
        self.publish_to(&self.host, yaml).await
    }

    pub(crate) async fn publish_to(&self, host: &Host, yaml: &str) -> Result<()> {
        project::publish(host, &project::compile(yaml)?).await
    }

    /// A separate host for the scenario, started with these options and stopped with the scenario.
    pub(crate) async fn start_host(&self, dev: bool, secrets: &[(&str, &str)]) -> Result<Host> {
        self.started(&options(dev, secrets)).await
    }

    /// The same, which trusts only the authorities in this file, if it is the native host.
    pub(crate) async fn start_host_trusting(&self, authorities: &Path, secrets: &[(&str, &str)]) -> Result<Host> {
        let options = Options { authorities: Some(authorities.to_owned()), ..options(true, secrets) };
        self.started(&options).await
    }

    /// A separate host whose counters are in this Redis server.
    pub(crate) async fn start_host_on_redis(&self, url: &str) -> Result<Host> {
        self.started(&Options { counters: Some(url.to_owned()), ..options(true, &[]) }).await
    }

    /// A separate host that counts the calls of the gateway.
    pub(crate) async fn start_counting_host(&self) -> Result<Host> {
        self.started(&Options { counts: true, ..options(false, &[]) }).await
    }

    /// A separate host that keeps its stores in this folder.
    pub(crate) async fn start_host_keeping(&self, folder: &Path) -> Result<Host> {
        self.start_operated_host_keeping(folder, &[]).await
    }

    /// The same with secrets, such as the tokens of operators.
    pub(crate) async fn start_operated_host_keeping(&self, folder: &Path, secrets: &[(&str, &str)]) -> Result<Host> {
        self.started(&Options { keep: Some(folder.to_owned()), ..options(false, secrets) }).await
    }

    async fn started(&self, options: &Options) -> Result<Host> {
        let host = Host::start(self.host.kind(), &self.artifacts, options).await?;
        self.trails.borrow_mut().push(host.trail());
        Ok(host)
    }

    /// A receiver of telemetry.
    pub(crate) async fn collector(&self) -> Result<Upstream> {
        let collector = Upstream::start().await?;
        self.collected.borrow_mut().push(collector.shared_report());
        Ok(collector)
    }

    /// Another server that the gateway calls, such as an authorization server.
    pub(crate) async fn server(&self) -> Result<Upstream> {
        let server = Upstream::start().await?;
        self.received.borrow_mut().push(server.shared_report());
        Ok(server)
    }

    /// Notes a secret: the gateway must never write it.
    pub(crate) fn secret(&self, text: &str) {
        self.secrets.secret(text);
    }

    /// Where secrets are noted.
    pub(crate) const fn secrets(&self) -> &Rc<Seen> {
        &self.secrets
    }

    /// Where a secret or a token of the scenario is in something that the gateway wrote.
    pub(crate) async fn leak(&self) -> Option<String> {
        let trails = self.trails.borrow().clone();
        for report in &*self.received.borrow() {
            report.requests().iter().for_each(|request| self.secrets.received(request));
            report.contents().iter().for_each(|content| self.secrets.granted(content));
        }
        let secrets: Vec<String> = trails.iter().flat_map(Trail::secrets).chain(self.secrets.secrets()).collect();
        let mut texts: Vec<(&str, String)> = trails.iter().flat_map(Trail::texts).collect();
        for report in &*self.collected.borrow() {
            texts.extend(report.requests().into_iter().map(|batch| ("a batch of telemetry", batch.content)));
        }
        if let Some(admin) = self.host.admin() {
            texts.extend(admin.get("/metrics").await.ok().map(|metrics| ("the metrics", metrics.text())));
        }
        leak(&secrets, &texts)
    }

    /// A key of a consumer, with its record stored; `change` changes its properties.
    pub(crate) async fn key(&self, consumer: &str, change: impl FnOnce(&mut Key)) -> Result<String> {
        let made = self.keys_made.replace(self.keys_made.get() + 1);
        let mut key = Key::new(&self.name, made, &format!("{}-{consumer}", self.name));
        change(&mut key);
        self.secret(&key.text);
        self.host.put(&key.records()?).await?;
        Ok(key.text)
    }

    /// A valid key of a consumer that only this scenario uses.
    pub(crate) async fn plain_key(&self, consumer: &str) -> Result<String> {
        self.key(consumer, |_| {}).await
    }

    /// The gateway's log lines about exchanges on the scenario's routes, once there are `count` of them, in any order.
    pub(crate) async fn records(&self, count: usize) -> Result<Vec<serde_json::Value>> {
        let mine = || -> Vec<serde_json::Value> {
            let lines = self.host.logs();
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).filter(|line| self.is_mine(line)).collect()
        };
        self.eventually(&format!("{count} log records"), || mine().len() >= count).await?;
        Ok(mine())
    }

    /// Whether a line is about an exchange on a route of this scenario; a late line of the one before it is not.
    fn is_mine(&self, line: &serde_json::Value) -> bool {
        let api = line["route_id"].as_str().and_then(|route| route.split('.').next());
        line["event"] == "exchange" && api == Some(self.name.as_str())
    }

    /// Requests a target until every isolate of a host has answered it, because each has its own memory.
    pub(crate) async fn warm(&self, client: &Client, request: impl Fn() -> Request) -> Result<()> {
        // With two isolates, the chance that all of these miss one is one in eight million.
        for _ in 0..24 {
            let answer = client.send(request()).await?;
            if answer.status != 200 {
                return Err(format!("{} {}", answer.status, answer.text()).into());
            }
        }
        Ok(())
    }

    /// The route in a log line.
    pub(crate) fn route_of(line: &serde_json::Value) -> String {
        line["route_id"].as_str().unwrap_or_default().to_owned()
    }

    /// SHA-256 in hexadecimal, as the upstream reports it.
    pub(crate) fn sha256(content: &[u8]) -> String {
        Id::of(content).to_string()
    }

    /// Purges a resource by the key that `Cache-Status` names, as the operator endpoint does.
    pub(crate) async fn purge(&self, key: &str) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut purges = Purges::default();
        purges.add(Purge {
            resource: Some(CacheKey::parse(key).ok_or("this is not a cache key")?),
            at: Timestamp::from_millis(u64::try_from(now.as_millis())?),
        });
        let record = encode(&purges);
        Ok(self.host.put(&[(keys::purges(GATEWAY), record)]).await?)
    }

    /// Requests a target exactly as it is written.
    pub(crate) async fn get_raw(&self, target: &str) -> Result<RawAnswer> {
        let host = &self.domain;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        Ok(self.client().raw_one(request.as_bytes()).await?)
    }

    /// Waits until the condition is true; gives up after the default timeout.
    pub(crate) async fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > end {
                return Err(format!("timeout while waiting for {what}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn options(dev: bool, secrets: &[(&str, &str)]) -> Options {
    Options {
        gateway: GATEWAY.to_owned(),
        dev,
        secrets: secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        authorities: None,
        counts: false,
        keep: None,
        counters: None,
    }
}

/// Checks that an answer is a problem of this status and type, and contains nothing internal.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    let text = answer.text();
    assert_eq!(problem["status"], status, "{text}");
    let given = problem["type"].as_str().unwrap_or_default();
    assert!(given.ends_with(kind), "type {given}, wanted {kind}");
    assert!(problem["title"].is_string(), "{text}");
    assert!(!answer.broken);
    for internal in ["127.0.0.1", "panicked", ".rs:", "hyper", "sqlite", "e2e:"] {
        assert!(!text.contains(internal), "{internal} in {text}");
    }
}
