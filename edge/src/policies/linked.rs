//! Links of identities: which consumer the bearer of a token is, as a record says.

use tollgate_core::authn::{Identity, IdentityRules};
use tollgate_core::problem::Problem;

use super::jwt::not_accepted;
use super::stored::store_failed;
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::isolate::credentials::link;
use crate::ports::Host;

/// The identity of the bearer of a token, as its link says if the policy has links.
pub(super) async fn linked<H: Host>(
    rules: &IdentityRules,
    identity: Identity,
    isolate: &Isolate,
    host: &H,
) -> Result<Identity, Problem> {
    let Some(links) = &rules.links else { return Ok(identity) };
    let found = match identity.link {
        Some(digest) => rare(link(isolate, host, digest)).await.map_err(|failed| store_failed(&failed))?,
        None => None,
    };
    let now = isolate.time(host.clock());
    identity.linked(links, found.as_ref().map(|known| &known.credential), now).map_err(not_accepted)
}
