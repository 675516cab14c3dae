//! `operations:`, the settings of a project for operations of a specification.

use super::api::{COST_MAX, METHODS_MAX};
use super::level::Level;
use super::scopes::Scopes;
use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// An entry of `operations:` as written.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) select: Select,
    pub(crate) settings: Settings,
    /// The entry by key, to be compared with other entries.
    pub(crate) written: Vec<Entry>,
}

/// The operations that an entry selects.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    pub(crate) by: By,
    /// Only operations with one of these methods.
    pub(crate) methods: Option<Vec<Spanned<String>>>,
}

/// The property by which operations are selected.
#[derive(Clone, Debug)]
pub(crate) enum By {
    Tag(Spanned<String>),
    Path(Spanned<String>),
    Operation(Spanned<String>),
}

/// The settings for operations, in the project or as `x-tollgate` in the specification.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) scopes: Option<Scopes>,
    pub(crate) cost: Option<Spanned<u32>>,
    pub(crate) internal: Option<Spanned<bool>>,
    pub(crate) matrix_parameters: Option<Spanned<bool>>,
    /// Whether the operation is not routed.
    pub(crate) hidden: Option<bool>,
    pub(crate) level: Level,
}

impl Override {
    pub(crate) fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::OPERATION, "this entry", node.span, report)?;
        let select = fields.required("select", report, Select::decode);
        let settings = Settings::members(&mut fields, report);
        fields.finish(report);
        let written = match &node.value {
            Value::Map(entries) => entries.iter().filter(|entry| entry.key.value != "select").cloned().collect(),
            _ => Vec::new(),
        };
        Some(Self { select: select?, settings, written })
    }
}

impl Settings {
    /// Decodes an `x-tollgate` of a specification.
    pub(crate) fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::EXTENSION, "`x-tollgate`", node.span, report)?;
        let settings = Self::members(&mut fields, report);
        fields.finish(report);
        Some(settings)
    }

    fn members(fields: &mut Fields<'_>, report: &mut Report) -> Self {
        Self {
            scopes: fields.optional("scopes", report, Scopes::decode),
            cost: fields.optional("cost", report, |node, report| {
                decode::integer(node, 1, COST_MAX, report).map(|cost| Spanned::new(cost, node.span))
            }),
            internal: fields.optional("internal", report, decode::placed_boolean),
            matrix_parameters: fields.optional("matrix-parameters", report, decode::placed_boolean),
            hidden: fields.optional("hidden", report, decode::boolean),
            level: Level::decode(fields, report),
        }
    }
}

impl Select {
    fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::SELECT, "`select`", node.span, report)?;
        let operation = fields.optional("operation", report, decode::text);
        let tag = fields.optional("tag", report, decode::text);
        let path = fields.optional("path", report, decode::text);
        let methods = fields.optional("method", report, |node, report| decode::some_texts(node, METHODS_MAX, report));
        let has_method = fields.key_span("method").is_some();
        let named = ["operation", "tag", "path"].iter().filter(|key| fields.key_span(key).is_some()).count();
        let by_operation = fields.key_span("operation").is_some();
        fields.finish(report);
        if named != 1 || (has_method && by_operation) {
            report_ambiguous(node.span, report);
            return None;
        }
        let by = match (operation, tag, path) {
            (Some(operation), _, _) => By::Operation(operation),
            (None, Some(tag), _) => By::Tag(tag),
            (None, None, Some(path)) => By::Path(path),
            (None, None, None) => return None,
        };
        (methods.is_some() == has_method).then_some(Self { by, methods })
    }

    /// How specific the selection is: settings of the entry with the higher rank have precedence.
    pub(crate) fn rank(&self) -> u8 {
        let by = match self.by {
            By::Tag(_) => 0,
            By::Path(_) => 2,
            By::Operation(_) => 4,
        };
        by + u8::from(self.methods.is_some())
    }

    /// Describes the selection for messages.
    pub(crate) fn describe(&self) -> String {
        let by = match &self.by {
            By::Tag(tag) => format!("the tag `{}`", tag.value),
            By::Path(path) => format!("the path `{}`", path.value),
            By::Operation(id) => format!("the operation `{}`", id.value),
        };
        match &self.methods {
            Some(methods) => {
                format!("{} of {by}", listed(methods.iter().map(|method| method.value.as_str())))
            }
            None => by,
        }
    }
}

fn report_ambiguous(span: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::MissingKey, span, "`select` must name either an operation, a tag or a path")
            .why("the selected operations are ambiguous; `method` can be combined with a tag or a path")
            .fix("write a selection such as `{operation: listPets}`, `{tag: pets}` or `{method: [POST], path: /pets}`"),
    );
}
