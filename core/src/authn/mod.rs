//! Authentication: credentials that a request presents, and what the record of one allows.

mod binding;
mod claims;
mod credential;
mod links;
mod mark;
mod password;
mod places;
mod resource;
mod restriction;
mod rules;
mod seen;
mod signed;

use crate::canonical::mark;
use crate::entitlement::PlanNumbers;
use crate::forward::{Attribute, Caller};
use crate::hex;
use crate::jose::{Members, Value, signed_part};
use crate::json::members;
use crate::kinds::{PolicyKind, declare_modules};
use crate::order;
use crate::token_id::is_same_credential;
pub use crate::x509::CertificateName;

crate::policy_kinds!(declare_modules @authn);

pub use crate::credential_place::{CredentialPlace, Presented};
pub use crate::outage::{
    Allowance, JTI, KnownToken, OF_CONSUMER, OUTAGE_S_MAX, Outage, OutagePolicy, OutageRules, Revocations,
    RevokedToken, TokenFacts, admitted, read_admitted,
};
pub use anonymous::{ANONYMOUS, AnonymousSettings};
pub use api_key::{
    ApiKey, ApiKeySettings, KeyDigest, KeyError, KeyPresented, KeyRules, KeyText, is_environment, keys_in,
};
pub use basic::{
    BasicError, BasicSettings, BasicUser, NameAndPassword, PASSWORDS_MAX, USERS_MAX, is_password_digest, is_user_name,
};
pub use binding::{
    BindingError, BindingMode, BindingRules, Confirmation, DpopRules, Proof, ProvedRequest, accepts_nonce, nonce,
};
pub use claims::{ClaimError, Identity};
pub use client_certificate::{
    CertificateCaller, CertificateConsumer, CertificateRefusal, CertificateRule, CertificateSource,
    ClientCertificateSettings, PeerCertificate, PresentedCertificate, Trust, certificate_id,
};
pub use credential::{Credential, CredentialState};
pub use http_signature::{
    ContentHash, HttpSignatureSettings, PresentedSignature, SIGNATURE_ALGORITHMS, SharedKeyError, SignedRequest,
    SigningKeys, component, content_digests, shared_key,
};
pub use introspection::{AnswerError, IntrospectionSettings, SignedAnswers, is_token_text};
pub use jwt::{JwtSettings, KeySource};
pub use links::{IdentityName, IdentityNameError};
pub use mark::{MarkSecret, TextMark};
pub use oidc_login::{
    EndedSessions, KeptSession, LOGIN_S, LOGINS_MAX, Login, LoginPath, LoginRefusal, OidcLoginSettings, Session,
    SessionCheck, Standing, digest_text, is_caused_here, is_navigation, is_same_origin, return_target, seal_key,
    sealed_parts, sealed_text,
};
pub use password::{SlowHash, SlowHashError, try_charge, try_release};
pub use places::{CredentialNames, authorization_holds_key};
pub use resource::{METADATA_PATH, ProtectedResource, ResourceMetadata, resource_metadata};
pub use restriction::{OriginError, OriginPattern, Restricted, Restrictions};
pub use rules::{ClaimRule, IdentityRules, LinkRules, MapRule, ScopeRule};
pub use seen::Once;
pub use signed::MessageError;
pub use webhook::{
    Encoding, HmacHash, HmacSender, WEBHOOK_SECRET_BYTES_MIN, WEBHOOK_SECRETS_MAX, WebhookKeyError, WebhookSender,
    WebhookSettings, WebhookSigned, is_standard_secret, standard_key,
};

use std::fmt;

use http::HeaderMap;
use sha2::{Digest, Sha256};

/// A public id of a credential for records and logs, from the beginning of its digest.
fn public_id(kind: &str, digest: &[u8]) -> String {
    format!("{kind}-{}", hex::encode(digest))
}

/// The decisions of every kind of the authentication slot.
pub trait Authenticator: PolicyKind {
    /// The `WWW-Authenticate` challenge (RFC 9110, section 11.6.1).
    fn challenge(&self, realm: &str) -> String;

    /// What a caller is asked to sign (RFC 9421, section 5.1), as a member with this label unless the policy has another one.
    fn accept_signature(&self, label: &str) -> Option<String> {
        let _ = label;
        None
    }

    /// Whether a request has a signature that it would verify.
    fn is_signed(&self, fields: &HeaderMap) -> bool {
        let _ = fields;
        false
    }

    /// The resource whose metadata the gateway serves for the policy (RFC 9728), if it asks for that.
    fn protected_resource(&self) -> Option<ProtectedResource<'_>> {
        None
    }

    /// The name in credentials of a scope of the configuration.
    fn scope_in_credential<'s>(&'s self, scope: &'s str) -> &'s str {
        scope
    }

    /// The settings of the logins that it makes sessions of.
    fn login(&self) -> Option<&OidcLoginSettings> {
        None
    }

    /// Whether it admits callers that present no credential.
    fn is_anonymous(&self) -> bool {
        false
    }

    /// The challenge for tokens with a proof (RFC 9449, section 7.1), if it accepts other tokens too.
    fn proof_challenge(&self, realm: &str) -> Option<String> {
        let _ = realm;
        None
    }

    /// Who tells the certificate of the client, if it reads one.
    fn certificate_source(&self) -> Option<CertificateSource> {
        None
    }
}

/// The authenticated caller of a request.
///
/// It is shared, and created once for each cached credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The owner of the credential.
    pub consumer: String,
    /// The credential's public id, never the key.
    pub credential: String,
    /// The plan the credential was issued for.
    pub plan: Option<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// The groups and roles of the owner, sorted.
    pub groups: Vec<String>,
    /// The numbers that the credential has for limits.
    pub limits: Vec<PlanNumbers>,
    /// Whether the token was admitted although its provider is away.
    pub in_outage: bool,
    /// Whether there is no credential: limits count the client's address, and responses are stored as without one.
    pub is_anonymous: bool,
    /// What its token is bound to.
    pub confirmation: Option<Box<Confirmation>>,
    /// What was kept of its token or certificate, for expressions and upstreams.
    facts: Vec<(Attribute, Value)>,
    /// What its token says of itself, if it can be revoked.
    pub token: Option<Box<TokenFacts>>,
    /// Its members of log lines.
    pub(crate) members: Box<str>,
    /// What stands for it in the canonical form of events.
    pub(crate) mark: u64,
}

impl Principal {
    /// The owner of a credential with this public id.
    #[must_use]
    pub fn new(consumer: String, credential: String, plan: Option<String>, scopes: Vec<String>) -> Self {
        let members = members(|line| {
            line.text("consumer", &consumer);
            line.text("credential", &credential);
        });
        let mark = mark(&members);
        Self {
            consumer,
            credential,
            plan,
            scopes,
            groups: Vec::new(),
            limits: Vec::new(),
            in_outage: false,
            is_anonymous: false,
            confirmation: None,
            facts: Vec::new(),
            token: None,
            members,
            mark,
        }
    }

    /// Whether the credential is a key, whose record is kept: ids of keys begin with `key-`. The id of another credential has a slash
    /// after the name of its policy, which may begin so too.
    #[must_use]
    pub fn is_of_key(&self) -> bool {
        self.credential.starts_with("key-") && !self.credential.contains('/')
    }

    /// The same, with the claims at these paths; of an object only that it is there. The rules of the identity bound their size.
    #[must_use]
    pub fn with_claims(mut self, paths: &[Vec<String>], claims: &Members) -> Self {
        let kept = |path: &Vec<String>| Some((Attribute::Claim(path.clone()), claims.at(path)?.without_members()));
        self.facts.extend(paths.iter().filter_map(kept));
        self
    }

    /// The same, with what its certificate has of one kind; one value is not a list.
    fn with_certificate(mut self, name: CertificateName, values: Vec<String>) -> Self {
        let mut values: Vec<Value> = values.into_iter().map(Value::Text).collect();
        let value = if values.len() == 1 { values.pop() } else { Some(Value::List(values)) };
        self.facts.extend(value.map(|value| (Attribute::Certificate(name), value)));
        self
    }

    /// About how many bytes of memory it has.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = self.scopes.iter().chain(&self.groups).map(|text| size_of::<String>() + text.len());
        let facts = self.facts.iter().map(|(_, value)| size_of::<Value>() + value.size());
        let own = self.consumer.len() + self.credential.len() + self.members.len();
        let limits = self.limits.iter().map(|numbers| size_of::<PlanNumbers>() + numbers.policy.len());
        size_of::<Self>() + own + texts.chain(facts).chain(limits).sum::<usize>()
    }

    /// The claim at a path, if it was kept.
    #[must_use]
    pub fn claim(&self, path: &[String]) -> Option<&Value> {
        let is_it = |fact: &Attribute| matches!(fact, Attribute::Claim(own) if own == path);
        self.facts.iter().find(|(fact, _)| is_it(fact)).map(|(_, value)| value)
    }

    /// Whether this text is the token that is its credential.
    #[must_use]
    pub fn has_token(&self, text: &str) -> bool {
        is_same_credential(&self.credential, &token_id("token", text))
    }

    /// Whether both have the same credential. One token is one, whichever kinds of policy read it.
    #[must_use]
    pub fn has_credential_of(&self, other: &Self) -> bool {
        is_same_credential(&self.credential, &other.credential)
    }

    /// The same with the scopes, groups and claims of another credential of the same owner, and with its plan if this one has none.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        self.in_outage |= other.in_outage;
        if self.confirmation.is_none() {
            self.confirmation.clone_from(&other.confirmation);
        }
        if self.plan.is_none() {
            self.plan.clone_from(&other.plan);
        }
        self.scopes.extend(other.scopes.iter().cloned());
        self.scopes = order::each_once(self.scopes);
        self.groups.extend(other.groups.iter().cloned());
        self.groups = order::each_once(self.groups);
        let is_new = |(fact, _): &&(Attribute, Value)| !self.facts.iter().any(|(own, _)| own == fact);
        let others = other.facts.iter().filter(is_new).cloned().collect::<Vec<_>>();
        self.facts.extend(others);
        self
    }

    /// The same, with what its token says of itself.
    #[must_use]
    pub fn with_token(self, token: Option<Box<TokenFacts>>) -> Self {
        Self { token, ..self }
    }

    /// The same, with a token that is bound to this.
    #[must_use]
    pub fn bound_to(self, confirmation: Option<Box<Confirmation>>) -> Self {
        Self { confirmation, ..self }
    }

    /// The same, admitted although the provider of its token is away.
    #[must_use]
    pub fn in_outage(self) -> Self {
        Self { in_outage: true, ..self }
    }

    /// The same, in these groups.
    #[must_use]
    pub fn with_groups(self, groups: Vec<String>) -> Self {
        Self { groups: order::each_once(groups), ..self }
    }
}

/// A public id of a token for records and logs: its kind, and the beginning of its digest, which reveals nothing about it.
///
/// A signature of a JWT can have several forms (with ECDSA, `s` and `n - s`), so the digest is that of what is signed.
#[must_use]
pub fn token_id(kind: &str, token: &str) -> String {
    let identifying = signed_part(token).unwrap_or(token);
    public_id(kind, &Sha256::digest(identifying.as_bytes())[..PUBLIC_ID_BYTES])
}

/// The SHA-256 of a token in 64 lower-case hexadecimal digits, under which a record of it is stored.
#[must_use]
pub fn token_digest(token: &str) -> String {
    hex::encode(&Sha256::digest(token.as_bytes()))
}

/// Bytes of the digest in the public id of a token.
const PUBLIC_ID_BYTES: usize = 8;

impl From<&Credential> for Principal {
    fn from(credential: &Credential) -> Self {
        let Credential { id, consumer, plan, scopes, groups, limits, .. } = credential.clone();
        Self { limits, ..Self::new(consumer, id, plan, scopes).with_groups(groups) }
    }
}

impl<'p> From<&'p Principal> for Caller<'p> {
    fn from(Principal { consumer, credential, plan, scopes, groups, facts, .. }: &'p Principal) -> Self {
        Self { consumer, credential, plan: plan.as_deref(), scopes, groups, facts }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consumer {}, credential {}", self.consumer, self.credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn with_credential(id: &str) -> Principal {
        Principal::new("acme".into(), id.into(), None, Vec::new())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_token_is_one_credential_whichever_policy_reads_it() {
        let is_same = |a: &str, b: &str| with_credential(a).has_credential_of(&with_credential(b));
        assert!(is_same("jwt-00ff", "token-00ff") && is_same("key-00ff", "key-00ff"));
        assert!(!is_same("jwt-00ff", "token-00fe") && !is_same("key-00ff", "token-00ff"));
        assert!(!is_same("key-00ff", "key-00fe"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_policy_with_the_name_of_a_key_has_no_key() {
        assert!(with_credential("key-0123456789ab").is_of_key());
        assert!(!with_credential("key-hooks/1").is_of_key());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_plan_of_two_credentials_is_that_of_the_first_that_has_one() {
        let planned = |plan: &str| Principal::new("acme".into(), plan.into(), Some(plan.into()), Vec::new());
        let bare = with_credential("jwt-00ff");
        assert!(
            bare.clone().joined(&bare.clone().in_outage()).in_outage
                && bare.clone().in_outage().joined(&bare).in_outage
        );
        assert_eq!(bare.clone().joined(&planned("trial")).plan.as_deref(), Some("trial"));
        assert_eq!(planned("trial").joined(&bare).plan.as_deref(), Some("trial"));
        assert_eq!(planned("gold").joined(&planned("trial")).plan.as_deref(), Some("gold"));
    }
}
