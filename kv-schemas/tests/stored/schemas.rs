//! The JSON Schemas of the JSON records: written records are valid, and invalid ones are not read.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_kv_schemas::{SCHEMAS, encode};

use crate::sample;

fn golden(kind: &str) -> Value {
    // Of a fetched answer, the first line is JSON.
    let version = SCHEMAS.iter().find(|schema| schema.kind == kind).unwrap().version;
    let file = if kind == "fetched" { "fetched.v1.txt".into() } else { format!("{kind}.v{version}.json") };
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

fn validator(kind: &str) -> jsonschema::Validator {
    let schema = SCHEMAS.iter().find(|schema| schema.kind == kind).unwrap();
    jsonschema::validator_for(&serde_json::from_str(schema.text).unwrap()).unwrap()
}

#[test]
fn the_golden_records_fit_their_schemas() {
    for schema in SCHEMAS {
        let record = golden(schema.kind);
        let errors: Vec<String> = validator(schema.kind).iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", schema.kind);
        assert_eq!(record["v"], schema.version);
    }
}

#[test]
fn a_pointer_as_it_is_published_fits_its_schema() {
    let (_, pointer) = sample::bundle().records.pop().unwrap();
    assert!(validator("pointer").is_valid(&serde_json::from_slice(&pointer).unwrap()));
    let purges: Value = serde_json::from_slice(&encode(&tollgate_kv_schemas::Purges::default())).unwrap();
    assert!(validator("purges").is_valid(&purges));
}

#[test]
fn schema_violations_are_found() {
    let wrong: [(&str, &str, Value); 27] = [
        ("pointer", "/kind", json!("manifest")),
        ("pointer", "/v", json!(2)),
        ("pointer", "/data/generation", json!(-1)),
        ("pointer", "/data/generation", json!(1_u64 << 53)),
        ("pointer", "/data/bundle", json!("ABC")),
        ("pointer", "/data/needs/0", json!("jwt")),
        ("credential", "/data/id", json!(7)),
        ("credential", "/data/scopes", json!("pets.read")),
        ("credential", "/v", json!(1)),
        ("credential", "/v", json!(3)),
        ("credential", "/data/restrictions/referrers/0", json!("app.example.com")),
        ("purges", "/data/0/resource", json!("ab")),
        ("key-use", "/data/last", json!(7)),
        ("key-index", "/data/digest", json!("AB")),
        ("idp-outage", "/data/allowed/until", json!("soon")),
        ("entitlements", "/data/plans/0/limits/0/count", json!(0)),
        ("entitlements", "/data/subscriptions/0/plan", json!(7)),
        ("entitlements", "/data/grants/0/until", json!("soon")),
        ("known-token", "/data/ends", json!(7)),
        ("session", "/data/sealed", json!("not base64url!")),
        ("sessions-end", "/data/issued_until", json!(1_800_000_000)),
        ("usage", "/data/hour", json!("2026-11-28")),
        ("usage", "/data/rows/0/cost", json!(-1)),
        ("usage", "/data/rows/1/consumer", json!(7)),
        ("audit", "/data/outcome", json!("open")),
        ("audit", "/data/caller/role", json!("root")),
        ("fetched", "/data/fields/0", json!(["etag"])),
    ];
    for (kind, place, value) in wrong {
        let mut record = golden(kind);
        *record.pointer_mut(place).unwrap() = value;
        assert!(!validator(kind).is_valid(&record), "{kind}{place}");
    }
}
