//! Checks of routes that are valid but probably not intended.

use std::collections::BTreeMap;

use http::Method;
use tollgate_core::bounds::VERIFIED_CONTENT_BYTES_MAX;
use tollgate_core::expression::Source;
use tollgate_core::route::{Methods, PathTemplate};

use super::merge::{At, Effective, List};
use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::model::api::Route;
use crate::model::level::{Item, Level};
use crate::model::scopes::Scopes;
use crate::model::target::Target;
use crate::place::{Span, Spanned};

/// Reports combinations of settings with an effect that is probably not intended.
pub(super) fn check(route: &Route, effective: &Effective<'_>, is_limited: bool, report: &mut Report) {
    let anonymous = effective.authn.items().find(|item| item.names.is_empty());
    if let (Some(scope), true) =
        (route.scopes.first().and_then(Scopes::first), effective.authn.items.is_empty() || anonymous.is_some())
    {
        let (why, fix) = match anonymous {
            None => ("so every request would be refused", "add `authn:` to the route or its API, or remove `scopes:`"),
            Some(_) => ("so it would be refused", "write `any` in place of `optional`, or remove `scopes:`"),
        };
        let mut diagnostic =
            Diagnostic::error(Code::ScopesWithoutAuthn, scope.span, "the route requires scopes but no credential")
                .why(format!("a request without a credential has no scopes, {why}"))
                .fix(fix);
        if let Some(anonymous) = anonymous {
            diagnostic = diagnostic.related(anonymous.span, "no credential is required");
        }
        report.push(diagnostic);
    }
    if let (Some(cost), true) = (&route.cost, !is_limited) {
        report.push(
            Diagnostic::warning(Code::CostWithoutLimit, cost.span, "`cost` has no effect without a limit")
                .why("`cost` is what one request is charged in the limits of its route")
                .fix("add `limit:` to the route or its API, or a limit to `guard:`, or remove `cost:`"),
        );
    }
    if let Some((own, inherited)) = &effective.authn.widened {
        let titles: Vec<String> = inherited.iter().map(|item| item.title()).collect();
        let names = listed(titles.iter().map(String::as_str));
        let what = format!("the route also accepts {names} of a higher level");
        let (items, is_locked) = (own.items.iter().collect::<Vec<_>>(), own.locked.is_some());
        let [only, added] = [true, false].map(|replace| alternatives(&items, replace, is_locked));
        report.push(
            Diagnostic::warning(Code::AuthnWidened, own.span, what)
                .why("lists of policies are appended, so this list adds to the accepted credentials")
                .fix(format!("write `{only}` to accept only these, or `{added}` to confirm the addition"))
                .related(inherited.first().map_or(own.span, |name| name.span), "listed here"),
        );
    }
    report_never_decides(&effective.authn, report);
}

/// Reports alternatives of `authn` that contain all policies of an earlier alternative, which then accepts the same callers.
fn report_never_decides(authn: &List<'_>, report: &mut Report) {
    for (place, At { level, value: item }) in authn.items.iter().enumerate() {
        let has = |name: &Spanned<String>| item.names.iter().any(|own| own.value == name.value);
        let mut before = authn.items[..place].iter().filter(|earlier| !earlier.value.names.is_empty());
        let Some(earlier) = before.find(|earlier| earlier.value.names.iter().all(has)) else { continue };
        let fix = if earlier.level == *level {
            "remove it, or list it before the other one".to_owned()
        } else {
            // The list of a higher level comes first.
            let own: Vec<&Item> = authn.items.iter().filter(|of| of.level == *level).map(|of| of.value).collect();
            let is_locked = authn.locked.is_some_and(|lock| lock.level == *level);
            format!("write `{}` to accept only these, or remove it", alternatives(&own, true, is_locked))
        };
        report.push(
            Diagnostic::warning(
                Code::NeverDecides,
                item.span,
                format!("the alternative `{}` is never used", item.title()),
            )
            .why(format!("`{}` is tried first and accepts all of its callers", earlier.value.title()))
            .fix(fix)
            .related(earlier.value.span, "tried first"),
        );
    }
}

/// A list of `authn` as it is written; policies that must all accept a caller never become alternatives.
fn alternatives(items: &[&Item], replace: bool, is_locked: bool) -> String {
    let names = |item: &Item| item.names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(", ");
    let list = match items {
        [Item { names: all, .. }] if all.len() > 1 => format!("all: [{}]", names(items[0])),
        items => {
            let alternative = |item: &&Item| match item.names.as_slice() {
                [name] => name.value.clone(),
                _ => format!("{{all: [{}]}}", names(item)),
            };
            let named = || items.iter().filter(|item| !item.names.is_empty());
            let word = if named().count() < items.len() { "optional" } else { "any" };
            format!("{word}: [{}]", named().map(alternative).collect::<Vec<_>>().join(", "))
        }
    };
    let lock = if is_locked { ", locked: true" } else { "" };
    format!("{{replace: {replace}, {list}{lock}}}")
}

/// Statements about caching by which nothing is stored on some routes.
#[derive(Debug, Default)]
pub(super) struct Uncached(BTreeMap<Span, OnRoutes>);

/// Routes with the same fault.
#[derive(Debug)]
struct OnRoutes {
    first: String,
    others: usize,
}

impl Uncached {
    /// Finds the fault of a route with this id and these levels, whose requests have a credential or not.
    pub(super) fn add(
        &mut self,
        id: &str,
        methods: &Methods,
        levels: &[At<&Level>],
        effective: &Effective<'_>,
        presents_one: bool,
        report: &mut Report,
    ) {
        let Some(cache) = &effective.cache else { return };
        let serves_get = methods.takes(&Method::GET);
        let own = levels.last().and_then(|lowest| lowest.value.cache.as_ref());
        if let (Some(own), false) = (own, serves_get) {
            report_without_get(own.span, report);
        }
        let has_credentials = presents_one && cache.credentials.value.is_none();
        let lowest = levels.iter().rev().find_map(|level| level.value.cache.as_ref());
        if let (Some(statement), true) = (lowest, serves_get && has_credentials) {
            let known = self.0.entry(statement.span);
            known
                .and_modify(|routes| routes.others += 1)
                .or_insert_with(|| OnRoutes { first: id.to_owned(), others: 0 });
        }
    }

    /// Reports each statement once.
    pub(super) fn report(self, report: &mut Report) {
        for (span, OnRoutes { first, others }) in self.0 {
            let more = if others > 0 { format!(" and {others} more") } else { String::new() };
            report.push(
                Diagnostic::warning(Code::NothingCached, span, format!("no response of route `{first}`{more} is stored"))
                    .why("every request has a credential, and without `with-credentials` responses to those are not stored")
                    .fix("add `with-credentials: per-consumer`, or `shared` if responses do not depend on the caller; or write `never` to confirm it"),
            );
        }
    }
}

fn report_without_get(span: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NothingCached, span, "`cache` has no effect on a route without `GET`")
            .why("only responses to `GET` are stored")
            .fix("remove it, or add `GET` to `methods`"),
    );
}

/// Reports a policy that decides by the caller, on a route without authentication.
pub(super) fn report_without_caller(name: &Spanned<String>, report: &mut Report) {
    let what = format!("policy `{}` decides by the caller, but the route requires no credential", name.value);
    report.push(
        Diagnostic::error(Code::AuthzWithoutAuthn, name.span, what)
            .why("a request without a credential has no caller, so every request would be refused")
            .fix("add `authn:` to the route or its API, or write `authz: none` on the route"),
    );
}

/// Reports a condition that no request of a route meets.
pub(super) fn report_refuses_all(name: &Spanned<String>, defined: Span, report: &mut Report) {
    let what = format!("policy `{}` refuses every request of the route", name.value);
    report.push(
        Diagnostic::warning(Code::ConstantCondition, name.span, what)
            .why("no request with a method of the route meets its condition")
            .fix("correct the condition, or write `authz: none` on the route")
            .related(defined, "defined here"),
    );
}

/// Reports a condition that needs to know where clients are, on a platform that does not tell it.
pub(super) fn report_no_location(name: &Spanned<String>, target: Target, defined: Span, report: &mut Report) {
    let what = format!("policy `{}` refuses every request on `{}`", name.value, target.as_str());
    report.push(
        Diagnostic::warning(Code::ConstantCondition, name.span, what)
            .why("only Workers tell country and autonomous system of a client, and no proxy is trusted to tell them")
            .fix("test `has(client.country)` first, and say what applies without it")
            .related(defined, "defined here"),
    );
}

/// Reports a condition that needs claims, on a route whose callers have none.
pub(super) fn report_no_claims(name: &Spanned<String>, defined: Span, report: &mut Report) {
    let what = format!("policy `{}` refuses every request of the route", name.value);
    report.push(
        Diagnostic::warning(Code::ConstantCondition, name.span, what)
            .why("it needs claims of tokens, and no policy in `authn` of the route reads tokens (`jwt`, `introspection`, `oidc-login`)")
            .fix("name such a policy in `authn`, test `has(principal.claims...)` first, or write `authz: none` on the route")
            .related(defined, "defined here"),
    );
}

/// Reports a limit whose quota callers choose, on a route without another one.
pub(super) fn report_chosen(name: &Spanned<String>, by: &Source, defined: Span, report: &mut Report) {
    let what = format!("callers choose the quota of policy `{}` that they are counted to, by `{by}`", name.value);
    report.push(
        Diagnostic::warning(Code::FreePartition, name.span, what)
            .why(
                "each other value there has another quota, and no other limit of the route counts all of them together",
            )
            .fix("list a second limit that counts by `consumer` or `address` alone")
            .related(defined, "defined here"),
    );
}

/// Reports a limit by a claim, on a route whose callers have none.
pub(super) fn report_one_quota(name: &Spanned<String>, by: &Source, defined: Span, report: &mut Report) {
    let what = format!("all callers of the route share one quota of policy `{}`", name.value);
    report.push(
        Diagnostic::warning(Code::FreePartition, name.span, what)
            .why(format!("it counts by `{by}`, and no policy in `authn` of the route reads tokens (`jwt`, `introspection`, `oidc-login`)"))
            .fix("name such a policy in `authn`, or list a limit with `by: consumer` on this route")
            .related(defined, "defined here"),
    );
}

/// Reports a limit that is charged while a write is forwarded.
pub(super) fn report_beside_writes(name: &Spanned<String>, defined: Span, report: &mut Report) {
    let what = format!("policy `{}` is charged while writes are forwarded", name.value);
    report.push(
        Diagnostic::warning(Code::ChargedBeside, name.span, what)
            .why("the upstream may have done a write that is answered with 429, and does it again when the client repeats it")
            .fix("name only methods that read (`GET`, `HEAD`) in `methods` of the route, or list a limit with `charge: before`")
            .related(defined, "defined here"),
    );
}

/// Reports a limit in `guard` that says that it is charged beside.
pub(super) fn report_beside_guard(name: &Spanned<String>, defined: Span, report: &mut Report) {
    let what = format!("policy `{}` is charged before the request goes on", name.value);
    report.push(
        Diagnostic::warning(Code::ChargedBeside, name.span, what)
            .why("`charge: beside` has no effect in `guard`, whose limits protect what comes after them")
            .fix("list it in `limit`, or write `charge: before`")
            .related(defined, "defined here"),
    );
}

/// Reports a limit by installation, on a route whose tokens are bound to nothing.
pub(super) fn report_no_installation(name: &Spanned<String>, report: &mut Report) {
    let what = format!("policy `{}` counts by consumer on this route, not by installation", name.value);
    report.push(
        Diagnostic::warning(Code::BadBinding, name.span, what)
            .why("an installation is known by the key or certificate to which a token is bound, and no policy in `authn` of the route requires that")
            .fix("write `binding: dpop` or `certificate` in the policy that reads the tokens, or list a limit with `by: consumer` on this route"),
    );
}

/// Reports a limit whose cost no request of the route states.
pub(super) fn report_no_cost(name: &Spanned<String>, of: &Source, defined: Span, report: &mut Report) {
    let what = format!("no request of the route has the cost that policy `{}` reads, `{of}`", name.value);
    report.push(
        Diagnostic::error(Code::BadExpression, name.span, what)
            .why("the value is missing in all of them, so that each would cost `reserve`")
            .fix("list another limit on this route, or read a cost that its requests have")
            .related(defined, "defined here"),
    );
}

/// Reports a condition that reads a parameter which the path of the route does not have.
pub(super) fn report_no_parameter(
    name: &Spanned<String>,
    parameter: &str,
    path: &PathTemplate,
    defined: Span,
    report: &mut Report,
) {
    let what =
        format!("policy `{}` reads `params.{parameter}`, and `{path}` has no parameter `{parameter}`", name.value);
    report.push(
        Diagnostic::error(Code::BadExpression, name.span, what)
            .why("the condition has no value on this route, so every request would be refused")
            .fix("name the parameter in the path as the condition does, or write `authz: none` on the route")
            .related(defined, "defined here"),
    );
}

/// Reports a limit that counts by a parameter which the path of the route does not have.
pub(super) fn report_same_quota(
    name: &Spanned<String>,
    parameter: &str,
    path: &PathTemplate,
    defined: Span,
    report: &mut Report,
) {
    let what =
        format!("policy `{}` counts by `params.{parameter}`, and `{path}` has no parameter `{parameter}`", name.value);
    report.push(
        Diagnostic::error(Code::BadExpression, name.span, what)
            .why("the value is missing in all requests of this route, so that they would share one quota")
            .fix("name the parameter in the path as `by` does, or list another limit on the route")
            .related(defined, "defined here"),
    );
}

/// Reports a condition that reads what the upstream does not receive.
pub(super) fn report_not_forwarded(
    name: &Spanned<String>,
    source: &Source,
    why: String,
    defined: Span,
    report: &mut Report,
) {
    let what = format!("policy `{}` reads `{source}` of the client, which the upstream does not receive", name.value);
    report.push(
        Diagnostic::warning(Code::ConditionReadsRemoved, name.span, what)
            .why(why)
            .fix("read `client.address` or something of `principal`, or a field or parameter that is forwarded")
            .related(defined, "defined here"),
    );
}

/// Reports policies that are listed in both `limit` and `guard`.
pub(super) fn report_charged_twice(effective: &Effective<'_>, report: &mut Report) {
    let guards: Vec<_> = effective.guard.items().flat_map(|item| &item.names).collect();
    for name in effective.limit.items().flat_map(|item| &item.names) {
        let Some(guard) = guards.iter().find(|guard| guard.value == name.value) else { continue };
        let what = format!("policy `{}` is listed in both `limit` and `guard`", name.value);
        report.push(
            Diagnostic::error(Code::ChargedTwice, name.span, what)
                .why("each request would be charged to its counter twice")
                .fix("remove it from one of the lists, or define a second policy for the other")
                .related(guard.span, "listed in `guard` here"),
        );
    }
}

/// Reports a limit of content above what policies read to verify it.
pub(super) fn report_unverified(effective: &Effective<'_>, report: &mut Report) {
    let Some(limit) = effective.body_limit.value.filter(|at| at.value.value > VERIFIED_CONTENT_BYTES_MAX) else {
        return;
    };
    report.push(
        Diagnostic::warning(Code::BadSignaturePolicy, limit.value.span, "content of this size is never accepted")
            .why("a policy of the route reads the content into memory to verify it, at most 1 MiB; more is a 413")
            .fix("write `body-limit: 1MiB` or less, or list the policy on other routes"),
    );
}

/// Why a policy for callers without a credential does not do what it seems to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mistake {
    /// Other policies must accept the caller, too.
    Together,
    /// Callers without a credential are admitted without a consumer as well.
    Optional,
    /// Others are listed after it.
    NotLast,
}

/// Reports a policy for callers without a credential.
pub(super) fn report_anonymous(name: &Spanned<String>, mistake: Mistake, report: &mut Report) {
    let shown = &name.value;
    let diagnostic = match mistake {
        Mistake::Together => Diagnostic::error(
            Code::BadAnonymous,
            name.span,
            format!("`{shown}` is for callers without a credential, and the others of `all` require one"),
        )
        .why("no request has a credential and none, so the alternative would refuse every request")
        .fix(format!("write `any` in place of `all`, or remove `{shown}`")),
        Mistake::Optional => Diagnostic::warning(
            Code::BadAnonymous,
            name.span,
            format!("callers without a credential are admitted by `optional` and by `{shown}`"),
        )
        .why(format!("`{shown}` decides first, so every caller has a consumer, and `optional` has no effect"))
        .fix("write `any` in place of `optional`"),
        Mistake::NotLast => Diagnostic::warning(
            Code::BadAnonymous,
            name.span,
            format!("`{shown}` is listed before policies that read credentials"),
        )
        .why("it decides only for callers that present none of their credentials, so it comes last, whatever its place")
        .fix(format!("list `{shown}` last")),
    };
    report.push(diagnostic);
}

pub(super) fn report_empty(api: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::EmptyApi, api.span, format!("API `{}` has no routes", api.value))
            .why("requests that match no route are answered with 404, so the API has no effect")
            .fix("add `routes:` or `spec:`, or remove the API"),
    );
}
