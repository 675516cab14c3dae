//! Names and passwords: keys as passwords, listed users, and that neither reaches the upstream.

use std::rc::Rc;

use sha2::{Digest, Sha256};
use tollgate_core::authn::NameAndPassword;
use tollgate_core::hex;
use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::Kind;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_key_is_the_password_of_its_consumer,
    a_listed_user_has_the_password_of_the_project,
    what_is_no_name_and_password_is_refused,
    people_have_passwords_with_slow_hashes,
}

async fn publish(world: &World, definition: &str) -> Outcome {
    let project = Project::new(world).policy(&format!("people: {definition}")).route("{path: /a, authn: people}");
    world.publish(project).await
}

async fn sent(world: &World, value: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get("/a").field("Authorization", value)).await?)
}

async fn with(world: &World, name: &str, password: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    sent(world, &format!("Basic {}", NameAndPassword::encode(name, password))).await
}

async fn a_key_is_the_password_of_its_consumer(world: Rc<World>) -> Outcome {
    publish(&world, "{kind: basic}").await?;
    let (key, name) = (world.plain_key("acme").await?, format!("{}-acme", world.name));
    let answer = with(&world, &name, &key).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("Basic"), "the upstream saw the password: {}", answer.text());
    assert_eq!(world.records(1).await?[0]["consumer"], name.as_str());
    assert!(!world.host.logs().concat().contains(&key));
    let other = world.plain_key("globex").await?;
    for (name, password) in [(name.as_str(), other.as_str()), ("acme", &key), (&name, "x")] {
        assert_problem(&with(&world, name, password).await?, 401, "credential-unknown");
    }
    let revoked = world.key("acme", |key| key.revoked = true).await?;
    assert_problem(&with(&world, &name, &revoked).await?, 401, "credential-revoked");
    assert_eq!(world.upstream.report().total(), 1);
    Ok(())
}

async fn a_listed_user_has_the_password_of_the_project(world: Rc<World>) -> Outcome {
    let hash = |password: &str| hex::encode(&Sha256::digest(password.as_bytes()));
    let (old, new) = ("0123456789abcdef0123456789abcdef", "pa\u{df}:w\u{f6}rter: 7f0c");
    publish(&world, &format!("{{kind: basic, users: {{ada: [{}, {}]}}}}", hash(old), hash(new))).await?;
    for password in [old, new] {
        assert_eq!(with(&world, "ada", password).await?.status, 200);
    }
    assert_eq!(world.records(2).await?[0]["consumer"], "ada");
    let key = world.plain_key("ada").await?;
    for (name, password) in [("ada", "wr0ng"), ("bob", old), ("ada", &key)] {
        assert_problem(&with(&world, name, password).await?, 401, "credential-unknown");
    }
    Ok(())
}

async fn what_is_no_name_and_password_is_refused(world: Rc<World>) -> Outcome {
    publish(&world, "{kind: basic}").await?;
    let answer = world.client().get("/a").await?;
    assert_problem(&answer, 401, "credential-missing");
    assert_eq!(answer.field("www-authenticate"), Some("Basic realm=\"e2e\", charset=\"UTF-8\""));
    for value in ["Basic", "Basic ???", "Basic YWRh", "Basic YWRhOgE=", "Basic YTpi, Basic YTpi", "Basic YTr/"] {
        assert_problem(&sent(&world, value).await?, 401, "credential-malformed");
    }
    assert_problem(&sent(&world, "Bearer YTpi").await?, 401, "credential-missing");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

/// Of the reference implementation of argon2.
const SLOW: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$C4TWUs9rDEvq7w3+J4umqA32aWKB1+DSiRuBfYxFj94";

async fn people_have_passwords_with_slow_hashes(world: Rc<World>) -> Outcome {
    publish(&world, &format!("{{kind: basic, users: {{ada: '{SLOW}', bob: '{SLOW}'}}}}")).await?;
    let right = "differentpassword";
    let first = with(&world, "ada", right).await?;
    if world.on(Kind::Cloudflare) {
        // Workers bound the processor time of a request.
        assert_problem(&first, 503, "store-unavailable");
        return Ok(());
    }
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(with(&world, "ada", right).await?.status, 200);
    assert_eq!(world.records(2).await?[0]["consumer"], "ada");
    assert_problem(&with(&world, "nobody", right).await?, 401, "credential-unknown");
    for _ in 0..10 {
        assert_problem(&with(&world, "bob", "wr0ng").await?, 401, "credential-unknown");
    }
    assert_problem(&with(&world, "bob", right).await?, 429, "rate-limit-exceeded");
    assert!(!world.host.logs().concat().contains(&NameAndPassword::encode("ada", right)));
    assert_eq!(with(&world, "ada", right).await?.status, 200, "who is known is not asked again");
    Ok(())
}
