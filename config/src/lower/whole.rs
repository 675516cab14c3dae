//! A lowered gateway, for listing, counting, proving and encoding.

use std::sync::Arc;

use tollgate_core::forward::{OwnCertificate, UpstreamSettings};
use tollgate_core::kinds::Policies;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, RouteSettings};

use super::Guarded;
use crate::place::Span;
use crate::policies::Money;

/// A project converted to core's settings.
#[derive(Debug)]
pub struct Lowered {
    /// The settings of the gateway; `None` if one of them has a mistake, which is reported.
    pub gateway: Option<GatewaySettings>,
    /// The routes, policies and upstreams that could be lowered.
    pub whole: Whole,
    /// The host patterns for internal callers, sorted.
    pub internal_hosts: Vec<HostPattern>,
    /// For each route, which settings are written explicitly.
    pub stated: Vec<Stated>,
    /// The operations of all specifications, whether they are routed or not.
    pub guarded: Vec<Guarded>,
    /// The budgets in money, whose numbers of requests are not computed yet.
    pub budgets: Vec<MoneyBudget>,
}

/// A quota of which only the price is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyBudget {
    /// The name of the policy.
    pub policy: String,
    /// What is spent in a window.
    pub money: Money,
    /// The place of the policy.
    pub span: Span,
}

/// Routes, policies and upstreams of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Every route once, with the merged settings of its levels.
    pub routes: Vec<CompiledRoute>,
    /// The policies, by name.
    pub policies: Policies,
    /// The upstreams, by name.
    pub upstreams: Vec<UpstreamSettings>,
}

impl Whole {
    /// The names of the secrets that upstreams and policies refer to.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        let of_fields = self.upstreams.iter().flat_map(|upstream| &upstream.fields).map(|(_, text)| text);
        let of_upstreams = of_fields.chain(self.upstreams.iter().flat_map(|upstream| upstream.auth.secrets()));
        let of_policies = self.policies.iter().flat_map(|policy| policy.uses.all_secrets());
        let of_texts = of_upstreams.chain(of_policies).flat_map(|text| text.secret_names());
        of_texts.chain(self.certificates().flat_map(|(_, own)| own.secret_names()))
    }

    /// The upstreams to which the gateway presents a certificate of its own.
    pub fn certificates(&self) -> impl Iterator<Item = (&UpstreamSettings, &OwnCertificate)> {
        self.upstreams.iter().filter_map(|upstream| Some((upstream, upstream.certificate.as_ref()?)))
    }
}

/// A route, with information that is not part of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledRoute {
    /// The host patterns of the route, the most specific first.
    pub hosts: Vec<HostPattern>,
    /// The settings; they refer to the upstream and to policies by index in [`Whole`].
    pub settings: RouteSettings,
    /// The tags of its operation in the specification.
    pub tags: Arc<[String]>,
    /// The place at which the route is written.
    pub span: Span,
    /// The position of the route in the project.
    pub written: WrittenRoute,
}

/// The position of a route in the project as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WrittenRoute {
    /// The index of the API in the project.
    pub api: usize,
    /// The index of the route in the API.
    pub route: usize,
}

/// Which settings of a route are written explicitly, which the merged settings do not show.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// Whether any level sets `authn`.
    pub authn: bool,
    /// Whether its API or the route itself sets `authn`.
    pub authn_here: bool,
    /// Whether its API or the route itself sets `limit`.
    pub limit_here: bool,
}
