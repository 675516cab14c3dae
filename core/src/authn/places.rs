//! The places in which the policies of a host read keys, and their removal from requests that are forwarded.
//!
//! They are collected once, when a part is loaded, and removed whatever route a request takes: on a public route, too,
//! and whether the request presents a key correctly or not. A place is removed in every spelling that an upstream may
//! read as the same: `X_API_Key` for `X-API-Key` (RFC 3875, section 4.1.18), `k%65y` for `key` (RFC 3986, section 2.1),
//! parameters that are separated by `;`.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::api_key::holds_key;
use crate::forward::reads_as;
use crate::kinds::CredentialPlace;

/// The places in which the policies of a part read keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPlaces {
    fields: Vec<Field>,
    /// Names of query parameters, decoded.
    parameters: Vec<Vec<u8>>,
}

/// A field, or the values of it that have a scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    scheme: Option<String>,
}

impl KeyPlaces {
    /// Collects the places.
    #[must_use]
    pub fn of<'p>(places: impl Iterator<Item = CredentialPlace<'p>>) -> Self {
        let mut all = Self::default();
        for CredentialPlace { field, scheme, query } in places {
            let field = Field { name: field.to_owned(), scheme: scheme.map(str::to_owned) };
            if !all.fields.contains(&field) {
                all.fields.push(field);
            }
            let parameter = query.map(|name| decoded(name).into_owned());
            all.parameters.extend(parameter.filter(|name| !all.parameters.contains(name)));
        }
        all
    }

    /// Whether a key may be in the field of this name, which is one of those.
    #[must_use]
    pub fn may_hold_key(&self, fields: &HeaderMap, name: &HeaderName) -> bool {
        let lines = || fields.get_all(name).iter().map(HeaderValue::as_bytes);
        let is_read = |place: &Field| reads_as(name.as_str(), &place.name) && lines().any(|line| place.is_in(line));
        self.fields.iter().any(is_read) || (name == AUTHORIZATION && lines().any(holds_key))
    }

    /// The query without the parameters in which a key may be, and without those whose value contains a key.
    #[must_use]
    pub fn without_keys<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if !query.split(SEPARATORS).any(|parameter| self.is_secret(parameter)) {
            return Cow::Borrowed(query);
        }
        let mut kept = String::with_capacity(query.len());
        let parameters = query.split_inclusive(SEPARATORS);
        parameters
            .filter(|parameter| !self.is_secret(parameter.trim_end_matches(SEPARATORS)))
            .for_each(|p| kept.push_str(p));
        if !query.ends_with(SEPARATORS) && kept.ends_with(SEPARATORS) {
            kept.pop();
        }
        Cow::Owned(kept)
    }

    fn is_secret(&self, parameter: &str) -> bool {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_place = !self.parameters.is_empty() && self.parameters.iter().any(|place| *place == *decoded(name));
        is_place || holds_key(&decoded(value))
    }
}

impl Field {
    fn is_in(&self, line: &[u8]) -> bool {
        let Some(scheme) = &self.scheme else { return true };
        // Some platforms join the lines of a field.
        line.split(|byte| *byte == b',').any(|value| {
            let value = value.trim_ascii();
            let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
            value[..end].eq_ignore_ascii_case(scheme.as_bytes())
        })
    }
}

/// Both are in use (the second was recommended by HTML 4.01, appendix B.2.2).
const SEPARATORS: [char; 2] = ['&', ';'];

/// A name or value of a query as an upstream reads it.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = || Some(crate::hex::digit(*after.first()?)? << 4 | crate::hex::digit(*after.get(1)?)?);
        match (first, escaped()) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::ApiKey;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn key() -> String {
        ApiKey::generate("dev", &[7; 32]).unwrap().expose().to_owned()
    }

    fn places() -> KeyPlaces {
        let place = |field, scheme, query| CredentialPlace { field, scheme, query };
        let all = [place("x-api-key", None, Some("key")), place("authorization", Some("Bearer"), None)];
        KeyPlaces::of(all.into_iter())
    }

    #[track_caller]
    fn check(lines: &[(&str, &str)], kept: &[&str]) {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let left = fields.keys().filter(|name| !places().may_hold_key(&fields, name));
        let mut left: Vec<&str> = left.map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, kept, "{lines:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_place_is_removed_in_every_spelling_whatever_is_in_it() {
        for name in ["x-api-key", "X-API-Key", "x_api_key", "x-api_key", "X_Api-Key", "x.api.key"] {
            check(&[(name, "anything"), ("accept", "*/*")], &["accept"]);
        }
        let key = key();
        check(&[("x-api-key", &key), ("x-api-key", &key), ("x_api_key", "b")], &[]);
        check(&[("x-api-keys", "a"), ("xapikey", "b")], &["x-api-keys", "xapikey"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_with_a_scheme_is_removed_if_the_scheme_or_a_key_is_in_it() {
        for value in ["Bearer a", "bearer a", "BEARER\ta", "Basic a, Bearer b"] {
            check(&[("authorization", value)], &[]);
        }
        check(&[("authorization", "Basic a"), ("authorization", "Bearer b")], &[]);
        check(&[("authorization", &format!("Basic {}", key()))], &[]);
        check(&[("authorization", &format!("Token token=\"{}\"", key()))], &[]);
        check(&[("authorization", "Basic a")], &["authorization"]);
        check(&[("authorization", "Bearers a")], &["authorization"]);
    }

    #[track_caller]
    fn check_query(query: &str, want: &str) {
        assert_eq!(places().without_keys(query), want, "{query}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_parameter_is_removed_in_every_spelling() {
        for parameter in ["key=x", "key", "key=", "k%65y=x", "%6b%65%79=x", "%6B%65%79", "key=a%26b"] {
            check_query(parameter, "");
            check_query(&format!("a=1&{parameter}&b=2"), "a=1&b=2");
            check_query(&format!("a=1;{parameter};b=2"), "a=1;b=2");
            check_query(&format!("a=1;{parameter}"), "a=1");
            check_query(&format!("{parameter}&{parameter}&b=2"), "b=2");
        }
        for other in ["keys=x", "Key=x", "a=key", "%zz=%&%6=+", "a=1&&b=2&", "", "k+ey=1"] {
            check_query(other, other);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_removed_from_any_parameter() {
        let key = key();
        let escaped = key.replace('_', "%5f");
        for value in [key.clone(), escaped, format!("Bearer+{key}"), format!("%22{key}%22"), format!("a,{key}")] {
            check_query(&format!("a=1&any={value}&b=2"), "a=1&b=2");
        }
        assert_eq!(KeyPlaces::default().without_keys(&format!("x;y={key}")), "x");
        check_query("a=tg_dev_nothing", "a=tg_dev_nothing");
    }
}
