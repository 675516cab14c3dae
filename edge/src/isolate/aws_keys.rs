//! The keys that sign requests to AWS, each for its day.

use std::collections::HashMap;

use tollgate_core::authn::TextMark;
use tollgate_core::forward::{AwsKey, AwsSettings};
use tollgate_core::secret::Secret;

use super::Isolate;
use crate::ports::Host;

/// The keys of an isolate, by what they are derived from.
pub(crate) type AwsKeys = HashMap<TextMark, AwsKey>;

impl Isolate {
    /// The key that signs the requests of the day of this time.
    pub(crate) fn aws_key<H: Host>(&self, host: &H, aws: &AwsSettings, secret: &Secret, time: &str) -> AwsKey {
        let day = time.get(..8).unwrap_or_default();
        let of = [secret.expose(), &aws.region, &aws.service, day].join("\n");
        let mark = TextMark::of(&of, &self.mark_secret(host));
        let mut keys = self.aws_keys.borrow_mut();
        if keys.len() >= KEYS_MAX && !keys.contains_key(&mark) {
            // Those of earlier days; a key can be derived again.
            keys.clear();
        }
        *keys.entry(mark).or_insert_with(|| aws.key(secret, time))
    }
}

/// A gateway has some services.
const KEYS_MAX: usize = 64;
