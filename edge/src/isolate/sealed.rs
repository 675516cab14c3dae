//! Texts that only the gateway can read and make: encrypted and authenticated with a secret of the configuration.

use tollgate_core::authn::{seal_key, sealed_parts, sealed_text};
use tollgate_core::secret::SecretText;

use super::Isolate;
use super::secrets::resolve_all;
use crate::ports::{Entropy, Host, Signatures};
use crate::timeout::within;

/// What texts of one purpose of a policy are encrypted with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing<'s> {
    /// With two values while it is rotated: both read, the first one writes.
    pub(crate) secret: &'s SecretText,
    pub(crate) policy: &'s str,
    pub(crate) purpose: &'static str,
}

impl Sealing<'_> {
    /// The text of some content. An error is for the operator.
    pub(crate) async fn seal<H: Host>(&self, isolate: &Isolate, host: &H, content: &[u8]) -> Result<String, String> {
        let keys = self.keys(isolate, host).await?;
        let mut nonce = [0; 12];
        host.entropy().fill(&mut nonce);
        let sealing = host.signatures().seals(&keys[0], &nonce, content);
        let sealed = within(host, "the encryption of cookies", sealing).await.map_err(|away| away.0)?;
        Ok(sealed_text(&nonce, &sealed))
    }

    /// The content of a text; `None` if the gateway did not make it.
    pub(crate) async fn open<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        text: &str,
    ) -> Result<Option<Vec<u8>>, String> {
        let Some((nonce, sealed)) = sealed_parts(text) else { return Ok(None) };
        for key in self.keys(isolate, host).await? {
            let opening = host.signatures().opens(&key, &nonce, &sealed);
            let opened = within(host, "the decryption of cookies", opening).await.map_err(|away| away.0)?;
            if opened.is_some() {
                return Ok(opened);
            }
        }
        Ok(None)
    }

    /// The keys of the values of the secret; at least one.
    async fn keys<H: Host>(&self, isolate: &Isolate, host: &H) -> Result<Vec<[u8; 32]>, String> {
        let values = resolve_all(isolate, host, self.secret).await.map_err(|away| away.0)?;
        let names = || self.secret.secret_names().collect::<Vec<_>>().join(", ");
        let values = values.ok_or_else(|| format!("a secret has no value on this host: {}", names()))?;
        if values.is_empty() || values.iter().any(|value| value.expose().len() < SECRET_BYTES_MIN) {
            return Err(format!("the secret {} has less than {SECRET_BYTES_MIN} characters", names()));
        }
        Ok(values.iter().map(|value| seal_key(value, self.policy, self.purpose)).collect())
    }
}

/// 128 random bits in hexadecimal digits.
const SECRET_BYTES_MIN: usize = 32;
