//! The parameters and cookies in which the policies of a host read credentials, and their removal from requests that are
//! forwarded.
//!
//! They are collected once, when a part is loaded, and removed whatever route a request takes: on a public route, too,
//! and whether the request presents a credential correctly or not. They are removed in every spelling that an upstream may
//! read as the same: `k%65y` for `key` (RFC 3986, section 2.1), separated by `;`, `api.key` and `+api_key[]` for `api_key`
//! (PHP). Fields are removed by [`FieldRules`](crate::forward::FieldRules).

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::CredentialPlace;
use super::api_key::holds_key;
use crate::query::{SEPARATORS, as_read, decoded, is_or_has};

/// The names of the query parameters and cookies in which the policies of a part read credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialNames {
    parameters: Names,
    cookies: Names,
}

/// Names, [as they are read](as_read).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names(Vec<Vec<u8>>);

impl CredentialNames {
    /// A policy reads credentials in a place.
    pub fn add(&mut self, place: &CredentialPlace) {
        place.query.iter().for_each(|name| self.parameters.add(name));
        place.cookie.iter().for_each(|name| self.cookies.add(name));
    }

    /// A policy makes a cookie of this name.
    pub fn add_cookie(&mut self, name: &str) {
        self.cookies.add(name);
    }

    /// Whether policies read credentials in cookies.
    #[must_use]
    pub const fn has_cookies(&self) -> bool {
        !self.cookies.0.is_empty()
    }

    /// The value of `Cookie` without the cookies in which a credential may be; `None` if there is none of those.
    #[must_use]
    pub fn cookies_without(&self, line: &[u8]) -> Option<Vec<u8>> {
        let is_end = |byte: &u8| b";,".contains(byte);
        let is_secret = |pair: &[u8]| {
            let name = pair.split(|byte| *byte == b'=' || is_end(byte)).next().unwrap_or_default();
            self.cookies.has(&String::from_utf8_lossy(name.trim_ascii()))
        };
        let pairs = || line.split_inclusive(is_end);
        if !pairs().any(is_secret) {
            return None;
        }
        let mut kept = pairs().filter(|pair| !is_secret(pair)).collect::<Vec<_>>().concat();
        if !line.last().is_some_and(is_end) && kept.last().is_some_and(is_end) {
            kept.pop();
        }
        Some(kept.trim_ascii().to_vec())
    }

    /// The query without the parameters in which a key may be, and without those that contain a key.
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
        self.parameters.has(parameter.split('=').next().unwrap_or_default()) || holds_key(&decoded(parameter))
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        let name = as_read(decoded(name)).into_owned();
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Whether it is one of these names, or that of a member of one (`key[]`).
    fn has(&self, name: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let name = as_read(decoded(name));
        self.0.iter().any(|own| is_or_has(&name, own))
    }
}

/// Whether an API key of Tollgate is in the `Authorization` field, in whatever form.
#[must_use]
pub fn authorization_holds_key(fields: &HeaderMap) -> bool {
    fields.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).any(holds_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::ApiKey;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn key() -> String {
        ApiKey::generate("dev", &[7; 32]).unwrap().expose().to_owned()
    }

    fn parameters(name: &str) -> CredentialNames {
        let place = CredentialPlace::field(AUTHORIZATION, None);
        let mut names = CredentialNames::default();
        names.add(&CredentialPlace { query: Some(name.to_owned()), ..place });
        names
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_cookie_is_removed_in_every_spelling_and_the_others_stay() {
        let mut names = CredentialNames::default();
        assert!(!names.has_cookies());
        let place = CredentialPlace::field(AUTHORIZATION, None);
        names.add(&CredentialPlace { cookie: Some("session".to_owned()), ..place });
        let left = |line: &str| names.cookies_without(line.as_bytes()).map(|left| String::from_utf8(left).unwrap());
        for cookie in ["session=x", "session", "session=", "s%65ssion=x", "session[]=x", "session=x=y", " session =x"] {
            assert_eq!(left(cookie).as_deref(), Some(""), "{cookie}");
            assert_eq!(left(&format!("a=1; {cookie}; b=2")).as_deref(), Some("a=1; b=2"), "{cookie}");
            assert_eq!(left(&format!("a=1; {cookie}")).as_deref(), Some("a=1"), "{cookie}");
            assert_eq!(left(&format!("{cookie};b=2")).as_deref(), Some("b=2"), "{cookie}");
            assert_eq!(left(&format!("a=1,{cookie}; b=2")).as_deref(), Some("a=1, b=2"), "{cookie}");
        }
        assert_eq!(left("session=x; session=y"), Some(String::new()));
        for other in ["", "a=session", "sessions=x; Session=y", "a=1; b=2;", "xsession=1"] {
            assert_eq!(left(other), None, "{other}");
        }
        assert_eq!(names.cookies_without(b"a=\xff; session=x").as_deref(), Some(b"a=\xff".as_slice()));
    }

    #[track_caller]
    fn check_query(query: &str, want: &str) {
        assert_eq!(parameters("key").without_keys(query), want, "{query}");
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
        for other in
            ["keys=x", "Key=x", "a=key", "%zz=%&%6=+", "a=1&&b=2&", "", "k+ey=1", "a[key]=1", "_key=1", "key_=1"]
        {
            check_query(other, other);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_parameter_is_removed_in_the_spellings_that_php_and_others_read_as_its_name() {
        let left = |name, query: &str| parameters(name).without_keys(query).into_owned();
        let spellings = [
            "api.key=x",
            "+api_key=x",
            "%20%20api_key",
            " api.key",
            "api+key=x",
            "api%20key=x",
            "api[key=x",
            "api%5Bkey=x",
            "api_key[]=x",
            "api.key[a][b]=x",
            "api_key%5b%5d=x",
            "api_key%00=x",
            "api.key%00b=x",
            "[api_key]=x",
            "[api_key][]=x",
            "[[api_key]]=x",
        ];
        for (place, spelling) in ["api_key", "api.key"].into_iter().flat_map(|place| spellings.map(|s| (place, s))) {
            assert_eq!(left(place, &format!("a=1&{spelling}&b=2")), "a=1&b=2", "{place} {spelling}");
        }
        for other in
            ["api-key=x", "apikey=x", "a[api_key]=x", "api_key_=x", "api_key]=x", "%00api_key=x", "[=x", "[]=x", ".=x"]
        {
            assert_eq!(left("api_key", other), other);
        }
        assert_eq!(left("auth[key]", "auth[key]=x&auth[key][]=x&auth[user]=y&auth=z"), "auth[user]=y&auth=z");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_found_in_authorization_in_any_form() {
        let holds = |value: &str| {
            let line = |value: &str| (AUTHORIZATION, value.parse().unwrap());
            authorization_holds_key(&HeaderMap::from_iter([line(value)]))
        };
        assert!(holds(&format!("Basic {}", key())) && holds(&format!("Token token=\"{}\"", key())));
        assert!(!holds("Basic a") && !authorization_holds_key(&HeaderMap::new()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_removed_from_any_parameter() {
        let key = key();
        check_query(&format!("a=1&{key}&{}=x&b=2", key.replace('_', "%5f")), "a=1&b=2");
        let escaped = key.replace('_', "%5f");
        for value in [key.clone(), escaped, format!("Bearer+{key}"), format!("%22{key}%22"), format!("a,{key}")] {
            check_query(&format!("a=1&any={value}&b=2"), "a=1&b=2");
        }
        assert_eq!(CredentialNames::default().without_keys(&format!("x;y={key}")), "x");
        check_query("a=tg_dev_nothing", "a=tg_dev_nothing");
    }
}
