//! Configuration at the edge: none, new, invalid, of another version; the last valid one stays active.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tollgate_kv_schemas::{Bundle, Pointer, decode, encode, keys};
use tollgate_tests::client::Request;
use tollgate_tests::hosts::{Fault, Host};

use crate::lane::GATEWAY;
use crate::project::{self, Project, Records};
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "configuration";
    without_any_the_answer_says_how_to_publish,
    an_edit_takes_effect,
    a_removed_route_is_not_served,
    a_truncated_pointer_keeps_the_last_valid_one_active,
    a_truncated_part_keeps_the_last_valid_one_active,
    an_unknown_version_keeps_the_last_valid_one_active,
    a_missing_part_keeps_the_last_valid_one_active,
    two_invalid_ones_in_a_row_keep_the_last_valid_one_active,
    unavailable_records_keep_the_last_valid_one_active,
    the_previous_generation_serves_if_the_newest_cannot_be_read,
    an_unknown_requirement_is_refused_by_name,
    an_older_generation_is_refused
        except (Spin, "a new instance has seen no earlier generation"),
    publishing_to_a_stale_store_drops_no_request
        except (Native, "its store is not eventually consistent")
        (Spin, "its store is not eventually consistent"),
    an_edit_drops_no_request,
}

async fn without_any_the_answer_says_how_to_publish(world: Rc<World>) -> Outcome {
    let host = world.start_host(true, &[]).await?;
    let client = host.client().for_host(&world.domain);
    let answer = client.get("/a").await?;
    assert_problem(&answer, 503, "no-configuration");
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("tollgate publish"), "{detail}");
    world.publish_to(&host, &Project::new(&world).route("{path: /a}").yaml()).await?;
    assert_eq!(client.get("/a").await?.status, 200);
    Ok(())
}

async fn an_edit_takes_effect(world: Rc<World>) -> Outcome {
    for version in ["one", "two", "three"] {
        let project = Project::new(&world).route(&format!("{{path: /{version}}}"));
        world.publish(project).await?;
        assert_eq!(world.client().get(&format!("/{version}")).await?.status, 200, "{version}");
    }
    Ok(())
}

async fn a_removed_route_is_not_served(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}").route("{path: /b}")).await?;
    assert_eq!(world.client().get("/b").await?.status, 200);
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    assert_eq!(world.client().get("/b").await?.status, 404);
    Ok(())
}

/// A separate host that serves `/good`, because other scenarios must not see the changes of its records.
async fn good(world: &World) -> Result<Host, Box<dyn std::error::Error>> {
    let host = world.start_host(true, &[]).await?;
    world.publish_to(&host, &Project::new(world).route("{path: /good}").yaml()).await?;
    world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
    Ok(host)
}

/// Checks that the valid configuration is still active, and that another valid one is loaded immediately.
async fn stays_active(world: &World, host: &Host) -> Outcome {
    let client = host.client().for_host(&world.domain);
    world.warm(&client, || Request::get("/good")).await?;
    let fixed = Project::new(world).route("{path: /good}").route("{path: /fixed}");
    world.publish_to(host, &fixed.yaml()).await?;
    assert_eq!(client.get("/fixed").await?.status, 200, "it recovers");
    Ok(())
}

/// The records of another configuration, which must not become active.
async fn other(world: &World, host: &Host) -> Result<Records, Box<dyn std::error::Error>> {
    project::records_of(host, &damaged(world)?).await
}

fn damaged(world: &World) -> Result<Bundle, Box<dyn std::error::Error>> {
    project::compile(&Project::new(world).route("{path: /damaged}").yaml())
}

/// Writes each record as changed by `damage`; `None` omits it.
async fn put_damaged(world: &World, host: &Host, damage: impl Fn(&str, &[u8]) -> Option<Vec<u8>>) -> Outcome {
    let damaged: Records = other(world, host)
        .await?
        .into_iter()
        .filter_map(|(key, value)| Some((key.clone(), damage(&key, &value)?)))
        .collect();
    Ok(host.put(&damaged).await?)
}

fn half(value: &[u8]) -> Vec<u8> {
    value[..value.len() / 2].to_owned()
}

async fn a_truncated_pointer_keeps_the_last_valid_one_active(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    put_damaged(&world, &host, |key, value| {
        Some(if key.ends_with("config:active") { half(value) } else { value.to_vec() })
    })
    .await?;
    stays_active(&world, &host).await
}

async fn a_truncated_part_keeps_the_last_valid_one_active(world: Rc<World>) -> Outcome {
    for kind in [":part:", ":manifest:"] {
        let host = good(&world).await?;
        put_damaged(&world, &host, |key, value| Some(if key.contains(kind) { half(value) } else { value.to_vec() }))
            .await?;
        stays_active(&world, &host).await?;
    }
    Ok(())
}

async fn an_unknown_version_keeps_the_last_valid_one_active(world: Rc<World>) -> Outcome {
    for kind in [":part:", ":manifest:", ":config:active"] {
        let host = good(&world).await?;
        let newer = |key: &str, value: &[u8]| {
            if key.contains(kind) { project::of_version(value, 99) } else { value.to_vec() }
        };
        host.put(&project::rewritten(&other(&world, &host).await?, newer)?).await?;
        world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
        let names_it = |line: &String| line.contains("configuration-refused") && line.contains("has version 99");
        world.eventually("a log line that says the version", || host.logs().iter().any(names_it)).await?;
        stays_active(&world, &host).await?;
    }
    Ok(())
}

async fn a_missing_part_keeps_the_last_valid_one_active(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    put_damaged(&world, &host, |key, value| (!key.contains(":part:")).then(|| value.to_vec())).await?;
    stays_active(&world, &host).await
}

async fn two_invalid_ones_in_a_row_keep_the_last_valid_one_active(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    let client = host.client().for_host(&world.domain);
    for version in [98, 99] {
        let newer = |key: &str, value: &[u8]| {
            if key.contains(":part:") { project::of_version(value, version) } else { value.to_vec() }
        };
        host.put(&project::rewritten(&other(&world, &host).await?, newer)?).await?;
        world.warm(&client, || Request::get("/good")).await?;
    }
    stays_active(&world, &host).await
}

async fn unavailable_records_keep_the_last_valid_one_active(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    host.fault(Fault { records: Some(true), ..Fault::default() }).await?;
    world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
    host.fault(Fault::NONE).await?;
    stays_active(&world, &host).await
}

/// Uses a new host, which has nothing in memory.
async fn the_previous_generation_serves_if_the_newest_cannot_be_read(world: Rc<World>) -> Outcome {
    for missing in [":part:", ":manifest:"] {
        let host = world.start_host(true, &[]).await?;
        let client = host.client().for_host(&world.domain);
        world.publish_to(&host, &Project::new(&world).route("{path: /good}").yaml()).await?;
        let newest = damaged(&world)?;
        project::publish(&host, &newest).await?;
        let lost: Records = newest.content().iter().filter(|(key, _)| key.contains(missing)).cloned().collect();
        for (key, _) in &lost {
            host.delete(key).await?;
        }
        world.warm(&client, || Request::get("/good")).await?;
        assert_eq!(client.get("/damaged").await?.status, 404, "{missing}");
        host.put(&lost).await?;
        world.warm(&client, || Request::get("/damaged")).await?;
        assert_eq!(client.get("/good").await?.status, 404, "{missing}");
    }
    Ok(())
}

async fn an_unknown_requirement_is_refused_by_name(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    let mut records = other(&world, &host).await?;
    let (_, pointer) = records.last_mut().ok_or("a bundle has a pointer")?;
    let mut newer: Pointer = decode(pointer)?;
    newer.newest.needs.push("jwt@900".parse()?);
    *pointer = encode(&newer);
    host.put(&records).await?;
    world.warm(&host.client().for_host(&world.domain), || Request::get("/good")).await?;
    let names_it = |line: &String| line.contains("configuration-refused") && line.contains("does not know jwt@900");
    world.eventually("a log line that names it", || host.logs().iter().any(names_it)).await?;
    stays_active(&world, &host).await
}

async fn an_older_generation_is_refused(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    let key = keys::active(GATEWAY);
    let before = host.get(&key).await?.ok_or("it was published")?;
    world.publish_to(&host, &Project::new(&world).route("{path: /newer}").yaml()).await?;
    let client = host.client().for_host(&world.domain);
    world.warm(&client, || Request::get("/newer")).await?;
    let newer = host.get(&key).await?.ok_or("it was published")?;
    host.put(&[(key.clone(), before)]).await?;
    world.warm(&client, || Request::get("/newer")).await?;
    assert_eq!(client.get("/good").await?.status, 404);
    let says_so = |line: &String| line.contains("generation 1, but 2 was read before");
    world.eventually("a log line that says so", || host.logs().iter().any(says_so)).await?;
    host.put(&[(key, newer)]).await?;
    world.warm(&client, || Request::get("/newer")).await
}

async fn publishing_to_a_stale_store_drops_no_request(world: Rc<World>) -> Outcome {
    let host = good(&world).await?;
    let client = host.client().for_host(&world.domain);
    host.remember_reads(STALE).await?;
    for edit in 1..=3 {
        let project = Project::new(&world).route("{path: /good}").route(&format!("{{path: /edit{edit}}}"));
        let bundle = project::compile(&project.yaml())?;
        // A request reads the parts before they are written, so that the store also remembers that they are missing.
        let records = project::records_of(&host, &bundle).await?;
        let (key, pointer) = records.last().ok_or("a bundle has a pointer")?;
        host.put(&[(key.clone(), pointer.clone())]).await?;
        let end = Instant::now() + STALE / 2;
        while Instant::now() < end {
            assert_eq!(client.get("/good").await?.status, 200, "edit {edit}");
        }
        host.put(bundle.content()).await?;
        let (path, end) = (format!("/edit{edit}"), Instant::now() + 10 * STALE);
        while client.get(&path).await?.status != 200 {
            assert_eq!(client.get("/good").await?.status, 200, "edit {edit}");
            assert!(Instant::now() < end, "edit {edit} is active after remembered reads have expired");
        }
    }
    Ok(())
}

/// The scaled equivalent of a minute of Workers KV.
const STALE: Duration = Duration::from_millis(600);

async fn an_edit_drops_no_request(world: Rc<World>) -> Outcome {
    let project = |edit: usize| Project::new(&world).route("{path: /a}").route(&format!("{{path: /edit{edit}}}"));
    world.publish(project(0)).await?;
    let slow = {
        let client = world.client();
        tokio::task::spawn_local(async move { client.get("/a?chunks=4&every_ms=500").await })
    };
    for edit in 1..=8 {
        world.publish(project(edit)).await?;
        assert_eq!(world.client().get("/a").await?.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let slow = slow.await??;
    assert!(slow.text().ends_with("chunk 3\n") && !slow.broken);
    assert!(world.host.get(&format!("{GATEWAY}:config:active")).await?.is_some());
    Ok(())
}
