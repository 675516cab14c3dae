//! The commands that need no running host.

mod support;

use serde_json::Value;
use support::{KEY, Project, example, quickstart, run};

#[test]
fn a_valid_project_passes_the_check() {
    let ran = run(&["check", &quickstart()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("is valid"), "{ran:?}");
    let ran = run(&["check", &quickstart(), "--output", "json"]);
    assert_eq!(ran.json(), Value::Array(Vec::new()));
}

#[test]
fn mistakes_are_reported_with_their_locations_and_end_with_1() {
    let project = Project::new();
    project.edit("upstream: echo", "upstream: ecko");
    let ran = run(&["check", &project.path()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("did you mean `echo`?") && ran.out.contains("tollgate.yaml:"), "{ran:?}");
    let ran = run(&["check", &project.path(), "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let found = &ran.json()[0];
    assert_eq!(found["severity"], "error");
    assert!(found["location"]["line"].as_u64().is_some_and(|line| line > 1), "{found}");
}

#[test]
fn mistakes_of_the_fixtures_are_reported_with_those_of_the_project() {
    let project = Project::new();
    project.edit("upstream: echo", "upstream: ecko");
    std::fs::write(project.file("dev/fixtures.yaml"), "format: 1\nconsumers: [{id: a, keys: [tg_x]}]\n")
        .expect("fixtures");
    let ran = run(&["check", &project.path(), "--output", "json"]);
    let found = ran.json();
    let codes: Vec<_> = found.as_array().expect("a list").iter().map(|d| d["code"].clone()).collect();
    assert!(codes.contains(&"TG0501".into()) && codes.len() >= 2, "{codes:?}");
}

#[test]
fn the_audit_of_secrets_names_the_one_that_nonces_are_made_from() {
    let project = Project::new();
    project.edit(
        "policies:\n",
        "policies:\n  app: {kind: jwt, issuer: \"https://id.example.com\", audience: a, binding: dpop, dpop-nonce: \"${secret.NONCES}\"}\n",
    );
    project.edit("apis:\n", "apis:\n  app: {upstream: echo, authn: app, base: /app, routes: [{path: /}]}\n");
    let ran = run(&["secrets", "audit", "--project", &project.path()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("NONCES  none    policy app"), "{ran:?}");
}

#[test]
fn invalid_command_lines_end_with_2() {
    for words in [
        vec!["fly"],
        vec!["check", "--output", "xml"],
        vec!["explain", "GET"],
        vec!["explain", "GET", "no-url", &quickstart()],
        vec!["explain", "GET", "/", &quickstart(), "-H", "nocolon"],
        vec!["publish", &quickstart(), "--to", "native"],
        vec!["publish", &quickstart(), "--to", "spin", "--remote"],
        vec!["bundle", "show", "--store", "s.db"],
        vec!["bundle", "show", "--file", "f.json", "--store", "s.db"],
        vec!["bundle", "show", "--file", "f.json", "--env", "production"],
        vec!["purge"],
        vec!["purge", "/path"],
        vec!["purge", "--key", "x"],
        vec!["purge", "--all", "--at", "api.example.com"],
        vec!["metrics", "--at", "ftp://api.example.com"],
        vec!["key", "new", "--consumer", "a", "--at", "http://127.0.0.1:1", "--to", "spin"],
        vec!["key", "new", "--consumer", "a b", "--gateway", "g"],
        vec!["key", "new", "--consumer", "anonymous", "--gateway", "g"],
        vec!["key", "new", "--consumer", "a", "--gateway", "Ä"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--expires", "tomorrow"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--expires", "2020-01-01T00:00:00Z"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--env", "TEST"],
        vec!["key", "new", "--consumer", "a", "--token-file", "t"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--token-file", "t"],
        vec!["key", "new", "--consumer", "a", "--at", "http://127.0.0.1:1", "--store", "s.db"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--ca", "ca.pem"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--plain-http"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--store", "s.db"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--remote"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--to", "spin", "--binding", "KV"],
        vec!["key", "new", "--consumer", "a", "--gateway", "g", "--at", "http://127.0.0.1:1"],
        vec!["key", "new", "--consumer", "a", "--project", ".", "--at", "http://127.0.0.1:1"],
        vec!["key", "revoke", "--key-id", "key-0123456789ab", "--to", "spin", "--token-file", "t"],
        vec!["key", "revoke", "--key-id", "key-1", "--gateway", "g", "--to", "spin"],
        vec!["serve", "--store", "x.db", "--gateway", "g", "--tls-cert", "c.pem"],
    ] {
        let ran = run(&words);
        assert_eq!(ran.code, Some(2), "{words:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{words:?}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_alternatives() {
    let missing = |words: &[&str]| {
        let ran = run(words);
        assert_eq!(ran.code, Some(2), "{words:?}: {ran:?}");
        ran.err
    };
    let place = missing(&["key", "revoke", "--key-id", "key-0123456789ab"]);
    assert!(place.contains("<--at <URL>|--to <HOST>>"), "{place}");
    let which = missing(&["key", "revoke", "--to", "spin"]);
    assert!(which.contains("<--key-id <ID>|--digest <HEX>>"), "{which}");
    let help = run(&["key", "revoke", "--help"]).out;
    assert!(help.contains("<--key-id <ID>|--digest <HEX>> --to <HOST>"), "{help}");
    let named = run(&["metrics", "--at", "http://127.0.0.1:1"]);
    assert_eq!(named.code, Some(1), "{named:?}");
    assert!(named.err.contains("no gateway answers") && !named.err.contains("name another"), "{named:?}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for words in [vec!["--help"], vec!["dev", "--help"], vec!["explain", "--help"], vec!["key", "new", "--help"]] {
        let ran = run(&words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("Examples:") && ran.out.contains("tollgate "), "{ran:?}");
    }
    assert_eq!(run(&["--version"]).out, format!("tollgate {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn explain_shows_the_path_of_a_request_with_a_key_and_never_the_key() {
    let field = format!("X-API-Key: {KEY}");
    let words = ["explain", "POST", "/echo/private/hello?a=b", &quickstart(), "-H", &field];
    let text = run(&words);
    assert_eq!(text.code, Some(0), "{text:?}");
    for part in ["consumer acme", "gentle", "9 remaining", "POST http://127.0.0.1:8082/private/hello?a=b", "200 OK"] {
        assert!(text.out.contains(part), "no {part} in {}", text.out);
    }
    let json = run(&[&words[..], &["--output", "json"]].concat());
    let answer = json.json();
    assert_eq!(answer["route"]["id"], "echo.private");
    assert_eq!(answer["response"]["status"], 200);
    assert_eq!(answer["upstream"][0]["url"], "http://127.0.0.1:8082/private/hello?a=b");
    let phases: Vec<_> = answer["decisions"].as_array().expect("a list").iter().map(|d| d["phase"].clone()).collect();
    assert!(phases.contains(&"limit".into()) && phases.contains(&"forward".into()), "{phases:?}");
    for ran in [text, json] {
        assert!(!(ran.out + &ran.err).contains(&KEY[7..]), "the key is shown");
    }
}

#[test]
fn explain_shows_a_refusal_with_its_problem_and_that_no_upstream_is_called() {
    let ran = run(&["explain", "GET", "http://127.0.0.1:8080/echo/private/hello", &quickstart(), "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer = ran.json();
    assert_eq!(answer["response"]["problem"]["status"], 401);
    let refused = |decision: &Value| decision["phase"] == "authenticate" && decision["verdict"] == "refuse";
    assert!(answer["decisions"].as_array().is_some_and(|all| all.iter().any(refused)), "{answer}");
    assert_eq!(answer["upstream"], Value::Array(Vec::new()));
    let ran = run(&["explain", "GET", "/nowhere", &quickstart()]);
    assert!(ran.out.contains("404 Not Found") && ran.out.contains("not called"), "{ran:?}");
}

#[test]
fn explain_uses_the_given_time() {
    let field = "X-API-Key: tg_dev_P7HDodjyWl2vQRmOyIfg6e6Z8jWAuMUN3MCOgP";
    let at = |time: &str| {
        let ran =
            run(&["explain", "GET", "/echo/private/x", &quickstart(), "-H", field, "--at", time, "--output", "json"]);
        ran.json()["response"]["status"].clone()
    };
    assert_eq!(at("2099-12-31T23:59:59Z"), 200);
    assert_eq!(at("2100-01-01T00:00:00Z"), 401);
}

#[test]
fn explain_has_the_same_answer_twice() {
    let words = ["explain", "GET", "/echo/cached?q=1", &quickstart(), "--at", "2026-01-01T00:00:00Z"];
    assert_eq!(run(&words).out, run(&words).out);
}

#[test]
fn a_secret_of_an_upstream_is_not_shown() {
    let project = Project::new();
    project.edit(
        "echo: \"http://127.0.0.1:8082\"",
        "echo: {url: \"http://127.0.0.1:8082\", headers: {X-Token: \"Bearer ${secret.TOKEN}\"}}",
    );
    let ran = run(&["explain", "GET", "/echo/public", &project.path(), "-H", "Cookie: session=1"]);
    assert!(ran.out.contains("x-token: (secret)") && ran.out.contains("cookie: (secret)"), "{ran:?}");
    assert!(!ran.out.contains("session=1"), "{ran:?}");
}

#[test]
fn explain_prints_the_explanation_of_a_code() {
    let ran = run(&["explain", "tg0102"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("TG0102: A file is not well-formed YAML\n"), "{ran:?}");
    assert!(ran.out.lines().all(|line| line.len() <= 100), "{ran:?}");
    assert_eq!(run(&["explain", "TG9999"]).code, Some(1));
}

#[test]
fn routes_are_listed_with_their_policies() {
    let ran = run(&["routes", &quickstart()]);
    let row = ran.out.lines().find(|line| line.contains("/echo/private/{name}")).expect("a row");
    for cell in ["GET,POST", "echo.private", "keys", "gentle", "http://127.0.0.1:8082"] {
        assert!(row.contains(cell), "no {cell} in {row}");
    }
    let routes = run(&["routes", &quickstart(), "--output", "json"]).json();
    assert_eq!(routes.as_array().map(Vec::len), Some(3));
    assert!(routes.as_array().is_some_and(|all| all.iter().any(|r| r["limit"][0] == "gentle")), "{routes}");
}

#[test]
fn guards_are_listed_where_a_route_has_one() {
    let ran = run(&["routes", &example("guarded")]);
    assert!(ran.out.lines().next().is_some_and(|head| head.split_whitespace().any(|head| head == "GUARD")), "{ran:?}");
    let row = ran.out.lines().find(|line| line.contains("orders.create")).expect("a row");
    assert!(row.contains("partners-only,per-address"), "{row}");
    assert!(!run(&["routes", &quickstart()]).out.contains("GUARD"));
    let ran = run(&["explain", "POST", "/orders", &example("guarded"), "--client", "192.0.2.1"]);
    let route = ran.out.split("settings").next().expect("the route comes first");
    let row = route.lines().find(|line| line.trim_start().starts_with("guard ")).expect("a row");
    assert!(row.ends_with(" no-abuse,partners-only,per-address"), "{row}");
}

#[test]
fn a_bundle_is_a_list_of_records_with_the_pointer_last() {
    let ran = run(&["bundle", &quickstart()]);
    let bundle = ran.json();
    let keys: Vec<&str> =
        bundle.as_array().expect("a list").iter().map(|r| r["key"].as_str().expect("a key")).collect();
    let kinds: Vec<&str> = keys.iter().filter_map(|key| key.split(':').nth(1)).collect();
    assert_eq!(kinds, ["part", "manifest", "config"]);
    for record in bundle.as_array().expect("a list") {
        let value = record["value"].as_str().expect("a text");
        let is_json = serde_json::from_str::<Value>(value).is_ok_and(|value| value["v"].is_number());
        assert!(is_json || record["base64"] == true, "{value}");
    }
    let project = Project::new();
    let out = project.file("bundle.json").display().to_string();
    assert_eq!(run(&["bundle", &quickstart(), "--out", &out]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&out).expect("the file"), ran.out);
    let of_project = run(&["bundle", "show", "--project", &quickstart()]);
    assert_eq!(run(&["bundle", "show", "--file", &out]).out, of_project.out);
}

#[test]
fn every_record_of_a_bundle_can_be_read() {
    let quickstart = quickstart();
    let listed = run(&["bundle", "show", "--project", &quickstart, "--output", "json"]).json();
    for record in listed.as_array().expect("a list") {
        let (key, bytes) = (record["key"].as_str().expect("a key"), record["bytes"].as_u64().expect("a size"));
        let shown = run(&["bundle", "show", key, "--project", &quickstart]).json();
        assert!(bytes > 0 && shown["v"] == 1, "{key}: {shown}");
    }
    let part = run(&["bundle", "show", ":part:", "--project", &quickstart]).json();
    assert!(part["data"]["routes"].as_array().is_some_and(|routes| !routes.is_empty()), "{part}");
    let missing = run(&["bundle", "show", "nothing", "--project", &quickstart]);
    assert!(missing.code == Some(1) && missing.err.contains("nothing"), "{}", missing.err);
}

/// A project with two hosts, and a route with conditions on the second.
const TWO_HOSTS: &str = "format: 1
gateway: {name: acme, authn: none, limit: none}
upstreams: {u: \"http://127.0.0.1:1\"}
apis:
  a: {upstream: u, hosts: [a.example], routes: [{path: /x, methods: [GET]}]}
  b:
    upstream: u
    hosts: [b.example]
    routes:
      - {path: /y, methods: [GET], id: plain}
      - {path: /y, methods: [GET], id: second, when: {header: {X-Version: \"2\"}, query: {debug: present}}}
";

#[test]
fn the_conditions_of_routes_are_shown_with_their_values() {
    let project = Project::new();
    std::fs::write(project.file("tollgate.yaml"), TWO_HOSTS).expect("a project");
    let table = run(&["routes", &project.path(), "--wide"]);
    assert!(table.out.contains("x-version: 2, ?debug: present"), "{table:?}");
    let routes = run(&["routes", &project.path(), "--output", "json"]).json();
    let when = |id: &str| {
        routes.as_array().and_then(|all| all.iter().find(|one| one["id"] == id)).map(|one| one["when"].clone())
    };
    let expected = serde_json::json!({"header": {"x-version": ["2"]}, "query": {"debug": "present"}});
    assert_eq!(when("b.second"), Some(expected), "{routes}");
    assert_eq!(when("b.plain"), Some(serde_json::json!({"header": {}, "query": {}})), "{routes}");
    let settings = run(&["explain", "b.second", &project.path()]);
    assert!(
        settings.out.contains("when.header.X-Version") && settings.out.contains("when.query.debug"),
        "{settings:?}"
    );
}

#[test]
fn explain_asks_a_host_that_has_a_route_for_the_request() {
    let project = Project::new();
    std::fs::write(project.file("tollgate.yaml"), TWO_HOSTS).expect("a project");
    for (path, field, route) in
        [("/x", "X-A: 1", "GET /x"), ("/y", "X-A: 1", "b.plain"), ("/y?debug", "X-Version: 2", "b.second")]
    {
        let ran = run(&["explain", "GET", path, &project.path(), "-H", field]);
        assert!(ran.out.contains(route), "{path}: {ran:?}");
    }
}

#[test]
fn a_scope_that_is_written_as_several_is_noted() {
    let new = |scope: &str| run(&["key", "new", "--consumer", "a", "--gateway", "g", "--scope", scope]);
    assert!(new("a,b").err.contains("`a,b` is one scope as it is written"), "{:?}", new("a,b"));
    assert!(!new("pets.read").err.contains("is one scope"), "{:?}", new("pets.read"));
}

#[test]
fn the_options_of_a_store_fit_commands_that_read_it() {
    let help = run(&["bundle", "show", "--help"]).out;
    assert!(help.contains("Use the local store") && !help.contains("Write to the local store"), "{help}");
}

#[test]
fn usage_is_summed_up_from_the_log_of_a_gateway_once_for_each_exchange() {
    let project = Project::new();
    let running = support::Running::dev(&project.path());
    let url = running.url();
    let field = format!("X-API-Key: {KEY}");
    for _ in 0..3 {
        assert_eq!(support::get(&format!("{url}/echo/private/x"), &[&field]).status, 200);
    }
    support::get(&format!("{url}/echo/public"), &[]);
    let log = || running.out() + &running.err();
    running.wait_for("four lines", || (log().matches("\"event\":\"exchange\"").count() >= 4).then_some(()));
    let file = project.file("gateway.log").display().to_string();
    std::fs::write(&file, log()).expect("a file");
    let rows = run(&["usage", "--window", "whole", "--output", "json", &file, &file]).json();
    let consumer = rows.as_array().expect("rows").iter().find(|row| !row["consumer"].is_null()).expect("a consumer");
    assert_eq!((&consumer["requests"], &consumer["cost"]), (&3.into(), &3.into()), "{rows}");
    let none = run(&["usage", "--from", "2100-01-01", &file]);
    assert_eq!(none.out.lines().count(), 1, "{none:?}");
    let wrong = run(&["usage", "--from", "yesterday", &file]);
    assert!(wrong.code == Some(2) && wrong.err.contains("2026-11-01"), "{wrong:?}");
    let missing = run(&["usage", "nowhere.log"]);
    assert!(missing.code == Some(1) && missing.err.contains("nowhere.log"), "{missing:?}");
}
