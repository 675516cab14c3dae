//! `prices.yaml`: what platforms charge.

use std::collections::BTreeMap;

use serde::Serialize;

use super::project::format_version;
use crate::decode::{self, DURATION, Fields, Named, SIZE};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::model::target::Target;
use crate::place::Spanned;
use crate::source::{Node, Value};

/// A price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// The currency, such as `USD`.
    pub currency: String,
    /// The day from which the prices are.
    pub as_of: String,
    /// The prices of each target that it has.
    pub targets: BTreeMap<Target, TargetPrices>,
}

/// What one platform charges, and what is assumed of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPrices {
    /// Where the prices are from.
    pub source: Option<String>,
    /// The time of a processor that one request takes, in milliseconds.
    pub cpu_ms: u64,
    /// The content of a response, in bytes.
    pub response_bytes: u64,
    /// The prices, in the order of [`Unit::ALL`], in millionths of the currency.
    micro: [u64; Unit::ALL.len()],
}

/// What is charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests.
    Requests,
    /// Milliseconds of a processor.
    CpuMs,
    /// Records read.
    RecordReads,
    /// Calls of counters.
    CounterCalls,
    /// Calls of the response cache.
    CacheCalls,
    /// Requests to upstreams.
    UpstreamRequests,
    /// Batches of telemetry.
    Exports,
    /// What goes to clients; its price is that of one GiB.
    EgressGib,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Requests,
        Self::CpuMs,
        Self::RecordReads,
        Self::CounterCalls,
        Self::CacheCalls,
        Self::UpstreamRequests,
        Self::Exports,
        Self::EgressGib,
    ];

    /// The key of its price in a price list.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::CpuMs => "cpu-ms",
            Self::RecordReads => "record-reads",
            Self::CounterCalls => "counter-calls",
            Self::CacheCalls => "cache-calls",
            Self::UpstreamRequests => "upstream-requests",
            Self::Exports => "exports",
            Self::EgressGib => "egress-gib",
        }
    }
}

impl TargetPrices {
    /// The price of a million of a unit (of one GiB of egress), in millionths of the currency.
    #[must_use]
    pub fn micro(&self, unit: Unit) -> u64 {
        let place = Unit::ALL.iter().position(|known| *known == unit);
        place.and_then(|place| self.micro.get(place)).copied().unwrap_or_default()
    }
}

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

/// A million: requests of an estimate, and parts of the currency.
pub const MICRO: u64 = 1_000_000;

/// The most that a million of anything costs.
const PRICE_MAX: u64 = 1_000_000;

const CURRENCY_MAX: usize = 16;
const CPU_MS_MAX: u64 = 5 * 60 * 1_000;
const CPU_MS_DEFAULT: u64 = 1;
const RESPONSE_BYTES_DEFAULT: u64 = 10 << 10;
