//! Resolves names, checks types, and makes core's nodes of an expression.

use tollgate_core::expression::{Binary, Node, NodeIndex, Quantifier, TimePart, Unary};
use tollgate_core::guard::{Cidr, Networks};
use tollgate_core::time::Timestamp;

use super::Fault;
use super::faults::{in_what, mismatch, no_zone, not_a, not_for, unknown_function};
use super::literals::{duration, offset_minutes, time_part};
use super::names::{Chain, ROOTS};
use super::tree::{Part, Tree, Word};
use super::types::Type;
use crate::zones;

/// The nodes of a condition.
pub(super) fn check(tree: &Tree) -> Result<Vec<Node>, Fault> {
    let mut checking = Checking { nodes: Vec::new(), zones: Vec::new(), variables: Vec::new() };
    let (_, of) = checking.part(tree)?;
    if !of.fits(&Type::Bool) {
        let why = "a condition is true or false";
        return Err(Fault::new(
            tree.at.clone(),
            format!("the expression is {of}"),
            why,
            "compare it, as in `... == \"a\"`",
        ));
    }
    Ok(checking.nodes)
}

/// The nodes of an expression whose value is sent.
pub(super) fn check_value(tree: &Tree) -> Result<Vec<Node>, Fault> {
    let mut checking = Checking { nodes: Vec::new(), zones: Vec::new(), variables: Vec::new() };
    let (_, of) = checking.part(tree)?;
    if matches!(of, Type::Duration | Type::Networks) {
        let why = "it has no form in JSON";
        return Err(Fault::new(
            tree.at.clone(),
            format!("{of} cannot be sent"),
            why,
            "send a text, a number or a condition",
        ));
    }
    Ok(checking.nodes)
}

struct Checking<'t> {
    nodes: Vec<Node>,
    /// The zones so far, with their nodes.
    zones: Vec<(&'t str, NodeIndex)>,
    /// The variables of macros, the outermost first, with their types.
    variables: Vec<(&'t str, Type)>,
}

type Checked = Result<(NodeIndex, Type), Fault>;

impl<'t> Checking<'t> {
    fn push(&mut self, node: Node, of: Type) -> Checked {
        let index = NodeIndex::try_from(self.nodes.len()).map_err(|_| {
            Fault::new(0..0, "the expression is too large", "the work for one request is bounded", "split it")
        })?;
        self.nodes.push(node);
        Ok((index, of))
    }

    fn part(&mut self, tree: &'t Tree) -> Checked {
        match &tree.part {
            Part::Null => self.push(Node::Null, Type::Null),
            Part::Bool(value) => self.push(Node::Bool(*value), Type::Bool),
            Part::Integer(value) => self.push(Node::Integer(*value), Type::Integer),
            Part::Double(value) => self.push(Node::Double(value.to_bits()), Type::Double),
            Part::Text(text) => self.push(Node::Text(text.clone()), Type::Text),
            Part::Name(_) | Part::Select(..) => self.chain(tree),
            Part::Index(on, index) => self.index(tree, on, index),
            Part::Call { on: None, name, arguments } => self.function(tree, name, arguments),
            Part::Call { on: Some(on), name, arguments } => self.method(tree, on, name, arguments),
            Part::List(all) => self.list(all),
            Part::Unary(operator, operand) => self.unary(*operator, operand),
            Part::Binary(operator, a, b) => self.binary(tree, *operator, a, b),
            Part::Conditional(condition, then, otherwise) => self.conditional(condition, then, otherwise),
        }
    }

    /// A variable, or what is known of the request.
    fn chain(&mut self, tree: &'t Tree) -> Checked {
        if let Part::Name(name) = &tree.part
            && let Some(place) = self.variables.iter().rposition(|(own, _)| own == name)
        {
            let of = self.variables[place].1.clone();
            return self.push(Node::Variable(u8::try_from(place).unwrap_or(u8::MAX)), of);
        }
        let chain = Chain::of(tree).filter(|chain| !self.variables.iter().any(|(own, _)| *own == chain.root));
        let Some(chain) = chain else {
            let why = "only `request`, `params`, `client` and `principal` have members";
            return Err(Fault::new(
                tree.at.clone(),
                "a member of a value that has none",
                why,
                "compare the value itself",
            ));
        };
        let (source, of) = chain.source()?;
        self.push(Node::Read(source), of)
    }

    fn index(&mut self, tree: &'t Tree, on: &'t Tree, index: &'t Tree) -> Checked {
        if matches!(index.part, Part::Text(_)) {
            return self.chain(tree);
        }
        let root = Chain::of(on).filter(|chain| matches!(chain.members.last(), Some(("headers" | "query", _))));
        if let Some(chain) = root {
            let fix = format!("write a text: `{}.{}[\"name\"]`", chain.root, chain.members[0].0);
            return Err(Fault::new(
                index.at.clone(),
                "a name that is computed",
                "what a condition reads is known when it is compiled",
                fix,
            ));
        }
        let (list, of) = self.part(on)?;
        let element = match of {
            Type::List(element) => *element,
            Type::Dyn => Type::Dyn,
            of => return Err(mismatch(on, &of, "a list", "only lists have elements")),
        };
        let (at, of) = self.part(index)?;
        if !of.fits(&Type::Integer) {
            return Err(mismatch(index, &of, "an integer", "elements are counted from 0"));
        }
        self.push(Node::Binary(Binary::Index, list, at), element)
    }

    fn list(&mut self, all: &'t [Tree]) -> Checked {
        let (mut indices, mut element) = (Vec::with_capacity(all.len()), Type::Dyn);
        for item in all {
            let (index, of) = self.part(item)?;
            if matches!(of, Type::List(_)) {
                let why = "lists of lists are not offered";
                return Err(Fault::new(item.at.clone(), "a list within a list", why, "compare the lists one by one"));
            }
            if !of.fits(&element) {
                return Err(mismatch(item, &of, &element.to_string(), "the values of a list have one type"));
            }
            element = element.or(of);
            indices.push(index);
        }
        self.push(Node::List(indices), Type::List(element.into()))
    }

    fn unary(&mut self, operator: Unary, operand: &'t Tree) -> Checked {
        let (index, of) = self.part(operand)?;
        let (is_right, result, expected) = match operator {
            Unary::Not => (of.fits(&Type::Bool), Type::Bool, "true or false"),
            _ => (of.fits(&Type::Integer) || of.fits(&Type::Double), of.clone(), "a number"),
        };
        if !is_right {
            return Err(mismatch(operand, &of, expected, "the operator takes no other value"));
        }
        self.push(Node::Unary(operator, index), result)
    }

    fn conditional(&mut self, condition: &'t Tree, then: &'t Tree, otherwise: &'t Tree) -> Checked {
        let (test, of) = self.part(condition)?;
        if !of.fits(&Type::Bool) {
            return Err(mismatch(condition, &of, "true or false", "`?` chooses by a condition"));
        }
        let (first, own) = self.part(then)?;
        let (second, other) = self.part(otherwise)?;
        if !own.fits(&other) {
            return Err(mismatch(otherwise, &other, &own.to_string(), "both results of `?:` have one type"));
        }
        self.push(Node::Conditional(test, first, second), own.or(other))
    }

    fn binary(&mut self, tree: &'t Tree, operator: Binary, a: &'t Tree, b: &'t Tree) -> Checked {
        if let (Binary::In, Some(has)) = (operator, self.has_member(a, b)) {
            return has;
        }
        let ((left, of_left), (right, of_right)) = (self.part(a)?, self.part(b)?);
        let result = match operator {
            Binary::And | Binary::Or => {
                for (tree, of) in [(a, &of_left), (b, &of_right)] {
                    if !of.fits(&Type::Bool) {
                        return Err(mismatch(tree, of, "true or false", "`&&` and `||` combine conditions"));
                    }
                }
                Some(Type::Bool)
            }
            Binary::Equal | Binary::NotEqual => of_left.fits(&of_right).then_some(Type::Bool),
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                (of_left.fits(&of_right) && of_left.is_ordered() && of_right.is_ordered()).then_some(Type::Bool)
            }
            Binary::In => match &of_right {
                Type::List(element) => of_left.fits(element).then_some(Type::Bool),
                Type::Dyn => Some(Type::Bool),
                of => return Err(mismatch(b, of, "a list", in_what(of))),
            },
            _ => arithmetic(operator, &of_left, &of_right),
        };
        let Some(result) = result else { return Err(not_for(tree, operator, (a, &of_left), (b, &of_right))) };
        self.push(Node::Binary(operator, left, right), result)
    }

    /// `"name" in request.headers`
    fn has_member(&mut self, a: &'t Tree, b: &'t Tree) -> Option<Checked> {
        let Part::Text(key) = &a.part else { return None };
        let source = Chain::of(b)?.map(key, &a.at)?;
        Some(source.and_then(|source| self.push(Node::Has(source), Type::Bool)))
    }

    fn function(&mut self, tree: &'t Tree, name: &Word, arguments: &'t [Tree]) -> Checked {
        match (name.text.as_str(), arguments) {
            ("size", [of]) => self.size(of),
            ("int", [of]) => {
                let (index, own) = self.part(of)?;
                let is_right =
                    [Type::Text, Type::Integer, Type::Double, Type::Timestamp].iter().any(|one| own.fits(one));
                if !is_right {
                    return Err(mismatch(of, &own, "a text or a number", "`int` makes an integer of it"));
                }
                self.push(Node::Unary(Unary::Int, index), Type::Integer)
            }
            ("has", [of]) => self.has(of),
            ("timestamp", [Tree { part: Part::Text(text), at }]) => {
                let instant = Timestamp::from_rfc3339(text).and_then(|at| i64::try_from(at.as_micros()).ok());
                let fix = "write a timestamp such as `timestamp(\"2026-01-31T23:59:50Z\")`, after 1970";
                let instant = instant
                    .ok_or_else(|| not_a(at, text, "timestamp", "timestamps are written as in RFC 3339", fix))?;
                self.push(Node::Timestamp(instant), Type::Timestamp)
            }
            ("duration", [Tree { part: Part::Text(text), at }]) => {
                let fix = "write a duration such as `duration(\"90m\")` or `duration(\"1h30m\")`";
                let micros = duration(text)
                    .ok_or_else(|| not_a(at, text, "duration", "the units are h, m, s, ms and us", fix))?;
                self.push(Node::Duration(micros), Type::Duration)
            }
            ("ip", [Tree { part: Part::Text(text), at }]) => {
                let address = text.parse::<std::net::IpAddr>().ok().and_then(|_| text.parse::<Cidr>().ok());
                let fix = "write an address such as `ip(\"192.0.2.7\")`";
                let address = address.ok_or_else(|| not_a(at, text, "address", "addresses are IPv4 or IPv6", fix))?;
                self.push(Node::Address(address), Type::Address)
            }
            ("cidr", [Tree { part: Part::Text(text), at }]) => {
                let network = text.parse::<Cidr>();
                let fix = "write a network such as `cidr(\"10.0.0.0/8\")`";
                let network = network.map_err(|error| not_a(at, text, "network", &error.to_string(), fix))?;
                self.push(Node::Networks(Networks::from(vec![network])), Type::Networks)
            }
            ("timestamp" | "duration" | "ip" | "cidr", _) => {
                let why = "it is read when the expression is compiled";
                let fix = format!("write one text, as in `{}(\"...\")`", name.text);
                Err(Fault::new(
                    tree.at.clone(),
                    format!("`{}` takes a text that is written there", name.text),
                    why,
                    fix,
                ))
            }
            _ => Err(unknown_function(name, arguments.len(), &FUNCTIONS)),
        }
    }

    fn size(&mut self, of: &'t Tree) -> Checked {
        let (index, own) = self.part(of)?;
        if !matches!(own, Type::Text | Type::List(_) | Type::Dyn) {
            return Err(mismatch(of, &own, "a text or a list", "other values have no size"));
        }
        self.push(Node::Unary(Unary::Size, index), Type::Integer)
    }

    fn has(&mut self, of: &'t Tree) -> Checked {
        let chain = Chain::of(of).filter(|chain| !chain.members.is_empty() && ROOTS.contains(&chain.root));
        let Some(chain) = chain else {
            let fix = "write `has(principal.plan)` or `\"name\" in request.headers`";
            return Err(Fault::new(
                of.at.clone(),
                "`has` of what has no members",
                "it tests whether a member is there",
                fix,
            ));
        };
        let (source, _) = chain.source()?;
        self.push(Node::Has(source), Type::Bool)
    }

    fn method(&mut self, tree: &'t Tree, on: &'t Tree, name: &'t Word, arguments: &'t [Tree]) -> Checked {
        let quantifier = match name.text.as_str() {
            "all" => Some(Quantifier::All),
            "exists" => Some(Quantifier::Exists),
            "exists_one" | "existsOne" => Some(Quantifier::ExistsOne),
            _ => None,
        };
        if let Some(quantifier) = quantifier {
            return self.each(tree, quantifier, on, arguments);
        }
        let text_test = match name.text.as_str() {
            "startsWith" => Some(Binary::StartsWith),
            "endsWith" => Some(Binary::EndsWith),
            "contains" => Some(Binary::Contains),
            _ => None,
        };
        match (text_test, name.text.as_str(), arguments) {
            (Some(operator), _, [other]) => self.call((on, Type::Text), (other, Type::Text), operator, &name.text),
            (None, "containsIP", [address]) => {
                self.call((on, Type::Networks), (address, Type::Address), Binary::ContainsIp, &name.text)
            }
            (None, "size", []) => self.size(on),
            (None, part, _) if time_part(part).is_some() && arguments.len() <= 1 => {
                let (index, of) = self.part(on)?;
                if !of.fits(&Type::Timestamp) {
                    return Err(mismatch(on, &of, "a timestamp", "it is a part of an instant, as in `now.getHours()`"));
                }
                let part = time_part(part).unwrap_or(TimePart::Year);
                let node = match arguments.first() {
                    None => Node::Part(part, 0, index),
                    Some(zone) => self.part_in(zone, part, index)?,
                };
                self.push(node, Type::Integer)
            }
            _ => Err(unknown_function(name, arguments.len(), &METHODS)),
        }
    }

    /// A part of an instant in a zone, which is an offset or a name.
    fn part_in(&mut self, tree: &'t Tree, part: TimePart, index: NodeIndex) -> Result<Node, Fault> {
        let Part::Text(name) = &tree.part else { return Err(no_zone(tree)) };
        if let Some(minutes) = offset_minutes(name) {
            return Ok(Node::Part(part, minutes, index));
        }
        if let Some((_, zone)) = self.zones.iter().find(|(known, _)| *known == name.as_str()) {
            return Ok(Node::PartIn(part, *zone, index));
        }
        let zone = zones::zone(name).ok_or_else(|| no_zone(tree))?;
        let (zone, _) = self.push(Node::Zone(zone), Type::Null)?;
        self.zones.push((name, zone));
        Ok(Node::PartIn(part, zone, index))
    }

    fn call(&mut self, a: (&'t Tree, Type), b: (&'t Tree, Type), operator: Binary, name: &str) -> Checked {
        let mut operands = [0; 2];
        for ((tree, expected), place) in [a, b].into_iter().zip(&mut operands) {
            let (index, of) = self.part(tree)?;
            if !of.fits(&expected) {
                return Err(mismatch(tree, &of, &expected.to_string(), &format!("`{name}` takes no other value")));
            }
            *place = index;
        }
        self.push(Node::Binary(operator, operands[0], operands[1]), Type::Bool)
    }

    fn each(&mut self, tree: &'t Tree, quantifier: Quantifier, on: &'t Tree, arguments: &'t [Tree]) -> Checked {
        let [Tree { part: Part::Name(variable), at }, body] = arguments else {
            let why = "a macro takes the name of a variable and a condition on it";
            return Err(Fault::new(
                tree.at.clone(),
                "a macro without a variable",
                why,
                "write `list.exists(x, x == \"a\")`",
            ));
        };
        let (list, of) = self.part(on)?;
        let element = match of {
            Type::List(element) => *element,
            Type::Dyn => Type::Dyn,
            of => return Err(mismatch(on, &of, "a list", "macros test the elements of lists")),
        };
        if ROOTS.contains(&variable.as_str()) || self.variables.len() >= VARIABLES_MAX {
            let why = "the name has another meaning, or macros are nested too deeply";
            return Err(Fault::new(
                at.clone(),
                format!("`{variable}` cannot be a variable"),
                why,
                "write another name",
            ));
        }
        self.variables.push((variable, element));
        let checked = self.part(body);
        self.variables.pop();
        let (condition, of) = checked?;
        if !of.fits(&Type::Bool) {
            return Err(mismatch(body, &of, "true or false", "a macro tests a condition for each element"));
        }
        self.push(Node::Each(quantifier, list, condition), Type::Bool)
    }
}

fn arithmetic(operator: Binary, a: &Type, b: &Type) -> Option<Type> {
    use Type::{Double, Duration, Dyn, Integer, Text, Timestamp};
    match (operator, a, b) {
        (_, Dyn, Dyn) => Some(Dyn),
        (Binary::Add | Binary::Subtract, Timestamp | Dyn, Duration) => Some(Timestamp),
        (Binary::Add, Duration, Timestamp) => Some(Timestamp),
        (Binary::Subtract, Timestamp, Timestamp) => Some(Duration),
        (Binary::Add | Binary::Subtract, Duration, Duration) => Some(Duration),
        (Binary::Add, Text | Dyn, Text) | (Binary::Add, Text, Dyn) => Some(Text),
        (_, Integer | Dyn, Integer) | (_, Integer, Dyn) => Some(Integer),
        (Binary::Remainder, _, _) => None,
        (_, Double | Dyn, Double) | (_, Double, Dyn) => Some(Double),
        (_, Dyn, _) | (_, _, Dyn) => Some(Dyn),
        _ => None,
    }
}

/// Macros within macros.
const VARIABLES_MAX: usize = 8;

const FUNCTIONS: [&str; 7] = ["cidr", "duration", "has", "int", "ip", "size", "timestamp"];

const METHODS: [&str; 16] = [
    "all",
    "contains",
    "containsIP",
    "endsWith",
    "exists",
    "exists_one",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getFullYear",
    "getHours",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "size",
    "startsWith",
];
