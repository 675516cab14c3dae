//! The settings of a `jwt` policy.

use http::header::AUTHORIZATION;
use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::authn::{Authenticator, CredentialPlace};
use crate::bounds::ROUTE_LIST_MAX;
use crate::codec;
use crate::jose::{Algorithm, Algorithms, KeyType};
use crate::kinds::{PolicyKind, Uses};
use crate::secret::SecretText;

/// Settings of one `jwt` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct JwtSettings {
    /// The issuers, one of which must have issued the token.
    #[cbor(n(0), decode_with = "codec::list")]
    pub issuers: Vec<String>,
    /// The audiences, one of which must be among the token's; with none, `claims` says for whom it is.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub audiences: Vec<String>,
    /// Where the keys are.
    #[n(2)]
    pub keys: KeySource,
    /// The algorithms that are accepted.
    #[n(3)]
    pub algorithms: Algorithms,
    /// Where a request presents the token.
    #[n(4)]
    pub place: CredentialPlace,
    /// The type that the token's header must have, in lower case.
    #[serde(default)]
    #[n(5)]
    pub kind: Option<String>,
    /// How far the clocks of issuers may be from that of the gateway, in seconds.
    #[serde(default)]
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub leeway_s: u32,
    /// How long after it was issued a token is accepted, in seconds.
    #[serde(default)]
    #[n(7)]
    pub age_max_s: Option<u32>,
    /// The claims that a token must have, besides those that every token must have.
    #[serde(default)]
    #[cbor(n(8), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub required: Vec<String>,
    /// The values that claims must have.
    #[serde(default)]
    #[cbor(n(9), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub claims: Vec<ClaimRule>,
    /// The claim that names the consumer.
    #[n(10)]
    pub consumer: String,
    /// What comes before it in the consumer's name; absent, the name of the policy and a colon, so that another policy does
    /// not have the same consumer.
    #[serde(default)]
    #[n(11)]
    pub consumer_prefix: Option<String>,
    /// The claim that names the plan.
    #[serde(default)]
    #[n(12)]
    pub plan: Option<String>,
    /// The claim with the scopes: one text with blanks between them, or a list.
    #[n(13)]
    pub scope_claim: String,
    /// Names of scopes in tokens that are others in the configuration.
    #[serde(default)]
    #[cbor(n(14), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub scopes: Vec<ScopeRule>,
    /// The claims with groups and roles: each one text, or a list.
    #[serde(default)]
    #[cbor(n(15), skip_if = "codec::is_default", decode_with = "codec::list")]
    pub group_claims: Vec<String>,
}

impl codec::Section for JwtSettings {}

/// Where the keys of a policy are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum KeySource {
    /// The set at this URL; the second is whether it may have an address that is not public.
    #[n(0)]
    Set(#[n(0)] String, #[n(1)] bool),
    /// The set that the metadata of the one issuer names (OpenID Connect Discovery 1.0; RFC 8414).
    #[n(1)]
    Discovery(#[n(0)] bool),
    /// A set in the configuration.
    #[n(2)]
    Static(#[n(0)] String),
    /// A shared secret.
    #[n(3)]
    Secret(#[n(0)] SecretText),
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
    #[cbor(n(1), decode_with = "codec::list")]
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

impl JwtSettings {
    /// A policy with the defaults of the configuration, without a leeway.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, keys: KeySource, algorithm: Algorithm) -> Self {
        Self {
            issuers: vec![issuer.to_owned()],
            audiences: vec![audience.to_owned()],
            keys,
            algorithms: [algorithm].into_iter().collect(),
            place: CredentialPlace::field(AUTHORIZATION, Some("Bearer".to_owned())),
            kind: None,
            leeway_s: 0,
            age_max_s: None,
            required: vec![],
            claims: vec![],
            consumer: "sub".to_owned(),
            consumer_prefix: None,
            plan: None,
            scope_claim: "scope".to_owned(),
            scopes: vec![],
            group_claims: vec![],
        }
    }

    /// Whether the algorithm of a token is accepted.
    #[must_use]
    pub const fn accepts(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(algorithm)
    }
}

impl PolicyKind for JwtSettings {
    fn is_coherent(&self) -> bool {
        let is_shared = |algorithm: Algorithm| algorithm.key_type() == KeyType::Octets;
        // A public key is never the secret of an HMAC, nor the other way round (RFC 8725, section 3.1).
        let keys_fit = match self.keys {
            KeySource::Secret(_) => self.algorithms.iter().all(is_shared),
            KeySource::Discovery(_) => self.issuers.len() == 1 && !self.algorithms.iter().any(is_shared),
            KeySource::Set(..) | KeySource::Static(_) => !self.algorithms.iter().any(is_shared),
        };
        let is_for_somebody = !self.audiences.is_empty() || !self.claims.is_empty();
        let is_complete = self.group_claims.len() <= ROUTE_LIST_MAX
            && !self.issuers.is_empty()
            && !self.algorithms.is_empty()
            && is_for_somebody;
        is_complete && keys_fit
    }

    fn uses(&self) -> Uses<'_> {
        let secrets = match &self.keys {
            KeySource::Secret(text) => std::slice::from_ref(text),
            KeySource::Set(..) | KeySource::Discovery(_) | KeySource::Static(_) => &[],
        };
        Uses { credential: Some(&self.place), secrets, ..Uses::default() }
    }
}

impl Authenticator for JwtSettings {
    fn challenge(&self, realm: &str) -> String {
        self.place.challenge("Bearer", realm)
    }
}

impl<C> Encode<C> for Algorithms {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.array(self.iter().count() as u64)?;
        self.iter().try_for_each(|algorithm| encoder.str(algorithm.as_str()).map(drop))
    }
}

impl<'b, C> Decode<'b, C> for Algorithms {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let names = decoder.array_iter::<&str>()?;
        // An algorithm that is not known here is left out: nothing is verified with it.
        names.filter_map(|name| name.map(|name| name.parse::<Algorithm>().ok()).transpose()).collect()
    }
}

impl Serialize for Algorithms {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Algorithm::as_str))
    }
}

impl<'de> Deserialize<'de> for Algorithms {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let known = |name: &String| name.parse().map_err(|()| serde::de::Error::custom(format!("{name} is unknown")));
        names.iter().map(known).collect()
    }
}
