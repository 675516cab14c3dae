//! The list of policy kinds, and what is derived from it.
//!
//! [`policy_kinds!`](crate::policy_kinds) lists every kind once: its slot, its module, the type of its settings and its
//! word in configuration. From the list are derived the policy type of each slot, so that a limit cannot be used where
//! an authenticator is required; the modules of every crate; and the dispatch from a slot to its kinds. Nothing else
//! matches on kinds. A new kind is a line here and one module in each of core, config and edge.
//!
//! Start with [`Policies`], then read one kind: [`crate::limit::rate_limit`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use crate::codec::{Decode, Failed, Reader};
use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::policy_name::PolicyName;

use crate::credential_place::CredentialPlace;
use crate::limit::Partition;
use crate::outage::OutageRules;
use crate::secret::SecretText;

/// Calls a macro with the list of all policy kinds.
///
/// The list is a block for each slot, in the order in which they run: the slot's module and variant, the name of its
/// policy type, the trait that its kinds implement in core, and its kinds. A kind is its module, its variant, the type of its settings, and its word in
/// configuration.
#[macro_export]
macro_rules! policy_kinds {
    ($then:ident $($arguments:tt)*) => {
        $then! {
            $($arguments)*
            /// A policy of the guard slot, which runs before the caller is authenticated.
            guard Guard GuardPolicy Guard {
                /// Admits or refuses by the client's address.
                ip_filter IpFilter IpFilterSettings "ip-filter",
            }
            /// A policy of the authentication slot.
            authn Authn AuthnPolicy Authenticator {
                /// Authenticates by API key.
                api_key ApiKey ApiKeySettings "api-key",
                /// Authenticates by a signed token.
                jwt Jwt JwtSettings "jwt",
                /// Authenticates by a token that its issuer is asked about.
                introspection Introspection IntrospectionSettings "introspection",
                /// Authenticates the senders of signed webhooks.
                webhook Webhook WebhookSettings "webhook",
                /// Authenticates by the certificate of a TLS client.
                client_certificate ClientCertificate ClientCertificateSettings "client-certificate",
                /// Authenticates callers that sign their requests.
                http_signature HttpSignature HttpSignatureSettings "http-signature",
                /// Authenticates callers by name and password.
                basic Basic BasicSettings "basic",
                /// Authenticates people who log in at an OpenID Connect provider.
                oidc_login OidcLogin OidcLoginSettings "oidc-login",
                /// Admits callers that present no credential, as a consumer.
                anonymous Anonymous AnonymousSettings "anonymous",
            }
            /// A policy of the authorization slot, which decides what an authenticated caller may do.
            authz Authz AuthzPolicy Authorizer {
                /// Authorizes by consumer, plan and group.
                access Access AccessSettings "access",
                /// Authorizes by an expression about request and caller.
                condition Condition ConditionSettings "condition",
                /// Authorizes by the decision of a service.
                external External ExternalSettings "external",
            }
            /// A policy of the limit slot.
            limit Limit LimitPolicy Limiter {
                /// Limits the request rate of callers.
                rate_limit RateLimit RateLimitSettings "rate-limit",
                /// Limits the number of requests in a window of a calendar.
                quota Quota QuotaSettings "quota",
                /// Limits the number of requests at the same time.
                concurrency Concurrency ConcurrencySettings "concurrency",
            }
        }
    };
}

/// Declares the modules of one slot's kinds, in the slot's folder.
macro_rules! declare_modules {
    (@guard $(#[$d:meta])* guard $S:ident $P:ident $I:ident { $($(#[$k:meta])* $module:ident $K:ident $T:ident $w:literal,)* } $($rest:tt)*) => {
        $(pub mod $module;)*
    };
    (@authn $(#[$d:meta])* authn $S:ident $P:ident $I:ident { $($(#[$k:meta])* $module:ident $K:ident $T:ident $w:literal,)* } $($rest:tt)*) => {
        $(pub mod $module;)*
    };
    (@authz $(#[$d:meta])* authz $S:ident $P:ident $I:ident { $($(#[$k:meta])* $module:ident $K:ident $T:ident $w:literal,)* } $($rest:tt)*) => {
        $(pub mod $module;)*
    };
    (@limit $(#[$d:meta])* limit $S:ident $P:ident $I:ident { $($(#[$k:meta])* $module:ident $K:ident $T:ident $w:literal,)* } $($rest:tt)*) => {
        $(pub mod $module;)*
    };
    (@$slot:ident $(#[$d:meta])* $other:ident $S:ident $P:ident $I:ident { $($kinds:tt)* } $($rest:tt)*) => {
        $crate::kinds::declare_modules!(@$slot $($rest)*);
    };
    // Checks that the slot is in the list.
    (@$slot:ident) => {};
}
pub(crate) use declare_modules;

/// What every kind of policy implements.
pub trait PolicyKind {
    /// Checks what the types cannot express: bounds of lists, names that HTTP allows.
    fn is_coherent(&self) -> bool;

    /// What one run may use of the host.
    fn uses(&self) -> Uses<'_>;
}

/// The policies of one slot.
pub trait SlotPolicy: Sized + 'static {
    /// The slot.
    const SLOT: Slot;

    /// The policies of this slot.
    fn list(policies: &Policies) -> &Vec<Named<Self>>;

    /// The policies of this slot, mutable.
    fn list_mut(policies: &mut Policies) -> &mut Vec<Named<Self>>;

    /// The kind's word in configuration.
    fn kind(&self) -> &'static str;

    /// The policy as a [`PolicyKind`].
    fn as_kind(&self) -> &dyn PolicyKind;
}

/// The maximum that one run of a policy uses of the host; `cost` is computed from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses<'s> {
    /// Reads a credential that a request presents in this place.
    pub credential: Option<&'s CredentialPlace>,
    /// Reads the certificate of the client.
    pub certificate: bool,
    /// Reads the record of the credential.
    pub record: bool,
    /// Charges the counters of a partition.
    pub charge: Option<Partition<'s>>,
    /// Tells the partition when the request has ended.
    pub ends: bool,
    /// Reads the secrets that these texts refer to.
    pub secrets: &'s [SecretText],
    /// Reads the whole content of the request into memory.
    pub content: bool,
    /// Charges a counter so that nobody can use the same credential again.
    pub once: bool,
    /// Asks services this often, if nothing is known of the credential and of the services.
    pub fetches: u32,
    /// Asks a service about the request this often, whatever is known of others.
    pub questions: u32,
    /// Of these, the answers that isolates share: each is looked up among the records before, and written there afterwards.
    pub answers: u32,
    /// Verifies this many signatures.
    pub verifications: u32,
    /// Reads the certificate that a trusted proxy names, if a token is bound to one.
    pub named_certificate: bool,
    /// Reads the secret from which it makes nonces.
    pub nonce: Option<&'s SecretText>,
    /// Admits tokens that were verified before while their provider is away.
    pub outage: Option<&'s OutageRules>,
    /// Reads the link of the identity of a token.
    pub link: bool,
    /// Reads whether the person, or the person's session at the provider, was logged out: a record of each.
    pub ended: bool,
    /// Keeps in a record what the provider says of the person's session, and asks it again now and then.
    pub session: bool,
}

impl<'s> Uses<'s> {
    /// The secrets that it reads.
    pub fn all_secrets(&self) -> impl Iterator<Item = &'s SecretText> + use<'s> {
        self.secrets.iter().chain(self.nonce)
    }

    /// Where it reads an API key: a credential whose record is kept.
    #[must_use]
    pub fn key_place(&self) -> Option<&'s CredentialPlace> {
        self.credential.filter(|_| self.record)
    }
}

/// A policy with the name it is referred to by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named<P> {
    /// The name, unique within the gateway across all slots.
    pub name: PolicyName,
    /// The settings.
    pub policy: P,
}

/// The position of a policy in the list of its slot.
pub struct Place<P> {
    index: usize,
    slot: PhantomData<fn() -> P>,
}

/// A policy of any slot, for definitions that are not assigned to a slot yet.
pub type NamedPolicy = Named<Policy>;

/// The properties of a policy of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyView<'p> {
    /// Its name.
    pub name: &'p str,
    /// Its slot.
    pub slot: Slot,
    /// Its kind's word in configuration.
    pub kind: &'static str,
    /// What it may use of the host.
    pub uses: Uses<'p>,
}

macro_rules! derive_slots {
    ($(
        $(#[$slot_doc:meta])*
        $slot:ident $Slot:ident $SlotPolicy:ident $Interface:ident {
            $( $(#[$doc:meta])* $module:ident $Kind:ident $Settings:ident $word:literal, )*
        }
    )*) => {
        /// The slots of policies, in the order in which they run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Slot {
            $( $(#[$slot_doc])* $Slot, )*
        }

        impl Slot {
            /// All slots.
            pub const ALL: &'static [Self] = &[$( Self::$Slot, )*];

            /// The configuration key that lists policies of the slot.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $( Self::$Slot => stringify!($slot), )* }
            }

            /// The words of the slot's kinds in configuration.
            #[must_use]
            pub const fn kinds(self) -> &'static [&'static str] {
                match self { $( Self::$Slot => &[$( $word, )*], )* }
            }
        }

        $(
            $(#[$slot_doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[allow(clippy::large_enum_variant, reason = "a gateway has a few policies")]
            pub enum $SlotPolicy {
                $(
                    $(#[$doc])*
                    #[serde(rename = $word)]
                    $Kind(crate::$slot::$module::$Settings),
                )*
            }

            impl std::ops::Deref for $SlotPolicy {
                type Target = dyn crate::$slot::$Interface;

                fn deref(&self) -> &Self::Target {
                    match self { $( Self::$Kind(settings) => settings, )* }
                }
            }

            impl SlotPolicy for $SlotPolicy {
                const SLOT: Slot = Slot::$Slot;

                fn list(policies: &Policies) -> &Vec<Named<Self>> {
                    &policies.$slot
                }

                fn list_mut(policies: &mut Policies) -> &mut Vec<Named<Self>> {
                    &mut policies.$slot
                }

                fn kind(&self) -> &'static str {
                    match self { $( Self::$Kind(_) => $word, )* }
                }

                fn as_kind(&self) -> &dyn PolicyKind {
                    match self { $( Self::$Kind(settings) => settings, )* }
                }
            }
        )*

        /// A policy of any slot.
        #[derive(Clone, Debug, PartialEq, Eq)]
        // Not expected: the variants differ less on 32 bits.
        #[allow(clippy::large_enum_variant, reason = "a gateway has a few policies")]
        pub enum Policy {
            $( $(#[$slot_doc])* $Slot($SlotPolicy), )*
        }

        impl Policy {
            /// The slot.
            #[must_use]
            pub const fn slot(&self) -> Slot {
                match self { $( Self::$Slot(_) => Slot::$Slot, )* }
            }

            /// The kind's word in configuration.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $( Self::$Slot(policy) => policy.kind(), )* }
            }

            /// What one run may use of the host.
            #[must_use]
            pub fn uses(&self) -> Uses<'_> {
                match self { $( Self::$Slot(policy) => policy.as_kind().uses(), )* }
            }
        }

        /// The policies of a site or of a gateway, a list for each slot.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Policies {
            $( $(#[$slot_doc])* pub $slot: Vec<Named<$SlotPolicy>>, )*
        }

        impl Policies {
            /// No policies.
            pub const EMPTY: Self = Self { $( $slot: Vec::new(), )* };

            /// Adds a policy to the list of its slot.
            pub fn push(&mut self, NamedPolicy { name, policy }: NamedPolicy) {
                match policy { $( Policy::$Slot(policy) => self.$slot.push(Named { name, policy }), )* }
            }

            /// All policies, slot by slot.
            pub fn iter(&self) -> impl Iterator<Item = PolicyView<'_>> {
                std::iter::empty()$( .chain(self.$slot.iter().map(Named::view)) )*
            }

            pub(crate) fn is_coherent(&self) -> bool {
                true $( && self.$slot.iter().all(|named| named.policy.as_kind().is_coherent()) )*
            }
        }

        $( $( impl From<crate::$slot::$module::$Settings> for Policy {
            fn from(settings: crate::$slot::$module::$Settings) -> Self {
                Self::$Slot($SlotPolicy::$Kind(settings))
            }
        } )* )*

        $( $( impl From<crate::$slot::$module::$Settings> for $SlotPolicy {
            fn from(settings: crate::$slot::$module::$Settings) -> Self {
                Self::$Kind(settings)
            }
        } )* )*
    };
}

policy_kinds!(derive_slots);

impl Policies {
    /// The policy at a position.
    #[must_use]
    pub fn get<P: SlotPolicy>(&self, place: Place<P>) -> Option<&Named<P>> {
        P::list(self).get(place.index)
    }

    /// The policies at the positions that exist.
    pub fn at<'p, P: SlotPolicy>(&'p self, places: &[Place<P>]) -> impl Iterator<Item = &'p Named<P>> {
        places.iter().filter_map(|place| self.get(*place))
    }

    /// The properties of the policy at a position.
    #[must_use]
    pub fn view<P: SlotPolicy>(&self, place: Place<P>) -> Option<PolicyView<'_>> {
        self.get(place).map(Named::view)
    }

    /// Whether there is a policy at a position.
    #[must_use]
    pub fn has<P: SlotPolicy>(&self, place: Place<P>) -> bool {
        place.index < P::list(self).len()
    }
}

impl FromIterator<NamedPolicy> for Policies {
    fn from_iter<I: IntoIterator<Item = NamedPolicy>>(policies: I) -> Self {
        policies.into_iter().fold(Self::EMPTY, |mut all, policy| {
            all.push(policy);
            all
        })
    }
}

impl<P: SlotPolicy> Named<P> {
    /// Its properties.
    #[must_use]
    pub fn view(&self) -> PolicyView<'_> {
        PolicyView { name: &self.name, slot: P::SLOT, kind: self.policy.kind(), uses: self.policy.as_kind().uses() }
    }
}

impl<P> Place<P> {
    /// The position with this index in the list of its slot.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self { index, slot: PhantomData }
    }

    /// The index in the list of its slot.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index
    }
}

impl<P> Clone for Place<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Place<P> {}

impl<P> PartialEq for Place<P> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl<P> Eq for Place<P> {}

impl<P> Hash for Place<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl<P> fmt::Debug for Place<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index.fmt(f)
    }
}

impl<C, P> Encode<C> for Place<P> {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        self.index.encode(encoder, context)
    }
}

impl<P> Decode for Place<P> {
    fn blank() -> Self {
        Self::new(0)
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        self.index.decode(reader)
    }
}

impl<P> Serialize for Place<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.index.serialize(serializer)
    }
}

impl<'de, P> Deserialize<'de> for Place<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        usize::deserialize(deserializer).map(Self::new)
    }
}
