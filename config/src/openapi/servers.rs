//! The servers that a document declares: nothing is routed by them, but a project can be started from them.

use std::collections::HashMap;

use super::documents::{entries, get, text};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::source::{Entry, Node, Value};

/// The URLs of the servers, with the defaults of their variables. The first part of another shape is reported; a URL in
/// place of a server is read.
pub(super) fn servers(root: &Node, report: &mut Report) -> Vec<String> {
    let Some(node) = get(root, "servers") else { return Vec::new() };
    let (all, mut misshapen) = match &node.value {
        Value::List(items) => (items.as_slice(), None),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Refused => {
            (&[][..], Some(node.span))
        }
        Value::Text(_) | Value::Map(_) => (std::slice::from_ref(node), Some(node.span)),
    };
    let mut urls = Vec::with_capacity(all.len());
    for server in all {
        let url = get(server, "url").and_then(text);
        if url.is_none() {
            misshapen = misshapen.or(Some(server.span));
        }
        urls.extend(url.or_else(|| text(server)).map(|url| with_defaults(url, server)));
    }
    if let Some(span) = misshapen {
        report_shape(span, report);
    }
    urls
}

/// A URL whose variables are replaced by their defaults, where they have one.
fn with_defaults(url: &str, server: &Node) -> String {
    let variables: HashMap<&str, &Node> = get(server, "variables")
        .map_or(&[][..], entries)
        .iter()
        .map(|Entry { key, value }| (key.value.as_str(), value))
        .collect();
    let default = |name: &str| get(variables.get(name)?, "default").and_then(scalar);
    let (mut out, mut rest) = (String::new(), url);
    while let Some((before, tail)) = rest.split_once('{')
        && let Some((name, after)) = tail.split_once('}')
        && out.len() <= URL_BYTES_MAX
    {
        out.push_str(before);
        match default(name).filter(|text| text.len() <= URL_BYTES_MAX) {
            Some(text) => out.push_str(&text),
            None => out.extend(["{", name, "}"]),
        }
        rest = after;
    }
    out + rest
}

/// A default as text: a port is often written without quotes.
fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Refused => None,
    }
}

fn report_shape(span: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::SpecShape, span, "`servers` must be a list of mappings, each with a `url`")
            .why("clients of the document do not find the server; requests are forwarded to the `upstream` of the API")
            .fix("write `servers: [{url: \"https://api.example.com\"}]`"),
    );
}

/// The maximum length of a default, and of a URL in which more variables are replaced.
const URL_BYTES_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::document::{self, LIMITS};
    use crate::place::FileId;

    #[track_caller]
    fn check(written: &str, expected: &[&str], is_reported: bool) {
        let (text, mut report) = (format!("servers: {written}\n"), Report::default());
        let root = document::read(FileId::default(), "s.yaml", &text, &LIMITS, &mut 1_000, &mut report).unwrap();
        assert_eq!(servers(&root, &mut report), expected, "{written}");
        assert_eq!(report.finish(crate::place::Files::new()).len(), usize::from(is_reported), "{written}");
    }

    #[test]
    fn servers_of_every_shape_are_read_or_reported() {
        check("[]", &[], false);
        check("[{url: /a}, {url: 'https://b', description: d}]", &["/a", "https://b"], false);
        check("", &[], true);
        check("7", &[], true);
        check("https://a", &["https://a"], true);
        check("{url: https://a}", &["https://a"], true);
        check("[https://a, {url: /b}]", &["https://a", "/b"], true);
        check("[{}, {url: 1}, null, [], {url: /b}]", &["/b"], true);
    }

    #[test]
    fn variables_have_their_defaults() {
        check(
            "[{url: 'https://{host}:{port}/{base}', variables: {host: {default: a}, port: {default: 8443}, base: {default: ''}}}]",
            &["https://a:8443/"],
            false,
        );
        check("[{url: 'https://{host}', variables: {host: {enum: [a]}}}]", &["https://{host}"], false);
        let many: String = (0..40).map(|n| format!("v{n}: {{default: {n}}}, ")).collect();
        check(&format!("[{{url: 'https://{{v39}}', variables: {{{many}}}}}]"), &["https://39"], false);
        let long = "x".repeat(URL_BYTES_MAX + 1);
        check(&format!("[{{url: '/{{v}}', variables: {{v: {{default: {long}}}}}}}]"), &["/{v}"], false);
    }
}
