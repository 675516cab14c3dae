//! Private keys with which the gateway itself signs.

use std::fmt;

use super::jwk::{KeyMaterial, optional_text, scalar};
use super::{Algorithm, JwkError, Members, base64url};
use crate::json;

/// A private key on P-256 or edwards25519 (RFC 7518, section 6.2.2; RFC 8037, section 2). It cannot be printed.
///
/// RSA is left out: its signatures need a source of randomness against leaks by time.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id.
    pub id: Option<String>,
    /// The public key.
    pub public: KeyMaterial,
    /// The private part.
    pub private: [u8; 32],
    algorithm: Algorithm,
}

impl SigningKey {
    /// Parses a private key as a JWK.
    ///
    /// # Errors
    /// If it is not a key of one of these types with its private part.
    pub fn parse(text: &[u8]) -> Result<Self, JwkError> {
        let members = Members::parse(text).map_err(|_| JwkError::Form)?;
        let public = KeyMaterial::of(&members)?;
        let algorithm = match public {
            KeyMaterial::P256 { .. } => Algorithm::Es256,
            KeyMaterial::Ed25519(_) => Algorithm::EdDsa,
            KeyMaterial::Octets(_) | KeyMaterial::Rsa { .. } | KeyMaterial::P384 { .. } => return Err(JwkError::Type),
        };
        if optional_text(&members, "alg")?.is_some_and(|name| name.parse() != Ok(algorithm)) {
            return Err(JwkError::Algorithm);
        }
        let id = optional_text(&members, "kid")?.map(str::to_owned);
        Ok(Self { id, public, private: scalar(&members, "d")?, algorithm })
    }

    /// The same with an id: its own, or its thumbprint (RFC 7638).
    #[must_use]
    pub fn named(mut self) -> Self {
        self.id = self.id.or_else(|| self.public.thumbprint().map(|print| print.to_string()));
        self
    }

    /// The algorithm with which it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.algorithm)
    }
}

/// The set of the public keys of these (RFC 7517, section 5), with what they are for.
#[must_use]
pub fn public_set(keys: &[SigningKey]) -> String {
    let mut out = String::new();
    json::object(&mut out, |set| {
        set.list("keys", keys, |out, key| {
            let public = key.public.canonical().unwrap_or_default();
            out.push_str(public.strip_suffix('}').unwrap_or("{"));
            out.push_str(",\"use\":\"sig\",\"alg\":\"");
            out.push_str(key.algorithm.as_str());
            out.push('"');
            if let Some(id) = &key.id {
                out.push_str(",\"kid\":");
                json::string(out, id);
            }
            out.push('}');
        });
    });
    out
}

/// Header and claims as they are signed (RFC 7515, section 5.1). The claims are a JSON object.
#[must_use]
pub fn signing_input(key: &SigningKey, kind: &str, claims: &str) -> String {
    let mut header = String::new();
    json::object(&mut header, |header| {
        header.word("alg", key.algorithm.as_str());
        header.text("typ", kind);
        if let Some(id) = &key.id {
            header.text("kid", id);
        }
    });
    let mut input = base64url::encode(header.as_bytes());
    input.push('.');
    input.push_str(&base64url::encode(claims.as_bytes()));
    input
}

/// What was signed, with its signature (RFC 7515, section 7.1).
#[must_use]
pub fn signed(input: &str, signature: &[u8]) -> String {
    [input, ".", &base64url::encode(signature)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Token;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// RFC 7515, appendix A.3; RFC 8037, appendix A.1.
    const KEYS: [(&str, Algorithm); 2] = [
        (
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
            Algorithm::Es256,
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","kid":"k1","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
                "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"EdDSA","key_ops":["sign"]}"#,
            Algorithm::EdDsa,
        ),
    ];

    #[wasm_bindgen_test(unsupported = test)]
    fn a_private_key_has_one_algorithm_and_is_not_printed() {
        for (text, algorithm) in KEYS {
            let key = SigningKey::parse(text.as_bytes()).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(format!("{key:?}"), format!("SigningKey({algorithm:?}, ..)"));
        }
        let refused = |text: &str| SigningKey::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refused("{"), JwkError::Form);
        assert_eq!(refused(&KEYS[0].0.replace("\"d\"", "\"D\"")), JwkError::Form);
        assert_eq!(refused(&KEYS[0].0.replace("9LI\"", "9L\"")), JwkError::Form);
        assert_eq!(refused(&KEYS[1].0.replace("EdDSA", "ES256")), JwkError::Algorithm);
        assert_eq!(refused(r#"{"kty":"oct","k":"AAAA"}"#), JwkError::Type);
    }

    /// RFC 8037, appendix A.3, has the thumbprint of its key.
    #[wasm_bindgen_test(unsupported = test)]
    fn rfc_7638_a_key_without_an_id_is_named_by_its_thumbprint_and_only_public_parts_are_published() {
        let named = |text: &str| SigningKey::parse(text.as_bytes()).unwrap().named();
        let keys = [named(KEYS[0].0), named(&KEYS[1].0.replace("\"kid\":\"k1\",", "")), named(KEYS[1].0)];
        assert_eq!(keys[1].id.as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        assert_eq!(keys[2].id.as_deref(), Some("k1"));
        let set = public_set(&keys);
        assert!(!set.contains("\"d\""), "{set}");
        let read = super::super::JwkSet::parse(set.as_bytes()).unwrap();
        assert_eq!(read.unused, []);
        let public: Vec<_> = read.keys.iter().map(|key| (key.id.clone(), &key.material)).collect();
        assert_eq!(public, keys.iter().map(|key| (key.id.clone(), &key.public)).collect::<Vec<_>>());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_signed_is_a_token() {
        let key = SigningKey::parse(KEYS[1].0.as_bytes()).unwrap();
        let input = signing_input(&key, "JWT", r#"{"iss":"gate\"way","exp":7}"#);
        let text = signed(&input, &[7; 64]);
        let token = Token::parse(&text).unwrap();
        assert_eq!(
            (token.algorithm, token.key_id.as_deref(), token.kind.as_deref()),
            (Algorithm::EdDsa, Some("k1"), Some("jwt"))
        );
        assert_eq!((token.signed, token.signature.as_slice()), (input.as_str(), &[7; 64][..]));
        assert_eq!(token.claims().unwrap().text("iss"), Some("gate\"way"));
    }
}
