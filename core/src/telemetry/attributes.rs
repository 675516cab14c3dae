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
pub(super) const NOTICE: &str = "tollgate.notice";
/// The stable code of a reason.
pub(super) const CODE: &str = "tollgate.reason.code";
/// A reason as text.
pub(super) const REASON: &str = "tollgate.reason";

/// A metric: its names, and those of its labels, in OTLP and in the Prometheus format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Exchanges,
    UpstreamCalls,
    Refusals,
    CacheOutcomes,
    OpenOnFailure,
    LimitNotices,
}

/// What is constant about a [`Family`].
pub(super) struct Description {
    pub(super) otlp: &'static str,
    pub(super) prometheus: &'static str,
    pub(super) help: &'static str,
    /// Whether it is a histogram of durations; otherwise it is a counter.
    pub(super) is_histogram: bool,
    /// The labels, each with its name in OTLP and in the Prometheus format.
    pub(super) labels: &'static [(&'static str, &'static str)],
}

/// The maximum number of labels of a family.
pub(super) const LABELS_MAX: usize = 6;

impl Family {
    /// In the order in which they are written.
    pub(super) const ALL: [Self; 6] = [
        Self::Exchanges,
        Self::UpstreamCalls,
        Self::Refusals,
        Self::CacheOutcomes,
        Self::OpenOnFailure,
        Self::LimitNotices,
    ];

    pub(super) const fn description(self) -> &'static Description {
        match self {
            Self::Exchanges => &EXCHANGES,
            Self::UpstreamCalls => &UPSTREAM_CALLS,
            Self::Refusals => &REFUSALS,
            Self::CacheOutcomes => &CACHE_OUTCOMES,
            Self::OpenOnFailure => &OPEN_ON_FAILURE,
            Self::LimitNotices => &LIMIT_NOTICES,
        }
    }
}

static EXCHANGES: Description = Description {
    otlp: "http.server.request.duration",
    prometheus: "http_server_request_duration_seconds",
    help: "Duration of exchanges.",
    is_histogram: true,
    labels: &[
        (ROUTE_ID, "route_id"),
        (ROUTE, "http_route"),
        (METHOD, "http_request_method"),
        (STATUS, "http_response_status_code"),
        (SCHEME, "url_scheme"),
        (ERROR_TYPE, "error_type"),
    ],
};

static UPSTREAM_CALLS: Description = Description {
    otlp: "http.client.request.duration",
    prometheus: "http_client_request_duration_seconds",
    help: "Duration of calls to upstreams.",
    is_histogram: true,
    labels: &[
        (UPSTREAM, "upstream"),
        (METHOD, "http_request_method"),
        (SERVER_ADDRESS, "server_address"),
        (SERVER_PORT, "server_port"),
        (STATUS, "http_response_status_code"),
        (ERROR_TYPE, "error_type"),
    ],
};

static REFUSALS: Description = Description {
    otlp: "tollgate.refusals",
    prometheus: "tollgate_refusals_total",
    help: "Refusals and errors.",
    is_histogram: false,
    labels: &[(ROUTE_ID, "route_id"), (POLICY, "policy"), (PROBLEM, "problem")],
};

static CACHE_OUTCOMES: Description = Description {
    otlp: "tollgate.cache.outcomes",
    prometheus: "tollgate_cache_outcomes_total",
    help: "Exchanges by the result of the cache.",
    is_histogram: false,
    labels: &[(ROUTE_ID, "route_id"), (CACHE, "outcome")],
};

static LIMIT_NOTICES: Description = Description {
    otlp: "tollgate.limit_notices",
    prometheus: "tollgate_limit_notices_total",
    help: "Requests that a limit in shadow mode would have refused, shares of limits that were reached, their notices to receivers, and charges from leases.",
    is_histogram: false,
    labels: &[(POLICY, "policy"), (NOTICE, "notice")],
};

static OPEN_ON_FAILURE: Description = Description {
    otlp: "tollgate.open_on_failure",
    prometheus: "tollgate_open_on_failure_total",
    help: "Decisions made while their store was unavailable.",
    is_histogram: false,
    labels: &[(POLICY, "policy")],
};
