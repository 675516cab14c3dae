//! Host, path and method: which route matches a request, and that no other does.

use std::rc::Rc;

use tollgate_tests::client::Request;
use tollgate_tests::hosts::Kind;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "route";
    an_exact_host_beats_a_wildcard_host,
    hosts_are_compared_without_case_and_port,
    an_unknown_host_is_404,
    the_most_specific_path_wins_whatever_the_order,
    an_unknown_path_is_404_and_never_forwarded,
    a_trailing_slash_is_another_path,
    a_wrong_method_is_405_with_allow,
    head_is_answered_by_routes_for_get,
    options_lists_the_methods,
    an_internal_route_never_answers,
    the_base_is_stripped_and_the_path_is_canonical,
    every_path_below_that_of_the_upstream_can_be_reached,
    reserved_characters_stay_as_they_were_sent,
    matrix_parameters_are_refused_unless_the_route_allows_them,
    the_query_is_passed_on_unchanged,
    no_encoding_of_a_path_reaches_a_protected_route,
    ambiguous_paths_are_refused,
    dot_segments_are_refused
        except (Cloudflare, "workerd resolves dot segments before the Worker sees the URL"),
    invalid_utf8_in_a_path_is_refused
        except (Cloudflare, "workerd puts U+FFFD in their place before the Worker sees the URL"),
    http2_is_served_like_http1
        except (Cloudflare, "the platform's edge speaks HTTP/2, workerd's plain socket does not"),
    each_of_many_routes_is_found,
}

async fn an_exact_host_beats_a_wildcard_host(world: Rc<World>) -> Outcome {
    let (name, domain) = (&world.name, &world.domain);
    let yaml = format!(
        "format: 1\ngateway: {{name: e2e, hosts: [\"*.{domain}\"]}}\nupstreams: {{up: \"{}\"}}\napis:\n  \
         {name}: {{upstream: up, base: /wild, strip-base: false, routes: [{{path: \"/{{*rest}}\"}}]}}\n  \
         {name}-exact: {{upstream: up, hosts: [api.{domain}], base: /, routes: [{{path: /exact}}]}}\n",
        world.upstream.url()
    );
    world.publish_yaml(&yaml).await?;
    let at = |host: &str| world.client().for_host(&format!("{host}.{domain}"));
    assert_eq!(at("api").get("/exact").await?.status, 200);
    assert_eq!(at("other").get("/exact").await?.status, 404);
    assert_eq!(at("other").get("/wild/x").await?.status, 200);
    assert_eq!(at("a.b").get("/wild/x").await?.status, 200, "labels, one or more");
    assert_eq!(world.client().get("/wild/x").await?.status, 404);
    Ok(())
}

async fn hosts_are_compared_without_case_and_port(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /x}")).await?;
    let domain = &world.domain;
    for host in [domain.to_uppercase(), format!("{domain}:8443")] {
        let answer = world.client().for_host(&host).get("/x").await?;
        assert_eq!(answer.status, 200, "{host}");
    }
    Ok(())
}

async fn an_unknown_host_is_404(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /x}")).await?;
    for host in ["unknown.test", "127.0.0.1", "xn--nxasmq6b.test"] {
        let answer = world.client().for_host(host).get("/x").await?;
        assert_problem(&answer, 404, "route-not-found");
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn the_most_specific_path_wins_whatever_the_order(world: Rc<World>) -> Outcome {
    let routes = ["{path: \"/pets/{*rest}\", id: rest}", "{path: \"/pets/{id}\", id: one}"];
    let literal = ["{path: /pets/mine, id: mine}", "{path: \"/pets/{id}/toys\", id: toys}"];
    let project = Project::new(&world);
    let all = routes.iter().chain(&literal);
    let project =
        all.fold(project, |project, route| project.route(&route.replace("id: ", &format!("id: {}-", world.name))));
    world.publish(project).await?;
    let paths = ["/pets/mine", "/pets/7", "/pets/7/toys", "/pets/7/toys/9"];
    for path in paths {
        assert_eq!(world.client().get(path).await?.status, 200, "{path}");
    }
    let mut routes: Vec<String> = world.records(paths.len()).await?.iter().map(World::route_of).collect();
    routes.sort();
    for (route, end) in routes.iter().zip(["mine", "one", "rest", "toys"]) {
        assert!(route.ends_with(end), "{routes:?}");
    }
    Ok(())
}

async fn an_unknown_path_is_404_and_never_forwarded(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /known}")).await?;
    for path in ["/", "/unknown", "/known/more", "/know", "/KNOWN"] {
        assert_problem(&world.client().get(path).await?, 404, "route-not-found");
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_trailing_slash_is_another_path(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /a}").route("{path: /b/}");
    world.publish(project).await?;
    for (path, status) in [("/a", 200), ("/a/", 404), ("/b/", 200), ("/b", 404)] {
        assert_eq!(world.client().get(path).await?.status, status, "{path}");
    }
    Ok(())
}

async fn a_wrong_method_is_405_with_allow(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /a, methods: [GET]}").route("{path: /a, methods: [PUT]}");
    world.publish(project).await?;
    let answer = world.client().send(Request::post("/a", "x")).await?;
    assert_problem(&answer, 405, "method-not-allowed");
    let allow = answer.field("allow").unwrap_or_default();
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        assert!(allow.split(", ").any(|one| one == method), "{method} in {allow}");
    }
    assert!(!allow.contains("POST"), "{allow}");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn head_is_answered_by_routes_for_get(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, methods: [GET]}")).await?;
    let answer = world.client().send(Request::of("HEAD", "/a?size=77")).await?;
    assert_eq!((answer.status, answer.content.len()), (200, 0));
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(received.method, "HEAD");
    let refused = world.client().send(Request::of("HEAD", "/b")).await?;
    assert_eq!((refused.status, refused.content.len()), (404, 0));
    Ok(())
}

async fn options_lists_the_methods(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a, methods: [GET, POST]}")).await?;
    let answer = world.client().send(Request::of("OPTIONS", "/a")).await?;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let allow = answer.field("allow").unwrap_or_default();
    assert!(["GET", "HEAD", "POST", "OPTIONS"].iter().all(|one| allow.contains(one)), "{allow}");
    assert_eq!(world.upstream.report().total(), 0);
    assert_eq!(world.client().send(Request::of("OPTIONS", "/b")).await?.status, 404);
    Ok(())
}

async fn an_internal_route_never_answers(world: Rc<World>) -> Outcome {
    // The route exists, on a host for internal callers; every listener of the suite is for external callers.
    let inside = format!("ops.{}", world.domain);
    let project = Project::new(&world)
        .gateway(&format!("internal-hosts: [{inside}]"))
        .route("{path: /public}")
        .route("{path: /internal, internal: true}");
    world.publish(project).await?;
    assert_eq!(world.client().get("/public").await?.status, 200);
    for client in [world.client(), world.client().for_host(&inside), world.client().for_host(&format!("{inside}:80"))] {
        assert_problem(&client.get("/internal").await?, 404, "route-not-found");
        assert_eq!(client.send(Request::of("OPTIONS", "/internal")).await?.status, 404);
    }
    // Not even public routes answer there: for external callers, the host is unknown.
    assert_problem(&world.client().for_host(&inside).get("/public").await?, 404, "route-not-found");
    assert_eq!(world.upstream.report().count("/internal"), 0);
    Ok(())
}

async fn the_base_is_stripped_and_the_path_is_canonical(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .upstream(&format!("\"{}/root\"", world.upstream.url()))
        .api("base: /pets/v1")
        .route("{path: \"/{*rest}\"}");
    world.publish(project).await?;
    for (asked, seen) in [
        ("/pets/v1/a", "/root/a"),
        ("/pets/v1/%61%7E/b%20c", "/root/a~/b%20c"),
        ("/pets/v1/caf%c3%a9", "/root/caf%C3%A9"),
        ("/p%65ts/v1/a,v=1", "/root/a,v=1"),
    ] {
        assert_eq!(world.client().get(asked).await?.status, 200, "{asked}");
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.target, seen, "{asked}");
    }
    Ok(())
}

async fn every_path_below_that_of_the_upstream_can_be_reached(world: Rc<World>) -> Outcome {
    for (slash, whole) in [("", "/app"), ("/", "/app/")] {
        let project = Project::new(&world)
            .upstream(&format!("\"{}/app{slash}\"", world.upstream.url()))
            .api("base: /a")
            .route("{path: /}")
            .route("{path: \"/{*rest}\"}");
        world.publish(project).await?;
        for (asked, seen) in [("/a", whole), ("/a/", "/app/"), ("/a/b", "/app/b"), ("/a/b/", "/app/b/")] {
            assert_eq!(world.client().get(asked).await?.status, 200, "{asked}");
            assert_eq!(world.upstream.report().last().ok_or("not forwarded")?.target, seen, "{asked} at /app{slash}");
        }
    }
    Ok(())
}

async fn reserved_characters_stay_as_they_were_sent(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: \"/{*rest}\"}").route("{path: \"/x/{v}:go\"}")).await?;
    let escapes = "/a%3Bb%2Bc%26d%3De%40f%3Ag%24h%21i%27j%28k%29l%2Am%2Cn";
    let literals = "/a+b&c=d@e:f$g!h'i(j)k*l,m";
    for (asked, seen) in
        [(escapes, escapes), (literals, literals), ("/admin%3bx/users", "/admin%3Bx/users"), ("/x/7%3Ago", "/x/7%3Ago")]
    {
        assert_eq!(world.get_raw(asked).await?.status(), 200, "{asked}");
        assert_eq!(world.upstream.report().last().ok_or("not forwarded")?.target, seen, "{asked}");
    }
    Ok(())
}

async fn matrix_parameters_are_refused_unless_the_route_allows_them(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .route("{path: \"/{*rest}\", matrix-parameters: true}")
        .route("{path: \"/admin/{*rest}\", authn: keys}")
        .route("{path: \"/plain/{id}\"}");
    world.publish(project).await?;
    for refused in
        ["/admin;x/users", "/admin;/users", "/admin/users;x", "/plain/7;v=1", "/plain;v=1/7", "/;x/admin/users"]
    {
        let answer = world.get_raw(refused).await?;
        assert_eq!(answer.status(), 400, "{refused}: {}", answer.0);
        assert!(answer.0.contains("bad-path"), "{refused}: {}", answer.0);
    }
    assert_eq!(world.upstream.report().total(), 0);
    for allowed in ["/map/blue;lat=50;long=20", "/a;v=1/b"] {
        assert_eq!(world.get_raw(allowed).await?.status(), 200, "{allowed}");
        assert_eq!(world.upstream.report().last().ok_or("not forwarded")?.target, allowed);
    }
    Ok(())
}

async fn the_query_is_passed_on_unchanged(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    for query in ["?a=1&b=2", "?a=%2e%2e%2f&b=%00", "?a=b=c;d&&e", "?x=/../y", "?", ""] {
        assert_eq!(world.client().get(&format!("/a{query}")).await?.status, 200, "{query}");
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.target, format!("/a{query}"));
    }
    Ok(())
}

/// The lines of a file of vectors.
fn lines(vectors: &str) -> impl Iterator<Item = &str> {
    vectors.lines().filter(|line| !line.starts_with('#'))
}

async fn no_encoding_of_a_path_reaches_a_protected_route(world: Rc<World>) -> Outcome {
    let project =
        Project::new(&world).route("{path: \"/open/{*rest}\"}").route("{path: \"/admin/{*rest}\", authn: keys}");
    world.publish(project).await?;
    assert_eq!(world.client().get("/open/x").await?.status, 200);
    for path in lines(include_str!("../../vectors/path-attacks.txt")) {
        let answer = world.get_raw(path).await?;
        // A platform may have resolved the path before the gateway sees it; then the resolved path is used.
        let harmless = world.on(Kind::Cloudflare) && answer.status() == 200;
        assert!(harmless || [400, 401, 404].contains(&answer.status()), "{path}: {}", answer.0);
    }
    for received in world.upstream.report().requests() {
        assert!(received.path().starts_with("/open/") && !received.path().contains(".."), "{}", received.target);
    }
    Ok(())
}

async fn ambiguous_paths_are_refused(world: Rc<World>) -> Outcome {
    refused(&world, include_str!("../../vectors/ambiguous-paths.txt")).await
}

async fn dot_segments_are_refused(world: Rc<World>) -> Outcome {
    refused(&world, include_str!("../../vectors/dot-segments.txt")).await
}

async fn refused(world: &World, paths: &str) -> Outcome {
    world.publish(Project::new(world).route("{path: \"/{*rest}\"}")).await?;
    for path in lines(paths) {
        let answer = world.get_raw(path).await?;
        assert_eq!(answer.status(), 400, "{path}: {}", answer.0);
        assert!(answer.0.contains("application/problem+json"), "{path}: {}", answer.0);
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn invalid_utf8_in_a_path_is_refused(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: \"/{*rest}\"}")).await?;
    for path in [&b"/a\xff"[..], b"/\xc0\xae\xc0\xae/b", b"/\xed\xa0\x80"] {
        let host = format!(" HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", world.domain);
        let answer = world.client().raw([b"GET ", path, host.as_bytes()].concat().as_slice()).await?;
        assert!([0, 400].contains(&answer.status()), "{path:?}: {}", answer.0);
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn http2_is_served_like_http1(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    let request = Request::post("/a?size=200000", "hello").field("x-test", "1");
    let answer = world.client().open_http2(request).await?.whole().await;
    assert_eq!((answer.status, answer.content.len()), (200, 200_000));
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!((received.version.as_str(), received.content_length), ("HTTP/1.1", 5));
    let refused = world.client().open_http2(Request::get("/b")).await?.whole().await;
    assert_problem(&refused, 404, "route-not-found");
    Ok(())
}

/// More routes than one page of a part has.
async fn each_of_many_routes_is_found(world: Rc<World>) -> Outcome {
    let project = (0..100).fold(Project::new(&world), |project, number| {
        project.route(&format!("{{path: \"/v{}/of/{{id}}/r{number}\", methods: [GET]}}", number % 3))
    });
    world.publish(project.route("{path: \"/{any}\", methods: [PUT]}")).await?;
    let client = world.client();
    for number in [0, 1, 32, 50, 99] {
        assert_eq!(client.get(&format!("/v{}/of/7/r{number}", number % 3)).await?.status, 200, "{number}");
    }
    assert_eq!(client.get("/v0/of/7/r100").await?.status, 404);
    assert_eq!(client.get("/v0").await?.status, 405);
    Ok(())
}
