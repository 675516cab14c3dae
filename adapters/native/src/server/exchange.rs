//! One exchange: from hyper's request to the pipeline and back, in its own task.

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tollgate_edge::Client;

use super::isolate::Serving;
use crate::content::NativeContent;

/// Answers the request.
///
/// The pipeline runs to completion in its own task: if the client disconnects, the exchange is still recorded and
/// refunds are made, and a panic affects this exchange only.
pub(super) async fn answer(
    serving: Rc<Serving>,
    client: Client,
    request: Request<Incoming>,
) -> Response<NativeContent> {
    let request = request.map(NativeContent::from_client);
    let tracking = serving.exchanges.track();
    apart(async move |sender| {
        let served = tollgate_edge::serve(&serving.isolate, &serving.host, request, client).await;
        // The client may have disconnected; then the response is dropped, and its delivery is recorded as aborted.
        let _ = sender.send(served.reply.into_response());
        served.after.await;
        drop(tracking);
    })
    .await
}

/// Runs the work in its own task and waits for the response, which it sends before its end.
async fn apart<W>(work: W) -> Response<NativeContent>
where
    W: AsyncFnOnce(oneshot::Sender<Response<NativeContent>>) + 'static,
{
    let (sender, response) = oneshot::channel();
    // Some kilobytes of state: boxed, so that the runtime does not move them.
    tokio::task::spawn_local(Box::pin(async move { work(sender).await }));
    // The task panicked; the panic was reported on standard error.
    response.await.unwrap_or_else(|_| tollgate_edge::failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use http::header::CONTENT_TYPE;
    use tollgate_edge::ports::Content;

    #[test]
    fn a_panic_affects_one_exchange_and_is_answered_with_a_problem() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let lost = apart(async |_| panic!("this is part of a test")).await;
            assert_eq!(lost.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(lost.headers()[CONTENT_TYPE], "application/problem+json");
            let next = apart(async |sender| drop(sender.send(Response::new(NativeContent::empty())))).await;
            assert_eq!(next.status(), StatusCode::OK);
        });
    }
}
