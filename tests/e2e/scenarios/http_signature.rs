//! Signed requests (RFC 9421): which are accepted, that their content arrives unchanged, and how the others are refused.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use tollgate_core::jose::Algorithm;
use tollgate_tests::client::{Answer, Request};
use tollgate_tests::hosts::Kind;

use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_signed_request_arrives_unchanged,
    fields_are_signed_as_they_are_sent,
    a_request_that_differs_from_what_was_signed_is_refused,
    a_request_without_a_signature_is_told_what_to_sign,
    a_signed_request_is_accepted_once,
    the_keys_of_signers_are_fetched,
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn keys() -> String {
    let x = Base64UrlUnpadded::encode_string(signer().verifying_key().as_bytes());
    format!(r#"{{"keys":[{{"kid":"k","kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#)
}

/// A signed request with content; its fields can be changed before it is sent.
struct Signed {
    path: &'static str,
    query: &'static str,
    content: &'static str,
    fields: Vec<(&'static str, String)>,
}

/// Signs a POST for a host, as anyone does who has read RFC 9421.
fn signed(world: &World, path: &'static str, query: &'static str, content: &'static str) -> Signed {
    signed_with(world, path, query, content, &[])
}

/// The same with further components, each with its value.
fn signed_with(
    world: &World,
    path: &'static str,
    query: &'static str,
    content: &'static str,
    more: &[(&str, &str)],
) -> Signed {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let digest = format!("sha-256=:{}:", Base64::encode_string(&Sha256::digest(content.as_bytes())));
    let query_line = format!("?{query}");
    let mut lines = vec![
        ("\"@method\"", "POST"),
        ("\"@authority\"", world.domain.as_str()),
        ("\"@path\"", path),
        ("\"@query\"", query_line.as_str()),
    ];
    lines.extend((!content.is_empty()).then_some(("\"content-digest\"", digest.as_str())));
    lines.extend(more);
    let components: Vec<&str> = lines.iter().map(|(component, _)| *component).collect();
    let parameters = format!("({});created={created};keyid=\"k\"", components.join(" "));
    let base: String = lines.iter().map(|(component, value)| format!("{component}: {value}\n")).collect();
    let base = format!("{base}\"@signature-params\": {parameters}");
    let signature = Base64::encode_string(&signer().sign(base.as_bytes()).to_bytes());
    let fields = vec![
        ("Content-Digest", digest),
        ("Signature-Input", format!("sig={parameters}")),
        ("Signature", format!("sig=:{signature}:")),
    ];
    Signed { path, query, content, fields }
}

async fn send(world: &World, signed: &Signed) -> Result<Answer, Box<dyn std::error::Error>> {
    let target =
        if signed.query.is_empty() { signed.path.to_owned() } else { [signed.path, "?", signed.query].concat() };
    let request = Request::post(&target, signed.content);
    let request = signed.fields.iter().fold(request, |request, (name, value)| request.field(name, value));
    Ok(world.client().send(request).await?)
}

async fn receiving(world: &World) -> Outcome {
    let project = Project::new(world)
        .policy(&format!("signed: {{kind: http-signature, keys: '{}'}}", keys()))
        .policy(&format!("once: {{kind: http-signature, keys: '{}', once-within: 10m}}", keys()))
        .policy(
            "shared: {kind: http-signature, secrets: {k: \"${secret.UPSTREAM_TOKEN}${secret.UPSTREAM_TOKEN}\"}, \
             components: [\"@method\", \"@path\"]}",
        )
        .route("{path: /a, methods: [POST], authn: signed}")
        .route("{path: /once, methods: [POST], authn: once}")
        .route("{path: /shared, methods: [POST], authn: shared}");
    world.publish(project).await
}

async fn a_signed_request_arrives_unchanged(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    for content in ["{\"item\": 7}", ""] {
        let answer = send(&world, &signed(&world, "/a", "x=1&y=%7e", content)).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.content_sha256, World::sha256(content.as_bytes()));
        assert!(received.field("signature-input").is_some());
    }
    let created = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let parameters = format!("(\"@method\" \"@path\");created={created};keyid=\"k\";alg=\"hmac-sha256\"");
    let base = format!("\"@method\": POST\n\"@path\": /shared\n\"@signature-params\": {parameters}");
    let secret = [crate::lane::HOST_SECRET.1; 2].concat();
    let mac = tollgate_signatures::hmac(Algorithm::Hs256, secret.as_bytes(), base.as_bytes()).unwrap_or_default();
    let request = Request::post("/shared", "")
        .field("Signature-Input", &format!("sig={parameters}"))
        .field("Signature", &format!("sig=:{}:", Base64::encode_string(&mac)));
    assert_eq!(world.client().send(request).await?.status, 200);
    let records = world.records(3).await?;
    assert_eq!(records.iter().filter(|line| line["consumer"] == "signed:k").count(), 2, "{records:?}");
    assert_eq!(records.iter().filter(|line| line["credential"] == "shared/k").count(), 1, "{records:?}");
    Ok(())
}

/// Also fields that a gateway usually does not read; on Workers, which join the lines of a field, not each line as bytes.
async fn fields_are_signed_as_they_are_sent(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let lines = [("Content-Type", "application/json"), ("User-Agent", "robot/1"), ("X-Many", "a, b"), ("X-Many", "c")];
    let with = |components: &[(&str, &str)]| {
        let mut request = signed_with(&world, "/a", "x=1", "{}", components);
        request.fields.extend(lines.map(|(name, value)| (name, value.to_owned())));
        request
    };
    let as_text =
        [("\"content-type\"", "application/json"), ("\"user-agent\";bs", ":cm9ib3QvMQ==:"), ("\"x-many\"", "a, b, c")];
    let answer = send(&world, &with(&as_text)).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = send(&world, &with(&[("\"x-many\";bs", ":YSwgYg==:, :Yw==:")])).await?;
    if world.on(Kind::Cloudflare) {
        assert_problem(&answer, 401, "credential-not-accepted");
        assert!(answer.text().contains("joins the lines"), "{}", answer.text());
    } else {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut other = with(&as_text);
    other.fields.retain(|(name, _)| *name != "User-Agent");
    assert_problem(&send(&world, &other).await?, 401, "credential-malformed");
    Ok(())
}

async fn a_request_that_differs_from_what_was_signed_is_refused(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let good = || signed(&world, "/a", "x=1", "content");
    let wrong =
        [Signed { content: "other", ..good() }, Signed { query: "x=2", ..good() }, Signed { path: "/once", ..good() }];
    for one in &wrong {
        assert_problem(&send(&world, one).await?, 401, "credential-unknown");
    }
    let mut unknown = good();
    unknown.fields[1].1 = unknown.fields[1].1.replace("\"k\"", "\"l\"");
    assert_problem(&send(&world, &unknown).await?, 401, "credential-unknown");
    let mut malformed = good();
    malformed.fields[1].1.push_str(";;");
    assert_problem(&send(&world, &malformed).await?, 401, "credential-malformed");
    let mut missing = good();
    missing.fields.remove(0);
    assert_problem(&send(&world, &missing).await?, 401, "credential-malformed");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_request_without_a_signature_is_told_what_to_sign(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let answer = world.client().send(Request::post("/a", "content")).await?;
    assert_problem(&answer, 401, "credential-missing");
    assert_eq!(answer.field("www-authenticate"), Some("Signature realm=\"e2e\""));
    assert_eq!(answer.field("accept-signature"), Some(r#"sig=("@method" "@target-uri" "content-digest");created"#));
    Ok(())
}

async fn a_signed_request_is_accepted_once(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let one = signed(&world, "/once", "x=1", "content");
    assert_eq!(send(&world, &one).await?.status, 200);
    assert_problem(&send(&world, &one).await?, 401, "credential-replayed");
    assert_eq!(send(&world, &signed(&world, "/once", "x=2", "content")).await?.status, 200);
    Ok(())
}

async fn the_keys_of_signers_are_fetched(world: Rc<World>) -> Outcome {
    let owner = world.server().await?;
    owner.serve("/keys", &keys());
    let policy = format!("signed: {{kind: http-signature, jwks: \"{}/keys\", private-network: true}}", owner.url());
    let project = Project::new(&world).policy(&policy).route("{path: /a, methods: [POST], authn: signed}");
    world.publish(project).await?;
    for _ in 0..3 {
        let answer = send(&world, &signed(&world, "/a", "x=1", "content")).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(owner.report().total() <= 3, "{} requests for keys", owner.report().total());
    Ok(())
}
