//! Lowers routes with the merged settings of the three levels.

mod reads;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use tollgate_core::bounds::{CONTENT_BYTES_DEFAULT, TIMEOUT_MS_DEFAULT};
use tollgate_core::cache::{CacheCredentials, CacheSettings};
use tollgate_core::forward::{Attribute, UpstreamSettings};
use tollgate_core::kinds::{NamedPolicy, Place, Policy, Slot, SlotPolicy};
use tollgate_core::route::{Methods, PathTemplate, Predicate};
use tollgate_core::settings::RouteSettings;

use super::hosts::{ApiHosts, Hosts};
use super::merge::{Cache, Effective, Single, merge, report_violations};
use super::passed_on::{PassedOn, Statements};
use super::policies::Definitions;
use super::route_checks::{
    Mistake, Uncached, check, report_anonymous, report_charged_twice, report_empty, report_unverified,
};
use super::scopes::scopes;
use super::spec_security::{Accepted, Required, Weaknesses};
use super::when::{self, predicates};
use super::whole::Stated;
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::lower::{CompiledRoute, Guarded, WrittenRoute};
use crate::model::api::{Api, Route};
use crate::model::level::{Item, Level, ListStatement, Timeout};
use crate::model::project::Project;
use crate::model::upstream::Upstream;
use crate::model::upstream_auth::{How, WrittenAuth};
use crate::place::{Span, Spanned};
use crate::policies;

/// The operations of specifications, each with its route if clients can reach it.
pub(super) type Operations = Vec<(Option<WrittenRoute>, Guarded)>;

/// Lowers all routes of a project; routes with mistakes are reported and omitted.
pub(super) fn routes(
    project: &Project,
    hosts: &Hosts,
    upstreams: &mut Definitions<UpstreamSettings>,
    policies: &mut Definitions<NamedPolicy>,
    report: &mut Report,
) -> (Vec<(CompiledRoute, Stated)>, Operations, Vec<UpstreamSettings>) {
    let defined = upstreams.all().count();
    let mut lowering = Lowering {
        project,
        written: project.upstreams.iter().filter_map(|(name, u)| Some((name.value.as_str(), u.as_ref()?))).collect(),
        hosts,
        upstreams,
        slot_indices: policies.slot_indices(),
        policies,
        report,
        ids: HashMap::new(),
        uncached: Uncached::default(),
        passed_on: PassedOn::new(defined),
        routes: Vec::new(),
        guarded: Vec::new(),
        count: 0,
        first_excess: None,
    };
    if let Some(gateway) = &project.gateway {
        lowering.names(&gateway.level, None);
    }
    for (place, (name, api)) in project.apis.iter().enumerate() {
        if let Some(api) = api {
            lowering.api(place, name, api);
        }
    }
    let Lowering { uncached, passed_on, routes, guarded, report, count, first_excess, .. } = lowering;
    uncached.report(report);
    passed_on.report(report);
    if let Some(span) = first_excess {
        report_count(span, count, report);
    }
    (routes, guarded, passed_on.into_others())
}

struct Lowering<'p, 'w> {
    project: &'p Project,
    /// The project's upstreams as written, by name.
    written: HashMap<&'p str, &'p Upstream>,
    hosts: &'w Hosts,
    upstreams: &'w mut Definitions<UpstreamSettings>,
    policies: &'w mut Definitions<NamedPolicy>,
    /// For each policy, its index in the list of its slot.
    slot_indices: Vec<usize>,
    report: &'w mut Report,
    /// The place at which an id was first used, and whether that route is internal.
    ids: HashMap<String, (Span, bool)>,
    uncached: Uncached,
    passed_on: PassedOn<'p>,
    routes: Vec<(CompiledRoute, Stated)>,
    guarded: Operations,
    /// The sum of the hosts of all routes.
    count: usize,
    /// The first route above the maximum.
    first_excess: Option<Span>,
}

/// The places of a route's authenticators, by alternative, and of its authorizers.
type Policies<'a> = (&'a [Vec<usize>], &'a [usize]);

/// The settings of an API that apply to its routes.
struct Context<'p> {
    name: &'p Spanned<String>,
    /// The index of the API in the project.
    place: usize,
    api: &'p Api,
    hosts: ApiHosts,
    base: String,
    base_segments: usize,
    upstream: usize,
    written_upstream: Option<&'p Upstream>,
}

impl<'p> Lowering<'p, '_> {
    fn api(&mut self, place: usize, name: &'p Spanned<String>, api: &'p Api) {
        let hosts = self.hosts.of(api, self.report);
        let base = api.base.as_ref().map_or(Some((String::new(), 0)), |base| parsed::base(base, self.report));
        let upstream = api
            .upstream
            .as_ref()
            .and_then(|upstream| self.upstreams.find(upstream, Some(&name.value), |_| true, self.report));
        self.names(&api.level, Some(&name.value));
        // Routes are lowered even if the API has a mistake, so that their mistakes are reported too.
        let has_base = base.is_some();
        let (base, base_segments) = base.unwrap_or_default();
        let (upstream, written_upstream) = (upstream.unwrap_or_default(), self.written_upstream(api));
        let context = Context { name, place, api, hosts, base, base_segments, upstream, written_upstream };
        let mut weaknesses = Weaknesses::default();
        for (place, route) in api.routes.iter().enumerate() {
            self.route(&context, (place, route), has_base, &mut weaknesses);
        }
        self.guarded(&context);
        context.hosts.report_internal(api, self.report);
        weaknesses.report(name, self.report);
        // If a specification has no routes, the reason is reported there.
        if api.routes.is_empty() && api.spec.is_none() {
            report_empty(name, self.report);
        }
    }

    /// Adds the operations that the specification describes; it describes what is public.
    fn guarded(&mut self, context: &Context<'p>) {
        let Context { name, place, api, hosts, base, .. } = context;
        let is_internal = |route: usize| api.routes.get(route).and_then(|route| route.internal).unwrap_or(api.internal);
        for (described, route) in &api.described {
            if api.internal && route.is_none_or(is_internal) {
                continue;
            }
            let written = route.filter(|route| !is_internal(*route)).map(|route| WrittenRoute { api: *place, route });
            let compared = route.and_then(|route| api.routes.get(route)?.requirement.as_ref());
            let operation = Guarded::new(described, &name.value, base, compared, hosts.of_route(false));
            self.guarded.push((written, operation));
        }
    }

    fn route(
        &mut self,
        context: &Context<'p>,
        (place, route): (usize, &'p Route),
        has_base: bool,
        weaknesses: &mut Weaknesses,
    ) {
        let path = self.path(context, route);
        let methods = route.methods.as_ref().map(|list| parsed::methods(list, self.report)).unwrap_or_default();
        let when = route.when.as_ref().map(|when| predicates(when, self.report)).unwrap_or_default();
        let id = self.id(context, route, &methods, &when);
        let levels = super::levels(self.project, context.written_upstream, context.api, route);
        let effective = merge(&levels);
        report_violations(&effective.violations, self.report);
        let api = Some(context.name.value.as_str());
        let (guard, guard_limit) = self.guard(effective.guard.items(), api);
        let authn = self.alternatives(effective.authn.items(), api);
        let presents_one = !authn.is_empty() && !authn.iter().any(|all| all.is_empty() || self.is_anonymous(all));
        self.uncached.add(&id, &methods, &levels, &effective, presents_one, self.report);
        let authz: Vec<usize> = effective.authz.items().flat_map(|item| self.named(item, api, Slot::Authz)).collect();
        let limit: Vec<usize> = effective.limit.items().flat_map(|item| self.named(item, api, Slot::Limit)).collect();
        if limit.iter().any(|place| guard_limit.contains(place)) {
            report_charged_twice(&effective, self.report);
        }
        let reads_content = |place: &usize| self.policies.get(*place).is_some_and(|named| named.policy.uses().content);
        let signs_content = |auth: &WrittenAuth| matches!(&auth.how, How::Aws(aws) if aws.signs_content.as_ref().is_some_and(|signs| signs.value));
        let is_signed = effective.upstream_auth.value.and_then(|at| at.value.value.as_ref()).is_some_and(signs_content);
        if is_signed || authn.iter().flatten().any(reads_content) {
            report_unverified(&effective, self.report);
        }
        let needs_one = !authn.is_empty() && authn.iter().all(|all| !all.is_empty());
        let specified = route
            .requirement
            .as_deref()
            .filter(|one| context.api.spec_scopes && needs_one && one.requires_credential());
        let scopes = scopes(route, specified, self.report);
        let internal = route.internal.unwrap_or(context.api.internal);
        let is_limited = !(effective.limit.items.is_empty() && guard_limit.is_empty());
        check(route, &effective, is_limited, self.report);
        self.check_authz(&effective, &authz);
        let upstream = self.pass_on(context, &effective, &authn);
        PassedOn::check_tokens(&effective, route.path.span, self.have_tokens(&authn), self.report);
        let limits = [limit.as_slice(), guard_limit.as_slice()].concat();
        self.apply_reads(&effective, (&authn, &authz), &limits, path.as_ref(), upstream);
        self.check_chosen(&effective, &limits, &context.hosts.of_route(internal));
        self.check_conditions(&effective, (&authn, &authz), &methods, needs_one);
        self.check_installations(&effective, &authn, &limit);
        self.check_beside(&effective, &methods, &limit, &guard_limit);
        weaknesses.compare(
            route,
            &Required {
                alternatives: self.credentials(&authn),
                admits_anonymous: authn.iter().any(|all| all.is_empty() || self.is_anonymous(all)),
                scopes: &scopes.accepted(),
                is_internal: internal,
            },
        );
        let cache = effective.cache.as_ref().map(|cache| cache_settings(cache, self.report));
        let (Some(path), true) = (path, has_base) else { return };
        let settings = RouteSettings {
            id,
            api: context.name.value.clone(),
            path,
            methods,
            when,
            internal,
            guard: self.slot_places(&guard),
            guard_limit: self.slot_places(&guard_limit),
            authn: authn.iter().map(|places| self.slot_places(places)).collect(),
            scopes: scopes.all,
            scope_sets: scopes.sets,
            authz: self.slot_places(&authz),
            limit: self.slot_places(&limit),
            cost: route.cost.as_ref().and_then(|cost| NonZeroU32::new(cost.value)).unwrap_or(NonZeroU32::MIN),
            cache,
            upstream,
            strip_segments: if context.api.strip_base { context.base_segments } else { 0 },
            matrix_parameters: route.matrix_parameters.as_ref().is_some_and(|allowed| allowed.value),
            content_bytes_max: effective.body_limit.value.map_or(CONTENT_BYTES_DEFAULT, |at| at.value.value),
            timeout_ms: timeout_ms(&effective.timeout),
            limit_fields: effective.limit_fields.value.and_then(|at| at.value.value),
            help: effective.help.value.and_then(|at| at.value.value.clone()),
        };
        let hosts = context.hosts.of_route(internal);
        self.count += hosts.len().max(1);
        if self.count <= ROUTES_MAX {
            let here = || [&context.api.level, &route.level].into_iter().chain(route.between.iter().map(AsRef::as_ref));
            let stated = Stated {
                authn: effective.authn.last.is_some(),
                authn_here: here().any(|level| level.authn.is_some()),
                limit_here: here().any(|level| level.limit.is_some()),
            };
            let written = WrittenRoute { api: context.place, route: place };
            let tags = Arc::clone(&route.tags);
            self.routes.push((CompiledRoute { hosts, settings, tags, span: route.path.span, written }, stated));
        } else {
            self.first_excess.get_or_insert(route.span);
        }
    }

    fn written_upstream(&self, api: &'p Api) -> Option<&'p Upstream> {
        let name = api.upstream.as_ref()?.value.as_str();
        let own = api.upstreams.iter().find(|(own, _)| own.value == name);
        self.written.get(name).copied().or_else(|| own?.1.as_ref())
    }

    fn path(&mut self, context: &Context<'_>, route: &Route) -> Option<PathTemplate> {
        // Paths of specifications are routed as they are written.
        let is_as_written = route.is_operation;
        if !is_as_written
            && (parsed::report_foreign(&route.path, self.report) || parsed::report_blank(&route.path, self.report))
        {
            return None;
        }
        let path = parsed::template(&route.path, self.report)?;
        match path.below(&context.base) {
            Ok(path) => Some(path),
            Err(error) => {
                let what = format!("with the base of the API, {error}");
                if route.is_operation {
                    parsed::not_routed(&route.path, &what, self.report);
                } else {
                    parsed::bad_path(&route.path, &what, self.report);
                }
                None
            }
        }
    }

    /// The id of a route: as written, or made of methods, path and conditions.
    fn id(&mut self, context: &Context<'_>, route: &Route, methods: &Methods, when: &[Predicate]) -> String {
        let own = match &route.id {
            Some(id) => id.value.clone(),
            None => format!("{methods} {}{}", route.path.value, when::title(when)),
        };
        let internal = route.internal.unwrap_or(context.api.internal);
        let id = format!("{}.{own}", context.name.value);
        let span = route.id.as_ref().map_or(route.path.span, |id| id.span);
        match self.ids.get(&id) {
            // Routes without an explicit id that get the same id also match the same requests, which is reported as a conflict,
            // unless one of them is internal.
            Some((first, other)) if route.id.is_some() || *other != internal => self.report.push(
                Diagnostic::error(Code::DuplicateRouteId, span, format!("duplicate route id `{id}`"))
                    .why("the id identifies a route in logs, metrics and traces")
                    .fix("set another `id` on one of them")
                    .related(*first, "the other route"),
            ),
            Some(_) => {}
            None => {
                self.ids.insert(id.clone(), (span, internal));
            }
        }
        id
    }

    /// Finds the policies that a level names, also if no route uses them.
    fn names(&mut self, level: &'p Level, api: Option<&str>) {
        let items = |statement: &'p Option<ListStatement>| statement.iter().flat_map(|statement| &statement.items);
        self.guard(items(&level.guard), api);
        self.alternatives(items(&level.authn), api);
        for (list, slot) in [(&level.authz, Slot::Authz), (&level.limit, Slot::Limit)] {
            items(list).for_each(|item| {
                self.named(item, api, slot);
            });
        }
    }

    /// The guards, and the limits that are charged in the guard phase.
    fn guard(&mut self, items: impl Iterator<Item = &'p Item>, api: Option<&str>) -> (Vec<usize>, Vec<usize>) {
        let (mut guards, mut limits) = (Vec::new(), Vec::new());
        for name in items.flat_map(|item| &item.names) {
            let fits = |named: &NamedPolicy| match &named.policy {
                Policy::Guard(_) => true,
                Policy::Limit(limit) => limit.is_known_before_authentication(),
                Policy::Authn(_) | Policy::Authz(_) => false,
            };
            let Some(place) = self.policies.find(name, api, fits, self.report) else { continue };
            match self.policies.get(place).map(|policy| &policy.policy) {
                Some(Policy::Guard(_)) => guards.push(place),
                Some(Policy::Limit(limit)) if limit.is_known_before_authentication() => limits.push(place),
                Some(Policy::Limit(_)) => self.report_limit_by_caller(name, place),
                Some(Policy::Authn(_) | Policy::Authz(_)) => self.report_slot(name, place, Slot::Guard),
                None => {}
            }
        }
        (guards, limits)
    }

    /// The alternatives of `authn`; those with an unknown policy are omitted.
    fn alternatives(&mut self, items: impl Iterator<Item = &'p Item>, api: Option<&str>) -> Vec<Vec<usize>> {
        let found = items.map(|item| (item, self.named(item, api, Slot::Authn)));
        let found = found.filter(|(item, places)| places.len() == item.names.len());
        // Callers without a credential are admitted if no policy was given one, whatever level says so.
        let found: Vec<_> = found.collect();
        self.check_anonymous(&found);
        let mut all: Vec<_> = found.into_iter().map(|(_, places)| places).collect();
        all.sort_by_key(|places| (places.is_empty(), self.is_anonymous(places)));
        all
    }

    /// Whether an alternative admits callers without a credential, as a consumer.
    fn is_anonymous(&self, places: &[usize]) -> bool {
        let of = |place: &usize| match self.policies.get(*place).map(|named| &named.policy) {
            Some(Policy::Authn(policy)) => policy.is_anonymous(),
            Some(Policy::Guard(_) | Policy::Authz(_) | Policy::Limit(_)) | None => false,
        };
        places.iter().any(of)
    }

    /// Reports a policy for callers without a credential where it does not do what it seems to.
    fn check_anonymous(&mut self, found: &[(&Item, Vec<usize>)]) {
        let first = found.iter().enumerate().find(|(_, (_, places))| self.is_anonymous(places));
        let Some((at, (item, places))) = first else { return };
        let later = found[at + 1..].iter().find(|(_, later)| !self.is_anonymous(later));
        let mistake = match later {
            _ if places.len() > 1 => Mistake::Together,
            _ if found.iter().any(|(_, places)| places.is_empty()) => Mistake::Optional,
            Some(_) => Mistake::NotLast,
            None => return,
        };
        let name = item.names.iter().zip(places).find(|(_, place)| self.is_anonymous(&[**place]));
        name.into_iter().for_each(|(name, _)| report_anonymous(name, mistake, self.report));
    }

    /// Finds the policies of an item; policies of another slot are reported.
    fn named(&mut self, item: &Item, api: Option<&str>, slot: Slot) -> Vec<usize> {
        let mut places = Vec::with_capacity(item.names.len());
        for name in &item.names {
            let fits = |named: &NamedPolicy| named.policy.slot() == slot;
            let Some(place) = self.policies.find(name, api, fits, self.report) else { continue };
            match self.policies.get(place) {
                Some(policy) if policy.policy.slot() != slot => self.report_slot(name, place, slot),
                _ => places.push(place),
            }
        }
        places
    }

    /// Lets the authenticators of a route keep a fact; returns whether one of them has such facts.
    fn keep(&mut self, authn: &[Vec<usize>], fact: &Attribute) -> bool {
        keep(self.policies, authn, fact)
    }

    /// Whether the first credential of every alternative is a token.
    fn have_tokens(&self, authn: &[Vec<usize>]) -> bool {
        let is_of_tokens =
            |place: &usize| self.policies.get(*place).is_none_or(|named| policies::has_tokens(&named.policy));
        !authn.is_empty() && authn.iter().all(|all| all.first().is_some_and(is_of_tokens))
    }

    /// The index of the upstream as the route has it. The authenticators of the route keep what it is told.
    fn pass_on(&mut self, context: &Context<'p>, effective: &Effective<'p>, authn: &[Vec<usize>]) -> usize {
        let Self { passed_on, policies, upstreams, report, .. } = self;
        passed_on.keep(effective, |fact| keep(policies, authn, fact));
        let has_key = self.project.gateway.as_ref().is_none_or(|gateway| gateway.identity_tokens.is_some());
        if let Some(at) = effective.identity.value {
            PassedOn::check_signed(&at.value.value, has_key, report);
        }
        let gateway = self.project.gateway.as_ref().map(|gateway| &gateway.level);
        let Some(written) = context.written_upstream else { return context.upstream };
        let own = Statements::of_upstream(&written.level, gateway);
        let defined = (context.upstream, upstreams.get(context.upstream));
        passed_on.place(defined, own, effective, report)
    }

    fn report_slot(&mut self, name: &Spanned<String>, place: usize, slot: Slot) {
        let defined = self.policies.span(place).unwrap_or(name.span);
        self.report.push(
            Diagnostic::error(
                Code::WrongPolicyKind,
                name.span,
                format!("policy `{}` cannot be listed in `{}`", name.value, slot.key()),
            )
            .why(format!("`{}` takes {}", slot.key(), allowed_policies(slot)))
            .fix(format!("name {}", allowed_policies(slot)))
            .related(defined, "defined here"),
        );
    }

    fn report_limit_by_caller(&mut self, name: &Spanned<String>, place: usize) {
        let defined = self.policies.span(place).unwrap_or(name.span);
        self.report.push(
            Diagnostic::error(
                Code::WrongPolicyKind,
                name.span,
                format!("limit `{}` counts by the caller, who is unknown in `guard`", name.value),
            )
            .why("guards run before authentication")
            .fix("name a limit with `by: address`, or list this one in `limit`")
            .related(defined, "defined here"),
        );
    }

    /// The places of policies in the list of their slot.
    fn slot_places<P: SlotPolicy>(&self, places: &[usize]) -> Vec<Place<P>> {
        let index = |place: &usize| self.slot_indices.get(*place).copied().unwrap_or_default();
        places.iter().map(|place| Place::new(index(place))).collect()
    }

    /// The credentials of each alternative of a route.
    fn credentials(&self, authn: &[Vec<usize>]) -> Vec<Accepted<'_>> {
        let of_policy = |place: &usize| Some(self.policies.get(*place)?.policy.uses());
        authn.iter().map(|places| places.iter().filter_map(of_policy).collect()).collect()
    }
}

fn keep(policies: &mut Definitions<NamedPolicy>, authn: &[Vec<usize>], fact: &Attribute) -> bool {
    let mut is_kept = false;
    for place in authn.iter().flatten() {
        if let Some(named) = policies.get_mut(*place) {
            is_kept |= policies::keep(&mut named.policy, fact);
        }
    }
    is_kept
}

fn report_count(first_excess: Span, count: usize, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, first_excess, format!("the project has {count} routes"))
            .why(format!("the maximum is {ROUTES_MAX}, where a route counts once for each of its hosts; this is the first above it"))
            .fix("use host patterns, or split the gateway into several"),
    );
}

/// The policies that can be listed in a slot, for messages.
fn allowed_policies(slot: Slot) -> String {
    let kinds = slot.kinds().iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ");
    match slot {
        Slot::Guard => format!("a policy of kind {kinds}, or a limit with `by: address`"),
        Slot::Authn | Slot::Authz | Slot::Limit => format!("a policy of kind {kinds}"),
    }
}

/// The time limit of the lowest level that sets it.
fn timeout_ms(timeout: &Single<'_, Timeout>) -> Option<u64> {
    match timeout.value.map_or(Timeout::Millis(TIMEOUT_MS_DEFAULT), |at| at.value.value) {
        Timeout::Unbounded => None,
        Timeout::Millis(ms) => Some(ms),
    }
}

fn cache_settings(cache: &Cache<'_>, report: &mut Report) -> CacheSettings {
    let names = cache.vary.value.iter().flat_map(|at| &at.value.value);
    let mut vary: Vec<String> = names.filter_map(|name| parsed::compared_field(name, report)).collect();
    vary.sort_unstable();
    vary.dedup();
    let key_query = cache.key_query.value.map(|at| {
        let mut query: Vec<String> =
            at.value.value.iter().filter_map(|name| parsed::key_parameter(name, report)).collect();
        query.sort_unstable();
        query
    });
    CacheSettings {
        ttl_ms: cache.ttl_ms.value.map(|at| at.value.value),
        vary,
        credentials: cache.credentials.value.map_or(CacheCredentials::Never, |at| at.value.value),
        key_query,
    }
}

/// The maximum number of routes times hosts: twice that of the largest expected gateway.
const ROUTES_MAX: usize = 200_000;
