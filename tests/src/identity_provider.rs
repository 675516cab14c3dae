//! A real identity provider, in a process of its own: npm `oidc-provider`, started by `identity-provider/launch.mjs`.

use std::process::Stdio;
use std::rc::Rc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OnceCell, mpsc};
use tokio::time::timeout;

use crate::client::{Answer, Client, PATIENCE, Request};
use crate::hosts::Artifacts;
use crate::leaks::Seen;

/// A running provider; dropping it ends its process.
pub struct IdentityProvider {
    url: String,
    child: Child,
    stdin: ChildStdin,
    events: mpsc::UnboundedReceiver<Value>,
    clients: Vec<(String, String)>,
    token_endpoint: OnceCell<String>,
}

impl IdentityProvider {
    /// Starts a provider with these clients, which are ids and secrets, on a port; 0 is a free one. What it issues is noted. Must be
    /// called within a tokio `LocalSet`, as the others.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn start(place: Place<'_>, clients: &[(&str, &str)], port: u16) -> Result<Self, String> {
        Self::started(place, clients, port, &[]).await
    }

    /// Starts a provider with a client at which people log in: its id, its secret and its callback.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn with_portal(place: Place<'_>, portal: (&str, &str, &str)) -> Result<Self, String> {
        let (id, secret, callback) = portal;
        Self::started(place, &[], 0, &["--portal".to_owned(), format!("{id}={secret}={callback}")]).await
    }

    /// The same, where people fill in the provider's forms.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn with_forms(place: Place<'_>, portal: (&str, &str, &str)) -> Result<Self, String> {
        let (id, secret, callback) = portal;
        let more = ["--forms".to_owned(), "--portal".to_owned(), format!("{id}={secret}={callback}")];
        Self::started(place, &[], 0, &more).await
    }

    async fn started(
        (artifacts, seen): Place<'_>,
        clients: &[(&str, &str)],
        port: u16,
        more: &[String],
    ) -> Result<Self, String> {
        let mut command = Command::new("node");
        command.arg(artifacts.root.join("tests/identity-provider/launch.mjs")).args(["--port", &port.to_string()]);
        command.args(more);
        for (id, secret) in clients {
            command.args(["--client", &format!("{id}={secret}")]);
        }
        command.current_dir(&artifacts.root).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| format!("node: {error}"))?;
        let stdin = child.stdin.take().ok_or("the provider has no stdin")?;
        let stdout = child.stdout.take().ok_or("the provider has no stdout")?;
        let clients = clients.iter().map(|(id, secret)| ((*id).to_owned(), (*secret).to_owned())).collect();
        let (sender, events) = mpsc::unbounded_channel();
        tokio::task::spawn_local(listen(stdout, Rc::clone(seen), sender));
        let mut provider = Self { url: String::new(), child, stdin, events, clients, token_endpoint: OnceCell::new() };
        let ready = provider.event("ready").await?;
        provider.url = ready["ready"]["url"].as_str().unwrap_or_default().to_owned();
        Ok(provider)
    }

    /// Its URL, which is its issuer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    /// Publishes these keys; the first one signs.
    pub async fn publish(&mut self, keys: &[&str]) -> Result<(), String> {
        self.command(json!({"publish": keys})).await.map(drop)
    }

    /// The number of requests for a path so far.
    pub async fn count(&mut self, path: &str) -> Result<u64, String> {
        let answer = self.command(json!({"count": path})).await?;
        answer["value"].as_u64().ok_or_else(|| "the provider counted nothing".to_owned())
    }

    /// When the requests for a path came, in milliseconds.
    pub async fn times(&mut self, path: &str) -> Result<Vec<u64>, String> {
        let answer = self.command(json!({"times": path})).await?;
        serde_json::from_value(answer["value"].clone()).map_err(|error| error.to_string())
    }

    /// A person has no account any more.
    pub async fn forget(&mut self, person: &str) -> Result<(), String> {
        self.command(json!({"forget": person})).await.map(drop)
    }

    /// A person logs out: the form with which the portal is told so (OpenID Connect Back-Channel Logout 1.0, section 2.5).
    pub async fn logout(&mut self, person: &str) -> Result<String, String> {
        let answer = self.command(json!({"logout": person})).await?;
        answer["value"].as_str().map(str::to_owned).ok_or_else(|| "the provider told nothing".to_owned())
    }

    /// A token for its first client, by client credentials (RFC 6749, section 4.4) at the endpoint that its metadata name.
    ///
    /// # Errors
    /// What the provider answers instead.
    pub async fn token(&self, resource: &str, scope: &str) -> Result<String, String> {
        let endpoint = self.token_endpoint.get_or_try_init(|| self.named("token_endpoint")).await?;
        let form = format!("grant_type=client_credentials&resource={resource}&scope={scope}");
        let answer = self.post(endpoint, form).await?;
        match answer.json()["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(format!("no token: {} {}", answer.status, answer.text())),
        }
    }

    /// Revokes a token (RFC 7009).
    pub async fn revoke(&self, token: &str) -> Result<(), String> {
        let answer = self.post("/token/revocation", format!("token={token}")).await?;
        if answer.status == 200 { Ok(()) } else { Err(format!("not revoked: {}", answer.text())) }
    }

    /// Kills its process.
    pub async fn kill(mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| error.to_string())
    }

    /// What its metadata name.
    async fn named(&self, service: &str) -> Result<String, String> {
        let metadata = self.get("/.well-known/openid-configuration").await?.json();
        Ok(metadata[service].as_str().unwrap_or_default().to_owned())
    }

    async fn get(&self, path: &str) -> Result<Answer, String> {
        Client::new(&self.url).get(path).await.map_err(|error| error.to_string())
    }

    /// Sends a form as the first client, to a path or a URL of the provider.
    async fn post(&self, endpoint: &str, form: String) -> Result<Answer, String> {
        let (id, secret) = self.clients.first().ok_or("the provider has no clients")?;
        let path = endpoint.strip_prefix(&self.url).unwrap_or(endpoint);
        let request = Request::post(path, form)
            .field("content-type", "application/x-www-form-urlencoded")
            .field("authorization", &format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}"))));
        Client::new(&self.url).send(request).await.map_err(|error| error.to_string())
    }

    async fn command(&mut self, mut command: Value) -> Result<Value, String> {
        command["id"] = json!(1);
        let line = format!("{command}\n");
        self.stdin.write_all(line.as_bytes()).await.map_err(|error| format!("the provider: {error}"))?;
        self.event("ack").await
    }

    /// The next event of a kind.
    async fn event(&mut self, kind: &str) -> Result<Value, String> {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await.map_err(|_| "the provider is silent")?;
            let event = event.ok_or("the provider ended")?;
            if let Some(why) = event["failed"].as_str() {
                return Err(why.to_owned());
            }
            if !event[kind].is_null() {
                return Ok(event);
            }
        }
    }
}

/// The programs, and where the tokens and codes are noted that the provider issues.
pub type Place<'p> = (&'p Artifacts, &'p Rc<Seen>);

async fn listen(stdout: ChildStdout, seen: Rc<Seen>, events: mpsc::UnboundedSender<Value>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // Other lines are for human readers.
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        match event["issued"].as_array() {
            Some(issued) => issued.iter().filter_map(Value::as_str).for_each(|secret| seen.secret(secret)),
            // Without a receiver the provider was stopped.
            None => drop(events.send(event)),
        }
    }
}
