//! The records of a compiled project: they have the settings of the project, and equal projects have equal records.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_analysis::{compile_dir, compile_str};
use tollgate_config::{Compiled, Whole, fixtures};
use tollgate_core::authn::Credential;
use tollgate_core::cache::CacheCredentials;
use tollgate_core::kinds::{AuthnPolicy, LimitPolicy, Place, SlotPolicy};
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_kv_schemas::{Manifest, Pointer, decode, decode_part, keys};

const PROJECT: &str = r#"
format: 1
gateway:
  name: acme
  hosts: [api.example.com, "*.example.com", "*"]
  internal-hosts: [ops.internal, unused.internal]
  timeout: 20s
  connect-timeout: 2s
  body-limit: 1MiB
  limit: [burst]
  cache: {vary: [Accept-Language], ttl: 1m}
upstreams:
  pets: {url: "https://pets.internal:8443/base", timeout: 5s, headers: {X-Token: "Bearer ${secret.PETS}"}}
  shop: "http://127.0.0.1:9000"
policies:
  partners: {kind: api-key, header: Authorization, scheme: Bearer}
  staff: {kind: api-key}
  burst: {kind: rate-limit, rate: 100/min, burst: 200, on-unavailable: closed}
  slow: {kind: rate-limit, rate: 1/s, by: address}
apis:
  pets:
    hosts: [api.example.com]
    base: /pets/v1
    upstream: pets
    authn: partners
    routes:
      - {path: /pets, methods: [POST, GET], id: list, limit: [slow], cost: 5, scopes: [b, a]}
      - path: /pets/{id}
        methods: [GET]
        authn: {any: [staff], replace: true}
        limit: {use: [slow], replace: true}
        cache: {ttl: 10m, with-credentials: per-consumer, key-query: [q, page]}
        timeout: none
        body-limit: 1KiB
      - {path: /, cache: none}
  shop:
    hosts: ["*.example.com"]
    upstream: shop
    strip-base: false
    base: /shop
    authn: none
    routes:
      - {path: "/{*rest}", timeout: 1s, cache: {replace: true}}
  rest:
    hosts: ["*"]
    upstream: shop
    limit: none
    routes:
      - {path: /pong, authn: none}
  ops:
    hosts: [ops.internal]
    upstream: shop
    internal: true
    limit: none
    routes:
      - {path: /ping}
"#;

fn compiled(text: &str) -> Compiled {
    compile_str("tollgate.yaml", text).expect("a project that compiles")
}

/// Reads the bundle like an edge: the pointer, the manifest and the parts, each verified by its content id.
fn parts(compiled: &Compiled) -> (Manifest, BTreeMap<String, SiteSettings>) {
    let records: BTreeMap<_, _> = compiled.records().iter().cloned().collect();
    let gateway = compiled.gateway();
    let pointer: Pointer = decode(&records[&keys::active(gateway)]).expect("the pointer");
    assert_eq!(&pointer.newest.bundle, compiled.id());
    let manifest = &records[&keys::manifest(gateway, &pointer.newest.bundle)];
    let manifest = Manifest::decode(manifest.clone(), &pointer.newest.bundle).expect("the manifest");
    let part = |id| decode_part(&records[&keys::part(gateway, &id)], &id).expect("a part");
    let parts = manifest.parts().expect("its pages").into_iter().map(|(host, id)| (host.to_owned(), part(id)));
    let parts = parts.collect();
    (manifest, parts)
}

fn route<'s>(site: &'s SiteSettings, id: &str) -> &'s RouteSettings {
    site.routes.iter().find(|route| route.id == id).expect(id)
}

fn policies<P: SlotPolicy>(site: &SiteSettings, places: impl IntoIterator<Item = Place<P>>) -> Vec<&str> {
    places.into_iter().map(|place| site.policies.get(place).expect("a policy").name.as_str()).collect()
}

#[test]
fn every_host_pattern_has_a_part_with_its_own_routes_only() {
    let compiled = compiled(PROJECT);
    let (_, parts) = parts(&compiled);
    let apis = |host: &str| {
        let mut apis: Vec<_> = parts[host].routes.iter().map(|route| route.api.as_str()).collect();
        apis.dedup();
        apis
    };
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["*", "*.example.com", "api.example.com", "ops.internal"]);
    assert_eq!(apis("*"), ["rest"]);
    assert_eq!(apis("ops.internal"), ["ops"]);
    assert_eq!(apis("*.example.com"), ["shop"]);
    assert_eq!(apis("api.example.com"), ["pets"]);
    assert!(parts.values().all(SiteSettings::is_coherent));
    let names = |host: &str| parts[host].upstreams.iter().map(|upstream| upstream.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names("*"), ["shop"]);
    assert_eq!(names("api.example.com"), ["pets"]);
    for (host, part) in compiled.sites() {
        assert_eq!(&parts[&host.to_string()], part);
    }
}

#[test]
fn hosts_with_equal_routes_share_a_part() {
    let hosts: Vec<String> = (0..50).map(|n| format!("h{n}.example.com")).collect();
    let text = format!(
        "format: 1\ngateway: {{name: a, authn: none, hosts: [{}]}}\nupstreams: {{u: \"http://u\"}}\napis:\n  b: {{upstream: u, routes: [{{path: /b}}]}}\n",
        hosts.join(", ")
    );
    let compiled = compiled(&text);
    assert_eq!((parts(&compiled).1.len(), compiled.records().len()), (50, 3));
    assert_eq!((compiled.routes().len(), compiled.routes()[0].hosts.len()), (1, 50));
}

#[test]
fn the_settings_of_a_route_are_merged_from_its_levels() {
    let compiled = compiled(PROJECT);
    let (_, parts) = parts(&compiled);
    let site = &parts["api.example.com"];

    let list = route(site, "pets.list");
    assert_eq!(list.path.as_str(), "/pets/v1/pets");
    assert_eq!((list.methods.to_string().as_str(), list.strip_segments), ("GET,POST", 2));
    assert_eq!(policies(site, list.authenticators()), ["partners"]);
    assert_eq!(policies(site, list.limit.clone()), ["burst", "slow"]);
    assert_eq!((list.cost.get(), list.scopes.as_slice()), (5, &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!((list.timeout_ms, list.content_bytes_max), (Some(5_000), 1 << 20));
    let cache = list.cache.as_ref().unwrap();
    assert_eq!((cache.ttl_ms, cache.vary.as_slice()), (Some(60_000), &["accept-language".to_owned()][..]));
    assert_eq!((cache.credentials, &cache.key_query), (CacheCredentials::Never, &None));

    let one = route(site, "pets.GET /pets/{id}");
    assert_eq!(policies(site, one.authenticators()), ["staff"]);
    assert_eq!(policies(site, one.limit.clone()), ["slow"]);
    assert_eq!((one.timeout_ms, one.content_bytes_max), (None, 1024));
    let cache = one.cache.as_ref().unwrap();
    assert_eq!((cache.ttl_ms, cache.vary.len()), (Some(600_000), 1));
    assert_eq!(cache.credentials, CacheCredentials::PerConsumer);
    assert_eq!(cache.key_query.as_deref(), Some(&["page".to_owned(), "q".to_owned()][..]));

    let root = route(site, "pets.* /");
    assert_eq!((root.path.as_str(), root.cache.is_none()), ("/pets/v1", true));

    let shop = route(&parts["*.example.com"], "shop.* /{*rest}");
    assert_eq!((shop.strip_segments, shop.timeout_ms, shop.authn.len()), (0, Some(1_000), 0));
    assert_eq!(shop.cache.as_ref().map(|cache| (cache.ttl_ms, cache.vary.len())), Some((None, 0)));

    let (ping, pong) = (route(&parts["ops.internal"], "ops.* /ping"), route(&parts["*"], "rest.* /pong"));
    assert_eq!((ping.internal, pong.internal, ping.limit.len()), (true, false, 0));
    assert_eq!(ping.timeout_ms, Some(20_000));
}

#[test]
fn upstreams_and_policies_are_compiled_with_defaults() {
    let compiled = compiled(PROJECT);
    let (manifest, parts) = parts(&compiled);
    let site = &parts["api.example.com"];
    let pets = &site.upstreams[0];
    assert_eq!((pets.url.to_string().as_str(), pets.connect_timeout_ms), ("https://pets.internal:8443/base", 2_000));
    assert_eq!(pets.fields[0].0, "x-token");
    assert_eq!(pets.fields[0].1.secret_names().collect::<Vec<_>>(), ["PETS"]);
    let LimitPolicy::RateLimit(slow) = &site.policies.limit.iter().find(|limit| limit.name == "slow").unwrap().policy
    else {
        panic!("a rate limit")
    };
    assert_eq!((slow.rate.get(), slow.period_ms.get(), slow.burst.get()), (1, 1_000, 1));
    let staff = &site.policies.authn.iter().find(|keys| keys.name == "staff").unwrap().policy;
    let AuthnPolicy::ApiKey(staff) = staff else { panic!("{staff:?}") };
    assert_eq!((staff.place.field.as_str(), &staff.place.scheme, &staff.place.query), ("x-api-key", &None, &None));
    assert!(manifest.gateway.telemetry.log && manifest.gateway.proxies.is_none());
    let internal: Vec<String> = manifest.gateway.internal_hosts.iter().map(ToString::to_string).collect();
    assert_eq!(internal, ["ops.internal", "unused.internal"]);
}

#[test]
fn order_comments_and_syntax_do_not_change_the_bundle() {
    let yaml = "format: 1\ngateway: {name: a, authn: none}\nupstreams: {u: \"http://u\", v: \"http://v\"}\npolicies:\n  p: {kind: rate-limit, rate: 60/min}\n  q: {kind: rate-limit, rate: 1/s}\napis:\n  b: {upstream: u, limit: [p, q], routes: [{path: /b, id: b}, {path: /c}]}\n  d: {upstream: v, routes: [{path: /d, methods: [GET, PUT]}]}\n";
    let reordered = "# a comment\napis:\n  d: {routes: [{methods: [PUT, GET], path: \"/d\"}], upstream: v}\n  b:\n    limit: &both [p, q]\n    routes:\n    - path: /c\n    - {id: b, path: /b}\n    upstream: u\npolicies:\n  q: {rate: 1/s, kind: rate-limit}\n  p: {kind: rate-limit, rate: 60/m}\nupstreams: {v: {url: \"http://v\"}, u: \"http://U/\"}\ngateway: {authn: none, name: a, timeout: 30000ms}\nformat: 1\n";
    let json = r#"{"format": 1, "gateway": {"name": "a", "authn": "none"}, "upstreams": {"u": "http://u", "v": "http://v"},
        "policies": {"p": {"kind": "rate-limit", "rate": "60/min"}, "q": {"kind": "rate-limit", "rate": "1/s"}},
        "apis": {"b": {"upstream": "u", "limit": ["p", "q"], "routes": [{"path": "/b", "id": "b"}, {"path": "/c"}]},
        "d": {"upstream": "v", "routes": [{"path": "/d", "methods": ["GET", "PUT"]}]}}}"#;
    let records = |text: &str| compiled(text).records().to_vec();
    assert_eq!(records(yaml), records(reordered));
    assert_eq!(records(yaml), records(json));
}

#[test]
fn a_changed_setting_changes_the_bundle() {
    let original = *compiled(PROJECT).id();
    for (from, to) in [
        ("timeout: 20s", "timeout: 21s"),
        ("rate: 1/s", "rate: 2/s"),
        ("limit: [burst]", "limit: [slow, burst]"),
        ("/ping", "/pings"),
        ("internal: true", "internal: false"),
        ("secret.PETS", "secret.CATS"),
    ] {
        assert!(PROJECT.contains(from), "{from}");
        assert_ne!(compiled(&PROJECT.replacen(from, to, 1)).id(), &original, "{from} -> {to}");
    }
}

#[test]
fn all_routes_policies_and_upstreams_can_be_listed() {
    let compiled = compiled(PROJECT);
    let Whole { routes, policies, upstreams } = compiled.whole();
    assert_eq!((routes.len(), upstreams.len(), policies.iter().count()), (6, 2, 4));
    let find = |id: &str| routes.iter().find(|route| route.settings.id == id).expect(id);
    let list = find("pets.list");
    let limits: Vec<_> = policies.at(&list.settings.limit).map(|limit| limit.name.as_str()).collect();
    assert_eq!((limits, list.hosts[0].to_string()), (vec!["burst", "slow"], "api.example.com".to_owned()));
    assert_eq!(upstreams[find("shop.* /{*rest}").settings.upstream].name, "shop");
}

#[test]
fn records_are_ordered_so_that_a_reference_never_precedes_its_record() {
    let compiled = compiled(PROJECT);
    let groups: Vec<_> = compiled.records().iter().map(|(key, _)| key.split(':').nth(1).unwrap()).collect();
    assert_eq!(groups, ["part", "part", "part", "part", "manifest", "config"]);
    assert!(compiled.records().iter().all(|(key, _)| key.starts_with("acme:")));
}

#[test]
fn a_project_may_be_written_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"{"format": 1, "gateway": {"name": "a"}}"#;
    std::fs::write(folder.path().join("tollgate.json"), json).unwrap();
    assert_eq!(compile_dir(folder.path()).unwrap().id(), compiled(json).id());
}

#[test]
fn credentials_of_fixtures_do_not_contain_the_key() {
    const KEY: &str = "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW";
    let text = format!(
        "format: 1\nconsumers:\n- id: acme\n  plan: gold\n  keys:\n  - {{key: {KEY}, scopes: [a], not-before: 2026-01-01T00:00:00Z, expires: 2027-01-01T01:00:00+01:00, revoked: true}}\n  - tg_dev_cNzxJ5nA2B1CWcbUz6kONrshOamxdly83lBy6z\n"
    );
    let fixtures = fixtures::load_str("dev/fixtures.yaml", &text).unwrap();
    let records = fixtures.records("acme");
    assert_eq!(records.len(), 2);
    let (key, value) = &records[0];
    let digest = tollgate_core::authn::ApiKey::parse(KEY).unwrap().digest();
    assert_eq!(key, &keys::credential("acme", &digest));
    assert!(!String::from_utf8_lossy(value).contains(&KEY[8..]));
    let credential: Credential = decode(value).unwrap();
    assert_eq!((credential.consumer.as_str(), credential.plan.as_deref()), ("acme", Some("gold")));
    assert_eq!((credential.scopes.as_slice(), credential.revoked), (&["a".to_owned()][..], true));
    assert_eq!(credential.not_before.unwrap().to_rfc3339(), "2026-01-01T00:00:00.000Z");
    assert_eq!(credential.expires.unwrap().to_rfc3339(), "2027-01-01T00:00:00.000Z");
    assert!(fixtures.sample.unwrap().key.expose().starts_with("tg_dev_cNzx"));
}

#[test]
fn a_folder_without_fixtures_has_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(fixtures::load_dir(folder.path()).unwrap().credentials.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// A project with parts removed or replaced either compiles or is refused. The compiler never panics, and a compiled
    /// project is coherent.
    #[test]
    fn a_damaged_project_never_makes_the_compiler_panic(
        cuts in prop::collection::vec((0usize..2200, 0usize..40, prop::sample::select(vec![
            "", "\n", "none", "[]", "{}", "-1", "99999999999999999999", "*", "${", "é", "pets", "/{*a}", "\"", ": ", "- ", "true", "GET", "1/s",
        ])), 1..4),
    ) {
        let mut text = PROJECT.to_owned();
        for (start, length, with) in cuts {
            let start = text.floor_char_boundary(start.min(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, with);
        }
        match compile_str("tollgate.yaml", &text) {
            Ok(compiled) => prop_assert!(parts(&compiled).1.values().all(SiteSettings::is_coherent)),
            Err(found) => prop_assert!(found.has_errors() && !found.to_text(true).is_empty()),
        }
    }
}
