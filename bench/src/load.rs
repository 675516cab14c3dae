//! Load: a fixed number of keep-alive connections, each of which sends the next request after the complete answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::cpu::cpu_time;
use crate::load_http2;

/// The requests to send, and their destination.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// The process that answers, whose CPU time is measured together with that of its descendants.
    pub(crate) process: u32,
    /// The requests, sent round-robin; at least one.
    pub(crate) asked: Vec<Asked>,
    pub(crate) over: Over,
}

/// One request: what follows the usual fields.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The address of the server if it is absent.
    pub(crate) host: Option<String>,
    pub(crate) path: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn new(path: &str, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { host: None, path: path.to_owned(), fields }
    }
}

impl Load {
    /// Requests for this path with these fields, over HTTP/1.1, to the address as host.
    pub(crate) fn new(address: SocketAddr, process: u32, path: &str, fields: &[(&str, &str)]) -> Self {
        Self::of(address, process, vec![Asked::new(path, fields)])
    }

    /// Several requests, over HTTP/1.1.
    pub(crate) fn of(address: SocketAddr, process: u32, asked: Vec<Asked>) -> Self {
        Self { address, process, asked, over: Over::default() }
    }

    /// The request that is made alone.
    pub(crate) fn first(&self) -> Result<&Asked, String> {
        self.asked.first().ok_or_else(|| "no request is given".to_owned())
    }
}

/// What requests are sent over.
#[derive(Clone, Debug, Default)]
pub(crate) enum Over {
    /// HTTP/1.1 without TLS.
    #[default]
    Http1,
    /// HTTP/1.1 with TLS, for the name `localhost`.
    Tls(Arc<ClientConfig>),
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
}

/// The result of one measurement.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) requests: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// CPU time of the answering processes per request, where the platform tells it.
    pub(crate) cpu_us: Option<f64>,
}

/// Sends requests over the connection with this number until it is over; answers how long each took.
type Send = fn(&Load, usize, &AtomicBool) -> Result<Vec<Duration>, String>;

/// Concurrent connections, or streams: enough to keep one core of the gateway busy.
pub(crate) const CONNECTIONS: usize = 32;

/// Sends requests for a time; any answer other than 200 is an error, because it would distort the result.
pub(crate) fn run(load: &Load, time: Duration) -> Result<Sample, String> {
    let over = AtomicBool::new(false);
    let cpu_before = cpu_time(load.process);
    let begun = Instant::now();
    let (threads, send) = match load.over {
        Over::Http1 | Over::Tls(_) => (CONNECTIONS, connection as Send),
        Over::Http2 => (load_http2::CONNECTIONS, load_http2::connection as Send),
    };
    let taken: Vec<Result<Vec<Duration>, String>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|n| {
                scope.spawn({
                    let over = &over;
                    move || send(load, n, over)
                })
            })
            .collect();
        thread::sleep(time);
        over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a connection panicked".into()))).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = cpu_time(load.process).zip(cpu_before).map(|(after, before)| after.saturating_sub(before));
    let mut times: Vec<Duration> = taken.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |t| t.as_secs_f64() * 1000.0);
    #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
    let requests = times.len() as f64;
    let cpu_us = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / requests);
    let per_second = requests / seconds;
    Ok(Sample { requests: times.len(), per_second, p50_ms: at(50), p99_ms: at(99), cpu_us })
}

/// One request on a separate connection; returns the time until the first byte of the answer.
pub(crate) fn first_byte(load: &Load) -> Result<Duration, String> {
    let say = |error: std::io::Error| format!("{}: {error}", load.address);
    let begun = Instant::now();
    let mut stream = TcpStream::connect(load.address).map_err(say)?;
    stream.write_all(&head(load, load.first()?)).map_err(say)?;
    let mut byte = [0];
    stream.read_exact(&mut byte).map_err(say)?;
    Ok(begun.elapsed())
}

/// Some requests, one after the other, on one connection.
pub(crate) fn in_turn(load: &Load, requests: usize) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", load.address);
    let mut stream = TcpStream::connect(load.address).map_err(say)?;
    stream.set_nodelay(true).map_err(say)?;
    let mut answers = BufReader::new(stream.try_clone().map_err(say)?);
    let asked = load.first()?;
    let request = head(load, asked);
    for _ in 0..requests {
        stream.write_all(&request).map_err(say)?;
        answer(&mut answers).map_err(|why| format!("{}{}: {why}", load.address, asked.path))?;
    }
    Ok(())
}

/// Each request once, one after the other, on one connection.
pub(crate) fn each_once(load: &Load) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", load.address);
    let mut stream = BufReader::with_capacity(BLOCK_BYTES, open(load)?);
    for asked in &load.asked {
        stream.get_mut().write_all(&head(load, asked)).map_err(say)?;
        answer(&mut stream).map_err(|why| format!("{}{}: {why}", load.address, asked.path))?;
    }
    Ok(())
}

/// One connection; each begins with a different request, and iterates over all of them.
fn connection(load: &Load, number: usize, over: &AtomicBool) -> Result<Vec<Duration>, String> {
    let say = |error: std::io::Error| format!("{}: {error}", load.address);
    let mut stream = BufReader::with_capacity(BLOCK_BYTES, open(load)?);
    let requests: Vec<(&Asked, Vec<u8>)> = load.asked.iter().map(|asked| (asked, head(load, asked))).collect();
    let first = number * requests.len() / CONNECTIONS;
    let mut times = Vec::new();
    for (asked, request) in requests.iter().cycle().skip(first) {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        stream.get_mut().write_all(request).map_err(say)?;
        answer(&mut stream).map_err(|why| format!("{}{}: {why}", load.address, asked.path))?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// A stream of either kind.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

fn open(load: &Load) -> Result<Box<dyn Stream>, String> {
    let say = |error: std::io::Error| format!("{}: {error}", load.address);
    let stream = TcpStream::connect(load.address).map_err(say)?;
    stream.set_nodelay(true).map_err(say)?;
    let Over::Tls(config) = &load.over else { return Ok(Box::new(stream)) };
    let name = "localhost".try_into().map_err(|_| "no name for TLS")?;
    let tls = ClientConnection::new(Arc::clone(config), name).map_err(|error| error.to_string())?;
    Ok(Box::new(StreamOwned::new(tls, stream)))
}

/// What is read at once.
const BLOCK_BYTES: usize = 64 * 1024;

fn head(load: &Load, asked: &Asked) -> Vec<u8> {
    let usual = USUAL.iter().copied();
    let own = asked.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: String = usual.chain(own).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let host = asked.host.clone().unwrap_or_else(|| load.address.to_string());
    format!("GET {} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n", asked.path).into_bytes()
}

/// With `Host`, the ten fields of a usual request.
pub(crate) const USUAL: [(&str, &str); 9] = [
    ("accept", "application/json, text/plain, */*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"),
    ("referer", "https://app.example.com/orders?page=2"),
    ("origin", "https://app.example.com"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-site"),
    ("x-client-version", "2026.11.3"),
];

/// Reads one complete answer: 200, with a length or in chunks.
fn answer(from: &mut impl BufRead) -> Result<(), String> {
    let mut line = String::new();
    let (mut length, mut chunked, mut first) = (0usize, false, true);
    loop {
        line.clear();
        if from.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
            return Err("the connection was closed".into());
        }
        let text = line.trim_end();
        if first && text.split(' ').nth(1) != Some("200") {
            return Err(format!("answered {text}"));
        }
        first = false;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| "an invalid content-length")?;
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    if chunked { chunks(from) } else { skip(from, length) }
}

fn chunks(from: &mut impl BufRead) -> Result<(), String> {
    let mut line = String::new();
    loop {
        line.clear();
        from.read_line(&mut line).map_err(|e| e.to_string())?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(|_| "a chunk without a size")?;
        skip(from, size + 2)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn skip(from: &mut impl BufRead, mut bytes: usize) -> Result<(), String> {
    while bytes > 0 {
        let have = from.fill_buf().map_err(|e| e.to_string())?.len().min(bytes);
        if have == 0 {
            return Err("the connection was closed within an answer".into());
        }
        from.consume(have);
        bytes -= have;
    }
    Ok(())
}
