//! `scopes:` of routes and operations.

use super::api::SCOPES_MAX;
use crate::decode::{self, Fields};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Node, Value};

/// One `scopes:` as written: alternatives, of one of which a credential must have all scopes.
#[derive(Clone, Debug)]
pub(crate) struct Scopes {
    pub(crate) alternatives: Vec<Vec<Spanned<String>>>,
}

impl Scopes {
    /// `[a, b]`, `{all: [a, b]}` or `{any: [a, {all: [b, c]}]}`; nothing if no scope is required.
    pub(crate) fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let alternatives = match &node.value {
            Value::Map(_) => {
                let mut fields = Fields::open(node, &tables::SCOPES, "`scopes`", node.span, report)?;
                let any = fields.optional("any", report, any);
                let all = fields.optional("all", report, some).map(|all| vec![all]);
                let is_valid = fields.check_rules(report);
                fields.finish(report);
                any.or(all).filter(|_| is_valid)?
            }
            _ => vec![decode::texts(node, SCOPES_MAX, report)?],
        };
        let statement = Self { alternatives };
        statement.first().is_some().then_some(statement)
    }

    /// The scope that is written first.
    pub(crate) fn first(&self) -> Option<&Spanned<String>> {
        self.alternatives.iter().flatten().next()
    }
}

/// `[a, {all: [b, c]}]`
fn any(node: &Node, report: &mut Report) -> Option<Vec<Vec<Spanned<String>>>> {
    let Value::List(items) = &node.value else { return Some(single(some(node, report)?)) };
    if !items.iter().any(|item| matches!(item.value, Value::Map(_))) {
        return Some(single(some(node, report)?));
    }
    decode::check_length(node, items.len(), SCOPES_MAX, report).then_some(())?;
    decode::list(node, report, |node, report| match &node.value {
        Value::Map(_) => {
            let mut fields = Fields::open(node, &tables::SCOPES_TOGETHER, "this item", node.span, report)?;
            let all = fields.required("all", report, some);
            fields.finish(report);
            all
        }
        _ => decode::text(node, report).map(|scope| vec![scope]),
    })
}

fn single(scopes: Vec<Spanned<String>>) -> Vec<Vec<Spanned<String>>> {
    scopes.into_iter().map(|scope| vec![scope]).collect()
}

fn some(node: &Node, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    decode::some_texts(node, SCOPES_MAX, report)
}
