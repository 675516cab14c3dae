//! A running server with an upstream, and a client that sends given bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate_core::authn::{
    BindingMode, BindingRules, CertificateSource, ClientCertificateSettings, JwtSettings, KeySource,
};
use tollgate_core::jose::Algorithm;
use tollgate_core::kinds::{NamedPolicy, Policies};
use tollgate_core::limit::RateLimitSettings;
use tollgate_kv_schemas::Bundle;
use tollgate_native::faults::Faults;
use tollgate_native::{AdminSettings, RecordChange, RecordStore, Server, Settings, StartError};

/// Accepts tokens of [`ISSUER`] that are bound to the certificate of the connection (RFC 8705).
fn bound_tokens() -> JwtSettings {
    let keys = KeySource::Static(format!("{{\"keys\":[{}]}}", ISSUER_KEY.replacen(PRIVATE_PART, "", 1)));
    let mut settings = JwtSettings::new(ISSUER, "pets", keys, Algorithm::EdDsa);
    let (mode, certificate) = (BindingMode::Certificate, CertificateSource::Connection);
    settings.rules.binding = Some(BindingRules { mode, certificate, dpop: None });
    settings
}

/// The issuer of tokens, and its key (RFC 8037, appendix A.1).
pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const ISSUER_KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const PRIVATE_PART: &str = r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","#;

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// All addresses, in the order of the settings.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) records: RecordStore,
    pub(crate) faults: Faults,
    pub(crate) log: Lines,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), StartError>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut settings = Settings::new("test", any);
        settings.isolates = NonZeroUsize::new(2);
        settings.admin = Some(AdminSettings { address: any, open_metrics: false });
        change(&mut settings);
        let records = RecordStore::in_memory().unwrap();
        let (faults, log) = (Faults::default(), Lines::default());
        let builder = Server::builder(settings, records.clone());
        let server = builder.log_to(Box::new(log.clone())).faults(faults.clone()).bind().unwrap();
        let (addresses, admin) = (server.addresses().to_vec(), server.admin_address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address: addresses[0], admin, addresses, records, faults, log, stop, ended }
    }

    /// Publishes, for the first time, a gateway of one route, `/api/*rest`, to this upstream, which is internal on the host
    /// `ops.internal`; `more` is merged into the route's settings. Its policies of authentication take
    /// certificates of clients (0), and tokens that are bound to them (1).
    pub(crate) fn publish(&self, upstream: &str, more: serde_json::Value) {
        self.publish_with(upstream, more, json!({}));
    }

    /// The same, with these settings of the gateway.
    pub(crate) fn publish_with(&self, upstream: &str, more: serde_json::Value, of_gateway: serde_json::Value) {
        let upstream = json!({"name": "up", "url": upstream, "connect_timeout_ms": 1_000});
        self.publish_to(&upstream, more, of_gateway);
    }

    /// The same, with an upstream that has these settings.
    pub(crate) fn publish_to(
        &self,
        upstream: &serde_json::Value,
        more: serde_json::Value,
        of_gateway: serde_json::Value,
    ) {
        let mut gateway = json!({
            "name": "test", "telemetry": {"log": true}, "internal_hosts": ["ops.internal"],
        });
        let of_gateway: serde_json::Map<String, serde_json::Value> = serde_json::from_value(of_gateway).unwrap();
        for (name, value) in of_gateway {
            gateway[name] = value;
        }
        let mut route = json!({
            "id": "api.all", "api": "api", "path": "/api/{rest...}", "methods": [], "internal": false,
            "guard": [], "guard_limit": [], "authn": [], "scopes": [], "limit": [], "cost": 1, "cache": null, "upstream": 0, "strip_segments": 1,
            "content_bytes_max": 1_000_000, "timeout_ms": 5_000,
        });
        let more: serde_json::Map<String, serde_json::Value> = serde_json::from_value(more).unwrap();
        for (name, value) in more {
            route[name] = value;
        }
        let limit: RateLimitSettings = serde_json::from_value(json!({
            "rate": 1, "period_ms": 600_000, "burst": 5, "by": "address", "on_unavailable": "closed", "plans": {},
        }))
        .unwrap();
        let mut policies = Policies::default();
        policies.push(NamedPolicy { name: "burst".into(), policy: limit.into() });
        if route["authn"] != json!([]) {
            let devices = json!({"source": "connection", "consumer": "common-name"});
            let devices: ClientCertificateSettings = serde_json::from_value(devices).unwrap();
            policies.push(NamedPolicy { name: "devices".into(), policy: devices.into() });
        }
        if route["authn"] == json!([[1]]) {
            policies.push(NamedPolicy { name: "tokens".into(), policy: bound_tokens().into() });
        }
        let site = json!({"upstreams": [upstream], "policies": policies, "routes": [route]});
        let mut inside = site.clone();
        inside["routes"][0]["internal"] = json!(true);
        let sites = BTreeMap::from([
            ("*".parse().unwrap(), serde_json::from_value(site).unwrap()),
            ("ops.internal".parse().unwrap(), serde_json::from_value(inside).unwrap()),
        ]);
        let bundle = Bundle::new(&serde_json::from_value(gateway).unwrap(), &sites);
        let puts = bundle.records.iter().map(|(key, value)| RecordChange::Put { key, value });
        self.records.write(&puts.collect::<Vec<_>>()).unwrap();
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends the bytes on a new connection and returns everything received until it closes.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        send(self.address, bytes).await
    }

    pub(crate) async fn get(&self, target: &str) -> String {
        self.send(format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")).await
    }

    /// Stops the server; the returned future completes when it has stopped.
    pub(crate) fn stop(self) -> (JoinHandle<Result<(), StartError>>, Lines) {
        let _ = self.stop.send(());
        (self.ended, self.log)
    }
}

/// A connection from another address of this machine, or from the usual one.
pub(crate) async fn connect_from(server: &Running, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(server.address).await.unwrap()
}

pub(crate) async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has answered may close the connection before everything is sent.
    let _ = stream.write_all(bytes.as_ref()).await;
    rest(&mut stream).await
}

/// Everything received until the connection closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    // A reset is not an error here: the bytes received before it are used.
    let _ = tokio::time::timeout(TIMEOUT, reading).await.expect("the server closes in time");
    String::from_utf8_lossy(&all).into_owned()
}

/// Bytes up to and including the given ones.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut got = Vec::new();
    let reading = async {
        while !got.ends_with(end.as_bytes()) {
            got.push(stream.read_u8().await.expect("more comes"));
        }
    };
    tokio::time::timeout(TIMEOUT, reading).await.expect("it comes in time");
    String::from_utf8(got).unwrap()
}

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// The log, as lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn all(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for this number of lines.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        let waiting = async {
            while self.all().len() < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(TIMEOUT, waiting).await;
        assert!(in_time.is_ok(), "{count} lines were awaited: {:?}", self.all());
        self.all()
    }
}

/// An upstream with this handler for each connection; returns its URL.
pub(crate) async fn upstream<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    url
}

/// An upstream that answers every request with `ok`.
pub(crate) async fn plain_upstream() -> String {
    upstream(async |mut stream| {
        while head(&mut stream).await.is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await
}

/// The head of a request, or `None` when the connection closed.
pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
