//! Expressions in the syntax of CEL: from text to core's compiled form.
//!
//! [`compile`] parses, resolves names and checks types. What it accepts has the meaning that CEL gives it
//! (<https://github.com/google/cel-spec>); what CEL has besides, it refuses by name. The evaluation is core's.

mod check;
pub mod constant;
mod faults;
mod lex;
mod literals;
mod names;
mod parse;
#[cfg(test)]
mod tests;
mod tree;
mod types;

use std::ops::Range;

use tollgate_core::expression::{Expression, Node};
use tree::Tree;

/// Why a text is not an expression: where, what, why, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The bytes of the text that it is about.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// Why it is refused.
    pub why: String,
    /// How to mend it.
    pub fix: String,
}

impl Fault {
    fn new(at: Range<usize>, what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { at, what: what.into(), why: why.into(), fix: fix.into() }
    }
}

/// Compiles a condition: an expression that is `true` or `false`.
///
/// # Errors
/// The first fault of the text.
pub fn compile(text: &str) -> Result<Expression, Fault> {
    compiled(text, check::check)
}

/// Compiles an expression whose value is sent as JSON.
///
/// # Errors
/// The first fault of the text.
pub fn compile_value(text: &str) -> Result<Expression, Fault> {
    compiled(text, check::check_value)
}

fn compiled(text: &str, check: fn(&Tree) -> Result<Vec<Node>, Fault>) -> Result<Expression, Fault> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("the expression has {} bytes", text.len());
        return Err(Fault::new(
            0..text.len(),
            what,
            format!("the maximum is {TEXT_BYTES_MAX}"),
            "split it into several policies",
        ));
    }
    let tree = parse::parse(text)?;
    let nodes = check(&tree).map_err(|fault| with_hyphen(text, fault))?;
    Expression::new(nodes).map_err(|error| {
        let fix = "split it into several policies, all of which `authz` lists";
        Fault::new(
            0..text.len(),
            format!("the expression is too large: {error}"),
            "the work for one request is bounded",
            fix,
        )
    })
}

/// A name with a hyphen, as fields of HTTP have it, is read as a subtraction: says how to write it.
fn with_hyphen(text: &str, mut fault: Fault) -> Fault {
    for map in ["request.headers", "request.query", "principal.claims"] {
        for (at, _) in text.match_indices(map) {
            let Some(rest) = text[at + map.len()..].strip_prefix('.') else { continue };
            let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
            let name = &rest[..length];
            let end = at + map.len() + 1 + length;
            if name.contains('-') && (at..end).contains(&fault.at.start) {
                fault.fix = format!("write `{map}[\"{name}\"]`: a name with a hyphen is in brackets");
                return fault;
            }
        }
    }
    fault
}

/// The longest text of an expression: a page.
pub const TEXT_BYTES_MAX: usize = 8_192;
