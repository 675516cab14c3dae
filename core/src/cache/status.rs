//! What the cache did for an exchange, and its form in `Cache-Status` (RFC 9211).

use std::fmt::{self, Write};

use serde::Serialize;

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheOutcome {
    /// Answered from the cache.
    Hit {
        /// Seconds for which the stored response stays fresh.
        ttl_s: u64,
    },
    /// Forwarded.
    Forwarded {
        /// Why.
        why: Forwarded,
        /// Whether the upstream confirmed the stored response (304).
        revalidated: bool,
        /// Whether the response is being stored, as far as this is known before its content has arrived.
        stored: bool,
    },
}

/// Why a request was forwarded (RFC 9211, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarded {
    /// Bypassed: credentials, a range, or an unavailable store.
    Bypass,
    /// The method's semantics require it.
    Method,
    /// Nothing stored under this URI.
    UriMiss,
    /// Something stored, but no variant for this request.
    VaryMiss,
    /// The client asked for it.
    Request,
    /// The stored response was stale.
    Stale,
}

impl Forwarded {
    /// The token of RFC 9211.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CacheOutcome {
    /// The member of `Cache-Status` for this gateway; `key` is the resource's, which a purge takes.
    #[must_use]
    pub fn field(self, key: Option<&str>) -> String {
        let mut out = String::from(crate::forward::PSEUDONYM);
        // Writing to a String does not fail.
        let _ = match self {
            Self::Hit { ttl_s } => write!(out, "; hit; ttl={ttl_s}"),
            Self::Forwarded { why, revalidated, stored } => {
                let status = if revalidated { "; fwd-status=304" } else { "" };
                write!(out, "; fwd={}{status}{}", why.as_str(), if stored { "; stored" } else { "" })
            }
        };
        if let Some(key) = key {
            let _ = write!(out, "; key=\"{key}\"");
        }
        out
    }

    /// The label of metrics and logs: `hit`, `revalidated`, or the reason it was forwarded.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Forwarded { revalidated: true, .. } => "revalidated",
            Self::Forwarded { why, .. } => why.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn written_as_rfc_9211_has_it() {
        assert_eq!(CacheOutcome::Hit { ttl_s: 5 }.field(None), "tollgate; hit; ttl=5");
        let forwarded = |why, revalidated, stored| CacheOutcome::Forwarded { why, revalidated, stored };
        assert_eq!(
            forwarded(Forwarded::UriMiss, false, true).field(Some("ab")),
            "tollgate; fwd=uri-miss; stored; key=\"ab\""
        );
        assert_eq!(forwarded(Forwarded::Stale, true, true).field(None), "tollgate; fwd=stale; fwd-status=304; stored");
    }
}
