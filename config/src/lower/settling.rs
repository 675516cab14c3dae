//! Operations that cannot be routed, and for which the project has routes, or which it hides.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use tollgate_core::route::{CanonicalPath, Entry, Router};

use crate::model::operations::{By, Override};
use crate::openapi::{self, Answer, FixedChars, Unroutable};

/// What an API has for operations that cannot be routed.
pub(super) struct Settling<'a> {
    /// The entries that hide operations, by what they select.
    entries: HashMap<&'a str, Vec<(usize, &'a Override)>>,
    /// The entries that hide such an operation.
    hiding: RefCell<HashSet<usize>>,
    router: Router,
    depth_max: usize,
    /// A value that none of the routes takes only because of its fixed texts.
    value: String,
}

impl<'a> Settling<'a> {
    /// For an API with these entries of `operations:` and these routes under `routes:`.
    pub(super) fn new(entries: &'a [Override], routes: &[Answer]) -> Self {
        let depth_max = routes.iter().map(|route| route.path.segments().len()).max().unwrap_or_default();
        let depth_max = depth_max.clamp(1, DEPTH_MAX);
        let mut chars = FixedChars::default();
        routes.iter().for_each(|route| chars.add(route.path.segments()));
        let value = chars.other();
        // The further conditions of a route may be those of the operation.
        let router = Router::new(routes.iter().map(|Answer { path, methods, .. }| Entry { path, methods, when: &[] }));
        let mut by_name: HashMap<&str, Vec<(usize, &Override)>> = HashMap::new();
        for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.settings.hidden == Some(true)) {
            let (By::Tag(name) | By::Path(name) | By::Operation(name)) = &entry.select.by;
            by_name.entry(&name.value).or_default().push((place, entry));
        }
        Self { entries: by_name, hiding: RefCell::default(), router, depth_max, value }
    }

    /// Whether an operation is hidden, or answered by a route.
    pub(super) fn settles(&self, one: &Unroutable<'_>) -> bool {
        let names = one.operation_id.into_iter().chain([one.path]).chain(one.tags.iter().map(String::as_str));
        let found = names.filter_map(|name| self.entries.get(name)).flatten();
        let hiding: Vec<usize> = found.filter(|(_, entry)| selects(entry, one)).map(|(place, _)| *place).collect();
        self.hiding.borrow_mut().extend(&hiding);
        !hiding.is_empty() || self.answers(one)
    }

    /// The indices of the entries that hide such an operation.
    pub(super) fn hiding(&self) -> HashSet<usize> {
        self.hiding.take()
    }

    fn answers(&self, one: &Unroutable<'_>) -> bool {
        let Ok(method) = one.method.parse() else { return false };
        let texts = openapi::requests(one.path, &self.value, self.depth_max);
        let mut paths = texts.iter().filter_map(|text| CanonicalPath::parse(text.as_bytes()).ok());
        paths.any(|path| !self.router.find_all(&path, &method).is_empty())
    }
}

fn selects(entry: &Override, one: &Unroutable<'_>) -> bool {
    let is_selected = match &entry.select.by {
        By::Tag(tag) => one.tags.contains(&tag.value),
        By::Path(path) => path.value == one.path,
        By::Operation(id) => one.operation_id == Some(id.value.as_str()),
    };
    is_selected && entry.select.methods.as_ref().is_none_or(|methods| methods.iter().any(|m| m.value == one.method))
}

/// The number of segments up to which requests for several segments are tried.
const DEPTH_MAX: usize = 32;
