//! Signatures of requests to AWS and to what is compatible with it (Signature Version 4).
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use http::HeaderName;
use minicbor::Encode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::{self, Decode};
use crate::hex;
use crate::hmac::hmac;
use crate::order;
use crate::query;
use crate::secret::{Secret, SecretText};
use crate::text::escape;
use crate::time::Timestamp;

/// How requests to an AWS service are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct AwsSettings {
    /// The region of the service.
    #[n(0)]
    pub region: String,
    /// The service's name in signatures, such as `s3`.
    #[n(1)]
    pub service: String,
    /// The id of the access key.
    #[n(2)]
    pub key_id: SecretText,
    /// The secret access key.
    #[n(3)]
    pub secret: SecretText,
    /// The session token of temporary keys.
    #[serde(default)]
    #[n(4)]
    pub session: Option<SecretText>,
    /// Whether content is sent without being signed, as a stream.
    #[serde(default)]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub streams: bool,
    /// The `X-Amz-*` fields of clients that are forwarded, in lower case; all others are removed.
    #[serde(default)]
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub forwarded: Vec<String>,
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub struct AwsRequest<'r> {
    /// Its method.
    pub method: &'r str,
    /// Its path as it is sent.
    pub path: &'r str,
    /// Its query as it is sent.
    pub query: Option<&'r str>,
    /// The fields, sorted by name.
    pub fields: &'r [(&'r str, &'r [u8])],
    /// The value of `X-Amz-Content-Sha256`.
    pub content: &'r str,
    /// The value of `X-Amz-Date`.
    pub time: &'r str,
}

/// The key that signs the requests of one day.
pub type AwsKey = [u8; 32];

impl AwsSettings {
    /// The fields that the gateway sets.
    pub const SET: [HeaderName; 3] = [
        HeaderName::from_static("x-amz-date"),
        HeaderName::from_static("x-amz-content-sha256"),
        HeaderName::from_static("x-amz-security-token"),
    ];

    /// Whether a field of a client could make the service do something that the request does not say, such as copying another
    /// object: it is read by AWS, and not one of those that are forwarded.
    #[must_use]
    pub fn removes(&self, name: &str) -> bool {
        let read = |text: &str| {
            text.bytes().zip(PREFIX.bytes()).all(|(a, b)| a == b || !a.is_ascii_alphanumeric() && b == b'-')
        };
        name.len() > PREFIX.len() && read(name) && !self.forwarded.iter().any(|own| own == name)
    }

    /// Whether a field is signed.
    #[must_use]
    pub fn signs(name: &str) -> bool {
        name == "host" || name == "content-type" || name.starts_with(PREFIX)
    }

    /// The key for the requests of the day of this time.
    #[must_use]
    pub fn key(&self, secret: &Secret, time: &str) -> AwsKey {
        let first = hmac(["AWS4", secret.expose()].concat().as_bytes(), day(time).as_bytes());
        let all = [self.region.as_str(), self.service.as_str(), "aws4_request"];
        all.into_iter().fold(first, |key, text| hmac(&key, text.as_bytes()))
    }

    /// The value of `Authorization` for a request, with an access key of this id.
    #[must_use]
    pub fn authorization(&self, key_id: &Secret, key: &AwsKey, request: &AwsRequest<'_>) -> Secret {
        let mut names: Vec<&str> = request.fields.iter().map(|(name, _)| *name).collect();
        names.dedup();
        let names = names.join(";");
        let scope = [day(request.time), &self.region, &self.service, "aws4_request"].join("/");
        let digest = hex::encode(&self.canonical(request, &names));
        let signed = ["AWS4-HMAC-SHA256", request.time, &scope, &digest].join("\n");
        let signature = hex::encode(&hmac(key, signed.as_bytes()));
        Secret::new(
            [
                "AWS4-HMAC-SHA256 Credential=",
                key_id.expose(),
                "/",
                &scope,
                ", SignedHeaders=",
                &names,
                ", Signature=",
                &signature,
            ]
            .concat(),
        )
    }

    /// The digest of the request in its canonical form.
    fn canonical(&self, request: &AwsRequest<'_>, names: &str) -> [u8; 32] {
        let mut head = [request.method, "\n"].concat();
        self.write_path(&mut head, request.path);
        head.push('\n');
        write_query(&mut head, request.query.unwrap_or_default());
        let mut hash = Sha256::new();
        hash.update(head);
        let mut before = "";
        for (name, value) in request.fields {
            hash.update(if *name == before { "," } else { "\n" });
            if *name != before {
                hash.update(name);
                hash.update(":");
            }
            let mut words = value.split(|byte| *byte == b' ' || *byte == b'\t').filter(|word| !word.is_empty());
            hash.update(words.next().unwrap_or_default());
            for word in words {
                hash.update(" ");
                hash.update(word);
            }
            before = name;
        }
        for text in ["\n\n", names, "\n", request.content] {
            hash.update(text);
        }
        hash.finalize().into()
    }

    /// S3 encodes the decoded path; every other service encodes the path once more.
    fn write_path(&self, out: &mut String, path: &str) {
        if self.is_s3() {
            encode(out, &query::decoded(&path.replace('+', "%2B")), b"/");
        } else {
            encode(out, path.as_bytes(), b"/");
        }
    }

    /// Whether the service has the rules of S3.
    #[must_use]
    pub fn is_s3(&self) -> bool {
        self.service == "s3" || self.service.starts_with("s3-") || self.service == "s3express"
    }
}

/// The value of `X-Amz-Date`: `20150830T123600Z`.
#[must_use]
pub fn aws_time(now: Timestamp) -> String {
    let mut text: String = now.to_rfc3339().chars().take("2015-08-30T12:36:00".len()).collect();
    text.retain(|c| c != '-' && c != ':');
    text.push('Z');
    text
}

/// The value of `X-Amz-Content-Sha256` for content.
#[must_use]
pub fn aws_digest(content: &[u8]) -> String {
    hex::encode(&Sha256::digest(content))
}

/// The value of `X-Amz-Content-Sha256` of content that is not signed.
pub const UNSIGNED_CONTENT: &str = "UNSIGNED-PAYLOAD";

const PREFIX: &str = "x-amz-";

fn day(time: &str) -> &str {
    time.get(..8).unwrap_or_default()
}

/// Names and values are sorted in their encoded form.
fn write_query(out: &mut String, query: &str) {
    let encoded = |text: &str| {
        let mut out = String::new();
        encode(&mut out, &query::decoded(text), b"");
        out
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<(String, String)> = pairs.map(|(name, value)| (encoded(name), encoded(value))).collect();
    order::sort_by(&mut pairs, |one, other| one < other);
    for (at, (name, value)) in pairs.iter().enumerate() {
        let separator = if at > 0 { "&" } else { "" };
        [separator, name, "=", value].into_iter().for_each(|text| out.push_str(text));
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986, section 2.3) and those that are kept.
fn encode(out: &mut String, bytes: &[u8], kept: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte) {
            out.push(char::from(*byte));
        } else {
            escape(out, *byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn settings(service: &str) -> AwsSettings {
        let secret = || SecretText::parse("${secret.A}").unwrap();
        let (region, service) = ("us-east-1".to_owned(), service.to_owned());
        let (streams, forwarded) = (false, vec!["x-amz-target".to_owned()]);
        AwsSettings { region, service, key_id: secret(), secret: secret(), session: None, streams, forwarded }
    }

    /// The last part of the value: the signature.
    fn signature(service: &str, secret: &str, request: &AwsRequest<'_>) -> String {
        let settings = settings(service);
        let key = settings.key(&Secret::new(secret.into()), request.time);
        let value = settings.authorization(&Secret::new("AKIDEXAMPLE".into()), &key, request);
        value.expose().rsplit_once("Signature=").unwrap().1.to_owned()
    }

    /// AWS's published test suite (`get-vanilla`, `get-vanilla-query-order-key-case`, `post-vanilla`), and the example of the
    /// documentation for IAM.
    #[wasm_bindgen_test(unsupported = test)]
    fn signatures_are_those_of_the_published_examples() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let (time, content) = ("20150830T123600Z", aws_digest(b""));
        let fields: &[(&str, &[u8])] = &[("host", b"example.amazonaws.com"), ("x-amz-date", time.as_bytes())];
        let vanilla = AwsRequest { method: "GET", path: "/", query: None, fields, content: &content, time };
        let of = |request| signature("service", secret, &request);
        assert_eq!(of(vanilla), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        let sorted = AwsRequest { query: Some("Param2=value2&Param1=value1"), ..vanilla };
        assert_eq!(of(sorted), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
        let post = AwsRequest { method: "POST", ..vanilla };
        assert_eq!(of(post), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
        let fields: &[(&str, &[u8])] = &[
            ("content-type", b"application/x-www-form-urlencoded; charset=utf-8"),
            ("host", b"iam.amazonaws.com"),
            ("x-amz-date", time.as_bytes()),
        ];
        let users = AwsRequest { query: Some("Action=ListUsers&Version=2010-05-08"), fields, ..vanilla };
        let value = signature("iam", secret, &users);
        assert_eq!(value, "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    /// The examples of the documentation of S3, in which the path is encoded once.
    #[wasm_bindgen_test(unsupported = test)]
    fn s3_requests_are_signed_by_its_own_rules() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let (time, none) = ("20130524T000000Z", aws_digest(b""));
        let welcome = aws_digest(b"Welcome to Amazon S3.");
        let (host, time_bytes) = (("host", &b"examplebucket.s3.amazonaws.com"[..]), time.as_bytes());
        let get =
            [host, ("range", b"bytes=0-9"), ("x-amz-content-sha256", none.as_bytes()), ("x-amz-date", time_bytes)];
        let list = [host, ("x-amz-content-sha256", none.as_bytes()), ("x-amz-date", time_bytes)];
        let put = [
            ("date", &b"Fri, 24 May 2013 00:00:00 GMT"[..]),
            host,
            ("x-amz-content-sha256", welcome.as_bytes()),
            ("x-amz-date", time_bytes),
            ("x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        ];
        for (method, path, query, fields, content, want) in [
            (
                "GET",
                "/test.txt",
                None,
                &get[..],
                &none,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                None,
                &put,
                &welcome,
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                Some("lifecycle"),
                &list,
                &none,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                Some("prefix=J&max-keys=2"),
                &list,
                &none,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let request = AwsRequest { method, path, query, fields, content, time };
            assert_eq!(signature("s3", secret, &request), want, "{method} {path}");
        }
    }

    /// Not from a publication: of an implementation in Python that agrees with all published examples.
    #[wasm_bindgen_test(unsupported = test)]
    fn escapes_blanks_and_repeated_fields_have_one_canonical_form() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let (time, content) = ("20150830T123600Z", aws_digest(b"a=1"));
        let fields: &[(&str, &[u8])] = &[
            ("content-type", b" text/plain;  charset=utf-8 "),
            ("host", b"example.amazonaws.com"),
            ("x-amz-date", time.as_bytes()),
            ("x-amz-meta", b"b"),
            ("x-amz-meta", b"a \t c"),
        ];
        let query = Some("b=%20+%2f&a&b=%C3%A9&a=!'()*");
        let request = AwsRequest { method: "POST", path: "/a%20b/(c)+", query, fields, content: &content, time };
        for (service, want) in [("execute-api", PLAIN), ("s3", S3)] {
            assert_eq!(signature(service, secret, &request), want, "{service}");
        }
    }

    const PLAIN: &str = "909fc99feb6a4462b16434d20e2d1cf27951af493fb8d7d7a15c90ad8ea2b5a3";
    const S3: &str = "46641ead649ac4bddc526e38af6c9a2f766f162d54d146fc08556a91db04e67b";

    #[wasm_bindgen_test(unsupported = test)]
    fn the_value_names_key_scope_and_signed_fields() {
        let fields: &[(&str, &[u8])] = &[("host", b"a"), ("x-amz-meta", b"b"), ("x-amz-meta", b"c")];
        let request =
            AwsRequest { method: "GET", path: "/", query: None, fields, content: "", time: "20150830T123600Z" };
        let value = settings("s3").authorization(&Secret::new("AKID".into()), &[0; 32], &request);
        let start = "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-meta, Signature=";
        assert!(value.expose().starts_with(start), "{}", value.expose());
        assert_eq!(aws_time(Timestamp::from_rfc3339("2015-08-30T12:36:00.999Z").unwrap()), "20150830T123600Z");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_clients_say_to_the_service_is_removed_in_every_spelling() {
        let settings = settings("dynamodb");
        for removed in ["x-amz-copy-source", "x_amz_acl", "x.amz-acl", "x-amz-security-token", "x_amz_target"] {
            assert!(settings.removes(removed), "{removed}");
        }
        for kept in ["x-amz-target", "x-amzn-trace-id", "host", "x-am", "x-amz-", "content-type", "xaamza1"] {
            assert!(!settings.removes(kept), "{kept}");
        }
        assert!(AwsSettings::signs("host") && AwsSettings::signs("x-amz-date") && !AwsSettings::signs("accept"));
    }
}
