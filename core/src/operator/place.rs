//! The address of the operator endpoint: a path prefix on every host name, or a dedicated host name.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::route::{CanonicalPath, HostName};

/// The address of the endpoint.
///
/// Requests for these paths and for this host never reach an upstream, whether the endpoint is on or off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The prefix of all its paths.
    pub prefix: Prefix,
    /// The dedicated host; absent, the endpoint is available on every host.
    ///
    /// Nothing else is answered at this host.
    pub host: Option<HostName>,
}

/// A path of one or more segments; the default is `/.tollgate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// A text that is not a valid [`Prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the path of the operator endpoint must consist of one or more segments, each `/` followed by letters, digits, `-`, `.`, `_` and `~`, of at most 64 bytes in total"
)]
pub struct PlaceError;

/// A request as the endpoint sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'p> {
    /// It is not for the endpoint. It may be routed.
    Foreign,
    /// It is for the endpoint, which is not available there.
    Reserved,
    /// It is for the endpoint: the path below the prefix, without the slash it begins with.
    Mine(&'p str),
}

impl Place {
    /// Whether a request is for the endpoint. A path with matrix parameters never is, but some servers remove them: one that
    /// would be for the endpoint without them is not routed either.
    #[must_use]
    pub fn claim<'p>(&self, host: &HostName, path: &'p CanonicalPath) -> Claim<'p> {
        if path.has_parameters()
            && let Ok(plain) = path.without_parameters()
            && self.claim(host, &plain) != Claim::Foreign
        {
            return Claim::Reserved;
        }
        let below = self.prefix.below(path.as_str());
        let here = self.host.as_ref().is_none_or(|own| own == host);
        match below {
            Some(below) if here => Claim::Mine(below),
            None if self.host.is_none() || !here => Claim::Foreign,
            Some(_) | None => Claim::Reserved,
        }
    }
}

impl Prefix {
    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the prefix and a slash; a path that only begins with the same letters is not below it.
    #[must_use]
    pub fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&self.0)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("/.tollgate".to_owned())
    }
}

impl FromStr for Prefix {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let segments = text.strip_prefix('/').ok_or(PlaceError)?;
        let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let is_segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(is_unreserved);
        let fits = text.len() <= PREFIX_BYTES_MAX && segments.split('/').all(is_segment);
        if fits { Ok(Self(text.to_owned())) } else { Err(PlaceError) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longer than any prefix in practice.
const PREFIX_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(place: &Place, host: &str, path: &str, expected: Claim<'_>) {
        let host = HostName::from_authority(host).unwrap();
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        assert_eq!(place.claim(&host, &path), expected, "{host} {path:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn without_a_dedicated_host_the_prefix_is_claimed_on_every_host() {
        let place = Place::default();
        check(&place, "a.test", "/.tollgate/v1/purges", Claim::Mine("v1/purges"));
        check(&place, "b.test", "/.tollgate", Claim::Mine(""));
        check(&place, "b.test", "/%2Etollgate/v1", Claim::Mine("v1"));
        check(&place, "b.test", "/.tollgates/v1", Claim::Foreign);
        for path in ["/.tollgate;x/v1/metrics", "/.tollgate/v1;a=b/metrics", "/.tollgate;"] {
            check(&place, "b.test", path, Claim::Reserved);
        }
        check(&place, "b.test", "/a;x/.tollgate", Claim::Foreign);
        check(&place, "b.test", "/x/.tollgate/v1", Claim::Foreign);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_dedicated_host_is_claimed_completely_and_the_prefix_stays_reserved_elsewhere() {
        let place = Place { host: Some(HostName::from_authority("ops.test").unwrap()), ..Place::default() };
        check(&place, "ops.test", "/.tollgate/v1", Claim::Mine("v1"));
        check(&place, "ops.test", "/pets", Claim::Reserved);
        check(&place, "api.test", "/.tollgate/v1", Claim::Reserved);
        check(&place, "api.test", "/pets", Claim::Foreign);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_prefix_consists_of_whole_segments_without_escapes() {
        for good in ["/.tollgate", "/ops", "/a/b-c_d~e"] {
            assert_eq!(good.parse::<Prefix>().unwrap().as_str(), good);
        }
        for bad in
            ["", "/", "ops", "/a//b", "/a/", "/..", "/a/./b", "/a b", "/%41", "/a?b", &format!("/{}", "a".repeat(64))]
        {
            assert_eq!(bad.parse::<Prefix>(), Err(PlaceError), "{bad}");
        }
    }
}
