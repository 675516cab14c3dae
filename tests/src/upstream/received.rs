//! What an upstream remembers of the requests it received.

use std::cell::RefCell;
use std::collections::VecDeque;

use serde::Serialize;

/// How many requests are remembered; older ones are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// One request, as it came over the wire.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Received {
    pub method: String,
    /// The request target, untouched.
    pub target: String,
    pub version: String,
    /// In the order they came, names as they were spelled.
    pub fields: Vec<(String, String)>,
    pub content_length: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub content_sha256: String,
    /// The beginning of the content, as text.
    #[serde(skip)]
    pub content: String,
    /// Whether the content came to its end.
    pub content_complete: bool,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// Whether the whole answer could be written.
    pub answered: bool,
}

impl Received {
    /// The path of the target, without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// All values of a field, whatever its spelling.
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

/// All that was received, oldest first.
#[derive(Debug, Default)]
pub struct Report {
    requests: RefCell<VecDeque<Received>>,
    /// How many were forgotten, so that an index stays what it was.
    forgotten: RefCell<usize>,
    handshakes_refused: RefCell<usize>,
    /// How many requests are still to be answered 503, whatever they ask for.
    to_refuse: RefCell<usize>,
}

impl Report {
    /// A copy of what is remembered.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.requests.borrow().iter().cloned().collect()
    }

    /// The newest request.
    #[must_use]
    pub fn last(&self) -> Option<Received> {
        self.requests.borrow().back().cloned()
    }

    /// How many requests asked for this path, whatever their query.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        let requests = self.requests.borrow();
        requests.iter().filter(|request| request.path() == path).count()
    }

    /// How many requests came in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.requests.borrow().len() + *self.forgotten.borrow()
    }

    /// How many TLS handshakes a client broke off.
    #[must_use]
    pub fn handshakes_refused(&self) -> usize {
        *self.handshakes_refused.borrow()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.forgotten.borrow_mut() += self.requests.borrow().len();
        self.requests.borrow_mut().clear();
    }

    /// Answers the next requests with 503, for callers that cannot say so in a query.
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

    /// Remembers a request whose head has come; the index is for [`Report::update`].
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
