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
        ("/users/{id:UUID}", "`/users/{id:uuid}`"),
        ("/users/{id:Int}", "`/users/{id:int}`"),
        ("/users/{id:(?:a|b)}", "`/users/{id:(a|b)}`"),
        ("/users/{id:(?i:a|b)}", "`/users/{id}`; the parameter matches any text, because `(?i:a|b)` is not kept"),
        ("/users/{id:(a?|c)}", "`/users/{id}`; the parameter matches any text, because `(a?|c)` is not kept"),
        ("/users/{id:(^a|b$)}", "`/users/{id}`; the parameter matches any text, because `(^a|b$)` is not kept"),
        ("/users/{id?}", "two routes, `/users` and `/users/{id}`"),
        ("/users/{{id}}", "`/users/{id}`"),
        ("/users/${id}", "`/users/{id}`"),
        ("/users/{ id }", "`/users/{id}`"),
        ("/users/{}", "`/users/{name}`"),
        ("/users/{$}", "write `/users/`"),
        ("/{$}", "write `/`"),
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
        // What a pattern excluded, a parameter matches.
        ("/api/{id:public-[a-z]+}", "`/api/public-{id}`; the parameter matches any text, because `[a-z]+` is not kept"),
        ("/files/{f:.+\\.pdf}", "`/files/{f}.pdf`; the parameter matches text without a slash"),
        ("/files/:f([a-z]+\\.pdf)", "`/files/{f}.pdf`; the parameter matches any text, because `[a-z]+` is not kept"),
        ("/files/{f:img-[0-9]+\\.png}", "write `/files/img-{f:int}.png`"),
        ("/api/{id:alpha}", "`/api/{id}`; the parameter matches any text, because `alpha` is not kept"),
        ("/api/[a-f0-9]+", "`/api/{name}`; the parameter matches any text, because `[a-f0-9]+` is not kept"),
        ("/api/{id:\\d{4}}", "`/api/{id:int}`; the parameter matches any integer, because `\\d{4}` is not kept"),
        ("/api/{a:number}", "`/api/{a}`; the parameter matches any text; for integers, give it the type `int`"),
        ("/img/.+\\.css", "`/img/{name}.css`; the parameter matches text without a slash"),
        ("/a/**/b", "`/a/{name}/b`; the parameter matches text without a slash"),
        ("GET /a/:id([a-z]+)", "`methods: [GET]`; the parameter matches any text"),
        ("~ ^/a/[a-z]+$", "`/a/{name}`; the parameter matches any text"),
        ("/img/*.(jpg|png)", "write two routes, `/img/{name}.jpg` and `/img/{name}.png`"),
        ("/img/*.(jpg|png|gif)", "one route for each of `/img/{name}.jpg`, `/img/{name}.png` and `/img/{name}.gif`"),
        ("/a/<regex(\"[a-z]{2}\"):lang>", "`/a/{lang}`; the parameter matches any text, because `regex(\"[a-z]{2}\")`"),
        // A prefix of text matches longer names, too.
        ("/admin*", "for all paths below it; two more, `/admin{name}` and `/admin{name}/{*rest}`, if"),
        ("^/admin", "for all paths below it; two more, `/admin{name}`"),
        ("^~ /admin", "for all paths below it; two more, `/admin{name}`"),
        ("/admin(.*)", "two routes, `/admin` and `/admin/{*rest}` for all paths below it; two more"),
        ("/admin/?(.*)", "for all paths below it; two more, `/admin{name}`"),
        // Fixed text remains fixed text.
        ("/user-[0-9]+", "write `/user-{id:int}`"),
        ("/v[0-9]+/users", "write `/v{id:int}/users`"),
        ("/files/[a-z]+\\.txt", "write `/files/{name}.txt`"),
        ("/report.*", "two routes, `/report` and `/report/{*rest}`"),
        ("/users*/posts", "write `/users{name}/posts`"),
        // A segment has at most one parameter.
        ("/flights/:from-:to", "write `/flights/{from-to}`; a segment has at most one"),
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
        ("/a/:b?/c", "two routes, `/a/c` and `/a/{b}/c`"),
        ("/a/{b?}/c", "two routes, `/a/c` and `/a/{b}/c`"),
        ("/a/{b:int?}", "two routes, `/a` and `/a/{b:int}`"),
        ("/a/<id>?", "two routes, `/a` and `/a/{id}`"),
        ("/users/:id*", "two routes, `/users` and `/users/{*id}`"),
        ("/a/[:id]", "write `/a/{id}`"),
        ("/x/{a:int|uuid}", "write `/x/{a}`"),
        ("/api/v[12]/x", "write `/api/v{name:(1|2)}/x`"),
        ("/api/v[1-3]/x", "write `/api/v{name:(1|2|3)}/x`"),
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
fn what_matches_the_same_has_no_note() {
    for path in ["/a/{id:[0-9]+}", "/a/[^/]+/b", "/a/*/b", "^~ /a/", "/a(/.*)?", "/a/{id}*", "/a/{id:guid}", "/a/:id"] {
        let found = foreign(path).unwrap_or_else(|| panic!("{path} is not found"));
        assert!(
            !["matches any", "without a slash", "two more"].iter().any(|note| found.fix.contains(note)),
            "{found:?}"
        );
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
