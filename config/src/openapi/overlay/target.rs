//! Selects the places of a document to which an action applies, by a JSONPath expression (RFC 9535).

use std::collections::HashMap;

use serde_json_path::{JsonPath, PathElement};

use crate::source::{Entry, Node, Value};

/// A place in a tree: the index of the member or item on each level, from the root.
pub(super) type TreePath = Vec<usize>;

/// The reason why no places can be selected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SelectError {
    /// The expression is not valid, with the reason.
    Syntax(String),
    /// The expression could visit more nodes than the remaining budget.
    TooMuch,
}

/// The places that an expression selects, each once, in the order of the document.
///
/// The number of nodes that it could visit is subtracted from `work`.
pub(super) fn places(expression: &str, document: &Node, work: &mut usize) -> Result<Vec<TreePath>, SelectError> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(SelectError::Syntax("it is too long".to_owned()));
    }
    // Always parsed by the JSONPath parser, so that the accepted expressions do not depend on the method of the search.
    let query = JsonPath::parse(expression).map_err(|error| SelectError::Syntax(error.message().to_owned()))?;
    if let Some(steps) = plain_steps(expression) {
        return walked(&steps, document, work);
    }
    *work = work.checked_sub(cost(expression, document.measure().nodes)).ok_or(SelectError::TooMuch)?;
    let value = to_json(document);
    let mut index = Index::default();
    let mut places: Vec<TreePath> =
        query.query_located(&value).locations().filter_map(|location| index.path(document, location.iter())).collect();
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// A step of an expression without `..` and filters.
#[derive(Debug, PartialEq, Eq)]
enum Step<'t> {
    Name(&'t str),
    All,
}

/// Parses expressions like `$.a['b'].*`, as most targets are; these are looked up directly in the tree.
fn plain_steps(expression: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = expression.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix(".*").or_else(|| rest.strip_prefix("[*]")) {
            steps.push(Step::All);
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('.') {
            let length = tail.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let (name, tail) = tail.split_at(length);
            steps.push(Step::Name((!name.is_empty()).then_some(name)?));
            rest = tail;
        } else {
            let quote = rest.strip_prefix('[')?.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let (name, tail) = rest[2..].split_once(quote)?;
            if name.contains('\\') {
                return None;
            }
            steps.push(Step::Name(name));
            rest = tail.strip_prefix(']')?;
        }
    }
    Some(steps)
}

fn walked(steps: &[Step<'_>], document: &Node, work: &mut usize) -> Result<Vec<TreePath>, SelectError> {
    let mut found: Vec<(TreePath, &Node)> = vec![(Vec::new(), document)];
    for step in steps {
        let mut next = Vec::new();
        for (path, node) in found {
            let children = children(node);
            *work = work.checked_sub(children.len() + 1).ok_or(SelectError::TooMuch)?;
            let selected = children.into_iter().enumerate().filter(|(_, (name, _))| match step {
                Step::All => true,
                Step::Name(wanted) => name == &Some(*wanted),
            });
            next.extend(selected.map(|(place, (_, child))| {
                let mut path = path.clone();
                path.push(place);
                (path, child)
            }));
        }
        found = next;
    }
    Ok(found.into_iter().map(|(path, _)| path).collect())
}

fn children(node: &Node) -> Vec<(Option<&str>, &Node)> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| (Some(entry.key.value.as_str()), &entry.value)).collect(),
        Value::List(items) => items.iter().map(|item| (None, item)).collect(),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => {
            Vec::new()
        }
    }
}

/// An upper estimate of the number of nodes that an expression could visit.
///
/// Each descent (`..`) after another, and each query from the root within a filter, may visit the whole document for
/// each node to which it is applied.
fn cost(expression: &str, size: usize) -> usize {
    let factors = expression.matches("..").count() + expression.matches('$').count().saturating_sub(1);
    let factors = u32::try_from(factors).unwrap_or(u32::MAX).max(1);
    size.saturating_pow(factors).saturating_add(size)
}

fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null | Value::Refused => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let member = |entry: &Entry| (entry.key.value.clone(), to_json(&entry.value));
            serde_json::Value::Object(entries.iter().map(member).collect())
        }
    }
}

/// The places of the members of mappings; each mapping is searched once.
#[derive(Default)]
struct Index<'d> {
    members: HashMap<*const Node, HashMap<&'d str, usize>>,
}

impl<'d> Index<'d> {
    fn path<'p>(
        &mut self,
        document: &'d Node,
        elements: impl Iterator<Item = &'p PathElement<'p>>,
    ) -> Option<TreePath> {
        let mut node = document;
        let mut path = TreePath::new();
        for element in elements {
            let place = match element {
                PathElement::Name(name) => self.member(node, name)?,
                PathElement::Index(index) => *index,
            };
            path.push(place);
            node = match &node.value {
                Value::Map(entries) => &entries.get(place)?.value,
                Value::List(items) => items.get(place)?,
                _ => return None,
            };
        }
        Some(path)
    }

    fn member(&mut self, node: &'d Node, name: &str) -> Option<usize> {
        let Value::Map(entries) = &node.value else { return None };
        let index = || entries.iter().enumerate().map(|(place, entry)| (entry.key.value.as_str(), place)).collect();
        self.members.entry(std::ptr::from_ref(node)).or_insert_with(index).get(name).copied()
    }
}

/// The maximum length of an expression.
const EXPRESSION_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Report;
    use crate::openapi::document::{self, LIMITS};
    use crate::place::FileId;

    fn tree(text: &str) -> Node {
        document::read(FileId::default(), "t.yaml", text, &LIMITS, &mut 10_000, &mut Report::default()).unwrap()
    }

    const TEXT: &str = "
info: {title: t}
paths:
  /pets: {get: {tags: [a, b]}, post: {tags: [c]}}
  /toys: {get: {tags: [a]}}
";

    #[track_caller]
    fn check(expression: &str, expected: &[&[usize]]) {
        let expected: Vec<TreePath> = expected.iter().map(|path| path.to_vec()).collect();
        assert_eq!(places(expression, &tree(TEXT), &mut 100_000), Ok(expected), "{expression}");
    }

    #[test]
    fn both_search_methods_select_the_same_places() {
        check("$", &[&[]]);
        check("$.info.title", &[&[0, 0]]);
        check("$.paths['/pets'].get", &[&[1, 0, 0]]);
        check("$.paths[\"/pets\"]['get']", &[&[1, 0, 0]]);
        check("$.paths.*.get", &[&[1, 0, 0], &[1, 1, 0]]);
        check("$.paths.*['get', 'post']", &[&[1, 0, 0], &[1, 0, 1], &[1, 1, 0]]);
        check("$..tags[0]", &[&[1, 0, 0, 0, 0], &[1, 0, 1, 0, 0], &[1, 1, 0, 0, 0]]);
        check("$.paths.*[?@.tags[?@ == 'b']]", &[&[1, 0, 0]]);
        check("$.nothing", &[]);
        check("$.info[0]", &[]);
    }

    #[test]
    fn invalid_expressions_are_refused() {
        for expression in ["", "paths", "$.", "$['a", "$.a[", "$..", "$.paths./pets"] {
            let found = places(expression, &tree(TEXT), &mut 100_000);
            assert!(matches!(found, Err(SelectError::Syntax(_))), "{expression}");
        }
    }

    #[test]
    fn expressions_over_the_budget_are_refused() {
        assert_eq!(places("$..[?$..x]", &tree(TEXT), &mut 300), Err(SelectError::TooMuch));
        assert_eq!(places("$.paths.*.*", &tree(TEXT), &mut 3), Err(SelectError::TooMuch));
    }
}
