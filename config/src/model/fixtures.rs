//! `dev/fixtures.yaml`: consumers and keys for local use.

use tollgate_core::authn::{Credential, KeyDigest};

use super::key_properties::KeyProperties;
use super::project::format_version;
use crate::decode::{self, Fields, parsed};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Node, Value};

/// One consumer as written.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) id: Spanned<String>,
    pub(crate) plan: Option<Spanned<String>>,
    pub(crate) keys: Vec<Key>,
    /// The identities that are linked to it.
    pub(crate) links: Vec<(KeyDigest, Credential)>,
}

/// One key as written.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) key: Spanned<String>,
    pub(crate) properties: KeyProperties,
}

/// Decodes the root of a fixtures file.
pub(crate) fn decode(root: &Node, report: &mut Report) -> Option<Vec<Consumer>> {
    let mut fields = Fields::open(root, &tables::FIXTURES, "the file", root.span, report)?;
    format_version(&mut fields, report);
    let consumers = fields.required("consumers", report, |node, report| decode::list(node, report, Consumer::decode));
    fields.finish(report);
    consumers
}

impl Consumer {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::CONSUMER, "this consumer", node.span, report)?;
        let id = fields.required("id", report, decode::text).filter(|id| decode::check_id(id, report));
        let plan = fields.optional("plan", report, decode::text).filter(|plan| decode::check_id(plan, report));
        let keys =
            fields.optional("keys", report, |node, report| decode::list(node, report, Key::decode)).unwrap_or_default();
        let links = parsed::links(&mut fields, id.as_ref(), plan.as_ref(), report);
        fields.finish(report);
        Some(Self { id: id?, plan, keys, links })
    }
}

impl Key {
    /// Decodes a key as a string, or as a mapping with its properties.
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        if matches!(node.value, Value::Text(_)) {
            let key = decode::text(node, report)?;
            return Some(Self { key, properties: KeyProperties::default() });
        }
        let mut fields = Fields::open(node, &tables::CONSUMER_KEY, "this key", node.span, report)?;
        let key = fields.required("key", report, decode::text);
        let properties = KeyProperties::decode(&mut fields, report);
        fields.finish(report);
        Some(Self { key: key?, properties })
    }
}
