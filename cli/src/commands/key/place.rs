//! Where keys are: at a running gateway, or in the store of a host.

use tollgate_core::authn::{Credential, CredentialState, KeyDigest};
use tollgate_core::operator::{
    Creation, IssuedKey, KeyList, KeyReference, KeyRequest, KeyView, Resource, Rotated, RotatedKey, RotationRequest,
};
use tollgate_kv_schemas::{KeyUse, credential_records, decode, encode, keys};

use super::{now, random, user};
use crate::at::{Gateway, NOTHING};
use crate::failure::Failure;
use crate::target::Target;

/// The keys of a gateway.
pub(in crate::commands) enum Keys<'a> {
    /// Those that a running gateway answers for.
    Running(Gateway<'a>),
    /// The records in a store.
    Stored {
        /// The store.
        target: Target,
        /// The gateway's name.
        gateway: String,
    },
}

impl Keys<'_> {
    /// Where they are, for a message.
    pub(in crate::commands) fn name(&self) -> String {
        match self {
            Self::Running(gateway) => gateway.name(),
            Self::Stored { target, .. } => target.name(),
        }
    }

    /// All keys, or those of a consumer.
    pub(super) fn list(&self, consumer: Option<&str>) -> Result<Vec<KeyView>, Failure> {
        match self {
            Self::Running(gateway) => list_at(gateway, consumer),
            Self::Stored { target, gateway } => {
                let prefix = consumer
                    .map_or_else(|| keys::credentials(gateway), |consumer| keys::credentials_of(gateway, consumer));
                let digests = target.keys(&prefix, usize::MAX)?.into_iter().filter_map(|key| keys::digest_of(&key));
                // An entry of the index without its record is of a key that is being written, or was removed.
                let read = digests.filter_map(|digest| read(target, gateway, &digest).transpose());
                // An entry of the index of another consumer is of an identity that was linked again.
                let is_asked = |found: &Credential| consumer.is_none_or(|consumer| found.consumer == consumer);
                let read = read.filter(|found| found.as_ref().map_or(true, is_asked));
                read.map(|found| view(target, gateway, &found?)).collect()
            }
        }
    }

    /// Takes over keys that exist already; those that are known are left as they are, except links that have ended. Answers which are
    /// new, and which known.
    pub(super) fn import(&self, requests: Vec<KeyRequest>) -> Result<(Vec<KeyView>, Vec<String>), Failure> {
        let (mut new, mut known) = (Vec::new(), Vec::new());
        let mut records = Vec::new();
        for request in requests {
            let Some(digest) = request.existing() else { continue };
            match self {
                Self::Running(gateway) if self.has(&digest)? => {
                    known.push(format!("{} at {}", request.id_of(&digest), gateway.name()));
                }
                Self::Running(gateway) => {
                    let issued: IssuedKey = gateway.send(Resource::NewKey, "", Some(&request))?;
                    new.push(issued.view);
                }
                Self::Stored { target, .. } if self.has(&digest)? => {
                    known.push(format!("{} in {}", request.id_of(&digest), target.name()));
                }
                Self::Stored { gateway, .. } => {
                    let credential = request.import(&digest, Creation { at: now(), by: user() });
                    new.push(KeyView::from(&credential));
                    records.extend(credential_records(gateway, &digest, &credential));
                }
            }
        }
        if let Self::Stored { target, .. } = self {
            target.put(&records)?;
        }
        Ok((new, known))
    }

    /// Whether a key of this digest is known, which is no link that has ended.
    fn has(&self, digest: &KeyDigest) -> Result<bool, Failure> {
        let is_ended = |key: &KeyView| key.identity.is_some() && key.state(now()) == CredentialState::Expired;
        self.known(digest).map(|key| key.is_some_and(|key| !is_ended(&key)))
    }

    /// The key of a digest, if there is one.
    pub(super) fn known(&self, digest: &KeyDigest) -> Result<Option<KeyView>, Failure> {
        match self {
            Self::Running(gateway) => gateway.find(Resource::ShowKey, &digest.to_hex()),
            Self::Stored { target, gateway } => {
                Ok(read(target, gateway, digest)?.map(|credential| KeyView::from(&credential)))
            }
        }
    }

    /// The key with an id or a digest.
    pub(super) fn find(&self, named: &str) -> Result<KeyView, Failure> {
        match self {
            Self::Running(gateway) => gateway.send(Resource::ShowKey, named, NOTHING),
            Self::Stored { target, gateway } => {
                let (_, credential) = named_in(target, gateway, named)?;
                view(target, gateway, &credential)
            }
        }
    }

    /// Has a new key take over from another one.
    pub(super) fn rotate(&self, named: &str, request: &RotationRequest) -> Result<RotatedKey, Failure> {
        match self {
            Self::Running(gateway) => gateway.send(Resource::RotateKey, named, Some(request)),
            Self::Stored { target, gateway } => {
                let (digest, old) = named_in(target, gateway, named)?;
                let creation = Creation { at: now(), by: user() };
                let rotated = request.rotate(&old, &random()?, creation);
                let Rotated { key, new, old } =
                    rotated.map_err(|problem| Failure::problem(problem.into_parts().detail))?;
                let mut records = credential_records(gateway, &key.digest(), &new).to_vec();
                records.push((keys::credential(gateway, &digest), encode(&old)));
                target.put(&records)?;
                let (view, old) = (KeyView::from(&new), KeyView::from(&old));
                Ok(RotatedKey { key: key.expose().to_owned(), view, old })
            }
        }
    }

    /// Revokes a key, or ends a link; answers whether it was revoked before, which a running gateway does not say.
    pub(super) fn revoke(&self, named: &str) -> Result<(KeyView, Option<bool>), Failure> {
        match self {
            Self::Running(gateway) => gateway.send(Resource::RevokeKey, named, NOTHING).map(|view| (view, None)),
            Self::Stored { target, gateway } => {
                let (digest, mut credential) = named_in(target, gateway, named)?;
                let was_revoked = !credential.withdraw(now());
                if !was_revoked {
                    target.put(&[(keys::credential(gateway, &digest), encode(&credential))])?;
                }
                Ok((KeyView::from(&credential), Some(was_revoked)))
            }
        }
    }
}

/// Every page of a list, one after the other.
fn list_at(gateway: &Gateway<'_>, consumer: Option<&str>) -> Result<Vec<KeyView>, Failure> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let parameters = [("consumer", consumer), ("cursor", cursor.as_deref())];
        let page: KeyList = gateway.ask(Resource::ListKeys, &parameters)?;
        all.extend(page.keys);
        match page.cursor {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            Some(_) | None => return Ok(all),
        }
    }
}

/// The credential that an id or a digest names. The id is the beginning of the digest under which the record is stored.
fn named_in(target: &Target, gateway: &str, named: &str) -> Result<(KeyDigest, Credential), Failure> {
    let digits = match KeyReference::parse(named).map_err(|problem| Failure::usage(problem.into_parts().detail))? {
        KeyReference::Digest(digest) => digest.to_hex(),
        KeyReference::Id(id) => id.split('-').next_back().unwrap_or_default().to_owned(),
    };
    let found = target.keys(&format!("{}{digits}", keys::credentials(gateway)), 2)?;
    let [key] = found.as_slice() else {
        let many = if found.is_empty() { "no key" } else { "more than one key" };
        let place = target.name();
        return Err(Failure::problem(format!("{place} has {many} of gateway {gateway} with this id or digest")));
    };
    let digest = keys::digest_of(key).ok_or_else(|| Failure::problem(format!("{key} is not the record of a key")))?;
    let credential = read(target, gateway, &digest)?;
    credential
        .map(|credential| (digest, credential))
        .ok_or_else(|| Failure::problem(format!("{key} was removed in the meantime")))
}

/// What is known of a key, with its last use.
fn view(target: &Target, gateway: &str, credential: &Credential) -> Result<KeyView, Failure> {
    let used = target.get(&keys::key_use(gateway, &credential.id))?;
    let used = used.and_then(|record| decode::<KeyUse>(&record).ok());
    Ok(KeyView::from(credential).used(used.map(|used| used.last)))
}

/// The credential of a digest.
pub(super) fn read(target: &Target, gateway: &str, digest: &KeyDigest) -> Result<Option<Credential>, Failure> {
    let key = keys::credential(gateway, digest);
    let read = target.get(&key)?.map(|value| decode(&value)).transpose();
    read.map_err(|error| Failure::problem(format!("{key}: {error}")))
}
