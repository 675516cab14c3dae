//! The requests that an upstream received.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use serde::Serialize;

/// The number of requests that are kept; older ones are dropped.
const REMEMBERED_MAX: usize = 4096;

/// One request, as received.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Received {
    pub method: String,
    /// The request target, unchanged.
    pub target: String,
    pub version: String,
    /// In the order of arrival, with names as they were sent.
    pub fields: Vec<(String, String)>,
    /// The trailers of its content.
    pub trailers: Vec<(String, String)>,
    pub content_length: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub content_sha256: String,
    /// The beginning of the content, as text.
    #[serde(skip)]
    pub content: String,
    /// Whether the content was received completely.
    pub content_complete: bool,
    /// The number of its connection, counted from 1.
    pub connection: u64,
    /// Whether the complete answer could be written.
    pub answered: bool,
    /// Whether nothing more is read or written for it, also because its client left.
    pub ended: bool,
}

impl Received {
    /// The path of the target, without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// All values of a field, in any letter case.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

/// All received requests, oldest first.
#[derive(Debug, Default)]
pub struct Report {
    requests: RefCell<VecDeque<Received>>,
    /// How many were dropped, so that indices stay valid.
    forgotten: RefCell<usize>,
    handshakes_refused: RefCell<usize>,
    /// The content of answers to requests for a path, whatever their query says.
    served: RefCell<HashMap<String, String>>,
    /// How many of the next requests are answered 503, whatever their query says.
    to_refuse: RefCell<usize>,
}

impl Report {
    /// Answers requests for a path with this content.
    pub(super) fn serve(&self, path: &str, content: &str) {
        self.served.borrow_mut().insert(path.to_owned(), content.to_owned());
    }

    /// The content for a request target, if there is one.
    pub(super) fn served(&self, target: &str) -> Option<String> {
        self.served.borrow().get(target.split('?').next().unwrap_or_default()).cloned()
    }

    /// What it answers requests for some paths with.
    #[must_use]
    pub fn contents(&self) -> Vec<String> {
        self.served.borrow().values().cloned().collect()
    }

    /// A copy of the recorded requests.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.requests.borrow().iter().cloned().collect()
    }

    /// The newest request.
    #[must_use]
    pub fn last(&self) -> Option<Received> {
        self.requests.borrow().back().cloned()
    }

    /// The number of requests for this path, with any query.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        let requests = self.requests.borrow();
        requests.iter().filter(|request| request.path() == path).count()
    }

    /// The total number of requests.
    #[must_use]
    pub fn total(&self) -> usize {
        self.requests.borrow().len() + *self.forgotten.borrow()
    }

    /// The number of TLS handshakes that clients aborted.
    #[must_use]
    pub fn handshakes_refused(&self) -> usize {
        *self.handshakes_refused.borrow()
    }

    /// Clears everything.
    pub fn clear(&self) {
        *self.forgotten.borrow_mut() += self.requests.borrow().len();
        self.requests.borrow_mut().clear();
    }

    /// Answers the next requests with 503, for callers that cannot set a query.
    pub fn refuse_next(&self, count: usize) {
        *self.to_refuse.borrow_mut() = count;
    }

    pub(super) fn refuses(&self) -> bool {
        let mut left = self.to_refuse.borrow_mut();
        let refuses = *left > 0;
        *left = left.saturating_sub(1);
        refuses
    }

    pub(super) fn refused_handshake(&self) {
        *self.handshakes_refused.borrow_mut() += 1;
    }

    /// Records a request whose head has arrived; the index is for [`Report::update`].
    pub(super) fn add(&self, received: Received) -> usize {
        let mut requests = self.requests.borrow_mut();
        if requests.len() == REMEMBERED_MAX {
            requests.pop_front();
            *self.forgotten.borrow_mut() += 1;
        }
        requests.push_back(received);
        requests.len() - 1 + *self.forgotten.borrow()
    }

    pub(super) fn update(&self, index: usize, change: impl FnOnce(&mut Received)) {
        let forgotten = *self.forgotten.borrow();
        let mut requests = self.requests.borrow_mut();
        if let Some(received) = index.checked_sub(forgotten).and_then(|at| requests.get_mut(at)) {
            change(received);
        }
    }
}
