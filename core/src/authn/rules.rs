//! What must be known of a token, and who its bearer is.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{BindingMode, BindingRules, CertificateSource, CredentialPlace, DpopRules};
use crate::codec::{self, Decode};

/// What a policy asks of the claims of a token, and how it reads the bearer's identity in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct IdentityRules {
    /// The issuers, one of which must have issued the token.
    #[serde(default)]
    #[cbor(n(0), skip_if = "codec::is_default")]
    pub issuers: Vec<String>,
    /// The audiences, one of which must be among the token's; with none, `claims` says for whom it is.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub audiences: Vec<String>,
    /// How far the clocks of issuers may be from that of the gateway, in seconds.
    #[serde(default)]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub leeway_s: u32,
    /// How long after it was issued a token is accepted, in seconds.
    #[serde(default)]
    #[n(3)]
    pub age_max_s: Option<u32>,
    /// The claims that a token must have, besides those that every token must have.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub required: Vec<String>,
    /// The values that claims must have.
    #[serde(default)]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub claims: Vec<ClaimRule>,
    /// The claim that names the consumer.
    #[n(6)]
    pub consumer: String,
    /// What comes before it in the consumer's name; absent, the name of the policy and a colon, so that another policy does
    /// not have the same consumer.
    #[serde(default)]
    #[n(7)]
    pub consumer_prefix: Option<String>,
    /// The claim that names the plan.
    #[serde(default)]
    #[n(8)]
    pub plan: Option<String>,
    /// The claim with the scopes: one text with blanks between them, or a list.
    #[n(9)]
    pub scope_claim: String,
    /// Names of scopes in tokens that are others in the configuration.
    #[serde(default)]
    #[cbor(n(10), skip_if = "codec::is_default")]
    pub scopes: Vec<ScopeRule>,
    /// The claims with groups and roles: each one text, or a list.
    #[serde(default)]
    #[cbor(n(11), skip_if = "codec::is_default")]
    pub group_claims: Vec<String>,
    /// The claims that are kept for expressions, as paths of members.
    #[serde(default)]
    #[cbor(n(12), skip_if = "codec::is_default")]
    pub kept_claims: Vec<Vec<String>>,
    /// The identifier of the API as a protected resource, a URL, if its metadata are served (RFC 9728).
    #[serde(default)]
    #[n(13)]
    pub resource: Option<String>,
    /// What a token must be bound to; absent, to nothing.
    #[serde(default)]
    #[n(14)]
    pub binding: Option<BindingRules>,
    /// The consumers of tokens with these claims, by their whole names; `consumer` names those of other tokens.
    #[serde(default)]
    #[cbor(n(15), skip_if = "codec::is_default")]
    pub consumers: Vec<MapRule>,
    /// The plans of tokens with these claims; `plan` names those of other tokens.
    #[serde(default)]
    #[cbor(n(16), skip_if = "codec::is_default")]
    pub plans: Vec<MapRule>,
    /// Groups of tokens with these claims, besides those that claims name.
    #[serde(default)]
    #[cbor(n(17), skip_if = "codec::is_default")]
    pub groups: Vec<MapRule>,
    /// How identities are linked to consumers by records; absent, they are not.
    #[serde(default)]
    #[n(18)]
    pub links: Option<LinkRules>,
}

/// How identities are linked to consumers by records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct LinkRules {
    /// The claim whose value, with the issuer, is the name of an identity.
    #[n(0)]
    pub claim: String,
    /// Whether a token of an identity without a link is refused.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub required: bool,
}

/// A name that tokens with some claims have: of a consumer, a plan, or a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct MapRule {
    /// The name.
    #[n(0)]
    pub name: String,
    /// The values that claims have, all of them.
    #[n(1)]
    pub when: Vec<ClaimRule>,
}

/// The values that a claim must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ClaimRule {
    /// The claim.
    #[n(0)]
    pub claim: String,
    /// One of these is its value, or among its values.
    #[n(1)]
    pub any_of: Vec<String>,
}

/// A scope that has another name in tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ScopeRule {
    /// The scope in the configuration.
    #[n(0)]
    pub scope: String,
    /// The scope in the token.
    #[n(1)]
    pub in_token: String,
}

impl IdentityRules {
    /// The newest version of the sections that have such rules.
    pub(crate) const VERSION: u16 = 4;

    /// The version of a section with these rules. Version 2 has outages: who does not know them would accept tokens that were revoked.
    /// Version 3 has bound tokens: who does not know them would accept tokens that were stolen. Version 4 has links: who does not know
    /// them would take callers for others.
    pub(crate) const fn least_version(&self, has_outage: bool) -> u16 {
        match (&self.links, &self.binding, has_outage) {
            (Some(_), _, _) => Self::VERSION,
            (None, Some(_), _) => 3,
            (None, None, true) => 2,
            (None, None, false) => 1,
        }
    }

    /// What a token must be bound to.
    #[must_use]
    pub fn binding_mode(&self) -> BindingMode {
        self.binding.as_ref().map(|binding| binding.mode).unwrap_or_default()
    }

    /// Who tells the certificate to which a token may be bound.
    #[must_use]
    pub fn certificate_source(&self) -> CertificateSource {
        self.binding.as_ref().map_or(CertificateSource::Connection, |binding| binding.certificate)
    }

    /// How proofs of keys are verified, if they are.
    #[must_use]
    pub fn dpop(&self) -> Option<&DpopRules> {
        self.binding.as_ref()?.dpop.as_ref()
    }

    /// Whether what is required of holders can be required of the tokens in this place.
    pub(super) fn has_coherent_binding(&self, place: &CredentialPlace) -> bool {
        self.binding.as_ref().is_none_or(BindingRules::is_coherent) && place.with_proof == self.dpop().is_some()
    }

    /// Whether it says for whom tokens are; otherwise one for another service would be accepted.
    #[must_use]
    pub const fn is_for_somebody(&self) -> bool {
        !self.audiences.is_empty() || !self.claims.is_empty()
    }
}

impl Default for IdentityRules {
    /// Nothing is asked; the consumer is `sub`.
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_s: 0,
            age_max_s: None,
            required: Vec::new(),
            claims: Vec::new(),
            consumer: "sub".into(),
            consumer_prefix: None,
            plan: None,
            scope_claim: "scope".into(),
            scopes: Vec::new(),
            group_claims: Vec::new(),
            kept_claims: Vec::new(),
            resource: None,
            binding: None,
            consumers: Vec::new(),
            plans: Vec::new(),
            groups: Vec::new(),
            links: None,
        }
    }
}
