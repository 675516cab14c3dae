//! What is written of attacks on tokens, as tests: RFC 8725 (best current practices) and RFC 9068 (access tokens), section by
//! section, and the attacks that have names.

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::Signer;
use tollgate_core::authn::{ClaimRule, IdentityRules, JwtSettings, KeySource};
use tollgate_core::jose::Algorithm;

use crate::tokens::{World, claims, jwk, key, set, settings, token};

fn part(text: impl AsRef<[u8]>) -> String {
    Base64UrlUnpadded::encode_string(text.as_ref())
}

/// A token with any header, which the issuer's key signed.
fn signed(header: &str, claims: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    format!("{message}.{}", part(key(1).sign(message.as_bytes()).to_bytes()))
}

fn world() -> World {
    World::new(settings(KeySource::Static(set(&[("a", &key(1))]))))
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"a"}"#;

/// Section 3.1: an algorithm is used only if the policy lists it, and with a key of its type; `none` is not one.
#[test]
fn rfc_8725_3_1_the_algorithm_is_not_chosen_by_the_token() {
    let world = world();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let text = format!("{}.{}.", part(format!(r#"{{"alg":"{none}"}}"#)), part(claims("eve")));
        world.check(&text, 401, "credential-malformed", "token-malformed");
    }
    // The public key as the secret of an HMAC, the classic confusion, in every algorithm that the policy does not list.
    for other in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::EdDsa) {
        let text = signed(&format!(r#"{{"alg":"{other}","kid":"a"}}"#), claims("eve"));
        world.check(&text, 401, "credential-not-accepted", "algorithm-not-accepted");
    }
    // A curve that the policy lists, with a key of another one.
    let both = [Algorithm::EdDsa, Algorithm::Es256].into_iter().collect();
    let world = World::new(JwtSettings { algorithms: both, ..settings(KeySource::Static(set(&[("a", &key(1))]))) });
    world.check(&signed(r#"{"alg":"ES256","kid":"a"}"#, claims("eve")), 401, "credential-unknown", "token-key-unknown");
}

/// Section 3.2: extensions that must be understood are refused, and so are algorithms that are not supported.
#[test]
fn rfc_8725_3_2_what_is_not_understood_is_refused() {
    let world = world();
    for header in [
        r#"{"alg":"EdDSA","crit":["exp"],"exp":1}"#,
        r#"{"alg":"EdDSA","crit":[]}"#,
        r#"{"alg":"EdDSA","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"ES512"}"#,
        r#"{"alg":"RSA-OAEP"}"#,
        r#"{"alg":"dir","enc":"A128GCM"}"#,
        r#"{"alg":["EdDSA"]}"#,
        r#"{"kid":"a"}"#,
    ] {
        world.check(&signed(header, claims("eve")), 401, "credential-malformed", "token-malformed");
    }
}

/// Section 3.3: every part of a token is covered by its signature.
#[test]
fn rfc_8725_3_3_every_changed_part_is_noticed() {
    let (world, good) = (world(), token("a", &key(1), &claims("ada")));
    let parts: Vec<&str> = good.split('.').collect();
    let other = claims("eve");
    world.check(&format!("{}.{}.{}", parts[0], part(&other), parts[2]), 401, "credential-unknown", "signature-wrong");
    let header = part(r#"{"alg":"EdDSA","kid":"a","x":1}"#);
    world.check(&format!("{header}.{}.{}", parts[1], parts[2]), 401, "credential-unknown", "signature-wrong");
    // Truncated, empty, all zeros ("psychic"), and of another length.
    for signature in [String::new(), part([0; 64]), part([0; 32]), part([0xff; 64]), parts[2][..40].to_owned()] {
        world.check(&format!("{}.{}.{signature}", parts[0], parts[1]), 401, "credential-unknown", "signature-wrong");
    }
    assert_eq!(world.get("/pets", &good).status, 200);
}

/// Section 3.4: keys with which anyone could sign are not used.
#[test]
fn rfc_8725_3_4_points_that_are_none_or_of_small_order_verify_nothing() {
    for x in [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        [0xff; 32],
    ] {
        let weak = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"weak","x":"{}"}}"#, part(x));
        let keys = KeySource::Static(format!(r#"{{"keys":[{weak},{}]}}"#, jwk("a", &key(1))));
        let world = World::new(settings(keys));
        let message = format!("{}.{}", part(r#"{"alg":"EdDSA","kid":"weak"}"#), part(claims("eve")));
        for signature in [[0; 64], {
            let mut one = [0; 64];
            one[0] = 1;
            one
        }] {
            let answer = world.get("/pets", &format!("{message}.{}", part(signature)));
            assert_eq!((answer.status, answer.problem().as_str()), (401, "credential-unknown"));
        }
        assert_eq!(world.get("/pets", &token("a", &key(1), &claims("ada"))).status, 200, "the good key works");
    }
}

/// Section 3.7, and RFC 7515, sections 2 and 4: one form, UTF-8, no member twice.
#[test]
fn rfc_8725_3_7_a_token_has_one_form_and_is_utf_8() {
    let (world, good) = (world(), token("a", &key(1), &claims("ada")));
    for text in [
        format!("{good}="),
        format!("{good}=="),
        good.replace('.', ".="),
        format!("{good}."),
        good.replacen('e', "+", 1),
    ] {
        world.check(&text, 401, "credential-malformed", "token-malformed");
    }
    let broken: &[&[u8]] = &[
        b"{\"sub\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"sub\":\"a\",\"sub\":\"b\"}",
        b"{\"sub\":\"a\",\"\\u0073ub\":\"b\"}",
        b"[]",
        b"",
        b"{} {}",
    ];
    for claims in broken {
        world.check(&signed(HEADER, claims), 401, "credential-malformed", "token-malformed");
    }
    let deep = format!("{}1{}", r#"{"a":"#.repeat(17), "}".repeat(17));
    world.check(&signed(HEADER, deep), 401, "credential-malformed", "token-malformed");
}

/// Sections 3.8 and 3.9: see also the tests of these names in `core/src/authn/jwt/claims.rs`.
#[test]
fn rfc_8725_3_8_and_3_9_a_token_of_or_for_others_is_refused() {
    let world = world();
    for (from, to) in [
        ("https://id.example.com", "https://id.example.com.evil.example"),
        ("https://id.example.com", "https://id.example.com/"),
        ("\"pets\"", "\"Pets\""),
        ("\"pets\"", "[\"owners\"]"),
        ("\"sub\":\"ada\"", "\"sub\":\"\""),
        ("\"sub\":\"ada\"", "\"sub\":{\"$ne\":null}"),
        ("\"sub\":\"ada\"", "\"\u{17f}ub\":\"ada\""),
    ] {
        let text = token("a", &key(1), &claims("ada").replace(from, to));
        world.check(&text, 401, "credential-not-accepted", "token-not-accepted");
    }
}

/// Section 3.10: `kid`, `jku`, `jwk`, `x5u` and `x5c` come from the attacker.
#[test]
fn rfc_8725_3_10_nothing_is_fetched_or_read_because_a_header_says_so() {
    let world = World::new(settings(KeySource::Set("https://id.example.com/keys".into(), false)));
    let theirs = jwk("a", &key(9));
    for header in [
        format!(r#"{{"alg":"EdDSA","kid":"a","jwk":{theirs}}}"#),
        r#"{"alg":"EdDSA","kid":"a","jku":"https://evil.example/keys"}"#.to_owned(),
        r#"{"alg":"EdDSA","kid":"a","x5u":"https://evil.example/cert","x5c":["AA=="]}"#.to_owned(),
    ] {
        let message = format!("{}.{}", part(&header), part(claims("eve")));
        let text = format!("{message}.{}", part(key(9).sign(message.as_bytes()).to_bytes()));
        world.check(&text, 401, "credential-unknown", "signature-wrong");
    }
    for id in ["../../../dev/null", "' OR 1=1 --", "a\\u0000", "file:///etc/passwd", "$(id)", "A", "\u{430}"] {
        let text = token(id, &key(9), &claims("eve"));
        world.check(&text, 401, "credential-unknown", "token-key-unknown");
    }
    assert_eq!(world.asked.get(), 1, "the issuer's own keys");
    world.check(
        &signed(r#"{"alg":"EdDSA","kid":{"$ne":null}}"#, claims("eve")),
        401,
        "credential-malformed",
        "token-malformed",
    );
}

/// Sections 3.11 and 3.12, and RFC 9068, sections 2.1 and 4: other kinds of tokens of the same issuer are not access tokens.
#[test]
fn rfc_8725_3_11_and_rfc_9068_4_other_types_of_tokens_are_refused() {
    let keys = KeySource::Static(set(&[("a", &key(1))]));
    let world = World::new(JwtSettings { kind: Some("at+jwt".into()), ..settings(keys) });
    for kind in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"a","typ":"{kind}"}}"#);
        assert_eq!(world.get("/pets", &signed(&header, claims("ada"))).status, 200, "{kind}");
    }
    for kind in ["JWT", "dpop+jwt", "at+jwt2", "text/at+jwt", ""] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"a","typ":"{kind}"}}"#);
        world.check(&signed(&header, claims("ada")), 401, "credential-not-accepted", "token-not-accepted");
    }
    world.check(&signed(HEADER, claims("ada")), 401, "credential-not-accepted", "token-not-accepted");
}

/// RFC 9068, section 2.2: the claims that an access token has, as a policy requires them.
#[test]
fn rfc_9068_2_2_required_claims_are_required() {
    let required = vec!["client_id".to_owned(), "iat".to_owned(), "jti".to_owned()];
    let rule = ClaimRule { claim: "client_id".into(), any_of: vec!["web".into()] };
    let keys = KeySource::Static(set(&[("a", &key(1))]));
    let plain = settings(keys);
    let rules = IdentityRules { required, claims: vec![rule], ..plain.rules };
    let world = World::new(JwtSettings { rules, ..plain });
    let all = r#","client_id":"web","iat":1,"jti":"x"}"#;
    let with = |more: &str| token("a", &key(1), &claims("ada").replacen('}', more, 1));
    assert_eq!(world.get("/pets", &with(all)).status, 200);
    for missing in [r#""client_id":"web","#, r#""iat":1,"#, r#","jti":"x""#] {
        world.check(&with(&all.replace(missing, "")), 401, "credential-not-accepted", "token-not-accepted");
    }
    world.check(&with(&all.replace("web", "app")), 401, "credential-not-accepted", "token-not-accepted");
}

/// RFC 7519, section 4.1.4: a number is a date only within its range.
#[test]
fn rfc_7519_2_huge_and_broken_numbers_are_no_dates() {
    let world = world();
    let exp = |date: &str| {
        let text = claims("ada");
        let at = text.find("\"exp\":").unwrap() + 6;
        let end = at + text[at..].find(',').unwrap();
        token("a", &key(1), &format!("{}{date}{}", &text[..at], &text[end..]))
    };
    for date in ["1e300", "9999999999999999999999", "-1", "\"4000000000\"", "true", "[4000000000]", "253402300800"] {
        world.check(&exp(date), 401, "credential-not-accepted", "token-not-accepted");
    }
    for date in ["1e999", "0x10", "NaN", "04000000000"] {
        world.check(&exp(date), 401, "credential-malformed", "token-malformed");
    }
    assert_eq!(world.get("/pets", &exp("4e9")).status, 200);
}
