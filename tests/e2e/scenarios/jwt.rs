//! Signed tokens: which are accepted, how the others are refused, where keys come from, and that no token is forwarded.

use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use tollgate_core::jose::{JwkSet, SignatureCheck, Token};
use tollgate_tests::client::{Answer, Request};

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_token_is_accepted_and_not_forwarded,
    claims_are_told_to_the_upstream_and_never_by_the_client,
    the_upstream_verifies_a_token_of_the_gateway_with_the_published_keys,
    a_missing_token_is_401_and_says_where_to_send_it,
    a_token_that_is_not_one_is_refused,
    a_forged_token_is_refused,
    a_token_for_others_is_refused,
    an_expired_token_is_refused,
    a_token_without_a_scope_is_403,
    a_token_in_the_query_is_removed,
    a_token_in_a_cookie_is_removed,
    every_family_of_algorithms_is_verified,
    keys_are_found_by_the_metadata_of_the_issuer,
    an_issuer_that_is_away_refuses_nobody_else,
    two_identities_are_refused_and_none_may_be_anonymous,
}

pub(super) const ISSUER: &str = "https://id.example.com";

/// The issuer's key.
pub(super) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(super) fn jwk(key: &SigningKey) -> String {
    let x = Base64UrlUnpadded::encode_string(key.verifying_key().as_bytes());
    format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{x}"}}"#)
}

pub(super) fn token(key: &SigningKey, claims: &str) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = format!("{}.{}", part(r#"{"alg":"EdDSA","kid":"a","typ":"JWT"}"#), part(claims));
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&key.sign(signed.as_bytes()).to_bytes()))
}

fn claims(more: &str) -> String {
    format!(r#"{{"iss":"{ISSUER}","aud":["pets"],"sub":"ada","scope":"read","exp":4000000000{more}}}"#)
}

/// A gateway that has the issuer's key in its configuration.
async fn guarded(world: &World) -> Outcome {
    let policy = format!(
        "staff: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, query: token, cookie: session, keys: '{{\"keys\":[{}]}}'}}",
        jwk(&key())
    );
    let project = Project::new(world).policy(&policy).route("{path: /a, authn: staff}");
    world.publish(project.route("{path: /w, authn: staff, scopes: [write]}").route("{path: /open, authn: none}")).await
}

async fn with_token(world: &World, path: &str, token: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get(path).field("Authorization", &format!("Bearer {token}"))).await?)
}

/// Checks a refusal: it has a challenge, does not contain the token, and did not reach the upstream.
async fn assert_refused(world: &World, token: &str, kind: &str) -> Outcome {
    let answer = with_token(world, "/a", token).await?;
    assert_problem(&answer, 401, kind);
    assert!(answer.field("www-authenticate").unwrap_or_default().starts_with("Bearer realm=\"e2e\""), "{answer:?}");
    assert!(token.is_empty() || !format!("{answer:?}").contains(token), "{answer:?}");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_token_is_accepted_and_not_forwarded(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let token = token(&key(), &claims(""));
    for path in ["/a", "/a", "/open"] {
        let answer = with_token(&world, path, &token).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains(&token), "the upstream saw the token: {}", answer.text());
    }
    let records = world.records(3).await?;
    assert_eq!(records.iter().filter(|line| line["consumer"] == "staff:ada").count(), 2, "{records:?}");
    assert!(!world.host.logs().concat().contains(&token));
    Ok(())
}

async fn claims_are_told_to_the_upstream_and_never_by_the_client(world: Rc<World>) -> Outcome {
    let policy =
        format!("staff: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, keys: '{{\"keys\":[{}]}}'}}", jwk(&key()));
    let upstream =
        format!("{{url: \"{}\", identity: {{X-Org: claims.org.id, X-Roles: claims.roles}}}}", world.upstream.url());
    let project = Project::new(&world).upstream(&upstream).policy(&policy).route("{path: /a, authn: staff}");
    let project = project.route("{path: /less, authn: staff, identity: {X-Org: claims.org.id}}");
    world.publish(project.route("{path: /open, authn: none}")).await?;
    let full = token(&key(), &claims(r#","org":{"id":"Zo\u00eb"},"roles":["a b",7]"#));
    let plain = token(&key(), &claims(""));
    let (org, roles) = (Some("Zo%C3%AB"), Some("a%20b 7"));
    for (path, token, want) in [
        ("/a", &full, (org, roles)),
        ("/a", &plain, (None, None)),
        ("/less", &full, (org, None)),
        ("/open", &full, (None, None)),
    ] {
        let request = Request::get(path).field("Authorization", &format!("Bearer {token}"));
        let claimed = request.field("X-Org", "admin").field("X_Org", "admin").field("X-Roles", "admin");
        let answer = world.client().send(claimed).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!((received.field("x-org"), received.field("x-roles")), want, "{path}");
        assert!(!received.fields.iter().any(|(_, value)| value == "admin"), "{:?}", received.fields);
    }
    Ok(())
}

async fn the_upstream_verifies_a_token_of_the_gateway_with_the_published_keys(world: Rc<World>) -> Outcome {
    let policy =
        format!("staff: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, keys: '{{\"keys\":[{}]}}'}}", jwk(&key()));
    let identity = "{X-Identity: {audience: store, claims: {org: claims.org}}}";
    let upstream = format!("{{url: \"{}\", identity: {identity}}}", world.upstream.url());
    let signing = "identity-tokens: {issuer: \"https://api.example.com\", key: \"${secret.IDENTITY_KEY}\"}";
    let project = Project::new(&world).gateway(signing).upstream(&upstream).policy(&policy);
    world.publish(project.route("{path: /a, authn: staff}")).await?;
    let callers = token(&key(), &claims(r#","org":"acme""#));
    let mut sent = Vec::new();
    for _ in 0..2 {
        let request = Request::get("/a").field("Authorization", &format!("Bearer {callers}"));
        let answer = world.client().send(request.field("X-Identity", "of-the-client")).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.all("x-identity").len(), 1);
        sent.push(received.field("x-identity").unwrap_or_default().to_owned());
    }
    let keys = world.client().get("/.well-known/jwks.json").await?;
    assert_eq!((keys.status, keys.field("content-type")), (200, Some("application/jwk-set+json")));
    assert!(!keys.text().contains("\"d\""), "{}", keys.text());
    let set = JwkSet::parse(keys.text().as_bytes())?;
    let token = Token::parse(&sent[1])?;
    let key = set.keys.iter().find(|key| key.id == token.key_id).ok_or("the key is not published")?;
    let (message, signature) = (token.signed.as_bytes(), token.signature.as_slice());
    let check = SignatureCheck { algorithm: token.algorithm, key, message, signature };
    assert!(tollgate_signatures::verifies(&check));
    let claims = token.claims()?;
    let text = |name| claims.text(name);
    assert_eq!(
        [text("iss"), text("aud"), text("sub")],
        [Some("https://api.example.com"), Some("store"), Some("staff:ada")]
    );
    assert_eq!([text("scope"), text("org")], [Some("read"), Some("acme")]);
    world.records(2).await?;
    assert!(!world.host.logs().concat().contains(&sent[1]));
    Ok(())
}

async fn a_missing_token_is_401_and_says_where_to_send_it(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let answer = world.client().get("/a").await?;
    assert_problem(&answer, 401, "credential-missing");
    assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"e2e\""));
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("authorization: Bearer"), "{detail}");
    Ok(())
}

async fn a_token_that_is_not_one_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let good = token(&key(), &claims(""));
    let none =
        format!("{}.{}.", Base64UrlUnpadded::encode_string(br#"{"alg":"none"}"#), good.split('.').nth(1).unwrap_or(""));
    for text in ["hello", "a.b.c", "a.b.c.d.e", &format!("{good}="), &good.replace('.', ".."), &none] {
        assert_refused(&world, text, "credential-malformed").await?;
    }
    Ok(())
}

async fn a_forged_token_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    assert_refused(&world, &token(&SigningKey::from_bytes(&[8; 32]), &claims("")), "credential-unknown").await?;
    let good = token(&key(), &claims(""));
    let other = token(&key(), &claims(r#","role":"admin""#));
    let (head, _) = other.rsplit_once('.').ok_or("a token has dots")?;
    let (_, signature) = good.rsplit_once('.').ok_or("a token has dots")?;
    assert_refused(&world, &format!("{head}.{signature}"), "credential-unknown").await?;
    assert_refused(&world, &format!("{head}."), "credential-unknown").await
}

async fn a_token_for_others_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    for (from, to) in [(ISSUER, "https://evil.example"), ("\"pets\"", "\"owners\""), ("\"aud\"", "\"audience\"")] {
        assert_refused(&world, &token(&key(), &claims("").replace(from, to)), "credential-not-accepted").await?;
    }
    Ok(())
}

async fn an_expired_token_is_refused(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    assert_refused(&world, &token(&key(), &claims("").replace("4000000000", "1000000000")), "credential-expired")
        .await?;
    assert_refused(&world, &token(&key(), &claims(r#","nbf":3999999999"#)), "credential-not-yet-valid").await?;
    assert_refused(
        &world,
        &token(&key(), &claims("").replace("4000000000", "\"4000000000\"")),
        "credential-not-accepted",
    )
    .await
}

async fn a_token_without_a_scope_is_403(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    assert_problem(&with_token(&world, "/w", &token(&key(), &claims(""))).await?, 403, "scope-missing");
    let writing = token(&key(), &claims("").replace("\"read\"", "\"read write\""));
    assert_eq!(with_token(&world, "/w", &writing).await?.status, 200);
    Ok(())
}

async fn a_token_in_the_query_is_removed(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let token = token(&key(), &claims(""));
    let answer = world.client().get(&format!("/a?x=1&token={token}&y=2")).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    assert!(received.target.ends_with("/a?x=1&y=2"), "{}", received.target);
    world.records(1).await?;
    assert!(!world.host.logs().concat().contains(&token));
    Ok(())
}

async fn a_token_in_a_cookie_is_removed(world: Rc<World>) -> Outcome {
    guarded(&world).await?;
    let token = token(&key(), &claims(""));
    for (path, cookies, left) in
        [("/a", format!("x=1; session={token}"), "x=1"), ("/open", format!("session={token}"), "")]
    {
        let answer = world.client().send(Request::get(path).field("Cookie", &cookies)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.field("cookie").unwrap_or_default(), left);
    }
    world.records(2).await?;
    assert!(!world.host.logs().concat().contains(&token));
    Ok(())
}

/// With the vectors of the standards, whose claims are refused only after the signature was verified.
async fn every_family_of_algorithms_is_verified(world: Rc<World>) -> Outcome {
    for vector in tollgate_contracts::vectors::VECTORS {
        if vector.name.contains("HS256") {
            continue;
        }
        let policy = format!(
            "staff: {{kind: jwt, issuer: joe, audience: any, algorithms: [RS256, PS384, ES256, EdDSA], \
             keys: '{{\"keys\":[{}]}}'}}",
            vector.key
        );
        world.publish(Project::new(&world).policy(&policy).route("{path: /a, authn: staff}")).await?;
        let right = with_token(&world, "/a", vector.token).await?;
        let kind = right.json()["type"].as_str().unwrap_or_default().to_owned();
        // The payload of two vectors is a text, that of the others has no audience.
        let verified = kind.ends_with("credential-malformed") || kind.ends_with("credential-not-accepted");
        assert!(right.status == 401 && verified, "{}: {kind}", vector.name);
        let mut wrong = vector.token.to_owned();
        let at = wrong.len() - 20..wrong.len() - 19;
        let other = if &wrong[at.clone()] == "A" { "B" } else { "A" };
        wrong.replace_range(at, other);
        assert_problem(&with_token(&world, "/a", &wrong).await?, 401, "credential-unknown");
    }
    Ok(())
}

async fn keys_are_found_by_the_metadata_of_the_issuer(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    let issuer = provider.url();
    provider
        .serve("/.well-known/openid-configuration", &format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/keys"}}"#));
    provider.serve("/keys", &format!(r#"{{"keys":[{}]}}"#, jwk(&key())));
    let policy = format!("staff: {{kind: jwt, issuer: \"{issuer}\", audience: pets, private-network: true}}");
    world.publish(Project::new(&world).policy(&policy).route("{path: /a, authn: staff}")).await?;
    let token = token(&key(), &claims("").replace(ISSUER, &issuer));
    for _ in 0..5 {
        let answer = with_token(&world, "/a", &token).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(provider.report().total() <= 4, "{} requests for keys", provider.report().total());
    Ok(())
}

async fn an_issuer_that_is_away_refuses_nobody_else(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    provider.serve("/keys", "<html>");
    let policy = |name: &str, url: &str| {
        format!("{name}: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, jwks: \"{url}\", private-network: true}}")
    };
    let project = Project::new(&world)
        .policy(&policy("gone", "http://127.0.0.1:9/keys"))
        .policy(&policy("broken", &format!("{}/keys", provider.url())))
        .route("{path: /gone, authn: gone}")
        .route("{path: /broken, authn: broken}")
        .route("{path: /k, authn: keys}")
        .route("{path: /open, authn: none}");
    world.publish(project).await?;
    let token = token(&key(), &claims(""));
    for path in ["/gone", "/broken"] {
        let answer = with_token(&world, path, &token).await?;
        assert_problem(&answer, 503, "store-unavailable");
        assert_eq!(answer.field("retry-after"), Some("1"));
    }
    let key = world.plain_key("acme").await?;
    assert_eq!(world.client().send(Request::get("/k").field("X-API-Key", &key)).await?.status, 200);
    assert_eq!(world.client().get("/open").await?.status, 200);
    Ok(())
}

async fn two_identities_are_refused_and_none_may_be_anonymous(world: Rc<World>) -> Outcome {
    let policy =
        format!("staff: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, keys: '{{\"keys\":[{}]}}'}}", jwk(&key()));
    let project = Project::new(&world).policy(&policy).route("{path: /a, authn: {optional: [keys, staff]}}");
    world.publish(project).await?;
    let key_text = world.plain_key("acme").await?;
    let bearer = format!("Bearer {}", token(&key(), &claims("")));
    let (by_key, by_token) = (("X-API-Key", key_text.as_str()), ("Authorization", bearer.as_str()));
    for (fields, status, problem) in [
        (&[][..], 200, ""),
        (&[by_key], 200, ""),
        (&[by_token], 200, ""),
        (&[by_key, by_token], 401, "credential-malformed"),
        (&[("Authorization", "Bearer hello")], 401, "credential-malformed"),
    ] {
        let request = fields.iter().fold(Request::get("/a"), |request, (name, value)| request.field(name, value));
        let answer = world.client().send(request).await?;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 401 {
            assert_problem(&answer, status, problem);
            let challenges = answer.all("www-authenticate").join("; ");
            assert!(challenges.contains("ApiKey realm") && challenges.contains("Bearer realm"), "{challenges}");
        }
    }
    let refused = with_token(&world, "/a", "hello").await?;
    assert!(refused.all("www-authenticate").join("; ").contains("error=\"invalid_token\""), "{refused:?}");
    Ok(())
}
