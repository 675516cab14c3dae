//! Certificates of clients: those that a trusted proxy passes on, and those that Cloudflare has verified. TLS with the native
//! host is tested in adapters/native/tests/server/certificates.rs.

use std::rc::Rc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::json;
use tollgate_core::authn::{Credential, KeyDigest};
use tollgate_core::x509::Fingerprint;
use tollgate_kv_schemas::{encode, keys};
use tollgate_tests::client::Request;

use crate::lane::GATEWAY;
use crate::project::Project;
use crate::scenario::{Outcome, scenarios};
use crate::world::{World, assert_problem};

scenarios! { "authenticate";
    a_trusted_proxy_passes_on_a_certificate,
    a_certificate_of_a_peer_that_is_not_trusted_is_ignored,
    a_registered_certificate_is_that_of_its_consumer,
    a_field_that_is_no_certificate_is_refused,
    what_the_platform_has_not_verified_is_refused
        except (Native, "verified in the handshake; adapters/native/tests/server/certificates.rs")
               (Spin, "the platform does not tell certificates"),
}

/// The networks of the peers of the tests: they run on this machine.
const HERE: &str = "trusted-proxies: [\"127.0.0.0/8\", \"::1\"]";

/// A certificate with this common name, and a host name.
fn certificate(name: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new([format!("{name}.devices.test")])?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params.self_signed(&KeyPair::generate()?)?.der().to_vec())
}

fn field(certificate: &[u8]) -> String {
    format!(":{}:", BASE64_STANDARD.encode(certificate))
}

const DEVICES: &str =
    "devices: {kind: client-certificate, from: client-cert, consumer: dns, accept: {dns: \"*.devices.test\"}}";

async fn publish(world: &World, gateway: Option<&str>, policy: &str) -> Outcome {
    let project = Project::new(world).policy(policy).route("{path: /a, authn: devices}");
    world.publish(gateway.into_iter().fold(project, Project::gateway)).await
}

fn passed_on(value: &str) -> Request {
    Request::get("/a").field("Client-Cert", value)
}

async fn a_trusted_proxy_passes_on_a_certificate(world: Rc<World>) -> Outcome {
    let told = "{path: /a, authn: devices, identity: {X-Name: certificate.common-name, X-Email: certificate.email}}";
    world.publish(Project::new(&world).gateway(HERE).policy(DEVICES).route(told)).await?;
    let field = field(&certificate("d7")?);
    for name in ["Client-Cert", "client-cert"] {
        let request = Request::get("/a").field(name, &field).field("Client-Cert-Chain", &field);
        let answer = world.client().send(request.field("X-Name", "d8").field("X-Email", "d8")).await?;
        let received = world.upstream.report().last().ok_or("not forwarded")?;
        assert_eq!((received.field("x-name"), received.field("x-email")), (Some("d7"), None));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains(&field), "the upstream saw the certificate: {}", answer.text());
    }
    let records = world.records(2).await?;
    assert!(records.iter().all(|line| line["consumer"] == "devices:d7.devices.test"), "{records:?}");
    let answer = world.client().get("/a").await?;
    assert_problem(&answer, 401, "credential-missing");
    assert_eq!(answer.field("www-authenticate"), Some("ClientCertificate realm=\"e2e\""));
    Ok(())
}

async fn a_certificate_of_a_peer_that_is_not_trusted_is_ignored(world: Rc<World>) -> Outcome {
    let field = field(&certificate("d7")?);
    for gateway in [None, Some("trusted-proxies: [203.0.113.0/24]")] {
        publish(&world, gateway, DEVICES).await?;
        assert_problem(&world.client().send(passed_on(&field)).await?, 401, "credential-missing");
    }
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn a_registered_certificate_is_that_of_its_consumer(world: Rc<World>) -> Outcome {
    publish(&world, Some(HERE), "devices: {kind: client-certificate, from: client-cert}").await?;
    let (known, revoked) = (certificate("laptop")?, certificate("lost")?);
    for (certificate, is_revoked) in [(&known, false), (&revoked, true)] {
        let digest = KeyDigest::of_certificate(&Fingerprint::of(certificate));
        let record = encode(&Credential { revoked: is_revoked, ..Credential::of("cert-1", "acme") });
        world.host.put(&[(keys::credential(GATEWAY, &digest), record)]).await?;
    }
    assert_eq!(world.client().send(passed_on(&field(&known))).await?.status, 200);
    assert_eq!(world.records(1).await?[0]["consumer"], "acme");
    assert_problem(&world.client().send(passed_on(&field(&revoked))).await?, 401, "credential-revoked");
    let other = passed_on(&field(&certificate("other")?));
    assert_problem(&world.client().send(other).await?, 401, "credential-unknown");
    Ok(())
}

async fn a_field_that_is_no_certificate_is_refused(world: Rc<World>) -> Outcome {
    publish(&world, Some(HERE), DEVICES).await?;
    let good = field(&certificate("d7")?);
    for value in ["", "::", "hello", &good[1..], &format!("{good};a=1"), &format!("{good}, {good}"), ":AAAA:"] {
        assert_problem(&world.client().send(passed_on(value)).await?, 401, "credential-malformed");
    }
    let other = field(&certificate("d7")?.iter().rev().copied().collect::<Vec<_>>());
    assert_problem(&world.client().send(passed_on(&other)).await?, 401, "credential-malformed");
    assert_eq!(world.upstream.report().total(), 0);
    Ok(())
}

async fn what_the_platform_has_not_verified_is_refused(world: Rc<World>) -> Outcome {
    let policy = "devices: {kind: client-certificate, consumer: dns}";
    publish(&world, None, policy).await?;
    let certificate = certificate("d7")?;
    let (whole, digest) = (field(&certificate), Fingerprint::of(&certificate).to_string());
    let send = async |verified: &str, revoked: &str| {
        let said = json!({
            "certPresented": "1", "certVerified": verified, "certRevoked": revoked, "certRFC9440": whole,
            "certFingerprintSHA256": digest, "certSubjectDNRFC2253": "CN=d7", "certIssuerDNRFC2253": "CN=d7",
        });
        world.client().send(Request::get("/a").field("Test-TLS-Client-Auth", &said.to_string())).await
    };
    assert_eq!(send("SUCCESS", "0").await?.status, 200);
    assert_eq!(world.records(1).await?[0]["consumer"], "devices:d7.devices.test");
    assert_problem(&send("SUCCESS", "1").await?, 401, "credential-revoked");
    assert_problem(&send("FAILED:self signed certificate", "0").await?, 401, "credential-not-accepted");
    assert_problem(&send("NONE", "0").await?, 401, "credential-not-accepted");
    assert_problem(&world.client().get("/a").await?, 401, "credential-missing");
    Ok(())
}
