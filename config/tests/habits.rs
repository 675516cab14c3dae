//! What is written as in another gateway, router or format is refused with what to write instead.

use tollgate_analysis::compile_str;
use tollgate_config::Diagnostics;

const PROJECT: &str = "format: 1
gateway:
  name: acme
  authn: none
  limit: none
upstreams:
  pets: {url: \"https://pets.internal\"}
policies:
  burst: {kind: rate-limit, rate: 10/s}
  keys: {kind: api-key}
  office: {kind: ip-filter, allow: [10.0.0.0/8]}
apis:
  pets:
    upstream: pets
    routes:
      - {path: /pets, methods: [GET], guard: office, authn: keys, limit: burst}
";

fn found(from: &str, to: &str) -> Diagnostics {
    assert!(PROJECT.contains(from), "{from}");
    match compile_str("tollgate.yaml", &PROJECT.replacen(from, to, 1)) {
        Ok(compiled) => compiled.warnings().clone(),
        Err(found) => found,
    }
}

/// Replaces a part of a valid project, and looks for a finding.
#[track_caller]
fn check(from: &str, to: &str, code: &str, says: &str) {
    let found = found(from, to);
    let is_said = |d: &tollgate_config::Diagnostic| d.code.id() == code && d.fix.contains(says);
    assert!(found.iter().any(is_said), "{to}: {code} {says}\n{found}");
}

#[test]
fn the_project_is_valid_before_something_is_replaced() {
    assert!(found("acme", "acme").is_empty(), "{}", found("acme", "acme"));
}

#[test]
fn paths_of_other_routers_are_refused() {
    for (path, meant) in [
        ("/pets/*", "`/pets/{*rest}`"),
        ("/pets/:id", "`/pets/{id}`"),
        ("'/pets/[0-9]+'", "`/pets/{id:int}`"),
        ("/pets/<id>", "`/pets/{id}`"),
        ("'/pets/{id}*'", "`/pets/{id}/{*rest}`"),
        ("'~ ^/pets'", "`/pets` for this path"),
        ("/pets/**", "`/pets/{*rest}`"),
        ("/pets$", "`/pets`"),
        ("'^/pets$'", "`/pets`"),
        ("'/{proxy+}'", "`/{*proxy}`"),
        ("'/pets/{id:[0-9]+}'", "`/pets/{id:int}`"),
        ("'GET /pets'", "`methods: [GET]`"),
    ] {
        check("path: /pets", &format!("path: {path}"), "TG0315", meant);
    }
    check("upstream: pets\n", "upstream: pets\n    base: /v1/*\n", "TG0315", "write `/v1`");
    check("path: /pets", "path: pets", "TG0306", "write `/pets`");
    let escaped = found("path: /pets", "path: /pets/%2A/%3Aid");
    assert!(escaped.is_empty(), "{escaped}");
}

#[test]
fn units_hosts_urls_and_methods_of_other_gateways_have_a_suggestion() {
    for (from, to, code, meant) in [
        ("  limit: none\n", "  limit: none\n  timeout: 10\n", "TG0206", "`10s`"),
        ("  limit: none\n", "  limit: none\n  timeout: 60000\n", "TG0206", "`1m` or `60000s`"),
        ("  limit: none\n", "  limit: none\n  timeout: 1h30m\n", "TG0206", "`90m`"),
        ("  limit: none\n", "  limit: none\n  timeout: unlimited\n", "TG0206", "`none`"),
        ("  limit: none\n", "  limit: none\n  timeout: -1\n", "TG0206", "`none`"),
        ("  limit: none\n", "  limit: none\n  body-limit: 10MB\n", "TG0207", "`10MiB`"),
        ("  limit: none\n", "  limit: none\n  body-limit: 10m\n", "TG0207", "`10MiB`"),
        ("rate: 10/s", "rate: 10r/s", "TG0208", "`10/s`"),
        ("rate: 10/s", "rate: 100 per minute", "TG0208", "`100/min`"),
        ("rate: 10/s", "rate: 100", "TG0208", "`100/s` or `100/min`"),
        ("  authn: none\n", "  authn: none\n  hosts: [\"https://api.example.com\"]\n", "TG0305", "`api.example.com`"),
        ("  authn: none\n", "  authn: none\n  hosts: [\"api.example.com:443\"]\n", "TG0305", "`api.example.com`"),
        ("  authn: none\n", "  authn: none\n  hosts: [_]\n", "TG0305", "`*`"),
        ("  authn: none\n", "  authn: none\n  hosts: ['~^(.+)\\.example\\.com$']\n", "TG0305", "`*.example.com`"),
        (
            "  authn: none\n",
            "  authn: none\n  hosts: \"a.example b.example\"\n",
            "TG0202",
            "`[\"a.example\", \"b.example\"]`",
        ),
        ("https://pets.internal", "pets.internal:8443", "TG0304", "`https://pets.internal:8443`"),
        ("https://pets.internal", "https://pets.internal:0", "TG0304", "optional port"),
        ("https://pets.internal", "${PETS_URL}", "TG0304", "`${value.NAME}`"),
        ("methods: [GET]", "methods: GET", "TG0202", "`[\"GET\"]`"),
        ("methods: [GET]", "methods: [get]", "TG0307", "`GET`"),
        ("methods: [GET]", "methods: ['*']", "TG0307", "remove `methods`"),
        ("methods: [GET]", "methods: [ANY]", "TG0307", "remove `methods`"),
        ("methods: [GET]", "methods: [GET|POST]", "TG0307", "`[GET, POST]`"),
        ("10.0.0.0/8", "10.0.0.0/255.0.0.0", "TG0313", "`10.0.0.0/8`"),
        ("10.0.0.0/8", "10.0.*.*", "TG0313", "`10.0.0.0/16`"),
        ("authn: keys", "authn: public", "TG0302", "`none`"),
        ("limit: burst}", "limit: \"burst, more\"}", "TG0302", "as a list"),
        ("guard: office", "cache: {vary: ['*']}", "TG0308", "list the fields"),
        ("guard: office", "cache: {key-query: ['*']}", "TG0311", "remove the key"),
        ("guard: office", "cache: {key-query: ['utm_*']}", "TG0311", "list the parameters that the upstream needs"),
        (
            "guard: office",
            "cache: {key-query: ['!utm_source']}",
            "TG0311",
            "list the parameters that the upstream needs",
        ),
        ("guard: office", "cache: {key-query: ['^utm_']}", "TG0311", "the whole name of one parameter"),
        ("guard: office", "cache: {key-query: all}", "TG0202", "remove the key: without it, the whole query"),
        ("guard: office", "cache: {key-query: '*'}", "TG0202", "remove the key: without it, the whole query"),
        ("guard: office", "cache: {key-query: true}", "TG0202", "remove the key: without it, the whole query"),
        ("guard: office", "cache: {key-query: none}", "TG0202", "write `[]`"),
        ("guard: office", "cache: {key-query: page}", "TG0202", "write the list `[\"page\"]`"),
        ("guard: office", "cache: {vary: all}", "TG0202", "list the fields"),
        ("guard: office", "cache: {vary: none}", "TG0202", "remove the key"),
        ("guard: office", "when: {header: {X-V: 'v2.*'}}", "TG0317", "as an item of a list"),
        ("guard: office", "when: {query: {v: '*'}}", "TG0317", "`present`"),
        ("10.0.0.0/8", "0.0.0.0", "TG0313", "`0.0.0.0/0`"),
        (
            "format: 1\n",
            "format: 1\ntelemetry: {otlp: {endpoint: \"http://otel:4318/v1/traces\"}}\n",
            "TG0304",
            "`http://otel:4318`",
        ),
        (
            "format: 1\n",
            "format: 1\ntelemetry: {otlp: {endpoint: \"http://otel:4317\"}}\n",
            "TG0304",
            "`http://otel:4318`",
        ),
        ("  limit: none\n", "  limit: none\n  timeout: ${TIMEOUT}\n", "TG0206", "`${value.NAME}`"),
        ("  authn: none\n", "  authn: none\n  hosts: [\"${HOST}\"]\n", "TG0305", "`${value.NAME}`"),
        ("limit: burst}", "limit: rate-limit}", "TG0302", "under `policies`"),
        ("upstream: pets\n", "upstream: https://pets.internal\n", "TG0301", "under `upstreams`"),
        ("format: 1\n", "format: 1\nvalues: {a: {type: string}}\n", "TG0210", "`text`"),
        ("kind: api-key", "kind: key-auth", "TG0210", "`api-key`"),
        ("kind: rate-limit", "kind: limit-req", "TG0210", "`rate-limit`"),
        ("rate: 10/s", "rate: 10/s, by: ip", "TG0210", "`address`"),
        ("  authn: none\n", "  authn: none\n  target: cloudflare\n", "TG0210", "`workers-free`"),
        ("kind: api-key", "kind: api-key, header: Authorization", "TG0316", "`scheme: Bearer`"),
        ("pets.internal\"", "pets.internal\", headers: {X-A: $TOKEN}", "TG0211", "`${secret.NAME}`"),
        ("  pets: {url", "  Pets_API: {url", "TG0205", "`pets-api`"),
        (
            "upstream: pets\n",
            "upstream: pets\n    spec: https://a.example/openapi.yaml\n",
            "TG0101",
            "URLs are not fetched",
        ),
    ] {
        check(from, to, code, meant);
    }
}

#[test]
fn keys_of_other_gateways_are_refused_with_their_place_here() {
    for (from, to, meant) in [
        ("format: 1\n", "format: 1\nplugins: []\n", "`policies`"),
        ("format: 1\n", "format: 1\nlisten: 80\n", "`--listen ADDRESS`"),
        ("path: /pets", "paths: [/pets]", "one route for each path"),
        ("path: /pets", "path: /pets, proxy_pass: x", "write `upstream` there"),
        ("upstream: pets\n", "upstream: pets\n    strip_path: true\n", "`strip-base:"),
        ("upstream: pets\n", "upstream: pets\n    rate_limiting: {}\n", "`limit: NAME`"),
        ("upstream: pets\n", "upstream: pets\n    stripBase: true\n", "did you mean `strip-base`?"),
        ("kind: rate-limit", "type: rate-limit", "write `kind: rate-limit`"),
        ("rate: 10/s", "requests_per_second: 10", "`rate: 100/s`"),
        ("url: ", "host: pets, url: ", "with scheme, host, port and path"),
    ] {
        check(from, to, "TG0201", meant);
    }
    check("policies:\n  burst: {", "policies:\n  - {", "TG0102", "");
    check("upstreams:\n  pets: {url", "upstreams:\n  - {name: pets, url", "TG0202", "below its name");
}

#[test]
fn a_tab_after_a_key_is_no_mistake() {
    assert!(found("name: acme", "name:\tacme").is_empty());
    check("  name: acme", "\tname: acme", "TG0102", "tabs as indentation");
}
