//! The names of attributes and metrics: those of OpenTelemetry's semantic conventions if they exist, `tollgate.*` otherwise.

pub(super) const METHOD: &str = "http.request.method";
pub(super) const STATUS: &str = "http.response.status_code";
/// The template of the route. It stands for `url.path`, which is never recorded: paths contain names and numbers of
/// persons.
pub(super) const ROUTE: &str = "http.route";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const SCHEME: &str = "url.scheme";
pub(super) const CLIENT_ADDRESS: &str = "client.address";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";
pub(super) const PROTOCOL_VERSION: &str = "network.protocol.version";

pub(super) const ROUTE_ID: &str = "tollgate.route.id";
pub(super) const API: &str = "tollgate.api";
pub(super) const REQUEST_ID: &str = "tollgate.request.id";
pub(super) const CONSUMER: &str = "tollgate.consumer";
pub(super) const CREDENTIAL: &str = "tollgate.credential";
pub(super) const PLAN: &str = "tollgate.plan";
pub(super) const PROBLEM: &str = "tollgate.problem";
pub(super) const POLICY: &str = "tollgate.policy";
pub(super) const CACHE: &str = "tollgate.cache";
pub(super) const UPSTREAM: &str = "tollgate.upstream";
pub(super) const PHASE: &str = "tollgate.phase";
pub(super) const VERDICT: &str = "tollgate.verdict";
/// The stable code of a reason.
pub(super) const CODE: &str = "tollgate.reason.code";
/// A reason as text.
pub(super) const REASON: &str = "tollgate.reason";

/// A metric: its names, and those of its labels, in OTLP and in the Prometheus format.
pub(super) struct Family<const N: usize> {
    pub(super) otlp: &'static str,
    pub(super) prometheus: &'static str,
    pub(super) help: &'static str,
    pub(super) attributes: [&'static str; N],
    pub(super) labels: [&'static str; N],
}

pub(super) const EXCHANGES: Family<6> = Family {
    otlp: "http.server.request.duration",
    prometheus: "http_server_request_duration_seconds",
    help: "Duration of exchanges.",
    attributes: [ROUTE_ID, ROUTE, METHOD, STATUS, SCHEME, ERROR_TYPE],
    labels: ["route_id", "http_route", "http_request_method", "http_response_status_code", "url_scheme", "error_type"],
};

pub(super) const UPSTREAM_CALLS: Family<6> = Family {
    otlp: "http.client.request.duration",
    prometheus: "http_client_request_duration_seconds",
    help: "Duration of calls to upstreams.",
    attributes: [UPSTREAM, METHOD, SERVER_ADDRESS, SERVER_PORT, STATUS, ERROR_TYPE],
    labels: [
        "upstream",
        "http_request_method",
        "server_address",
        "server_port",
        "http_response_status_code",
        "error_type",
    ],
};

pub(super) const REFUSALS: Family<3> = Family {
    otlp: "tollgate.refusals",
    prometheus: "tollgate_refusals_total",
    help: "Refusals and errors.",
    attributes: [ROUTE_ID, POLICY, PROBLEM],
    labels: ["route_id", "policy", "problem"],
};

pub(super) const CACHE_OUTCOMES: Family<2> = Family {
    otlp: "tollgate.cache.outcomes",
    prometheus: "tollgate_cache_outcomes_total",
    help: "Exchanges by the result of the cache.",
    attributes: [ROUTE_ID, CACHE],
    labels: ["route_id", "outcome"],
};

pub(super) const OPEN_ON_FAILURE: Family<1> = Family {
    otlp: "tollgate.open_on_failure",
    prometheus: "tollgate_open_on_failure_total",
    help: "Decisions made while their store was unavailable.",
    attributes: [POLICY],
    labels: ["policy"],
};
