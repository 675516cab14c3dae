//! The settings of an `oidc-login` policy.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::authn::{Authenticator, IdentityRules, JwtSettings, KeySource, OutageRules};
use crate::bounds::ROUTE_LIST_MAX;
use crate::codec::{self, Decode};
use crate::jose::Algorithm;
use crate::kinds::{PolicyKind, Uses};
use crate::oauth::ClientAuthentication;
use crate::secret::SecretText;

/// Settings of one `oidc-login` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct OidcLoginSettings {
    /// How the gateway proves to the provider who it is.
    #[n(0)]
    pub client: ClientAuthentication,
    /// What an ID token must say, and who the person is: the one issuer, and the client as the audience.
    #[n(1)]
    pub rules: IdentityRules,
    /// The secret that encrypts cookies, then that of the client.
    #[n(2)]
    pub secrets: Vec<SecretText>,
    /// The path below which the policy answers itself: without a slash at the end.
    #[n(3)]
    pub path: String,
    /// The name of the session cookie.
    #[n(4)]
    pub cookie: String,
    /// What the provider is asked for: scopes with blanks between them.
    #[n(5)]
    pub scope: String,
    /// How long a session lasts at most, in seconds.
    #[n(6)]
    pub session_s: u32,
    /// How long it lasts without a request, in seconds.
    #[n(7)]
    pub idle_s: u32,
    /// Whether the provider may have an address that is not public.
    #[serde(default)]
    #[cbor(n(8), skip_if = "codec::is_default")]
    pub is_private: bool,
    /// The path to which a browser goes after the logout.
    #[n(9)]
    pub after_logout: String,
    /// After how long the provider has to confirm a session, in seconds; 0 if it need not.
    #[serde(default)]
    #[cbor(n(10), skip_if = "codec::is_default")]
    pub refresh_s: u32,
    /// Whether sessions can be ended before their time: by operators, by the provider, and for copies of a cookie by the logout.
    #[serde(default)]
    #[cbor(n(11), skip_if = "codec::is_default")]
    pub is_revocable: bool,
}

impl codec::Section for OidcLoginSettings {}

/// What is asked of a policy below its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginPath {
    /// The provider sends a browser back.
    Callback,
    /// The session ends.
    Logout,
    /// The provider says that sessions have ended, if they are revocable.
    BackChannelLogout,
}

impl LoginPath {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Callback, Self::Logout, Self::BackChannelLogout];

    /// The end of the path.
    const fn end(self) -> &'static str {
        match self {
            Self::Callback => "/callback",
            Self::Logout => "/logout",
            Self::BackChannelLogout => "/back-channel-logout",
        }
    }
}

impl OidcLoginSettings {
    /// What is asked at a path, if it is one of the policy.
    #[must_use]
    pub fn asked(&self, path: &str) -> Option<LoginPath> {
        let end = path.strip_prefix(self.path.as_str())?;
        self.answers().find(|own| own.end() == end)
    }

    /// The paths that the policy answers itself.
    pub fn own_paths(&self) -> impl Iterator<Item = String> {
        self.answers().filter_map(|own| self.path_of(own))
    }

    /// The path at which the policy answers this, if it does.
    #[must_use]
    pub fn path_of(&self, own: LoginPath) -> Option<String> {
        self.answers().any(|answered| answered == own).then(|| format!("{}{}", self.path, own.end()))
    }

    fn answers(&self) -> impl Iterator<Item = LoginPath> + use<> {
        let is_revocable = self.is_revocable;
        LoginPath::ALL.into_iter().filter(move |own| is_revocable || *own != LoginPath::BackChannelLogout)
    }

    /// The name of the cookie of a login, one of [`LOGINS_MAX`].
    #[must_use]
    pub fn login_cookie(&self, number: u8) -> String {
        format!("{}-login-{}", self.cookie, number % LOGINS_MAX)
    }

    /// How ID tokens are verified: with the keys that the metadata of the issuer name (OpenID Connect Core 1.0, section 3.1.3.7).
    #[must_use]
    pub fn verification(&self) -> JwtSettings {
        let issuer = self.rules.issuers.first().map(String::as_str).unwrap_or_default();
        let plain = JwtSettings::new(issuer, "", KeySource::Discovery(self.is_private), Algorithm::Rs256);
        JwtSettings { rules: self.rules.clone(), algorithms: Algorithm::PUBLIC.into_iter().collect(), ..plain }
    }
}

/// A path that can be the beginning of others: absolute, without a slash at the end.
fn is_prefix(path: &str) -> bool {
    path.starts_with('/') && path.len() > 1 && !path.ends_with('/')
}

impl PolicyKind for OidcLoginSettings {
    fn is_coherent(&self) -> bool {
        self.rules.issuers.len() == 1
            && self.rules.audiences.len() == 1
            && self.client.client_id() == self.rules.audiences.first().map(String::as_str)
            && self.rules.group_claims.len() <= ROUTE_LIST_MAX
            && self.secrets.len() == 2
            && is_prefix(&self.path)
            && self.cookie.starts_with("__Host-")
            && self.after_logout.starts_with('/')
            && !self.after_logout.starts_with("//")
            && self.idle_s > 0
            && self.session_s >= self.idle_s
            && self.refresh_s <= self.session_s
    }

    fn uses(&self) -> Uses<'_> {
        // A request with a session needs the secret. A login needs the metadata too; the token and the keys are fetched where the
        // policy answers itself, which is no request of a route. Where sessions are confirmed, a request may do this.
        let refreshes = self.refresh_s > 0;
        let keys = KeySource::Discovery(self.is_private);
        let (fetches, answers, verifications) =
            if refreshes { (keys.answers() + 1, keys.answers(), keys.verifications()) } else { (1, 1, 0) };
        Uses {
            secrets: &self.secrets,
            session: refreshes,
            once: refreshes,
            fetches,
            answers,
            verifications,
            link: refreshes && self.rules.links.is_some(),
            outage: self.is_revocable.then_some(&REVOCABLE),
            ended: self.is_revocable,
            ..Uses::default()
        }
    }
}

impl Authenticator for OidcLoginSettings {
    /// No scheme is registered for sessions of browsers.
    fn challenge(&self, realm: &str) -> String {
        format!("Session realm=\"{realm}\"")
    }

    fn login(&self) -> Option<&Self> {
        Some(self)
    }
}

/// Operators can revoke sessions; none is admitted while the provider is away, which need not be asked.
static REVOCABLE: OutageRules = OutageRules::only_revocation();

/// The cookies of logins in a browser: someone may have several pages open when a session ends. Each has less than 150 bytes.
pub const LOGINS_MAX: u8 = 16;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::authn::oidc_login) fn settings() -> OidcLoginSettings {
        let secret = |name: &str| SecretText::parse(&format!("${{secret.{name}}}")).unwrap();
        OidcLoginSettings {
            client: ClientAuthentication::Post("portal".into(), secret("CLIENT")),
            rules: IdentityRules {
                issuers: vec!["https://id.example.com".into()],
                audiences: vec!["portal".into()],
                ..IdentityRules::default()
            },
            secrets: vec![secret("SESSIONS"), secret("CLIENT")],
            path: "/.login".into(),
            cookie: "__Host-session".into(),
            scope: "openid".into(),
            session_s: 36_000,
            idle_s: 6_000,
            is_private: false,
            after_logout: "/".into(),
            refresh_s: 0,
            is_revocable: false,
        }
    }

    #[test]
    fn the_provider_is_listened_to_only_where_sessions_are_revocable() {
        let revocable = OidcLoginSettings { is_revocable: true, ..settings() };
        assert_eq!(revocable.asked("/.login/back-channel-logout"), Some(LoginPath::BackChannelLogout));
        assert_eq!(settings().asked("/.login/back-channel-logout"), None);
        for settings in [settings(), revocable] {
            assert_eq!(settings.asked("/.login/callback"), Some(LoginPath::Callback));
            assert!(settings.own_paths().all(|path| settings.asked(&path).is_some()));
        }
    }

    #[test]
    fn settings_that_would_make_no_session_are_incoherent() {
        assert!(settings().is_coherent());
        for (what, broken) in [
            ("a short idle time", OidcLoginSettings { idle_s: 0, ..settings() }),
            ("a refresh after the end", OidcLoginSettings { refresh_s: 36_001, ..settings() }),
            ("a cookie of any host", OidcLoginSettings { cookie: "session".into(), ..settings() }),
            ("another site", OidcLoginSettings { after_logout: "//evil.test".into(), ..settings() }),
            ("a path of everything", OidcLoginSettings { path: "/".into(), ..settings() }),
        ] {
            assert!(!broken.is_coherent(), "{what}");
        }
    }
}
