//! The commands that analyse a project: check, routes, explain of routes, diff, cost.

mod support;

use base64ct::{Base64UrlUnpadded, Encoding};
use std::fs;
use std::process::Stdio;
use tollgate_core::jose::Thumbprint;

use serde_json::Value;
use support::{KEY, Project, example, quickstart, run, tollgate};

#[test]
fn a_denied_warning_is_an_error_and_an_allowed_one_is_suppressed() {
    let project = Project::new();
    project.edit("policies:\n", "policies:\n  unused: {kind: api-key}\n");
    let path = project.path();
    let plain = run(&["check", &path]);
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert!(plain.out.contains("warning[TG0407]") && plain.out.contains("compiles, with 1 warning"), "{plain:?}");
    for denied in ["warnings", "TG0407"] {
        let ran = run(&["check", &path, "--deny", denied]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains("error[TG0407]"), "{ran:?}");
    }
    assert_eq!(run(&["check", &path, "--deny", "TG0408"]).code, Some(0));
    let allowed = run(&["check", &path, "--deny", "warnings", "--allow", "tg0407"]);
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    assert!(allowed.out.contains("is valid: 3 routes on 1 host pattern"), "{allowed:?}");
    assert_eq!(run(&["check", &path, "--deny", "TG9999"]).code, Some(2));
    assert_eq!(run(&["check", &path, "-q", "--allow", "TG0407"]).out, "");
}

#[test]
fn diagnostics_of_every_file_are_available_as_sarif() {
    let project = Project::new();
    fs::create_dir_all(project.file("tests")).expect("a folder");
    fs::write(project.file("tests/a.test.yaml"), "format: 1\ncases: [{name: a, stepz: []}]\n").expect("a test");
    fs::write(project.file("prices.yaml"), "format: 1\ncurrency: EUR\n").expect("prices");
    let path = project.path();
    let ran = run(&["check", &path, "--output", "sarif"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let log = ran.json();
    assert_eq!(log["version"], "2.1.0");
    let uris: Vec<String> = log["runs"][0]["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].to_string())
        .collect();
    for name in ["tests/a.test.yaml", "prices.yaml"] {
        assert!(uris.iter().any(|uri| uri.contains(name)), "no {name} in {uris:?}");
    }
}

#[test]
fn a_project_is_checked_against_the_given_platform() {
    let project = Project::new();
    project.edit("timeout: 10s\n", "timeout: 10s\n  body-limit: 1GiB\n");
    assert_eq!(run(&["check", &project.path()]).code, Some(0));
    let ran = run(&["check", &project.path(), "--target", "workers-free"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("TG0801") && ran.out.contains("100000000"), "{ran:?}");
    assert_eq!(run(&["check", &project.path(), "--target", "wasm"]).code, Some(2));
}

#[test]
fn every_environment_is_checked_unless_one_is_given() {
    let project = Project::new();
    project.edit("policies:\n", "values: {burst: {type: integer, default: 3}}\n\npolicies:\n");
    project.edit("burst: 10", "burst: \"${value.burst}\"");
    fs::create_dir_all(project.file("env")).expect("a folder");
    fs::write(project.file("env/good.yaml"), "format: 1\nvalues: {burst: 7}\n").expect("an environment");
    fs::write(project.file("env/bad.yaml"), "format: 1\nvalues: {burst: none}\n").expect("an environment");
    assert_eq!(run(&["check", &project.path()]).code, Some(1));
    fs::write(project.file("env/bad.yaml"), "format: 1\nvalues: {burst: 8}\n").expect("an environment");
    let ran = run(&["check", &project.path()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("its bundle for good is") && ran.out.contains("its bundle for bad is"), "{ran:?}");
    let ran = run(&["diff", &project.path(), "--env", "good", "--env", "bad", "--output", "json"]);
    let changes = ran.json();
    assert_eq!((&changes["changes"][0]["from"], &changes["changes"][0]["to"]), (&"7".into(), &"8".into()), "{changes}");
}

#[test]
fn routes_are_filtered_by_what_they_match_and_who_may_call() {
    let ids = |words: &[&str]| -> Vec<String> {
        let ran = run(&[&["routes", &quickstart(), "--output", "json"], words].concat());
        let routes = ran.json();
        routes.as_array().expect("a list").iter().map(|r| r["id"].as_str().expect("an id").to_owned()).collect()
    };
    for (words, expected) in [
        (vec!["--method", "POST"], vec!["echo.private"]),
        (vec!["--public", "--path", "/echo/c"], vec!["echo.cached"]),
        (vec!["--policy", "gentle"], vec!["echo.private"]),
        (vec!["--path", "/*/private/*"], vec!["echo.private"]),
        (
            vec!["--upstream", "echo", "--api", "echo", "--host", "any.example", "--method", "HEAD", "--public"],
            vec!["echo.cached", "echo.public"],
        ),
        (vec!["--internal"], vec![]),
    ] {
        assert_eq!(ids(&words), expected, "{words:?}");
    }
    assert!(run(&["routes", &quickstart(), "--wide"]).out.contains("BODY-LIMIT"));
    let tagged = run(&["routes", &example("multi-team"), "--tag", "write", "--output", "json"]).json();
    let ids: Vec<&str> = tagged.as_array().expect("a list").iter().filter_map(|r| r["id"].as_str()).collect();
    assert_eq!(ids, ["catalog.createProduct", "catalog.replaceProduct"]);
}

#[test]
fn a_filter_that_names_nothing_of_the_project_is_refused() {
    for (words, says) in [
        (["--api", "nowhere"], "there is no API `nowhere`; there are echo"),
        (["--policy", "nothing"], "there is no policy `nothing`; there are"),
        (["--tag", "x"], "there is no tag `x`; the project has none"),
        (["--upstream", "x"], "there is no upstream `x`; there are echo"),
    ] {
        let ran = run(&[&["routes", &quickstart()][..], &words].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
}

#[test]
fn the_settings_of_a_route_are_shown_with_their_origins() {
    let project = Project::new();
    project.edit("        limit: gentle\n", "        limit: gentle\n        timeout: 3s\n");
    let words = ["explain", "echo.private", &project.path()];
    let text = run(&words);
    let row = |setting: &str| text.out.lines().find(|line| line.starts_with(setting)).unwrap_or_default().to_owned();
    assert!(row("timeout").contains("3s") && row("timeout").contains("route"), "{text:?}");
    assert!(text.out.contains("overridden by the route") && text.out.contains("10s"), "{text:?}");
    assert!(row("body-limit").contains("default"), "{text:?}");
    let json = run(&["explain", "--route", "echo.private", &project.path(), "--output", "json"]).json();
    let settings = json["settings"].as_array().expect("settings");
    let timeout = settings.iter().find(|setting| setting["setting"] == "timeout").expect("the timeout");
    assert_eq!((&timeout["value"], &timeout["level"]), (&"3s".into(), &"operation".into()));
    assert!(timeout["place"]["line"].as_u64().is_some_and(|line| line > 10), "{timeout}");
    assert_eq!(timeout["overridden"][0]["value"], "10s");
    let unknown = run(&["explain", "echo.none", &project.path()]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.err.contains("echo.private"), "{unknown:?}");
}

#[test]
fn a_page_behind_a_login_is_explained_with_the_redirect_to_the_provider() {
    let portal = example("portal");
    let explained = |field: &str| run(&["explain", "GET", "/reports", &portal, "-H", field, "--output", "json"]).json();
    let page = explained("Accept: text/html");
    assert_eq!(page["response"]["status"], 302, "{page}");
    let shown = page["response"]["fields"].to_string();
    assert!(
        shown.contains("https://id.example.com/authorization_endpoint?response_type=code&client_id=portal&"),
        "{page}"
    );
    assert!(page["decisions"].to_string().contains("session-missing"), "{page}");
    assert_eq!(explained("Accept: application/json")["response"]["status"], 401);
    let cookie = format!("Cookie: __Host-session={}", "A".repeat(80));
    let session = explained(&cookie);
    assert_eq!(
        (&session["response"]["status"], &session["tokens"][0]["policy"]),
        (&401.into(), &"staff".into()),
        "{session}"
    );
    assert!(session["tokens"][0]["says"].to_string().contains("a policy test"), "{session}");
}

/// A token that is not signed, with these members.
fn unsigned(header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), Base64UrlUnpadded::encode_string(&[0; 64]))
}

#[test]
fn a_token_that_is_bound_to_a_key_is_judged_with_its_proof() {
    let mobile = example("mobile");
    let (at, now) = ("2026-06-01T12:00:00Z", 1_780_315_200);
    let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let holder = Thumbprint::of(&format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{key}\"}}")).to_string();
    let token_of = |jkt: &str| {
        let claims = serde_json::json!({"iss": "https://id.example.com", "aud": "orders", "sub": "ada", "iat": now, "exp": now + 600,
            "cnf": {"jkt": jkt}});
        unsigned(&serde_json::json!({"alg": "ES256", "typ": "JWT"}), &claims)
    };
    let proof_of = |token: &str, url: &str| {
        let header =
            serde_json::json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": key}});
        let claims = serde_json::json!({"jti": "1", "htm": "GET", "htu": url, "iat": now, "nonce": "n",
            "ath": Thumbprint::of(token).to_string()});
        format!("DPoP: {}", unsigned(&header, &claims))
    };
    let url = "https://api.example.com/orders/7";
    let says = |scheme: &str, token: &str, more: &[&str]| {
        let field = format!("Authorization: {scheme} {token}");
        let words = ["explain", "GET", url, &mobile, "--at", at, "-H", &field];
        let ran = run(&[&words[..], more].concat());
        ran.out
            .lines()
            .find(|line| line.contains("app  ") && line.contains("signature"))
            .unwrap_or_else(|| panic!("{ran:?}"))
            .trim()
            .to_owned()
    };
    let (own, others) = (token_of(&holder), token_of(&Thumbprint::of("another").to_string()));
    let right = says("DPoP", &own, &["-H", &proof_of(&own, url)]);
    assert!(right.contains("accepted if the signature is right") && right.contains("nor the nonce"), "{right}");
    for (said, why) in [
        (says("DPoP", &own, &[]), "there is no proof"),
        (says("Bearer", &own, &["-H", &proof_of(&own, url)]), "sent as `Authorization: DPoP"),
        (says("DPoP", &others, &["-H", &proof_of(&others, url)]), "not that of the key"),
        (says("DPoP", &own, &["-H", &proof_of(&own, "https://api.example.com/other")]), "another URL"),
        (says("DPoP", &own, &["-H", &proof_of(&others, url)]), "another token"),
        (says("DPoP", &own, &["-H", &proof_of(&own, url), "--times", "2"]), "was used before"),
    ] {
        assert!(said.contains("refused, whatever its signature is") && said.contains(why), "{why}: {said}");
    }
}

#[test]
fn the_last_of_many_requests_is_explained_also_if_telemetry_is_exported() {
    let exporting = Project::new();
    exporting.edit("\ngateway:", "\ntelemetry: {otlp: {endpoint: \"http://127.0.0.1:4318\"}}\ngateway:");
    let field = format!("X-API-Key: {KEY}");
    for project in [quickstart(), exporting.path()] {
        let words = ["explain", "GET", "/echo/private/x", &project, "-H", &field, "--times", "11", "--output", "json"];
        let answer = run(&words).json();
        assert_eq!(answer["statuses"], serde_json::json!({"200": 10, "429": 1}));
        assert_eq!(answer["response"]["status"], 429);
        assert!(answer["upstream"].as_array().is_some_and(Vec::is_empty), "{answer}");
    }
}

#[test]
fn a_difference_is_reported_with_its_effect_and_the_requested_exit_code() {
    let changed = Project::new();
    changed.edit("burst: 10", "burst: 5");
    let (from, to) = (quickstart(), changed.path());
    let ran = run(&["diff", &from, &to]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("breaking") && ran.out.contains("burst: 10 -> 5"), "{ran:?}");
    let json = run(&["diff", &from, &to, "--output", "json"]).json();
    assert_eq!((&json["breaking"], &json["loosens"]), (&Value::Bool(true), &Value::Bool(false)));
    for (words, code) in [
        (vec!["diff", &from, &to, "--exit-code"], 1),
        (vec!["diff", &from, &to, "--breaking"], 1),
        (vec!["diff", &to, &from, "--exit-code"], 1),
        (vec!["diff", &to, &from, "--breaking"], 0),
        (vec!["diff", &from, &from, "--exit-code"], 0),
        (vec!["diff", &from], 2),
        (vec!["diff", &from, "/nowhere"], 1),
    ] {
        assert_eq!(run(&words).code, Some(code), "{words:?}");
    }
}

#[test]
fn costs_are_estimated_by_a_list_that_can_be_edited() {
    let project = Project::new();
    let total = |project: &Project, words: &[&str]| {
        let ran = run(&[&["cost", &project.path(), "--output", "json"], words].concat());
        let costs = ran.json();
        let routes = costs[0]["routes"].as_array().expect("routes");
        let cached = routes.iter().find(|route| route["id"] == "echo.cached").expect("the route");
        let per_million = &cached["typical"]["per_million"];
        (!per_million.is_null()).then(|| per_million["total_micro"].as_u64().expect("a total"))
    };
    assert_eq!(total(&project, &[]), Some(340_000));
    let printed = run(&["cost", "--print-prices"]).out;
    fs::write(project.file("prices.yaml"), printed.replace("upstream-requests: 0", "upstream-requests: 2"))
        .expect("prices");
    assert_eq!(total(&project, &[]), Some(2_340_000));
    assert_eq!(total(&project, &["--hit-ratio", "75%"]), Some(840_000));
    assert_eq!(total(&project, &["--target", "native"]), None);
    let text = run(&["cost", &project.path(), "--target", "native"]).out;
    assert!(
        text.contains("no prices") && text.contains("There are no prices of native") && !text.contains("0.00"),
        "{text}"
    );
    let text = run(&["cost", &project.path(), "--target", "workers-free"]).out;
    assert!(text.contains("workers-free") && text.contains("echo.private") && text.contains("OUTSIDE"), "{text}");
    assert_eq!(run(&["cost", &project.path(), "--hit-ratio", "2"]).code, Some(2));
}

#[test]
fn limits_that_read_costs_are_simulated_with_what_they_reserve() {
    let costs = example("costs");
    let words =
        ["simulate", "limits", costs.as_str(), "--world", "calm", "--seeds", "1", "--seconds", "12", "--mode", "exact"];
    let runs = run(&[&words[..], &["--output", "json"]].concat()).json();
    let cost_of = |limit: &str| {
        let found = runs["runs"].as_array().and_then(|runs| runs.iter().find(|run| run["limit"] == limit));
        found.map(|run| (run["cost_of"].clone(), run["cost"].clone())).expect("a run")
    };
    assert_eq!(cost_of("rows"), ("request.query[\"limit\"]".into(), 100.into()));
    assert_eq!(cost_of("egress"), ("response.bytes".into(), 1.into()));
    assert_eq!(cost_of("guests"), (Value::Null, 1.into()));
    let priced = run(&[&words[..], &["--limit", "work", "--cost", "20", "--output", "json"]].concat()).json();
    assert_eq!((&priced["runs"][0]["cost"], &priced["runs"][0]["overshoot"]), (&20.into(), &0.into()), "{priced}");
    let never = run(&[&words[..], &["--cost", "11"]].concat());
    assert!(never.code == Some(2) && never.err.contains("`guests` admits 10 at once"), "{never:?}");
    let text = run(&words).out;
    let said =
        "`work` costs what `response.headers[\"x-work\"]` says, and each request is simulated with its `reserve` of 10";
    assert!(text.contains(said) && text.contains("is not simulated") && !text.contains("`guests` costs"), "{text}");
}

#[test]
fn colours_follow_the_option_and_the_environment() {
    let coloured = run(&["explain", "TG0102", "--color", "always"]);
    assert!(coloured.out.contains("\x1b["), "{coloured:?}");
    for never in [["--color", "never"], ["--color", "auto"]] {
        let plain = run(&[&["explain", "TG0102"][..], &never].concat());
        assert!(!plain.out.contains("\x1b["), "{plain:?}");
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut child =
        tollgate(&["explain", "TG0102"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("an end");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn a_failure_is_json_too_if_json_is_requested() {
    let broken = Project::new();
    broken.edit("gateway:", "gatewy:");
    let (broken, valid) = (broken.path(), quickstart());
    let commands: [&[&str]; 6] =
        [&["routes"], &["cost"], &["test"], &["diff", &valid], &["explain", "GET", "/"], &["check"]];
    for command in commands {
        let ran = run(&[command, &["no-such-folder", "--output", "json"]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let error = ran.json()["error"].to_string();
        assert!(error.contains("no-such-folder is not a project: the folder does not exist"), "{error}");
        let ran = run(&[command, &[&broken, "--output", "json"]].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let found = ran.json();
        let found = if found.is_array() { &found } else { &found["diagnostics"] };
        assert!(found.as_array().is_some_and(|found| found.iter().any(|d| d["code"] == "TG0201")), "{ran:?}");
        assert_eq!(run(&[command, &["no-such-folder"]].concat()).out, "");
    }
}

#[test]
fn an_unknown_route_is_reported_whatever_follows_it() {
    let ran = run(&["explain", "listPets", "shop"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("pets.listPets"), "{ran:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_does_not_fit_on_the_disk_is_a_failure() {
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let ended = tollgate(&["bundle", &quickstart()]).stdout(full).output().expect("an end");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("standard output cannot be written"), "{ended:?}");
}
