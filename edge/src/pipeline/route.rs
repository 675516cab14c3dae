//! route: the configuration for the host is found, and in it the most specific route.

use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use tollgate_core::forward::Reply;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::route::Matched;
use tollgate_core::telemetry::RouteLabel;
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Answer, Exchange, Journal, Received};
use crate::config::NoSite;
use crate::isolate::{Freshness, Isolate};
use crate::ports::{Content, Host};
use crate::site::{Site, Sites};

/// What routing comes to.
pub(super) enum Routed<C: Content> {
    /// A request with its route.
    Exchange(Box<Exchange>),
    /// The gateway's own answer to OPTIONS.
    Options(Answer<C>),
}

/// The configuration for the request's host, that of the most specific pattern first.
pub(super) async fn sites<H: Host>(
    isolate: &Isolate,
    host: &H,
    received: &Received,
    journal: &mut Journal,
) -> Result<Sites, Problem> {
    if isolate.settings.freshness == Freshness::EachRequest && isolate.is_ready() {
        isolate.refresh(host).await;
    }
    isolate.config.sites(host, &received.host, received.client.inside).await.map_err(|reason| {
        let problem = no_site(&reason, &isolate.settings.gateway);
        journal.decisions.note(Phase::Route, Verdict::Error, problem.log.clone());
        problem
    })
}

/// The route of the request; `OPTIONS` that no route takes is answered here.
pub(super) fn route<C: Content>(sites: Sites, received: Received, journal: &mut Journal) -> Result<Routed<C>, Problem> {
    let (place, found) = Site::find(&sites, &received.head(&received.method));
    match found {
        Matched::Route { index, .. } => {
            let exchange = Exchange::new(received, sites, place, index);
            let route = exchange.route();
            // The compiler puts internal routes on internal hosts only; that they stay there does not rest on it alone.
            if route.internal && !exchange.received.client.inside {
                journal.decisions.note(Phase::Route, Verdict::Refuse, "the route is internal");
                return Err(not_found());
            }
            journal.decisions.note(Phase::Route, Verdict::Pass, format!("{} ({})", route.id, route.path));
            let template = route.path.label().to_owned();
            journal.route = Some(RouteLabel { id: route.id.clone(), api: route.api.clone(), template });
            Ok(Routed::Exchange(Box::new(exchange)))
        }
        Matched::OtherMethods(methods) => {
            let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            if received.method == Method::OPTIONS {
                journal.decisions.note(Phase::Route, Verdict::Answer, "OPTIONS on a known path");
                return Ok(Routed::Options(options(&allow)));
            }
            journal.decisions.note(Phase::Route, Verdict::Refuse, "known path, other method");
            let detail = format!("This URL takes {allow}.");
            Err(Problem::new(ProblemKind::MethodNotAllowed, detail).with(ALLOW, allow).logged("other method"))
        }
        Matched::Nothing => {
            journal.decisions.note(Phase::Route, Verdict::Refuse, "no route has this host and path");
            Err(not_found())
        }
    }
}

fn options<C: Content>(allow: &str) -> Answer<C> {
    let mut response = Response::new(C::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(value) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, value);
    }
    Answer::new(Reply::own(response))
}

/// The same answer for what is not there and for what is not for this client: nothing to probe.
pub(super) fn not_found() -> Problem {
    let detail = "No route has this host and path. Check the URL; a trailing slash and upper case count.";
    Problem::new(ProblemKind::RouteNotFound, detail).logged("no route")
}

fn no_site(reason: &NoSite, gateway: &str) -> Problem {
    match reason {
        NoSite::UnknownHost => not_found(),
        NoSite::Unpublished => Problem::new(
            ProblemKind::NoConfiguration,
            format!("Nothing was published to the gateway `{gateway}` yet. Publish a project to it: tollgate publish PROJECT --help shows how for each host."),
        )
        .with(RETRY_AFTER, "5")
        .logged("no bundle"),
        NoSite::Unavailable(log) => {
            let detail = "The gateway cannot reach its configuration. Try again later.";
            Problem::new(ProblemKind::StoreUnavailable, detail).with(RETRY_AFTER, "5").logged(log.clone())
        }
        NoSite::Unusable(log) => Problem::new(
            ProblemKind::NoConfiguration,
            format!("What was published to the gateway `{gateway}` cannot be used; its log says why. Publish again: tollgate publish PROJECT."),
        )
        .with(RETRY_AFTER, "5")
        .logged(log.clone()),
    }
}
