//! Checks the floors inside a crate: which of its top-level modules imports which.
//!
//! A top-level module (a folder or file next to `lib.rs`) is a unit. There are no circles between units. If the table
//! in [`crate::layers`] states an order, no unit uses one on its own floor or above it. Imports of `lib.rs` are not
//! counted, because it names everything; nor are imports that only tests use.

mod imports;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use imports::{Arrow, SourceFile, arrows};

/// The stated order of a crate's units, the lowest floor first. Units of one floor do not use each other.
pub(crate) type Order = &'static [&'static [&'static str]];

/// Uses against the order, and units without a floor.
pub(crate) fn against(order: Order, units: &BTreeSet<String>, arrows: &[Arrow]) -> Vec<String> {
    let floor = |unit: &str| order.iter().position(|floor| floor.contains(&unit));
    let mut breaches: Vec<String> =
        units.iter().filter(|unit| floor(unit).is_none()).map(|unit| format!("`{unit}` is on no floor")).collect();
    let stated = order.iter().copied().flatten();
    breaches.extend(
        stated.filter(|unit| !units.contains(**unit)).map(|unit| format!("there is no `{unit}` for its floor")),
    );
    for arrow in arrows {
        if let (Some(from), Some(to)) = (floor(&arrow.from), floor(&arrow.to))
            && from <= to
        {
            let where_to = if from == to { "on the same floor" } else { "above it" };
            breaches.push(format!("{} uses `{}`: {} is {where_to}", arrow.file, arrow.path, arrow.to));
        }
    }
    breaches
}

/// The circles: each with its units, and one import for each of its arrows.
pub(crate) fn circles(arrows: &[Arrow]) -> Vec<String> {
    let mut uses: BTreeMap<&str, BTreeMap<&str, &Arrow>> = BTreeMap::new();
    for arrow in arrows {
        uses.entry(&arrow.from).or_default().entry(&arrow.to).or_insert(arrow);
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|unit| (*unit, reached(unit, &uses))).collect();
    let mutual = |a: &str, b: &str| {
        let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|all| all.contains(to));
        reaches(a, b) && reaches(b, a)
    };
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for unit in uses.keys() {
        let circle: Vec<&str> = uses.keys().copied().filter(|other| mutual(unit, other)).collect();
        if circle.is_empty() || !seen.insert(circle[0]) {
            continue;
        }
        let inner = circle.iter().flat_map(|from| uses[from].values()).filter(|arrow| circle.contains(&&*arrow.to));
        let imports: Vec<String> = inner.map(|arrow| format!("{} uses `{}`", arrow.file, arrow.path)).collect();
        found.push(format!("{} use each other: {}", circle.join(", "), imports.join("; ")));
    }
    found
}

/// The units that one uses, directly or through others.
fn reached<'a>(unit: &str, uses: &BTreeMap<&'a str, BTreeMap<&'a str, &'a Arrow>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = uses.get(unit).into_iter().flat_map(|to| to.keys().copied()).collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(uses.get(next).into_iter().flat_map(|to| to.keys().copied()));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example crate; each file with its text.
    fn tree(files: &[(&str, &str)]) -> (BTreeSet<String>, Vec<Arrow>) {
        let files: Vec<SourceFile> = files
            .iter()
            .map(|(path, text)| SourceFile { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        arrows(&files)
    }

    const SOUND: [(&str, &str); 4] = [
        ("lib.rs", "mod ground; mod first; mod second; pub use second::Top; pub use ground::Stone;"),
        ("ground.rs", "pub struct Stone;"),
        ("first/mod.rs", "mod inner; use crate::ground::Stone;"),
        ("second.rs", "use crate::first::{self, inner}; pub struct Top;"),
    ];

    const ORDER: Order = &[&["ground"], &["first"], &["second"]];

    /// The valid crate with one more file.
    fn with(path: &str, text: &str) -> (BTreeSet<String>, Vec<Arrow>) {
        let mut files = SOUND.to_vec();
        files.push((path, text));
        tree(&files)
    }

    #[track_caller]
    fn breach(path: &str, text: &str, expected: &str) {
        let (units, arrows) = with(path, text);
        assert_eq!(against(ORDER, &units, &arrows), [expected]);
        assert_eq!(circles(&arrows).len(), 1, "an upward use of a unit's user closes a circle");
    }

    #[test]
    fn a_tree_that_keeps_its_order_has_no_breach() {
        let (units, arrows) = tree(&SOUND);
        assert_eq!(arrows.len(), 2, "{arrows:?}");
        assert_eq!(against(ORDER, &units, &arrows), [""; 0]);
        assert_eq!(circles(&arrows), [""; 0]);
    }

    #[test]
    fn an_import_from_a_higher_floor_is_a_breach_however_it_is_written() {
        let upwards = "first/inner.rs uses `crate::second`: second is above it";
        breach("first/inner.rs", "use crate::second::Top;", upwards);
        breach("first/inner.rs", "use crate::{ground, second as other};", upwards);
        breach("first/inner.rs", "fn f() -> crate::second::Top { g() }", upwards);
        breach("first/inner.rs", "fn f() { println!(\"{}\", crate::second::text()) }", upwards);
        let upwards = "first/inner.rs uses `super::super::second`: second is above it";
        breach("first/inner.rs", "use super::super::second::Top;", upwards);
        breach("first/inner.rs", "mod deep { use super::super::super::second::Top; }", {
            "first/inner.rs uses `super::super::super::second`: second is above it"
        });
        breach("first/inner.rs", "use crate::Top;", "first/inner.rs uses `crate::Top`: second is above it");
    }

    #[test]
    fn what_is_no_import_of_another_unit_is_no_arrow() {
        for text in [
            "// use crate::second::Top;",
            "const TEXT: &str = \"crate::second\";",
            "use super::Stone; use self::deep::X; use crate::first::inner;",
            "#[cfg(test)]\nmod tests { use crate::second::Top; fn f() { {} } }",
            "#[cfg(test)]\nuse crate::second::Top;\nfn f() {}",
            "use tollgate_core::second::Top;",
        ] {
            let (_, arrows) = with("first/inner.rs", text);
            assert_eq!(arrows.len(), 2, "{text}: {arrows:?}");
        }
    }

    #[test]
    fn files_that_only_tests_have_are_not_counted() {
        let (units, arrows) = tree(&[
            ("lib.rs", "mod ground; #[cfg(test)] mod trial; mod second;"),
            ("ground/mod.rs", "#[cfg(test)]\nmod tests;"),
            ("ground/tests.rs", "use crate::second::Top;"),
            ("trial/mod.rs", "use crate::second::Top;"),
            ("second.rs", "use crate::ground::Stone;"),
        ]);
        assert_eq!(units.iter().collect::<Vec<_>>(), ["ground", "second"]);
        assert_eq!(arrows.len(), 1, "{arrows:?}");
    }

    #[test]
    fn a_circle_is_found_where_no_order_is_stated() {
        let (_, arrows) = tree(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c/mod.rs", "use crate::a::A;"),
            ("d.rs", "use crate::a::A;"),
        ]);
        let found = circles(&arrows);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a, b, c use each other: a.rs uses `crate::b`;"), "{found:?}");
    }

    #[test]
    fn units_and_floors_name_each_other() {
        let (units, arrows) = with("attic.rs", "");
        assert_eq!(against(ORDER, &units, &arrows), ["`attic` is on no floor"]);
        let (units, arrows) = tree(&SOUND[..3]);
        assert_eq!(against(ORDER, &units, &arrows), ["there is no `second` for its floor"]);
    }

    #[test]
    fn units_of_one_floor_do_not_know_each_other() {
        let (units, arrows) = tree(&SOUND);
        let flat: Order = &[&["ground"], &["first", "second"]];
        assert_eq!(against(flat, &units, &arrows), ["second.rs uses `crate::first`: first is on the same floor"]);
    }
}
