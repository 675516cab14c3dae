//! Problems: the responses to the client for refusals and failures (RFC 9457).

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use http::header::LINK;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::event::{Reason, Verdict};
use crate::forward::CLIENT_GONE;
use crate::json;
use crate::policy_name::PolicyName;

/// The kinds of problem. Each has a stable type URI, one status and one title; docs/problems.md lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The request is malformed or ambiguous.
    BadRequest,
    /// The path was refused by the rule for paths.
    BadPath,
    /// The request target is too long.
    TargetTooLong,
    /// The request's fields are too many or too large.
    FieldsTooLarge,
    /// The request's content is too large.
    ContentTooLarge,
    /// The request's content did not arrive in time.
    ContentTimeout,
    /// The request has a transfer coding that the gateway does not decode.
    TransferCodingUnsupported,
    /// The request is for an `https` URL, and its connection is not encrypted.
    Misdirected,
    /// The gateway does not admit this client, independent of credentials.
    ClientNotAdmitted,
    /// No route has this host and path.
    RouteNotFound,
    /// The path is known, but not with this method.
    MethodNotAllowed,
    /// A person is sent to the provider at which they log in.
    LoginRequired,
    /// A credential is required and none was presented.
    CredentialMissing,
    /// The presented value is not a credential.
    CredentialMalformed,
    /// The credential is in a place where it is not accepted.
    CredentialMisplaced,
    /// The credential is not known.
    CredentialUnknown,
    /// The credential is genuine, but not one that is accepted here.
    CredentialNotAccepted,
    /// The credential is not valid yet.
    CredentialNotYetValid,
    /// The credential has expired.
    CredentialExpired,
    /// The credential was revoked.
    CredentialRevoked,
    /// The signed message was accepted before.
    CredentialReplayed,
    /// The credential lacks a scope.
    ScopeMissing,
    /// The caller may not send this request.
    NotAuthorized,
    /// The role of an operator's token does not allow the request.
    RoleMissing,
    /// The operator endpoint has no such resource.
    ResourceNotFound,
    /// The content does not have the required type.
    UnsupportedMediaType,
    /// A rate limit is exhausted.
    RateLimitExceeded,
    /// A budget of the operator is used up.
    BudgetExhausted,
    /// The client has as many requests at once as it may.
    TooManyAtOnce,
    /// The client accepts only a stored response and there is none.
    NotStored,
    /// The upstream failed.
    UpstreamFailed,
    /// The upstream took too long.
    UpstreamTimeout,
    /// The client disconnected before the response; it is in the log only.
    ClientGone,
    /// The gateway handles as many requests as it may.
    Overloaded,
    /// The gateway stopped before the response; it is in the log only.
    Stopped,
    /// No bundle was published to this gateway yet.
    NoConfiguration,
    /// A store that a decision depends on is unavailable.
    StoreUnavailable,
    /// Too many concurrent requests change one counter.
    CounterContended,
    /// The table of counters is full.
    CounterTableFull,
    /// The state of a counter cannot be read by this version of the gateway.
    CounterUnreadable,
    /// A secret of the configuration has no value.
    SecretMissing,
    /// The gateway itself failed.
    Internal,
}

impl ProblemKind {
    /// Every kind, for docs and tests.
    pub const ALL: [Self; 42] = [
        Self::BadRequest,
        Self::BadPath,
        Self::TargetTooLong,
        Self::FieldsTooLarge,
        Self::ContentTooLarge,
        Self::ContentTimeout,
        Self::TransferCodingUnsupported,
        Self::Misdirected,
        Self::ClientNotAdmitted,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::LoginRequired,
        Self::CredentialMissing,
        Self::CredentialMalformed,
        Self::CredentialMisplaced,
        Self::CredentialUnknown,
        Self::CredentialNotAccepted,
        Self::CredentialNotYetValid,
        Self::CredentialExpired,
        Self::CredentialRevoked,
        Self::CredentialReplayed,
        Self::ScopeMissing,
        Self::NotAuthorized,
        Self::RoleMissing,
        Self::ResourceNotFound,
        Self::UnsupportedMediaType,
        Self::RateLimitExceeded,
        Self::BudgetExhausted,
        Self::TooManyAtOnce,
        Self::NotStored,
        Self::UpstreamFailed,
        Self::UpstreamTimeout,
        Self::ClientGone,
        Self::Overloaded,
        Self::Stopped,
        Self::NoConfiguration,
        Self::StoreUnavailable,
        Self::CounterContended,
        Self::CounterTableFull,
        Self::CounterUnreadable,
        Self::SecretMissing,
        Self::Internal,
    ];

    /// The last part of the type URI; also the label in metrics and logs.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        self.facts().0
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.facts().1
    }

    /// The title: the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.facts().2
    }

    /// The type URI, such as `urn:tollgate:problem:route-not-found`.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("urn:tollgate:problem:{}", self.slug())
    }

    const fn facts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest => ("bad-request", S::BAD_REQUEST, "The request cannot be understood"),
            Self::BadPath => ("bad-path", S::BAD_REQUEST, "The path is ambiguous"),
            Self::TargetTooLong => ("target-too-long", S::URI_TOO_LONG, "The URL is too long"),
            Self::FieldsTooLarge => {
                ("fields-too-large", S::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's fields are too large")
            }
            Self::ContentTooLarge => ("content-too-large", S::PAYLOAD_TOO_LARGE, "The request's content is too large"),
            Self::ContentTimeout => ("content-timeout", S::REQUEST_TIMEOUT, "The request's content took too long"),
            Self::TransferCodingUnsupported => {
                ("transfer-coding-unsupported", S::NOT_IMPLEMENTED, "The transfer coding is not supported")
            }
            Self::Misdirected => ("misdirected", S::MISDIRECTED_REQUEST, "The connection is not for this URL"),
            Self::ClientNotAdmitted => ("client-not-admitted", S::FORBIDDEN, "The gateway does not admit this client"),
            Self::RouteNotFound => ("route-not-found", S::NOT_FOUND, "There is nothing at this URL"),
            Self::MethodNotAllowed => ("method-not-allowed", S::METHOD_NOT_ALLOWED, "The method is not allowed here"),
            // A browser follows it; its content is for those who do not.
            Self::LoginRequired => ("login-required", S::FOUND, "A login is needed"),
            Self::CredentialMissing => ("credential-missing", S::UNAUTHORIZED, "A credential is needed"),
            Self::CredentialMalformed => ("credential-malformed", S::UNAUTHORIZED, "The credential is malformed"),
            Self::CredentialMisplaced => {
                ("credential-misplaced", S::UNAUTHORIZED, "The credential is in the wrong place")
            }
            Self::CredentialUnknown => ("credential-unknown", S::UNAUTHORIZED, "The credential is not known"),
            Self::CredentialNotAccepted => {
                ("credential-not-accepted", S::UNAUTHORIZED, "The credential is not accepted here")
            }
            Self::CredentialNotYetValid => {
                ("credential-not-yet-valid", S::UNAUTHORIZED, "The credential is not valid yet")
            }
            Self::CredentialExpired => ("credential-expired", S::UNAUTHORIZED, "The credential has expired"),
            Self::CredentialRevoked => ("credential-revoked", S::UNAUTHORIZED, "The credential was revoked"),
            Self::CredentialReplayed => ("credential-replayed", S::UNAUTHORIZED, "The message was sent before"),
            Self::ScopeMissing => ("scope-missing", S::FORBIDDEN, "The credential lacks a scope"),
            Self::NotAuthorized => ("not-authorized", S::FORBIDDEN, "The caller may not send this request"),
            Self::RoleMissing => ("role-missing", S::FORBIDDEN, "The token's role does not allow this"),
            Self::ResourceNotFound => ("resource-not-found", S::NOT_FOUND, "There is no such resource"),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", S::UNSUPPORTED_MEDIA_TYPE, "The content has the wrong type")
            }
            Self::RateLimitExceeded => ("rate-limit-exceeded", S::TOO_MANY_REQUESTS, "The rate limit is exhausted"),
            Self::BudgetExhausted => ("budget-exhausted", S::SERVICE_UNAVAILABLE, "The budget is used up"),
            Self::TooManyAtOnce => {
                ("too-many-at-once", S::TOO_MANY_REQUESTS, "This client has too many requests at once")
            }
            Self::NotStored => ("not-stored", S::GATEWAY_TIMEOUT, "No stored response is usable"),
            Self::UpstreamFailed => ("upstream-failed", S::BAD_GATEWAY, "The service behind the gateway failed"),
            Self::UpstreamTimeout => {
                ("upstream-timeout", S::GATEWAY_TIMEOUT, "The service behind the gateway took too long")
            }
            Self::ClientGone => ("client-gone", CLIENT_GONE, "The client disconnected before the response"),
            Self::Overloaded => ("overloaded", S::SERVICE_UNAVAILABLE, "The gateway handles too many requests"),
            Self::Stopped => ("stopped", S::SERVICE_UNAVAILABLE, "The gateway stopped before the response"),
            Self::NoConfiguration => ("no-configuration", S::SERVICE_UNAVAILABLE, "The gateway has no configuration"),
            Self::StoreUnavailable => {
                ("store-unavailable", S::SERVICE_UNAVAILABLE, "The gateway cannot decide right now")
            }
            Self::CounterContended => {
                ("counter-contended", S::SERVICE_UNAVAILABLE, "Too many requests are counted at once")
            }
            Self::CounterTableFull => {
                ("counter-table-full", S::SERVICE_UNAVAILABLE, "The gateway cannot count more clients")
            }
            Self::CounterUnreadable => {
                ("counter-unreadable", S::SERVICE_UNAVAILABLE, "The gateway cannot read its count")
            }
            Self::SecretMissing => ("secret-missing", S::SERVICE_UNAVAILABLE, "The gateway is not fully set up"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "The gateway failed"),
        }
    }
}

/// A refusal or an error, with everything that its response needs.
///
/// It is a pointer to its [parts](ProblemParts): what succeeds does not move room for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<ProblemParts>);

/// What a [`Problem`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemParts {
    /// The kind.
    pub kind: ProblemKind,
    /// What went wrong and how to fix it, for the client. Contains nothing internal.
    pub detail: Cow<'static, str>,
    /// The reason, as data; its text is for the log and never contains a secret.
    pub reason: Reason,
    /// Fields of the response: challenges, `Allow`, `Retry-After`, `RateLimit`, `Proxy-Status`.
    pub fields: HeaderMap,
    /// The policy that decided, if one did.
    pub policy: Option<PolicyName>,
    /// Further members of the document.
    pub numbers: Vec<(&'static str, u64)>,
    /// Where the client can read on.
    pub help: Option<Box<str>>,
}

impl Deref for Problem {
    type Target = ProblemParts;

    fn deref(&self) -> &ProblemParts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut ProblemParts {
        &mut self.0
    }
}

impl Problem {
    /// A problem with its text for the client and its reason.
    pub fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>, reason: Reason) -> Self {
        Self::of_parts(kind, detail.into(), reason)
    }

    #[inline(never)]
    fn of_parts(kind: ProblemKind, detail: Cow<'static, str>, reason: Reason) -> Self {
        Self(Box::new(ProblemParts {
            kind,
            detail,
            reason,
            fields: HeaderMap::new(),
            policy: None,
            numbers: Vec::new(),
            help: None,
        }))
    }

    /// Its parts, to take what they own.
    #[must_use]
    pub fn into_parts(self) -> ProblemParts {
        *self.0
    }

    /// A problem without a separate reason: its kind and text are enough.
    pub fn plain(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, detail, Reason::SeeProblem)
    }

    /// Its verdict: an error or a refusal.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is_refusal = matches!(
            self.kind,
            ProblemKind::NotStored | ProblemKind::TransferCodingUnsupported | ProblemKind::BudgetExhausted
        );
        let failed = self.kind.status().is_server_error() && !is_refusal;
        if failed { Verdict::Error } else { Verdict::Refuse }
    }

    /// Sets the policy that decided.
    #[must_use]
    pub fn by(mut self, policy: impl Into<PolicyName>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Adds members to the document.
    #[must_use]
    pub fn stating<const N: usize>(mut self, numbers: [(&'static str, u64); N]) -> Self {
        self.numbers.extend(numbers);
        self
    }

    /// Says where the client can read on, in the document and in `Link` (RFC 8288).
    #[must_use]
    pub fn with_help(mut self, url: Option<&str>) -> Self {
        self.help = url.map(Into::into);
        match url {
            Some(url) => self.with(LINK, ["<", url, ">; rel=\"help\""].concat()),
            None => self,
        }
    }

    /// Adds a field to the response; a value that is not a valid field value is omitted.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.fields.append(name, value);
        }
        self
    }

    /// The content of the response: a problem document of type `application/problem+json`.
    #[must_use]
    pub fn document(&self, request_id: &str) -> Vec<u8> {
        let mut document = String::new();
        json::object(&mut document, |document| {
            document.word("type", &self.kind.type_uri());
            document.text("title", self.kind.title());
            document.number("status", self.kind.status().as_u16().into());
            document.text("detail", &self.detail);
            if !request_id.is_empty() {
                document.text("request_id", request_id);
            }
            if let Some(policy) = self.policy.as_deref() {
                document.text("policy", policy);
            }
            for (name, number) in &self.numbers {
                document.number(name, *number);
            }
            if let Some(help) = &self.help {
                document.text("help", help);
            }
        });
        document.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Local;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_kind_has_a_distinct_type_and_an_error_status() {
        let mut slugs: Vec<_> = ProblemKind::ALL.iter().map(|k| k.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), ProblemKind::ALL.len());
        let is_error = |k: &ProblemKind| k.status().is_client_error() || k.status().is_server_error();
        assert!(ProblemKind::ALL.iter().all(|k| is_error(k) || *k == ProblemKind::LoginRequired));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_document_does_not_contain_the_text_for_the_log() {
        let reason = Reason::CredentialsUnavailable { text: Local("10.0.0.7 refused".into()) };
        let problem = Problem::new(ProblemKind::UpstreamFailed, "try again", reason).by("p");
        let text = String::from_utf8(problem.document("r1")).unwrap();
        assert!(!text.contains("10.0.0.7"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["type"], "urn:tollgate:problem:upstream-failed");
        assert_eq!((&json["status"], &json["request_id"], &json["policy"]), (&502.into(), &"r1".into(), &"p".into()));
    }
}
