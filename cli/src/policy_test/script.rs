//! Upstreams, and services that the gateway itself asks, that answer by the scripts of a test.

use std::cell::RefCell;
use std::collections::HashMap;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use tollgate_config::Spanned;
use tollgate_config::policy_tests::{Answer, Answers, Rule, Script, ScriptedAnswer};
use tollgate_core::forward::{UpstreamError, UpstreamSettings};
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Content as _;

/// The scripts of a case and the position in each.
#[derive(Default)]
pub(super) struct Scripts {
    /// Each upstream with its URL, the longest first: if two are prefixes of a request's URL, the longer one matches.
    upstreams: Vec<(String, String)>,
    scripts: HashMap<String, Script>,
    /// Whether only those that have a script can be reached, and receivers of notices.
    is_closed: bool,
    receivers: Vec<Uri>,
    /// The answers of the step, which override the scripts.
    step: RefCell<Option<Answers>>,
    /// The route of the step's requests, if a rule needs it.
    route: RefCell<Option<String>>,
    given: RefCell<HashMap<Place, usize>>,
    /// The upstreams called since this was last read.
    called: RefCell<Vec<String>>,
}

/// A sequence of answers: the step's own, or that of an upstream's rule, or of the upstream itself.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    Step,
    Rule(String, usize),
    Upstream(String),
}

type Scripted = (u64, Result<Response<Content>, UpstreamError>);

impl Scripts {
    pub(super) fn new(
        upstreams: &[UpstreamSettings],
        of_file: &[(Spanned<String>, Script)],
        of_case: &[(Spanned<String>, Script)],
    ) -> Self {
        let mut upstreams: Vec<(String, String)> =
            upstreams.iter().map(|upstream| (upstream.name.clone(), upstream.url.to_string())).collect();
        upstreams.sort_by_key(|(_, url)| std::cmp::Reverse(url.len()));
        let scripts = of_file.iter().chain(of_case).map(|(name, script)| (name.value.clone(), script.clone()));
        Self { upstreams, scripts: scripts.collect(), ..Self::default() }
    }

    /// Services that the gateway itself asks, each named by its URL. Others cannot be reached; receivers without a script take every notice.
    pub(super) fn of_services(
        of_file: &[(Spanned<String>, Script)],
        of_case: &[(Spanned<String>, Script)],
        receivers: Vec<Uri>,
    ) -> Self {
        let all = of_file.iter().chain(of_case).map(|(url, script)| (url.value.clone(), script.clone()));
        let scripts: HashMap<String, Script> = all.collect();
        let mut upstreams: Vec<(String, String)> = scripts.keys().map(|url| (url.clone(), url.clone())).collect();
        upstreams.sort_by_key(|(_, url)| std::cmp::Reverse(url.len()));
        Self { upstreams, scripts, is_closed: true, receivers, ..Self::default() }
    }

    /// Whether a rule needs the route of a request.
    pub(super) fn ask_for_routes(&self) -> bool {
        self.scripts.values().flat_map(|script| &script.rules).any(|rule| rule.route.is_some())
    }

    /// Starts a step.
    pub(super) fn begin_step(&self, answers: Option<&Answers>, route: Option<String>) {
        self.step.replace(answers.cloned());
        self.route.replace(route);
        self.given.borrow_mut().remove(&Place::Step);
    }

    /// Returns and clears the names of the upstreams called since the last call.
    pub(super) fn take_called(&self) -> Vec<String> {
        std::mem::take(&mut self.called.borrow_mut())
    }

    pub(super) fn answer(&self, request: &Request<Content>) -> Scripted {
        let name = self.name_of(request);
        self.called.borrow_mut().push(name.clone());
        let step = self.step.borrow();
        let (place, answers) = match (step.as_ref(), self.scripts.get(&name)) {
            (Some(answers), _) => (Place::Step, answers),
            (None, None) if self.receivers.contains(request.uri()) => return (0, Ok(taken())),
            (None, None) if self.is_closed => return (0, Err(UpstreamError::ConnectionRefused)),
            (None, None) => return (0, Ok(Response::new(Content::empty()))),
            (None, Some(script)) => {
                match script.rules.iter().position(|rule| applies(rule, request, self.route.borrow().as_deref())) {
                    Some(at) => (Place::Rule(name, at), &script.rules[at].answers),
                    None => (Place::Upstream(name), &script.answers),
                }
            }
        };
        self.next(place, answers).map_or_else(
            || (0, Ok(Response::new(Content::empty()))),
            |answer| (answer.delay_ms, answer.outcome.as_ref().map_err(|e| *e).map(|a| response(a, request.method()))),
        )
    }

    /// The next answer of a sequence; the last one is repeated.
    fn next<'a>(&self, place: Place, answers: &'a Answers) -> Option<&'a ScriptedAnswer> {
        if answers.0.len() < 2 {
            return answers.0.first();
        }
        let mut given = self.given.borrow_mut();
        let count = given.entry(place).or_insert(0);
        let answer = answers.0.get(*count).or(answers.0.last());
        *count += 1;
        answer
    }

    fn name_of(&self, request: &Request<Content>) -> String {
        let url = request.uri().to_string();
        let begins =
            |base: &str| url.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        let found = self.upstreams.iter().find(|(_, base)| begins(base.trim_end_matches('/')));
        found.map_or_else(String::new, |(name, _)| name.clone())
    }
}

/// The answer of a receiver that has a notice.
fn taken() -> Response<Content> {
    let mut response = Response::new(Content::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn applies(rule: &Rule, request: &Request<Content>, route: Option<&str>) -> bool {
    rule.method.as_ref().is_none_or(|method| method == request.method())
        && rule.path.as_ref().is_none_or(|pattern| fits(pattern, request.uri().path()))
        && rule.content.as_ref().is_none_or(|pattern| fits(pattern, &String::from_utf8_lossy(request.body().bytes())))
        && rule.route.as_ref().is_none_or(|wanted| route.is_some_and(|id| is_route(id, &wanted.value)))
}

/// Whether a name is that of a route: its id, or the part of it after the API's name.
pub(super) fn is_route(id: &str, name: &str) -> bool {
    id == name || id.split_once('.').is_some_and(|(_, operation)| operation == name)
}

/// Whether a path matches a pattern in which `*` matches any text.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(mut left) = path.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(tail) = parts.pop() else { return true };
    for part in parts {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(tail)
}

fn response(answer: &Answer, method: &Method) -> Response<Content> {
    let bytes = answer.content.bytes();
    let mut response = Response::new(Content::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_default();
    let fields = response.headers_mut();
    if let Some(media_type) = answer.content.media_type {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if !answer.content.undeclared && !bytes.is_empty() {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    for (at, (name, value)) in answer.fields.iter().enumerate() {
        // The test's fields replace those derived from the content; several lines of one name are kept.
        if answer.fields[..at].iter().any(|(earlier, _)| earlier == name) {
            fields.append(name, value.clone());
        } else {
            fields.insert(name, value.clone());
        }
    }
    if method != Method::HEAD {
        *response.body_mut() = if answer.breaks { Content::breaking_after(bytes) } else { Content::from_bytes(bytes) };
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, path, expected) in [
            ("/a", "/a", true),
            ("/a", "/a/b", false),
            ("/a/*", "/a/b/c", true),
            ("/a/*", "/a", false),
            ("*", "/anything", true),
            ("/*/c", "/a/b/c", true),
            ("/*/x", "/a/b/c", false),
            ("/a*c*e", "/abcde", true),
            ("/a*e*c", "/abcde", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }
}
