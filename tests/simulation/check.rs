//! The invariants after every exchange, with any faults.

use http::Response;
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_edge::memory::Content;

use crate::clients::{CONSUMERS, key};

/// Checks the client's view: an answer of the upstream, or a problem with all required fields.
pub(crate) fn response(asked: &str, response: &Response<Content>, is_head: bool) {
    let status = response.status().as_u16();
    let id = field(response, "x-request-id").expect("a request id");
    for gone in ["x-hop", "connection", "x-token"] {
        assert!(field(response, gone).is_none(), "{asked}: {gone} reached the client");
    }
    let content = response.body().bytes();
    for consumer in CONSUMERS {
        let key = key(consumer);
        assert!(!format!("{:?}", response.headers()).contains(&key), "{asked}: a key in the fields");
        assert!(!String::from_utf8_lossy(content).contains(&key), "{asked}: a key in the content");
    }
    if field(response, "content-type").as_deref() == Some("application/problem+json") {
        problem(asked, response, status, &id, is_head);
    } else if status == 200 && !content.is_empty() {
        let path = asked.split_once(' ').map_or("", |(_, target)| target);
        let path = path.split('?').next().unwrap_or_default().replace("/%6c", "/l");
        let text = String::from_utf8_lossy(content);
        assert!(text.starts_with(&format!("{path} answered 200 v")), "{asked} got another's content: {text}");
    }
}

/// The version in the content of an answer.
pub(crate) fn version(response: &Response<Content>) -> Option<u64> {
    crate::clients::version_of(&String::from_utf8_lossy(response.body().bytes()))
}

/// Whether it is answered from the cache.
pub(crate) fn is_hit(response: &Response<Content>) -> bool {
    field(response, "cache-status").is_some_and(|status| status.starts_with("tollgate; hit"))
}

fn problem(asked: &str, response: &Response<Content>, status: u16, id: &str, is_head: bool) {
    assert!(status >= 400, "{asked}: a problem with {status}");
    let required = match status {
        401 => Some("www-authenticate"),
        405 => Some("allow"),
        429 => Some("retry-after"),
        _ => None,
    };
    if let Some(required) = required {
        assert!(field(response, required).is_some(), "{asked}: {status} without {required}");
    }
    if is_head {
        assert!(response.body().bytes().is_empty(), "{asked}: HEAD with content");
        return;
    }
    let document: serde_json::Value = serde_json::from_slice(response.body().bytes()).expect("a JSON document");
    assert_eq!((&document["status"], &document["request_id"]), (&status.into(), &id.into()), "{asked}");
    assert!(document["type"].as_str().is_some_and(|kind| kind.starts_with("urn:tollgate:problem:")), "{document}");
    let text = document.to_string();
    for internal in ["up.test", "struck by", "s3cret"] {
        assert!(!text.contains(internal), "{asked}: {internal} in {text}");
    }
}

/// Checks that the record matches the answer.
pub(crate) fn record(asked: &str, record: &ExchangeRecord, response: &Response<Content>) {
    assert_eq!(record.status, response.status().as_u16(), "{asked}");
    assert_eq!(Some(record.request_id.as_str()), field(response, "x-request-id").as_deref(), "{asked}");
    let is_problem = field(response, "content-type").as_deref() == Some("application/problem+json");
    assert_eq!(record.refusal().is_some(), is_problem, "{asked}: {:?}", record.refusal());
    assert!(!record.events.as_slice().is_empty(), "{asked}: nothing happened");
}

fn field(response: &Response<Content>, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
