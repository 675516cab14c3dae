//! The reason of a decision: a stable code and arguments, as data. Text is formatted only when it is read.

use std::fmt;
use std::sync::Arc;

use super::{Argument, Canonical, Local, RouteLabel, UpstreamRecord};
use crate::authn::{
    BasicError, BindingError, CertificateRefusal, ClaimError, KeyError, LoginRefusal, MessageError, Principal,
};
use crate::cache::{Bypass, Forwarded, NotStored};
use crate::canonical::mark;
use crate::expression::EvaluationError;
use crate::forward::UpstreamError;
use crate::guard::Cidr;
use crate::jose::{Algorithm, TokenError};
use crate::limit::Fault;
use crate::oauth::GrantError;
use crate::route::PathError;

/// Declares each reason once: variant, code, and the text with its arguments.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident $({ $($field:ident: $type:ty),+ })? = $code:literal, $words:literal;)*) => {
        /// Why something was decided.
        ///
        /// A released code never changes, because logs and tests refer to it; texts may be improved at any time.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the text shows the meaning of each argument")]
        pub enum Reason {
            $($(#[doc = $doc])+ $name $({ $($field: $type),+ })?,)*
        }

        impl Reason {
            /// All codes, for docs and tests.
            pub const CODES: &'static [&'static str] = &[$($code),*];

            /// The stable code.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$name $({ $($field: _),+ })? => $code,)*
                }
            }

            /// Adds the code and the arguments that are the same on every host.
            pub(super) fn canonical(&self, out: &mut Canonical) {
                match self {
                    $(Self::$name $({ $($field),+ })? => {
                        out.number(const { mark($code) });
                        $($($field.canonical(out);)+)?
                    })*
                }
            }
        }

        impl fmt::Display for Reason {
            #[expect(unused_variables, reason = "not every argument is part of the text")]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name $({ $($field),+ })? => write!(f, $words),)*
                }
            }
        }
    };
}

reasons! {
    /// Path and query are too long.
    TargetTooLong { bytes: usize } = "target-too-long", "path and query have {bytes} bytes";
    /// The header fields are too many or too large.
    FieldsTooLarge { lines: Local<usize>, bytes: Local<usize> } = "fields-too-large", "{lines} field lines, {bytes} bytes";
    /// TRACE or CONNECT.
    MethodNotOffered = "method-not-offered", "method not offered";
    /// Two lengths that differ.
    LengthsDiffer = "lengths-differ", "content-length fields differ";
    /// A length that is not a number.
    LengthNotANumber = "length-not-a-number", "content-length is not a number";
    /// Blanks around a value.
    ValueNotTrimmed = "value-not-trimmed", "the value of a field begins or ends with a blank";
    /// A transfer coding other than `chunked`.
    CodingNotSupported = "coding-not-supported", "a transfer coding other than chunked";
    /// An invalid host, or several hosts.
    HostNotUsable = "host-not-usable", "the host is missing, ambiguous or invalid";
    /// The target's scheme is not that of HTTP.
    SchemeNotServed = "scheme-not-served", "the target's scheme is neither http nor https";
    /// The target is an `https` URL, and the connection is not encrypted.
    ConnectionNotSecure = "connection-not-secure", "the target's scheme is https, and the client's connection is not encrypted";
    /// The client has as many requests at once as it may.
    ClientBusy = "client-busy", "the client has as many requests at once as it may";
    /// The rule for paths.
    PathRefused { error: PathError } = "path-refused", "{error}";

    /// A route matches the request.
    RouteFound { route: Arc<RouteLabel> } = "route-found", "{route}";
    /// The route is for internal callers.
    RouteInternal = "route-internal", "the route is internal";
    /// The gateway answers OPTIONS itself.
    OptionsAnswered = "options-answered", "OPTIONS, answered by the gateway";
    /// The metadata of a protected resource (RFC 9728) or the public keys of the gateway (RFC 7517), which it answers itself.
    MetadataAnswered = "metadata-answered", "metadata of a protected resource or the gateway's public keys, answered by the gateway";
    /// The path is known, but not with this method.
    OtherMethod = "other-method", "the path does not support this method";
    /// No route has this host and path.
    NoRoute = "no-route", "no route matches this host and path";
    /// The path is the operator endpoint's, which is off.
    OperatorOff = "operator-off", "reserved for the operator endpoint, which is off here";
    /// A store that the operator endpoint needs does not answer.
    OperatorStoreUnavailable { text: Local<Arc<str>> } = "operator-store-away", "{text}";
    /// Nothing was published.
    NoBundle = "no-bundle", "no bundle";
    /// The configuration cannot be read.
    ConfigurationUnavailable { text: Local<Arc<str>> } = "configuration-away", "{text}";
    /// The configuration cannot be used.
    ConfigurationUnusable { text: Local<Arc<str>> } = "configuration-unusable", "{text}";

    /// The declared content exceeds the route's limit.
    ContentTooLarge { bytes: u64, max: u64 } = "content-too-large", "{bytes} bytes declared, {max} allowed";
    /// A guard lets the request pass.
    Admitted = "admitted", "admitted";
    /// The client's address is in a network that is refused.
    AddressDenied { network: Cidr } = "address-denied", "the client's address is in {network}";
    /// The client's address is in none of the networks that are allowed.
    AddressNotAllowed = "address-not-allowed", "the client's address is in no allowed network";
    /// The host does not know the client's address.
    AddressUnknown = "address-unknown", "the client's address is not known";

    /// The route requires no authentication.
    Public = "public", "the route is public";
    /// No credential was presented, and the route admits callers without one.
    Anonymous = "anonymous", "no credential";
    /// The caller is authenticated.
    Authenticated { principal: Arc<Principal> } = "authenticated", "{principal}";
    /// No key in any place where the policy reads one.
    KeyMissing = "key-missing", "no key";
    /// A value that is not a key.
    KeyMalformed { error: KeyError } = "key-malformed", "{error}";
    /// More than one key.
    KeysSeveral = "keys-several", "several keys";
    /// A key in the URL.
    KeyInQuery = "key-in-query", "key in the query";
    /// The key is not known.
    KeyUnknown = "key-unknown", "unknown key";
    /// No name and password.
    PasswordMissing = "password-missing", "no name and password";
    /// What is there is no name and password.
    PasswordMalformed { error: BasicError } = "password-malformed", "{error}";
    /// The name or the password is wrong.
    PasswordWrong = "password-wrong", "unknown name, or wrong password";
    /// Somebody tries passwords.
    PasswordTries = "password-tries", "too many wrong passwords";
    /// The isolate computes as many slow hashes as it may.
    PasswordsBusy = "passwords-busy", "too many passwords at once";
    /// Slow hashes cannot be computed.
    PasswordsAway { text: Local<Arc<str>> } = "passwords-away", "{text}";
    /// No session.
    SessionMissing = "session-missing", "no session";
    /// Several cookies of the session.
    SessionsSeveral = "sessions-several", "several session cookies";
    /// A cookie that the gateway did not make, or not with the current secret.
    SessionUnreadable = "session-unreadable", "the session cookie cannot be decrypted";
    /// The session has ended.
    SessionEnded = "session-ended", "the session has ended";
    /// The provider does not confirm the session any more.
    SessionWithdrawn = "session-withdrawn", "the identity provider does not confirm the session any more";
    /// Another site may have caused the request.
    SessionCrossSite = "session-cross-site", "the request may come from another site";
    /// The provider's answer makes no session.
    LoginRefused { error: LoginRefusal } = "login-refused", "{error}";
    /// The provider has authenticated a person.
    LoggedIn = "logged-in", "logged in";
    /// A person has logged out.
    LoggedOut = "logged-out", "logged out";
    /// The provider says that sessions have ended.
    SessionsEnded = "sessions-ended", "the identity provider ended sessions";
    /// The person was logged out, by themselves or the provider.
    SessionLoggedOut = "session-logged-out", "the person has logged out, or the identity provider ended the session";
    /// Whether the person was logged out is not known.
    LogoutsUnknown { text: Local<Arc<str>> } = "logouts-unknown", "{text}";
    /// The provider sent no logout token.
    LogoutTokenMissing = "logout-token-missing", "no `logout_token`";
    /// Nobody can log in, and no session can be read.
    LoginUnavailable { text: Local<Arc<str>> } = "login-away", "{text}";
    /// No token in any place where the policy reads one.
    TokenMissing = "token-missing", "no token";
    /// A value that is not a signed token.
    TokenMalformed { error: TokenError } = "token-malformed", "{error}";
    /// More than one token.
    TokensSeveral = "tokens-several", "several tokens";
    /// The policy does not list the token's algorithm.
    AlgorithmNotAccepted { algorithm: Algorithm } = "algorithm-not-accepted", "the algorithm {algorithm} is not accepted";
    /// No key of the issuer can have signed the token.
    TokenKeyUnknown = "token-key-unknown", "no key of the issuer has the token's key id and algorithm";
    /// The signature is not that of the issuer's key.
    SignatureWrong = "signature-wrong", "the signature is wrong";
    /// The token is not accepted, although its signature is right.
    TokenNotAccepted { error: ClaimError } = "token-not-accepted", "{error}";
    /// The token is not bound to who presents it.
    TokenNotBound { error: BindingError } = "token-not-bound", "{error}";
    /// The keys of the issuer are not known.
    TokenKeysUnavailable { text: Local<Arc<str>> } = "token-keys-away", "{text}";
    /// The request has no signature that the policy verifies.
    MessageNotSigned = "message-not-signed", "no signature of the request";
    /// The request is signed, and not as the policy requires.
    MessageRefused { error: MessageError } = "message-refused", "{error}";
    /// The same signed request was accepted before.
    MessageReplayed = "message-replayed", "the same signed message was accepted before";
    /// The content is too large to be verified.
    ContentNotVerifiable { max: u64 } = "content-not-verifiable", "the content is larger than the {max} bytes that are verified";
    /// The content of a request that is signed did not arrive completely.
    ContentInterrupted = "content-interrupted", "the content was interrupted";
    /// The content of a request that is signed did not arrive in time.
    ContentLate = "content-late", "the content did not arrive in time";
    /// The keys for signed requests cannot be used.
    SigningKeysUnavailable { text: Local<Arc<str>> } = "signing-keys-away", "{text}";
    /// The client has no certificate.
    CertificateMissing = "certificate-missing", "no certificate";
    /// The certificate of the client is not accepted.
    CertificateRefused { error: CertificateRefusal } = "certificate-refused", "{error}";
    /// No credential is stored for the certificate.
    CertificateUnknown { credential: Arc<str> } = "certificate-unknown", "unknown certificate {credential}";
    /// A value that cannot be a token.
    TokenNotText = "token-not-text", "not visible ASCII characters, or too many";
    /// The issuer says that the token is not active.
    TokenInactive = "token-inactive", "the token is not active";
    /// The issuer cannot be asked about tokens.
    IntrospectionUnavailable { text: Local<Arc<str>> } = "introspection-away", "{text}";
    /// The provider is away, and the token is not one of those that are admitted meanwhile.
    OutageRefused { why: &'static str } = "outage-refused", "the provider is away, and {why}";
    /// What operators have said about an outage, or the records of it, cannot be read or written.
    OutageUnknown { text: Local<Arc<str>> } = "outage-unknown", "{text}";
    /// The credential is not valid yet.
    CredentialNotYetValid { credential: Arc<str>, consumer: Arc<str> } =
        "credential-not-yet-valid", "not yet valid: credential {credential} of {consumer}";
    /// The credential has expired.
    CredentialExpired { credential: Arc<str>, consumer: Arc<str> } =
        "credential-expired", "expired: credential {credential} of {consumer}";
    /// The credential was revoked.
    CredentialRevoked { credential: Arc<str>, consumer: Arc<str> } =
        "credential-revoked", "revoked: credential {credential} of {consumer}";
    /// The credential is not accepted from the client's address.
    CredentialAddress { credential: Arc<str>, consumer: Arc<str> } =
        "credential-address", "not from this address: credential {credential} of {consumer}";
    /// The credential is not accepted at the request's host.
    CredentialHost { credential: Arc<str>, consumer: Arc<str> } =
        "credential-host", "not at this host: credential {credential} of {consumer}";
    /// The credential is not accepted from the web page that sent the request.
    CredentialReferrer { credential: Arc<str>, consumer: Arc<str> } =
        "credential-referrer", "not from this web page: credential {credential} of {consumer}";
    /// The credential is of an environment that the policy does not accept.
    CredentialEnvironment { credential: Arc<str>, consumer: Arc<str> } =
        "credential-environment", "of another environment: credential {credential} of {consumer}";
    /// Two credentials name different consumers.
    ConsumersDiffer = "consumers-differ", "credentials of different consumers";
    /// Credentials cannot be looked up.
    CredentialsUnavailable { text: Local<Arc<str>> } = "credentials-away", "{text}";
    /// No policy authenticated the caller.
    NotAuthenticated = "not-authenticated", "no policy authenticated the caller";

    /// All scopes are held.
    ScopesHeld = "scopes-held", "holds every scope";
    /// Some scopes are missing.
    ScopesMissing { scopes: Arc<str> } = "scopes-missing", "lacks {scopes}";
    /// A policy authorizes the request.
    Authorized = "authorized", "authorized";
    /// A policy decides by the caller, and the request has no credential.
    CallerUnknown = "caller-unknown", "the request has no authenticated caller";
    /// The caller is in a list of callers that are denied.
    CallerDenied { list: &'static str } = "caller-denied", "the caller is in `{list}` of those denied";
    /// The caller is in no list of callers that are allowed.
    CallerNotAllowed = "caller-not-allowed", "none of the lists of allowed callers names the caller";
    /// A service does not authorize the request.
    ExternalRefused = "external-refused", "the service refuses the request";
    /// A policy agent has no value for the rule that it is asked for.
    ExternalUndefined = "external-undefined",
        "the rule that the policy names in `url` does not exist at the service, or is not defined for this input: its answer has no `result`";
    /// There is no decision of a service.
    ExternalUnavailable { text: Local<Arc<str>> } = "external-away", "{text}";
    /// A condition is false.
    ConditionFalse = "condition-false", "the condition is false";
    /// A condition has no value.
    ConditionFailed { error: EvaluationError } = "condition-failed", "the condition has no value: {error}";

    /// The cost was charged.
    Charged { remaining: u32, cost: u32 } = "charged", "{remaining} remaining after a cost of {cost}";
    /// The cost was charged earlier, with others, and taken from these.
    Leased { remaining: u32, cost: u32 } = "leased", "{remaining} of the isolate's lease remaining after a cost of {cost}";
    /// The cost was charged in the isolate, which counts by itself.
    CountedLocally { remaining: u32, cost: u32 } = "counted-locally", "{remaining} remaining in the isolate after a cost of {cost}";
    /// The cost is not charged, or is refunded, because another quota refuses the request.
    NotCharged { remaining: u32, cost: u32 } = "not-charged", "{remaining} remaining, cost {cost} not charged";
    /// There is no number for the cost, so that what was reserved stays charged.
    CostUnknown { cost: u32 } = "cost-unknown", "the cost is not known, {cost} is charged";
    /// The cost is larger than allowed.
    CostBeyond { cost: u32 } = "cost-beyond", "the cost is beyond `cost-max`, {cost} is charged";
    /// The cost was known after the reply, and was charged or given back beyond what was reserved.
    Settled { cost: u32, reserved: u32 } = "settled", "a cost of {cost}, of which {reserved} was charged before";
    /// The quota is exhausted.
    Exhausted { remaining: u32, cost: u32 } = "exhausted", "{remaining} remaining, cost {cost} requested";
    /// The quota would refuse the request, but it is only observed.
    WouldRefuse { remaining: u32, cost: u32 } = "would-refuse", "{remaining} remaining, cost {cost} requested; only observed";
    /// So much of the quota is used now, in percent.
    QuotaReached { percent: u32 } = "quota-reached", "{percent} % of the quota are used";
    /// The request waited for its turn.
    Spaced { wait_ms: Local<u64> } = "spaced", "waited {wait_ms} ms for its turn";
    /// The charge could not be made where it is counted for all; the share of this isolate decided.
    ShareCharged { remaining: u32, cost: u32 } = "share-charged", "the counters are away; {remaining} of the isolate's share remaining after a cost of {cost}";
    /// The consumer has a subscription to a product with the API.
    Subscribed { subscription: Arc<str>, product: Arc<str>, plan: Arc<str> } =
        "subscribed", "subscription {subscription} to {product}, plan {plan}";
    /// The record of a plan has a number for the limit.
    PlanNumber { number: u32, plan: Arc<str> } = "plan-number", "{number} by the record of the plan {plan}";
    /// The record of the credential has a number for the limit.
    CredentialNumber { number: u32 } = "credential-number", "{number} by the record of the credential";
    /// A claim states the number of the limit.
    NumberClaimed { number: u32 } = "number-claimed", "{number} by a claim of the caller";
    /// The claim for the number of the limit has none that is allowed.
    ClaimNotUsed = "claim-not-used", "the claim for the number has no whole number from 1 to `at-most`";
    /// A grant raises the limit.
    LimitRaised { number: u32, until: Arc<str>, grant: Arc<str> } =
        "limit-raised", "raised to {number} until {until} by {grant}";
    /// The subscription of the consumer is not known.
    SubscriptionsUnavailable { text: Local<Arc<str>> } = "subscriptions-away", "{text}; limits are as without a subscription";
    /// The charge could not be made.
    CountersFailed { fault: Fault, text: Local<Arc<str>> } = "counters-failed", "{text}";

    /// Answered with a stored response.
    CacheHit { ttl_s: Local<u64> } = "cache-hit", "hit, fresh for {ttl_s} s";
    /// Not answered with a stored response.
    CacheForward { why: Forwarded } = "cache-forward", "fwd={why}";
    /// The request does not use the cache.
    CacheBypass { why: Bypass } = "cache-bypass", "{why}";
    /// The cache does not answer.
    CacheUnavailable { text: Local<Arc<str>> } = "cache-away", "{text}";
    /// The client accepts only a stored response.
    OnlyIfCached = "only-if-cached", "only-if-cached, and no usable response is stored";

    /// The URL cannot be forwarded.
    TargetNotForwarded { text: Local<Arc<str>> } = "target-not-forwarded", "{text}";
    /// A secret of the configuration has no value.
    SecretMissing { names: Arc<str> } = "secret-missing", "a secret has no value on this host: {names}";
    /// Secrets cannot be read.
    SecretsUnavailable { text: Local<Arc<str>> } = "secrets-away", "{text}";
    /// There is no token with which the gateway authenticates itself to the upstream.
    UpstreamTokenUnavailable { text: Local<Arc<str>> } = "upstream-token-away", "{text}";
    /// The server of tokens gives none for that of the caller.
    ExchangeRefused { error: GrantError } = "exchange-refused", "the token of the caller is not exchanged: {error}";
    /// No token can be signed that tells an upstream who the caller is.
    IdentityTokenUnavailable { text: Local<Arc<str>> } = "identity-token-away", "the token about the caller: {text}";
    /// A secret's value contains characters that a field value must not have.
    SecretNotAFieldValue { field: Arc<str> } =
        "secret-not-a-field-value", "the value of the field {field} has characters that are not allowed in a field";
    /// An upstream was called.
    Called { call: UpstreamRecord } = "called", "{call}";

    /// The upstream confirmed the stored response; `kept` says whether it stays stored.
    Confirmed { kept: bool } = "confirmed", "confirmed by the upstream";
    /// The response is being stored; `whole` says whether it is known beforehand that its content is not too long.
    Stored { fresh_s: Local<u64>, whole: Local<bool> } = "stored", "stored, fresh for {fresh_s} s";
    /// The response is not stored.
    NotStored { why: NotStored } = "not-stored", "not stored: {why}";

    /// The response was passed to the host.
    Answered { status: u16 } = "answered", "{status}";
    /// The kind of the problem is the reason.
    SeeProblem = "see-problem", "see the problem";
}

/// The canonical form of types that are represented by a fixed word.
macro_rules! by_word {
    ($($type:ty: $value:ident => $word:expr;)*) => {
        $(impl Argument for $type {
            fn canonical(&self, out: &mut Canonical) {
                let $value = self;
                out.add($word.as_bytes());
            }
        })*
    };
}

by_word! {
    Forwarded: why => why.as_str();
    Bypass: why => why.code();
    NotStored: why => why.code();
    Fault: fault => fault.code();
    KeyError: error => error.code();
    BasicError: error => error.code();
    LoginRefusal: error => error.code();
    TokenError: error => error.code();
    BindingError: error => error.code();
    CertificateRefusal: error => error.code();
    ClaimError: error => error.code();
    GrantError: error => error.code();
    MessageError: error => error.code();
    EvaluationError: error => error.code();
    Algorithm: algorithm => algorithm.as_str();
    PathError: error => error.code();
    UpstreamError: error => error.proxy_status();
}

impl Argument for Arc<RouteLabel> {
    fn canonical(&self, out: &mut Canonical) {
        out.number(self.mark);
    }
}

impl Argument for Cidr {
    fn canonical(&self, out: &mut Canonical) {
        out.add(self.to_string().as_bytes());
    }
}

impl Argument for bool {
    fn canonical(&self, out: &mut Canonical) {
        out.number(u64::from(*self));
    }
}

impl Argument for Arc<Principal> {
    fn canonical(&self, out: &mut Canonical) {
        out.number(self.mark);
    }
}

impl Argument for UpstreamRecord {
    fn canonical(&self, out: &mut Canonical) {
        out.add(self.upstream.name.as_bytes());
        match &self.outcome {
            Ok(status) => status.canonical(out),
            // What the client gets is the same on every host; how exactly a call failed, platforms tell differently.
            Err(error) => {
                out.add(b"failed");
                error.status().as_u16().canonical(out);
            }
        }
    }
}
