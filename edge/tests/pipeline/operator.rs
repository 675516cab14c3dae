//! The operator endpoint in the pipeline.

use std::rc::Rc;

use futures_executor::block_on;
use futures_util::future::join_all;
use http::Request;
use serde_json::{Value, json};
use tollgate_core::cache::{CacheCredentials, Purges};
use tollgate_core::operator::{AuditEvent, Place, Role};
use tollgate_core::route::HostName;
use tollgate_core::settings::GatewaySettings;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::{Clock as _, Records as _};
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, OperatorSettings, serve};
use tollgate_kv_schemas::{decode, encode, keys};

use crate::bench::{Answer, Bench, KEYS, NOW, cached, credential, gateway, key, ok, request, route};

const PURGES: &str = "/.tollgate/v1/purges";
const NEW_KEY: &str = "/.tollgate/v1/keys";
const METRICS: &str = "/.tollgate/v1/metrics";

fn token(role: Role) -> String {
    format!("{}-{}", role.as_str(), "0".repeat(32))
}

/// A gateway with a route for every path, a token of each role, and the endpoint at this place.
fn bench_at(place: Place) -> Bench {
    let mut bench = Bench::new(
        vec![route("/{rest...}", &[]), cached(route("/cached", &["GET"]), CacheCredentials::Never), {
            let mut guarded = route("/guarded", &["GET"]);
            guarded.authn = vec![vec![KEYS]];
            guarded
        }],
        ok(&[("cache-control", "max-age=600")], "of the upstream"),
    );
    for role in Role::ALL {
        bench.host.secrets.put(role.secret_name(), format!("{}-machine:{}", role.as_str(), token(role)));
    }
    bench.isolate = isolate(place);
    bench
}

fn bench() -> Bench {
    bench_at(Place::default())
}

fn isolate(place: Place) -> Rc<Isolate> {
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    Rc::new(Isolate::new(settings).with_operator(OperatorSettings { place, answers: true }))
}

fn asked(role: Option<Role>, method: &str, target: &str, content: &str) -> Request<Content> {
    let bearer = role.map(|role| format!("Bearer {}", token(role)));
    let mut fields = vec![("content-type", "application/json")];
    fields.extend(bearer.iter().map(|bearer| ("authorization", bearer.as_str())));
    let content: &'static str = Box::leak(content.to_owned().into_boxed_str());
    request(method, target, &fields, content)
}

impl Bench {
    fn ask(&self, role: Role, method: &str, target: &str, content: &str) -> Answer {
        self.send(asked(Some(role), method, target, content))
    }

    fn stored(&self, key: &str) -> Option<Vec<u8>> {
        block_on(self.host.records.read(key)).unwrap()
    }

    /// The audit lines so far.
    fn audit(&self) -> Vec<Value> {
        let lines = self.host.sink.lines();
        let lines = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["event"] == "audit").collect()
    }
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.content).unwrap_or_else(|error| unreachable!("{error}: {answer:?}"))
}

#[track_caller]
fn check(answer: &Answer, status: u16, problem: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{answer:?}");
}

#[test]
fn without_a_bound_token_its_paths_are_unknown_routes_and_not_forwarded() {
    let off = bench();
    for role in Role::ALL {
        off.host.secrets.put(role.secret_name(), "");
    }
    let elsewhere = bench();
    let unknown = Bench::new(vec![route("/only", &[])], ok(&[], "")).get("/unknown", &[]);
    let default = Bench { isolate: elsewhere.another_isolate(), host: elsewhere.host };
    for bench in [off, default] {
        let answer = bench.ask(Role::Operate, "POST", PURGES, r#"{"all":true}"#);
        check(&answer, 404, "route-not-found");
        let named = |answer: &Answer| {
            let mut document = json(answer);
            document["request_id"].take();
            let names: Vec<String> = answer.fields.keys().map(ToString::to_string).collect();
            (document, names)
        };
        assert_eq!(named(&answer), named(&unknown));
        assert!(bench.audit().is_empty());
    }
}

#[test]
fn a_token_identifies_the_caller_and_its_role_the_permissions() {
    let bench = bench();
    check(&bench.send(asked(None, "GET", METRICS, "")), 401, "credential-missing");
    let wrong = request("GET", METRICS, &[("authorization", "Bearer 00000000000000000000000000000000")], "");
    let answer = bench.send(wrong);
    check(&answer, 401, "credential-unknown");
    assert_eq!(answer.field("www-authenticate"), "Bearer realm=\"tollgate-operator\"");
    check(&bench.ask(Role::Purge, "GET", METRICS, ""), 403, "role-missing");
    check(&bench.ask(Role::Read, "POST", PURGES, r#"{"all":true}"#), 403, "role-missing");
    check(&bench.ask(Role::Purge, "POST", NEW_KEY, r#"{"consumer":"a"}"#), 403, "role-missing");
    assert_eq!(bench.ask(Role::Read, "GET", METRICS, "").status, 200);
    assert_eq!(bench.ask(Role::Operate, "GET", METRICS, "").status, 200);
}

#[test]
fn hostile_requests_get_problems() {
    let bench = bench();
    let ask = |method: &str, target: &str, content: &str| bench.ask(Role::Operate, method, target, content);
    check(&ask("POST", PURGES, ""), 400, "bad-request");
    check(&ask("POST", PURGES, "{\"all\":"), 400, "bad-request");
    check(&ask("POST", PURGES, &"[".repeat(16_000)), 400, "bad-request");
    check(&ask("POST", PURGES, &"x".repeat(16 * 1024 + 1)), 413, "content-too-large");
    let answer = ask("DELETE", PURGES, "");
    check(&answer, 405, "method-not-allowed");
    assert_eq!(answer.field("allow"), "POST");
    check(&ask("GET", "/.tollgate", ""), 404, "resource-not-found");
    check(&ask("GET", "/.tollgate/v2/metrics", ""), 404, "resource-not-found");
    check(&ask("GET", "/.tollgate/v1/keys/../metrics", ""), 400, "bad-path");
    check(&ask("GET", "/.tollgate/v1/keys/acme:config:active", ""), 400, "bad-request");
    let bearer = format!("Bearer {}", token(Role::Operate));
    let form = request("POST", PURGES, &[("authorization", &bearer)], "all=true");
    check(&bench.send(form), 415, "unsupported-media-type");
    assert!(bench.stored("acme:purges").is_none());
}

#[test]
fn a_purge_takes_effect_and_is_in_log_and_record() {
    let bench = bench();
    let is_hit = || bench.get("/cached", &[]).field("cache-status").contains("hit");
    assert!(!is_hit() && is_hit());
    let answer = bench.ask(Role::Purge, "POST", PURGES, r#"{"url":"http://api.example.com/cached"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    let key = json(&answer)["keys"][0].as_str().unwrap().to_owned();
    assert!(!is_hit());
    bench.host.clock.advance(1_000);
    assert!(!is_hit() && is_hit());
    let record: Purges = decode(&bench.stored("acme:purges").unwrap()).unwrap();
    assert_eq!(record.as_slice().len(), 1);
    check(&bench.ask(Role::Purge, "POST", PURGES, r#"{"url":"http://api.example.com/x"}"#), 404, "resource-not-found");
    let audit = bench.audit();
    assert_eq!(audit[0]["action"], "purge.new");
    assert_eq!((&audit[0]["caller"], &audit[0]["targets"]), (&json!("purge-machine"), &json!([key])));
    let kept = keys::audit("acme", "purge.new", audit[0]["request_id"].as_str().unwrap());
    let kept: AuditEvent = decode(&bench.stored(&kept).unwrap()).unwrap();
    assert_eq!((kept.action.as_str(), kept.targets), ("purge.new", vec![key]));
}

#[test]
fn a_purge_of_a_url_whose_configuration_cannot_be_read_is_a_503() {
    let bench = bench();
    bench.host.records.put(keys::active("acme"), "{");
    let answer = bench.ask(Role::Purge, "POST", PURGES, r#"{"url":"http://api.example.com/cached"}"#);
    check(&answer, 503, "no-configuration");
    assert_eq!(answer.field("retry-after"), "5");
}

#[test]
fn a_store_with_one_write_per_second_delays_the_response() {
    let bench = bench();
    let purge = |n: u8| {
        let content = format!(r#"{{"key":"{}"}}"#, format!("{n:02x}").repeat(32));
        let request = asked(Some(Role::Purge), "POST", PURGES, &content);
        bench.host.clock.drive(async {
            let client = Client { address: None, https: true, inside: false };
            serve(&bench.isolate, &bench.host, request, client).await.reply.status().as_u16()
        })
    };
    for n in 0..4 {
        assert_eq!(purge(n), Some(200));
    }
    let record: Purges = decode(&bench.stored("acme:purges").unwrap()).unwrap();
    assert_eq!(record.as_slice().len(), 4);
}

#[test]
fn concurrent_purges_need_few_writes() {
    let bench = bench();
    let began = bench.host.clock.now();
    let purge = async |n: u8| {
        let content = format!(r#"{{"key":"{}"}}"#, format!("{n:02x}").repeat(32));
        let request = asked(Some(Role::Purge), "POST", PURGES, &content);
        let client = Client { address: None, https: true, inside: false };
        serve(&bench.isolate, &bench.host, request, client).await.reply.status().as_u16()
    };
    let answers = bench.host.clock.drive(join_all((0..24).map(purge)));
    assert_eq!(answers, Some(vec![200; 24]));
    let took_ms = bench.host.clock.now().millis_since(began);
    assert!(took_ms < 4_000, "they took {took_ms} ms");
    let record: Purges = decode(&bench.stored("acme:purges").unwrap()).unwrap();
    assert_eq!(record.as_slice().len(), 24);
}

#[test]
fn an_older_log_never_replaces_a_newer_one() {
    let bench = bench();
    let purge = |n: u8| {
        let content = format!(r#"{{"key":"{}"}}"#, format!("{n:02x}").repeat(32));
        bench.ask(Role::Purge, "POST", PURGES, &content)
    };
    assert_eq!(purge(1).status, 200);
    // A record of another writer that does not contain the purges in the log.
    bench.host.records.put("acme:purges", encode(&Purges::default()));
    bench.host.clock.advance(1_000);
    assert_eq!(purge(2).status, 200);
    let record: Purges = decode(&bench.stored("acme:purges").unwrap()).unwrap();
    assert_eq!(record.as_slice().len(), 2);
}

#[test]
fn a_key_is_issued_used_shown_and_revoked() {
    let bench = bench();
    let answer = bench.ask(Role::Operate, "POST", NEW_KEY, r#"{"consumer":"acme-inc","scopes":["pets.read"]}"#);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.field("cache-control"), "no-store");
    let (key, id) =
        (json(&answer)["key"].as_str().unwrap().to_owned(), json(&answer)["id"].as_str().unwrap().to_owned());
    assert_eq!(bench.get("/guarded", &[("x-api-key", &key)]).status, 200);
    let shown = bench.ask(Role::Read, "GET", &format!("{NEW_KEY}/{id}"), "");
    assert_eq!((json(&shown)["consumer"].as_str(), json(&shown)["key"].as_str()), (Some("acme-inc"), None));
    bench.host.clock.advance(1_000);
    let revoked = bench.ask(Role::Operate, "POST", &format!("{NEW_KEY}/{id}/revoke"), "");
    assert_eq!(json(&revoked)["revoked"], true, "{revoked:?}");
    check(&bench.get("/guarded", &[("x-api-key", &key)]), 401, "credential-revoked");
    check(&bench.ask(Role::Read, "GET", &format!("{NEW_KEY}/key-000000000000"), ""), 404, "resource-not-found");
    let audit = bench.audit();
    let actions: Vec<&str> = audit.iter().filter_map(|line| line["action"].as_str()).collect();
    assert_eq!(actions, ["key.new", "key.show", "key.revoke", "key.show"]);
    assert!(audit[..3].iter().all(|line| line["targets"] == json!([id])), "{audit:?}");
    assert!(!bench.host.sink.lines().join("\n").contains(&key), "a key in the log");
}

/// The key and the id of a new key of a consumer.
fn issue(bench: &Bench, consumer: &str) -> (String, String) {
    let issued = json(&bench.ask(Role::Operate, "POST", NEW_KEY, &json!({"consumer": consumer}).to_string()));
    let text = |name: &str| issued[name].as_str().unwrap().to_owned();
    (text("key"), text("id"))
}

#[test]
fn keys_are_listed_in_pages_all_or_those_of_a_consumer() {
    let bench = bench();
    let mut of_acme: Vec<String> = (0..3).map(|_| issue(&bench, "acme").1).collect();
    for _ in 0..52 {
        issue(&bench, "other");
    }
    let ids = |answer: &Value| -> Vec<String> {
        let keys = answer["keys"].as_array().unwrap().iter();
        keys.map(|key| key["id"].as_str().unwrap().to_owned()).collect()
    };
    let page = |query: &str| json(&bench.ask(Role::Read, "GET", &format!("{NEW_KEY}{query}"), ""));
    let listed = page("?consumer=acme");
    let mut found = ids(&listed);
    found.sort();
    of_acme.sort();
    assert_eq!((found, &listed["cursor"]), (of_acme, &Value::Null));
    assert!(listed["keys"][0].get("key").is_none(), "a list has no keys");
    let first = page("");
    let second = page(&format!("?cursor={}", first["cursor"].as_str().unwrap()));
    let mut all = [ids(&first), ids(&second)].concat();
    assert_eq!((ids(&first).len(), all.len(), &second["cursor"]), (50, 55, &Value::Null));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 55);
    check(&bench.ask(Role::Read, "GET", &format!("{NEW_KEY}?consumer=a%20b"), ""), 400, "bad-request");
    check(&bench.ask(Role::Purge, "GET", NEW_KEY, ""), 403, "role-missing");
    bench.host.records.fault.set(true);
    check(&bench.ask(Role::Read, "GET", NEW_KEY, ""), 503, "store-unavailable");
}

#[test]
fn both_keys_of_a_rotation_are_accepted_until_the_old_one_expires() {
    let bench = bench();
    let (old_key, old) = issue(&bench, "acme");
    let rotate = |content: &str| bench.ask(Role::Operate, "POST", &format!("{NEW_KEY}/{old}/rotate"), content);
    let status = |key: &str| bench.get("/guarded", &[("x-api-key", key)]).status;
    check(&rotate(r#"{"overlap":"soon"}"#), 400, "bad-request");
    let rotated = rotate(r#"{"overlap":"60s"}"#);
    assert_eq!(rotated.status, 201, "{rotated:?}");
    let rotated = json(&rotated);
    let new_key = rotated["key"].as_str().unwrap();
    assert_eq!((&rotated["replaces"], &rotated["old"]["replaced_by"]), (&json!(old), &rotated["id"]));
    assert_eq!((status(&old_key), status(new_key)), (200, 200));
    bench.host.clock.advance(61_000);
    assert_eq!((status(&old_key), status(new_key)), (401, 200));
    check(&rotate("{}"), 400, "bad-request");
    let audited = bench.audit();
    let audited = audited.iter().filter(|line| line["action"] == "key.rotate" && line["outcome"] == "done");
    assert_eq!(audited.map(|line| &line["targets"]).collect::<Vec<_>>(), [&json!([old, rotated["id"]])]);
    assert!(!bench.host.sink.lines().concat().contains(new_key), "a key in the log");
}

#[test]
fn the_day_of_the_last_use_is_recorded_once_a_day_and_isolate() {
    let bench = bench();
    let (key, id) = issue(&bench, "acme");
    let last_used = || json(&bench.ask(Role::Read, "GET", &format!("{NEW_KEY}/{id}"), ""))["last_used"].clone();
    let written = |action: &dyn Fn()| {
        let before = bench.host.records.keeps.get();
        action();
        bench.host.records.keeps.get() - before
    };
    let call = || {
        for _ in 0..5 {
            assert_eq!(bench.get("/guarded", &[("x-api-key", &key)]).status, 200);
        }
    };
    assert_eq!(last_used(), Value::Null);
    assert_eq!(written(&call), 1);
    assert_eq!(last_used(), json!(NOW.to_rfc3339()[..10]));
    bench.host.clock.advance(60 * 60 * 1_000);
    assert_eq!(written(&call), 0, "the same day");
    let day_ms = 24 * 60 * 60 * 1_000;
    bench.host.clock.advance(day_ms);
    assert_eq!(written(&call), 1, "the next day");
    assert_eq!(last_used(), json!(NOW.plus_millis(day_ms).to_rfc3339()[..10]));
    let other = Bench { isolate: bench.another_isolate(), host: bench.host.clone() };
    assert_eq!(
        written(&|| assert_eq!(other.get("/guarded", &[("x-api-key", &key)]).status, 200)),
        0,
        "another isolate"
    );
    assert_eq!(written(&|| assert_eq!(other.get("/guarded", &[("x-api-key", "hello")]).status, 401)), 0);
}

#[test]
fn a_key_is_imported_once_by_its_digest_and_never_taken_back_from_a_revocation() {
    let bench = bench();
    let digest = "5f".repeat(32);
    let import =
        || bench.ask(Role::Operate, "POST", NEW_KEY, &json!({"consumer": "acme", "sha256": digest}).to_string());
    let imported = import();
    assert_eq!((imported.status, json(&imported).get("key")), (201, None), "{imported:?}");
    assert_eq!(json(&imported)["id"], "key-5f5f5f5f5f5f");
    assert_eq!(bench.ask(Role::Operate, "POST", &format!("{NEW_KEY}/{digest}/revoke"), "").status, 200);
    check(&import(), 400, "bad-request");
    let shown = json(&bench.ask(Role::Read, "GET", &format!("{NEW_KEY}/key-5f5f5f5f5f5f"), ""));
    assert_eq!(shown["revoked"], json!(true));
}

#[test]
fn a_key_for_a_plan_that_the_gateway_does_not_have_is_refused() {
    let bench = bench();
    let new = |plan: &str| {
        let content = format!(r#"{{"consumer":"acme-inc","plan":"{plan}"}}"#);
        bench.ask(Role::Operate, "POST", NEW_KEY, &content)
    };
    assert_eq!(new("any").status, 201, "the plans of an older bundle are not known");
    let plans = Some(vec!["free".to_owned(), "gold".to_owned()]);
    bench.publish_with(&GatewaySettings { plans, ..gateway() }, vec![]);
    let refused = new("goldd");
    check(&refused, 400, "bad-request");
    let detail = json(&refused)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("Gateway acme has no plan goldd (it has free, gold)"), "{detail}");
    assert_eq!(bench.audit().last().unwrap()["targets"], Value::Null, "no key was issued");
    assert_eq!((new("free").status, new("gold").status), (201, 201));
}

#[test]
fn the_isolate_that_revoked_a_key_refuses_it_whatever_its_store_still_answers() {
    let bench = bench();
    bench.add(&key(), &credential());
    let digest = key().digest();
    let guarded = || bench.get("/guarded", &[("x-api-key", key().expose())]);
    bench.host.records.memory.set(true);
    assert_eq!(guarded().status, 200);
    let revoke = format!("{NEW_KEY}/{}/revoke", digest.to_hex());
    assert_eq!(bench.ask(Role::Operate, "POST", &revoke, "").status, 200);
    for _ in 0..100 {
        check(&guarded(), 401, "credential-revoked");
        bench.host.clock.advance(1_000);
    }
    bench.host.records.memory.forget();
    bench.host.clock.advance(60_000);
    check(&guarded(), 401, "credential-revoked");
}

#[test]
fn a_purge_takes_effect_though_the_clock_was_set_back_a_little() {
    let bench = bench();
    let hit = || bench.get("/cached", &[]).field("cache-status").contains("hit");
    assert!(!hit() && hit());
    bench.host.clock.step_back(5_000);
    assert_eq!(bench.ask(Role::Purge, "POST", PURGES, r#"{"all":true}"#).status, 200);
    assert!(!hit());
    bench.host.clock.advance(5_001);
    assert!(!hit() && hit(), "and it is stored again once the clock has caught up");
}

#[test]
fn a_purge_in_place_of_a_damaged_record_is_of_everything() {
    let bench = bench();
    let hit = || bench.get("/cached", &[]).field("cache-status").contains("hit");
    assert!(!hit() && hit());
    bench.host.records.put("acme:purges", "{");
    let content = format!(r#"{{"key":"{}"}}"#, "ab".repeat(32));
    assert_eq!(bench.ask(Role::Purge, "POST", PURGES, &content).status, 200);
    let record: Purges = decode(&bench.stored("acme:purges").unwrap()).unwrap();
    assert!(record.as_slice().iter().any(|purge| purge.resource.is_none()), "{record:?}");
    assert!(!hit());
    bench.host.clock.advance(1);
    assert!(!hit() && hit());
}

#[test]
fn a_purge_of_a_url_with_an_empty_query_is_of_what_that_url_answers() {
    let bench = bench();
    let hit = || bench.get("/cached?", &[]).field("cache-status").contains("hit");
    assert!(!hit() && hit());
    assert_eq!(bench.ask(Role::Purge, "POST", PURGES, r#"{"url":"http://api.example.com/cached?"}"#).status, 200);
    assert!(!hit());
}

#[test]
fn failed_authentications_are_bounded_and_lock_nobody_out() {
    let bench = bench();
    let wrong = || bench.send(asked(None, "GET", METRICS, ""));
    for _ in 0..20 {
        check(&wrong(), 401, "credential-missing");
    }
    let answer = wrong();
    check(&answer, 429, "rate-limit-exceeded");
    assert_eq!(answer.field("retry-after"), "60");
    assert_eq!(bench.audit().len(), 20);
    assert_eq!(bench.ask(Role::Read, "GET", METRICS, "").status, 200);
    bench.host.clock.advance(60_000);
    check(&wrong(), 401, "credential-missing");
    assert_eq!(bench.audit().last().unwrap()["unlogged"], 1);
}

#[test]
fn no_token_is_logged_and_each_call_is_logged() {
    let bench = bench();
    bench.ask(Role::Read, "GET", METRICS, "");
    bench.ask(Role::Read, "POST", PURGES, "{}");
    bench.send(asked(None, "GET", METRICS, ""));
    let audit = bench.audit();
    let outcomes: Vec<&str> = audit.iter().filter_map(|line| line["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["done", "refused", "refused"]);
    assert_eq!(audit[0]["address"], "192.0.2.7");
    assert_eq!(audit[1]["problem"], "role-missing");
    assert!(audit[2]["caller"].is_null());
    assert!(!bench.host.sink.lines().join("\n").contains(&token(Role::Read)));
}

#[test]
fn at_a_dedicated_host_only_the_endpoint_is_available() {
    let place = Place { host: Some(HostName::from_authority("ops.example.com").unwrap()), ..Place::default() };
    let bench = bench_at(place);
    let bearer = format!("Bearer {}", token(Role::Read));
    let get = |host: &str, target: &str| bench.get(target, &[("host", host), ("authorization", &bearer)]);
    assert_eq!(get("ops.example.com", METRICS).status, 200);
    check(&get("ops.example.com", "/pets"), 404, "route-not-found");
    check(&get("api.example.com", METRICS), 404, "route-not-found");
    assert_eq!(get("api.example.com", "/pets").status, 200);
}

#[test]
fn metrics_contain_their_scope_in_both_formats() {
    let bench = bench();
    bench.get("/x", &[]);
    let answer = bench.ask(Role::Read, "GET", METRICS, "");
    assert_eq!(json(&answer)["scope"], "isolate");
    let families = json(&answer)["metrics"].to_string();
    assert!(families.contains("api./{rest...}"), "{families}");
    let bearer = format!("Bearer {}", token(Role::Read));
    let text = bench.get(METRICS, &[("authorization", &bearer), ("accept", "text/plain")]);
    assert!(std::str::from_utf8(&text.content).unwrap().starts_with("# HELP http_server_request_duration_seconds"));
    let head = bench.ask(Role::Read, "HEAD", METRICS, "");
    assert_eq!((head.status, head.content.len()), (200, 0));
}

#[test]
fn a_store_that_fails_is_a_problem_and_an_audited_failure() {
    let bench = bench();
    bench.get("/x", &[]);
    bench.host.counters.fault.set(true);
    check(&bench.ask(Role::Purge, "POST", PURGES, r#"{"all":true}"#), 503, "store-unavailable");
    bench.host.counters.fault.set(false);
    bench.host.records.fault.set(true);
    check(&bench.ask(Role::Purge, "POST", PURGES, r#"{"all":true}"#), 503, "store-unavailable");
    assert_eq!(bench.audit().last().unwrap()["outcome"], "failed");
    check(&bench.ask(Role::Operate, "POST", NEW_KEY, r#"{"consumer":"a"}"#), 503, "store-unavailable");
    assert!(bench.host.sink.lines().iter().any(|line| line.contains("audit-not-recorded")));
}

#[test]
fn a_secret_that_cannot_be_used_binds_nothing_and_is_reported_without_its_content() {
    let bench = bench();
    for role in Role::ALL {
        bench.host.secrets.put(role.secret_name(), "");
    }
    bench.host.secrets.put(Role::Read.secret_name(), "too-short-s3cret");
    check(&bench.ask(Role::Read, "GET", METRICS, ""), 404, "route-not-found");
    let lines = bench.host.sink.lines().join("\n");
    assert!(lines.contains("operator-secret-refused") && !lines.contains("too-short-s3cret"), "{lines}");
}

#[test]
fn an_identity_is_linked_again_after_its_link_has_ended() {
    let bench = bench();
    let link = |consumer: &str| {
        let content = json!({"consumer": consumer, "identity": "https://id.example.com sub=00u7"}).to_string();
        let answer = bench.ask(Role::Operate, "POST", NEW_KEY, &content);
        (answer.status, json(&answer))
    };
    let (status, linked) = link("staff:ada");
    assert_eq!(
        (status, &linked["identity"], linked.get("key")),
        (201, &json!("https://id.example.com sub=00u7"), None)
    );
    assert_eq!(link("bob").0, 400, "it is linked");
    let id = linked["id"].as_str().unwrap();
    let ended = bench.ask(Role::Operate, "POST", &format!("{NEW_KEY}/{id}/revoke"), "");
    assert_eq!((ended.status, &json(&ended)["revoked"]), (200, &json!(false)));
    assert!(json(&ended)["expires"].is_string());
    let (status, again) = link("bob");
    assert_eq!((status, &again["id"], again.get("expires")), (201, &json!(id), None));
    let list = |consumer: &str| json(&bench.ask(Role::Read, "GET", &format!("{NEW_KEY}?consumer={consumer}"), ""));
    assert_eq!((list("bob")["keys"][0]["id"].as_str(), &list("staff:ada")["keys"]), (Some(id), &json!([])));
    let rotated = bench.ask(Role::Operate, "POST", &format!("{NEW_KEY}/{id}/rotate"), "{}");
    assert!(rotated.status == 400 && json(&rotated)["detail"].as_str().unwrap().contains("link of an identity"));
}
