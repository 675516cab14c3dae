//! Parses expressions by CEL's grammar.

use std::ops::Range;

use tollgate_core::expression::{Binary, Unary};

use super::Fault;
use super::lex::{Kind, Token, tokens};
use super::tree::{Part, Tree, Word};

pub(super) fn parse(text: &str) -> Result<Tree, Fault> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let tree = parser.expression()?;
    match parser.peek() {
        Kind::End => Ok(tree),
        _ => Err(parser.unexpected("the end of the expression")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

type Parsed = Result<Tree, Fault>;

/// Operators by precedence, the weakest first, after `||` and `&&`.
const LEVELS: [&[(&str, Binary)]; 3] = [
    &[
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
        ("<=", Binary::LessOrEqual),
        (">=", Binary::GreaterOrEqual),
        ("<", Binary::Less),
        (">", Binary::Greater),
        ("in", Binary::In),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Remainder)],
];

impl Parser {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.next).map_or(&Kind::End, |token| &token.kind)
    }

    fn at(&self) -> Range<usize> {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0..0, |token| token.at.clone())
    }

    /// The end of the token before this one.
    fn end(&self) -> usize {
        self.next.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.at.end)
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let is_it = matches!(self.peek(), Kind::Symbol(own) if *own == symbol);
        self.next += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Fault> {
        if self.takes(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// `a ? b : c`, or what is within it.
    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let what = "the expression is nested too deeply";
            return Err(Fault::new(
                self.at(),
                what,
                format!("the maximum is {DEPTH_MAX} levels"),
                "split it into several policies",
            ));
        }
        let condition = self.logical(&OR)?;
        let tree = if self.takes("?") {
            let then = self.logical(&OR)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            let at = condition.at.start..otherwise.at.end;
            Tree { at, part: Part::Conditional(condition.into(), then.into(), otherwise.into()) }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(tree)
    }

    /// Operands of `||` or `&&`, as a balanced tree: they may be grouped in any way.
    fn logical(&mut self, level: &Logical) -> Parsed {
        let mut operands = vec![self.operand(level)?];
        while self.takes(level.symbol) {
            operands.push(self.operand(level)?);
        }
        Ok(balanced(operands, level.operator))
    }

    fn operand(&mut self, level: &Logical) -> Parsed {
        match level.inner {
            Some(inner) => self.logical(inner),
            None => self.binary(0),
        }
    }

    fn binary(&mut self, level: usize) -> Parsed {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        let mut count = 0;
        while let Some(operator) = self.operator(operators) {
            count += 1;
            if count > CHAIN_MAX {
                let why = format!("the maximum is {CHAIN_MAX}");
                return Err(Fault::new(self.at(), "too many operators in a row", why, "split the expression"));
            }
            let right = self.binary(level + 1)?;
            left = Tree { at: left.at.start..right.at.end, part: Part::Binary(operator, left.into(), right.into()) };
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&str, Binary)]) -> Option<Binary> {
        let written = match self.peek() {
            Kind::Symbol(symbol) => *symbol,
            Kind::Name(name) if name == "in" => "in",
            _ => return None,
        };
        let (_, operator) = operators.iter().find(|(symbol, _)| *symbol == written)?;
        self.next += 1;
        Some(*operator)
    }

    fn unary(&mut self) -> Parsed {
        let start = self.at().start;
        let (symbol, operator) = match self.peek() {
            Kind::Symbol("!") => ("!", Unary::Not),
            Kind::Symbol("-") => ("-", Unary::Negative),
            _ => return self.member(),
        };
        let mut count = 0_usize;
        while self.takes(symbol) {
            count += 1;
        }
        if operator == Unary::Negative
            && count % 2 == 1
            && let Some(literal) = self.negative_literal(start)?
        {
            return self.member_of(literal);
        }
        let mut tree = self.member()?;
        // Each sign may fail, so pairs of them are not left out, but there are never many.
        for _ in 0..count.min(DEPTH_MAX) {
            tree = Tree { at: start..tree.at.end, part: Part::Unary(operator, tree.into()) };
        }
        if count > DEPTH_MAX {
            Err(Fault::new(start..tree.at.end, "too many operators in a row", "", "remove some"))
        } else {
            Ok(tree)
        }
    }

    /// A number with its sign: the smallest integer is not the negative of another one.
    fn negative_literal(&mut self, start: usize) -> Result<Option<Tree>, Fault> {
        let part = match *self.peek() {
            Kind::Integer(digits) => match 0_i64.checked_sub_unsigned(digits) {
                Some(value) => Part::Integer(value),
                None => return Err(self.out_of_range(start)),
            },
            Kind::Double(value) => Part::Double(-value),
            _ => return Ok(None),
        };
        self.next += 1;
        Ok(Some(Tree { at: start..self.end(), part }))
    }

    fn out_of_range(&self, start: usize) -> Fault {
        let why = "integers have 64 bits";
        Fault::new(start..self.at().end, "an integer is out of range", why, "write a smaller number")
    }

    fn member(&mut self) -> Parsed {
        let primary = self.primary()?;
        self.member_of(primary)
    }

    /// Members, elements and calls after an operand.
    fn member_of(&mut self, mut tree: Tree) -> Parsed {
        let mut count = 0;
        loop {
            let start = tree.at.start;
            let part = if self.takes(".") {
                let name = self.word()?;
                if self.takes("(") {
                    let arguments = self.list(")")?;
                    Part::Call { on: Some(tree.into()), name, arguments }
                } else {
                    Part::Select(tree.into(), name)
                }
            } else if self.takes("[") {
                let index = self.expression()?;
                self.expect("]")?;
                Part::Index(tree.into(), index.into())
            } else {
                return Ok(tree);
            };
            tree = Tree { at: start..self.end(), part };
            count += 1;
            if count > CHAIN_MAX {
                let why = format!("the maximum is {CHAIN_MAX}");
                return Err(Fault::new(tree.at, "too many members of members", why, "split the expression"));
            }
        }
    }

    fn word(&mut self) -> Result<Word, Fault> {
        let at = self.at();
        let Kind::Name(text) = self.peek().clone() else { return Err(self.unexpected("a name")) };
        self.next += 1;
        Ok(Word { at, text })
    }

    /// Expressions up to a closing bracket, which may follow a comma.
    fn list(&mut self, close: &'static str) -> Result<Vec<Tree>, Fault> {
        let mut all = Vec::new();
        while !self.takes(close) {
            all.push(self.expression()?);
            if !self.takes(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(all)
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let part = match self.peek().clone() {
            Kind::Integer(digits) => match i64::try_from(digits) {
                Ok(value) => Part::Integer(value),
                Err(_) => return Err(self.out_of_range(at.start)),
            },
            Kind::Double(value) => Part::Double(value),
            Kind::Text(text) => Part::Text(text),
            Kind::Name(name) => return self.name(&name),
            Kind::Symbol("(") => {
                self.next += 1;
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(Tree { at: at.start..self.end(), ..inner });
            }
            Kind::Symbol("[") => {
                self.next += 1;
                let all = self.list("]")?;
                return Ok(Tree { at: at.start..self.end(), part: Part::List(all) });
            }
            Kind::Symbol("{") => {
                let why = "maps are not offered";
                return Err(Fault::new(at, "a map", why, "write a list: `[...]`, or compare values one by one"));
            }
            Kind::Symbol(_) | Kind::End => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Ok(Tree { at, part })
    }

    /// A name, a call of a function, or one of the words for values.
    fn name(&mut self, name: &str) -> Parsed {
        let word = self.word()?;
        let at = word.at.clone();
        let part = match name {
            "true" => Part::Bool(true),
            "false" => Part::Bool(false),
            "null" => Part::Null,
            "in" => {
                return Err(Fault::new(
                    at,
                    "`in` has nothing before it",
                    "it tests whether a value is in a list",
                    "write `value in list`",
                ));
            }
            _ if RESERVED.contains(&name) => {
                let what = format!("`{name}` is a reserved word");
                return Err(Fault::new(at, what, "CEL gives it no meaning", "write another name"));
            }
            _ if self.takes("(") => {
                let arguments = self.list(")")?;
                return Ok(Tree { at: at.start..self.end(), part: Part::Call { on: None, name: word, arguments } });
            }
            _ => Part::Name(word.text),
        };
        Ok(Tree { at, part })
    }

    fn unexpected(&self, expected: &str) -> Fault {
        let at = self.at();
        let (what, fix) = match self.peek() {
            Kind::End => ("the expression ends too early".to_owned(), format!("add {expected}")),
            Kind::Symbol("=") => ("`=` has no meaning here".to_owned(), "write `==` to compare".to_owned()),
            Kind::Symbol(symbol) => (format!("`{symbol}` in place of {expected}"), format!("write {expected} there")),
            Kind::Name(name) => (format!("`{name}` in place of {expected}"), instead_of(name, expected)),
            Kind::Integer(_) | Kind::Double(_) => {
                (format!("a number in place of {expected}"), format!("write {expected} there"))
            }
            Kind::Text(_) => (format!("a text in place of {expected}"), format!("write {expected} there")),
        };
        Fault::new(at, what, format!("{expected} is expected there"), fix)
    }
}

/// What to write instead of the operators of other languages.
fn instead_of(name: &str, expected: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "and" => "write `&&`".to_owned(),
        "or" => "write `||`".to_owned(),
        "not" => "write `!`".to_owned(),
        "eq" | "is" | "equals" => "write `==`".to_owned(),
        "ne" => "write `!=`".to_owned(),
        "contains" | "startswith" | "endswith" | "matches" => {
            "call it with a dot, as in `request.path.contains(\"a\")`".to_owned()
        }
        _ => format!("write {expected} there"),
    }
}

/// Groups operands so that the tree is as flat as possible.
fn balanced(mut operands: Vec<Tree>, operator: Binary) -> Tree {
    while operands.len() > 1 {
        let mut pairs = operands.into_iter();
        let mut next = Vec::new();
        while let Some(left) = pairs.next() {
            next.push(match pairs.next() {
                Some(right) => {
                    Tree { at: left.at.start..right.at.end, part: Part::Binary(operator, left.into(), right.into()) }
                }
                None => left,
            });
        }
        operands = next;
    }
    operands.pop().unwrap_or(Tree { at: 0..0, part: Part::Null })
}

/// `||` or `&&`.
struct Logical {
    symbol: &'static str,
    operator: Binary,
    inner: Option<&'static Self>,
}

const OR: Logical = Logical { symbol: "||", operator: Binary::Or, inner: Some(&AND) };
const AND: Logical = Logical { symbol: "&&", operator: Binary::And, inner: None };

/// Levels of parentheses, brackets and conditionals: more than core's bound for the depth allows.
const DEPTH_MAX: usize = 48;

/// Operators of one precedence, or members, in a row.
const CHAIN_MAX: usize = 48;

const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];
