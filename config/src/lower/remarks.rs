//! What is said about routes that can be read but should not be left as they are.

use super::merge::Effective;
use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::model::api::Route;
use crate::model::level::Item;
use crate::place::Spanned;

/// What a reader of the route would not expect.
pub(super) fn remarks(route: &Route, effective: &Effective<'_>, is_limited: bool, report: &mut Report) {
    if let (Some(scope), true) = (route.scopes.first(), effective.authn.items.is_empty()) {
        report.push(
            Diagnostic::error(Code::ScopesWithoutAuthn, scope.span, "scopes are asked for, but no credential")
                .why("a caller without a credential has no scopes, so every request would be refused")
                .fix("add `authn:` to the route or its API, or remove `scopes:`"),
        );
    }
    if let (Some(cost), true) = (&route.cost, !is_limited) {
        report.push(
            Diagnostic::warning(Code::CostWithoutLimit, cost.span, "`cost` does nothing without a limit")
                .why("it says how much one request takes from the limits in force")
                .fix("add `limit:` to the route or its API, or a limit to `guard:`, or remove `cost:`"),
        );
    }
    if let Some((span, inherited)) = &effective.authn.widened {
        let titles: Vec<String> = inherited.iter().map(|item| item.title()).collect();
        let names = listed(titles.iter().map(String::as_str));
        report.push(
            Diagnostic::warning(Code::AuthnWidened, *span, format!("{names} of a higher level is accepted here too"))
                .why("lists append, so this one adds ways to be let in and takes none away")
                .fix("write `{replace: true, any: [...]}` to accept only these, `{replace: false, any: [...]}` if adding is meant")
                .related(inherited.first().map_or(*span, |name| name.span), "accepted since here"),
        );
    }
    report_never_decides(&effective.authn.items().collect::<Vec<_>>(), report);
}

/// Reports alternatives of `authn` that need more than an earlier one: whoever they let in, that one has let in already.
fn report_never_decides(alternatives: &[&Item], report: &mut Report) {
    for (place, item) in alternatives.iter().enumerate() {
        let has = |name: &Spanned<String>| item.names.iter().any(|own| own.value == name.value);
        let Some(earlier) = alternatives[..place].iter().find(|earlier| earlier.names.iter().all(has)) else {
            continue;
        };
        report.push(
            Diagnostic::warning(Code::NeverDecides, item.span, format!("{} can never decide", item.title()))
                .why(format!("{} is tried first, and authenticates every caller that it would", earlier.title()))
                .fix("remove it, or name it before the other one")
                .related(earlier.span, "the one that is tried first"),
        );
    }
}

/// Reports policies of `limit` that `guard` names too.
pub(super) fn report_charged_twice(effective: &Effective<'_>, report: &mut Report) {
    let guards: Vec<_> = effective.guard.items().flat_map(|item| &item.names).collect();
    for name in effective.limit.items().flat_map(|item| &item.names) {
        let Some(guard) = guards.iter().find(|guard| guard.value == name.value) else { continue };
        report.push(
            Diagnostic::error(Code::ChargedTwice, name.span, format!("`{}` is in `limit` and in `guard`", name.value))
                .why("each request would be charged to its counter twice")
                .fix("remove it from one of the lists, or define a second limit for the other")
                .related(guard.span, "named in `guard` here"),
        );
    }
}

pub(super) fn report_empty(api: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::EmptyApi, api.span, format!("API `{}` has no routes", api.value))
            .why("what is not routed is denied, so it answers nothing")
            .fix("add `routes:`, or remove the API"),
    );
}
