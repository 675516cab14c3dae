//! `kind: webhook`.

use std::num::NonZeroU32;

use tollgate_core::authn::{Encoding, HmacHash, HmacSender, WEBHOOK_SECRETS_MAX, WebhookSender, WebhookSettings};
use tollgate_core::secret::{Piece, SecretText};

use super::bearer::written_secret;
use super::mapping::can_be_consumer;
use super::{Change, Kind, OWN_NAME, Value, Written, kind_key};
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::schema::texts::{CALLER_NAME, FIELD, FIELD_VALUE};
use crate::schema::{Key, List, Object, Quantity, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authenticates the senders of signed webhooks; named in `authn`";

pub(super) static TABLE: Object = Object {
    name: "webhook",
    doc: "Authenticates the sender of a webhook by the signature of the message, which is read into memory for it, at most \
          1 MiB. Named in `authn`.",
    keys: &[
        kind_key(&[("webhook", DOES)]),
        Key::required("sender", "Who signs, and how.", Shape::Word(SENDERS))
            .change(Change::Review("messages of other senders are accepted")),
        Key::required(
            "secret",
            "The secret that the sender shares with the gateway; a list of two while one is replaced. For `standard-webhooks` \
             it begins with `whsec_` or, for a public key, `whpk_`.",
            Shape::AnyOf(&[
                Shape::Ruled(&FIELD_VALUE),
                Shape::List(&List::some_texts(Shape::Ruled(&FIELD_VALUE), WEBHOOK_SECRETS_MAX)),
            ]),
        )
        .change(Change::MoreIsLooser)
        .examples(&["\"${secret.GITHUB_WEBHOOK}\""]),
        Key::optional("consumer", "The name of the consumer that the sender is.", Shape::Ruled(&CALLER_NAME))
            .absent(OWN_NAME)
            .change(Change::Review("the sender is another consumer"))
            .examples(&["\"github\""]),
        Key::optional(
            "tolerance",
            "How long before or after now a message may have been signed. GitHub signs no time.",
            Shape::Quantity(Quantity::Duration),
        )
        .default("\"5m\"")
        .change(Change::MoreIsLooser),
        Key::optional(
            "once-within",
            "For how long a message that was accepted is refused. At least twice the `tolerance`, up to a day.",
            Shape::Quantity(Quantity::Time),
        )
        .absent("a message is accepted as often as it arrives")
        .change(Change::MoreIsStricter)
        .examples(&["\"10m\""]),
        Key::optional("header", "With `sender: hmac`: the field with the signature.", Shape::Ruled(&FIELD))
            .absent("that of the sender")
            .change(Change::Review("signatures are read from another field"))
            .examples(&["\"X-Signature\""]),
        Key::optional("prefix", "With `sender: hmac`: what is before the signature in the field.", Shape::Text)
            .absent("nothing")
            .change(Change::Review("signatures have another form"))
            .examples(&["\"sha256=\""]),
        Key::optional("hash", "With `sender: hmac`: the hash function.", Shape::Word(HASHES))
            .absent("sha256")
            .change(Change::Review("signatures have another form")),
        Key::optional("encoding", "With `sender: hmac`: how the signature is written.", Shape::Word(ENCODINGS))
            .absent("hex")
            .change(Change::Review("signatures have another form")),
        Key::optional(
            "timestamp-header",
            "With `sender: hmac`: the field with the time of signing, in seconds since 1970.",
            Shape::Ruled(&FIELD),
        )
        .absent("no time is signed")
        .change(Change::Required("other times are accepted"))
        .examples(&["\"X-Timestamp\""]),
        Key::optional(
            "signed",
            "With `sender: hmac`: the text that is signed. `{body}` stands for the content, `{timestamp}` for the value of \
             `timestamp-header`.",
            Shape::Text,
        )
        .absent("`{body}`")
        .change(Change::Review("signatures have another form"))
        .examples(&["\"{timestamp}.{body}\""]),
    ],
    examples: &["{\"kind\": \"webhook\", \"sender\": \"github\", \"secret\": \"${secret.GITHUB_WEBHOOK}\"}"],
    ..Object::PLAIN
};

const SENDERS: &[(&str, &str)] = &[
    ("standard-webhooks", "Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`"),
    ("github", "GitHub: `X-Hub-Signature-256`"),
    ("stripe", "Stripe: `Stripe-Signature`"),
    ("slack", "Slack: `X-Slack-Signature`, `X-Slack-Request-Timestamp`"),
    ("hmac", "another sender that uses HMAC; `header` is required"),
];

const HASHES: &[(&str, &str)] = &[("sha256", "SHA-256"), ("sha384", "SHA-384"), ("sha512", "SHA-512")];
const HASH_WORDS: [(&str, HmacHash); 3] =
    [("sha256", HmacHash::Sha256), ("sha384", HmacHash::Sha384), ("sha512", HmacHash::Sha512)];

const ENCODINGS: &[(&str, &str)] = &[("hex", "hexadecimal"), ("base64", "base64 with padding")];
const ENCODING_WORDS: [(&str, Encoding); 2] = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];

/// The keys that describe a sender with HMAC.
const OF_HMAC: [&str; 6] = ["header", "prefix", "hash", "encoding", "timestamp-header", "signed"];

impl Kind for WebhookSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let sender = sender(written, report);
        let secrets = secrets(written, report);
        let tolerance = written.duration_ms("tolerance")?;
        let once_ms = once(written, &tolerance, sender.as_ref(), report);
        let consumer = written.parsed("consumer", |consumer| {
            let can_be = can_be_consumer(&consumer.value, consumer.span, Code::BadSignaturePolicy, report);
            can_be.then(|| consumer.value.clone())
        });
        Some(Self {
            sender: sender?,
            secrets: secrets?,
            consumer: consumer?,
            tolerance_s: u32::try_from(tolerance.value.div_ceil(1_000)).ok()?,
            once_ms: once_ms?,
        })
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let text = |key, value: &str| (key, Value::Text(value.to_owned()));
        let secrets = self.secrets.iter().map(written_secret).collect();
        let mut values = vec![
            ("sender", Value::Word(word(&self.sender))),
            ("secret", Value::List(secrets)),
            ("tolerance", Value::DurationMs(u64::from(self.tolerance_s) * 1_000)),
        ];
        values.extend(self.consumer.as_deref().map(|consumer| text("consumer", consumer)));
        values.extend(self.once_ms.map(|ms| ("once-within", Value::DurationMs(ms.get().into()))));
        if let WebhookSender::Hmac(own) = &self.sender {
            values.push(text("header", &own.field));
            values.extend((!own.prefix.is_empty()).then(|| text("prefix", &own.prefix)));
            values.extend(Value::word("hash", &HASH_WORDS, &own.algorithm));
            values.extend(Value::word("encoding", &ENCODING_WORDS, &own.encoding));
            values.extend(own.timestamp_field.as_deref().map(|field| text("timestamp-header", field)));
            values.push(text("signed", &own.signed));
        }
        values
    }
}

const fn word(sender: &WebhookSender) -> &'static str {
    match sender {
        WebhookSender::StandardWebhooks => "standard-webhooks",
        WebhookSender::GitHub => "github",
        WebhookSender::Stripe => "stripe",
        WebhookSender::Slack => "slack",
        WebhookSender::Hmac(_) => "hmac",
    }
}

pub(super) fn refuse(report: &mut Report, at: Span, what: String, why: &'static str, fix: String) {
    report.push(Diagnostic::error(Code::BadSignaturePolicy, at, what).why(why).fix(fix));
}

fn sender(written: &Written, report: &mut Report) -> Option<WebhookSender> {
    let words: Vec<(&str, &str)> = SENDERS.iter().map(|(word, _)| (*word, *word)).collect();
    let sender = match written.word("sender", &words)? {
        "standard-webhooks" => WebhookSender::StandardWebhooks,
        "github" => WebhookSender::GitHub,
        "stripe" => WebhookSender::Stripe,
        "slack" => WebhookSender::Slack,
        _ => return hmac(written, report).map(WebhookSender::Hmac),
    };
    for key in OF_HMAC {
        if let Some(value) = written.written(key) {
            let what = format!("`{key}` has no effect with `sender: {}`", word(&sender));
            let fix = format!("remove it, or write `sender: hmac` and all of {}", OF_HMAC.join(", "));
            refuse(report, value.span, what, "the form of this sender's signatures is known", fix);
            return None;
        }
    }
    Some(sender)
}

fn hmac(written: &Written, report: &mut Report) -> Option<HmacSender> {
    let Some(header) = written.text("header") else {
        let at = written.written("sender")?.span;
        let fix = "add `header`, such as `header: X-Signature`".to_owned();
        refuse(report, at, "the field with the signature is missing".to_owned(), "`hmac` has no field of its own", fix);
        return None;
    };
    let field = parsed::field_name(&header, report)?;
    let timestamp_field = written.parsed("timestamp-header", |name| parsed::field_name(name, report))?;
    let signed = written.text("signed");
    let at = signed.as_ref().map_or(header.span, |signed| signed.span);
    let own = HmacSender {
        field,
        prefix: written.text("prefix").map(|prefix| prefix.value).unwrap_or_default(),
        algorithm: written.word("hash", &HASH_WORDS).unwrap_or(HmacHash::Sha256),
        encoding: written.word("encoding", &ENCODING_WORDS).unwrap_or(Encoding::Hex),
        timestamp_field,
        signed: signed.map_or_else(|| "{body}".to_owned(), |signed| signed.value),
    };
    if !own.signs_all() {
        let fix = match own.timestamp_field {
            Some(_) => "write a text such as `{timestamp}.{body}`",
            None => "write a text such as `{body}`, or add `timestamp-header`",
        };
        refuse(
            report,
            at,
            "`signed` does not describe the whole message".to_owned(),
            "it contains `{body}` once, `{timestamp}` once if there is a `timestamp-header`, and no other braces",
            fix.to_owned(),
        );
        return None;
    }
    Some(own)
}

fn secrets(written: &Written, report: &mut Report) -> Option<Vec<SecretText>> {
    let all = written.list("secret");
    let texts: Vec<SecretText> = all.iter().filter_map(|text| secret(text, report)).collect();
    (texts.len() == all.len()).then_some(texts)
}

pub(super) fn secret(text: &Spanned<String>, report: &mut Report) -> Option<SecretText> {
    let secret = parsed::secret_text(text, report)?;
    let is_public = matches!(secret.pieces.as_slice(), [Piece::Text(text)] if text.starts_with("whpk_"));
    if !is_public && secret.secret_names().next().is_none() {
        let fix = "write `${secret.NAME}`, and give the host the value under this name".to_owned();
        let why = "everyone who can read the file, or the published configuration, could sign messages";
        refuse(report, text.span, "the secret is written in the file".to_owned(), why, fix);
        return None;
    }
    Some(secret)
}

/// How long messages are refused that were accepted; `None` if that is shorter than they can be sent again.
#[expect(clippy::option_option, reason = "a refused value differs from an absent one")]
fn once(
    written: &Written,
    tolerance: &Spanned<u64>,
    sender: Option<&WebhookSender>,
    report: &mut Report,
) -> Option<Option<NonZeroU32>> {
    let Some(window) = written.duration_ms("once-within") else { return Some(None) };
    let is_timed = match sender {
        Some(WebhookSender::GitHub) => false,
        Some(WebhookSender::Hmac(own)) => own.timestamp_field.is_some(),
        _ => true,
    };
    let least = if is_timed { tolerance.value.saturating_mul(2) } else { 1 };
    if !(least..=ONCE_MS_MAX).contains(&window.value) {
        let what = "messages are remembered for a time that is too short or too long".to_owned();
        let why = "a message can be sent again until its time of signing is out of `tolerance`, on both sides of now; and \
                   each one takes room for a while";
        let fix = format!("write a time from {} to 24h", crate::schema::written::duration(least.max(1_000)));
        refuse(report, window.span, what, why, fix);
        return None;
    }
    Some(u32::try_from(window.value).ok().and_then(NonZeroU32::new))
}

/// A day.
pub(super) const ONCE_MS_MAX: u64 = 24 * 3_600_000;
