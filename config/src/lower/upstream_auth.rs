//! Lowers `upstreams.NAME.auth`.

use tollgate_core::forward::{ClientCredentials, IdentityField, UpstreamAuth};
use tollgate_core::secret::SecretText;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::upstream_auth::{How, WrittenAuth};
use crate::place::Spanned;

/// How the gateway authenticates itself to an upstream for which it also sets these fields.
pub(super) fn auth(
    written: &WrittenAuth,
    set: &[(String, SecretText)],
    identity: &[IdentityField],
    report: &mut Report,
) -> Option<UpstreamAuth> {
    let by_headers = set.iter().any(|(name, _)| name == "authorization").then_some("headers");
    let by_identity = identity.iter().any(|field| field.name == "authorization").then_some("identity");
    if let Some(key) = by_headers.or(by_identity) {
        report.push(
            Diagnostic::error(
                Code::BadUpstreamAuth,
                written.at,
                format!("`Authorization` is set by `auth` and by `{key}`"),
            )
            .why("a request has one such field")
            .fix("remove one of them"),
        );
        return None;
    }
    match &written.how {
        How::Basic { user, password } => basic(user, password, report),
        How::ClientCredentials { url, id, secret, client, scopes, audience, is_private } => {
            let secret = parsed::secret_reference(secret, report)?;
            Some(UpstreamAuth::ClientCredentials(ClientCredentials {
                url: token_url(url, *is_private, report)?,
                is_private: *is_private,
                client: client(id.value.clone(), secret),
                scopes: scopes.iter().map(|scope| parsed::scope(scope, report)).collect::<Option<_>>()?,
                audience: audience.as_ref().map(|audience| audience.value.clone()),
            }))
        }
    }
}

/// A name and a password (RFC 7617, section 2).
fn basic(user: &Spanned<String>, password: &Spanned<String>, report: &mut Report) -> Option<UpstreamAuth> {
    if user.value.contains(':') || user.value.chars().any(char::is_control) {
        report.push(
            Diagnostic::error(
                Code::BadUpstreamAuth,
                user.span,
                "the name of a user has no colon and no control characters",
            )
            .why("the first colon separates name and password (RFC 7617, section 2)")
            .fix("write another name"),
        );
        return None;
    }
    parsed::secret_reference(password, report).map(|password| UpstreamAuth::Basic(user.value.clone(), password))
}

fn token_url(url: &Spanned<String>, is_private: bool, report: &mut Report) -> Option<String> {
    let parsed = parsed::url(url, report)?;
    if !is_private && !parsed.is_https() {
        report.push(
            Diagnostic::error(Code::BadUpstreamAuth, url.span, "the token is fetched not over HTTPS")
                .why("anyone on the way could read the client's secret and the token")
                .fix("write an `https://` URL; inside a private network add `private-network: true`"),
        );
        return None;
    }
    Some(url.value.clone())
}
