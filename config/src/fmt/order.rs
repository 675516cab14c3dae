//! The order of keys, as in the format's tables. Lists, and mappings of names, keep their order.

use std::collections::HashMap;

use super::tree::{Child, Collection, Key, Kind, Node, Note};
use crate::schema::{self, Object, Shape};

/// Sorts the keys of a file, unless an alias would then repeat another value.
pub(super) fn sort(root: &mut Node<'_>, object: &'static Object) {
    by_shape(root, Shape::Object(object));
    if !aliases_are_valid(root, &mut HashMap::new()) {
        as_written(root);
        return;
    }
    if let Kind::Collection(map) = &mut root.kind {
        keep_header(map);
    }
    keep_blank_lines(root);
}

fn by_shape(node: &mut Node<'_>, shape: Shape) {
    let Kind::Collection(collection) = &mut node.kind else { return };
    match shape {
        Shape::AnyOf(shapes) => {
            if let Some(shape) = best(collection, shapes) {
                by_shape(node, shape);
            }
        }
        Shape::List(list) if !collection.is_map => {
            collection.children.iter_mut().for_each(|child| by_shape(&mut child.value, list.of));
        }
        Shape::Named(named) if collection.is_map => {
            collection.children.iter_mut().for_each(|child| by_shape(&mut child.value, named.of));
        }
        Shape::Object(object) if collection.is_map => by_object(collection, object),
        Shape::Tagged(tagged) if collection.is_map => {
            let tag = collection.children.iter().find(|child| name_of(child) == tagged.tag);
            let word = tag.and_then(|child| text_of(&child.value));
            let variant = tagged.variants.iter().find(|(name, _)| Some(*name) == word);
            by_object(collection, variant.map_or(tagged.head, |(_, object)| object));
        }
        Shape::List(_)
        | Shape::Named(_)
        | Shape::Object(_)
        | Shape::Tagged(_)
        | Shape::Format
        | Shape::Text
        | Shape::Ruled(_)
        | Shape::Boolean
        | Shape::Integer(..)
        | Shape::Number(..)
        | Shape::Quantity(_)
        | Shape::Word(_)
        | Shape::Anything => {}
    }
}

fn by_object(map: &mut Collection<'_>, object: &'static Object) {
    let order = order(object);
    let place = |child: &Child<'_>| order.iter().position(|key| key.name == name_of(child)).unwrap_or(order.len());
    map.children.sort_by_key(place);
    for child in &mut map.children {
        if let Some(key) = object.key(name_of(child)) {
            by_shape(&mut child.value, key.shape);
        }
    }
}

/// The keys of every file come first, then the object's own keys and its shared ones; keys with lists of objects, which
/// are long, come last.
fn order(object: &'static Object) -> Vec<&'static schema::Key> {
    let mut keys: Vec<_> = object.all_keys().collect();
    keys.sort_by_key(|key| match key.name {
        "$schema" => 0,
        "format" => 1,
        _ if is_long(key.shape) => 3,
        _ => 2,
    });
    keys
}

fn is_long(shape: Shape) -> bool {
    let Shape::List(list) = shape else { return false };
    match list.of {
        Shape::Object(_) | Shape::Tagged(_) => true,
        Shape::AnyOf(shapes) => {
            shapes.first().is_some_and(|usual| matches!(usual, Shape::Object(_) | Shape::Tagged(_)))
        }
        Shape::Format
        | Shape::Text
        | Shape::Ruled(_)
        | Shape::Boolean
        | Shape::Integer(..)
        | Shape::Number(..)
        | Shape::Quantity(_)
        | Shape::Word(_)
        | Shape::List(_)
        | Shape::Named(_)
        | Shape::Anything => false,
    }
}

/// The shape that matches the written value, out of several.
fn best(collection: &Collection<'_>, shapes: &'static [Shape]) -> Option<Shape> {
    let known =
        |object: &Object| collection.children.iter().filter(|child| object.key(name_of(child)).is_some()).count();
    let fit = |shape: &Shape| {
        if let (Shape::Object(object), true) = (shape, collection.is_map) {
            return Some(known(object));
        }
        let takes_maps = matches!(shape, Shape::Tagged(_) | Shape::Named(_));
        let takes_lists = matches!(shape, Shape::List(_));
        (if collection.is_map { takes_maps } else { takes_lists }).then_some(0)
    };
    let fits: Vec<(usize, Shape)> = shapes.iter().filter_map(|shape| Some((fit(shape)?, *shape))).collect();
    let most = fits.iter().map(|(known, _)| *known).max()?;
    fits.into_iter().find(|(known, _)| *known == most).map(|(_, shape)| shape)
}

fn name_of<'a>(child: &'a Child<'_>) -> &'a str {
    child.key.as_ref().map_or("", |key| &key.text)
}

fn text_of<'a>(node: &'a Node<'_>) -> Option<&'a str> {
    match &node.kind {
        Kind::Plain { text, .. } | Kind::Quoted(text) => Some(text),
        Kind::Empty | Kind::Alias(_) | Kind::Block(_) | Kind::Collection(_) => None,
    }
}

/// Whether every alias still follows its anchor, without another anchor of the same name between them.
fn aliases_are_valid<'t>(node: &Node<'t>, anchors: &mut HashMap<&'t str, usize>) -> bool {
    if let Kind::Alias(alias) = &node.kind {
        return anchors.get(alias.name) == Some(&alias.number);
    }
    if let Some(anchor) = node.anchor {
        anchors.insert(anchor.name, anchor.number);
    }
    let Kind::Collection(collection) = &node.kind else { return true };
    collection.children.iter().all(|child| {
        if let Some(Key { anchor: Some(anchor), .. }) = child.key {
            anchors.insert(anchor.name, anchor.number);
        }
        aliases_are_valid(&child.value, anchors)
    })
}

fn as_written(node: &mut Node<'_>) {
    if let Kind::Collection(collection) = &mut node.kind {
        collection.children.sort_by_key(|child| child.at);
        collection.children.iter_mut().for_each(|child| as_written(&mut child.value));
    }
}

/// Comments at the top that are followed by a blank line belong to the file, not to its first key, which has moved.
fn keep_header(map: &mut Collection<'_>) {
    let Some(former) = former_first(map) else { return };
    let notes = &mut map.children[former].notes;
    let modeline = notes.lead.iter().take_while(|note| note.text.starts_with(MODELINE)).count();
    let apart = (1..=notes.lead.len()).rfind(|at| notes.lead.get(*at).map_or(notes.blank, |note| note.blank));
    let header: Vec<Note<'_>> = notes.lead.drain(..apart.unwrap_or(modeline)).collect();
    if header.is_empty() {
        return;
    }
    let first = &mut map.children[0].notes;
    first.lead.first_mut().map_or(&mut first.blank, |note| &mut note.blank).clone_from(&true);
    first.lead.splice(0..0, header);
}

/// If another entry has become the first of its mapping, the former first entry takes over its blank line.
fn keep_blank_lines(node: &mut Node<'_>) {
    let Kind::Collection(collection) = &mut node.kind else { return };
    if let Some(former) = former_first(collection).filter(|_| collection.is_map) {
        let blank = *blank_before(&mut collection.children[0]);
        *blank_before(&mut collection.children[former]) |= blank;
    }
    collection.children.iter_mut().for_each(|child| keep_blank_lines(&mut child.value));
}

fn blank_before<'a>(child: &'a mut Child<'_>) -> &'a mut bool {
    let notes = &mut child.notes;
    notes.lead.first_mut().map_or(&mut notes.blank, |note| &mut note.blank)
}

/// The new position of the entry that was written first, unless it is still the first.
fn former_first(collection: &Collection<'_>) -> Option<usize> {
    let (place, _) = collection.children.iter().enumerate().min_by_key(|(_, child)| child.at)?;
    (place > 0).then_some(place)
}

/// The beginning of a comment that names the schema of a file, for editors.
const MODELINE: &str = "# yaml-language-server:";
