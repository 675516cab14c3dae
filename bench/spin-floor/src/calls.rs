//! The calls of the host that a gateway makes, as Tollgate makes them: what can be kept or read in one call is.

use std::cell::{OnceCell, RefCell};

use spin_sdk::experimental::wasi::keyvalue::atomics::{self, Cas};
use spin_sdk::experimental::wasi::keyvalue::store::{self, Bucket};
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, RequestOptions, Response};
use spin_sdk::wasip3::random::random::get_random_bytes;
use spin_sdk::wasip3::wit_bindgen::StreamWriter;
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use wasip2::cli::stdout::{OutputStream, get_stdout};

/// What the host gave once, and is used by all requests.
#[derive(Default)]
pub(crate) struct Calls {
    random: RefCell<Vec<u8>>,
    options: OnceCell<RequestOptions>,
    output: OnceCell<OutputStream>,
    bucket: OnceCell<Bucket>,
}

impl Calls {
    /// Reads both clocks, and returns the text of three ids.
    pub(crate) fn begin(&self) -> String {
        let _ = (system_clock::now(), monotonic_clock::now());
        let mut random = self.random.borrow_mut();
        if random.len() < ID_BYTES {
            *random = get_random_bytes(BLOCK_BYTES);
        }
        let left = random.len() - ID_BYTES;
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
        random.split_off(left).into_iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    pub(crate) fn options(&self) -> RequestOptions {
        let new = || {
            let options = RequestOptions::new();
            let _ = options.set_connect_timeout(Some(5_000_000_000));
            let _ = options.set_first_byte_timeout(Some(30_000_000_000));
            options
        };
        self.options.get_or_init(new).clone()
    }

    /// Reads a cell of the store, and swaps it.
    pub(crate) fn charge(&self) {
        let bucket = match self.bucket.get() {
            Some(bucket) => bucket,
            None => match store::open("default") {
                Ok(bucket) => self.bucket.get_or_init(|| bucket),
                Err(_) => return,
            },
        };
        if let Ok(swap) = Cas::new(bucket, "floor:cells:1") {
            let _ = swap.current();
            let _ = monotonic_clock::now();
            let _ = atomics::swap(swap, &[7; 90]);
            let _ = monotonic_clock::now();
        }
    }

    /// Reads both clocks, and writes a line.
    pub(crate) fn end(&self) {
        let _ = (system_clock::now(), monotonic_clock::now());
        let _ = self.output.get_or_init(get_stdout).blocking_write_and_flush(&[b'x'; LINE_BYTES]);
    }
}

const ID_BYTES: usize = 48;
/// Of 20 requests.
const BLOCK_BYTES: u64 = 1024;
/// Tollgate's line has about so many.
const LINE_BYTES: usize = 420;

/// The fields with which a gateway tells the upstream of itself and of the client.
pub(crate) fn told(id: &str) -> Vec<(String, Vec<u8>)> {
    let (trace, rest) = id.split_at(32);
    let parent = format!("00-{trace}-{}-03", &rest[..16]);
    [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "http"),
        ("via", "1.1 floor"),
        ("x-request-id", trace),
        ("traceparent", &parent),
    ]
    .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
    .into()
}

/// A request of HTTP/2 may have content that it does not declare, and a component does not know the version.
pub(crate) async fn read_nothing(request: Request) {
    let (_taken, is_taken) = wit_future::new(|| Ok(()));
    let (mut stream, _trailers) = Request::consume_body(request, is_taken);
    let _ = stream.read(Vec::with_capacity(READ_BYTES)).await;
}

/// A response with other fields, with the host's own content or with one that is written again.
pub(crate) async fn rebuilt(response: Response, id: &str, is_read: bool) -> Result<Response, ErrorCode> {
    let status = response.get_status_code();
    let mut fields = response.get_headers().copy_all();
    let (_taken, is_taken) = wit_future::new(|| Ok(()));
    let (mut stream, mut trailers) = Response::consume_body(response, is_taken);
    if is_read {
        let (_, content) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        (stream, trailers) = written(content);
    }
    fields.extend(answered(id));
    let fields = Fields::from_list(&fields).map_err(|_| ErrorCode::InternalError(None))?;
    let (rebuilt, _sent) = Response::new(fields, Some(stream), trailers);
    rebuilt.set_status_code(status).map_err(|()| ErrorCode::InternalError(None))?;
    Ok(rebuilt)
}

/// A response from memory.
pub(crate) fn from_memory(id: &str) -> Result<Response, ErrorCode> {
    const STORED: [(&str, &str); 7] = [
        ("content-type", "application/json"),
        ("content-length", "15"),
        ("etag", "\"6f1c\""),
        ("cache-control", "max-age=0"),
        ("x-content-type-options", "nosniff"),
        ("age", "1"),
        ("cache-status", "tollgate; hit; ttl=3599"),
    ];
    let mut fields: Vec<_> = STORED.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
    fields.extend(answered(id));
    let fields = Fields::from_list(&fields).map_err(|_| ErrorCode::InternalError(None))?;
    let (stream, trailers) = written(b"{\"answer\":true}".to_vec());
    let (response, _sent) = Response::new(fields, Some(stream), trailers);
    Ok(response)
}

fn answered(id: &str) -> [(String, Vec<u8>); 2] {
    let id = id.get(..32).unwrap_or("none");
    [("via", "1.1 floor"), ("x-request-id", id)].map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
}

type Written = (
    spin_sdk::wasip3::wit_bindgen::StreamReader<u8>,
    spin_sdk::wasip3::wit_bindgen::FutureReader<Result<Option<Fields>, ErrorCode>>,
);

fn written(content: Vec<u8>) -> Written {
    let (writer, stream) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    spawn(async move {
        write(writer, content).await;
        drop(end);
    });
    (stream, trailers)
}

async fn write(mut writer: StreamWriter<u8>, content: Vec<u8>) {
    let _ = writer.write_all(content).await;
}

const READ_BYTES: usize = 64 * 1024;
