//! The response cache: what may be answered from it, what may be stored, and for how long (RFC 9111).
//!
//! A shared cache for GET and HEAD. Open [`plan`] first: it says whether a request may use the cache and under which
//! key. [`assess`] checks a stored response, [`storable`] a new one. Stores only keep data; they decide nothing.

mod changes;
mod conditional;
mod control;
mod freshness;
mod key;
mod list;
mod not_stored;
mod plan;
mod purge;
mod query;
mod status;
mod stored;
mod values;

pub use changes::Changes;
pub use conditional::{Confirmed, confirm, not_modified, validators};
pub use control::CacheControl;
pub use freshness::{Assessment, assess, storable};
pub use key::{Digest, primary_key, resource_key};
pub use not_stored::NotStored;
pub use plan::{Bypass, CacheCredentials, Caller, Plan, Reading, Taken, plan};
pub use purge::{Purge, Purges};
pub use query::forwarded_query;
pub use status::{CacheOutcome, Forwarded};
pub use stored::{CacheKey, StoredMeta};

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Decode};

/// Settings of a route's cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct CacheSettings {
    /// How long a response is fresh, whatever the upstream says; if absent, the upstream's `Cache-Control` applies.
    ///
    /// An upstream's `no-store` or `private` is respected in both cases.
    #[serde(default)]
    #[n(0)]
    pub ttl_ms: Option<u64>,
    /// Request fields that are part of the key, in lower case, in addition to those of the upstream's `Vary`.
    #[serde(default)]
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub vary: Vec<String>,
    /// How requests with credentials are handled.
    #[n(2)]
    pub credentials: CacheCredentials,
    /// The query parameters that are part of the key, and are forwarded; if absent, the whole query is.
    #[serde(default)]
    #[n(3)]
    pub key_query: Option<Vec<String>>,
}
