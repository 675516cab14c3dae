//! Thumbprints of keys (RFC 7638).

use std::fmt;

use sha2::{Digest, Sha256};

use super::base64url;
use super::jwk::KeyMaterial;

/// The SHA-256 of a public key in its canonical form; the same for every spelling of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// A digest.
    #[must_use]
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads base64url without padding.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode(text)?.try_into().ok().map(Self)
    }

    /// The SHA-256 of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Base64url without padding.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl KeyMaterial {
    /// The thumbprint of a public key. `None` for a shared secret.
    #[must_use]
    pub fn thumbprint(&self) -> Option<Thumbprint> {
        self.canonical().map(|text| Thumbprint::of(&text))
    }

    /// A public key with its required members only, in the order of their names (RFC 7638, section 3). `None` for a shared secret.
    pub(super) fn canonical(&self) -> Option<String> {
        let point = |curve, kind, x: &[u8], y: Option<&[u8]>| {
            let x = base64url::encode(x);
            let y = y.map(|y| [",\"y\":\"", &base64url::encode(y), "\""].concat()).unwrap_or_default();
            ["{\"crv\":\"", curve, "\",\"kty\":\"", kind, "\",\"x\":\"", &x, "\"", &y, "}"].concat()
        };
        Some(match self {
            Self::Octets(_) => return None,
            Self::Rsa { modulus, exponent } => {
                let (modulus, exponent) = (base64url::encode(modulus), base64url::encode(exponent));
                ["{\"e\":\"", &exponent, "\",\"kty\":\"RSA\",\"n\":\"", &modulus, "\"}"].concat()
            }
            Self::P256 { x, y } => point("P-256", "EC", x, Some(y)),
            Self::P384 { x, y } => point("P-384", "EC", x, Some(y)),
            Self::Ed25519(x) => point("Ed25519", "OKP", x, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Jwk;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_thumbprints_of_the_standards_are_these() {
        for (key, want) in [
            // RFC 7638, section 3.1.
            (
                r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            ),
            // RFC 9449, section 4.2 (the key), and section 6.1 (the thumbprint).
            (
                r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#,
                "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            ),
            // RFC 8037, appendix A.3.
            (
                r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
                "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            ),
        ] {
            let thumbprint = Jwk::parse(key.as_bytes()).unwrap().material.thumbprint().unwrap();
            assert_eq!((thumbprint.to_string().as_str(), Thumbprint::parse(want)), (want, Some(thumbprint)));
        }
        assert!(Jwk::of_secret(vec![1]).material.thumbprint().is_none());
        assert!(Thumbprint::parse("AAAA").is_none() && Thumbprint::parse("").is_none());
    }
}
