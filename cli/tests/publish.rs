//! Publishing, keys and serving: what is written to a store is what hosts read.

mod support;

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use support::{KEY, Project, Ran, Running, get, ignores_hang_up, quickstart, run, tollgate};

#[test]
fn what_is_published_is_served_and_keys_come_and_go_while_it_runs() {
    let project = Project::new();
    let echo = Running::dev(&quickstart());
    let upstream = echo.word_after("echo     ");
    echo.url();
    project.edit("http://127.0.0.1:8082", &upstream);
    let store = project.file("shop.db").display().to_string();
    let ran = run(&["publish", &project.path(), "--to", "native", "--store", &store]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut serving = Running::start(tollgate(&[
        "serve",
        "--store",
        &store,
        "--gateway",
        "quickstart",
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "1",
    ]));
    let url = format!("http://{}", serving.word_after("listening on "));
    assert_eq!(get(&format!("{url}/echo/public"), &[]).status, 200);
    let field = |key: &str| format!("X-API-Key: {key}");
    assert_eq!(get(&format!("{url}/echo/private/x"), &[&field(KEY)]).status, 401, "fixtures are not published");

    let new = ["key", "new", "--consumer", "acme", "--gateway", "quickstart", "--to", "native", "--store", &store];
    let key = run(&new).out;
    let key = key.trim();
    assert!(key.starts_with("tg_live_"), "{key}");
    assert_eq!(get(&format!("{url}/echo/private/x"), &[&field(key)]).status, 200);
    let id = run(&["explain", "GET", "/echo/private/x", &project.path(), "-H", &field(key)]);
    assert!(!id.out.contains(key), "{id:?}");

    project.edit("path: /public", "path: /open");
    assert_eq!(run(&["publish", &project.path(), "--to", "native", "--store", &store]).code, Some(0));
    serving.wait_for("the new bundle", || (get(&format!("{url}/echo/open"), &[]).status == 200).then_some(()));
    if ignores_hang_up() {
        serving.interrupt();
    } else {
        serving.signal("-HUP");
    }
    assert_eq!(serving.ended().code(), Some(0));
    assert!(project.file("shop.counters.db").is_file(), "counters outlive the process");
}

#[test]
fn a_rollback_needs_no_sources_and_a_second_one_undoes_it() {
    let project = Project::new();
    for host in ["native", "spin"] {
        let store = project.file(&format!("{host}.db")).display().to_string();
        let place = ["--to", host, "--store", &store, "--output", "json"];
        let publish = |words: &[&str]| run(&[&["publish"][..], words, &place].concat());
        let first = publish(&[&quickstart()]).json();
        let ran = publish(&["--rollback", "--gateway", "quickstart"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.contains("no earlier generation"), "{ran:?}");
        let copy = Project::new();
        copy.edit("path: /public", "path: /open");
        let second = publish(&[&copy.path()]).json();
        let back = publish(&["--rollback", "--gateway", "quickstart"]).json();
        assert_eq!((&back["generation"], &back["bundle"]), (&json!(3), &first["bundle"]));
        let again = publish(&["--rollback", &quickstart()]).json();
        assert_eq!((&again["generation"], &again["bundle"]), (&json!(4), &second["bundle"]));
        let elsewhere = publish(&["--rollback", "--gateway", "shop"]);
        assert!(elsewhere.out.contains("has no configuration for gateway shop"), "{elsewhere:?}");
    }
    let missing = project.file("none.db").display().to_string();
    let ran = run(&["publish", "--rollback", "--gateway", "shop", "--to", "native", "--store", &missing]);
    assert!(ran.code == Some(1) && !project.file("none.db").exists(), "{ran:?}");
    let ran = run(&["publish", "--gateway", "shop", "--to", "native", "--store", &missing]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_generation_that_no_other_could_follow_is_refused() {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    for after in ["9007199254740991", "18446744073709551615"] {
        let ran = run(&["publish", &quickstart(), "--to", "native", "--store", &store, "--after", after]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("--after"), "{ran:?}");
    }
}

#[test]
fn a_store_without_the_gateway_causes_a_warning_and_503() {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    let missing = run(&["serve", "--store", &store, "--gateway", "shop"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.err.contains("there is no store"), "{missing:?}");
    assert_eq!(run(&["publish", &project.path(), "--to", "native", "--store", &store]).code, Some(0));
    let serving =
        Running::start(tollgate(&["serve", "--store", &store, "--gateway", "shop", "--listen", "127.0.0.1:0"]));
    let url = format!("http://{}", serving.word_after("listening on "));
    assert!(serving.err().contains("has no configuration for gateway shop"), "{}", serving.err());
    assert_eq!(get(&url, &[]).status, 503);
}

#[test]
fn a_missing_folder_of_secrets_is_reported_at_the_start() {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    assert_eq!(run(&["publish", &project.path(), "--to", "native", "--store", &store]).code, Some(0));
    let folder = project.file("nowhere").display().to_string();
    let words = ["serve", "--store", &store, "--gateway", "shop", "--listen", "127.0.0.1:0", "--secrets", &folder];
    let ran = run(&words);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("--secrets") && ran.err.contains("nowhere"), "{ran:?}");
}

#[test]
fn an_admin_port_that_others_can_reach_needs_a_token() {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    assert_eq!(run(&["publish", &project.path(), "--to", "native", "--store", &store]).code, Some(0));
    let words = ["serve", "--store", &store, "--gateway", "shop", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"];
    let ran = run(&words);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("TOLLGATE_OPERATOR_READ"), "{ran:?}");
    let mut short = tollgate(&words);
    short.env("TOLLGATE_OPERATOR_READ", "s3cret");
    let ran = Ran::of(short.output().expect("the program starts"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("token 1 is not 32 to 256") && !ran.err.contains("s3cret"), "{ran:?}");
}

#[test]
fn a_gateway_in_production_takes_orders_by_token_at_its_admin_port_alone() {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    assert_eq!(run(&["publish", &project.path(), "--to", "native", "--store", &store]).code, Some(0));
    let (any, gateway) = ("127.0.0.1:0", "quickstart");
    let mut serving = tollgate(&["serve", "--store", &store, "--gateway", gateway, "--listen", any, "--admin", any]);
    let token = "0123456789abcdef0123456789abcdef";
    serving.env("TOLLGATE_OPERATOR_OPERATE", format!("ci:{token}"));
    let serving = Running::start(serving);
    let public = format!("http://{}", serving.word_after("listening on "));
    let admin = serving.word_after("operator endpoint on ");
    let file = project.file("token");
    std::fs::write(&file, format!("{token}\n")).expect("a file");
    let file = file.display().to_string();
    let purge = |at: &str| run(&["purge", "--all", "--at", at, "--token-file", &file]);
    assert_eq!(purge(&admin).out, "purged all\n");
    let ran = purge(&public);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("404") && ran.err.contains("docs/operator.md"), "{ran:?}");
    let ran = run(&["key", "new", "--consumer", "acme", "--at", &admin, "--token-file", &file]);
    assert!(ran.code == Some(0) && ran.out.starts_with("tg_live_"), "{ran:?}");
    let listed = run(&["key", "list", "--consumer", "acme", "--at", &admin, "--token-file", &file, "--output", "json"]);
    assert!(listed.json()[0]["created_by"] == "ci", "{listed:?}");
    let id = listed.json()[0]["id"].as_str().unwrap_or_default().to_owned();
    let rotated = run(&["key", "rotate", "--key-id", &id, "--at", &admin, "--token-file", &file]);
    assert!(rotated.code == Some(0) && rotated.out.starts_with("tg_live_"), "{rotated:?}");
    let ran = run(&["purge", "--all", "--at", &admin]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("401"), "{ran:?}");
    let line =
        serving.wait_for("the audit", || serving.out().lines().find(|l| l.contains("key.new")).map(str::to_owned));
    assert!(line.contains(r#""caller":"ci""#) && !serving.out().contains(token), "{line}");
}

#[test]
fn a_token_is_sent_in_clear_to_this_machine_alone() {
    let project = Project::new();
    let file = project.file("token");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef").expect("a file");
    let ran = run(&["purge", "--all", "--at", "http://192.0.2.1:9901", "--token-file", &file.display().to_string()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--plain-http"), "{ran:?}");
}

#[test]
fn a_key_is_revoked_by_its_id_in_the_stores_of_native_and_spin() {
    let project = Project::new();
    for host in ["native", "spin"] {
        let store = project.file(&format!("{host}.db")).display().to_string();
        let place = ["--gateway", "quickstart", "--to", host, "--store", &store];
        assert_eq!(run(&["publish", &project.path(), "--to", host, "--store", &store]).code, Some(0));
        let new = run(&[&["key", "new", "--consumer", "acme", "--output", "json"][..], &place].concat()).json();
        let id = new["id"].as_str().expect("an id");
        let revoke = |id: &str| run(&[&["key", "revoke", "--key-id", id][..], &place].concat());
        let ran = revoke(id);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.err.contains("is revoked"), "{ran:?}");
        assert!(revoke(id).err.contains("was already revoked"));
        let digest = new["records"][1]["key"].as_str().and_then(|key| key.rsplit(':').next()).expect("a digest");
        let by_digest = run(&[&["key", "revoke", "--digest", digest][..], &place].concat());
        assert!(by_digest.err.contains("was already revoked"), "{by_digest:?}");
        assert_eq!(revoke("key-000000000000").code, Some(1));
    }
}

#[test]
fn a_link_that_no_policy_reads_is_told() {
    let project = Project::new();
    let write = |links: &str| {
        let jwt =
            format!("{{kind: jwt, issuer: \"https://a.test\", audience: a, jwks: \"https://a.test/keys\"{links}}}");
        let text = format!(
            "format: 1\ngateway: {{name: quickstart}}\nupstreams: {{u: \"http://127.0.0.1:8082\"}}\npolicies: {{staff: {jwt}}}\n\
             apis: {{a: {{upstream: u, authn: staff, routes: [{{path: /x, methods: [GET]}}]}}}}\n"
        );
        std::fs::write(project.file("tollgate.yaml"), text).expect("a project");
    };
    write("");
    let (path, store) = (project.path(), project.file("native.db").display().to_string());
    assert_eq!(run(&["publish", &path, "--to", "native", "--store", &store]).code, Some(0));
    let link = |issuer: &str, subject: &str| {
        let which = ["identity", "link", "--consumer", "ada", "--issuer", issuer, "--subject", subject];
        run(&[&which[..], &["--project", &path, "--to", "native", "--store", &store]].concat())
    };
    let ran = link("https://a.test", "1");
    assert!(ran.code == Some(0) && ran.err.contains("has `links`; add `links: sub`"), "{ran:?}");
    let ran = link("https://b.test", "1");
    assert!(
        ran.code == Some(0) && ran.err.contains("no policy of the project has the issuer https://b.test"),
        "{ran:?}"
    );
    write(", links: email");
    let ran = link("https://a.test", "2");
    assert!(ran.code == Some(0) && ran.err.contains("by email, not by sub"), "{ran:?}");
    write(", links: sub");
    let ran = link("https://a.test", "3");
    assert!(ran.code == Some(0) && !ran.err.contains("warning"), "{ran:?}");
}

#[test]
fn identities_are_linked_listed_and_unlinked_in_the_stores_of_native_and_spin() {
    let project = Project::new();
    let table = project.file("people.csv");
    let rows = "consumer,issuer,subject,claim\neve,https://a.test,1,\neve,https://b.test,,email=eve@b.test\n";
    std::fs::write(&table, rows).expect("a table");
    let table = table.display().to_string();
    for host in ["native", "spin"] {
        let store = project.file(&format!("{host}.db")).display().to_string();
        let place = ["--gateway", "quickstart", "--to", host, "--store", &store];
        let identity = |words: &[&str]| run(&[&["identity"], words, &place].concat());
        assert_eq!(run(&["publish", &project.path(), "--to", host, "--store", &store]).code, Some(0));
        let one = ["--issuer", "https://a.test", "--subject", "7"];
        let link = |consumer: &str| identity(&[&["link", "--consumer", consumer][..], &one].concat());
        assert_eq!(link("person:ada@a.test").code, Some(0), "{:?}", link("x"));
        assert!(link("bob").err.contains("https://a.test sub=7 is linked to person:ada@a.test"), "{:?}", link("bob"));
        assert_eq!(identity(&[&["unlink"][..], &one].concat()).code, Some(0));
        assert!(identity(&[&["unlink"][..], &one].concat()).err.contains("is not linked"));
        assert_eq!(link("bob").code, Some(0));
        let listed = |consumer: &str| identity(&["list", "--consumer", consumer, "--output", "json"]).json();
        assert_eq!(listed("person:ada@a.test"), serde_json::json!([]), "it is another one's now");
        assert_eq!(listed("bob")[0]["identity"], "https://a.test sub=7");
        for (imported, known) in [(2, 0), (0, 2)] {
            let done = identity(&["import", &table, "--output", "json"]).json();
            let count = |name: &str| done[name].as_array().map(Vec::len);
            assert_eq!((count("imported"), count("known")), (Some(imported), Some(known)), "{done}");
        }
        let all = identity(&["list"]).out;
        assert!(all.contains("https://b.test email=eve@b.test") && all.lines().count() == 4, "{all}");
        let keys = run(&[&["key", "list"], &place[..]].concat());
        assert!(keys.err.contains("no keys in"), "links are no keys: {keys:?}");
    }
}

#[test]
fn keys_are_listed_shown_and_rotated_in_the_stores_of_native_and_spin() {
    let project = Project::new();
    for host in ["native", "spin"] {
        let store = project.file(&format!("{host}.db")).display().to_string();
        let place = ["--gateway", "quickstart", "--to", host, "--store", &store];
        let key = |words: &[&str]| run(&[&["key"], words, &place].concat());
        assert_eq!(run(&["publish", &project.path(), "--to", host, "--store", &store]).code, Some(0));
        assert!(key(&["list"]).err.contains("no keys in"), "{:?}", key(&["list"]));
        assert!(key(&["list", "--consumer", "nobody"]).err.contains("no keys of nobody in"));
        // A certificate is registered by its fingerprint as `openssl` prints it, and no key takes over from it.
        let fingerprint = ["AB"; 32].join(":");
        let line = |text: String| {
            let file = project.file(&format!("{host}.jsonl"));
            std::fs::write(&file, text).expect("a file of keys");
            file.display().to_string()
        };
        let imported = line(format!(r#"{{"consumer":"device","fingerprint":"{fingerprint}"}}"#));
        assert_eq!(key(&["import", &imported]).code, Some(0));
        assert!(key(&["show", "--digest", &fingerprint]).out.contains("cert-abababababab"));
        assert!(key(&["rotate", "--key-id", "cert-abababababab"]).err.contains("client certificate"));
        assert_eq!(key(&["revoke", "--key-id", "cert-abababababab"]).code, Some(0));
        let imported = line(r#"{"consumer":"acme","key":"0123456789abcdef","plan":"platinum"}"#.to_owned());
        assert!(key(&["import", &imported]).err.contains("has no plan platinum"), "{:?}", key(&["import", &imported]));
        let restricted = ["--address", "192.0.2.0/24", "--note", "orders", "--created-by", "ci"];
        let new = key(&[&["new", "--consumer", "acme", "--output", "json"][..], &restricted].concat()).json();
        key(&["new", "--consumer", "other"]);
        let id = new["id"].as_str().expect("an id");
        let listed = key(&["list", "--consumer", "acme"]);
        assert!(listed.out.contains(id) && !listed.out.contains("other"), "{listed:?}");
        assert_eq!(key(&["list", "--output", "json"]).json().as_array().map(Vec::len), Some(3));
        let shown = key(&["show", "--key-id", id, "--output", "json"]).json();
        assert_eq!((&shown["addresses"][0], &shown["created_by"]), (&"192.0.2.0/24".into(), &"ci".into()));
        assert!(key(&["show", "--key-id", id]).out.contains("last used    never\n"));
        let rotated = key(&["rotate", "--key-id", id, "--overlap", "1h", "--output", "json"]).json();
        assert_eq!((&rotated["replaces"], &rotated["note"]), (&id.into(), &"orders".into()));
        assert_eq!(rotated["old"]["replaced_by"], rotated["id"]);
        let again = key(&["rotate", "--key-id", id]);
        assert!(again.code == Some(1) && again.err.contains("was replaced by key-"), "{again:?}");
        assert_eq!(key(&["rotate", "--key-id", id, "--overlap", "soon"]).code, Some(2));
        assert!(key(&["list", "--consumer", "acme"]).out.contains("replaced"));
    }
}

#[test]
fn keys_of_other_makes_are_imported_and_found_in_files_by_an_audit() {
    let project = Project::new();
    let store = project.file("shop.db").display().to_string();
    let place = ["--gateway", "quickstart", "--to", "native", "--store", &store];
    let key = |words: &[&str]| run(&[&["key"], words, &place].concat());
    assert_eq!(run(&["publish", &project.path(), "--to", "native", "--store", &store]).code, Some(0));
    let lines = project.file("keys.jsonl");
    let path = lines.display().to_string();
    std::fs::write(&lines, "{\"consumer\": \"acme\", \"key\": \"sk-0123456789abcdef\"}\n\n{\"consumer\": \"b\"}\n")
        .expect("a file");
    let ran = key(&["import", &path]);
    assert!(ran.code == Some(1) && ran.err.contains("line 3") && ran.err.contains("nothing was imported"), "{ran:?}");
    assert!(key(&["list"]).err.contains("no keys"));
    std::fs::write(&lines, "{\"consumer\": \"acme\", \"key\": \"sk-0123456789abcdef\"}\n").expect("a file");
    assert!(key(&["import", &path]).err.contains("1 keys are imported"));
    assert!(key(&["import", &path]).err.contains("is known already"));

    let scanned = project.file("scanned");
    std::fs::create_dir(&scanned).expect("a folder");
    let folder = scanned.display().to_string();
    let audit = |words: &[&str]| key(&[&["audit", "--scan", &folder][..], words].concat());
    let clean = audit(&[]);
    assert!(clean.code == Some(0) && clean.out.contains("no-expiry"), "{clean:?}");
    assert_eq!(audit(&["--strict"]).code, Some(1));
    let new = key(&["new", "--consumer", "leaky", "--expires", "2090-01-01T00:00:00Z"]).out;
    std::fs::write(scanned.join("config.js"), format!("const key = '{}';\n", new.trim())).expect("a file");
    let found = audit(&["--output", "json"]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(!found.out.contains(new.trim()) && !found.err.contains(new.trim()), "{found:?}");
    let leaked = &found.json()["findings"][0];
    assert_eq!((&leaked["consumer"], &leaked["finding"]), (&"leaky".into(), &"found".into()), "{found:?}");
    assert!(leaked["why"].as_str().is_some_and(|why| why.contains("config.js:1")), "{found:?}");
    let offline = run(&["key", "audit", "--scan", &folder, "--offline"]);
    assert!(offline.code == Some(1) && offline.out.contains("config.js:1"), "{offline:?}");
    key(&["revoke", "--key-id", leaked["id"].as_str().unwrap_or_default()]);
    assert_eq!(audit(&[]).code, Some(0));
}

#[test]
fn a_store_that_is_not_there_is_not_made_for_a_key() {
    let project = Project::new();
    for host in ["native", "spin"] {
        let store = project.file(&format!("typo-{host}.db"));
        let path = store.display().to_string();
        let place = ["--gateway", "shop", "--to", host, "--store", &path];
        for command in [&["key", "new", "--consumer", "acme"][..], &["key", "revoke", "--key-id", "key-000000000000"]] {
            let ran = run(&[command, &place].concat());
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
            assert!(ran.err.contains("there is no store at") && !store.exists(), "{ran:?}");
        }
    }
}

#[test]
fn a_key_is_only_made_for_a_gateway_and_a_plan_that_exist() {
    let project = Project::new();
    project.edit("format: 1\n", "format: 1\nplans: {gold: {limits: {gentle: {rate: 50/s}}}, free: {}}\n");
    for host in ["native", "spin"] {
        let store = project.file(&format!("{host}.db")).display().to_string();
        assert_eq!(run(&["publish", &project.path(), "--to", host, "--store", &store]).code, Some(0));
        let new = |words: &[&str]| {
            run(&[&["key", "new", "--consumer", "acme", "--to", host, "--store", &store][..], words].concat())
        };
        for (words, says) in [
            (&["--gateway", "shop"][..], "has no configuration for gateway shop"),
            (&["--gateway", "quickstart", "--plan", "goldd"], "has no plan goldd (it has free, gold)"),
            (&["--project", &project.path(), "--plan", "goldd"], "has no plan goldd (it has free, gold)"),
        ] {
            let ran = new(words);
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
            assert!(ran.err.contains(says), "{ran:?}");
        }
        for words in [
            &["--gateway", "quickstart", "--plan", "gold"][..],
            &["--gateway", "quickstart", "--plan", "free"],
            &["--gateway", "quickstart"],
            &["--project", &project.path(), "--plan", "free"],
        ] {
            assert_eq!(new(words).code, Some(0), "{words:?}");
        }
        let shown = run(&["bundle", "show", "--from", host, "--store", &store, "--gateway", "shop"]);
        assert!(shown.code == Some(1) && shown.err.contains("has no configuration for gateway shop"), "{shown:?}");
    }
    let printed = |plan: &str| run(&["key", "new", "--consumer", "acme", "--project", &project.path(), "--plan", plan]);
    assert_eq!((printed("gold").code, printed("goldd").code), (Some(0), Some(1)));
}

#[test]
fn a_new_key_is_alone_on_standard_output_and_its_record_has_no_key() {
    let new = ["key", "new", "--consumer", "acme", "--plan", "gold", "--scope", "a.b", "--gateway", "shop"];
    let ran = run(&[&new[..], &["--env", "test", "--expires", "2030-01-01T00:00:00Z"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let key = ran.out.trim();
    assert_eq!(ran.out.lines().count(), 1);
    assert!(key.starts_with("tg_test_") && !ran.err.contains(key), "{ran:?}");
    assert!(ran.err.contains("shop:credential:") && ran.err.contains(r#""expires":"2030-01-01T00:00:00Z""#), "{ran:?}");
    assert_ne!(run(&new).out, run(&new).out);
}

#[test]
fn records_for_spin_are_written_to_its_default_store() {
    let project = Project::new();
    let store = project.file(".spin/sqlite_key_value.db").display().to_string();
    let ran = run(&["publish", &quickstart(), "--to", "spin", "--store", &store, "--fixtures"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("3 keys of the fixtures"), "{ran:?}");
    std::fs::remove_file(project.file("dev/fixtures.yaml")).expect("a file");
    let other = project.file("other.db").display().to_string();
    let ran = run(&["publish", &project.path(), "--to", "spin", "--store", &other, "--fixtures"]);
    assert!(ran.code == Some(0) && ran.err.contains("no keys because the project has no fixtures"), "{ran:?}");
    let rows = rusqlite::Connection::open(store).expect("the store");
    let mut rows =
        rows.prepare("SELECT key FROM spin_key_value WHERE store = 'default' ORDER BY rowid").expect("a table");
    let keys: Vec<String> =
        rows.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("keys");
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert_eq!(keys.last().map(String::as_str), Some("quickstart:config:active"));
}

/// Creates a fake `npx` in a folder, which keeps what it is given and logs its arguments.
fn fake_npx(folder: &Path) {
    let script = r#"#!/usr/bin/env node
const fs = require("node:fs");
const [, , , what, does, name, ...rest] = process.argv.slice(1);
const log = process.env.NPX_LOG;
const file = (key) => `${log}.${key}`;
fs.appendFileSync(log, `${process.argv.slice(2).join(" ")}
`);
if (does === "put") {
  console.log("Success!");
  if (what === "key") fs.copyFileSync(rest[1], file(name));
  else {
    fs.appendFileSync(log, fs.readFileSync(name));
    for (const { key, value, base64 } of JSON.parse(fs.readFileSync(name, "utf8")))
      fs.writeFileSync(file(key), Buffer.from(value, base64 ? "base64" : "utf8"));
  }
} else if (does === "get") process.stdout.write(fs.readFileSync(file(name)));
else {
  const folder = require("node:path").dirname(log);
  const keys = fs.readdirSync(folder).filter((name) => name.startsWith("log.")).map((name) => name.slice(4));
  console.log(JSON.stringify(keys.filter((key) => key.startsWith(rest[0])).map((name) => ({ name }))));
}
"#;
    let npx = folder.join("npx");
    std::fs::write(&npx, script).expect("a script");
    assert!(Command::new("chmod").arg("+x").arg(&npx).status().is_ok_and(|status| status.success()));
}

fn published_to_cloudflare(words: &[&str]) -> (Ran, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fake_npx(folder.path());
    let log = folder.path().join("log");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = tollgate(&[&["publish", &quickstart(), "--to", "cloudflare"][..], words].concat());
    command.env("PATH", format!("{}:{path}", folder.path().display())).env("NPX_LOG", &log);
    let ran = Ran::of(command.output().expect("the program starts"));
    (ran, std::fs::read_to_string(log).unwrap_or_default())
}

#[test]
fn wrangler_gets_the_parts_first_and_the_pointer_in_a_separate_write() {
    let (ran, log) = published_to_cloudflare(&["--remote", "--binding", "RECORDS"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.is_empty() && ran.err.contains("Success!"), "wrangler's own words are no answer: {ran:?}");
    let calls: Vec<&str> = log.split("wrangler kv bulk put ").skip(1).collect();
    assert_eq!(calls.len(), 2, "{log}");
    let records = |call: &str| -> Vec<Value> {
        let (words, file) = call.split_once('\n').expect("a file");
        let file = file.split("wrangler ").next().unwrap_or_default();
        assert!(words.ends_with("--binding RECORDS --remote"), "{words}");
        assert!(!Path::new(words.split(' ').next().expect("its name")).exists(), "the file is left behind");
        serde_json::from_str(file).expect("a list")
    };
    assert_eq!(records(calls[0]).len(), 2);
    assert_eq!(records(calls[1])[0]["key"], json!("quickstart:config:active"));
    let read_back = log.find("wrangler kv key get quickstart:manifest:").expect("the manifest is read back");
    assert!(
        read_back < log.rfind("wrangler kv bulk put ").expect("the pointer"),
        "before the pointer is written: {log}"
    );
    assert!(ran.err.contains("$ npx wrangler kv bulk put "), "{ran:?}");
}

#[test]
fn wranglers_local_store_gets_binary_values_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    fake_npx(folder.path());
    let log = folder.path().join("log");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = tollgate(&["publish", &quickstart(), "--to", "cloudflare", "--fixtures"]);
    command.env("PATH", format!("{}:{path}", folder.path().display())).env("NPX_LOG", &log);
    let ran = Ran::of(command.output().expect("the program starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let said = std::fs::read_to_string(&log).expect("a log");
    assert!(!said.contains("base64"), "wrangler would put its bytes as text: {said}");
    assert!(said.contains("quickstart:credential:"), "{said}");
    let calls: Vec<&str> = said.lines().filter(|line| line.starts_with("wrangler ")).collect();
    assert!(calls.iter().all(|call| call.ends_with("--binding TOLLGATE_RECORDS --local")), "{calls:?}");
    let puts: Vec<&str> = calls.into_iter().filter(|call| call.contains(" put ")).collect();
    assert!(puts.last().is_some_and(|call| call.starts_with("wrangler kv bulk put ")), "the pointer: {puts:?}");

    let bundle = Ran::of(tollgate(&["bundle", &quickstart()]).output().expect("the program starts"));
    let records: Vec<Value> = serde_json::from_str(&bundle.out).expect("records");
    let binary: Vec<&Value> = records.iter().filter(|record| record["base64"] == true).collect();
    assert!(!binary.is_empty());
    for record in binary {
        let stored = std::fs::read(format!("{}.{}", log.display(), record["key"].as_str().expect("a key")));
        let value = BASE64_STANDARD.decode(record["value"].as_str().expect("a value")).expect("base64");
        assert_eq!(stored.expect("what was put"), value, "{}", record["key"]);
    }
}

#[test]
fn a_rollback_at_cloudflare_checks_that_the_namespace_still_has_the_bundle() {
    let folder = tempfile::tempdir().expect("a folder");
    fake_npx(folder.path());
    let log = folder.path().join("log");
    let path = std::env::var("PATH").unwrap_or_default();
    let publish = |words: &[&str]| {
        let mut command = tollgate(&[&["publish"][..], words, &["--to", "cloudflare", "--remote"]].concat());
        command.env("PATH", format!("{}:{path}", folder.path().display())).env("NPX_LOG", &log);
        Ran::of(command.output().expect("the program starts"))
    };
    let project = Project::new();
    assert_eq!(publish(&[&project.path()]).code, Some(0));
    project.edit("path: /public", "path: /open");
    assert_eq!(publish(&[&project.path()]).code, Some(0));
    let rollback = || publish(&["--rollback", "--gateway", "quickstart"]);
    let ran = rollback();
    assert!(ran.code == Some(0) && ran.err.contains("rolled back") && ran.err.contains("generation 3"), "{ran:?}");
    let parts = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let parts: Vec<_> = parts.filter(|file| file.file_name().to_string_lossy().contains(":part:")).collect();
    parts.iter().for_each(|part| std::fs::remove_file(part.path()).expect("a part"));
    let ran = rollback();
    assert!(ran.code == Some(1) && ran.err.contains("the store has no such record"), "{ran:?}");
}

#[test]
fn reading_a_missing_store_does_not_create_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("none.db");
    for place in ["native", "spin"] {
        let words = ["bundle", "show", "--from", place, "--gateway", "quickstart", "--store", &store.to_string_lossy()];
        let ran = Ran::of(tollgate(&words).output().expect("the program starts"));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("there is no store at"), "{ran:?}");
        assert!(!store.exists(), "{place}");
    }
}

#[test]
fn a_missing_npx_is_reported_with_what_to_install() {
    let mut command = tollgate(&["publish", &quickstart(), "--to", "cloudflare"]);
    command.env("PATH", "/nowhere");
    let ran = Ran::of(command.output().expect("the program starts"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("install Node.js"), "{ran:?}");
}

#[test]
fn certificates_of_the_gateway_are_checked_by_an_audit_and_at_the_start() {
    let project = Project::new();
    project.edit("\"http://127.0.0.1:8082\"", "{url: \"https://127.0.0.1:8082\", tls: {certificate: \"${secret.ECHO_CERTIFICATE}\", key: \"${secret.ECHO_KEY}\"}}");
    let secrets = project.file("secrets");
    std::fs::create_dir(&secrets).expect("a folder");
    let bind = |name: &str, text: &str| std::fs::write(secrets.join(name), text).expect("a file");
    let pair = || rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).expect("a certificate");
    let (ours, other) = (pair(), pair());
    bind("ECHO_CERTIFICATE", &ours.cert.pem());
    bind("ECHO_KEY", &ours.signing_key.serialize_pem());
    let folder = secrets.display().to_string();
    let path = project.path();
    let audit =
        |words: &[&str]| run(&[&["secrets", "audit", "--project", &path, "--secrets", &folder][..], words].concat());
    let sound = audit(&["--output", "json"]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    let found = &sound.json()["certificates"][0];
    assert_eq!(
        *found,
        json!({"certificate": "ECHO_CERTIFICATE", "ends": "4096-01-01T00:00:00.000Z", "fault": null, "used": ["upstream echo"]})
    );
    bind("ECHO_KEY", &other.signing_key.serialize_pem());
    let broken = audit(&[]);
    let fault = "the private key is not the one of the certificate in the secret `ECHO_CERTIFICATE`";
    assert_eq!(broken.code, Some(1));
    assert!(broken.err.contains(fault), "{broken:?}");
    let store = project.file("shop.db").display().to_string();
    assert_eq!(run(&["publish", &path, "--to", "native", "--store", &store]).code, Some(0));
    let words =
        ["serve", "--store", &store, "--gateway", "quickstart", "--listen", "127.0.0.1:0", "--secrets", &folder];
    let serving = Running::start(tollgate(&words));
    serving.word_after("listening on ");
    assert!(serving.err().contains(&format!("warning: requests to the upstream echo will fail: {fault}")));
    for (target, expected) in
        [("spin", "hosts = [\"127.0.0.1\"]"), ("workers-paid", "[[mtls_certificates]]\nbinding = \"ECHO_CERTIFICATE\"")]
    {
        let checked = run(&["check", &path, "--target", target]);
        assert!(checked.out.contains(expected), "{checked:?}");
    }
    assert!(!run(&["check", &path]).out.contains("ECHO_CERTIFICATE"));
}
