//! The settings of a `jwt` policy.

use http::header::AUTHORIZATION;
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Serialize};

use crate::authn::resource::{bearer_challenge, proof_challenge};
use crate::authn::{Authenticator, CertificateSource, CredentialPlace, IdentityRules, OutageRules, ProtectedResource};
use crate::bounds::ROUTE_LIST_MAX;
use crate::codec::{self, Decode, Failed, Reader};
use crate::jose::{Algorithm, Algorithms, KeyType, TRIED_MAX};
use crate::kinds::{PolicyKind, Uses};
use crate::secret::{SECRET_VALUES_MAX, SecretText};

/// Settings of one `jwt` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct JwtSettings {
    /// Where the keys are.
    #[n(0)]
    pub keys: KeySource,
    /// The algorithms that are accepted.
    #[n(1)]
    pub algorithms: Algorithms,
    /// Where a request presents the token.
    #[n(2)]
    pub place: CredentialPlace,
    /// The type that the token's header must have, in lower case.
    #[serde(default)]
    #[n(3)]
    pub kind: Option<String>,
    /// What the claims must be, and who the bearer is.
    #[n(4)]
    pub rules: IdentityRules,
    /// Which tokens are admitted while the issuer is away; absent, none.
    #[serde(default)]
    #[n(5)]
    pub outage: Option<OutageRules>,
}

impl codec::Section for JwtSettings {
    const VERSION: u16 = IdentityRules::VERSION;

    fn least_version(&self) -> u16 {
        self.rules.least_version(self.outage.is_some())
    }
}

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

impl JwtSettings {
    /// A policy with the defaults of the configuration, without a leeway.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, keys: KeySource, algorithm: Algorithm) -> Self {
        let (issuers, audiences) = (vec![issuer.to_owned()], vec![audience.to_owned()]);
        Self {
            keys,
            algorithms: [algorithm].into_iter().collect(),
            place: CredentialPlace::field(AUTHORIZATION, Some("Bearer".to_owned())),
            kind: None,
            rules: IdentityRules { issuers, audiences, ..IdentityRules::default() },
            outage: None,
        }
    }

    /// Whether the algorithm of a token is accepted.
    #[must_use]
    pub const fn accepts(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(algorithm)
    }
}

impl KeySource {
    /// The answers of the issuer that are needed. Each is fetched once at most: a request that has just fetched keys does not
    /// look for newer ones. Metadata may name a set that has moved.
    pub(crate) const fn answers(&self) -> u32 {
        match self {
            Self::Secret(_) | Self::Static(_) => 0,
            Self::Set(..) => 1,
            Self::Discovery(_) => 3,
        }
    }

    /// The signatures that are verified for one token: with each key that may have made it, and with newer ones.
    pub(crate) const fn verifications(&self) -> u32 {
        match self {
            Self::Secret(_) => SECRET_VALUES_MAX as u32,
            Self::Static(_) => TRIED_MAX as u32,
            Self::Set(..) | Self::Discovery(_) => 2 * TRIED_MAX as u32,
        }
    }
}

impl PolicyKind for JwtSettings {
    fn is_coherent(&self) -> bool {
        let is_shared = |algorithm: Algorithm| algorithm.key_type() == KeyType::Octets;
        // A public key is never the secret of an HMAC, nor the other way round (RFC 8725, section 3.1).
        let keys_fit = match self.keys {
            KeySource::Secret(_) => self.algorithms.iter().all(is_shared),
            KeySource::Discovery(_) => self.rules.issuers.len() == 1 && !self.algorithms.iter().any(is_shared),
            KeySource::Set(..) | KeySource::Static(_) => !self.algorithms.iter().any(is_shared),
        };
        // Keys in the configuration are never away, but tokens of theirs can be revoked.
        let is_fetched = matches!(self.keys, KeySource::Set(..) | KeySource::Discovery(_));
        let outage_fits =
            self.outage.as_ref().is_none_or(|outage| (is_fetched || !outage.admits()) && outage.is_coherent());
        let is_complete = self.rules.group_claims.len() <= ROUTE_LIST_MAX
            && !self.rules.issuers.is_empty()
            && !self.algorithms.is_empty()
            && self.rules.is_for_somebody();
        is_complete && keys_fit && outage_fits && self.rules.has_coherent_binding(&self.place)
    }

    fn uses(&self) -> Uses<'_> {
        let secrets = match &self.keys {
            KeySource::Secret(text) => std::slice::from_ref(text),
            KeySource::Set(..) | KeySource::Discovery(_) | KeySource::Static(_) => &[],
        };
        let answers = self.keys.answers();
        let verifications = self.keys.verifications() + u32::from(self.rules.dpop().is_some());
        let outage = self.outage.as_ref();
        Uses {
            credential: Some(&self.place),
            secrets,
            fetches: answers,
            answers,
            verifications,
            outage,
            once: self.rules.dpop().is_some_and(|rules| rules.once),
            nonce: self.rules.dpop().and_then(|rules| rules.nonce.as_ref()),
            link: self.rules.links.is_some(),
            named_certificate: self.rules.certificate_source() == CertificateSource::Field,
            ..Uses::default()
        }
    }
}

impl Authenticator for JwtSettings {
    fn challenge(&self, realm: &str) -> String {
        bearer_challenge(&self.rules, &self.place, realm)
    }

    fn scope_in_credential<'s>(&'s self, scope: &'s str) -> &'s str {
        self.rules.scope_in_token(scope)
    }

    fn proof_challenge(&self, realm: &str) -> Option<String> {
        proof_challenge(&self.rules, &self.place, realm)
    }

    fn protected_resource(&self) -> Option<ProtectedResource<'_>> {
        ProtectedResource::of(&self.rules, &self.place)
    }
}

impl<C> Encode<C> for Algorithms {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.array(self.iter().count() as u64)?;
        self.iter().try_for_each(|algorithm| encoder.str(algorithm.as_str()).map(drop))
    }
}

impl Decode for Algorithms {
    fn blank() -> Self {
        std::iter::empty().collect()
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        let names = (0..reader.list()?).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()?;
        // An algorithm that is not known here is left out: nothing is verified with it.
        *self = names.into_iter().filter_map(|name| name.parse::<Algorithm>().ok()).collect();
        Ok(())
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
