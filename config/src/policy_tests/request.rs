//! A step that sends requests.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::consumer::Keys;
use super::expect::{self, Expect};
use super::text::{bad_request, filled, json, unknown_key};
use super::upstream::{self, Answers};
use crate::decode::{self, Fields, SIZE};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// A request, sent once or often, and what is expected of the answers.
#[derive(Clone, Debug)]
pub struct RequestStep {
    /// Where the request is written.
    pub span: Span,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// The host it is for; where it is not said, one that the project answers on.
    pub host: Option<String>,
    /// Its fields.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Its content.
    pub content: Content,
    /// The key sent with it, at the place where the route's policy looks for one.
    pub key: Option<Spanned<String>>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether the client's connection is encrypted.
    pub https: bool,
    /// Whether the client is inside: a host for callers inside is asked where none is named.
    pub inside: bool,
    /// What the upstream answers to this step, whichever upstream is called.
    pub upstream: Option<Answers>,
    /// How often it is sent.
    pub repeat: u32,
    /// What every answer is expected to be.
    pub each: Option<Expect>,
    /// What the first answer is expected to be.
    pub first: Option<Expect>,
    /// What the last answer is expected to be.
    pub last: Option<Expect>,
    /// How many answers of each status are expected; all of them together are all answers.
    pub count: Vec<(Spanned<u16>, u32)>,
}

/// The content of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    text: Bytes,
    /// So many bytes of anything in place of the text: made when they are sent, so that a file cannot ask for more memory
    /// than one message has.
    filler_bytes: Option<usize>,
    /// The media type that is sent with it where no field says otherwise.
    pub media_type: Option<&'static str>,
    /// Whether its length is kept to itself: no `Content-Length` is sent.
    pub undeclared: bool,
}

impl Content {
    fn of(text: Bytes) -> Self {
        Self { text, ..Self::default() }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.filler_bytes.map_or_else(|| self.text.clone(), |bytes| Bytes::from(vec![b'x'; bytes]))
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filler_bytes.unwrap_or(self.text.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A request line taken apart.
pub(super) struct Target {
    pub(super) host: Option<String>,
    pub(super) https: Option<bool>,
    pub(super) path_and_query: String,
}

struct Client {
    address: Option<IpAddr>,
    https: Option<bool>,
}

impl RequestStep {
    /// Whether anything is expected of it.
    #[must_use]
    pub fn expects(&self) -> bool {
        self.each.is_some() || self.first.is_some() || self.last.is_some() || !self.count.is_empty()
    }

    pub(super) fn decode(node: &Node, keys: &Keys, report: &mut Report) -> Option<Self> {
        let mut f = Fields::open(node, &tables::REQUEST_STEP, "this step", node.span, report)?;
        let line = f.required("request", report, |node, report| request_line(node, keys, report));
        let host = f.optional("host", report, |node, report| decode::text(node, report).and_then(|h| host(&h, report)));
        let fields = f.optional("headers", report, |node, report| self::fields(node, Some(keys), report));
        let content = f.optional("body", report, |node, report| content(node, Some(keys), report));
        let key = f.optional("key", report, |node, report| key(node, keys, report));
        let client = f.optional("client", report, client);
        let inside = f.optional("from", report, |node, report| {
            decode::word(node, &[("inside", true), ("outside", false)], report)
        });
        let upstream = f.optional("upstream", report, upstream::answers);
        let repeat = f.optional("repeat", report, |node, report| decode::integer(node, 1, REPEAT_MAX, report));
        let each = f.optional("each", report, |node, report| Expect::decode(node, keys, report));
        let expect = f.optional("expect", report, |node, report| Expect::decode(node, keys, report));
        let first = f.optional("first", report, |node, report| Expect::decode(node, keys, report));
        let last = f.optional("last", report, |node, report| Expect::decode(node, keys, report));
        let count = f.optional("count", report, expect::count);
        let count_at = f.key_span("count");
        if let (Some(at), Some(_)) = (f.key_span("expect"), f.key_span("each")) {
            report.push(said_twice(at));
        }
        f.finish(report);
        let (span, method, target) = line?;
        let client = client.unwrap_or(Client { address: None, https: None });
        let step = Self {
            span,
            method,
            host: host.or(target.host),
            https: client.https.or(target.https).unwrap_or(true),
            target: target.path_and_query,
            fields: fields.unwrap_or_default(),
            content: content.unwrap_or_default(),
            key,
            address: client.address,
            inside: inside.unwrap_or(false),
            upstream,
            repeat: repeat.unwrap_or(1),
            each: each.or(expect),
            first,
            last,
            count: count.unwrap_or_default(),
        };
        step.check_count(count_at, report);
        Some(step)
    }

    fn check_count(&self, at: Option<Span>, report: &mut Report) {
        let (Some(at), false) = (at, self.count.is_empty()) else { return };
        let sum: u64 = self.count.iter().map(|(_, count)| u64::from(*count)).sum();
        if sum != u64::from(self.repeat) {
            report.push(
                Diagnostic::error(
                    Code::BadExpectation,
                    at,
                    format!("the counts add up to {sum}, and {} answers come", self.repeat),
                )
                .why("each answer is counted under its status")
                .fix(format!("let `repeat` be {sum}, or mend the counts")),
            );
        }
    }
}

fn said_twice(at: Span) -> Diagnostic {
    Diagnostic::error(Code::BadExpectation, at, "`expect` and `each` mean the same")
        .why("both are about every answer of the step")
        .fix("put them together")
}

/// `GET /path?query` or `GET https://host/path?query`.
fn request_line(node: &Node, keys: &Keys, report: &mut Report) -> Option<(Span, Method, Target)> {
    let written = decode::text(node, report)?;
    let line = filled(&written, keys, report)?;
    let Some((method, url)) = line.split_once(' ') else {
        report.push(bad_request(&written, "the request has no method".to_owned(), "write it as in `GET /path`"));
        return None;
    };
    let parsed = Method::from_bytes(method.as_bytes()).ok().filter(|_| method == method.to_uppercase());
    if parsed.is_none() {
        report.push(bad_request(&written, format!("`{method}` is no method"), "write it as in `GET /path`"));
    }
    let target = target(&written, url.trim(), report)?;
    Some((written.span, parsed?, target))
}

/// A path with query, or a full URL.
pub(super) fn target(written: &Spanned<String>, url: &str, report: &mut Report) -> Option<Target> {
    let mut refuse = |what: String| {
        report.push(bad_request(
            written,
            what,
            "write a path, `/pets?limit=5`, or a URL, `https://api.example.com/pets`",
        ));
    };
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => {
            refuse(format!("this is no URL: {error}"));
            return None;
        }
    };
    let https = uri.scheme_str().map(|scheme| scheme == "https");
    let is_http = uri.scheme_str().is_none_or(|scheme| matches!(scheme, "http" | "https"));
    if !is_http || !(url.starts_with('/') || uri.scheme().is_some() || url == "*") {
        refuse("the URL is neither a path nor one of HTTP".to_owned());
        return None;
    }
    let path_and_query = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Some(Target { host: uri.authority().map(ToString::to_string), https, path_and_query })
}

fn host(host: &Spanned<String>, report: &mut Report) -> Option<String> {
    if HeaderValue::from_str(&host.value).is_err() || host.value.is_empty() {
        report.push(bad_request(host, "this cannot stand in the Host field".to_owned(), "write a host's name"));
        return None;
    }
    Some(host.value.clone())
}

/// Header fields of a message: a text each, or a list of texts for several lines of one name.
pub(super) fn fields(node: &Node, keys: Option<&Keys>, report: &mut Report) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "a mapping of header fields", "write `{X-Name: value}`", report);
    };
    let count: usize = entries.iter().map(|entry| lines(&entry.value).len()).sum();
    if count > FIELD_LINES_MAX {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("there are {count} field lines"))
                .why(format!("the gateway takes far fewer, and {FIELD_LINES_MAX} are enough to see what it says"))
                .fix("write fewer"),
        );
        return None;
    }
    let mut out = Vec::new();
    for Entry { key, value } in entries {
        let name = field_name(key, report);
        for line in lines(value) {
            let value = field_value(line, keys, report);
            out.extend(name.clone().zip(value));
        }
    }
    Some(out)
}

fn lines(value: &Node) -> &[Node] {
    match &value.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(value),
    }
}

pub(super) fn field_name(name: &Spanned<String>, report: &mut Report) -> Option<HeaderName> {
    let found = HeaderName::try_from(name.value.as_str()).ok();
    if found.is_none() {
        report.push(bad_request(name, format!("`{}` is no name of a header field", name.value), "mend the name"));
    }
    found
}

fn field_value(node: &Node, keys: Option<&Keys>, report: &mut Report) -> Option<HeaderValue> {
    let text = scalar(node, report)?;
    let value = match keys {
        Some(keys) => filled(&text, keys, report)?,
        None => text.value.clone(),
    };
    let found = HeaderValue::from_str(&value).ok();
    if found.is_none() {
        let what = "the value has characters that no header field may have".to_owned();
        report.push(bad_request(&text, what, "use printable ASCII"));
    }
    found
}

/// A text, or a number as it is written in one.
pub(super) fn scalar(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    match node.value {
        Value::Integer(number) => Some(Spanned::new(number.to_string(), node.span)),
        _ => decode::text(node, report),
    }
}

/// Content: a text, `{json: ...}`, or `{size: 2MiB}`; `declared: false` keeps its length to itself.
pub(super) fn content(node: &Node, keys: Option<&Keys>, report: &mut Report) -> Option<Content> {
    let with_keys = |node: &Node, report: &mut Report| {
        let text = decode::text(node, report)?;
        let text = keys.map_or_else(|| Some(text.value.clone()), |keys| filled(&text, keys, report))?;
        Some(Content::of(text.into()))
    };
    if matches!(node.value, Value::Text(_)) {
        return with_keys(node, report);
    }
    let mut fields = Fields::open(node, &tables::CONTENT, "`body`", node.span, report)?;
    let text = fields.optional("text", report, with_keys);
    let json = fields.optional("json", report, |node, _| json(node)).map(|value| {
        let text = serde_json::to_vec(&value).unwrap_or_default().into();
        Content { media_type: Some("application/json"), ..Content::of(text) }
    });
    let size = fields.optional("size", report, size);
    let size = size.map(|bytes| Content { filler_bytes: Some(bytes), ..Content::default() });
    let undeclared = !fields.optional("declared", report, decode::boolean).unwrap_or(true);
    let given = ["text", "json", "size"].iter().filter(|key| fields.key_span(key).is_some()).count();
    fields.finish(report);
    if given != 1 {
        report.push(
            Diagnostic::error(Code::BadRequest, node.span, "the content is not one thing")
                .why("a message has one content")
                .fix("write one of `text`, `json` and `size`"),
        );
        return None;
    }
    Some(Content { undeclared, ..text.or(json).or(size)? })
}

fn size(node: &Node, report: &mut Report) -> Option<usize> {
    let size = decode::quantity(node, &SIZE, report)?;
    let bytes = usize::try_from(size.value).ok().filter(|bytes| *bytes <= CONTENT_BYTES_MAX);
    if bytes.is_none() {
        report.push(
            Diagnostic::error(Code::OutOfRange, size.span, "so much content is not made for a test")
                .why(format!("up to {} MiB are", CONTENT_BYTES_MAX >> 20))
                .fix("ask for less"),
        );
    }
    bytes
}

fn key(node: &Node, keys: &Keys, report: &mut Report) -> Option<Spanned<String>> {
    let name = decode::text(node, report)?;
    if !keys.contains_key(&name.value) {
        unknown_key(&name, keys, report);
        return None;
    }
    Some(name)
}

fn client(node: &Node, report: &mut Report) -> Option<Client> {
    let mut fields = Fields::open(node, &tables::CLIENT, "`client`", node.span, report)?;
    let address = fields.optional("address", report, address);
    let https = fields.optional("https", report, decode::boolean);
    fields.finish(report);
    Some(Client { address, https })
}

fn address(node: &Node, report: &mut Report) -> Option<IpAddr> {
    let text = decode::text(node, report)?;
    let found = text.value.parse().ok();
    if found.is_none() {
        report.push(bad_request(&text, format!("`{}` is no IP address", text.value), "write it as in `192.0.2.7`"));
    }
    found
}

/// How often one step sends: more would take longer than a test may.
const REPEAT_MAX: u32 = 1_000_000;

/// Field lines of one message: ten times what the gateway takes.
const FIELD_LINES_MAX: usize = 10 * tollgate_core::bounds::FIELD_LINES_MAX;

/// Content made for one message.
const CONTENT_BYTES_MAX: usize = 64 << 20;
