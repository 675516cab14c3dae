//! Records as JSON to read: what a store holds in binary, too.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::envelope::{self, MANIFEST, PART, VERSION};
use crate::{Manifest, RecordError, decode_part_unnamed};

/// What a record of a bundle says, whatever its kind and name: `{"kind": …, "v": …, "data": …}`.
///
/// A record in JSON is shown as it stands, whatever its version.
///
/// # Errors
/// When it is damaged, of an unknown kind, or of a version not known here.
pub fn readable(record: &[u8]) -> Result<Value, RecordError> {
    if !envelope::is_binary(record) {
        return serde_json::from_slice(record).map_err(|_| RecordError::damaged("stored", "not a record"));
    }
    let (kind, data) = if record.get(2) == Some(&MANIFEST.letter) {
        let manifest = Manifest::decode_unnamed(record.to_vec())?;
        let hosts: BTreeMap<_, _> = manifest.parts()?.into_iter().collect();
        (MANIFEST.name, json!({"gateway": manifest.gateway, "hosts": hosts}))
    } else {
        (PART.name, json!(decode_part_unnamed(record)?))
    };
    Ok(json!({"kind": kind, "v": VERSION, "data": data}))
}
