//! operate: requests for the operator endpoint are handled before routing.

use std::sync::Arc;

use tollgate_core::event::{Phase, Reason, RouteLabel, Verdict};
use tollgate_core::forward::Reply;
use tollgate_core::operator::Claim;
use tollgate_core::telemetry::OPERATOR_ROUTE;

use super::exchange::{Answer, Journal, Received};
use super::receive::admit;
use super::route;
use super::step::Step;
use crate::isolate::Isolate;
use crate::operator::{self, Call, Gate};
use crate::ports::{Content, Host, complete};
use crate::problems::not_found;

/// Whether a request is for the operator endpoint, on or off; if so it is never routed.
pub(super) fn is_claimed(isolate: &Isolate, received: &Received) -> bool {
    isolate.operators.settings.place.claim(&received.host, &received.path) != Claim::Foreign
}

/// Answers a request for the operator endpoint.
pub(super) async fn operate<H: Host>(
    isolate: &Isolate,
    host: &H,
    mut received: Received,
    content: H::Content,
    journal: &mut Journal,
) -> Step<Answer<H::Content>, H::Content> {
    let Gate::Open(tokens) = operator::gate(isolate, host, &received.host, &received.path).await? else {
        // The same as for any other path without a route, independent of the gateway's state.
        route::sites(isolate, host, &mut received, &content, journal).await?;
        return Err(journal.refused(Phase::Route, not_found(Reason::OperatorOff)).into());
    };
    if let Some(gateway) = isolate.gateway(host).await {
        received.find_client(&gateway);
        journal.identify(&received, &gateway);
    }
    admit(host, &received, &content, journal)?;
    complete(&mut received.fields, content.left_out());
    let template = format!("{}/{{}}", isolate.operators.settings.place.prefix);
    let route = RouteLabel::new(OPERATOR_ROUTE, "tollgate", &template);
    journal.note(Phase::Route, Verdict::Pass, Reason::RouteFound { route: Arc::new(route) });
    let call = Call {
        method: &received.method,
        path: &received.path,
        query: received.query.as_deref(),
        fields: &received.fields,
        content,
        address: received.origin.address,
        request_id: journal.request_id.as_str(),
    };
    let response = operator::answer(isolate, host, &tokens, call).await?;
    Ok(Answer::new(Reply::own(response)))
}
