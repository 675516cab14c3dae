//! A lowered gateway: what there is to list, to count, to prove and to encode.

use std::sync::Arc;

use tollgate_core::forward::UpstreamSettings;
use tollgate_core::kinds::Policies;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, RouteSettings};

use crate::place::Span;

/// A whole project in core's terms.
#[derive(Debug)]
pub struct Lowered {
    /// Settings of the gateway as a whole; `None` where one of them has a mistake, which is reported.
    pub gateway: Option<GatewaySettings>,
    /// The whole gateway, as far as it could be lowered.
    pub whole: Whole,
    /// The host patterns that answer only callers inside, sorted.
    pub internal_hosts: Vec<HostPattern>,
    /// For each of the routes, what its levels state.
    pub stated: Vec<Stated>,
}

/// Routes, policies and upstreams of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Every route once, with everything that its levels gave it.
    pub routes: Vec<CompiledRoute>,
    /// The policies, by name.
    pub policies: Policies,
    /// The upstreams, by name.
    pub upstreams: Vec<UpstreamSettings>,
}

/// A route, with what a bundle does not hold in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledRoute {
    /// The host patterns it answers on, the most specific first.
    pub hosts: Vec<HostPattern>,
    /// Its settings; they name upstream and policies by their places in [`Whole`].
    pub settings: RouteSettings,
    /// The tags that its specification gives it.
    pub tags: Arc<[String]>,
    /// Where it is written.
    pub span: Span,
    /// Where it is in what was written.
    pub written: WrittenRoute,
}

/// Where a route is in what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenRoute {
    /// The API, in the order of the project.
    pub api: usize,
    /// The route, in the order of the API.
    pub route: usize,
}

/// What the levels of a route state and its settings do not show.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// Whether any level states who may call it.
    pub authn: bool,
    /// Whether its API or the route itself does.
    pub authn_here: bool,
    /// Whether its API or the route itself states which limits hold.
    pub limit_here: bool,
}
