//! The scripted responses of upstreams in a test.

use http::{HeaderName, HeaderValue, Method};
use tollgate_core::forward::UpstreamError;

use super::request::{self, Content};
use super::text::bad_request;
use crate::decode::{self, DURATION, Fields, parsed};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

/// The script of one upstream.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Responses to certain requests; the first rule that matches is used.
    pub rules: Vec<Rule>,
    /// Responses to all other requests.
    pub answers: Answers,
}

/// Responses to certain requests.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The method; `None` for any.
    pub method: Option<Method>,
    /// The id of the route that matched the request, with or without the name of the API; `None` for any.
    pub route: Option<Spanned<String>>,
    /// The path that the upstream receives, in which `*` matches any text; `None` for any.
    pub path: Option<String>,
    /// The content that it receives, in which `*` matches any text; `None` for any.
    pub content: Option<String>,
    /// The responses.
    pub answers: Answers,
}

/// A sequence of responses, of which the last one is repeated. An empty sequence means 200 without content.
#[derive(Clone, Debug, Default)]
pub struct Answers(pub Vec<ScriptedAnswer>);

/// One scripted response or failure of an upstream.
#[derive(Clone, Debug)]
pub struct ScriptedAnswer {
    /// The time until the response begins, in milliseconds.
    pub delay_ms: u64,
    /// The response, or the error in place of one.
    pub outcome: Result<Answer, UpstreamError>,
}

/// A response of an upstream.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The content.
    pub content: Content,
    /// Whether the connection breaks at the end of the content.
    pub breaks: bool,
}

/// Decodes `upstreams:`.
pub(super) fn scripts(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, Script)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from upstreams to responses",
            "write a mapping such as `{name: {status: 200}}`",
            report,
        );
    };
    let pair = |Entry { key, value }: &Entry| Some((key.clone(), script(key, value, report)?));
    Some(entries.iter().filter_map(pair).collect())
}

/// Decodes `fetches:`, whose names are URLs.
pub(super) fn services(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, Script)>> {
    let mut all = scripts(node, report)?;
    all.retain(|(url, _)| parsed::url(url, report).is_some());
    for route in all.iter().flat_map(|(_, script)| &script.rules).filter_map(|rule| rule.route.as_ref()) {
        report.push(
            Diagnostic::error(Code::BadRequest, route.span, "`route` cannot select a response of a service")
                .why("the gateway asks services by itself, whatever the route of the request")
                .fix("remove it, and select by `path` or `content`"),
        );
    }
    Some(all)
}

fn script(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Script> {
    if matches!(node.value, Value::List(_)) {
        return Some(Script { rules: Vec::new(), answers: answers(node, report)? });
    }
    let mut fields = Fields::open(node, &tables::SCRIPT, format!("the script of `{}`", name.value), name.span, report)?;
    let rules = fields.optional("rules", report, |node, report| decode::list(node, report, rule));
    let answers = answers_of(&mut fields, node, report);
    fields.finish(report);
    Some(Script { rules: rules.unwrap_or_default(), answers: answers? })
}

fn rule(node: &Node, report: &mut Report) -> Option<Rule> {
    let mut fields = Fields::open(node, &tables::RULE, "this rule", node.span, report)?;
    let method = fields.optional("method", report, method);
    let path = fields.optional("path", report, decode::text);
    let route = fields.optional("route", report, decode::text);
    let content = fields.optional("content", report, decode::text).map(|content| content.value);
    let answers = answers_of(&mut fields, node, report);
    fields.finish(report);
    Some(Rule { method, route, path: path.map(|path| path.value), content, answers: answers? })
}

/// A method in uppercase letters.
pub(super) fn method(node: &Node, report: &mut Report) -> Option<Method> {
    let text = decode::text(node, report)?;
    let found = Method::from_bytes(text.value.as_bytes()).ok().filter(|_| text.value == text.value.to_uppercase());
    if found.is_none() {
        report.push(bad_request(
            &text,
            format!("`{}` is not a valid method", text.value),
            "write a method such as `GET`",
        ));
    }
    found
}

/// The responses of a step or script: one as a mapping, or several as a list.
pub(super) fn answers(node: &Node, report: &mut Report) -> Option<Answers> {
    let list = match &node.value {
        Value::List(_) => decode::list(node, report, one)?,
        _ => vec![one(node, report)?],
    };
    if list.is_empty() {
        report.push(
            Diagnostic::error(Code::EmptyValue, node.span, "the list is empty")
                .why("the script must have at least one response")
                .fix("add a response, such as `[{status: 200}]`"),
        );
    }
    Some(Answers(list))
}

fn one(node: &Node, report: &mut Report) -> Option<ScriptedAnswer> {
    let mut fields = Fields::open(node, &tables::ANSWER, "this answer", node.span, report)?;
    let answer = answer(&mut fields, report);
    fields.finish(report);
    answer
}

/// The responses of a script or rule: `answers:`, or the keys of a single response.
fn answers_of(fields: &mut Fields<'_>, node: &Node, report: &mut Report) -> Option<Answers> {
    let sequence = fields.optional("answers", report, answers);
    let single = answer(fields, report)?;
    let single_at = ANSWER_KEYS.iter().find_map(|key| fields.key_span(key));
    match (fields.key_span("answers"), single_at) {
        (Some(at), Some(_)) => {
            report.push(
                Diagnostic::error(Code::BadRequest, at, "both `answers` and a single response are set")
                    .why("`answers` must list all responses")
                    .fix("move the single response into the list"),
            );
            None
        }
        (Some(_), None) => sequence,
        (None, Some(_)) => Some(Answers(vec![single])),
        (None, None) if fields.key_span("rules").is_some() => Some(Answers::default()),
        (None, None) => {
            report.push(
                Diagnostic::error(Code::EmptyValue, node.span, "the script has no response")
                    .why("a script defines the responses of the upstream")
                    .fix("add a response, such as `status: 200`"),
            );
            None
        }
    }
}

const ANSWER_KEYS: [&str; 6] = ["status", "headers", "body", "delay", "fail", "breaks"];

fn answer(fields: &mut Fields<'_>, report: &mut Report) -> Option<ScriptedAnswer> {
    let status = fields.optional("status", report, |node, report| {
        decode::integer(node, 200, 999, report).and_then(|status| u16::try_from(status).ok())
    });
    let given = fields.optional("headers", report, |node, report| request::fields(node, None, report));
    let content = fields.optional("body", report, |node, report| request::content(node, None, report));
    let delay = fields.optional("delay", report, |node, report| decode::quantity(node, &DURATION, report));
    let fail = fields.optional("fail", report, |node, report| decode::word(node, &errors(), report));
    let breaks = fields.optional("breaks", report, decode::boolean).unwrap_or(false);
    let response_at = ["status", "headers", "body", "breaks"].iter().find_map(|key| fields.key_span(key));
    if let (Some(at), Some(_)) = (fields.key_span("fail"), response_at) {
        report.push(
            Diagnostic::error(Code::BadRequest, at, "`fail` cannot be combined with a response")
                .why("an upstream that fails sends no response")
                .fix("remove `fail`, or remove `status`, `headers`, `body` and `breaks`"),
        );
    }
    let answer = Answer {
        status: status.unwrap_or(200),
        fields: given.unwrap_or_default(),
        content: content.unwrap_or_default(),
        breaks,
    };
    let outcome = fail.map_or(Ok(answer), Err);
    Some(ScriptedAnswer { delay_ms: delay.map_or(0, |delay| delay.value), outcome })
}

/// The errors of upstreams, by their names in RFC 9209.
fn errors() -> [(&'static str, UpstreamError); tables::UPSTREAM_ERRORS.len()] {
    tables::UPSTREAM_ERRORS.map(|error| (error.proxy_status(), error))
}
