//! The evaluation of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;

use thiserror::Error;

use super::value::{Items, Value, arithmetic};
use super::{Binary, Expression, Facts, Node, NodeIndex, Quantifier, Source, TimePart, Unary};
use crate::bounds::EXPRESSION_STEPS_MAX;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvaluationError {
    /// What it reads is not there, or is not known.
    #[error("there is no `{0}`")]
    Missing(Source),
    /// What it reads is there several times.
    #[error("there is more than one `{0}`")]
    Several(Source),
    /// What it reads has a spelling that receivers read in different ways.
    #[error("`{0}` is spelled in a way that servers read differently")]
    Ambiguous(Source),
    /// What it reads is not valid UTF-8.
    #[error("`{0}` is not text")]
    NotText(Source),
    /// An operator or function does not take these values.
    #[error("an operator or function does not take values of these types")]
    Type,
    /// A number, instant or duration is out of range.
    #[error("a number, an instant or a duration is out of range")]
    Overflow,
    /// A division by zero.
    #[error("a division by zero")]
    DividedByZero,
    /// An element that a list does not have.
    #[error("a list does not have the element")]
    NoElement,
    /// A text is too long.
    #[error("a text is too long")]
    TooLong,
    /// The evaluation takes too many steps.
    #[error("a list is too long for this condition: the evaluation was stopped after {EXPRESSION_STEPS_MAX} steps")]
    TooManySteps,
}

impl EvaluationError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Several(_) => "several",
            Self::Ambiguous(_) => "ambiguous",
            Self::NotText(_) => "not-text",
            Self::Type => "type",
            Self::Overflow => "overflow",
            Self::DividedByZero => "divided-by-zero",
            Self::NoElement => "no-element",
            Self::TooLong => "too-long",
            Self::TooManySteps => "too-many-steps",
        }
    }
}

impl Expression {
    /// The value of the expression for a request.
    ///
    /// # Errors
    /// If it has none. An error in one operand of `&&` and `||` does not matter if the other one decides, in any order.
    pub fn evaluate<'v>(&'v self, facts: &'v Facts<'v>) -> Result<Value<'v>, EvaluationError> {
        Evaluation { expression: self, facts, variables: Vec::new(), steps: 0 }.value(self.root())
    }

    /// An element of a list that is its value, or a part of it.
    pub(crate) fn item<'v>(
        &'v self,
        facts: &'v Facts<'v>,
        items: Items<'v>,
        at: usize,
    ) -> Result<Value<'v>, EvaluationError> {
        Evaluation { expression: self, facts, variables: Vec::new(), steps: 0 }.element(items, at)
    }

    /// The value of a condition.
    ///
    /// # Errors
    /// If it has none, or one that is neither `true` nor `false`.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, EvaluationError> {
        boolean(&self.evaluate(facts)?)
    }
}

type Evaluated<'v> = Result<Value<'v>, EvaluationError>;

struct Evaluation<'v> {
    expression: &'v Expression,
    facts: &'v Facts<'v>,
    /// The values of the variables of macros, the outermost first.
    variables: Vec<Value<'v>>,
    steps: u32,
}

impl<'v> Evaluation<'v> {
    fn step(&mut self) -> Result<(), EvaluationError> {
        self.steps += 1;
        if self.steps > EXPRESSION_STEPS_MAX { Err(EvaluationError::TooManySteps) } else { Ok(()) }
    }

    fn value(&mut self, index: NodeIndex) -> Evaluated<'v> {
        self.step()?;
        let (expression, facts) = (self.expression, self.facts);
        let Some(node) = expression.node(index) else { return Err(EvaluationError::Type) };
        match node {
            Node::Null => Ok(Value::Null),
            Node::Bool(value) => Ok(Value::Bool(*value)),
            Node::Integer(value) => Ok(Value::Integer(*value)),
            Node::Double(bits) => Ok(Value::Double(f64::from_bits(*bits))),
            Node::Text(text) => Ok(Value::Text(Cow::Borrowed(text))),
            Node::Timestamp(micros) => Ok(Value::Timestamp(*micros)),
            Node::Duration(micros) => Ok(Value::Duration(*micros)),
            Node::Address(network) => Ok(Value::Address(network.first())),
            Node::Networks(networks) => Ok(Value::Networks(networks)),
            Node::Read(source) => facts.read(source),
            Node::Has(source) => Ok(Value::Bool(facts.has(source))),
            Node::List(all) => self.list(all),
            Node::Variable(place) => self.variables.get(usize::from(*place)).cloned().ok_or(EvaluationError::Type),
            Node::Unary(operator, operand) => {
                let operand = self.value(*operand)?;
                unary(*operator, &operand)
            }
            Node::Binary(operator, a, b) => self.binary(*operator, *a, *b),
            Node::Conditional(condition, then, otherwise) => {
                let holds = boolean(&self.value(*condition)?)?;
                self.value(if holds { *then } else { *otherwise })
            }
            Node::Each(quantifier, list, body) => self.each(*quantifier, *list, *body),
            Node::Zone(_) => Err(EvaluationError::Type),
            Node::Part(part, offset_minutes, operand) => self.part(*part, *operand, &|_| *offset_minutes),
            Node::PartIn(part, zone, operand) => match expression.node(*zone) {
                Some(Node::Zone(zone)) => self.part(*part, *operand, &|second| zone.minutes_at(second)),
                _ => Err(EvaluationError::Type),
            },
        }
    }

    /// A part of an instant, in a zone that is so many minutes ahead of UTC in a second.
    fn part(&mut self, part: TimePart, operand: NodeIndex, minutes_at: &dyn Fn(i64) -> i16) -> Evaluated<'v> {
        match self.value(operand)? {
            Value::Timestamp(micros) => Ok(Value::Integer(part.of(micros, minutes_at(micros.div_euclid(1_000_000))))),
            _ => Err(EvaluationError::Type),
        }
    }

    /// A list has a value only if all of its elements have one.
    fn list(&mut self, all: &'v [NodeIndex]) -> Evaluated<'v> {
        for index in all {
            self.value(*index)?;
        }
        Ok(Value::List(Items::Nodes(all)))
    }

    fn element(&mut self, items: Items<'v>, at: usize) -> Evaluated<'v> {
        self.step()?;
        match items {
            Items::Texts(all) => all.get(at).map(|text| Value::Text(Cow::Borrowed(text))),
            Items::Claims(all) => all.get(at).map(Value::from),
            Items::Nodes(all) => match all.get(at) {
                Some(index) => return self.value(*index),
                None => None,
            },
        }
        .ok_or(EvaluationError::NoElement)
    }

    fn binary(&mut self, operator: Binary, a: NodeIndex, b: NodeIndex) -> Evaluated<'v> {
        match operator {
            Binary::Or => return self.either(a, b, true),
            Binary::And => return self.either(a, b, false),
            _ => {}
        }
        let (a, b) = (self.value(a)?, self.value(b)?);
        let ordered = |is_so: fn(Ordering) -> bool| match a.order(&b) {
            Some(order) => Ok(Value::Bool(is_so(order))),
            // A number that is none is in no order with another one.
            None if a.is_ordered_with(&b) => Ok(Value::Bool(false)),
            None => Err(EvaluationError::Type),
        };
        match operator {
            Binary::Equal => self.are_equal(&a, &b).map(Value::Bool),
            Binary::NotEqual => self.are_equal(&a, &b).map(|equal| Value::Bool(!equal)),
            Binary::Less => ordered(Ordering::is_lt),
            Binary::LessOrEqual => ordered(Ordering::is_le),
            Binary::Greater => ordered(Ordering::is_gt),
            Binary::GreaterOrEqual => ordered(Ordering::is_ge),
            Binary::In => self.is_in(&a, &b).map(Value::Bool),
            Binary::StartsWith => on_texts(&a, &b, |a, b| a.starts_with(b)),
            Binary::EndsWith => on_texts(&a, &b, |a, b| a.ends_with(b)),
            Binary::Contains => on_texts(&a, &b, |a, b| a.contains(b)),
            Binary::ContainsIp => match (&a, &b) {
                (Value::Networks(networks), Value::Address(address)) => {
                    Ok(Value::Bool(networks.longest(*address).is_some()))
                }
                _ => Err(EvaluationError::Type),
            },
            Binary::Index => match (a, b) {
                (Value::List(items), Value::Integer(at)) => {
                    self.element(items, usize::try_from(at).map_err(|_| EvaluationError::NoElement)?)
                }
                _ => Err(EvaluationError::Type),
            },
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
                arithmetic(operator, &a, &b)
            }
            Binary::Or | Binary::And => Err(EvaluationError::Type),
        }
    }

    /// `||` and `&&`: one operand with the deciding value is enough, whatever the other one is.
    fn either(&mut self, a: NodeIndex, b: NodeIndex, decides: bool) -> Evaluated<'v> {
        let first = self.value(a).and_then(|value| boolean(&value));
        if first == Ok(decides) {
            return Ok(Value::Bool(decides));
        }
        let second = self.value(b).and_then(|value| boolean(&value));
        if second == Ok(decides) {
            return Ok(Value::Bool(decides));
        }
        first.and(second).map(Value::Bool)
    }

    fn are_equal(&mut self, a: &Value<'v>, b: &Value<'v>) -> Result<bool, EvaluationError> {
        let (Value::List(a), Value::List(b)) = (a, b) else { return Ok(a.equals(b)) };
        if a.len() != b.len() {
            return Ok(false);
        }
        for at in 0..a.len() {
            let (a, b) = (self.element(*a, at)?, self.element(*b, at)?);
            if !self.are_equal(&a, &b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_in(&mut self, value: &Value<'v>, list: &Value<'v>) -> Result<bool, EvaluationError> {
        let Value::List(items) = list else { return Err(EvaluationError::Type) };
        for at in 0..items.len() {
            let element = self.element(*items, at)?;
            if self.are_equal(value, &element)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As `&&` or `||` of the condition for all elements; `exists_one` counts, and has no value if one has none.
    fn each(&mut self, quantifier: Quantifier, list: NodeIndex, body: NodeIndex) -> Evaluated<'v> {
        let Value::List(items) = self.value(list)? else { return Err(EvaluationError::Type) };
        let (mut failed, mut count) = (None, 0_usize);
        for at in 0..items.len() {
            let element = self.element(items, at)?;
            self.variables.push(element);
            let holds = self.value(body).and_then(|value| boolean(&value));
            self.variables.pop();
            match (quantifier, holds) {
                (_, Err(EvaluationError::TooManySteps)) => return Err(EvaluationError::TooManySteps),
                (Quantifier::ExistsOne, Err(error)) => return Err(error),
                (Quantifier::All, Ok(false)) => return Ok(Value::Bool(false)),
                (Quantifier::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                (_, Err(error)) => failed = failed.or(Some(error)),
                (_, Ok(holds)) => count += usize::from(holds),
            }
        }
        match (failed, quantifier) {
            (Some(error), _) => Err(error),
            (None, Quantifier::All) => Ok(Value::Bool(true)),
            (None, Quantifier::Exists) => Ok(Value::Bool(false)),
            (None, Quantifier::ExistsOne) => Ok(Value::Bool(count == 1)),
        }
    }
}

const fn boolean(value: &Value<'_>) -> Result<bool, EvaluationError> {
    match value {
        Value::Bool(value) => Ok(*value),
        _ => Err(EvaluationError::Type),
    }
}

fn on_texts<'v>(a: &Value<'_>, b: &Value<'_>, test: impl Fn(&str, &str) -> bool) -> Evaluated<'v> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Value::Bool(test(a, b))),
        _ => Err(EvaluationError::Type),
    }
}

fn unary<'v>(operator: Unary, operand: &Value<'v>) -> Evaluated<'v> {
    let integer = |value: Option<i64>| value.map(Value::Integer).ok_or(EvaluationError::Overflow);
    match (operator, operand) {
        (Unary::Not, Value::Bool(value)) => Ok(Value::Bool(!value)),
        (Unary::Negative, Value::Integer(value)) => integer(value.checked_neg()),
        (Unary::Negative, Value::Double(value)) => Ok(Value::Double(-value)),
        (Unary::Size, Value::Text(text)) => integer(i64::try_from(text.chars().count()).ok()),
        (Unary::Size, Value::List(items)) => integer(i64::try_from(items.len()).ok()),
        (Unary::Int, Value::Integer(value)) => Ok(Value::Integer(*value)),
        (Unary::Int, Value::Double(value)) => integer(whole(*value)),
        (Unary::Int, Value::Text(text)) => integer(text.parse().ok()),
        (Unary::Int, Value::Timestamp(micros)) => Ok(Value::Integer(micros.div_euclid(1_000_000))),
        _ => Err(EvaluationError::Type),
    }
}

/// The integer towards zero, if it is one of 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "within the range")]
fn whole(value: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    (value > -END && value < END).then_some(value as i64)
}
