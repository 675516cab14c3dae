use proptest::prelude::*;
use tollgate_config::Compiled;

use super::{Change, Effect, diff};
use crate::compile_str;

/// A project with these routes of one API.
fn project(policies: &str, routes: &str) -> Compiled {
    let text = format!(
        "format: 1\ngateway: {{name: g, hosts: [api.example.com, \"*.example.com\"]}}\n\
        upstreams: {{u: \"http://u\", v: \"http://v\"}}\n\
        policies: {{keys: {{kind: api-key}}, tokens: {{kind: api-key, header: X-Token}}, {policies}}}\n\
        apis: {{a: {{upstream: u, authn: keys, routes: [{routes}]}}}}\n"
    );
    compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
}

const BURST: &str = "burst: {kind: rate-limit, rate: 60/min}";

/// Checks the differences: setting, effect, and whether protection is weakened.
#[track_caller]
fn check(from: (&str, &str), to: (&str, &str), expected: &[(&str, Effect, bool)]) {
    let changes = diff(&project(from.0, from.1), &project(to.0, to.1));
    let mut found: Vec<_> = changes.iter().map(|c| (c.setting.as_str(), c.effect, c.loosens)).collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{changes:#?}");
}

#[test]
fn changes_that_affect_no_request_are_not_differences() {
    let routes = "{path: /a, methods: [GET, POST], limit: burst}, {path: \"/b/{id}\", id: b}";
    check(
        (BURST, routes),
        (BURST, "{path: \"/b/{name}\", id: b}, {path: /a, methods: [POST, GET], limit: burst}"),
        &[],
    );
    check((BURST, routes), ("burst: {kind: rate-limit, rate: 1/s, burst: 60}", routes), &[]);
    check((BURST, routes), ("other: {kind: rate-limit, rate: 60/min}", &routes.replace("burst", "other")), &[]);
}

#[test]
fn routes_are_compared_by_the_requests_that_they_match() {
    use Effect::{Breaking, Compatible, Review};
    check(("", "{path: /a}"), ("", "{path: /a}, {path: /b}"), &[("route", Compatible, false)]);
    check(("", "{path: /a}"), ("", "{path: /a}, {path: /b, authn: none}"), &[("route", Compatible, true)]);
    check(("", "{path: /a}, {path: /b}"), ("", "{path: /a}"), &[("route", Breaking, false)]);
    check(("", "{path: /a, id: x}"), ("", "{path: /a, id: z}"), &[("id", Compatible, false)]);
    check(("", "{path: /a, id: x}"), ("", "{path: /a, id: x, methods: [GET]}"), &[("matches", Breaking, false)]);
    let taken = [("taken by", Review, false), ("authn", Compatible, true)];
    check(("", "{path: \"/a/{x}\"}"), ("", "{path: \"/a/{x}\"}, {path: /a/b, authn: none}"), &taken);
}

#[test]
fn a_field_that_no_longer_tells_who_the_caller_is_loosens() {
    let upstream = |more: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g, authn: none}}\nupstreams: {{u: {{url: \"http://u\"{more}}}}}\n\
             apis: {{a: {{upstream: u, routes: [{{path: /a}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
    };
    let (consumer, plan) = (", identity: {X-A: consumer}", ", identity: {X-A: plan}");
    for (from, to, loosens) in [("", consumer, false), (consumer, plan, false), (consumer, "", true)] {
        let changes = diff(&upstream(from), &upstream(to));
        let found: Vec<_> = changes.iter().map(|c| (c.setting.as_str(), c.effect, c.loosens)).collect();
        assert_eq!(found, [("upstream.identity.x-a", Effect::Review, loosens)], "{from} -> {to}");
    }
}

#[test]
fn what_an_upstream_is_told_on_one_route_is_compared_there() {
    let told = |more: &str| format!("{{path: /a}}, {{path: /b{more}}}");
    let (consumer, plan) = (told(", identity: {X-A: consumer}"), told(", identity: {X-A: plan}"));
    let change = |loosens| [("upstream.identity.x-a", Effect::Review, loosens)];
    check(("", &told("")), ("", &consumer), &change(false));
    check(("", &consumer), ("", &plan), &change(false));
    check(("", &plan), ("", &told("")), &change(true));
    check(("", &plan), ("", &plan), &[]);
    let auth = told(", upstream-auth: {kind: basic, user: a, password: \"${secret.A}\"}");
    check(("", &told("")), ("", &auth), &[("upstream.auth", Effect::Review, false)]);
}

#[test]
fn another_certificate_of_the_gateway_is_a_difference_of_the_upstream() {
    let upstream = |more: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g, authn: none}}\nupstreams: {{u: {{url: \"https://u\"{more}}}}}\n\
             apis: {{a: {{upstream: u, routes: [{{path: /a}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
    };
    let (a, b) = (", tls: {certificate: \"${secret.A}\"}", ", tls: {certificate: \"${secret.B}\"}");
    for (from, to, changed) in [("", a, true), (a, b, true), (b, "", true), (a, a, false)] {
        let changes = diff(&upstream(from), &upstream(to));
        let found: Vec<_> = changes.iter().map(|c| (c.setting.as_str(), c.effect)).collect();
        let expected: &[_] = if changed { &[("upstream.tls.certificate", Effect::Review)] } else { &[] };
        assert_eq!(found, expected, "{from} -> {to}");
    }
}

#[test]
fn tokens_about_callers_are_compared() {
    let project = |gateway: &str, told: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g, authn: none, identity-tokens: {{issuer: i, key: \"${{secret.KEY}}\"{gateway}}}}}\n\
             upstreams: {{u: {{url: \"http://u\", identity: {{X-A: {told}}}}}}}\n\
             apis: {{a: {{upstream: u, routes: [{{path: /a}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
    };
    let from = project("", "{claims: {plan: plan}}");
    for (gateway, told, setting) in [
        (", lifetime: 1m", "{claims: {plan: plan}}", "identity-tokens"),
        (", keys-path: /keys", "{claims: {plan: plan}}", "identity-tokens"),
        ("", "{claims: {p: plan}}", "upstream.identity.x-a"),
        ("", "{audience: b, claims: {plan: plan}}", "upstream.identity.x-a"),
    ] {
        let changes = diff(&from, &project(gateway, told));
        let found: Vec<_> = changes.iter().map(|c| (c.setting.as_str(), c.effect, c.loosens)).collect();
        assert_eq!(found, [(setting, Effect::Review, false)]);
    }
    assert_eq!(diff(&from, &from), []);
}

#[test]
fn trusting_more_proxies_loosens() {
    let gateway = |rule: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g{rule}}}\nupstreams: {{u: \"http://u\"}}\n\
             apis: {{a: {{upstream: u, authn: none, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
    };
    let (count, networks) = (", trusted-proxies: 2", ", trusted-proxies: [10.0.0.0/8]");
    for (from, to, loosens) in [
        ("", count, true),
        (count, "", false),
        (count, ", trusted-proxies: 1", false),
        (count, ", trusted-proxies: 3", true),
        (networks, ", trusted-proxies: [10.1.0.0/16, 10.2.0.0/16]", false),
        (networks, ", trusted-proxies: [10.0.0.0/8, 192.0.2.1]", true),
        (networks, count, true),
        (count, ", trusted-proxies: 2, proxy-field: forwarded", true),
    ] {
        let changes = diff(&gateway(from), &gateway(to));
        let found: Vec<_> = changes.iter().map(|c| (c.setting.as_str(), c.effect, c.loosens)).collect();
        assert_eq!(found, [("trusted-proxies", Effect::Review, loosens)], "{from} {to}");
    }
}

#[test]
fn settings_are_classified_by_their_effect_on_requests() {
    use Effect::{Breaking, Compatible, Review};
    for (from, to, expected) in [
        ("authn: none", "authn: keys", ("authn", Breaking, false)),
        ("", "authn: none", ("authn", Compatible, true)),
        ("", "authn: {any: [tokens], replace: false}", ("authn", Compatible, true)),
        ("", "authn: {any: [tokens], replace: true}", ("authn", Breaking, true)),
        ("", "scopes: [a]", ("scopes", Breaking, false)),
        ("scopes: [a]", "", ("scopes", Compatible, true)),
        ("scopes: [a]", "scopes: {any: [a, b]}", ("scopes", Compatible, true)),
        ("scopes: {any: [a, b]}", "scopes: [a]", ("scopes", Breaking, false)),
        ("scopes: {any: [a, b]}", "scopes: {any: [a, {all: [b, c]}]}", ("scopes", Breaking, false)),
        ("scopes: {any: [a, b]}", "scopes: {any: [a, c]}", ("scopes", Breaking, true)),
        ("", "limit: burst", ("limit", Breaking, false)),
        ("limit: burst", "", ("limit", Compatible, true)),
        ("limit: burst", "limit: burst, cost: 2", ("cost", Breaking, false)),
        ("", "cache: {}", ("cache", Review, false)),
        ("cache: {}", "", ("cache", Compatible, false)),
        ("cache: {ttl: 2s}", "cache: {ttl: 1s}", ("cache.ttl", Compatible, false)),
        ("cache: {}", "cache: {with-credentials: shared}", ("cache.with-credentials", Review, true)),
        ("timeout: 2s", "timeout: 1s", ("timeout", Breaking, false)),
        ("timeout: 2s", "timeout: none", ("timeout", Compatible, false)),
        ("body-limit: 2KiB", "body-limit: 1KiB", ("body-limit", Breaking, false)),
        ("", "matrix-parameters: true", ("matrix-parameters", Compatible, true)),
        ("matrix-parameters: true", "matrix-parameters: false", ("matrix-parameters", Breaking, false)),
    ] {
        let route = |settings: &str| format!("{{path: /a, id: x, {settings}}}, {{path: /b, limit: burst}}");
        check((BURST, &route(from)), (BURST, &route(to)), &[expected]);
    }
}

#[test]
fn quantities_have_the_units_of_a_project() {
    let compiled = |quantities: [&str; 5]| {
        let [every, keep, receiver, timeout, body] = quantities;
        let text = format!(
            "format: 1\ngateway:\n  name: g\n  notify:\n  - {{url: \"https://ops.example.com/a\", secret: \"${{secret.N}}\", timeout: {receiver}}}\n\
             telemetry: {{usage: {{every: {every}, keep: {keep}}}}}\nupstreams: {{u: \"http://u\"}}\n\
             apis: {{a: {{upstream: u, authn: none, routes: [{{path: /a, timeout: {timeout}, body-limit: {body}}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
    };
    let changes =
        diff(&compiled(["2s", "90d", "3s", "30s", "1MiB"]), &compiled(["5s", "400d", "500ms", "2s", "64KiB"]));
    let shown = |setting: &str| {
        let found = changes.iter().find(|change| change.setting == setting).unwrap();
        format!("{} to {}", found.from.as_deref().unwrap_or_default(), found.to.as_deref().unwrap_or_default())
    };
    assert_eq!(shown("timeout"), "30s to 2s");
    assert_eq!(shown("body-limit"), "1MiB to 64KiB");
    assert_eq!(shown("notify"), "https://ops.example.com/a within 3s to https://ops.example.com/a within 500ms");
    let telemetry = shown("telemetry");
    assert!(telemetry.contains("usage every 2s, kept for 90d to "), "{telemetry}");
    assert!(telemetry.ends_with("usage every 5s, kept for 400d"), "{telemetry}");
}

#[test]
fn changes_after_which_counts_begin_at_zero_say_so() {
    let routes = "{path: /a, limit: q}";
    let quota = |keys: &str| project(&format!("q: {{kind: quota, quota: 9, {keys}}}"), routes);
    for (from, to) in [
        ("window: month", "window: day"),
        ("window: day", "window: month"),
        ("window: month", "window: month, anchor-day: 15"),
        ("window: year", "window: year, anchor-month: 4"),
        ("window: week", "window: week, anchor-weekday: friday"),
        ("window: day", "window: day, zone: Europe/Paris"),
        ("window: day", "window: day, by: address"),
    ] {
        let changes = diff(&quota(from), &quota(to));
        assert!(!changes.is_empty() && changes.iter().all(|change| change.reason.contains("zero")), "{changes:#?}");
    }
}

#[test]
fn a_limit_is_compared_across_periods_and_reported_once() {
    use Effect::{Breaking, Compatible};
    let routes = "{path: /a, limit: burst}, {path: /b, limit: burst}";
    let tighter = "burst: {kind: rate-limit, rate: 59/min, burst: 60}";
    check((BURST, routes), (tighter, routes), &[("rate", Breaking, false)]);
    let looser = "burst: {kind: rate-limit, rate: 2/s, burst: 60}";
    check((BURST, routes), (looser, routes), &[("rate", Compatible, true)]);
}

#[test]
fn a_limit_in_guard_is_also_charged_for_requests_without_a_credential() {
    use Effect::{Breaking, Compatible};
    let policies =
        "tries: {kind: rate-limit, rate: 9/min, by: address}, spare: {kind: rate-limit, rate: 9/min, by: address}";
    for (from, to, expected) in [
        ("limit: tries", "guard: tries", vec![("limit", Breaking, false)]),
        ("limit: tries", "guard: spare", vec![("limit", Breaking, false)]),
        ("guard: tries", "limit: tries", vec![("limit", Compatible, true)]),
        ("guard: tries", "guard: spare", vec![]),
        ("limit: tries, authn: none", "guard: tries, authn: none", vec![]),
        ("guard: tries", "guard: tries, limit: spare", vec![("limit", Breaking, false)]),
        ("guard: tries", "", vec![("limit", Compatible, true)]),
    ] {
        let route = |settings: &str| format!("{{path: /a, id: x, {settings}}}, {{path: /b, limit: [tries, spare]}}");
        check((policies, &route(from)), (policies, &route(to)), &expected);
    }
}

#[test]
fn several_required_authenticators_accept_fewer_callers_than_each_alone() {
    use Effect::{Breaking, Compatible, Review};
    for (from, to, expected) in [
        ("authn: [keys, tokens]", "authn: {all: [keys, tokens], replace: true}", ("authn", Breaking, false)),
        // A request with several credentials is authenticated by the first policy that accepts one.
        (
            "authn: {any: [keys, tokens], replace: true}",
            "authn: {any: [tokens, keys], replace: true}",
            ("authn", Review, false),
        ),
        (
            "authn: {all: [keys, tokens], replace: true}",
            "authn: {all: [tokens, keys], replace: true}",
            ("authn", Review, false),
        ),
        ("authn: {all: [keys, tokens], replace: true}", "authn: keys", ("authn", Compatible, true)),
        ("authn: {all: [keys, tokens], replace: true}", "authn: none", ("authn", Compatible, true)),
        (
            "authn: {any: [keys], replace: true}",
            "authn: {optional: [keys], replace: true}",
            ("authn", Compatible, true),
        ),
        ("authn: {optional: [keys], replace: true}", "authn: {any: [keys], replace: true}", ("authn", Breaking, false)),
        ("authn: none", "authn: {optional: [keys], replace: true}", ("authn", Review, false)),
        ("authn: {optional: [keys], replace: true}", "authn: none", ("authn", Compatible, true)),
    ] {
        check(("", &format!("{{path: /a, {from}}}")), ("", &format!("{{path: /a, {to}}}")), &[expected]);
    }
    let visitors = "visitors: {kind: anonymous}";
    let with_keys = "{path: /a, authn: {any: [keys, visitors], replace: true}}";
    check((visitors, "{path: /a}"), (visitors, with_keys), &[("authn", Compatible, true)]);
    check((visitors, with_keys), (visitors, "{path: /a}"), &[("authn", Breaking, false)]);
    check((visitors, "{path: /a, authn: none}"), (visitors, with_keys), &[("authn", Review, false)]);
    let changes = diff(
        &project("", "{path: /a, authn: {any: [tokens, {all: [tokens, keys]}], replace: true}}"),
        &project("", "{path: /a, authn: {all: [tokens, keys], replace: true}}"),
    );
    let shown: Vec<_> = changes.iter().map(|c| (c.from.as_deref(), c.to.as_deref())).collect();
    assert_eq!(shown, [(Some("tokens or (tokens + keys)"), Some("tokens + keys"))]);
}

#[test]
fn places_of_keys_are_compared_once_for_their_policy() {
    use Effect::{Breaking, Compatible, Review};
    let both = "{path: /a, authn: {any: [own], replace: true}}, {path: /b, authn: {any: [own], replace: true}}";
    let own = |places: &str| format!("own: {{kind: api-key{places}}}");
    for (from, to, expected) in [
        ("", ", query: key", vec![("query", Compatible, true)]),
        (", query: key", "", vec![("query", Breaking, false)]),
        (", query: key", ", query: other", vec![("query", Breaking, true)]),
        (", header: X-A", ", header: X-B", vec![("header", Breaking, true)]),
        (", header: X-A", ", header: X-B, query: key", vec![("header", Breaking, true), ("query", Breaking, true)]),
        (", header: X-A", ", header: X-A, scheme: Bearer", vec![("scheme", Breaking, true)]),
        (", header: X-A", ", header: x-a", vec![]),
    ] {
        check((&own(from), both), (&own(to), both), &expected);
        let changes = diff(&project(&own(from), both), &project(&own(to), both));
        assert!(changes.iter().all(|change| change.subject == "policy own"), "{changes:#?}");
    }
    let other = "{path: /a, authn: {any: [other], replace: true}}";
    let named = |name: &str| format!("{{path: /a, authn: {{any: [{name}], replace: true}}}}");
    let with = |places: &str| format!("other: {{kind: api-key{places}}}, {}", own(", query: key"));
    for (places, to, expected) in [
        (", query: key", "own", vec![]),
        ("", "own", vec![("authn", Compatible, true)]),
        (", query: q", "own", vec![("authn", Breaking, true)]),
        (", query: q", "{all: [own, other]}", vec![("authn", Breaking, false)]),
        ("", "other, own", vec![("authn", Compatible, true)]),
    ] {
        check((&with(places), other), (&with(places), &named(to)), &expected);
    }
    // A request is accepted by one or the other of two policies, or by one policy with both places.
    let split = "{path: /a, authn: {any: [keys, query], replace: true}}";
    let policies = format!("query: {{kind: api-key, header: X-Other, query: key}}, {}", own(", query: key"));
    check((&policies, &named("own")), (&policies, split), &[("authn", Compatible, true)]);
    check((&policies, split), (&policies, &named("own")), &[("authn", Breaking, false)]);
    check((&policies, &named("own, keys")), (&policies, &named("keys, own")), &[("authn", Review, false)]);
}

#[test]
fn filters_are_classified_by_the_clients_that_they_allow() {
    use Effect::{Breaking, Compatible};
    let office = |lists: &str| format!("office: {{kind: ip-filter, {lists}}}");
    let guarded = "{path: /a, guard: office}";
    for (from, to, expected) in [
        ("allow: [10.0.0.0/8]", "allow: [10.0.0.0/8, 192.0.2.0/24]", vec![("allow", Compatible, true)]),
        ("allow: [10.0.0.0/8]", "deny: [192.0.2.0/24]", vec![("allow", Compatible, true), ("deny", Compatible, true)]),
        ("deny: [10.0.0.0/8]", "deny: [10.0.0.0/8, 192.0.2.0/24]", vec![("deny", Breaking, false)]),
        ("deny: [10.0.0.0/8]", "deny: [192.0.2.0/24]", vec![("deny", Breaking, true)]),
        ("allow: [10.0.0.7]", "allow: [10.0.0.7/32]", vec![]),
        ("allow: [10.0.0.0/8]", "allow: [10.0.0.0/9, 10.128.0.0/9]", vec![]),
        ("deny: [10.1.0.0/16]", "deny: [10.1.0.0/16, 10.1.2.0/24]", vec![]),
        ("deny: [10.1.0.0/16], allow: [10.1.2.0/24]", "deny: [10.1.0.0/16]", vec![("allow", Breaking, true)]),
        ("deny: [192.0.2.0/24]", "deny: [\"::ffff:192.0.2.0/120\"]", vec![]),
    ] {
        check((&office(from), guarded), (&office(to), guarded), &expected);
    }
    let filter = office("allow: [10.0.0.0/8]");
    check((&filter, "{path: /a}"), (&filter, guarded), &[("guard", Breaking, false)]);
    check((&filter, guarded), (&filter, "{path: /a}"), &[("guard", Compatible, true)]);
    let halves = "staff: {kind: ip-filter, allow: [10.0.0.0/9, 10.128.0.0/9]}";
    check((&filter, guarded), (halves, "{path: /a, guard: staff}"), &[]);
}

#[test]
fn the_numbers_of_a_plan_are_compared() {
    use Effect::{Breaking, Compatible};
    let with = |plans: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{keys: {{kind: api-key}}, {BURST}}}\n\
            plans: {{{plans}}}\napis: {{a: {{upstream: u, authn: keys, limit: burst, routes: [{{path: /a}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"))
    };
    let gold = |rate: &str| format!("gold: {{limits: {{burst: {{rate: {rate}, burst: 60}}}}}}");
    for (from, to, expected) in [
        (gold("2/s"), gold("3/s"), vec![("plans.gold.rate", Compatible)]),
        (gold("2/s"), gold("120/min"), vec![]),
        (gold("2/s"), String::new(), vec![("plans.gold.rate", Breaking)]),
        (String::new(), gold("1/min"), vec![("plans.gold.rate", Breaking)]),
    ] {
        let changes = diff(&with(&from), &with(&to));
        let found: Vec<_> = changes.iter().map(|c| (c.setting.as_str(), c.effect)).collect();
        assert_eq!(found, expected, "{from} {to}");
    }
}

fn routes() -> impl Strategy<Value = Vec<String>> {
    let path = prop::sample::select(vec!["/a", "/b", "/{x}", "/a/{x}", "/a/b", "/a/{*rest}", "/{x:int}"]);
    let methods = prop::sample::select(vec!["", ", methods: [GET]", ", methods: [GET, POST]"]);
    let settings =
        prop::sample::select(vec!["", ", authn: none", ", limit: burst", ", cache: {ttl: 1s}", ", timeout: 1s"]);
    let host = prop::sample::select(vec!["", ", scopes: [s]"]);
    prop::collection::btree_map(path, (methods, settings, host), 1..6).prop_map(|all| {
        let route = |(path, (methods, settings, more)): (&str, (&str, &str, &str))| {
            // A public route cannot require scopes.
            let more = if settings.contains("none") { "" } else { more };
            format!("{{path: \"{path}\"{methods}{settings}{more}}}")
        };
        all.into_iter().map(route).collect()
    })
}

fn compiled(routes: &[String]) -> Compiled {
    project(BURST, &format!("{{path: /used, limit: burst}}, {}", routes.join(", ")))
}

/// The differences with old and new values exchanged.
fn mirrored(changes: &[Change]) -> Vec<(String, Option<String>, Option<String>)> {
    let mut all: Vec<_> = changes.iter().map(|c| (c.setting.clone(), c.to.clone(), c.from.clone())).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_project_does_not_differ_from_itself_in_another_order(routes in routes()) {
        let mut reversed = routes.clone();
        reversed.reverse();
        prop_assert_eq!(diff(&compiled(&routes), &compiled(&reversed)), Vec::<Change>::new());
    }

    #[test]
    fn differences_are_symmetric(a in routes(), b in routes()) {
        let (a, b) = (compiled(&a), compiled(&b));
        let there = mirrored(&diff(&a, &b));
        let mut back: Vec<_> = diff(&b, &a).into_iter().map(|c| (c.setting, c.from, c.to)).collect();
        back.sort_unstable();
        prop_assert_eq!(there, back);
    }
}
