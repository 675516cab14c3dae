//! A real Chromium, in a process of its own: started and driven by `browser/launch.mjs`, with HTTPS in front of the hosts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::process::Stdio;
use std::rc::{Rc, Weak};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::hosts::Artifacts;

/// How long the browser may take for anything; the first start unpacks it. Pages have a shorter time of their own.
const PATIENCE: Duration = Duration::from_secs(40);

type Waiting = RefCell<HashMap<u64, oneshot::Sender<Value>>>;

/// A running browser; dropping it ends its process.
pub struct Browser {
    stdin: Mutex<ChildStdin>,
    waiting: Rc<Waiting>,
    /// Of commands and people.
    numbers: Cell<u64>,
    /// The process ends when its stdin closes, and with it what it has started.
    _child: Child,
}

impl Browser {
    /// The browser that others of this thread use at the moment, or a new one. Must be called within a tokio `LocalSet`.
    ///
    /// # Errors
    /// Why it does not start: it is not installed, for example.
    pub async fn shared(artifacts: &Artifacts) -> Result<Rc<Self>, String> {
        let shared = SHARED.with(Rc::clone);
        let mut shared = shared.lock().await;
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Rc::new(Self::start(artifacts).await?);
        *shared = Rc::downgrade(&started);
        Ok(started)
    }

    async fn start(artifacts: &Artifacts) -> Result<Self, String> {
        let mut command = Command::new("node");
        command.arg(artifacts.root.join("tests/browser/launch.mjs"));
        let certificate = certificate().map_err(|error| format!("the browser's certificate: {error}"))?;
        command.arg("--folder").arg(artifacts.target.join("browser")).arg("--certificate").arg(certificate.path());
        command.current_dir(&artifacts.root).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(|error| format!("node: {error}"))?;
        let stdin = child.stdin.take().ok_or("the browser has no stdin")?;
        let stdout = child.stdout.take().ok_or("the browser has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = timeout(PATIENCE, lines.next_line()).await.map_err(|_| "the browser was not ready in time")?;
        let ready: Value = serde_json::from_str(&ready.ok().flatten().unwrap_or_default()).unwrap_or_default();
        if !ready["ready"].is_object() {
            return Err(format!("the browser: {}", ready["failed"].as_str().unwrap_or("it ended before it was ready")));
        }
        let waiting = Rc::new(Waiting::default());
        tokio::task::spawn_local(listen(lines, Rc::clone(&waiting)));
        Ok(Self { stdin: Mutex::new(stdin), waiting, numbers: Cell::new(1), _child: child })
    }

    /// HTTPS in front of the server at this URL; the value is the port.
    pub async fn serve(&self, url: &str) -> Result<u64, String> {
        let port = self.command(json!({"serve": url})).await?;
        port.as_u64().ok_or_else(|| "the browser serves at no port".to_owned())
    }

    fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }

    async fn command(&self, mut command: Value) -> Result<Value, String> {
        let id = self.number();
        command["id"] = json!(id);
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, sender);
        let line = format!("{command}\n");
        let mut stdin = self.stdin.lock().await;
        stdin.write_all(line.as_bytes()).await.map_err(|error| format!("the browser: {error}"))?;
        stdin.flush().await.map_err(|error| error.to_string())?;
        drop(stdin);
        let answer = timeout(PATIENCE, receiver).await;
        let mut answer = answer.map_err(|_| format!("no answer to {command}"))?.map_err(|_| "the browser ended")?;
        match answer["error"].as_str() {
            Some(error) => Err(format!("the browser: {error}")),
            None => Ok(answer["value"].take()),
        }
    }
}

/// A file with a certificate and its key, in PEM.
fn certificate() -> std::io::Result<tempfile::NamedTempFile> {
    let made = rcgen::generate_simple_self_signed(Vec::new()).map_err(std::io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()).as_bytes())?;
    Ok(file)
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, waiting: Rc<Waiting>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        let id = event["ack"].as_u64().or_else(|| event["nack"].as_u64());
        if let Some(waiting) = id.and_then(|id| waiting.borrow_mut().remove(&id)) {
            // If the command timed out, nothing waits for the answer.
            let _ = waiting.send(event);
        }
    }
    waiting.borrow_mut().clear();
}

thread_local! {
    static SHARED: Rc<Mutex<Weak<Browser>>> = Rc::default();
}

/// Somebody with a browser profile of their own.
pub struct Person {
    browser: Rc<Browser>,
    name: String,
}

/// Where a navigation has ended.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Page {
    pub url: String,
    /// 0 if the page came out of the browser's memory.
    pub status: u16,
    /// The URLs that answered with a redirect, the first one first.
    pub redirects: Vec<String>,
    pub text: String,
    /// The cookies that scripts of the page can read.
    pub scripts_see: String,
    /// The URL that was not requested, because the navigation was stopped there.
    pub stopped: Option<String>,
}

/// A cookie, as the browser keeps it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    pub name: String,
    pub value: String,
    /// Begins with a dot if subdomains get it, too.
    pub domain: String,
    pub path: String,
    pub http_only: bool,
    pub secure: bool,
    pub same_site: Option<String>,
}

impl Person {
    /// A person with a new profile.
    #[must_use]
    pub fn new(browser: &Rc<Browser>, name: &str) -> Self {
        Self { browser: Rc::clone(browser), name: format!("{name}-{}", browser.number()) }
    }

    /// Opens a URL, as if it were typed.
    pub async fn visit(&self, tab: &str, url: &str) -> Result<Page, String> {
        self.page(tab, json!({"visit": url})).await
    }

    /// Follows a link of the tab's page.
    pub async fn follow(&self, tab: &str, url: &str) -> Result<Page, String> {
        self.page(tab, json!({"follow": url})).await
    }

    /// Fills in a form of the tab's page: texts by selectors, and the selector of the button.
    pub async fn send(&self, tab: &str, fields: &[(&str, &str)], button: &str) -> Result<Page, String> {
        let fields: BTreeMap<_, _> = fields.iter().copied().collect();
        self.page(tab, json!({"fill": fields, "press": button})).await
    }

    /// Goes back by so many pages.
    pub async fn back(&self, tab: &str, pages: u32) -> Result<Page, String> {
        self.page(tab, json!({"back": pages})).await
    }

    /// From now on the tab requests nothing that begins with this URL.
    pub async fn stop_at(&self, tab: &str, url: &str) -> Result<(), String> {
        self.command(json!({"tab": tab, "stop-at": url})).await.map(drop)
    }

    /// The cookies that would be sent to a URL.
    pub async fn cookies(&self, url: &str) -> Result<Vec<Cookie>, String> {
        let cookies = self.command(json!({"cookies": url})).await?;
        serde_json::from_value(cookies).map_err(|error| error.to_string())
    }

    async fn page(&self, tab: &str, mut command: Value) -> Result<Page, String> {
        command["tab"] = json!(tab);
        let page = self.command(command).await?;
        serde_json::from_value(page).map_err(|error| error.to_string())
    }

    async fn command(&self, mut command: Value) -> Result<Value, String> {
        command["person"] = json!(self.name);
        self.browser.command(command).await
    }
}
