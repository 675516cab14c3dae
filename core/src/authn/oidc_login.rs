//! The `oidc-login` policy: people log in with their browsers at an OpenID Connect provider (code flow with PKCE), and have a session
//! in an encrypted cookie.
//!
//! No state is kept at the gateway. What a login needs until the provider answers is in its `state`, and what is known of the person
//! afterwards is in a cookie; the gateway encrypts and authenticates both. The browser that began a login has a cookie with the digest
//! of its `state`. A cookie is read only at the host that set it, over HTTPS, and not by scripts.

mod browser;
mod logout;
mod refresh;
mod session;
mod settings;

pub use browser::{is_caused_here, is_navigation, is_same_origin, return_target};
pub use logout::EndedSessions;
pub use refresh::{KeptSession, Standing};
pub use session::{
    LOGIN_S, Login, LoginRefusal, Session, SessionCheck, digest_text, seal_key, sealed_parts, sealed_text,
};
pub use settings::{LOGINS_MAX, LoginPath, OidcLoginSettings};
