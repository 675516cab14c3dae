//! Operations whose path has no template, such as `/files/{name}.{ext}`: which routes answer their requests with less.

use tollgate_analysis::compile_files;

/// Compiles a specification whose operations (path and whether a key is required) stand beside routes; returns the routes
/// for which a finding says that they require less.
fn found(operations: &[(&str, bool)], routes: &[(&str, bool)]) -> Vec<String> {
    let operation = |(path, is_guarded): &(&str, bool)| {
        let (security, authn) = if *is_guarded { ("[{k: []}]", "k") } else { ("[]", "none") };
        format!("  \"{path}\": {{get: {{security: {security}, x-tollgate: {{authn: {authn}}}}}}}\n")
    };
    let route = |(path, is_guarded): &(&str, bool)| {
        let authn = if *is_guarded { "k" } else { "none" };
        format!("{{path: \"{path}\", methods: [GET], authn: {authn}}}, ")
    };
    let document = format!(
        "openapi: 3.1.0
components: {{securitySchemes: {{k: {{type: apiKey, in: header, name: X-API-Key}}}}}}
paths:
{}",
        operations.iter().map(operation).collect::<String>()
    );
    let project = format!(
        "format: 1
gateway: {{name: test, limit: none, authn: none, hosts: [a.example]}}
upstreams: {{u: \"http://localhost:9000\"}}
policies: {{k: {{kind: api-key}}}}
apis: {{a: {{upstream: u, spec: s.yaml, routes: [{}{{path: /used, authn: k}}]}}}}
",
        routes.iter().map(route).collect::<String>()
    );
    let files = [("tollgate.yaml", project), ("s.yaml", document)].map(|(name, text)| (name.to_owned(), text));
    let compiled = compile_files(&files.into()).expect("a project that compiles");
    let weak = compiled.warnings().iter().filter(|found| found.code.id() == "TG0706");
    let of = |span| compiled.routes().iter().filter(move |route| route.span == span);
    weak.flat_map(|found| of(found.span)).map(|route| route.settings.path.to_string()).collect()
}

#[test]
fn a_route_with_a_fixed_text_answers_requests_of_an_operation_without_a_template() {
    for (operation, route) in [
        ("/f/{x}.{y}", "/f/{n}"),
        ("/f/{x}.{y}", "/f/v{n}"),
        ("/f/{x}.{y}", "/f/~{n}"),
        ("/f/{x}.{y}", "/f/{n}-v1"),
        ("/f/{x}.{y}", "/f/v{n}-v1"),
        ("/f/{x}.{y}", "/f/a.b"),
        ("/f/{x}.{y}", "/{a}/v{n}"),
        ("/f/{x}.{y}", "/{*rest}"),
        ("/f/{x}.{y}", "/f/{n:(a|b.c)}"),
        ("/f/{x}{y}", "/f/{n:int}"),
        ("/f/{x}-{y}", "/f/{n:uuid}"),
        ("/{p+}/admin", "/users/{id}"),
        ("/{p+}/admin", "/a/b/{id}"),
        ("/a{p+}z/{x}.{y}", "/{a}/bz/v{n}"),
        ("/f{/x}{.y}", "/f/v{n}"),
    ] {
        assert_eq!(found(&[(operation, true)], &[(route, false)]), [route], "{operation}");
    }
}

#[test]
fn other_requests_are_not_those_of_an_operation_without_a_template() {
    for (operation, route) in [
        ("/f/{x}.{y}", "/f/v"),
        ("/f/{x}.{y}", "/f/{n:int}"),
        ("/f/{x}.{y}", "/f/{n:(a|b)}"),
        ("/f/a{x}.{y}", "/f/b{n}"),
        ("/{p+}/admin", "/users"),
        ("/{p+}/admin", "/users/{id}/x"),
        ("/a{p+}z", "/b/{id}"),
    ] {
        assert_eq!(found(&[(operation, true)], &[(route, false)]), [""; 0], "{operation} {route}");
    }
}

#[test]
fn more_specific_routes_do_not_hide_those_that_answer_other_requests() {
    // Each takes requests with one of the values that are used as examples.
    let guarded = ["a{n}", "~{n}", "q{n}", "Q{n}", "_{n}"].map(|text| (format!("/f/{text}"), true));
    let routes: Vec<(&str, bool)> = guarded.iter().map(|(path, is_guarded)| (path.as_str(), *is_guarded)).collect();
    let all = [routes.as_slice(), &[("/f/{n}", false)]].concat();
    assert_eq!(found(&[("/f/{x}.{y}", true)], &all), ["/f/{n}"]);
    // The guarded ones are operations, too.
    assert_eq!(found(&[routes.as_slice(), &[("/f/{x}.{y}", true), ("/f/{z}", false)]].concat(), &[]), ["/f/{z}"]);
}

#[test]
fn an_operation_describes_only_its_own_requests() {
    // `/f/v{a}` has requests that are none of `/f/{x}.{y}`, and the other way round, so none is more specific.
    for (operations, expected) in [
        (&[("/f/{x}.{y}", true), ("/f/v{a}", false)][..], &["/f/v{a}"][..]),
        (&[("/f/{x}.{y}", true), ("/f/{p}.pdf", false)], &[]),
        (&[("/f/{x}.{y}", true), ("/f/a.{p}", false)], &[]),
        (&[("/f/{x}.{y}", true), ("/{a}/{b}", false)], &["/{a}/{b}"]),
        (&[("/{p+}/admin", true), ("/users/{id}", false)], &["/users/{id}"]),
        (&[("/{p+}/admin", true), ("/users/admin", false)], &[]),
    ] {
        assert_eq!(found(operations, &[]), expected, "{operations:?}");
    }
    // The route answers requests without a dot, which are described by `/{a}/{b}` alone.
    let operations = [("/{a}/{b}", true), ("/f/{x}.{y}", true)];
    assert_eq!(found(&operations, &[("/f/{n}", false)]), ["/f/{n}"]);
}
