//! The rule of versions, tested with invented sections, members, records and grammars: optional ones are skipped,
//! required ones are refused by name, and the previous version is read.

use minicbor::{Decoder, Encode, Encoder};
use serde::Serialize;
use tollgate_core::codec::{Decode, Failed, Reader, Section};
use tollgate_core::json::{FromJson, Unfit, Value};
use tollgate_kv_schemas::{
    Credential, Manifest, Pointer, Record, RecordError, decode, decode_part_unnamed, encode, encode_part,
};

use crate::sample;

const CREDENTIAL: &str = include_str!("../golden/credential.v1.json");
const POINTER: &str = include_str!("../golden/pointer.v1.json");

/// The sections of a part: kind, version, body.
type Sections = Vec<(String, u16, Vec<u8>)>;

fn sections(part: &[u8]) -> Sections {
    let data = &part[4..];
    let mut decoder = Decoder::new(data);
    let table: Vec<(String, u16, usize)> = decoder.decode().unwrap();
    let mut at = decoder.position();
    let mut cut = |(kind, version, length): (String, u16, usize)| {
        at += length;
        (kind, version, data[at - length..at].to_vec())
    };
    table.into_iter().map(&mut cut).collect()
}

fn part(sections: &Sections) -> Vec<u8> {
    let table: Vec<(&str, u16, usize)> =
        sections.iter().map(|(kind, version, body)| (kind.as_str(), *version, body.len())).collect();
    let bodies = sections.iter().flat_map(|(_, _, body)| body.clone());
    b"TGp\x01".iter().copied().chain(minicbor::to_vec(table).unwrap()).chain(bodies).collect()
}

/// The sample's part with changed sections.
fn changed(change: impl FnOnce(&mut Sections)) -> Vec<u8> {
    let mut all = sections(&encode_part(&sample::site()));
    change(&mut all);
    part(&all)
}

#[track_caller]
fn refused(record: &[u8], want: &str) {
    let error = decode_part_unnamed(record).unwrap_err();
    assert!(error.to_string().contains(want), "{error}");
}

#[test]
fn a_part_is_the_table_that_is_documented() {
    assert!(changed(|_| {}) == encode_part(&sample::site()));
}

#[test]
fn an_unknown_kind_of_section_is_refused_by_name() {
    let record = changed(|all| all.insert(1, ("jwt".into(), 900, vec![0xa0])));
    refused(&record, "this program does not know jwt@900");
}

#[test]
fn a_newer_version_of_a_known_kind_is_refused_by_name_before_its_body_is_read() {
    for kind in ["upstreams", "api-key", "rate-limit", "routes"] {
        let record = changed(|all| {
            let section = all.iter_mut().find(|(found, ..)| found == kind).unwrap();
            (section.1, section.2) = (7, vec![0xff]);
        });
        refused(&record, &format!("this program does not know {kind}@7"));
    }
}

#[test]
fn a_version_from_before_the_oldest_is_refused_by_name() {
    refused(&changed(|all| all[0].1 = 0), "this program does not read upstreams@0 any more");
}

#[test]
fn an_unknown_grammar_is_refused_by_name() {
    refused(
        &changed(|all| all.push(("path-template".into(), 2, vec![]))),
        "this program does not know path-template@2",
    );
    let known = changed(|all| all.push(("path-template".into(), 1, vec![])));
    assert_eq!(decode_part_unnamed(&known), Ok(sample::site()));
}

/// A list of entries in maps, each with another member before its own and one after.
fn with_unknown_members(body: &[u8]) -> Vec<u8> {
    let mut from = Decoder::new(body);
    let mut to = Encoder::new(Vec::new());
    let count = from.array().unwrap().unwrap();
    to.array(count).unwrap();
    for _ in 0..count {
        let members = from.map().unwrap().unwrap();
        to.map(members + 2).unwrap().u32(900).unwrap().encode(("a", [1, 2], Some("b"))).unwrap();
        let start = from.position();
        (0..members * 2).for_each(|_| from.skip().unwrap());
        to.writer_mut().extend(&body[start..from.position()]);
        to.u32(901).unwrap().map(1).unwrap().str("c").unwrap().null().unwrap();
    }
    to.into_writer()
}

#[test]
fn unknown_members_are_skipped_in_a_known_version() {
    for kind in ["upstreams", "routes"] {
        let record = changed(|all| {
            let section = all.iter_mut().find(|(found, ..)| found == kind).unwrap();
            section.2 = with_unknown_members(&section.2);
        });
        assert!(record != encode_part(&sample::site()));
        assert_eq!(decode_part_unnamed(&record), Ok(sample::site()), "{kind}");
    }
}

#[test]
fn an_unknown_variant_is_never_skipped() {
    let record = changed(|all| {
        let limit = all.iter_mut().find(|(kind, ..)| kind == "rate-limit").unwrap();
        // The name, then a map: 0 rate, 1 period, 2 burst, 3 by.
        let by = limit.2.windows(2).rposition(|bytes| bytes == [3, 0]).unwrap();
        limit.2[by + 1] = 9;
    });
    refused(&record, "section rate-limit: not of the expected form");
}

#[test]
fn a_newer_form_of_a_record_is_refused_by_number_before_its_data_is_read() {
    let newer = POINTER.replace("\"v\":1", "\"v\":2").replace("bundle", "something_new");
    let version = |kind, found, known| RecordError::Version { kind, found, known };
    assert_eq!(decode::<Pointer>(newer.as_bytes()), Err(version("pointer", 2, 1)));
    assert_eq!(decode_part_unnamed(b"TGp\x03anything"), Err(version("part", 3, 2)));
    assert_eq!(Manifest::decode_unnamed(b"TGm\xff".to_vec()).unwrap_err(), version("manifest", 255, 1));
}

#[test]
fn unknown_members_of_json_records_are_skipped() {
    let more = CREDENTIAL.replace("\"id\"", "\"surprise\":[1,{}],\"id\"");
    assert_eq!(decode::<Credential>(more.as_bytes()), decode(CREDENTIAL.as_bytes()));
    let more = POINTER.replace("\"bundle\"", "\"surprise\":[1,{}],\"bundle\"");
    assert_eq!(decode::<Pointer>(more.as_bytes()), decode(POINTER.as_bytes()));
}

#[test]
fn unknown_needs_of_a_pointer_are_refused_by_name() {
    let newer = POINTER.replace("\"api-key@1\"", "\"api-key@1\",\"jwt@900\"");
    let pointer: Pointer = decode(newer.as_bytes()).unwrap();
    let refused = pointer.newest.is_known().unwrap_err().to_string();
    assert!(refused.starts_with("this program does not know jwt@900:"), "{refused}");
    assert_eq!(pointer.previous.unwrap().is_known(), Ok(()));
}

/// Settings whose version 1 had seconds and that have milliseconds today; with a member that readers may skip, and one
/// that they may not.
#[derive(Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct MadeUp {
    #[n(1)]
    wait_ms: u64,
    #[n(2)]
    note: Option<String>,
    #[n(3)]
    only_from: Option<String>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct MadeUpV1 {
    #[n(0)]
    wait_s: u64,
}

impl Section for MadeUp {
    const VERSION: u16 = 3;

    fn least_version(&self) -> u16 {
        if self.only_from.is_some() { 3 } else { 2 }
    }

    fn read(version: u16, members: &mut Reader<'_>) -> Result<Self, Failed> {
        if version > 1 {
            return Self::read_from(members);
        }
        let MadeUpV1 { wait_s } = MadeUpV1::read_from(members)?;
        Ok(Self { wait_ms: wait_s * 1000, note: None, only_from: None })
    }
}

#[test]
fn an_older_version_of_a_section_is_converted() {
    let old = minicbor::to_vec(MadeUpV1 { wait_s: 2 }).unwrap();
    let read = MadeUp::read(1, &mut Reader::new(&old)).unwrap();
    assert_eq!(read, MadeUp { wait_ms: 2000, note: None, only_from: None });
}

#[test]
fn the_version_increases_only_if_a_required_member_is_used() {
    let mut settings = MadeUp { wait_ms: 5, note: Some("for people".into()), only_from: None };
    assert_eq!(settings.least_version(), 2, "what may be skipped needs no newer reader");
    settings.only_from = Some("10.0.0.0/8".into());
    assert_eq!(settings.least_version(), 3);
}

/// A record whose version 1 had one name and that has a list today.
#[derive(Debug, PartialEq, Eq, Serialize, FromJson)]
struct Names {
    names: Vec<String>,
}

#[derive(FromJson)]
struct NamesV1 {
    name: String,
}

impl Record for Names {
    const KIND: &'static str = "names";
    const VERSION: u32 = 2;
    const BYTES_MAX: usize = 1000;

    fn least_version(&self) -> u32 {
        2
    }

    fn read(version: u32, data: Value) -> Result<Self, Unfit> {
        if version > 1 {
            return Self::from_json(data);
        }
        NamesV1::from_json(data).map(|NamesV1 { name }| Self { names: vec![name] })
    }
}

#[test]
fn an_older_version_of_a_record_is_converted() {
    let old = br#"{"kind":"names","v":1,"data":{"name":"a"}}"#;
    let today = Names { names: vec!["a".into()] };
    assert_eq!(decode::<Names>(old).as_ref(), Ok(&today));
    assert_eq!(decode::<Names>(&encode(&today)), Ok(today));
}
