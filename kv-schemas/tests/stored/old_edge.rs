//! What an edge that knows only version 1 makes of a bundle of today: nothing, by its number.
//!
//! The reader below is the one that such an edge has, as it was.

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_kv_schemas::keys;

use crate::sample;

#[derive(Deserialize)]
struct Read<'a> {
    kind: String,
    v: u32,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer {
    #[expect(dead_code, reason = "it was read")]
    bundle: String,
}

fn decode_pointer(bytes: &[u8]) -> Result<Pointer, String> {
    let read: Read<'_> = serde_json::from_slice(bytes).map_err(|_| "damaged".to_owned())?;
    if read.kind != "pointer" {
        return Err(format!("a pointer was expected, this is a {}", read.kind));
    }
    if read.v != 1 {
        return Err(format!("version {}, this program knows versions up to 1", read.v));
    }
    serde_json::from_str(read.data.get()).map_err(|_| "damaged".to_owned())
}

#[test]
fn an_edge_of_version_1_refuses_a_bundle_of_today_by_the_number_of_its_pointer() {
    let bundle = sample::bundle();
    let (_, pointer) = bundle.records.iter().find(|(key, _)| *key == keys::active("acme")).unwrap();
    assert_eq!(decode_pointer(pointer).unwrap_err(), "version 2, this program knows versions up to 1");
    assert!(decode_pointer(include_bytes!("../golden/pointer.v1.json")).is_ok());
}
