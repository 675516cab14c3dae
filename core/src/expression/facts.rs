//! What expressions read of a request and its caller.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::EvaluationError;
use super::value::{Items, Value};
use crate::authn::Principal;
use crate::client::Location;
use crate::codec::Decode;
use crate::credential_place::cookie_values;
use crate::query::{decoded, parameters};
use crate::route::{HostName, PathTemplate, RequestHead, Segment};
use crate::time::Timestamp;

/// A request, without its content, and its caller.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    /// Method, path, query and fields.
    pub head: RequestHead<'r>,
    /// The requested host.
    pub host: &'r HostName,
    /// The paths of the route, which name the parameters.
    pub template: &'r PathTemplate,
    /// The client's address; absent if the host does not know it.
    pub address: Option<IpAddr>,
    /// Where the client is, as far as the host knows.
    pub location: &'r Location,
    /// The caller; absent on a public route.
    pub principal: Option<&'r Principal>,
    /// When the request arrived.
    pub now: Timestamp,
}

/// A part of what is known of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Source {
    /// `request.method`
    #[n(0)]
    Method,
    /// `request.path`: the canonical path, with its escapes.
    #[n(1)]
    Path,
    /// `request.host`
    #[n(2)]
    Host,
    /// `request.headers["name"]`: the value of a field that the request has once.
    #[n(3)]
    Header(#[n(0)] String),
    /// `request.query["name"]`: the decoded value of a parameter that the request has once.
    #[n(4)]
    Query(#[n(0)] String),
    /// `params.name`: the decoded value of a parameter of the path.
    #[n(5)]
    Parameter(#[n(0)] String),
    /// `client.address`
    #[n(6)]
    Address,
    /// `principal.consumer`
    #[n(7)]
    Consumer,
    /// `principal.plan`
    #[n(8)]
    Plan,
    /// `principal.scopes`
    #[n(9)]
    Scopes,
    /// `principal.groups`
    #[n(10)]
    Groups,
    /// `principal.claims.a.b`: the claim of a token at a path of members.
    #[n(11)]
    Claim(#[n(0)] Vec<String>),
    /// `now`
    #[n(12)]
    Now,
    /// `client.country`
    #[n(13)]
    Country,
    /// `client.asn`
    #[n(14)]
    Asn,
    /// `request.cookies["name"]`: the value of a cookie that the request has once.
    #[n(15)]
    Cookie(#[n(0)] String),
}

impl Source {
    /// Whether it is known only of a caller.
    #[must_use]
    pub const fn is_of_caller(&self) -> bool {
        matches!(self, Self::Consumer | Self::Plan | Self::Scopes | Self::Groups | Self::Claim(_))
    }

    /// Whether it is one of those that readers of the first version of expressions know.
    pub(super) const fn is_of_first_version(&self) -> bool {
        !self.is_of_location() && !self.is_cookie()
    }

    /// Whether it is a cookie.
    #[must_use]
    pub const fn is_cookie(&self) -> bool {
        matches!(self, Self::Cookie(_))
    }

    /// Whether it is where the client is.
    #[must_use]
    pub const fn is_of_location(&self) -> bool {
        matches!(self, Self::Country | Self::Asn)
    }
}

/// As it is written, in most cases.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("request.method"),
            Self::Path => f.write_str("request.path"),
            Self::Host => f.write_str("request.host"),
            Self::Header(name) => write!(f, "request.headers[\"{name}\"]"),
            Self::Query(name) => write!(f, "request.query[\"{name}\"]"),
            Self::Parameter(name) => write!(f, "params.{name}"),
            Self::Address => f.write_str("client.address"),
            Self::Consumer => f.write_str("principal.consumer"),
            Self::Plan => f.write_str("principal.plan"),
            Self::Scopes => f.write_str("principal.scopes"),
            Self::Groups => f.write_str("principal.groups"),
            Self::Claim(path) => write!(f, "principal.claims.{}", path.join(".")),
            Self::Now => f.write_str("now"),
            Self::Country => f.write_str("client.country"),
            Self::Asn => f.write_str("client.asn"),
            Self::Cookie(name) => write!(f, "request.cookies[\"{name}\"]"),
        }
    }
}

impl<'v> Facts<'v> {
    /// The value of a source.
    pub(super) fn read(&self, source: &'v Source) -> Result<Value<'v>, EvaluationError> {
        let missing = || EvaluationError::Missing(source.clone());
        let text = |text: &'v str| Ok(Value::Text(Cow::Borrowed(text)));
        let principal = || self.principal.ok_or_else(missing);
        match source {
            Source::Method => text(self.head.method.as_str()),
            Source::Path => text(self.head.path.as_str()),
            Source::Host => text(self.host.as_str()),
            Source::Header(name) => self.header(name, source),
            Source::Cookie(name) => self.cookie(name, source),
            Source::Query(name) => self.query(name, source),
            Source::Parameter(name) => text(self.parameter(name).ok_or_else(missing)?),
            Source::Address => self.address.map(Value::Address).ok_or_else(missing),
            Source::Consumer => text(&principal()?.consumer),
            Source::Plan => text(principal()?.plan.as_deref().ok_or_else(missing)?),
            Source::Scopes => Ok(Value::List(Items::Texts(&principal()?.scopes))),
            Source::Groups => Ok(Value::List(Items::Texts(&principal()?.groups))),
            Source::Claim(path) => principal()?.claim(path).map(Value::from).ok_or_else(missing),
            Source::Country => text(self.location.country.as_deref().ok_or_else(missing)?),
            Source::Asn => self.location.asn.map(|number| Value::Integer(number.into())).ok_or_else(missing),
            Source::Now => Ok(Value::Timestamp(i64::try_from(self.now.as_micros()).unwrap_or(i64::MAX))),
        }
    }

    /// The value of a source as text; `None` if it has none, or one that is no single value. A number with a fraction is none.
    #[must_use]
    pub fn text(&self, source: &'v Source) -> Option<Cow<'v, str>> {
        text_of(self.read(source).ok()?)
    }

    /// The same, with numbers of claims rounded up.
    #[must_use]
    pub fn rounded_up(&self, source: &'v Source) -> Option<Cow<'v, str>> {
        text_of(match self.read(source).ok()? {
            Value::Double(number) if number > 0.0 => Value::Double(number.ceil().min(EXACT_MAX)),
            other => other,
        })
    }

    /// Whether a source has a value, or several.
    #[must_use]
    pub fn has(&self, source: &'v Source) -> bool {
        match source {
            Source::Header(name) => self.head.fields.contains_key(name.as_str()),
            Source::Query(name) => self.values_of(name).next().is_some(),
            Source::Cookie(name) => cookie_values(self.head.fields, name).next().is_some(),
            _ => self.read(source).is_ok(),
        }
    }

    /// A field that is repeated has no value: which line counts, receivers disagree about.
    fn header(&self, name: &str, source: &Source) -> Result<Value<'v>, EvaluationError> {
        let mut lines = self.head.fields.get_all(name).iter();
        let first = lines.next().ok_or_else(|| EvaluationError::Missing(source.clone()))?;
        if lines.next().is_some() {
            return Err(EvaluationError::Several(source.clone()));
        }
        let text = std::str::from_utf8(first.as_bytes()).map_err(|_| EvaluationError::NotText(source.clone()))?;
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    /// A cookie of which there are several has no value: a site of the same domain may have added one.
    fn cookie(&self, name: &str, source: &Source) -> Result<Value<'v>, EvaluationError> {
        let mut values = cookie_values(self.head.fields, name);
        let first = values.next().ok_or_else(|| EvaluationError::Missing(source.clone()))?;
        match values.next() {
            Some(_) => Err(EvaluationError::Several(source.clone())),
            None => Ok(Value::Text(Cow::Borrowed(first))),
        }
    }

    /// Names and values are decoded as an upstream decodes them, so that another spelling does not evade a condition. A spelling
    /// that upstreams read in different ways has no value.
    fn query(&self, name: &'v str, source: &Source) -> Result<Value<'v>, EvaluationError> {
        let mut values = self.values_of(name);
        let first = values.next().ok_or_else(|| EvaluationError::Missing(source.clone()))?;
        if values.next().is_some() {
            return Err(EvaluationError::Several(source.clone()));
        }
        let first = first.ok_or_else(|| EvaluationError::Ambiguous(source.clone()))?;
        let not_text = || EvaluationError::NotText(source.clone());
        Ok(Value::Text(match decoded(first) {
            Cow::Borrowed(_) => Cow::Borrowed(first),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| not_text())?),
        }))
    }

    fn values_of(&self, name: &'v str) -> impl Iterator<Item = Option<&'v str>> + use<'v> {
        self.head.query.into_iter().flat_map(move |query| parameters(query, name))
    }

    /// The value of a parameter; a rest is the whole decoded rest of the path.
    fn parameter(&self, name: &str) -> Option<&'v str> {
        let mut rest = self.head.path.segments();
        for segment in self.template.segments() {
            match segment {
                Segment::Rest { name: own } => return (own == name).then(|| rest.as_str()).flatten(),
                Segment::Parameter { name: own, .. } if own == name => return segment.value_of(rest.next()?),
                Segment::Parameter { .. } | Segment::Literal(_) => {
                    rest.next()?;
                }
            }
        }
        None
    }
}

fn text_of(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string().into()),
        // JSON may write an integer as `10.0`.
        Value::Double(number) => whole(number).map(|number| number.to_string().into()),
        Value::Bool(value) => Some(if value { "true" } else { "false" }.into()),
        Value::Address(address) => Some(address.to_string().into()),
        _ => None,
    }
}

/// The integer that a number is, if it is one and exact.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// Up to here all integers are numbers of a claim (RFC 8259, section 6).
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// Calls a function with a request of this caller.
#[cfg(test)]
pub(crate) fn with_facts<T>(principal: Option<&Principal>, call: impl FnOnce(&Facts<'_>) -> T) -> T {
    let (method, fields) = (http::Method::GET, http::HeaderMap::new());
    let path = crate::route::CanonicalPath::parse(b"/pets/7").unwrap();
    let (host, template) = (HostName::from_authority("api.example.com").unwrap(), "/pets/{id}".parse().unwrap());
    let head = RequestHead { method: &method, path: &path, query: None, fields: &fields };
    let (now, location) = (Timestamp::from_millis(0), Location::default());
    call(&Facts { head, host: &host, template: &template, address: None, location: &location, principal, now })
}
