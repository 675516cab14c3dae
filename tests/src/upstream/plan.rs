//! The behaviour that a request selects with its query.

use std::time::Duration;

/// The longest delay that can be requested: a test that waits longer hangs.
const DELAY_MAX: Duration = Duration::from_secs(60);
/// The largest content that can be requested.
const SIZE_MAX: u64 = 1 << 30;

/// The fault of the answer, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Break {
    #[default]
    Nothing,
    /// `break=head`: the connection closes before the answer begins.
    Head,
    /// `break=reused`: the same, unless the request is the first on its connection, as if an idle connection were closed
    /// just when it is used again.
    Reused,
    /// `break=body`: the connection closes in the middle of the content.
    Body,
    /// `break=garbage`: the answer is not HTTP.
    Garbage,
    /// `break=length`: two different Content-Length fields.
    Length,
}

/// The content of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    /// Without an option: a JSON report of the request.
    #[default]
    Report,
    /// `echo`: the request's content, each piece sent back as it arrives.
    Echo,
    /// `size=N`: N bytes, of known length.
    Size(u64),
    /// `chunks=N`: N lines `chunk I`, chunked, `every_ms` apart.
    Chunks(u64),
    /// `events=N`: N server-sent events, `every_ms` apart.
    Events(u64),
}

/// All options; they can be combined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// `status=N`: the status code; 200 by default.
    pub(super) status: u16,
    /// `field=Name:Value`, repeatable: added to the answer.
    pub(super) fields: Vec<(String, String)>,
    /// `head_ms=N`: how long the answer's head is delayed.
    pub(super) head_delay: Duration,
    /// `body_ms=N`: a pause in the middle of the content.
    pub(super) body_delay: Duration,
    /// `every_ms=N`: the pause between chunks or events.
    pub(super) every: Duration,
    /// `etag=V`: sent as a strong ETag; a matching If-None-Match gets a 304.
    pub(super) etag: Option<String>,
    pub(super) content: Content,
    pub(super) breaking: Break,
    /// `unread`: answers without reading the request's content first.
    pub(super) unread: bool,
    /// `early=N`: an informational response with this status comes before the answer.
    pub(super) early: Option<u16>,
    /// `trailer=Name:Value`, repeatable: trailers after chunked content, announced by `Trailer`.
    pub(super) trailers: Vec<(String, String)>,
    /// `raw=TEXT`: the whole answer, exactly as it is written here.
    pub(super) raw: Option<String>,
    /// `close`: the connection closes after the answer.
    pub(super) close: bool,
}

impl Plan {
    /// Parses the query of a request target; unknown options are ignored.
    pub(super) fn of_target(target: &str) -> Self {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let mut plan = Self { status: 200, ..Self::default() };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            plan.take(name, &decoded(value));
        }
        plan
    }

    fn take(&mut self, name: &str, value: &str) {
        match name {
            "status" => self.status = value.parse().unwrap_or(200),
            "field" => self.fields.extend(line(value)),
            "trailer" => self.trailers.extend(line(value)),
            "early" => self.early = value.parse().ok(),
            "raw" => self.raw = Some(value.to_owned()),
            "close" => self.close = true,
            "head_ms" => self.head_delay = millis(value),
            "body_ms" => self.body_delay = millis(value),
            "every_ms" => self.every = millis(value),
            "etag" => self.etag = Some(format!("\"{value}\"")),
            "echo" => self.content = Content::Echo,
            "size" => self.content = Content::Size(number(value).min(SIZE_MAX)),
            "chunks" => self.content = Content::Chunks(number(value)),
            "events" => self.content = Content::Events(number(value)),
            "unread" => self.unread = true,
            "break" => {
                self.breaking = match value {
                    "head" => Break::Head,
                    "reused" => Break::Reused,
                    "body" => Break::Body,
                    "garbage" => Break::Garbage,
                    "length" => Break::Length,
                    _ => Break::Nothing,
                }
            }
            _ => {}
        }
    }
}

fn line(value: &str) -> Option<(String, String)> {
    value.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
}

fn number(value: &str) -> u64 {
    value.parse().unwrap_or(0)
}

fn millis(value: &str) -> Duration {
    Duration::from_millis(number(value)).min(DELAY_MAX)
}

/// Decodes `%XX` and `+`; invalid escapes are kept unchanged.
pub fn decoded(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape =
            value.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (escape, bytes[at]) {
            (Some(byte), _) => {
                plain.push(byte);
                at += 3;
                continue;
            }
            (None, b'+') => plain.push(b' '),
            (None, byte) => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}
