//! Follows references, each once, and never in a circle.

use std::collections::HashMap;

use super::documents::{Documents, Index, Site, text};
use super::reference::{Broken, Reference};
use crate::place::Span;

/// Follows the references of a specification.
#[derive(Debug)]
pub(super) struct Resolver<'d> {
    documents: &'d Documents,
    index: Index<'d>,
    known: HashMap<(usize, &'d str), Result<Site<'d>, Broken>>,
    /// What may still be looked at: references can repeat a large part of a document very often.
    steps_left: usize,
}

/// A reference that leads nowhere, and where it stands.
#[derive(Debug)]
pub(super) struct Dangling<'d> {
    pub(super) broken: Broken,
    pub(super) text: &'d str,
    pub(super) span: Span,
}

impl<'d> Resolver<'d> {
    pub(super) fn new(documents: &'d Documents) -> Self {
        Self { documents, index: Index::default(), known: HashMap::new(), steps_left: STEPS_MAX }
    }

    /// The value that is meant: the node itself, or what it refers to, however many references lead there.
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

    /// Takes from what may be looked at; `false` when nothing is left, and the specification is to be left alone.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        self.steps_left = self.steps_left.saturating_sub(steps);
        self.steps_left > 0
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

/// References that lead from one to the next.
const HOPS_MAX: usize = 64;

/// Paths, parameters and tags looked at for one specification: twenty times what the largest that are published take.
const STEPS_MAX: usize = 4_000_000;
