//! Mistakes of APIs and routes.

use tollgate_analysis::compile_str;
use tollgate_config::Code;

use crate::{check, check_api, findings, with_apis};

#[test]
fn apis_and_routes_are_checked() {
    check_api("a: {}", &[("TG0203", 1, 1), ("TG0203", 1, 1), ("TG0405", 1, 1)]);
    check_api("a: {upstream: pats, routes: [{path: /}]}", &[("TG0301", 1, 15)]);
    check_api("a: {upstream: pets, routes: []}", &[("TG0405", 1, 1)]);
    check_api("a: {upstream: pets, routes: [{}]}", &[("TG0405", 1, 1), ("TG0203", 1, 30)]);
    check_api("A: {upstream: pets, routes: [{path: /}]}", &[("TG0205", 1, 1)]);
    check_api("a: {upstream: pets, base: x, routes: [{path: /}]}", &[("TG0306", 1, 27)]);
    check_api("a: {upstream: pets, base: \"/{x}\", routes: [{path: /}]}", &[("TG0306", 1, 27)]);
    check_api("a: {upstream: pets, base: \"/x?y\", routes: [{path: /}]}", &[("TG0306", 1, 27)]);
    check_api("a: {upstream: pets, routes: [{path: \"/%3F/{a:(b%3F|c)}\", methods: [GET], authn: none}]}", &[]);
    for values in ["b?|c", "?:b|c", "?i:b|c", "^b|c$"] {
        let route = format!("{{path: \"/{{a:({values})}}\", methods: [GET], authn: none}}");
        check_api(&format!("a: {{upstream: pets, routes: [{route}]}}"), &[("TG0315", 1, 37)]);
    }
    for path in [
        "a",
        "//",
        "/../a",
        "/a%2Fb",
        "\"/{a\"",
        "\"/{a}{b}\"",
        "\"/{*a}/b\"",
        "\"/{a}/{a}\"",
        "/%zz",
        "/a?b=c",
        "\"/{a}?b\"",
        "\"/a#b\"",
    ] {
        check_api(&format!("a: {{upstream: pets, routes: [{{path: {path}}}]}}"), &[("TG0306", 1, 37)]);
    }
    let route = |members: &str, code: &'static str, column| {
        check_api(&format!("a: {{upstream: pets, routes: [{{path: /, {members}}}]}}"), &[(code, 1, column)]);
    };
    route("methods: [get]", "TG0307", 50);
    route("methods: [CONNECT]", "TG0307", 50);
    route("methods: [G T]", "TG0307", 50);
    route("methods: []", "TG0212", 49);
    route("methods: GET", "TG0202", 49);
    route("methods: [GET, GET]", "TG0213", 55);
    route("id: \"a b\"", "TG0205", 44);
    route("scopes: [a]", "TG0309", 49);
    route("authn: keys, scopes: [\"a b\"]", "TG0205", 62);
    route("authn: {optional: [keys]}, scopes: [a]", "TG0309", 76);
    route("authn: {optional: []}", "TG0212", 58);
    route("authn: {optional: [keys], any: [keys]}", "TG0201", 48);
    route("methods: [GET], cost: 5", "TG0310", 62);
    route("limit: burst, cost: 0", "TG0209", 60);
    route("authn: burst", "TG0303", 47);
    route("limit: keys", "TG0303", 47);
    route("limit: bust", "TG0302", 47);
    route("limit: {use: [burst], any: []}", "TG0201", 62);
    route("limit: [burst, burst]", "TG0213", 55);
    route("authn: []", "TG0212", 47);
    route("authn: {any: []}", "TG0212", 53);
    route("authn: 1", "TG0202", 47);
    route("cache: on", "TG0104", 47);
    route("cache: {ttl: 1}", "TG0206", 53);
    route("cache: {with-credentials: all}", "TG0210", 66);
    route("cache: {with-credentials: true}", "TG0202", 66);
    route("cache: {vary: [a b]}", "TG0308", 55);
    route("cache: {key-query: [a=b]}", "TG0311", 60);
}

#[test]
fn hosts_of_an_api_must_be_hosts_of_the_gateway() {
    let text = |gateway: &str, api: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none, hosts: [{gateway}]}}\nupstreams: {{u: \"http://u\"}}\napis:\n  a: {{upstream: u, routes: [{{path: /, methods: [GET]}}], hosts: [{api}]}}\n"
        )
    };
    check(&text("\"*.example.com\"", "api.example.com"), &[]);
    check(&text("\"*.example.com\"", "example.com"), &[("TG0408", 5, 65)]);
    check(&text("api.example.com", "\"*\""), &[("TG0408", 5, 65)]);
}

#[test]
fn ambiguous_routes_are_reported_with_an_example_request() {
    let api = "a: {upstream: pets, base: /p, routes: [\n  {path: \"/{id}\", methods: [GET]},\n  {path: \"/{name}\", methods: [POST, GET]}]}";
    check_api(api, &[("TG0401", 3, 10)]);
    let found = findings(&with_apis(api));
    let conflict = found.iter().next().unwrap();
    assert!(conflict.what.contains("GET https://any.example/p/a"), "{}", conflict.what);
    assert_eq!(conflict.related[0].span.start.line, 9);
    check_api(
        "a: {upstream: pets, routes: [{path: /x}]}\nb: {upstream: pets, base: /x, routes: [{path: /}]}",
        &[("TG0401", 2, 47)],
    );
    check_api("a: {upstream: pets, routes: [{path: /x, id: i}, {path: /y, id: i}]}", &[("TG0404", 1, 64)]);
}

#[test]
fn ambiguous_routes_on_several_hosts_are_reported_once() {
    let text = "format: 1\ngateway: {name: a, authn: none, hosts: [x.org, y.org]}\nupstreams: {u: \"http://u\"}\napis: {a: {upstream: u, routes: [{path: /x}, {path: /x}]}}\n";
    check(text, &[("TG0401", 4, 53)]);
}

#[test]
fn too_many_routes_are_one_finding() {
    let hosts: Vec<_> = (0..10_000).map(|n| format!("h{n}.org")).collect();
    let routes: String = (0..25).map(|n| format!("\n    - {{path: /r{n}}}")).collect();
    let found =
        findings(&with_apis(&format!("a:\n  upstream: pets\n  hosts: [{}]\n  routes:{routes}", hosts.join(", "))));
    let told: Vec<_> = found.iter().map(|d| (d.code, d.span.start.line, d.what.as_str())).collect();
    assert_eq!(told, [(Code::TooMany, 31, "the project has 250001 routes")]);
}

#[test]
fn routes_without_any_authn_setting_are_reported_once_for_an_api() {
    let text = |api: &str, route: &str| {
        format!(
            "format: 1\ngateway: {{name: a}}\nupstreams: {{u: \"http://u\"}}\napis:\n  a:\n    upstream: u\n{api}    routes:\n      - {{path: /a, methods: [GET]{route}}}\n      - {{path: /b, methods: [GET]{route}}}\n"
        )
    };
    check(&text("", ""), &[("TG0402", 8, 16)]);
    check(&text("    authn: none\n", ""), &[]);
    check(&text("", ", authn: none"), &[]);
    check(&text("    internal: true\n", ""), &[("TG0413", 9, 16)]);
}

#[test]
fn unprotected_write_routes_are_reported_unless_declared_explicitly() {
    let text = |gateway: &str, api: &str, routes: &str| {
        format!(
            "format: 1\ngateway: {{name: a{gateway}}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{k: {{kind: api-key}}, b: {{kind: rate-limit, rate: 5/s}}}}\napis:\n  used: {{upstream: u, authn: k, limit: b, routes: [{{path: /used}}]}}\n  a:\n    upstream: u\n{api}    routes:\n{routes}"
        )
    };
    let write = "      - {path: /a, methods: [POST]}\n";
    let (open, free) = ("    authn: none\n", "    limit: none\n");
    check(&text("", "    authn: k\n", write), &[("TG0416", 11, 16)]);
    check(
        &text("", "    authn: k\n    guard: slow\n", write)
            .replace("b: {", "slow: {kind: rate-limit, rate: 1/s, by: address}, b: {"),
        &[],
    );
    check(&text("", &format!("    authn: k\n{free}"), write), &[]);
    check(&text(", authn: none", free, write), &[("TG0415", 11, 16)]);
    check(&text(", authn: none", &format!("{open}{free}"), write), &[]);
    check(&text(", authn: none, limit: none", "", write), &[("TG0415", 10, 16), ("TG0416", 10, 16)]);
    check(&text(", authn: none, limit: none", "", "      - {path: /a, methods: [GET, PURGE]}\n"), &[]);
    // A route without any authn setting has one finding, not two; an API has one, independent of the number of its routes.
    check(&text("", free, "      - {path: /a}\n      - {path: /b}\n"), &[("TG0402", 11, 16)]);
    check(&text(", authn: k", "", "      - {path: /a, limit: none}\n      - {path: /b}\n"), &[("TG0416", 11, 16)]);
    let found = findings(&text(", authn: k", "", "      - {path: /a}\n      - {path: \"/{b}\", methods: [DELETE]}\n"));
    let only = found.iter().next().unwrap();
    assert_eq!((found.len(), only.related.len()), (1, 1));
    assert!(only.why.contains("curl -X POST https://any.example/a"), "{}", only.why);
}

#[test]
fn internal_routes_are_served_on_internal_hosts() {
    let text = |gateway: &str, api: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none, {gateway}}}\nupstreams: {{u: \"http://u\"}}\napis:\n  a: {{upstream: u, {api}routes: [{{path: /open, methods: [GET]}}, {{path: /in, methods: [GET], internal: true}}]}}\n"
        )
    };
    let hosts = |text: &str| -> Vec<(String, Vec<String>)> {
        let compiled = compile_str("tollgate.yaml", text).unwrap();
        assert!(compiled.warnings().is_empty(), "{}", compiled.warnings());
        let of = |route: &tollgate_config::CompiledRoute| {
            (route.settings.id.clone(), route.hosts.iter().map(ToString::to_string).collect())
        };
        compiled.routes().iter().map(of).collect()
    };
    let both = "hosts: [x.org], internal-hosts: [ops.internal, \"*.svc.internal\"]";
    let on = |id: &str, hosts: &[&str]| (format!("a.GET {id}"), hosts.iter().map(|h| (*h).to_owned()).collect());
    assert_eq!(hosts(&text(both, "")), [on("/in", &["ops.internal", "*.svc.internal"]), on("/open", &["x.org"])]);
    let inside = text(both, "hosts: [a.svc.internal], ");
    assert_eq!(hosts(&inside), [on("/in", &["a.svc.internal"]), on("/open", &["a.svc.internal"])]);
    let gateway = compile_str("tollgate.yaml", &inside).unwrap().settings().clone();
    let internal: Vec<String> = gateway.internal_hosts.iter().map(ToString::to_string).collect();
    assert_eq!(internal, ["a.svc.internal", "ops.internal", "*.svc.internal"]);
    // A more specific public host within an internal pattern is public, and the reverse.
    check(
        &text("hosts: [open.internal], internal-hosts: [\"*.internal\"]", "hosts: [open.internal], "),
        &[("TG0410", 5, 91)],
    );
    assert_eq!(hosts(&text("internal-hosts: [ops.internal]", "hosts: [ops.internal], ")).len(), 2);
    check(&text(both, "hosts: [x.org, ops.internal], "), &[("TG0410", 5, 97)]);
    check(&text(both, "hosts: [y.org], "), &[("TG0408", 5, 28)]);
    check(&text("internal-hosts: [\"*\"]", ""), &[("TG0411", 2, 50)]);
    check(&text("hosts: [x.org]", ""), &[("TG0413", 5, 67)]);
}

#[test]
fn routes_may_have_conditions_on_fields_and_parameters() {
    let route = |when: &str| format!("a: {{upstream: pets, routes: [{{path: /, methods: [GET], when: {when}}}]}}");
    let found = |when: &str, code: &'static str, column: u32| check_api(&route(when), &[(code, 1, 61 + column)]);
    check_api(&route("{header: {X-Version: \"2\", X-Debug: absent}, query: {action: [a, b], q: present}}"), &[]);
    found("{}", "TG0203", 1);
    found("[]", "TG0202", 1);
    check_api(&route("{head: {}}"), &[("TG0203", 1, 62), ("TG0201", 1, 63)]);
    found("{header: {X-V: 2}}", "TG0202", 16);
    found("{header: {X-V: []}}", "TG0212", 16);
    found("{header: {X-V: [a, a]}}", "TG0213", 20);
    found("{header: {\"X V\": a}}", "TG0308", 11);
    found("{header: {Host: a}}", "TG0308", 11);
    found("{header: {X-V: a, x-v: b}}", "TG0213", 19);
    found("{header: {X-V: \" a\"}}", "TG0308", 16);
    found("{query: {a&b: x}}", "TG0311", 10);
    found("{query: {a: \"x y\"}}", "TG0311", 13);
    // Routes with different conditions are different routes, and have different ids.
    let pair = |a: &str, b: &str| {
        format!(
            "a: {{upstream: pets, routes: [\n  {{path: /, methods: [GET], when: {a}}},\n  {{path: /, methods: [GET], when: {b}}}]}}"
        )
    };
    check_api(&pair("{header: {X-V: a}}", "{header: {X-V: b}}"), &[]);
    check_api(&pair("{header: {X-V: a}}", "{header: {X-V: present}}"), &[]);
    check_api(&pair("{header: {X-V: a}}", "{query: {v: a}}"), &[("TG0401", 3, 10)]);
    let found = findings(&with_apis(&pair("{header: {X-V: a}}", "{query: {v: a}}")));
    let why = &found.iter().next().unwrap().why;
    assert!(why.ends_with("curl -H 'x-v: a' 'https://any.example/?v=a'"), "{why}");
}

#[test]
fn a_public_route_that_reaches_an_internal_path_is_reported() {
    let text = |upstream: &str, public: &str, internal: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none, hosts: [x.org], internal-hosts: [ops.internal]}}\nupstreams: {{u: \"http://u/v1\", w: \"{upstream}\"}}\napis:\n  a: {{upstream: u, base: /a, routes: [{{path: /a, methods: [GET]}}, {public}]}}\n  b: {{upstream: w, internal: true, routes: [{internal}]}}\n"
        )
    };
    #[track_caller]
    fn check_reported(text: &str, expected: Option<&str>) {
        let found = findings(text);
        let reported: Vec<_> =
            found.iter().map(|d| (d.code.id(), d.why.rsplit(' ').next().unwrap_or_default())).collect();
        assert_eq!(reported, expected.map(|url| ("TG0414", url)).into_iter().collect::<Vec<_>>(), "{found}");
    }
    let rest = "{path: \"/{*rest}\", methods: [GET]}";
    let admin = "{path: \"/v1/admin/{page}\", methods: [GET]}";
    check_reported(&text("http://u", rest, admin), Some("https://x.org/a/admin/a"));
    check_reported(&text("http://u:80", rest, admin), Some("https://x.org/a/admin/a"));
    check_reported(&text("https://u", rest, admin), None);
    check_reported(&text("http://u/v1", rest, "{path: \"/admin/{page}\"}"), Some("https://x.org/a/admin/a"));
    check_reported(&text("http://u/v2", rest, "{path: \"/admin/{page}\"}"), None);
    check_reported(&text("http://u", rest, "{path: \"/v1/admin\", methods: [POST]}"), None);
    check_reported(&text("http://u", "{path: /pets, methods: [GET]}", admin), None);
    let apart = format!("{rest}, {{path: \"/admin/{{*x}}\", methods: [GET]}}");
    check_reported(&text("http://u", &apart, "{path: \"/v1/admin/{page:int}\"}"), Some("https://x.org/a/admin/1"));
    check_reported(&text("http://u", "{path: \"/\", methods: [GET]}", "{path: /v1}"), Some("https://x.org/a"));
}

#[test]
fn adding_an_authn_to_a_higher_level_must_be_explicit() {
    let text = |route: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: one}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{one: {{kind: api-key}}, two: {{kind: api-key, header: X-Two}}}}\napis: {{a: {{upstream: u, routes: [{{path: /, methods: [GET], authn: {route}}}]}}}}\n"
        )
    };
    check(&text("two"), &[("TG0403", 5, 67)]);
    check(&text("{any: [two], replace: false}"), &[]);
    check(&text("{any: [two], replace: true}"), &[]);
    check(&text("[one, two]"), &[]);
}

#[test]
fn names_at_a_higher_level_are_checked_even_if_every_route_replaces_them() {
    let text = "format: 1\ngateway: {name: a, authn: nobody}\nupstreams: {u: \"http://u\"}\napis: {a: {upstream: u, limit: nothing, routes: [{path: /, authn: none, limit: none}]}}\n";
    check(text, &[("TG0302", 2, 27), ("TG0302", 4, 32)]);
}
