//! operate: requests for the operator endpoint leave the pipeline before they are routed.

use tollgate_core::forward::Reply;
use tollgate_core::operator::Claim;
use tollgate_core::telemetry::RouteLabel;
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Answer, Journal, Outcome, Received};
use super::route;
use crate::isolate::Isolate;
use crate::operator::{self, Call, Gate};
use crate::ports::Host;

/// Whether a request is for the operator endpoint, be it on or off; then it is never routed.
pub(super) fn is_claimed(isolate: &Isolate, received: &Received) -> bool {
    isolate.operators.settings.place.claim(&received.host, &received.path) != Claim::Foreign
}

/// Answers a request for the operator endpoint.
pub(super) async fn operate<H: Host>(
    isolate: &Isolate,
    host: &H,
    received: &Received,
    content: H::Content,
    journal: &mut Journal,
) -> Outcome<H> {
    let Gate::Open(tokens) = operator::gate(isolate, host, &received.host, &received.path).await? else {
        // As any other path that has no route, whatever the state of the gateway.
        route::sites(isolate, host, received, journal).await?;
        journal.decisions.note(Phase::Route, Verdict::Refuse, "reserved for the operator endpoint, which is off here");
        return Err(route::not_found());
    };
    let template = format!("{}/{{}}", isolate.operators.settings.place.prefix);
    journal.route = Some(RouteLabel { id: "tollgate.operator".to_owned(), api: "tollgate".to_owned(), template });
    let call = Call {
        method: &received.method,
        path: &received.path,
        fields: &received.fields,
        content,
        address: received.client.address,
        request_id: &journal.request_id,
    };
    operator::answer(isolate, host, &tokens, call).await.map(|response| Answer::new(Reply::own(response)))
}
