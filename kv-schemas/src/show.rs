//! Records as readable JSON, including binary ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::envelope::{self, MANIFEST, PART};
use crate::{Manifest, RecordError, decode_part_unnamed};

/// The content of a record of a bundle, of any kind and name: `{"kind": …, "v": …, "data": …}`.
///
/// A JSON record is shown unchanged, in any version.
///
/// # Errors
/// If it is damaged, of an unknown kind, or of an unknown version.
pub fn readable(record: &[u8]) -> Result<Value, RecordError> {
    if !envelope::is_binary(record) {
        return serde_json::from_slice(record).map_err(|_| RecordError::damaged("stored", "not a record"));
    }
    let (kind, v, data) = if record.get(2) == Some(&MANIFEST.letter) {
        let manifest = Manifest::decode_unnamed(record.to_vec())?;
        let hosts: BTreeMap<_, _> = manifest.parts()?.into_iter().collect();
        (MANIFEST.name, MANIFEST.version, json!({"gateway": manifest.gateway, "hosts": hosts}))
    } else {
        (PART.name, envelope::open(record, &PART)?, json!(decode_part_unnamed(record)?))
    };
    Ok(json!({"kind": kind, "v": v, "data": data}))
}
