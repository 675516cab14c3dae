//! Publishing a bundle to a store: its content first, the pointer when the content can be read.

use std::time::Duration;

use tollgate_kv_schemas::{Bundle, Publication, PublishError};

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
    let stored = target.get(&key)?;
    let pointer = publication.pointer(stored.as_deref()).map_err(Failure::problem)?;
    target.put(&[(key.clone(), pointer)])?;
    publication.finish(target.get(&key)?.as_deref()).map_err(Failure::problem)?;
    Ok(publication.generation())
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
    match (Publication::begin(bundle, stored), after) {
        (Ok(publication), Some(generation)) => Ok(publication.after(generation)),
        (Ok(publication), None) => Ok(publication),
        (Err(PublishError::Unreadable(_)), Some(generation)) => Ok(Publication::replacing(bundle, generation)),
        (Err(error), _) => Err(Failure::problem(format!(
            "{error}; to replace it, give --after the last generation that was published (gateways log it as \
             serving_generation)"
        ))),
    }
}

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
