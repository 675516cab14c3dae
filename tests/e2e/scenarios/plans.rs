//! Plans, subscriptions and grants: records that operators write while the gateway runs.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tollgate_core::operator::Role;
use tollgate_tests::client::{Answer, Request};

use super::jwt;
use crate::lane::token;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::World;

scenarios! { "limit";
    a_subscription_and_its_changes_are_seen_within_the_stated_time,
    a_grant_raises_a_limit_and_ends_by_itself,
    a_claim_states_the_number_of_a_limit,
    a_key_has_numbers_of_its_own,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A quota of three in a year, with a product and two plans.
async fn sold(world: &World) -> Result<Names> {
    let names = Names::of(world);
    let limit = format!("{}: {{kind: quota, quota: 3, window: year, at-most: 100}}", names.limit);
    let route = format!("{{path: /a, authn: keys, limit: {}}}", names.limit);
    world.publish(Project::new(world).policy(&limit).route(&route)).await?;
    operate(world, "products", &json!({"name": names.product})).await?;
    for (plan, quota) in [("small", 10), ("large", 20)] {
        let (name, limit) = (names.plan(plan), format!("{}={quota}", names.limit));
        operate(world, "plans", &json!({"name": name, "product": names.product, "limits": [limit]})).await?;
    }
    Ok(names)
}

/// Scenarios share a gateway, so their things have names of their own.
struct Names {
    limit: String,
    product: String,
}

impl Names {
    fn of(world: &World) -> Self {
        Self { limit: format!("{}-sold", world.name), product: format!("{}-product", world.name) }
    }

    fn plan(&self, plan: &str) -> String {
        format!("{}-{plan}", self.product)
    }
}

async fn operate(world: &World, path: &str, content: &Value) -> Result<Answer> {
    let answer = ask(world, path, content).await?;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    Ok(answer)
}

async fn ask(world: &World, path: &str, content: &Value) -> Result<Answer> {
    let request = Request::post(&format!("/.tollgate/v1/{path}"), content.to_string())
        .field("content-type", "application/json")
        .field("authorization", &format!("Bearer {}", token(Role::Operate)));
    Ok(world.client().send(request).await?)
}

/// The quota that the response tells.
async fn quota(world: &World, key: &str) -> Result<(u16, String)> {
    let answer = world.client().send(Request::get("/a").field("X-API-Key", key)).await?;
    let policy = answer.field("ratelimit-policy").unwrap_or_default();
    let quota = policy.split(';').find_map(|part| part.strip_prefix("q=")).unwrap_or_default().to_owned();
    Ok((answer.status, quota))
}

/// Waits until all isolates have another quota: no request tells the old one for some time.
async fn until(world: &World, key: &str, wanted: &str) -> Outcome {
    let began = Instant::now();
    loop {
        let (_, told) = quota(world, key).await?;
        if told == wanted {
            return Ok(());
        }
        assert!(began.elapsed() < WITHIN, "the quota is still {told}, not {wanted}");
        sleep(Duration::from_secs(1)).await;
    }
}

async fn a_subscription_and_its_changes_are_seen_within_the_stated_time(world: Rc<World>) -> Outcome {
    let names = sold(&world).await?;
    let consumer = format!("{}-buyer", world.name);
    let key = world.plain_key("buyer").await?;
    let of = |plan: &str| json!({"consumer": consumer, "product": names.product, "plan": names.plan(plan)});
    operate(&world, "subscriptions", &of("small")).await?;
    until(&world, &key, "10").await?;
    let used = ask(&world, "plans/remove", &json!({"name": names.plan("small")})).await?;
    assert!(used.status == 400 && used.text().contains("is in use by 1 subscription"), "{}", used.text());
    operate(&world, "subscriptions/change", &of("large")).await?;
    operate(&world, "plans/remove", &json!({"name": names.plan("small")})).await?;
    until(&world, &key, "20").await?;
    let plan =
        json!({"name": names.plan("large"), "product": names.product, "limits": [format!("{}=50", names.limit)]});
    operate(&world, "plans", &plan).await?;
    until(&world, &key, "50").await?;
    let end = json!({"consumer": consumer, "product": names.product});
    operate(&world, "subscriptions/end", &end).await?;
    until(&world, &key, "3").await?;
    let (status, _) = quota(&world, &key).await?;
    assert_eq!(status, 429, "what was used of the larger quota stays used");
    Ok(())
}

async fn a_grant_raises_a_limit_and_ends_by_itself(world: Rc<World>) -> Outcome {
    let names = sold(&world).await?;
    let consumer = format!("{}-partner", world.name);
    let key = world.plain_key("partner").await?;
    let grant = json!({"consumer": consumer, "policy": names.limit, "raise": "60", "for": "8s", "why": "a test"});
    let given = operate(&world, "grants", &grant).await?.json();
    let given_at = Instant::now();
    assert_eq!(quota(&world, &key).await?, (200, "60".to_owned()), "{given}");
    sleep(Duration::from_secs(8).saturating_sub(given_at.elapsed())).await;
    let clocks = Duration::from_millis(500);
    sleep(clocks).await;
    assert_eq!(quota(&world, &key).await?, (200, "3".to_owned()), "nothing was told to any isolate");
    Ok(())
}

/// 30 seconds, and the time of a read on a slow machine.
const WITHIN: Duration = Duration::from_secs(45);

async fn a_claim_states_the_number_of_a_limit(world: Rc<World>) -> Outcome {
    let names = Names::of(&world);
    let keys = jwt::jwk(&jwt::key());
    let policy =
        format!("staff: {{kind: jwt, issuer: \"{}\", audience: pets, keys: '{{\"keys\":[{keys}]}}'}}", jwt::ISSUER);
    let limit = format!(
        "{}: {{kind: quota, quota: 2, window: year, at-most: 5, limit-from: principal.claims.tier.quota}}",
        names.limit
    );
    let route = format!("{{path: /a, authn: staff, limit: {}}}", names.limit);
    world.publish(Project::new(&world).policy(&policy).policy(&limit).route(&route)).await?;
    for (subject, quota, admitted) in
        [("ada", "4", 4), ("bob", "\"3\"", 3), ("eve", "6", 2), ("joe", "-1", 2), ("kim", "\"all\"", 2)]
    {
        let claims = format!(
            r#"{{"iss":"{}","aud":["pets"],"sub":"{}-{subject}","exp":4000000000,"tier":{{"quota":{quota}}}}}"#,
            jwt::ISSUER,
            world.name
        );
        let bearer = format!("Bearer {}", jwt::token(&jwt::key(), &claims));
        for number in 0..=admitted {
            let answer = world.client().send(Request::get("/a").field("Authorization", &bearer)).await?;
            let status = if number < admitted { 200 } else { 429 };
            assert_eq!(answer.status, status, "{subject}: {number} of {admitted}: {}", answer.text());
        }
    }
    Ok(())
}

async fn a_key_has_numbers_of_its_own(world: Rc<World>) -> Outcome {
    let names = Names::of(&world);
    let limit = format!("{}: {{kind: quota, quota: 2, window: year, at-most: 4}}", names.limit);
    let route = format!("{{path: /a, authn: keys, limit: {}}}", names.limit);
    world.publish(Project::new(&world).policy(&limit).route(&route)).await?;
    for (consumer, number, admitted) in [("own", Some(3), 3), ("beyond", Some(9), 4), ("plain", None, 2)] {
        let more = number.map(|number| format!("limits: [{}={number}]", names.limit));
        let key = world.key(consumer, |key| key.more.extend(more.map(|text| &*text.leak()))).await?;
        for number in 0..=admitted {
            let answer = world.client().send(Request::get("/a").field("X-API-Key", &key)).await?;
            let status = if number < admitted { 200 } else { 429 };
            assert_eq!(answer.status, status, "{consumer}: {number} of {admitted}: {}", answer.text());
        }
    }
    // A running gateway issues such keys, within what the limit allows.
    let issue = async |limit: String| -> Result<Answer> {
        let content = json!({"consumer": format!("{}-issued", world.name), "limits": [limit]});
        let request = Request::post("/.tollgate/v1/keys", content.to_string())
            .field("content-type", "application/json")
            .field("authorization", &format!("Bearer {}", token(Role::Operate)));
        Ok(world.client().send(request).await?)
    };
    let refused = issue(format!("{}=5", names.limit)).await?;
    assert!(refused.status == 400 && refused.text().contains("at-most"), "{}", refused.text());
    let issued = issue(format!("{}=1", names.limit)).await?;
    let key = issued.json()["key"].as_str().unwrap_or_default().to_owned();
    world.secret(&key);
    assert_eq!(issued.json()["limits"][0]["count"], 1, "{}", issued.text());
    let statuses = [(); 2].map(|()| Request::get("/a").field("X-API-Key", &key));
    for (request, status) in statuses.into_iter().zip([200, 429]) {
        assert_eq!(world.client().send(request).await?.status, status);
    }
    Ok(())
}
