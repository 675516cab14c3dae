use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::authn::{Authenticator, MessageError};
use crate::jose::Algorithm;
use crate::kinds::PolicyKind;
use crate::time::Timestamp;

const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

fn settings(components: &[&str]) -> HttpSignatureSettings {
    HttpSignatureSettings {
        keys: SigningKeys::Static(r#"{"keys":[]}"#.into()),
        algorithms: [Algorithm::Ps512, Algorithm::EdDsa].into_iter().collect(),
        components: components.iter().map(|written| component(written).unwrap()).collect(),
        age_max_s: 300,
        leeway_s: 10,
        label: None,
        tag: None,
        required: vec![],
        owners: vec![],
        once_ms: None,
    }
}

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

/// The request of RFC 9421, appendix B.2, with these fields.
fn of_standard(more: &[(&str, &str)]) -> HeaderMap {
    let own = [
        ("host", "example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-digest", DIGEST),
        ("content-length", "18"),
    ];
    fields(&[own.as_slice(), more].concat())
}

fn request(fields: &HeaderMap) -> SignedRequest<'_> {
    SignedRequest {
        method: "POST",
        https: true,
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        fields,
        trailers: None,
        joins_lines: false,
    }
}

/// The base of the signature with an input.
fn base(input: &str, request: &SignedRequest<'_>) -> Result<String, MessageError> {
    let fields = fields(&[("signature-input", &format!("sig={input}")), ("signature", "sig=:AQ==:")]);
    let presented = settings(&[]).presented(&fields)?.unwrap();
    presented[0].base(request).map(|base| String::from_utf8(base).unwrap())
}

/// Checks the lines of a base before the parameters.
#[track_caller]
fn check(components: &str, request: &SignedRequest<'_>, lines: &str) {
    let input = format!("({components});created=1");
    let last = format!("\"@signature-params\": {input}");
    let want = if lines.is_empty() { last } else { format!("{lines}\n{last}") };
    assert_eq!(base(&input, request).as_deref(), Ok(want.as_str()));
}

#[wasm_bindgen_test(unsupported = test)]
fn rfc_9421_b_2_the_bases_of_the_standard_are_made() {
    let fields = of_standard(&[]);
    let request = request(&fields);
    check("", &request, "");
    check(
        r#""@authority" "content-digest" "@query-param";name="Pet""#,
        &request,
        &format!("\"@authority\": example.com\n\"content-digest\": {DIGEST}\n\"@query-param\";name=\"Pet\": dog"),
    );
    check(
        r#""date" "@method" "@path" "@query" "@authority" "content-type" "content-length""#,
        &request,
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\"@query\": ?param=Value&Pet=dog\n\
         \"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18",
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn rfc_9421_2_1_fields_are_combined_and_in_three_forms() {
    let fields = fields(&[
        ("x-ows-header", "  Leading and trailing whitespace.  "),
        ("cache-control", "max-age=60"),
        ("cache-control", "   must-revalidate"),
        ("x-empty-header", ""),
        ("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ("example-header", "value, with, lots"),
        ("example-header", "of, commas"),
    ]);
    let of = request(&fields);
    check(r#""x-ows-header""#, &of, r#""x-ows-header": Leading and trailing whitespace."#);
    check(r#""cache-control""#, &of, r#""cache-control": max-age=60, must-revalidate"#);
    check(r#""x-empty-header""#, &of, r#""x-empty-header": "#);
    check(r#""example-dict""#, &of, r#""example-dict": a=1,    b=2;x=1;y=2,   c=(a   b   c)"#);
    check(r#""example-dict";sf"#, &of, r#""example-dict";sf: a=1, b=2;x=1;y=2, c=(a b c)"#);
    check(r#""example-dict";key="a""#, &of, r#""example-dict";key="a": 1"#);
    check(r#""example-dict";key="b""#, &of, r#""example-dict";key="b": 2;x=1;y=2"#);
    check(r#""example-dict";key="c""#, &of, r#""example-dict";key="c": (a b c)"#);
    let encoded = r#""example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"#;
    check(r#""example-header";bs"#, &of, encoded);
}

#[wasm_bindgen_test(unsupported = test)]
fn rfc_9421_2_2_components_are_derived_from_the_request() {
    let none = HeaderMap::new();
    let of = SignedRequest { authority: "WWW.Example.com:443", path: "/path", query: None, ..request(&none) };
    check(r#""@method""#, &of, r#""@method": POST"#);
    check(r#""@target-uri""#, &of, r#""@target-uri": https://www.example.com/path"#);
    check(r#""@authority""#, &of, r#""@authority": www.example.com"#);
    check(r#""@scheme""#, &of, r#""@scheme": https"#);
    check(r#""@request-target""#, &of, r#""@request-target": /path"#);
    check(r#""@path""#, &of, r#""@path": /path"#);
    check(r#""@query""#, &of, r#""@query": ?"#);
    for (path, target) in [("", "/"), ("*", "*")] {
        let of = SignedRequest { path, ..of };
        check(r#""@path""#, &of, r#""@path": /"#);
        check(r#""@target-uri""#, &of, r#""@target-uri": https://www.example.com/"#);
        check(r#""@request-target""#, &of, &format!("\"@request-target\": {target}"));
    }
    let plain = SignedRequest { https: false, authority: "a:443", path: "/%7Ea", query: Some(""), ..of };
    check(r#""@target-uri""#, &plain, r#""@target-uri": http://a:443/%7Ea?"#);
    check(r#""@authority""#, &SignedRequest { https: false, authority: "a:80", ..of }, r#""@authority": a"#);
    let query = Some(
        "param=value&foo=bar&baz=batman&qux=&var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something",
    );
    let of = SignedRequest { query, ..of };
    check(r#""@query-param";name="baz""#, &of, r#""@query-param";name="baz": batman"#);
    check(r#""@query-param";name="qux""#, &of, r#""@query-param";name="qux": "#);
    check(r#""@query-param";name="var""#, &of, r#""@query-param";name="var": this%20is%20a%20big%0Amultiline%20value"#);
    check(r#""@query-param";name="bar""#, &of, r#""@query-param";name="bar": with%20plus%20whitespace"#);
    let name = r#""@query-param";name="fa%C3%A7ade%22%3A%20""#;
    check(name, &of, &format!("{name}: something"));
}

#[wasm_bindgen_test(unsupported = test)]
fn lines_that_the_platform_joins_are_not_taken_for_one() {
    let fields = fields(&[("one", "a b"), ("two", "a, b"), ("close", "a,b"), ("other", "caf\u{e9}")]);
    let of = request(&fields);
    let joined = SignedRequest { joins_lines: true, ..of };
    check(r#""one";bs"#, &joined, r#""one";bs: :YSBi:"#);
    check(r#""two""#, &joined, r#""two": a, b"#);
    for name in ["two", "close", "other"] {
        let input = format!("(\"{name}\";bs)");
        assert!(base(&input, &of).is_ok());
        assert_eq!(base(&input, &joined), Err(MessageError::Joined), "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn rfc_9421_2_5_a_base_is_ascii() {
    let fields = fields(&[("other", "caf\u{e9}"), ("tab", "a\tb")]);
    let of = request(&fields);
    check(r#""tab""#, &of, "\"tab\": a\tb");
    check(r#""other";bs"#, &of, r#""other";bs: :Y2Fmw6k=:"#);
    assert_eq!(base(r#"("other")"#, &of), Err(MessageError::Component));
    let of = SignedRequest { query: Some("caf\u{e9}"), ..of };
    assert_eq!(base(r#"("@query")"#, &of), Err(MessageError::Component));
    assert_eq!(base(r#"("@target-uri")"#, &of), Err(MessageError::Component));
    assert!(base(r#"("@path")"#, &of).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn the_order_of_parameters_is_not_significant() {
    let fields = fields(&[("a", "b=1")]);
    let of = SignedRequest { trailers: Some(&fields), ..request(&fields) };
    check(r#""a";tr;key="b" "a";key="b""#, &of, "\"a\";tr;key=\"b\": 1\n\"a\";key=\"b\": 1");
    assert_eq!(base(r#"("a";tr;key="b" "a";key="b";tr)"#, &of), Err(MessageError::Component));
    let own = settings(&["a;tr;key=\"b\""]);
    assert_eq!(own.components, settings(&["a;key=\"b\";tr"]).components);
}

/// Each component could be another part of one large value.
#[wasm_bindgen_test(unsupported = test)]
fn what_is_read_for_one_signature_is_bounded() {
    let fields = fields(&[("large", &format!("b=\"{}\"", "x".repeat(15_000)))]);
    let query: String = (0..20).map(|at| format!("p{at}={at}&")).chain(["x".repeat(7_000)]).collect();
    let of = SignedRequest { query: Some(&query), trailers: Some(&fields), ..request(&fields) };
    let components = |of_large: &[&str], parameters: usize| {
        let large = of_large.iter().map(|flags| format!("\"large\"{flags}"));
        let parameters = (0..parameters).map(|at| format!("\"@query-param\";name=\"p{at}\""));
        base(&format!("({})", large.chain(parameters).collect::<Vec<_>>().join(" ")), &of).map(|_| ())
    };
    let flags = ["", ";tr", ";sf", ";bs", ";key=\"b\"", ";key=\"b\";sf", ";sf;tr"];
    assert_eq!((components(&flags[..6], 0), components(&flags, 0)), (Ok(()), Err(MessageError::Large)));
    assert_eq!((components(&[], 9), components(&[], 20)), (Ok(()), Err(MessageError::Large)));
}

#[wasm_bindgen_test(unsupported = test)]
fn trailers_are_covered_where_they_were_read() {
    let (none, trailers) = (HeaderMap::new(), fields(&[("expires", "Wed, 9 Nov 2022 07:28:00 GMT")]));
    let of = SignedRequest { trailers: Some(&trailers), ..request(&none) };
    check(r#""expires";tr"#, &of, r#""expires";tr: Wed, 9 Nov 2022 07:28:00 GMT"#);
    assert_eq!(base(r#"("expires")"#, &of), Err(MessageError::Component));
    assert_eq!(base(r#"("expires";tr)"#, &request(&none)), Err(MessageError::Component));
}

#[wasm_bindgen_test(unsupported = test)]
fn components_that_a_request_cannot_have_are_refused() {
    let fields = of_standard(&[("example-dict", "a=1"), ("no-structure", "a=1, a")]);
    let of = SignedRequest { query: Some("a=1&a=2&b=1"), ..request(&fields) };
    for wrong in [
        r#"("@status")"#,
        r#"("@signature-params")"#,
        r#"("@unknown")"#,
        r#"("@method";sf)"#,
        r#"("@query-param")"#,
        r#"("@query-param";name="c")"#,
        r#"("@query-param";name="a")"#,
        r#"("@query-param";name=b)"#,
        r#"("@query-param";name="%62")"#,
        r#"("x-missing")"#,
        r#"("Date")"#,
        r#"("date";req)"#,
        r#"("date";x)"#,
        r#"("date";sf)"#,
        r#"("example-dict";key="b")"#,
        r#"("example-dict";bs;sf)"#,
        r#"("example-dict";key=a)"#,
        r#"("no-structure";key="b")"#,
        r#"("")"#,
    ] {
        assert_eq!(base(wrong, &of), Err(MessageError::Component), "{wrong}");
    }
    for (wrong, error) in [
        (r#"("date" "date")"#, MessageError::Component),
        (r#"("a";sf;bs "a";sf;bs)"#, MessageError::Component),
        (r#"(date)"#, MessageError::Component),
        (r#""date""#, MessageError::Form),
        (r#"("date""#, MessageError::Form),
    ] {
        assert_eq!(base(wrong, &of), Err(error), "{wrong}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn signatures_are_found_by_label_and_tag() {
    let many = |labels: &[&str], tag: &str| {
        let input = labels.iter().map(|label| format!("{label}=();created=1;tag=\"{tag}{label}\"")).collect::<Vec<_>>();
        let signature = labels.iter().map(|label| format!("{label}=:AQ==:")).collect::<Vec<_>>();
        fields(&[("signature-input", &input.join(", ")), ("signature", &signature.join(", "))])
    };
    let own = HttpSignatureSettings { label: Some("b".into()), ..settings(&[]) };
    let count = |settings: &HttpSignatureSettings, fields: &HeaderMap| {
        settings.presented(fields).map(|found| found.map_or(0, |found| found.len()))
    };
    assert_eq!(count(&settings(&[]), &HeaderMap::new()), Ok(0));
    assert_eq!(count(&settings(&[]), &many(&["a", "b"], "")), Ok(2));
    assert_eq!(count(&own, &many(&["a", "b", "c", "d", "e"], "")), Ok(1));
    assert_eq!(count(&settings(&[]), &many(&["a", "b", "c", "d", "e"], "")), Err(MessageError::TooMany));
    assert_eq!(count(&own, &many(&["a"], "")), Err(MessageError::OtherSignature));
    let tagged = HttpSignatureSettings { tag: Some("app-a".into()), ..settings(&[]) };
    assert_eq!(count(&tagged, &many(&["a", "b"], "app-")), Ok(1));
    assert_eq!(count(&tagged, &many(&["a"], "")), Err(MessageError::OtherSignature));
    for (input, signature, error) in [
        ("a=()", "b=:AQ==:", MessageError::Form),
        ("a=()", "a=1", MessageError::Form),
        ("a=(), a=()", "a=:AQ==:", MessageError::Several),
        ("a=()", "a=:AQ==:, a=:AQ==:", MessageError::Several),
        ("a", "a=:AQ==:", MessageError::Form),
        ("A=()", "A=:AQ==:", MessageError::Form),
    ] {
        let fields = fields(&[("signature-input", input), ("signature", signature)]);
        assert_eq!(count(&settings(&[]), &fields), Err(error), "{input} {signature}");
    }
    assert_eq!(count(&settings(&[]), &fields(&[("signature", "a=:AQ==:")])), Err(MessageError::Form));
}

/// The result of all checks before the signature is verified.
fn checked(settings: &HttpSignatureSettings, input: &str, has_content: bool) -> Result<(), MessageError> {
    let fields = of_standard(&[("signature-input", &format!("sig={input}")), ("signature", "sig=:AQ==:")]);
    let presented = settings.presented(&fields)?.unwrap();
    presented[0].check(settings, &request(&fields), has_content, Timestamp::from_millis(1_000_000))
}

#[wasm_bindgen_test(unsupported = test)]
fn method_url_and_content_are_covered_unless_the_policy_says_otherwise() {
    let check = |components: &str, has_content| {
        checked(&settings(&[]), &format!("({components});created=1000;keyid=\"k\""), has_content)
    };
    let parts = r#""@method" "@authority" "@path" "@query""#;
    for good in [r#""@method" "@target-uri""#, parts, r#""@method" "@authority" "@request-target""#] {
        assert_eq!(check(good, false), Ok(()), "{good}");
        assert_eq!(check(good, true), Err(MessageError::Uncovered), "{good}");
        assert_eq!(check(&format!("{good} \"content-digest\""), true), Ok(()), "{good}");
        assert_eq!(check(&format!("{good} \"content-digest\";bs"), true), Ok(()), "{good}");
        assert_eq!(check(&format!("{good} \"content-digest\";key=\"sha-512\""), true), Err(MessageError::Uncovered));
    }
    for bad in ["", r#""@target-uri""#, r#""@method" "@path" "@query""#, r#""@method" "@authority" "@path""#] {
        assert_eq!(check(bad, false), Err(MessageError::Uncovered), "{bad}");
    }
    let own = settings(&["@query-param;name=\"Pet\"", "date"]);
    let input = |components: &str| format!("({components});created=1000;keyid=\"k\"");
    assert_eq!(checked(&own, &input(r#""@query-param";name="Pet" "date""#), true), Ok(()));
    assert_eq!(checked(&own, &input(r#""@query-param";name="param" "date""#), true), Err(MessageError::Uncovered));
}

#[wasm_bindgen_test(unsupported = test)]
fn parameters_have_their_types_and_times() {
    let with = |settings: &HttpSignatureSettings, parameters: &str| {
        checked(settings, &format!("(\"@method\" \"@target-uri\"){parameters}"), false)
    };
    let check = |parameters: &str| with(&settings(&[]), parameters);
    for good in [
        ";created=1000;keyid=\"k\"",
        ";created=690;keyid=\"k\"",
        ";created=1010;keyid=\"k\"",
        ";created=1000;keyid=\"k\";expires=991",
        ";created=1000;keyid=\"k\";alg=\"ed25519\";nonce=\"n\";tag=\"t\";other=1",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for (wrong, error) in [
        ("", MessageError::Parameter),
        (";created=1000", MessageError::Parameter),
        (";keyid=\"k\"", MessageError::Parameter),
        (";created=1000.0;keyid=\"k\"", MessageError::Parameter),
        (";created=-1;keyid=\"k\"", MessageError::Parameter),
        (";created=1000;keyid=k", MessageError::Parameter),
        (";created=1000;keyid=\"k\";nonce=1", MessageError::Parameter),
        (";created=689;keyid=\"k\"", MessageError::Late),
        (";created=1011;keyid=\"k\"", MessageError::Early),
        (";created=1000;keyid=\"k\";expires=990", MessageError::Late),
        (";created=1000;keyid=\"k\";alg=\"none\"", MessageError::Algorithm),
        (";created=1000;keyid=\"k\";alg=\"hmac-sha256\"", MessageError::Algorithm),
    ] {
        assert_eq!(check(wrong), Err(error), "{wrong}");
    }
    let required = HttpSignatureSettings { required: vec!["nonce".into()], ..settings(&[]) };
    assert_eq!(with(&required, ";created=1000;keyid=\"k\""), Err(MessageError::Parameter));
    assert_eq!(with(&required, ";created=1000;keyid=\"k\";nonce=\"n\""), Ok(()));
}

#[wasm_bindgen_test(unsupported = test)]
fn rfc_9530_the_digest_is_that_of_the_content() {
    let check = |digest: &str, content: &[u8]| {
        let digests = content_digests(&fields(&[("content-digest", digest)]))?;
        let is_right = digests.iter().all(|(hash, digest)| hash.digest(content) == *digest);
        if is_right { Ok(()) } else { Err(MessageError::DigestWrong) }
    };
    let content = br#"{"hello": "world"}"#;
    let sha256 = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    for good in [DIGEST, sha256, &format!("{DIGEST}, {sha256}"), &format!("md5=:AQ==:, unixsum=1, {sha256}")] {
        assert_eq!(check(good, content), Ok(()), "{good}");
        assert_eq!(check(good, b"other"), Err(MessageError::DigestWrong), "{good}");
    }
    assert_eq!(check(&format!("{DIGEST}, sha-256=:AQ==:"), content), Err(MessageError::DigestWrong));
    for bad in
        ["", "md5=:AQ==:", "sha-256=1", "sha-256", "sha-256=:!:", &format!("{sha256}, {sha256}"), "SHA-256=:AQ==:"]
    {
        assert_eq!(check(bad, content), Err(MessageError::Digest), "{bad}");
    }
    assert_eq!(content_digests(&HeaderMap::new()), Err(MessageError::Digest));
    assert_eq!(
        content_digests(&fields(&[("content-digest", &format!("{DIGEST}, {sha256}"))])).map(|all| all.len()),
        Ok(2)
    );
    assert_eq!(check("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", b""), Ok(()));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signer_is_asked_for_what_is_required() {
    let plain = settings(&[]);
    let default = r#"("@method" "@target-uri" "content-digest");created"#;
    assert_eq!(plain.accept_signature("sig2"), Some(format!("sig2={default}")));
    let own = HttpSignatureSettings {
        label: Some("app".into()),
        tag: Some("a\"b".into()),
        required: vec!["expires".into()],
        ..settings(&["date"])
    };
    assert_eq!(own.accept_signature("sig").as_deref(), Some(r#"app=("date");created;expires;tag="a\"b""#));
    assert_eq!(plain.consumer("partners", "k").as_deref(), Some("partners:k"));
    let owned = HttpSignatureSettings { owners: vec![("k".into(), "acme".into())], ..plain };
    assert_eq!((owned.consumer("p", "k").as_deref(), owned.consumer("p", "l")), (Some("acme"), None));
}

#[wasm_bindgen_test(unsupported = test)]
fn settings_have_keys_for_their_algorithms() {
    let shared = HttpSignatureSettings { algorithms: [Algorithm::Hs256].into_iter().collect(), ..settings(&[]) };
    assert!(settings(&["date"]).is_coherent() && !shared.is_coherent());
    let secrets =
        SigningKeys::Secrets(vec!["k".into()], vec![crate::secret::SecretText::parse("${secret.K}").unwrap()]);
    let with_secrets = HttpSignatureSettings { keys: secrets, ..shared };
    assert!(with_secrets.is_coherent() && with_secrets.uses().secrets.len() == 1);
    let fetched = HttpSignatureSettings { keys: SigningKeys::Set("https://a/".into(), false), ..settings(&[]) };
    assert_eq!((fetched.uses().fetches, settings(&[]).uses().fetches, with_secrets.uses().fetches), (2, 0, 0));
    assert!(!HttpSignatureSettings { components: vec!["\"@status\"".into()], ..settings(&[]) }.is_coherent());
    for wrong in ["@status", "Date", "@query-param", "date;req", "", "date;", "@method;sf", "@query-param;name=\"a b\""]
    {
        assert!(component(wrong).is_err(), "{wrong}");
    }
    assert_eq!(component("@query-param;name=\"a\"").as_deref(), Ok("\"@query-param\";name=\"a\""));
}

#[wasm_bindgen_test(unsupported = test)]
fn shared_secrets_are_texts_or_bytes() {
    let key = |secret: &str| shared_key("k", &crate::secret::Secret::new(secret.into()));
    let text = "a secret of thirty-two bytes, ok";
    assert_eq!(key(text).unwrap(), key("base64:YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgb2s=").unwrap());
    assert_eq!(key(text).unwrap().id.as_deref(), Some("k"));
    assert_eq!((key("short"), key("base64:AQ==")), (Err(SharedKeyError::Short), Err(SharedKeyError::Short)));
    assert_eq!(key("base64:!"), Err(SharedKeyError::Base64));
}

proptest! {
    #[test]
    fn no_field_causes_a_panic(input in "[ -~]{0,60}", signature in "[ -~]{0,30}", digest in "[ -~]{0,30}") {
        let fields = of_standard(&[("signature-input", &input), ("signature", &signature)]);
        let settings = settings(&[]);
        if let Ok(Some(all)) = settings.presented(&fields) {
            for presented in all {
                let _ = presented.check(&settings, &request(&fields), true, Timestamp::from_millis(0));
                let _ = presented.base(&request(&fields));
            }
        }
        let _ = content_digests(&self::fields(&[("content-digest", &digest)]));
    }

    /// What a signer signs is what the gateway reads; another method, path, query or content is another base.
    #[test]
    fn what_is_signed_is_accepted_and_nothing_else_has_its_base(path in "/[a-z]{0,4}", query in "[a-z=&]{0,6}", content in "[a-z]{0,3}") {
        let (settings, none) = (settings(&[]), HeaderMap::new());
        let of = SignedRequest { path: &path, query: Some(&query), ..request(&none) };
        let now = Timestamp::from_millis(1_000_000);
        let mut signed = Vec::new();
        let lines = settings.fields_of("k", &of, content.as_bytes(), now, |base| { signed = base.to_vec(); vec![1] }).unwrap();
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let fields = fields(&lines);
        let of = SignedRequest { fields: &fields, ..of };
        let presented = settings.presented(&fields).unwrap().unwrap();
        prop_assert_eq!(presented[0].check(&settings, &of, !content.is_empty(), now), Ok(()));
        prop_assert_eq!(presented[0].base(&of).unwrap(), signed.clone());
        if !content.is_empty() {
            let digest = ContentHash::Sha256.digest(content.as_bytes());
            prop_assert_eq!(content_digests(&fields), Ok(vec![(ContentHash::Sha256, digest)]));
        }
        let others = [SignedRequest { method: "PUT", ..of }, SignedRequest { path: "/12345", ..of }, SignedRequest { query: None, ..of }];
        for other in others {
            prop_assert_ne!(presented[0].base(&other).unwrap(), signed.clone());
        }
    }
}
