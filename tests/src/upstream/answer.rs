//! Carries out a plan: reads the request, answers as the plan says, records what happened.

use std::io::Result;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::plan::{Break, Content, Plan};
use super::received::{Received, Report};
use super::wire::{Head, Wire};

/// Content of a given size is sent in pieces of this many bytes.
const PIECE_BYTES: usize = 1 << 14;
/// How much of a request's content is recorded.
const REMEMBERED_BYTES: usize = 1 << 16;

/// Answers one request after the other until the peer closes or a plan says to.
pub(super) async fn requests(wire: &mut Wire, report: &Report, connection: u64) -> Result<()> {
    let mut is_first = true;
    while let Some(head) = wire.head().await? {
        let mut plan = Plan::of_target(&head.target);
        if plan.breaking == Break::Reused {
            plan.breaking = if is_first { Break::Nothing } else { Break::Head };
        }
        is_first = false;
        if let Some(content) = report.served(&head.target) {
            let length = content.len();
            plan.raw = Some(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{content}"
            ));
        }
        if report.refuses() {
            plan.status = 503;
        }
        let index = report.add(noted(&head, connection));
        let open = exchange(wire, report, index, &head, &plan).await;
        report.update(index, |received| received.ended = true);
        if !open? {
            return Ok(());
        }
    }
    Ok(())
}

fn noted(head: &Head, connection: u64) -> Received {
    Received {
        method: head.method.clone(),
        target: head.target.clone(),
        version: head.version.clone(),
        fields: head.fields.clone(),
        connection,
        ..Received::default()
    }
}

/// One exchange; whether the connection can serve another.
async fn exchange(wire: &mut Wire, report: &Report, index: usize, head: &Head, plan: &Plan) -> Result<bool> {
    let expects = head.field("expect").is_some();
    if expects && !plan.unread {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if plan.content != Content::Echo && !plan.unread {
        read_content(wire, report, index).await?;
    }
    if pause(wire, plan.head_delay).await {
        return Ok(false);
    }
    match plan.breaking {
        Break::Head => return Ok(false),
        Break::Garbage => {
            wire.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await?;
            return Ok(false);
        }
        Break::Nothing | Break::Reused | Break::Body | Break::Length => {}
    }
    if let Some(raw) = &plan.raw {
        wire.send(raw.as_bytes()).await?;
        report.update(index, |received| received.answered = true);
        return Ok(!plan.close);
    }
    if let Some(status) = plan.early {
        wire.send(format!("HTTP/1.1 {status} Early\r\nlink: </style.css>\r\n\r\n").as_bytes()).await?;
    }
    let asked = head.field("if-none-match");
    if plan.etag.is_some() && asked == plan.etag.as_deref() {
        wire.send(&head_bytes(304, plan, &[])).await?;
    } else {
        let answer = Answer { head, plan, index };
        if !answer.send(wire, report).await? {
            return Ok(false);
        }
    }
    report.update(index, |received| received.answered = true);
    Ok(!plan.unread && !plan.close && plan.breaking == Break::Nothing)
}

/// Reads the content to its end and records its length and hash.
async fn read_content(wire: &mut Wire, report: &Report, index: usize) -> Result<()> {
    let mut tally = Tally::default();
    while let Some(piece) = wire.content().await? {
        tally.add(&piece);
        tally.write_down(report, index, false);
    }
    tally.write_down(report, index, true);
    report.update(index, |received| received.trailers = wire.trailers());
    Ok(())
}

/// Waits; true if the peer disconnected in the meantime.
async fn pause(wire: &mut Wire, time: Duration) -> bool {
    if time.is_zero() {
        return false;
    }
    tokio::select! {
        () = sleep(time) => false,
        () = wire.peer_left() => true,
    }
}

/// An answer with content.
struct Answer<'a> {
    head: &'a Head,
    plan: &'a Plan,
    index: usize,
}

impl Answer<'_> {
    /// Sends it; false if it was aborted, by plan or by the peer.
    async fn send(&self, wire: &mut Wire, report: &Report) -> Result<bool> {
        match self.plan.content {
            Content::Report => {
                let content = self.report(report);
                self.known(wire, &content).await
            }
            Content::Size(size) => self.sized(wire, size).await,
            Content::Echo => self.echo(wire, report).await,
            Content::Chunks(count) => self.stream(wire, count, None, |at| format!("chunk {at}\n")).await,
            Content::Events(count) => {
                let kind = ("content-type", "text/event-stream");
                self.stream(wire, count, Some(kind), |at| format!("data: event {at}\n\n")).await
            }
        }
    }

    fn report(&self, report: &Report) -> Vec<u8> {
        let requests = report.requests();
        let path = self.head.target.split('?').next().unwrap_or_default();
        let call = report.count(path);
        let received = requests.last();
        let content = serde_json::json!({"call": call, "received": received});
        content.to_string().into_bytes()
    }

    fn bodiless(&self) -> bool {
        self.head.method == "HEAD" || matches!(self.plan.status, 100..=199 | 204 | 304)
    }

    async fn known(&self, wire: &mut Wire, content: &[u8]) -> Result<bool> {
        let length = content.len().to_string();
        let own = [("content-type", "application/json"), ("content-length", length.as_str())];
        wire.send(&head_bytes(self.plan.status, self.plan, &own)).await?;
        if self.bodiless() {
            return Ok(true);
        }
        let (first, second) = content.split_at(content.len() / 2);
        wire.send(first).await?;
        if self.plan.breaking == Break::Body || pause(wire, self.plan.body_delay).await {
            return Ok(false);
        }
        wire.send(second).await?;
        Ok(true)
    }

    async fn sized(&self, wire: &mut Wire, size: u64) -> Result<bool> {
        let length = size.to_string();
        let own = [("content-type", "application/octet-stream"), ("content-length", length.as_str())];
        wire.send(&head_bytes(self.plan.status, self.plan, &own)).await?;
        if self.bodiless() {
            return Ok(true);
        }
        filler(wire, size / 2).await?;
        if self.plan.breaking == Break::Body || pause(wire, self.plan.body_delay).await {
            return Ok(false);
        }
        filler(wire, size - size / 2).await?;
        Ok(true)
    }

    async fn echo(&self, wire: &mut Wire, report: &Report) -> Result<bool> {
        let own = [("transfer-encoding", "chunked")];
        wire.send(&head_bytes(self.plan.status, self.plan, &own)).await?;
        let mut tally = Tally::default();
        while let Some(piece) = wire.content().await? {
            tally.add(&piece);
            tally.write_down(report, self.index, false);
            wire.send_chunk(&piece).await?;
        }
        tally.write_down(report, self.index, true);
        report.update(self.index, |received| received.trailers = wire.trailers());
        wire.send(&self.end()).await?;
        Ok(true)
    }

    async fn stream(
        &self,
        wire: &mut Wire,
        count: u64,
        kind: Option<(&str, &str)>,
        line: impl Fn(u64) -> String,
    ) -> Result<bool> {
        let mut own = vec![("transfer-encoding", "chunked")];
        own.extend(kind);
        wire.send(&head_bytes(self.plan.status, self.plan, &own)).await?;
        if self.bodiless() {
            return Ok(true);
        }
        for at in 0..count {
            if at > 0 && pause(wire, self.plan.every).await {
                return Ok(false);
            }
            if at == count / 2 && (self.plan.breaking == Break::Body || pause(wire, self.plan.body_delay).await) {
                return Ok(false);
            }
            wire.send_chunk(line(at).as_bytes()).await?;
        }
        wire.send(&self.end()).await?;
        Ok(true)
    }

    /// The last chunk, with the trailers.
    fn end(&self) -> Vec<u8> {
        let trailers = self.plan.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("0\r\n{}\r\n", trailers.collect::<String>()).into_bytes()
    }
}

async fn filler(wire: &mut Wire, size: u64) -> Result<()> {
    let piece = [b'x'; PIECE_BYTES];
    let mut left = usize::try_from(size).unwrap_or(usize::MAX);
    while left > 0 {
        let now = left.min(PIECE_BYTES);
        wire.send(&piece[..now]).await?;
        left -= now;
    }
    Ok(())
}

/// The answer's head; a field of the plan replaces a default field.
fn head_bytes(status: u16, plan: &Plan, own: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in own {
        let replaced = plan.fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name));
        if !replaced {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if let Some(etag) = &plan.etag {
        head.push_str(&format!("etag: {etag}\r\n"));
    }
    if plan.breaking == Break::Length {
        head.push_str("content-length: 3\r\ncontent-length: 7\r\n");
    }
    for (name, value) in &plan.fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, _) in &plan.trailers {
        head.push_str(&format!("trailer: {name}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Length and hash of content that comes in pieces.
#[derive(Default)]
struct Tally {
    length: u64,
    hash: Sha256,
    beginning: Vec<u8>,
}

impl Tally {
    fn add(&mut self, piece: &[u8]) {
        self.length += piece.len() as u64;
        self.hash.update(piece);
        let room = REMEMBERED_BYTES.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&piece[..room.min(piece.len())]);
    }

    fn write_down(&self, report: &Report, index: usize, complete: bool) {
        report.update(index, |received| {
            received.content_length = self.length;
            received.content_complete = complete;
            if complete {
                received.content_sha256 = hex(&self.hash.clone().finalize());
                received.content = String::from_utf8_lossy(&self.beginning).into_owned();
            }
        });
    }
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
