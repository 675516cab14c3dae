//! API keys: created, shown, revoked.

use http::StatusCode;
use tollgate_core::authn::{ApiKey, Credential, KeyDigest};
use tollgate_core::operator::{Creation, IssuedKey, KeyReference, KeyRequest, KeyView};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_kv_schemas::{KeyIndex, credential_records, decode, encode, keys};

use super::purge_log::WRITE_PAUSE_MS;
use super::{Done, Task, store_unavailable};
use crate::ports::{Clock, Entropy, Host, Records, WriteFault};
use crate::timeout::within;

/// Creates a key. Its record is written before the response, so that every key in a response is stored.
pub(super) async fn new<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let request = KeyRequest::parse(&task.content)?;
    let now = task.host.clock().now();
    request.check_expiry(now).map_err(|detail| Problem::plain(ProblemKind::BadRequest, detail))?;
    task.check_plan(&request).await?;
    let (key, credential) = task.issue(request).await?;
    task.targets.push(credential.id.clone());
    for (key, value) in credential_records(task.gateway(), &key.digest(), &credential) {
        task.write(key, value).await?;
    }
    let answer = IssuedKey { key: key.expose().to_owned(), view: KeyView::from(&credential) };
    Ok(Done::json(StatusCode::CREATED, &answer))
}

pub(super) async fn show<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let (_, credential) = task.named().await?;
    task.targets.push(credential.id.clone());
    Ok(Done::json(StatusCode::OK, &KeyView::from(&credential)))
}

/// Revokes a key; has no effect on a revoked one.
pub(super) async fn revoke<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let (digest, mut credential) = task.named().await?;
    task.targets.push(credential.id.clone());
    if !credential.revoked {
        credential.revoked = true;
        task.write(keys::credential(task.gateway(), &digest), encode(&credential)).await?;
    }
    let now = task.host.clock().instant();
    task.isolate.credentials.borrow_mut().revoke(digest, credential.clone(), now);
    Ok(Done::json(StatusCode::OK, &KeyView::from(&credential)))
}

impl<H: Host> Task<'_, H> {
    fn gateway(&self) -> &str {
        &self.isolate.settings.gateway
    }

    /// Refuses a plan that the newest configuration does not have; without a configuration it is not known.
    async fn check_plan(&self, request: &KeyRequest) -> Result<(), Problem> {
        if request.plan.is_none() {
            return Ok(());
        }
        self.isolate.refresh(self.host).await;
        let gateway = self.isolate.gateway(self.host).await;
        let plans = gateway.as_ref().and_then(|gateway| gateway.plans.as_deref());
        let checked = request.check_plan(self.gateway(), plans);
        checked.map_err(|detail| Problem::plain(ProblemKind::BadRequest, detail))
    }

    /// A key with an unused public id.
    ///
    /// An id has 48 bits of the digest: among a million keys, the probability of a collision is 1 in 600.
    async fn issue(&self, request: KeyRequest) -> Result<(ApiKey, Credential), Problem> {
        for _ in 0..ISSUE_ATTEMPTS {
            let mut random = [0u8; 32];
            self.host.entropy().fill(&mut random);
            let creation = Creation { at: self.host.clock().now(), by: Some(self.caller.to_owned()) };
            let (key, credential) = request.clone().issue(&random, creation)?;
            if self.read(&keys::key_index(self.gateway(), &credential.id)).await?.is_none() {
                return Ok((key, credential));
            }
        }
        Err(Problem::plain(ProblemKind::Internal, "No unused key id was found."))
    }

    /// The credential that the path identifies.
    async fn named(&self) -> Result<(KeyDigest, Credential), Problem> {
        let digest = match KeyReference::parse(self.parameter)? {
            KeyReference::Digest(digest) => digest,
            KeyReference::Id(id) => {
                let index = self.read(&keys::key_index(self.gateway(), &id)).await?.ok_or_else(unknown_key)?;
                decode::<KeyIndex>(&index).map_err(|error| store_unavailable(&error))?.digest
            }
        };
        let record = self.read(&keys::credential(self.gateway(), &digest)).await?.ok_or_else(unknown_key)?;
        let credential = decode(&record).map_err(|error| store_unavailable(&error))?;
        Ok((digest, credential))
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Problem> {
        let read = within(self.host, "the record store", self.host.records().read(key)).await;
        read.map_err(|error| store_unavailable(&error))
    }

    async fn write(&self, key: String, value: Vec<u8>) -> Result<(), Problem> {
        for _ in 0..WRITE_ATTEMPTS {
            match within(self.host, "the record store", self.host.records().keep(&key, &value)).await {
                Err(WriteFault::TooOften) => self.host.clock().sleep(WRITE_PAUSE_MS).await,
                written => return written.map_err(|error| store_unavailable(&error)),
            }
        }
        Err(store_unavailable(&WriteFault::TooOften))
    }
}

fn unknown_key() -> Problem {
    let detail =
        "This gateway has no key with this id or digest. A new key may take a minute to be visible everywhere.";
    Problem::plain(ProblemKind::ResourceNotFound, detail)
}

/// Each attempt is one read; a second one is almost never needed.
const ISSUE_ATTEMPTS: usize = 4;

/// Revoking a key within one second after its creation needs one delay.
const WRITE_ATTEMPTS: usize = 3;
