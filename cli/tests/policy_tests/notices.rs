//! Notices of limits: what receivers are told, and what a test expects of it.

use serde_json::Value;

use crate::Tested;

const PROJECT: &str = r#"
format: 1
gateway:
  name: acme
  authn: none
  notify:
    - {url: "https://ops.example.com/limits", secret: "${secret.NOTIFY}"}
    - {url: "https://sales.example.com", secret: "${secret.NOTIFY}"}
upstreams: {pets: "http://pets.internal"}
policies:
  keys: {kind: api-key}
  daily: {kind: quota, quota: 10, window: day, warn: [50%, 100%]}
  all: {kind: quota, quota: 20, window: day, by: gateway, warn: [25%]}
  silent: {kind: quota, quota: 20, window: day}
plans: {gold: {limits: {daily: {quota: 20}}}}
apis:
  shop: {upstream: pets, authn: keys, limit: [daily, all, silent], routes: [{path: /a, methods: [GET]}]}
"#;

const HEAD: &str =
    "format: 1\nclock: 2026-01-31T12:00:00Z\nconsumers: [{id: acme, keys: [k1]}, {id: shop, plan: gold, keys: [k2]}]\n";

fn tested(steps: &[&str], fetches: &str) -> Tested {
    let steps: String = steps.iter().map(|step| format!("  - {step}\n")).collect();
    Tested::new(PROJECT).file("t", &format!("{HEAD}{fetches}cases:\n- name: notices\n  steps:\n{steps}"))
}

#[track_caller]
fn passes(steps: &[&str], fetches: &str) {
    let ran = tested(steps, fetches).run(&[]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
}

/// The one difference between a step's expectation and what happened.
#[track_caller]
fn fails(step: &str, (what, expected, got): (&str, &str, &str)) {
    let steps = ["{request: GET /a, key: k1, repeat: 4, each: {notices: []}}", step];
    let report = tested(&steps, "").run(&["--output", "json"]).json();
    let mismatches = &report["files"][0]["tests"][0]["failure"]["mismatches"];
    assert_eq!(mismatches.as_array().map(Vec::len), Some(1), "{step}: {report:#}");
    let text = |name: &str| mismatches[0][name].as_str().unwrap_or_default().to_owned();
    assert_eq!((text("what"), text("expected"), text("got")), (what.into(), expected.into(), got.into()), "{step}");
}

const REACHED: &str = "{request: GET /a, key: k1, expect: {status: 200, notices: [{limit: all, share: 25%, consumer: none}, \
                       {limit: daily, share: 50%, consumer: acme, plan: none, used: 5, quota: 10}]}}";

#[test]
fn receivers_take_every_notice_and_no_time_passes() {
    passes(
        &[
            "{request: GET /a, key: k1, repeat: 4, each: {notices: []}}",
            REACHED,
            "{request: GET /a, key: k2, repeat: 9, each: {status: 200, notices: []}}",
            "{request: GET /a, key: k2, expect: {notices: [{limit: daily, share: 50%, consumer: shop, plan: gold, quota: 20}]}}",
            // The clock has not passed this instant.
            "{at: 2026-01-31T12:00:00Z}",
        ],
        "",
    );
}

#[test]
fn a_receiver_that_fails_is_told_again_and_its_notice_is_one() {
    let fetches =
        "fetches: {\"https://ops.example.com/limits\": [{status: 503}, {fail: connection_refused}, {status: 200}]}\n";
    let four = "{request: GET /a, key: k1, repeat: 4}";
    passes(&[four, REACHED, "{request: GET /a, key: k1, expect: {status: 200, notices: []}}"], fetches);
    let late = tested(&[four, REACHED, "{at: 2026-01-31T12:00:00Z}"], fetches).run(&[]);
    assert_eq!(late.code, Some(1), "attempts are apart: {}", late.out);
}

#[test]
fn what_is_not_told_as_expected_is_reported() {
    let step = |notices: &str| format!("{{request: GET /a, key: k1, expect: {{notices: {notices}}}}}");
    let both = |more: &str| step(&format!("[{{limit: daily, share: 50%{more}}}, {{limit: all, share: 25%}}]"));
    let told = "all 25%, daily 50%";
    fails(&step("[]"), ("notices", "none", told));
    fails(&step("[{limit: daily, share: 50%}]"), ("notices", "daily 50%", told));
    fails(&step("[{limit: daily, share: 100%}, {limit: all, share: 25%}]"), ("notices", "all 25%, daily 100%", told));
    fails(&both(", consumer: shop"), ("notices.daily.consumer", "shop", "acme"));
    fails(&both(", plan: gold"), ("notices.daily.plan", "gold", "none"));
    fails(&both(", used: 6"), ("notices.daily.used", "6", "5"));
    fails(&both(", quota: 11"), ("notices.daily.quota", "11", "10"));
}

#[test]
fn notices_that_are_never_sent_are_mistakes() {
    let codes = |project: &str, notice: &str| {
        let step = format!("{{request: GET /a, key: k1, expect: {{notices: [{notice}]}}}}");
        let file = format!("{HEAD}cases:\n- name: a\n  steps:\n  - {step}\n");
        let report = Tested::new(project).file("t", &file).run(&["--output", "json"]).json();
        let found = report["files"][0]["diagnostics"].as_array().cloned().unwrap_or_default();
        found.iter().map(|one| (one["code"].clone(), one["fix"].clone())).collect::<Vec<(Value, Value)>>()
    };
    let nobody = PROJECT
        .replace("  notify:\n", "")
        .lines()
        .filter(|line| !line.contains("NOTIFY"))
        .collect::<Vec<_>>()
        .join("\n");
    for (project, notice, code, fix) in [
        (PROJECT, "{limit: dayly, share: 50%}", "TG0909", "did you mean `daily`?"),
        (PROJECT, "{limit: daily, share: 80%}", "TG0904", "write one of the shares of its `warn`: `50%` and `100%`"),
        (PROJECT, "{limit: silent, share: 80%}", "TG0904", "add `warn: [80%]` to the limit"),
        (nobody.as_str(), "{limit: daily, share: 50%}", "TG0904", "add `notify` to `gateway`, or write `notices: []`"),
        (PROJECT, "{limit: daily, share: 0.5}", "TG0202", "write `50%`: a share is in percent"),
        (PROJECT, "{limit: daily, share: half}", "TG0904", "write a share of the limit's `warn`, such as `80%`"),
    ] {
        assert_eq!(codes(project, notice), [(code.into(), fix.into())], "{notice}");
    }
}
