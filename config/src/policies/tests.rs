//! Tests of what is derived from the tables, for every kind.

use tollgate_core::kinds::{NamedPolicy, Policies, Policy};
use tollgate_core::secret::SecretText;

use super::written::settings as keys;
use super::{Change, KINDS, Setting, Value, WORDS, WrittenPolicy, default, settings};
use crate::diagnostic::Report;
use crate::place::{FileId, Files, Span, Spanned};
use crate::schema::Shape;
use crate::source::{self, Limits};

/// The policy that a text defines, and the written form of its settings.
#[track_caller]
fn read(text: &str) -> (WrittenPolicy, Vec<(&'static str, String)>) {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("policy", text);
    let node = source::read(file, files.text(file), &Limits::AUTHORED, &mut report).expect("a document");
    let name = Spanned::new("p".to_owned(), Span::beginning_of(FileId::default()));
    let written = WrittenPolicy::decode(&name, &node, &mut report);
    let policy = written.as_ref().and_then(|written| (written.kind.lower)(&written.written, &mut report));
    let (Some(written), Some(policy)) = (written, policy) else { panic!("{text}\n{}", report.finish(files)) };
    let all: Policies = [NamedPolicy { name: "p".into(), policy }].into_iter().collect();
    let list = settings(&all, "p").expect("the policy").list;
    let values = list.into_iter().filter_map(|Setting { key, value, .. }| Some((key, value?.to_string())));
    (written, values.collect())
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let (_, values) = read(text);
    let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
    assert_eq!(values, expected, "{text}");
}

#[test]
fn settings_have_the_written_values_and_the_defaults() {
    check("{kind: api-key}", &[("header", "x-api-key"), ("key-format", "tollgate")]);
    check(
        "{kind: api-key, environments: [live, test], key-format: any}",
        &[("header", "x-api-key"), ("environments", "[live, test]"), ("key-format", "any")],
    );
    check(
        "{kind: api-key, query: key, header: Authorization, scheme: Bearer}",
        &[("header", "authorization"), ("scheme", "Bearer"), ("query", "key"), ("key-format", "tollgate")],
    );
    check(
        "{kind: rate-limit, rate: 60/min}",
        &[
            ("rate", "60/min"),
            ("burst", "60"),
            ("algorithm", "gcra"),
            ("by", "[consumer]"),
            ("on-unavailable", "open"),
            ("shadow", "false"),
            ("consistency", "leased"),
        ],
    );
    check(
        "{kind: rate-limit, rate: 5/10s, burst: 9, by: address, on-unavailable: closed}",
        &[
            ("rate", "5/10s"),
            ("burst", "9"),
            ("algorithm", "gcra"),
            ("by", "[address]"),
            ("on-unavailable", "closed"),
            ("shadow", "false"),
            ("consistency", "leased"),
        ],
    );
    check(
        "{kind: quota, quota: 5, window: year, zone: Asia/Tokyo, anchor-day: 31, anchor-month: 4, by: [consumer, 'request.headers[\"x-a\"]'], \
         warn: [95%, 80%], shadow: true}",
        &[
            ("quota", "5"),
            ("window", "year"),
            ("zone", "Asia/Tokyo"),
            ("anchor-day", "31"),
            ("anchor-month", "4"),
            ("by", "[consumer, request.headers[\"x-a\"]]"),
            ("on-unavailable", "open"),
            ("shadow", "true"),
            ("warn", "[80%, 95%]"),
            ("consistency", "exact"),
        ],
    );
    check(
        "{kind: concurrency, max: 5, by: gateway}",
        &[("max", "5"), ("lease", "1m"), ("by", "[gateway]"), ("on-unavailable", "open"), ("shadow", "false")],
    );
    check(
        "{kind: concurrency, max: 5, by: [address, 'request.cookies[\"a\"]'], ipv6-prefix: 48, ipv4-prefix: 24}",
        &[
            ("max", "5"),
            ("lease", "1m"),
            ("by", "[address, request.cookies[\"a\"]]"),
            ("ipv6-prefix", "48"),
            ("ipv4-prefix", "24"),
            ("on-unavailable", "open"),
            ("shadow", "false"),
        ],
    );
    let jwt = "{kind: jwt, issuer: \"https://id.example.com\", audience: pets}";
    check(
        jwt,
        &[
            ("issuer", "[https://id.example.com]"),
            ("audience", "[pets]"),
            ("private-network", "false"),
            ("algorithms", "[RS256, PS256, ES256, ES384, EdDSA]"),
            ("header", "authorization"),
            ("scheme", "Bearer"),
            ("leeway", "30s"),
            ("consumer", "sub"),
            ("scope-claim", "scope"),
            ("unlinked", "accept"),
            ("binding", "bearer"),
            ("certificate-from", "connection"),
            ("revocable", "false"),
            ("on-unavailable", "closed"),
        ],
    );
    check(
        "{kind: webhook, sender: slack, secret: \"${secret.SLACK}\", once-within: 10m}",
        &[("sender", "slack"), ("secret", "[${secret.SLACK}]"), ("tolerance", "5m"), ("once-within", "10m")],
    );
    check(
        "{kind: webhook, sender: hmac, secret: [\"${secret.A}\", \"${secret.B}\"], header: X-Sig, hash: sha512}",
        &[
            ("sender", "hmac"),
            ("secret", "[${secret.A}, ${secret.B}]"),
            ("tolerance", "5m"),
            ("header", "x-sig"),
            ("hash", "sha512"),
            ("encoding", "hex"),
            ("signed", "{body}"),
        ],
    );
    check("{kind: client-certificate}", &[("from", "connection"), ("consumer", "registered")]);
    let digest = "ab".repeat(32);
    let colons = ["AB"; 32].join(":");
    check(
        &format!(
            "{{kind: client-certificate, from: client-cert, consumer: uri, consumer-prefix: \"\", plan: gold, scopes: [a], accept: \
             {{uri: \"spiffe://example.org/*\", issuer: [CN=CA], dns: [\"*.Example.com\"], fingerprint: \"{colons}\"}}}}"
        ),
        &[
            ("from", "client-cert"),
            (
                "accept",
                &format!("{{dns: *.example.com, uri: spiffe://example.org/*, fingerprint: {digest}, issuer: CN=CA}}"),
            ),
            ("consumer", "uri"),
            ("consumer-prefix", ""),
            ("plan", "gold"),
            ("scopes", "[a]"),
        ],
    );
    let opaque = "{kind: introspection, url: \"https://id.example.com/i\", audience: pets, client-id: a, client-secret: \"${secret.B}\"}";
    check(
        opaque,
        &[
            ("url", "https://id.example.com/i"),
            ("audience", "[pets]"),
            ("client-id", "a"),
            ("client-secret", "${secret.B}"),
            ("client-auth", "basic"),
            ("private-network", "false"),
            ("cache", "30s"),
            ("signed", "false"),
            ("header", "authorization"),
            ("scheme", "Bearer"),
            ("leeway", "30s"),
            ("consumer", "sub"),
            ("scope-claim", "scope"),
            ("unlinked", "accept"),
            ("binding", "bearer"),
            ("certificate-from", "connection"),
            ("revocable", "false"),
            ("on-unavailable", "closed"),
        ],
    );
    let known = format!("{}, on-unavailable: known, outage-consumers: [\"o:ada\"]}}", opaque.trim_end_matches('}'));
    let (_, values) = read(&known);
    for (key, value) in [("on-unavailable", "known"), ("outage-consumers", "[o:ada]"), ("outage-for", "1h")] {
        assert!(values.contains(&(key, value.to_owned())), "{values:?}");
    }
    let bound = format!("{}, binding: dpop, dpop-nonce: \"${{secret.N}}\"}}", jwt.trim_end_matches('}'));
    let (_, values) = read(&bound);
    for (key, value) in [
        ("binding", "dpop"),
        ("dpop-algorithms", "[RS256, PS256, ES256, ES384, EdDSA]"),
        ("dpop-max-age", "1m"),
        ("dpop-nonce", "${secret.N}"),
        ("dpop-once", "true"),
    ] {
        assert!(values.contains(&(key, value.to_owned())), "{values:?}");
    }
    let (_, values) =
        read(&format!("{}, map-groups: {{a: ['role=\"Domain Admins\" b=c', 'x=\"y\"']}}}}", jwt.trim_end_matches('}')));
    let rules = values.iter().find(|(key, _)| *key == "map-groups").map(|(_, value)| value.as_str());
    assert_eq!(rules, Some("{a: [b=c role=\"Domain Admins\", x=y]}"));
    let ed = r#"{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let foreign = r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}"#;
    let with = |kind: &str, keys: &str| format!("{kind}, keys: '{{\"keys\":[{keys}]}}'}}");
    for kind in [jwt.trim_end_matches('}'), "{kind: http-signature"] {
        read(&with(kind, &format!("{foreign},{ed}")));
        check_refused(&with(kind, foreign), "the keys cannot be used: key 1");
    }
    for (keys, what) in [
        ("map-groups: {a: 'role=\"Domain Admins'}", "is no rule for claims"),
        ("map-groups: {a: 'role=\"Domain\"Admins'}", "is no rule for claims"),
        ("map-groups: {a: 'role=\"\"'}", "is no rule for claims"),
        ("map-groups: {a: role=Domain Admins}", "is no rule for claims"),
        ("map-consumers: {a: \"sub==ada\"}", "no other operators"),
        ("map-consumers: {a: \"sub!=ada\"}", "no other operators"),
        ("binding: dpop, dpop-algorithms: [HS256]", "`HS256` is no algorithm of public keys"),
        ("binding: dpop, dpop-max-age: 2h", "`dpop-max-age` is longer than an hour"),
        ("binding: certificate, dpop-once: false", "`dpop-once` has no effect"),
        ("dpop-nonce: \"${secret.N}\"", "`dpop-nonce` has no effect"),
    ] {
        check_refused(&format!("{}, {keys}}}", jwt.trim_end_matches('}')), what);
    }
    check(
        "{kind: http-signature, secrets: {b: \"${secret.B}\", a: \"${secret.A}\"}, components: [date, \"@query-param;name=\\\"x\\\"\"]}",
        &[
            ("secrets", "{a: ${secret.A}, b: ${secret.B}}"),
            ("algorithms", "[hmac-sha256]"),
            ("components", "[date, @query-param;name=\"x\"]"),
            ("max-age", "5m"),
            ("leeway", "30s"),
        ],
    );
    check("{kind: ip-filter, deny: [\"::ffff:192.0.2.0/120\"]}", &[("deny", "[192.0.2.0/24]")]);
    check("{kind: ip-filter, deny: [192.0.2.7, \"2001:DB8::/32\"]}", &[("deny", "[192.0.2.7/32, 2001:db8::/32]")]);
}

/// Checks that a policy is refused, and that the finding says this.
#[track_caller]
fn check_refused(text: &str, part: &str) {
    let found = lowered(text).expect_err("a refused policy");
    assert!(found.contains(part), "{text}\n{found}");
}

#[test]
fn limits_that_have_to_know_first_are_not_charged_beside() {
    for (text, part) in [
        ("{kind: rate-limit, rate: 5/s, algorithm: spacing, charge: beside}", "a request waits for its turn"),
        ("{kind: rate-limit, rate: 5/s, consistency: local, charge: beside}", "each isolate counts by itself"),
        ("{kind: quota, budget: 5 calls, window: day, charge: beside}", "a budget bounds what requests cost"),
    ] {
        check_refused(text, part);
    }
    let written = |charge: &str| read(&format!("{{kind: quota, quota: 5, window: day, charge: {charge}}}")).1;
    assert!(written("beside").contains(&("charge", "beside".to_owned())));
    assert!(written("before").iter().all(|(key, _)| *key != "charge"));
}

#[test]
fn policies_for_signed_requests_that_protect_nothing_are_refused() {
    let webhook = |more: &str| format!("{{kind: webhook, {more}}}");
    let secret = "secret: \"${secret.A}\"";
    for (more, part) in [
        ("sender: github, secret: text".to_owned(), "written in the file"),
        ("sender: standard-webhooks, secret: [\"whpk_A\", \"whsec_A\"]".to_owned(), "written in the file"),
        (format!("sender: github, {secret}, header: X-A"), "has no effect with `sender: github`"),
        (format!("sender: hmac, {secret}"), "the field with the signature is missing"),
        (format!("sender: hmac, {secret}, header: X-A, signed: a"), "does not describe the whole message"),
        (format!("sender: hmac, {secret}, header: X-A, timestamp-header: X-T"), "`{timestamp}.{body}`"),
        (format!("sender: slack, {secret}, once-within: 9m"), "from 10m to 24h"),
        (format!("sender: github, {secret}, once-within: 25h"), "too short or too long"),
    ] {
        check_refused(&webhook(&more), part);
    }
    let signed = |more: &str| format!("{{kind: http-signature, {more}}}");
    let key = |id: &str| {
        format!(
            "keys: '{{\"keys\":[{{{id}\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}]}}'"
        )
    };
    let good = key("\"kid\":\"a\",");
    for (more, part) in [
        (key(""), "a key has no `kid`"),
        ("keys: '{\"keys\":[]}'".to_owned(), "there are none"),
        ("keys: text".to_owned(), "the keys cannot be used"),
        ("pem: {a: text}".to_owned(), "the key `a` cannot be used"),
        ("jwks: \"http://keys.example.com/\"".to_owned(), "not fetched over HTTPS"),
        ("secrets: {a: text}".to_owned(), "written in the file"),
        (format!("{good}, algorithms: [hmac-sha256]"), "not an algorithm of these keys"),
        ("secrets: {a: \"${secret.A}\"}, algorithms: [ed25519]".to_owned(), "not an algorithm of these keys"),
        (format!("{good}, components: [\"@status\"]"), "no component of a request"),
        (format!("{good}, components: [\"date;req\"]"), "no component of a request"),
        (format!("{good}, components: ['@query-param;name=\"a b\"']"), "no component of a request"),
        (format!("{good}, require: [nonce]"), "not compared with any other"),
        (format!("{good}, require: [created]"), "no parameter that can be required"),
        (format!("{good}, once-within: 5m"), "from 6m to 24h"),
        (format!("{good}, algorithms: [rsa-pss-sha512]"), "none of the keys is for these algorithms"),
        (format!("{good}, consumers: {{b: acme}}"), "the policy has no key `b`"),
        ("secrets: {a: \"${secret.A}\"}, consumers: {b: acme}".to_owned(), "the policy has no key `b`"),
    ] {
        check_refused(&signed(&more), part);
    }
}

/// What is told of a policy that may be valid.
fn told(text: &str) -> String {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("policy", text);
    let node = source::read(file, files.text(file), &Limits::AUTHORED, &mut report).expect("a document");
    let name = Spanned::new("p".to_owned(), Span::beginning_of(FileId::default()));
    let written = WrittenPolicy::decode(&name, &node, &mut report).expect("a policy");
    let is_valid = (written.kind.lower)(&written.written, &mut report).is_some();
    format!("{is_valid} {}", report.finish(files))
}

#[test]
fn what_makes_no_sense_in_a_login_is_told() {
    let with = |issuer: &str, secret: &str, more: &str| {
        told(&format!(
            "{{kind: oidc-login, issuer: \"{issuer}\", client-id: a, client-secret: \"${{secret.B}}\", secret: \"${{secret.{secret}}}\"{more}}}"
        ))
    };
    let issuer = "https://id.example.com";
    #[track_caller]
    fn check_told(told: &str, is_valid: bool, parts: &[&str]) {
        assert!(told.starts_with(&is_valid.to_string()), "{told}");
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
    let right = with(issuer, "C", ", refresh: 15m, groups: roles");
    assert!(!right.contains("warning"), "{right}");
    check_told(
        &with(issuer, "C", ", session: 10m, idle: 5m, refresh: 15m"),
        true,
        &["`refresh` is longer than `session`"],
    );
    check_told(
        &with(issuer, "C", ", refresh: 2s"),
        true,
        &["`refresh` is shorter than five minutes", "write `5m` or more"],
    );
    check_told(&with(issuer, "B", ""), true, &["`secret` is the same secret as `client-secret`"]);
    check_told(&with(issuer, "C", ", groups: \"\""), false, &["an empty text in `groups`"]);
    let metadata = format!("{issuer}/.well-known/openid-configuration");
    check_told(&with(&metadata, "C", ""), false, &["is the URL of its metadata", "write `https://id.example.com`"]);
    let jwt = told(&format!(
        "{{kind: jwt, issuer: [\"https://a.test\", \"{metadata}\"], audience: a, jwks: \"https://a.test/k\"}}"
    ));
    check_told(&jwt, false, &["is the URL of its metadata"]);
    let opaque = format!(
        "{{kind: introspection, issuer: \"{issuer}/.well-known/oauth-authorization-server\", audience: a, client-id: a, client-secret: \"${{secret.B}}\"}}"
    );
    check_told(&told(&opaque), false, &["is the URL of its metadata"]);
}

#[test]
fn windows_have_the_right_article() {
    let quota = |window: &str| told(&format!("{{kind: quota, quota: 5, window: {window}, anchor-day: 3}}"));
    assert!(quota("hour").contains("no effect on windows of an hour"), "{}", quota("hour"));
    assert!(quota("day").contains("no effect on windows of a day"), "{}", quota("day"));
}

#[test]
fn users_that_nobody_can_be_are_refused() {
    let (one, other) = ("ab".repeat(32), "CD".repeat(32));
    check("{kind: basic}", &[]);
    check(
        &format!("{{kind: basic, plan: gold, users: {{ada: [{one}, {other}], \"a b\": {one}}}}}"),
        &[("users", &format!("{{a b: {one}, ada: [{one}, {}]}}", "cd".repeat(32))), ("plan", "gold")],
    );
    for (more, part) in [
        ("users: {ada: secret}", "the password of `ada` is not a SHA-256"),
        (&format!("users: {{ada: [{one}, {other}, {}]}}", "ef".repeat(32)), "is not a SHA-256, or two of them"),
        (&format!("users: {{\"a:b\": {one}}}"), "`a:b` cannot be the name of a user"),
        (&format!("users: {{\"\": {one}}}"), "cannot be the name of a user"),
        (&format!("users: {{ada: {one}}}, environments: [live]"), "`environments` has no effect with `users`"),
        ("plan: gold", "`plan` has no effect without `users`"),
        ("scopes: [read]", "`scopes` has no effect without `users`"),
    ] {
        check_refused(&format!("{{kind: basic, {more}}}"), part);
    }
    check("{kind: anonymous, scopes: [read]}", &[("consumer", "anonymous"), ("scopes", "[read]")]);
    let webhook = "kind: webhook, sender: github, secret: \"${secret.A}\"";
    let signed = "kind: http-signature, secrets: {k: \"${secret.A}\"}, consumers";
    for bad in [
        "{kind: anonymous, consumer: \"\"}",
        &format!("{{{webhook}, consumer: \"\"}}"),
        &format!("{{{webhook}, consumer: \"a b\"}}"),
        &format!("{{{signed}: {{k: \"\"}}}}"),
    ] {
        check_refused(bad, "cannot be the name of a consumer");
    }
}

#[test]
fn every_example_of_every_kind_is_valid() {
    for kind in KINDS {
        assert!(!kind.table.examples.is_empty(), "{} has no example", kind.word);
        for example in kind.table.examples {
            let (written, values) = read(example);
            assert_eq!(written.kind.word, kind.word, "{example}");
            assert!(!values.is_empty(), "{example} has no settings");
        }
    }
}

#[test]
fn every_key_of_every_kind_has_a_shape_that_policies_support() {
    for kind in KINDS {
        for key in keys(kind.table) {
            let shown = format!("{}.{}", kind.word, key.name);
            let some = ["\"a\"", "true", "1", "\"1s\"", "\"1KiB\"", "\"1/s\"", "[\"a\"]", "{\"a\": \"b\"}"];
            let words = key.shape.words();
            let words = words.iter().map(|(word, _)| format!("\"{word}\""));
            let mut values = some.map(str::to_owned).into_iter().chain(words);
            assert!(
                values.any(|json| Value::default(key.shape, &json).is_some()),
                "the shape of {shown} is not supported"
            );
            if let crate::schema::Absent::Default(json) = key.absent {
                assert!(default(key).is_some(), "{shown}: {json} is not a value of its shape");
            }
            let of = |shape: Shape| match shape {
                Shape::Boolean => vec!["false", "true"],
                _ => shape.words().into_iter().map(|(word, _)| word).collect(),
            };
            let classified: Vec<&str> = match key.change {
                Change::LoosestFirst { words, .. } => words.to_vec(),
                Change::Accepts { words, .. } => words.iter().map(|(word, _)| *word).collect(),
                _ => continue,
            };
            let sorted = |mut words: Vec<&'static str>| {
                words.sort_unstable();
                words
            };
            assert_eq!(sorted(classified), sorted(of(key.shape)), "{shown}");
        }
    }
}

#[test]
fn the_word_of_a_kind_is_the_name_of_its_table() {
    for (kind, (word, does)) in KINDS.iter().zip(WORDS) {
        assert_eq!((kind.word, kind.table.name), (*word, *word));
        assert!(does.contains("; named in `"), "{word} does not say in which list it is named");
    }
}

/// What a key needs besides the first example of its kind before it can have a secret.
const NEEDED: [(&str, &str); 1] = [("dpop-nonce", "binding: dpop")];

#[test]
fn every_secret_of_every_kind_is_among_those_that_it_uses() {
    let mut found = Vec::new();
    for kind in KINDS {
        for key in keys(kind.table) {
            for value in ["\"${secret.FOUND}\"", "{a: \"${secret.FOUND}\"}"] {
                let Some(policy) = with_key(kind.table.examples[0], key.name, value) else { continue };
                let is_found = |text: &SecretText| text.secret_names().any(|name| name == "FOUND");
                let uses = policy.uses().all_secrets().any(is_found);
                let all: Policies = [NamedPolicy { name: "p".into(), policy }].into_iter().collect();
                let is_secret = serde_json::to_string(&all).expect("JSON").contains("{\"secret\":\"FOUND\"}");
                assert_eq!(uses, is_secret, "{}.{}", kind.word, key.name);
                found.extend(is_secret.then(|| format!("{}.{}", kind.word, key.name)));
            }
        }
    }
    let known = [
        "jwt.secret",
        "jwt.dpop-nonce",
        "introspection.client-secret",
        "introspection.dpop-nonce",
        "webhook.secret",
        "http-signature.secrets",
        "oidc-login.client-secret",
        "oidc-login.secret",
        "external.token",
    ];
    assert_eq!(found, known);
}

/// The policy of an example with another value of a key, if that is accepted.
fn with_key(example: &str, key: &str, value: &str) -> Option<Policy> {
    let needed = NEEDED.iter().filter(|(name, _)| *name == key).map(|(_, needed)| format!(", {needed}"));
    let mut example: serde_json::Map<String, serde_json::Value> = serde_json::from_str(example).expect("JSON");
    example.remove(key);
    // One source of keys excludes the others.
    ["jwks", "keys"].iter().filter(|_| key.starts_with("secret")).for_each(|other| drop(example.remove(*other)));
    let rest = serde_json::to_string(&example).expect("JSON");
    let text = format!("{}, {key}: {value}{}}}", rest.trim_end_matches('}'), needed.collect::<String>());
    lowered(&text).ok()
}

/// The policy that a text defines, or what is wrong with it.
fn lowered(text: &str) -> Result<Policy, String> {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("policy", text);
    let node = source::read(file, files.text(file), &Limits::AUTHORED, &mut report);
    let name = Spanned::new("p".to_owned(), Span::beginning_of(FileId::default()));
    let written = node.and_then(|node| WrittenPolicy::decode(&name, &node, &mut report));
    let policy = written.and_then(|written| (written.kind.lower)(&written.written, &mut report));
    policy.ok_or_else(|| report.finish(files).to_string())
}

#[test]
fn a_name_of_a_certificate_in_another_form_of_openssl_is_told_how_to_write() {
    let refused = |issuer: &str, part: &str| {
        check_refused(&format!("{{kind: client-certificate, consumer: dns, accept: {{issuer: \"{issuer}\"}}}}"), part);
    };
    refused(
        "C = DE, O = Example, CN = Devices CA",
        "write `CN=Devices CA,O=Example,C=DE`, as `openssl x509 -noout -issuer",
    );
    refused("/C=DE/O=Example/CN=Devices CA", "write `CN=Devices CA,O=Example,C=DE`");
    refused("Devices CA", "write a name such as `CN=Devices CA,O=Example`");
    read("{kind: client-certificate, consumer: dns, accept: {issuer: \"CN=Devices CA,O=Example\"}}");
}
