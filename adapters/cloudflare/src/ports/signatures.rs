use base64ct::{Base64UrlUnpadded, Encoding};
use js_sys::Uint8Array;
use tollgate_core::authn::ContentHash;
use tollgate_core::jose::{KeyMaterial, SignatureCheck, SigningKey};
use tollgate_edge::ports::{Signatures, Unavailable};

use super::unavailable;
use crate::platform;
use crate::task::settled;

/// WebCrypto, which keeps the code of the algorithms out of the module and verifies many times faster.
#[derive(Clone, Copy, Debug)]
pub struct WebCrypto;

impl Signatures for WebCrypto {
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable> {
        // The platform throws, where the length is that of another algorithm.
        if !check.fits() {
            return Ok(false);
        }
        let SignatureCheck { algorithm, key, message, signature } = *check;
        let verified = platform::verify(algorithm.as_str(), &to_jwk(&key.material), message, signature);
        let verified = settled(verified).await.map_err(|error| unavailable("WebCrypto", &error))?;
        Ok(verified.as_bool().unwrap_or(false))
    }

    async fn signs(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        let public = to_jwk(&key.public);
        let private = Base64UrlUnpadded::encode_string(&key.private);
        let pair = format!(r#"{},"d":"{private}"}}"#, public.trim_end_matches('}'));
        let signature = platform::sign(key.algorithm().as_str(), &pair, message);
        let signature = settled(signature).await.map_err(|error| unavailable("WebCrypto", &error))?;
        Ok(Uint8Array::new(&signature).to_vec())
    }

    async fn seals(&self, key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Result<Vec<u8>, Unavailable> {
        let sealed = settled(platform::cipher(true, key, nonce, content)).await;
        sealed.map(|sealed| Uint8Array::new(&sealed).to_vec()).map_err(|error| unavailable("WebCrypto", &error))
    }

    async fn opens(&self, key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        // Nothing is told for what was not encrypted with this key.
        let opened = settled(platform::cipher(false, key, nonce, sealed)).await;
        let opened = opened.map_err(|error| unavailable("WebCrypto", &error))?;
        Ok(opened.is_object().then(|| Uint8Array::new(&opened).to_vec()))
    }

    async fn digest(&self, hash: ContentHash, content: &[u8]) -> Result<Vec<u8>, Unavailable> {
        let digest = settled(platform::digest(hash.name(), content)).await;
        digest.map(|digest| Uint8Array::new(&digest).to_vec()).map_err(|error| unavailable("WebCrypto", &error))
    }
}

/// The key in the form that WebCrypto imports.
fn to_jwk(material: &KeyMaterial) -> String {
    let text = Base64UrlUnpadded::encode_string;
    match material {
        KeyMaterial::Octets(secret) => format!(r#"{{"kty":"oct","k":"{}"}}"#, text(secret)),
        KeyMaterial::Rsa { modulus, exponent } => {
            format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, text(modulus), text(exponent))
        }
        KeyMaterial::P256 { x, y } => format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, text(x), text(y)),
        KeyMaterial::P384 { x, y } => format!(r#"{{"kty":"EC","crv":"P-384","x":"{}","y":"{}"}}"#, text(x), text(y)),
        KeyMaterial::Ed25519(point) => format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, text(point)),
    }
}
