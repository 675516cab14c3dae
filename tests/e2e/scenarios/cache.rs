//! The response cache: which requests are answered from it, for whom, and for how long.

use std::rc::Rc;
use std::time::Duration;

use tollgate_tests::client::{Answer, Failed, Request};
use tollgate_tests::hosts::Fault;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::World;

scenarios! { "cache";
    a_miss_is_stored_and_the_next_is_a_hit_with_age,
    the_upstreams_lifetime_applies_if_none_is_set,
    responses_that_the_upstream_forbids_are_not_stored,
    variants_are_separate,
    the_query_is_part_of_the_key,
    only_named_query_parameters_are_part_of_the_key,
    requests_with_credentials_bypass_the_cache,
    consumers_share_only_if_the_route_enables_it,
    consumers_can_have_separate_stored_responses,
    a_stale_response_is_validated,
    a_validator_of_the_client_gets_304_from_the_cache,
    head_is_answered_from_what_get_stored,
    other_methods_bypass_the_cache,
    a_server_error_is_not_stored,
    an_incomplete_response_is_not_stored,
    a_purge_takes_effect,
    an_unavailable_cache_is_a_miss,
    a_cookie_is_never_shared,
    a_field_that_connection_names_selects_no_response_for_others,
    links_with_the_port_of_one_client_do_not_reach_others,
    parameters_outside_the_key_do_not_reach_the_upstream,
    a_status_without_content_is_stored_and_has_none,
    encoded_content_is_stored_as_it_is,
    a_change_during_a_slow_answer_is_seen,
    what_is_quoted_forbids_nothing_and_what_follows_it_does,
    an_age_of_several_values_is_the_oldest,
    a_confirmation_is_kept_whoever_asked,
    stored_responses_satisfy_conditions,
    what_is_not_stored_is_not_told_as_stored,
    the_upstream_receives_no_field_about_caching_that_the_client_did_not_send,
    no_complete_answer_waits_for_the_clients_acknowledgement,
}

const HOUR: &str = "field=Cache-Control:max-age%3D3600";

async fn cached(world: &World, cache: &str) -> Outcome {
    let route = format!("{{path: \"/{{*rest}}\", cache: {cache}}}");
    world.publish(Project::new(world).route(&route)).await
}

/// The result in `Cache-Status`, such as `hit` or `fwd=uri-miss`.
fn did(answer: &Answer) -> String {
    let status = answer.field("cache-status").unwrap_or("no cache-status");
    let mut parts = status.split(';').map(str::trim);
    assert_eq!(parts.next(), Some("tollgate"), "{status}");
    parts.next().unwrap_or_default().to_owned()
}

/// Repeats a request until the response is stored, which happens after the reply.
async fn until_hit(world: &World, target: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    until_stored(target, || world.client().send_owned(Request::get(target))).await
}

async fn until_stored<F>(what: &str, ask: impl Fn() -> F) -> Result<Answer, Box<dyn std::error::Error>>
where
    F: Future<Output = Result<Answer, Failed>>,
{
    for _ in 0..100 {
        let answer = ask().await?;
        if did(&answer) == "hit" {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("{what} never became a hit").into())
}

/// Waits, so that an event that must not happen would have the time to happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

async fn a_miss_is_stored_and_the_next_is_a_hit_with_age(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let first = world.client().get("/a?field=X-Own:1").await?;
    assert_eq!(did(&first), "fwd=uri-miss");
    assert_eq!(first.field("age"), None);
    let hit = until_hit(&world, "/a?field=X-Own:1").await?;
    assert_eq!((hit.status, hit.field("x-own")), (200, Some("1")));
    let calls = world.upstream.report().count("/a");
    assert!(hit.field("age").and_then(|age| age.parse::<u64>().ok()).is_some(), "{hit:?}");
    for _ in 0..3 {
        let again = world.client().get("/a?field=X-Own:1").await?;
        assert_eq!(did(&again), "hit");
        assert_eq!(again.content, hit.content);
    }
    assert_eq!(world.upstream.report().count("/a"), calls);
    Ok(())
}

async fn the_upstreams_lifetime_applies_if_none_is_set(world: Rc<World>) -> Outcome {
    cached(&world, "{}").await?;
    until_hit(&world, &format!("/long?{HOUR}")).await?;
    world.client().get("/none").await?;
    settle().await;
    assert_ne!(did(&world.client().get("/none").await?), "hit");
    until_hit(&world, "/short?field=Cache-Control:s-maxage%3D2,max-age%3D3600").await?;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let later = world.client().get("/short?field=Cache-Control:s-maxage%3D2,max-age%3D3600").await?;
    assert_ne!(did(&later), "hit");
    Ok(())
}

async fn responses_that_the_upstream_forbids_are_not_stored(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for control in ["no-store", "private", "max-age%3D60,private"] {
        let target = format!("/{}?field=Cache-Control:{control}", control.len());
        world.client().get(&target).await?;
        settle().await;
        assert_ne!(did(&world.client().get(&target).await?), "hit", "{control}");
    }
    for (name, value) in [("Vary", "*"), ("Set-Cookie", "a%3Db"), ("Vary", "Accept-Language%3B%20Accept")] {
        let target = format!("/{}?field={name}:{value}&field=Connection:{name}", value.len());
        world.client().get(&target).await?;
        settle().await;
        assert_ne!(did(&world.client().get(&target).await?), "hit", "{name}");
    }
    Ok(())
}

async fn variants_are_separate(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let get = |language: &str| {
        let request = Request::get("/a?field=Vary:Accept-Language");
        world.client().send_owned(request.field("Accept-Language", language))
    };
    until_stored("de", || get("de")).await?;
    assert_eq!(did(&get("fr").await?), "fwd=vary-miss");
    for language in ["de", "fr"] {
        let answer = until_stored(language, || get(language)).await?;
        assert!(answer.text().contains(&format!("\"{language}\"")), "{}", answer.text());
    }
    get("any").await?;
    world.client().get("/star?field=Vary:*").await?;
    settle().await;
    assert_ne!(did(&world.client().get("/star?field=Vary:*").await?), "hit");
    Ok(())
}

async fn the_query_is_part_of_the_key(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    until_hit(&world, "/a?n=1").await?;
    let other = world.client().get("/a?n=2").await?;
    assert_eq!(did(&other), "fwd=uri-miss");
    assert!(other.text().contains("n=2"));
    Ok(())
}

async fn only_named_query_parameters_are_part_of_the_key(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h, key-query: [page]}").await?;
    until_hit(&world, "/a?page=1&session=x").await?;
    assert_eq!(did(&world.client().get("/a?session=y&page=1").await?), "hit");
    assert_ne!(did(&world.client().get("/a?page=2&session=x").await?), "hit");
    Ok(())
}

async fn requests_with_credentials_bypass_the_cache(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /open, cache: {ttl: 1h}}");
    let project = project.route("{path: /keyed, authn: keys, cache: {ttl: 1h}}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    for (path, name, value) in [
        ("/open", "Authorization", "Bearer something"),
        ("/open", "Cookie", "session=1"),
        ("/keyed", "X-API-Key", key.as_str()),
    ] {
        for _ in 0..2 {
            let answer = world.client().send(Request::get(path).field(name, value)).await?;
            assert_eq!((answer.status, did(&answer).as_str()), (200, "fwd=bypass"), "{name}");
            settle().await;
        }
    }
    assert_eq!(did(&world.client().get("/open").await?), "fwd=uri-miss", "nothing was stored");
    Ok(())
}

async fn consumers_share_only_if_the_route_enables_it(world: Rc<World>) -> Outcome {
    let project =
        Project::new(&world).api("authn: keys").route("{path: /shared, cache: {ttl: 1h, with-credentials: shared}}");
    world.publish(project).await?;
    let (one, two) = (world.plain_key("one").await?, world.plain_key("two").await?);
    let get = |key: &str| world.client().send_owned(Request::get("/shared").field("X-API-Key", key));
    assert_eq!(did(&get(&one).await?), "fwd=uri-miss");
    until_stored("one's response", || get(&one)).await?;
    assert_eq!(did(&get(&two).await?), "hit");
    assert_eq!(world.client().get("/shared").await?.status, 401, "a hit needs a key, too");
    Ok(())
}

async fn consumers_can_have_separate_stored_responses(world: Rc<World>) -> Outcome {
    let project =
        Project::new(&world).api("authn: keys").route("{path: /own, cache: {ttl: 1h, with-credentials: per-consumer}}");
    world.publish(project).await?;
    let (one, two) = (world.plain_key("one").await?, world.plain_key("two").await?);
    let get = |key: &str| world.client().send_owned(Request::get("/own").field("X-API-Key", key));
    let mine = until_stored("one's response", || get(&one)).await?;
    assert_eq!(did(&get(&two).await?), "fwd=uri-miss");
    until_stored("two's response", || get(&two)).await?;
    assert_eq!(get(&one).await?.content, mine.content);
    Ok(())
}

async fn a_stale_response_is_validated(world: Rc<World>) -> Outcome {
    cached(&world, "{}").await?;
    let target = "/a?etag=v1&field=Cache-Control:max-age%3D1";
    let first = until_hit(&world, target).await?;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let again = world.client().get(target).await?;
    assert_eq!((again.status, did(&again).as_str()), (200, "fwd=stale"), "{again:?}");
    assert_eq!(again.content, first.content, "the stored content, made fresh");
    let status = again.field("cache-status").unwrap_or_default();
    assert!(status.contains("fwd-status=304"), "{status}");
    let last = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(last.field("if-none-match"), Some("\"v1\""));
    Ok(())
}

async fn a_validator_of_the_client_gets_304_from_the_cache(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    until_hit(&world, "/a?etag=v1").await?;
    let calls = world.upstream.report().total();
    let with = |tag: &str| world.client().send_owned(Request::get("/a?etag=v1").field("If-None-Match", tag));
    for tag in ["\"v1\"", "W/\"v1\"", "\"v0\", \"v1\"", "*"] {
        let answer = with(tag).await?;
        assert_eq!((answer.status, answer.content.len()), (304, 0), "{tag}");
        assert_eq!(answer.field("etag"), Some("\"v1\""));
        assert_eq!(did(&answer), "hit");
    }
    assert_eq!(with("\"v0\"").await?.status, 200);
    assert_eq!(world.upstream.report().total(), calls);
    Ok(())
}

async fn head_is_answered_from_what_get_stored(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    until_hit(&world, "/a?size=1234").await?;
    let head = world.client().send(Request::of("HEAD", "/a?size=1234")).await?;
    assert_eq!((head.status, head.content.len(), did(&head).as_str()), (200, 0, "hit"));
    Ok(())
}

async fn other_methods_bypass_the_cache(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for _ in 0..2 {
        let answer = world.client().send(Request::post("/a", "x")).await?;
        assert_eq!((answer.status, did(&answer).as_str()), (200, "fwd=method"));
        settle().await;
    }
    assert_eq!(did(&world.client().get("/a").await?), "fwd=uri-miss");
    Ok(())
}

async fn a_server_error_is_not_stored(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for _ in 0..2 {
        let answer = world.client().get("/a?status=503").await?;
        assert_eq!(answer.status, 503);
        assert_ne!(did(&answer), "hit");
        settle().await;
    }
    Ok(())
}

async fn an_incomplete_response_is_not_stored(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for target in ["/a?size=100000&break=body", "/b?chunks=6&break=body"] {
        for _ in 0..2 {
            if let Ok(answer) = world.client().get(target).await {
                assert!(answer.status != 200 || did(&answer) != "hit", "{target}");
            }
            settle().await;
        }
    }
    assert_eq!(world.upstream.report().count("/a"), 2);
    assert_eq!(world.upstream.report().count("/b"), 2);
    Ok(())
}

async fn a_purge_takes_effect(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let hit = until_hit(&world, "/a").await?;
    until_hit(&world, "/b").await?;
    let status = hit.field("cache-status").unwrap_or_default();
    let key = status.split("key=\"").nth(1).and_then(|rest| rest.split('"').next());
    world.purge(key.ok_or("no key in Cache-Status")?).await?;
    assert_ne!(did(&world.client().get("/a").await?), "hit");
    assert_eq!(did(&world.client().get("/b").await?), "hit", "the others stay");
    until_hit(&world, "/a").await?;
    Ok(())
}

async fn an_unavailable_cache_is_a_miss(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    until_hit(&world, "/a").await?;
    world.host.fault(Fault { cache: Some(true), ..Fault::default() }).await?;
    // An isolate on Cloudflare uses its own copy for a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let answer = world.client().get("/a").await?;
    assert_eq!(answer.status, 200);
    assert_ne!(did(&answer), "hit");
    world.host.fault(Fault::NONE).await?;
    until_hit(&world, "/a").await?;
    Ok(())
}

async fn a_cookie_is_never_shared(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for _ in 0..2 {
        let answer = world.client().get("/a?field=Set-Cookie:session%3Dsecret").await?;
        assert_ne!(did(&answer), "hit");
        settle().await;
    }
    Ok(())
}

async fn a_field_that_connection_names_selects_no_response_for_others(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let get = |fields: &[(&str, &str)]| {
        let request = Request::get("/a?field=Vary:Accept-Language");
        world.client().send_owned(fields.iter().fold(request, |request, (name, value)| request.field(name, value)))
    };
    // A host that cannot see `Connection` forwards the field; one that can removes it.
    get(&[("Connection", "Accept-Language"), ("Accept-Language", "fr")]).await?;
    settle().await;
    let french = until_stored("fr", || get(&[("Accept-Language", "fr")])).await?;
    assert!(french.text().contains("\"fr\""), "{}", french.text());
    Ok(())
}

async fn links_with_the_port_of_one_client_do_not_reach_others(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let with_port = format!("{}:1", world.domain);
    let other = world.client().for_host(&with_port);
    for _ in 0..2 {
        let answer = other.clone().send_owned(Request::get("/a")).await?;
        assert!(answer.text().contains(&with_port), "{}", answer.text());
        settle().await;
    }
    let answer = world.client().get("/a").await?;
    assert_eq!(did(&answer), "fwd=uri-miss");
    assert!(!answer.text().contains(&with_port), "{}", answer.text());
    Ok(())
}

async fn parameters_outside_the_key_do_not_reach_the_upstream(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h, key-query: [page]}").await?;
    for (target, forwarded) in
        [("/a?evil=1&page=1", "/a?page=1"), ("/a?%70age=2&evil=1&page=1", "/a?%70age=2&page=1"), ("/a?evil=1", "/a")]
    {
        let answer = world.client().get(target).await?;
        assert_eq!((answer.status, did(&answer).as_str()), (200, "fwd=uri-miss"), "{target}");
        assert_eq!(world.upstream.report().last().ok_or("not forwarded")?.target, forwarded);
    }
    until_hit(&world, "/a?page=1&evil=2").await?;
    world.client().send(Request::post("/a?evil=1&page=1", "x")).await?;
    assert_eq!(world.upstream.report().last().ok_or("not forwarded")?.target, "/a?evil=1&page=1");
    Ok(())
}

async fn a_status_without_content_is_stored_and_has_none(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for length in ["", "&field=Content-Length:0"] {
        let target = format!("/a?status=204&size=0{length}");
        let hit = until_hit(&world, &target).await?;
        for answer in [hit, world.client().get(&format!("{target}&again")).await?] {
            assert_eq!(
                (answer.status, answer.content.len(), answer.field("content-length")),
                (204, 0, None),
                "{answer:?}"
            );
        }
    }
    for (status, target) in [(205, "/b?status=205&size=5"), (304, "/b?status=304&size=0")] {
        let answer = world.client().get(target).await?;
        assert_eq!((answer.status, answer.content.len(), answer.broken), (status, 0, false), "{answer:?}");
    }
    Ok(())
}

async fn encoded_content_is_stored_as_it_is(world: Rc<World>) -> Outcome {
    cached(&world, "{}").await?;
    // Nobody can decode it: it is no gzip.
    let target = format!("/a?size=100&etag=v1&field=Content-Encoding:gzip&{HOUR}");
    let first = world.client().get(&target).await?;
    until_hit(&world, &target).await?;
    for control in ["max-age=600", "no-cache"] {
        let again = world.client().send(Request::get(&target).field("Cache-Control", control)).await?;
        assert_eq!((again.status, again.field("content-encoding")), (200, Some("gzip")), "{control}");
        assert_eq!(again.content, first.content, "{control}");
    }
    Ok(())
}

async fn a_change_during_a_slow_answer_is_seen(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let target = "/a?body_ms=600";
    let (slow, change) = (world.client(), world.client());
    let slow = slow.send_owned(Request::get(target));
    let change = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        change.send_owned(Request::post(target, "x")).await
    };
    let (before, changed) = tokio::join!(slow, change);
    assert_eq!((before?.status, changed?.status), (200, 200));
    settle().await;
    assert_eq!(did(&world.client().get(target).await?), "fwd=uri-miss");
    Ok(())
}

async fn what_is_quoted_forbids_nothing_and_what_follows_it_does(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    until_hit(&world, "/a?field=Cache-Control:ext%3D%22a,%20no-store%22").await?;
    for control in ["ext%3D%22a%5C%22b%22,%20no-store", "ext%3D%22a,%20no-store", "max-age%3D60%3B%20no-store"] {
        let target = format!("/b?field=Cache-Control:{control}");
        for _ in 0..2 {
            assert_eq!(did(&world.client().get(&target).await?), "fwd=uri-miss", "{control}");
            settle().await;
        }
    }
    Ok(())
}

async fn an_age_of_several_values_is_the_oldest(world: Rc<World>) -> Outcome {
    cached(&world, "{}").await?;
    for age in ["field=Age:4000,%200", "field=Age:0&field=Age:4000"] {
        let target = format!("/a?{HOUR}&{age}");
        for _ in 0..2 {
            assert_eq!(did(&world.client().get(&target).await?), "fwd=uri-miss", "{age}");
            settle().await;
        }
    }
    Ok(())
}

async fn a_confirmation_is_kept_whoever_asked(world: Rc<World>) -> Outcome {
    cached(&world, "{}").await?;
    for (path, request) in [("/head", "HEAD"), ("/condition", "GET")] {
        let target = format!("{path}?etag=v1&field=Cache-Control:max-age%3D5");
        until_hit(&world, &target).await?;
        tokio::time::sleep(Duration::from_millis(6_100)).await;
        let asked = Request::of(request, &target);
        let asked = if request == "GET" { asked.field("If-None-Match", "\"v1\"") } else { asked };
        let confirmed = world.client().send(asked).await?;
        let status = confirmed.field("cache-status").unwrap_or_default();
        assert!(status.contains("fwd=stale; fwd-status=304; stored"), "{path}: {status}");
        // The confirmation is stored after the reply.
        settle().await;
        until_hit(&world, &target).await?;
        let calls = world.upstream.report().count(path);
        assert_eq!(calls, 2, "{path}: validated once");
    }
    Ok(())
}

async fn stored_responses_satisfy_conditions(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    let date = "field=Date:Sun,%2006%20Nov%201994%2008:49:37%20GMT";
    let dated = format!("/a?{date}");
    until_hit(&world, &dated).await?;
    until_hit(&world, "/tagged?etag=a,b").await?;
    for (target, name, value, want) in [
        (dated.as_str(), "If-None-Match", "*", 304),
        (&dated, "If-None-Match", "\"a\", *", 200),
        (&dated, "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 304),
        (&dated, "If-Modified-Since", "Sunday, 06-Nov-94 08:49:38 GMT", 304),
        (&dated, "If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("/tagged?etag=a,b", "If-None-Match", "\"x\", W/\"a,b\"", 304),
        ("/tagged?etag=a,b", "If-None-Match", "\"a\", \"b\"", 200),
    ] {
        let answer = world.client().send(Request::get(target).field(name, value)).await?;
        assert_eq!((answer.status, did(&answer).as_str()), (want, "hit"), "{name}: {value}");
    }
    Ok(())
}

async fn what_is_not_stored_is_not_told_as_stored(world: Rc<World>) -> Outcome {
    cached(&world, "{ttl: 1h}").await?;
    for target in [
        "/a?size=5000000",
        "/b?chunks=3",
        "/c?chunks=3&break=body",
        "/d?field=Set-Cookie:a%3Db",
        "/e?chunks=3&field=Transfer-Encoding:gzip,%20chunked",
        "/f?status=500",
    ] {
        // An answer that breaks off may fail before its head is read.
        let Ok(answer) = world.client().get(target).await else { continue };
        let status = answer.field("cache-status").unwrap_or_default();
        assert!(!status.contains("stored"), "{target}: {status}");
    }
    settle().await;
    until_hit(&world, "/b?chunks=3").await?;
    for target in ["/a?size=5000000", "/e?chunks=3&field=Transfer-Encoding:gzip,%20chunked"] {
        let Ok(answer) = world.client().get(target).await else { continue };
        assert_ne!(did(&answer), "hit", "{target}");
    }
    let known = world.client().get("/g?size=10").await?;
    assert!(known.field("cache-status").unwrap_or_default().contains("; stored"), "{known:?}");
    Ok(())
}

async fn the_upstream_receives_no_field_about_caching_that_the_client_did_not_send(world: Rc<World>) -> Outcome {
    let project = Project::new(&world).route("{path: /cached, cache: {ttl: 1h}}").route("{path: /plain}");
    world.publish(project).await?;
    for target in ["/cached", "/plain"] {
        world.client().get(target).await?;
        world.client().send(Request::post(target, "x")).await?;
    }
    for received in world.upstream.report().requests() {
        for name in ["cache-control", "pragma", "if-none-match", "if-modified-since", "accept-encoding"] {
            assert_eq!(received.field(name), None, "{} {}: {name}", received.method, received.target);
        }
    }
    world.client().send(Request::get("/plain").field("Cache-Control", "max-age=5")).await?;
    let last = world.upstream.report().last().ok_or("not forwarded")?;
    assert_eq!(last.field("cache-control"), Some("max-age=5"));
    Ok(())
}

async fn no_complete_answer_waits_for_the_clients_acknowledgement(world: Rc<World>) -> Outcome {
    let limit = format!("{}-limit", world.name);
    let project = Project::new(&world)
        .policy(&format!("{limit}: {{kind: rate-limit, rate: 1/d, by: address}}"))
        .route("{path: /stored, cache: {ttl: 1h}}")
        .route(&format!("{{path: /refused, limit: {limit}}}"));
    world.publish(project).await?;
    until_hit(&world, "/stored?size=100").await?;
    for target in ["/stored?size=100", "/refused"] {
        // A kernel that delays its acknowledgements does so each time; other work of the machine does not.
        let mut all_later = Vec::new();
        let is_prompt = loop {
            let mut took = world.client().gets_on_one_connection(target, 60).await?;
            // It delays them, by 40 ms, only on a connection that has been in use for a while.
            let mut later = took.split_off(30);
            later.sort();
            if later[15] < Duration::from_millis(35) {
                break true;
            }
            all_later.push(later[15]);
            if all_later.len() == 8 {
                break false;
            }
        };
        assert!(is_prompt, "{target}: {all_later:?}");
    }
    Ok(())
}
