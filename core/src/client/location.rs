/// Where a client's address is and whose it is, as far as the platform knows it. What it does not know is absent, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The country, as two letters (ISO 3166-1), or `T1` for the Tor network.
    pub country: Option<String>,
    /// The number of the autonomous system that announces the address.
    pub asn: Option<u32>,
}

impl Location {
    /// What a platform says. A country that is no code, and `XX`, which platforms write for one that they do not know, are absent; so is
    /// the number 0, which is reserved (RFC 7607).
    #[must_use]
    pub fn new(country: &str, asn: &str) -> Self {
        let is_code = matches!(country.as_bytes(), [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphanumeric());
        let country = (is_code && !country.eq_ignore_ascii_case("XX")).then(|| country.to_ascii_uppercase());
        Self { country, asn: asn.parse().ok().filter(|number| *number != 0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_known_is_absent() {
        for (country, asn, want) in [
            ("DE", "3320", (Some("DE"), Some(3_320))),
            ("T1", "4294967295", (Some("T1"), Some(u32::MAX))),
            ("de", "007", (Some("DE"), Some(7))),
            ("XX", "0", (None, None)),
            ("xx", "-1", (None, None)),
            ("", "", (None, None)),
            ("DEU", "AS3320", (None, None)),
            ("1T", "4294967296", (None, None)),
            ("Ü", "1.5", (None, None)),
        ] {
            let found = Location::new(country, asn);
            assert_eq!((found.country.as_deref(), found.asn), want, "{country} {asn}");
        }
    }
}
