//! The JSON Schemas of the JSON records, for other tools that write them.

/// The schema of a kind of record in a version.
#[derive(Clone, Copy, Debug)]
pub struct RecordSchema {
    /// The kind.
    pub kind: &'static str,
    /// The version.
    pub version: u32,
    /// The schema (JSON Schema 2020-12).
    pub text: &'static str,
}

/// The schemas of the newest versions.
pub const SCHEMAS: &[RecordSchema] = &[
    RecordSchema { kind: "pointer", version: 1, text: include_str!("../schemas/pointer.schema.json") },
    RecordSchema { kind: "credential", version: 2, text: include_str!("../schemas/credential.schema.json") },
    RecordSchema { kind: "key-index", version: 1, text: include_str!("../schemas/key-index.schema.json") },
    RecordSchema { kind: "key-use", version: 1, text: include_str!("../schemas/key-use.schema.json") },
    RecordSchema { kind: "idp-outage", version: 1, text: include_str!("../schemas/idp-outage.schema.json") },
    RecordSchema { kind: "entitlements", version: 1, text: include_str!("../schemas/entitlements.schema.json") },
    RecordSchema { kind: "known-token", version: 1, text: include_str!("../schemas/known-token.schema.json") },
    RecordSchema { kind: "session", version: 1, text: include_str!("../schemas/session.schema.json") },
    RecordSchema { kind: "sessions-end", version: 1, text: include_str!("../schemas/sessions-end.schema.json") },
    RecordSchema { kind: "usage", version: 1, text: include_str!("../schemas/usage.schema.json") },
    RecordSchema { kind: "audit", version: 1, text: include_str!("../schemas/audit.schema.json") },
    RecordSchema { kind: "fetched", version: 1, text: include_str!("../schemas/fetched.schema.json") },
    RecordSchema { kind: "purges", version: 1, text: include_str!("../schemas/purges.schema.json") },
];
