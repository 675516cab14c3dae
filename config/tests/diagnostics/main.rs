//! Every mistake is reported with its code and its position.

mod credentials;
mod routes;

use tollgate_analysis::{compile_dir, compile_str};
use tollgate_config::{Code, Diagnostics, Severity};

/// A project without mistakes, to which tests add mistakes.
const RIGHT: &str = "\
format: 1
gateway: {name: acme, authn: none}
upstreams:
  pets: \"http://127.0.0.1:9000\"
policies: {keys: {kind: api-key}, burst: {kind: rate-limit, rate: 5/s}}
apis:
  used: {upstream: pets, routes: [{path: /used, authn: keys, limit: burst}]}
";

/// The lines of [`RIGHT`].
const RIGHT_LINES: u32 = 7;

fn findings(text: &str) -> Diagnostics {
    match compile_str("tollgate.yaml", text) {
        Ok(compiled) => compiled.warnings().clone(),
        Err(found) => {
            assert!(found.has_errors(), "refused without an error:\n{found}");
            found
        }
    }
}

#[track_caller]
fn check_found(found: &Diagnostics, expected: &[(&str, u32, u32)]) {
    let places: Vec<_> = found.iter().map(|d| (d.code.id(), d.span.start.line, d.span.start.column)).collect();
    assert_eq!(places, expected, "\n{found}");
    for finding in found {
        assert!(!finding.what.is_empty() && !finding.why.is_empty() && !finding.fix.is_empty(), "{finding:?}");
    }
}

/// Checks a whole project.
#[track_caller]
fn check(text: &str, expected: &[(&str, u32, u32)]) {
    check_found(&findings(text), expected);
}

/// The project without mistakes and further APIs.
fn with_apis(apis: &str) -> String {
    let indented: String = apis.lines().map(|line| format!("  {line}\n")).collect();
    format!("{RIGHT}{indented}")
}

/// Checks the project with further APIs; lines and columns are counted within the added text.
#[track_caller]
fn check_api(apis: &str, expected: &[(&str, u32, u32)]) {
    let expected: Vec<_> =
        expected.iter().map(|(code, line, column)| (*code, RIGHT_LINES + line, 2 + column)).collect();
    check(&with_apis(apis), &expected);
}

#[test]
fn a_project_without_mistakes_has_no_findings() {
    assert_eq!(RIGHT.lines().count(), 7);
    check_api("", &[]);
}

#[test]
fn keys_and_types_of_a_project_are_checked() {
    check("[]\n", &[("TG0202", 1, 1)]);
    check("gateway: {name: a}\n", &[("TG0203", 1, 1), ("TG0406", 1, 1)]);
    check("format: 2\ngateway: {name: a}\n", &[("TG0406", 1, 1), ("TG0204", 1, 9)]);
    check("format: \"1\"\ngateway: {name: a}\n", &[("TG0406", 1, 1), ("TG0204", 1, 9)]);
    check("format: 1\n", &[("TG0203", 1, 1), ("TG0406", 1, 1)]);
    check("format: 1\ngateway: {}\n", &[("TG0406", 1, 1), ("TG0203", 2, 10)]);
    check("format: 1\ngatway: {name: a}\n", &[("TG0203", 1, 1), ("TG0406", 1, 1), ("TG0201", 2, 1)]);
    check("format: 1\ngateway:\n", &[("TG0406", 1, 1), ("TG0212", 2, 1)]);
    check("$schema: x\nformat: 1\ngateway: {name: a}\n", &[("TG0406", 1, 1)]);
    for name in ["A", "1a", "a b", "\"\"", "a:b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        check(&format!("format: 1\ngateway: {{name: {name}}}\n"), &[("TG0406", 1, 1), ("TG0205", 2, 17)]);
    }
}

#[test]
fn invalid_yaml_is_refused_at_the_syntax_error() {
    check("format: 1\ngateway: {name: a\n", &[("TG0102", 3, 1)]);
    check("format: 1\n\tgateway: 1\n", &[("TG0102", 2, 1)]);
    check_api("a: {upstream: pets, routes: [{path: /{x}}]}", &[("TG0102", 1, 38)]);
}

#[test]
fn quantities_are_checked() {
    let gateway = |member: &str| format!("format: 1\ngateway:\n  name: a\n  {member}\n");
    let found = |member: &str, code, column| check(&gateway(member), &[("TG0406", 1, 1), (code, 4, column)]);
    found("timeout: 10", "TG0206", 12);
    found("timeout: 10x", "TG0206", 12);
    found("timeout: 0s", "TG0209", 12);
    found("timeout: [1]", "TG0202", 12);
    found("timeout: nome", "TG0206", 12);
    found("connect-timeout: none", "TG0206", 20);
    found("body-limit: 10MB", "TG0207", 15);
    found("trusted-proxies: true", "TG0202", 20);
    found("trusted-proxies: 10.0.0.0/8", "TG0202", 20);
    found("trusted-proxies: 0", "TG0209", 20);
    found("trusted-proxies: []", "TG0212", 20);
    found("trusted-proxies: [10.0.0.1/8]", "TG0313", 21);
    found("trusted-proxies: [\"::/0\"]", "TG0431", 21);
    found("trusted-proxies: 1\n  target: [spin, workers-free]", "TG0431", 20);
    found("trusted-proxies: [10.0.0.0/8, \"fd00::/8\"]\n  target: workers-paid", "TG0430", 20);
    for sound in
        ["trusted-proxies: 1\n  target: native", "trusted-proxies: [10.0.0.0/8, 192.0.2.1]\n  target: workers-paid"]
    {
        check(&gateway(sound), &[("TG0406", 1, 1)]);
    }
    found("proxy-field: forwarded", "TG0203", 3);
    found("trust-forwarded: true", "TG0201", 3);
    found("hosts: []", "TG0212", 10);
    found("hosts: x.org", "TG0202", 10);
    found("hosts: [x.org, X.org.]", "TG0213", 18);
    found("hosts: [\"a.*\"]", "TG0305", 11);
    found("hosts: [\"http://a\"]", "TG0305", 11);
    found("hosts: [1]", "TG0202", 11);
}

#[test]
fn telemetry_is_checked() {
    let text = |otlp: &str| format!("format: 1\ngateway: {{name: a}}\ntelemetry:\n  otlp: {otlp}\n");
    check(&text("{}"), &[("TG0406", 1, 1), ("TG0203", 4, 9)]);
    check(&text("{endpoint: collector}"), &[("TG0406", 1, 1), ("TG0304", 4, 20)]);
    check(&text("{endpoint: \"http://c\", headers: {a b: c}}"), &[("TG0406", 1, 1), ("TG0308", 4, 42)]);
    check(&text("{endpoint: \"http://c\", headers: {a: \"${secret.}\"}}"), &[("TG0406", 1, 1), ("TG0211", 4, 45)]);
    check(&text("{endpoint: \"http://c\", interval: 1}"), &[("TG0406", 1, 1), ("TG0206", 4, 42)]);
}

#[test]
fn what_belongs_to_the_operator_endpoint_is_not_a_projects() {
    let text = |header: &str| {
        format!(
            "format: 1\ngateway: {{name: a}}\nupstreams:\n  u: {{url: \"http://u\", headers: {{X-A: \"{header}\"}}}}\n"
        )
    };
    for name in ["TOLLGATE_OPERATOR_READ", "TOLLGATE_OPERATOR_X"] {
        let found = findings(&text(&format!("Bearer ${{secret.{name}}}")));
        let found = found.iter().find(|found| found.code == Code::BadField).expect("it is found");
        assert!(found.what.contains(name) && found.span.start.line == 4, "{found:?}");
    }
    assert!(!findings(&text("${secret.TOLLGATE_OPERATORS}")).iter().any(|f| f.code == Code::BadField));
    let routes = "[{path: /.tollgate/v1/x, methods: [GET]}, {path: \"/.tollgate/{*rest}\", methods: [GET]}]";
    check_api(&format!("a: {{upstream: pets, routes: {routes}}}"), &[("TG0412", 1, 37), ("TG0412", 1, 78)]);
    check_api(
        "a: {upstream: pets, routes: [{path: /.tollgates, methods: [GET]}, {path: /x/.tollgate, methods: [GET]}]}",
        &[],
    );
    check_api("a: {upstream: pets, base: /.tollgate, routes: [{path: /x, methods: [GET]}]}", &[("TG0412", 1, 55)]);
}

#[test]
fn upstreams_are_checked() {
    let text = |upstream: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none}}\nupstreams:\n  u: {upstream}\napis: {{a: {{upstream: u, routes: [{{path: /, methods: [GET]}}]}}}}\n"
        )
    };
    let found = |upstream: &str, code, column| check(&text(upstream), &[(code, 4, column)]);
    check(&text("{url: \"https://u:8443/base\", headers: {X-A: \"Bearer ${secret.A}\"}}"), &[]);
    found("{}", "TG0203", 3);
    found("ftp://u", "TG0304", 6);
    found("\"http://user:pw@u\"", "TG0304", 6);
    found("{url: \"http://u/#x\"}", "TG0304", 12);
    found("{url: \"http://u\", headers: {Host: x}}", "TG0308", 34);
    found("{url: \"http://u\", headers: {X-A: x, x-a: z}}", "TG0213", 42);
    found("{url: \"http://u\", headers: {X-A: \"a\\nb\"}}", "TG0308", 39);
    found("{url: \"http://u\", headers: {X-A: 1}}", "TG0202", 39);
    found("{url: \"http://u\", time-out: 1s}", "TG0201", 24);
    found("[]", "TG0202", 6);
}

#[test]
fn policies_are_checked() {
    let text = |policy: &str| {
        format!(
            "format: 1\ngateway: {{name: a, authn: none}}\nupstreams: {{u: \"http://u\"}}\npolicies:\n  p: {policy}\napis: {{a: {{upstream: u, routes: [{{path: /, methods: [GET]}}]}}}}\n"
        )
    };
    let found = |policy: &str, code, column| check(&text(policy), &[(code, 5, column)]);
    found("{kind: api-key}", "TG0407", 3);
    found("{kind: apikey}", "TG0210", 13);
    found("{rate: 5/s}", "TG0203", 3);
    found("{kind: api-key, header: \"a b\"}", "TG0308", 30);
    found("{kind: api-key, header: Transfer-Encoding}", "TG0308", 30);
    found("{kind: api-key, scheme: \"a b\"}", "TG0308", 30);
    found("{kind: api-key, query: a&b}", "TG0311", 29);
    found("{kind: api-key, rate: 5/s}", "TG0201", 22);
    found("{kind: rate-limit}", "TG0203", 3);
    found("{kind: rate-limit, rate: 5}", "TG0208", 31);
    found("{kind: rate-limit, rate: 0/s}", "TG0208", 31);
    found("{kind: rate-limit, rate: 5/s, burst: 0}", "TG0209", 43);
    found("{kind: rate-limit, rate: 5/s, burst: 1.5}", "TG0202", 43);
    found("{kind: rate-limit, rate: 1/d, burst: 4000000000}", "TG0209", 31);
    found("{kind: rate-limit, rate: 5/s, by: ip}", "TG0352", 40);
    found("{kind: rate-limit, rate: 5/s, on-unavailable: close}", "TG0210", 52);
}

#[test]
fn projects_above_the_size_limits_are_refused() {
    let many = |from: usize, to: usize, item: &str| -> String {
        (from..to).map(|n| item.replace("NNNN", &format!("{n:04}"))).collect::<Vec<_>>().join(", ")
    };
    let list = many(0, 33, "pNNNN");
    check_api(&format!("a: {{upstream: pets, limit: [{list}], routes: [{{path: /}}]}}"), &[("TG0409", 1, 28)]);
    let list = many(0, 10_001, "hNNNN.org");
    check_api(&format!("a: {{upstream: pets, hosts: [{list}], routes: [{{path: /}}]}}"), &[("TG0409", 1, 28)]);
    let ties = many(0, 1_001, "{path: \"/{x}NNNN\"}");
    let found = findings(&with_apis(&format!("a: {{upstream: pets, routes: [{ties}]}}")));
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::TooMany]);
    let headers = many(0, 65, "X-NNNN: a");
    let text =
        format!("format: 1\ngateway: {{name: a}}\nupstreams: {{u: {{url: \"http://u\", headers: {{{headers}}}}}}}\n");
    assert!(findings(&text).iter().any(|d| d.code == Code::TooMany));
}

#[test]
fn one_bad_api_does_not_hide_the_mistakes_of_another() {
    check_api(
        "a: {upstream: nowhere, colour: red, routes: [{path: x}]}\nb: {upstream: pets, routes: [{path: /, methods: [get]}]}",
        &[("TG0301", 1, 15), ("TG0201", 1, 24), ("TG0306", 1, 53), ("TG0307", 2, 50)],
    );
}

#[test]
fn a_folder_without_a_project_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let found = compile_dir(folder.path()).unwrap_err();
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::UnreadableFile]);
    std::fs::write(folder.path().join("tollgate.yaml"), "format: 1\n").unwrap();
    std::fs::write(folder.path().join("tollgate.json"), "{}").unwrap();
    let found = compile_dir(folder.path()).unwrap_err();
    assert!(found.to_string().contains("both `tollgate.json` and `tollgate.yaml` exist"), "{found}");
}

#[test]
fn a_finding_is_printed_with_its_source_line() {
    let text = "format: 1\ngateway: {name: a}\nupstreams: {pets: \"http://u\"}\napis:\n  a:\n    upstream: pet\n    authn: none\n    routes: [{path: /}]\n";
    let expected = "\
error[TG0301]: upstream `pet` is not defined
 --> tollgate.yaml:6:15
  |
6 |     upstream: pet
  |               ^^^
  |
  = why: every name that is used must be defined
  = fix: did you mean `pets`?

1 error
";
    assert_eq!(findings(text).to_string(), expected);
}

#[test]
fn findings_as_json_are_as_complete_as_the_text() {
    let text = "format: 1\ngateway: {name: a}\na: 1\na: 2\n";
    let found = findings(text).to_json();
    let duplicate = found.as_array().unwrap().iter().find(|d| d["code"] == "TG0103").unwrap();
    assert_eq!(duplicate["severity"], "error");
    assert_eq!(
        duplicate["location"],
        serde_json::json!({"file": "tollgate.yaml", "line": 4, "column": 1, "endLine": 4, "endColumn": 2})
    );
    assert_eq!(duplicate["related"][0]["location"]["line"], 3);
    assert!(["what", "why", "fix"].iter().all(|key| duplicate[key].as_str().is_some_and(|text| !text.is_empty())));
}

#[test]
fn control_characters_of_the_project_are_not_printed() {
    let found = findings("format: 1\ngateway: {name: \"a\\e[31m\"}\n\"\\e]0;x\\a\": 1\n");
    let text = found.to_string();
    assert!(found.has_errors() && !text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

#[test]
fn a_project_with_warnings_compiles() {
    let text = "format: 1\ngateway: {name: a}\nupstreams: {u: \"http://u\"}\napis: {a: {upstream: u, routes: [{path: /, methods: [GET]}]}}\n";
    let compiled = compile_str("tollgate.yaml", text).unwrap();
    assert!(compiled.warnings().iter().all(|d| d.severity == Severity::Warning));
    assert_eq!(compiled.warnings().len(), 1);
}
