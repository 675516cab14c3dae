//! `prices.yaml`: the prices of platforms.

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
    /// The date of the prices.
    pub as_of: String,
    /// The prices of each target in the list.
    pub targets: BTreeMap<Target, TargetPrices>,
}

/// The prices of one platform, and the assumptions about a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPrices {
    /// The source of the prices.
    pub source: Option<String>,
    /// The CPU time of one request, in milliseconds.
    pub cpu_ms: u64,
    /// The size of a response's content, in bytes.
    pub response_bytes: u64,
    /// The prices, in the order of [`Unit::ALL`], in millionths of the currency.
    micro: [u64; Unit::ALL.len()],
}

/// A unit that platforms charge for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Requests.
    Requests,
    /// Milliseconds of CPU time.
    CpuMs,
    /// Records read.
    RecordReads,
    /// Records written.
    RecordWrites,
    /// Calls of counters.
    CounterCalls,
    /// Calls of the response cache.
    CacheCalls,
    /// Requests to upstreams.
    UpstreamRequests,
    /// Questions to services, such as identity providers and receivers of notices.
    Questions,
    /// Batches of telemetry.
    Exports,
    /// Content sent to clients; the price is for one GiB.
    EgressGib,
}

impl Unit {
    /// All units.
    pub const ALL: [Self; 10] = [
        Self::Requests,
        Self::CpuMs,
        Self::RecordReads,
        Self::RecordWrites,
        Self::CounterCalls,
        Self::CacheCalls,
        Self::UpstreamRequests,
        Self::Questions,
        Self::Exports,
        Self::EgressGib,
    ];

    /// The key of the price in a price list.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::CpuMs => "cpu-ms",
            Self::RecordReads => "record-reads",
            Self::RecordWrites => "record-writes",
            Self::CounterCalls => "counter-calls",
            Self::CacheCalls => "cache-calls",
            Self::UpstreamRequests => "upstream-requests",
            Self::Questions => "questions",
            Self::Exports => "exports",
            Self::EgressGib => "egress-gib",
        }
    }
}

impl TargetPrices {
    /// Whether anything has a price.
    #[must_use]
    pub fn are_some(&self) -> bool {
        self.micro.iter().any(|price| *price > 0)
    }

    /// The price of a million of a unit (for egress, of one GiB), in millionths of the currency.
    #[must_use]
    pub fn micro(&self, unit: Unit) -> u64 {
        let place = Unit::ALL.iter().position(|known| *known == unit);
        place.and_then(|place| self.micro.get(place)).copied().unwrap_or_default()
    }
}

/// Decodes the root of a price list.
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
            Diagnostic::error(Code::UnknownValue, name.span, format!("unknown target `{}`", name.value))
                .why("its prices would never be used")
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

/// A name of a currency, such as `USD`.
fn currency(node: &Node, report: &mut Report) -> Option<Spanned<String>> {
    let text = decode::text(node, report)?;
    let is_name = is_currency(&text.value);
    if !is_name {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, "the name of the currency is not valid")
                .why("the name must have 1 to 16 letters")
                .fix("write a name such as `USD`"),
        );
    }
    is_name.then_some(text)
}

pub(crate) fn is_currency(text: &str) -> bool {
    (1..=CURRENCY_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// The CPU time of one request.
fn cpu(node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    let cpu = decode::quantity(node, &DURATION, report)?;
    let is_one = cpu.value <= CPU_MS_MAX;
    if !is_one {
        report.push(
            Diagnostic::error(Code::OutOfRange, node.span, "the CPU time of a request is too long")
                .why("the maximum is 5m, the highest limit of the platforms")
                .fix("write the measured CPU time of one request, such as `2ms`"),
        );
    }
    is_one.then_some(cpu)
}

/// A price in millionths of the currency; the written number has at most six decimals.
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
            Diagnostic::error(Code::OutOfRange, node.span, "the price is not valid")
                .why(format!("prices are from 0 to {PRICE_MAX}, with at most six decimals"))
                .fix("write a number such as `0.30`"),
        );
    }
    micro
}

/// A million: the number of requests of an estimate, and of parts of the currency.
pub const MICRO: u64 = 1_000_000;

/// The maximum price of a million of a unit.
const PRICE_MAX: u64 = 1_000_000;

const CURRENCY_MAX: usize = 16;
const CPU_MS_MAX: u64 = 5 * 60 * 1_000;
const CPU_MS_DEFAULT: u64 = 1;
const RESPONSE_BYTES_DEFAULT: u64 = 10 << 10;
