//! Whether a request may use the cache, and what it reads there.

use http::{HeaderValue, Method};
use std::fmt;

use crate::codec::Decode;
use http::header::{AUTHORIZATION, COOKIE, RANGE};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::key::{Digest, primary_key, resource_key};
use super::{CacheControl, CacheKey, CacheSettings};
use crate::forward::{Ambiguity, Outbound};
use crate::order;
use crate::route::{Predicate, Subject};

/// How requests with credentials are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum CacheCredentials {
    /// They bypass the cache.
    #[n(0)]
    Never,
    /// Each consumer has separate stored responses.
    #[n(1)]
    PerConsumer,
    /// All consumers share them: for responses that do not depend on the caller.
    #[n(2)]
    Shared,
}

/// How a request may use the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Not at all: it is forwarded, unless it says `only-if-cached`, and its response is not stored.
    Bypass {
        /// Why.
        why: Bypass,
        /// Whether it is a GET or HEAD that must not be forwarded (RFC 9111, section 5.2.1.7).
        only_if_cached: bool,
    },
    /// It may be answered from the cache.
    Use(Reading),
}

/// Why a request bypasses the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Its method is neither GET nor HEAD.
    Method,
    /// It carries credentials, and the route does not allow storing such responses.
    Credentials,
    /// It requests a range.
    Range,
    /// It has `no-store`.
    NoStore,
    /// It has content, which may affect the answer and is not part of any key.
    Content,
    /// It has a field in which some servers read another method.
    Override,
    /// It has a field whose name some servers read as that of another, which may select the response.
    Spelling,
    /// It has a field with U+FFFD, in place of bytes that the platform could not decode and the upstream may see.
    NotText,
}

impl Bypass {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Credentials => "credentials",
            Self::Range => "range",
            Self::NoStore => "no-store",
            Self::Content => "content",
            Self::Override => "override",
            Self::Spelling => "spelling",
            Self::NotText => "not-text",
        }
    }
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "neither GET nor HEAD",
            Self::Credentials => "the request carries credentials, and the route does not say to cache those",
            Self::Range => "the request asks for a range",
            Self::NoStore => "the request says no-store",
            Self::Content => "the request has content",
            Self::Override => "the request has a field that overrides its method",
            Self::Spelling => "the request has a field that some servers read under another name",
            Self::NotText => "the request has a field with bytes that are not text",
        })
    }
}

/// How a request reads the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The resource: one per host, path and selected query, for all variants and consumers. A purge names it.
    pub resource: CacheKey,
    /// The key to look up first.
    pub primary: CacheKey,
    /// The names of the fields that select a variant, whatever the upstream's `Vary` says.
    pub selecting: Vec<String>,
    /// The consumer, if each has separate stored responses.
    pub consumer: Option<String>,
    /// The digest of the consumer's token, if the upstream gets a token for it: tokens of one consumer can be of several users.
    pub token: Option<CacheKey>,
    /// The request's own directives.
    pub control: CacheControl,
}

/// What decides the route of a request besides its URL. Routes that share a URL do not share stored responses.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'r> {
    /// The predicates of the route.
    pub when: &'r [Predicate],
    /// The fields that select other routes with the same path. A server may read one of them differently than a predicate
    /// does, such as a field that is there twice.
    pub siblings: &'r [String],
    /// Whether the client is internal: for it, a URL may have another route.
    pub inside: bool,
}

/// Who asks, after authentication.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'c> {
    /// The consumer.
    pub consumer: &'c str,
    /// The caller's token, if the upstream gets another one for it.
    pub exchanged: Option<&'c str>,
}

/// Decides whether the request may use the cache; `digest` makes the keys.
#[must_use]
pub fn plan(
    settings: &CacheSettings,
    taken: Taken<'_>,
    request: &Outbound<'_>,
    caller: Option<Caller<'_>>,
    digest: impl Digest,
) -> Plan {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Plan::Bypass { why: Bypass::Method, only_if_cached: false };
    }
    let fields = request.fields();
    let with_credentials = caller.is_some() || fields.contains(AUTHORIZATION) || fields.contains(COOKIE);
    let control = CacheControl::of(fields);
    let why = if let Some(ambiguity) = request.ambiguity() {
        match ambiguity {
            Ambiguity::Method => Bypass::Override,
            Ambiguity::Spelling => Bypass::Spelling,
        }
    } else if fields.iter().any(|(_, value)| has_replacement(value)) {
        Bypass::NotText
    } else if request.has_content() {
        Bypass::Content
    } else if fields.contains(RANGE) {
        Bypass::Range
    } else if with_credentials && settings.credentials == CacheCredentials::Never {
        Bypass::Credentials
    } else if control.no_store {
        Bypass::NoStore
    } else {
        let resource = resource_key(settings, request.resource(), &digest);
        let primary = primary_key(settings, taken, request.target(), fields, &resource, &digest);
        let selecting = selecting(settings, taken);
        let own = caller.filter(|_| settings.credentials == CacheCredentials::PerConsumer);
        let consumer = own.map(|caller| caller.consumer.to_owned());
        let token = own.and_then(|caller| caller.exchanged).map(|token| digest(token.as_bytes()));
        return Plan::Use(Reading { resource, primary, selecting, consumer, token, control });
    };
    Plan::Bypass { why, only_if_cached: control.only_if_cached }
}

impl Reading {
    /// The names that select a variant of a response whose `Vary` has these names; `None` if it has no variants.
    #[must_use]
    pub fn varies_on(&self, vary: Option<&[String]>) -> Option<Vec<String>> {
        let names = order::each_once([&self.selecting, vary.unwrap_or_default()].concat());
        (!names.is_empty()).then_some(names)
    }
}

/// Whether a value has U+FFFD: platforms that decode values put it in place of bytes that are not UTF-8, and different bytes
/// become the same text.
fn has_replacement(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    // Hardly any value has this byte: without an early end, many are compared at once.
    let may_have = bytes.iter().fold(false, |found, byte| found | (*byte == REPLACEMENT[0]));
    may_have && bytes.windows(REPLACEMENT.len()).any(|bytes| bytes == REPLACEMENT)
}

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The names of the fields that select a variant by the configuration: the upstream's answer may depend on them whatever
/// its `Vary` says.
pub(super) fn selecting(settings: &CacheSettings, taken: Taken<'_>) -> Vec<String> {
    let mut names = settings.vary.clone();
    names.extend_from_slice(taken.siblings);
    if settings.credentials == CacheCredentials::PerConsumer {
        names.extend([AUTHORIZATION.as_str().to_owned(), COOKIE.as_str().to_owned()]);
    }
    for predicate in taken.when {
        match &predicate.of {
            Subject::Header(name) => names.push(name.clone()),
            Subject::Query(_) => {}
        }
    }
    order::each_once(names)
}
