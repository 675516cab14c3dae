//! Signed requests: the vectors of RFC 9421, what is read when, and what is accepted once.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use http::{HeaderMap, Request};
use tollgate_core::authn::{HttpSignatureSettings, SignedRequest, SigningKeys, component};
use tollgate_core::forward::UpstreamError;
use tollgate_core::jose::Algorithm;
use tollgate_core::kinds::{Named, Place, Policy};
use tollgate_core::secret::SecretText;
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::{Content, MemorySignatures, ScriptedUpstream};
use tollgate_edge::ports::{Clock, Content as _};

use crate::bench::{Answer, Bench, NOW, ok, on_any_host, request, route, site};

const KEYS: &str = concat!(
    r#"{"keys":[{"kid":"test-key-rsa-pss","kty":"RSA","e":"AQAB","n":"r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8"#,
    "ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-",
    "bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV6",
    r#"-U9nV5oyc6XI2w"},{"kid":"test-key-ecc-p256","kty":"EC","crv":"P-256","x":"qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA","#,
    r#""y":"Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"},{"kid":"test-key-ed25519","kty":"OKP","crv":"Ed25519","#,
    r#""x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}]}"#
);

const SECRET: &str = "base64:uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

const CONTENT: &str = r#"{"hello": "world"}"#;

const DIGEST: (&str, &str) = (
    "content-digest",
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
);

fn settings(keys: SigningKeys) -> HttpSignatureSettings {
    let is_shared = matches!(keys, SigningKeys::Secrets(..));
    let public = [Algorithm::Ps512, Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];
    let algorithms = if is_shared { [Algorithm::Hs256].into_iter().collect() } else { public.into_iter().collect() };
    HttpSignatureSettings {
        keys,
        algorithms,
        components: vec![],
        age_max_s: 300,
        leeway_s: 30,
        label: None,
        tag: None,
        required: vec![],
        owners: vec![],
        once_ms: None,
    }
}

/// The key of the tests.
fn signer() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn own_keys() -> SigningKeys {
    let x = base64ct::Base64UrlUnpadded::encode_string(signer().verifying_key().as_bytes());
    SigningKeys::Static(format!(r#"{{"keys":[{{"kid":"k","kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#))
}

struct World {
    bench: Bench,
    verified: Rc<Cell<u32>>,
    settings: HttpSignatureSettings,
}

impl World {
    fn new(settings: HttpSignatureSettings) -> Self {
        let mut bench = Bench::new(vec![], ok(&[], "taken"));
        let verified = Rc::new(Cell::new(0));
        let count = Rc::clone(&verified);
        bench.host.signatures = MemorySignatures::new(move |check| {
            count.set(count.get() + 1);
            tollgate_signatures::verifies(check)
        });
        bench.host.secrets.put("SHARED", SECRET);
        let all = RouteSettings { authn: vec![vec![Place::new(3)]], content_bytes_max: 64, ..route("/{*rest}", &[]) };
        let two = RouteSettings { authn: vec![vec![Place::new(3)], vec![Place::new(4)]], ..route("/two", &[]) };
        let mut site = site(vec![all, two]);
        let other = HttpSignatureSettings { tag: Some("other".into()), ..settings.clone() };
        for (name, settings) in [("signed", settings.clone()), ("other", other)] {
            site.policies.push(Named { name: name.into(), policy: Policy::from(settings) });
        }
        bench.publish(&on_any_host(site));
        Self { bench, verified, settings }
    }

    /// A request that is signed for the policy, with further fields.
    fn signed(&self, method: &str, target: &str, content: &'static str) -> Request<Content> {
        self.sign(request(method, target, &[], content), content)
    }

    /// The same request with a signature.
    fn sign(&self, mut sent: Request<Content>, content: &str) -> Request<Content> {
        let uri = sent.uri().clone();
        let of = SignedRequest {
            method: sent.method().as_str(),
            https: true,
            authority: "api.example.com",
            path: uri.path(),
            query: uri.query(),
            fields: sent.headers(),
            trailers: None,
            joins_lines: false,
        };
        let sign = |base: &[u8]| signer().sign(base).to_bytes().to_vec();
        let lines = self.settings.fields_of("k", &of, content.as_bytes(), self.bench.host.clock.now(), sign).unwrap();
        for (name, value) in lines {
            sent.headers_mut().insert(name, value.parse().unwrap());
        }
        sent
    }

    #[track_caller]
    fn check(&self, request: Request<Content>, status: u16, problem: &str, code: &str) -> Answer {
        let answer = self.bench.send(request);
        let found = answer.record.refusal().map_or("", |refusal| refusal.reason.code()).to_owned();
        assert_eq!((answer.status, answer.problem().as_str(), found.as_str()), (status, problem, code));
        assert_eq!(self.bench.host.upstream.take_received().len(), usize::from(status == 200));
        answer
    }
}

/// Input and signature of a vector, with its key's kind and the fields and target of its request.
struct Vector {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    fields: &'static [(&'static str, &'static str)],
    content: &'static str,
    input: &'static str,
    signature: &'static str,
}

const OF_B_2: &[(&str, &str)] = &[
    ("host", "example.com"),
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("content-type", "application/json"),
    DIGEST,
    ("content-length", "18"),
];

const B_2: Vector = Vector {
    name: "B.2.1",
    method: "POST",
    target: "/foo?param=Value&Pet=dog",
    fields: OF_B_2,
    content: CONTENT,
    input: r#"sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
    signature: "sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:",
};

/// The requests of RFC 9421, appendix B; B.2.4 is a response.
const VECTORS: [Vector; 7] = [
    B_2,
    Vector {
        name: "B.2.2",
        input: r#"sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
        signature: "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:",
        ..B_2
    },
    Vector {
        name: "B.2.3",
        input: r#"sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
        signature: "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:",
        ..B_2
    },
    Vector {
        name: "B.2.5",
        input: r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
        signature: "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
        ..B_2
    },
    Vector {
        name: "B.2.6",
        input: r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
        signature: "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
        ..B_2
    },
    Vector {
        name: "B.3",
        fields: &[
            ("host", "service.internal.example"),
            (
                "client-cert",
                ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:",
            ),
        ],
        input: r#"ttrp=("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256""#,
        signature: "ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:",
        ..B_2
    },
    Vector {
        name: "B.4",
        method: "GET",
        target: "/demo?name1=Value1&Name2=value2",
        fields: &[("host", "example.org"), ("accept", "application/json"), ("accept", "*/*")],
        content: "",
        input: r#"transform=("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#,
        signature: "transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:",
    },
];

/// Requires only something that the vector signs; B.2.1 signs nothing.
fn of_vector(input: &str) -> World {
    let keys = if input.contains("test-shared-secret") {
        let secret = SecretText::parse("${secret.SHARED}").unwrap();
        SigningKeys::Secrets(vec!["test-shared-secret".into()], vec![secret])
    } else {
        SigningKeys::Static(KEYS.into())
    };
    let signed = ["content-digest", "@method", "date"].into_iter().find(|name| input.contains(&format!("\"{name}\"")));
    let components = signed.iter().map(|name| component(name).unwrap()).collect();
    let age_max_s = u32::try_from(NOW.as_secs() - 1_618_884_473).unwrap();
    World::new(HttpSignatureSettings { components, age_max_s, ..settings(keys) })
}

fn sent(vector: &Vector) -> Request<Content> {
    let own = [("signature-input", vector.input), ("signature", vector.signature)];
    request(vector.method, vector.target, &[vector.fields, &own].concat(), vector.content)
}

#[test]
fn rfc_9421_b_the_requests_of_the_standard_are_verified() {
    for vector in &VECTORS {
        let world = of_vector(vector.input);
        if vector.name == "B.2.1" {
            // A signature of nothing is right, and never accepted.
            world.check(sent(vector), 401, "credential-not-accepted", "message-refused");
            continue;
        }
        let answer = world.bench.send(sent(vector));
        assert_eq!(answer.status, 200, "{}: {} {:?}", vector.name, answer.problem(), answer.record.refusal());
        let received = world.bench.host.upstream.take_received();
        assert_eq!(received[0].body().bytes().as_ref(), vector.content.as_bytes());
        let other = vector.signature.replacen(":", ":AAAA", 1);
        let changed = request(
            vector.method,
            vector.target,
            &[vector.fields, &[("signature-input", vector.input), ("signature", &other)]].concat(),
            vector.content,
        );
        let answer = world.bench.send(changed);
        assert_eq!((answer.status, answer.problem().as_str()), (401, "credential-unknown"), "{}", vector.name);
    }
}

#[test]
fn rfc_9421_b_4_changes_that_keep_what_is_signed_are_accepted() {
    let vector = &VECTORS[6];
    let world = of_vector(vector.input);
    let send = |method: &str, target: &str, fields: &[(&str, &str)]| {
        let own = [("signature-input", vector.input), ("signature", vector.signature)];
        world.bench.send(request(method, target, &[fields, &own].concat(), "")).status
    };
    let both = ("accept", "application/json, */*");
    let host = ("host", "example.org");
    assert_eq!(
        send("GET", "/demo?name1=Value1&Name2=value2&param=added", &[host, both, ("accept-language", "en")]),
        200
    );
    assert_eq!(send("GET", "/demo?name1=Value1&Name2=value2", &[both, ("referer", "https://a/"), host]), 200);
    assert_eq!(send("POST", "/demo?name1=Value1&Name2=value2", &[host, both]), 401);
    assert_eq!(send("GET", "/demo?name1=Value1&Name2=value2", &[("host", "example.com"), both]), 401);
    assert_eq!(send("GET", "/demo?name1=Value1&Name2=value2", &[host, ("accept", "*/*, application/json")]), 401);
}

#[test]
fn a_signed_request_names_its_caller_and_is_forwarded_unchanged() {
    let world = World::new(settings(own_keys()));
    let answer = world.bench.send(world.signed("POST", "/a%7eb?x=1&y", CONTENT));
    assert_eq!(answer.status, 200, "{} {:?}", answer.problem(), answer.record.refusal());
    let principal = answer.record.principal().unwrap();
    assert_eq!((principal.consumer.as_str(), principal.credential.as_str()), ("signed:k", "signed/k"));
    let received = world.bench.host.upstream.take_received();
    assert_eq!(received[0].body().bytes().as_ref(), CONTENT.as_bytes());
    assert!(received[0].headers().contains_key("signature-input"));
    world.check(world.signed("GET", "/", ""), 200, "", "");
}

#[test]
fn content_is_read_after_the_signature_was_verified() {
    let world = World::new(settings(own_keys()));
    let mut wrong = world.signed("POST", "/a", CONTENT);
    *wrong.body_mut() = Content::from_bytes("other".into());
    let answer = world.check(wrong, 401, "credential-unknown", "message-refused");
    assert!(answer.field("www-authenticate").starts_with("Signature realm=\"acme\""), "{answer:?}");
    assert_eq!(answer.field("accept-signature"), r#"sig=("@method" "@target-uri" "content-digest");created"#);
    // A broken content would be a 400, if it was read.
    let mut unsigned = world.signed("POST", "/a", CONTENT);
    unsigned.headers_mut().insert("signature", format!("sig=:{}:", Base64::encode_string(&[1; 64])).parse().unwrap());
    let unsigned = unsigned.map(|_| Content::breaking_after(&b"{"[..]));
    world.check(unsigned, 401, "credential-unknown", "signature-wrong");
    let broken = world.signed("POST", "/a", CONTENT).map(|_| Content::breaking_after(&b"{"[..]));
    world.check(broken, 400, "bad-request", "content-interrupted");
    let mut unsigned_content = world.signed("POST", "/a", "");
    *unsigned_content.body_mut() = Content::from_bytes("more".into());
    world.check(unsigned_content, 401, "credential-not-accepted", "message-refused");
}

#[test]
fn a_request_that_differs_from_what_was_signed_is_refused() {
    let world = World::new(settings(own_keys()));
    let changed = |change: &dyn Fn(&mut Request<Content>)| {
        let mut request = world.signed("PUT", "/a?b=1", CONTENT);
        change(&mut request);
        request
    };
    world.check(changed(&|_| ()), 200, "", "");
    let wrong = |change: &dyn Fn(&mut Request<Content>)| {
        world.check(changed(change), 401, "credential-unknown", "signature-wrong");
    };
    wrong(&|request| *request.method_mut() = http::Method::POST);
    wrong(&|request| *request.uri_mut() = "/a?b=2".parse().unwrap());
    wrong(&|request| *request.uri_mut() = "/A?b=1".parse().unwrap());
    wrong(&|request| drop(request.headers_mut().insert("host", "b.example.com".parse().unwrap())));
    let unknown = changed(&|request| {
        let input = request.headers()["signature-input"].to_str().unwrap().replace("\"k\"", "\"l\"");
        request.headers_mut().insert("signature-input", input.parse().unwrap());
    });
    world.check(unknown, 401, "credential-unknown", "message-refused");
    world.check(request("GET", "/a", &[], ""), 401, "credential-missing", "message-not-signed");
    let old = world.signed("GET", "/a", "");
    world.bench.host.clock.advance(331_000);
    world.check(old, 401, "credential-expired", "message-refused");
}

#[test]
fn a_nonce_is_accepted_once() {
    let once = HttpSignatureSettings {
        once_ms: NonZeroU32::new(360_000),
        required: vec!["nonce".into()],
        ..settings(own_keys())
    };
    let world = World::new(once);
    world.check(world.signed("GET", "/a", ""), 200, "", "");
    // Another request with the same nonce: the tests' nonces are times.
    world.check(world.signed("GET", "/b", ""), 401, "credential-replayed", "message-replayed");
    world.bench.host.clock.advance(1_000);
    world.check(world.signed("GET", "/b", ""), 200, "", "");
}

#[test]
fn a_nonce_is_accepted_again_if_the_request_was_not_forwarded() {
    let once = HttpSignatureSettings { once_ms: NonZeroU32::new(360_000), ..settings(own_keys()) };
    let mut world = World::new(once);
    let taken = world.bench.host.upstream.clone();
    let away = |_: &Request<Content>| (0, Err(UpstreamError::ConnectionRefused));
    world.bench.host.upstream = ScriptedUpstream::new(world.bench.host.clock.clone(), away);
    assert_eq!(world.bench.send(world.signed("GET", "/a", "")).status, 502);
    world.bench.host.upstream = taken;
    world.check(world.signed("GET", "/a", ""), 200, "", "");
    world.check(world.signed("GET", "/a", ""), 401, "credential-replayed", "message-replayed");
}

#[test]
fn of_several_signatures_one_is_enough() {
    let world = World::new(settings(own_keys()));
    let mut both = world.signed("GET", "/a", "");
    let prefixed = |fields: &HeaderMap, name: &str, other: &str| -> http::HeaderValue {
        format!("other={other}, {}", fields[name].to_str().unwrap()).parse().unwrap()
    };
    let input = prefixed(both.headers(), "signature-input", "();created=1;keyid=\"x\"");
    let signature = prefixed(both.headers(), "signature", ":AQ==:");
    both.headers_mut().insert("signature-input", input);
    both.headers_mut().insert("signature", signature);
    world.check(both, 200, "", "");
    assert_eq!(world.verified.get(), 1);
}

#[test]
fn a_route_with_several_policies_asks_for_one_signature_of_each() {
    let world = World::new(settings(own_keys()));
    let answer = world.bench.send(request("POST", "/two", &[], ""));
    let asked = r#"("@method" "@target-uri" "content-digest");created"#;
    assert_eq!(answer.field("accept-signature"), format!("sig={asked}, sig2={asked};tag=\"other\""));
}

/// The digest counts in whatever form it is signed, also where the policy does not require it.
#[test]
fn content_whose_digest_is_signed_is_verified() {
    let forms = ["content-digest", "content-digest;key=\"sha-256\"", "content-digest;sf", "content-digest;bs"];
    for form in forms {
        let components = ["@method", form].map(|written| component(written).unwrap()).to_vec();
        let signing = World::new(HttpSignatureSettings { components, ..settings(own_keys()) });
        let components = vec![component("@method").unwrap()];
        let world = World::new(HttpSignatureSettings { components, ..settings(own_keys()) });
        world.check(signing.signed("POST", "/a", CONTENT), 200, "", "");
        let other = signing.signed("POST", "/a", CONTENT).map(|_| Content::from_bytes("other".into()));
        world.check(other, 401, "credential-unknown", "message-refused");
    }
}

/// Adapters leave out fields that are usually not read.
#[test]
fn fields_that_were_left_out_can_be_signed() {
    let components = vec![component("@method").unwrap(), component("user-agent").unwrap()];
    let world = World::new(HttpSignatureSettings { components, ..settings(own_keys()) });
    let sent = || {
        let mut sent = world.sign(request("GET", "/a", &[("user-agent", "robot")], ""), "");
        let user_agent = sent.headers_mut().remove("user-agent").map(|value| (http::header::USER_AGENT, value));
        let left_out = HeaderMap::from_iter(user_agent);
        (sent, left_out)
    };
    world.check(sent().0, 401, "credential-malformed", "message-refused");
    let (sent, left_out) = sent();
    world.check(sent.map(|content| content.leaving_out(left_out)), 200, "", "");
}

#[test]
fn where_lines_are_joined_a_list_is_not_accepted_as_bytes() {
    let components = vec![component("x-list;bs").unwrap()];
    let mut world = World::new(HttpSignatureSettings { components, ..settings(own_keys()) });
    let sent = |world: &World, list| world.sign(request("GET", "/a", &[("x-list", list)], ""), "");
    world.check(sent(&world, "a, b"), 200, "", "");
    world.bench.host.joins_lines = true;
    world.check(sent(&world, "a b"), 200, "", "");
    world.check(sent(&world, "a, b"), 401, "credential-not-accepted", "message-refused");
}
