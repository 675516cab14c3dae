//! Publishing a bundle to a store: what it holds first, the pointer once that can be read.

use std::time::Duration;

use tollgate_kv_schemas::{Bundle, Publication, PublishError};

use super::{KeyValue, Target};
use crate::failure::Failure;

/// Publishes a bundle, with other records before it; answers its generation.
///
/// `after` lets the generation be larger than this one, for a store whose pointer was lost or cannot be read.
///
/// # Errors
/// When the store cannot be used, does not give back what was written, or another publication came in between.
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

/// The publication that follows what the store says.
///
/// # Errors
/// When that cannot be read and no number is given to go on from.
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

/// Reads back what was written until all of it is there: an eventually consistent store may take its time.
fn wait_until_readable(target: &Target, content: &[KeyValue]) -> Result<(), Failure> {
    for _ in 0..LOOKS_MAX {
        if target.has(content)? {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    let patience = (BETWEEN_LOOKS * LOOKS_MAX).as_secs();
    Err(Failure::problem(format!(
        "{} does not give back what was written within {patience} s; nothing was switched, publish again",
        target.name()
    )))
}

/// Workers KV takes up to a minute to show a write everywhere.
const LOOKS_MAX: u32 = 30;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

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
    fn generations_grow_and_name_the_one_before() {
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
    fn a_damaged_pointer_is_replaced_only_where_its_generation_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let (target, _) = store(&folder);
        let bundle = Project::built_in().compile().unwrap().bundle().clone();
        target.put(&[(bundle.pointer_key(), b"{\"kind\":".to_vec())]).unwrap();
        let refused = publish(&target, &bundle, &[], None).unwrap_err().to_string();
        assert!(refused.contains("cannot be read") && refused.contains("--after"), "{refused}");
        assert_eq!(publish(&target, &bundle, &[], Some(6)).unwrap(), 7);
    }
}
