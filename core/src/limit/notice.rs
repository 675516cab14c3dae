//! Notices: what operators are told when a consumer reaches a share of a limit, as a message of Standard Webhooks 1.0.0.

use std::num::NonZeroU8;

use base64ct::{Base64, Encoding as _};
use minicbor::Encode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::authn::standard_key;
use crate::cell::{CellKey, Charge, Verdict, share_of};
use crate::codec::{self, Decode};
use crate::hex;
use crate::hmac::hmac;
use crate::json::object;
use crate::policy_name::PolicyName;
use crate::secret::{Secret, SecretText};
use crate::text::decimal;
use crate::time::Timestamp;

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct NoticeReceiver {
    /// The URL that notices are sent to.
    #[n(0)]
    pub url: String,
    /// What signs them: while it is rotated it has two values, which both sign.
    #[n(1)]
    pub secret: SecretText,
    /// Whether the receiver may have an address that is not public.
    #[serde(default)]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub is_private: bool,
    /// The maximum time of an answer, in milliseconds.
    #[n(3)]
    pub timeout_ms: u32,
}

/// A share of a limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The limit.
    pub limit: PolicyName,
    /// The share, in percent.
    pub percent: NonZeroU8,
    cell: CellKey,
    /// What was to be used for the share.
    at: u64,
    used: u64,
    quota: u32,
    window: (Timestamp, Timestamp),
    now: Timestamp,
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug)]
pub struct NoticeCaller<'c> {
    /// The consumer.
    pub consumer: &'c str,
    /// Its plan.
    pub plan: Option<&'c str>,
    /// Its subscription.
    pub subscription: Option<&'c str>,
    /// The public id of its credential, if the limit is one of the credential.
    pub credential: Option<&'c str>,
}

impl Reached {
    /// What a charge has reached.
    #[must_use]
    pub fn new(cell: &CellKey, charge: &Charge, said: &Verdict, percent: NonZeroU8, now: Timestamp) -> Self {
        Self {
            limit: charge.quota.clone(),
            percent,
            cell: cell.clone(),
            at: share_of(charge.burst, percent),
            used: charge.burst.get().saturating_sub(said.remaining).into(),
            quota: charge.burst.get(),
            window: charge.window_at(now),
            now,
        }
    }

    /// The id of the message: of what is told once, everyone who tells it makes the same.
    #[must_use]
    pub fn id(&self, gateway: &str) -> String {
        let mut hash = Sha256::new();
        for text in [gateway, &self.limit, self.cell.as_str()] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.update(self.window.0.as_micros().to_be_bytes());
        hash.update(self.at.to_be_bytes());
        let mut id = String::from("msg_");
        hex::push(&mut id, &hash.finalize()[..ID_BYTES]);
        id
    }

    /// The content of the message.
    #[must_use]
    pub fn content(&self, gateway: &str, caller: Option<NoticeCaller<'_>>) -> String {
        let mut out = String::new();
        let time = |at: Timestamp| at.to_rfc3339();
        object(&mut out, |message| {
            let is_all = self.percent.get() >= 100;
            message.word("type", if is_all { "limit.exhausted" } else { "limit.threshold-reached" });
            message.word("timestamp", &time(self.now));
            message.object("data", |data| {
                data.text("gateway", gateway);
                data.text("limit", &self.limit);
                data.number("threshold", self.percent.get().into());
                if let Some(caller) = caller {
                    data.text("consumer", caller.consumer);
                    let NoticeCaller { plan, subscription, credential, .. } = caller;
                    for (name, text) in [("plan", plan), ("subscription", subscription), ("credential", credential)] {
                        if let Some(text) = text {
                            data.text(name, text);
                        }
                    }
                }
                data.object("window", |window| {
                    window.word("start", &time(self.window.0));
                    window.word("end", &time(self.window.1));
                });
                data.number("used", self.used);
                data.number("quota", self.quota.into());
            });
        });
        out
    }
}

/// The value of `webhook-signature`: one signature for each secret. `None` if one is no secret of the standard.
#[must_use]
pub fn signatures(secrets: &[Secret], id: &str, at: Timestamp, content: &str) -> Option<String> {
    let mut signed = [id, "."].concat();
    decimal(&mut signed, at.as_secs());
    signed.push('.');
    signed.push_str(content);
    let mut out = String::new();
    for secret in secrets {
        let signature = hmac(&standard_key(secret.expose()).ok()?, signed.as_bytes());
        out.push_str(if out.is_empty() { "v1," } else { " v1," });
        out.push_str(&Base64::encode_string(&signature));
    }
    Some(out)
}

/// Half of a SHA-256: two messages with one id are found by nobody.
const ID_BYTES: usize = 16;

/// Maximum number of receivers: each is told of every share.
pub const NOTICE_RECEIVERS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use wasm_bindgen_test::wasm_bindgen_test;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn reached(quota: u32, percent: u8, now: Timestamp) -> Reached {
        let n = |number| NonZeroU32::new(number).unwrap();
        let charge = Charge {
            quota: "monthly".into(),
            rate: n(quota),
            period_ms: n(86_400_000),
            burst: n(quota),
            cost: n(1),
            algorithm: Some(crate::cell::Algorithm::FixedWindow),
            lease: None,
            tells: None,
        };
        let said = Verdict {
            allowed: true,
            remaining: quota / 5,
            reset_us: 1,
            retry_after_us: Some(0),
            wait_us: None,
            leased: None,
            reached: None,
        };
        Reached::new(&CellKey::new("consumer=acme"), &charge, &said, NonZeroU8::new(percent).unwrap(), now)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_told_once_has_one_id() {
        let id = |quota, percent, now| reached(quota, percent, now).id("gw");
        let first = id(1_000, 80, NOW);
        assert_eq!(first, id(1_000, 80, NOW.plus_millis(60_000)), "another isolate, a minute later");
        let others = [
            id(1_000, 95, NOW),
            id(2_000, 80, NOW),
            id(1_000, 80, NOW.plus_millis(86_400_000)),
            reached(1_000, 80, NOW).id("gw2"),
        ];
        assert!(!others.contains(&first));
        assert!(first.starts_with("msg_") && first.len() == 36);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_content_names_whose_limit_it_is() {
        let caller = NoticeCaller { consumer: "acme", plan: Some("pro"), subscription: None, credential: None };
        let told = reached(1_000, 80, NOW).content("gw", Some(caller));
        assert_eq!(
            told,
            "{\"type\":\"limit.threshold-reached\",\"timestamp\":\"2027-01-15T08:00:00.000Z\",\"data\":{\"gateway\":\"gw\",\"limit\":\"monthly\",\
             \"threshold\":80,\"consumer\":\"acme\",\"plan\":\"pro\",\"window\":{\"start\":\"2027-01-15T00:00:00.000Z\",\
             \"end\":\"2027-01-16T00:00:00.000Z\"},\"used\":800,\"quota\":1000}}"
        );
        let caller = NoticeCaller { credential: Some("key-3f9a5b7c9d0e"), ..caller };
        let told = reached(1_000, 80, NOW).content("gw", Some(caller));
        assert!(told.contains("\"plan\":\"pro\",\"credential\":\"key-3f9a5b7c9d0e\",\"window\""), "{told}");
        let told = reached(1_000, 100, NOW).content("gw", None);
        assert!(told.contains("limit.exhausted") && !told.contains("consumer"), "{told}");
    }

    /// What the npm package `standardwebhooks` makes of them.
    #[wasm_bindgen_test(unsupported = test)]
    fn every_value_of_the_secret_signs() {
        let at = Timestamp::from_millis(1_614_265_330_000);
        let sign = |secrets: &[&str]| {
            let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
            signatures(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, "{\"test\": 2432232314}")
        };
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(sign(&[known]).as_deref(), Some(one));
        let both = sign(&["whsec_AAECAwQFBgcICQoLDA0ODw==", known]).unwrap();
        assert!(both.ends_with(&format!(" {one}")) && both.starts_with("v1,"), "{both}");
        assert_eq!(sign(&["whsec_AAEC"]), None, "everyone could guess it");
        assert_eq!(sign(&[known, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]), None);
    }
}
