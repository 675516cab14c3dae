//! The contract of [`TelemetrySink`] for exported batches; lines and metrics stay in the host.

use http::{HeaderMap, HeaderValue, Uri};
use tollgate_edge::ports::{Host, TelemetrySink};

use crate::breach::present;
use crate::stage::Server;
use crate::{Outcome, Subject};

/// A batch arrives with its fields and content, and its status is returned, whatever it is.
pub(crate) async fn posts_a_batch<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for status in [200, 503] {
        let endpoint: Uri = format!("{}/v1/traces?status={status}", server.url).parse()?;
        let fields = HeaderMap::from_iter([("x-batch".parse()?, HeaderValue::from_static("1"))]);
        let answered = subject.host().telemetry_sink().post(&endpoint, fields, b"{\"spans\":[]}".to_vec()).await?;
        ensure_eq!(answered.as_u16(), status, "the status");
        let received = present(server.report(subject).await?.last, "the batch")?;
        ensure_eq!((received.method.as_str(), received.content.as_str()), ("POST", "{\"spans\":[]}"), "the batch");
        ensure_eq!(received.field("x-batch"), "1", "its field");
    }
    Ok(())
}

/// A missing receiver is an error.
pub(crate) async fn a_missing_receiver_is_an_error<S: Subject>(subject: &S) -> Outcome {
    let gone = Server::start(subject).await?.stop(subject).await?;
    let status = subject.host().telemetry_sink().post(&format!("{gone}/").parse()?, HeaderMap::new(), Vec::new()).await;
    ensure!(status.is_err(), "{status:?} instead of no answer");
    Ok(())
}
