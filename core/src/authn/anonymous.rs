//! The `anonymous` policy: a caller that presents no credential is a consumer, too.
//!
//! It is the last of its route's alternatives, and decides only if the request has nothing in any place where the others read: a
//! wrong credential is refused, and never makes an anonymous caller. Limits by consumer count each client's address on its own.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{Authenticator, Principal};
use crate::codec::{self, Decode};
use crate::kinds::{PolicyKind, Uses};

/// The consumer of callers without a credential, unless a policy names another one.
pub const ANONYMOUS: &str = "anonymous";

/// Settings of one `anonymous` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct AnonymousSettings {
    /// The consumer that all such callers are.
    #[n(0)]
    pub consumer: String,
    /// Their plan.
    #[serde(default)]
    #[n(1)]
    pub plan: Option<String>,
    /// Their scopes.
    #[serde(default)]
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub scopes: Vec<String>,
}

impl codec::Section for AnonymousSettings {}

impl AnonymousSettings {
    /// The caller of a request without a credential, of the policy of this name.
    #[must_use]
    pub fn caller(&self, policy: &str) -> Principal {
        let (id, plan, scopes) = (format!("{policy}/anonymous"), self.plan.clone(), self.scopes.clone());
        Principal { is_anonymous: true, ..Principal::new(self.consumer.clone(), id, plan, scopes) }
    }
}

impl PolicyKind for AnonymousSettings {
    fn is_coherent(&self) -> bool {
        !self.consumer.is_empty()
    }

    fn uses(&self) -> Uses<'_> {
        Uses::default()
    }
}

impl Authenticator for AnonymousSettings {
    /// Nothing has to be presented, so nothing is asked for.
    fn challenge(&self, _: &str) -> String {
        String::new()
    }

    fn is_anonymous(&self) -> bool {
        true
    }
}
