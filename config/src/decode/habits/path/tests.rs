use super::*;

#[test]
fn paths_of_other_routers_are_found_with_what_was_meant() {
    for (path, meant) in [
        ("/users/*", "`/users/{*rest}`, which"),
        ("/users/**", "`/users/{*rest}`"),
        ("/**", "`/{*rest}`"),
        ("/*", "`/{*rest}`"),
        ("/users/*/posts", "`/users/{name}/posts`"),
        ("/users/*/posts/*", "`/users/{name}/posts/{*rest}`"),
        ("/users*", "two routes, `/users` and `/users/{*rest}` for all paths below it"),
        ("/users/{id}*", "two routes, `/users/{id}` and `/users/{id}/{*rest}`"),
        ("/users/{id}/**", "`/users/{id}/{*rest}`"),
        ("/files/*.json", "`/files/{name}.json`"),
        ("/users/:id", "`/users/{id}`"),
        ("/users/:id?", "two routes, `/users` and `/users/{id}`"),
        ("/users/:id/posts/:id", "`/users/{id}/posts/{id2}`"),
        ("/users/:id(\\d+)", "`/users/{id:int}`"),
        ("/files/:path*", "`/files/{*path}`"),
        ("/files/*path", "`/files/{*path}`"),
        ("/files/:name.json", "`/files/{name}.json`"),
        ("/users/[0-9]+", "`/users/{id:int}`"),
        ("/users/[^/]+/posts", "`/users/{name}/posts`"),
        ("/users/\\d+$", "`/users/{id:int}`"),
        ("/users/(.*)", "`/users/{*rest}`"),
        ("/users/.*", "`/users/{*rest}`"),
        ("/users/(open|closed)", "`/users/{name:(open|closed)}`"),
        ("/users/(?<id>\\d+)", "`/users/{id:int}`"),
        ("/users/(?P<id>[0-9]+)", "`/users/{id:int}`"),
        ("/users/<id>", "`/users/{id}`"),
        ("/users/<int:id>", "`/users/{id:int}`"),
        ("/files/<path:name>", "`/files/{*name}`"),
        ("/users/<id:int>", "`/users/{id:int}`"),
        ("/users/[id]", "`/users/{id}`"),
        ("/docs/[...slug]", "`/docs/{*slug}`"),
        ("/docs/[[...slug]]", "`/docs/{*slug}`"),
        ("/{proxy+}", "`/{*proxy}`"),
        ("/files/{path...}", "`/files/{*path}`"),
        ("/files/{**path}", "`/files/{*path}`"),
        ("/files/{path:path}", "`/files/{*path}`"),
        ("/files/{path:.*}", "`/files/{*path}`"),
        ("/users/{id:[0-9]+}", "`/users/{id:int}`"),
        ("/users/{id:\\d{1,9}}", "`/users/{id:int}`"),
        ("/users/{id:guid}", "`/users/{id:uuid}`"),
        ("/users/{id?}", "two routes, `/users` and `/users/{id}`"),
        ("/users/{{id}}", "`/users/{id}`"),
        ("/users/${id}", "`/users/{id}`"),
        ("/users/{ id }", "`/users/{id}`"),
        ("/users/{}", "`/users/{name}`"),
        ("/users/{$}", "`/users`"),
        ("/v1/{name=shelves/*}", "write `/v1/shelves/{name}`"),
        ("/v1/{name=projects/*/jobs/*}:run", "write `/v1/projects/{name}/jobs/{name2}:run`"),
        ("/v1/{name=*}", "`/v1/{name}`"),
        ("/v1/{name=**}", "`/v1/{*name}`"),
        ("/users$", "`/users`"),
        ("^/users/[0-9]+$", "`/users/{id:int}`"),
        ("^/users", "two routes, `/users` and `/users/{*rest}`"),
        ("~ ^/users", "two routes, `/users` and `/users/{*rest}`"),
        ("~ ^/users$", "write `/users`"),
        ("~* \\.php$", "such as `/{name}.php`"),
        ("~* \\.(png|jpg)$", "such as `/{name}.png`, `/{name}.jpg`"),
        ("~* \\.(png)$", "such as `/{name}.png`"),
        ("= /users", "write `/users`"),
        ("=/users", "write `/users`"),
        ("^~ /users/", "two routes, `/users/` and `/users/{*rest}`"),
        ("~/users/(?<id>\\d+)$", "`/users/{id:int}`"),
        ("GET /users/:id", "`path: \"/users/{id}\"` and `methods: [GET]`"),
        ("https://api.example.com/users", "`/users`; hosts are listed"),
        ("/a|/b", "two routes, `/a` and `/b`"),
        // Fixed text remains fixed text.
        ("/user-[0-9]+", "write `/user-{id:int}`"),
        ("/v[0-9]+/users", "write `/v{id:int}/users`"),
        ("/files/[a-z]+\\.txt", "write `/files/{name}.txt`"),
        ("/report.*", "two routes, `/report` and `/report/{*rest}`"),
        ("/users*/posts", "write `/users{name}/posts`"),
        // A segment has at most one parameter.
        ("/flights/:from-:to", "write `/flights/{from-to}`: a segment has at most one"),
        ("/files/{id}.:ext", "write `/files/{id-ext}`"),
        ("/{a}-[0-9]+", "write `/{a}`"),
        ("/{id}.*", "write `/{id}`"),
        ("/@:name", "write `/@{name}`"),
        ("/x/{id}+", "write `/x/{*id}`"),
        ("/x/{id}?", "two routes, `/x` and `/x/{id}`"),
        ("/x/#{id}", "write `/x/{id}`"),
        // Parts that may be absent.
        ("/users{/:id}", "two routes, `/users` and `/users/{id}`"),
        ("/users{/id}", "two routes, `/users` and `/users/{id}`"),
        ("/users{/:id}/edit", "two routes, `/users/edit` and `/users/{id}/edit`"),
        ("/users[/{id}[/{tab}]]", "one route for each of `/users`, `/users/{id}` and `/users/{id}/{tab}`"),
        ("/users(/:id)", "two routes, `/users` and `/users/{id}`"),
        ("/users(.:format)", "two routes, `/users` and `/users.{format}`"),
        ("/file(\\.json)?", "two routes, `/file` and `/file.json`"),
        ("/x/{id}(/.*)?", "two routes, `/x/{id}` and `/x/{id}/{*rest}` for all paths below it"),
        ("/admin(/.*)?", "two routes, `/admin` and `/admin/{*rest}`"),
        ("/admin(/|$)(.*)", "two routes, `/admin` and `/admin/{*rest}`"),
        ("/(en|fr)?/docs", "two routes, `/docs` and `/{name:(en|fr)}/docs`"),
        ("/users{?page,limit}", "write `/users`"),
        // Types and repetitions in braces.
        ("/x/{...rest}", "write `/x/{*rest}`"),
        ("/x/{int:id}", "write `/x/{id:int}`"),
        ("/x/{ id : int }", "write `/x/{id:int}`"),
        ("/x/{id:int:min(1)}", "write `/x/{id:int}`"),
        ("/x/{id:regex([0-9]+)}", "write `/x/{id:int}`"),
        ("/{lang:(en|de)?}/x", "write `/{lang:(en|de)}/x`"),
        // Not known what was meant.
        ("/users/(?!admin)", "one route for each"),
        ("/a\\bc", "one route for each"),
    ] {
        let found = foreign(path).unwrap_or_else(|| panic!("{path} is not found"));
        assert!(found.fix.contains(meant), "{path}: {}", found.fix);
    }
}

#[test]
fn our_paths_and_plain_text_are_not_foreign() {
    for path in [
        "/",
        "/users/{id}",
        "/users/{id:int}.json",
        "/v1/{op}:cancel",
        "/users:batchGet",
        "/{*rest}",
        "/jobs/{s:(open|half%20open)}",
        "/~user",
        "/users/$count",
        "/$metadata",
        "/Products('x')",
        "/Products({id})",
        "/c++",
        "/a+b",
        "/a;b=c",
        "/a,b",
        "/@me",
        "/%2A",
        "/%3Aid",
        "/a b/",
        "/v{x}",
        "/{a}:z",
        "/a!/b",
        "/a=b",
        "/a.b",
        "/..",
        "//",
        "a",
        "",
        "/a?b",
        "/ü",
        "/{id",
        "/id}",
        "/:",
        "/:1",
    ] {
        assert_eq!(foreign(path), None, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_it_escapes_is_no_longer_foreign(text in "/?[a-z:*<>(){}|$.+?^~/ é\\[\\]\\\\]{0,24}") {
        if let Some(found) = foreign(&text).filter(|_| text.parse::<PathTemplate>().is_ok()) {
            let part = escaped(&found.part);
            proptest::prop_assert!(foreign(&format!("/{part}")).is_none(), "{text} {part}");
        }
    }
}
