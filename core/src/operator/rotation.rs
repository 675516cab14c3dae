//! Rotation: a new key takes over, and the old one is accepted for a while.

use serde::{Deserialize, Serialize, Serializer};

use super::members::Members;
use super::{Creation, KeyView};
use crate::authn::{ApiKey, Credential};
use crate::problem::{Problem, ProblemKind};
use crate::time::Timestamp;

/// A request for a key that replaces another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RotationRequest {
    /// How long the old key is accepted from now on, unless it expires before.
    #[serde(rename = "overlap", serialize_with = "as_text")]
    pub overlap_s: u64,
    /// When the new key expires; absent, it is valid for as long as the old one was in all, or without end.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::keys::as_text")]
    pub expires: Option<Timestamp>,
}

/// The new key, and both records.
#[derive(Debug)]
pub struct Rotated {
    /// The new key.
    pub key: ApiKey,
    /// Its record.
    pub new: Credential,
    /// The record of the old key, which expires after the overlap.
    pub old: Credential,
}

/// The response: the only one that contains the new key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedKey {
    /// The new key; it is shown only once.
    pub key: String,
    /// Its metadata.
    #[serde(flatten)]
    pub view: KeyView,
    /// The metadata of the old key.
    pub old: KeyView,
}

impl RotationRequest {
    /// Parses the content of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(content: &[u8]) -> Result<Self, Problem> {
        let mut members = Members::parse(content, FORM)?;
        let overlap = members.text("overlap")?;
        let overlap_s = overlap.map_or(Ok(OVERLAP_S), |text| parse_overlap(&text)).map_err(refuse)?;
        let request = Self { overlap_s, expires: super::keys::time(&mut members, "expires")? };
        members.finish()?;
        Ok(request)
    }

    /// The key that replaces the one of a credential, for these random bytes.
    ///
    /// It has the same consumer, plan, scopes, groups, environment, restrictions and note. The time of the old key is
    /// shortened, never lengthened.
    ///
    /// # Errors
    /// The problem for the response, if the credential cannot be replaced.
    pub fn rotate(&self, old: &Credential, random: &[u8; 32], creation: Creation) -> Result<Rotated, Problem> {
        let now = creation.at;
        self.check(old, now)?;
        let environment = old.environment.as_deref().unwrap_or(super::keys::DEFAULT_ENVIRONMENT);
        let key = ApiKey::generate(environment, random)
            .ok_or_else(|| refuse("The environment of this key cannot be part of a key.".to_owned()))?;
        let lifetime =
            old.expires.zip(old.created).map(|(end, start)| end.as_millis().saturating_sub(start.as_millis()));
        let new = Credential {
            id: key.public_id(),
            not_before: None,
            expires: self.expires.or_else(|| lifetime.map(|ms| now.plus_millis(ms))),
            created: Some(now),
            created_by: creation.by,
            replaces: Some(old.id.clone()),
            ..old.clone()
        };
        let end = now.plus_millis(self.overlap_s.saturating_mul(1_000));
        let old = Credential {
            expires: Some(old.expires.map_or(end, |expires| expires.min(end))),
            replaced_by: Some(new.id.clone()),
            ..old.clone()
        };
        Ok(Rotated { key, new, old })
    }

    fn check(&self, old: &Credential, now: Timestamp) -> Result<(), Problem> {
        let problem = if old.id.starts_with("cert-") {
            "This is a client certificate, and nothing but a certificate can take over from it. Register the new one by its fingerprint.".to_owned()
        } else if old.identity.is_some() {
            "This is the link of an identity, which has no secret that could be replaced.".to_owned()
        } else if old.revoked {
            "This key is revoked, so nothing can take over from it. Create a new key.".to_owned()
        } else if let Some(successor) = &old.replaced_by {
            format!("This key was replaced by {successor} already. Rotate that one.")
        } else if old.expires.is_some_and(|end| end <= now) {
            "This key has expired, so nothing can take over from it. Create a new key.".to_owned()
        } else if self.expires.is_some_and(|end| end <= now) {
            "The new key would never be accepted: `expires` is in the past.".to_owned()
        } else {
            return Ok(());
        };
        Err(refuse(problem))
    }
}

/// Reads an overlap, such as `7d`, as seconds.
///
/// # Errors
/// A description of what to write.
pub fn parse_overlap(text: &str) -> Result<u64, String> {
    parse_duration(text).ok_or_else(|| {
        "An overlap is a whole number with s, m, h, d or w, such as 0s, 90m, 12h or 7d, and at most 400d.".to_owned()
    })
}

/// Reads a duration of at most 400 days, such as `7d`, as seconds.
pub(super) fn parse_duration(text: &str) -> Option<u64> {
    let unit = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(60 * 60),
        'd' => Some(24 * 60 * 60),
        'w' => Some(7 * 24 * 60 * 60),
        _ => None,
    };
    let factor: u64 = unit(text.chars().next_back()?)?;
    let number = &text[..text.len() - 1];
    let number: u64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
    number.checked_mul(factor).filter(|seconds| *seconds <= OVERLAP_S_MAX)
}

fn refuse(detail: String) -> Problem {
    Problem::plain(ProblemKind::BadRequest, detail)
}

// Not expected: the lint does not apply on 32 bits.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_text<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{seconds}s"))
}

const FORM: &str = r#"{"overlap": "7d", "expires": "2027-01-01T00:00:00Z"}; both may be left out"#;

/// How long the old key is accepted where nothing is said: a week, so that everyone has a working day to change over.
pub const OVERLAP_S: u64 = 7 * 24 * 60 * 60;

/// Longer, and the old key is not being replaced.
const OVERLAP_S_MAX: u64 = 400 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

    fn old() -> Credential {
        let (scopes, groups) = (vec!["pets.read".into()], vec!["partners".into()]);
        let note = Some("import of orders".into());
        Credential { scopes, groups, note, environment: Some("test".into()), ..Credential::of("key-old", "acme") }
    }

    fn rotate(request: &str, old: &Credential) -> Result<Rotated, Problem> {
        let creation = Creation { at: NOW, by: Some("ci".into()) };
        RotationRequest::parse(request.as_bytes())?.rotate(old, &[7; 32], creation)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_new_key_has_what_the_old_one_has_and_both_name_each_other() {
        let Rotated { key, new, old } = rotate("{}", &old()).unwrap();
        assert!(key.expose().starts_with("tg_test_"));
        assert_eq!((&new.id, &new.consumer, &new.scopes), (&key.public_id(), &old.consumer, &old.scopes));
        assert_eq!((&new.groups, &new.note, new.created), (&old.groups, &old.note, Some(NOW)));
        assert_eq!((new.replaces.as_deref(), old.replaced_by.as_ref()), (Some("key-old"), Some(&new.id)));
        assert_eq!((new.created_by.as_deref(), new.expires), (Some("ci"), None));
        assert_eq!(old.expires, Some(NOW.plus_millis(7 * DAY_MS)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_time_of_the_old_key_is_shortened_and_never_lengthened() {
        let soon = Credential { expires: Some(NOW.plus_millis(DAY_MS)), ..old() };
        assert_eq!(rotate("{}", &soon).unwrap().old.expires, soon.expires);
        assert_eq!(rotate(r#"{"overlap":"0s"}"#, &soon).unwrap().old.expires, Some(NOW));
        let ends = rotate(r#"{"overlap":"12h"}"#, &soon).unwrap().old.expires;
        assert_eq!(ends, Some(NOW.plus_millis(DAY_MS / 2)));
        let weeks = rotate(r#"{"overlap":"2w"}"#, &old()).unwrap().old.expires;
        assert_eq!(weeks, Some(NOW.plus_millis(14 * DAY_MS)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_new_key_lasts_as_long_as_the_old_one_unless_it_is_said() {
        let (created, expires) =
            (Some(Timestamp::from_millis(NOW.as_millis() - 29 * DAY_MS)), Some(NOW.plus_millis(DAY_MS)));
        let monthly = Credential { created, expires, ..old() };
        assert_eq!(rotate("{}", &monthly).unwrap().new.expires, Some(NOW.plus_millis(30 * DAY_MS)));
        let said = rotate(r#"{"expires":"2030-01-01T00:00:00Z"}"#, &monthly).unwrap().new.expires;
        assert_eq!(said, Timestamp::from_rfc3339("2030-01-01T00:00:00Z"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_that_nothing_can_take_over_from_is_refused() {
        for (request, old, words) in [
            ("{}", Credential { revoked: true, ..old() }, "is revoked"),
            ("{}", Credential { id: "cert-0123456789ab".into(), ..old() }, "client certificate"),
            ("{}", Credential { expires: Some(NOW), ..old() }, "has expired"),
            ("{}", Credential { replaced_by: Some("key-new".into()), ..old() }, "replaced by key-new"),
            (r#"{"expires":"2020-01-01T00:00:00Z"}"#, old(), "never be accepted"),
            (r#"{"overlap":"401d"}"#, old(), "at most 400d"),
            (r#"{"overlap":"7"}"#, old(), "such as 0s"),
            (r#"{"overlap":"+7d"}"#, old(), "such as 0s"),
            (r#"{"overlap":"\u00e9"}"#, old(), "such as 0s"),
            (r#"{"overlap":7}"#, old(), "`overlap`"),
        ] {
            let problem = rotate(request, &old).unwrap_err();
            assert_eq!(problem.kind, ProblemKind::BadRequest);
            assert!(problem.detail.contains(words), "{}", problem.detail);
        }
    }
}
