//! Rate limits: exactly the promised number of requests, the fields, and unavailable counters.

use std::rc::Rc;

use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::{Fault, Kind};

use crate::project::{Key, Project};
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "limit";
    a_burst_passes_and_the_next_is_429_with_retry_after,
    every_answer_has_the_remaining_quota,
    exactly_the_promised_number_passes_in_parallel,
    an_operation_is_charged_its_cost,
    consumers_do_not_share_a_quota,
    keys_of_one_consumer_share_a_quota,
    a_plan_changes_the_limits_of_its_consumers,
    the_client_address_is_used_without_authentication,
    the_tightest_of_several_limits_refuses,
    a_refused_request_is_not_forwarded,
    unavailable_counters_with_open_let_pass_visibly,
    unavailable_counters_with_closed_refuse,
    unavailable_counters_with_degrade_admit_a_share_in_each_isolate
        except (Spin, "its host gives each request to any of many instances, each of which has a share"),
    every_algorithm_admits_its_maximum,
    requests_that_are_spaced_wait_for_their_turn,
    requests_share_a_quota_if_all_that_it_counts_by_is_equal,
    whatever_passes_many_limits_in_one_instance_is_charged,
    a_hot_limit_admits_no_more_than_its_bound,
    permits_that_were_taken_ahead_are_used_without_a_call
        except (Native, "its counters are in the process, and all limits are exact"),
    a_local_limit_needs_no_counter
        except (Native, "its counters are in the process, and all limits are exact"),
    a_counter_that_is_reset_is_asked_once_more
        except (Native, "the owner of its counters is its own process")
               (Spin, "its counters are in a store and have no owner that runs"),
}

/// A quota that a test can exhaust, and that is not refilled while it runs.
const FIVE_A_DAY: &str = "{kind: rate-limit, rate: 5/d, burst: 5}";

async fn limited(world: &World, limit: &str) -> Outcome {
    let project = Project::new(world)
        .policy(&format!("{}-limit: {limit}", world.name))
        .route(&format!("{{path: /a, authn: keys, limit: {}-limit}}", world.name));
    world.publish(project).await
}

async fn with_key(world: &World, key: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    Ok(world.client().send(Request::get("/a").field("X-API-Key", key)).await?)
}

#[track_caller]
fn assert_limited(answer: &Answer) {
    assert_problem(answer, 429, "rate-limit-exceeded");
    let wait: u64 = answer.field("retry-after").and_then(|s| s.parse().ok()).unwrap_or(0);
    assert!((1..=17_280).contains(&wait), "{answer:?}");
}

async fn a_burst_passes_and_the_next_is_429_with_retry_after(world: Rc<World>) -> Outcome {
    limited(&world, FIVE_A_DAY).await?;
    let key = world.plain_key("acme").await?;
    for _ in 0..5 {
        assert_eq!(with_key(&world, &key).await?.status, 200);
    }
    assert_limited(&with_key(&world, &key).await?);
    Ok(())
}

async fn every_answer_has_the_remaining_quota(world: Rc<World>) -> Outcome {
    limited(&world, FIVE_A_DAY).await?;
    let key = world.plain_key("acme").await?;
    let name = format!("{}-limit", world.name);
    for left in [4, 3, 2, 1, 0, 0] {
        let answer = with_key(&world, &key).await?;
        let policy = answer.field("ratelimit-policy").unwrap_or_default();
        assert_eq!(policy, format!("\"{name}\";q=5;w=86400"));
        let state = answer.field("ratelimit").unwrap_or_default();
        assert!(state.starts_with(&format!("\"{name}\";r={left};t=")), "{state}");
    }
    Ok(())
}

async fn exactly_the_promised_number_passes_in_parallel(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 100/d, burst: 100}").await?;
    let key = world.plain_key("acme").await?;
    let requests: Vec<_> = (0..200)
        .map(|_| {
            let (client, key) = (world.client(), key.clone());
            tokio::task::spawn_local(async move {
                let request = Request::get("/a").field("X-API-Key", &key);
                client.send(request).await.map(|answer| answer.status)
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await??);
    }
    let passed = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((passed, refused), (100, 100), "{statuses:?}");
    assert_eq!(world.upstream.report().total(), 100);
    Ok(())
}

async fn an_operation_is_charged_its_cost(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {FIVE_A_DAY}"))
        .api(&format!("authn: keys\n    limit: {limit}"))
        .route("{path: /a, cost: 1}")
        .route("{path: /dear, cost: 3}")
        .route("{path: /never, cost: 6}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let get = |path: &'static str| world.client().send_owned(Request::get(path).field("X-API-Key", &key));
    let never = get("/never").await?;
    assert_problem(&never, 429, "rate-limit-exceeded");
    assert_eq!(get("/dear").await?.status, 200);
    assert_eq!(get("/dear").await?.status, 429, "2 remaining, cost 3");
    assert_eq!(get("/a").await?.status, 200, "a refused request is not charged");
    assert_eq!(get("/a").await?.status, 200);
    assert_eq!(get("/a").await?.status, 429);
    Ok(())
}

async fn consumers_do_not_share_a_quota(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 1/d, burst: 1}").await?;
    let (one, two) = (world.plain_key("one").await?, world.plain_key("two").await?);
    assert_eq!(with_key(&world, &one).await?.status, 200);
    assert_eq!(with_key(&world, &one).await?.status, 429);
    assert_eq!(with_key(&world, &two).await?.status, 200);
    Ok(())
}

async fn keys_of_one_consumer_share_a_quota(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 1/d, burst: 1}").await?;
    let (one, two) = (world.plain_key("acme").await?, world.plain_key("acme").await?);
    assert_eq!(with_key(&world, &one).await?.status, 200);
    assert_eq!(with_key(&world, &two).await?.status, 429);
    Ok(())
}

async fn a_plan_changes_the_limits_of_its_consumers(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {FIVE_A_DAY}"))
        .plan(&format!("gold: {{limits: {{{limit}: {{rate: 7/d, burst: 7}}}}}}"))
        .route(&format!("{{path: /a, authn: keys, limit: {limit}}}"));
    world.publish(project).await?;
    for (consumer, plan, quota) in [("acme", Some("gold"), 7), ("zoo", Some("unknown"), 5), ("solo", None, 5)] {
        let key = world.key(consumer, |key| key.plan = plan).await?;
        for _ in 0..quota {
            assert_eq!(with_key(&world, &key).await?.status, 200, "{consumer}");
        }
        let refused = with_key(&world, &key).await?;
        assert_limited(&refused);
        let said = refused.field("ratelimit-policy").unwrap_or_default().to_owned();
        assert!(said.contains(&format!("q={quota}")), "{consumer}: {said}");
    }
    Ok(())
}

async fn the_client_address_is_used_without_authentication(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 2/d, burst: 2, by: address}}"))
        .route(&format!("{{path: /a, limit: {limit}}}"));
    world.publish(project).await?;
    // A client cannot change its address with a field.
    let names = ["x-forwarded-for", "forwarded", "x-real-ip", "spin-client-addr"];
    let mut statuses = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let request = Request::get("/a").field(name, &format!("203.0.113.{at}"));
        statuses.push(world.client().send(request).await?.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    Ok(())
}

async fn the_tightest_of_several_limits_refuses(world: Rc<World>) -> Outcome {
    let (wide, tight) = (format!("{}-wide", world.name), format!("{}-tight", world.name));
    let project = Project::new(&world)
        .policy(&format!("{wide}: {{kind: rate-limit, rate: 100/d, burst: 100}}"))
        .policy(&format!("{tight}: {{kind: rate-limit, rate: 2/d, burst: 2}}"))
        .route(&format!("{{path: /a, authn: keys, limit: [{wide}, {tight}]}}"));
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for _ in 0..2 {
        assert_eq!(with_key(&world, &key).await?.status, 200);
    }
    for _ in 0..2 {
        let refused = with_key(&world, &key).await?;
        assert_problem(&refused, 429, "rate-limit-exceeded");
        let state = refused.field("ratelimit").unwrap_or_default();
        assert!(state.contains(&format!("\"{wide}\";r=98;")), "the wide one is not charged: {state}");
        assert!(state.contains(&format!("\"{tight}\";r=0;")), "{state}");
    }
    Ok(())
}

async fn a_refused_request_is_not_forwarded(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 1/d, burst: 1}").await?;
    let key = world.plain_key("acme").await?;
    for _ in 0..4 {
        with_key(&world, &key).await?;
    }
    assert_eq!(world.upstream.report().total(), 1);
    Ok(())
}

async fn unavailable_counters_with_open_let_pass_visibly(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 1/d, burst: 1, on-unavailable: open}").await?;
    let key = world.plain_key("acme").await?;
    world.host.fault(Fault { counters: Some(true), ..Fault::default() }).await?;
    for _ in 0..3 {
        assert_eq!(with_key(&world, &key).await?.status, 200);
    }
    let records = world.records(3).await?;
    assert_eq!(records[0]["open_on_failure"], serde_json::json!([format!("{}-limit", world.name)]));
    world.host.fault(Fault::NONE).await?;
    assert_eq!(with_key(&world, &key).await?.status, 200);
    assert_eq!(with_key(&world, &key).await?.status, 429);
    Ok(())
}

async fn unavailable_counters_with_closed_refuse(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 5/d, burst: 5, on-unavailable: closed}").await?;
    let key = world.plain_key("acme").await?;
    world.host.fault(Fault { counters: Some(true), ..Fault::default() }).await?;
    let refused = with_key(&world, &key).await?;
    assert_problem(&refused, 503, "store-unavailable");
    assert_eq!(world.upstream.report().total(), 0);
    world.host.fault(Fault::NONE).await?;
    assert_eq!(with_key(&world, &key).await?.status, 200);
    Ok(())
}

async fn unavailable_counters_with_degrade_admit_a_share_in_each_isolate(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 40/d, on-unavailable: degrade, degrade-to: 10%, timeout: 1s}").await?;
    let key = world.plain_key("acme").await?;
    world.host.fault(Fault { counters: Some(true), ..Fault::default() }).await?;
    let mut statuses = Vec::new();
    for _ in 0..39 {
        statuses.push(with_key(&world, &key).await?.status);
    }
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    // One isolate admits four; a host may have several.
    assert!(count(200) >= 4 && count(200) % 4 == 0 && count(200) + count(429) == 39, "{statuses:?}");
    assert!(count(429) > 0, "{statuses:?}");
    let records = world.records(39).await?;
    assert_eq!(records[0]["open_on_failure"], serde_json::json!([format!("{}-limit", world.name)]));
    world.host.fault(Fault::NONE).await?;
    let answer = with_key(&world, &key).await?;
    assert_eq!(answer.status, 200);
    let state = answer.field("ratelimit").unwrap_or_default();
    assert!(state.contains(";r=39;"), "the store's own count goes on where it was: {state}");
    Ok(())
}

async fn every_algorithm_admits_its_maximum(world: Rc<World>) -> Outcome {
    let name = |algorithm: &str| format!("{}-{algorithm}", world.name);
    let algorithms = ["gcra", "sliding-window", "sliding-log", "fixed-window"];
    let project = algorithms.iter().fold(Project::new(&world), |project, algorithm| {
        let own = name(algorithm);
        project
            .policy(&format!("{own}: {{kind: rate-limit, rate: 20/40d, algorithm: {algorithm}}}"))
            .route(&format!("{{path: /{algorithm}, authn: keys, limit: {own}}}"))
    });
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for algorithm in algorithms {
        let send = || {
            let (client, key) = (world.client(), key.clone());
            async move {
                let request = Request::get(&format!("/{algorithm}")).field("X-API-Key", &key);
                client.send(request).await.map(|answer| answer.status)
            }
        };
        let mut statuses = Vec::new();
        if world.on(Kind::Spin) {
            // An instance of Spin has 256 swaps, and those of instances that compete are many.
            for _ in 0..30 {
                statuses.push(send().await?);
            }
        } else {
            let requests: Vec<_> = (0..30).map(|_| tokio::task::spawn_local(send())).collect();
            for request in requests {
                statuses.push(request.await??);
            }
        }
        let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!((count(200), count(429)), (20, 10), "{algorithm}: {statuses:?}");
    }
    Ok(())
}

async fn requests_that_are_spaced_wait_for_their_turn(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 2/s, burst: 3, algorithm: spacing}").await?;
    let key = world.plain_key("acme").await?;
    let begun = std::time::Instant::now();
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let (client, key) = (world.client(), key.clone());
            tokio::task::spawn_local(async move {
                let answer = client.send(Request::get("/a").field("X-API-Key", &key)).await;
                answer.map(|answer| (answer.status, begun.elapsed().as_millis()))
            })
        })
        .collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await??);
    }
    answers.sort_by_key(|(_, ms)| *ms);
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    // Of three at once, the last one waits for two turns of half a second.
    assert!(answers[2].1 >= 1_000, "{answers:?}");
    Ok(())
}

async fn requests_share_a_quota_if_all_that_it_counts_by_is_equal(world: Rc<World>) -> Outcome {
    let name = format!("{}-limit", world.name);
    let limit = "{kind: rate-limit, rate: 1/d, by: [consumer, params.store, 'request.headers[\"x-tenant\"]']}";
    let project = Project::new(&world)
        .policy(&format!("{name}: {limit}"))
        .route(&format!("{{path: \"/{{store}}\", authn: keys, limit: {name}}}"));
    world.publish(project).await?;
    let (acme, globex) = (world.plain_key("acme").await?, world.plain_key("globex").await?);
    for (key, path, tenant, status) in [
        (&acme, "/paris", Some("a"), 200),
        (&acme, "/paris", Some("a"), 429),
        (&acme, "/%70aris", Some("a"), 429),
        (&acme, "/rome", Some("a"), 200),
        (&acme, "/paris", Some("b"), 200),
        (&acme, "/paris", None, 200),
        (&acme, "/paris", None, 429),
        (&globex, "/paris", Some("a"), 200),
    ] {
        let request = Request::get(path).field("X-API-Key", key);
        let request = tenant.into_iter().fold(request, |request, tenant| request.field("X-Tenant", tenant));
        assert_eq!(world.client().send(request).await?.status, status, "{path} {tenant:?}");
    }
    Ok(())
}

async fn a_counter_that_is_reset_is_asked_once_more(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 5/d, burst: 5, on-unavailable: closed}").await?;
    let key = world.plain_key("acme").await?;
    assert_eq!(with_key(&world, &key).await?.status, 200);
    world.host.reset_counters(1).await?;
    assert_eq!(with_key(&world, &key).await?.status, 200);
    world.host.reset_counters(2).await?;
    assert_problem(&with_key(&world, &key).await?, 503, "store-unavailable");
    assert_eq!(with_key(&world, &key).await?.status, 200);
    Ok(())
}

async fn whatever_passes_many_limits_in_one_instance_is_charged(world: Rc<World>) -> Outcome {
    let (consumer, address) = (format!("{}-consumer", world.name), format!("{}-address", world.name));
    let project = Project::new(&world)
        .policy(&format!("{consumer}: {{kind: rate-limit, rate: 1000/d, burst: 1000, by: consumer}}"))
        .policy(&format!("{address}: {{kind: rate-limit, rate: 1000/d, burst: 1000, by: address}}"))
        .route(&format!("{{path: /a, authn: keys, limit: [{consumer}, {address}]}}"));
    // A host of its own: an instance of Spin whose swaps are used up refuses what others count.
    let host = world.start_host(false, &[]).await?;
    let key = Key::new(&world.name, 51, "acme");
    host.put(&key.records()?).await?;
    world.publish_to(&host, &project.yaml()).await?;
    let client = host.client().for_host(&world.domain);
    let mut passed = 0;
    // As many as an instance of Spin serves. It has no place for the changes of all of them, and may refuse some.
    for _ in 0..130 {
        let answer = client.send(Request::get("/a").field("X-API-Key", &key.text)).await?;
        if answer.status == 503 && world.on(Kind::Spin) {
            assert_problem(&answer, 503, "counter-contended");
            continue;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        passed += 1;
        let state = answer.field("ratelimit").unwrap_or_default();
        let left = state.split(";r=").skip(1).map(|rest| rest.split(';').next().unwrap_or_default().parse());
        let left: Vec<usize> = left.collect::<Result<_, _>>()?;
        // Both are charged; what a refused request holds is given back later.
        assert!(left.len() == 2 && left.iter().all(|left| *left <= 1000 - passed), "{passed} passed: {state}");
    }
    assert_eq!(world.upstream.report().total(), passed);
    assert!(passed >= 60, "{passed}");
    Ok(())
}

/// With all of the burst, what the limit gives while the requests are sent, and for the second in which permits can be used.
async fn a_hot_limit_admits_no_more_than_its_bound(world: Rc<World>) -> Outcome {
    // Slow, so that the slowest machine sends more.
    const RATE: u64 = 10;
    const BURST: u64 = 300;
    limited(&world, &format!("{{kind: rate-limit, rate: {RATE}/s, burst: {BURST}, on-unavailable: closed}}")).await?;
    let key = world.plain_key("acme").await?;
    let (begun, longest, mut passed) = (std::time::Instant::now(), std::time::Duration::from_secs(20), 0);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (client, key) = (world.client(), key.clone());
            tokio::task::spawn_local(async move {
                let (mut passed, mut refused) = (0, 0);
                while refused < 20 && begun.elapsed() < longest {
                    let answer = client.send(Request::get("/a").field("X-API-Key", &key)).await;
                    match answer.map_err(std::io::Error::other)?.status {
                        200 => passed += 1,
                        429 => refused += 1,
                        // Many writers of one key of a store.
                        503 => {}
                        other => return Err(std::io::Error::other(format!("status {other}"))),
                    }
                }
                Ok::<u64, std::io::Error>(passed)
            })
        })
        .collect();
    for client in clients {
        passed += client.await??;
    }
    let lasted_ms = u64::try_from(begun.elapsed().as_millis())?;
    let most = BURST + RATE * (lasted_ms + 1_000) / 1_000 + 1;
    // Some may be in instances that have no more requests.
    let is_used_up = passed * 4 >= BURST * 3 || begun.elapsed() >= longest;
    assert!(passed <= most && is_used_up, "{passed} in {lasted_ms} ms, of {BURST} to {most}");
    assert_eq!(world.upstream.report().total(), usize::try_from(passed)?);
    Ok(())
}

async fn permits_that_were_taken_ahead_are_used_without_a_call(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 10000/s, burst: 10000, on-unavailable: closed}").await?;
    let key = world.plain_key("acme").await?;
    let host = &world.host;
    for _ in 0..10 {
        for _ in 0..60 {
            with_key(&world, &key).await?;
        }
        host.fault(Fault { counters: Some(true), ..Fault::default() }).await?;
        let without = with_key(&world, &key).await?;
        host.fault(Fault::NONE).await?;
        if without.status == 200 {
            return Ok(());
        }
        assert_problem(&without, 503, "store-unavailable");
    }
    Err("every request was charged by a call".into())
}

async fn a_local_limit_needs_no_counter(world: Rc<World>) -> Outcome {
    limited(&world, "{kind: rate-limit, rate: 1000/d, consistency: local, on-unavailable: closed}").await?;
    let key = world.plain_key("acme").await?;
    world.host.fault(Fault { counters: Some(true), ..Fault::default() }).await?;
    let answer = with_key(&world, &key).await;
    world.host.fault(Fault::NONE).await?;
    let answer = answer?;
    let state = answer.field("ratelimit").unwrap_or_default();
    assert!(answer.status == 200 && state.contains("r=999"), "{answer:?}");
    Ok(())
}
