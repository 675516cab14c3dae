use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::authn::Authenticator as _;
use crate::kinds::PolicyKind;
use crate::secret::SecretText;
use std::num::NonZeroU32;

fn settings(sender: WebhookSender) -> WebhookSettings {
    let secrets = vec![SecretText::parse("${secret.HOOKS}").unwrap()];
    WebhookSettings { sender, secrets, consumer: None, tolerance_s: 300, once_ms: None }
}

fn hmac(prefix: &str, timestamp_field: Option<&str>, signed: &str) -> HmacSender {
    HmacSender {
        field: "x-signature".into(),
        prefix: prefix.into(),
        algorithm: HmacHash::Sha512,
        encoding: Encoding::Base64,
        timestamp_field: timestamp_field.map(str::to_owned),
        signed: signed.into(),
    }
}

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

/// What is signed, and how many signatures there are, or why the fields are refused.
fn read(sender: WebhookSender, lines: &[(&str, &str)]) -> Result<Option<(String, usize)>, MessageError> {
    let settings = settings(sender);
    let (now, fields) = (Timestamp::from_millis(1_000_000_000), fields(lines));
    let Some(signed) = settings.presented(&fields)? else { return Ok(None) };
    settings.check_time(&signed, now)?;
    let message = signed.message(&Bytes::from_static(b"content"));
    Ok(Some((String::from_utf8(message.to_vec()).unwrap(), signed.signatures.len())))
}

#[track_caller]
fn check(sender: WebhookSender, lines: &[(&str, &str)], message: &str, signatures: usize) {
    assert_eq!(read(sender, lines), Ok(Some((message.into(), signatures))), "{lines:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn each_sender_signs_its_own_parts_of_the_message() {
    let standard = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1000000"),
        ("webhook-signature", "v1,AAAA v1a,AQID v9,x v1,BBBB"),
    ];
    check(WebhookSender::StandardWebhooks, &standard, "msg_1.1000000.content", 3);
    let older = [("svix-id", "msg_1"), ("svix-timestamp", "1000000"), ("svix-signature", "v1,AAAA")];
    check(WebhookSender::StandardWebhooks, &older, "msg_1.1000000.content", 1);
    check(WebhookSender::StandardWebhooks, &[&standard[..], &older[..]].concat(), "msg_1.1000000.content", 3);
    check(WebhookSender::GitHub, &[("x-hub-signature-256", "sha256=00aF")], "content", 1);
    check(WebhookSender::Stripe, &[("stripe-signature", "t=1000000,v1=00,v0=zz,v1=01")], "1000000.content", 2);
    let slack = [("x-slack-request-timestamp", "1000000"), ("x-slack-signature", "v0=00")];
    check(WebhookSender::Slack, &slack, "v0:1000000:content", 1);
    let own = hmac("hash=", Some("x-time"), "<{body}|{timestamp}>");
    check(
        WebhookSender::Hmac(own),
        &[("x-time", "1000000"), ("x-signature", "hash=AAAA, hash=BBBB")],
        "<content|1000000>",
        2,
    );
    check(WebhookSender::Hmac(hmac("", None, "{body}")), &[("x-signature", "AAAA")], "content", 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_without_the_field_is_not_signed() {
    for sender in [WebhookSender::StandardWebhooks, WebhookSender::GitHub, WebhookSender::Stripe, WebhookSender::Slack]
    {
        assert_eq!(read(sender, &[("webhook-id", "a"), ("x-hub-signature", "sha1=00")]), Ok(None));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn other_forms_are_refused_with_their_reason() {
    let github = |value: &str| read(WebhookSender::GitHub, &[("x-hub-signature-256", value)]).unwrap_err();
    for other in ["", "sha1=00", "00", "sha256=", "sha256=0", "sha256=0g", "SHA256=00", "sha256=00,sha256=00", "\u{e9}"]
    {
        assert_eq!(github(other), MessageError::Form, "{other:?}");
    }
    let stripe = |value: &str| read(WebhookSender::Stripe, &[("stripe-signature", value)]).unwrap_err();
    assert_eq!(stripe("v1=00"), MessageError::Timestamp);
    assert_eq!(stripe("t=1000000,t=1000000,v1=00"), MessageError::Several);
    assert_eq!(stripe("t=1000000"), MessageError::Form);
    assert_eq!(stripe("t=1000000,v1=00,v1=00,v1=00,v1=00,v1=00"), MessageError::TooMany);
    for other in ["t= 1,v1=00", "t=,v1=00", "t=1.0,v1=00", "t=-1,v1=00"] {
        assert_eq!(stripe(other), MessageError::Timestamp, "{other}");
    }
    assert_eq!((stripe("t=999699,v1=00"), stripe("t=1000301,v1=00")), (MessageError::Late, MessageError::Early));
    let two = [("x-hub-signature-256", "sha256=00"), ("x-hub-signature-256", "sha256=01")];
    assert_eq!(read(WebhookSender::GitHub, &two), Err(MessageError::Several));
}

#[wasm_bindgen_test(unsupported = test)]
fn fields_of_both_names_are_never_mixed() {
    let mixed = [("svix-id", "msg_1"), ("webhook-timestamp", "1000000"), ("svix-signature", "v1,AAAA")];
    assert_eq!(read(WebhookSender::StandardWebhooks, &mixed), Err(MessageError::Timestamp));
    let mixed = [("svix-id", "msg_1"), ("svix-timestamp", "1000000"), ("webhook-signature", "v1,AAAA")];
    assert_eq!(read(WebhookSender::StandardWebhooks, &mixed), Err(MessageError::Timestamp));
    let signed = |lines| settings(WebhookSender::StandardWebhooks).is_signed(&fields(lines));
    assert!(
        signed(&[("svix-signature", "x")]) && signed(&[("webhook-signature", "x")]) && !signed(&[("svix-id", "x")])
    );
    assert!(!settings(WebhookSender::GitHub).is_signed(&fields(&[("svix-signature", "x")])));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_id_cannot_be_read_as_the_time() {
    for id in ["", "a.1000000", "."] {
        let lines = [("webhook-id", id), ("webhook-timestamp", "1000000"), ("webhook-signature", "v1,AAAA")];
        assert_eq!(read(WebhookSender::StandardWebhooks, &lines), Err(MessageError::Id), "{id}");
    }
    let lines = [("webhook-timestamp", "1000000"), ("webhook-signature", "v1,AAAA")];
    assert_eq!(read(WebhookSender::StandardWebhooks, &lines), Err(MessageError::Id));
}

#[wasm_bindgen_test(unsupported = test)]
fn secrets_have_the_form_of_their_sender() {
    let key = |sender, secret: &str| settings(sender).key(&Secret::new(secret.into()));
    let standard = |secret: &str| key(WebhookSender::StandardWebhooks, secret);
    assert_eq!(standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().material.key_type(), KeyType::Octets);
    let public = standard("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").unwrap();
    assert_eq!(public.material.key_type(), KeyType::Ed25519);
    for other in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", "whpk_AAAA", &format!("whpk_{}=", "A".repeat(43))]
    {
        assert_eq!(standard(other).unwrap_err(), WebhookKeyError::Form, "{other}");
    }
    assert_eq!(standard("whsec_AAAA").unwrap_err(), WebhookKeyError::Short);
    assert_eq!(key(WebhookSender::GitHub, "fifteen letters").unwrap_err(), WebhookKeyError::Short);
    assert!(key(WebhookSender::Stripe, "whsec_of 16 bytes").is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_signed_has_the_whole_message() {
    let is_coherent = |own: HmacSender| settings(WebhookSender::Hmac(own)).is_coherent();
    assert!(is_coherent(hmac("", None, "{body}")) && is_coherent(hmac("", Some("x-time"), "{timestamp}:{body}")));
    for (timestamp, signed) in
        [(None, ""), (None, "body"), (None, "{body}{body}"), (None, "{timestamp}{body}"), (Some("x-time"), "{body}")]
    {
        assert!(!is_coherent(hmac("", timestamp, signed)), "{signed}");
    }
    assert!(!is_coherent(hmac("", None, "{body}{id}")) && !is_coherent(hmac("", None, "{body}}")));
    let none = WebhookSettings { secrets: vec![], ..settings(WebhookSender::GitHub) };
    assert!(!none.is_coherent());
    let nobody = WebhookSettings { consumer: Some(String::new()), ..settings(WebhookSender::GitHub) };
    assert!(!nobody.is_coherent());
    let once = WebhookSettings { once_ms: NonZeroU32::new(1), ..settings(WebhookSender::GitHub) };
    assert!(once.uses().once && once.uses().content && once.uses().secrets.len() == 1);
}

proptest! {
    #[test]
    fn no_value_of_the_fields_causes_a_panic(signature in "[ -~]{0,60}", id in "[ -~]{0,12}", time in "[ -~]{0,12}") {
        for sender in [
            WebhookSender::StandardWebhooks,
            WebhookSender::GitHub,
            WebhookSender::Stripe,
            WebhookSender::Slack,
            WebhookSender::Hmac(hmac("v=", Some("x-time"), "{timestamp}{body}")),
        ] {
            let field = sender.form().field.to_owned();
            let lines = [
                (field.as_str(), signature.as_str()), ("webhook-id", &id), ("webhook-timestamp", &time),
                ("x-slack-request-timestamp", &time), ("x-time", &time),
            ];
            let _ = read(sender, &lines);
        }
    }

    #[test]
    fn what_a_sender_sends_is_read_as_it_was_signed(bytes in "[a-z]{1,8}", at_s in 999_700u64..1_000_300) {
        for sender in [
            WebhookSender::StandardWebhooks,
            WebhookSender::GitHub,
            WebhookSender::Stripe,
            WebhookSender::Slack,
            WebhookSender::Hmac(hmac("v=", Some("x-time"), "{timestamp}{body}")),
        ] {
            let settings = settings(sender);
            let (content, mut signed) = (Bytes::from(bytes.clone()), Vec::new());
            let lines = settings.fields_of("msg_1", Timestamp::from_millis(at_s * 1_000), &content, |_, message| {
                signed = message.to_vec();
                vec![7; 3]
            });
            let lines: Vec<_> = lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let fields = fields(&lines);
            let read = settings.presented(&fields).unwrap().unwrap();
            prop_assert_eq!(settings.check_time(&read, Timestamp::from_millis(1_000_000_000)), Ok(()));
            prop_assert_eq!(read.message(&content), signed);
            let key = Jwk::of_secret(vec![1; 16]);
            prop_assert_eq!(read.candidates(&key).1.collect::<Vec<_>>(), [[7; 3].as_slice()]);
        }
    }

    #[test]
    fn messages_with_other_parts_are_others(id in "[a-z0-9_]{1,4}", time in "[0-9]{1,4}", content in "[.0-9a-z]{0,6}") {
        let form = WebhookSender::StandardWebhooks.form();
        let message = form.message(&id, &time, &Bytes::from(content.clone()));
        let text = String::from_utf8(message.to_vec()).unwrap();
        let mut parts = text.splitn(3, '.');
        prop_assert_eq!(parts.next(), Some(id.as_str()));
        prop_assert_eq!(parts.next(), Some(time.as_str()));
        prop_assert_eq!(parts.next(), Some(content.as_str()));
    }
}
