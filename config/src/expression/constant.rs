//! What an expression can be, whatever the request is: found by trying each text that it names in place of what it reads.
//!
//! What is found is never too little: an expression that can be `true` is said to be so, and some that cannot are, too.

use std::borrow::Cow;

use tollgate_core::client::Location;
use tollgate_core::expression::{Binary, Expression, Node, NodeIndex, Source, TimePart, Unary};
use tollgate_core::route::Methods;

/// What is known of the requests.
#[derive(Clone, Debug, Default)]
pub struct Requests<'k> {
    /// Their methods; empty if they can have any.
    pub methods: Vec<&'k str>,
    /// Whether each has a caller.
    pub have_caller: bool,
    /// Whether the platform does not tell where clients are.
    pub without_location: bool,
    /// Whether nothing is known of claims of callers.
    pub without_claims: bool,
}

impl<'k> Requests<'k> {
    /// Those of a route with these methods: one with `GET` takes `HEAD`, too.
    #[must_use]
    pub fn of(methods: &'k Methods, have_caller: bool) -> Self {
        let head = (methods.names("GET") && !methods.as_strs().any(|own| own == "HEAD")).then_some("HEAD");
        Self { methods: methods.as_strs().chain(head).collect(), have_caller, ..Self::default() }
    }
}

/// What an expression can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// It can be `true`.
    pub is_true: bool,
    /// It can be `false`.
    pub is_false: bool,
    /// It can have no value.
    pub fails: bool,
}

impl Outcomes {
    /// Whether the requests are all authorized, or none of them; `None` if that depends on the request.
    #[must_use]
    pub const fn decided(self) -> Option<bool> {
        match self {
            Self { is_true: true, is_false: false, fails: false } => Some(true),
            Self { is_true: false, .. } => Some(false),
            _ => None,
        }
    }
}

/// What a condition can be for these requests.
#[must_use]
pub fn outcomes(expression: &Expression, requests: &Requests<'_>) -> Outcomes {
    let nodes = expression.nodes();
    let literals = nodes.iter().filter_map(|node| match node {
        Node::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let mut trial = Trial { nodes, literals: literals.collect(), requests, tried: Vec::new() };
    trial.literals.sort_unstable();
    trial.literals.dedup();
    let mut choices: Vec<(&Source, Vec<Tried<'_>>)> = Vec::new();
    let mut count = 1_usize;
    for source in expression.sources().filter(|source| is_text(source)) {
        if choices.iter().any(|(known, _)| *known == source) {
            continue;
        }
        let all = trial.choices(source);
        if count.saturating_mul(all.len()) > TRIALS_MAX {
            continue;
        }
        count *= all.len();
        choices.push((source, all));
    }
    let mut found = Outcomes::default();
    for number in 0..count {
        let mut rest = number;
        trial.tried.clear();
        for (source, all) in &choices {
            trial.tried.extend(all.get(rest % all.len()).map(|tried| (*source, *tried)));
            rest /= all.len();
        }
        let Some(root) = nodes.len().checked_sub(1).and_then(|last| NodeIndex::try_from(last).ok()) else { break };
        let one = trial.condition(root);
        found = Outcomes {
            is_true: found.is_true || one.is_true,
            is_false: found.is_false || one.is_false,
            fails: found.fails || one.fails,
        };
    }
    found
}

/// A value that is tried for a source.
#[derive(Clone, Copy, Debug)]
enum Tried<'e> {
    /// This text of the expression.
    Literal(&'e str),
    /// A text that the expression does not name.
    Other,
    /// None, or several.
    Missing,
}

struct Trial<'e> {
    nodes: &'e [Node],
    /// The texts of the expression, sorted.
    literals: Vec<&'e str>,
    requests: &'e Requests<'e>,
    tried: Vec<(&'e Source, Tried<'e>)>,
}

/// The values that a part can have.
#[derive(Clone, Debug)]
enum Values<'e> {
    /// Whether it can be `true`, and `false`.
    Bool(bool, bool),
    /// The least and the greatest.
    Integer(i128, i128),
    /// This text.
    Text(Cow<'e, str>),
    /// A text that the expression does not name.
    OtherText,
    AnyText,
    Instant,
    /// A value of any type.
    Any,
}

/// The values of a part, `None` if it has none, and whether it can have none.
type Found<'e> = (Option<Values<'e>>, bool);

impl<'e> Trial<'e> {
    fn choices(&self, source: &Source) -> Vec<Tried<'e>> {
        let is_method = *source == Source::Method;
        if is_method && !self.requests.methods.is_empty() {
            let of = |method: &&'e str| Tried::Literal(method);
            return self.requests.methods.iter().map(of).collect();
        }
        if self.is_missing(source) {
            return vec![Tried::Missing];
        }
        let can_be = |text: &&str| *source != Source::Country || is_country(text);
        let texts = self.literals.iter().copied().filter(|text| can_be(text)).map(Tried::Literal);
        let missing = self.can_be_missing(source).then_some(Tried::Missing);
        texts.chain([Tried::Other]).chain(missing).collect()
    }

    fn is_missing(&self, source: &Source) -> bool {
        (self.requests.without_location && source.is_of_location())
            || (self.requests.without_claims && matches!(source, Source::Claim(_)))
    }

    fn can_be_missing(&self, source: &Source) -> bool {
        match source {
            Source::Method | Source::Path | Source::Host | Source::Now => false,
            Source::Consumer | Source::Scopes | Source::Groups => !self.requests.have_caller,
            Source::Header(_)
            | Source::Query(_)
            | Source::Parameter(_)
            | Source::Address
            | Source::Plan
            | Source::Claim(_)
            | Source::Country
            | Source::Asn
            | Source::Cookie(_) => true,
        }
    }

    fn condition(&self, index: NodeIndex) -> Outcomes {
        match self.values(index) {
            (Some(Values::Bool(is_true, is_false)), fails) => Outcomes { is_true, is_false, fails },
            (Some(Values::Any), _) => Outcomes { is_true: true, is_false: true, fails: true },
            (_, _) => Outcomes { is_true: false, is_false: false, fails: true },
        }
    }

    fn values(&self, index: NodeIndex) -> Found<'e> {
        let Some(node) = self.nodes.get(usize::from(index)) else { return (None, true) };
        match node {
            Node::Bool(value) => (Some(Values::Bool(*value, !*value)), false),
            Node::Integer(value) => (Some(integer(*value)), false),
            Node::Text(text) => (Some(Values::Text(Cow::Borrowed(text))), false),
            Node::Timestamp(_) => (Some(Values::Instant), false),
            Node::Null | Node::Double(_) | Node::Duration(_) | Node::Address(_) | Node::Networks(_) => {
                (Some(Values::Any), false)
            }
            Node::Read(source) => self.read(source),
            Node::Has(source) => (Some(self.has(source)), false),
            Node::List(all) => (Some(Values::Any), all.iter().any(|index| self.values(*index).1)),
            Node::Variable(_) => (Some(Values::Any), false),
            Node::Zone(_) => (None, true),
            Node::Unary(operator, operand) => unary(*operator, self.values(*operand)),
            Node::Binary(operator, a, b) => self.binary(*operator, *a, *b),
            Node::Conditional(test, then, otherwise) => self.conditional(*test, *then, *otherwise),
            // Of an unknown list.
            Node::Each(..) => (Some(EITHER), true),
            Node::Part(part, _, operand) | Node::PartIn(part, _, operand) => {
                let (operand, fails) = self.values(*operand);
                let (least, most) = range(*part);
                let is_instant = matches!(operand, Some(Values::Instant));
                (operand.map(|_| Values::Integer(least, most)), fails || !is_instant)
            }
        }
    }

    fn read(&self, source: &Source) -> Found<'e> {
        if let Some((_, tried)) = self.tried.iter().find(|(known, _)| *known == source) {
            return match tried {
                Tried::Literal(text) => (Some(Values::Text(Cow::Borrowed(text))), false),
                Tried::Other => (Some(Values::OtherText), false),
                Tried::Missing => (None, true),
            };
        }
        if self.is_missing(source) {
            return (None, true);
        }
        let values = match source {
            Source::Now => Values::Instant,
            Source::Asn => Values::Integer(1, u32::MAX.into()),
            source if is_text(source) => Values::AnyText,
            _ => Values::Any,
        };
        (Some(values), self.can_be_missing(source))
    }

    fn has(&self, source: &Source) -> Values<'e> {
        if self.is_missing(source) {
            return Values::Bool(false, true);
        }
        let is_tried = self.tried.iter().find(|(known, _)| *known == source);
        match is_tried {
            Some((_, Tried::Literal(_) | Tried::Other)) => Values::Bool(true, false),
            // A field that is there twice has no value.
            Some((_, Tried::Missing)) => EITHER,
            None if self.can_be_missing(source) => EITHER,
            None => Values::Bool(true, false),
        }
    }

    fn conditional(&self, test: NodeIndex, then: NodeIndex, otherwise: NodeIndex) -> Found<'e> {
        let test = self.condition(test);
        let chosen = [(test.is_true, then), (test.is_false, otherwise)];
        let chosen = chosen.into_iter().filter(|(is_chosen, _)| *is_chosen).map(|(_, index)| self.values(index));
        chosen.fold((None, test.fails), |(all, fails), (one, also)| (joined(all, one), fails || also))
    }

    fn binary(&self, operator: Binary, a: NodeIndex, b: NodeIndex) -> Found<'e> {
        match operator {
            Binary::And => return either(self.condition(a), self.condition(b), false),
            Binary::Or => return either(self.condition(a), self.condition(b), true),
            Binary::In => return self.is_in(a, b),
            _ => {}
        }
        let ((a, a_fails), (b, b_fails)) = (self.values(a), self.values(b));
        let fails = a_fails || b_fails;
        let (Some(a), Some(b)) = (a, b) else { return (None, true) };
        let (values, also) = match operator {
            Binary::Equal => self.are_equal(&a, &b),
            Binary::NotEqual => {
                let ((equal, other), fails) = self.are_equal(&a, &b);
                ((other, equal), fails)
            }
            Binary::Less => ordered(&a, &b, |order| order.is_lt()),
            Binary::LessOrEqual => ordered(&a, &b, |order| order.is_le()),
            Binary::Greater => ordered(&a, &b, |order| order.is_gt()),
            Binary::GreaterOrEqual => ordered(&a, &b, |order| order.is_ge()),
            Binary::StartsWith => on_texts(&a, &b, |a, b| a.starts_with(b)),
            Binary::EndsWith => on_texts(&a, &b, |a, b| a.ends_with(b)),
            Binary::Contains => on_texts(&a, &b, |a, b| a.contains(b)),
            Binary::ContainsIp => ((true, true), false),
            _ => {
                let (values, also) = arithmetic(operator, &a, &b);
                return (Some(values), fails || also);
            }
        };
        (Some(Values::Bool(values.0, values.1)), fails || also)
    }

    /// As equality with one of the elements that are written; of other lists nothing is known.
    fn is_in(&self, a: NodeIndex, b: NodeIndex) -> Found<'e> {
        let (value, mut fails) = self.values(a);
        let Some(value) = value else { return (None, true) };
        let Some(Node::List(all)) = self.nodes.get(usize::from(b)) else {
            return (self.values(b).0.map(|_| EITHER), true);
        };
        let (mut is_true, mut is_false) = (false, true);
        for index in all {
            let (element, also) = self.values(*index);
            let Some(element) = element else { return (None, true) };
            let ((equal, other), unsure) = self.are_equal(&value, &element);
            is_true |= equal;
            is_false &= other;
            fails |= also || unsure;
        }
        (Some(Values::Bool(is_true, is_false)), fails)
    }

    /// Whether two values can be equal, and can differ; and whether the comparison can fail.
    fn are_equal(&self, a: &Values<'_>, b: &Values<'_>) -> ((bool, bool), bool) {
        match (a, b) {
            (Values::Text(a), Values::Text(b)) => ((a == b, a != b), false),
            (Values::Text(text), Values::OtherText) | (Values::OtherText, Values::Text(text)) => {
                ((self.literals.binary_search(&text.as_ref()).is_err(), true), false)
            }
            (Values::Integer(..), Values::Integer(..)) => ordered(a, b, |order| order.is_eq()),
            (Values::Bool(a, not_a), Values::Bool(b, not_b)) => {
                (((*a && *b) || (*not_a && *not_b), (*a && *not_b) || (*not_a && *b)), false)
            }
            (Values::Any, _) | (_, Values::Any) => ((true, true), true),
            _ => ((true, true), false),
        }
    }
}

const EITHER: Values<'static> = Values::Bool(true, true);

fn integer<'e>(value: i64) -> Values<'e> {
    Values::Integer(value.into(), value.into())
}

/// `&&` and `||`: one operand with the deciding value is enough, even if the other one fails.
fn either<'e>(a: Outcomes, b: Outcomes, decides: bool) -> Found<'e> {
    let split = |one: Outcomes| if decides { (one.is_true, one.is_false) } else { (one.is_false, one.is_true) };
    let ((a_decides, a_leaves), (b_decides, b_leaves)) = (split(a), split(b));
    let (yes, no) = (a_decides || b_decides, a_leaves && b_leaves);
    let fails = a.fails && (b.fails || b_leaves) || b.fails && a_leaves;
    if !yes && !no {
        return (None, true);
    }
    (Some(if decides { Values::Bool(yes, no) } else { Values::Bool(no, yes) }), fails)
}

fn joined<'e>(a: Option<Values<'e>>, b: Option<Values<'e>>) -> Option<Values<'e>> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (one, other) => return one.or(other),
    };
    Some(match (a, b) {
        (Values::Bool(a, not_a), Values::Bool(b, not_b)) => Values::Bool(a || b, not_a || not_b),
        (Values::Integer(a, b), Values::Integer(c, d)) => Values::Integer(a.min(c), b.max(d)),
        (Values::Text(a), Values::Text(b)) if a == b => Values::Text(a),
        (
            Values::Text(_) | Values::OtherText | Values::AnyText,
            Values::Text(_) | Values::OtherText | Values::AnyText,
        ) => Values::AnyText,
        (Values::Instant, Values::Instant) => Values::Instant,
        _ => Values::Any,
    })
}

fn unary<'e>(operator: Unary, (operand, fails): Found<'e>) -> Found<'e> {
    let Some(operand) = operand else { return (None, true) };
    match (operator, operand) {
        (Unary::Not, Values::Bool(is_true, is_false)) => (Some(Values::Bool(is_false, is_true)), fails),
        (Unary::Not, _) => (Some(EITHER), true),
        (Unary::Negative, Values::Integer(least, most)) => {
            let (values, also) = bounded(-most, -least);
            (Some(values), fails || also)
        }
        (Unary::Size, Values::Text(text)) => {
            (Some(integer(i64::try_from(text.chars().count()).unwrap_or(i64::MAX))), fails)
        }
        (Unary::Size, Values::OtherText | Values::AnyText) => (Some(Values::Integer(0, i64::MAX.into())), fails),
        (Unary::Size, _) => (Some(Values::Integer(0, i64::MAX.into())), true),
        (Unary::Int, Values::Integer(least, most)) => (Some(Values::Integer(least, most)), fails),
        (Unary::Int, _) => (Some(ANY_INTEGER), true),
        (Unary::Negative, _) => (Some(Values::Any), true),
    }
}

const ANY_INTEGER: Values<'static> = Values::Integer(i64::MIN as i128, i64::MAX as i128);

/// Integers of 64 bits, and whether some of these are none.
fn bounded<'e>(least: i128, most: i128) -> (Values<'e>, bool) {
    let (from, to) = (i128::from(i64::MIN), i128::from(i64::MAX));
    (Values::Integer(least.clamp(from, to), most.clamp(from, to)), least < from || most > to)
}

fn arithmetic<'e>(operator: Binary, a: &Values<'e>, b: &Values<'e>) -> (Values<'e>, bool) {
    match (operator, a, b) {
        (Binary::Add, Values::Integer(a, b), Values::Integer(c, d)) => bounded(a + c, b + d),
        (Binary::Subtract, Values::Integer(a, b), Values::Integer(c, d)) => bounded(a - d, b - c),
        (Binary::Multiply, Values::Integer(a, b), Values::Integer(c, d)) => {
            let all = [a * c, a * d, b * c, b * d];
            bounded(all.into_iter().min().unwrap_or(0), all.into_iter().max().unwrap_or(0))
        }
        (_, Values::Integer(..), Values::Integer(..)) => (ANY_INTEGER, true),
        (Binary::Add, Values::Text(a), Values::Text(b)) => {
            (Values::Text(Cow::Owned([a.as_ref(), b.as_ref()].concat())), true)
        }
        (
            Binary::Add,
            Values::Text(_) | Values::OtherText | Values::AnyText,
            Values::Text(_) | Values::OtherText | Values::AnyText,
        ) => (Values::AnyText, true),
        _ => (Values::Any, true),
    }
}

/// Whether values can be in an order, and can be in another one.
fn ordered(a: &Values<'_>, b: &Values<'_>, is_so: fn(std::cmp::Ordering) -> bool) -> ((bool, bool), bool) {
    match (a, b) {
        (Values::Integer(a, b), Values::Integer(c, d)) => {
            use std::cmp::Ordering::{Equal, Greater, Less};
            let can_be = [(a < d, Less), (a.max(c) <= b.min(d), Equal), (b > c, Greater)];
            let can = |want: bool| can_be.iter().any(|(can_be, order)| *can_be && is_so(*order) == want);
            ((can(true), can(false)), false)
        }
        (Values::Text(a), Values::Text(b)) => {
            let holds = is_so(a.cmp(b));
            ((holds, !holds), false)
        }
        (Values::Any, _) | (_, Values::Any) => ((true, true), true),
        _ => ((true, true), false),
    }
}

fn on_texts(a: &Values<'_>, b: &Values<'_>, test: fn(&str, &str) -> bool) -> ((bool, bool), bool) {
    match (a, b) {
        (Values::Text(a), Values::Text(b)) => {
            let holds = test(a, b);
            ((holds, !holds), false)
        }
        (Values::Any, _) | (_, Values::Any) => ((true, true), true),
        _ => ((true, true), false),
    }
}

const fn range(part: TimePart) -> (i128, i128) {
    match part {
        TimePart::Year => (0, 9_999),
        TimePart::Month => (0, 11),
        TimePart::Date => (1, 31),
        TimePart::DayOfMonth => (0, 30),
        TimePart::DayOfWeek => (0, 6),
        TimePart::Hours => (0, 23),
        TimePart::Minutes | TimePart::Seconds => (0, 59),
    }
}

const fn is_text(source: &Source) -> bool {
    matches!(
        source,
        Source::Method
            | Source::Path
            | Source::Host
            | Source::Header(_)
            | Source::Query(_)
            | Source::Parameter(_)
            | Source::Consumer
            | Source::Plan
            | Source::Country
            | Source::Cookie(_)
    )
}

fn is_country(text: &str) -> bool {
    Location::new(text, "").country.as_deref() == Some(text)
}

/// The most combinations of texts that are tried; what is beyond them is not analysed.
const TRIALS_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    #[track_caller]
    fn check(text: &str, methods: &[&str], want: Option<bool>) {
        let expression = compile(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        let requests = Requests { methods: methods.to_vec(), have_caller: true, ..Requests::default() };
        assert_eq!(outcomes(&expression, &requests).decided(), want, "{text} {methods:?}");
    }

    #[test]
    fn what_no_request_or_every_request_meets_is_found() {
        for text in [
            "request.method == 'GET' && request.method == 'POST'",
            "request.headers['x-a'] == 'a' && request.headers['x-a'] == 'b'",
            "now.getHours() > 23",
            "now.getDayOfWeek('Europe/Berlin') in [7]",
            "now.getHours() >= 22 && now.getHours() < 0",
            "client.country == 'Germany'",
            "client.country in ['de', 'at']",
            "client.asn < 1",
            "size(request.path) < 0",
            "'a'.startsWith('b')",
            "principal.plan == 'gold' ? false : principal.plan == 'gold'",
            "!(request.method != 'GET' || request.method != 'HEAD')",
        ] {
            check(text, &[], Some(false));
        }
        for text in [
            "request.method != 'GET' || request.method != 'HEAD'",
            "now.getHours() < 24",
            "size(principal.consumer) >= 0",
            "principal.consumer == 'acme' || principal.consumer != 'acme'",
            "has(request.path)",
            "true || request.headers['x-a'] == '1'",
        ] {
            check(text, &[], Some(true));
        }
    }

    #[test]
    fn what_depends_on_the_request_is_not_decided() {
        for text in [
            "request.method == 'GET' || request.method == 'POST'",
            "request.headers['x-a'] != 'a' || request.headers['x-a'] != 'b'",
            "now.getHours('Europe/Berlin') >= 8 && now.getHours('Europe/Berlin') < 18",
            "now > timestamp('2026-01-01T00:00:00Z')",
            "'a' in principal.groups",
            "principal.claims.n == 5 && principal.claims.n == 6",
            "params.a == params.b",
            "client.country == 'DE'",
            "principal.groups.all(g, g == 'a')",
            "request.path.startsWith('/a') && request.path.endsWith('b')",
            "params.a + 'b' == 'ab'",
            "has(principal.plan) && principal.plan == 'gold'",
        ] {
            check(text, &[], None);
        }
    }

    #[test]
    fn on_some_platforms_it_is_not_known_where_clients_are() {
        for (text, want) in [
            ("client.country == 'DE'", Some(false)),
            ("client.asn != 5", Some(false)),
            ("!(has(client.country) && client.country == 'DE')", Some(true)),
            ("has(client.asn) || 'a' in principal.groups", None),
        ] {
            let expression = compile(text).expect("an expression");
            let requests = Requests { without_location: true, ..Requests::default() };
            assert_eq!(outcomes(&expression, &requests).decided(), want, "{text}");
        }
    }

    #[test]
    fn callers_without_tokens_have_no_claims() {
        for (text, want) in [
            ("principal.claims.tenant == 'a'", Some(false)),
            ("'a' in principal.claims.groups", Some(false)),
            ("!has(principal.claims.tenant) || principal.claims.tenant == 'a'", Some(true)),
            ("principal.plan == 'gold' || principal.claims.tenant == 'a'", None),
        ] {
            let expression = compile(text).expect("an expression");
            let requests = Requests { without_claims: true, have_caller: true, ..Requests::default() };
            assert_eq!(outcomes(&expression, &requests).decided(), want, "{text}");
        }
    }

    #[test]
    fn the_methods_of_a_route_are_known() {
        let get = [http::Method::GET].into();
        assert_eq!(Requests::of(&get, true).methods, ["GET", "HEAD"]);
        assert!(Requests::of(&Methods::ALL, true).methods.is_empty());
        check("request.method == 'GET'", &["GET", "HEAD"], None);
        check("request.method in ['GET', 'HEAD']", &["GET"], Some(true));
        check("request.method in ['GET', 'HEAD']", &["GET", "POST"], None);
        check("request.method in ['GET', 'HEAD']", &["POST", "PUT"], Some(false));
        check("request.method == 'GET' || 'editors' in principal.groups", &["GET"], Some(true));
        check("request.method == 'GET' || 'editors' in principal.groups", &["POST"], None);
    }
}
