//! Lowers `upstreams.NAME.auth`, and `upstream-auth` of the other levels.

use tollgate_core::forward::{AwsSettings, ClientCredentials, IdentityField, TokenExchange, UpstreamAuth, UpstreamUrl};
use tollgate_core::secret::SecretText;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::upstream_auth::{How, WrittenAuth, WrittenAws, WrittenServer};
use crate::place::{Span, Spanned};

/// What an upstream has besides its authentication.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upstream<'u> {
    pub(super) name: &'u str,
    /// Absent if it is not valid.
    pub(super) url: Option<&'u UpstreamUrl>,
    /// The fields that are set.
    pub(super) fields: &'u [(String, SecretText)],
}

/// How the gateway authenticates itself to an upstream that is told this of callers.
pub(super) fn auth(
    written: &WrittenAuth,
    upstream: Upstream<'_>,
    identity: &[IdentityField],
    report: &mut Report,
) -> Option<UpstreamAuth> {
    let by_headers = upstream.fields.iter().any(|(name, _)| name == "authorization").then_some("headers");
    let by_identity = identity.iter().any(|field| field.name == "authorization").then_some("identity");
    if let Some(key) = by_headers.or(by_identity) {
        let what = format!("`Authorization` is set by `auth` and by `{key}`");
        return bad(written.at, what, "a request has one such field", "remove one of them", report);
    }
    match &written.how {
        How::Basic { user, password } => basic(user, password, report),
        How::ClientCredentials(server) => self::server(server, report).map(UpstreamAuth::ClientCredentials),
        How::TokenExchange { server, subject, actor } => {
            let actor = match actor {
                Some(actor) => Some(parsed::secret_reference(actor, report)?),
                None => None,
            };
            let server = self::server(server, report)?;
            Some(UpstreamAuth::TokenExchange(TokenExchange { server, subject: *subject, actor }))
        }
        How::Aws(aws) => self::aws(aws, upstream, report).map(UpstreamAuth::Aws),
    }
}

fn bad<T>(at: Span, what: impl Into<String>, why: &str, fix: &str, report: &mut Report) -> Option<T> {
    report.push(Diagnostic::error(Code::BadUpstreamAuth, at, what).why(why).fix(fix));
    None
}

/// A name and a password (RFC 7617, section 2).
fn basic(user: &Spanned<String>, password: &Spanned<String>, report: &mut Report) -> Option<UpstreamAuth> {
    if user.value.contains(':') || user.value.chars().any(char::is_control) {
        let what = "the name of a user has no colon and no control characters";
        let why = "the first colon separates name and password (RFC 7617, section 2)";
        return bad(user.span, what, why, "write another name", report);
    }
    parsed::secret_reference(password, report).map(|password| UpstreamAuth::Basic(user.value.clone(), password))
}

fn server(written: &WrittenServer, report: &mut Report) -> Option<ClientCredentials> {
    let WrittenServer { url, id, secret, client, scopes, audience, resources, is_private } = written;
    let secret = parsed::secret_reference(secret, report)?;
    Some(ClientCredentials {
        url: token_url(url, *is_private, report)?,
        is_private: *is_private,
        client: client(id.value.clone(), secret),
        scopes: scopes.iter().map(|scope| parsed::scope(scope, report)).collect::<Option<_>>()?,
        audience: audience.as_ref().map(|audience| audience.value.clone()),
        resources: resources.iter().map(|resource| self::resource(resource, report)).collect::<Option<_>>()?,
    })
}

fn token_url(url: &Spanned<String>, is_private: bool, report: &mut Report) -> Option<String> {
    let parsed = parsed::url(url, report)?;
    if !is_private && !parsed.is_https() {
        let why = "anyone on the way could read the client's secret and the token";
        let fix = "write an `https://` URL; inside a private network add `private-network: true`";
        return bad(url.span, "the token is fetched not over HTTPS", why, fix, report);
    }
    Some(url.value.clone())
}

/// An absolute URI without a fragment (RFC 8707, section 2).
fn resource(written: &Spanned<String>, report: &mut Report) -> Option<String> {
    let has_scheme = |(scheme, rest): (&str, &str)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let is_printable = written.value.bytes().all(|byte| byte.is_ascii_graphic());
    if is_printable && !written.value.contains('#') && written.value.split_once(':').is_some_and(has_scheme) {
        return Some(written.value.clone());
    }
    let why = "a resource is an absolute URI without a fragment (RFC 8707, section 2)";
    bad(
        written.span,
        format!("`{}` is no resource", written.value),
        why,
        "write a URI such as `https://pets.internal`",
        report,
    )
}

fn aws(written: &WrittenAws, upstream: Upstream<'_>, report: &mut Report) -> Option<AwsSettings> {
    let WrittenAws { region, service, key_id, secret, session, signs_content, forwarded } = written;
    for name in [region, service] {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.value.is_empty() || !name.value.bytes().all(is_name) {
            let why = "regions and services have names of lower-case letters, digits and hyphens, as AWS writes them in signatures";
            let fix = "write a name such as `eu-central-1`, or `execute-api`";
            return bad(name.span, format!("`{}` is no region or service", name.value), why, fix, report);
        }
    }
    let session = match session {
        Some(session) => Some(parsed::secret_reference(session, report)?),
        None => None,
    };
    let mut aws = AwsSettings {
        region: region.value.clone(),
        service: service.value.clone(),
        key_id: parsed::secret_text(key_id, report)?,
        secret: parsed::secret_reference(secret, report)?,
        session,
        streams: false,
        forwarded: forwarded.iter().map(|name| self::forwarded(name, report)).collect::<Option<_>>()?,
    };
    let may_stream = aws.is_s3() && upstream.url.is_none_or(UpstreamUrl::is_https);
    if let Some(signs) = signs_content.as_ref().filter(|signs| !signs.value && !may_stream) {
        let why = "only S3 accepts content that is not signed, and only over HTTPS, which protects it on the way";
        return bad(signs.span, "the content has to be signed", why, "remove it, or write `true`", report);
    }
    aws.streams = signs_content.as_ref().map_or(may_stream, |signs| !signs.value);
    aws.forwarded.sort_unstable();
    Some(aws)
}

fn forwarded(name: &Spanned<String>, report: &mut Report) -> Option<String> {
    let lower = parsed::field_name(name, report)?;
    let is_set = AwsSettings::SET.iter().any(|own| *own == *lower);
    if lower.starts_with("x-amz-") && !is_set {
        return Some(lower);
    }
    let why =
        if is_set { "the gateway sets it" } else { "only fields `X-Amz-*` are removed, all others are forwarded" };
    bad(name.span, format!("`{}` cannot be listed here", name.value), why, "remove it", report)
}
