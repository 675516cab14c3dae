//! `upstreams:`, the servers to which the gateway forwards requests.

use super::identity;
use super::level::{self, Level, Setting};
use super::upstream_auth::WrittenAuth;
use crate::decode::{self, Fields, habits};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// One upstream as written.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) url: Spanned<String>,
    /// A level on which only the timeout, `identity` and `auth` can be set.
    pub(crate) level: Level,
    pub(crate) connect_timeout_ms: Option<Spanned<u64>>,
    pub(crate) headers: Vec<(Spanned<String>, Spanned<String>)>,
    pub(crate) tls: Option<WrittenTls>,
}

/// What the gateway presents in TLS with an upstream, as written.
#[derive(Clone, Debug)]
pub(crate) struct WrittenTls {
    pub(crate) at: Span,
    pub(crate) certificate: Spanned<String>,
    pub(crate) key: Option<Spanned<String>>,
}

impl Upstream {
    /// Decodes `name: "http://..."` or `name: {url: ..., ...}`.
    pub(crate) fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            let url = url(node, report)?;
            return Some(Self {
                url,
                level: Level::default(),
                connect_timeout_ms: None,
                headers: Vec::new(),
                tls: None,
            });
        }
        let mut fields =
            Fields::open(node, &tables::UPSTREAM, format!("upstream `{}`", name.value), name.span, report)?;
        let url = fields.required("url", report, url);
        let timeout = fields.optional("timeout", report, |node, report| {
            level::timeout(node, report).map(|value| Setting { value, span: node.span, locked: None })
        });
        let connect_timeout_ms = fields.optional("connect-timeout", report, decode::placed_time_limit);
        let headers = fields.optional("headers", report, headers).unwrap_or_default();
        let identity = fields.optional("identity", report, identity::statement);
        let has_auth = fields.key_span("auth").is_some();
        let auth = fields.optional("auth", report, WrittenAuth::statement);
        let has_tls = fields.key_span("tls").is_some();
        let tls = fields.optional("tls", report, WrittenTls::decode);
        fields.finish(report);
        // An upstream without what is written would be called in another way.
        if has_auth && auth.is_none() || has_tls && tls.is_none() {
            return None;
        }
        let level = Level { timeout, identity, upstream_auth: auth, ..Level::default() };
        Some(Self { url: url?, level, connect_timeout_ms, headers, tls })
    }
}

impl WrittenTls {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::UPSTREAM_TLS, "`tls` of an upstream", node.span, report)?;
        let certificate = fields.required("certificate", report, decode::text);
        let key = fields.optional("key", report, decode::text);
        fields.finish(report);
        Some(Self { at: node.span, certificate: certificate?, key })
    }
}

/// Decodes the text of a URL.
pub(crate) fn url(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    match &node.value {
        Value::Text(_) => decode::text(node, report),
        Value::List(_) => decode::mistyped(node, "a URL", habits::url::SEVERAL, report),
        Value::Integer(port) if u16::try_from(*port).is_ok_and(|port| port > 0) => {
            let fix = format!("write `http://127.0.0.1:{port}`, or the host of the server in place of `127.0.0.1`");
            decode::mistyped(node, "a URL", &fix, report)
        }
        _ => decode::mistyped(node, "a URL", "write a URL such as `https://pets.internal:8443`", report),
    }
}

/// Decodes a mapping from header fields to strings, which may contain secret references.
pub(crate) fn headers(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, Spanned<String>)>> {
    by_field(node, "header fields", "values", "write a mapping such as `{X-Name: value}`", report, decode::text)
}

/// Decodes a mapping from header fields or other names.
pub(crate) fn by_field<T>(
    node: &Node,
    keys: &str,
    what: &str,
    fix: &str,
    report: &mut Report,
    read: impl Fn(&Node, &mut Report) -> Option<T>,
) -> Option<Vec<(Spanned<String>, T)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, &format!("a mapping from {keys} to {what}"), fix, report);
    };
    if entries.len() > HEADERS_MAX {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("too many {keys}: {}", entries.len()))
                .why(format!("the maximum is {HEADERS_MAX}"))
                .fix(format!("remove {keys}")),
        );
        return None;
    }
    let pair = |Entry { key, value }: &Entry| Some((key.clone(), read(value, report)?));
    Some(entries.iter().filter_map(pair).collect())
}

/// The maximum number of header fields that are set on a request; servers accept about 100 in total.
pub(crate) const HEADERS_MAX: usize = 64;
