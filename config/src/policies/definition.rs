//! The definition of a policy: its kind, and the values of the keys of this kind.

use super::{KIND, KINDS, KindEntry, TABLES, WORDS, Written};
use crate::decode::{self, Fields};
use crate::diagnostic::Report;
use crate::place::Spanned;
use crate::schema::{Key, Object, Shape, Tagged};
use crate::source::Node;

/// One policy as written.
#[derive(Clone, Debug)]
pub(crate) struct WrittenPolicy {
    pub(crate) kind: &'static KindEntry,
    pub(crate) written: Written,
}

impl WrittenPolicy {
    /// Decodes one definition; `kind` decides which other keys exist.
    pub(crate) fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &HEAD, format!("policy `{}`", name.value), name.span, report)?;
        let words: Vec<_> = KINDS.iter().map(|kind| (kind.word, kind)).collect();
        let Some(kind) = fields.required(KIND, report, |node, report| decode::word(node, &words, report)) else {
            // Without a kind, it is not known which other keys exist.
            fields.report_habits(report);
            return None;
        };
        fields.use_variant(kind.table);
        let written = Written::decode(kind.table, name.span, &mut fields, report);
        fields.finish(report);
        Some(Self { kind, written: written? })
    }
}

/// A policy; its `kind` decides which other keys exist.
pub(crate) static POLICY: Tagged = Tagged { head: &HEAD, tag: KIND, variants: TABLES };

/// A policy before its kind is known.
static HEAD: Object = Object {
    name: "policy",
    doc: "A policy. Gateway, APIs and routes name it in the list of its slot. `kind` decides which other keys exist.",
    keys: &[Key::required(KIND, "The kind of the policy.", Shape::Word(WORDS))],
    ..Object::PLAIN
};
