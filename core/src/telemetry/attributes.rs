//! The names of attributes and metrics: those of OpenTelemetry's semantic conventions if they exist, `tollgate.*` otherwise.

pub(super) const METHOD: &str = "http.request.method";
pub(super) const STATUS: &str = "http.response.status_code";
pub(super) const ROUTE: &str = "http.route";
pub(super) const ERROR_TYPE: &str = "error.type";

pub(super) const ROUTE_ID: &str = "tollgate.route.id";
pub(super) const API: &str = "tollgate.api";
pub(super) const STATUS_CLASS: &str = "tollgate.status_class";
pub(super) const REQUEST_ID: &str = "tollgate.request.id";
pub(super) const CONSUMER: &str = "tollgate.consumer";
pub(super) const CREDENTIAL: &str = "tollgate.credential";
pub(super) const PLAN: &str = "tollgate.plan";
pub(super) const PROBLEM: &str = "tollgate.problem";
pub(super) const POLICY: &str = "tollgate.policy";
pub(super) const CACHE: &str = "tollgate.cache";
pub(super) const UPSTREAM: &str = "tollgate.upstream";
/// A status class, or the error type if there was no response.
pub(super) const UPSTREAM_OUTCOME: &str = "tollgate.upstream.outcome";
pub(super) const PHASE: &str = "tollgate.phase";
pub(super) const VERDICT: &str = "tollgate.verdict";
/// The stable code of a reason.
pub(super) const CODE: &str = "tollgate.reason.code";
/// A reason as text.
pub(super) const REASON: &str = "tollgate.reason";

/// Duration of exchanges in seconds, by route, method and status class.
pub(super) const DURATION: &str = "http.server.request.duration";
/// Duration of calls to upstreams in seconds, by upstream.
pub(super) const UPSTREAM_DURATION: &str = "http.client.request.duration";
/// Refusals and errors, by route, policy and problem.
pub(super) const REFUSALS: &str = "tollgate.refusals";
/// Exchanges by the result of the cache.
pub(super) const CACHE_OUTCOMES: &str = "tollgate.cache.outcomes";
/// Decisions made while their store was unavailable.
pub(super) const OPEN_ON_FAILURE: &str = "tollgate.open_on_failure";
