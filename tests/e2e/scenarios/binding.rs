//! Tokens that are bound to their holder: by a proof of its key (DPoP), or by its certificate.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use tollgate_core::jose::{Jwk, Thumbprint};
use tollgate_core::x509::Fingerprint;
use tollgate_tests::client::{Answer, Request};

use super::jwt::{ISSUER, jwk, key, token};
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_token_is_accepted_with_a_proof_of_its_key,
    a_stolen_token_is_refused,
    a_proof_has_the_nonce_of_the_gateway,
    a_token_is_accepted_from_who_has_its_certificate,
    an_opaque_token_is_accepted_from_its_holder,
    a_bound_token_needs_a_certificate_that_the_platform_has_verified
        except (Native, "verified in the handshake; adapters/native/tests/server/certificates.rs")
               (Spin, "the platform does not tell certificates"),
}

fn policy(more: &str) -> String {
    format!("app: {{kind: jwt, issuer: \"{ISSUER}\", audience: pets, keys: '{{\"keys\":[{}]}}', {more}}}", jwk(&key()))
}

async fn publish(world: &World, more: &str) -> Outcome {
    let project = Project::new(world)
        .gateway("trusted-proxies: [\"127.0.0.0/8\", \"::1\"]")
        .policy(&policy(more))
        .policy("device: {kind: rate-limit, rate: 3/min, by: installation}")
        .route("{path: /a, authn: app}")
        .route("{path: /limited, authn: app, limit: device}");
    world.publish(project).await
}

fn device(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn thumbprint(key: &SigningKey) -> Option<Thumbprint> {
    Jwk::parse(jwk(key).as_bytes()).ok()?.material.thumbprint()
}

fn bound_to(cnf: &str) -> String {
    token(&key(), &format!(r#"{{"iss":"{ISSUER}","aud":"pets","sub":"ada","exp":4000000000,"cnf":{cnf}}}"#))
}

fn of_device(number: u8) -> String {
    let thumbprint = thumbprint(&device(number)).map(|digest| digest.to_string()).unwrap_or_default();
    bound_to(&format!(r#"{{"jkt":"{thumbprint}"}}"#))
}

/// A proof as anyone makes it who has read RFC 9449.
fn proof(world: &World, device: &SigningKey, path: &str, token: &str, id: &str, nonce: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let nonce = if nonce.is_empty() { String::new() } else { format!(r#","nonce":"{nonce}""#) };
    let (url, ath) = (format!("http://{}{path}", world.domain), Thumbprint::of(token));
    let claims = format!(r#"{{"jti":"{id}","htm":"GET","htu":"{url}","iat":{now},"ath":"{ath}"{nonce}}}"#);
    let header = format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{}}}"#, jwk(device));
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = format!("{}.{}", part(&header), part(&claims));
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&device.sign(signed.as_bytes()).to_bytes()))
}

async fn send(world: &World, path: &str, token: &str, proof: &str) -> Result<Answer, Box<dyn std::error::Error>> {
    let request = Request::get(path).field("Authorization", &format!("DPoP {token}")).field("DPoP", proof);
    Ok(world.client().send(request).await?)
}

async fn a_token_is_accepted_with_a_proof_of_its_key(world: Rc<World>) -> Outcome {
    publish(&world, "binding: dpop").await?;
    let token = of_device(1);
    let mut proofs = Vec::new();
    for id in ["one", "two"] {
        let proof = proof(&world, &device(1), "/a", &token, id, "");
        let answer = send(&world, "/a?x=1", &token, &proof).await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains(&token) && !answer.text().contains(&proof), "{}", answer.text());
        let again = send(&world, "/a?x=1", &token, &proof).await?;
        assert_problem(&again, 401, "credential-replayed");
        proofs.push(proof);
    }
    assert_eq!(world.upstream.report().total(), 2);
    for number in 1..=4 {
        let (number, device) = (number.to_string(), device(2));
        let (token, status) = (of_device(2), if number == "4" { 429 } else { 200 });
        let proof = proof(&world, &device, "/limited", &token, &number, "");
        assert_eq!(send(&world, "/limited", &token, &proof).await?.status, status);
    }
    let own = proof(&world, &device(1), "/limited", &token, "three", "");
    assert_eq!(send(&world, "/limited", &token, &own).await?.status, 200, "another installation");
    world.records(9).await?;
    let logs = world.host.logs().concat();
    assert!(proofs.iter().chain([&token, &own]).all(|secret| !logs.contains(secret.as_str())));
    Ok(())
}

async fn a_stolen_token_is_refused(world: Rc<World>) -> Outcome {
    publish(&world, "binding: dpop-or-bearer").await?;
    let token = of_device(1);
    let bearer = world.client().send(Request::get("/a").field("Authorization", &format!("Bearer {token}"))).await?;
    let others = [
        send(&world, "/a", &token, &proof(&world, &device(2), "/a", &token, "a", "")).await?,
        send(&world, "/a", &token, &proof(&world, &device(1), "/b", &token, "b", "")).await?,
        send(&world, "/a", &token, &proof(&world, &device(1), "/a", "another", "c", "")).await?,
        bearer,
    ];
    for answer in &others {
        assert_problem(answer, 401, "credential-not-accepted");
        let challenges = answer.all("www-authenticate").join("; ");
        assert!(
            challenges.contains("DPoP realm=\"e2e\", algs=\"") && challenges.contains("error=\"invalid_"),
            "{challenges}"
        );
    }
    assert_problem(&send(&world, "/a", &token, "hello").await?, 401, "credential-malformed");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_proof_has_the_nonce_of_the_gateway(world: Rc<World>) -> Outcome {
    publish(&world, "binding: dpop, dpop-nonce: \"${secret.UPSTREAM_TOKEN}${secret.UPSTREAM_TOKEN}\"").await?;
    let token = of_device(1);
    let refused = send(&world, "/a", &token, &proof(&world, &device(1), "/a", &token, "a", "")).await?;
    assert_problem(&refused, 401, "credential-not-accepted");
    assert!(refused.all("www-authenticate").join("; ").contains("error=\"use_dpop_nonce\""), "{refused:?}");
    let nonce = refused.field("dpop-nonce").ok_or("no nonce")?.to_owned();
    let accepted = send(&world, "/a", &token, &proof(&world, &device(1), "/a", &token, "a", &nonce)).await?;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    Ok(())
}

async fn a_token_is_accepted_from_who_has_its_certificate(world: Rc<World>) -> Outcome {
    publish(&world, "binding: certificate, certificate-from: client-cert").await?;
    let certificate = || -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let params = CertificateParams::new(["d7.devices.test".to_owned()])?;
        Ok(params.self_signed(&KeyPair::generate()?)?.der().to_vec())
    };
    let (own, other) = (certificate()?, certificate()?);
    let token = bound_to(&format!(r#"{{"x5t#S256":"{}"}}"#, Fingerprint::of(&own).to_base64url()));
    let request = || Request::get("/a").field("Authorization", &format!("Bearer {token}"));
    let with =
        |certificate: &[u8]| request().field("Client-Cert", &format!(":{}:", BASE64_STANDARD.encode(certificate)));
    for _ in 0..2 {
        assert_eq!(world.client().send(with(&own)).await?.status, 200);
        assert_problem(&world.client().send(with(&other)).await?, 401, "credential-not-accepted");
        assert_problem(&world.client().send(request()).await?, 401, "credential-not-accepted");
    }
    assert_eq!(world.upstream.report().total(), 2);
    Ok(())
}

/// What the provider says of a token binds it as what is in a token (RFC 8705, section 3.2; RFC 9449, section 6.2).
async fn an_opaque_token_is_accepted_from_its_holder(world: Rc<World>) -> Outcome {
    let provider = world.server().await?;
    let jkt = thumbprint(&device(1)).map(|digest| digest.to_string()).ok_or("no thumbprint")?;
    let active = format!(r#"{{"active":true,"aud":"pets","sub":"ada","cnf":{{"jkt":"{jkt}"}}}}"#);
    provider.serve("/introspect", &active);
    let policy = format!(
        "app: {{kind: introspection, url: \"{}/introspect\", private-network: true, audience: pets, client-id: a, \
         client-secret: \"${{secret.UPSTREAM_TOKEN}}\", binding: dpop}}",
        provider.url()
    );
    world.publish(Project::new(&world).policy(&policy).route("{path: /a, authn: app}")).await?;
    let token = "2YotnFZFEjr1zCsicMWpAA";
    for (number, (holder, status)) in [(1, 200), (2, 401), (1, 200)].into_iter().enumerate() {
        let proof = proof(&world, &device(holder), "/a", token, &number.to_string(), "");
        let answer = send(&world, "/a", token, &proof).await?;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let bearer = world.client().send(Request::get("/a").field("Authorization", &format!("Bearer {token}"))).await?;
    assert_problem(&bearer, 401, "credential-not-accepted");
    assert_eq!(world.upstream.report().total(), 2);
    Ok(())
}

async fn a_bound_token_needs_a_certificate_that_the_platform_has_verified(world: Rc<World>) -> Outcome {
    publish(&world, "binding: certificate").await?;
    let params = CertificateParams::new(["d7.devices.test".to_owned()])?;
    let certificate = params.self_signed(&KeyPair::generate()?)?.der().to_vec();
    let fingerprint = Fingerprint::of(&certificate);
    let token = bound_to(&format!(r#"{{"x5t#S256":"{}"}}"#, fingerprint.to_base64url()));
    let said = |verified: &str, revoked: &str| {
        json!({
            "certPresented": "1", "certVerified": verified, "certRevoked": revoked,
            "certRFC9440": format!(":{}:", BASE64_STANDARD.encode(&certificate)),
            "certFingerprintSHA256": fingerprint.to_string(), "certSubjectDNRFC2253": "", "certIssuerDNRFC2253": "",
        })
    };
    let send = async |said: Option<serde_json::Value>| {
        let request = Request::get("/a").field("Authorization", &format!("Bearer {token}"));
        let request = said.into_iter().fold(request, |r, said| r.field("Test-TLS-Client-Auth", &said.to_string()));
        world.client().send(request).await
    };
    assert_eq!(send(Some(said("SUCCESS", "0"))).await?.status, 200);
    for refused in
        [Some(said("SUCCESS", "1")), Some(said("FAILED:unable to verify", "0")), Some(said("NONE", "0")), None]
    {
        let answer = send(refused).await?;
        assert_problem(&answer, 401, "credential-not-accepted");
    }
    assert_eq!(send(Some(said("SUCCESS", "0"))).await?.status, 200, "a remembered token, too");
    assert_eq!(world.upstream.report().total(), 2);
    Ok(())
}
