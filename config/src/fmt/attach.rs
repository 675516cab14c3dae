//! Attaches comments to values: the rules by which comments keep their position when a text is rewritten.
//!
//! - A comment on a separate line belongs to the next value in its block.
//! - At the end of a block it belongs to the innermost block with at most its indentation.
//! - A comment after a value belongs to that value; between a key and its value, to the whole entry.
//!
//! Comments keep their order, and applying the rules to the result gives the same result.

use std::collections::VecDeque;

use super::lines::Lines;
use super::tree::{Child, Collection, Comment, Kind, Note, Tree};

/// Attaches every comment; returns those at the end of the document.
pub(super) fn attach<'t>(tree: &mut Tree<'t>) -> Vec<Note<'t>> {
    let comments = std::mem::take(&mut tree.comments);
    let mut attacher = Attacher { comments, lines: &tree.lines, seen: 0 };
    let root = &mut tree.root;
    match &mut root.value.kind {
        Kind::Collection(block) if !block.flow => attacher.collection(block, usize::MAX),
        Kind::Collection(_) | Kind::Empty | Kind::Alias(_) | Kind::Plain { .. } | Kind::Quoted(_) | Kind::Block(_) => {
            attacher.child(root, usize::MAX);
        }
    }
    let mut rest = Vec::new();
    while let Some(comment) = attacher.next_before(usize::MAX) {
        rest.push(attacher.note(comment));
    }
    rest
}

struct Attacher<'a, 't> {
    comments: VecDeque<Comment<'t>>,
    lines: &'a Lines<'t>,
    /// The line up to which all comments are attached.
    seen: usize,
}

impl<'t> Attacher<'_, 't> {
    /// `limit` is the beginning of the next token after the collection.
    fn collection(&mut self, collection: &mut Collection<'t>, limit: usize) {
        let limit = if collection.flow { collection.close } else { limit };
        let starts: Vec<usize> = collection.children.iter().skip(1).map(|child| child.at).chain([limit]).collect();
        for (child, next) in collection.children.iter_mut().zip(starts) {
            self.child(child, next);
        }
        let (flow, column) = (collection.flow, collection.column);
        while let Some(comment) = self.next_if(|c| c.at < limit && (flow || (c.alone && c.column >= column))) {
            collection.tail.push(self.note(comment));
        }
        if flow {
            self.seen = self.lines.line(collection.close);
        }
    }

    fn child(&mut self, child: &mut Child<'t>, limit: usize) {
        let leaf = if child.key.is_some() { child.at } else { child.value.leaf() };
        let mut begin = child.at;
        while let Some(comment) = self.next_before(leaf) {
            if comment.at > child.at {
                begin = leaf;
            }
            child.notes.lead.push(self.note(comment));
        }
        let line = self.lines.line(begin);
        child.notes.blank = self.lines.blank_between(self.seen, line);
        self.seen = child.key.as_ref().map_or(line, |key| self.lines.line(key.end));
        match &mut child.value.kind {
            Kind::Collection(block) if !block.flow => {
                if child.key.is_some() {
                    let (line, leaf) = (self.seen, child.value.leaf());
                    child.notes.head = self.behind(line, leaf);
                }
                if let Kind::Collection(block) = &mut child.value.kind {
                    self.collection(block, limit);
                }
            }
            Kind::Collection(_)
            | Kind::Empty
            | Kind::Alias(_)
            | Kind::Plain { .. }
            | Kind::Quoted(_)
            | Kind::Block(_) => {
                self.single(child, limit);
            }
        }
        // The first value of an item begins on the item's line, so comments before it are before the item.
        if let (None, Kind::Collection(collection)) = (&child.key, &mut child.value.kind)
            && let Some(first) = collection.children.first_mut()
        {
            child.notes.lead.append(&mut first.notes.lead);
        }
    }

    /// Values on the line of their key: comments between the two move before or after it.
    fn single(&mut self, child: &mut Child<'t>, limit: usize) {
        let mut between = Vec::new();
        let body = child.value.body.max(child.value.leaf());
        while let Some(comment) = self.next_before(body) {
            between.push((comment.alone, self.note(comment)));
        }
        if let Kind::Collection(flow) = &mut child.value.kind {
            self.collection(flow, limit);
            if flow.children.is_empty() {
                between.extend(std::mem::take(&mut flow.tail).into_iter().map(|note| (false, note)));
            }
        }
        self.seen = self.seen.max(child.value.last_line);
        child.notes.trail = self.behind(child.value.last_line, limit);
        if child.notes.trail.is_none() && between.first().is_some_and(|(alone, _)| !alone) {
            child.notes.trail = Some(between.remove(0).1.text);
        }
        child.notes.lead.extend(between.into_iter().map(|(_, note)| note));
    }

    /// The comment after a value on the same line.
    fn behind(&mut self, line: usize, limit: usize) -> Option<&'t str> {
        self.next_if(|c| !c.alone && c.line == line && c.at < limit).map(|comment| comment.text)
    }

    fn note(&mut self, comment: Comment<'t>) -> Note<'t> {
        let blank = self.lines.blank_between(self.seen, comment.line);
        self.seen = comment.line;
        Note { text: comment.text, blank }
    }

    fn next_before(&mut self, limit: usize) -> Option<Comment<'t>> {
        self.next_if(|comment| comment.at < limit)
    }

    fn next_if(&mut self, wanted: impl Fn(&Comment<'t>) -> bool) -> Option<Comment<'t>> {
        self.comments.front().is_some_and(wanted).then(|| self.comments.pop_front())?
    }
}
