//! The state of a request that outlives the reader of its content.

use std::cell::Cell;
use std::rc::Rc;

use crate::local::Signal;

/// What happens to a request while it is forwarded; clones are the same state.
///
/// The reader of its content may be a connection that ignores the content's errors, and its client may disconnect.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestState(Rc<State>);

#[derive(Debug, Default)]
struct State {
    fault: Cell<Option<RequestFault>>,
    client_gone: Signal,
}

/// The fault of a request's content, for callers that only see that its reader failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// It is longer than allowed.
    LimitExceeded,
    /// It was interrupted or malformed.
    Interrupted,
}

/// Waits for the response on behalf of the client; dropped before that, the client is gone.
#[derive(Debug)]
pub(crate) struct Waiting(Option<RequestState>);

impl RequestState {
    pub(crate) fn fault(&self) -> Option<RequestFault> {
        self.0.fault.get()
    }

    pub(super) fn failed(&self, fault: RequestFault) {
        self.0.fault.set(Some(fault));
    }

    pub(crate) fn is_client_gone(&self) -> bool {
        self.0.client_gone.is_given()
    }

    /// Returns when the client is gone.
    pub(crate) async fn client_gone(&self) {
        self.0.client_gone.given().await;
    }

    /// A guard that the client's side holds until it has the response.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting(Some(self.clone()))
    }
}

impl Waiting {
    /// The response has arrived.
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(request) = &self.0 {
            request.0.client_gone.give();
        }
    }
}
