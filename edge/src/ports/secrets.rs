use super::Unavailable;
use tollgate_core::secret::Secret;

/// Secrets, by the name in `${secret.NAME}`.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Secrets {
    /// The secret's value, or `None` if the host has no secret with this name.
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable>;
}
