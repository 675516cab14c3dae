//! Tokens that are bound to their holder: a stolen one is of no use, whatever the isolate remembers of it.

use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::Signer;
use tollgate_core::authn::{
    BindingMode, BindingRules, CertificateSource, CredentialPlace, DpopRules, IdentityRules, JwtSettings, KeySource,
    PeerCertificate, PresentedCertificate, Trust,
};
use tollgate_core::jose::{Algorithm, Jwk, Thumbprint};
use tollgate_core::kinds::PolicyKind;
use tollgate_core::secret::SecretText;
use tollgate_core::time::Timestamp;
use tollgate_core::x509::{AlternativeNames, Certificate, Fingerprint};
use tollgate_edge::ports::Clock;

use crate::bench::Answer;
use crate::tokens::{World, claims, jwk, key, settings, token};

fn bound(mode: BindingMode, nonce: Option<&str>) -> JwtSettings {
    let plain = settings(KeySource::Set("https://id.example.com/keys".into(), false));
    let dpop = mode.accepts_proofs().then(|| DpopRules {
        algorithms: [Algorithm::EdDsa].into_iter().collect(),
        age_max_s: 60,
        nonce: nonce.map(|secret| SecretText::parse(secret).unwrap()),
        once: true,
    });
    let binding = Some(BindingRules { mode, certificate: CertificateSource::Connection, dpop });
    let place = CredentialPlace { with_proof: mode.accepts_proofs(), ..plain.place.clone() };
    let bound = JwtSettings { rules: IdentityRules { binding, ..plain.rules.clone() }, place, ..plain };
    assert!(bound.is_coherent());
    bound
}

fn token_with(cnf: &str) -> String {
    let claims = claims("ada").replacen('{', &format!("{{\"cnf\":{cnf},"), 1);
    token("a", &key(1), &claims)
}

fn certificate(name: &[u8], trust: Trust) -> Rc<PeerCertificate> {
    let certificate = Certificate {
        fingerprint: Fingerprint::of(name),
        subject: "CN=d7".into(),
        common_name: None,
        issuer: "CN=ca".into(),
        not_before: Timestamp::default(),
        not_after: Timestamp::MAX,
        names: AlternativeNames::default(),
    };
    Rc::new(PeerCertificate::Presented(Box::new(PresentedCertificate { certificate, trust })))
}

fn thumbprint(number: u8) -> Thumbprint {
    Jwk::parse(jwk("", &key(number)).as_bytes()).unwrap().material.thumbprint().unwrap()
}

/// A proof of a client's key for `GET https://api.example.com/pets` with a token.
fn proof(world: &World, number: u8, token: &str, id: &str, nonce: Option<&str>) -> String {
    proof_of(world, number, token, id, nonce, "/pets?a=1")
}

fn proof_of(world: &World, number: u8, token: &str, id: &str, nonce: Option<&str>, target: &str) -> String {
    let public = jwk("", &key(number));
    let now = world.bench.host.clock.now().as_secs();
    let nonce = nonce.map(|nonce| format!(r#","nonce":"{nonce}""#)).unwrap_or_default();
    let ath = Thumbprint::of(token);
    let claims = format!(
        r#"{{"jti":"{id}","htm":"GET","htu":"https://api.example.com{target}","iat":{now},"ath":"{ath}"{nonce}}}"#
    );
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed =
        format!("{}.{}", part(&format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{public}}}"#)), part(&claims));
    let signature = Base64UrlUnpadded::encode_string(&key(number).sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fn send(world: &World, token: &str, proof: &str) -> Answer {
    world.bench.get("/pets", &[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
}

#[track_caller]
fn check(answer: &Answer, problem: &str, error: &str, challenge: &str) {
    let refusal = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
    assert_eq!((answer.status, answer.problem().as_str(), refusal.as_str()), (401, problem, "token-not-bound"));
    let challenges: Vec<_> = answer.fields.get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect();
    let of_error: Vec<_> = challenges.iter().filter(|one| one.contains(&format!("error=\"{error}\""))).collect();
    assert!(matches!(of_error.as_slice(), [one] if one.starts_with(challenge)), "{challenges:?}");
}

#[test]
fn rfc_8705_3_a_remembered_token_is_refused_from_who_has_another_certificate() {
    let text = token_with(&format!(r#"{{"x5t#S256":"{}"}}"#, Fingerprint::of(b"own").to_base64url()));
    for settings in
        [bound(BindingMode::Certificate, None), settings(KeySource::Set("https://id.example.com/keys".into(), false))]
    {
        let world = World::new(settings);
        let with = |certificate: &Rc<PeerCertificate>| {
            world.bench.host.certificates.set(certificate);
            world.get("/pets", &text)
        };
        let own = certificate(b"own", Trust::Verified);
        assert_eq!([with(&own).status, with(&own).status], [200, 200]);
        check(&with(&certificate(b"other", Trust::Verified)), "credential-not-accepted", "invalid_token", "Bearer");
        check(&with(&certificate(b"own", Trust::Revoked)), "credential-not-accepted", "invalid_token", "Bearer");
        check(&with(&Rc::default()), "credential-not-accepted", "invalid_token", "Bearer");
        assert_eq!((with(&own).status, world.verified.get()), (200, 1));
    }
}

#[test]
fn a_token_must_be_bound_where_that_is_required() {
    let plain = token("a", &key(1), &claims("ada"));
    for (mode, status) in [(BindingMode::Bearer, 200), (BindingMode::DpopOrBearer, 200)] {
        assert_eq!(World::new(bound(mode, None)).get("/pets", &plain).status, status);
    }
    for (mode, challenge) in
        [(BindingMode::Certificate, "Bearer"), (BindingMode::Any, "Bearer"), (BindingMode::Dpop, "DPoP")]
    {
        let answer = World::new(bound(mode, None)).get("/pets", &plain);
        check(&answer, "credential-not-accepted", "invalid_token", challenge);
    }
}

#[test]
fn rfc_9449_7_1_a_token_is_accepted_with_the_proof_of_its_key_only() {
    let text = token_with(&format!(r#"{{"jkt":"{}"}}"#, thumbprint(7)));
    for mode in [BindingMode::Dpop, BindingMode::DpopOrBearer, BindingMode::Any] {
        let world = World::new(bound(mode, None));
        for id in ["a", "b"] {
            let proof = proof(&world, 7, &text, id, None);
            assert_eq!(send(&world, &text, &proof).status, 200);
            let received = world.bench.host.upstream.take_received().remove(0);
            assert!(!received.headers().contains_key("authorization") && !received.headers().contains_key("dpop"));
            check(&send(&world, &text, &proof), "credential-replayed", "invalid_dpop_proof", "DPoP");
            assert!(!world.bench.host.sink.lines().concat().contains(proof.rsplit('.').next().unwrap()));
        }
        let stolen = proof(&world, 8, &text, "c", None);
        check(&send(&world, &text, &stolen), "credential-not-accepted", "invalid_token", "DPoP");
        check(&world.get("/pets", &text), "credential-not-accepted", "invalid_token", "DPoP");
        let scheme = format!("DPoP {text}");
        let without = world.bench.get("/pets", &[("authorization", &scheme)]);
        check(&without, "credential-not-accepted", "invalid_dpop_proof", "DPoP");
        let mut forged = proof(&world, 7, &text, "d", None);
        forged.replace_range(forged.rfind('.').unwrap() + 1.., &"A".repeat(86));
        check(&send(&world, &text, &forged), "credential-not-accepted", "invalid_dpop_proof", "DPoP");
        // What was refused was not used.
        assert_eq!(send(&world, &text, &proof(&world, 7, &text, "d", None)).status, 200);
    }
    let world = World::new(bound(BindingMode::Bearer, None));
    check(&world.get("/pets", &text), "credential-not-accepted", "invalid_token", "Bearer");
}

#[test]
fn rfc_9449_7_1_the_scheme_is_for_tokens_that_are_bound_to_a_key() {
    let world = World::new(bound(BindingMode::DpopOrBearer, None));
    let plain = token("a", &key(1), &claims("ada"));
    let answer = send(&world, &plain, &proof(&world, 7, &plain, "a", None));
    check(&answer, "credential-not-accepted", "invalid_token", "DPoP");
    let none = world.bench.get("/pets", &[]);
    let challenges: Vec<_> = none.fields.get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(challenges, ["Bearer realm=\"acme\"", "DPoP realm=\"acme\", algs=\"EdDSA\""]);
}

#[test]
fn rfc_9449_9_a_proof_has_the_nonce_that_the_gateway_told() {
    let world = World::new(bound(BindingMode::Dpop, Some("${secret.NONCE}")));
    let text = token_with(&format!(r#"{{"jkt":"{}"}}"#, thumbprint(7)));
    let first = send(&world, &text, &proof(&world, 7, &text, "a", None));
    assert_eq!((first.status, first.problem().as_str()), (503, "secret-missing"));
    world.bench.host.secrets.put("NONCE", "too short");
    world.bench.host.clock.advance(600_000);
    let text = token_with(&format!(r#"{{"jkt":"{}"}}"#, thumbprint(7)));
    assert_eq!(send(&world, &text, &proof(&world, 7, &text, "a", None)).status, 503);
    world.bench.host.secrets.put("NONCE", "0123456789abcdef0123456789abcdef");
    world.bench.host.clock.advance(600_000);
    let refused = send(&world, &text, &proof(&world, 7, &text, "a", None));
    check(&refused, "credential-not-accepted", "use_dpop_nonce", "DPoP");
    let nonce = refused.field("dpop-nonce").to_owned();
    assert_eq!(send(&world, &text, &proof(&world, 7, &text, "a", Some(&nonce))).status, 200);
    world.bench.host.clock.advance(301_000);
    let late = send(&world, &text, &proof(&world, 7, &text, "b", Some(&nonce)));
    check(&late, "credential-not-accepted", "use_dpop_nonce", "DPoP");
    assert_ne!(late.field("dpop-nonce"), nonce);
}

/// RFC 9449, section 11.1: nothing in a proof says which of the policies for a URL reads it.
#[test]
fn a_proof_is_used_once_whatever_policy_reads_it() {
    let bound = bound(BindingMode::Dpop, None);
    let rules = IdentityRules { consumer_prefix: Some("one:".into()), ..bound.rules.clone() };
    let world = World::new(JwtSettings { rules, ..bound });
    let claims = claims("ada").replacen('{', &format!("{{\"cnf\":{{\"jkt\":\"{}\"}},", thumbprint(7)), 1);
    let text = token("a", &key(1), &claims.replace("\"pets\"", "[\"pets\",\"owners\"]"));
    let send = |proof: &str, of: &str| {
        let fields = [("authorization", &*format!("DPoP {text}")), ("dpop", proof), ("x-of", of)];
        world.bench.get("/chosen", &fields)
    };
    let one = proof_of(&world, 7, &text, "a", None, "/chosen");
    assert_eq!(send(&one, "staff").status, 200);
    check(&send(&one, "others"), "credential-replayed", "invalid_dpop_proof", "DPoP");
    let other = proof_of(&world, 7, &text, "b", None, "/chosen");
    assert_eq!(send(&other, "others").status, 200);
    check(&send(&other, "staff"), "credential-replayed", "invalid_dpop_proof", "DPoP");
    // One request uses it once, however many policies it has.
    let both = proof_of(&world, 7, &text, "c", None, "/both");
    let fields = [("authorization", &*format!("DPoP {text}")), ("dpop", &*both)];
    assert_eq!(world.bench.get("/both", &fields).status, 200);
    check(&world.bench.get("/both", &fields), "credential-replayed", "invalid_dpop_proof", "DPoP");
}

#[test]
fn what_is_wrong_with_a_proof_is_told_without_the_secret_of_nonces() {
    let world = World::new(bound(BindingMode::Dpop, Some("${secret.NONCE}")));
    let text = token_with(&format!(r#"{{"jkt":"{}"}}"#, thumbprint(7)));
    let answer = send(&world, &text, "no proof");
    assert_eq!((answer.status, answer.field("dpop-nonce")), (401, ""), "{answer:?}");
    world.bench.host.secrets.put("NONCE", "0123456789abcdef0123456789abcdef");
    world.bench.host.clock.advance(600_000);
    let answer = send(&world, &text, "no proof");
    assert!(answer.status == 401 && !answer.field("dpop-nonce").is_empty(), "the next proof may have it: {answer:?}");
}

#[test]
fn without_counters_no_proof_is_accepted() {
    let world = World::new(bound(BindingMode::Dpop, None));
    let text = token_with(&format!(r#"{{"jkt":"{}"}}"#, thumbprint(7)));
    world.bench.host.counters.fault.set(true);
    let answer = send(&world, &text, &proof(&world, 7, &text, "a", None));
    assert_eq!((answer.status, answer.problem().as_str()), (503, "store-unavailable"));
}
