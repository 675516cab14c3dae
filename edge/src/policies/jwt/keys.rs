//! The keys of a policy: in the configuration, or fetched from the issuer.

use std::rc::Rc;

use tollgate_core::authn::{JwtSettings, KeySource};
use tollgate_core::event::Reason;
use tollgate_core::jose::{Algorithm, Algorithms, Jwk, JwkSet, SignatureCheck};
use tollgate_core::problem::Problem;

use super::unavailable;
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::isolate::fetched::{FetchPlan, Meaning, Usable, fetched, renewed};
use crate::isolate::issuer::answer;
use crate::isolate::secrets::resolve_all;
use crate::isolate::tokens::{Discovery, Policy, Source};
use crate::ports::{Host, Unavailable};
use crate::problems::secret_missing;
use crate::timeout::verifies;

/// A signature, and which keys may have made it.
pub(in crate::policies) struct Presented<'p> {
    pub(in crate::policies) algorithms: Algorithms,
    pub(in crate::policies) key_id: Option<&'p str>,
    /// Whether the key has to have this id; otherwise it may also have none.
    pub(in crate::policies) is_named: bool,
    pub(in crate::policies) message: &'p [u8],
    pub(in crate::policies) signature: &'p [u8],
}

/// The keys that a policy knows.
pub(in crate::policies) struct Keys<'p> {
    set: Rc<JwkSet>,
    /// How the set is fetched, if it is.
    plan: Option<Rc<FetchPlan>>,
    /// What named the set, if metadata did.
    discovery: Option<&'p Discovery>,
}

impl<'p> Keys<'p> {
    pub(super) async fn of<H: Host>(policy: &'p Policy, isolate: &Isolate, host: &H) -> Result<Self, Problem> {
        match policy.source.as_ref().map_err(|why| unusable(why))? {
            Source::Secret => shared_secret(policy, isolate, host).await,
            Source::Fixed(set) => Ok(Self::fixed(Rc::clone(set))),
            Source::Set(plan) => Self::fetched(isolate, host, Rc::clone(plan)).await,
            Source::Discovery(discovery) => {
                let metadata = fetched(isolate, host, &discovery.metadata).await;
                let metadata = answer(isolate, metadata).map_err(|why| unusable(&why))?;
                let plan = discovery.keys(&metadata).map_err(|why| unusable(&why))?;
                let found = match Self::fetched(isolate, host, Rc::clone(&plan)).await {
                    Err(problem) => match rare(moved(isolate, host, discovery, &plan, RENEWED_MS)).await {
                        Some(plan) => Self::fetched(isolate, host, plan).await,
                        None => Err(problem),
                    },
                    found => found,
                };
                found.map(|keys| Self { discovery: Some(discovery), ..keys })
            }
        }
    }

    /// Keys that are not fetched.
    pub(in crate::policies) const fn fixed(set: Rc<JwkSet>) -> Self {
        Self { set, plan: None, discovery: None }
    }

    /// The keys that a plan fetches.
    pub(in crate::policies) async fn fetched<H: Host>(
        isolate: &Isolate,
        host: &H,
        plan: Rc<FetchPlan>,
    ) -> Result<Self, Problem> {
        let answer = answer(isolate, fetched(isolate, host, &plan).await).map_err(|why| unusable(&why))?;
        Ok(Self { set: keys(&answer)?, plan: Some(plan), discovery: None })
    }

    /// Whether one of the keys made a signature; `None` if there is no such key. If none of them did, there may be newer ones:
    /// a new key may have the id of an old one, and the set may have moved.
    pub(in crate::policies) async fn made<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        presented: &Presented<'_>,
    ) -> Result<Option<bool>, Unavailable> {
        let tried = made_by(&self.set, host, presented).await?;
        match &self.plan {
            Some(plan) if tried != Some(true) => {
                Ok(rare(self.made_since(isolate, host, presented, plan)).await?.or(tried))
            }
            _ => Ok(tried),
        }
    }

    /// The same for the keys that were published since.
    async fn made_since<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        presented: &Presented<'_>,
        plan: &Rc<FetchPlan>,
    ) -> Result<Option<bool>, Unavailable> {
        let newer = renewed_keys(isolate, host, plan).await;
        let tried = match &newer {
            Ok(newer) if !Rc::ptr_eq(newer, &self.set) => made_by(newer, host, presented).await?,
            Ok(_) | Err(_) => None,
        };
        if tried.is_some() {
            return Ok(tried);
        }
        if newer.is_err()
            && let Ok(shared) = Self::fetched(isolate, host, Rc::clone(plan)).await
            && let Some(made) = made_by(&shared.set, host, presented).await?
        {
            return Ok(Some(made));
        }
        let age_ms = if newer.is_err() { RENEWED_MS } else { MOVED_MS };
        if let Some(discovery) = self.discovery
            && let Some(plan) = moved(isolate, host, discovery, plan, age_ms).await
            && let Ok(moved) = Self::fetched(isolate, host, plan).await
        {
            return made_by(&moved.set, host, presented).await;
        }
        // Whether the issuer publishes the key is not known if it does not answer.
        newer
            .map(|_| None)
            .map_err(|why| Unavailable::new(format!("the keys of the issuer, for a key that is new: {why}")))
    }
}

/// The keys that were published since, at most one fetch in [`RENEWED_MS`]; an error if their URL does not answer with keys.
async fn renewed_keys<H: Host>(isolate: &Isolate, host: &H, plan: &Rc<FetchPlan>) -> Result<Rc<JwkSet>, String> {
    let Some(fetched) = renewed(isolate, host, plan, RENEWED_MS).await else {
        return Err("another request waits for the answer".to_owned());
    };
    answer(isolate, fetched).and_then(|answer| keys(&answer).map_err(|_| "it is not a set of keys".to_owned()))
}

/// How the keys are fetched, if the metadata name another set by now; at most one fetch in `age_ms`.
async fn moved<H: Host>(
    isolate: &Isolate,
    host: &H,
    discovery: &Discovery,
    known: &FetchPlan,
    age_ms: u64,
) -> Option<Rc<FetchPlan>> {
    let metadata = answer(isolate, renewed(isolate, host, &discovery.metadata, age_ms).await?).ok()?;
    discovery.keys(&metadata).ok().filter(|plan| plan.id() != known.id())
}

async fn made_by<H: Host>(set: &JwkSet, host: &H, presented: &Presented<'_>) -> Result<Option<bool>, Unavailable> {
    let Presented { algorithms, key_id, is_named, message, signature } = *presented;
    let mut tried = None;
    if is_named && !key_id.is_some_and(|id| set.names(id)) {
        return Ok(tried);
    }
    for algorithm in algorithms.iter() {
        for key in set.candidates(algorithm, key_id) {
            let check = SignatureCheck { algorithm, key, message, signature };
            if verifies(host, &check).await? {
                return Ok(Some(true));
            }
            tried = Some(false);
        }
    }
    Ok(tried)
}

async fn shared_secret<H: Host>(policy: &Policy, isolate: &Isolate, host: &H) -> Result<Keys<'static>, Problem> {
    let JwtSettings { keys: KeySource::Secret(text), algorithms, .. } = policy.settings() else {
        return Err(unusable("the policy has no shared secret"));
    };
    let secrets = resolve_all(isolate, host, text).await.map_err(|away| unavailable(away.0))?;
    let secrets = secrets.ok_or_else(|| {
        let names = text.secret_names().collect::<Vec<_>>().join(", ").into();
        secret_missing(Reason::SecretMissing { names })
    })?;
    let least = algorithms.iter().map(Algorithm::secret_bytes_min).max().unwrap_or_default();
    if secrets.iter().any(|secret| secret.expose().len() < least) {
        return Err(unavailable(format!("the shared secret has fewer than {least} bytes (RFC 7518, section 3.2)")));
    }
    let keys = secrets.iter().map(|secret| Jwk::of_secret(secret.expose().as_bytes().to_vec())).collect();
    Ok(Keys::fixed(Rc::new(JwkSet { keys, unused: Vec::new() })))
}

fn keys(answer: &Usable) -> Result<Rc<JwkSet>, Problem> {
    match &answer.meaning {
        Meaning::Keys(set) => Ok(Rc::clone(set)),
        Meaning::Content | Meaning::Services(_) => Err(unusable("it is not a set of keys")),
    }
}

/// The issuer answered something that cannot be used.
fn unusable(why: &str) -> Problem {
    unavailable(format!("the keys of the issuer: {why}"))
}

/// The least time between two fetches of keys that unknown keys cause, and of metadata that name keys which cannot be fetched.
const RENEWED_MS: u64 = 5_000;

/// The least time between two fetches of metadata that unknown keys cause: invented ones must not double the fetches.
const MOVED_MS: u64 = 60_000;
