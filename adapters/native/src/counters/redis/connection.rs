//! The connection to a server or a cluster, which is made again when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, TlsMode};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::sync::Mutex;
use tollgate_edge::ports::{CounterFault, Unavailable};
use tollgate_redis::{Call, Reply, SCRIPT, SCRIPT_SHA1};

use super::Counts;
use super::address::RedisAddress;
use crate::secrets::SecretSource;
use crate::stderr::report;

/// The connection of one process.
pub(super) struct Connection {
    address: RedisAddress,
    /// Certificate authorities in PEM, in place of the platform's.
    authorities: Option<Vec<u8>>,
    secrets: SecretSource,
    counts: Arc<Counts>,
    state: Mutex<State>,
    /// Whether the last report was that the server cannot be reached.
    is_away: AtomicBool,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection broke, or the server cannot answer yet. The call may have taken effect, and may be repeated.
    Broken(Unavailable),
    /// There is no other answer now.
    Refused(CounterFault),
}

#[derive(Default)]
struct State {
    wire: Option<Wire>,
    /// How many were made: a call that fails closes only the one that it used.
    generation: u64,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, Unavailable)>,
    failures: u32,
}

#[derive(Clone)]
enum Wire {
    Server(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl Connection {
    pub(super) fn new(
        address: RedisAddress,
        authorities: Option<Vec<u8>>,
        secrets: SecretSource,
        counts: Arc<Counts>,
    ) -> Self {
        let (state, is_away) = (Mutex::default(), AtomicBool::new(false));
        Self { address, authorities, secrets, counts, state, is_away }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Connects, and reports on standard error what an operator should change at the server.
    pub(super) async fn greet(&self) {
        let Ok((mut wire, _)) = self.wire().await else { return };
        for section in ["memory", "persistence"] {
            let mut info = redis::cmd("INFO");
            info.arg(section);
            // A user who may not ask gets no advice.
            if let Ok(answer) = wire.send(&info).await {
                advice(&answer).into_iter().for_each(|text| report(format!("counters: {}: {text}", self.address)));
            }
        }
    }

    /// Calls the script, which the server is given again if it does not know it.
    pub(super) async fn swap(&self, call: &Call) -> Result<Reply, Failed> {
        let (mut wire, generation) = self.wire().await.map_err(|away| Failed::Refused(away.into()))?;
        self.counts.count(&self.counts.calls);
        let mut answer = wire.send(&command("EVALSHA", SCRIPT_SHA1, call)).await;
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            self.counts.count(&self.counts.calls);
            answer = wire.send(&command("EVAL", SCRIPT, call)).await;
        }
        match answer {
            Ok(value) => reply(value, call.keys.len()).ok_or_else(|| {
                Failed::Refused(Unavailable::new("the counters in Redis: an answer of another form").into())
            }),
            Err(error) => {
                self.counts.count(&self.counts.failures);
                Err(self.failed(&error, generation).await)
            }
        }
    }

    async fn failed(&self, error: &RedisError, generation: u64) -> Failed {
        let reason = Unavailable::new(format!("the counters in Redis: {}", told(error)));
        let (is_lost, failed) = match error.kind() {
            // An answer that is late blocks those after it.
            _ if error.is_timeout() => (true, Failed::Refused(reason.into())),
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => (true, Failed::Broken(reason)),
            // The server has become a replica: the address may lead to another one by now.
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => {
                (true, Failed::Broken(reason))
            }
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => (false, Failed::Broken(reason)),
            _ if error.code() == Some("OOM") => (false, Failed::Refused(CounterFault::Full)),
            _ if error.code() == Some("WRONGTYPE") => (false, Failed::Refused(CounterFault::Damaged)),
            _ => (error.is_unrecoverable_error(), Failed::Refused(reason.into())),
        };
        // The client of a cluster connects to each node again by itself; one that does not answer leaves the others alone.
        if is_lost && (!self.address.is_cluster || error.kind() == ErrorKind::ClusterConnectionNotFound) {
            let mut state = self.state.lock().await;
            if state.generation == generation {
                state.wire = None;
            }
        }
        failed
    }

    /// The connection, which is made if there is none. Soon after an attempt that failed there is no other.
    async fn wire(&self) -> Result<(Wire, u64), Unavailable> {
        let mut state = self.state.lock().await;
        if let Some(wire) = &state.wire {
            return Ok((wire.clone(), state.generation));
        }
        if let Some((at, reason)) = &state.failed
            && at.elapsed() < pause(state.failures)
        {
            return Err(reason.clone());
        }
        match self.connect().await {
            Ok(wire) => {
                self.counts.count(&self.counts.connections);
                if self.is_away.swap(false, Ordering::Relaxed) {
                    report(format!("counters: {} is reached again", self.address));
                }
                (state.failed, state.failures) = (None, 0);
                state.generation += 1;
                state.wire = Some(wire.clone());
                Ok((wire, state.generation))
            }
            Err(reason) => {
                self.counts.count(&self.counts.failures);
                if !self.is_away.swap(true, Ordering::Relaxed) {
                    report(format!("counters: {} cannot be reached: {reason}", self.address));
                }
                let reason = Unavailable::new(format!("the counters in Redis: {reason}"));
                state.failed = Some((Instant::now(), reason.clone()));
                state.failures = state.failures.saturating_add(1);
                Err(reason)
            }
        }
    }

    async fn connect(&self) -> Result<Wire, String> {
        let value = |credential: &Option<_>| {
            credential.as_ref().map(|one: &super::address::Credential| one.value(&self.secrets)).transpose()
        };
        let (user, password) = (value(&self.address.user)?, value(&self.address.password)?);
        let connected = async {
            if self.address.is_cluster {
                self.connect_cluster(user, password).await
            } else {
                self.connect_server(user, password).await
            }
        };
        // The nodes of a cluster are asked side by side, and one of them may be away.
        let most = if self.address.is_cluster { CONNECT_MAX * 2 } else { CONNECT_MAX };
        match tokio::time::timeout(most, connected).await {
            Ok(Ok(wire)) => Ok(wire),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err("no connection in time".to_owned()),
        }
    }

    async fn connect_server(&self, user: Option<String>, password: Option<String>) -> Result<Wire, RedisError> {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.address.database.into())
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        if let Some(user) = user {
            login = login.set_username(user);
        }
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let info = self.node(&self.address.nodes[0])?.set_redis_settings(login);
        let client = match &self.authorities {
            Some(_) if self.address.has_tls => Client::build_with_tls(info, self.certificates())?,
            Some(_) | None => Client::open(info)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX))
            .set_pipeline_buffer_size(PIPELINE_MAX);
        Ok(Wire::Server(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    async fn connect_cluster(&self, user: Option<String>, password: Option<String>) -> Result<Wire, RedisError> {
        let nodes = self.address.nodes.iter().map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        let mut builder = ClusterClient::builder(nodes)
            .connection_timeout(CONNECT_MAX)
            .response_timeout(ANSWER_MAX)
            .overall_response_timeout(Some(ANSWER_MAX))
            .retries(CLUSTER_RETRIES)
            .use_protocol(ProtocolVersion::RESP2)
            .tcp_settings(tcp());
        if self.address.has_tls {
            builder = builder.tls(TlsMode::Secure).certs(self.certificates());
        }
        if let Some(user) = user {
            builder = builder.username(user);
        }
        if let Some(password) = password {
            builder = builder.password(password);
        }
        Ok(Wire::Cluster(Box::new(builder.build()?.get_async_connection().await?)))
    }

    fn node(&self, (host, port): &(String, u16)) -> Result<ConnectionInfo, RedisError> {
        let (host, port) = (host.clone(), *port);
        let address = if self.address.has_tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        Ok(address.into_connection_info()?.set_tcp_settings(tcp()))
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: self.authorities.clone() }
    }
}

impl Wire {
    async fn send(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn command(name: &str, script: &str, call: &Call) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(call.keys.len()).arg(&call.keys);
    for argument in &call.arguments {
        command.arg(argument.as_slice());
    }
    command
}

fn reply(value: Value, keys: usize) -> Option<Reply> {
    match value {
        Value::Int(1) => Some(Reply::Swapped),
        Value::Array(values) if values.len() == keys => {
            let value = |value| match value {
                Value::Nil => Some(None),
                Value::BulkString(bytes) => Some(Some(bytes)),
                _ => None,
            };
            values.into_iter().map(value).collect::<Option<_>>().map(Reply::Current)
        }
        _ => None,
    }
}

/// The failure for the log: what the server says, without its text, which may name a key.
fn told(error: &RedisError) -> String {
    match (error.kind(), error.code()) {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            "the server does not accept the user and the password of their address".to_owned()
        }
        (_, Some("NOPERM")) => "the user may not run EVALSHA and EVAL, or not use the keys of the gateway".to_owned(),
        (ErrorKind::Io, _) => error.to_string(),
        (_, Some(code)) => format!("the server answered {code}"),
        (_, None) => error.category().to_owned(),
    }
}

/// What the answers to `INFO` say that loses counters.
fn advice(info: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    collect_lines(info, &mut lines);
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let mut advice = Vec::new();
    if let (Some(policy), Some(max)) = (value("maxmemory_policy"), value("maxmemory"))
        && policy != "noeviction"
        && max != "0"
    {
        advice.push(format!(
            "maxmemory-policy is {policy}: the server may delete counters that are in use, and a limit starts anew then; \
             set it to noeviction"
        ));
    }
    if value("aof_enabled") == Some("0") {
        advice.push(
            "appendonly is off: charges since the last snapshot are lost when the server restarts; docs/redis.md has the \
             settings for quotas"
                .to_owned(),
        );
    }
    advice
}

/// The lines of an answer, which has a text for each node if it is a cluster's.
fn collect_lines(value: &Value, lines: &mut Vec<String>) {
    let text = match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.clone(),
        Value::Array(values) => return values.iter().for_each(|value| collect_lines(value, lines)),
        Value::Map(pairs) => return pairs.iter().for_each(|(_, value)| collect_lines(value, lines)),
        _ => return,
    };
    lines.extend(text.lines().map(|line| line.trim().to_owned()));
}

/// How long there is no other attempt to connect: it doubles, up to 2 s.
fn pause(failures: u32) -> Duration {
    (CONNECT_PAUSE * (1 << failures.min(CONNECT_DOUBLINGS_MAX))).min(CONNECT_PAUSE_MAX)
}

const CONNECT_PAUSE: Duration = Duration::from_millis(25);
const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
const CONNECT_DOUBLINGS_MAX: u32 = 7;

/// The timeout of a connection with TLS and login.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// The timeout of a call: the server is busy with a script for microseconds.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// The calls that are written before their answers arrive.
const PIPELINE_MAX: usize = 1_024;

/// How often a call follows a redirection of the cluster or waits for it.
const CLUSTER_RETRIES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_server_that_loses_counters_is_told() {
        let told = |text: &str| advice(&info(text)).len();
        assert_eq!(told("# Memory\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n"), 1);
        assert_eq!(told("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n"), 0, "without a maximum nothing is deleted");
        assert_eq!(told("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n"), 0);
        assert_eq!((told("aof_enabled:0\r\n"), told("aof_enabled:1\r\n"), told("")), (1, 0, 0));
        let nodes = Value::Map(vec![(Value::Nil, info("aof_enabled:0"))]);
        assert_eq!(advice(&nodes).len(), 1);
    }

    #[test]
    fn answers_are_read() {
        let values = vec![Value::Nil, Value::BulkString(vec![1])];
        assert_eq!(reply(Value::Array(values.clone()), 2), Some(Reply::Current(vec![None, Some(vec![1])])));
        assert_eq!(reply(Value::Int(1), 2), Some(Reply::Swapped));
        for other in [Value::Array(values), Value::Int(0), Value::Nil, Value::Okay] {
            assert_eq!(reply(other, 1), None);
        }
    }

    #[test]
    fn attempts_to_connect_become_rare() {
        let pauses: Vec<u64> = (1..9).map(|n| u64::try_from(pause(n).as_millis()).unwrap()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
    }
}
