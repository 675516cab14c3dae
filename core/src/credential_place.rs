//! Where a request presents a credential.

use http::header::COOKIE;
use http::{HeaderMap, HeaderName};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Decode};
use crate::field_name;

/// Where a policy looks for a credential: in a field, or in its place in a query parameter or a cookie that it names.
///
/// Policies that read one field with different schemes cannot all find a credential in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct CredentialPlace {
    /// The field.
    #[serde(with = "field_name")]
    #[cbor(n(0), with = "field_name")]
    pub field: HeaderName,
    /// The scheme before the credential in the field, such as `Bearer`.
    #[serde(default)]
    #[n(1)]
    pub scheme: Option<String>,
    /// The query parameter that may contain the credential instead.
    #[serde(default)]
    #[n(2)]
    pub query: Option<String>,
    /// The cookie that may contain the credential instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(3)]
    pub cookie: Option<String>,
    /// Whether the scheme may also be `DPoP`, with a proof beside the credential (RFC 9449, section 7.1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub with_proof: bool,
}

/// What a request presents to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'r> {
    /// Nothing in the places where the policy reads.
    Nothing,
    /// A text that may be a credential.
    Text(&'r str),
    /// More than one, or a field that is not text: ambiguous, so refused.
    Several,
}

impl CredentialPlace {
    /// A field, in lower case, and the scheme within it.
    #[must_use]
    pub const fn field(field: HeaderName, scheme: Option<String>) -> Self {
        Self { field, scheme, query: None, cookie: None, with_proof: false }
    }

    /// The value of a cookie.
    #[must_use]
    pub fn in_cookie<'r>(fields: &'r HeaderMap, name: &str) -> Presented<'r> {
        let mut values = cookie_values(fields, name);
        match (values.next(), values.next()) {
            (None, _) => Presented::Nothing,
            (Some(text), None) => Presented::Text(text),
            (Some(_), Some(_)) => Presented::Several,
        }
    }

    /// Reads the credential.
    #[must_use]
    pub fn presented<'r>(&self, fields: &'r HeaderMap, query: Option<&'r str>) -> Presented<'r> {
        let in_query = self.query.iter().flat_map(|name| query_values(query, name));
        let in_cookies = self.cookie.iter().flat_map(|name| cookie_values(fields, name));
        in_query.chain(in_cookies).fold(self.in_field(fields), |found, text| match found {
            Presented::Nothing => Presented::Text(text),
            Presented::Text(_) | Presented::Several => Presented::Several,
        })
    }

    fn in_field<'r>(&self, fields: &'r HeaderMap) -> Presented<'r> {
        let mut lines = fields.get_all(&self.field).iter();
        let Some(line) = lines.next() else { return Presented::Nothing };
        match (lines.next(), std::str::from_utf8(line.as_bytes())) {
            // Some platforms join the lines of a field, and no credential has a comma in it.
            (None, Ok(text)) if !text.contains(',') => self.after_scheme(text.trim_ascii()),
            // Which of them an upstream would read is not known; those with another scheme are for another policy.
            _ if fields.get_all(&self.field).iter().any(|line| self.is_begun(line.as_bytes())) => Presented::Several,
            _ => Presented::Nothing,
        }
    }

    /// The rest after the scheme, which is compared without regard to case (RFC 9110, section 11.1).
    fn after_scheme<'r>(&self, text: &'r str) -> Presented<'r> {
        let Some(scheme) = &self.scheme else { return Presented::Text(text) };
        let (given, rest) = text.split_once(' ').unwrap_or((text, ""));
        if self.is_scheme(given.as_bytes(), scheme) {
            Presented::Text(rest.trim_ascii_start())
        } else {
            Presented::Nothing
        }
    }

    /// Whether an element of a line begins with the scheme.
    fn is_begun(&self, line: &[u8]) -> bool {
        let Some(scheme) = &self.scheme else { return true };
        line.split(|byte| *byte == b',').any(|element| {
            let given = element.trim_ascii().split(|byte| *byte == b' ').next().unwrap_or_default();
            self.is_scheme(given, scheme)
        })
    }

    fn is_scheme(&self, given: &[u8], scheme: &str) -> bool {
        given.eq_ignore_ascii_case(scheme.as_bytes())
            || (self.with_proof && given.eq_ignore_ascii_case(DPOP.as_bytes()))
    }

    /// Whether the credential is in the field, with the scheme `DPoP` if it has one there.
    #[must_use]
    pub fn has_proof_scheme(&self, fields: &HeaderMap) -> bool {
        let Some(line) = fields.get(&self.field) else { return false };
        let given = line.as_bytes().trim_ascii().split(|byte| *byte == b' ').next().unwrap_or_default();
        self.scheme.is_none() || given.eq_ignore_ascii_case(DPOP.as_bytes())
    }

    /// The field in words, with `what` for the credential.
    #[must_use]
    pub fn in_words(&self, what: &str) -> String {
        let mut text = match &self.scheme {
            Some(scheme) => format!("the field `{}: {scheme} <{what}>`", self.field),
            None => format!("the field `{}`", self.field),
        };
        if self.with_proof && self.scheme.is_some() {
            text.push_str(", or as `DPoP <");
            text.push_str(what);
            text.push_str(">` with a proof in the field `DPoP` if it is bound to a key");
        }
        for (place, name) in [(" or the query parameter `", &self.query), (" or the cookie `", &self.cookie)] {
            if let Some(name) = name {
                [place, name, "`"].into_iter().for_each(|part| text.push_str(part));
            }
        }
        text
    }

    /// The challenge for a credential in the field (RFC 9110, section 11.6.1); without a scheme of its own, it has `unnamed`.
    #[must_use]
    pub fn challenge(&self, unnamed: &str, realm: &str) -> String {
        match &self.scheme {
            Some(scheme) => format!("{scheme} realm=\"{realm}\""),
            None => format!("{unnamed} realm=\"{realm}\", header=\"{}\"", self.field),
        }
    }
}

/// The scheme of tokens with a proof, and the field of the proof.
const DPOP: &str = "DPoP";

fn query_values<'q>(query: Option<&'q str>, name: &str) -> impl Iterator<Item = &'q str> {
    pairs(query.into_iter().flat_map(|query| query.split('&')), name)
}

/// The values of a cookie (RFC 6265, section 4.2.1). A site of the same domain can add one of the same name, so there may be
/// several.
pub(crate) fn cookie_values<'r>(fields: &'r HeaderMap, name: &str) -> impl Iterator<Item = &'r str> {
    let lines = fields.get_all(COOKIE).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    pairs(lines.flat_map(|line| line.split(';').map(str::trim_ascii)), name)
}

fn pairs<'t>(all: impl Iterator<Item = &'t str>, name: &str) -> impl Iterator<Item = &'t str> {
    all.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(move |(own, _)| *own == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::AUTHORIZATION;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(
        place: &CredentialPlace,
        lines: &[(&'static str, &'static str)],
        query: Option<&str>,
        want: Presented<'_>,
    ) {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(place.presented(&fields, query), want, "{lines:?} {query:?}");
    }

    fn bearer() -> CredentialPlace {
        let place = CredentialPlace::field(AUTHORIZATION, Some("Bearer".into()));
        CredentialPlace { query: Some("t".into()), cookie: Some("c".into()), ..place }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_credential_is_in_one_place() {
        check(&bearer(), &[], None, Presented::Nothing);
        check(&bearer(), &[("authorization", "Bearer a.b.c")], None, Presented::Text("a.b.c"));
        check(&bearer(), &[("authorization", "bEARER  a")], None, Presented::Text("a"));
        check(&bearer(), &[("authorization", "Bearer")], None, Presented::Text(""));
        check(&bearer(), &[], Some("a=1&t=x.y.z"), Presented::Text("x.y.z"));
        check(&bearer(), &[("authorization", "Bearer a")], Some("t=x"), Presented::Several);
        check(&bearer(), &[], Some("t=x&t=y"), Presented::Several);
        let plain = CredentialPlace::field(HeaderName::from_static("x-token"), None);
        check(&plain, &[("x-token", " a.b.c ")], Some("t=x"), Presented::Text("a.b.c"));
        check(&plain, &[("x-token", "a"), ("x-token", "a")], None, Presented::Several);
        check(&plain, &[("x-token", "a, a")], None, Presented::Several);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn values_with_another_scheme_are_for_others_whether_lines_are_joined_or_not() {
        for other in ["Basic a", "Bearers a", "Digest a=\"b\", c=d", ""] {
            check(&bearer(), &[("authorization", other)], None, Presented::Nothing);
        }
        check(&bearer(), &[("authorization", "Basic a"), ("authorization", "Basic b")], None, Presented::Nothing);
        check(&bearer(), &[("authorization", "Basic a, Basic b")], None, Presented::Nothing);
        check(&bearer(), &[("authorization", "Basic a"), ("authorization", "Bearer b")], None, Presented::Several);
        check(&bearer(), &[("authorization", "Basic a, bearer b")], None, Presented::Several);
        check(&bearer(), &[("authorization", "Bearer a, b")], None, Presented::Several);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_cookie_has_its_exact_name_and_is_there_once() {
        for (line, want) in [
            ("c=a.b.c", Presented::Text("a.b.c")),
            ("a=1; c=x=; b=2", Presented::Text("x=")),
            ("a=1;c=x", Presented::Text("x")),
            ("c", Presented::Text("")),
            ("C=x; cc=x; a=c=x; \"c\"=x", Presented::Nothing),
            ("c=x; c=y", Presented::Several),
        ] {
            check(&bearer(), &[("cookie", line)], None, want);
        }
        check(&bearer(), &[("cookie", "c=x"), ("authorization", "Bearer y")], None, Presented::Several);
        check(&bearer(), &[("cookie", "c=x")], Some("t=x"), Presented::Several);
        check(&CredentialPlace { cookie: None, ..bearer() }, &[("cookie", "c=x")], None, Presented::Nothing);
    }
}
