//! HTTP/1.1 on a byte stream, implemented here because a test server must be able to violate it.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest request head that is read.
const HEAD_BYTES_MAX: usize = 1 << 18;
/// The size of one read.
const READ_BYTES: usize = 1 << 14;

/// A byte stream of either kind.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) version: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Head {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn framing(&self) -> Framing {
        let chunked =
            self.field("transfer-encoding").is_some_and(|codings| codings.to_ascii_lowercase().contains("chunked"));
        if chunked {
            return Framing::ChunkHead;
        }
        let length = self.field("content-length");
        Framing::Bytes(length.and_then(|length| length.parse().ok()).unwrap_or(0))
    }
}

/// The part of the content that is still to come.
enum Framing {
    Bytes(u64),
    ChunkHead,
    Chunk(u64),
    Done,
}

/// One connection, with the bytes that were read and not yet used.
pub(super) struct Wire {
    io: Box<dyn Io>,
    held: Vec<u8>,
    framing: Framing,
    /// Of the newest content that ended.
    trailers: Vec<(String, String)>,
}

impl Wire {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Self { io, held: Vec::new(), framing: Framing::Done, trailers: Vec::new() }
    }

    /// The trailers of the content that was read.
    pub(super) fn trailers(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.trailers)
    }

    /// The next request's head; `None` if the peer closed the connection.
    pub(super) async fn head(&mut self) -> Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.held, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.held[..end]).into_owned();
                self.held.drain(..end + 4);
                let head = parse(&text)?;
                self.framing = head.framing();
                return Ok(Some(head));
            }
            if self.held.len() > HEAD_BYTES_MAX {
                return Err(invalid("head too large"));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next piece of the request's content; `None` at its end.
    pub(super) async fn content(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.framing {
                Framing::Done | Framing::Bytes(0) => {
                    self.framing = Framing::Done;
                    return Ok(None);
                }
                Framing::Bytes(left) => {
                    let piece = self.take(left).await?;
                    self.framing = Framing::Bytes(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                Framing::ChunkHead => {
                    let line = self.line().await?;
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size = u64::from_str_radix(size, 16).map_err(|_| invalid("bad chunk size"))?;
                    if size == 0 {
                        loop {
                            let line = self.line().await?;
                            if line.is_empty() {
                                break;
                            }
                            self.trailers.extend(field(&line));
                        }
                        self.framing = Framing::Done;
                    } else {
                        self.framing = Framing::Chunk(size);
                    }
                }
                Framing::Chunk(0) => {
                    self.line().await?;
                    self.framing = Framing::ChunkHead;
                }
                Framing::Chunk(left) => {
                    let piece = self.take(left).await?;
                    self.framing = Framing::Chunk(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
            }
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    pub(super) async fn send_chunk(&mut self, bytes: &[u8]) -> Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send(&chunk).await
    }

    /// Waits until the peer closes or sends data, so that an aborted answer is noticed during a delay.
    pub(super) async fn peer_left(&mut self) {
        while matches!(self.fill().await, Ok(true)) {}
    }

    async fn take(&mut self, most: u64) -> Result<Vec<u8>> {
        if self.held.is_empty() && !self.fill().await? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(self.held.drain(..most.min(self.held.len())).collect())
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = find(&self.held, b"\r\n") {
                let line = String::from_utf8_lossy(&self.held[..end]).into_owned();
                self.held.drain(..end + 2);
                return Ok(line);
            }
            if self.held.len() > HEAD_BYTES_MAX {
                return Err(invalid("line too long"));
            }
            if !self.fill().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> Result<bool> {
        let mut piece = [0; READ_BYTES];
        let read = self.io.read(&mut piece).await?;
        self.held.extend_from_slice(&piece[..read]);
        Ok(read > 0)
    }
}

fn parse(text: &str) -> Result<Head> {
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(invalid("no request line"));
    };
    let fields = lines.filter_map(field).collect();
    Ok(Head { method: method.to_owned(), target: target.to_owned(), version: version.to_owned(), fields })
}

fn field(line: &str) -> Option<(String, String)> {
    line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
