//! `upstreams:`, the servers that the gateway calls.

use super::level::{self, Level, Setting};
use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

/// One upstream as written.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) url: Spanned<String>,
    /// A level of which only the timeout may be said.
    pub(crate) level: Level,
    pub(crate) connect_timeout_ms: Option<Spanned<u64>>,
    pub(crate) headers: Vec<(Spanned<String>, Spanned<String>)>,
}

impl Upstream {
    /// Reads `name: "http://..."` or `name: {url: ..., ...}`.
    pub(crate) fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        if matches!(node.value, Value::Text(_)) {
            let url = decode::text(node, report)?;
            return Some(Self { url, level: Level::default(), connect_timeout_ms: None, headers: Vec::new() });
        }
        let mut fields =
            Fields::open(node, &tables::UPSTREAM, format!("upstream `{}`", name.value), name.span, report)?;
        let url = fields.required("url", report, decode::text);
        let timeout = fields.optional("timeout", report, |node, report| {
            level::timeout(node, report).map(|value| Setting { value, span: node.span, locked: None })
        });
        let connect_timeout_ms = fields.optional("connect-timeout", report, decode::placed_time_limit);
        let headers = fields.optional("headers", report, headers).unwrap_or_default();
        fields.finish(report);
        Some(Self { url: url?, level: Level { timeout, ..Level::default() }, connect_timeout_ms, headers })
    }
}

/// A mapping of header fields to texts, which may hold secret references.
pub(crate) fn headers(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, Spanned<String>)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "a mapping of header fields", "write `{X-Name: value}`", report);
    };
    if entries.len() > HEADERS_MAX {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("there are {} header fields", entries.len()))
                .why(format!("{HEADERS_MAX} may be set"))
                .fix("set fewer"),
        );
        return None;
    }
    let pair = |Entry { key, value }: &Entry| Some((key.clone(), decode::text(value, report)?));
    Some(entries.iter().filter_map(pair).collect())
}

/// Header fields set on a request; servers take about 100 in all.
pub(crate) const HEADERS_MAX: usize = 64;
