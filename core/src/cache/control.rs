//! The `Cache-Control` field (RFC 9111, section 5.2), as far as it applies to a shared cache.

use http::header::{CACHE_CONTROL, PRAGMA};

use super::list::{is_unclosed, members};
use super::values::delta_seconds;
use crate::forward::Fields;

/// Directives of a request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-store`
    pub no_store: bool,
    /// `no-cache`, with or without field names
    pub no_cache: bool,
    /// `private`, with or without field names
    pub private: bool,
    /// `only-if-cached`
    pub only_if_cached: bool,
    /// `max-age`, in seconds
    pub max_age: Option<u64>,
    /// `s-maxage`, in seconds
    pub s_maxage: Option<u64>,
    /// `min-fresh`, in seconds
    pub min_fresh: Option<u64>,
}

impl CacheControl {
    /// Parses all `Cache-Control` lines, or `Pragma: no-cache` if there are none.
    ///
    /// What can be read in two ways is read as the stricter one: of two lifetimes the shorter counts, and one that is not
    /// a number is 0 (section 4.2.1).
    #[must_use]
    pub fn of<'f>(fields: impl Into<Fields<'f>>) -> Self {
        let fields = fields.into();
        let mut control = Self::default();
        for line in fields.get_all(CACHE_CONTROL) {
            control.read(line.as_bytes());
        }
        if !fields.contains(CACHE_CONTROL) {
            let pragma = |line: &[u8]| members(line, b',').any(|member| member.eq_ignore_ascii_case(b"no-cache"));
            control.no_cache = fields.get_all(PRAGMA).any(|line| pragma(line.as_bytes()));
        }
        control
    }

    fn read(&mut self, line: &[u8]) {
        for directive in members(line, b',') {
            let (name, value) = split(directive);
            self.add_lifetime(name, value);
            // Some senders separate directives by semicolons.
            members(directive, b';').for_each(|part| self.restrict(split(part).0));
        }
        if is_unclosed(line) {
            self.max_age = Some(0);
            self.s_maxage = Some(0);
        }
    }

    /// A directive that forbids something applies in any spelling.
    fn restrict(&mut self, name: &[u8]) {
        let name = name.trim_ascii();
        for (known, is_set) in [
            ("no-store", &mut self.no_store),
            ("no-cache", &mut self.no_cache),
            ("private", &mut self.private),
            ("only-if-cached", &mut self.only_if_cached),
        ] {
            *is_set |= name.eq_ignore_ascii_case(known.as_bytes());
        }
    }

    fn add_lifetime(&mut self, name: &[u8], value: &[u8]) {
        let (token, is_exact) = (name.trim_ascii(), name.trim_ascii().len() == name.len());
        let is = |known: &str| token.eq_ignore_ascii_case(known.as_bytes());
        let seconds = || if is_exact { delta_seconds(unquoted(value)).unwrap_or(0) } else { 0 };
        let shorter = |known: Option<u64>| Some(known.map_or_else(seconds, |known| known.min(seconds())));
        if is("max-age") {
            self.max_age = shorter(self.max_age);
        } else if is("s-maxage") {
            self.s_maxage = shorter(self.s_maxage);
        } else if is("min-fresh") {
            self.min_fresh = self.min_fresh.max(Some(seconds()));
        }
    }
}

/// A directive's name and its argument, which may be absent.
fn split(directive: &[u8]) -> (&[u8], &[u8]) {
    let end = directive.iter().position(|byte| *byte == b'=').unwrap_or(directive.len());
    let (name, value) = directive.split_at(end);
    (name, value.strip_prefix(b"=").unwrap_or_default())
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};
    use wasm_bindgen_test::wasm_bindgen_test;

    fn of(name: &'static str, value: &str) -> CacheControl {
        let mut fields = HeaderMap::new();
        fields.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        CacheControl::of(&fields)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn directives_are_read_in_any_spelling() {
        let control = of("cache-control", r#"Private="set-cookie, x", MAX-AGE="60" , s-maxage=5,foo"#);
        assert!(control.private && !control.no_store);
        assert_eq!((control.max_age, control.s_maxage), (Some(60), Some(5)));
        assert_eq!(of("cache-control", "max-age=60, max-age=10").max_age, Some(10));
        assert!(of("pragma", "no-cache").no_cache && of("pragma", "x, No-Cache").no_cache);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_directive_inside_a_quoted_string_is_none_and_one_after_it_applies() {
        for text in [r#"ext="a\"b", no-store"#, r#"ext="\\", no-store"#, r#"ext="é", no-store"#, "max-age=9; no-store"]
        {
            assert!(of("cache-control", text).no_store, "{text}");
        }
        let control = of("cache-control", r#"ext="no-store, max-age=1", max-age=60"#);
        assert_eq!((control.no_store, control.max_age), (false, Some(60)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_can_be_read_in_two_ways_is_read_as_the_stricter() {
        for text in ["soon", "", "+60", "-1", "60.5", " 60", "60; x", "\"60", "'60'"] {
            assert_eq!(of("cache-control", &format!("max-age={text}")).max_age, Some(0), "{text}");
        }
        assert_eq!(of("cache-control", "max-age =60").max_age, Some(0));
        assert_eq!(of("cache-control", "max-age=99999999999999999999999").max_age, Some(1 << 31));
        assert_eq!(of("cache-control", "min-fresh=5, min-fresh=9").min_fresh, Some(9));
        let control = of("cache-control", r#"max-age=60, ext="a, no-store"#);
        assert_eq!((control.no_store, control.max_age), (true, Some(0)));
    }
}
