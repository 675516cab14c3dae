//! Plans: other limits for the consumers of a plan.

use std::collections::BTreeMap;

use tollgate_analysis::{compile_files, compile_str};
use tollgate_config::{Compiled, Diagnostics, OriginLevel, Severity};
use tollgate_core::kinds::LimitPolicy;

/// A project with these `plans:`.
fn project(plans: &str) -> String {
    format!(
        "format: 1\ngateway: {{name: acme}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  keys: {{kind: api-key}}\n  \
         burst: {{kind: rate-limit, rate: 100/s, by: address, on-unavailable: closed}}\nplans:\n  {plans}\n\
         apis: {{a: {{upstream: u, authn: keys, limit: burst, routes: [{{path: /x, id: x}}]}}}}\n"
    )
}

fn found(text: &str) -> Diagnostics {
    compile_str("tollgate.yaml", text).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// Checks the codes and columns of the findings in the plans.
#[track_caller]
fn check(plans: &str, expected: &[(&str, u32)]) {
    let found = found(&project(plans));
    let places: Vec<_> = found.iter().map(|d| (d.code.id(), d.span.start.column)).collect();
    assert_eq!(places, expected, "{plans}\n{found}");
    assert!(found.iter().all(|d| d.span.start.line == 8), "{found}");
}

/// The numbers that plans have for a policy: rate, period and burst.
fn numbers(compiled: &Compiled, policy: &str) -> Vec<(String, u32, u32, u32)> {
    let found = compiled.policies().limit.iter().find(|known| known.name == policy);
    let Some(LimitPolicy::RateLimit(settings)) = found.map(|named| &named.policy) else { return Vec::new() };
    let shown = settings.plans.iter();
    shown.map(|(plan, of)| (plan.clone(), of.rate.get(), of.period_ms.get(), of.burst.get())).collect()
}

#[test]
fn a_plan_replaces_the_numbers_of_a_limit() {
    let text = project(
        "{gold: {limits: {burst: {rate: 1000/min, burst: 2000}}}, free: {limits: {burst: {rate: 1/s}}}, none: {}}",
    );
    let compiled = compile_str("tollgate.yaml", &text).expect("a project that compiles");
    let expected = [("free".to_owned(), 1, 1_000, 1), ("gold".to_owned(), 1_000, 60_000, 2_000)];
    assert_eq!(numbers(&compiled, "burst"), expected);
    let origins = compiled.origins(&compiled.routes()[0]);
    let gold: Vec<_> = origins.iter().filter(|o| o.level == OriginLevel::Plan && o.setting.contains("gold")).collect();
    let shown: Vec<_> = gold.iter().map(|origin| (origin.setting.as_str(), origin.value.as_str())).collect();
    assert_eq!(shown, [("policies.burst.plans.gold.rate", "1000/min"), ("policies.burst.plans.gold.burst", "2000")]);
    let guarded = compile_str("tollgate.yaml", &text.replace("limit: burst", "guard: burst")).expect("warnings only");
    let origins = guarded.origins(&guarded.routes()[0]);
    assert!(origins.iter().any(|o| o.setting == "policies.burst.rate"));
    assert!(origins.iter().all(|o| o.level != OriginLevel::Plan), "the caller is not yet authenticated");
}

#[test]
fn mistakes_in_plans_are_reported() {
    check("gold: {limits: {burst: {rate: 5/s}}}", &[]);
    check("gold: {limits: {brst: {rate: 5/s}}}", &[("TG0302", 19)]);
    check("gold: {limits: {keys: {rate: 5/s}}}", &[("TG0607", 19)]);
    check("gold: {limits: {burst: {burst: 5}}}", &[("TG0203", 19)]);
    check("gold: {limits: {burst: {rate: 5}}}", &[("TG0208", 33)]);
    check("gold: {limits: {burst: {rate: 1/d, burst: 4000000000}}}", &[("TG0209", 33)]);
    check("gold: {limits: {burst: {rate: 5/s, by: address}}}", &[("TG0201", 38)]);
    check("gold: {limit: {burst: {rate: 5/s}}}", &[("TG0201", 10)]);
    check("gold: {limits: [burst]}", &[("TG0202", 18)]);
    check("Gold: {}", &[("TG0205", 3)]);
    let many: Vec<String> = (0..257).map(|n| format!("p{n}: {{}}")).collect();
    check(&format!("{{{}}}", many.join(", ")), &[("TG0409", 2454)]);
}

#[test]
fn a_cost_that_the_numbers_of_a_plan_owe_for_years_is_refused() {
    let with = |rate: &str| {
        let text = project(&format!("gold: {{limits: {{burst: {{rate: {rate}}}}}}}"));
        let found = found(&text.replace("by: address", "by: address, cost: response.bytes, cost-max: 50000"));
        found.iter().map(|d| (d.code.id(), d.span.start.column)).collect::<Vec<_>>()
    };
    assert_eq!(with("100/h"), []);
    assert_eq!(with("1/h"), [("TG0209", 33)]);
}

#[test]
fn a_plan_with_more_than_records_may_give_is_reported() {
    let check = |policy: &str, limit: &str, is_reported: bool| {
        let text = project(&format!("gold: {{limits: {{burst: {{{limit}}}}}}}"));
        let text = text.replace("kind: rate-limit, rate: 100/s, by: address, on-unavailable: closed", policy);
        let found = found(&text);
        let places: Vec<_> = found.iter().map(|d| (d.code.id(), d.severity, d.span.start.column)).collect();
        let expected = [("TG0352", Severity::Warning, 19)];
        assert_eq!(places, if is_reported { &expected[..] } else { &[] }, "{policy} {limit}: {found}");
    };
    let rate = "kind: rate-limit, rate: 100/min, at-most: 600";
    check(rate, "rate: 600/min", false);
    check(rate, "rate: 601/min", true);
    check(rate, "rate: 10/s", false);
    check(rate, "rate: 11/s", true);
    check(rate, "rate: 10/s, burst: 601", true);
    check("kind: rate-limit, rate: 100/min", "rate: 601/min", false);
    let quota = "kind: quota, quota: 100, window: day, at-most: 600";
    check(quota, "quota: 600", false);
    check(quota, "quota: 601", true);
    let concurrency = "kind: concurrency, max: 10, at-most: 20";
    check(concurrency, "max: 20", false);
    check(concurrency, "max: 21", true);
}

#[test]
fn plans_that_policies_name_are_defined() {
    let hash = "00".repeat(32);
    let jwt = "kind: jwt, issuer: \"https://i\", audience: a";
    for (slot, policy, expected) in [
        ("authn", "kind: anonymous, plan: trail".to_owned(), Some("did you mean `trial`?")),
        ("authn", format!("kind: basic, users: {{ada: {hash}}}, plan: trail"), Some("did you mean `trial`?")),
        ("authn", "kind: client-certificate, consumer: dns, plan: other".to_owned(), Some("use one of `trial`")),
        ("authn", format!("{jwt}, map-plans: {{trail: tier=1}}"), Some("did you mean `trial`?")),
        ("authn", format!("{jwt}, map-plans: {{trial: tier=1}}"), None),
        // The value of a claim.
        ("authn", format!("{jwt}, plan: trail"), None),
        ("authz", "kind: access, allow: {plans: [trail]}".to_owned(), Some("did you mean `trial`?")),
        // Tokens may name other plans.
        ("authz", "kind: access, allow: {plans: [premium]}".to_owned(), None),
    ] {
        let lists = if slot == "authn" { "authn: p" } else { "authn: keys, authz: p" };
        let keys = if slot == "authn" { "" } else { "keys: {kind: api-key}, " };
        let text = format!(
            "format: 1\ngateway: {{name: acme}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{{keys}p: {{{policy}}}}}\n\
             plans: {{trial: {{}}}}\napis: {{a: {{upstream: u, {lists}, routes: [{{path: /x}}]}}}}\n"
        );
        let found = found(&text);
        let fixes: Vec<&str> = found.iter().filter(|d| d.code.id() == "TG0506").map(|d| d.fix.as_str()).collect();
        assert_eq!(fixes.len(), usize::from(expected.is_some()), "{policy}: {found}");
        assert!(fixes.iter().all(|fix| fix.contains(expected.unwrap_or_default())), "{policy}: {found}");
    }
}

#[test]
fn plans_may_be_in_files_and_name_policies_of_an_api() {
    let files: BTreeMap<String, String> = [
        ("tollgate.yaml", "format: 1\ngateway: {name: acme, authn: none}\nupstreams: {u: \"http://u\"}\n"),
        (
            "apis/a/api.yaml",
            "format: 1\nupstream: u\nlimit: burst\nroutes: [{path: /x}]\npolicies: {burst: {kind: rate-limit, rate: 5/s}}\n",
        ),
        ("plans/gold.yaml", "format: 1\nplans: {gold: {limits: {a.burst: {rate: 9/s}}}}\n"),
        ("plans/free.yaml", "format: 1\nplans: {free: {limits: {a.burst: {rate: 1/s}}}}\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let compiled = compile_files(&files).expect("a project that compiles");
    let expected = [("free".to_owned(), 1, 1_000, 1), ("gold".to_owned(), 9, 1_000, 9)];
    assert_eq!(numbers(&compiled, "a.burst"), expected);
    let twice = files.clone().into_iter().chain([("plans/more.yaml".to_owned(), files["plans/gold.yaml"].clone())]);
    let found = compile_files(&twice.collect()).expect_err("a plan that is defined twice");
    assert_eq!(found.iter().map(|d| d.code.id()).collect::<Vec<_>>(), ["TG0312"], "{found}");
}

#[test]
fn limits_of_plans_that_never_apply_are_a_warning() {
    let never = |levels: &str, route: &str| {
        let text = project("gold: {limits: {burst: {rate: 5/s}}}");
        let text = text.replace("authn: keys, limit: burst", levels).replace("{path: /x, id: x}", route);
        let found = found(&text);
        let never = found.iter().filter(|d| d.code.id() == "TG0608");
        never.map(|d| (d.span.start.line, d.span.start.column)).collect::<Vec<_>>()
    };
    let route = "{path: /x, methods: [GET]}";
    assert_eq!(never("authn: keys, guard: burst", route), [(8, 19)], "charged before authentication");
    assert_eq!(never("authn: none, limit: burst", route), [(8, 19)], "without authentication");
    assert_eq!(never("authn: keys, limit: burst", route), []);
    let both = format!("{route}, {{path: /y, methods: [GET], guard: none, limit: burst}}");
    assert_eq!(never("authn: keys, guard: burst", &both), [], "one route is enough");
    assert_eq!(never("authn: keys", route), [], "it is reported as unused");
}

#[test]
fn a_number_that_no_claim_has_is_not_taken_for_a_quota_of_all() {
    let about = |routes: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: acme}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  keys: {{kind: api-key}}\n  \
             tokens: {{kind: jwt, issuer: \"https://i\", audience: a}}\n  \
             p: {{kind: quota, quota: 5, window: day, at-most: 9, limit-from: principal.claims.q}}\n\
             apis: {{a: {{upstream: u, limit: p, routes: [{routes}, {{path: /z, limit: none, authn: tokens}}]}}}}\n"
        );
        let found = found(&text);
        let other = found.iter().filter(|found| found.code.id() != "TG0407");
        other.map(|found| (found.code.id(), found.what.clone())).collect::<Vec<_>>()
    };
    let unclaimed = ("TG0608", "no claim changes the limit `p`".to_owned());
    assert_eq!(about("{path: /x, authn: keys}"), [unclaimed]);
    assert_eq!(about("{path: /x, authn: {any: [keys, tokens]}}"), []);
    assert_eq!(about("{path: /x, authn: keys}, {path: /y, authn: tokens}"), [], "one route is enough");
    assert_eq!(about("{path: /x, authn: none}, {path: /y, authn: tokens}"), [], "a public route has other numbers");
    let unapplied = ("TG0608", "records never change the limit `p`".to_owned());
    assert_eq!(about("{path: /x, authn: none}"), [unapplied]);
}

/// Checks what the finding about a cost says.
#[track_caller]
fn check_cost(policy: &str, plans: &str, route: &str, expected: Option<&str>) {
    let text = format!(
        "format: 1\ngateway: {{name: acme, authn: none}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  keys: {{kind: api-key}}\n  \
         burst: {{kind: rate-limit, {policy}, by: address}}\nplans: {plans}\n\
         apis: {{a: {{upstream: u, routes: [{{path: /x, methods: [GET], id: x, {route}}}, {{path: /y, methods: [GET], authn: keys, limit: burst}}]}}}}\n"
    );
    let found = found(&text);
    let about: Vec<_> = found.iter().filter(|found| found.code.id() == "TG0319").collect();
    assert_eq!(about.len(), usize::from(expected.is_some()), "{text}{found}");
    assert!(
        about.iter().all(|about| format!("{} {}", about.what, about.why).contains(expected.unwrap_or_default())),
        "{found}"
    );
}

/// What a finding about a policy of a project with the limit `p` tells to do.
#[track_caller]
fn check_fix(policy: &str, plans: &str, path: &str, code: &str, says: &str) {
    let text = format!(
        "format: 1\ngateway: {name}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  keys: {{kind: api-key}}\n  p: {policy}\nplans: {plans}\n\
         apis: {{a: {{upstream: u, authn: keys, limit: p, routes: [{{path: {path}, methods: [GET], id: x, cost: 5}}]}}}}\n",
        name = "{name: acme}"
    );
    let found = found(&text);
    let is_said =
        |d: &tollgate_config::Diagnostic| d.code.id() == code && format!("{} {}", d.why, d.fix).contains(says);
    assert!(found.iter().any(is_said), "{code} {says}\n{found}");
}

#[test]
fn what_is_wrong_with_a_limit_is_told_with_what_its_kind_has() {
    let rate = "{kind: rate-limit, rate: 5/s}";
    for plan in ["unlimited", "none"] {
        let plans = format!("{{big: {{limits: {{p: {plan}}}}}}}");
        check_fix(
            rate,
            &plans,
            "/x",
            "TG0202",
            "write `{rate: 100/s}` for a `rate-limit`, `{quota: 100000}` for a `quota`",
        );
    }
    check_fix(rate, "{big: {limits: {p: 9/min}}}", "/x", "TG0202", "write `{rate: 9/min}`");
    check_fix("{kind: rate-limit, rate: 5/s, window: month}", "{}", "/x", "TG0201", "a policy of kind `quota`");
    check_fix("{kind: rate-limit, rate: 5/s, zone: Europe/Paris}", "{}", "/x", "TG0201", "a policy of kind `quota`");
    check_fix("{kind: rate-limit, rate: 10/month}", "{}", "/x", "TG0208", "of a policy of kind quota");
    check_fix("{kind: rate-limit, rate: 10/year}", "{}", "/x", "TG0208", "of a policy of kind quota");
    for (key, code, says) in [
        ("warn: [0.8]", "TG0202", "write `80%`: a share is in percent"),
        ("warn: [80%, 95]", "TG0202", "write `95%`: a share is in percent"),
        ("warn: 0.8", "TG0202", "write the list `[80%]`: shares are in percent"),
        ("warn: [\"0.8\"]", "TG0352", "write `80%`"),
        ("warn: [most]", "TG0352", "write a share such as `80%`"),
        ("on-unavailable: degrade, degrade-to: 0.25", "TG0202", "write `25%`: a share is in percent"),
    ] {
        check_fix(&format!("{{kind: rate-limit, rate: 5/s, {key}}}"), "{}", "/x", code, says);
    }
    check_fix(
        "{kind: rate-limit, rate: 5/s, algorithm: spacing, consistency: leased}",
        "{}",
        "/x",
        "TG0352",
        "the limit is exact without `consistency`",
    );
    check_fix(
        "{kind: rate-limit, rate: 5/s, by: request.headers.x-tenant}",
        "{}",
        "/x",
        "TG0332",
        "write `request.headers[\"x-tenant\"]`",
    );
    check_fix("{kind: rate-limit, rate: 5/s, by: [consumer, params.store]}", "{}", "/x", "TG0332", "share one quota");
    let cost =
        |policy: &str, key: &str| check_fix(policy, "{}", "/x", "TG0319", &format!("raise `{key}` there to 5 or more"));
    cost("{kind: rate-limit, rate: 4/s}", "burst");
    cost("{kind: rate-limit, rate: 4/s, algorithm: sliding-log}", "rate");
    cost("{kind: rate-limit, rate: 4/s, algorithm: fixed-window}", "rate");
    cost("{kind: quota, quota: 4, window: day}", "quota");
}

#[test]
fn a_cost_that_a_limit_never_admits_is_reported() {
    let own = "authn: keys, limit: burst, cost: 5";
    check_cost("rate: 5/s", "{}", own, None);
    check_cost("rate: 10/min, burst: 4", "{}", own, Some("every request would be"));
    check_cost("rate: 4/min", "{}", own, Some("`cost` is 5, but policy `burst` admits at most 4 at once"));
    check_cost("rate: 4/min", "{}", "guard: burst, cost: 5", Some("every request would be"));
    let plans = "{big: {limits: {burst: {rate: 9/s}}}, small: {limits: {burst: {rate: 9/s, burst: 1}}}}";
    check_cost("rate: 5/s", plans, own, Some("of consumers with the plan `small` would"));
    check_cost("rate: 4/s", plans, own, Some("without a plan, and of consumers with the plan `small`, would"));
    check_cost("rate: 4/s", "{big: {limits: {burst: {rate: 9/s}}}}", own, Some("without a plan would"));
    check_cost("rate: 4/s", "{small: {limits: {burst: {rate: 1/s}}}}", own, Some("every request would be"));
    // Plans have no effect before the caller is known.
    check_cost("rate: 5/s", plans, "guard: burst, cost: 5", None);
    check_cost("rate: 4/s", plans, "limit: burst, cost: 5", Some("every request would be"));
}

#[test]
fn callers_choose_the_host_where_a_pattern_of_hosts_is_served() {
    let is_reported = |hosts: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g{hosts}}}\nupstreams: {{u: \"https://u.internal\"}}\n\
             policies: {{p: {{kind: rate-limit, rate: 5/d, by: request.host}}}}\n\
             apis: {{a: {{upstream: u, limit: p, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        found(&text).iter().any(|diagnostic| diagnostic.code.id() == "TG0353")
    };
    assert!(is_reported("") && is_reported(", hosts: [\"*.example.com\"]"));
    assert!(!is_reported(", hosts: [api.example.com]"));
}
