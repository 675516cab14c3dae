//! Finds the origins of the settings of one route.

use tollgate_core::bounds::{CONNECT_TIMEOUT_MS_DEFAULT, CONTENT_BYTES_DEFAULT, TIMEOUT_MS_DEFAULT};
use tollgate_core::forward::Told;
use tollgate_core::limit::LegacyFields;
use tollgate_core::settings::RouteSettings;

use super::{Origin, Overridden, policy, show};
use crate::diagnostic::Substituted;
use crate::lower;
use crate::lower::merge::{At, Effective, List, Member, Single};
use crate::lower::{CompiledRoute, Whole};
use crate::model::api::{Api, Route};
use crate::model::identity::Identity;
use crate::model::level::{Item, LIMIT_FIELDS, OriginLevel, Setting};
use crate::model::project::Project;
use crate::model::scopes::Scopes;
use crate::model::upstream::Upstream;
use crate::model::upstream_auth::WrittenAuth;
use crate::model::when::{Condition, When};
use crate::place::Spanned;

/// The data in which origins are found.
pub(crate) struct Finder<'w> {
    pub(crate) project: &'w Project,
    pub(crate) whole: &'w Whole,
    pub(crate) substituted: &'w Substituted,
}

impl Finder<'_> {
    /// The origins of a route's settings, in the order of output.
    pub(crate) fn find(&self, route: &CompiledRoute) -> Vec<Origin> {
        let Some((_, Some(api))) = self.project.apis.get(route.written.api) else { return Vec::new() };
        let Some(written) = api.routes.get(route.written.route) else { return Vec::new() };
        let upstream = self.upstream(route);
        let levels = lower::levels(self.project, upstream, api, written);
        let effective = lower::merge::merge(&levels);
        let mut all = self.of_route(route, api, written);
        all.extend(self.of_upstream(api, upstream));
        all.extend(passed_on(&effective));
        all.extend(lists(&effective));
        all.extend(singles(&effective));
        all.extend(caching(&effective));
        for policy in route.settings.policies(&self.whole.policies) {
            let origins = policy::origins(self.project, &self.whole.policies, policy.name);
            let with_plans = self.have_plans(route, policy.name);
            all.extend(origins.into_iter().filter(|origin| with_plans || origin.level != OriginLevel::Plan));
        }
        for origin in &mut all {
            let given = origin.span.and_then(|span| self.substituted.get(&span));
            origin.given = given.map(|given| given.span);
        }
        all
    }

    /// Whether plans apply to a policy on a route: only if the caller is authenticated before the policy is charged.
    fn have_plans(&self, route: &CompiledRoute, policy: &str) -> bool {
        let RouteSettings { authn, limit, .. } = &route.settings;
        !authn.is_empty() && self.whole.policies.at(limit).any(|limit| limit.name == policy)
    }

    fn of_route(&self, route: &CompiledRoute, api: &Api, written: &Route) -> Vec<Origin> {
        use OriginLevel::{Api as OfApi, Gateway, Operation};
        let settings = &route.settings;
        let gateway_hosts = self.project.gateway.as_ref().and_then(|gateway| gateway.hosts.as_ref());
        let first = |hosts: Option<&Vec<Spanned<String>>>| hosts.and_then(|hosts| hosts.first()).map(|host| host.span);
        let (level, span) = match (first(api.hosts.as_ref()), first(gateway_hosts)) {
            (Some(span), _) => (OfApi, Some(span)),
            (None, Some(span)) => (Gateway, Some(span)),
            (None, None) => (OriginLevel::Default, None),
        };
        let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
        let mut all = vec![Origin::new("hosts", show::texts(hosts.iter().map(String::as_str)), level, span)];
        if let Some(base) = &api.base {
            all.push(Origin::new("base", base.value.clone(), OfApi, Some(base.span)));
        }
        all.push(Origin::new("path", written.path.value.clone(), Operation, Some(written.path.span)));
        all.extend(written.when.iter().flat_map(conditions));
        let methods = written.methods.as_ref();
        all.push(match methods {
            Some(methods) => Origin::new("methods", show::list(methods), Operation, first(Some(methods))),
            None => Origin::default("methods", "all"),
        });
        let (level, span) = match (written.internal_at, api.internal_at) {
            (Some(span), _) => (Operation, Some(span)),
            (None, Some(span)) => (OfApi, Some(span)),
            (None, None) => (OriginLevel::Default, None),
        };
        all.push(Origin::new("internal", settings.internal.to_string(), level, span));
        // Few routes allow them, so the default is not shown.
        if let Some(allowed) = &written.matrix_parameters {
            all.push(Origin::new("matrix-parameters", allowed.value.to_string(), Operation, Some(allowed.span)));
        }
        if settings.requires_scopes() {
            let first = written.scopes.first().and_then(Scopes::first).map(|first| first.span);
            let specified = || written.requirement.as_ref().map(|requirement| requirement.span);
            all.push(Origin::new("scopes", show::scopes(settings), Operation, first.or_else(specified)));
        }
        if let Some(cost) = &written.cost {
            all.push(Origin::new("cost", cost.value.to_string(), Operation, Some(cost.span)));
        } else if settings.is_limited() {
            all.push(Origin::default("cost", "1"));
        }
        all
    }

    fn of_upstream(&self, api: &Api, upstream: Option<&Upstream>) -> Vec<Origin> {
        let Some(name) = &api.upstream else { return Vec::new() };
        let mut all = vec![Origin::new("upstream", name.value.clone(), OriginLevel::Api, Some(name.span))];
        let Some(upstream) = upstream else { return all };
        let url = &upstream.url;
        all.push(Origin::new("upstream.url", url.value.clone(), OriginLevel::Upstream, Some(url.span)));
        all.push(match api.strip_base_at {
            Some(span) => Origin::new("strip-base", api.strip_base.to_string(), OriginLevel::Api, Some(span)),
            None => Origin::default("strip-base", "true"),
        });
        let own = upstream.connect_timeout_ms.as_ref().map(|own| (own, OriginLevel::Upstream));
        let gateway = self.project.gateway.as_ref().and_then(|gateway| gateway.connect_timeout_ms.as_ref());
        all.push(match own.or(gateway.map(|ms| (ms, OriginLevel::Gateway))) {
            Some((ms, level)) => Origin::new("connect-timeout", show::duration(ms.value), level, Some(ms.span)),
            None => Origin::default("connect-timeout", &show::duration(CONNECT_TIMEOUT_MS_DEFAULT)),
        });
        let header = |(name, value): &(Spanned<String>, Spanned<String>)| {
            let setting = format!("upstream.headers.{}", name.value);
            Origin::new(&setting, value.value.clone(), OriginLevel::Upstream, Some(value.span))
        };
        all.extend(upstream.headers.iter().map(header));
        let of_tls =
            upstream.tls.iter().flat_map(|tls| [("certificate", Some(&tls.certificate)), ("key", tls.key.as_ref())]);
        all.extend(of_tls.filter_map(|(key, value)| {
            let (setting, value) = (format!("upstream.tls.{key}"), value?);
            Some(Origin::new(&setting, value.value.clone(), OriginLevel::Upstream, Some(value.span)))
        }));
        all
    }

    /// The upstream of a route as written.
    fn upstream(&self, route: &CompiledRoute) -> Option<&Upstream> {
        let name = self.whole.upstreams.get(route.settings.upstream)?.name.as_str();
        lower::written(self.project, name, |project| &project.upstreams, |api| &api.upstreams).map(|(_, found)| found)
    }
}

/// What the upstream is told of the caller, and how the gateway authenticates itself to it; most upstreams get neither.
fn passed_on(effective: &Effective<'_>) -> Vec<Origin> {
    let shown = |identity: &Identity| {
        let field = |(name, tells): &(Spanned<String>, Spanned<Told>)| format!("{}: {}", name.value, tells.value);
        let fields: Vec<_> = identity.iter().map(field).collect();
        if fields.is_empty() { "none".to_owned() } else { format!("{{{}}}", fields.join(", ")) }
    };
    let kind = |auth: &Option<WrittenAuth>| auth.as_ref().map_or("none", |auth| auth.how.kind()).to_owned();
    let word = |fields: &Option<LegacyFields>| {
        let word = LIMIT_FIELDS.iter().find(|(_, known)| known == fields).map_or("standard", |(word, _)| word);
        word.to_owned()
    };
    let url = |help: &Option<String>| help.clone().unwrap_or_else(|| "none".to_owned());
    let fields =
        effective.limit_fields.value.map(|_| single("limit-fields", &effective.limit_fields, word, "standard"));
    let help = effective.help.value.map(|_| single("help", &effective.help, url, "none"));
    let identity = effective.identity.value.map(|_| single("identity", &effective.identity, shown, "none"));
    let auth = effective.upstream_auth.value.map(|_| single("upstream-auth", &effective.upstream_auth, kind, "none"));
    fields.into_iter().chain(help).chain(identity).chain(auth).collect()
}

/// The conditions of a route, each with its place.
fn conditions(when: &When) -> impl Iterator<Item = Origin> + '_ {
    let of = |place: &'static str| {
        move |(name, condition): &(Spanned<String>, Condition)| {
            let setting = format!("when.{place}.{}", name.value);
            Origin::new(&setting, show::condition(condition), OriginLevel::Operation, Some(name.span))
        }
    };
    when.header.iter().map(of("header")).chain(when.query.iter().map(of("query")))
}

fn lists(effective: &Effective<'_>) -> Vec<Origin> {
    let mut all = list("authn", &effective.authn);
    // Most gateways have no guards and no authorizers, so `none` as a default is not shown.
    if effective.authz.last.is_some() {
        all.extend(list("authz", &effective.authz));
    }
    all.extend(list("limit", &effective.limit));
    if effective.guard.last.is_some() {
        all.splice(0..0, list("guard", &effective.guard));
    }
    all
}

fn list(key: &str, list: &List<'_>) -> Vec<Origin> {
    let origin = |at: &At<&Item>| Origin {
        is_locked: list.is_locked_from(at.level),
        ..Origin::new(key, at.value.title(), at.level, Some(at.value.span))
    };
    let mut all: Vec<Origin> = list.items.iter().map(origin).collect();
    if all.is_empty() {
        all.push(match list.last {
            Some(At { level, value }) => Origin::new(key, "none".to_owned(), level, Some(value)),
            None => Origin::default(key, "none"),
        });
    }
    // Replaced items are shown once, with the first item that replaced them.
    if let Some(first) = all.first_mut() {
        let overridden = |at: &At<&Item>| Overridden { value: at.value.title(), level: at.level, span: at.value.span };
        first.overridden = list.overridden.iter().map(overridden).collect();
    }
    all
}

fn singles(effective: &Effective<'_>) -> Vec<Origin> {
    vec![
        single("timeout", &effective.timeout, |value| show::timeout(*value), &show::duration(TIMEOUT_MS_DEFAULT)),
        single("body-limit", &effective.body_limit, |value| show::size(*value), &show::size(CONTENT_BYTES_DEFAULT)),
    ]
}

fn single<T>(key: &str, found: &Single<'_, T>, show: impl Fn(&T) -> String, default: &str) -> Origin {
    let Some(At { level, value: Setting { value, span, locked } }) = found.value else {
        return Origin::default(key, default);
    };
    let replaced = found.overridden.iter();
    Origin {
        is_locked: locked.is_some(),
        overridden: replaced
            .map(|at| Overridden { value: show(&at.value.value), level: at.level, span: at.value.span })
            .collect(),
        ..Origin::new(key, show(value), level, Some(*span))
    }
}

fn caching(effective: &Effective<'_>) -> Vec<Origin> {
    let Some(cache) = &effective.cache else {
        return vec![match effective.cache_off {
            Some(At { level, value }) => Origin::new("cache", "none".to_owned(), level, Some(value)),
            None => Origin::default("cache", "none"),
        }];
    };
    vec![
        member("cache.ttl", &cache.ttl_ms, |ms| show::duration(*ms), "declared by the upstream"),
        member("cache.vary", &cache.vary, |list| show::list(list), "[]"),
        member("cache.key-query", &cache.key_query, |list| show::list(list), "the whole query"),
        member("cache.with-credentials", &cache.credentials, |word| show::credentials(*word), "never"),
    ]
}

fn member<T>(key: &str, found: &Member<'_, T>, show: impl Fn(&T) -> String, default: &str) -> Origin {
    let Some(At { level, value }) = found.value else { return Origin::default(key, default) };
    Origin {
        is_locked: found.is_locked(),
        overridden: found
            .overridden
            .iter()
            .map(|at| Overridden { value: show(&at.value.value), level: at.level, span: at.value.span })
            .collect(),
        ..Origin::new(key, show(&value.value), level, Some(value.span))
    }
}
