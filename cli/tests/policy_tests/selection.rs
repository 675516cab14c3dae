//! Which tests run, and in which environment.

use crate::{PROJECT, Tested, case};

#[test]
fn words_select_tests_and_a_list_runs_none() {
    let cases = case("first thing", "{request: GET /shop/public, expect: {status: 404}}")
        + &case("second thing", "{request: GET /shop/public, expect: {status: 200}}");
    let tested = Tested::with_cases(&cases);
    assert_eq!(tested.run(&[]).code, Some(1));
    let second = tested.run(&["second"]);
    assert!(second.code == Some(0) && second.out.contains("1 passed, 0 failed"), "{second:?}");
    assert!(tested.run(&["t.test"]).out.contains("1 passed, 1 failed"));
    let list = tested.run(&["--list"]);
    assert_eq!((list.code, list.out.as_str()), (Some(0), LISTED));
    assert_eq!(tested.run(&["--list", "--output", "json"]).json()[1]["name"], "second thing");
    let none = tested.run(&["third"]);
    assert!(none.code == Some(1) && none.err.contains("no test contains third"), "{none:?}");
    let empty = Tested::new(PROJECT).run(&[]);
    assert!(empty.code == Some(1) && empty.err.contains("has no tests"), "{empty:?}");
}

const LISTED: &str = "tests/t.test.yaml:9:9  first thing\ntests/t.test.yaml:12:9  second thing\n";

#[test]
fn a_file_runs_in_its_own_or_the_selected_environment() {
    let project = "
format: 1
gateway: {name: acme, authn: none}
values: {rate: {type: rate, default: 1/s}}
upstreams: {pets: \"http://pets.internal\"}
policies: {burst: {kind: rate-limit, rate: \"${value.rate}\"}}
apis: {shop: {upstream: pets, routes: [{path: /a, methods: [GET], id: a, limit: burst}]}}
";
    let limit = |env: &str, limit: u32| {
        let step = format!("{{request: GET /a, expect: {{quota: {{burst: {{limit: {limit}}}}}}}}}");
        format!("format: 1\n{env}cases:\n{}", case("limit", &step))
    };
    let tested = Tested::new(project)
        .file("a", &limit("", 1))
        .file("b", &limit("env: busy\n", 9))
        .file("c", &limit("env: unknown\n", 1));
    std::fs::create_dir(tested.path().join("env")).expect("a folder");
    std::fs::write(tested.path().join("env/busy.yaml"), "format: 1\nvalues: {rate: 9/s}\n").expect("an environment");
    let ran = tested.run(&[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("2 passed, 0 failed, 1 file not run"), "{}", ran.out);
    let busy = tested.run(&["--env", "busy", "--output", "json"]).json();
    let mismatch = &busy["files"][0]["tests"][0]["failure"]["mismatches"][0];
    assert_eq!((&mismatch["expected"], &mismatch["got"]), (&"1".into(), &"9".into()), "{busy:#}");
}
