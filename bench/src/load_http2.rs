//! Load over HTTP/2: a few connections, each with several streams that send the next request after the complete answer.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::load::{self, Load, USUAL};

/// Connections, over which the streams are distributed.
pub(crate) const CONNECTIONS: usize = 4;

/// One connection, on its own thread; all streams make the first request.
pub(crate) fn connection(load: &Load, _: usize, over: &AtomicBool) -> Result<Vec<Duration>, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(load.address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let times = RefCell::default();
        let streams =
            (0..load::CONNECTIONS / CONNECTIONS).map(|_| stream_after_stream(load, sender.clone(), over, &times));
        for ended in futures_util::future::join_all(streams).await {
            ended.map_err(|why| format!("{}: {why}", load.address))?;
        }
        Ok(times.into_inner())
    })
}

async fn stream_after_stream(
    load: &Load,
    mut sender: SendRequest<Empty<Bytes>>,
    over: &AtomicBool,
    times: &RefCell<Vec<Duration>>,
) -> Result<(), String> {
    let asked = load.first()?;
    let url = format!("http://{}{}", load.address, asked.path);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let mut request = Request::get(&url).version(Version::HTTP_2);
        for (name, value) in USUAL {
            request = request.header(name, value);
        }
        for (name, value) in &asked.fields {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if response.status() != 200 {
            return Err(format!("answered {}", response.status()));
        }
        let mut content = response.into_body();
        while let Some(frame) = content.frame().await {
            frame.map_err(|error| error.to_string())?;
        }
        times.borrow_mut().push(begun.elapsed());
    }
    Ok(())
}
