//! Where a request presents a token.

use http::{HeaderMap, HeaderValue};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::authn::api_key::query_values;

/// Where a policy looks for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct TokenPlace {
    /// The field, in lower case.
    #[n(0)]
    pub field: String,
    /// The scheme before the token in the field.
    #[serde(default)]
    #[n(1)]
    pub scheme: Option<String>,
    /// The query parameter that may contain the token instead.
    #[serde(default)]
    #[n(2)]
    pub query: Option<String>,
}

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPresented<'r> {
    /// Nothing in the places where this policy reads.
    Nothing,
    /// A text that may be a token.
    Token(&'r str),
    /// More than one, or a field that is not text: ambiguous, so refused.
    Several,
}

impl TokenPlace {
    /// Reads the token.
    #[must_use]
    pub fn presented<'r>(&self, fields: &'r HeaderMap, query: Option<&'r str>) -> TokenPresented<'r> {
        let mut found = self.in_field(fields);
        for value in self.query.iter().flat_map(|name| query_values(query, name)) {
            found = match found {
                TokenPresented::Nothing => TokenPresented::Token(value),
                _ => TokenPresented::Several,
            };
        }
        found
    }

    fn in_field<'r>(&self, fields: &'r HeaderMap) -> TokenPresented<'r> {
        let mut lines = fields.get_all(self.field.as_str()).iter();
        let Some(line) = lines.next() else { return TokenPresented::Nothing };
        match (lines.next(), line.to_str()) {
            (None, Ok(text)) => self.after_scheme(text),
            // Which line an upstream would read is not known; another scheme in both is none of this policy.
            _ if self.scheme.is_none() || self.any_has_scheme(fields) => TokenPresented::Several,
            _ => TokenPresented::Nothing,
        }
    }

    /// The rest after the scheme, which is compared without regard to case (RFC 9110, section 11.1).
    fn after_scheme<'r>(&self, text: &'r str) -> TokenPresented<'r> {
        let Some(scheme) = &self.scheme else { return TokenPresented::Token(text) };
        match text.split_once(' ') {
            Some((own, token)) if own.eq_ignore_ascii_case(scheme) => TokenPresented::Token(token.trim_start()),
            None if text.eq_ignore_ascii_case(scheme) => TokenPresented::Token(""),
            _ => TokenPresented::Nothing,
        }
    }

    fn any_has_scheme(&self, fields: &HeaderMap) -> bool {
        let scheme = self.scheme.as_deref().unwrap_or_default().as_bytes();
        let has_it = |line: &HeaderValue| {
            line.as_bytes().get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        };
        fields.get_all(self.field.as_str()).iter().any(has_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(
        place: &TokenPlace,
        lines: &[(&'static str, &'static str)],
        query: Option<&str>,
        want: TokenPresented<'_>,
    ) {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(place.presented(&fields, query), want, "{lines:?} {query:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_token_is_in_one_place() {
        let bearer =
            TokenPlace { field: "authorization".into(), scheme: Some("Bearer".into()), query: Some("t".into()) };
        check(&bearer, &[], None, TokenPresented::Nothing);
        check(&bearer, &[("authorization", "Bearer a.b.c")], None, TokenPresented::Token("a.b.c"));
        check(&bearer, &[("authorization", "bEARER  a")], None, TokenPresented::Token("a"));
        check(&bearer, &[("authorization", "Bearer")], None, TokenPresented::Token(""));
        check(&bearer, &[("authorization", "Basic a")], None, TokenPresented::Nothing);
        check(&bearer, &[("authorization", "Bearers a")], None, TokenPresented::Nothing);
        check(&bearer, &[("authorization", "Basic a"), ("authorization", "Bearer b")], None, TokenPresented::Several);
        check(&bearer, &[("authorization", "Basic a"), ("authorization", "Basic b")], None, TokenPresented::Nothing);
        check(&bearer, &[], Some("a=1&t=x.y.z"), TokenPresented::Token("x.y.z"));
        check(&bearer, &[("authorization", "Bearer a")], Some("t=x"), TokenPresented::Several);
        check(&bearer, &[], Some("t=x&t=y"), TokenPresented::Several);
        let plain = TokenPlace { field: "x-token".into(), scheme: None, query: None };
        check(&plain, &[("x-token", "a.b.c")], Some("t=x"), TokenPresented::Token("a.b.c"));
        check(&plain, &[("x-token", "a"), ("x-token", "a")], None, TokenPresented::Several);
    }
}
