//! A host in a separate process, controlled by the launchers' protocol (tests/README.md).

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::target::{KeyValue, entry_json};
use crate::terminal;

/// A running host.
pub(super) struct Launcher {
    pub(super) url: String,
    pub(super) handle: Handle,
    conversation: JoinHandle<()>,
    child: Child,
}

/// Sends commands to the host; clones send to the same host.
#[derive(Clone)]
pub(super) struct Handle(mpsc::Sender<Message>);

enum Message {
    Ask { command: Value, answer: oneshot::Sender<Result<Value, String>> },
    End,
}

impl Launcher {
    /// Starts the host and waits until it is ready; the error is the one that the launcher reports.
    pub(super) async fn start(mut command: Command) -> Result<Self, String> {
        // Only this process handles Ctrl-C; the host stops when its standard input is closed.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{program} is not installed, or not on the PATH"),
            _ => format!("{program} could not be started: {error}"),
        })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{program} has no standard input and output"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let url = tokio::time::timeout(START_TIMEOUT, ready(&mut lines))
            .await
            .map_err(|_| format!("{program} was not ready within {} s", START_TIMEOUT.as_secs()))??;
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let conversation = tokio::task::spawn_local(converse(lines, stdin, messages));
        Ok(Self { url, handle: Handle(sender), conversation, child })
    }

    /// Resolves when the host has stopped by itself.
    pub(super) async fn ended(&mut self) {
        // A panicked task has ended, too.
        let _ = (&mut self.conversation).await;
    }

    /// Stops the host, and waits for its end.
    pub(super) async fn end(mut self) {
        let _ = self.handle.0.send(Message::End).await;
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

impl Handle {
    /// Writes records, in their order.
    pub(super) async fn put(&self, records: &[KeyValue]) -> Result<(), String> {
        let entries: Vec<Value> = records.iter().map(entry_json).collect();
        self.ask(json!({"put": entries})).await.map(drop)
    }

    pub(super) async fn delete(&self, keys: &[String]) -> Result<(), String> {
        self.ask(json!({"delete": keys})).await.map(drop)
    }

    /// A record with text.
    pub(super) async fn get(&self, key: &str) -> Result<Option<String>, String> {
        let answer = self.ask(json!({"get": key})).await?;
        Ok(answer["value"].as_str().map(str::to_owned))
    }

    async fn ask(&self, command: Value) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.0.send(Message::Ask { command, answer }).await.map_err(|_| STOPPED.to_owned())?;
            answered.await.map_err(|_| STOPPED.to_owned())?
        };
        tokio::time::timeout(COMMAND_TIMEOUT, asked).await.map_err(|_| "the host does not answer".to_owned())?
    }
}

async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String, String> {
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(why) = event["failed"].as_str() {
            return Err(why.to_owned());
        }
        if let Some(url) = event["ready"]["url"].as_str() {
            return Ok(url.to_owned());
        }
        show_log(&event);
    }
    Err("the host stopped before it was ready".to_owned())
}

/// Passes on messages and events until the host's output ends.
async fn converse(mut lines: Lines<BufReader<ChildStdout>>, stdin: ChildStdin, mut messages: mpsc::Receiver<Message>) {
    let mut stdin = Some(stdin);
    let mut waiting: HashMap<u64, oneshot::Sender<Result<Value, String>>> = HashMap::new();
    let mut last_id = 0;
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => handle_line(&line, &mut waiting),
                Ok(None) | Err(_) => return,
            },
            message = messages.recv(), if stdin.is_some() => match message {
                Some(Message::Ask { command, answer }) => {
                    last_id += 1;
                    if let Some(stdin) = &mut stdin && send_command(stdin, command, last_id).await.is_ok() {
                        waiting.insert(last_id, answer);
                    }
                }
                Some(Message::End) | None => stdin = None,
            },
        }
    }
}

async fn send_command(stdin: &mut ChildStdin, mut command: Value, id: u64) -> std::io::Result<()> {
    command["id"] = id.into();
    stdin.write_all(format!("{command}\n").as_bytes()).await?;
    stdin.flush().await
}

fn handle_line(line: &str, waiting: &mut HashMap<u64, oneshot::Sender<Result<Value, String>>>) {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    let mut answer = |id: &Value, with: Result<Value, String>| {
        if let Some(sender) = id.as_u64().and_then(|id| waiting.remove(&id)) {
            // The sender may have stopped waiting.
            let _ = sender.send(with);
        }
    };
    if !event["ack"].is_null() {
        answer(&event["ack"], Ok(event.clone()));
    } else if !event["nack"].is_null() {
        answer(&event["nack"], Err(event["error"].as_str().unwrap_or("refused").to_owned()));
    } else {
        show_log(&event);
    }
}

fn show_log(event: &Value) {
    if let Some(line) = event["log"].as_str() {
        terminal::print(&format!("{line}\n"));
    }
}

const STOPPED: &str = "the host has stopped";

/// The component host compiles on its first start, which takes a minute or two.
const START_TIMEOUT: Duration = Duration::from_secs(300);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Edits and purges are sent one at a time; more than these never wait.
const MESSAGES_MAX: usize = 16;
