//! Values and environments: a value is declared with a type, assigned by environments, and used as a whole setting.

use std::collections::BTreeMap;

use tollgate_analysis::{check as check_all, compile};
use tollgate_config::{Code, Compiled, Diagnostics, Options, Project};

const ROOT: &str = "\
format: 1
gateway: {name: acme, authn: none, hosts: \"${value.hosts}\", timeout: \"${value.patience}\"}
values:
  hosts: {type: hosts, default: [\"*\"]}
  patience: {type: duration, default: 10s}
  pets-url: {type: url}
upstreams:
  pets: {url: \"${value.pets-url}\"}
apis:
  pets: {upstream: pets, routes: [{path: /pets, methods: [GET]}]}
";

const DEV: &str = "format: 1\nvalues: {pets-url: \"http://127.0.0.1:9000\"}\n";
const PROD: &str = "format: 1\nvalues:\n  pets-url: \"https://pets.internal\"\n  hosts: [api.example.com, www.example.com]\n  patience: 1s\n";

fn project(list: &[(&str, &str)]) -> Project {
    let files: BTreeMap<_, _> = list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    Project::of(files)
}

fn usual_project() -> Project {
    project(&[("tollgate.yaml", ROOT), ("env/dev.yaml", DEV), ("env/prod.yaml", PROD)])
}

#[track_caller]
fn compiled(project: &Project, environment: &str) -> Compiled {
    compile(project, &Options::of_environment(environment)).expect("a project that compiles")
}

fn found(project: &Project, environment: Option<&str>) -> Diagnostics {
    let options = environment.map_or_else(Options::default, Options::of_environment);
    compile(project, &options).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// Checks the findings: code, file and line.
#[track_caller]
fn check(found: &Diagnostics, expected: &[(&str, &str, u32)]) {
    let places: Vec<_> = found.iter().map(|d| (d.code.id(), found.file_of(d), d.span.start.line)).collect();
    assert_eq!(places, expected, "\n{found}");
}

#[test]
fn an_environment_assigns_values_and_defaults_apply_to_the_others() {
    let project = usual_project();
    assert_eq!(project.environments(), ["dev", "prod"]);
    let shown = |compiled: &Compiled| {
        let route = &compiled.routes()[0];
        let hosts: Vec<_> = route.hosts.iter().map(ToString::to_string).collect();
        (hosts.join(" "), route.settings.timeout_ms, compiled.upstreams()[0].url.to_string())
    };
    assert_eq!(shown(&compiled(&project, "dev")), ("*".to_owned(), Some(10_000), "http://127.0.0.1:9000".to_owned()));
    let prod = compiled(&project, "prod");
    assert_eq!(
        shown(&prod),
        ("api.example.com www.example.com".to_owned(), Some(1_000), "https://pets.internal".to_owned())
    );
    assert!(prod.warnings().is_empty(), "{}", prod.warnings());
}

#[test]
fn an_assigned_value_compiles_like_a_literal() {
    let written = ROOT
        .replace("\"${value.hosts}\"", "[api.example.com, www.example.com]")
        .replace("${value.patience}", "1s")
        .replace("${value.pets-url}", "https://pets.internal");
    let (head, rest) = written.split_once("values:").expect("the values");
    let written = format!("{head}upstreams:{}", rest.split_once("upstreams:").expect("the upstreams").1);
    let whole = compile(&project(&[("tollgate.yaml", &written)]), &Options::default()).expect("a project");
    assert_eq!(whole.id(), compiled(&usual_project(), "prod").id());
}

#[test]
fn a_value_without_a_default_requires_an_environment() {
    check(&found(&usual_project(), None), &[("TG0603", "tollgate.yaml", 6)]);
    assert!(found(&usual_project(), None).to_string().contains("compile with `--env` and one of `dev` and `prod`"));
    let without = project(&[("tollgate.yaml", ROOT), ("env/prod.yaml", "format: 1\nvalues: {patience: 1s}\n")]);
    check(&found(&without, Some("prod")), &[("TG0603", "tollgate.yaml", 6)]);
    check(&found(&project(&[("tollgate.yaml", ROOT)]), None), &[("TG0603", "tollgate.yaml", 6)]);
}

#[test]
fn all_environments_are_checked_not_only_the_selected_one() {
    for (values, expected) in [
        ("{pets-url: \"ftp://x\"}", "TG0304"),
        ("{pets-url: 7}", "TG0202"),
        ("{hosts: a.example.com}", "TG0202"),
        ("{hosts: [\"http://a\"]}", "TG0305"),
        ("{patience: 10}", "TG0206"),
        ("{patience: \"${value.patience}\"}", "TG0604"),
        ("{petsurl: \"http://a\"}", "TG0602"),
        ("{pets-url: }", "TG0202"),
    ] {
        let text = format!("format: 1\nvalues: {values}\n");
        let project = self::project(&[("tollgate.yaml", ROOT), ("env/dev.yaml", DEV), ("env/prod.yaml", &text)]);
        check(&found(&project, Some("dev")), &[(expected, "env/prod.yaml", 2)]);
    }
    let project =
        project(&[("tollgate.yaml", ROOT), ("env/dev.yaml", DEV), ("env/prod.yaml", "format: 2\nvalue: {}\n")]);
    check(
        &found(&project, Some("dev")),
        &[("TG0203", "env/prod.yaml", 1), ("TG0204", "env/prod.yaml", 1), ("TG0201", "env/prod.yaml", 2)],
    );
}

#[test]
fn an_unknown_environment_is_reported_with_the_known_ones() {
    let found = found(&usual_project(), Some("prd"));
    check(&found, &[("TG0605", "tollgate.yaml", 1)]);
    assert!(found.to_string().contains("did you mean `prod`?"), "{found}");
}

/// Checks the findings for one setting of a route.
#[track_caller]
fn check_use(setting: &str, expected: &[&str]) {
    let text = format!(
        "format: 1\ngateway: {{name: acme, authn: none}}\nupstreams: {{u: {{url: \"http://u\", headers: {{A: \"${{value.t}}\"}}}}}}\n\
         values:\n  t: {{type: text, default: some text}}\n  num: {{type: integer, default: 7}}\n  list: {{type: list, default: [A, B]}}\n  \
         flag: {{type: boolean, default: true}}\n  s: {{type: text, default: \"${{secret.S}}\"}}\n  r: {{type: rate, default: 9/s}}\n\
         policies: {{burst: {{kind: rate-limit, rate: \"${{value.r}}\"}}}}\n\
         apis: {{a: {{upstream: u, strip-base: \"${{value.flag}}\", authn: none, limit: burst, routes: [{{path: /x, cost: \"${{value.num}}\", cache: {{vary: \"${{value.list}}\"}}, {setting}}}]}}}}\n"
    );
    let found = found(&project(&[("tollgate.yaml", &text)]), None);
    let codes: Vec<_> = found.iter().filter(|d| d.code != Code::UnusedValue).map(|d| d.code.id()).collect();
    assert_eq!(codes, expected, "{setting}\n{found}");
}

#[test]
fn a_reference_to_a_value_is_checked_like_a_literal() {
    check_use("id: x", &[]);
    // The methods `A` and `B`.
    check_use("methods: \"${value.list}\"", &["TG0418"]);
    check_use("methods: [\"${value.t}\"]", &["TG0307"]);
    check_use("id: \"${value.num}\"", &["TG0202"]);
    check_use("timeout: \"${value.t}\"", &["TG0206"]);
    check_use("id: \"${value.s}\"", &["TG0205"]);
    check_use("id: \"${value.x}\"", &["TG0602"]);
    check_use("id: \"x-${value.t}\"", &["TG0604"]);
    check_use("id: \"${value.t\"", &["TG0604"]);
    check_use("id: \"${values.t}\"", &["TG0602"]);
    check_use("id: \"${secret.T}\"", &["TG0205"]);
    check_use("\"${value.t}\": 1", &["TG0201"]);
}

#[test]
fn a_mistake_in_a_value_is_reported_at_its_use_and_its_assignment() {
    let with_text = ROOT.replace("{type: duration, default: 10s}", "{type: text, default: long}");
    let found = found(&project(&[("tollgate.yaml", &with_text), ("env/dev.yaml", DEV)]), Some("dev"));
    check(&found, &[("TG0206", "tollgate.yaml", 2)]);
    let related = &found.iter().next().unwrap().related;
    assert_eq!((related[0].span.start.line, related[0].label.as_str()), (5, "`${value.patience}` is assigned here"));
    let dev = compiled(&usual_project(), "dev");
    let origin = dev.origins(&dev.routes()[0]).into_iter().find(|origin| origin.setting == "upstream.url").unwrap();
    let assigned = dev.place(origin.given.expect("where it is assigned"));
    assert_eq!((assigned.file.as_str(), assigned.line), ("env/dev.yaml", 2));
}

#[test]
fn a_secret_may_come_from_a_value_of_type_text() {
    let text = "format: 1\ngateway: {name: a, authn: none}\nvalues: {token: {type: text, default: \"Bearer ${secret.DEV}\"}}\n\
                upstreams: {u: {url: \"http://u\", headers: {Authorization: \"${value.token}\"}}}\napis: {a: {upstream: u, routes: [{path: /, methods: [GET]}]}}\n";
    let compiled = compile(&project(&[("tollgate.yaml", text)]), &Options::default()).expect("a project");
    let part = String::from_utf8_lossy(&compiled.records()[0].1).into_owned();
    assert!(!part.contains("value.token"), "{part}");
}

#[test]
fn an_unused_value_is_a_warning() {
    let text = ROOT.replace("values:\n", "values:\n  old: {type: text, default: x}\n");
    let project = self::project(&[("tollgate.yaml", &text), ("env/dev.yaml", DEV)]);
    check(&found(&project, Some("dev")), &[("TG0606", "tollgate.yaml", 4)]);
}

#[test]
fn a_declaration_has_a_type_and_a_default_of_that_type() {
    for (declaration, code) in [
        ("{}", "TG0203"),
        ("{type: string}", "TG0210"),
        ("{type: url, default: 1}", "TG0202"),
        ("{type: integer, default: -1}", "TG0209"),
        ("{type: list, default: [1]}", "TG0202"),
        ("{type: text, default: x, defualt: x}", "TG0201"),
        ("text", "TG0202"),
    ] {
        let text = ROOT.replace("values:\n", &format!("values:\n  x: {declaration}\n"));
        let text = text.replace("id: x", "").replace("name: acme,", "name: acme, connect-timeout: \"${value.x}\",");
        let project =
            project(&[("tollgate.yaml", &text), ("env/dev.yaml", "format: 1\nvalues: {pets-url: \"http://u\"}\n")]);
        let found = found(&project, Some("dev"));
        let first: Vec<_> = found.iter().filter(|d| d.span.start.line == 4).map(|d| d.code.id()).collect();
        assert_eq!(first.first().copied(), Some(code), "{declaration}\n{found}");
    }
}

#[test]
fn a_check_of_all_environments_reports_each_finding_once() {
    let prod = PROD.replace("api.example.com, www", "www.example.com, www");
    let text =
        ROOT.replace("routes: [{path: /pets, methods: [GET]}]", "routes: [{path: /pets, methods: [GET]}], limit: brst");
    let project = self::project(&[("tollgate.yaml", &text), ("env/dev.yaml", DEV), ("env/prod.yaml", &prod)]);
    check(&check_all(&project), &[("TG0302", "tollgate.yaml", 10), ("TG0213", "env/prod.yaml", 4)]);
    let route = |path: &str| {
        format!("{{upstream: pets, hosts: \"${{value.hosts}}\", routes: [{{path: {path}, methods: [GET]}}]}}")
    };
    let text = format!(
        "{}  more: {}\n",
        ROOT.replace("pets: {upstream: pets, ", "pets: {upstream: pets, hosts: [www.example.com], "),
        route("/pets")
    );
    let project = self::project(&[("tollgate.yaml", &text), ("env/dev.yaml", DEV), ("env/prod.yaml", PROD)]);
    let found = check_all(&project);
    assert_eq!(found.len(), 1, "{found}");
    assert!(found.to_string().contains("in environment `prod`, two routes match"), "{found}");
}
