//! The fuzz targets: each passes an input to an entry point for untrusted input, and checks what must be true for any
//! input.
//!
//! `fuzz/` calls these functions with generated inputs, `tests/replay.rs` with those of `fuzz/corpus/`. They panic only
//! if a check fails. Where to start: [`TARGETS`].
#![forbid(unsafe_code)]

use base64ct::{Base64UrlUnpadded, Encoding};
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_analysis::compile_str;
use tollgate_config::{Code, Diagnostics, expression as conditions, fixtures, fmt, openapi, policy_tests};
use tollgate_core::authn::{
    CredentialPlace, DpopRules, HttpSignatureSettings, IdentityRules, JwtSettings, KeptSession, KeySource, Login,
    OidcLoginSettings, Presented, Principal, Proof, ProvedRequest, Session, SessionCheck, SignedRequest, SigningKeys,
    Standing, WebhookSender, WebhookSettings, content_digests, return_target, sealed_parts, sealed_text,
};
use tollgate_core::client::Location;
use tollgate_core::expression::Facts;
use tollgate_core::jose::{Algorithm, Algorithms, JwkSet, KeyType, SignatureCheck, Thumbprint, Token};
use tollgate_core::oauth::ClientAuthentication;
use tollgate_core::query::parameter;
use tollgate_core::route::{CanonicalPath, HostName, RequestHead};
use tollgate_core::secret::SecretText;
use tollgate_core::structured;
use tollgate_core::time::Timestamp;
use tollgate_edge::BundleRecords;
use tollgate_kv_schemas::readable;

/// The function of a target.
pub type Target = fn(&[u8]);

/// The targets by name; the program in `fuzz/fuzz_targets/` and the folder in `fuzz/corpus/` have the same name.
pub const TARGETS: &[(&str, Target)] = &[
    ("yaml_reader", yaml_reader),
    ("openapi_import", openapi_import),
    ("formatter", formatter),
    ("policy_tests", policy_tests),
    ("bundle_loader", bundle_loader),
    ("expression", expression),
    ("token", token),
    ("dpop_proof", dpop_proof),
    ("jwk_set", jwk_set),
    ("signature_fields", signature_fields),
    ("login", login),
];

/// A project of one file, and the same text as fixtures: any input is compiled or refused with a reason.
pub fn yaml_reader(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match compile_str("tollgate.yaml", &text) {
        Ok(compiled) => {
            assert!(!compiled.records().is_empty(), "a compiled project has records");
            printable(compiled.warnings());
        }
        Err(found) => refused(&found),
    }
    match fixtures::load_str("dev/fixtures.yaml", &text) {
        Ok(fixtures) => printable(&fixtures.warnings),
        Err(found) => refused(&found),
    }
}

/// A specification: any input is imported or refused with a reason.
pub fn openapi_import(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let name = if text.trim_start().starts_with('{') { "openapi.json" } else { "openapi.yaml" };
    match tollgate_config::import_openapi(name, &text) {
        Ok((spec, found)) => {
            assert!(!spec.files().is_empty(), "an imported document has files");
            printable(&found);
        }
        Err(found) => refused(&found),
    }
    if let Ok(published) = openapi::published(name, &text) {
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&published).is_ok(), "the published document is JSON");
    }
}

/// A file to format: the result is in canonical form, or there is a reason why it is refused.
pub fn formatter(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for name in ["tollgate.yaml", "tollgate.json"] {
        match fmt::format_text(name, &text) {
            Ok(formatted) => {
                let again = fmt::format_text(name, &formatted).ok();
                assert_eq!(again.as_deref(), Some(formatted.as_str()), "formatting is idempotent");
            }
            Err(found) => {
                assert!(
                    found.iter().all(|finding| finding.code != Code::NotFormatted),
                    "the parser accepts it: {found}"
                );
                refused(&found);
            }
        }
    }
}

/// A condition: any text is compiled within the bounds and evaluated, or refused with a reason and a place within it.
pub fn expression(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match conditions::compile(&text) {
        Ok(compiled) => {
            assert!(compiled.is_coherent(), "a compiled expression is within its bounds");
            let (method, fields) = (http::Method::GET, http::HeaderMap::new());
            let path = CanonicalPath::parse(b"/a/b").expect("a path");
            let (host, template) =
                (HostName::from_authority("a.test").expect("a host"), "/{a}/{*b}".parse().expect("a template"));
            let head = RequestHead { method: &method, path: &path, query: Some("a=1&b"), fields: &fields };
            let principal = Principal::new("a".into(), "b".into(), None, vec!["a".into()]);
            let (address, principal, now) = (None, Some(&principal), Timestamp::from_millis(0));
            let location = &Location::default();
            let facts = Facts { head, host: &host, template: &template, address, location, principal, now };
            // Whether it has a value depends on the text.
            let _ = compiled.holds(&facts);
        }
        Err(fault) => {
            assert!(fault.at.end <= text.len() && text.get(fault.at.clone()).is_some(), "{fault:?}");
            assert!(!fault.what.is_empty() && !fault.fix.is_empty(), "{fault:?}");
        }
    }
}

/// A file of policy tests: any input is read or refused with a reason.
pub fn policy_tests(input: &[u8]) {
    match policy_tests::load_str("tests/a.test.yaml", &String::from_utf8_lossy(input)) {
        Ok(file) => printable(&file.warnings),
        Err(found) => refused(&found),
    }
}

/// The records of a bundle: any input is loaded like in an edge, including the router, or refused.
///
/// The input begins with the lengths of pointer and manifest, two bytes each; the part is the rest.
pub fn bundle_loader(input: &[u8]) {
    let Some((lengths, records)) = input.split_first_chunk::<4>() else { return };
    let length = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high]));
    let [a, b, c, d] = *lengths;
    let (pointer, rest) = records.split_at(length(a, b).min(records.len()));
    let (manifest, part) = rest.split_at(length(c, d).min(rest.len()));
    for record in [pointer, manifest, part] {
        if let Err(refused) = readable(record) {
            assert!(!refused.to_string().is_empty(), "a refusal has a reason");
        }
    }
    let Ok(host) = HostName::from_authority("api.example.com") else { return };
    // A loaded bundle can be loaded again, and the result does not depend on the name.
    let bundle = BundleRecords { pointer, manifest, part };
    let routes = || bundle.load_unnamed(&host).and_then(|part| part.open_all());
    assert_eq!(routes(), routes());
    let _ = bundle.load(&host);
}

/// A signed token: any text is parsed or refused; what is parsed is in the one form that was signed, and its claims are
/// judged without a panic.
pub fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let token = match Token::parse(text) {
        Ok(token) => token,
        Err(error) => return assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    };
    let signature = Base64UrlUnpadded::encode_string(&token.signature);
    assert_eq!(format!("{}.{signature}", token.signed), text, "no other text is the same token");
    let Ok(claims) = token.claims() else { return };
    let keys = KeySource::Discovery(false);
    let plain = JwtSettings::new("https://id.example.com", "pets", keys, Algorithm::EdDsa);
    let rules = IdentityRules { plan: Some("tier.name".to_owned()), age_max_s: Some(60), ..plain.rules };
    let policy = JwtSettings { rules, ..plain };
    for seconds in [0, 1_800_000_000, Timestamp::MAX.as_secs()] {
        let now = Timestamp::from_millis(seconds * 1_000);
        match policy.identity("staff", &token, &claims, now) {
            Ok(identity) => assert!(now < identity.until && identity.consumer.len() > "staff:".len()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// The field of a proof (RFC 9449): any value is read or refused with a reason; one that is read has a public key, and is
/// accepted for one time only.
pub fn dpop_proof(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let fields = HeaderMap::from_iter([(HeaderName::from_static("dpop"), value)]);
    let algorithms = Algorithm::ALL.into_iter().filter(|one| one.key_type() != KeyType::Octets).collect();
    let rules = DpopRules { algorithms, age_max_s: 60, nonce: None, once: true };
    let proof = match Proof::presented(&fields, &rules) {
        Ok(proof) => proof,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let signed = proof.signature();
    assert_ne!(signed.key.material.key_type(), KeyType::Octets, "a shared secret proves nothing");
    assert!(
        !tollgate_signatures::verifies(&SignatureCheck { signature: &[0; 64], ..signed }),
        "zeros are no signature"
    );
    assert_eq!(proof.used().len(), 64, "two digests");
    let Some(own) = signed.key.material.thumbprint() else { unreachable!("a key of a proof has one") };
    let request =
        ProvedRequest { method: "GET", https: true, authority: "api.example.com", path: "/a", token: "token" };
    let accepted = [0, 1_800_000_000, Timestamp::MAX.as_secs()].into_iter().filter(|seconds| {
        let now = Timestamp::from_millis(seconds * 1_000);
        proof.check(&own, &request, &rules, now).is_ok()
    });
    assert!(accepted.count() <= 1, "a proof is for a minute");
    let other = Thumbprint::of("another key");
    assert!(proof.check(&other, &request, &rules, Timestamp::from_millis(1_800_000_000_000)).is_err());
    let _ = proof.nonce();
}

/// A set of keys: any text is read or refused; keys that cannot be used have a reason, the others are used with algorithms of
/// their own type only, and verify nothing that is not a signature.
pub fn jwk_set(input: &[u8]) {
    let Ok(set) = JwkSet::parse(input) else { return };
    assert!(set.unused.iter().all(|(_, why)| !why.to_string().is_empty()));
    for key in &set.keys {
        assert_ne!(key.material.key_type(), KeyType::Octets, "a public set has no shared secrets");
        for algorithm in Algorithm::ALL {
            assert!(!key.is_for(algorithm) || key.material.key_type() == algorithm.key_type());
            let bytes = algorithm.signature_bytes().unwrap_or(256);
            let check = SignatureCheck { algorithm, key, message: b"message", signature: &vec![0; bytes] };
            assert!(!tollgate_signatures::verifies(&check), "zeros are no signature");
        }
    }
    for algorithm in Algorithm::ALL {
        assert!(set.candidates(algorithm, None).count() <= set.keys.len());
    }
}

/// The fields of a signed request, a line each: any input is read or refused, and what is read has one canonical form.
pub fn signature_fields(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let mut fields = HeaderMap::new();
    for name in
        ["signature-input", "signature", "content-digest", "webhook-signature", "stripe-signature", "webhook-id"]
    {
        let value = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok());
        fields.extend(value.map(|value| (HeaderName::from_static(name), value)));
    }
    for line in input.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Ok(form) = structured::canonical(line) {
            assert_eq!(structured::canonical(&form).as_ref(), Ok(&form), "the canonical form is its own");
        }
    }
    let of = SignedRequest {
        method: "POST",
        https: true,
        authority: "api.example.com",
        path: "/a",
        query: Some("b=1"),
        fields: &fields,
        trailers: None,
        joins_lines: false,
    };
    let keys = SigningKeys::Static(String::new());
    let settings = HttpSignatureSettings {
        keys,
        algorithms: Algorithms::default(),
        components: Vec::new(),
        age_max_s: 300,
        leeway_s: 0,
        label: None,
        tag: None,
        required: Vec::new(),
        owners: Vec::new(),
        once_ms: None,
    };
    for one in settings.presented(&fields).ok().flatten().unwrap_or_default() {
        let _ = one.check(&settings, &of, true, Timestamp::EPOCH);
        if let Ok(base) = one.base(&of) {
            let lines = base.iter().filter(|byte| **byte == b'\n').count();
            assert!(lines <= 64, "a base has a line for each component");
        }
    }
    let _ = content_digests(&fields);
    for sender in [WebhookSender::StandardWebhooks, WebhookSender::Stripe] {
        let webhook = WebhookSettings { sender, secrets: Vec::new(), consumer: None, tolerance_s: 300, once_ms: None };
        if let Ok(Some(signed)) = webhook.presented(&fields) {
            let _ = webhook.check_time(&signed, Timestamp::EPOCH);
            assert!(signed.message(&Bytes::from_static(b"content")).ends_with(b"content"));
        }
    }
}

/// What a browser and a provider send for a login: a line each for the query of an answer, the cookies, the path of a page, and a form
/// with a logout token; the rest is what the gateway finds in a cookie that it has made. Nothing else is taken for one, a browser
/// returns to the same host only, and a session is read as it was written.
pub fn login(input: &[u8]) {
    let mut lines = input.splitn(5, |byte| *byte == b'\n');
    let mut text = || lines.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let (query, cookies, path, form) = (text(), text(), text(), text());
    let content = lines.next().unwrap_or_default();
    let sent = [parameter(query, "state"), parameter(query, "code"), parameter(query, "iss")].into_iter().flatten();
    let mut fields = HeaderMap::new();
    fields.extend(HeaderValue::from_str(cookies).ok().map(|value| (COOKIE, value)));
    let cookie = match CredentialPlace::in_cookie(&fields, "__Host-session") {
        Presented::Text(text) => Some(text.to_owned()),
        Presented::Nothing | Presented::Several => None,
    };
    for text in sent.chain(cookie) {
        if let Some((nonce, sealed)) = sealed_parts(&text) {
            assert_eq!(sealed_text(&nonce, &sealed), text, "no other text is the same one");
            assert_eq!(tollgate_signatures::open(&[7; 32], &nonce, &sealed), None, "the gateway did not make it");
        }
    }
    let target = return_target(path);
    assert!(target.starts_with('/') && !target[1..].starts_with(['/', '\\']) && target.is_ascii(), "{target}");
    let settings = login_settings();
    if let Some(token) = parameter(form, "logout_token")
        && let Ok(token) = Token::parse(&token)
        && let Ok(claims) = token.claims()
        && let Ok(ended) = settings.ended_by(&token, &claims, Timestamp::from_millis(1_800_000_000_000))
    {
        assert!(!ended.mark.is_empty() && ended.issued_s < Timestamp::MAX.as_secs());
    }
    read_sessions(content, &settings);
}

/// What is encrypted in cookies and records.
fn read_sessions(content: &[u8], settings: &OidcLoginSettings) {
    if let Some(login) = Login::read(content) {
        assert!(Login::read(&login.to_bytes()) == Some(login));
    }
    if let Some(kept) = KeptSession::read(content) {
        assert!(KeptSession::read(&kept.to_bytes()) == Some(kept));
    }
    let Some(session) = Session::read(content) else { return };
    assert!(Session::read(&session.to_bytes()).as_ref() == Some(&session));
    for seconds in [0, 1_800_000_000, Timestamp::MAX.as_secs()] {
        let now = Timestamp::from_millis(seconds * 1_000);
        let (check, standing) = (session.check(settings, now), session.standing(settings, now));
        // What has to be confirmed is not remembered for longer than until then.
        let is_due = standing != Standing::Fresh && session.keeps(settings);
        assert!(!is_due || !matches!(check, SessionCheck::Valid(until) if until > now));
    }
    let person = session.principal("staff", settings);
    assert_eq!(person.consumer, session.consumer);
    assert!(session.marks().iter().all(|mark| mark.len() <= content.len().max(32)));
}

fn login_settings() -> OidcLoginSettings {
    let secret = || SecretText::parse("${secret.A}").expect("a secret");
    OidcLoginSettings {
        client: ClientAuthentication::Post("portal".into(), secret()),
        rules: IdentityRules {
            issuers: vec!["https://id.example.com".into()],
            audiences: vec!["portal".into()],
            kept_claims: vec![vec!["email".into()]],
            ..IdentityRules::default()
        },
        secrets: vec![secret(), secret()],
        path: "/.login".into(),
        cookie: "__Host-session".into(),
        scope: "openid".into(),
        session_s: 28_800,
        idle_s: 3_600,
        is_private: false,
        after_logout: "/".into(),
        refresh_s: 900,
        is_revocable: true,
    }
}

fn refused(found: &Diagnostics) {
    assert!(found.has_errors(), "a refusal has a reason");
    printable(found);
}

/// Checks that diagnostics can be formatted in every form, whatever they quote.
fn printable(found: &Diagnostics) {
    assert_eq!(found.to_text(true).is_empty(), found.is_empty());
    assert_eq!(found.to_json().as_array().map(Vec::len), Some(found.len()));
}
