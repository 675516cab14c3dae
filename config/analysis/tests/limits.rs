//! Tests of the limits of target platforms.

use std::collections::BTreeSet;

use tollgate_analysis::bounds::exceeded_limits;
use tollgate_analysis::compile_str;
use tollgate_config::{Severity, Target};

/// A project with these numbers of secrets, routes and keys, and a limit for content.
fn project(target: &str, secrets: usize, routes: usize, keys: usize, body_limit: &str) -> String {
    let headers: Vec<_> = (0..secrets).map(|n| format!("X-{n}: \"${{secret.S{n}}}\"")).collect();
    let mut out = format!(
        "format: 1\ngateway: {{name: g, target: {target}}}\ntelemetry: {{otlp: {{endpoint: \"http://otlp\"}}}}\n\
        upstreams: {{u: {{url: \"http://u\", headers: {{{}}}}}}}\npolicies:\n",
        headers.join(", ")
    );
    (0..keys).for_each(|n| out.push_str(&format!("  k{n}: {{kind: api-key, header: X-K{n}}}\n")));
    let names: Vec<_> = (0..keys).map(|n| format!("k{n}")).collect();
    out.push_str(&format!(
        "apis:\n  a:\n    upstream: u\n    authn: {{any: [{}]}}\n    body-limit: {body_limit}\n    routes:\n",
        names.join(", ")
    ));
    // Long paths, so that few routes make a large record.
    let tail = if routes > 1 { "x".repeat(400) } else { String::new() };
    (0..routes)
        .for_each(|n| out.push_str(&format!("      - {{path: \"/r{n}{tail}\", methods: [GET], cache: {{}}}}\n")));
    out
}

#[track_caller]
fn check(text: &str, code: &str, severity: Severity, parts: &[&str]) {
    let found = match compile_str("tollgate.yaml", text) {
        Ok(compiled) => compiled.warnings().clone(),
        Err(found) => found,
    };
    let of_code: Vec<_> = found.iter().filter(|diagnostic| diagnostic.code.id() == code).collect();
    assert!(!of_code.is_empty() && of_code.iter().all(|d| d.severity == severity), "{found}");
    let is_reported =
        of_code.iter().any(|d| parts.iter().all(|part| format!("{} {} {}", d.what, d.why, d.fix).contains(part)));
    assert!(is_reported, "{parts:?} in {found}");
}

#[test]
fn a_gateway_that_can_exceed_a_limit_of_its_target_is_refused_with_the_numbers() {
    let secrets = project("workers-free", 64, 1, 1, "1MiB");
    check(
        &secrets,
        "TG0801",
        Severity::Error,
        &["64 secrets", "the limit of `workers-free` is 63", "split the gateway"],
    );
    let hooks = "policies:\n  hooks: {kind: webhook, sender: github, secret: \"${secret.HOOKS}\"}\n";
    let of_policy = project("workers-free", 63, 1, 1, "1MiB").replace("policies:\n", hooks);
    check(&of_policy, "TG0801", Severity::Error, &["64 secrets"]);
    let content = project("[native, workers-free]", 1, 1, 1, "96MiB");
    check(&content, "TG0801", Severity::Error, &["100663296 bytes", "100000000", "413", "body-limit", "95MiB"]);
    let record = project("spin", 1, 2_000, 1, "1MiB");
    check(&record, "TG0801", Severity::Error, &["the limit of `spin` is 1000000", "spinframework.dev"]);
}

#[test]
fn a_sum_that_may_be_too_large_is_reported_with_its_parts() {
    let parts = ["can make 57 subrequests in total", "may be 50", "30 record reads", "20 telemetry batches"];
    check(&project("workers-free", 1, 1, 22, "1MiB"), "TG0802", Severity::Warning, &parts);
}

#[test]
fn an_export_that_the_platform_ends_before_it_begins_is_refused() {
    let text = |target: &str, interval: &str| {
        project(target, 1, 1, 1, "1MiB").replace("\"http://otlp\"", &format!("\"http://otlp\", interval: {interval}"))
    };
    for target in ["workers-free", "workers-paid"] {
        let parts = ["3600 s", "30 s", "no batch would ever be sent", "20s or less", "waituntil"];
        check(&text(target, "1h"), "TG0801", Severity::Error, &parts);
        check(&text(target, "30s"), "TG0801", Severity::Error, &parts[1..]);
        check(&text(target, "21s"), "TG0802", Severity::Warning, &["one attempt to send a batch may take 10 s"]);
        let sound = compile_str("tollgate.yaml", &text(target, "20s")).expect("no limit is exceeded");
        assert!(sound.warnings().iter().all(|warning| !warning.code.id().starts_with("TG08")));
    }
    for target in ["spin", "native"] {
        let compiled =
            compile_str("tollgate.yaml", &text(target, "1h")).expect("the work after a reply is not limited");
        let exceeded = exceeded_limits(&compiled, &BTreeSet::from([Target::WorkersPaid]));
        assert!(exceeded.has_errors(), "{exceeded}");
    }
}

#[test]
fn usage_that_the_platform_never_lets_be_written_is_refused() {
    let text = |target: &str, every: &str| {
        project(target, 1, 1, 1, "1MiB").replace("telemetry: {", &format!("telemetry: {{usage: {{every: {every}}}, "))
    };
    for target in ["workers-free", "workers-paid"] {
        check(
            &text(target, "30s"),
            "TG0801",
            Severity::Error,
            &["30 s", "no exchange would ever write it", "25s or less"],
        );
        check(&text(target, "26s"), "TG0802", Severity::Warning, &["a write that fails is repeated for 5 s"]);
        let sound = compile_str("tollgate.yaml", &text(target, "25s")).expect("no limit is exceeded");
        assert!(sound.warnings().iter().all(|warning| !warning.code.id().starts_with("TG08")));
    }
    compile_str("tollgate.yaml", &text("native", "1h")).expect("the work after a reply is not limited");
}

#[test]
fn only_the_named_targets_are_checked() {
    for target in ["workers-paid", "spin", "native"] {
        let text = project(target, 64, 1, 30, "96MiB");
        let compiled = compile_str("tollgate.yaml", &text).expect("no limit is exceeded");
        assert!(compiled.warnings().iter().all(|warning| !warning.code.id().starts_with("TG08")));
        let exceeded = exceeded_limits(&compiled, &BTreeSet::from([Target::WorkersFree]));
        assert!(exceeded.has_errors() && exceeded.to_text(false).contains("TG0801"), "{exceeded}");
    }
}

#[test]
fn an_unknown_target_is_refused_with_a_list_of_targets() {
    check(&project("worker-free", 1, 1, 1, "1MiB"), "TG0210", Severity::Error, &["workers-free"]);
}

#[test]
fn trusted_proxies_are_checked_for_each_platform_that_is_asked_about() {
    let found = |proxies: &str, target: Target| {
        let text = format!(
            "format: 1\ngateway: {{name: g, authn: none, target: native, trusted-proxies: {proxies}}}\nupstreams: {{u: \"http://u\"}}\n\
             apis: {{a: {{upstream: u, routes: [{{path: /, methods: [GET]}}]}}}}\n"
        );
        let compiled = compile_str("tollgate.yaml", &text).expect("it compiles");
        assert!(compiled.warnings().is_empty(), "{}", compiled.warnings());
        let found = exceeded_limits(&compiled, &BTreeSet::from([target]));
        found.iter().map(|found| found.code.id()).collect::<Vec<_>>()
    };
    assert_eq!(found("1", Target::WorkersPaid), ["TG0431"]);
    assert_eq!(found("[10.0.0.0/8]", Target::WorkersFree), ["TG0430"]);
    assert_eq!(found("[192.0.2.0/24]", Target::WorkersPaid), [""; 0]);
    assert_eq!(found("1", Target::Spin), [""; 0]);
}

#[test]
fn certificates_that_differ_at_one_host_are_found_for_spin() {
    let found = |other: &str, target: Target| {
        let text = format!(
            "format: 1\ngateway: {{name: g, authn: none}}\napis:\n  \
             a: {{upstream: a, routes: [{{path: /a, methods: [GET]}}]}}\n  b: {{upstream: b, routes: [{{path: /b, methods: [GET]}}]}}\n\
             upstreams:\n  a: {{url: \"https://u:8443\", tls: {{certificate: \"${{secret.A}}\"}}}}\n  b: {other}\n"
        );
        let compiled = compile_str("tollgate.yaml", &text).unwrap_or_else(|found| unreachable!("{text}{found}"));
        let found = exceeded_limits(&compiled, &BTreeSet::from([target]));
        found.iter().map(|found| found.code.id()).collect::<Vec<_>>()
    };
    let presenting =
        |url: &str, name: &str| format!("{{url: \"{url}\", tls: {{certificate: \"${{secret.{name}}}\"}}}}");
    assert_eq!(found(&presenting("https://u", "B"), Target::Spin), ["TG0351"]);
    assert_eq!(found("\"https://u/none\"", Target::Spin), ["TG0351"]);
    for sound in [presenting("https://u", "A"), presenting("https://v", "B"), "\"http://u\"".to_owned()] {
        assert_eq!(found(&sound, Target::Spin), [""; 0], "{sound}");
    }
    assert_eq!(found(&presenting("https://u", "B"), Target::WorkersPaid), [""; 0]);
}
