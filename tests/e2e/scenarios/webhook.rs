//! Signed webhooks: which are accepted, that their content arrives unchanged, and how the others are refused.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use tollgate_core::hex;
use tollgate_core::jose::Algorithm;
use tollgate_tests::client::{Answer, Request};

use crate::lane::HOST_SECRET;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_signed_webhook_arrives_unchanged,
    a_webhook_with_another_content_is_refused,
    content_beyond_the_limit_of_a_webhook_is_413,
    a_webhook_is_accepted_once,
    a_standard_webhook_is_verified_by_a_public_key,
}

const FIELD: &str = "X-Hub-Signature-256";

/// The signature of GitHub, with the secret of the host.
fn github(content: &[u8]) -> String {
    let mac = tollgate_signatures::hmac(Algorithm::Hs256, HOST_SECRET.1.as_bytes(), content).unwrap_or_default();
    format!("sha256={}", hex::encode(&mac))
}

fn sender() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

async fn receiving(world: &World) -> Outcome {
    let secret = format!("secret: \"${{secret.{}}}\"", HOST_SECRET.0);
    let public = Base64::encode_string(sender().verifying_key().as_bytes());
    let project = Project::new(world)
        .policy(&format!("github: {{kind: webhook, sender: github, {secret}}}"))
        .policy(&format!("once: {{kind: webhook, sender: github, {secret}, once-within: 10m}}"))
        .policy(&format!("standard: {{kind: webhook, sender: standard-webhooks, secret: \"whpk_{public}\"}}"))
        .route("{path: /a, methods: [POST], authn: github, body-limit: 100KiB}")
        .route("{path: /once, methods: [POST], authn: once}")
        .route("{path: /standard, methods: [POST], authn: standard}");
    world.publish(project).await
}

async fn post(
    world: &World,
    path: &str,
    signature: &str,
    content: &[u8],
) -> Result<Answer, Box<dyn std::error::Error>> {
    let request = Request::post(path, content.to_vec()).field(FIELD, signature).field("Accept-Language", "de");
    Ok(world.client().send(request).await?)
}

async fn a_signed_webhook_arrives_unchanged(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    for size in [0_usize, 1, 70_000] {
        let content: Vec<u8> = (0..size).map(|byte| (byte % 251) as u8).collect();
        let answer = post(&world, "/a", &github(&content), &content).await?;
        assert_eq!(answer.status, 200, "{size}: {}", answer.text());
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!(received.content_sha256, World::sha256(&content), "{size}");
        assert_eq!(received.field(FIELD), Some(github(&content).as_str()));
        assert_eq!(received.field("accept-language"), Some("de"));
    }
    let content = b"in pieces".to_vec();
    let (request, mut pieces) = Request::post("/a", "").field(FIELD, &github(&content)).streaming();
    let client = world.client();
    let answering = tokio::task::spawn_local(async move { client.send(request).await });
    pieces.send("in ".into()).await?;
    pieces.send("pieces".into()).await?;
    drop(pieces);
    assert_eq!(answering.await??.status, 200);
    assert_eq!(world.upstream.report().last().ok_or("not forwarded")?.content_sha256, World::sha256(&content));
    let records = world.records(4).await?;
    assert!(records.iter().all(|line| line["consumer"] == "github" && line["credential"] == "github/1"), "{records:?}");
    assert!(!world.host.logs().concat().contains(HOST_SECRET.1));
    Ok(())
}

async fn a_webhook_with_another_content_is_refused(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let answer = post(&world, "/a", &github(b"one"), b"other").await?;
    assert_problem(&answer, 401, "credential-unknown");
    let challenge = "Signature realm=\"e2e\", header=\"x-hub-signature-256\"";
    assert_eq!(answer.field("www-authenticate"), Some(challenge));
    assert_problem(&post(&world, "/a", "sha1=00", b"one").await?, 401, "credential-malformed");
    assert_problem(&world.client().send(Request::post("/a", "one")).await?, 401, "credential-missing");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn content_beyond_the_limit_of_a_webhook_is_413(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    // Beyond the limit of the route, and beyond what is verified.
    for (path, bytes) in [("/a", 110_000), ("/once", 1_100_000)] {
        let content = vec![b'x'; bytes];
        assert_problem(&post(&world, path, &github(&content), &content).await?, 413, "content-too-large");
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_webhook_is_accepted_once(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let content = format!("{} {:?}", world.name, SystemTime::now()).into_bytes();
    let signature = github(&content);
    assert_eq!(post(&world, "/once", &signature, &content).await?.status, 200);
    for _ in 0..2 {
        assert_problem(&post(&world, "/once", &signature, &content).await?, 401, "credential-replayed");
    }
    assert_eq!(world.upstream.report().total(), 1);
    Ok(())
}

async fn a_standard_webhook_is_verified_by_a_public_key(world: Rc<World>) -> Outcome {
    receiving(&world).await?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let send = async |at_s: u64, signed_s: u64| {
        let signature = sender().sign(format!("msg_1.{signed_s}.paid").as_bytes()).to_bytes();
        let request = Request::post("/standard", "paid")
            .field("webhook-id", "msg_1")
            .field("webhook-timestamp", &at_s.to_string())
            .field("webhook-signature", &format!("v1,AAAA v1a,{}", Base64::encode_string(&signature)));
        world.client().send(request).await
    };
    let answer = send(now_s, now_s).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_problem(&send(now_s, now_s - 1).await?, 401, "credential-unknown");
    assert_problem(&send(now_s - 400, now_s - 400).await?, 401, "credential-expired");
    assert_problem(&send(now_s + 400, now_s + 400).await?, 401, "credential-not-yet-valid");
    Ok(())
}
