//! API keys: created, listed, shown, rotated, revoked.

use http::StatusCode;
use tollgate_core::authn::{ApiKey, Credential, KeyDigest};
use tollgate_core::operator::{
    Creation, IssuedKey, KeyList, KeyQuery, KeyReference, KeyRequest, KeyView, Rotated, RotatedKey, RotationRequest,
};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_kv_schemas::{KeyIndex, KeyUse, credential_records, decode, encode, keys};

use super::purge_log::WRITE_PAUSE_MS;
use super::{Done, Step, Task, store_unavailable};
use crate::apart::{rare, together};
use crate::isolate::entitlements::CATALOGUE;
use crate::ports::{Clock, Entropy, Host, WriteFault};
use crate::timeout::{self, keep};

/// Creates a key. Its record is written before the response, so that every key in a response is stored.
pub(super) async fn new<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let request = KeyRequest::parse(&task.content)?;
    let now = task.host.clock().now();
    request.check_expiry(now).map_err(|detail| Problem::plain(ProblemKind::BadRequest, detail))?;
    task.check_plan(&request).await?;
    if !request.limits.is_empty() {
        rare(task.check_limits(&request)).await?;
    }
    if let Some(digest) = request.existing() {
        return task.import(request, digest).await;
    }
    let (key, credential) = task.unused(|random, creation| request.clone().issue(random, creation)).await?;
    task.targets.push(credential.id.clone());
    task.store(&key.digest(), &credential).await?;
    let answer = IssuedKey { key: Some(key.expose().to_owned()), view: KeyView::from(&credential) };
    Ok(Done::json(StatusCode::CREATED, &answer))
}

pub(super) async fn show<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let (_, credential) = task.named().await?;
    task.targets.push(credential.id.clone());
    let view = task.view(&credential).await?;
    Ok(Done::json(StatusCode::OK, &view))
}

/// Lists a page of keys. The records are read side by side: their store may be far away.
pub(super) async fn list<H: Host>(task: &Task<'_, H>) -> Result<Done, Problem> {
    let KeyQuery { consumer, cursor } = KeyQuery::parse(task.query)?;
    let gateway = task.gateway();
    let prefix = consumer
        .as_ref()
        .map_or_else(|| keys::credentials(gateway), |consumer| keys::credentials_of(gateway, consumer));
    let page = task.page(&prefix, cursor.as_deref(), LISTED_MAX).await?;
    let digests = page.keys.iter().filter_map(|key| keys::digest_of(key));
    let read = together(digests.map(async |digest| {
        // An entry of the index without its record is of a key that is being written, or was removed; one of another consumer is of an
        // identity that was linked again.
        let found = task.credential(digest).await?;
        let is_asked = |found: &Credential| consumer.as_ref().is_none_or(|consumer| found.consumer == *consumer);
        let Some(credential) = found.filter(is_asked) else { return Ok(None) };
        task.view(&credential).await.map(Some)
    }));
    let keys = read.await.into_iter().filter_map(Result::transpose).collect::<Result<_, Problem>>()?;
    Ok(Done::json(StatusCode::OK, &KeyList { keys, cursor: page.cursor }))
}

/// Creates a key that replaces another one, which expires after an overlap. The new one is stored first: if the old one cannot be
/// changed, it is still accepted.
pub(super) async fn rotate<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let request = RotationRequest::parse(&task.content)?;
    let (digest, old) = task.named().await?;
    task.targets.push(old.id.clone());
    let rotate = |random: &[u8; 32], creation| {
        let Rotated { key, new, old } = request.rotate(&old, random, creation)?;
        Ok((key, (new, old)))
    };
    let (key, (new, old)) = task.unused(rotate).await?;
    task.targets.push(new.id.clone());
    task.store(&key.digest(), &new).await?;
    task.write(keys::credential(task.gateway(), &digest), encode(&old)).await?;
    let answer = RotatedKey { key: key.expose().to_owned(), view: KeyView::from(&new), old: KeyView::from(&old) };
    Ok(Done::json(StatusCode::CREATED, &answer))
}

/// Revokes a key or ends a link; has no effect on a revoked one.
pub(super) async fn revoke<H: Host>(task: Task<'_, H>) -> Result<Done, Problem> {
    let (digest, mut credential) = task.named().await?;
    task.targets.push(credential.id.clone());
    if credential.withdraw(task.host.clock().now()) {
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
        let Err(unknown) = request.check_plan(self.gateway(), plans) else { return Ok(()) };
        // It may be a record.
        let checked = match self.entitlements(CATALOGUE).await?.plan(request.plan.as_deref().unwrap_or_default()) {
            Some(_) => Ok(()),
            None => Err(unknown),
        };
        checked.map_err(|detail| Problem::plain(ProblemKind::BadRequest, detail))
    }

    /// Refuses numbers for limits that the newest configuration does not let records change.
    async fn check_limits(&self, request: &KeyRequest) -> Result<(), Problem> {
        self.isolate.refresh(self.host).await;
        let gateway = self.isolate.gateway(self.host).await;
        request.check_limits(self.gateway(), gateway.as_ref().and_then(|gateway| gateway.entitled.as_ref()))
    }

    /// Takes over a key that exists already. One that is known is left as it is: it may have been revoked. A link that has ended is
    /// written again.
    async fn import(self, request: KeyRequest, digest: KeyDigest) -> Result<Done, Problem> {
        let now = self.host.clock().now();
        let creation = Creation { at: now, by: Some(self.caller.to_owned()) };
        let credential = request.import(&digest, creation);
        self.targets.push(credential.id.clone());
        let is_known = match self.credential(digest).await? {
            Some(known) => !known.is_ended_link(now),
            None => self.read(&keys::key_index(self.gateway(), &credential.id)).await?.is_some(),
        };
        if is_known {
            let detail = format!("This gateway has the key {} already, or one with the same id.", credential.id);
            return Err(Problem::plain(ProblemKind::BadRequest, detail));
        }
        self.store(&digest, &credential).await?;
        self.isolate.credentials.borrow_mut().renew(&digest);
        Ok(Done::json(StatusCode::CREATED, &IssuedKey { key: None, view: KeyView::from(&credential) }))
    }

    /// A new key with an unused public id.
    ///
    /// An id has 48 bits of the digest: among a million keys, the probability of a collision is 1 in 600.
    async fn unused<T>(
        &self,
        make: impl Fn(&[u8; 32], Creation) -> Result<(ApiKey, T), Problem>,
    ) -> Result<(ApiKey, T), Problem> {
        for _ in 0..ISSUE_ATTEMPTS {
            let mut random = [0u8; 32];
            self.host.entropy().fill(&mut random);
            let creation = Creation { at: self.host.clock().now(), by: Some(self.caller.to_owned()) };
            let (key, made) = make(&random, creation)?;
            if self.read(&keys::key_index(self.gateway(), &key.public_id())).await?.is_none() {
                return Ok((key, made));
            }
        }
        Err(Problem::plain(ProblemKind::Internal, "No unused key id was found."))
    }

    /// The credential that the path identifies.
    fn named(&self) -> Step<'_, (KeyDigest, Credential)> {
        rare(self.find_named())
    }

    async fn find_named(&self) -> Result<(KeyDigest, Credential), Problem> {
        let digest = match KeyReference::parse(self.parameter)? {
            KeyReference::Digest(digest) => digest,
            KeyReference::Id(id) => {
                let index = self.read(&keys::key_index(self.gateway(), &id)).await?.ok_or_else(unknown_key)?;
                decode::<KeyIndex>(&index).map_err(|error| store_unavailable(&error))?.digest
            }
        };
        let credential = self.credential(digest).await?.ok_or_else(unknown_key)?;
        Ok((digest, credential))
    }

    fn credential(&self, digest: KeyDigest) -> Step<'_, Option<Credential>> {
        rare(async move {
            let record = self.read(&keys::credential(self.gateway(), &digest)).await?;
            record.map(|record| decode(&record)).transpose().map_err(|error| store_unavailable(&error))
        })
    }

    /// What is known of a key, with its last use; one that cannot be read is not known.
    fn view<'s>(&'s self, credential: &'s Credential) -> Step<'s, KeyView> {
        rare(async move {
            let record = self.read(&keys::key_use(self.gateway(), &credential.id)).await?;
            let used = record.and_then(|record| decode::<KeyUse>(&record).ok());
            Ok(KeyView::from(credential).used(used.map(|used| used.last)))
        })
    }

    /// Writes the records of a new key.
    fn store<'s>(&'s self, digest: &KeyDigest, credential: &Credential) -> Step<'s, ()> {
        let records = credential_records(self.gateway(), digest, credential);
        rare(async move {
            for (key, value) in records {
                self.write(key, value).await?;
            }
            Ok(())
        })
    }

    fn read<'s>(&'s self, key: &'s str) -> Step<'s, Option<Vec<u8>>> {
        rare(async move { timeout::record(self.host, key).await.map_err(|error| store_unavailable(&error)) })
    }

    pub(super) fn write(&self, key: String, value: Vec<u8>) -> Step<'_, ()> {
        rare(async move {
            for _ in 0..WRITE_ATTEMPTS {
                match keep(self.host, &key, &value).await {
                    Err(WriteFault::TooOften) => self.host.clock().sleep(WRITE_PAUSE_MS).await,
                    written => return written.map_err(|error| store_unavailable(&error)),
                }
            }
            Err(store_unavailable(&WriteFault::TooOften))
        })
    }
}

fn unknown_key() -> Problem {
    let detail =
        "This gateway has no key with this id or digest. A new key may take a minute to be visible everywhere.";
    Problem::plain(ProblemKind::ResourceNotFound, detail)
}

/// Keys of a page: a Worker may make 1,000 calls of stores for one request, and six at once.
const LISTED_MAX: usize = 50;

/// Each attempt is one read; a second one is almost never needed.
const ISSUE_ATTEMPTS: usize = 4;

/// Revoking a key within one second after its creation needs one delay.
const WRITE_ATTEMPTS: usize = 3;
