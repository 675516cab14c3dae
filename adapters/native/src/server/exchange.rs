//! One exchange: from hyper's request to the pipeline and back, in its own task.

use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use tollgate_edge::Client;

use super::isolate::Serving;
use crate::content::NativeContent;
use crate::local::apart;

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
    .unwrap_or_else(tollgate_edge::failed)
}
