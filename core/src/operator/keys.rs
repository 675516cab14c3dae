//! API keys: requests for new ones, and the metadata of existing ones.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::entitlements::KnownRecords;
use super::is_name;
use super::members::Members;
use super::numbers::numbers;
use crate::authn::{ANONYMOUS, ApiKey, Credential, CredentialState, IdentityName, KeyDigest, Restrictions};
use crate::bounds::{KEY_PLACES_MAX, ROUTE_LIST_MAX};
use crate::entitlement::{Entitlements, PlanNumbers};
use crate::guard::{Cidr, Networks};
use crate::problem::{Problem, ProblemKind};
use crate::settings::EntitledSettings;
use crate::time::Timestamp;

/// A request for a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRequest {
    /// The consumer that owns it.
    pub consumer: String,
    /// The plan it is issued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The groups that it is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The environment in the text of the key.
    pub environment: String,
    /// The start of its validity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub not_before: Option<Timestamp>,
    /// The end of its validity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub expires: Option<Timestamp>,
    /// From where it may be used.
    #[serde(flatten)]
    pub restrictions: Restrictions,
    /// The numbers that it has for limits, such as `burst=100/s:200`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The digest of an existing key; absent, a key is generated.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    pub sha256: Option<KeyDigest>,
    /// The fingerprint of a client certificate, which is registered in place of a key.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    pub fingerprint: Option<KeyDigest>,
    /// An identity of a provider, which is linked to the consumer in place of a key.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_name")]
    pub identity: Option<IdentityName>,
}

/// The circumstances of a key's creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// When it is created.
    pub at: Timestamp,
    /// Who creates it.
    pub by: Option<String>,
}

/// A new key: the only response that contains the key itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedKey {
    /// The key; it is shown only once. Absent if it exists already, and only its digest is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its metadata.
    #[serde(flatten)]
    pub view: KeyView,
}

/// The metadata of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its public id, as in logs.
    pub id: String,
    /// Its consumer.
    pub consumer: String,
    /// Its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The groups that it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The environment that it was issued for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The start of its validity (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The end of its validity (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Whether it is revoked.
    pub revoked: bool,
    /// From where it may be used.
    #[serde(flatten)]
    pub restrictions: Restrictions,
    /// The numbers that it has for limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<PlanNumbers>,
    /// When it was created (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The id of the key that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// The id of the key that replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// The day of its last use (`YYYY-MM-DD`, in UTC); absent if it was never used, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// The identity whose link it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// How a path identifies a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyReference {
    /// By its public id.
    Id(String),
    /// By its digest.
    Digest(KeyDigest),
}

impl KeyRequest {
    /// A request that links an identity to a consumer.
    #[must_use]
    pub fn link(consumer: &str, identity: IdentityName) -> Self {
        Self {
            consumer: consumer.to_owned(),
            plan: None,
            scopes: Vec::new(),
            groups: Vec::new(),
            environment: DEFAULT_ENVIRONMENT.to_owned(),
            not_before: None,
            expires: None,
            restrictions: Restrictions::default(),
            limits: Vec::new(),
            note: None,
            sha256: None,
            fingerprint: None,
            identity: Some(identity),
        }
    }

    /// Parses the content of a request.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(content: &[u8]) -> Result<Self, Problem> {
        let mut members = Members::parse(content, FORM)?;
        let request = Self {
            consumer: members.text("consumer")?.ok_or_else(|| members.missing("consumer"))?,
            plan: members.text("plan")?,
            scopes: members.texts("scopes")?,
            groups: members.texts("groups")?,
            environment: members.text("environment")?.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
            not_before: time(&mut members, "not_before")?,
            expires: time(&mut members, "expires")?,
            restrictions: Restrictions {
                addresses: Networks::of_few(parsed::<Cidr>(&mut members, "addresses")?),
                hosts: parsed(&mut members, "hosts")?,
                referrers: parsed(&mut members, "referrers")?,
            },
            limits: members.texts("limits")?,
            note: members.text("note")?,
            sha256: members.text("sha256")?.map(|text| sha256(&text)).transpose()?,
            fingerprint: members.text("fingerprint")?.map(|text| sha256(&text)).transpose()?,
            identity: members.text("identity")?.map(|text| identity(&text)).transpose()?,
        };
        members.finish()?;
        request.check().map_err(|detail| Problem::plain(ProblemKind::BadRequest, detail))?;
        Ok(request)
    }

    /// Checks that records, logs and limits can contain its names.
    ///
    /// # Errors
    /// A description of what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        self.check_identity()?;
        let is_consumer = if self.identity.is_some() { is_caller_name } else { is_name };
        if !is_consumer(&self.consumer) || self.plan.as_ref().is_some_and(|plan| !is_name(plan)) {
            return Err("The names of a consumer and a plan have 1 to 80 letters, digits, `-`, `_` and `.`.");
        }
        if self.consumer == ANONYMOUS {
            return Err(
                "`anonymous` is the consumer of callers without a credential (policy kind `anonymous`): a key of it would share their \
                 limits and their name in logs. Give the key to a consumer of another name.",
            );
        }
        for words in [&self.scopes, &self.groups] {
            if words.len() > SCOPES_MAX || !words.iter().all(|word| is_scope(word)) {
                return Err(
                    "There are at most 64 scopes and groups, each of 1 to 80 visible characters without quotes and backslashes (RFC 6749, section 3.3).",
                );
            }
        }
        let Restrictions { addresses, hosts, referrers } = &self.restrictions;
        if addresses.as_slice().len().max(hosts.len()).max(referrers.len()) > KEY_PLACES_MAX {
            return Err("A key is restricted to at most 64 networks, hosts and referrers.");
        }
        let limits = self.numbers();
        let is_first = |at: usize| !limits[..at].iter().any(|earlier| earlier.policy == limits[at].policy);
        if self.limits.len() > ROUTE_LIST_MAX || limits.len() < self.limits.len() || !(0..limits.len()).all(is_first) {
            return Err(
                "The numbers of limits are written like `monthly=100000`, of a rate also `burst=100/s` or `burst=100/s:200`: at most 16, each limit once.",
            );
        }
        if self.note.as_ref().is_some_and(|note| !is_note(note)) {
            return Err("A note has 1 to 200 characters, and no control characters.");
        }
        if ApiKey::generate(&self.environment, &[0; 32]).is_none() {
            return Err("An environment has 1 to 12 lower-case letters and digits.");
        }
        let existing = [self.sha256.is_some(), self.fingerprint.is_some(), self.identity.is_some()];
        if existing.into_iter().filter(|is_there| *is_there).count() > 1 {
            return Err(
                "`sha256` is for a key, `fingerprint` for a certificate, and `identity` for a link: send one of them.",
            );
        }
        match (self.not_before, self.expires) {
            (Some(start), Some(end)) if end <= start => Err("The key would expire before it is valid."),
            _ => Ok(()),
        }
    }

    /// A link says who somebody is. What tokens may be used for, and from where, is said by their issuer and by routes.
    fn check_identity(&self) -> Result<(), &'static str> {
        if self.identity.is_some()
            && !(self.scopes.is_empty() && self.restrictions.is_empty() && self.limits.is_empty())
        {
            return Err(
                "A link has no scopes, limits, addresses, hosts and referrers: those of a token come with the token.",
            );
        }
        Ok(())
    }

    /// Checks that the key would be accepted at some time after `now`.
    ///
    /// # Errors
    /// A description of what is wrong.
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), String> {
        match self.expires {
            Some(end) if end <= now => Err(format!(
                "The key would never be accepted: `expires` is {}, and it is {} now.",
                end.to_rfc3339(),
                now.to_rfc3339()
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that the gateway has the plan; it is not checked if the plans of the gateway are not known.
    ///
    /// # Errors
    /// A description of what is wrong.
    pub fn check_plan(&self, gateway: &str, plans: Option<&[String]>) -> Result<(), String> {
        let (Some(plan), Some(plans)) = (&self.plan, plans) else { return Ok(()) };
        if plans.contains(plan) {
            return Ok(());
        }
        let known = if plans.is_empty() { "it has none".to_owned() } else { format!("it has {}", plans.join(", ")) };
        Err(format!("Gateway {gateway} has no plan {plan} ({known}), so the key would have the limits of no plan."))
    }

    /// Checks that the gateway has the limits, and lets records change them so far.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn check_limits(&self, gateway: &str, settings: Option<&EntitledSettings>) -> Result<(), Problem> {
        let none = Entitlements::default();
        let (catalogue, own) = (&none, &none);
        let known = KnownRecords { gateway, settings, plans: &[], catalogue, own, subscribed: &[], may_be_more: false };
        self.numbers().iter().try_for_each(|numbers| known.check_numbers(numbers))
    }

    /// The numbers that can be read.
    fn numbers(&self) -> Vec<PlanNumbers> {
        self.limits.iter().filter_map(|text| numbers(text).ok()).collect()
    }

    /// The key for these random bytes, and its record.
    ///
    /// # Errors
    /// The problem for the response, if the request was not checked before.
    pub fn issue(self, random: &[u8; 32], creation: Creation) -> Result<(ApiKey, Credential), Problem> {
        let key = ApiKey::generate(&self.environment, random)
            .ok_or_else(|| Problem::plain(ProblemKind::BadRequest, "This environment cannot be part of a key."))?;
        let credential = self.credential(key.public_id(), creation);
        Ok((key, credential))
    }

    /// The digest of the key, certificate or identity that exists already, if it is for one.
    #[must_use]
    pub fn existing(&self) -> Option<KeyDigest> {
        self.sha256.or(self.fingerprint).or_else(|| self.identity.as_ref().map(IdentityName::digest))
    }

    /// The public id of this key or certificate.
    #[must_use]
    pub fn id_of(&self, digest: &KeyDigest) -> String {
        match (&self.fingerprint, &self.identity) {
            (Some(_), _) => digest.certificate_id(),
            (None, Some(_)) => digest.link_id(),
            (None, None) => digest.public_id(),
        }
    }

    /// The record of an existing key or certificate with this digest.
    #[must_use]
    pub fn import(self, digest: &KeyDigest, creation: Creation) -> Credential {
        let id = self.id_of(digest);
        self.credential(id, creation)
    }

    fn credential(self, id: String, creation: Creation) -> Credential {
        Credential {
            limits: self.numbers(),
            id,
            consumer: self.consumer,
            plan: self.plan,
            scopes: self.scopes,
            not_before: self.not_before,
            expires: self.expires,
            groups: self.groups,
            environment: Some(self.environment).filter(|_| self.identity.is_none()),
            identity: self.identity.map(|identity| identity.to_string()),
            restrictions: (!self.restrictions.is_empty()).then(|| Box::new(self.restrictions)),
            created: Some(creation.at),
            created_by: creation.by,
            note: self.note,
            ..Credential::default()
        }
    }
}

impl KeyReference {
    /// Parses the segment of a path that identifies a key.
    ///
    /// # Errors
    /// The problem for the response.
    pub fn parse(segment: &str) -> Result<Self, Problem> {
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if let Some(digits) = KEY_KINDS.iter().find_map(|kind| segment.strip_prefix(kind))
            && digits.len() == ID_DIGITS
            && is_hex(digits)
        {
            return Ok(Self::Id(segment.to_owned()));
        }
        KeyDigest::parse(segment).map(Self::Digest).ok_or_else(|| {
            let detail = "Identify a key by its id (`key-`, of a certificate `cert-`, of a link `link-`, and 12 hexadecimal digits) or by its SHA-256 (64 hexadecimal digits).";
            Problem::plain(ProblemKind::BadRequest, detail)
        })
    }
}

impl KeyView {
    /// The same with the time of the last use.
    #[must_use]
    pub fn used(self, last: Option<Timestamp>) -> Self {
        let day = |last: Timestamp| last.to_rfc3339().split('T').next().map(str::to_owned);
        Self { last_used: last.and_then(day), ..self }
    }

    /// Whether the key is valid at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> CredentialState {
        let time = |text: &Option<String>| text.as_deref().and_then(Timestamp::from_rfc3339);
        let (not_before, expires) = (time(&self.not_before), time(&self.expires));
        Credential { not_before, expires, revoked: self.revoked, ..Credential::default() }.state(now)
    }
}

impl From<&Credential> for KeyView {
    fn from(credential: &Credential) -> Self {
        Self {
            id: credential.id.clone(),
            consumer: credential.consumer.clone(),
            plan: credential.plan.clone(),
            scopes: credential.scopes.clone(),
            groups: credential.groups.clone(),
            environment: credential.environment.clone(),
            not_before: credential.not_before.map(Timestamp::to_rfc3339),
            expires: credential.expires.map(Timestamp::to_rfc3339),
            revoked: credential.revoked,
            restrictions: credential.restrictions.as_deref().cloned().unwrap_or_default(),
            limits: credential.limits.clone(),
            created: credential.created.map(Timestamp::to_rfc3339),
            created_by: credential.created_by.clone(),
            note: credential.note.clone(),
            replaces: credential.replaces.clone(),
            replaced_by: credential.replaced_by.clone(),
            last_used: None,
            identity: credential.identity.clone(),
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands a reference")]
pub(super) fn as_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::to_rfc3339).serialize(serializer)
}

pub(super) fn time(members: &mut Members, name: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = members.text(name)? else { return Ok(None) };
    let time = Timestamp::from_rfc3339(&text).ok_or_else(|| {
        let detail = format!("`{name}` must be a time such as 2027-01-31T23:59:50Z (RFC 3339).");
        Problem::plain(ProblemKind::BadRequest, detail)
    })?;
    Ok(Some(time))
}

/// A list of texts that all have the form of a type.
fn parsed<T: FromStr<Err: fmt::Display>>(members: &mut Members, name: &str) -> Result<Vec<T>, Problem> {
    let refuse =
        |error: T::Err| Problem::plain(ProblemKind::BadRequest, format!("A text in `{name}` is refused: {error}."));
    members.texts(name)?.iter().map(|text| text.parse().map_err(refuse)).collect()
}

fn sha256(text: &str) -> Result<KeyDigest, Problem> {
    let detail =
        "`sha256` and `fingerprint` have 64 lower-case hexadecimal digits: the SHA-256 of a key or a certificate.";
    KeyDigest::parse(text).ok_or_else(|| Problem::plain(ProblemKind::BadRequest, detail))
}

fn identity(text: &str) -> Result<IdentityName, Problem> {
    text.parse().map_err(|error| Problem::plain(ProblemKind::BadRequest, format!("`identity`: {error}.")))
}

#[expect(clippy::ref_option, reason = "serde hands a reference")]
fn as_name<S: Serializer>(identity: &Option<IdentityName>, serializer: S) -> Result<S::Ok, S::Error> {
    identity.as_ref().map(IdentityName::as_str).serialize(serializer)
}

/// As names that claims of tokens have.
pub(super) fn is_caller_name(text: &str) -> bool {
    (1..=CALLER_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[expect(clippy::ref_option, reason = "serde hands a reference")]
fn as_hex<S: Serializer>(digest: &Option<KeyDigest>, serializer: S) -> Result<S::Ok, S::Error> {
    digest.map(|digest| digest.to_hex()).serialize(serializer)
}

pub(super) fn is_note(text: &str) -> bool {
    (1..=NOTE_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

fn is_scope(text: &str) -> bool {
    (1..=SCOPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
}

const FORM: &str = r#"{"consumer": "acme", "plan": "gold", "scopes": ["pets.read"], "expires": "2027-01-01T00:00:00Z"}; only `consumer` is required"#;

pub(super) const DEFAULT_ENVIRONMENT: &str = "live";

/// The beginnings of public ids: of keys, certificates and links.
pub const KEY_KINDS: [&str; 3] = ["key-", "cert-", "link-"];

/// The longest name of a consumer in the configuration.
const CALLER_BYTES_MAX: usize = 200;

/// Number of digits of the digest in a public id.
const ID_DIGITS: usize = 12;

/// The usual maximum in tokens of identity providers; a record is read with every request whose credential is not
/// cached.
const SCOPES_MAX: usize = 64;
const SCOPE_BYTES_MAX: usize = 80;

/// A line or two; it is shown in lists.
const NOTE_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn creation() -> Creation {
        Creation { at: Timestamp::from_millis(1_800_000_000_000), by: Some("ci".into()) }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_new_key_has_what_the_request_says() {
        let text = r#"{"consumer":"acme","plan":"gold","scopes":["pets.read"],"environment":"test","expires":"2030-01-01T00:00:00Z",
            "groups":["partners"],"addresses":["192.0.2.0/24"],"hosts":["*.example.com"],"referrers":["https://a.test"],"note":"orders"}"#;
        let (key, credential) = KeyRequest::parse(text.as_bytes()).unwrap().issue(&[7; 32], creation()).unwrap();
        assert!(key.expose().starts_with("tg_test_"));
        assert_eq!(credential.id, key.public_id());
        let view = KeyView::from(&credential);
        assert_eq!((view.consumer.as_str(), view.plan.as_deref(), view.revoked), ("acme", Some("gold"), false));
        assert!(view.expires.as_deref().unwrap().starts_with("2030-01-01T00:00:00"));
        assert_eq!((view.created_by.as_deref(), view.note.as_deref()), (Some("ci"), Some("orders")));
        assert_eq!(view.created.as_deref(), Some("2027-01-15T08:00:00.000Z"));
        let shown = serde_json::to_value(&view).unwrap();
        assert_eq!(shown["addresses"], serde_json::json!(["192.0.2.0/24"]));
        assert_eq!((&shown["hosts"][0], &shown["referrers"][0]), (&"*.example.com".into(), &"https://a.test".into()));
        assert_eq!(serde_json::from_value::<KeyView>(shown).unwrap(), view);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_serialized_request_is_parsed_again() {
        let request = KeyRequest {
            consumer: "acme".into(),
            plan: None,
            scopes: vec!["a".into()],
            groups: vec!["g".into()],
            restrictions: serde_json::from_str(r#"{"hosts":["a.test"]}"#).unwrap(),
            limits: vec!["burst=100/s:200".into(), "monthly=5".into()],
            note: None,
            sha256: Some(KeyDigest::parse(&"ab".repeat(32)).unwrap()),
            fingerprint: None,
            identity: None,
            environment: "live".into(),
            not_before: None,
            expires: Some(Timestamp::from_millis(1_900_000_000_000)),
        };
        assert_eq!(KeyRequest::parse(&serde_json::to_vec(&request).unwrap()), Ok(request));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_identity_is_linked_to_a_consumer_by_the_name_that_tokens_may_give() {
        let text = r#"{"consumer":"person:ada@example.com","identity":"https://a.test sub=00u7","plan":"gold","groups":["g"]}"#;
        let request = KeyRequest::parse(text.as_bytes()).unwrap();
        assert_eq!(KeyRequest::parse(&serde_json::to_vec(&request).unwrap()), Ok(request.clone()));
        let digest = request.existing().unwrap();
        let link = request.import(&digest, creation());
        assert_eq!((link.id, link.identity.as_deref()), (digest.link_id(), Some("https://a.test sub=00u7")));
        assert_eq!((link.environment, link.consumer.as_str()), (None, "person:ada@example.com"));
        for more in [r#""scopes":["a"]"#, r#""hosts":["a.test"]"#, r#""sha256":"HEX""#] {
            let more = more.replace("HEX", &"ab".repeat(32));
            let text = format!(r#"{{"consumer":"ada","identity":"https://a.test sub=00u7",{more}}}"#);
            assert!(KeyRequest::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(KeyRequest::parse(br#"{"consumer":"ada","identity":"00u7"}"#).is_err());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_a_record_cannot_contain_is_a_problem() {
        let many: Vec<String> = (0..65).map(|n| format!("\"s{n}\"")).collect();
        let many = format!(r#"{{"consumer":"a","scopes":[{}]}}"#, many.join(","));
        for bad in [
            "",
            "{}",
            r#"{"consumer":""}"#,
            r#"{"consumer":"a b"}"#,
            r#"{"consumer":"anonymous"}"#,
            r#"{"consumer":"a","plan":"ü"}"#,
            r#"{"consumer":"a","scopes":["a b"]}"#,
            r#"{"consumer":"a","scopes":"x"}"#,
            r#"{"consumer":"a","groups":["a b"]}"#,
            r#"{"consumer":"a","addresses":["192.0.2.7/24"]}"#,
            r#"{"consumer":"a","hosts":["https://a.test"]}"#,
            r#"{"consumer":"a","referrers":["a.test"]}"#,
            r#"{"consumer":"a","note":"a\nb"}"#,
            r#"{"consumer":"a","note":""}"#,
            r#"{"consumer":"a","sha256":"AB"}"#,
            r#"{"consumer":"a","environment":"Live"}"#,
            r#"{"consumer":"a","expires":"tomorrow"}"#,
            r#"{"consumer":"a","not_before":"2030-01-01T00:00:00Z","expires":"2030-01-01T00:00:00Z"}"#,
            r#"{"consumer":"a","key":"tg_live_mine"}"#,
            &many,
        ] {
            assert_eq!(KeyRequest::parse(bad.as_bytes()).unwrap_err().kind, ProblemKind::BadRequest, "{bad}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_that_is_expired_already_is_refused() {
        let request = KeyRequest::parse(
            br#"{"consumer":"a","not_before":"2020-01-01T00:00:00Z","expires":"2021-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        let end = request.expires.unwrap();
        assert!(request.check_expiry(Timestamp::from_millis(end.as_millis() - 1)).is_ok());
        let refused = request.check_expiry(end).unwrap_err();
        assert!(refused.contains("`expires` is 2021-01-01T00:00:00"), "{refused}");
        assert!(KeyRequest { expires: None, ..request }.check_expiry(end).is_ok());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_plan_that_the_gateway_does_not_have_is_refused() {
        let request = KeyRequest::parse(br#"{"consumer":"a","plan":"goldd"}"#).unwrap();
        let plans = ["free".to_owned(), "gold".to_owned()];
        let refused = request.check_plan("shop", Some(&plans)).unwrap_err();
        assert!(refused.contains("Gateway shop has no plan goldd (it has free, gold)"), "{refused}");
        assert!(request.check_plan("shop", Some(&[])).unwrap_err().contains("it has none"));
        assert!(request.check_plan("shop", None).is_ok());
        assert!(KeyRequest { plan: Some("free".into()), ..request.clone() }.check_plan("shop", Some(&plans)).is_ok());
        assert!(KeyRequest { plan: None, ..request }.check_plan("shop", Some(&[])).is_ok());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_named_by_its_id_or_its_digest() {
        let key = ApiKey::generate("live", &[7; 32]).unwrap();
        assert_eq!(KeyReference::parse(&key.public_id()), Ok(KeyReference::Id(key.public_id())));
        assert_eq!(KeyReference::parse(&key.digest().to_hex()), Ok(KeyReference::Digest(key.digest())));
        for bad in ["", "key-", "key-0123", "key-0123456789aB", key.expose(), &"A".repeat(64)] {
            assert!(KeyReference::parse(bad).is_err(), "{bad}");
        }
    }
}
