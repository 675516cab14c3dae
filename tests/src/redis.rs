//! A real Redis server, or a cluster of three, in processes of their own.
//!
//! `REDIS_SERVER` names the program, otherwise it is `redis-server` or `valkey-server` of the PATH. Each server has a folder and
//! a port of its own, and writes each change to its log before it answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server; dropping it ends its process.
pub struct Redis {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    /// The port that speaks TLS, if there is one.
    tls_port: Option<u16>,
}

/// Three servers that share the slots of a cluster.
pub struct Cluster {
    nodes: Vec<Redis>,
}

type Result<T> = std::result::Result<T, String>;

impl Redis {
    /// Starts a server with these arguments in addition.
    ///
    /// # Errors
    /// What is missing, or what the server says.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_at(free_port()?, arguments, None)
    }

    /// Starts a server that also speaks TLS, with this certificate and its key in PEM.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn start_tls(certificate: &str, key: &str) -> Result<Self> {
        let folder = folder()?;
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).map(|()| path.display().to_string()).map_err(|error| error.to_string())
        };
        let (certificate, key) = (write("certificate.pem", certificate)?, write("key.pem", key)?);
        let tls_port = free_port()?;
        let port = tls_port.to_string();
        let arguments = [
            "--tls-port",
            &port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &certificate,
            "--tls-auth-clients",
            "no",
        ];
        let mut redis = Self::new(free_port()?, &arguments, folder);
        redis.tls_port = Some(tls_port);
        redis.run()?;
        Ok(redis)
    }

    fn start_at(port: u16, arguments: &[&str], folder_of: Option<TempDir>) -> Result<Self> {
        let folder = folder_of.map_or_else(folder, Ok)?;
        let mut redis = Self::new(port, arguments, folder);
        redis.run()?;
        Ok(redis)
    }

    fn new(port: u16, arguments: &[&str], folder: TempDir) -> Self {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Self { child: None, folder, port, arguments, tls_port: None }
    }

    /// The address without TLS, for a user and a password before the host such as `ada:pw@`.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// The address with TLS.
    #[must_use]
    pub fn tls_url(&self) -> Option<String> {
        self.tls_port.map(|port| format!("rediss://127.0.0.1:{port}"))
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again after it was killed, with what it has on disk.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn run(&mut self) -> Result<()> {
        let log = self.folder.path().join("log");
        let program = program()?;
        let child = Command::new(&program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--daemonize", "no", "--logfile"])
            .arg(&log)
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        self.child = Some(child);
        let end = Instant::now() + START_PATIENCE;
        while !self.answers() {
            if Instant::now() > end || !self.is_running() {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{} does not start: {said}", program.display()));
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Stops its process until [`Redis::resume`]: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Sends a command and returns its answer as text, a line for each element.
    ///
    /// # Errors
    /// The error that the server answers, or why there is no answer.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(COMMAND_PATIENCE)).map_err(|error| error.to_string())?;
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(command.as_bytes()).map_err(|error| error.to_string())?;
        answer(&mut BufReader::new(stream))
    }

    /// How many commands of a name were called, by `INFO commandstats`.
    ///
    /// # Errors
    /// As [`Redis::command`].
    pub fn calls_of(&self, command: &str) -> Result<u64> {
        let said = self.command(&["INFO", "commandstats"])?;
        let start = format!("cmdstat_{command}:calls=");
        let calls = said.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok());
        Ok(calls.unwrap_or(0))
    }

    fn answers(&self) -> bool {
        // One that wants a password answers with an error.
        match self.command(&["PING"]) {
            Ok(_) => true,
            Err(said) => said.starts_with("NOAUTH"),
        }
    }

    fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    /// Starts three nodes and waits until they agree.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn start() -> Result<Self> {
        let timeout = ["--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"];
        let arguments = [&["--cluster-enabled", "yes"], &timeout[..]].concat();
        let nodes: Vec<Redis> = (0..3).map(|_| Redis::start(&arguments)).collect::<Result<_>>()?;
        for (node, (first, last)) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last])?;
        }
        for node in &nodes[1..] {
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[0].port.to_string()])?;
        }
        let cluster = Self { nodes };
        cluster.wait_until("all slots are served", |said| {
            said.contains("cluster_state:ok")
                && said.contains("cluster_known_nodes:3")
                && said.contains("cluster_slots_ok:16384")
        })?;
        Ok(cluster)
    }

    /// The address of all nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Moves the slot of a key to the next node, with its keys, as operators do while the cluster is in use; calls `between` while
    /// the slot is between both.
    ///
    /// # Errors
    /// What a node answers.
    pub fn move_slot_of(&self, key: &str, between: impl FnOnce()) -> Result<()> {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key])?;
        let owner = usize::from(slot.parse::<u16>().map_err(|error| error.to_string())? / 5461).min(2);
        let (from, to) = (&self.nodes[owner], &self.nodes[(owner + 1) % 3]);
        let id = |node: &Redis| node.command(&["CLUSTER", "MYID"]);
        let (from_id, to_id) = (id(from)?, id(to)?);
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])?;
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])?;
        let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"])?;
        for key in keys.lines() {
            from.command(&["MIGRATE", "127.0.0.1", &to.port.to_string(), key, "0", "5000"])?;
        }
        between();
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])?;
        }
        Ok(())
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        let end = Instant::now() + CLUSTER_PATIENCE;
        loop {
            let said = self.nodes.iter().map(|node| node.command(&["CLUSTER", "INFO"])).collect::<Result<Vec<_>>>()?;
            if said.iter().all(|said| holds(said)) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("the cluster did not agree that {what}: {}", said.concat()));
            }
            sleep(Duration::from_millis(50));
        }
    }
}

/// The program, or how to get it.
fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("REDIS_SERVER") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    named("redis-server").or_else(|| named("valkey-server")).ok_or_else(|| {
        "redis-server is not installed: `cargo xtask setup` installs it on Debian as root; otherwise install Redis or Valkey, \
         or name the program in REDIS_SERVER"
            .to_owned()
    })
}

/// Below the ports whose port of the cluster's bus, 10,000 above, would not exist.
fn free_port() -> Result<u16> {
    for _ in 0..1_000 {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = bound.map_err(|error| error.to_string())?.port();
        if port < 55_000 {
            return Ok(port);
        }
    }
    Err("no free port below 55000".to_owned())
}

fn folder() -> Result<TempDir> {
    tempfile::tempdir().map_err(|error| error.to_string())
}

/// Reads one answer of the protocol.
fn answer(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).map_err(|error| error.to_string())?;
    let line = line.trim_end();
    let number = || line[1..].parse::<i64>().map_err(|error| error.to_string());
    match line.chars().next() {
        Some('+' | ':') => Ok(line[1..].to_owned()),
        Some('-') => Err(line[1..].to_owned()),
        Some('$') => {
            let Ok(length) = usize::try_from(number()?) else { return Ok(String::new()) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes).map_err(|error| error.to_string())?;
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        Some('*') => {
            let all: Result<Vec<String>> = (0..number()?).map(|_| answer(stream)).collect();
            Ok(all?.join("\n"))
        }
        _ => Err("no answer".to_owned()),
    }
}

/// Whether the program is there; for suites that say so once.
///
/// # Errors
/// How to get it.
pub fn is_installed() -> Result<()> {
    program().and_then(|path| {
        if Path::new(&path).exists() { Ok(()) } else { Err(format!("{} does not exist", path.display())) }
    })
}

const START_PATIENCE: Duration = Duration::from_secs(20);
const CLUSTER_PATIENCE: Duration = Duration::from_secs(30);
const COMMAND_PATIENCE: Duration = Duration::from_secs(5);
