//! The connection to a server or a cluster, which is made again when it breaks.
//!
//! A server that cannot be reached, has left a call without an answer, or takes no changes, is not called ([`Stall`]) until it has
//! answered a question of the gateway's own: no request waits for it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, TlsMode};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::sync::{Mutex, mpsc};
use tollgate_core::time::MonotonicInstant;
use tollgate_edge::ports::{CounterFault, Unavailable};
use tollgate_redis::{Call, Reply, SCRIPT, SCRIPT_SHA1, Stall, slot_of};

use super::address::RedisAddress;
use super::{Counts, instant};
use crate::secrets::SecretSource;
use crate::stderr::report;

/// The connection of one process.
pub(super) struct Connection {
    address: RedisAddress,
    /// Certificate authorities in PEM, in place of the platform's.
    authorities: Option<Vec<u8>>,
    secrets: SecretSource,
    counts: Arc<Counts>,
    /// The beginning of instants.
    start: Instant,
    state: Mutex<State>,
    /// The server, or nodes of the cluster, that do not answer.
    stalls: std::sync::Mutex<Stalls>,
    /// Those that are to be asked whether they answer again.
    stalled: mpsc::UnboundedSender<Stalled>,
}

/// Who does not answer.
#[derive(Clone, Debug)]
pub(super) struct Stalled {
    node: Node,
    /// A key that it has.
    key: String,
}

/// A server, or the part of a cluster that does not answer together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// The server, or all of the cluster.
    All,
    /// The node with this slot, which is its first one as far as its slots are known.
    Of(u16),
}

#[derive(Default)]
struct Stalls {
    nodes: HashMap<Node, Stall>,
    /// The slots of a cluster: the first and the last of a range, and the first one of its node.
    ranges: Vec<(u16, u16, u16)>,
}

/// A connection for one call.
pub(super) struct Line {
    wire: Wire,
    generation: u64,
    stalled: Stalled,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection broke, or another node has to be asked. The call may have taken effect, and may be repeated.
    Broken(Unavailable),
    /// The server says that it takes no changes now: it is a replica, or loads its data. The call had no effect.
    Away(Unavailable),
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
}

#[derive(Clone)]
enum Wire {
    Server(MultiplexedConnection),
    Cluster(Box<ClusterConnection>),
}

impl Connection {
    /// Also returns who is to be asked whether they answer again, for [`Connection::watch`].
    pub(super) fn new(
        address: RedisAddress,
        authorities: Option<Vec<u8>>,
        secrets: SecretSource,
        (counts, start): (Arc<Counts>, Instant),
    ) -> (Self, mpsc::UnboundedReceiver<Stalled>) {
        let (stalled, watched) = mpsc::unbounded_channel();
        let (state, stalls) = (Mutex::default(), std::sync::Mutex::default());
        (Self { address, authorities, secrets, counts, start, state, stalls, stalled }, watched)
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
        self.learn_slots(&mut wire).await;
    }

    /// Asks those who do not answer whether they answer again; without end.
    pub(super) async fn watch(&self, mut watched: mpsc::UnboundedReceiver<Stalled>) {
        let mut asked = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(stalled) = watched.recv() => asked.push(self.ask_until_answered(stalled)),
                Some(()) = asked.next(), if !asked.is_empty() => {}
            }
        }
    }

    /// A connection for a call of the node with a key, unless it does not answer.
    ///
    /// # Errors
    /// Why nothing is sent now.
    pub(super) async fn line(&self, key: String) -> Result<Line, Unavailable> {
        let node = {
            let stalls = self.stalls();
            let node = if self.address.is_cluster { stalls.node_of(slot_of(&key)) } else { Node::All };
            if let Some(reason) = stalls.reason(node) {
                return Err(reason.clone());
            }
            node
        };
        let (wire, generation) = self.wire().await?;
        Ok(Line { wire, generation, stalled: Stalled { node, key } })
    }

    /// Calls the script, which the server is given again if it does not know it.
    pub(super) async fn swap(&self, mut line: Line, call: &Call) -> Result<Reply, Failed> {
        let begun = instant(self.start);
        self.counts.count(&self.counts.calls);
        let mut answer = line.wire.send(&command("EVALSHA", SCRIPT_SHA1, call)).await;
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            self.counts.count(&self.counts.calls);
            answer = line.wire.send(&command("EVAL", SCRIPT, call)).await;
        }
        match answer {
            Ok(value) => reply(value, call.keys.len()).ok_or_else(|| {
                Failed::Refused(Unavailable::new("the counters in Redis: an answer of another form").into())
            }),
            Err(error) => {
                self.counts.count(&self.counts.failures);
                let failed = self.failed(&error, line.generation);
                if error.is_timeout() {
                    self.note_stalled(line.stalled, begun, self.unavailable(&error), "does not answer");
                } else if let Failed::Away(reason) = &failed {
                    let said = format!("takes no changes: {}", told(&error));
                    self.note_stalled(line.stalled, begun, reason.clone(), &said);
                }
                Err(failed)
            }
        }
    }

    fn failed(&self, error: &RedisError, generation: u64) -> Failed {
        let reason = self.unavailable(error);
        let (is_lost, failed) = match error.kind() {
            // An answer that is late blocks those after it.
            _ if error.is_timeout() => (true, Failed::Refused(reason.into())),
            ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => (true, Failed::Broken(reason)),
            // The server has become a replica: the address may lead to another one by now.
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => (true, Failed::Away(reason)),
            ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::ClusterDown) => {
                (false, Failed::Away(reason))
            }
            ErrorKind::Server(ServerErrorKind::TryAgain | ServerErrorKind::Moved | ServerErrorKind::Ask) => {
                (false, Failed::Broken(reason))
            }
            _ if error.code() == Some("OOM") => (false, Failed::Refused(CounterFault::Full)),
            _ if error.code() == Some("WRONGTYPE") => (false, Failed::Refused(CounterFault::Damaged)),
            _ => (error.is_unrecoverable_error(), Failed::Refused(reason.into())),
        };
        // The client of a cluster connects to each node again by itself; one that does not answer leaves the others alone.
        if is_lost && (!self.address.is_cluster || error.kind() == ErrorKind::ClusterConnectionNotFound) {
            // Who has the lock connects: there is no other connection to close.
            if let Ok(mut state) = self.state.try_lock()
                && state.generation == generation
            {
                state.wire = None;
            }
        }
        failed
    }

    fn unavailable(&self, error: &RedisError) -> Unavailable {
        Unavailable::new(format!("the counters in Redis: {}", told(error)))
    }

    fn stalls(&self) -> std::sync::MutexGuard<'_, Stalls> {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call, which began at `begun`, had no answer; the first one is reported.
    fn note_stalled(&self, stalled: Stalled, begun: MonotonicInstant, reason: Unavailable, told: &str) {
        let is_first = self.stalls().of(stalled.node).failed(begun, instant(self.start), reason);
        if is_first {
            report(format!("counters: {} {told}; limits follow `on-unavailable` until it answers", self.address));
            // It is received for as long as the thread runs.
            let _ = self.stalled.send(stalled);
        }
    }

    /// Asks whether changes of a key are taken, after pauses, until they are.
    async fn ask_until_answered(&self, Stalled { node, key }: Stalled) {
        loop {
            let pause_ms = self.stalls().of(node).pause_ms();
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            let begun = instant(self.start);
            match self.ask(&key).await {
                Ok(()) => break,
                Err(reason) => {
                    self.stalls().of(node).failed(begun, instant(self.start), reason);
                }
            }
        }
        if self.stalls().of(node).answered(instant(self.start)) {
            report(format!("counters: {} answers again", self.address));
        }
    }

    async fn ask(&self, key: &str) -> Result<(), Unavailable> {
        let (mut wire, generation) = self.wire().await?;
        self.learn_slots(&mut wire).await;
        if self.address.is_cluster && key.is_empty() {
            return Ok(());
        }
        // Replaces no bytes, and creates no key: a replica refuses it all the same.
        let mut nothing = redis::cmd("SETRANGE");
        nothing.arg(key).arg(0).arg("");
        let Err(error) = wire.send(&nothing).await else { return Ok(()) };
        let failed = self.failed(&error, generation);
        let is_lost = error.is_timeout() || matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse);
        if is_lost || matches!(failed, Failed::Away(_)) {
            self.counts.count(&self.counts.failures);
            return Err(self.unavailable(&error));
        }
        // What else it refuses is an answer, too.
        Ok(())
    }

    /// Learns which slots of a cluster have one node now.
    async fn learn_slots(&self, wire: &mut Wire) {
        if !self.address.is_cluster {
            return;
        }
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        // Otherwise each slot is left alone by itself.
        if let Ok(answer) = wire.send(&slots).await {
            self.stalls().ranges = ranges(&answer);
        }
    }

    /// The connection, which is made if there is none. Who waited for an attempt that failed makes no other.
    async fn wire(&self) -> Result<(Wire, u64), Unavailable> {
        let (asked, begun) = (Instant::now(), instant(self.start));
        let mut state = self.state.lock().await;
        if let Some(wire) = &state.wire {
            return Ok((wire.clone(), state.generation));
        }
        if let Some((at, reason)) = &state.failed
            && *at >= asked
        {
            return Err(reason.clone());
        }
        match self.connect().await {
            Ok(wire) => {
                self.counts.count(&self.counts.connections);
                state.failed = None;
                state.generation += 1;
                state.wire = Some(wire.clone());
                Ok((wire, state.generation))
            }
            Err(reason) => {
                self.counts.count(&self.counts.failures);
                let told = format!("cannot be reached: {reason}");
                let reason = Unavailable::new(format!("the counters in Redis: {reason}"));
                state.failed = Some((Instant::now(), reason.clone()));
                self.note_stalled(Stalled { node: Node::All, key: String::new() }, begun, reason.clone(), &told);
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

impl Stalls {
    fn of(&mut self, node: Node) -> &mut Stall {
        self.nodes.entry(node).or_default()
    }

    /// Why a node is not called, if it is not.
    fn reason(&self, node: Node) -> Option<&Unavailable> {
        let of = |node| self.nodes.get(&node).and_then(Stall::reason);
        of(Node::All).or_else(|| of(node))
    }

    fn node_of(&self, slot: u16) -> Node {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        Node::Of(range.map_or(slot, |(_, _, node)| *node))
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

/// What the answer to `CLUSTER SLOTS` says: ranges of slots with the first slot of their node.
fn ranges(answer: &Value) -> Vec<(u16, u16, u16)> {
    let Value::Array(all) = answer else { return Vec::new() };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let range = |value: &Value| match value {
        // The primary's address, port and id, then those of replicas.
        Value::Array(parts) => Some((number(parts.first()?)?, number(parts.get(1)?)?, parts.get(2)?.clone())),
        _ => None,
    };
    let mut firsts: Vec<(Value, u16)> = Vec::new();
    let of_node = |(first, last, node): (u16, u16, Value)| {
        let known = firsts.iter().find(|(known, _)| *known == node).map(|(_, first)| *first);
        let of = known.unwrap_or_else(|| {
            firsts.push((node, first));
            first
        });
        (first, last, of)
    };
    all.iter().filter_map(range).map(of_node).collect()
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
    fn slots_of_one_node_are_left_alone_together() {
        let node = |port| Value::Array(vec![info("127.0.0.1"), Value::Int(port), info("id")]);
        let range = |first, last, port| Value::Array(vec![Value::Int(first), Value::Int(last), node(port), node(9)]);
        let answer = Value::Array(vec![range(0, 99, 1), range(100, 16_382, 2), range(16_383, 16_383, 1), Value::Nil]);
        let mut stalls = Stalls { ranges: ranges(&answer), ..Stalls::default() };
        assert_eq!(stalls.ranges, [(0, 99, 0), (100, 16_382, 100), (16_383, 16_383, 0)]);
        let at = MonotonicInstant::from_micros(1);
        stalls.of(stalls.node_of(5)).failed(at, at, Unavailable::new("no answer in time"));
        let is_called = |stalls: &Stalls, slot| stalls.reason(stalls.node_of(slot)).is_none();
        assert_eq!([0, 99, 100, 16_383].map(|slot| is_called(&stalls, slot)), [false, false, true, false]);
        stalls.of(Node::All).failed(at, at, Unavailable::new("no connection"));
        assert!(!is_called(&stalls, 100));
        assert_eq!(Stalls::default().node_of(7), Node::Of(7), "which slots it has is not known");
    }
}
