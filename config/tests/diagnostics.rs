//! Every mistake is reported with its code and its position.

use tollgate_analysis::{compile_dir, compile_str};
use tollgate_config::{Code, Diagnostics, Severity, fixtures};

/// A project without mistakes, to which tests add mistakes.
const RIGHT: &str = "\
format: 1
gateway: {name: acme, authn: none}
upstreams:
  pets: \"http://127.0.0.1:9000\"
policies: {keys: {kind: api-key}, burst: {kind: rate-limit, rate: 5/s}}
apis:
  used: {upstream: pets, routes: [{path: /used, authn: keys, limit: burst}]}
";

/// The lines of [`RIGHT`].
const RIGHT_LINES: u32 = 7;

fn findings(text: &str) -> Diagnostics {
    match compile_str("tollgate.yaml", text) {
        Ok(compiled) => compiled.warnings().clone(),
        Err(found) => {
            assert!(found.has_errors(), "refused without an error:\n{found}");
            found
        }
    }
}

#[track_caller]
fn check_found(found: &Diagnostics, expected: &[(&str, u32, u32)]) {
    let places: Vec<_> = found.iter().map(|d| (d.code.id(), d.span.start.line, d.span.start.column)).collect();
    assert_eq!(places, expected, "\n{found}");
    for finding in found {
        assert!(!finding.what.is_empty() && !finding.why.is_empty() && !finding.fix.is_empty(), "{finding:?}");
    }
}

/// Checks a whole project.
#[track_caller]
fn check(text: &str, expected: &[(&str, u32, u32)]) {
    check_found(&findings(text), expected);
}

/// The project without mistakes and further APIs.
fn with_apis(apis: &str) -> String {
    let indented: String = apis.lines().map(|line| format!("  {line}\n")).collect();
    format!("{RIGHT}{indented}")
}

/// Checks the project with further APIs; lines and columns are counted within the added text.
#[track_caller]
fn check_api(apis: &str, expected: &[(&str, u32, u32)]) {
    let expected: Vec<_> =
        expected.iter().map(|(code, line, column)| (*code, RIGHT_LINES + line, 2 + column)).collect();
    check(&with_apis(apis), &expected);
}

/// RFC 7519, section 4.1.2: a subject is unique for its issuer.
#[test]
fn policies_in_which_two_people_may_have_one_name_are_reported() {
    let with = |one: &str, other: &str| {
        let policy = |name, issuer, more: &str| {
            format!("  {name}: {{kind: jwt, issuer: \"https://{issuer}.example.com\", audience: a{more}}}\n")
        };
        let head =
            "format: 1\ngateway: {name: acme, limit: none}\nupstreams: {pets: \"https://pets.internal\"}\npolicies:\n";
        let apis = "apis:\n  pets: {upstream: pets, authn: {any: [a, b]}, routes: [{path: /pets, methods: [GET]}]}\n";
        [head, &policy("a", "one", one), &policy("b", "two", other), apis].concat()
    };
    let prefix = |prefix: &str| format!(", consumer-prefix: \"{prefix}\"");
    let mail = |prefix: &str| format!(", consumer-prefix: \"{prefix}\", consumer: email");
    let mapped = |rules: &str| format!(", map-consumers: {{{rules}}}");
    for (one, other) in [
        (prefix("p:"), prefix("p:")),
        (mail("p:"), prefix("p:")),
        (prefix("b:"), String::new()),
        (prefix("x:"), prefix("x:y:")),
        (prefix("x:y:"), prefix("x:")),
        (prefix(""), String::new()),
        (prefix("p:"), mapped("\"p:root\": \"sub=7\"")),
        (mapped("\"b:root\": \"sub=7\""), String::new()),
    ] {
        check(&with(&one, &other), &[("TG0346", 6, 3)]);
    }
    for (one, other) in [
        (String::new(), String::new()),
        (prefix("p:"), prefix("q:")),
        (mail("p:"), mail("p:")),
        (mail(""), String::new()),
        (mapped("acme: \"sub=1\""), mapped("acme: \"sub=7\"")),
        (mapped("\"b:root\": \"sub=7\""), mapped("\"b:root\": \"sub=1\"")),
    ] {
        check(&with(&one, &other), &[]);
    }
}

#[test]
fn a_project_without_mistakes_has_no_findings() {
    assert_eq!(RIGHT.lines().count(), 7);
    check_api("", &[]);
}

#[test]
fn keys_and_types_of_a_project_are_checked() {
    check("[]\n", &[("TG0202", 1, 1)]);
    check("gateway: {name: a}\n", &[("TG0203", 1, 1), ("TG0406", 1, 1)]);
    check("format: 2\ngateway: {name: a}\n", &[("TG0406", 1, 1), ("TG0204", 1, 9)]);
    check("format: \"1\"\ngateway: {name: a}\n", &[("TG0406", 1, 1), ("TG0204", 1, 9)]);
    check("format: 1\n", &[("TG0203", 1, 1), ("TG0406", 1, 1)]);
    check("format: 1\ngateway: {}\n", &[("TG0406", 1, 1), ("TG0203", 2, 10)]);
    check("format: 1\ngatway: {name: a}\n", &[("TG0203", 1, 1), ("TG0406", 1, 1), ("TG0201", 2, 1)]);
    check("format: 1\ngateway:\n", &[("TG0406", 1, 1), ("TG0212", 2, 1)]);
    check("$schema: x\nformat: 1\ngateway: {name: a}\n", &[("TG0406", 1, 1)]);
    for name in ["A", "1a", "a b", "\"\"", "a:b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        check(&format!("format: 1\ngateway: {{name: {name}}}\n"), &[("TG0406", 1, 1), ("TG0205", 2, 17)]);
    }
}

#[test]
fn invalid_yaml_is_refused_at_the_syntax_error() {
    check("format: 1\ngateway: {name: a\n", &[("TG0102", 3, 1)]);
    check("format: 1\n\tgateway: 1\n", &[("TG0102", 2, 1)]);
    check_api("a: {upstream: pets, routes: [{path: /{x}}]}", &[("TG0102", 1, 38)]);
}

#[test]
fn quantities_are_checked() {
    let gateway = |member: &str| format!("format: 1\ngateway:\n  name: a\n  {member}\n");
    let found = |member: &str, code, column| check(&gateway(member), &[("TG0406", 1, 1), (code, 4, column)]);
    found("timeout: 10", "TG0206", 12);
    found("timeout: 10x", "TG0206", 12);
    found("timeout: 0s", "TG0209", 12);
    found("timeout: [1]", "TG0202", 12);
    found("timeout: nome", "TG0206", 12);
    found("connect-timeout: none", "TG0206", 20);
    found("body-limit: 10MB", "TG0207", 15);
    found("trusted-proxies: true", "TG0202", 20);
    found("trusted-proxies: 10.0.0.0/8", "TG0202", 20);
    found("trusted-proxies: 0", "TG0209", 20);
    found("trusted-proxies: []", "TG0212", 20);
    found("trusted-proxies: [10.0.0.1/8]", "TG0313", 21);
    found("trusted-proxies: [\"::/0\"]", "TG0431", 21);
    found("trusted-proxies: 1\n  target: [spin, workers-free]", "TG0431", 20);
    found("trusted-proxies: [10.0.0.0/8, \"fd00::/8\"]\n  target: workers-paid", "TG0430", 20);
    for sound in
        ["trusted-proxies: 1\n  target: native", "trusted-proxies: [10.0.0.0/8, 192.0.2.1]\n  target: workers-paid"]
    {
        check(&gateway(sound), &[("TG0406", 1, 1)]);
    }
    found("proxy-field: forwarded", "TG0203", 3);
    found("trust-forwarded: true", "TG0201", 3);
    found("hosts: []", "TG0212", 10);
    found("hosts: x.org", "TG0202", 10);
    found("hosts: [x.org, X.org.]", "TG0213", 18);
    found("hosts: [\"a.*\"]", "TG0305", 11);
    found("hosts: [\"http://a\"]", "TG0305", 11);
    found("hosts: [1]", "TG0202", 11);
}

#[test]
fn telemetry_is_checked() {
    let text = |otlp: &str| format!("format: 1\ngateway: {{name: a}}\ntelemetry:\n  otlp: {otlp}\n");
    check(&text("{}"), &[("TG0406", 1, 1), ("TG0203", 4, 9)]);
    check(&text("{endpoint: collector}"), &[("TG0406", 1, 1), ("TG0304", 4, 20)]);
    check(&text("{endpoint: \"http://c\", headers: {a b: c}}"), &[("TG0406", 1, 1), ("TG0308", 4, 42)]);
    check(&text("{endpoint: \"http://c\", headers: {a: \"${secret.}\"}}"), &[("TG0406", 1, 1), ("TG0211", 4, 45)]);
    check(&text("{endpoint: \"http://c\", interval: 1}"), &[("TG0406", 1, 1), ("TG0206", 4, 42)]);
}

#[test]
fn what_belongs_to_the_operator_endpoint_is_not_a_projects() {
    let text = |header: &str| {
        format!(
            "format: 1\ngateway: {{name: a}}\nupstreams:\n  u: {{url: \"http://u\", headers: {{X-A: \"{header}\"}}}}\n"
        )
    };
    for name in ["TOLLGATE_OPERATOR_READ", "TOLLGATE_OPERATOR_X"] {
        let found = findings(&text(&format!("Bearer ${{secret.{name}}}")));
        let found = found.iter().find(|found| found.code == Code::BadField).expect("it is found");
        assert!(found.what.contains(name) && found.span.start.line == 4, "{found:?}");
    }
    assert!(!findings(&text("${secret.TOLLGATE_OPERATORS}")).iter().any(|f| f.code == Code::BadField));
    let routes = "[{path: /.tollgate/v1/x, methods: [GET]}, {path: \"/.tollgate/{*rest}\", methods: [GET]}]";
    check_api(&format!("a: {{upstream: pets, routes: {routes}}}"), &[("TG0412", 1, 37), ("TG0412", 1, 78)]);
    check_api(
        "a: {upstream: pets, routes: [{path: /.tollgates, methods: [GET]}, {path: /x/.tollgate, methods: [GET]}]}",
        &[],
    );
    check_api("a: {upstream: pets, base: /.tollgate, routes: [{path: /x, methods: [GET]}]}", &[("TG0412", 1, 55)]);
}

#[test]
fn upstreams_are_checked() {
    let text = |upstream: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none}}\nupstreams:\n  u: {upstream}\napis: {{a: {{upstream: u, routes: [{{path: /, methods: [GET]}}]}}}}\n"
        )
    };
    let found = |upstream: &str, code, column| check(&text(upstream), &[(code, 4, column)]);
    check(&text("{url: \"https://u:8443/base\", headers: {X-A: \"Bearer ${secret.A}\"}}"), &[]);
    found("{}", "TG0203", 3);
    found("ftp://u", "TG0304", 6);
    found("\"http://user:pw@u\"", "TG0304", 6);
    found("{url: \"http://u/#x\"}", "TG0304", 12);
    found("{url: \"http://u\", headers: {Host: x}}", "TG0308", 34);
    found("{url: \"http://u\", headers: {X-A: x, x-a: z}}", "TG0213", 42);
    found("{url: \"http://u\", headers: {X-A: \"a\\nb\"}}", "TG0308", 39);
    found("{url: \"http://u\", headers: {X-A: 1}}", "TG0202", 39);
    found("{url: \"http://u\", time-out: 1s}", "TG0201", 24);
    found("[]", "TG0202", 6);
}

#[test]
fn policies_are_checked() {
    let text = |policy: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  p: {policy}\napis: {{a: {{upstream: u, routes: [{{path: /, methods: [GET]}}]}}}}\n"
        )
    };
    let found = |policy: &str, code, column| check(&text(policy), &[(code, 5, column)]);
    found("{kind: api-key}", "TG0407", 3);
    found("{kind: apikey}", "TG0210", 13);
    found("{rate: 5/s}", "TG0203", 3);
    found("{kind: api-key, header: \"a b\"}", "TG0308", 30);
    found("{kind: api-key, header: Transfer-Encoding}", "TG0308", 30);
    found("{kind: api-key, scheme: \"a b\"}", "TG0308", 30);
    found("{kind: api-key, query: a&b}", "TG0311", 29);
    found("{kind: api-key, rate: 5/s}", "TG0201", 22);
    found("{kind: rate-limit}", "TG0203", 3);
    found("{kind: rate-limit, rate: 5}", "TG0208", 31);
    found("{kind: rate-limit, rate: 0/s}", "TG0208", 31);
    found("{kind: rate-limit, rate: 5/s, burst: 0}", "TG0209", 43);
    found("{kind: rate-limit, rate: 5/s, burst: 1.5}", "TG0202", 43);
    found("{kind: rate-limit, rate: 1/d, burst: 4000000000}", "TG0209", 31);
    found("{kind: rate-limit, rate: 5/s, by: ip}", "TG0210", 40);
    found("{kind: rate-limit, rate: 5/s, on-unavailable: close}", "TG0210", 52);
}

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
fn a_certificate_of_the_gateway_is_a_secret_and_is_presented_over_tls() {
    let check = |url: &str, tls: &str, expected: &[&str]| {
        let upstream = format!("pets: {{url: \"{url}\", tls: {tls}}}");
        let found = findings(&RIGHT.replace("pets: \"http://127.0.0.1:9000\"", &upstream));
        assert_eq!(found.iter().map(|found| found.code.id()).collect::<Vec<_>>(), expected, "{tls}: {found}");
    };
    check("https://u", "{certificate: \"${secret.A}\"}", &[]);
    check("https://u", "{certificate: \"${secret.A}\", key: \"${secret.B}\"}", &[]);
    check("http://u", "{certificate: \"${secret.A}\"}", &["TG0351"]);
    check("https://u", "{certificate: \"x${secret.A}\"}", &["TG0351"]);
    check("https://u", "{certificate: \"${secret.A}\", key: \"${secret.B}${secret.C}\"}", &["TG0351"]);
    check("https://u", "{certificate: pets.pem}", &["TG0341"]);
    check("https://u", "{certificate: \"${secret.a}\"}", &["TG0211"]);
    check("https://u", "{certificate: \"${secret.TOLLGATE_OPERATOR_READ}\"}", &["TG0308"]);
    check("https://u", "{key: \"${secret.A}\"}", &["TG0203"]);
    check("https://u", "{certificate: \"${secret.A}\", ca: a.pem}", &["TG0201"]);
}

#[test]
fn a_field_tells_an_upstream_one_thing_and_is_no_credential_or_text_of_the_gateway() {
    let with = |upstream: &str| {
        let upstream = format!("pets: {{url: \"http://127.0.0.1:9000\", {upstream}}}");
        findings(&RIGHT.replace("pets: \"http://127.0.0.1:9000\"", &upstream))
    };
    let codes = |upstream: &str| with(upstream).iter().map(|found| found.code.id()).collect::<Vec<_>>();
    assert_eq!(codes("identity: {X-A: consumer, X-B: plan}"), [""; 0]);
    assert_eq!(codes("identity: {X-A: consumer, x_a: plan}"), ["TG0213"]);
    assert_eq!(codes("identity: {X-A: consumer}, headers: {x-a: b}"), ["TG0213"]);
    assert_eq!(codes("identity: {Host: consumer}"), ["TG0308"]);
    assert_eq!(
        codes("identity: {Authorization: consumer}, auth: {kind: basic, user: a, password: \"${secret.A}\"}"),
        ["TG0342"]
    );
    assert_eq!(codes("identity: none, auth: none"), [""; 0]);
    for never in ["claims.email", "claims[\"https://example.com/org\"].id", "certificate.subject"] {
        let found = with(&format!("identity: {{X-A: '{never}'}}"));
        assert!(found.iter().all(|found| found.code.id() == "TG0343") && !found.has_errors(), "{found}");
        assert!(found.to_string().contains("`X-A` never tells `"), "{found}");
    }
    for wrong in ["claims", "claims.", "claims.a == 1", "claims.a-b", "certificate.serial", "certificate."] {
        let found = with(&format!("identity: {{X-A: '{wrong}'}}"));
        assert!(found.iter().any(|found| found.code.id() == "TG0343") && found.has_errors(), "{wrong}: {found}");
    }
    let unknown = with("identity: {X-A: user}");
    assert!(unknown.to_string().contains("consumer"), "{unknown}");
}

#[test]
fn tokens_about_callers_need_a_key_and_say_what_is_allowed() {
    let check = |gateway: &str, token: &str, expected: &[&str]| {
        let text = format!(
            "format: 1\ngateway: {{name: g{gateway}}}\nupstreams: {{u: {{url: \"https://u\", identity: {{X-A: {token}}}}}}}\n\
             policies:\n  staff: {{kind: jwt, issuer: \"https://id.example.com\", audience: a, algorithms: [EdDSA]}}\n\
             apis: {{a: {{upstream: u, authn: staff, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let found = findings(&text);
        assert_eq!(found.iter().map(|found| found.code.id()).collect::<Vec<_>>(), expected, "{text}{found}");
    };
    let signing = |more: &str| format!(", identity-tokens: {{issuer: \"https://g\", key: \"${{secret.KEY}}\"{more}}}");
    check(&signing(""), "{}", &[]);
    check(
        &signing(", keys-path: /keys, lifetime: 1m"),
        "{audience: b, claims: {email: claims.email, plan: plan}}",
        &[],
    );
    check("", "{}", &["TG0343"]);
    for wrong in ["{sub: plan}", "{scope: scopes}", "{\"a b\": plan}"] {
        check(&signing(""), &format!("{{claims: {wrong}}}"), &["TG0343"]);
    }
    check(&signing(", lifetime: 10s"), "{}", &["TG0343"]);
    check(&signing(", lifetime: 2h"), "{}", &["TG0343"]);
    check(", identity-tokens: {issuer: \"https://g\", key: written}", "{}", &["TG0341"]);
    check(&signing(""), "{claims: {dn: certificate.subject}}", &["TG0343"]);
}

#[test]
fn what_the_gateway_proves_to_upstreams_is_checked() {
    let check = |url: &str, auth: &str, authn: &str, expected: &[&str]| {
        let text = format!(
            "format: 1\ngateway: {{name: g}}\nupstreams: {{u: {{url: \"{url}\", auth: {{{auth}}}}}}}\n\
             policies:\n  staff: {{kind: jwt, issuer: \"https://id.example.com\", audience: a, algorithms: [EdDSA]}}\n  keys: {{kind: api-key}}\n\
             apis: {{a: {{upstream: u, authn: {authn}, routes: [{{path: /a, methods: [GET]}}, {{path: /k, authn: {{any: [staff, keys], replace: true}}, upstream-auth: none, methods: [GET]}}]}}}}\n"
        );
        let found = findings(&text);
        assert_eq!(found.iter().map(|found| found.code.id()).collect::<Vec<_>>(), expected, "{text}{found}");
    };
    let server = "token-url: \"https://id.example.com/token\", client-id: g, client-secret: \"${secret.A}\"";
    let exchange = format!("kind: token-exchange, {server}");
    check("https://u", &exchange, "staff", &[]);
    check("https://u", &exchange, "{all: [staff, keys]}", &[]);
    for authn in ["keys", "none", "[staff, keys]", "{optional: [staff]}", "{all: [keys, staff]}"] {
        check("https://u", &exchange, authn, &["TG0342"]);
    }
    check("https://u", &format!("{exchange}, subject-type: jwt, actor-token: \"${{secret.B}}\""), "staff", &[]);
    check("https://u", &format!("{exchange}, actor-token: written"), "staff", &["TG0341"]);
    let credentials = format!("kind: client-credentials, {server}");
    check("https://u", &format!("{credentials}, resources: [\"https://u/a?b\", \"urn:a:b\"]"), "staff", &[]);
    for resource in ["u", "https://u#a", "https:", "//u", "a b:c"] {
        check("https://u", &format!("{credentials}, resources: [\"{resource}\"]"), "staff", &["TG0342"]);
    }
    let aws = |service: &str, more: &str| {
        format!(
            "kind: aws-sigv4, region: eu-central-1, service: {service}, access-key-id: A, secret-access-key: \"${{secret.A}}\"{more}"
        )
    };
    check("https://u", &aws("s3", ""), "staff", &[]);
    check("https://u", &aws("s3", ", sign-content: false, session-token: \"${secret.B}\""), "staff", &[]);
    check("http://u", &aws("s3", ", sign-content: false"), "staff", &["TG0342"]);
    check("https://u", &aws("dynamodb", ", sign-content: false"), "staff", &["TG0342"]);
    check("https://u", &aws("dynamodb", ", forward: [X-Amz-Target]"), "staff", &[]);
    check("https://u", &aws("S3", ""), "staff", &["TG0342"]);
    for field in ["X-Amz-Date", "X-Other"] {
        check("https://u", &aws("s3", &format!(", forward: [{field}]")), "staff", &["TG0342"]);
    }
    let literal = aws("s3", "").replace("${secret.A}", "written");
    check("https://u", &literal, "staff", &["TG0341"]);
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
fn projects_above_the_size_limits_are_refused() {
    let many = |from: usize, to: usize, item: &str| -> String {
        (from..to).map(|n| item.replace("NNNN", &format!("{n:04}"))).collect::<Vec<_>>().join(", ")
    };
    let list = many(0, 33, "pNNNN");
    check_api(&format!("a: {{upstream: pets, limit: [{list}], routes: [{{path: /}}]}}"), &[("TG0409", 1, 28)]);
    let list = many(0, 10_001, "hNNNN.org");
    check_api(&format!("a: {{upstream: pets, hosts: [{list}], routes: [{{path: /}}]}}"), &[("TG0409", 1, 28)]);
    let ties = many(0, 1_001, "{path: \"/{x}NNNN\"}");
    let found = findings(&with_apis(&format!("a: {{upstream: pets, routes: [{ties}]}}")));
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::TooMany]);
    let headers = many(0, 65, "X-NNNN: a");
    let text =
        format!("format: 1\ngateway: {{name: a}}\nupstreams: {{u: {{url: \"http://u\", headers: {{{headers}}}}}}}\n");
    assert!(findings(&text).iter().any(|d| d.code == Code::TooMany));
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

#[test]
fn one_bad_api_does_not_hide_the_mistakes_of_another() {
    check_api(
        "a: {upstream: nowhere, colour: red, routes: [{path: x}]}\nb: {upstream: pets, routes: [{path: /, methods: [get]}]}",
        &[("TG0301", 1, 15), ("TG0201", 1, 24), ("TG0306", 1, 53), ("TG0307", 2, 50)],
    );
}

#[test]
fn fixtures_are_checked() {
    const KEY: &str = "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW";
    let found = |consumer: &str, expected: &[(&str, u32, u32)]| {
        let text = format!("format: 1\nconsumers:\n- {consumer}\n");
        match fixtures::load_str("dev/fixtures.yaml", &text) {
            Ok(fixtures) => check_found(&fixtures.warnings, expected),
            Err(found) => check_found(&found, expected),
        }
    };
    found(&format!("{{id: a, keys: [{KEY}]}}"), &[]);
    found("{keys: []}", &[("TG0203", 3, 3)]);
    found(&format!("{{id: a, keys: [{{key: {KEY}, scopes: [\"a b\"]}}]}}"), &[("TG0205", 3, 80)]);
    found(&format!("{{id: a, keys: [{{key: {KEY}, scopes: [\"*\"]}}]}}"), &[("TG0318", 3, 80)]);
    found("{id: a, keys: [hello]}", &[("TG0501", 3, 18)]);
    found("{id: a, keys: [{key: tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EX}]}", &[("TG0501", 3, 24)]);
    found(&format!("{{id: a, keys: [{{key: {KEY}, expires: tomorrow}}]}}"), &[("TG0502", 3, 80)]);
    found(
        &format!("{{id: a, keys: [{{key: {KEY}, not-before: 2026-01-02T00:00:00Z, expires: 2026-01-01T00:00:00Z}}]}}"),
        &[("TG0505", 3, 24)],
    );
    found(&format!("{{id: a, keys: [{KEY}, {KEY}]}}"), &[("TG0504", 3, 65)]);
    found("{id: a}\n- {id: a}", &[("TG0503", 4, 8)]);
}

#[test]
fn a_folder_without_a_project_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let found = compile_dir(folder.path()).unwrap_err();
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::UnreadableFile]);
    std::fs::write(folder.path().join("tollgate.yaml"), "format: 1\n").unwrap();
    std::fs::write(folder.path().join("tollgate.json"), "{}").unwrap();
    let found = compile_dir(folder.path()).unwrap_err();
    assert!(found.to_string().contains("both `tollgate.json` and `tollgate.yaml` exist"), "{found}");
}

#[test]
fn a_finding_is_printed_with_its_source_line() {
    let text = "format: 1\ngateway: {name: a}\nupstreams: {pets: \"http://u\"}\napis:\n  a:\n    upstream: pet\n    authn: none\n    routes: [{path: /}]\n";
    let expected = "\
error[TG0301]: upstream `pet` is not defined
 --> tollgate.yaml:6:15
  |
6 |     upstream: pet
  |               ^^^
  |
  = why: every name that is used must be defined
  = fix: did you mean `pets`?

1 error
";
    assert_eq!(findings(text).to_string(), expected);
}

#[test]
fn findings_as_json_are_as_complete_as_the_text() {
    let text = "format: 1\ngateway: {name: a}\na: 1\na: 2\n";
    let found = findings(text).to_json();
    let duplicate = found.as_array().unwrap().iter().find(|d| d["code"] == "TG0103").unwrap();
    assert_eq!(duplicate["severity"], "error");
    assert_eq!(
        duplicate["location"],
        serde_json::json!({"file": "tollgate.yaml", "line": 4, "column": 1, "endLine": 4, "endColumn": 2})
    );
    assert_eq!(duplicate["related"][0]["location"]["line"], 3);
    assert!(["what", "why", "fix"].iter().all(|key| duplicate[key].as_str().is_some_and(|text| !text.is_empty())));
}

#[test]
fn control_characters_of_the_project_are_not_printed() {
    let found = findings("format: 1\ngateway: {name: \"a\\e[31m\"}\n\"\\e]0;x\\a\": 1\n");
    let text = found.to_string();
    assert!(found.has_errors() && !text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

#[test]
fn a_project_with_warnings_compiles() {
    let text = "format: 1\ngateway: {name: a}\nupstreams: {u: \"http://u\"}\napis: {a: {upstream: u, routes: [{path: /, methods: [GET]}]}}\n";
    let compiled = compile_str("tollgate.yaml", text).unwrap();
    assert!(compiled.warnings().iter().all(|d| d.severity == Severity::Warning));
    assert_eq!(compiled.warnings().len(), 1);
}

/// Checks a policy that has one more key, whose value is refused with this code.
#[track_caller]
fn check_token_policy(key: &str, value: &str, expected: Option<&str>) {
    let begin = "format: 1\ngateway: {name: a}\nupstreams: {u: \"http://u\"}\n";
    for kind in ["jwt", "introspection, client-id: g, client-secret: \"${secret.C}\""] {
        let policy = format!("p: {{kind: {kind}, issuer: \"https://id.example.com\", audience: a, {key}: ");
        let text = format!(
            "{begin}policies:\n  {policy}{value}}}\napis: {{a: {{upstream: u, authn: p, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let column = policy.len() as u32 + 3;
        check(&text, &expected.map(|code| (code, 5, column)).into_iter().collect::<Vec<_>>());
    }
}

/// RFC 9728, sections 1.2 and 3.
#[test]
fn a_resource_has_a_url_at_which_its_metadata_are_found() {
    for good in ["https://api.example.com", "HTTPS://api.example.com/", "https://api.example.com:8443/v1/a%20b"] {
        check_token_policy("resource", &format!("\"{good}\""), None);
    }
    check_token_policy("resource", "\"http://api.example.com\", private-network: true", None);
    for bad in
        ["http://api.example.com", "api.example.com", "https://api.example.com/a/../b", "https://a.example/v1?x=1"]
    {
        check_token_policy("resource", &format!("\"{bad}\""), Some("TG0320"));
    }
}

#[test]
fn a_secret_that_is_written_in_the_file_is_refused() {
    let with = |secret: &str| {
        let policy = format!("p: {{kind: jwt, issuer: \"https://id.example.com\", audience: a, secret: \"{secret}\"}}");
        let route = "apis: {a: {upstream: u, authn: p, routes: [{path: /a, methods: [GET]}]}}";
        format!("format: 1\ngateway: {{name: a}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{{policy}}}\n{route}\n")
    };
    check(&with("${secret.SHARED}"), &[]);
    check(&with("an old secret of more than 32 bytes"), &[("TG0341", 4, 82)]);
}

#[test]
fn slow_hashes_are_bounded_and_not_for_workers() {
    let slow = |parameters: &str| {
        format!("'$argon2id$v=19${parameters}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'")
    };
    let with = |target: &str, users: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: acme{target}}}\nupstreams: {{pets: \"https://pets.internal\"}}\npolicies:\n  \
             staff: {{kind: basic, users: {{{users}}}}}\napis:\n  pets:\n    upstream: pets\n    authn: staff\n    \
             routes: [{{path: /pets, methods: [GET]}}]\n"
        );
        findings(&text).to_string()
    };
    let usual = slow("m=19456,t=2,p=1");
    assert_eq!(with(", target: [native, spin]", &format!("ada: {usual}, bob: {usual}")), "");
    for (target, users, words) in [
        (", target: workers-paid", format!("ada: {usual}"), "which are not verified on `workers-paid`"),
        (", target: [native, workers-free]", format!("ada: {usual}"), "which are not verified on `workers-free`"),
        ("", format!("ada: {}", slow("m=64,t=1,p=1")), "weaker than OWASP's"),
        ("", format!("ada: {}", slow("m=1048576,t=9,p=1")), "costs more than a request may"),
        ("", "ada: '$2y$05$k87L/MF28Q673VKh8/cPi.SUl7MU/rWuSiIDDFayrKk/1tBsSQu4u'".to_owned(), "weaker than OWASP's"),
        ("", "ada: '$apr1$x$y'".to_owned(), "it is neither"),
        ("", format!("ada: {usual}, bob: {}", "ab".repeat(32)), "only some users of the policy have slow hashes"),
        ("", format!("ada: {usual}, bob: {}", slow("m=12288,t=3,p=1")), "hashed with different parameters"),
        ("", format!("ada: [{usual}, {usual}]"), "the password of `ada` is not a SHA-256"),
    ] {
        let report = with(target, &users);
        assert!(report.contains(words) && report.contains("TG0328"), "{words}: {report}");
    }
}
