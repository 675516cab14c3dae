//! One exchange: from hyper's request to the pipeline and back, in a task of its own.

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tollgate_edge::Client;

use super::isolate::Serving;
use crate::content::NativeContent;

/// Answers the request.
///
/// The pipeline runs in a task of its own, to its end: a client that goes away takes neither the record nor the refund
/// with it, and a panic costs this exchange alone.
pub(super) async fn answer(
    serving: Rc<Serving>,
    client: Client,
    request: Request<Incoming>,
) -> Response<NativeContent> {
    let request = request.map(NativeContent::from_client);
    let tracking = serving.exchanges.track();
    apart(async move |sender| {
        let served = tollgate_edge::serve(&serving.isolate, &serving.host, request, client).await;
        // The client may have gone; then the response ends here, and its delivery is told as broken off.
        let _ = sender.send(served.reply.into_response());
        served.after.await;
        drop(tracking);
    })
    .await
}

/// Runs the work in a task of its own and waits for the response it hands over before its end.
async fn apart<W>(work: W) -> Response<NativeContent>
where
    W: AsyncFnOnce(oneshot::Sender<Response<NativeContent>>) + 'static,
{
    let (sender, response) = oneshot::channel();
    // Some kilobytes of state: on the heap at once, where the runtime has no need to move them about.
    tokio::task::spawn_local(Box::pin(async move { work(sender).await }));
    // The task panicked; what happened stands on standard error.
    response.await.unwrap_or_else(|_| tollgate_edge::failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use http::header::CONTENT_TYPE;
    use tollgate_edge::ports::Content;

    #[test]
    fn a_panic_costs_one_exchange_and_is_answered_with_a_problem() {
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
