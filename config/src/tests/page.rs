//! The reference pages, which are generated from the tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::model::FileKind;
use crate::model::tables::{FILE, LEVEL};
use crate::schema::{Absent, Key, List, Named, Object, Rule, Shape};

/// The pages, each with the kinds of files that it describes.
const PAGES: &[(&str, &str, &[FileKind])] = &[
    (
        "configuration.md",
        "Reference of the configuration",
        &[
            FileKind::Project,
            FileKind::Api,
            FileKind::Policies,
            FileKind::Plans,
            FileKind::Environment,
            FileKind::Fixtures,
            FileKind::Prices,
        ],
    ),
    ("policy-tests.md", "Reference of policy tests", &[FileKind::Test]),
];

#[test]
fn the_reference_pages_match_the_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for (name, title, kinds) in PAGES {
        let page = page(title, kinds);
        if std::env::var_os("TOLLGATE_BLESS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), &page).unwrap();
        }
        let written = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(written == page, "docs/reference/{name} is stale: TOLLGATE_BLESS=1 cargo test -p tollgate-config");
    }
    let mut kinds: Vec<_> = PAGES.iter().flat_map(|(_, _, kinds)| kinds.iter()).collect();
    kinds.sort();
    assert!(kinds.iter().copied().eq(FileKind::ALL.iter().collect::<std::collections::BTreeSet<_>>()), "{kinds:?}");
}

/// Every link within a page refers to one of its headings.
#[test]
fn links_within_the_reference_are_valid() {
    for (name, title, kinds) in PAGES {
        let page = page(title, kinds);
        let heads: Vec<String> = page.lines().filter_map(|line| line.strip_prefix('#')).map(anchor).collect();
        for link in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(heads.iter().any(|head| head == link), "{name} has no heading {link}: {heads:?}");
        }
    }
}

/// The anchor that Markdown renderers derive from a heading.
fn anchor(head: &str) -> String {
    let kept = head.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || *c == '-' || *c == ' ')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn page(title: &str, kinds: &[FileKind]) -> String {
    let mut writer = Writer::default();
    let mut body = String::new();
    for kind in kinds {
        writer.open.push(kind.root());
        let mut level = format!("\n## `{}`\n", kind.path());
        while let Some(object) = writer.next() {
            body.push_str(&std::mem::take(&mut level));
            body.push_str(&writer.object(object));
        }
    }
    format!("# {title}\n{HEAD}{}{body}{}", writer.shared(), writer.values())
}

#[derive(Default)]
struct Writer {
    /// Objects that are still to be described, the next one last.
    open: Vec<&'static Object>,
    /// Objects that are described.
    described: Vec<&'static Object>,
    /// The rules and quantities that occur, each with its notation and examples.
    values: BTreeMap<&'static str, (&'static str, &'static [&'static str])>,
    has_levels: bool,
}

impl Writer {
    /// The next object that is not described yet.
    fn next(&mut self) -> Option<&'static Object> {
        while let Some(object) = self.open.pop() {
            if !self.described.iter().any(|known| std::ptr::eq(*known, object)) {
                self.described.push(object);
                return Some(object);
            }
        }
        None
    }

    fn object(&mut self, object: &'static Object) -> String {
        let mut out = format!("\n### {}\n\n{}\n", object.name, object.doc);
        let groups = object.shared.iter().filter(|group| !is(group, FILE) && !is(group, LEVEL));
        let keys: Vec<&Key> = object.keys.iter().chain(groups.copied().flatten()).collect();
        let before = self.open.len();
        out.push_str(&self.table(&keys));
        if object.shared.iter().any(|group| is(group, LEVEL)) {
            self.has_levels = true;
            out.push_str("\nIt also has the keys of [the three levels](#the-three-levels).\n");
            // Adds the objects of the levels, which are described once.
            LEVEL.iter().for_each(|key| drop(self.shape(key.shape)));
        }
        if !object.rules.is_empty() {
            let rules: Vec<_> = object.rules.iter().map(described).collect();
            let _ = write!(out, "\n{}\n", rules.join(" "));
        }
        for example in object.examples {
            let _ = write!(out, "\n```json\n{example}\n```\n");
        }
        // Objects are described in the order in which they occur.
        self.open[before..].reverse();
        out
    }

    fn table(&mut self, keys: &[&Key]) -> String {
        let mut out = String::from("\n| key | value | default | description |\n|---|---|---|---|\n");
        let mut words = String::new();
        for key in keys {
            let absent = match key.absent {
                Absent::Refused => "required".to_owned(),
                Absent::Default(json) => format!("`{}`", json.trim_matches('"')),
                Absent::Means(means) => means.to_owned(),
            };
            let _ =
                writeln!(out, "| `{}` | {} | {} | {} |", key.name, self.shape(key.shape), cell(&absent), cell(key.doc));
            let meanings: Vec<_> = key.shape.words().iter().map(|(word, means)| format!("`{word}`: {means}")).collect();
            if meanings.len() > 1 {
                let _ = writeln!(words, "- `{}`: {}", key.name, meanings.join("; "));
            }
        }
        if !words.is_empty() {
            let _ = write!(out, "\n{words}");
        }
        out
    }

    /// The values of a key in a few words, with links.
    fn shape(&mut self, shape: Shape) -> String {
        match shape {
            Shape::Format => "`1`".to_owned(),
            Shape::Text => "string".to_owned(),
            Shape::Ruled(rule) => self.value(rule.name, rule.doc, rule.examples),
            Shape::Boolean => "`true` or `false`".to_owned(),
            Shape::Integer(i64::MIN, i64::MAX) => "integer".to_owned(),
            Shape::Integer(min, max) | Shape::Number(min, max) => format!("{min} to {max}"),
            Shape::Quantity(quantity) => self.value(quantity.name(), quantity.doc(), quantity.examples()),
            Shape::Word(words) => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Shape::List(list) => self.list(list),
            Shape::Object(object) => self.link(object),
            Shape::Tagged(tagged) => {
                let links: Vec<_> = tagged.variants.iter().map(|(_, object)| self.link(object)).collect();
                links.join(" or ")
            }
            Shape::Named(named) => self.named(named),
            Shape::AnyOf(shapes) => {
                let all: Vec<_> = shapes.iter().map(|shape| self.shape(*shape)).collect();
                all.join(", or ")
            }
            Shape::Anything => "any value".to_owned(),
        }
    }

    fn list(&mut self, list: &List) -> String {
        let most = if list.max < usize::MAX { format!("up to {} ", list.max) } else { String::new() };
        format!("list of {most}{}", self.shape(list.of))
    }

    fn named(&mut self, named: &Named) -> String {
        let names = self.value(named.names.name, named.names.doc, named.names.examples);
        format!("mapping of {names} to {}", self.shape(named.of))
    }

    fn link(&mut self, object: &'static Object) -> String {
        self.open.push(object);
        format!("[{0}](#{0})", object.name)
    }

    fn value(&mut self, name: &'static str, doc: &'static str, examples: &'static [&'static str]) -> String {
        self.values.insert(name, (doc, examples));
        format!("[{name}](#values)")
    }

    /// The keys of all files, and of the levels.
    fn shared(&mut self) -> String {
        let mut out = format!("\n## Every file\n{}", self.table(&FILE.iter().collect::<Vec<_>>()));
        if self.has_levels {
            let levels = self.table(&LEVEL.iter().collect::<Vec<_>>());
            let _ = write!(
                out,
                "\n## The three levels\n\nThese keys can be set on the gateway, on an API and on a route.\n{levels}"
            );
        }
        out
    }

    fn values(&self) -> String {
        let mut out = String::from("\n## Values\n\n| value | notation | examples |\n|---|---|---|\n");
        for (name, (doc, examples)) in &self.values {
            let examples: Vec<_> = examples.iter().map(|example| format!("`{}`", cell(example))).collect();
            let _ = writeln!(out, "| {name} | {} | {} |", cell(doc), examples.join(", "));
        }
        out
    }
}

/// The description of a rule.
fn described(rule: &Rule) -> String {
    let listed = |keys: &[&str]| keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match rule {
        Rule::SomeOf(keys) => format!("At least one of {} is required.", listed(keys)),
        Rule::OneOf(keys) => format!("Exactly one of {} is required.", listed(keys)),
        Rule::AtMostOneOf(keys) => format!("At most one of {} is allowed.", listed(keys)),
        Rule::Needs(key, other) => format!("`{key}` requires `{other}`."),
        Rule::Excludes(key, others) => format!("`{key}` cannot be combined with {}.", listed(others)),
    }
}

fn is(group: &[Key], other: &[Key]) -> bool {
    group.iter().map(|key| key.name).eq(other.iter().map(|key| key.name))
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

const HEAD: &str = "
This page is generated from the tables in `config/src/model/tables/` and, for policies, in `config/src/policies/`, which also define
the keys that the decoders accept. A test checks that it is up to date. To regenerate it:
`TOLLGATE_BLESS=1 cargo test -p tollgate-config`. The guide is [Configuration](../configuration.md). The JSON Schemas in `schemas/`
contain the same descriptions, for completion and help in editors.
";
