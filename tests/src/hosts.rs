//! Starts hosts, one process each, and controls them by the launchers' protocol.
//!
//! A launcher reads commands as JSON lines from stdin and writes events as JSON lines to stdout; tests/README.md
//! describes the protocol. All three hosts implement it, so that this module does not depend on any platform.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::client::Client;
use crate::leaks::Seen;

/// How long a host may take to start: the component host compiles on its first start.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// How long a host may take to carry out a command.
const COMMAND_PATIENCE: Duration = Duration::from_secs(20);

/// The platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Native,
    Cloudflare,
    Spin,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Native, Self::Cloudflare, Self::Spin];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cloudflare => "cloudflare",
            Self::Spin => "spin",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }
}

/// The locations of the programs to run.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The clone.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// Whether hosts run the contracts of the ports instead of the gateway.
    contracts: bool,
}

impl Artifacts {
    /// From the environment that `cargo xtask` sets, otherwise from the location of this program.
    ///
    /// # Errors
    /// If the program is not in a target folder and the environment names none.
    pub fn find() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = root.parent().ok_or("the tests folder has no parent")?;
        let named = std::env::var_os("TOLLGATE_TARGET").map(PathBuf::from);
        let target = match named {
            Some(target) => target,
            None => target_of(&std::env::current_exe().map_err(|error| error.to_string())?)
                .ok_or("this program is not in a target folder; set TOLLGATE_TARGET")?,
        };
        Ok(Self { root: root.to_path_buf(), target, contracts: false })
    }

    /// The same, but hosts run the contracts of their ports; those of native run in the suite's process.
    #[must_use]
    pub fn with_contracts(self) -> Self {
        Self { contracts: true, ..self }
    }

    fn binary(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.target.join("debug").join(file)
    }

    fn launcher(&self, kind: Kind) -> Command {
        match kind {
            Kind::Native => Command::new(self.binary("native-host")),
            Kind::Cloudflare => {
                let mut node = Command::new("node");
                node.arg(self.root.join("tests/miniflare/launch.mjs"));
                if self.contracts {
                    node.arg("--artifact").arg(self.target.join("contracts-cloudflare"));
                }
                node
            }
            Kind::Spin => {
                let component = if self.contracts {
                    "wasm32-wasip2/debug/tollgate_contracts_spin.wasm"
                } else {
                    "wasm32-wasip2/wasm/tollgate_spin.wasm"
                };
                let mut host = Command::new(self.binary("tollgate-spin-host"));
                host.arg("--manifest").arg(self.root.join("spin.toml"));
                host.arg("--component").arg(self.target.join(component));
                host
            }
        }
    }
}

/// `TARGET` of `TARGET/debug/program` and `TARGET/debug/deps/program`.
fn target_of(program: &Path) -> Option<PathBuf> {
    let profile = program.ancestors().find(|folder| folder.ends_with("debug"))?;
    profile.parent().map(Path::to_path_buf)
}

/// How a host is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub gateway: String,
    /// Whether configuration and credentials are read again for each request.
    pub dev: bool,
    pub secrets: Vec<(String, String)>,
    /// A file of certificate authorities that the host trusts in place of the system's; of the native host.
    pub authorities: Option<PathBuf>,
    /// Whether the host counts the calls of the gateway, where it can; everything is slower then.
    pub counts: bool,
    /// The folder in which its stores are kept; without one they end with its process.
    pub keep: Option<PathBuf>,
    /// The address of the Redis server of counters, if they are not the host's own.
    pub counters: Option<String>,
}

/// Which stores fail from now on; `None` does not change a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    pub records: Option<bool>,
    pub counters: Option<bool>,
    pub cache: Option<bool>,
}

impl Fault {
    /// No faults.
    pub const NONE: Self = Self { records: Some(false), counters: Some(false), cache: Some(false) };
}

/// A running host; dropping it ends its process.
pub struct Host {
    kind: Kind,
    url: String,
    /// The URL of the native host's own endpoints, such as its metrics.
    admin: Option<String>,
    child: RefCell<Child>,
    stdin: tokio::sync::Mutex<ChildStdin>,
    heard: Rc<Heard>,
    next_id: Cell<u64>,
}

/// The number of lines of stderr that are kept.
const STDERR_LINES_MAX: usize = 40;

/// The output of the launcher.
#[derive(Default)]
struct Heard {
    /// The host's own secrets.
    secrets: Seen,
    /// What its clients sent and received.
    seen: Rc<Seen>,
    logs: RefCell<Vec<String>>,
    stderr: RefCell<VecDeque<String>>,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Value>>>,
}

impl Host {
    /// Starts a host on a free port and waits until it is ready. Must be called within a tokio `LocalSet`.
    ///
    /// # Errors
    /// The error that the launcher reports, or a timeout.
    pub async fn start(kind: Kind, artifacts: &Artifacts, options: &Options) -> Result<Self, String> {
        let mut command = artifacts.launcher(kind);
        command.args(["--port", "0", "--gateway", &options.gateway]);
        if options.dev {
            command.arg("--dev");
        }
        if options.counts {
            command.arg("--count");
        }
        if let Some(folder) = &options.keep {
            command.arg("--keep").arg(folder);
        }
        if let Some(url) = &options.counters {
            command.args(["--counters", url]);
        }
        if let Some(file) = &options.authorities {
            command.env("SSL_CERT_FILE", file);
        }
        for (name, value) in &options.secrets {
            command.args(["--secret", &format!("{name}={value}")]);
        }
        let mut child = command
            .current_dir(&artifacts.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the {} launcher: {error}", kind.name()))?;
        let stdin = child.stdin.take().ok_or("the launcher has no stdin")?;
        let stdout = child.stdout.take().ok_or("the launcher has no stdout")?;
        let stderr = child.stderr.take().ok_or("the launcher has no stderr")?;
        let heard = Rc::new(Heard { secrets: secrets_of(options), ..Heard::default() });
        tokio::task::spawn_local(keep(stderr, Rc::clone(&heard)));
        let mut lines = BufReader::new(stdout).lines();
        let ready = timeout(START_PATIENCE, first_event(&mut lines))
            .await
            .map_err(|_| format!("{} was not ready in time", kind.name()))
            .flatten()
            .map_err(|why| format!("{why}\n{}", heard.stderr()))?;
        tokio::task::spawn_local(listen(lines, Rc::clone(&heard)));
        Ok(Self {
            kind,
            url: ready["url"].as_str().unwrap_or_default().to_owned(),
            admin: ready["admin"].as_str().map(str::to_owned),
            child: RefCell::new(child),
            stdin: tokio::sync::Mutex::new(stdin),
            heard,
            next_id: Cell::new(1),
        })
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url).seen_by(&self.heard.seen)
    }

    /// What is known of it until now and from now on.
    #[must_use]
    pub fn trail(&self) -> Trail {
        Trail(Rc::clone(&self.heard))
    }

    /// A client of the host's own endpoints, if it has them.
    #[must_use]
    pub fn admin(&self) -> Option<Client> {
        self.admin.as_deref().map(Client::new)
    }

    /// Whether its process is still running.
    #[must_use]
    pub fn alive(&self) -> bool {
        matches!(self.child.borrow_mut().try_wait(), Ok(None))
    }

    /// Kills its process, which has no chance to write anything more, and waits until it is gone.
    pub async fn kill(self) -> Result<(), String> {
        self.child.into_inner().kill().await.map_err(|error| error.to_string())
    }

    /// The lines the gateway logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.heard.logs.borrow().clone()
    }

    /// The last lines of stderr of the launcher and its platform.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.heard.stderr()
    }

    /// Clears the lines logged so far, and what its clients sent.
    pub fn clear_logs(&self) {
        self.heard.logs.borrow_mut().clear();
        self.heard.stderr.borrow_mut().clear();
        self.heard.seen.clear();
    }

    /// Writes records.
    pub async fn put(&self, records: &[(String, Vec<u8>)]) -> Result<(), String> {
        let entry = |(key, value): &(String, Vec<u8>)| match std::str::from_utf8(value) {
            Ok(text) => json!({"key": key, "value": text}),
            Err(_) => json!({"key": key, "value": BASE64_STANDARD.encode(value), "base64": true}),
        };
        let records: Vec<Value> = records.iter().map(entry).collect();
        self.command(json!({"put": records})).await.map(drop)
    }

    pub async fn delete(&self, key: &str) -> Result<(), String> {
        self.command(json!({"delete": [key]})).await.map(drop)
    }

    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let answer = self.command(json!({"get": key})).await?;
        let Some(value) = answer["value"].as_str() else { return Ok(None) };
        if answer["base64"] == true {
            return BASE64_STANDARD.decode(value).map(Some).map_err(|error| error.to_string());
        }
        Ok(Some(value.into()))
    }

    pub async fn fault(&self, fault: Fault) -> Result<(), String> {
        let switches = [("records", fault.records), ("counters", fault.counters), ("cache", fault.cache)];
        let named: serde_json::Map<String, Value> =
            switches.into_iter().filter_map(|(name, to)| Some((name.to_owned(), Value::Bool(to?)))).collect();
        self.command(json!({"fault": named})).await.map(drop)
    }

    /// Lets what was read from the record store, a miss too, be answered for so long, where the host can.
    pub async fn remember_reads(&self, time: Duration) -> Result<(), String> {
        self.command(json!({"remember-reads": time.as_millis() as u64})).await.map(drop)
    }

    /// Lets so many of the next calls of a counter reset its owner, where the host can.
    pub async fn reset_counters(&self, calls: u32) -> Result<(), String> {
        self.command(json!({"reset-counters": calls})).await.map(drop)
    }

    /// Lets another process hold the database of all stores for so long, where the host can.
    pub async fn hold_stores(&self, time: Duration) -> Result<(), String> {
        self.command(json!({"hold-stores": time.as_millis() as u64})).await.map(drop)
    }

    /// The calls of the gateway since this was asked last, by name; only of a host that counts.
    pub async fn counts(&self) -> Result<BTreeMap<String, u64>, String> {
        let answer = self.command(json!({"counts": true})).await?;
        serde_json::from_value(answer["counts"]["calls"].clone()).map_err(|error| format!("counts: {error}"))
    }

    /// Makes the next request trap.
    pub async fn trap(&self) -> Result<(), String> {
        self.command(json!({"trap": true})).await.map(drop)
    }

    async fn command(&self, mut command: Value) -> Result<Value, String> {
        let id = self.next_id.replace(self.next_id.get() + 1);
        command["id"] = json!(id);
        let (sender, receiver) = oneshot::channel();
        self.heard.waiting.borrow_mut().insert(id, sender);
        let line = format!("{command}\n");
        let mut stdin = self.stdin.lock().await;
        stdin
            .write_all(line.as_bytes())
            .await
            .map_err(|error| format!("{} does not accept commands: {error}", self.kind.name()))?;
        // The pipe may buffer: a launcher that answers late must not be confused with one that did not get the line.
        stdin.flush().await.map_err(|error| error.to_string())?;
        drop(stdin);
        let answer = timeout(COMMAND_PATIENCE, receiver)
            .await
            .map_err(|_| format!("{} does not answer {command}", self.kind.name()))?
            .map_err(|_| format!("{} ended", self.kind.name()))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }
}

/// What a host wrote, and the secrets that must not be in it; it outlasts the host.
#[derive(Clone)]
pub struct Trail(Rc<Heard>);

impl Trail {
    /// The host's secrets, and the credentials that its clients sent.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let Heard { secrets, seen, .. } = &*self.0;
        [secrets.secrets(), seen.secrets()].concat()
    }

    /// What must contain none of them.
    #[must_use]
    pub fn texts(&self) -> [(&'static str, String); 3] {
        let logs = self.0.logs.borrow().join("\n");
        [("the log", logs), ("stderr", self.0.stderr()), ("a problem", self.0.seen.problems())]
    }
}

/// The values of the secrets; one with a name before a colon, as operators' tokens have, also without it.
fn secrets_of(options: &Options) -> Seen {
    let secrets = Seen::default();
    for (_, value) in &options.secrets {
        secrets.secret(value);
        secrets.secret(value.split_once(':').map_or("", |(_, token)| token));
    }
    secrets
}

impl Heard {
    fn stderr(&self) -> String {
        let lines: Vec<String> = self.stderr.borrow().iter().cloned().collect();
        lines.join("\n")
    }
}

/// Keeps the last lines of stderr, to explain why a scenario failed.
async fn keep(stderr: ChildStderr, heard: Rc<Heard>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut kept = heard.stderr.borrow_mut();
        if kept.len() == STDERR_LINES_MAX {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

/// The launcher's first event: ready, or an error.
async fn first_event(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Value, String> {
    while let Ok(Some(line)) = lines.next_line().await {
        let mut event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(why) = event["failed"].as_str() {
            return Err(why.to_owned());
        }
        if event["ready"].is_object() {
            return Ok(event["ready"].take());
        }
    }
    Err("the launcher stopped before it was ready".to_owned())
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, heard: Rc<Heard>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(logged) = event["log"].as_str() {
            heard.logs.borrow_mut().push(logged.to_owned());
        }
        let id = event["ack"].as_u64().or_else(|| event["nack"].as_u64());
        let waiting = id.and_then(|id| heard.waiting.borrow_mut().remove(&id));
        if let Some(waiting) = waiting {
            // If the command timed out, nothing waits for the answer.
            let _ = waiting.send(event);
        }
    }
    // Dropping the senders reports the end of the host to all that still wait.
    heard.waiting.borrow_mut().clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_is_found_from_any_program_in_it() {
        for program in ["/x/target/debug/e2e", "/x/target/debug/deps/e2e-123"] {
            assert_eq!(target_of(Path::new(program)).as_deref(), Some(Path::new("/x/target")));
        }
        assert_eq!(target_of(Path::new("/usr/bin/e2e")), None);
    }
}
