//! `tollgate dev` from the user's point of view: its output, how it follows edits, how it stops.

mod support;

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::{KEY, Project, Ran, Running, get, ignores_hang_up, quickstart, run, tollgate, try_get};

/// The commands to try, each as a URL and its fields.
fn curl_lines(out: &str) -> Vec<(String, Vec<String>)> {
    let lines = out.lines().filter_map(|line| line.trim().strip_prefix("curl -i "));
    lines.map(|line| curl_line(line.split("   #").next().expect("a first part"))).collect()
}

fn curl_line(line: &str) -> (String, Vec<String>) {
    let mut pieces: Vec<&str> = line.split(" -H ").flat_map(|piece| piece.split("-H ")).collect();
    pieces.retain(|piece| !piece.is_empty());
    let mut fields = Vec::new();
    let mut url = String::new();
    for piece in pieces {
        match piece.strip_prefix('\'').and_then(|quoted| quoted.split_once('\'')) {
            Some((field, rest)) => {
                fields.push(field.to_owned());
                url.push_str(rest.trim());
            }
            None => url.push_str(piece.trim()),
        }
    }
    (url, fields)
}

#[test]
fn the_quickstart_shows_routes_a_key_and_three_working_commands() {
    let running = Running::start(tollgate(&["--port", "0", "--echo-port", "0"]));
    running.url();
    let out = running.out();
    assert!(out.contains("/echo/private/{name}") && out.contains("gentle"), "{out}");
    assert!(out.contains(KEY), "{out}");
    let lines = curl_lines(&out);
    assert_eq!(lines.len(), 3, "{out}");
    for (url, fields) in &lines {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        assert_eq!(get(url, &fields).status, 200, "{url} {fields:?}");
    }
    let limited = get(&lines[1].0, &[&lines[1].1[0]]);
    assert!(limited.field("ratelimit").is_some(), "{limited:?}");
    assert_eq!(get(&lines[1].0, &[]).status, 401);
    let is_hit = || get(&lines[2].0, &[]).field("cache-status").is_some_and(|field| field.contains("hit"));
    running.wait_for("a hit", || is_hit().then_some(()));
    let logged = running.wait_for("a log line of each exchange", || {
        let out = running.out();
        (out.matches(r#""event":"exchange""#).count() >= 6).then_some(out)
    });
    let logged = logged.split_once("Ctrl-C ends").map_or("", |(_, log)| log);
    assert!(!logged.contains(KEY), "a key in the log: {logged}");
}

#[test]
fn a_secret_without_a_value_is_told_at_the_start() {
    let project = Project::new();
    let fields = "{url: \"http://127.0.0.1:8082\", headers: {X-A: \"${secret.ABSENT}\", X-B: \"${secret.GIVEN}\"}}";
    project.edit("echo: \"http://127.0.0.1:8082\"", &format!("echo: {fields}"));
    let mut command = tollgate(&["dev", &project.path(), "--port", "0", "--echo-port", "0"]);
    command.env("TOLLGATE_SECRET_GIVEN", "s3cr3t").env("TOLLGATE_SECRET_ABSENT", "");
    let running = Running::start(command);
    running.url();
    let err = running.err();
    let told = "the secret ABSENT has no value, so requests that need it fail: upstream echo (x-a). Set TOLLGATE_SECRET_ABSENT";
    assert_eq!((err.matches("has no value").count(), err.matches(told).count()), (1, 1), "{err}");
    assert!(!err.contains("s3cr3t"), "{err}");
}

#[test]
fn a_login_is_told_to_need_tls_and_no_key_is_shown_where_none_is_taken() {
    let project = Project::new();
    let login = "{kind: oidc-login, issuer: \"https://id.example.com\", client-id: a, client-secret: \"${secret.A}\", secret: \"${secret.B}\"}";
    let text = format!(
        "format: 1\ngateway: {{name: portal}}\nupstreams: {{u: \"http://127.0.0.1:8082\"}}\npolicies: {{staff: {login}}}\n\
         apis: {{a: {{upstream: u, authn: staff, routes: [{{path: /x, methods: [GET]}}]}}}}\n"
    );
    std::fs::write(project.file("tollgate.yaml"), text).expect("a project");
    let running = Running::dev(&project.path());
    running.url();
    let out = running.out();
    assert!(out.contains("only over HTTPS") && out.contains("--gateway portal") && out.contains("--tls-cert"), "{out}");
    assert!(!out.contains("A valid key"), "{out}");
    let running = Running::dev(&quickstart());
    running.url();
    assert!(!running.out().contains("only over HTTPS"), "{}", running.out());
}

#[test]
fn an_edit_is_active_within_a_second_and_drops_no_request() {
    let project = Project::new();
    let running = Running::dev(&project.path());
    let url = running.url();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                answers.push(get(&format!("{url}/echo/cached?q=1"), &[]).status);
            }
            answers
        });
        assert_eq!(get(&format!("{url}/echo/open"), &[]).status, 404);
        project.edit("path: /public", "path: /open");
        let edited = Instant::now();
        running.wait_for("the new route", || (get(&format!("{url}/echo/open"), &[]).status == 200).then_some(()));
        assert!(edited.elapsed() < Duration::from_secs(1), "{:?}", edited.elapsed());
        stop.store(true, Ordering::Relaxed);
        let answers = asking.join().expect("no request failed");
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    });
    assert_eq!(get(&format!("{url}/echo/public"), &[]).status, 404);
}

#[test]
fn an_invalid_edit_is_reported_the_last_valid_one_stays_active_and_a_fix_is_reported() {
    let project = Project::new();
    let running = Running::dev(&project.path());
    let url = running.url();
    project.edit("path: /public", "pth: /public");
    running.wait_for("a report", || running.err().contains("the last valid configuration").then_some(()));
    assert!(running.err().contains("TG0201") && running.err().contains("did you mean `path`?"), "{}", running.err());
    assert_eq!(get(&format!("{url}/echo/public"), &[]).status, 200);
    project.edit("pth: /public", "path: /other");
    running.wait_for("the fixed one", || running.err().contains("fixed: ").then_some(()));
    assert_eq!(get(&format!("{url}/echo/other"), &[]).status, 200);
}

#[test]
fn a_key_added_to_the_fixtures_works_and_one_removed_does_not() {
    let project = Project::new();
    let running = Running::dev(&project.path());
    let (url, field) = (running.url(), format!("x-api-key: {KEY}"));
    let ask = || get(&format!("{url}/echo/private/x"), &[&field]).status;
    assert_eq!(ask(), 200);
    let file = project.file("dev/fixtures.yaml");
    let before = std::fs::read_to_string(&file).expect("the fixtures");
    std::fs::write(&file, before.replace(&format!("- {KEY}"), "[]")).expect("fixtures");
    running.wait_for("the key to be refused", || (ask() == 401).then_some(()));
    std::fs::write(&file, before).expect("fixtures");
    running.wait_for("the key to be taken", || (ask() == 200).then_some(()));
}

#[test]
fn a_changed_name_of_the_gateway_requires_a_restart() {
    let project = Project::new();
    let running = Running::dev(&project.path());
    let url = running.url();
    project.edit("name: quickstart", "name: other");
    running.wait_for("a report", || running.err().contains("from quickstart to other").then_some(()));
    assert_eq!(get(&format!("{url}/echo/public"), &[]).status, 200);
}

#[test]
fn ctrl_c_finishes_an_open_request_and_then_ends_with_0() {
    let mut running = Running::dev(&quickstart());
    let url = running.url();
    let slow = std::thread::spawn({
        let url = url.clone();
        move || get(&format!("{url}/echo/public?delay=1500"), &[])
    });
    std::thread::sleep(Duration::from_millis(500));
    running.interrupt();
    running.wait_for("the drain", || running.err().contains("open requests are finished first").then_some(()));
    assert_eq!(slow.join().expect("an answer").status, 200);
    assert_eq!(running.ended().code(), Some(0));
    assert!(try_get(&format!("{url}/echo/public"), &[]).is_err());
}

#[test]
fn the_end_of_the_terminal_is_a_request_to_stop_unless_the_parent_ignores_it() {
    for ignored in [ignores_hang_up(), true] {
        let trap = if ignored { "trap '' HUP; exec \"$0\" \"$@\"" } else { "exec \"$0\" \"$@\"" };
        let mut shell = std::process::Command::new("sh");
        shell.args([
            "-c",
            trap,
            env!("CARGO_BIN_EXE_tollgate"),
            "dev",
            &quickstart(),
            "--port",
            "0",
            "--echo-port",
            "0",
        ]);
        shell.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
        let mut running = Running::start(shell);
        let url = running.url();
        let slow = std::thread::spawn({
            let url = url.clone();
            move || get(&format!("{url}/echo/public?delay=1500"), &[])
        });
        std::thread::sleep(Duration::from_millis(500));
        running.signal("-HUP");
        assert_eq!(slow.join().expect("an answer").status, 200);
        if ignored {
            assert_eq!(get(&format!("{url}/echo/public"), &[]).status, 200);
            running.interrupt();
        }
        assert_eq!(running.ended().code(), Some(0), "{}", running.err());
        let port = url.rsplit(':').next().expect("a port");
        let token = format!("{}/tollgate/dev-{port}.token", env!("CARGO_TARGET_TMPDIR"));
        assert!(!std::path::Path::new(&token).exists(), "{token}");
    }
}

#[test]
fn a_second_ctrl_c_ends_immediately() {
    let mut running = Running::dev(&quickstart());
    let url = running.url();
    std::thread::spawn(move || try_get(&format!("{url}/echo/public?delay=15000"), &[]));
    std::thread::sleep(Duration::from_millis(500));
    running.interrupt();
    running.wait_for("the drain", || running.err().contains("Ctrl-C again").then_some(()));
    let asked = Instant::now();
    running.interrupt();
    assert_eq!(running.ended().code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_port_in_use_is_reported_with_the_flag_that_changes_it() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = holder.local_addr().expect("an address").port().to_string();
    for (flags, flag) in [
        (vec!["--port", &port, "--echo-port", "0"], "--port"),
        (vec!["--port", "0", "--admin-port", &port, "--echo-port", "0"], "--admin-port"),
        (vec!["--port", "0", "--echo-port", &port], "--echo-port"),
    ] {
        let ran = run(&flags);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let expected = format!("port {port} on 127.0.0.1 is in use by another program; choose another with {flag}");
        assert!(ran.err.contains(&expected), "{ran:?}");
    }
}

#[test]
fn an_invalid_project_is_not_started() {
    let project = Project::new();
    project.edit("path: /public", "pth: /public");
    let ran = run(&["dev", &project.path(), "--port", "0"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("TG0201") && ran.out.is_empty(), "{ran:?}");
    let ran = run(&["dev", "/nowhere", "--port", "0"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("/nowhere is not a project"), "{ran:?}");
}

#[test]
fn a_purge_invalidates_the_stored_response() {
    let running = Running::dev(&quickstart());
    let url = format!("{}/echo/cached?q=purge", running.url());
    let admin = running.word_after("admin    ");
    let outcome = || get(&url, &[]).field("cache-status").expect("a cached route").to_owned();
    // A response is stored after its reply.
    let until_hit = || running.wait_for("a hit", || outcome().contains("hit").then_some(()));
    assert!(outcome().contains("fwd=uri-miss"));
    until_hit();
    let at = running.url();
    let ran = run(&["purge", &url, "--at", &at]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let stored_again = outcome();
    assert!(stored_again.contains("fwd="), "{stored_again}");
    until_hit();
    let key = stored_again.split("key=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key");
    assert_eq!(run(&["purge", "--key", key, "--at", &at]).code, Some(0));
    assert!(outcome().contains("fwd="));
    assert_eq!(run(&["purge", "--all", "--at", &at]).out, "purged all\n");
    let ran = run(&["purge", &url.replace("/cached", "/public"), "--at", &at]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("No cached route"), "{ran:?}");
    let metrics = get(&format!("{admin}/metrics"), &[]);
    assert!(metrics.content.contains("http_server_request_duration"), "{metrics:?}");
    let ran = run(&["metrics", "--at", &at, "--output", "json"]);
    assert_eq!(ran.json()["scope"], "process", "{ran:?}");
    let ran = run(&["metrics", "--at", &admin, "--output", "json"]);
    assert_eq!(ran.json()["scope"], "process", "the token is found for the admin port too: {ran:?}");
}

#[test]
fn a_running_gateway_issues_and_revokes_keys_for_whoever_has_its_token() {
    let mut running = Running::dev(&quickstart());
    let at = running.url();
    let words = ["key", "new", "--consumer", "acme", "--env", "test", "--at", &at, "--output", "json"];
    let issued = run(&words);
    assert_eq!(issued.code, Some(0), "{issued:?}");
    let issued = issued.json();
    let (key, id) = (issued["key"].as_str().expect("a key"), issued["id"].as_str().expect("an id"));
    let status = || get(&format!("{at}/echo/private/x"), &[&format!("X-API-Key: {key}")]).status;
    assert_eq!(status(), 200);
    let ran = run(&["key", "revoke", "--key-id", id, "--at", &at]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(status(), 401);
    let mut stranger = tollgate(&["key", "revoke", "--key-id", id, "--at", &at]);
    stranger.env("TOLLGATE_OPERATOR_TOKEN", "0".repeat(32));
    let ran = Ran::of(stranger.output().expect("the program starts"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("401") && ran.err.contains("--token-file"), "{ran:?}");
    assert!(!running.out().contains(key), "a key in the log");
    running.interrupt();
    running.ended();
    let left = format!("{}/tollgate/dev-{}.token", env!("CARGO_TARGET_TMPDIR"), at.rsplit(':').next().expect("a port"));
    assert!(!std::path::Path::new(&left).exists(), "{left}");
}
