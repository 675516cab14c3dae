//! Resolves references, each once, and detects circular ones.

use std::collections::HashMap;

use super::documents::{Documents, Index, Site, text};
use super::reference::{Broken, Reference};
use crate::place::Span;

/// Resolves the references of a specification.
#[derive(Debug)]
pub(super) struct Resolver<'d> {
    documents: &'d Documents,
    index: Index<'d>,
    known: HashMap<(usize, &'d str), Result<Site<'d>, Broken>>,
    /// The remaining budget of nodes: references can repeat a large part of a document many times.
    steps_remaining: usize,
}

/// A reference that cannot be resolved, with its position.
#[derive(Debug)]
pub(super) struct Dangling<'d> {
    pub(super) broken: Broken,
    pub(super) text: &'d str,
    pub(super) span: Span,
}

impl<'d> Resolver<'d> {
    pub(super) fn new(documents: &'d Documents) -> Self {
        Self { documents, index: Index::default(), known: HashMap::new(), steps_remaining: STEPS_MAX }
    }

    /// The resolved value: the node itself, or the target of its reference, also through several references.
    pub(super) fn follow(&mut self, site: Site<'d>) -> Result<Site<'d>, Dangling<'d>> {
        let mut here = site;
        let mut passed = Vec::new();
        loop {
            let Some(reference) = here.get("$ref") else { return Ok(here) };
            let span = reference.node.span;
            let dangling = |broken, text| Dangling { broken, text, span };
            let Some(target) = text(reference.node) else { return Err(dangling(Broken::NoText, "")) };
            if passed.contains(&std::ptr::from_ref(here.node)) {
                return Err(dangling(Broken::Circular, target));
            }
            if passed.len() >= HOPS_MAX {
                return Err(dangling(Broken::TooLong, target));
            }
            passed.push(std::ptr::from_ref(here.node));
            here = self.target(here.document, target).map_err(|broken| dangling(broken, target))?;
        }
    }

    /// Subtracts from the budget; `false` if it is exhausted, so that reading the specification must stop.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        self.steps_remaining = self.steps_remaining.saturating_sub(steps);
        self.steps_remaining > 0
    }

    fn target(&mut self, document: usize, text: &'d str) -> Result<Site<'d>, Broken> {
        if let Some(known) = self.known.get(&(document, text)) {
            return known.clone();
        }
        let found = Reference::parse(text).and_then(|reference| {
            let root = self.documents.find(document, &reference)?;
            let node = self.index.find(root.node, &reference.place)?;
            Ok(Site { node, ..root })
        });
        self.known.insert((document, text), found.clone());
        found
    }
}

/// The maximum number of references in a chain.
const HOPS_MAX: usize = 64;

/// The budget of paths, parameters and tags for one specification: twenty times what the largest published ones need.
const STEPS_MAX: usize = 4_000_000;
