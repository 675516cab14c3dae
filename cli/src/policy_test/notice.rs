//! Notices of limits, as receivers get them.

use http::{Request, Uri};
use serde_json::Value;
use tollgate_config::policy_tests::NoticeExpect;
use tollgate_edge::memory::Content;

/// A notice that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) limit: String,
    /// In percent.
    pub(super) share: u64,
    pub(super) consumer: Option<String>,
    pub(super) plan: Option<String>,
    pub(super) used: Option<u64>,
    pub(super) quota: Option<u64>,
}

/// The notices among requests: each once, however many receivers are told, and however often.
pub(super) fn sent(requests: &[Request<Content>], receivers: &[Uri]) -> Vec<Sent> {
    let mut known = Vec::new();
    let mut all = Vec::new();
    for request in requests.iter().filter(|request| receivers.contains(request.uri())) {
        let id = request.headers().get("webhook-id");
        if !known.contains(&id) {
            known.push(id);
            all.extend(serde_json::from_slice(request.body().bytes()).ok().and_then(|message| Sent::read(&message)));
        }
    }
    all
}

impl Sent {
    fn read(message: &Value) -> Option<Self> {
        let data = message.get("data")?;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| data.get(name).and_then(Value::as_u64);
        Some(Self {
            limit: text("limit")?,
            share: number("threshold")?,
            consumer: text("consumer"),
            plan: text("plan"),
            used: number("used"),
            quota: number("quota"),
        })
    }

    /// Whether it is of the limit and the share of an expectation.
    pub(super) fn is_of(&self, expected: &NoticeExpect) -> bool {
        self.limit == expected.limit.value && self.share == u64::from(expected.share.value.get())
    }
}
