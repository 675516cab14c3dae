//! Telemetry: one record per exchange, propagated traces, delivered batches, and no secrets in any of it.

use std::rc::Rc;
use std::time::Duration;

use tollgate_tests::client::Request;
use tollgate_tests::hosts::Kind;
use tollgate_tests::upstream::Upstream;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::World;

scenarios! { "telemetry";
    one_log_line_per_exchange_says_what_happened,
    nothing_secret_is_logged,
    a_trace_begins_here_if_there_is_none,
    a_trace_of_the_client_is_continued,
    an_invalid_traceparent_begins_a_new_trace,
    what_level_2_of_trace_context_adds_is_kept,
    spans_and_metrics_follow_the_conventions,
    batches_arrive_at_the_collector_after_the_reply,
    a_batch_that_the_collector_refuses_is_retried,
    a_failing_collector_does_not_affect_exchanges,
    metrics_are_served_to_prometheus
        except (Cloudflare, "a Worker has no admin port; its metrics are read at the operator endpoint")
        (Spin, "a component has no admin port; its metrics are read at the operator endpoint"),
}

async fn one_log_line_per_exchange_says_what_happened(world: Rc<World>) -> Outcome {
    let route = "{path: \"/pets/{id}\", methods: [GET], authn: keys, cache: {ttl: 1h}}";
    world.publish(Project::new(&world).route(route)).await?;
    let key = world.plain_key("acme").await?;
    let with_key = || Request::get("/pets/7").field("X-API-Key", &key);
    assert_eq!(world.client().send(with_key()).await?.status, 200);
    assert_eq!(world.client().get("/pets/8").await?.status, 401);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let records = world.records(2).await?;
    assert_eq!(records.len(), 2, "{records:?}");
    let of_status = |status: u16| records.iter().find(|line| line["status"] == status);
    let (passed, refused) = (of_status(200).ok_or("no 200")?, of_status(401).ok_or("no 401")?);
    assert_eq!((&passed["status"], &passed["method"]), (&200.into(), &"GET".into()));
    assert_eq!(passed["route"], "/pets/{id}");
    assert_eq!(passed["consumer"], format!("{}-acme", world.name));
    assert_eq!(passed["upstream"][0]["status"], 200);
    assert_eq!(passed["cache"], "bypass");
    assert_eq!((&refused["status"], &refused["problem"]), (&401.into(), &"credential-missing".into()));
    assert!(passed["duration_ms"].is_number() && refused["upstream"].is_null());
    Ok(())
}

async fn nothing_secret_is_logged(world: Rc<World>) -> Outcome {
    let project = Project::new(&world)
        .policy("anywhere: {kind: api-key, header: X-API-Key, query: key}")
        .route("{path: \"/{*rest}\", authn: anywhere}");
    world.publish(project).await?;
    let key = world.plain_key("acme").await?;
    let answers = [
        Request::get("/path-of-mine?q=query-of-mine").field("X-API-Key", &key),
        Request::get(&format!("/path-of-mine?key={key}&q=query-of-mine")),
        Request::get("/path-of-mine?key=tg_dev_notakey&q=query-of-mine"),
        Request::get("/path-of-mine").field("X-API-Key", "tg_dev_notakey").field("Cookie", "cookie-of-mine"),
        Request::post("/path-of-mine?break=head", "content-of-mine").field("X-API-Key", &key),
    ];
    for request in answers {
        world.client().send(request).await?;
    }
    world.records(5).await?;
    let logs = world.host.logs().concat();
    for secret in [&key, "query-of-mine", "tg_dev_notakey", "cookie-of-mine", "content-of-mine", "path-of-mine"] {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
    Ok(())
}

async fn a_trace_begins_here_if_there_is_none(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    world.client().get("/a").await?;
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let parent = received.field("traceparent").ok_or("no traceparent")?;
    let parts: Vec<&str> = parent.split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[1].len(), parts[2].len()), (4, "00", 32, 16), "{parent}");
    assert_eq!(world.records(1).await?[0]["trace_id"], parts[1]);
    Ok(())
}

async fn a_trace_of_the_client_is_continued(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::get("/a")
        .field("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .field("tracestate", "vendor=value,other=1");
    world.client().send(request).await?;
    let received = world.upstream.report().last().ok_or("not forwarded")?;
    let parent = received.field("traceparent").ok_or("no traceparent")?;
    assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
    assert!(!parent.contains("00f067aa0ba902b7"), "the span is ours: {parent}");
    assert_eq!(received.field("tracestate"), Some("vendor=value,other=1"));
    assert_eq!(world.records(1).await?[0]["trace_id"], trace);
    Ok(())
}

async fn an_invalid_traceparent_begins_a_new_trace(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    for broken in [
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "hello",
    ] {
        let request = Request::get("/a").field("traceparent", broken).field("tracestate", "a=b");
        assert_eq!(world.client().send(request).await?.status, 200);
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        let parents = received.all("traceparent");
        assert_eq!(parents.len(), 1);
        assert!(!parents[0].contains("4bf92f3577b34da6"), "{broken} became {parents:?}");
        assert_eq!(received.field("tracestate"), None, "{broken}");
    }
    Ok(())
}

async fn what_level_2_of_trace_context_adds_is_kept(world: Rc<World>) -> Outcome {
    world.publish(Project::new(&world).route("{path: /a}")).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (flags, sent) in [("02", "02"), ("03", "03"), ("01 ", "01"), ("00\t", "00"), ("ff", "03")] {
        let request = Request::get("/a")
            .field("traceparent", &format!("00-{trace}-00f067aa0ba902b7-{flags}"))
            .field("tracestate", "foo@=1,a@b@c=2")
            .field("tracestate", " 1@x=3\t");
        assert_eq!(world.client().send(request).await?.status, 200);
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        let parent = received.field("traceparent").unwrap_or_default();
        assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with(sent), "{flags:?}: {parent}");
        assert_eq!(received.field("tracestate"), Some("foo@=1,a@b@c=2,1@x=3"));
    }
    Ok(())
}

async fn spans_and_metrics_follow_the_conventions(world: Rc<World>) -> Outcome {
    let collector = world.collector().await?;
    let telemetry = format!("{{otlp: {{endpoint: \"{}\", interval: 1s}}}}", collector.url());
    let project = Project::new(&world)
        .gateway("trusted-proxies: [\"127.0.0.0/8\", \"::1\"]")
        .telemetry(&telemetry)
        .route("{path: \"/pets/{id}\"}");
    world.publish(project).await?;
    let request = || {
        Request::get("/pets/secret-cat?status=503")
            .field("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03")
            .field("tracestate", "vendor=state")
            .field("X-Forwarded-For", "203.0.113.7")
            .field("X-Forwarded-Proto", "https")
    };
    assert_eq!(world.client().send(request()).await?.status, 503);
    for _ in 0..40 {
        if collector.report().count("/v1/traces") > 0 && collector.report().count("/v1/metrics") > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.client().send(request()).await?;
    }
    let requests = collector.report().requests();
    let sent = |path: &str| {
        let batch = requests.iter().find(|request| request.path() == path);
        batch.map(|request| request.content.clone()).ok_or_else(|| format!("nothing arrived at {path}"))
    };
    let (traces, metrics) = (sent("/v1/traces")?, sent("/v1/metrics")?);
    let text = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let number = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"intValue":"{value}"}}}}"#);
    let both = [
        number("http.response.status_code", "503"),
        text("error.type", "503"),
        text("http.route", "/pets/{id}"),
        text("url.scheme", "https"),
        text("server.address", "127.0.0.1"),
    ];
    for attribute in &both {
        assert!(traces.contains(attribute) && metrics.contains(attribute), "{attribute} in {traces} and {metrics}");
    }
    let of_spans = [
        text("client.address", "203.0.113.7"),
        text("server.address", &world.domain),
        number("server.port", "443"),
        r#""traceState":"vendor=state""#.to_owned(),
        r#""flags":3"#.to_owned(),
    ];
    for attribute in &of_spans {
        assert!(traces.contains(attribute), "{attribute} in {traces}");
    }
    let has_version = traces.contains(&text("network.protocol.version", "1.1"));
    assert_eq!(has_version, world.on(Kind::Native), "only the native host knows it: {traces}");
    assert!(!metrics.contains("203.0.113.7") && !traces.contains("secret-cat") && !metrics.contains("status_class"));
    Ok(())
}

async fn batches_arrive_at_the_collector_after_the_reply(world: Rc<World>) -> Outcome {
    let collector = world.collector().await?;
    let telemetry = format!("{{otlp: {{endpoint: \"{}\", interval: 1s}}}}", collector.url());
    world.publish(Project::new(&world).telemetry(&telemetry).route("{path: /a, authn: keys}")).await?;
    let key = world.plain_key("acme").await?;
    let with_key = |target: &str| world.client().send_owned(Request::get(target).field("X-API-Key", &key));
    for _ in 0..3 {
        assert_eq!(with_key("/a?q=query-of-mine").await?.status, 200);
    }
    // An instance that ends takes its records with it, so each request is one more attempt.
    for _ in 0..130 {
        let requests = collector.report().requests();
        let is_whole = |path: &str| requests.iter().any(|request| request.path() == path && request.content_complete);
        if is_whole("/v1/traces") && is_whole("/v1/metrics") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        with_key("/a").await?;
    }
    for path in ["/v1/traces", "/v1/metrics"] {
        let requests = collector.report().requests();
        let batch = requests.iter().find(|request| request.path() == path).ok_or(path)?;
        assert_eq!((batch.method.as_str(), batch.field("content-type")), ("POST", Some("application/json")));
        assert!(batch.content_complete && batch.content_length > 100);
        assert!(batch.content.contains(&world.name) && !batch.content.contains("query-of-mine"), "{}", batch.content);
    }
    Ok(())
}

async fn a_batch_that_the_collector_refuses_is_retried(world: Rc<World>) -> Outcome {
    let collector = world.collector().await?;
    collector.report().refuse_next(2);
    let telemetry = format!("{{otlp: {{endpoint: \"{}\", interval: 1s}}}}", collector.url());
    world.publish(Project::new(&world).telemetry(&telemetry).route("{path: /a}")).await?;
    let is_retried = || {
        let all = collector.report().requests();
        let (refused, later) = all.split_at(all.len().min(2));
        refused
            .iter()
            .any(|batch| batch.content.contains("resourceSpans") && later.iter().any(|l| l.content == batch.content))
    };
    // Another scenario's exchange may have claimed to send, and been ended by its platform: its claim expires after 30 s. An
    // instance that ends takes its records with it, so each request is one more attempt.
    for _ in 0..130 {
        assert_eq!(world.client().get("/a").await?.status, 200);
        if is_retried() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(is_retried(), "sent {} times, none of them once more", collector.report().requests().len());
    Ok(())
}

async fn a_failing_collector_does_not_affect_exchanges(world: Rc<World>) -> Outcome {
    let gone = Upstream::start().await?.url();
    tokio::task::yield_now().await;
    let telemetry = format!("{{otlp: {{endpoint: \"{gone}\", interval: 1s}}}}");
    world.publish(Project::new(&world).telemetry(&telemetry).route("{path: /a}")).await?;
    for _ in 0..5 {
        assert_eq!(world.client().get("/a").await?.status, 200);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(world.records(5).await?.len(), 5);
    Ok(())
}

async fn metrics_are_served_to_prometheus(world: Rc<World>) -> Outcome {
    assert!(world.on(Kind::Native));
    world.publish(Project::new(&world).route("{path: \"/pets/{id}\"}")).await?;
    for id in 0..5 {
        world.client().get(&format!("/pets/{id}")).await?;
    }
    world.records(5).await?;
    let admin = world.host.admin().ok_or("the native host has no admin address")?;
    let text = admin.get("/metrics").await?.text();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains(&world.name)).collect();
    assert!(ours.iter().any(|line| line.contains("duration") && line.ends_with(" 5")), "{text}");
    assert!(!text.contains("/pets/3"), "paths are not labels");
    Ok(())
}
