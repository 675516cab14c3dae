//! Publishing a bundle to a store: its content first, the pointer when the content can be read.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate_kv_schemas::{Bundle, Id, Manifest, Publication, PublishError, keys};

use super::{KeyValue, Target};
use crate::failure::Failure;

/// Publishes a bundle, with other records before it; returns its generation.
///
/// With `after`, the generation is larger than this one, for a store whose pointer was lost or cannot be read.
///
/// # Errors
/// If the store cannot be used, does not return the written records, or there was a concurrent publication.
pub(crate) fn publish(target: &Target, bundle: &Bundle, with: &[KeyValue], after: Option<u64>) -> Result<u64, Failure> {
    let key = bundle.pointer_key();
    let publication = begin(bundle, target.get(&key)?.as_deref(), after)?;
    target.put(with)?;
    target.put(publication.content())?;
    wait_until_readable(target, publication.content())?;
    switch(target, &key, &publication)?;
    Ok(publication.generation())
}

/// Publishes the bundle of the previous generation again; returns the new generation and the bundle.
///
/// # Errors
/// If there is none, or its records are no longer in the store; and as [`publish`].
pub(crate) fn rollback(target: &Target, gateway: &str, after: Option<u64>) -> Result<(u64, Id), Failure> {
    let key = keys::active(gateway);
    let stored = target.pointer(gateway)?;
    let mut publication = Publication::rollback(Some(&stored)).map_err(Failure::problem)?;
    if let Some(generation) = after {
        publication = publication.after(generation).map_err(Failure::problem)?;
    }
    let bundle = publication.bundle();
    check_records(target, gateway, &bundle)?;
    switch(target, &key, &publication)?;
    Ok((publication.generation(), bundle))
}

/// Checks that the store has the manifest and the parts of a bundle.
fn check_records(target: &Target, gateway: &str, bundle: &Id) -> Result<(), Failure> {
    let failed =
        |key: &str, why: &dyn std::fmt::Display| Failure::problem(format!("{key}: {why}; the pointer was not changed"));
    let key = keys::manifest(gateway, bundle);
    let record = target.get(&key)?.ok_or_else(|| failed(&key, &"the store has no such record"))?;
    let parts = Manifest::decode(record, bundle).and_then(|manifest| {
        Ok(manifest.parts()?.into_iter().map(|(_, id)| keys::part(gateway, &id)).collect::<BTreeSet<_>>())
    });
    let parts = parts.map_err(|error| failed(&key, &error))?;
    match target.missing(gateway, &parts)? {
        Some(part) => Err(failed(&part, &"the store has no such record")),
        None => Ok(()),
    }
}

/// Changes the pointer, unless another publication has changed it.
fn switch(target: &Target, key: &str, publication: &Publication<'_>) -> Result<(), Failure> {
    let stored = target.get(key)?;
    let pointer = publication.pointer(stored.as_deref()).map_err(Failure::problem)?;
    match target.swap(key, stored.as_deref(), &pointer)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::problem(publication.moved(target.get(key)?.as_deref()))),
        None => {
            target.put(&[(key.to_owned(), pointer)])?;
            publication.finish(target.get(key)?.as_deref()).map_err(Failure::problem)
        }
    }
}

/// The publication that follows the generation in the store.
///
/// # Errors
/// If that cannot be read and no number is given to continue from.
pub(crate) fn begin<'b>(
    bundle: &'b Bundle,
    stored: Option<&[u8]>,
    after: Option<u64>,
) -> Result<Publication<'b>, Failure> {
    let begun = match (Publication::begin(bundle, stored), after) {
        (Ok(publication), Some(generation)) => publication.after(generation),
        (Err(PublishError::Unreadable(_)), Some(generation)) => Publication::replacing(bundle, generation),
        (begun, _) => begun,
    };
    begun.map_err(|error| {
        let hint = if matches!(error, PublishError::Unreadable(_)) { TO_REPLACE } else { "" };
        Failure::problem(format!("{error}{hint}"))
    })
}

const TO_REPLACE: &str =
    "; to replace it, give --after the last generation that was published (gateways log it as serving_generation)";

/// Reads the written records back until all of them are visible: an eventually consistent store may need some time.
fn wait_until_readable(target: &Target, content: &[KeyValue]) -> Result<(), Failure> {
    for _ in 0..POLLS_MAX {
        if target.has(content)? {
            return Ok(());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    let seconds = (POLL_INTERVAL * POLLS_MAX).as_secs();
    Err(Failure::problem(format!(
        "{} does not return the written records within {seconds} s; the pointer was not changed, publish again",
        target.name()
    )))
}

/// With Workers KV it takes up to a minute until a write is visible everywhere.
const POLLS_MAX: u32 = 30;
const POLL_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use tollgate_kv_schemas::{Pointer, decode};

    use super::*;
    use crate::project::Project;

    fn store(folder: &tempfile::TempDir) -> (Target, PathBuf) {
        let path = folder.path().join("store.db");
        (super::super::native::open(&path).unwrap(), path)
    }

    fn pointer(target: &Target, bundle: &Bundle) -> Pointer {
        decode(&target.get(&bundle.pointer_key()).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn generations_increase_and_name_the_previous_one() {
        let folder = tempfile::tempdir().unwrap();
        let (target, _) = store(&folder);
        let one = Project::built_in().compile().unwrap().bundle().clone();
        let mut two = one.clone();
        two.id = tollgate_kv_schemas::Id::of(b"two");
        assert_eq!(publish(&target, &one, &[], None).unwrap(), 1);
        assert_eq!(pointer(&target, &one).previous, None);
        assert_eq!(publish(&target, &two, &[], None).unwrap(), 2);
        assert_eq!(pointer(&target, &one).previous.map(|previous| previous.bundle), Some(one.id));
        assert_eq!(publish(&target, &two, &[], None).unwrap(), 3, "the same again");
        assert_eq!(pointer(&target, &one).previous.map(|previous| previous.bundle), Some(one.id), "not itself");
        assert_eq!(publish(&target, &one, &[], Some(40)).unwrap(), 41);
        let read: BTreeMap<_, _> = one.content().iter().cloned().collect();
        assert!(read.iter().all(|(key, value)| target.get(key).unwrap().as_ref() == Some(value)));
    }

    #[test]
    fn concurrent_publications_have_different_generations() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = Project::built_in().compile().unwrap().bundle().clone();
        for spin in [false, true] {
            let path = folder.path().join(format!("{spin}.db"));
            let open = |path: &PathBuf| {
                let spin = || super::super::SpinStore::open(path.clone()).map(Target::Spin);
                if path.ends_with("true.db") { spin() } else { super::super::native::open(path) }.unwrap()
            };
            drop(open(&path));
            let publishers = (0..4).map(|number: u8| {
                let (path, mut bundle) = (path.clone(), bundle.clone());
                bundle.id = Id::of(&[number]);
                std::thread::spawn(move || {
                    let target = open(&path);
                    (0..10).filter_map(|_| publish(&target, &bundle, &[], None).ok()).collect::<Vec<_>>()
                })
            });
            let publishers: Vec<_> = publishers.collect();
            let generations: Vec<u64> = publishers.into_iter().flat_map(|each| each.join().unwrap()).collect();
            let distinct: BTreeSet<u64> = generations.iter().copied().collect();
            assert_eq!(distinct.len(), generations.len(), "one generation was published twice");
            assert_eq!(pointer(&open(&path), &bundle).newest.generation, *distinct.last().unwrap());
        }
    }

    #[test]
    fn a_rollback_publishes_the_previous_bundle_if_the_store_still_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (target, _) = store(&folder);
        let one = Project::built_in().compile().unwrap().bundle().clone();
        let mut two = one.clone();
        two.id = Id::of(b"two");
        let refused = || rollback(&target, "quickstart", None).unwrap_err().to_string();
        assert!(refused().contains("has no configuration for gateway quickstart"), "{}", refused());
        publish(&target, &one, &[], None).unwrap();
        assert!(refused().contains("no earlier generation"), "{}", refused());
        publish(&target, &two, &[], None).unwrap();
        assert_eq!(rollback(&target, "quickstart", None).unwrap(), (3, one.id));
        assert_eq!(pointer(&target, &one).previous.map(|previous| previous.bundle), Some(two.id));
        assert!(refused().contains("the store has no such record"), "{}: two was never there", refused());
        assert_eq!(pointer(&target, &one).newest.generation, 3, "the pointer was not changed");
    }

    #[test]
    fn a_damaged_pointer_is_replaced_only_if_its_generation_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let (target, _) = store(&folder);
        let bundle = Project::built_in().compile().unwrap().bundle().clone();
        target.put(&[(bundle.pointer_key(), b"{\"kind\":".to_vec())]).unwrap();
        let refused = publish(&target, &bundle, &[], None).unwrap_err().to_string();
        assert!(refused.contains("cannot be read") && refused.contains("--after"), "{refused}");
        assert_eq!(publish(&target, &bundle, &[], Some(6)).unwrap(), 7);
    }
}
