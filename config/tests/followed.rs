//! What a finding tells to write is valid: many habits of other gateways, routers and formats, each followed.

mod proposals;

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

fn findings(text: &str) -> Diagnostics {
    compile_str("tollgate.yaml", text).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// Replaces a part of a valid project, and follows what the findings tell to write; returns how many texts were written.
fn followed(from: &str, to: &str, refused: &mut Vec<String>) -> usize {
    assert!(PROJECT.contains(from), "{from}");
    let text = PROJECT.replacen(from, to, 1);
    let (count, more) = proposals::follow(&text, &findings(&text), findings);
    refused.extend(more);
    count
}

#[test]
fn what_is_told_about_paths_can_be_written() {
    let (mut written, mut refused) = (0, Vec::new());
    for path in PATHS {
        let quoted = serde_json::Value::from(*path).to_string();
        written += followed("/pets, methods", &format!("{quoted}, methods"), &mut refused);
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(written >= PATHS.len() * 3 / 4, "{written}");
}

#[test]
fn what_is_told_about_other_settings_can_be_written() {
    let (mut written, mut refused) = (0, Vec::new());
    for (from, to) in SETTINGS {
        written += followed(from, to, &mut refused);
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(written >= SETTINGS.len() / 4, "{written}");
}

const PATHS: &[&str] = &[
    "/a/:b?/c",
    "/users/:id*",
    "/users/:id+",
    "/a?b=1",
    "/a?b=1&c=2",
    "/a?b",
    "/a?b=*",
    "/a?b-c=1",
    "/a?y=1",
    "/users/{a|b}",
    "/users/{a,b}",
    "/x/{a:int|uuid}",
    "/x/{a:string}",
    "/x/{a:alpha}",
    "/x/{a:date}",
    "/api/v[12]/x",
    "/api/v[1-2]/x",
    "/api/v(1|2)/x",
    "/api/{v1,v2}/x",
    "/a/{b:int?}",
    "/a/{b=5}",
    "/a/{b!}",
    "/a/%id",
    "/a/{{id}}",
    "/a/<id>?",
    "/a/<int:id>?/c",
    "/a/[:id]",
    "/[lang]/docs",
    "/a/[[...slug]]",
    "/a/{id}/{id}",
    "/a/{*rest}/b",
    "/a/{rest*}",
    "/a/{rest+}",
    "/a/{rest...}",
    "/a/**/b",
    "/a/*/b",
    "*.php",
    "*/x",
    "/a/{name}.{ext}",
    "/a//b",
    "/a/../b",
    "/a/./b",
    "/..",
    "a/b",
    "https://h/a",
    "/a;b",
    "/a%2fb",
    "/a\\b",
    "~/x/(?<id>[0-9]+)",
    "/x(/)?",
    "/x/(?i)abc",
    "/x/{id:[a-z]{2}}",
    "/x/{id:\\d{4}}",
    "^/x/([^/]+)/y$",
    "/a/{b}c{d}",
    "/:lang(en|de)/x",
    "/:lang(en|de)?/x",
    "/:a-:b",
    "/:a?-:b?",
    "/users/:id:verb",
    "/v1/{name=projects/*}",
    "prefix /x",
    "exact:/x",
    "Host(`a`) && PathPrefix(`/x`)",
    "PathRegexp(`^/x/[0-9]+`)",
    "/x/*.{jpg,png}",
    "/x/{file}.(jpg|png)",
    "/x/?",
    "/x/{id}/?",
    "",
    "/{a}{b}",
    "/x/{a b}",
    "/x/{a}?q={b}",
    "/:a?/:b?",
    "/:a?",
    "/{a?}",
    "/{a?}/{b?}",
    "/x/:y*/z",
    "/x/{y*}/z",
    "GET:/x",
    "GET /x/:y?",
    "/x/[a-z]/y",
    "/x/[0-9]/y",
    "/x/[^/]*",
    "/x/.+/y",
    "/x/%3",
    "/x/{}",
    "/x/{:id}",
    "/x/{id:}",
    "/x/:id(\\\\d+)?",
    "/x/$1",
    "/x/<",
    "/x/>",
    "/x/{",
    "/x/}",
    "//",
    "/x/{a:(b)",
    "/x|y",
    "/(a|b)?",
    "/x~",
    "/x/~*",
    "/.*",
    ".*",
    "^/$",
    "/$",
    "^$",
];

/// Parts of the project, with what is written in their place.
const SETTINGS: &[(&str, &str)] = &[
    ("guard: office", "guard: 5/s"),
    ("guard: office", "guard: \"\""),
    ("guard: office", "guard: 10.0.0.1"),
    ("guard: office", "guard: [10.0.0.0/8]"),
    ("guard: office", "guard: ::1"),
    ("guard: office", "guard: all"),
    ("guard: office", "guard: \"office, other\""),
    ("guard: office", "guard: {allow: [10.0.0.0/8]}"),
    ("guard: office", "cache: 60"),
    ("guard: office", "cache: 60s"),
    ("guard: office", "cache: true"),
    ("guard: office", "cache: {ttl: 60}"),
    ("guard: office", "cache: {ttl: 0}"),
    ("guard: office", "cache: {vary: Accept}"),
    ("guard: office", "cache: {key: \"$uri\"}"),
    ("guard: office", "cache: {strategy: memory}"),
    ("guard: office", "cache: {stale-while-revalidate: 60}"),
    ("guard: office", "timeout: 1.5s"),
    ("guard: office", "timeout: PT5S"),
    ("guard: office", "timeout: 1 minute"),
    ("guard: office", "timeout: {connect: 6}"),
    ("guard: office", "body-limit: 1mb"),
    ("guard: office", "body-limit: 0"),
    ("guard: office", "body-limit: unlimited"),
    ("guard: office", "body-limit: 10485760"),
    ("guard: office", "cost: \"5\""),
    ("guard: office", "cost: 0"),
    ("guard: office", "cost: 1.5"),
    ("guard: office", "cost: 5/s"),
    ("guard: office", "internal: \"true\""),
    ("guard: office", "scopes: read"),
    ("guard: office", "scopes: \"read write\""),
    ("guard: office", "scopes: {keys: [read]}"),
    ("guard: office", "when: {header: X-A}"),
    ("guard: office", "when: {headers: {X-A: b}}"),
    ("guard: office", "when: {query: {a: null}}"),
    ("guard: office", "when: {query: [a]}"),
    ("guard: office", "when: \"X-A == b\""),
    ("guard: office", "id: \"a b\""),
    ("guard: office", "id: 5"),
    ("guard: office", "id: list/pets"),
    ("guard: office", "redirect: https"),
    ("guard: office", "mock: {}"),
    ("guard: office", "tags: [a]"),
    ("guard: office", "proxy_set_header: x"),
    ("guard: office", "x-tollgate: {}"),
    ("guard: office", "auth_basic: x"),
    ("guard: office", "limit_conn: 5"),
    ("limit: burst}", "limit: 5/s}"),
    ("limit: burst}", "limit: [5/s]}"),
    ("limit: burst}", "limit: 100}"),
    ("limit: burst}", "limit: 100 per minute}"),
    ("limit: burst}", "limit: \"\"}"),
    ("limit: burst}", "limit: []}"),
    ("limit: burst}", "limit: 10r/s}"),
    ("limit: burst}", "limit: {rate: 5/s}}"),
    ("limit: burst}", "limit: office}"),
    ("limit: burst}", "limit: brst}"),
    ("limit: burst}", "limit: true}"),
    ("authn: keys", "authn: jwt"),
    ("authn: keys", "authn: true"),
    ("authn: keys", "authn: [keys, none]"),
    ("authn: keys", "authn: \"\""),
    ("authn: keys", "authn: {jwt: {}}"),
    ("authn: keys", "authn: api-key"),
    ("authn: keys", "authn: burst"),
    ("authn: keys", "authn: {any: keys}"),
    ("authn: keys", "authn: {or: [keys]}"),
    ("rate: 10/s", "rate: 10/s, burst: 5/s"),
    ("rate: 10/s", "rate: 10/s, burst: \"5\""),
    ("rate: 10/s", "rate: 10/s, burst: 1.5"),
    ("rate: 10/s", "rate: 10/s, burst: 10 requests"),
    ("rate: 10/s", "rate: 1/month"),
    ("rate: 10/s", "rate: 0.5/s"),
    ("rate: 10/s", "rate: 0.25/min"),
    ("rate: 10/s", "rate: 1k/s"),
    ("rate: 10/s", "rate: 10/sec"),
    ("rate: 10/s", "rate: 5 per hour"),
    ("rate: 10/s", "rate: 10/1m"),
    ("rate: 10/s", "rate: 10/60"),
    ("rate: 10/s", "rate: unlimited"),
    ("rate: 10/s", "rate: 10/s, by: header"),
    ("rate: 10/s", "rate: 10/s, key: ip"),
    ("rate: 10/s", "rate: 10/s, on-failure: open"),
    ("rate: 10/s", "rate: 1/week"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a\", weight: 10}"),
    ("{url: \"https://pets.internal\"}", "{targets: [a]}"),
    ("{url: \"https://pets.internal\"}", "{url: \"unix:/run/a.sock\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a\", headers: {Host: x}}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a\", headers: {A: \"Bearer ${env.T}\"}}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a\", headers: [X-A: b]}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a\", tls: {}}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a\", pass_host: pass}"),
    ("{url: \"https://pets.internal\"}", "{url: \"h2c://a\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"lb://a\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://[::1\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a:99999\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://a b\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"${value.UPPER}\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"${values.url}\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"${URL}\"}"),
    ("{url: \"https://pets.internal\"}", "{url: \"http://${value.host}\"}"),
    ("{url: \"https://pets.internal\"}", "8080"),
    ("{url: \"https://pets.internal\"}", "[a]"),
    ("{url: \"https://pets.internal\"}", "none"),
    ("{url: \"https://pets.internal\"}", "localhost:8080"),
    ("  limit: none\n", "  limit: none\n  trusted-proxies: [\"*\"]\n"),
    ("  limit: none\n", "  limit: none\n  trusted-proxies: \"*\"\n"),
    ("  limit: none\n", "  limit: none\n  trusted-proxies: all\n"),
    ("  limit: none\n", "  limit: none\n  trusted-proxies: true\n"),
    ("  limit: none\n", "  limit: none\n  trusted-proxies: \"10.0.0.0/8, 10.1.0.0/16\"\n"),
    ("  limit: none\n", "  limit: none\n  trusted-proxies: [10.0.0.1/8]\n"),
    ("  limit: none\n", "  limit: none\n  hosts: [\"a.example/x\"]\n"),
    ("  limit: none\n", "  limit: none\n  hosts: [\".example.com\"]\n"),
    ("  limit: none\n", "  limit: none\n  hosts: [\"*.*.com\"]\n"),
    ("  limit: none\n", "  limit: none\n  hosts: a.example\n"),
    ("  limit: none\n", "  limit: none\n  target: aws\n"),
    ("format: 1\n", "format: 1\ntelemetry: {otlp: none}\n"),
    ("format: 1\n", "format: 1\ntelemetry: {otlp: false}\n"),
    ("format: 1\n", "format: 1\ntelemetry: {otlp: true}\n"),
    ("format: 1\n", "format: 1\ntelemetry: {otlp: off}\n"),
    ("format: 1\n", "format: 1\ntelemetry: {otlp: \"grpc://a:4317\"}\n"),
    ("format: 1\n", "format: 1\ntelemetry: {log: json}\n"),
    ("format: 1\n", "format: 1\ntelemetry: none\n"),
    ("format: 1\n", "format: \"1\"\n"),
    ("format: 1\n", "format: 1.0\n"),
    ("format: 1\n", "format: 2\n"),
    ("format: 1\n", "format: v1\n"),
    ("apis:\n  pets:", "apis:\n  n:"),
    ("apis:\n  pets:", "apis:\n  on:"),
    ("apis:\n  pets:", "apis:\n  Pets:"),
    ("apis:\n  pets:", "apis:\n  1:"),
    ("apis:\n  pets:", "apis:\n  pets/v1:"),
    ("apis:\n  pets:", "apis:\n  \"\":"),
    ("apis:\n  pets:", "apis:\n  ~:"),
    ("upstream: pets\n", "upstream: pets\n    preserve_host: true\n"),
    ("upstream: pets\n", "upstream: pets\n    base: v1\n"),
    ("upstream: pets\n", "upstream: pets\n    base: \"/v1/{x}\"\n"),
    ("upstream: pets\n", "upstream: pets\n    base: \"\"\n"),
    ("upstream: pets\n", "upstream: pets\n    internal: yes\n"),
    ("upstream: pets\n", "upstream: pets\n    strip-base: no\n"),
    ("upstream: pets\n", "upstream: pets\n    protocols: [http]\n"),
    ("upstream: pets\n", "upstream: pets\n    spec: https://a/b.yaml\n"),
    ("upstream: pets\n", "upstream: pets\n    hosts: []\n"),
    ("upstream: pets\n", "upstream: pets\n    versions: [1]\n"),
    ("upstream: pets\n", "upstream: pets\n    rewrite: /y\n"),
    ("upstream: pets\n", "upstream: http://a\n"),
    ("upstream: pets\n", "upstream: \"\"\n"),
    ("upstream: pets\n", "upstream: pts\n"),
    ("upstream: pets\n", "upstream: [pets]\n"),
    ("upstream: pets\n", "upstream: {url: \"http://a\"}\n"),
];
