//! The upstream of benchmarks, and helpers to start programs.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout};
use std::thread;

/// Starts an upstream on a thread per connection: it answers `/size/N` with N bytes, and other requests with a few.
pub(crate) fn upstream() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("the upstream cannot listen: {e}"))?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(&stream));
        }
    });
    Ok(address)
}

/// With the six fields of a usual answer, which a cache may store: it has no date that would grow old.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-language: en\r\ncontent-type: application/json\r\n\
    content-length: 15\r\netag: \"6f1c\"\r\ncache-control: max-age=0\r\nx-content-type-options: nosniff\r\n\r\n\
    {\"answer\":true}";

/// Answers each head on a connection; benchmarks send GET only.
fn answer_all(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let (mut reader, mut sized) = (BufReader::new(stream), Vec::new());
    let (mut line, mut size) = (String::new(), None);
    loop {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => {
                let mut out = stream;
                let sent = match size.take() {
                    None => out.write_all(ANSWER),
                    Some(bytes) => out.write_all(of_size(bytes, &mut sized)),
                };
                if sent.is_err() {
                    return;
                }
            }
            Ok(_) => size = size.or_else(|| line.strip_prefix("GET /size/")?.split(' ').next()?.parse().ok()),
        }
    }
}

/// An answer with so many bytes of content; the last one is kept.
fn of_size(bytes: usize, last: &mut Vec<u8>) -> &[u8] {
    let head = String::from_utf8_lossy(ANSWER).replace("content-length: 15", &format!("content-length: {bytes}"));
    let head = head.strip_suffix("{\"answer\":true}").unwrap_or(&head);
    if last.len() != head.len() + bytes {
        *last = [head.as_bytes(), &vec![b'x'; bytes]].concat();
    }
    last
}

/// A currently free port.
pub(crate) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    Ok(listener.local_addr().map_err(|e| e.to_string())?.port())
}

/// A child process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something answers on the address, for up to ten seconds.
pub(crate) fn wait_for(address: SocketAddr) -> Result<(), String> {
    for _ in 0..200 {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    Err(format!("nothing listens on {address} after ten seconds"))
}

/// The next line of a program's output as JSON.
pub(crate) fn next_json(out: &mut BufReader<ChildStdout>) -> Result<serde_json::Value, String> {
    let mut line = String::new();
    out.read_line(&mut line).map_err(|e| e.to_string())?;
    serde_json::from_str(&line).map_err(|_| format!("not the expected JSON: {line:?}"))
}
