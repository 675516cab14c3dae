//! Mistakes of what says who callers are, and what upstreams are told and shown.

use tollgate_config::fixtures;

use crate::{RIGHT, check, check_found, findings};

#[test]
fn a_field_tells_an_upstream_one_thing_and_is_no_credential_or_text_of_the_gateway() {
    let with = |upstream: &str| {
        let upstream = format!("pets: {{url: \"http://127.0.0.1:9000\", {upstream}}}");
        findings(&RIGHT.replace("pets: \"http://127.0.0.1:9000\"", &upstream))
    };
    let codes = |upstream: &str| with(upstream).iter().map(|found| found.code.id()).collect::<Vec<_>>();
    assert_eq!(codes("identity: {X-A: consumer, X-B: plan}"), [""; 0]);
    assert_eq!(codes("identity: {X-A: consumer, x_a: plan}"), ["TG0213"]);
    assert_eq!(codes("identity: {X-A: consumer}, headers: {x-a: b}"), ["TG0213"]);
    assert_eq!(codes("identity: {Host: consumer}"), ["TG0308"]);
    assert_eq!(
        codes("identity: {Authorization: consumer}, auth: {kind: basic, user: a, password: \"${secret.A}\"}"),
        ["TG0342"]
    );
    assert_eq!(codes("identity: none, auth: none"), [""; 0]);
    for never in ["claims.email", "claims[\"https://example.com/org\"].id", "certificate.subject"] {
        let found = with(&format!("identity: {{X-A: '{never}'}}"));
        assert!(found.iter().all(|found| found.code.id() == "TG0343") && !found.has_errors(), "{found}");
        assert!(found.to_string().contains("`X-A` never tells `"), "{found}");
    }
    for wrong in ["claims", "claims.", "claims.a == 1", "claims.a-b", "certificate.serial", "certificate."] {
        let found = with(&format!("identity: {{X-A: '{wrong}'}}"));
        assert!(found.iter().any(|found| found.code.id() == "TG0343") && found.has_errors(), "{wrong}: {found}");
    }
    for (written, meant) in [
        ("email", "claims.email"),
        ("claim.email", "claims.email"),
        ("principal.claims.email", "claims.email"),
        ("principal.claims[\"a b\"]", ""),
        ("consumers", "consumer"),
    ] {
        let found = with(&format!("identity: {{X-A: '{written}'}}"));
        assert!(found.has_errors() && found.to_string().contains(&format!("`{meant}")), "{written}: {found}");
    }
}

#[test]
fn tokens_about_callers_need_a_key_and_say_what_is_allowed() {
    let check = |gateway: &str, token: &str, expected: &[&str]| {
        let text = format!(
            "format: 1\ngateway: {{name: g{gateway}}}\nupstreams: {{u: {{url: \"https://u\", identity: {{X-A: {token}}}}}}}\n\
             policies:\n  staff: {{kind: jwt, issuer: \"https://id.example.com\", audience: a, algorithms: [EdDSA]}}\n\
             apis: {{a: {{upstream: u, authn: staff, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let found = findings(&text);
        assert_eq!(found.iter().map(|found| found.code.id()).collect::<Vec<_>>(), expected, "{text}{found}");
    };
    let signing = |more: &str| format!(", identity-tokens: {{issuer: \"https://g\", key: \"${{secret.KEY}}\"{more}}}");
    check(&signing(""), "{}", &[]);
    check(
        &signing(", keys-path: /keys, lifetime: 1m"),
        "{audience: b, claims: {email: claims.email, plan: plan}}",
        &[],
    );
    check("", "{}", &["TG0343"]);
    for wrong in ["{sub: plan}", "{scope: scopes}", "{\"a b\": plan}"] {
        check(&signing(""), &format!("{{claims: {wrong}}}"), &["TG0343"]);
    }
    check(&signing(", lifetime: 10s"), "{}", &["TG0343"]);
    check(&signing(", lifetime: 2h"), "{}", &["TG0343"]);
    check(", identity-tokens: {issuer: \"https://g\", key: written}", "{}", &["TG0341"]);
    check(&signing(""), "{claims: {dn: certificate.subject}}", &["TG0343"]);
}

#[test]
fn what_the_gateway_proves_to_upstreams_is_checked() {
    let check = |url: &str, auth: &str, authn: &str, expected: &[&str]| {
        let text = format!(
            "format: 1\ngateway: {{name: g}}\nupstreams: {{u: {{url: \"{url}\", auth: {{{auth}}}}}}}\n\
             policies:\n  staff: {{kind: jwt, issuer: \"https://id.example.com\", audience: a, algorithms: [EdDSA]}}\n  keys: {{kind: api-key}}\n\
             apis: {{a: {{upstream: u, authn: {authn}, routes: [{{path: /a, methods: [GET]}}, {{path: /k, authn: {{any: [staff, keys], replace: true}}, upstream-auth: none, methods: [GET]}}]}}}}\n"
        );
        let found = findings(&text);
        assert_eq!(found.iter().map(|found| found.code.id()).collect::<Vec<_>>(), expected, "{text}{found}");
    };
    let server = "token-url: \"https://id.example.com/token\", client-id: g, client-secret: \"${secret.A}\"";
    let exchange = format!("kind: token-exchange, {server}");
    check("https://u", &exchange, "staff", &[]);
    check("https://u", &exchange, "{all: [staff, keys]}", &[]);
    for authn in ["keys", "none", "[staff, keys]", "{optional: [staff]}", "{all: [keys, staff]}"] {
        check("https://u", &exchange, authn, &["TG0342"]);
    }
    check("https://u", &format!("{exchange}, subject-type: jwt, actor-token: \"${{secret.B}}\""), "staff", &[]);
    check("https://u", &format!("{exchange}, actor-token: written"), "staff", &["TG0341"]);
    let credentials = format!("kind: client-credentials, {server}");
    check("https://u", &format!("{credentials}, resources: [\"https://u/a?b\", \"urn:a:b\"]"), "staff", &[]);
    for resource in ["u", "https://u#a", "https:", "//u", "a b:c"] {
        check("https://u", &format!("{credentials}, resources: [\"{resource}\"]"), "staff", &["TG0342"]);
    }
    let aws = |service: &str, more: &str| {
        format!(
            "kind: aws-sigv4, region: eu-central-1, service: {service}, access-key-id: A, secret-access-key: \"${{secret.A}}\"{more}"
        )
    };
    check("https://u", &aws("s3", ""), "staff", &[]);
    check("https://u", &aws("s3", ", sign-content: false, session-token: \"${secret.B}\""), "staff", &[]);
    check("http://u", &aws("s3", ", sign-content: false"), "staff", &["TG0342"]);
    check("https://u", &aws("dynamodb", ", sign-content: false"), "staff", &["TG0342"]);
    check("https://u", &aws("dynamodb", ", forward: [X-Amz-Target]"), "staff", &[]);
    check("https://u", &aws("S3", ""), "staff", &["TG0342"]);
    for field in ["X-Amz-Date", "X-Other"] {
        check("https://u", &aws("s3", &format!(", forward: [{field}]")), "staff", &["TG0342"]);
    }
    let literal = aws("s3", "").replace("${secret.A}", "written");
    check("https://u", &literal, "staff", &["TG0341"]);
}

#[test]
fn fixtures_are_checked() {
    const KEY: &str = "tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EW";
    let found = |consumer: &str, expected: &[(&str, u32, u32)]| {
        let text = format!("format: 1\nconsumers:\n- {consumer}\n");
        match fixtures::load_str("dev/fixtures.yaml", &text) {
            Ok(fixtures) => check_found(&fixtures.warnings, expected),
            Err(found) => check_found(&found, expected),
        }
    };
    found(&format!("{{id: a, keys: [{KEY}]}}"), &[]);
    found("{keys: []}", &[("TG0203", 3, 3)]);
    found(&format!("{{id: a, keys: [{{key: {KEY}, scopes: [\"a b\"]}}]}}"), &[("TG0205", 3, 80)]);
    found(&format!("{{id: a, keys: [{{key: {KEY}, scopes: [\"*\"]}}]}}"), &[("TG0318", 3, 80)]);
    found("{id: a, keys: [hello]}", &[("TG0501", 3, 18)]);
    found("{id: a, keys: [{key: tg_dev_PWu2EyAB2NTHRtw96AWiraT6d9dxTqt420E1EX}]}", &[("TG0501", 3, 24)]);
    found(&format!("{{id: a, keys: [{{key: {KEY}, expires: tomorrow}}]}}"), &[("TG0502", 3, 80)]);
    found(
        &format!("{{id: a, keys: [{{key: {KEY}, not-before: 2026-01-02T00:00:00Z, expires: 2026-01-01T00:00:00Z}}]}}"),
        &[("TG0505", 3, 24)],
    );
    found(&format!("{{id: a, keys: [{KEY}, {KEY}]}}"), &[("TG0504", 3, 65)]);
    found("{id: a}\n- {id: a}", &[("TG0503", 4, 8)]);
}

/// Checks a policy that has one more key, whose value is refused with this code.
#[track_caller]
fn check_token_policy(key: &str, value: &str, expected: Option<&str>) {
    let begin = "format: 1\ngateway: {name: a}\nupstreams: {u: \"http://u\"}\n";
    for kind in ["jwt", "introspection, client-id: g, client-secret: \"${secret.C}\""] {
        let policy = format!("p: {{kind: {kind}, issuer: \"https://id.example.com\", audience: a, {key}: ");
        let text = format!(
            "{begin}policies:\n  {policy}{value}}}\napis: {{a: {{upstream: u, authn: p, routes: [{{path: /a, methods: [GET]}}]}}}}\n"
        );
        let column = policy.len() as u32 + 3;
        check(&text, &expected.map(|code| (code, 5, column)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_route_below_the_path_of_logins_is_reported_if_it_matches_what_the_policy_answers() {
    let check = |more: &str, path: &str, is_found: bool| {
        let policy = "kind: oidc-login, issuer: \"https://id.example.com\", client-id: a, client-secret: \"${secret.A}\", secret: \"${secret.B}\"";
        let text = "format: 1\ngateway: {name: a}\nupstreams: {u: \"http://u\"}\npolicies: {p: {POLICY, path: /a/in}}\n\
                    apis: {a: {upstream: u, authn: p, routes: [{path: \"PATH\", methods: [GET]}]}}\n";
        let text = text.replace("POLICY", &format!("{policy}{more}")).replace("PATH", path);
        let found = findings(&text);
        let codes: Vec<_> = found.iter().map(|one| one.code.id()).collect();
        assert_eq!(codes, if is_found { &["TG0419"][..] } else { &[] }, "{path}: {found}");
    };
    for path in ["/a/in/callback", "/a/in/logout", "/a/in/{x}", "/a/in/log{x}", "/a/in/{x:(logout|x)}", "/a/in/{*rest}"]
    {
        check("", path, true);
    }
    for path in
        ["/a/in", "/a/in/other", "/a/in/{x:int}", "/a/in/callback/x", "/a/{x}/callback", "/{*rest}", "/callback"]
    {
        check("", path, false);
    }
    check("", "/a/in/back-channel-logout", false);
    check(", revocable: true", "/a/in/back-channel-logout", true);
}

/// RFC 9728, sections 1.2 and 3.
#[test]
fn a_resource_has_a_url_at_which_its_metadata_are_found() {
    for good in ["https://api.example.com", "HTTPS://api.example.com/", "https://api.example.com:8443/v1/a%20b"] {
        check_token_policy("resource", &format!("\"{good}\""), None);
    }
    check_token_policy("resource", "\"http://api.example.com\", private-network: true", None);
    for bad in
        ["http://api.example.com", "api.example.com", "https://api.example.com/a/../b", "https://a.example/v1?x=1"]
    {
        check_token_policy("resource", &format!("\"{bad}\""), Some("TG0320"));
    }
}

#[test]
fn a_secret_that_is_written_in_the_file_is_refused() {
    let with = |secret: &str| {
        let policy = format!("p: {{kind: jwt, issuer: \"https://id.example.com\", audience: a, secret: \"{secret}\"}}");
        let route = "apis: {a: {upstream: u, authn: p, routes: [{path: /a, methods: [GET]}]}}";
        format!("format: 1\ngateway: {{name: a}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{{policy}}}\n{route}\n")
    };
    check(&with("${secret.SHARED}"), &[]);
    check(&with("an old secret of more than 32 bytes"), &[("TG0341", 4, 82)]);
}

#[test]
fn identities_are_linked_by_an_issuer_and_a_claim() {
    check_token_policy("links", "sub", None);
    check_token_policy("links", "email, unlinked: refuse", None);
    check_token_policy("links", "\"a=b\"", Some("TG0346"));
    check_token_policy("unlinked", "refuse", Some("TG0346"));
    check_token_policy("unlinked", "accept", None);
    let policy = "p: {kind: introspection, client-id: g, client-secret: \"${secret.C}\", url: \"https://id/i\", audience: a, links: sub}";
    let route = "apis: {a: {upstream: u, authn: p, routes: [{path: /a, methods: [GET]}]}}";
    let text =
        format!("format: 1\ngateway: {{name: a}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{{policy}}}\n{route}\n");
    check(&text, &[("TG0346", 4, 122)]);
    let fixtures =
        fixtures::load_str("f.yaml", "format: 1\nconsumers:\n- {id: a, identities: [\"https://id.example.com\"]}\n");
    check_found(&fixtures.unwrap_err(), &[("TG0346", 3, 24)]);
    let fixtures = fixtures::load_str(
        "f.yaml",
        "format: 1\nconsumers:\n- {id: a, plan: gold, identities: [\"https://i sub=7\"]}\n",
    );
    let credentials = fixtures.unwrap().credentials;
    let [(digest, link)] = credentials.as_slice() else { panic!("{credentials:?}") };
    assert_eq!(
        (&link.id, link.plan.as_deref(), link.identity.as_deref()),
        (&digest.link_id(), Some("gold"), Some("https://i sub=7"))
    );
}

/// RFC 7519, section 4.1.2: a subject is unique for its issuer.
#[test]
fn policies_in_which_two_people_may_have_one_name_are_reported() {
    let with = |one: &str, other: &str| {
        let policy = |name, issuer, more: &str| {
            format!("  {name}: {{kind: jwt, issuer: \"https://{issuer}.example.com\", audience: a{more}}}\n")
        };
        let head =
            "format: 1\ngateway: {name: acme, limit: none}\nupstreams: {pets: \"https://pets.internal\"}\npolicies:\n";
        let apis = "apis:\n  pets: {upstream: pets, authn: {any: [a, b]}, routes: [{path: /pets, methods: [GET]}]}\n";
        [head, &policy("a", "one", one), &policy("b", "two", other), apis].concat()
    };
    let prefix = |prefix: &str| format!(", consumer-prefix: \"{prefix}\"");
    let mail = |prefix: &str| format!(", consumer-prefix: \"{prefix}\", consumer: email");
    let mapped = |rules: &str| format!(", map-consumers: {{{rules}}}");
    for (one, other) in [
        (prefix("p:"), prefix("p:")),
        (mail("p:"), prefix("p:")),
        (prefix("b:"), String::new()),
        (prefix("x:"), prefix("x:y:")),
        (prefix("x:y:"), prefix("x:")),
        (prefix(""), String::new()),
        (prefix("p:"), mapped("\"p:root\": \"sub=7\"")),
        (mapped("\"b:root\": \"sub=7\""), String::new()),
    ] {
        check(&with(&one, &other), &[("TG0346", 6, 3)]);
    }
    for (one, other) in [
        (String::new(), String::new()),
        (prefix("p:"), prefix("q:")),
        (mail("p:"), mail("p:")),
        (mail(""), String::new()),
        (mapped("acme: \"sub=1\""), mapped("acme: \"sub=7\"")),
        (mapped("\"b:root\": \"sub=7\""), mapped("\"b:root\": \"sub=1\"")),
    ] {
        check(&with(&one, &other), &[]);
    }
}

#[test]
fn a_certificate_of_the_gateway_is_a_secret_and_is_presented_over_tls() {
    let check = |url: &str, tls: &str, expected: &[&str]| {
        let upstream = format!("pets: {{url: \"{url}\", tls: {tls}}}");
        let found = findings(&RIGHT.replace("pets: \"http://127.0.0.1:9000\"", &upstream));
        assert_eq!(found.iter().map(|found| found.code.id()).collect::<Vec<_>>(), expected, "{tls}: {found}");
    };
    check("https://u", "{certificate: \"${secret.A}\"}", &[]);
    check("https://u", "{certificate: \"${secret.A}\", key: \"${secret.B}\"}", &[]);
    check("http://u", "{certificate: \"${secret.A}\"}", &["TG0351"]);
    check("https://u", "{certificate: \"x${secret.A}\"}", &["TG0351"]);
    check("https://u", "{certificate: \"${secret.A}\", key: \"${secret.B}${secret.C}\"}", &["TG0351"]);
    check("https://u", "{certificate: pets.pem}", &["TG0341"]);
    check("https://u", "{certificate: \"${secret.a}\"}", &["TG0211"]);
    check("https://u", "{certificate: \"${secret.TOLLGATE_OPERATOR_READ}\"}", &["TG0308"]);
    check("https://u", "{key: \"${secret.A}\"}", &["TG0203"]);
    check("https://u", "{certificate: \"${secret.A}\", ca: a.pem}", &["TG0201"]);
}

#[test]
fn slow_hashes_are_bounded_and_not_for_workers() {
    let slow = |parameters: &str| {
        format!("'$argon2id$v=19${parameters}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'")
    };
    let with = |target: &str, users: &str| {
        let text = format!(
            "format: 1\ngateway: {{name: acme{target}}}\nupstreams: {{pets: \"https://pets.internal\"}}\npolicies:\n  \
             staff: {{kind: basic, users: {{{users}}}}}\napis:\n  pets:\n    upstream: pets\n    authn: staff\n    \
             routes: [{{path: /pets, methods: [GET]}}]\n"
        );
        findings(&text).to_string()
    };
    let usual = slow("m=19456,t=2,p=1");
    assert_eq!(with(", target: [native, spin]", &format!("ada: {usual}, bob: {usual}")), "");
    for (target, users, words) in [
        (", target: workers-paid", format!("ada: {usual}"), "which are not verified on `workers-paid`"),
        (", target: [native, workers-free]", format!("ada: {usual}"), "which are not verified on `workers-free`"),
        ("", format!("ada: {}", slow("m=64,t=1,p=1")), "weaker than OWASP's"),
        ("", format!("ada: {}", slow("m=1048576,t=9,p=1")), "costs more than a request may"),
        ("", "ada: '$2y$05$k87L/MF28Q673VKh8/cPi.SUl7MU/rWuSiIDDFayrKk/1tBsSQu4u'".to_owned(), "weaker than OWASP's"),
        ("", "ada: '$apr1$x$y'".to_owned(), "it is neither"),
        ("", format!("ada: {usual}, bob: {}", "ab".repeat(32)), "only some users of the policy have slow hashes"),
        ("", format!("ada: {usual}, bob: {}", slow("m=12288,t=3,p=1")), "hashed with different parameters"),
        ("", format!("ada: [{usual}, {}]", slow("m=12288,t=3,p=1")), "the password of `ada` is not a SHA-256"),
    ] {
        let report = with(target, &users);
        assert!(report.contains(words) && report.contains("TG0328"), "{words}: {report}");
    }
}

#[test]
fn an_issuer_and_an_audience_that_nobody_has_are_reported() {
    let with = |issuer: &str, audience: &str| {
        let policy = format!("p: {{kind: jwt, issuer: \"{issuer}\", audience: \"{audience}\"}}");
        let route = "apis: {a: {upstream: u, authn: p, routes: [{path: /a, methods: [GET]}]}}";
        format!("format: 1\ngateway: {{name: a}}\nupstreams: {{u: \"http://u\"}}\npolicies: {{{policy}}}\n{route}\n")
    };
    check(&with("https://id.test", "pets.invalid"), &[]);
    check(&with("https://issuer.invalid", "pets"), &[("TG0320", 4, 35)]);
    check(&with("https://id.test", "https://audience.invalid/a"), &[("TG0320", 4, 64)]);
}
