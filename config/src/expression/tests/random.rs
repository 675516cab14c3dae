//! Random expressions against a plain evaluator.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tollgate_core::expression::Value;

use super::super::{compile, constant};
use super::Request;

/// An expression of the random tests, with the types that CEL requires.
#[derive(Clone, Debug)]
enum Plain {
    Bool(bool),
    Integer(i64),
    Text(&'static str),
    Read(&'static str),
    Prefix(&'static str, Box<Self>),
    Infix(&'static str, Box<Self>, Box<Self>),
    Method(&'static str, Box<Self>, Box<Self>),
    If(Box<Self>, Box<Self>, Box<Self>),
    List(Vec<Self>),
    Each(&'static str, Box<Self>, Box<Self>),
    Variable,
}

impl Plain {
    fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(text) => format!("{text:?}"),
            Self::Read(source) => (*source).to_owned(),
            Self::Prefix("size", of) => format!("size({})", of.text()),
            Self::Prefix(operator, of) => format!("{operator}({})", of.text()),
            Self::Infix(operator, a, b) => format!("({} {operator} {})", a.text(), b.text()),
            Self::Method(name, a, b) => format!("({}).{name}({})", a.text(), b.text()),
            Self::If(a, b, c) => format!("({} ? {} : {})", a.text(), b.text(), c.text()),
            Self::List(all) => format!("[{}]", all.iter().map(Self::text).collect::<Vec<_>>().join(", ")),
            Self::Each(name, list, body) => format!("{}.{name}(x, {})", list.text(), body.text()),
            Self::Variable => "x".to_owned(),
        }
    }
}

/// A value of the plain evaluator.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Self>),
}

/// Evaluates without any care for speed; `None` is an error.
fn plainly(expression: &Plain, read: &BTreeMap<&str, Known>, variable: Option<&Known>) -> Option<Known> {
    use Known::{Bool, Integer, List, Text};
    let of = |part: &Plain| plainly(part, read, variable);
    let condition = |part: &Plain| match of(part) {
        Some(Bool(value)) => Some(value),
        _ => None,
    };
    let integers = |a: &Plain, b: &Plain| match (of(a)?, of(b)?) {
        (Integer(a), Integer(b)) => Some((a, b)),
        _ => None,
    };
    match expression {
        Plain::Bool(value) => Some(Bool(*value)),
        Plain::Integer(value) => Some(Integer(*value)),
        Plain::Text(text) => Some(Text((*text).to_owned())),
        Plain::Read(source) => read.get(source).cloned(),
        Plain::Variable => variable.cloned(),
        Plain::Prefix("!", a) => condition(a).map(|value| Bool(!value)),
        Plain::Prefix("-", a) => match of(a)? {
            Integer(value) => value.checked_neg().map(Integer),
            _ => None,
        },
        Plain::Prefix(_, a) => match of(a)? {
            Text(text) => Some(Integer(text.chars().count() as i64)),
            List(all) => Some(Integer(all.len() as i64)),
            _ => None,
        },
        Plain::Infix("&&", a, b) => match (condition(a), condition(b)) {
            (Some(false), _) | (_, Some(false)) => Some(Bool(false)),
            (Some(true), Some(true)) => Some(Bool(true)),
            _ => None,
        },
        Plain::Infix("||", a, b) => match (condition(a), condition(b)) {
            (Some(true), _) | (_, Some(true)) => Some(Bool(true)),
            (Some(false), Some(false)) => Some(Bool(false)),
            _ => None,
        },
        Plain::Infix("==", a, b) => Some(Bool(of(a)? == of(b)?)),
        Plain::Infix("!=", a, b) => Some(Bool(of(a)? != of(b)?)),
        Plain::Infix("in", a, b) => match (of(a)?, of(b)?) {
            (a, List(all)) => Some(Bool(all.contains(&a))),
            _ => None,
        },
        Plain::Infix("<", a, b) => match (of(a)?, of(b)?) {
            (Integer(a), Integer(b)) => Some(Bool(a < b)),
            (Text(a), Text(b)) => Some(Bool(a < b)),
            _ => None,
        },
        Plain::Infix(operator, a, b) => {
            if let (Some(Text(a)), Some(Text(b)), "+") = (of(a), of(b), *operator) {
                return Some(Text(a + &b));
            }
            let (a, b) = integers(a, b)?;
            match *operator {
                "+" => a.checked_add(b),
                "-" => a.checked_sub(b),
                "*" => a.checked_mul(b),
                "/" => a.checked_div(b),
                _ => a.checked_rem(b),
            }
            .map(Integer)
        }
        Plain::Method(name, a, b) => match (of(a)?, of(b)?) {
            (Text(a), Text(b)) => Some(Bool(match *name {
                "startsWith" => a.starts_with(&b),
                "endsWith" => a.ends_with(&b),
                _ => a.contains(&b),
            })),
            _ => None,
        },
        Plain::If(a, b, c) => of(if condition(a)? { b } else { c }),
        Plain::List(all) => all.iter().map(of).collect::<Option<Vec<_>>>().map(List),
        Plain::Each(name, list, body) => {
            let List(all) = of(list)? else { return None };
            let results: Vec<Option<bool>> = all
                .iter()
                .map(|element| match plainly(body, read, Some(element)) {
                    Some(Bool(value)) => Some(value),
                    _ => None,
                })
                .collect();
            match *name {
                "all" if results.contains(&Some(false)) => Some(Bool(false)),
                "all" => (!results.contains(&None)).then_some(Bool(true)),
                "exists" if results.contains(&Some(true)) => Some(Bool(true)),
                "exists" => (!results.contains(&None)).then_some(Bool(false)),
                _ => (!results.contains(&None))
                    .then(|| Bool(results.iter().filter(|result| **result == Some(true)).count() == 1)),
            }
        }
    }
}

/// What the request of the tests has; other names are missing or repeated.
fn known() -> BTreeMap<&'static str, Known> {
    let texts = |all: &[&str]| Known::List(all.iter().map(|text| Known::Text((*text).to_owned())).collect());
    BTreeMap::from([
        ("request.method", Known::Text("POST".into())),
        ("request.headers[\"x-a\"]", Known::Text("alpha".into())),
        ("params.id", Known::Text("7".into())),
        ("principal.consumer", Known::Text("acme".into())),
        ("principal.scopes", texts(&["read", "write"])),
        ("principal.groups", texts(&["ops", "staff"])),
        ("int(principal.claims.n)", Known::Integer(5)),
    ])
}

fn infix(operator: &'static str, a: Plain, b: Plain) -> Plain {
    Plain::Infix(operator, a.into(), b.into())
}

/// Expressions that are integers, texts and conditions, of this depth; within a macro with its variable, a text.
fn integer(depth: u32, in_macro: bool) -> BoxedStrategy<Plain> {
    let some = prop_oneof![Just(0), Just(1), Just(-1), Just(7), Just(i64::MAX), -9_i64..9];
    let leaf = prop_oneof![4 => some.prop_map(Plain::Integer), 1 => Just(Plain::Read("int(principal.claims.n)")), 1 => Just(Plain::Read("int(principal.claims.missing)"))];
    if depth == 0 {
        return leaf.boxed();
    }
    let operator = prop::sample::select(vec!["+", "-", "*", "/", "%"]);
    prop_oneof![
        leaf,
        (operator, integer(depth - 1, in_macro), integer(depth - 1, in_macro))
            .prop_map(|(operator, a, b)| infix(operator, a, b)),
        integer(depth - 1, in_macro).prop_map(|a| Plain::Prefix("-", a.into())),
        text(depth - 1, in_macro).prop_map(|a| Plain::Prefix("size", a.into())),
        (condition(depth - 1, in_macro), integer(depth - 1, in_macro), integer(depth - 1, in_macro))
            .prop_map(|(a, b, c)| Plain::If(a.into(), b.into(), c.into())),
    ]
    .boxed()
}

fn text(depth: u32, in_macro: bool) -> BoxedStrategy<Plain> {
    let texts = prop::sample::select(vec!["", "a", "alpha", "read", "write", "7", "é"]).prop_map(Plain::Text);
    let sources = vec![
        "request.method",
        "request.headers[\"x-a\"]",
        "request.headers[\"x-twice\"]",
        "principal.plan",
        "params.id",
        "principal.consumer",
    ];
    let sources = prop::sample::select(sources).prop_map(Plain::Read);
    let variable = if in_macro { Just(Plain::Variable).boxed() } else { Just(Plain::Text("x")).boxed() };
    let leaf = prop_oneof![texts, sources, variable];
    if depth == 0 {
        return leaf.boxed();
    }
    let deeper = move || text(depth - 1, in_macro);
    prop_oneof![
        2 => leaf,
        1 => (deeper(), deeper()).prop_map(|(a, b)| infix("+", a, b)),
        1 => (condition(depth - 1, in_macro), deeper(), deeper()).prop_map(|(a, b, c)| Plain::If(a.into(), b.into(), c.into())),
    ]
    .boxed()
}

fn condition(depth: u32, in_macro: bool) -> BoxedStrategy<Plain> {
    if depth == 0 {
        return any::<bool>().prop_map(Plain::Bool).boxed();
    }
    let deeper = move || condition(depth - 1, in_macro);
    let (number, word) = (move || integer(depth - 1, in_macro), move || text(depth - 1, in_macro));
    let logical = prop::sample::select(vec!["&&", "||"]);
    let compared = || prop::sample::select(vec!["==", "!=", "<"]);
    let method = prop::sample::select(vec!["startsWith", "endsWith", "contains"]);
    let each = prop::sample::select(vec!["all", "exists", "exists_one"]);
    let of_caller = prop::sample::select(vec!["principal.scopes", "principal.groups"]).prop_map(Plain::Read);
    let list = prop_oneof![of_caller, prop::collection::vec(text(depth - 1, in_macro), 1..4).prop_map(Plain::List)];
    let same_list = prop::collection::vec(text(depth - 1, in_macro), 1..4).prop_map(Plain::List);
    prop_oneof![
        3 => (logical, deeper(), deeper()).prop_map(|(operator, a, b)| infix(operator, a, b)),
        1 => deeper().prop_map(|a| Plain::Prefix("!", a.into())),
        2 => (compared(), number(), number()).prop_map(|(operator, a, b)| infix(operator, a, b)),
        2 => (compared(), word(), word()).prop_map(|(operator, a, b)| infix(operator, a, b)),
        1 => (method, word(), word()).prop_map(|(name, a, b)| Plain::Method(name, a.into(), b.into())),
        1 => (word(), list.clone()).prop_map(|(a, list)| infix("in", a, list)),
        1 => (same_list, list.clone()).prop_map(|(a, b)| infix("==", a, b)),
        1 => (each, list, condition(depth - 1, true)).prop_map(|(name, list, body)| Plain::Each(name, list.into(), body.into())),
        1 => (deeper(), deeper(), deeper()).prop_map(|(a, b, c)| Plain::If(a.into(), b.into(), c.into())),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The compiled form has the value that a plain evaluator finds for what is written, or none like it.
    #[test]
    fn random_expressions_have_the_value_that_a_plain_evaluator_finds(expression in condition(4, false)) {
        let text = expression.text();
        let Ok(compiled) = compile(&text) else {
            // Only what exceeds a bound is refused.
            let fault = compile(&text).expect_err("the same again");
            prop_assert!(fault.what.contains("too large") || fault.what.contains("bytes"), "{}\n{:?}", text, fault);
            return Ok(());
        };
        let want = match plainly(&expression, &known(), None) {
            Some(Known::Bool(value)) => Some(value),
            _ => None,
        };
        prop_assert_eq!(compiled.holds(&Request::new().facts()).ok(), want, "{}", text);
        // What is said to be so for every request is so for this one.
        let requests = constant::Requests { methods: vec!["POST"], have_caller: true, ..Default::default() };
        let found = constant::outcomes(&compiled, &requests);
        let is_possible = match want {
            Some(true) => found.is_true,
            Some(false) => found.is_false,
            None => found.fails,
        };
        prop_assert!(is_possible, "{} cannot be {:?}: {:?}", text, want, found);
    }

    /// No text makes the compiler or the evaluation panic.
    #[test]
    fn any_text_is_compiled_or_refused(text in "[ -~é\n]{0,60}|[a-z.()\\[\\]\"0-9&|!<>=?:, +*/%-]{0,60}") {
        if let Ok(compiled) = compile(&text) {
            let request = Request::new();
            let facts = request.facts();
            prop_assert!(!matches!(compiled.evaluate(&facts), Ok(Value::Object)));
        }
    }
}
