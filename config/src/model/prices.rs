//! `prices.yaml`: what platforms charge.

use super::decode::{self, DURATION, Fields, Named, SIZE};
use super::project::format_version;
use crate::bounds::Target;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::prices::{MICRO, Prices, TargetPrices, Unit};
use crate::schema::tables;
use crate::source::{Node, Spanned, Value};

/// Reads the root of a price list.
pub(crate) fn decode(root: &Node, report: &mut Report) -> Option<Prices> {
    let mut fields = Fields::open(root, &tables::PRICES, "the file", root.span, report)?;
    format_version(&mut fields, report);
    let currency = fields.required("currency", report, currency);
    let as_of = fields.required("as-of", report, decode::text);
    let targets: Option<Named<(Target, TargetPrices)>> =
        fields.required("targets", report, |node, report| decode::named(node, report, target));
    fields.finish(report);
    let targets = targets?.into_iter().filter_map(|(_, target)| target).collect();
    Some(Prices { currency: currency?.value, as_of: as_of?.value, targets })
}

fn target(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<(Target, TargetPrices)> {
    let target = name.value.parse::<Target>();
    if let Err(error) = &target {
        report.push(
            Diagnostic::error(Code::UnknownValue, name.span, format!("there is no target `{}`", name.value))
                .why("its prices would never be looked at")
                .fix(error.to_string()),
        );
    }
    let owner = format!("target `{}`", name.value);
    let mut fields = Fields::open(node, &tables::TARGET_PRICES, owner, name.span, report)?;
    let source = fields.optional("source", report, decode::text).map(|text| text.value);
    let cpu = fields.optional("cpu", report, cpu);
    let response = fields.optional("response", report, |node, report| decode::quantity(node, &SIZE, report));
    let micro = Unit::ALL.map(|unit| fields.optional(unit.as_str(), report, price).unwrap_or_default());
    fields.finish(report);
    let prices = TargetPrices {
        source,
        cpu_ms: cpu.map_or(CPU_MS_DEFAULT, |cpu| cpu.value),
        response_bytes: response.map_or(RESPONSE_BYTES_DEFAULT, |response| response.value),
        micro,
    };
    Some((target.ok()?, prices))
}

/// A name such as `USD`, which is printed as it is.
fn currency(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    let text = decode::text(node, report)?;
    let is_name = is_currency(&text.value);
    if !is_name {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, "this cannot be the name of a currency")
                .why("it is printed beside every price: 1 to 16 letters")
                .fix("write a name such as `USD`"),
        );
    }
    is_name.then_some(text)
}

pub(crate) fn is_currency(text: &str) -> bool {
    (1..=CURRENCY_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// The time of a processor that one request takes.
fn cpu(node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    let cpu = decode::quantity(node, &DURATION, report)?;
    let is_one = cpu.value <= CPU_MS_MAX;
    if !is_one {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, "no request takes a processor for so long")
                .why("it is at most 5m, what platforms allow at most")
                .fix("write what you measured of one request, such as `2ms`"),
        );
    }
    is_one.then_some(cpu)
}

/// A price in millionths of the currency; the number as written has six decimals at most.
fn price(node: &Node, report: &mut Report) -> Option<u64> {
    let micro = match &node.value {
        Value::Integer(whole) => u64::try_from(*whole).ok().and_then(|whole| whole.checked_mul(MICRO)),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range that is checked")]
        Value::Float(number) => {
            let micro = number * 1e6;
            let is_exact = (micro - micro.round()).abs() < 1e-3;
            (is_exact && (0.0..=1e12).contains(&micro)).then(|| micro.round() as u64)
        }
        _ => return decode::mistyped(node, "a number", "write a number such as `0.30`", report),
    };
    let micro = micro.filter(|micro| *micro <= PRICE_MAX * MICRO);
    if micro.is_none() {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, "this cannot be a price")
                .why(format!("prices are 0 to {PRICE_MAX}, with six decimals at most"))
                .fix("write a number such as `0.30`"),
        );
    }
    micro
}

/// The most that a million of anything costs.
const PRICE_MAX: u64 = 1_000_000;

const CURRENCY_MAX: usize = 16;
const CPU_MS_MAX: u64 = 5 * 60 * 1_000;
const CPU_MS_DEFAULT: u64 = 1;
const RESPONSE_BYTES_DEFAULT: u64 = 10 << 10;
