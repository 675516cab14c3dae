//! The `Cache-Control` field (RFC 9111, section 5.2), as far as it applies to a shared cache.

use http::header::{CACHE_CONTROL, PRAGMA};

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
    /// A lifetime that is not a number counts as 0, which is the safe interpretation (section 4.2.1).
    #[must_use]
    pub fn of<'f>(fields: impl Into<Fields<'f>>) -> Self {
        let fields = fields.into();
        let mut control = Self::default();
        for directive in fields.get_all(CACHE_CONTROL).filter_map(|v| v.to_str().ok()).flat_map(directives) {
            control.add(directive);
        }
        if !fields.contains(CACHE_CONTROL) {
            control.no_cache = fields.get_all(PRAGMA).any(|v| v.as_bytes().eq_ignore_ascii_case(b"no-cache"));
        }
        control
    }

    fn add(&mut self, directive: &str) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = || Some(value.trim().trim_matches('"').parse().unwrap_or(0));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache = true,
            "private" => self.private = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age = self.max_age.min(seconds()).or(seconds()),
            "s-maxage" => self.s_maxage = self.s_maxage.min(seconds()).or(seconds()),
            "min-fresh" => self.min_fresh = seconds(),
            _ => {}
        }
    }
}

/// The directives of one line, split at commas outside quoted strings.
fn directives(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn of(name: &'static str, value: &str) -> CacheControl {
        let mut fields = HeaderMap::new();
        fields.append(name, value.parse().unwrap());
        CacheControl::of(&fields)
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn directives_are_read_in_any_dress() {
        let control = of("cache-control", r#"Private="set-cookie, x", MAX-AGE="60" , s-maxage=5,foo"#);
        assert!(control.private && !control.no_store);
        assert_eq!((control.max_age, control.s_maxage), (Some(60), Some(5)));
        assert_eq!(of("cache-control", "max-age=soon").max_age, Some(0));
        assert_eq!(of("cache-control", "max-age=60, max-age=10").max_age, Some(10));
        assert!(of("pragma", "no-cache").no_cache);
    }
}
