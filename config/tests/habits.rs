//! What is written as in another gateway, router or format is refused with what to write instead.

mod proposals;
mod sound;

use std::path::Path;

use sound::PROJECT;
use tollgate_analysis::compile_str;
use tollgate_config::{Diagnostics, fixtures};

fn found(from: &str, to: &str) -> Diagnostics {
    assert!(PROJECT.contains(from), "{from}");
    findings(&PROJECT.replacen(from, to, 1))
}

fn findings(text: &str) -> Diagnostics {
    compile_str("tollgate.yaml", text).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// Replaces a part of a valid project, looks for a finding, and follows what it says.
#[track_caller]
fn check(from: &str, to: &str, code: &str, says: &str) {
    let found = found(from, to);
    let is_said = |d: &tollgate_config::Diagnostic| d.code.id() == code && d.fix.contains(says);
    assert!(found.iter().any(is_said), "{to}: {code} {says}\n{found}");
    let (_, refused) = proposals::follow(&PROJECT.replacen(from, to, 1), &found, findings);
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn what_a_finding_tells_to_write_is_not_refused() {
    let (mut written, mut refused) = (0, Vec::new());
    for folder in ["tests/codes", "tests/invalid/project", "tests/beyond-schema/project", "tests/invalid/fixtures"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            let path = if path.is_dir() { path.join("wrong.yaml") } else { path };
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let findings = |text: &str| match folder {
                "tests/invalid/fixtures" => fixtures::load_str("dev/fixtures.yaml", text)
                    .map_or_else(|found| found, |fixtures| fixtures.warnings),
                _ => findings(text),
            };
            let (count, more) = proposals::follow(&text, &findings(&text), findings);
            written += count;
            refused.extend(more);
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(written > 50, "{written}");
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
        ("'~ ^/pets'", "two routes, `/pets` and `/pets/{*rest}`"),
        ("'/flights/:from-:to'", "`/flights/{from-to}`"),
        ("'/pets{/:id}'", "two routes, `/pets` and `/pets/{id}`"),
        ("'=/pets'", "write `/pets`"),
        ("'~* \\.(png)$'", "`/{name}.png`"),
        ("'/x/{id}(/.*)?'", "two routes, `/x/{id}` and `/x/{id}/{*rest}`"),
        ("'/x/{id}?'", "two routes, `/x` and `/x/{id}`"),
        ("'/x/#{id}'", "`/x/{id}`"),
        ("'/{id}.*'", "`/{id}`"),
        ("'/pet-[0-9]+'", "`/pet-{id:int}`"),
        ("'/{a}-[0-9]+'", "write `/{a}`"),
        ("'/{id}.:ext'", "`/{id-ext}`"),
        ("'/x/{id}+'", "`/x/{*id}`"),
        ("/pets/**", "`/pets/{*rest}`"),
        ("'/a/:b?/c'", "two routes, `/a/c` and `/a/{b}/c`"),
        ("'/users/:id*'", "two routes, `/users` and `/users/{*id}`"),
        ("'/x/{a:int|uuid}'", "write `/x/{a}`"),
        ("'/api/v[12]/x'", "write `/api/v{name:(1|2)}/x`"),
        ("'/a/{b:int?}'", "two routes, `/a` and `/a/{b:int}`"),
        ("'/img/*.(jpg|png)'", "two routes, `/img/{name}.jpg` and `/img/{name}.png`"),
        (
            "'/api/{id:public-[a-z]+}'",
            "`/api/public-{id}`; the parameter matches any text, because `[a-z]+` is not kept",
        ),
        ("'/pets*'", "`/pets{name}` and `/pets{name}/{*rest}`, if paths such as `/pets-2` are meant"),
        ("'/pets/{$}'", "write `/pets/`"),
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
fn the_conditions_that_are_written_for_a_query_are_valid() {
    for path in ["/a?id=1&id=2", "/a?a b=1&c d=2&", "/a?id=1&id={x}&y", "/a?"] {
        let found = found("path: /pets", &format!("path: '{path}'"));
        let fix = found.iter().find_map(|d| d.fix.strip_prefix("write `/a` with `")?.strip_suffix('`'));
        let fix = fix.unwrap_or_else(|| panic!("{path}\n{found}"));
        let after = self::found("path: /pets", &format!("path: /a, {fix}"));
        assert!(after.is_empty(), "{path}: {fix}\n{after}");
    }
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
        ("https://pets.internal", "https://pets.internal:0", "TG0304", "a URL such as"),
        ("https://pets.internal", "http://pets/{id}", "TG0304", "write `http://pets`"),
        ("https://pets.internal", "http://pets/v1/*", "TG0304", "write `http://pets/v1`"),
        ("https://pets.internal", "http://pets/v1/:id", "TG0304", "write `http://pets/v1`"),
        ("https://pets.internal", "http://pets/$1", "TG0304", "write `http://pets`"),
        ("https://pets.internal", "http://pets ", "TG0304", "write `http://pets`"),
        ("https://pets.internal", "pets:", "TG0304", "write `http://pets` or `https://pets`"),
        ("https://pets.internal", "http://256.1.1.1", "TG0304", "a URL such as"),
        ("{url: \"https://pets.internal\"}", "8080", "TG0202", "write `http://127.0.0.1:8080`"),
        ("{url: \"https://pets.internal\"}", "[http://a, http://b]", "TG0202", "write one URL"),
        ("\"https://pets.internal\"", "8080", "TG0202", "write `http://127.0.0.1:8080`"),
        ("\"https://pets.internal\"", "[http://a, http://b]", "TG0202", "write one URL"),
        ("  authn: none\n", "  authn: none\n  hosts: [256.1.1.1]\n", "TG0305", "without a port"),
        ("https://pets.internal", "${PETS_URL}", "TG0304", "`${value.NAME}`"),
        ("methods: [GET]", "methods: GET", "TG0202", "the list `[\"GET\"]`"),
        ("methods: [GET]", "methods: get", "TG0202", "the list `[\"GET\"]`"),
        (
            "{path: /pets, methods: [GET], guard: office, authn: keys, limit: burst}",
            "/pets",
            "TG0202",
            "write `{path: \"/pets\"}`",
        ),
        (
            "\n      - {path: /pets, methods: [GET], guard: office, authn: keys, limit: burst}",
            " /pets",
            "TG0202",
            "each item begins with `- `",
        ),
        (
            "{path: /pets, methods: [GET], guard: office, authn: keys, limit: burst}",
            "GET /pets",
            "TG0202",
            "write `{path: \"/pets\", methods: [GET]}`",
        ),
        ("methods: [GET]", "methods: any", "TG0202", "remove the key"),
        ("methods: [GET]", "methods: \"*\"", "TG0202", "remove the key"),
        ("allow: [10.0.0.0/8]", "deny: all", "TG0202", "`[\"0.0.0.0/0\", \"::/0\"]`"),
        ("guard: office", "cache: off", "TG0104", "write `none`"),
        ("guard: office", "cache: false", "TG0202", "write `none`"),
        ("guard: office", "guard: no", "TG0104", "write `none`"),
        ("guard: office", "guard: yes", "TG0104", "write a value such as"),
        ("guard: office", "timeout: false", "TG0202", "write `none`"),
        ("guard: office", "timeout: off", "TG0104", "write `none`"),
        ("guard: office", "guard: [no]", "TG0104", "write `none` in place of the list"),
        ("guard: office", "guard: [none]", "TG0302", "write `none`, and not in a list"),
        ("guard: office", "guard: {use: none}", "TG0202", "write `none` in place of the mapping"),
        ("guard: office", "internal: no", "TG0104", "write `false`"),
        ("guard: office", "body-limit: off", "TG0104", "write a value such as `64KiB`"),
        ("guard: office", "cache: {with-credentials: no}", "TG0104", "write one of"),
        ("guard: office", "id: on", "TG0104", "write `\"on\"`"),
        ("{url: \"https://pets.internal\"}", "off", "TG0104", "write"),
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
        ("guard: office", "when: {header: {X-V: /v2/}}", "TG0317", "as an item of a list"),
        ("guard: office", "when: {header: {X-V: '!2'}}", "TG0317", "there is no negation"),
        ("guard: office", "when: {header: {X-V: 'a,b'}}", "TG0317", "write the list `[\"a\", \"b\"]`"),
        ("guard: office", "when: {header: {X-V: a|b}}", "TG0317", "write the list `[\"a\", \"b\"]`"),
        ("guard: office", "when: {header: {X-V: exists}}", "TG0317", "write `present`"),
        ("guard: office", "when: {header: {X-V: missing}}", "TG0317", "write `absent`"),
        ("guard: office", "when: {header: {X-V: true}}", "TG0202", "or `present` for any value"),
        ("guard: office", "when: {header: {X-V: 2}}", "TG0202", "write `\"2\"`"),
        ("guard: office", "when: {header: {X-V: {exact: a}}}", "TG0202", "write the value itself"),
        ("guard: office", "when: {header: {X-V: 'v2*'}}", "TG0317", "as an item of a list"),
        ("guard: office", "when: {header: {X-V: '>=2'}}", "TG0317", "compared for equality"),
        ("guard: office", "when: {header: {X-V: Present}}", "TG0317", "write `present`"),
        ("guard: office", "when: {header: {Accept: a/b}}", "TG0317", "write `present`, or `[\"a/b\"]`"),
        ("guard: office", "when: {header: {Content-Type: a/b}}", "TG0317", "`[\"a/b\", \"a/b; charset=utf-8\"]`"),
        ("guard: office", "when: {header: {'$http_x_v': present}}", "TG0308", "write `x-v`"),
        ("guard: office", "when: {header: {'X-*': present}}", "TG0308", "no pattern"),
        ("guard: office", "when: {header: {Host: a}}", "TG0308", "hosts are set in `hosts`"),
        ("guard: office", "when: {ip: 10.0.0.0/8}", "TG0201", "kind `ip-filter`"),
        ("guard: office", "scopes: ['pets.*']", "TG0318", "list each scope"),
        ("guard: office", "scopes: ['a|b']", "TG0318", "list each scope"),
        ("guard: office", "guard: {office: {}}", "TG0201", "write `office` alone"),
        ("guard: office", "guard: [{office: {}}]", "TG0202", "the name of a policy"),
        ("authn: keys", "authn: {keys: []}", "TG0201", "write `keys` alone"),
        ("authn: keys", "authn: [{keys: [a]}]", "TG0201", "write `keys` alone"),
        ("authn: keys", "authn: {keys: [], more: []}", "TG0201", "`{all: [keys, more]}`"),
        ("authn: keys", "authn: {anyOf: [keys]}", "TG0201", "write `any: [...]`"),
        ("authn: keys", "authn: {and: [keys]}", "TG0201", "write `all: [...]`"),
        ("limit: burst}", "limit: {rate: 10/s}}", "TG0201", "kind: rate-limit"),
        ("kind: api-key", "kind: api-key, header: Cookie", "TG0308", "another field"),
        ("kind: api-key", "kind: api-key, header: $http_x_api_key", "TG0308", "write `x-api-key`"),
        ("kind: api-key", "kind: api-key, header: Authorization, scheme: Basic", "TG0308", "write `Bearer`"),
        ("kind: api-key", "kind: api-key, header: Authorization, scheme: none", "TG0308", "remove `scheme`"),
        ("pets.internal\"", "pets.internal\", headers: {X-A: \"\"}", "TG0308", "remove the entry"),
        ("pets.internal\"", "pets.internal\", headers: {+X-A: b}", "TG0308", "write `X-A`"),
        ("pets.internal\"", "pets.internal\", headers: {X-A: \"{http.request.host}\"}", "TG0211", "`${secret.NAME}`"),
        ("upstream: pets\n", "upstream: pets\n    base: \"/v1/{id}/x\"\n", "TG0306", "write `/v1`"),
        ("upstream: pets\n", "upstream: pets\n    base: ^/v1\n", "TG0315", "write `/v1`"),
        ("upstream: pets\n", "upstream: pets\n    base: /v1|/v2\n", "TG0315", "one API for each base"),
        ("  limit: none\n", "  limit: none\n  trusted-proxies: \"1\"\n", "TG0202", "write `1`"),
        ("  limit: none\n", "  limit: none\n  trusted-proxies: 10.0.0.0/8\n", "TG0202", "`[\"10.0.0.0/8\"]`"),
        ("  authn: none\n", "  authn: none\n  hosts: [any]\n", "TG0305", "`*`"),
        ("name: acme", "name: AcmeShop", "TG0205", "write `acme-shop`"),
        ("path: /pets", "path: [/pets, /cats]", "TG0202", "one route for each path"),
        ("path: /pets", "path: {prefix: /pets}", "TG0202", "`/pets/{*rest}`"),
        ("path: /pets", "path: /pets//", "TG0306", "write `/pets/`"),
        ("path: /pets", "path: \"/a/{*rest}/b\"", "TG0306", "write `/a/{rest}/b`"),
        ("apis:\n", "plans: {gold: {limits: {burst: 20/s}}}\napis:\n", "TG0202", "write `{rate: 20/s}`"),
        ("apis:\n", "plans: {gold: {rate: 20/s}}\napis:\n", "TG0201", "write `limits:"),
        ("format: 1\n", "format: 1\ntelemetry: {otlp: \"http://otel:4318\"}\n", "TG0202", "write `{endpoint:"),
        ("methods: [GET]", "methods: [GTE]", "TG0307", "did you mean `GET`?"),
        ("path: /pets", "path: /pets;v=1", "TG0306", "`matrix-parameters: true`"),
        ("path: /pets", "path: \"/pets \"", "TG0306", "write `/pets`"),
        ("path: /pets", "path: \"/pets/{a}-{b}\"", "TG0306", "write `/pets/{a-b}`"),
        ("  limit: none\n", "  limit: none\n  proxy-field: forwarded\n", "TG0203", "add `trusted-proxies`"),
        (
            "  limit: none\n",
            "  limit: none\n  trusted-proxies: 1\n  proxy-field: x-real-ip\n",
            "TG0210",
            "no other field",
        ),
        ("https://pets.internal", "${value.pets-ur}", "TG0602", ""),
        ("10.0.0.0/8", "0.0.0.0", "TG0313", "`0.0.0.0/0`"),
        (
            "format: 1\n",
            "format: 1\ntelemetry: {otlp: {endpoint: \"http://otel:4318/v1/traces\"}}\n",
            "TG0304",
            "`http://otel:4318`",
        ),
        (
            "format: 1\n",
            "format: 1\ntelemetry: {otlp: {endpoint: \"http://otel:4318/v1/metrics/\"}}\n",
            "TG0304",
            "write `http://otel:4318`",
        ),
        (
            "format: 1\n",
            "format: 1\ntelemetry: {otlp: {endpoint: \"grpc://otel:4317\"}}\n",
            "TG0304",
            "write `http://otel:4318`",
        ),
        (
            "format: 1\n",
            "format: 1\ntelemetry: {otlp: {endpoint: \"http://otel\", headers: {Content-Type: a/b}}}\n",
            "TG0308",
            "remove it",
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
        ("limit: burst}", "limit: 5/s}", "TG0302", "`NAME: {kind: rate-limit, rate: 5/s}`"),
        ("limit: burst}", "limit: [100/minute]}", "TG0302", "`NAME: {kind: rate-limit, rate: 100/min}`"),
        ("limit: burst}", "limit: \"\"}", "TG0302", "write the name of a policy"),
        ("limit: burst}", "limit: nothing-like-it}", "TG0302", "define it, or use one of `burst`"),
        ("guard: office", "guard: nothing-like-it", "TG0302", "define it, or use one of `office`"),
        ("guard: office", "guard: 10.0.0.0/8", "TG0302", "`NAME: {kind: ip-filter, allow: [\"10.0.0.0/8\"]}`"),
        ("guard: office", "guard: [10.0.0.1]", "TG0302", "kind: ip-filter"),
        ("rate: 10/s", "rate: 10/s, burst: 5/s", "TG0202", "write `5`"),
        ("rate: 10/s", "rate: 10/s, burst: '20'", "TG0202", "write `20`"),
        ("rate: 10/s", "rate: 0.5/s", "TG0208", "`1/2s`"),
        ("rate: 10/s", "rate: 1/month", "TG0208", "`1/30d`"),
        ("rate: 10/s", "rate: 10/s, on-failure: open", "TG0201", "`on-unavailable: open`"),
        ("format: 1\n", "format: 1\ntelemetry: {otlp: none}\n", "TG0202", "remove `otlp`"),
        ("  limit: none\n", "  limit: none\n  trusted-proxies: ['*']\n", "TG0313", "list the networks of the proxies"),
        ("https://pets.internal", "${value.UPPER}", "TG0602", "and write `${value.upper}`"),
        ("apis:\n  pets:", "apis:\n  n:", "TG0104", "write `\"n\"`"),
        ("path: /pets", "path: '/a?b=1'", "TG0306", "write `/a` with `when: {query: {b: \"1\"}}`"),
        ("path: /pets", "path: '/users/{a|b}'", "TG0306", "write `/users/{name:(a|b)}`"),
        ("path: /pets", "path: '*.php'", "TG0306", "write `/{name}.php`"),
        ("path: /pets", "path: prefix /x", "TG0306", "write two routes, `/x` and `/x/{*rest}`"),
        ("path: /pets", "path: /a/../b", "TG0306", "write `/b`"),
        ("upstream: pets\n", "upstream: https://pets.internal\n", "TG0301", "under `upstreams`"),
        ("format: 1\n", "format: 1\nvalues: {a: {type: string}}\n", "TG0210", "`text`"),
        ("kind: api-key", "kind: key-auth", "TG0210", "`api-key`"),
        ("kind: rate-limit", "kind: limit-req", "TG0210", "`rate-limit`"),
        ("rate: 10/s", "rate: 10/s, by: ip", "TG0352", "`address`"),
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
        ("  name: acme", "  name: acme\n  num_trusted_hops: 1", "`trusted-proxies:"),
        ("  name: acme", "  name: acme\n  use_remote_address: true", "`trusted-proxies:"),
        ("  name: acme", "  name: acme\n  set_real_ip_from: 10.0.0.0/8", "`trusted-proxies:"),
        ("  name: acme", "  name: acme\n  real_ip_header: X-Real-IP", "`proxy-field:"),
        ("  name: acme", "  name: acme\n  proxy_protocol: true", "the PROXY protocol is not read"),
        ("format: 1\n", "format: 1\ntrusted-proxies: 1\n", "under `gateway:`"),
        ("upstream: pets\n", "upstream: pets\n    real_ip_header: X-Real-IP\n", "in `gateway`"),
        ("limit: burst", "roles: [a]", "write `authz:"),
        ("path: /pets", "paths: [/pets]", "one route for each path"),
        ("path: /pets", "path: /pets, proxy_pass: x", "write `upstream` there"),
        ("upstream: pets\n", "upstream: pets\n    strip_path: true\n", "`strip-base:"),
        ("upstream: pets\n", "upstream: pets\n    preserve_host: true\n", "gets the host of its URL"),
        ("path: /pets", "path: /pets, preserve_host: true", "gets the host of its URL"),
        ("url: ", "pass_host: pass, url: ", "gets the host of its URL"),
        ("upstream: pets\n", "upstream: pets\n    protocols: [https]\n", "which protocols are answered"),
        ("upstream: pets\n", "upstream: pets\n    response_headers: {}\n", "changes no other fields"),
        ("path: /pets", "path: /pets, redirect: https", "no such feature"),
        ("upstream: pets\n", "upstream: pets\n    rate_limiting: {}\n", "`limit: NAME`"),
        ("upstream: pets\n", "upstream: pets\n    stripBase: true\n", "did you mean `strip-base`?"),
        ("kind: rate-limit", "type: rate-limit", "write `kind: rate-limit`"),
        ("rate: 10/s", "requests_per_second: 10", "`rate: 100/s`"),
        ("url: ", "host: pets, url: ", "with scheme, host, port and path"),
        ("authn: keys", "auth: none", "write `authn: none`"),
        ("authn: keys", "auth: keys", "write `authn: NAME`"),
        ("limit: burst", "rate_limit: false", "write `limit: none`"),
        ("kind: api-key", "kind: api-key, hide_credentials: true", "removed from every request"),
        ("kind: api-key", "kind: api-key, realm: a", "the name of the gateway"),
        ("kind: api-key", "kind: api-key, anonymous: a", "`authn: {optional: [...]}`"),
        ("methods: [GET]", "methods: GET,POST", "write the list `methods: [GET, POST]`"),
        ("methods: [GET]", "methods: GET, POST, PUT", "write the list `methods: [GET, POST, PUT]`"),
        ("limit: burst", "limit: burst,more", "write the list `limit: [burst, more]`"),
        ("path: /pets", "path: '/pets', id: a,b", "quote the value of `id`"),
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

#[test]
fn what_is_told_about_words_of_other_gateways_can_be_done() {
    for (from, to, code, told) in [
        ("{kind: api-key}", "{kind: api-key, header: none, query: key}", "TG0308", "remove the key"),
        ("{kind: api-key}", "{kind: api-key, query: none}", "TG0311", "remove `query`"),
        ("{kind: api-key}", "{kind: api-key, query: \"*\"}", "TG0311", "write the whole name of one parameter"),
        ("allow: [10.0.0.0/8]", "allow: [10.0.0.0/8], deny: [10.0.0.0/8]", "TG0313", "remove it from one of the lists"),
        (
            "guard: office",
            "when: {header: {X-A: \"a, b\"}}",
            "TG0317",
            "write the list `[\"a\", \"b\"]`, or `[\"a, b\"]`",
        ),
        ("upstream: pets\n", "upstream: pets\n    cost: 5\n", "TG0201", "write it in a route under `routes`"),
        ("format: 1\n", "format: 1\ncors: {}\n", "TG0201", "this version has no such feature"),
        ("format: 1\n", "format: 1\nplans: {a: {limits: {none: {rate: 1/s}}}}\n", "TG0302", "use one of `burst`"),
        ("path: /pets", "path: '/users?page=*'", "TG0306", "write `/users` with `when: {query: {page: present}}`"),
        (
            "{url: \"https://pets.internal\"}",
            "{url: \"https://pets.internal\", headers: {A: \"Bearer {vault://env/x}\"}}",
            "TG0211",
            "write `${secret.NAME}`",
        ),
        ("{url: \"https://pets.internal\"}", "\"${env.MY_URL}\"", "TG0602", "as `${value.my-url}`"),
    ] {
        check(from, to, code, told);
    }
    // Not every setting can be a secret.
    let found = found("{url: \"https://pets.internal\"}", "\"${{ secrets.X }}\"");
    assert!(found.to_string().contains("did you mean `${secret.X}`?"), "{found}");
}
