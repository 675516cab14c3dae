//! The answer, as text and as JSON, without keys, secrets and credentials.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tollgate_config::{Compiled, CompiledRoute, Whole};

use tollgate_core::event::Event;

use super::ask::{Explained, Question};
use super::origins;
use super::token::Unverified;
use crate::commands::routes::route_json;
use crate::redaction::{redact, shown, shown_bytes};
use crate::route_table::{authn, cache, duration, guards, hosts, names, policies, upstream};
use crate::terminal::{heading, table};

/// The request to explain.
pub(super) struct Asked {
    method: String,
    host: String,
    target: String,
    https: bool,
    at: String,
    times: u32,
    fields: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn of(question: &Question) -> Self {
        let fields = question.request.headers();
        Self {
            method: question.request.method().to_string(),
            host: fields.get("host").map_or_else(String::new, |host| shown_bytes(host.as_bytes())),
            target: question.request.uri().to_string(),
            https: question.client.https,
            at: question.at.to_rfc3339(),
            times: question.times,
            fields: shown_fields(fields),
        }
    }

    fn url(&self) -> String {
        format!("{}://{}{}", if self.https { "https" } else { "http" }, self.host, self.target)
    }
}

pub(super) fn text(asked: &Asked, explained: &Explained, compiled: &Compiled, tokens: &[Unverified]) -> String {
    let whole = compiled.whole();
    let mut out = format!("{} {} at {}\n", heading(&asked.method), asked.url(), asked.at);
    if asked.times > 1 {
        let counted = explained.statuses.iter().map(|(status, count)| format!("{status} {count} times"));
        let counted: Vec<String> = counted.collect();
        out.push_str(&format!("sent {} times: {}; this is the last\n", asked.times, counted.join(", ")));
    }
    if compiled.settings().proxies.is_some() {
        let client = explained.record.client.address;
        let client = client.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        out.push_str(&format!("the client, by the rule for trusted proxies: {client}\n"));
    }
    out.push_str(&section("route"));
    match route(explained, whole) {
        None => out.push_str("  none\n"),
        Some(route) => out.push_str(&indented(&route_text(whole, route))),
    }
    if let Some(route) = route(explained, whole) {
        out.push_str(&section("settings"));
        out.push_str(&indented(&origins::table_of(compiled, route)));
    }
    out.push_str(&section("decisions"));
    out.push_str(&indented(&decisions(explained)));
    if !tokens.is_empty() {
        out.push_str(&section("token"));
        out.push_str(&indented(&tokens.iter().map(Unverified::text).collect::<String>()));
    }
    out.push_str(&section("response"));
    let status = explained.response.status();
    out.push_str(&format!("  {status}\n"));
    out.push_str(&indented(&fields_text(explained.response.headers())));
    if let Some(problem) = problem(explained) {
        out.push_str(&format!("\n{}", indented(&format!("{problem:#}\n"))));
    }
    out.push_str(&section("upstream"));
    if explained.forwarded.is_empty() {
        out.push_str("  not called\n");
    }
    for request in &explained.forwarded {
        out.push_str(&format!("  {} {}\n", request.method(), request.uri()));
        out.push_str(&indented(&fields_text(request.headers())));
    }
    redact(&out)
}

pub(super) fn json(asked: &Asked, explained: &Explained, compiled: &Compiled, tokens: &[Unverified]) -> String {
    let whole = compiled.whole();
    let upstream: Vec<Value> = explained
        .forwarded
        .iter()
        .map(|request| {
            json!({
                "method": request.method().as_str(),
                "url": request.uri().to_string(),
                "fields": shown_fields(request.headers()),
            })
        })
        .collect();
    let answer = json!({
        "request": {"method": asked.method, "url": asked.url(), "at": asked.at, "fields": asked.fields},
        "client": {"address": explained.record.client.address, "scheme": explained.record.client.scheme()},
        "times": asked.times,
        "statuses": explained.statuses,
        "route": route(explained, whole).map(|route| route_json(whole, route)),
        "settings": route(explained, whole).map(|route| origins::json(compiled, route)["settings"].clone()),
        "decisions": explained.record.events,
        "tokens": tokens.iter().map(|token| json!({
            "policy": token.policy,
            "acceptedIfSigned": token.is_accepted,
            "says": token.says,
        })).collect::<Vec<_>>(),
        "response": {
            "status": explained.response.status().as_u16(),
            "fields": shown_fields(explained.response.headers()),
            "problem": problem(explained),
        },
        "upstream": upstream,
    });
    redact(&format!("{answer:#}\n"))
}

/// The route that matched.
fn route<'a>(explained: &Explained, whole: &'a Whole) -> Option<&'a CompiledRoute> {
    let label = explained.record.route()?;
    whole.routes.iter().find(|route| route.settings.id == *label.id)
}

fn route_text(whole: &Whole, route: &CompiledRoute) -> String {
    let hosts = hosts(route);
    let route = &route.settings;
    let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let upstream = format!("{}{}{}", upstream(whole, route), stripped(route), certificate(whole, route));
    let mut rows = vec![("id", route.id.clone()), ("matches", format!("{} {} on {hosts}", route.methods, route.path))];
    if route.is_guarded() {
        rows.push(("guard", guards(whole, route).join(",")));
    }
    rows.push(("authn", authn(whole, route)));
    if !route.authz.is_empty() {
        rows.push(("authz", names(whole, &route.authz).join(",")));
    }
    rows.extend([
        ("limit", format!("{}, cost {}", or_none(policies(whole, &route.limit)), route.cost)),
        ("cache", if route.cache.is_some() { cache(route) } else { "none".to_owned() }),
        ("timeout", route.timeout_ms.map_or_else(|| "none".to_owned(), duration)),
        ("upstream", upstream),
    ]);
    table(&rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}

/// The certificate that the gateway presents, by the name of its secret.
fn certificate(whole: &Whole, route: &tollgate_core::settings::RouteSettings) -> String {
    let own = whole.upstreams.get(route.upstream).and_then(|upstream| upstream.certificate.as_ref());
    own.map_or_else(String::new, |own| format!(", presenting the certificate {}", own.name))
}

fn stripped(route: &tollgate_core::settings::RouteSettings) -> String {
    match route.strip_segments {
        0 => String::new(),
        1 => ", without the first segment of the path".to_owned(),
        n => format!(", without the first {n} segments of the path"),
    }
}

fn decisions(explained: &Explained) -> String {
    let row = |event: &Event| {
        let policy = event.policy.as_deref().unwrap_or("-").to_owned();
        vec![event.phase.as_str().to_owned(), policy, event.verdict.as_str().to_owned(), event.reason.to_string()]
    };
    let head = ["PHASE", "POLICY", "VERDICT", "REASON"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(explained.record.events.as_slice().iter().map(row)).collect();
    table(&rows)
}

/// The problem's document, if the response is one.
fn problem(explained: &Explained) -> Option<Value> {
    let media_type = explained.response.headers().get(CONTENT_TYPE)?;
    if media_type != "application/problem+json" {
        return None;
    }
    serde_json::from_slice(explained.response.body().bytes()).ok()
}

fn fields_text(fields: &HeaderMap) -> String {
    shown_fields(fields).into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

fn shown_fields(fields: &HeaderMap) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| (name.to_string(), shown(name, value))).collect()
}

fn section(name: &str) -> String {
    format!("\n{}\n", heading(name))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
