//! Sessions that the provider confirms now and then: it gives a refresh token with a login (OpenID Connect Core 1.0, section 12).

use minicbor::Encode;

use super::session::stored;
use super::{OidcLoginSettings, Session};
use crate::codec::{self, Decode};
use crate::time::Timestamp;

/// What is kept of a session beside its cookie, encrypted in a record. It is not printed.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeptSession {
    /// The session as the provider has confirmed it last.
    #[n(0)]
    pub session: Session,
    /// The refresh token that it gave last; none if the session has ended.
    #[n(1)]
    pub token: Option<String>,
}

impl KeptSession {
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
}

/// Whether the provider has to confirm a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has done so a short time ago, or need not.
    Fresh,
    /// It is asked behind the reply.
    Due,
    /// It is asked first.
    Overdue,
}

impl Session {
    /// Whether the provider has to confirm it now.
    #[must_use]
    pub fn standing(&self, settings: &OidcLoginSettings, now: Timestamp) -> Standing {
        let refresh_s = u64::from(settings.refresh_s);
        let age_s = now.as_secs().saturating_sub(self.confirmed_s);
        if refresh_s == 0 {
            Standing::Fresh
        } else if !self.keeps(settings) {
            Standing::Overdue
        } else if age_s < refresh_s {
            Standing::Fresh
        } else if age_s < refresh_s * OVERDUE {
            Standing::Due
        } else {
            Standing::Overdue
        }
    }

    /// The session that the provider has confirmed now.
    #[must_use]
    pub fn confirmed(self, now: Timestamp) -> Self {
        Self { confirmed_s: now.as_secs(), ..self }
    }

    /// What one isolate at a time does: to ask about the session as it was confirmed last. A refresh token may be used once, and
    /// who uses it twice may end the session.
    #[must_use]
    pub fn claim(&self) -> String {
        format!("refresh {} {}", self.id, self.confirmed_s)
    }
}

impl OidcLoginSettings {
    /// How long others leave a session to the one that asks about it: so long that all read what that one has written, and shorter
    /// than the time after which it would be asked again.
    #[must_use]
    pub fn claim_ms(&self) -> u32 {
        (self.refresh_s.saturating_mul(1_000) / 2).clamp(1, CLAIM_MS_MAX)
    }
}

/// After so many times of `refresh`, nobody has confirmed the session for too long.
const OVERDUE: u64 = 2;

/// Workers KV shows a write within a minute, or somewhat later.
const CLAIM_MS_MAX: u32 = 120_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::IdentityRules;
    use crate::authn::oidc_login::SessionCheck;
    use crate::authn::oidc_login::settings::tests::settings;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn session(confirmed_s: u64) -> Session {
        Session {
            consumer: "staff:ada".into(),
            id: "ab".into(),
            plan: None,
            scopes: Vec::new(),
            groups: vec!["admins".into()],
            began_s: 1_000,
            renewed_s: 1_000,
            confirmed_s,
            ..Session::blank()
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_provider_is_asked_behind_a_reply_and_after_twice_the_time_before_it() {
        let check = |refresh_s, at_s: u64, expected| {
            let settings = OidcLoginSettings { refresh_s, ..settings() };
            assert_eq!(session(1_000).standing(&settings, Timestamp::from_millis(at_s * 1_000)), expected, "{at_s}");
        };
        check(600, 1_599, Standing::Fresh);
        check(600, 1_600, Standing::Due);
        check(600, 2_199, Standing::Due);
        check(600, 2_200, Standing::Overdue);
        // A clock that was set back.
        check(600, 10, Standing::Fresh);
        check(0, 9_000_000, Standing::Fresh);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_session_without_the_claims_that_are_kept_now_is_not_used() {
        let now = Timestamp::from_millis(1_000_000);
        let keeping = |refresh_s, paths: &[&str]| {
            let kept_claims = paths.iter().map(|name| vec![(*name).to_owned()]).collect();
            let plain = settings();
            OidcLoginSettings { refresh_s, rules: IdentityRules { kept_claims, ..plain.rules.clone() }, ..plain }
        };
        let of = |settings: &OidcLoginSettings| {
            (session(1_000).check(settings, now), session(1_000).standing(settings, now))
        };
        assert_ne!(of(&keeping(0, &[])).0, SessionCheck::Ended);
        assert_eq!(of(&keeping(0, &["banned"])), (SessionCheck::Ended, Standing::Fresh));
        let (check, standing) = of(&keeping(600, &["banned"]));
        assert_eq!(standing, Standing::Overdue, "the provider says it");
        assert_ne!(check, SessionCheck::Ended);
        let [a, b] =
            [&["a", "b"][..], &["b"]].map(|paths| Session { kept: 0, ..session(1_000) }.keeps(&keeping(0, paths)));
        assert!(!a && !b);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_confirmed_session_is_another_claim_and_a_claim_ends_before_the_next_one_is_due() {
        let now = Timestamp::from_millis(2_000_000);
        assert_ne!(session(1_000).claim(), session(1_000).confirmed(now).claim());
        let claim_ms = |refresh_s| OidcLoginSettings { refresh_s, ..settings() }.claim_ms();
        assert_eq!([claim_ms(2), claim_ms(60), claim_ms(3_600)], [1_000, 30_000, 120_000]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_kept_is_read_again() {
        for token in [Some("r3fr3sh".to_owned()), None] {
            let kept = KeptSession { session: session(1), token };
            assert!(KeptSession::read(&kept.to_bytes()) == Some(kept));
        }
        assert!(KeptSession::read(b"").is_none() && KeptSession::read(&session(1).to_bytes()).is_none());
    }
}
