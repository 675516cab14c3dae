use super::*;

const SCHEMES: &str = "
    key: {type: apiKey, in: header, name: X-Key}
    same: {type: apiKey, in: header, name: x-key}
    query: {type: apiKey, in: query, name: k}
    cookie: {type: apiKey, in: cookie, name: sid}
    basic: {type: http, scheme: basic}
    oauth: {type: oauth2, flows: {}}
    bearer: {type: http, scheme: bearer}
    jwt: {type: http, scheme: Bearer, bearerFormat: JWT}
    oidc: {type: openIdConnect, openIdConnectUrl: 'https://id.test/a/.well-known/openid-configuration'}
    plain: {type: openIdConnect, openIdConnectUrl: 'http://id.test/.well-known/openid-configuration'}
    custom: {type: http, scheme: hoba}
    tls: {type: mutualTLS}
";

fn read(security: &str) -> Result<Access, Failure> {
    let text = format!(
        "openapi: 3.1.0\nsecurity: {security}\npaths: {{/a: {{get: {{}}}}}}\ncomponents:\n  securitySchemes:{SCHEMES}"
    );
    let (spec, _) = tollgate_config::import_openapi("s.yaml", &text).unwrap();
    Access::of(&spec)
}

fn access(security: &str) -> Access {
    read(security).unwrap()
}

/// Checks what the only operation of a document requires.
#[track_caller]
fn check(security: &str, authn: &str, scopes: &str) {
    let access = access(security);
    let required = &access.routes[0];
    assert_eq!(access.members(required), authn, "{security}");
    assert_eq!(required.scopes.written().unwrap_or_default(), scopes, "{security}");
}

#[test]
fn every_credential_of_an_alternative_is_required() {
    check("[]", "any: []", "");
    check("[{key: []}]", "any: [\"key\"]", "");
    check("[{key: [], oauth: []}]", "any: [{all: [\"key\", oauth]}]", "");
    check("[{key: [], oauth: []}, {query: []}]", "any: [query, {all: [\"key\", oauth]}]", "");
    check("[{key: [], oauth: []}, {key: []}]", "any: [\"key\"]", "");
    check("[{key: []}, {same: []}]", "any: [\"key\"]", "");
    check("[{oauth: []}, {jwt: []}, {plain: []}]", "any: [oauth]", "");
    check("[{oauth: []}, {bearer: []}, {oidc: []}]", "any: [oauth, bearer, oidc]", "");
    check("[{tls: []}, {key: [], tls: []}]", "any: [\"tls\"]", "");
    check("[{key: [], tls: []}]", "any: [{all: [\"key\", \"tls\"]}]", "");
}

#[test]
fn every_scope_of_every_alternative_is_required() {
    check("[{oauth: [write, read]}]", "any: [oauth]", "[read, write]");
    check("[{oauth: [read], key: [read, admin]}]", "any: [{all: [oauth, \"key\"]}]", "[admin, read]");
    check("[{oauth: [write, read]}, {key: []}]", "any: [oauth, \"key\"]", "[read, write]");
    check("[{oauth: ['write read', '']}]", "any: [oauth]", "[read, write]");
    assert!(access("[{oauth: [a]}, {key: [b]}]").notes.join(" ").contains("alternatives with different scopes"));
    assert!(!access("[{oauth: [a]}, {key: [a]}]").notes.join(" ").contains("different scopes"));
}

#[test]
fn alternatives_of_one_scheme_are_alternatives_of_scopes() {
    check("[{oauth: [read]}, {oauth: [admin]}]", "any: [oauth]", "{any: [admin, read]}");
    check("[{oauth: [read, write]}, {oauth: [admin]}]", "any: [oauth]", "{any: [admin, [read, write]]}");
    check("[{oauth: [read, write]}, {oauth: [read]}]", "any: [oauth]", "[read]");
    check("[{oauth: [read]}, {oauth: []}]", "any: [oauth]", "");
    check("[{oauth: [read]}, {jwt: [admin]}]", "any: [oauth]", "[admin, read]");
    assert!(!access("[{oauth: [read]}, {oauth: [admin]}]").notes.join(" ").contains("different scopes"));
}

#[test]
fn a_credential_that_may_be_absent_is_optional() {
    check("[{}, {key: []}]", "optional: [\"key\"]", "");
    check("[{key: [read]}, {oidc: []}, {}]", "optional: [\"key\", oidc]", "");
    check("[{}, {key: [], oauth: []}]", "optional: [{all: [\"key\", oauth]}]", "");
    check("[{}]", "any: []", "");
    let access = access("[{}, {cookie: []}]");
    assert!(access.members(&access.routes[0]) == "any: []" && access.default.is_empty());
    assert!(access.notes.join(" ").contains("cannot check: it is not read"), "{:?}", access.notes);
}

#[test]
fn tokens_are_verified_by_what_the_document_says_of_their_provider() {
    let policy = |security: &str| {
        let access = access(security);
        let policy = access.policies.into_iter().next().unwrap();
        (policy.definition, access.notes.join(" "))
    };
    let (definition, notes) = policy("[{oidc: []}]");
    assert_eq!(definition, r#"{kind: jwt, issuer: "https://id.test/a", audience: "https://audience.invalid"}"#);
    assert!(notes.contains("policy oidc accepts no token until"), "{notes}");
    for security in ["[{oauth: []}]", "[{jwt: []}]", "[{plain: []}]"] {
        let (definition, notes) = policy(security);
        assert!(definition.starts_with(r#"{kind: jwt, issuer: "https://issuer.invalid", audience:"#), "{definition}");
        assert!(notes.contains("accepts no token until"), "{notes}");
    }
    assert_eq!(policy("[{bearer: []}]").0, "{kind: api-key, header: Authorization, scheme: Bearer}");
    assert_eq!(policy("[{basic: []}]"), ("{kind: basic}".to_owned(), String::new()));
    assert!(!access("[{oidc: []}]").takes_one_key(0) && access("[{key: []}]").takes_one_key(0));
}

#[test]
fn a_key_replaces_credentials_that_cannot_be_checked() {
    for security in ["[{custom: []}]", "[{cookie: []}]", "[{unheard: []}]", "{}", "[null]"] {
        check(security, "any: [keys]", "");
        assert!(access(security).notes.join(" ").contains("cannot check"), "{security}");
    }
    check("[{cookie: [read]}]", "any: [keys]", "[read]");
    check("[{cookie: [], key: []}]", "any: [\"key\"]", "");
    check("[{cookie: []}, {key: []}]", "any: [\"key\"]", "");
    assert!(access("[{cookie: []}, {key: []}]").notes.is_empty(), "nothing is replaced");
    assert!(access("[{cookie: [], key: []}]").notes.join(" ").contains("(cookie) together with others"));
}

#[test]
fn keys_that_are_valid_for_several_schemes_are_noted() {
    for (security, is_noted) in [
        ("[{key: []}]", false),
        ("[{key: []}, {basic: []}]", true),
        ("[{oauth: []}, {bearer: []}]", false),
        ("[{key: []}, {query: []}]", true),
    ] {
        let notes = access(security).notes.join(" ");
        assert_eq!(notes.contains("is valid for each of the schemes"), is_noted, "{security} {notes}");
    }
}

#[test]
fn a_document_with_what_cannot_be_required_is_refused() {
    let scopes = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(", ");
    let most = access(&format!("[{{oauth: [{}]}}]", scopes(64))).routes[0].scopes.clone();
    assert!(matches!(most, Scopes::All(all) if all.len() == 64));
    for (security, why) in [
        (format!("[{{oauth: [{}]}}]", scopes(65)), "GET /a: it requires 65 scopes, and a route can require 64"),
        (format!("[{{oauth: [{}]}}, {{key: [t]}}]", scopes(64)), "it requires 65 scopes"),
        ("[{oauth: [é]}]".to_owned(), "which no credential can have"),
        ("[{oauth: [], bearer: []}]".to_owned(), "oauth and bearer together, and both are sent in the same place"),
        ("[{basic: [], oidc: []}]".to_owned(), "both are sent in the same place"),
        ("[{key: [], same: []}]".to_owned(), "both are sent in the same place"),
    ] {
        let found = read(&security).unwrap_err().to_string();
        assert!(found.contains("nothing was written") && found.contains(why), "{found}");
    }
}
