//! What the checker says of expressions whose types do not fit.

use std::ops::Range;

use tollgate_core::expression::Binary;

use super::Fault;
use super::tree::{Part, Tree, Word};
use super::types::Type;
use crate::diagnostic::{closest, listed};
use crate::zones;

/// A value of another type than is expected.
pub(super) fn mismatch(tree: &Tree, of: &Type, expected: &str, why: &str) -> Fault {
    let fix = match (of, expected) {
        (Type::Text, "an integer" | "a number") => "write `int(...)` around it".to_owned(),
        (Type::List(_), "true or false") => "write `... in list`, or `list.exists(x, ...)`".to_owned(),
        (_, "true or false") => "compare it with a value, as in `... == \"a\"`".to_owned(),
        _ => format!("write {expected} there"),
    };
    Fault::new(tree.at.clone(), format!("{of} in place of {expected}"), why, fix)
}

/// An operator that does not take values of these types.
pub(super) fn not_for(tree: &Tree, operator: Binary, (a, of_a): (&Tree, &Type), (b, of_b): (&Tree, &Type)) -> Fault {
    let symbol = symbol(operator);
    let (at, fix) = match (of_a, of_b) {
        (Type::Text, Type::Integer) => (a.at.clone(), "write `int(...)` around the text, or the number in quotes"),
        (Type::Integer, Type::Text) => (b.at.clone(), "write `int(...)` around the text, or the number in quotes"),
        (Type::Integer, Type::Double) | (Type::Double, Type::Integer) => {
            (tree.at.clone(), "write both numbers with a point, or both without")
        }
        (Type::Address, Type::Text) => (b.at.clone(), "write `ip(\"...\")` around the text"),
        (Type::Text, Type::Address) => (a.at.clone(), "write `ip(\"...\")` around the text"),
        (Type::Timestamp, Type::Text) => (b.at.clone(), "write `timestamp(\"...\")` around the text"),
        (Type::Text, Type::Timestamp) => (a.at.clone(), "write `timestamp(\"...\")` around the text"),
        (Type::List(_), _) => (tree.at.clone(), "write `value in list`, or `list.exists(x, x == value)`"),
        _ => (tree.at.clone(), "compare values of one type"),
    };
    let why = format!("`{symbol}` takes values of one type, or those that CEL defines it for");
    Fault::new(at, format!("`{symbol}` of {of_a} and {of_b}"), why, fix)
}

pub(super) const fn symbol(operator: Binary) -> &'static str {
    match operator {
        Binary::Or => "||",
        Binary::And => "&&",
        Binary::Equal => "==",
        Binary::NotEqual => "!=",
        Binary::Less => "<",
        Binary::LessOrEqual => "<=",
        Binary::Greater => ">",
        Binary::GreaterOrEqual => ">=",
        Binary::In => "in",
        Binary::Add => "+",
        Binary::Subtract => "-",
        Binary::Multiply => "*",
        Binary::Divide => "/",
        Binary::Remainder => "%",
        Binary::StartsWith => "startsWith",
        Binary::EndsWith => "endsWith",
        Binary::Contains => "contains",
        Binary::ContainsIp => "containsIP",
        Binary::Index => "[]",
    }
}

pub(super) const fn in_what(of: &Type) -> &'static str {
    match of {
        Type::Networks => "an address is tested by `cidr(\"10.0.0.0/8\").containsIP(client.address)`",
        Type::Text => "a part of a text is tested by `text.contains(\"part\")`",
        _ => "`in` tests whether a value is in a list",
    }
}

pub(super) fn not_a(at: &Range<usize>, text: &str, noun: &str, why: &str, fix: &str) -> Fault {
    Fault::new(at.clone(), format!("`{text}` is not a valid {noun}"), why, fix)
}

pub(super) fn unknown_function(name: &Word, arguments: usize, known: &[&str]) -> Fault {
    let text = name.text.as_str();
    let (what, fix) = if known.contains(&text) {
        let what = format!("`{text}` does not take {arguments} arguments");
        (what, "write it as its page shows: docs/policies/condition.md".to_owned())
    } else {
        let fix = match text {
            "matches" => "write `startsWith`, `endsWith` or `contains`: regular expressions are not offered".to_owned(),
            "map" | "filter" => "write `exists` or `all`: lists are tested and not made".to_owned(),
            "string" | "double" | "uint" | "bytes" | "bool" | "dyn" | "type" => {
                "remove it: of the conversions, `int` is offered".to_owned()
            }
            "len" | "length" | "count" => "write `size(...)`".to_owned(),
            "any" | "some" => "write `list.exists(x, ...)`".to_owned(),
            "every" => "write `list.all(x, ...)`".to_owned(),
            _ => closest(text, known.iter().copied()).map_or_else(
                || format!("write one of {}", listed(known.iter().copied())),
                |meant| format!("did you mean `{meant}`?"),
            ),
        };
        (format!("there is no function `{text}`"), fix)
    };
    Fault::new(name.at.clone(), what, "only functions whose work is bounded are offered", fix)
}

pub(super) fn no_zone(tree: &Tree) -> Fault {
    let why = "a zone is an offset from UTC, or the name of a zone (IANA) as it is spelled there";
    let meant = match &tree.part {
        Part::Text(text) => zones::meant(text),
        _ => None,
    };
    let fix = match meant {
        Some(name) => format!("did you mean `\"{name}\"`?"),
        None => "write a zone such as `\"Europe/Berlin\"` or `\"+02:00\"`, or leave it out for UTC".to_owned(),
    };
    Fault::new(tree.at.clone(), "this is not a zone", why, fix)
}
