//! One exchange: from hyper's request to the pipeline and back, in its own task.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use tokio::time::Instant;
use tollgate_edge::Client;

use super::activity::{Activity, Answer, Delivering};
use super::isolate::Serving;
use crate::content::{Deadline, NativeContent, RequestState};
use crate::local::apart;

/// Answers the request.
///
/// The pipeline runs to completion in its own task: if the client disconnects, the exchange is still recorded and
/// refunds are made, and a panic affects this exchange only. A request whose client is gone before its turn is dropped.
pub(super) fn answer(
    serving: &Rc<Serving>,
    activity: &Rc<Activity>,
    client: Client,
    request: Request<Incoming>,
) -> impl Future<Output = Response<Answer>> + use<> {
    let mut busy = activity.begin(!hyper::body::Body::is_end_stream(request.body()));
    let delivering = Rc::new(Delivering::on(activity));
    if request.version() == Version::HTTP_2 {
        serving.streams.announce(&delivering);
    }
    let (serving, activity) = (Rc::clone(serving), Rc::clone(activity));
    async move {
        // The work of an exchange may outlast its stream, so streams alone do not bound it.
        activity.exchanges.below(EXCHANGES_PER_CONNECTION_MAX).await;
        let response = if serving.exchanges.count() < serving.exchanges_max {
            serve(&serving, &activity, client, request, &delivering).await
        } else {
            serving.complain("exchanges-full", "too many requests are handled at once");
            tollgate_edge::overloaded()
        };
        busy.answered();
        response.map(|content| Answer { content, delivering, _busy: busy })
    }
}

async fn serve(
    serving: &Rc<Serving>,
    activity: &Activity,
    client: Client,
    request: Request<Incoming>,
    delivering: &Rc<Delivering>,
) -> Response<NativeContent> {
    let tracking = (serving.exchanges.track(), activity.exchanges.track());
    let state = RequestState::default();
    let waiting = state.waiting();
    let version = request.version();
    let request = request.map(|incoming| NativeContent::from_client(incoming, version, state));
    let (serving, delivering) = (Rc::clone(serving), Rc::clone(delivering));
    let answered = apart(async move |sender| {
        let served = tollgate_edge::serve(&serving.isolate, &serving.host, request, client).await;
        let response = served.reply.into_response();
        let deadline = response.body().deadline();
        // The client may have disconnected; then the response is dropped, and its delivery is recorded as aborted.
        let _ = sender.send(response);
        delivered(served.after, deadline, &delivering).await;
        drop(tracking);
    });
    let response = answered.await.unwrap_or_else(tollgate_edge::failed);
    waiting.answered();
    response
}

/// Runs the work after the reply to its end, and ends the delivery if it takes too long: the deadline applies whether or
/// not the client takes the content, and a client that takes nothing for [`UNREAD_MAX`] gets no more.
async fn delivered<T>(after: impl Future<Output = T>, deadline: Option<Deadline>, delivering: &Delivering) {
    let mut after = pin!(after);
    let mut ends = deadline.as_ref().and_then(Deadline::instant);
    let mut asked = None;
    loop {
        let check = Instant::now() + UNREAD_MAX;
        let next = ends.map_or(check, |ends| ends.min(check));
        tokio::select! {
            biased;
            _ = after.as_mut() => return,
            () = tokio::time::sleep_until(next) => {}
        }
        if let (Some(deadline), Some(_)) = (&deadline, ends.take_if(|ends| *ends <= Instant::now())) {
            deadline.expire();
            // A client that reads is told by its connection.
            if tokio::time::timeout(EXPIRY_NOTICED_MAX, after.as_mut()).await.is_ok() {
                return;
            }
            delivering.cut();
        }
        if !delivering.is_waiting() && asked.replace(delivering.asked()) == Some(delivering.asked()) {
            delivering.cut();
        }
    }
}

/// Exchanges of one connection until their work ends: all of its streams, and some whose clients have reset them.
const EXCHANGES_PER_CONNECTION_MAX: usize = super::connection::STREAMS_MAX as usize + 32;

/// How long a client may take no content; nginx's `send_timeout`.
const UNREAD_MAX: Duration = Duration::from_secs(60);

/// How long a connection may take to notice that its content has ended.
const EXPIRY_NOTICED_MAX: Duration = Duration::from_secs(1);
