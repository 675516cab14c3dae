//! Sessions that end before their time: by a logout, or because the provider says so (OpenID Connect Back-Channel Logout 1.0).

use sha2::{Digest, Sha256};

use super::{OidcLoginSettings, Session};
use crate::authn::{ClaimError, IdentityRules};
use crate::hex;
use crate::jose::{Members, Token, Value};
use crate::time::Timestamp;

/// Sessions that have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSessions {
    /// What they have in common, one of [`Session::marks`].
    pub mark: String,
    /// Those that began with an ID token which was issued until then, in seconds since 1970. So a message that comes again, or late,
    /// ends no session that has begun since.
    pub issued_s: u64,
}

impl OidcLoginSettings {
    /// The sessions that a logout token ends, whose signature was verified (section 2.6).
    ///
    /// # Errors
    /// If it is no logout token for this client.
    pub fn ended_by(&self, token: &Token<'_>, claims: &Members, now: Timestamp) -> Result<EndedSessions, ClaimError> {
        // Section 2.4: the type is recommended. Another one is that of another kind of token.
        if !token.kind.as_deref().is_none_or(|kind| matches!(kind, "jwt" | LOGOUT_TOKEN)) {
            return Err(ClaimError::Kind);
        }
        for name in ["iss", "aud", "iat", "exp", "jti", "events"] {
            claims.get(name).ok_or_else(|| ClaimError::Missing(name.to_owned()))?;
        }
        self.rules.check_issuer(claims)?;
        self.rules.check_audience(claims)?;
        self.rules.check_times(claims, now, 0)?;
        let form = |name: &str| ClaimError::Form(name.to_owned());
        let Some(Value::Object(events)) = claims.get("events") else { return Err(form("events")) };
        match events.get(EVENT) {
            Some(Value::Object(_)) => {}
            Some(_) => return Err(form("events")),
            None => return Err(ClaimError::Value("events".to_owned())),
        }
        // An ID token has one: it must not be used as a logout token.
        if claims.get("nonce").is_some() {
            return Err(ClaimError::Value("nonce".to_owned()));
        }
        text(claims, "jti")?;
        let (session, subject) = (text(claims, "sid")?, text(claims, "sub")?);
        let of_session = session.map(|session| mark(SESSION, session));
        let found = of_session.or_else(|| subject.map(|subject| mark(SUBJECT, subject)));
        let found = found.ok_or_else(|| ClaimError::Missing("sub".to_owned()))?;
        let issued = IdentityRules::facts(claims).issued.ok_or_else(|| form("iat"))?;
        Ok(EndedSessions { mark: found, issued_s: issued.as_secs() })
    }
}

/// A claim that is a text, if it is there.
fn text<'c>(claims: &'c Members, name: &str) -> Result<Option<&'c str>, ClaimError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let text = value.as_text().filter(|text| !text.is_empty());
    text.map(Some).ok_or_else(|| ClaimError::Form(name.to_owned()))
}

impl Session {
    /// The session, known by what the provider calls it and the person.
    pub(super) fn known_by(self, claims: &Members) -> Self {
        let of = |kind, name: &str| claims.text(name).map(|text| mark(kind, text));
        Self {
            issued_s: IdentityRules::facts(claims).issued.map_or(self.began_s, Timestamp::as_secs),
            // Every ID token has a subject (OpenID Connect Core 1.0, section 2).
            person: of(SUBJECT, "sub").unwrap_or_else(|| mark(SUBJECT, "")),
            at_provider: of(SESSION, "sid").unwrap_or_default(),
            ..self
        }
    }

    /// Under what records may say that it has ended: the session, and the person.
    #[must_use]
    pub fn marks(&self) -> [String; 2] {
        let own = if self.at_provider.is_empty() { mark(OWN, &self.id) } else { self.at_provider.clone() };
        [own, self.person.clone()]
    }

    /// Whether it is one of those that ended.
    #[must_use]
    pub const fn is_ended_by(&self, issued_s: u64) -> bool {
        self.issued_s <= issued_s
    }

    /// What ends this session, and others that the person has by the same session at the provider.
    #[must_use]
    pub fn ended(&self) -> EndedSessions {
        let [mark, _] = self.marks();
        // By the provider's clock alone: if it is behind, the next login would have ended before it begins.
        EndedSessions { mark, issued_s: self.issued_s }
    }
}

/// Stands for a name of a kind: 128 bits of its digest, in the digits by which stores tell the records of one kind and policy.
fn mark(kind: &str, name: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    hex::encode(&hash.finalize()[..16])
}

const SESSION: &str = "sid";
const SUBJECT: &str = "sub";
const OWN: &str = "id";

/// The type of logout tokens (section 2.4), in the form of [`Token::kind`].
const LOGOUT_TOKEN: &str = "logout+jwt";

/// The event of a logout token (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::oidc_login::settings::tests::settings;
    use crate::codec::Decode;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use wasm_bindgen_test::wasm_bindgen_test;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const EVENTS: &str = r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#;

    /// What a logout token with these claims ends; those that are there already are replaced, and an empty value leaves one out.
    fn ended_by(kind: Option<&str>, others: &[(&str, &str)]) -> Result<EndedSessions, ClaimError> {
        let usual = [
            ("iss", "\"https://id.example.com\""),
            ("aud", "[\"portal\"]"),
            ("iat", "1799999990"),
            ("exp", "1800000060"),
            ("jti", "\"1\""),
            ("events", EVENTS),
            ("sub", "\"ada\""),
        ];
        let usual = usual.iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
        let all = usual.chain(others).filter(|(_, value)| !value.is_empty());
        let members = all.map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",");
        let claims = Members::parse(format!("{{{members}}}").as_bytes()).unwrap();
        let kind = kind.map(|kind| format!(",\"typ\":\"{kind}\"")).unwrap_or_default();
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let text = format!("{}.{}.AAAA", part(&format!("{{\"alg\":\"EdDSA\"{kind}}}")), part("{}"));
        settings().ended_by(&Token::parse(&text).unwrap(), &claims, NOW)
    }

    fn session(sid: Option<&str>) -> Session {
        let sid = sid.map(|sid| format!(",\"sid\":\"{sid}\"")).unwrap_or_default();
        let claims = Members::parse(format!("{{\"sub\":\"ada\",\"iat\":1799999990{sid}}}").as_bytes()).unwrap();
        Session { id: "ab".into(), ..Session::blank() }.known_by(&claims)
    }

    /// OpenID Connect Back-Channel Logout 1.0, section 2.4.
    #[wasm_bindgen_test(unsupported = test)]
    fn a_logout_token_names_a_session_or_a_person() {
        for kind in [None, Some("JWT"), Some("logout+jwt"), Some("application/logout+jwt")] {
            let ended = ended_by(kind, &[]).unwrap();
            assert_eq!((&ended.mark, ended.issued_s), (&session(None).marks()[1], 1_799_999_990));
        }
        let of_session = ended_by(None, &[("sid", "\"s1\"")]).unwrap().mark;
        assert_eq!(of_session, session(Some("s1")).marks()[0], "the session, not all of the person");
        assert_eq!(ended_by(None, &[("sid", "\"s1\""), ("sub", "")]).unwrap().mark, of_session);
        assert!(![session(Some("s2")), session(None)].iter().any(|other| other.marks().contains(&of_session)));
        assert_ne!(ended_by(None, &[("sid", "\"ada\""), ("sub", "")]).unwrap().mark, session(None).person);
    }

    /// Section 2.6.
    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_logout_token_ends_nothing() {
        let missing = |name: &str| ClaimError::Missing(name.into());
        for name in ["iss", "aud", "iat", "exp", "jti", "events", "sub"] {
            assert_eq!(ended_by(None, &[(name, "")]), Err(missing(name)), "{name}");
        }
        let form = |name: &str| ClaimError::Form(name.into());
        let value = |name: &str| ClaimError::Value(name.into());
        let other = r#"{"http://schemas.openid.net/event/other":{}}"#;
        for (name, written, error) in [
            ("iss", "\"https://evil.test\"", ClaimError::Issuer),
            ("aud", "\"another\"", ClaimError::Audience),
            ("exp", "1799999000", ClaimError::Expired),
            ("iat", "1800009000", ClaimError::NotYet),
            ("iat", "\"now\"", form("iat")),
            ("jti", "\"\"", form("jti")),
            ("jti", "7", form("jti")),
            ("events", "[]", form("events")),
            ("events", other, value("events")),
            ("events", &EVENTS.replace("{}", "1"), form("events")),
            ("nonce", "\"n\"", value("nonce")),
            ("nonce", "null", value("nonce")),
            ("sub", "7", form("sub")),
            ("sid", "\"\"", form("sid")),
        ] {
            assert_eq!(ended_by(None, &[(name, written)]), Err(error), "{name}: {written}");
        }
        assert_eq!(ended_by(Some("at+jwt"), &[]), Err(ClaimError::Kind));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_message_that_comes_late_ends_no_newer_session() {
        let ended = ended_by(None, &[]).unwrap();
        let session = session(None);
        assert!(session.is_ended_by(ended.issued_s));
        let newer = Session { issued_s: session.issued_s + 1, ..session.clone() };
        assert!(!newer.is_ended_by(ended.issued_s));
        // Whatever the gateway's clock says: the person logs in again, and the provider's clock is behind.
        assert!(session.is_ended_by(session.ended().issued_s));
        assert!(!newer.is_ended_by(session.ended().issued_s));
    }
}
