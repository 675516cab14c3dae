//! The three levels: locked settings, and the origin of each setting of a route.

use tollgate_analysis::compile_str;
use tollgate_config::{Compiled, Diagnostics, Origin, OriginLevel};
use tollgate_core::forward::UpstreamAuth;

/// A project with further settings of the gateway, the API and the route.
fn project(gateway: &str, api: &str, route: &str) -> String {
    format!(
        "\
format: 1
gateway: {{name: acme{gateway}}}
upstreams: {{u: {{url: \"http://u\", timeout: 7s}}}}
policies:
  staff: {{kind: api-key}}
  partners: {{kind: api-key, scheme: Bearer, header: Authorization}}
  burst: {{kind: rate-limit, rate: 5/s, burst: 9}}
  slow: {{kind: rate-limit, rate: 90/min, by: address}}
apis:
  a:
    {{upstream: u, authn: {{any: [staff], replace: false}}, limit: slow{api}, routes: [
      {{path: /x, id: x, limit: burst{route}}},
      {{path: /all, authn: {{any: [staff, partners], replace: true}}}}]}}
"
    )
}

fn found(gateway: &str, api: &str, route: &str) -> Diagnostics {
    let text = project(gateway, api, route);
    compile_str("tollgate.yaml", &text).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// Checks the findings: code and line, and the line of the first related place.
#[track_caller]
fn check(gateway: &str, api: &str, route: &str, expected: &[(&str, u32, u32)]) {
    let found = found(gateway, api, route);
    let related = |d: &tollgate_config::Diagnostic| d.related.first().map_or(0, |related| related.span.start.line);
    let places: Vec<_> = found.iter().map(|d| (d.code.id(), d.span.start.line, related(d))).collect();
    assert_eq!(places, expected, "\n{found}");
}

#[test]
fn overriding_a_locked_setting_is_refused_with_both_positions() {
    check("", "", "", &[]);
    check(", timeout: {value: 5s, locked: true}", "", "", &[("TG0601", 3, 2)]);
    check("", ", timeout: {value: 5s, locked: true}", ", timeout: 9s", &[("TG0601", 12, 11)]);
    check("", ", timeout: {value: none, locked: false}", ", timeout: 9s", &[]);
    check(", body-limit: {value: 1MiB, locked: true}", "", ", body-limit: 1KiB", &[("TG0601", 12, 2)]);
    check(", cache: {ttl: 1m, with-credentials: shared, locked: true}", "", ", cache: {vary: [Accept]}", &[]);
    check(", cache: {ttl: 1m, with-credentials: shared, locked: true}", ", cache: {ttl: 2m}", "", &[("TG0601", 11, 2)]);
    check(", cache: {ttl: 1m, with-credentials: shared, locked: true}", "", ", cache: none", &[("TG0601", 12, 2)]);
    check(", limit: {use: [burst], locked: true}", "", "", &[]);
    let none = ", authn: {any: [staff], locked: true}";
    check(none, "", "", &[("TG0601", 13, 2)]);
    check(none, "", ", authn: none", &[("TG0601", 12, 2), ("TG0601", 13, 2)]);
}

#[test]
fn the_nearest_level_says_what_the_upstream_is_told_and_how_the_gateway_authenticates_itself() {
    let basic = |user: &str| format!(", upstream-auth: {{kind: basic, user: {user}, password: \"${{secret.A}}\"}}");
    let told = |gateway: &str, api: &str, route: &str| {
        let compiled = compile_str("tollgate.yaml", &project(gateway, api, route)).unwrap();
        let mut all: Vec<_> = compiled
            .whole()
            .routes
            .iter()
            .map(|route| {
                let upstream = &compiled.upstreams()[route.settings.upstream];
                let identity = upstream.identity.iter().map(|field| format!("{}={}", field.name, field.tells));
                let user = match &upstream.auth {
                    UpstreamAuth::Basic(user, _) => user.as_str(),
                    _ => "",
                };
                assert_eq!(upstream.name, "u");
                (route.settings.path.as_str().to_owned(), identity.collect::<Vec<_>>().join(" "), user.to_owned())
            })
            .collect();
        all.sort();
        all.into_iter().map(|(_, identity, user)| format!("{identity} {user}")).collect::<Vec<_>>()
    };
    let (consumer, plan) = (", identity: {X-A: consumer}", ", identity: {X-B: plan}");
    assert_eq!(told("", "", ""), [" ", " "]);
    assert_eq!(told(consumer, "", ""), ["x-a=consumer ", "x-a=consumer "]);
    assert_eq!(told(consumer, plan, ""), ["x-b=plan ", "x-b=plan "]);
    assert_eq!(told(consumer, "", plan), ["x-a=consumer ", "x-b=plan "]);
    assert_eq!(told(consumer, "", ", identity: none"), ["x-a=consumer ", " "]);
    assert_eq!(told("", &basic("a"), &basic("b")), [" a", " b"]);
    assert_eq!(told(&basic("a"), consumer, ", upstream-auth: none"), ["x-a=consumer a", "x-a=consumer "]);
}

#[test]
fn a_violation_at_a_higher_level_is_reported_once() {
    let found = found(", body-limit: {value: 1MiB, locked: true}", ", body-limit: 1KiB", "");
    assert_eq!(found.len(), 1, "{found}");
    assert!(found.to_string().contains("`body-limit` is locked by a higher level"), "{found}");
}

#[test]
fn a_lockable_value_has_no_unknown_keys() {
    check(", timeout: {value: 5s, lock: true}", "", "", &[("TG0201", 2, 0)]);
    check(", timeout: {locked: true}", "", "", &[("TG0203", 2, 0)]);
    check(", body-limit: {value: 5s}", "", "", &[("TG0207", 2, 0)]);
}

fn compiled(gateway: &str, api: &str, route: &str) -> Compiled {
    compile_str("tollgate.yaml", &project(gateway, api, route)).expect("a project that compiles")
}

/// Checks the origins of one setting: value, level and line.
#[track_caller]
fn check_origin(compiled: &Compiled, route: &str, setting: &str, expected: &[(&str, OriginLevel, u32)]) {
    let route = compiled.routes().iter().find(|known| known.settings.id == route).expect("a route");
    let origins = compiled.origins(route);
    let line = |origin: &Origin| origin.span.map_or(0, |span| compiled.place(span).line);
    let found: Vec<_> = origins
        .iter()
        .filter(|origin| origin.setting == setting)
        .map(|origin| (origin.value.as_str(), origin.level, line(origin)))
        .collect();
    assert_eq!(found, expected, "{setting} of {origins:#?}");
}

#[test]
fn every_setting_of_a_route_has_an_origin() {
    use OriginLevel::{Api, Default, Gateway, Operation, Policy, Upstream};
    let compiled =
        compiled(", limit: burst, body-limit: 1MiB, connect-timeout: 1500ms", ", cache: {ttl: 90s}", ", cost: 2");
    let check = |setting, expected: &[_]| check_origin(&compiled, "a.x", setting, expected);
    check("hosts", &[("[*]", Default, 0)]);
    check("path", &[("/x", Operation, 12)]);
    check("methods", &[("all", Default, 0)]);
    check("internal", &[("false", Default, 0)]);
    check("cost", &[("2", Operation, 12)]);
    check("upstream", &[("u", Api, 11)]);
    check("upstream.url", &[("http://u", Upstream, 3)]);
    check("connect-timeout", &[("1500ms", Gateway, 2)]);
    check("authn", &[("staff", Api, 11)]);
    check("limit", &[("burst", Gateway, 2), ("slow", Api, 11)]);
    check("timeout", &[("7s", Upstream, 3)]);
    check("body-limit", &[("1MiB", Gateway, 2)]);
    check("cache.ttl", &[("90s", Api, 11)]);
    check("cache.vary", &[("[]", Default, 0)]);
    check("cache.with-credentials", &[("never", Default, 0)]);
    check("policies.burst.rate", &[("5/s", Policy, 7)]);
    check("policies.burst.burst", &[("9", Policy, 7)]);
    check("policies.slow.rate", &[("90/min", Policy, 8)]);
    check("policies.slow.by", &[("[address]", Policy, 8)]);
    check("policies.staff.header", &[("X-API-Key", Default, 0)]);
    check("policies.partners.header", &[]);
    check_origin(&compiled, "a.* /all", "policies.partners.scheme", &[("Bearer", Policy, 6)]);
}

#[test]
fn what_follows_from_other_settings_is_computed() {
    let of = |policy: &str| {
        let text = project("", "", "").replace("limit: burst", "limit: p");
        let text = text.replace("policies:\n", &format!("policies:\n  p: {{{policy}}}\n"));
        let compiled = compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"));
        let route = compiled.routes().iter().find(|route| route.settings.id == "a.x").expect("a route");
        let origins = compiled.origins(route);
        move |key: &str| {
            let found = origins.iter().find(|origin| origin.setting == format!("policies.p.{key}"));
            found.map(|origin| (origin.value.clone(), origin.level)).expect("a setting")
        }
    };
    let (computed, default) = (OriginLevel::Computed, OriginLevel::Default);
    let rate = of("kind: rate-limit, rate: 5/s");
    assert_eq!(rate("burst"), ("5".to_owned(), computed));
    assert_eq!(rate("consistency"), ("leased".to_owned(), default));
    for algorithm in ["sliding-log", "spacing"] {
        let exact = of(&format!("kind: rate-limit, rate: 5/s, algorithm: {algorithm}"));
        assert_eq!(exact("consistency"), ("exact".to_owned(), computed), "{algorithm}");
    }
    let degrading = of("kind: rate-limit, rate: 5/s, on-unavailable: degrade, cost: response.bytes");
    assert_eq!(
        (degrading("degrade-to"), degrading("reserve")),
        (("10%".to_owned(), default), ("1".to_owned(), default))
    );
    let budget = of("kind: quota, budget: 500 calls, window: day");
    assert_eq!((budget("quota"), budget("by")), (("500".to_owned(), computed), ("[route]".to_owned(), computed)));
    assert_eq!(budget("on-unavailable"), ("closed".to_owned(), computed));
    assert_eq!((budget("zone"), budget("shadow")), (("UTC".to_owned(), default), ("false".to_owned(), default)));
    let quota = of("kind: quota, quota: 5, window: day");
    assert_eq!(
        (quota("by"), quota("on-unavailable")),
        (("[consumer]".to_owned(), default), ("open".to_owned(), default))
    );
}

#[test]
fn the_conditions_of_a_route_have_an_origin() {
    let compiled = compiled("", "", ", when: {header: {X-Version: [\"2\", \"3\"], X-A: present}, query: {v: \"1\"}}");
    let check = |setting, value| check_origin(&compiled, "a.x", setting, &[(value, OriginLevel::Operation, 12)]);
    check("when.header.X-Version", "[2, 3]");
    check("when.header.X-A", "present");
    check("when.query.v", "1");
}

#[test]
fn overridden_settings_are_listed_with_the_effective_one() {
    let compiled = compiled(", timeout: 1s, authn: partners", ", timeout: 2s", ", authn: none, timeout: none");
    let route = compiled.routes().iter().find(|route| route.settings.id == "a.x").expect("a route");
    let overridden = |setting: &str| {
        let origins = compiled.origins(route);
        let origin = origins.into_iter().find(|origin| origin.setting == setting).expect("an origin");
        let overridden: Vec<_> = origin.overridden.into_iter().map(|other| (other.value, other.level)).collect();
        (origin.value, overridden)
    };
    use OriginLevel::{Api, Gateway, Upstream};
    let named = |list: &[(&str, OriginLevel)]| list.iter().map(|(v, l)| ((*v).to_owned(), *l)).collect::<Vec<_>>();
    assert_eq!(overridden("timeout"), ("none".to_owned(), named(&[("1s", Gateway), ("7s", Upstream), ("2s", Api)])));
    assert_eq!(overridden("authn"), ("none".to_owned(), named(&[("partners", Gateway), ("staff", Api)])));
    assert_eq!(overridden("cache"), ("none".to_owned(), vec![]));
}

#[test]
fn the_origin_of_a_locked_setting_is_marked() {
    let compiled = compiled(", limit: {use: [burst], locked: true}, body-limit: {value: 1MiB, locked: true}", "", "");
    let route = compiled.routes().first().expect("a route");
    let locked: Vec<_> = compiled.origins(route).into_iter().filter(|o| o.is_locked).map(|o| o.setting).collect();
    assert_eq!(locked, ["limit", "body-limit"]);
}

/// The accepted credentials of the route, and what findings with this code tell to write for them.
fn accepted(authn: &str, code: &str) -> (Vec<String>, Option<String>) {
    let compiled = compiled("", "", &format!(", authn: {authn}"));
    let route = compiled.routes().iter().find(|route| route.settings.id == "a.x").expect("a route");
    let origins = compiled.origins(route).into_iter().filter(|origin| origin.setting == "authn");
    let found = compiled.warnings().iter().find(|found| found.code.id() == code);
    let told = found.and_then(|found| found.fix.split('`').nth(1)).map(str::to_owned);
    (origins.map(|origin| origin.value).collect(), told)
}

#[test]
fn what_is_told_about_credentials_accepts_only_those_that_are_written() {
    // The API accepts `staff`.
    for (authn, code, only) in [
        ("partners", "TG0403", "partners"),
        ("[partners]", "TG0403", "partners"),
        ("{any: [partners]}", "TG0403", "partners"),
        ("{all: [partners, staff]}", "TG0403", "partners + staff"),
        ("[{all: [partners, staff]}]", "TG0403", "partners + staff"),
        ("{all: [partners, staff], locked: true}", "TG0403", "partners + staff"),
        ("{all: [partners, staff]}", "TG0417", "partners + staff"),
        ("{all: [partners, staff], locked: true}", "TG0417", "partners + staff"),
    ] {
        let (_, told) = accepted(authn, code);
        let told = told.expect(authn);
        let (after, more) = accepted(&told, code);
        assert_eq!((after, more), (vec![only.to_owned()], None), "{authn}: {told}");
        assert_eq!(told.contains("locked: true"), authn.contains("locked: true"), "{authn}: {told}");
    }
    let (_, told) = accepted("[partners, {all: [partners, staff]}]", "TG0403");
    assert_eq!(told.as_deref(), Some("{replace: true, any: [partners, {all: [partners, staff]}]}"));
}

#[test]
fn a_policy_for_callers_without_a_credential_is_the_last_alternative() {
    let found = |authn: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: g, hosts: [api.example.com]}}\nupstreams: {{u: \"http://u\"}}\n\
             policies: {{keys: {{kind: api-key}}, visitors: {{kind: anonymous}}}}\n\
             apis: {{a: {{upstream: u, routes: [{{path: /a, methods: [GET], authn: {authn}}}, {{path: /b, methods: [GET], authn: {{any: [keys, visitors]}}}}]}}}}\n"
        );
        compile_str("tollgate.yaml", &text).map_or_else(|found| found, |compiled| compiled.warnings().clone())
    };
    for (authn, part) in [
        ("{all: [keys, visitors]}", "the others of `all` require one"),
        ("{any: [{all: [visitors, keys]}, keys]}", "the others of `all` require one"),
        ("{any: [visitors, keys]}", "`visitors` is listed before policies that read credentials"),
        ("{optional: [keys, visitors]}", "admitted by `optional` and by `visitors`"),
    ] {
        let found = found(authn);
        let codes: Vec<_> = found.iter().map(|one| one.code.id()).collect();
        assert!(codes.contains(&"TG0329") && found.to_string().contains(part), "{authn}\n{found}");
    }
    for authn in ["visitors", "{any: [keys, visitors]}", "keys"] {
        assert!(found(authn).iter().all(|one| one.code.id() != "TG0329"), "{authn}\n{}", found(authn));
    }
}

#[test]
fn names_that_are_made_of_the_name_of_a_policy_are_shown() {
    let with = |policy: &str, key: &str| {
        let text = project("", "", "").replace("staff: {kind: api-key}", &format!("staff: {{{policy}}}"));
        let compiled = compile_str("tollgate.yaml", &text).expect("a project that compiles");
        let origins = compiled.origins(&compiled.routes()[0]);
        let found = origins.into_iter().find(|origin| origin.setting == format!("policies.staff.{key}"));
        found.map(|origin| (origin.value, origin.level))
    };
    let jwt = "kind: jwt, issuer: \"https://i\", audience: a";
    for (policy, key, value) in [
        (jwt, "consumer-prefix", "staff:"),
        ("kind: client-certificate, consumer: dns", "consumer-prefix", "staff:"),
        ("kind: client-certificate", "consumer-prefix", "none"),
        ("kind: webhook, sender: github, secret: \"${secret.A}\"", "consumer", "staff"),
    ] {
        assert_eq!(with(policy, key), Some((value.to_owned(), OriginLevel::Default)), "{policy}");
    }
}
