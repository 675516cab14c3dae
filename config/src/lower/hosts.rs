//! The hosts of the gateway and of its APIs, and which of them are internal.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};

use tollgate_core::route::HostPattern;

use super::sites::covering;
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::Api;
use crate::model::project::Project;
use crate::place::{Span, Spanned};

/// The hosts of the gateway.
#[derive(Debug)]
pub(super) struct Hosts {
    public: Vec<HostPattern>,
    internal: Vec<HostPattern>,
    known_public: HashSet<HostPattern>,
    known_internal: HashSet<HostPattern>,
    /// Internal hosts that APIs list, which the gateway's internal hosts cover.
    listed: RefCell<BTreeSet<HostPattern>>,
}

/// The hosts of an API, sorted.
#[derive(Debug)]
pub(super) struct ApiHosts {
    public: Vec<HostPattern>,
    internal: Vec<HostPattern>,
    /// A public host that the API lists.
    listed_public: Option<Span>,
}

impl Hosts {
    pub(super) fn new(project: &Project, report: &mut Report) -> Self {
        let gateway = project.gateway.as_ref();
        let public = match gateway.and_then(|gateway| gateway.hosts.as_ref()) {
            Some(list) => read(list, report),
            None => vec![HostPattern::Any],
        };
        let internal = gateway.and_then(|gateway| gateway.internal_hosts.as_ref());
        let internal: Vec<Spanned<HostPattern>> = internal.map(|list| parsed::hosts(list, report)).unwrap_or_default();
        let known_public: HashSet<HostPattern> = public.iter().cloned().collect();
        for host in internal.iter().filter(|host| known_public.contains(&host.value)) {
            report.push(
                Diagnostic::error(
                    Code::PublicAndInternalHost,
                    host.span,
                    format!("`{}` is both public and internal", host.value),
                )
                .why("the hosts in `gateway.hosts` are public; its default is `*`")
                .fix("remove it from `gateway.hosts` or from `gateway.internal-hosts`"),
            );
        }
        let internal: Vec<HostPattern> = internal.into_iter().map(|host| host.value).collect();
        let known_internal = internal.iter().cloned().collect();
        Self { public, internal, known_public, known_internal, listed: RefCell::default() }
    }

    /// The host patterns for internal callers, sorted.
    pub(super) fn all_internal(&self) -> Vec<HostPattern> {
        let all: BTreeSet<HostPattern> = self.internal.iter().chain(self.listed.borrow().iter()).cloned().collect();
        all.into_iter().collect()
    }

    /// The hosts of an API: those that it lists, or all.
    pub(super) fn of(&self, api: &Api, report: &mut Report) -> ApiHosts {
        let sorted = |mut hosts: Vec<HostPattern>| {
            hosts.sort();
            hosts
        };
        let Some(list) = &api.hosts else {
            let (public, internal) = (sorted(self.public.clone()), sorted(self.internal.clone()));
            return ApiHosts { public, internal, listed_public: None };
        };
        let hosts = parsed::hosts(list, report);
        let mut listed_public = None;
        let mut internal = Vec::new();
        for host in &hosts {
            match self.is_internal(&host.value) {
                Some(true) => internal.push(host.value.clone()),
                Some(false) => listed_public = listed_public.or(Some(host.span)),
                None => report_outside(host, report),
            }
        }
        self.listed.borrow_mut().extend(internal.iter().cloned());
        // Public routes may be listed on internal hosts as well.
        ApiHosts {
            public: sorted(hosts.into_iter().map(|host| host.value).collect()),
            internal: sorted(internal),
            listed_public,
        }
    }

    /// Whether a host is internal, by its most specific pattern; `None` if the gateway does not have it.
    fn is_internal(&self, host: &HostPattern) -> Option<bool> {
        covering(host).iter().find_map(|pattern| {
            let known = self.known_internal.contains(pattern).then_some(true);
            known.or_else(|| self.known_public.contains(pattern).then_some(false))
        })
    }
}

impl ApiHosts {
    /// The hosts of one of its routes, the most specific first.
    pub(super) fn of_route(&self, internal: bool) -> Vec<HostPattern> {
        if internal { self.internal.clone() } else { self.public.clone() }
    }

    /// Reports internal routes of an API that lists a public host.
    pub(super) fn report_internal(&self, api: &Api, report: &mut Report) {
        let Some(listed) = self.listed_public else { return };
        let mut routes = api.routes.iter().filter(|route| route.internal.unwrap_or(api.internal));
        let Some(first) = routes.next() else { return };
        let method = first.methods.iter().flatten().next().map_or("GET", |method| method.value.as_str());
        let base = api.base.as_ref().map_or("", |base| base.value.trim_end_matches('/'));
        let host = self.public.iter().find(|host| !self.internal.contains(host));
        let witness = host.zip(parsed::template_unreported(&first.path.value)).map(|(host, path)| {
            let path = format!("{base}{}", path.witness());
            super::Witness::new(method, host, path, &[]).curl()
        });
        let shown = witness.map(|curl| format!(": {curl}")).unwrap_or_default();
        let mut diagnostic = Diagnostic::error(
            Code::InternalOnPublicHost,
            first.path.span,
            "the route is internal, but its API lists a public host",
        )
        .why(format!("external callers could reach it{shown}"))
        .fix("list only hosts of `gateway.internal-hosts`, or omit `hosts`; internal routes are then served on the internal hosts")
        .related(listed, "a public host");
        for other in routes.take(RELATED_MAX) {
            diagnostic = diagnostic.related(other.path.span, "also internal");
        }
        report.push(diagnostic);
    }
}

fn read(list: &[Spanned<String>], report: &mut Report) -> Vec<HostPattern> {
    let mut hosts: Vec<_> = parsed::hosts(list, report).into_iter().map(|host| host.value).collect();
    if hosts.len() < list.len() {
        // A host was refused. It is unknown which hosts were intended, so APIs on other hosts are not reported.
        hosts.push(HostPattern::Any);
    }
    hosts
}

fn report_outside(host: &Spanned<HostPattern>, report: &mut Report) {
    report.push(
        Diagnostic::error(
            Code::HostOutsideGateway,
            host.span,
            format!("the gateway does not have the host `{}`", host.value),
        )
        .why("an API can only have hosts of `gateway.hosts` and `gateway.internal-hosts`")
        .fix("add the host to one of them, or remove it here"),
    );
}

/// The maximum number of other places shown with one finding.
const RELATED_MAX: usize = 3;
