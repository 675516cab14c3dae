//! Invalid bytes: refused within bounds.

use proptest::prelude::*;
use tollgate_core::bounds::{PART_BYTES_MAX, PART_DECODED_BYTES_MAX, PATH_SEGMENTS_MAX};
use tollgate_core::kinds::Place;
use tollgate_kv_schemas::{
    Credential, Manifest, Part, Pointer, RecordError, SiteSettings, decode, decode_part_unnamed, encode_part,
};

use crate::sample;

#[track_caller]
fn check_part(record: &[u8], reason: &str) {
    let Err(RecordError::Damaged { reason: found, .. }) = decode_part_unnamed(record) else {
        panic!("it is taken");
    };
    assert!(found.contains(reason), "{found}");
}

#[test]
fn a_part_has_bounds() {
    check_part(&[b"TGp\x01".to_vec(), vec![0; PART_BYTES_MAX]].concat(), "longer than");
    check_part(b"TGp\x01\x80\x00", "extra bytes after its sections");
    check_part(b"TGp\x01\x9a\xff\xff\xff\xff", "truncated");
    check_part(b"TGp\x01\x81\x83\x66routes\x01\x1a\xff\xff\xff\xff", "truncated");
    check_part(b"TGp\x01\x81\x83\x66routes\x01\x02\x80\x80", "extra bytes after it");
    check_part(b"TGp\x01\x81\x83\x66routes\x01\x00", "truncated");
    check_part(b"TGp\x01\x81\x83\x66routes\x01\x02\x9f\xff", "not of the expected form");
    let mut scopes = sample::site();
    scopes.routes[0].scopes = vec![String::new(); 3_000_000];
    check_part(&encode_part(&scopes), "too much memory");
}

#[test]
fn templates_are_charged_for_their_segments() {
    let mut site = sample::small_site("/a");
    let route = |n: usize| sample::route("r", &format!("/{n}{}", "/a".repeat(PATH_SEGMENTS_MAX - 1)));
    site.routes = (0..5_000).map(route).collect();
    let record = encode_part(&site);
    assert!(record.len() < PART_BYTES_MAX / 8);
    let part = Part::decode_unnamed(record).unwrap();
    let costs: Vec<usize> = (0..part.page_count()).map(|page| part.routes(page).unwrap().cost).collect();
    assert!(costs.iter().sum::<usize>() > PART_DECODED_BYTES_MAX, "{costs:?}");
    assert!(costs.iter().all(|cost| *cost < PART_DECODED_BYTES_MAX / 16), "{costs:?}");
}

#[test]
fn sections_have_to_fit_the_version() {
    let with = |from: &[u8], version: u8| [b"TGp", &[version][..], &from[4..]].concat();
    let (paged, whole) = (encode_part(&sample::paged_site()), encode_part(&sample::site()));
    assert_eq!((paged[3], whole[3]), (2, 1));
    check_part(&with(&whole, 2), "truncated");
    check_part(&[b"TGp\x02", &(whole.len() as u32 - 4).to_le_bytes()[..], &whole[4..]].concat(), "does not fit");
    check_part(&with(&paged[4..], 1), "extra bytes");
    check_part(b"TGp\x01\x80", "no routes");
}

#[test]
fn incoherent_settings_are_refused() {
    let spoil: [fn(&mut SiteSettings); 16] = [
        |site| site.routes[0].upstream = 2,
        |site| site.routes[0].authn = vec![vec![Place::new(9)]],
        |site| site.routes[0].authn = vec![vec![]],
        |site| site.routes[0].authn = vec![],
        |site| site.routes[0].guard = vec![Place::new(9)],
        |site| site.routes[0].guard_limit = vec![Place::new(0)],
        |site| site.routes[0].scope_sets = vec![vec![]],
        |site| site.routes[0].scope_sets = vec![vec!["a".into(); 200], vec!["b".into(); 200]],
        |site| site.routes[0].authz = vec![Place::new(9)],
        |site| site.routes[0].limit = vec![Place::new(9)],
        |site| site.routes[0].limit = site.routes[0].guard_limit.clone(),
        |site| site.routes[0].limit = vec![Place::new(1); 300],
        |site| site.routes[0].strip_segments = usize::MAX,
        |site| site.upstreams[0].fields[0].0 = "X-Token".into(),
        |site| site.upstreams[0].fields[0].0 = "x\ntoken".into(),
        |site| site.routes[0].cache.as_mut().unwrap().vary = vec!["a b".into()],
    ];
    for (place, spoil) in spoil.iter().enumerate() {
        let mut site = sample::site();
        spoil(&mut site);
        let found = decode_part_unnamed(&encode_part(&site));
        assert!(matches!(found, Err(RecordError::Damaged { .. })), "{place}: {found:?}");
    }
}

/// Decodes the record as every kind.
fn read_all(record: &[u8]) {
    let _ = decode::<Pointer>(record);
    let _ = decode::<Credential>(record);
    if let Ok(part) = decode_part_unnamed(record) {
        assert!(part.is_coherent());
    }
    if let Ok(manifest) = Manifest::decode_unnamed(record.to_vec()) {
        let _ = manifest.part("api.example.com");
        if let Ok(parts) = manifest.parts() {
            assert!(parts.is_sorted_by(|a, b| a.0 < b.0));
            for (pattern, id) in parts {
                assert_eq!(manifest.part(pattern), Ok(Some(id)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_to_a_record_makes_reading_it_panic(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut records = sample::bundle().records;
        records.push((String::new(), encode_part(&sample::paged_site())));
        let mut record = which.get(&records).1.clone();
        for (place, byte) in flips {
            let place = place.index(record.len());
            record[place] = byte;
        }
        if let Some(cut) = cut {
            record.truncate(cut.index(record.len()));
        }
        read_all(&record);
    }

    #[test]
    fn no_bytes_make_reading_them_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), letter in "[mp]") {
        read_all(&bytes);
        bytes.splice(0..0, [b'T', b'G', letter.as_bytes()[0], 1]);
        read_all(&bytes);
    }
}
