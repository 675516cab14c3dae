//! The files of one specification, all of which are read before references are resolved.

use std::collections::HashMap;

use super::document::{self, LIMITS};
use super::reference::{Broken, Place, Reference, beside};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::source::{Entry, Loader, Node, Value};

/// The documents of a specification; the first is the root document.
#[derive(Debug, Default)]
pub(super) struct Documents {
    all: Vec<Document>,
    places: HashMap<String, Result<usize, String>>,
}

#[derive(Debug)]
struct Document {
    name: String,
    /// `None` for a file that is not YAML or JSON, such as text that a description refers to.
    root: Option<Node>,
}

/// A node, and the document that its references are relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'d> {
    pub(super) document: usize,
    pub(super) node: &'d Node,
}

impl<'d> Site<'d> {
    /// A member of a mapping.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        get(self.node, key).map(|node| Self { node, ..self })
    }
}

/// A member of a mapping.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    entries(node).iter().find(|entry| entry.key.value == key).map(|entry| &entry.value)
}

/// The members of a mapping; none for any other value.
pub(super) fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// The text of a string; `None` for any other value.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

impl Documents {
    /// Reads all files to which a root document refers, directly or through other files.
    ///
    /// Files that cannot be read are reported at the references to them.
    pub(super) fn load(name: &str, root: Node, nodes: &mut usize, loader: &mut Loader, report: &mut Report) -> Self {
        let mut documents = Self::default();
        documents.places.insert(name.to_owned(), Ok(0));
        documents.all.push(Document { name: name.to_owned(), root: Some(root) });
        let mut next = 0;
        while next < documents.all.len() {
            for Found { name, .. } in documents.referred(next) {
                if documents.places.contains_key(&name) {
                    continue;
                }
                let place = documents.all.len();
                let read = if place < FILES_MAX {
                    read(&name, nodes, loader, report)
                } else {
                    Err(format!("the specification has more than {FILES_MAX} files"))
                };
                documents.places.insert(
                    name.clone(),
                    read.map(|root| {
                        documents.all.push(Document { name, root });
                        place
                    }),
                );
            }
            next += 1;
        }
        documents.report_missing(report);
        documents
    }

    /// The root document.
    pub(super) fn root(&self) -> Option<Site<'_>> {
        self.root_of(0)
    }

    /// The files, by their names below the project folder.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|document| document.name.as_str())
    }

    /// The document that a reference in another document names.
    pub(super) fn find(&self, from: usize, reference: &Reference<'_>) -> Result<Site<'_>, Broken> {
        let document = match &reference.file {
            None => from,
            Some(file) => {
                let from = self.all.get(from).map_or("", |document| &document.name);
                let name = beside(from, file)?;
                match self.places.get(&name) {
                    Some(Ok(place)) => *place,
                    Some(Err(reason)) => return Err(Broken::NoFile(reason.clone())),
                    None => return Err(Broken::NoFile("the file was not read".to_owned())),
                }
            }
        };
        self.root_of(document).ok_or_else(|| Broken::NoFile("the file is neither YAML nor JSON".to_owned()))
    }

    fn root_of(&self, document: usize) -> Option<Site<'_>> {
        let node = self.all.get(document)?.root.as_ref()?;
        Some(Site { document, node })
    }

    /// The files to which a document refers.
    fn referred(&self, document: usize) -> Vec<Found> {
        let Some(Document { name, root: Some(root) }) = self.all.get(document) else { return Vec::new() };
        let mut found = HashMap::new();
        collect(root, name, false, &mut found);
        let mut found: Vec<Found> = found.into_values().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Reports missing files, except at references in examples and similar data.
    fn report_missing(&self, report: &mut Report) {
        for document in 0..self.all.len() {
            for found in self.referred(document).into_iter().filter(|found| !found.in_data) {
                if let Some(Err(reason)) = self.places.get(&found.name) {
                    report_broken(&Broken::NoFile(reason.clone()), &found.text, found.span, report);
                }
            }
        }
    }
}

/// Reports a reference that cannot be resolved.
pub(super) fn report_broken(broken: &Broken, text: &str, span: Span, report: &mut Report) {
    let (what, why, fix) = broken.describe(text);
    report.push(Diagnostic::warning(Code::BrokenReference, span, what).why(why).fix(fix));
}

/// A file to which a document refers, with the position of the first reference.
struct Found {
    name: String,
    text: String,
    span: Span,
    /// Whether it only occurs in examples and defaults, where `$ref` may be data.
    in_data: bool,
}

/// Collects the files referred to below a node; trees are not deeper than [`LIMITS`], so recursion is bounded.
fn collect(node: &Node, from: &str, in_data: bool, found: &mut HashMap<String, Found>) {
    match &node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => {}
        Value::List(items) => items.iter().for_each(|item| collect(item, from, in_data, found)),
        Value::Map(entries) => {
            for Entry { key, value } in entries {
                let is_data = in_data || key.value.starts_with("x-") || DATA_KEYS.contains(&key.value.as_str());
                if key.value != "$ref" {
                    collect(value, from, is_data, found);
                } else if let Some(text) = text(value)
                    && !text.starts_with('#')
                    && let Ok(Reference { file: Some(file), .. }) = Reference::parse(text)
                    && let Ok(name) = beside(from, &file)
                {
                    let first = Found { name: name.clone(), text: text.to_owned(), span: value.span, in_data };
                    let known = found.entry(name).or_insert(first);
                    if known.in_data && !in_data {
                        (known.in_data, known.span) = (false, value.span);
                    }
                }
            }
        }
    }
}

/// Reads a file; `None` if its extension is not that of a document.
fn read(name: &str, nodes: &mut usize, loader: &mut Loader, report: &mut Report) -> Result<Option<Node>, String> {
    if !DOCUMENT_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        return Ok(None);
    }
    let file = loader.try_load(name, &LIMITS, report)?;
    let root = document::read(file, name, loader.files().text(file), &LIMITS, nodes, report);
    root.map(Some).ok_or_else(|| "it cannot be parsed".to_owned())
}

/// Resolves JSON pointers in documents.
///
/// Large mappings are indexed once, so that resolving many references into one of them is fast.
#[derive(Debug, Default)]
pub(super) struct Index<'d> {
    members: HashMap<*const Node, HashMap<&'d str, &'d Node>>,
}

impl<'d> Index<'d> {
    pub(super) fn find(&mut self, root: &'d Node, place: &Place<'_>) -> Result<&'d Node, Broken> {
        let Place::Pointer(parts) = place else { return Err(Broken::Anchor) };
        let mut node = root;
        for part in parts {
            node = self.member(node, part).ok_or_else(|| Broken::NoPlace(part.clone().into_owned()))?;
        }
        Ok(node)
    }

    fn member(&mut self, node: &'d Node, key: &str) -> Option<&'d Node> {
        match &node.value {
            Value::Map(all) if all.len() <= SEARCHED_MAX => get(node, key),
            Value::Map(all) => {
                let index = || all.iter().map(|entry| (entry.key.value.as_str(), &entry.value)).collect();
                self.members.entry(std::ptr::from_ref(node)).or_insert_with(index).get(key).copied()
            }
            Value::List(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// Keys whose values are data, in which a key `$ref` is not necessarily a reference.
const DATA_KEYS: &[&str] = &["example", "examples", "default", "enum", "const", "value"];

/// The extensions of files that are read as documents.
const DOCUMENT_ENDINGS: &[&str] = &[".yaml", ".yml", ".json"];

/// The maximum number of files of one specification: the largest published ones have some thousands.
const FILES_MAX: usize = 10_000;

/// Mappings with more keys are searched with an index.
const SEARCHED_MAX: usize = 32;
