//! What is in the cookies of a policy: a login until the provider answers, and a session afterwards.

use base64ct::{Base64UrlUnpadded, Encoding};
use minicbor::Encode;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::OidcLoginSettings;
use crate::authn::{Identity, Principal, TokenFacts};
use crate::canonical::mark;
use crate::codec::{self, Decode};
use crate::jose::Members;
use crate::json;
use crate::secret::Secret;
use crate::time::Timestamp;

/// A login that waits for the provider's answer. It is encrypted in the `state` that the provider sends back. It is not printed.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Login {
    /// What the ID token must say (OpenID Connect Core 1.0, section 15.5.2).
    #[n(0)]
    pub nonce: String,
    /// What proves to the provider that the code is for this login (RFC 7636).
    #[n(1)]
    pub verifier: String,
    /// Where the browser goes afterwards.
    #[n(2)]
    pub target: String,
    /// When it began, in seconds since 1970.
    #[n(3)]
    pub began_s: u64,
}

/// What is known of a person who has logged in. It is not printed.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Session {
    /// The consumer.
    #[n(0)]
    pub consumer: String,
    /// An id for the log, which is drawn for each session.
    #[n(1)]
    pub id: String,
    /// The plan.
    #[n(2)]
    pub plan: Option<String>,
    /// The scopes.
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub scopes: Vec<String>,
    /// The groups and roles.
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub groups: Vec<String>,
    /// When the person logged in, in seconds since 1970.
    #[n(5)]
    pub began_s: u64,
    /// When the cookie was made, likewise.
    #[n(6)]
    pub renewed_s: u64,
    /// When the provider has confirmed it last, likewise.
    #[n(7)]
    pub confirmed_s: u64,
    /// The claims that were kept of the ID token, as JSON; empty if none were to be kept.
    #[cbor(n(8), skip_if = "codec::is_default")]
    pub claims: String,
    /// Stands for the paths of the claims that were to be kept: what is not among `claims` was not in the ID token.
    #[cbor(n(9), skip_if = "codec::is_default")]
    pub kept: u64,
    /// When the ID token of the login was issued, in seconds since 1970; this and the following only if it can be revoked.
    #[cbor(n(10), skip_if = "codec::is_default")]
    pub issued_s: u64,
    /// Stands for the person at the provider (`sub`).
    #[cbor(n(11), skip_if = "codec::is_default")]
    pub person: String,
    /// Stands for the person's session at the provider (`sid`), if it said one.
    #[cbor(n(12), skip_if = "codec::is_default")]
    pub at_provider: String,
}

/// Whether a session is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCheck {
    /// Nothing of it has to be looked at until this time.
    Valid(Timestamp),
    /// Its cookie is made anew, because the person is active.
    Renew,
    /// It has ended.
    Ended,
}

/// Why the provider's answer makes no session. The texts are for the person, and contain nothing of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LoginRefusal {
    /// The gateway did not make the state, this browser has no cookie of it, or it is too old.
    #[error("the browser did not begin this login, or more than 10 minutes ago; open the page again")]
    Unknown,
    /// The provider did not let the person in.
    #[error("the identity provider refused the login")]
    Provider,
    /// The answer is not one of the provider that was asked (RFC 9207).
    #[error("the answer is not one of the identity provider that was asked")]
    Issuer,
    /// The provider says too much.
    #[error(
        "the identity provider says more about the person than a cookie can hold: fewer groups, scopes or claims are needed"
    )]
    TooLarge,
    /// The ID token belongs to another login.
    #[error("the token of the identity provider belongs to another login")]
    Nonce,
    /// The ID token was issued to another client.
    #[error("the token of the identity provider is for another client")]
    Client,
    /// A logout has ended the session that would begin.
    #[error("the person was logged out in the same second; open the page again")]
    Ended,
}

impl LoginRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Provider => "provider",
            Self::Issuer => "issuer",
            Self::TooLarge => "too-large",
            Self::Nonce => "nonce",
            Self::Client => "client",
            Self::Ended => "ended",
        }
    }
}

impl Login {
    /// Its stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        stored(self)
    }

    /// Reads its stored form.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes).ok()
    }

    /// A login with these random bytes.
    #[must_use]
    pub fn new(random: &[u8; 56], target: &str, now: Timestamp) -> Self {
        let text = Base64UrlUnpadded::encode_string;
        Self {
            nonce: text(&random[..24]),
            // 43 characters, as many as RFC 7636, section 4.1, recommends.
            verifier: text(&random[24..]),
            target: target.to_owned(),
            began_s: now.as_secs(),
        }
    }

    /// The number of the cookie of a login with this state.
    #[must_use]
    pub fn number(state: &str) -> u8 {
        state.bytes().next().unwrap_or_default()
    }

    /// Whether an answer to it is in time.
    #[must_use]
    pub const fn is_open(&self, now: Timestamp) -> bool {
        now.as_secs() < self.began_s.saturating_add(LOGIN_S)
    }
}

/// The digest of a text: the challenge of a verifier (RFC 7636, section 4.2), and what the cookie of a login holds of its state.
#[must_use]
pub fn digest_text(text: &str) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(text.as_bytes()))
}

impl Session {
    /// Its stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        stored(self)
    }

    /// Reads its stored form.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        codec::decode(bytes).ok()
    }

    /// The session of a person with this ID token, with these random bytes for its id.
    #[must_use]
    pub fn new(
        settings: &OidcLoginSettings,
        (identity, claims): (Identity, &Members),
        random: [u8; 8],
        now: Timestamp,
    ) -> Self {
        let (id, began_s) = (crate::hex::encode(&random), now.as_secs());
        let blank = Self { id, began_s, renewed_s: began_s, confirmed_s: began_s, ..Self::blank() };
        blank.of(settings, (identity, claims))
    }

    /// The same session of what the provider says of the person now.
    #[must_use]
    pub fn of(self, settings: &OidcLoginSettings, (identity, claims): (Identity, &Members)) -> Self {
        let Identity { consumer, plan, scopes, groups, until: _, confirmation: _, link: _ } = identity;
        let paths: Vec<&[String]> = settings.rules.kept_claims.iter().map(Vec::as_slice).collect();
        let mut kept = String::new();
        if !paths.is_empty() {
            claims.write_at(&paths, &mut kept);
        }
        let session = Self { consumer, plan, scopes, groups, claims: kept, kept: kept_mark(settings), ..self };
        let is_known = !settings.is_revocable || !session.person.is_empty();
        if is_known { session } else { session.known_by(claims) }
    }

    /// Whether it has what the policy keeps now. A claim that an older policy did not keep must not be taken for absent, and a session
    /// of which it is not known whose it is could not be revoked.
    #[must_use]
    pub fn keeps(&self, settings: &OidcLoginSettings) -> bool {
        self.kept == kept_mark(settings) && (!settings.is_revocable || !self.person.is_empty())
    }

    /// The person.
    #[must_use]
    pub fn principal(&self, policy: &str, settings: &OidcLoginSettings) -> Principal {
        let id = format!("{policy}/{}", self.id);
        let principal = Principal::new(self.consumer.clone(), id, self.plan.clone(), self.scopes.clone());
        let claims = Members::parse(self.claims.as_bytes()).unwrap_or_default();
        let issued = settings.is_revocable.then(|| Timestamp::from_millis(self.issued_s.saturating_mul(1_000)));
        let token = issued.map(|issued| Box::new(TokenFacts { issued: Some(issued), id: None }));
        let principal = principal.with_groups(self.groups.clone()).with_token(token);
        principal.with_claims(&settings.rules.kept_claims, &claims)
    }

    /// Whether it is valid now.
    #[must_use]
    pub fn check(&self, settings: &OidcLoginSettings, now: Timestamp) -> SessionCheck {
        let ends_s = self.began_s.saturating_add(settings.session_s.into());
        let idle_ends_s = self.renewed_s.saturating_add(settings.idle_s.into());
        let at = |seconds: u64| Timestamp::from_millis(seconds.saturating_mul(1_000));
        let until = at(ends_s.min(idle_ends_s));
        // Where the provider is not asked again, only a new login says what is not kept.
        let lacks_claims = settings.refresh_s == 0 && !self.keeps(settings);
        // A clock that was set back does not make a session of the future valid for longer than it would be.
        if now >= until || lacks_claims || self.renewed_s > now.as_secs().saturating_add(CLOCKS_DIFFER_S) {
            SessionCheck::Ended
        } else if idle_ends_s < ends_s && now.as_secs() >= self.renewed_s.saturating_add((settings.idle_s / 4).into()) {
            SessionCheck::Renew
        } else {
            let refresh_s = if settings.refresh_s == 0 { u64::MAX } else { settings.refresh_s.into() };
            SessionCheck::Valid(until.min(at(self.confirmed_s.saturating_add(refresh_s))))
        }
    }
}

impl OidcLoginSettings {
    /// Checks what an ID token says of the login, besides what every token must say (OpenID Connect Core 1.0, section 3.1.3.7).
    ///
    /// # Errors
    /// If it belongs to another login.
    pub fn check_login(&self, login: &Login, claims: &Members) -> Result<(), LoginRefusal> {
        if claims.text("nonce") == Some(login.nonce.as_str()) { Ok(()) } else { Err(LoginRefusal::Nonce) }
    }

    /// Checks that an ID token was issued to this client (OpenID Connect Core 1.0, section 3.1.3.7).
    ///
    /// # Errors
    /// If it was issued to another one.
    pub fn check_client(&self, claims: &Members) -> Result<(), LoginRefusal> {
        let is_ours = claims.get("azp").is_none_or(|_| claims.text("azp") == self.client.client_id());
        if is_ours { Ok(()) } else { Err(LoginRefusal::Client) }
    }
}

/// Stands for the paths of the claims that are kept; 0 for none.
fn kept_mark(settings: &OidcLoginSettings) -> u64 {
    let paths = &settings.rules.kept_claims;
    if paths.is_empty() {
        return 0;
    }
    let mut text = String::new();
    json::list(&mut text, paths, |text, path| json::list(text, path, |text, name| json::string(text, name)));
    mark(&text)
}

/// Memory takes all that is written.
pub(super) fn stored(value: &impl Encode<()>) -> Vec<u8> {
    minicbor::to_vec(value).unwrap_or_default()
}

/// The text of a cookie: a nonce, and what was encrypted with it.
#[must_use]
pub fn sealed_text(nonce: &[u8; NONCE_BYTES], sealed: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(&[nonce.as_slice(), sealed].concat())
}

/// What [`sealed_text`] was made of, if a text has its form.
#[must_use]
pub fn sealed_parts(text: &str) -> Option<([u8; NONCE_BYTES], Vec<u8>)> {
    let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    Some((*nonce, sealed.to_vec()))
}

/// Bytes of the nonces of AES-GCM.
const NONCE_BYTES: usize = 12;

/// The key that encrypts the cookies of one purpose of a policy, made of one value of its secret.
#[must_use]
pub fn seal_key(secret: &Secret, policy: &str, purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in ["tollgate cookie", policy, purpose] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(secret.expose().as_bytes());
    hash.finalize().into()
}

/// A person needs some minutes at most to log in.
pub const LOGIN_S: u64 = 600;

/// Clocks of the hosts of a gateway differ by less.
const CLOCKS_DIFFER_S: u64 = 300;
