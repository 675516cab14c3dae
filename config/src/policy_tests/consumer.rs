//! The consumers of a test file and their keys, which are generated from the names.

use std::collections::BTreeMap;

use tollgate_core::authn::{ApiKey, Credential, KeyDigest};
use tollgate_core::entitlement::PlanNumbers;
use tollgate_core::time::Timestamp;

use super::file::duplicate;
use crate::decode::{self, Fields, parsed};
use crate::diagnostic::Report;
use crate::model::key_properties::KeyProperties;
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Node, Value};

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// The id.
    pub id: Spanned<String>,
    /// The name of its plan.
    pub plan: Option<Spanned<String>>,
    /// The keys.
    pub keys: Vec<TestKey>,
    /// The links of its identities, with the digests under which they are stored.
    pub links: Vec<(KeyDigest, Credential)>,
}

/// A key. The same names of consumer and key always generate the same key, on every machine.
#[derive(Clone, Debug)]
pub struct TestKey {
    /// The name in steps.
    pub name: Spanned<String>,
    /// The generated key.
    pub key: ApiKey,
    /// The credential record of the key.
    pub credential: Credential,
    /// The numbers that it has for limits, where they are written.
    pub limits: Vec<Spanned<PlanNumbers>>,
}

/// The keys of a file by name; `None` for a key that could not be decoded, which was reported.
pub(super) type Keys = BTreeMap<String, Option<ApiKey>>;

/// Decodes `consumers:`.
pub(super) fn consumers(node: &Node, keys: &mut Keys, report: &mut Report) -> Option<Vec<Consumer>> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    decode::list(node, report, |node, report| {
        let consumer = consumer(node, &mut names, keys, report)?;
        if let Some(first) = seen.insert(consumer.id.value.clone(), consumer.id.span) {
            report.push(duplicate("consumer", &consumer.id, first));
        }
        Some(consumer)
    })
}

fn consumer(node: &Node, names: &mut BTreeMap<String, Span>, keys: &mut Keys, report: &mut Report) -> Option<Consumer> {
    let mut fields = Fields::open(node, &tables::TEST_CONSUMER, "this consumer", node.span, report)?;
    let id = fields.required("id", report, decode::text).filter(|id| decode::check_id(id, report));
    let plan = fields.optional("plan", report, decode::text).filter(|plan| decode::check_id(plan, report));
    let written = fields.optional("keys", report, |node, report| decode::list(node, report, Written::decode));
    let links = parsed::links(&mut fields, id.as_ref(), plan.as_ref(), report);
    fields.finish(report);
    let mut made = Vec::new();
    for written in written.unwrap_or_default() {
        if let Some(first) = names.insert(written.name.value.clone(), written.name.span) {
            report.push(duplicate("key", &written.name, first));
        }
        let key = id.as_ref().and_then(|id| generate(&id.value, &written.name.value));
        keys.insert(written.name.value.clone(), key.clone());
        let (Some(key), Some(id)) = (key, &id) else { continue };
        made.push(written.credential(key, &id.value, plan.as_ref().map(|plan| plan.value.as_str())));
    }
    Some(Consumer { id: id?, plan, keys: made, links })
}

/// A key as written.
struct Written {
    name: Spanned<String>,
    properties: KeyProperties,
}

impl Written {
    /// Decodes a key as a name, or as a mapping with its properties.
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        if matches!(node.value, Value::Text(_)) {
            let name = decode::text(node, report).filter(|name| decode::check_id(name, report))?;
            return Some(Self { name, properties: KeyProperties::default() });
        }
        let mut fields = Fields::open(node, &tables::TEST_KEY, "this key", node.span, report)?;
        let name = fields.required("name", report, decode::text).filter(|name| decode::check_id(name, report));
        let properties = KeyProperties::decode(&mut fields, report);
        fields.finish(report);
        Some(Self { name: name?, properties })
    }

    fn credential(self, key: ApiKey, consumer: &str, plan: Option<&str>) -> TestKey {
        let credential = self.properties.credential(key.public_id(), consumer, plan);
        TestKey { name: self.name, key, credential, limits: self.properties.limits }
    }
}

/// A timestamp in RFC 3339.
pub(super) fn timestamp(node: &Node, report: &mut Report) -> Option<Timestamp> {
    let text = decode::text(node, report)?;
    parsed::timestamp(&text, report)
}

/// Generates the key for a name: pseudo-random, and the same in every run.
fn generate(consumer: &str, name: &str) -> Option<ApiKey> {
    let mut random = [0u8; 32];
    // FNV-1a of the names, expanded by SplitMix64.
    let names = consumer.bytes().chain([0]).chain(name.bytes());
    let mut state =
        names.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    for chunk in random.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    ApiKey::generate("test", &random)
}
