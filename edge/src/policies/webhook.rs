//! The `webhook` policy: everything is checked that needs no content, then the content is read and its signature verified.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_core::authn::{Once, Principal, WebhookSettings, WebhookSigned};
use tollgate_core::event::Reason;
use tollgate_core::jose::{Jwk, SignatureCheck};
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use super::signed::{accept_once, keys_unavailable, not_signed, refused, secrets};
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;
use crate::timeout::verifies;

impl Authenticates for WebhookSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        content: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let signed = self
            .presented(&received.fields)
            .map_err(refused)?
            .ok_or_else(|| not_signed("Sign the request as the sender of this webhook does."))?;
        self.check_time(&signed, isolate.time(host.clock())).map_err(refused)?;
        let keys = rare(keys(self, isolate, host)).await?;
        let message = signed.message(&rare(content.gathered(host)).await?);
        let place = rare(verified_by(&keys, &signed, &message, host)).await?;
        if let Some(window_ms) = self.once_ms {
            let once = Once { policy: Some(name), signer: b"", used: &message };
            rare(accept_once(host, content, once, window_ms)).await?;
        }
        let consumer = self.consumer.clone().unwrap_or_else(|| name.to_string());
        Ok(Arc::new(Principal::new(consumer, format!("{name}/{}", place + 1), None, Vec::new())))
    }
}

async fn keys<H: Host>(settings: &WebhookSettings, isolate: &Isolate, host: &H) -> Result<Vec<Jwk>, Problem> {
    let secrets = secrets(isolate, host, &settings.secrets).await?;
    let keys = secrets.iter().map(|secret| settings.key(secret)).collect::<Result<_, _>>();
    keys.map_err(|error| keys_unavailable(error.to_string()))
}

/// The position of the key that signed the message.
async fn verified_by<H: Host>(
    keys: &[Jwk],
    signed: &WebhookSigned<'_>,
    message: &Bytes,
    host: &H,
) -> Result<usize, Problem> {
    for (place, key) in keys.iter().enumerate() {
        let (algorithm, signatures) = signed.candidates(key);
        for signature in signatures {
            let check = SignatureCheck { algorithm, key, message, signature };
            let verified = verifies(host, &check).await;
            if verified.map_err(|away| keys_unavailable(away.0))? {
                return Ok(place);
            }
        }
    }
    let detail = "The signature is wrong. Sign the content exactly as it is sent, with the secret of this receiver.";
    Err(Problem::new(ProblemKind::CredentialUnknown, detail, Reason::SignatureWrong))
}
