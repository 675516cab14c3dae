//! Expressions about a request and its caller, in the syntax and with the semantics of CEL, as far as they go here
//! (<https://github.com/google/cel-spec>).
//!
//! The compiler of configurations parses and checks them; a bundle has them in the compiled form of this module, which is
//! evaluated without parsing. An expression is total: it has no loops besides macros over lists, and its work is bounded by
//! [`EXPRESSION_STEPS_MAX`]. Start with [`Expression::evaluate`].

mod calendar;
mod evaluate;
mod facts;
mod value;

use minicbor::Encode;
use minicbor::encode::{self, Encoder, Write};
use serde::{Deserialize, Serialize};

pub use calendar::TimePart;
pub use evaluate::EvaluationError;
#[cfg(test)]
pub(crate) use facts::with_facts;
pub use facts::{Facts, Source};
pub use value::{Items, Value};

use crate::bounds::{EXPRESSION_DEPTH_MAX, EXPRESSION_NODES_MAX, EXPRESSION_STEPS_MAX};
use crate::codec::{Decode, Failed, Reader};
use crate::guard::{Cidr, Networks};
use crate::time::Zone;

/// An expression in its compiled form: its nodes, each after those it is made of. The last one is the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expression {
    nodes: Vec<Node>,
}

/// The position of a node.
pub type NodeIndex = u16;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Node {
    /// `null`
    #[n(0)]
    Null,
    /// `true` or `false`
    #[n(1)]
    Bool(#[n(0)] bool),
    /// An integer.
    #[n(2)]
    Integer(#[n(0)] i64),
    /// A floating-point number, as its bits.
    #[n(3)]
    Double(#[n(0)] u64),
    /// A text.
    #[n(4)]
    Text(#[n(0)] String),
    /// An instant, in microseconds since 1970.
    #[n(5)]
    Timestamp(#[n(0)] i64),
    /// A duration, in microseconds.
    #[n(6)]
    Duration(#[n(0)] i64),
    /// An address, as the network of it alone.
    #[n(7)]
    Address(#[n(0)] Cidr),
    /// A network.
    #[n(8)]
    Networks(#[n(0)] Networks),
    /// What is known of the request or its caller.
    #[n(9)]
    Read(#[n(0)] Source),
    /// Whether it is known.
    #[n(10)]
    Has(#[n(0)] Source),
    /// A list of values.
    #[n(11)]
    List(#[n(0)] Vec<NodeIndex>),
    /// The variable of a macro, counted from the outermost one.
    #[n(12)]
    Variable(#[n(0)] u8),
    /// An operator with one operand.
    #[n(13)]
    Unary(#[n(0)] Unary, #[n(1)] NodeIndex),
    /// An operator with two operands.
    #[n(14)]
    Binary(#[n(0)] Binary, #[n(1)] NodeIndex, #[n(2)] NodeIndex),
    /// `condition ? then : otherwise`
    #[n(15)]
    Conditional(#[n(0)] NodeIndex, #[n(1)] NodeIndex, #[n(2)] NodeIndex),
    /// A macro over the elements of a list.
    #[n(16)]
    Each(#[n(0)] Quantifier, #[n(1)] NodeIndex, #[n(2)] NodeIndex),
    /// A part of an instant, in a zone that is so many minutes ahead of UTC.
    #[n(17)]
    Part(#[n(0)] TimePart, #[n(1)] i16, #[n(2)] NodeIndex),
    /// A time zone; it is no value.
    #[n(18)]
    Zone(#[n(0)] Zone),
    /// A part of an instant, in the zone of another node.
    #[n(19)]
    PartIn(#[n(0)] TimePart, #[n(1)] NodeIndex, #[n(2)] NodeIndex),
}

/// Operators and functions with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Unary {
    /// `!a`
    #[n(0)]
    Not,
    /// `-a`
    #[n(1)]
    Negative,
    /// `size(a)`: the characters of a text, or the elements of a list.
    #[n(2)]
    Size,
    /// `int(a)`
    #[n(3)]
    Int,
}

/// Operators and functions with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Binary {
    /// `a || b`
    #[n(0)]
    Or,
    /// `a && b`
    #[n(1)]
    And,
    /// `a == b`
    #[n(2)]
    Equal,
    /// `a != b`
    #[n(3)]
    NotEqual,
    /// `a < b`
    #[n(4)]
    Less,
    /// `a <= b`
    #[n(5)]
    LessOrEqual,
    /// `a > b`
    #[n(6)]
    Greater,
    /// `a >= b`
    #[n(7)]
    GreaterOrEqual,
    /// `a in b`
    #[n(8)]
    In,
    /// `a + b`
    #[n(9)]
    Add,
    /// `a - b`
    #[n(10)]
    Subtract,
    /// `a * b`
    #[n(11)]
    Multiply,
    /// `a / b`
    #[n(12)]
    Divide,
    /// `a % b`
    #[n(13)]
    Remainder,
    /// `a.startsWith(b)`
    #[n(14)]
    StartsWith,
    /// `a.endsWith(b)`
    #[n(15)]
    EndsWith,
    /// `a.contains(b)`
    #[n(16)]
    Contains,
    /// `a.containsIP(b)`
    #[n(17)]
    ContainsIp,
    /// `a[b]`
    #[n(18)]
    Index,
}

/// Macros over lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Quantifier {
    /// `list.all(x, condition)`
    #[n(0)]
    All,
    /// `list.exists(x, condition)`
    #[n(1)]
    Exists,
    /// `list.exists_one(x, condition)`
    #[n(2)]
    ExistsOne,
}

/// Why nodes are not an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// No node, or too many.
    #[error("it has more than {EXPRESSION_NODES_MAX} parts")]
    Nodes,
    /// A node is made of itself, of one after it, or of one that does not exist.
    #[error("a part refers to one that does not precede it")]
    Order,
    /// It is nested too deeply.
    #[error("it is nested more than {EXPRESSION_DEPTH_MAX} levels deep")]
    Depth,
    /// Its evaluation could take too many steps.
    #[error("its evaluation could take more than {EXPRESSION_STEPS_MAX} steps")]
    Steps,
}

impl Expression {
    /// The expression of these nodes.
    ///
    /// # Errors
    /// If they are none, or exceed a bound.
    pub fn new(nodes: Vec<Node>) -> Result<Self, ExpressionError> {
        if nodes.is_empty() || nodes.len() > EXPRESSION_NODES_MAX {
            return Err(ExpressionError::Nodes);
        }
        let mut seen: Vec<(usize, u64)> = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let measure = measure(node, &nodes, &seen)?;
            if measure.0 > EXPRESSION_DEPTH_MAX {
                return Err(ExpressionError::Depth);
            }
            seen.push(measure);
        }
        let steps = seen.last().map_or(0, |(_, steps)| *steps);
        if steps > u64::from(EXPRESSION_STEPS_MAX) { Err(ExpressionError::Steps) } else { Ok(Self { nodes }) }
    }

    /// Everything that it reads, in the order of its nodes.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Read(source) | Node::Has(source) => Some(source),
            _ => None,
        })
    }

    /// The parts, each after those it is made of.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether readers of the first version know all of its parts.
    pub(crate) fn is_of_first_version(&self) -> bool {
        self.nodes.iter().all(|node| match node {
            Node::Read(source) | Node::Has(source) => source.is_of_first_version(),
            Node::Zone(_) | Node::PartIn(..) => false,
            _ => true,
        })
    }

    /// Whether it is coherent; what a compiler wrote is.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        Self::new(self.nodes.clone()).is_ok()
    }

    fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(usize::from(index))
    }

    fn root(&self) -> NodeIndex {
        NodeIndex::try_from(self.nodes.len().saturating_sub(1)).unwrap_or(NodeIndex::MAX)
    }
}

/// The depth of a node, and the steps of its evaluation if each list of the request or its caller has
/// [`LIST_ITEMS_USUAL`] elements.
fn measure(node: &Node, nodes: &[Node], seen: &[(usize, u64)]) -> Result<(usize, u64), ExpressionError> {
    let of = |index: &NodeIndex| seen.get(usize::from(*index)).copied().ok_or(ExpressionError::Order);
    let items = |index: &NodeIndex| match nodes.get(usize::from(*index)) {
        Some(Node::List(all)) => all.len() as u64,
        _ => LIST_ITEMS_USUAL,
    };
    let (mut depth, mut steps) = (0, 1_u64);
    let mut add = |index: &NodeIndex, times: u64| {
        let (own, cost) = of(index)?;
        depth = depth.max(own);
        steps = steps.saturating_add(cost.saturating_mul(times));
        Ok(())
    };
    match node {
        Node::Unary(_, a) | Node::Part(_, _, a) => add(a, 1)?,
        Node::PartIn(_, zone, a) => [zone, a].into_iter().try_for_each(|index| add(index, 1))?,
        Node::Binary(operator, a, b) => {
            add(a, 1)?;
            add(b, 1)?;
            if *operator == Binary::In {
                steps = steps.saturating_add(items(b));
            }
        }
        Node::Conditional(a, b, c) => [a, b, c].into_iter().try_for_each(|index| add(index, 1))?,
        Node::Each(_, list, body) => {
            add(list, 1)?;
            add(body, items(list))?;
        }
        // The elements are evaluated when the list is, and when an element is used.
        Node::List(all) => all.iter().try_for_each(|index| add(index, 2))?,
        Node::Null
        | Node::Bool(_)
        | Node::Integer(_)
        | Node::Double(_)
        | Node::Text(_)
        | Node::Timestamp(_)
        | Node::Duration(_)
        | Node::Address(_)
        | Node::Networks(_)
        | Node::Read(_)
        | Node::Has(_)
        | Node::Variable(_)
        | Node::Zone(_) => {}
    }
    Ok((depth + 1, steps))
}

impl<C> Encode<C> for Expression {
    fn encode<W: Write>(&self, encoder: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        self.nodes.encode(encoder, context)
    }
}

impl Decode for Expression {
    fn blank() -> Self {
        Self { nodes: Vec::new() }
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        self.nodes.decode(reader)
    }
}

/// Elements of a list that a caller or request has, for the bound of the steps: more than nearly all have. Longer lists are
/// stopped when the steps are used up.
const LIST_ITEMS_USUAL: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn nodes_that_are_no_expression_are_refused() {
        let yes = Node::Bool(true);
        for (nodes, why) in [
            (vec![], ExpressionError::Nodes),
            (vec![yes.clone(); EXPRESSION_NODES_MAX + 1], ExpressionError::Nodes),
            (vec![Node::Unary(Unary::Not, 0)], ExpressionError::Order),
            (vec![Node::Unary(Unary::Not, 1), yes.clone()], ExpressionError::Order),
            (vec![yes.clone(), Node::List(vec![0, 7])], ExpressionError::Order),
        ] {
            assert_eq!(Expression::new(nodes), Err(why));
        }
        let not = |at: usize| Node::Unary(Unary::Not, NodeIndex::try_from(at).unwrap());
        let deep = |levels: usize| std::iter::once(yes.clone()).chain((0..levels).map(not)).collect::<Vec<_>>();
        assert!(Expression::new(deep(EXPRESSION_DEPTH_MAX - 1)).is_ok());
        assert_eq!(Expression::new(deep(EXPRESSION_DEPTH_MAX)), Err(ExpressionError::Depth));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn macros_within_macros_are_bounded() {
        let each = |list, body| Node::Each(Quantifier::All, list, body);
        let mut nodes = vec![Node::Read(Source::Groups), Node::Bool(true), each(0, 1), each(0, 2)];
        assert!(Expression::new(nodes.clone()).is_ok());
        nodes.push(each(0, 3));
        assert_eq!(Expression::new(nodes), Err(ExpressionError::Steps));
        // A node that is used twice counts twice.
        let double = |at: u16| Node::Binary(Binary::And, at, at);
        let shared = std::iter::once(Node::Bool(true)).chain((0..20).map(double)).collect();
        assert_eq!(Expression::new(shared), Err(ExpressionError::Steps));
    }
}
