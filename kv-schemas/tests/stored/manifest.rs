use std::collections::BTreeMap;

use tollgate_core::route::HostPattern;
use tollgate_kv_schemas::{Id, Manifest, RecordError};

use crate::sample;

fn parts(count: usize) -> BTreeMap<HostPattern, Id> {
    let host =
        |n: usize| if n.is_multiple_of(10) { format!("*.t{n}.example.com") } else { format!("t{n}.example.com") };
    (0..count).map(|n| (host(n).parse().unwrap(), Id::of(&n.to_le_bytes()))).collect()
}

fn manifest(count: usize) -> (Id, Vec<u8>) {
    Manifest::encode(&sample::gateway(), &parts(count))
}

#[test]
fn every_pattern_is_found_and_no_other() {
    for count in [0, 1, 127, 128, 129, 1_000] {
        let (id, record) = manifest(count);
        let manifest = Manifest::decode(record, &id).unwrap();
        for (pattern, id) in parts(count) {
            assert_eq!(manifest.part(&pattern.to_string()), Ok(Some(id)), "{pattern} of {count}");
        }
        for absent in ["", "*", "a", "t1.example.co", "t1.example.comm", "t10.example.com", "~"] {
            assert_eq!(manifest.part(absent), Ok(None), "{absent} of {count}");
        }
        assert_eq!(manifest.parts().unwrap().len(), count);
    }
}

#[test]
fn a_damaged_page_is_detected_when_it_is_used_and_only_then() {
    let (id, mut record) = manifest(1_000);
    let last = record.len() - 1;
    record[last] ^= 1;
    let manifest = Manifest::decode(record, &id).unwrap();
    assert_eq!(manifest.part("t999.example.com"), Err(RecordError::Digest { kind: "manifest" }));
    assert!(matches!(manifest.part("*.t0.example.com"), Ok(Some(_))));
    assert!(manifest.parts().is_err());
}

#[test]
fn one_byte_more_or_less_is_detected_on_loading() {
    let (id, record) = manifest(1_000);
    for length in [0, 3, 7, 8, 20, 600, record.len() - 1] {
        assert!(Manifest::decode(record[..length].to_vec(), &id).is_err(), "{length}");
    }
    let longer = [&record[..], b"x"].concat();
    assert!(matches!(Manifest::decode(longer, &id), Err(RecordError::Damaged { .. })));
}

/// A forged page may have its patterns in any order; a look-up in it is refused, never wrong.
#[test]
fn patterns_out_of_order_are_refused() {
    let (_, record) = Manifest::encode(&sample::gateway(), &parts(2));
    let swapped = swap(&record, b"*.t0.example.com", b"zz.t0.example.co");
    let manifest = Manifest::decode_unnamed(swapped).unwrap();
    assert!(matches!(manifest.part("t1.example.com"), Err(RecordError::Damaged { .. })));
    assert!(matches!(manifest.parts(), Err(RecordError::Damaged { .. })));
}

/// The record with the last occurrence of a text replaced by another of the same length.
fn swap(record: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = record.windows(from.len()).rposition(|bytes| bytes == from).unwrap();
    [&record[..at], to, &record[at + from.len()..]].concat()
}
