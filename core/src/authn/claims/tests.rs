use super::super::{ClaimRule, ScopeRule};
use super::*;
use wasm_bindgen_test::wasm_bindgen_test;

const NOW_S: u64 = 1_800_000_000;

fn rules() -> IdentityRules {
    IdentityRules {
        issuers: vec!["https://id.example.com".into()],
        audiences: vec!["pets".into(), "owners".into()],
        leeway_s: 30,
        ..IdentityRules::default()
    }
}

fn decide(rules: &IdentityRules, claims: &str) -> Result<Identity, ClaimError> {
    rules.of_token("staff", &Members::parse(claims.as_bytes()).unwrap(), Timestamp::from_millis(NOW_S * 1_000))
}

/// Claims of a valid token, with these instead of or besides its own.
fn claims(more: &[(&str, &str)]) -> String {
    let exp = (NOW_S + 60).to_string();
    let own = [("iss", "\"https://id.example.com\""), ("aud", "\"pets\""), ("sub", "\"ada\""), ("exp", exp.as_str())];
    let kept = own.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    let written = |(name, value): &(&str, &str)| format!("\"{name}\":{value}");
    let all: Vec<String> =
        kept.map(written).chain(more.iter().filter(|(_, value)| !value.is_empty()).map(written)).collect();
    format!("{{{}}}", all.join(","))
}

#[track_caller]
fn check(rules: &IdentityRules, more: &[(&str, &str)], want: &Result<(), ClaimError>) {
    assert_eq!(decide(rules, &claims(more)).map(drop).as_ref(), want.as_ref(), "{more:?}");
}

fn missing(name: &str) -> Result<(), ClaimError> {
    Err(ClaimError::Missing(name.into()))
}

fn form(name: &str) -> Result<(), ClaimError> {
    Err(ClaimError::Form(name.into()))
}

/// RFC 7519, section 4.1.1; RFC 8725, section 3.8: the issuer is compared exactly.
#[wasm_bindgen_test(unsupported = test)]
fn rfc_8725_3_8_the_issuer_is_one_that_is_trusted() {
    check(&rules(), &[], &Ok(()));
    for other in ["\"https://id.example.com/\"", "\"HTTPS://id.example.com\"", "\"\"", "\"https://evil.example\""] {
        check(&rules(), &[("iss", other)], &Err(ClaimError::Issuer));
    }
    check(&rules(), &[("iss", "")], &missing("iss"));
    check(&rules(), &[("iss", "[\"https://id.example.com\"]")], &form("iss"));
}

/// RFC 7519, section 4.1.3; RFC 8725, section 3.9.
#[wasm_bindgen_test(unsupported = test)]
fn rfc_8725_3_9_the_audience_is_one_of_the_policys() {
    for ours in ["\"owners\"", "[\"pets\"]", "[\"other\",\"owners\"]"] {
        check(&rules(), &[("aud", ours)], &Ok(()));
    }
    for other in ["\"pet\"", "\"pets \"", "[]", "[\"other\"]", "\"\""] {
        check(&rules(), &[("aud", other)], &Err(ClaimError::Audience));
    }
    check(&rules(), &[("aud", "")], &missing("aud"));
    for broken in ["1", "{\"pets\":1}", "[\"pets\",1]", "null"] {
        check(&rules(), &[("aud", broken)], &form("aud"));
    }
}

/// RFC 7519, sections 4.1.4 to 4.1.6.
#[wasm_bindgen_test(unsupported = test)]
fn rfc_7519_4_1_4_times_have_a_leeway_and_an_end() {
    let at = |offset: i64| (NOW_S as i64 + offset).to_string();
    for (offset, want) in [(-31, Err(ClaimError::Expired)), (-30, Err(ClaimError::Expired)), (-29, Ok(())), (1, Ok(()))]
    {
        check(&rules(), &[("exp", &at(offset))], &want);
    }
    for name in ["nbf", "iat"] {
        for (offset, want) in [(30, Ok(())), (31, Err(ClaimError::NotYet)), (-100_000, Ok(()))] {
            check(&rules(), &[(name, &at(offset))], &want);
        }
    }
    check(&rules(), &[("exp", "")], &missing("exp"));
    check(&rules(), &[("exp", "1800000060.5")], &Ok(()));
    check(&rules(), &[("exp", "1.80000006e9")], &Ok(()));
    check(&rules(), &[("exp", "253402300799")], &Ok(()));
    for broken in [
        "\"1800000060\"",
        "null",
        "-1",
        "-0.5",
        "1e300",
        "253402300800",
        "9223372036854775807",
        "18446744073709551615",
        "[1]",
    ] {
        check(&rules(), &[("exp", broken)], &form("exp"));
    }
    check(&rules(), &[("nbf", "\"0\"")], &form("nbf"));
    check(&rules(), &[("iat", "true")], &form("iat"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_is_accepted_until_its_end_or_its_age() {
    let at = |offset: i64| (NOW_S as i64 + offset).to_string();
    let until = |rules: &IdentityRules, more: &[(&str, &str)]| {
        decide(rules, &claims(more)).map(|identity| identity.until.as_secs() - NOW_S)
    };
    let aged = IdentityRules { age_max_s: Some(100), ..rules() };
    assert_eq!(until(&rules(), &[]), Ok(90));
    assert_eq!(until(&aged, &[("iat", &at(-90))]), Ok(40));
    assert_eq!(until(&aged, &[("iat", &at(-129)), ("exp", &at(1_000))]), Ok(1));
    assert_eq!(until(&aged, &[("iat", &at(-130))]), Err(ClaimError::TooOld));
    assert_eq!(until(&aged, &[]), Err(ClaimError::Missing("iat".into())));
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_have_the_values_that_are_required() {
    let rule = |claim: &str, any_of: &[&str]| ClaimRule {
        claim: claim.into(),
        any_of: any_of.iter().map(|value| (*value).to_owned()).collect(),
    };
    let strict = IdentityRules {
        required: vec!["jti".into(), "act.sub".into()],
        claims: vec![
            rule("client_id", &["web", "7"]),
            rule("realm.roles", &["admin"]),
            rule("https://a.b/ok", &["true"]),
        ],
        ..rules()
    };
    let good = [
        ("jti", "\"1\""),
        ("act", "{\"sub\":\"x\"}"),
        ("client_id", "7"),
        ("realm", "{\"roles\":[\"user\",\"admin\"]}"),
        ("https://a.b/ok", "true"),
    ];
    check(&strict, &good, &Ok(()));
    let with = |name: &'static str, value: &'static str| {
        good.iter().map(|(own, kept)| if *own == name { (name, value) } else { (*own, *kept) }).collect::<Vec<_>>()
    };
    check(&strict, &with("jti", ""), &missing("jti"));
    check(&strict, &with("act", "\"sub\""), &missing("act.sub"));
    check(&strict, &with("realm", "{}"), &missing("realm.roles"));
    for (name, value, claim) in [
        ("client_id", "\"WEB\"", "client_id"),
        ("client_id", "7.0", "client_id"),
        ("client_id", "null", "client_id"),
        ("realm", "{\"roles\":\"administrator\"}", "realm.roles"),
        ("realm", "{\"roles\":[[\"admin\"]]}", "realm.roles"),
        ("https://a.b/ok", "\"TRUE\"", "https://a.b/ok"),
    ] {
        check(&strict, &with(name, value), &Err(ClaimError::Value(claim.into())));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_consumer_is_named_by_a_claim_and_does_not_have_the_name_of_another_kind() {
    let of = |rules: &IdentityRules, more: &[(&str, &str)]| decide(rules, &claims(more));
    assert_eq!(of(&rules(), &[]).unwrap().consumer, "staff:ada");
    let other = IdentityRules {
        consumer: "azp".into(),
        consumer_prefix: Some(String::new()),
        plan: Some("tier".into()),
        ..rules()
    };
    let found = of(&other, &[("azp", "12"), ("tier", "\"gold\"")]).unwrap();
    assert_eq!((found.consumer.as_str(), found.plan.as_deref()), ("12", Some("gold")));
    assert_eq!(of(&other, &[]).unwrap_err(), ClaimError::Missing("azp".into()));
    for broken in ["\"\"", "\"a\\nb\"", "[\"a\"]", "null", "1.5"] {
        assert_eq!(of(&rules(), &[("sub", broken)]).unwrap_err(), ClaimError::Form("sub".into()), "{broken}");
    }
    let long = format!("\"{}\"", "x".repeat(256));
    assert_eq!(of(&rules(), &[("sub", &long)]).unwrap_err(), ClaimError::Form("sub".into()));
    assert_eq!(of(&other, &[("azp", "1"), ("tier", "{}")]).unwrap_err(), ClaimError::Form("tier".into()));
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_that_cannot_be_kept_are_not_taken_for_absent() {
    let kept = IdentityRules { kept_claims: vec![vec!["nick".into()], vec!["banned".into()]], ..rules() };
    let with = |rules: &IdentityRules, chars: usize| {
        let nick = format!("\"{}\"", "x".repeat(chars));
        decide(rules, &claims(&[("nick", &nick), ("banned", "true")])).map(drop)
    };
    assert_eq!(with(&kept, 8_000), Ok(()));
    assert_eq!(with(&kept, 8_192), Err(ClaimError::TooLarge));
    assert_eq!(with(&rules(), 8_192), Ok(()), "nothing reads them");
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_are_mapped_to_a_consumer_a_plan_and_groups() {
    let rule = |name: &str, when: &[(&str, &str)]| MapRule {
        name: name.into(),
        when: when
            .iter()
            .map(|(claim, value)| ClaimRule { claim: (*claim).into(), any_of: vec![(*value).into()] })
            .collect(),
    };
    let rules = IdentityRules {
        consumers: vec![rule("ada", &[("sub", "ada")]), rule("sales", &[("org.unit", "7"), ("mail", "x")])],
        plans: vec![rule("gold", &[("mail", "x")])],
        groups: vec![rule("editors", &[("role", "editor")]), rule("all", &[])],
        group_claims: vec!["role".into()],
        ..rules()
    };
    let identity = |more: &[(&str, &str)]| decide(&rules, &claims(more));
    let ada = identity(&[("role", r#"["editor","x"]"#)]).unwrap();
    assert_eq!((ada.consumer.as_str(), ada.plan, ada.groups.len()), ("ada", None, 4));
    let bob = identity(&[("sub", r#""bob""#)]).unwrap();
    assert_eq!((bob.consumer.as_str(), bob.groups), ("staff:bob", vec!["all".to_owned()]));
    let sales = identity(&[("sub", r#""bob""#), ("org", r#"{"unit":7}"#), ("mail", r#""x""#)]).unwrap();
    assert_eq!((sales.consumer.as_str(), sales.plan.as_deref()), ("sales", Some("gold")));
    let both = identity(&[("org", r#"{"unit":7}"#), ("mail", r#""x""#)]);
    assert_eq!(both, Err(ClaimError::Several("consumers")));
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_are_words_or_a_list_and_may_have_other_names() {
    let of =
        |rules: &IdentityRules, more: &[(&str, &str)]| decide(rules, &claims(more)).map(|identity| identity.scopes);
    assert_eq!(of(&rules(), &[]), Ok(vec![]));
    assert_eq!(of(&rules(), &[("scope", "\"b a  a\"")]), Ok(vec!["a".into(), "b".into()]));
    let list = IdentityRules { scope_claim: "scp".into(), ..rules() };
    assert_eq!(of(&list, &[("scp", "[\"a\",\"b c\"]")]), Ok(vec!["a".into(), "b c".into()]));
    assert_eq!(of(&list, &[("scp", "[1]")]), Err(ClaimError::Form("scp".into())));
    let renamed =
        IdentityRules { scopes: vec![ScopeRule { scope: "write".into(), in_token: "pets.write".into() }], ..rules() };
    assert_eq!(
        of(&renamed, &[("scope", "\"pets.write read\"")]),
        Ok(vec!["pets.write".into(), "read".into(), "write".into()])
    );
    assert_eq!(of(&renamed, &[("scope", "\"write\"")]), Ok(vec![]), "only `pets.write` stands for `write`");
}

/// They are kept as long as the token is remembered.
#[wasm_bindgen_test(unsupported = test)]
fn a_token_with_too_many_scopes_is_refused() {
    let words = |number| format!("\"{}\"", vec!["s"; number].join(" "));
    let list = |number| format!("[{}]", vec!["\"s\""; number].join(","));
    for scopes in [words(SCOPES_MAX), list(SCOPES_MAX)] {
        check(&rules(), &[("scope", &scopes)], &Ok(()));
    }
    for scopes in [words(SCOPES_MAX + 1), list(SCOPES_MAX + 1)] {
        check(&rules(), &[("scope", &scopes)], &Err(ClaimError::TooMany("scope".into())));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn groups_are_the_texts_of_all_claims_that_name_some() {
    let of = |more: &[(&str, &str)]| {
        let grouped = IdentityRules { group_claims: vec!["groups".into(), "realm.roles".into()], ..rules() };
        decide(&grouped, &claims(more)).map(|identity| identity.groups)
    };
    let roles = ("realm", r#"{"roles":["admin","dev"]}"#);
    assert_eq!(of(&[]), Ok(vec![]));
    assert_eq!(of(&[("groups", "\"two words\"")]), Ok(vec!["two words".into()]));
    assert_eq!(of(&[("groups", "[\"a\"]"), roles]), Ok(vec!["a".into(), "admin".into(), "dev".into()]));
    for wrong in ["1", "[1]", "{}", "null", "[\"a\", []]"] {
        assert_eq!(of(&[("groups", wrong)]), Err(ClaimError::Form("groups".into())), "{wrong}");
    }
    let many = format!("[{}]", vec!["\"g\""; GROUPS_MAX + 1].join(","));
    assert_eq!(of(&[("groups", &many)]), Err(ClaimError::TooMany("groups".into())));
    assert_eq!(decide(&rules(), &claims(&[roles])).map(|identity| identity.groups), Ok(vec![]));
}

/// RFC 7662, section 2.2: issuer and end are optional in an answer; RFC 7519 and RFC 8725 require them of a signed token.
#[wasm_bindgen_test(unsupported = test)]
fn rfc_7662_2_2_what_an_answer_does_not_say_is_not_checked() {
    let answer = |more: &[(&str, &str)]| {
        let claims = Members::parse(claims(more).as_bytes()).unwrap();
        rules().of_answer("opaque", &claims, Timestamp::from_millis(NOW_S * 1_000)).map(|identity| identity.until)
    };
    assert_eq!(answer(&[("exp", ""), ("iss", "")]), Ok(Timestamp::MAX));
    assert_eq!(answer(&[("iss", "\"https://evil.example\"")]), Err(ClaimError::Issuer));
    assert_eq!(answer(&[("exp", "1")]), Err(ClaimError::Expired));
    let anyone = IdentityRules { issuers: vec![], ..rules() };
    let claims = Members::parse(claims(&[("iss", "7")]).as_bytes()).unwrap();
    assert!(anyone.of_answer("opaque", &claims, Timestamp::from_millis(NOW_S * 1_000)).is_ok());
}
