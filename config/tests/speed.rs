//! The compile time of large projects, printed and not asserted: run with `--ignored --nocapture`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use tollgate_analysis::compile_files;

/// A project with this number of APIs, each in its own folder and with 100 routes.
fn project(apis: usize) -> BTreeMap<String, String> {
    let root = "format: 1\ngateway: {name: acme, authn: keys}\nupstreams: {u: \"http://u\"}\npolicies: {keys: {kind: api-key}}\n";
    let mut files = BTreeMap::from([("tollgate.yaml".to_owned(), root.to_owned())]);
    for api in 0..apis {
        let mut text = format!("format: 1\nbase: /a{api}\nupstream: u\nroutes:\n");
        for route in 0..100 {
            let _ =
                writeln!(text, "  - {{path: \"/r{route}/{{id}}\", methods: [GET], id: r{route}, cache: {{ttl: 10s}}}}");
        }
        files.insert(format!("apis/a{api}/api.yaml"), text);
    }
    files
}

#[test]
#[ignore = "times depend on the machine"]
fn a_project_of_ten_thousand_routes() {
    for apis in [10, 100] {
        let files = project(apis);
        let start = Instant::now();
        let compiled = compile_files(&files).expect("a project that compiles");
        println!("{} routes in {} files: {:?}", compiled.routes().len(), files.len(), start.elapsed());
        let start = Instant::now();
        let origins: usize = compiled.routes().iter().take(100).map(|route| compiled.origins(route).len()).sum();
        println!("{origins} origins of 100 routes: {:?}", start.elapsed());
    }
}
