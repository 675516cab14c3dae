//! `tollgate product`, `plan`, `subscription` and `grant` in the stores of native and Spin.

mod support;

use std::path::Path;

use serde_json::json;
use support::{Ran, example, run, tollgate};

/// A folder with a store of each host, in which examples/tiers is published.
struct Stores(tempfile::TempDir);

impl Stores {
    fn published() -> Self {
        let stores = Self(tempfile::tempdir().expect("a folder"));
        for host in ["native", "spin"] {
            let ran = run(&["publish", &example("tiers"), "--to", host, "--store", &stores.of(host)]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        stores
    }

    fn of(&self, host: &str) -> String {
        Path::join(self.0.path(), format!("{host}.db")).display().to_string()
    }

    fn ask(&self, host: &str, words: &[&str]) -> Ran {
        run(&[words, &["--gateway", "tiers", "--to", host, "--store", &self.of(host)]].concat())
    }

    #[track_caller]
    fn done(&self, host: &str, words: &[&str]) -> Ran {
        let ran = self.ask(host, words);
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        ran
    }

    #[track_caller]
    fn refused(&self, host: &str, words: &[&str], why: &str) {
        let ran = self.ask(host, words);
        assert!(ran.code == Some(1) && ran.err.contains(why), "{words:?}: {ran:?}");
    }
}

const NEW: [&str; 6] = ["subscription", "new", "--consumer", "acme", "--product", "maps"];

#[test]
fn what_is_written_is_listed_changed_and_ended() {
    let stores = Stores::published();
    for host in ["native", "spin"] {
        let done = |words: &[&str]| stores.done(host, words);
        done(&["product", "set", "maps", "--api", "maps", "--title", "Maps"]);
        done(&["plan", "set", "team", "--product", "maps", "--limit", "monthly=5000", "--limit", "burst=100/s:200"]);
        done(&["plan", "set", "large", "--product", "maps", "--limit", "monthly=50000"]);
        assert!(done(&["product", "list"]).out.contains("large team"), "{:?}", done(&["product", "list"]));
        assert!(done(&["plan", "list"]).out.contains("monthly=5000 burst=100/s:200"));
        done(&[&NEW[..], &["--plan", "team"]].concat());
        stores.refused(host, &[&NEW[..], &["--plan", "team"]].concat(), "is subscribed to maps already");
        done(&["subscription", "change", "--consumer", "acme", "--product", "maps", "--plan", "large"]);
        let shown =
            done(&["subscription", "show", "--consumer", "acme", "--product", "maps", "--output", "json"]).json();
        assert_eq!((&shown["plan"], shown["id"].as_str().map(str::len)), (&json!("large"), Some(16)));
        let grant = [
            "grant",
            "new",
            "--consumer",
            "acme",
            "--limit",
            "monthly",
            "--raise",
            "150%",
            "--for",
            "7d",
            "--why",
            "launch",
        ];
        let id = done(&grant).out.trim().to_owned();
        let listed = done(&["grant", "list"]).out;
        assert!(listed.contains(&id) && listed.contains("active") && listed.contains("7 d"), "{listed}");
        done(&["grant", "revoke", &id, "--consumer", "acme"]);
        assert!(done(&["grant", "list", "--consumer", "acme"]).out.contains("revoked"));
        done(&["subscription", "end", "--consumer", "acme", "--product", "maps"]);
        assert!(done(&["subscription", "list"]).out.contains("ended"));
        done(&["plan", "remove", "large"]);
        done(&["plan", "remove", "team"]);
        done(&["product", "remove", "maps"]);
        assert_eq!(done(&["product", "list", "--output", "json"]).json(), json!([]));
    }
}

#[test]
fn what_is_in_use_is_removed_only_by_force_and_lists_tell_what_is_gone() {
    let stores = Stores::published();
    for host in ["native", "spin"] {
        let done = |words: &[&str]| stores.done(host, words);
        let listed = || done(&["subscription", "list"]).out;
        let which = ["--consumer", "acme", "--product", "maps"];
        done(&["product", "set", "maps", "--api", "maps"]);
        done(&["plan", "set", "team", "--product", "maps", "--limit", "monthly=5000"]);
        done(&[&NEW[..], &["--plan", "team"]].concat());
        assert!(!listed().contains("gone"));
        stores.refused(host, &["plan", "remove", "team"], "The plan team is in use by 1 subscription: acme to maps.");
        done(&["plan", "remove", "team", "--force"]);
        assert!(listed().contains("active, plan gone"), "{}", listed());
        assert_eq!(done(&["subscription", "list", "--output", "json"]).json()[0]["gone"], "plan");
        assert_eq!(
            done(&[&["subscription", "show", "--output", "json"][..], &which[..]].concat()).json()["gone"],
            "plan"
        );
        // One of the configuration.
        done(&[&["subscription", "change", "--plan", "pro"][..], &which[..]].concat());
        assert!(!listed().contains("gone"), "{}", listed());
        stores.refused(
            host,
            &["product", "remove", "maps"],
            "The product maps is in use by 1 subscription: acme to maps.",
        );
        done(&["product", "remove", "maps", "--force"]);
        assert!(listed().contains("active, product gone"), "{}", listed());
        done(&[&["subscription", "end"][..], &which[..]].concat());
        assert!(listed().contains("ended") && !listed().contains("gone"), "{}", listed());
    }
}

#[test]
fn a_new_version_says_what_it_replaces() {
    let stores = Stores::published();
    let done = |words: &[&str]| stores.done("native", words).err;
    let replaced = |words: &[&str], what: &str| {
        let told = done(words);
        assert!(told.contains(&format!("replaced: {what}\n")), "{told}");
    };
    done(&["product", "set", "maps", "--api", "maps", "--title", "Maps"]);
    replaced(&["product", "set", "maps", "--api", "maps"], "the title Maps is removed");
    let set = ["plan", "set", "team", "--product", "maps", "--limit", "monthly=5000"];
    assert!(!done(&[&set[..], &["--limit", "burst=100/s:200"]].concat()).contains("replaced"));
    replaced(&set, "burst=100/s:200 is removed");
    assert!(!done(&set).contains("replaced"));
    replaced(
        &["plan", "set", "team", "--limit", "monthly=7"],
        "monthly=5000 is monthly=7 now, the product maps is removed",
    );
}

#[test]
fn a_grant_that_raises_nothing_is_told_and_grants_list_who_validated_them() {
    let stores = Stores::published();
    let give = |more: &[&str]| {
        let words = ["grant", "new", "--consumer", "acme", "--limit", "monthly", "--why", "launch"];
        stores.done("native", &[&words[..], more].concat()).err
    };
    let told = give(&["--raise", "1000", "--for", "1d"]);
    assert!(told.contains("warning: acme has no subscription, and without a plan 1000 of monthly anyway"), "{told}");
    stores.done("native", &["product", "set", "maps", "--api", "maps"]);
    stores.done("native", &[&NEW[..], &["--plan", "pro"]].concat());
    let told = give(&["--raise", "100000", "--for", "1d"]);
    assert!(told.contains("by its subscription to maps, plan pro, acme has 100000 of monthly anyway"), "{told}");
    let told = give(&["--raise", "100001", "--for", "2w", "--validated-by", "grace"]);
    assert!(!told.contains("warning"), "{told}");
    let listed = stores.done("native", &["grant", "list"]).out;
    assert!(listed.contains("VALIDATED BY") && listed.contains("grace") && listed.contains("14 d"), "{listed}");
    let plus =
        ["grant", "new", "--consumer", "a", "--limit", "monthly", "--raise", "+5000", "--why", "x", "--for", "1d"];
    stores.refused("native", &plus, "is raised to, not by how much");
}

#[test]
fn what_hides_a_mistake_is_refused() {
    let stores = Stores::published();
    let refused = |words: &[&str], why: &str| stores.refused("native", words, why);
    refused(&["product", "set", "maps", "--api", "mapps"], "no API mapps");
    refused(&["plan", "set", "team", "--limit", "montly=5"], "no limit montly with `at-most`");
    refused(&["plan", "set", "team", "--limit", "monthly=30000000"], "more than the 20000000");
    refused(&["plan", "set", "team", "--product", "maps"], "no product maps");
    refused(&[&NEW[..], &["--plan", "pro"]].concat(), "no product maps");
    let grant = |more: &[&str]| {
        let words = ["grant", "new", "--consumer", "a", "--limit", "monthly", "--raise", "2000", "--why", "x"];
        [&words[..], more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let ran = run(&["key", "new", "--consumer", "a", "--limit", "parallel=5", "--project", &example("tiers")]);
    assert!(ran.code == Some(1) && ran.err.contains("no limit parallel with `at-most`"), "{ran:?}");
    let words = grant(&["--until", "2020-01-01T00:00:00Z"]);
    refused(&words.iter().map(String::as_str).collect::<Vec<_>>(), "in the past");
    let ran = run(&grant(&[]).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ran.code, Some(2), "a grant without an end: {ran:?}");
}

#[test]
fn commands_at_the_same_time_lose_nothing() {
    let stores = Stores::published();
    for host in ["native", "spin"] {
        let store = stores.of(host);
        let place = ["--gateway", "tiers", "--to", host, "--store", &store];
        let grant = |number: u32| {
            let raise = (1_000 + number).to_string();
            let words =
                ["grant", "new", "--consumer", "acme", "--limit", "monthly", "--for", "1d", "--why", "x", "--raise"];
            tollgate(&[&words[..], &[raise.as_str()], &place].concat()).spawn().expect("the program starts")
        };
        let running: Vec<_> = (0..8).map(grant).collect();
        for mut child in running {
            assert!(child.wait().expect("it runs to its end").success(), "{host}");
        }
        let listed = stores.done(host, &["grant", "list", "--consumer", "acme", "--output", "json"]).json();
        assert_eq!(listed.as_array().map(Vec::len), Some(8), "{host}: {listed}");
    }
}
