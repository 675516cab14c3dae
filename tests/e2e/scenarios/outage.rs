//! The identity provider is down: docs/idp-outage.md as a scenario.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate_core::operator::Role;
use tollgate_tests::client::{Answer, Request};

use super::jwt::{ISSUER, jwk, key, token};
use crate::lane;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    an_outage_of_the_provider_is_ridden_out_by_the_consumers_that_an_operator_names,
    tokens_are_revoked_within_the_stated_time_and_accepted_again,
}

/// The name of the policy.
const POLICY: &str = "ridden";

/// How long tokens of the scenario are valid.
const VALID_S: u64 = 5;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

async fn an_outage_of_the_provider_is_ridden_out_by_the_consumers_that_an_operator_names(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    let keys = |keys: &[String]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    provider.serve("/keys", &keys(&[jwk(&key())]));
    let policy = format!(
        "{POLICY}: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, jwks: \"{}/keys\", private-network: true, leeway: 0s, \
         on-unavailable: known, outage-consumers: [\"{POLICY}:ada\", \"{POLICY}:batch\"], outage-past-expiry: 1h}}",
        provider.url()
    );
    world.publish(Project::new(&world).policy(&policy).route(&format!("{{path: /a, authn: {POLICY}}}"))).await?;

    // All is well.
    let end = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + VALID_S;
    let [ada, batch, eve, unseen] = ["ada", "batch", "eve", "ada\",\"jti\":\"2"].map(|sub| signed(&key(), sub, end));
    for token in [&ada, &batch, &eve] {
        assert_eq!(send(&world, token).await?.status, 200);
    }

    // The provider is down, so nobody gets a new token: a spike of refusals, which the log explains.
    provider.serve("/keys", "<html>down for maintenance");
    sleep(Duration::from_secs(VALID_S)).await;
    for token in [&ada, &batch, &eve] {
        assert_problem(&send(&world, token).await?, 401, "credential-expired");
    }
    let refusals = world.records(6).await?;
    assert_eq!(refusals.iter().filter(|line| line["policy"] == POLICY && line["status"] == 401).count(), 3);

    // An operator admits two consumers, and nobody else.
    let refused = json!({"consumers": [format!("{POLICY}:eve")], "for": "30m", "reason": "down"});
    assert_eq!(operate(&world, "/allow", Some(&refused)).await?.status, 400);
    let allowed =
        json!({"consumers": [format!("{POLICY}:ada"), format!("{POLICY}:batch")], "for": "30m", "reason": "down"});
    let answer = operate(&world, "/allow", Some(&allowed)).await?;
    assert!(answer.status == 200 && answer.json()["open"] == true, "{}", answer.text());
    until(&world, &ada, 200).await?;
    until(&world, &batch, 200).await?;
    for token in [&eve, &unseen] {
        assert_problem(&send(&world, token).await?, 401, "credential-expired");
    }
    world.eventually("marked lines", || marked(&world).len() >= 2).await?;
    assert!(marked(&world).iter().all(|line| line["status"] == 200), "{:?}", marked(&world));

    // The provider is back, with another key: new tokens are verified as always.
    let new_key = SigningKey::from_bytes(&[9; 32]);
    provider.serve("/keys", &keys(&[jwk(&key()), jwk(&new_key)]));
    until(&world, &signed(&new_key, "ada", end + 3_600), 200).await?;

    // What was admitted is listed, and revoked in one call.
    let listed = operate(&world, "", None).await?.json();
    let mine = |credential: &str| {
        listed["tokens"].as_array().is_some_and(|all| all.iter().any(|one| one["credential"] == credential))
    };
    let credentials: Vec<String> =
        marked(&world).iter().filter_map(|line| Some(line["credential"].as_str()?.into())).collect();
    assert!(credentials.iter().all(|credential| mine(credential)), "{listed}");
    assert_eq!(operate(&world, "/revoke", Some(&json!({"all": true}))).await?.status, 200);
    until(&world, &ada, 401).await?;
    assert_problem(&send(&world, &ada).await?, 401, "credential-revoked");
    until(&world, &batch, 401).await?;

    let ended = operate(&world, "/end", None).await?.json();
    assert_eq!(ended["open"], false, "{ended}");
    let logs = world.host.logs().concat();
    assert!([&ada, &batch, &eve].iter().all(|token| !logs.contains(token.as_str())), "a token in the log");
    Ok(())
}

/// The isolate that answers the operator refuses at once, others within 30 seconds and the store's delay.
async fn tokens_are_revoked_within_the_stated_time_and_accepted_again(world: Rc<World>) -> Outcome {
    let keys = format!(r#"{{"keys":[{}]}}"#, jwk(&key()));
    let policy =
        format!("{POLICY}: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, keys: '{keys}', revocable: true}}");
    world.publish(Project::new(&world).policy(&policy).route(&format!("{{path: /a, authn: {POLICY}}}"))).await?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let issued = |subject: &str, jti: &str, at_s: u64| {
        let claims = format!(r#""iss":"{ISSUER}","aud":"pets","exp":{}"#, now_s + 3_600);
        token(&key(), &format!(r#"{{{claims},"sub":"{subject}","jti":"{jti}","iat":{at_s}}}"#))
    };
    let (ada, later, bob) = (issued("ada", "1", now_s - 60), issued("ada", "2", now_s + 20), issued("bob", "3", now_s));
    for token in [&ada, &bob, &later] {
        let answer = send(&world, token).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let revoked = json!({"consumers": [format!("{POLICY}:ada")], "jti": ["3"]});
    assert_eq!(operate(&world, "/revoke", Some(&revoked)).await?.status, 200);
    let began = Instant::now();
    for token in [&ada, &bob] {
        within(&world, token, 401, REVOKED_WITHIN).await?;
        assert_problem(&send(&world, token).await?, 401, "credential-revoked");
    }
    assert!(began.elapsed() < REVOKED_WITHIN, "{:?}", began.elapsed());
    assert_eq!(send(&world, &later).await?.status, 200, "issued after the revocation");
    let restored = json!({"consumers": [format!("{POLICY}:ada")], "restore": true});
    assert_eq!(operate(&world, "/revoke", Some(&restored)).await?.status, 200);
    within(&world, &ada, 200, REVOKED_WITHIN).await?;
    assert_problem(&send(&world, &bob).await?, 401, "credential-revoked");
    Ok(())
}

/// 30 seconds, and some for the store.
const REVOKED_WITHIN: Duration = Duration::from_secs(40);

fn signed(key: &SigningKey, subject: &str, end: u64) -> String {
    token(key, &format!(r#"{{"iss":"{ISSUER}","aud":"pets","sub":"{subject}","exp":{end}}}"#))
}

async fn send(world: &World, token: &str) -> Result<Answer> {
    Ok(world.client().send(Request::get("/a").field("Authorization", &format!("Bearer {token}"))).await?)
}

/// Sends the token until it has this status: isolates look at what an operator said every five seconds.
async fn until(world: &World, token: &str, status: u16) -> Outcome {
    within(world, token, status, Duration::from_secs(15)).await
}

async fn within(world: &World, token: &str, status: u16, time: Duration) -> Outcome {
    let end = Instant::now() + time;
    loop {
        let answer = send(world, token).await?;
        if answer.status == status {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{} and not {status}: {}", answer.status, answer.text()).into());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// The log lines of requests that were admitted without the provider.
fn marked(world: &World) -> Vec<Value> {
    let lines = world.host.logs();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["open_on_failure"] == json!([POLICY])).collect()
}

async fn operate(world: &World, call: &str, content: Option<&Value>) -> Result<Answer> {
    let target = format!("/.tollgate/v1/idp-outages/{POLICY}{call}");
    let request = match content {
        Some(content) => Request::post(&target, content.to_string()).field("content-type", "application/json"),
        None if call.is_empty() => Request::get(&target),
        None => Request::of("POST", &target),
    };
    let bearer = format!("Bearer {}", lane::token(Role::Operate));
    Ok(world.client().send(request.field("authorization", &bearer)).await?)
}
