//! What requests cost: a price list, and what a million requests come to by it.
//!
//! All amounts are whole millionths of the currency; a part of one counts as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::bounds::{Target, Usage};
use crate::diagnostic::{Diagnostics, Report};
use crate::model::prices as model;
use crate::source::{self, FileId, Files, Folder, Limits, Loader};

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
    pub(crate) micro: [u64; Unit::ALL.len()],
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

/// A million requests: so many of them are answered from the cache, the others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// What a request causes that is answered from the cache.
    pub hit: Usage,
    /// What every other one causes.
    pub miss: Usage,
    /// How many of a million are answered from the cache; no more than a million.
    pub hits: u32,
}

/// What a million requests come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// For each unit, how much of it is used (for egress in bytes), and what that costs in millionths of the currency.
    pub items: Vec<(Unit, u64, u64)>,
    /// All together, in millionths of the currency.
    pub total_micro: u64,
}

impl TargetPrices {
    /// The price of a million of a unit (of one GiB of egress), in millionths of the currency.
    #[must_use]
    pub fn micro(&self, unit: Unit) -> u64 {
        let place = Unit::ALL.iter().position(|known| *known == unit);
        place.and_then(|place| self.micro.get(place)).copied().unwrap_or_default()
    }

    /// What a million requests come to.
    #[must_use]
    pub fn per_million(&self, mix: &Mix) -> Estimate {
        let item = |unit| {
            let quantity = self.quantity(unit, mix);
            let for_so_many = if unit == Unit::EgressGib { GIB } else { MICRO };
            let cost = u128::from(quantity) * u128::from(self.micro(unit));
            (unit, quantity, u64::try_from(cost.div_ceil(u128::from(for_so_many))).unwrap_or(u64::MAX))
        };
        let items: Vec<_> = Unit::ALL.into_iter().map(item).collect();
        let total_micro = items.iter().fold(0u64, |total, (.., micro)| total.saturating_add(*micro));
        Estimate { items, total_micro }
    }

    /// How much of a unit a million requests use.
    fn quantity(&self, unit: Unit, mix: &Mix) -> u64 {
        let mixed = |of: fn(&Usage) -> u64| {
            let hits = u64::from(mix.hits).min(MICRO);
            of(&mix.hit).saturating_mul(hits).saturating_add(of(&mix.miss).saturating_mul(MICRO - hits))
        };
        match unit {
            Unit::Requests => MICRO,
            Unit::CpuMs => self.cpu_ms.saturating_mul(MICRO),
            Unit::RecordReads => mixed(|usage| usage.record_reads),
            Unit::CounterCalls => mixed(|usage| usage.counter_calls),
            Unit::CacheCalls => mixed(|usage| usage.cache_look_ups.saturating_add(usage.cache_stores)),
            Unit::UpstreamRequests => mixed(|usage| usage.upstream_attempts),
            Unit::Exports => mixed(|usage| usage.export_posts),
            Unit::EgressGib => self.response_bytes.saturating_mul(MICRO),
        }
    }
}

impl Prices {
    /// The list that is built in.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn built_in() -> Result<Self, Diagnostics> {
        Self::read(FILE, BUILT_IN)
    }

    /// Reads a price list from a text; `name` is what diagnostics call it.
    ///
    /// # Errors
    /// When the text has a mistake.
    pub fn read(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut files = Files::new();
        let file = files.add(name, text);
        build(Some(file), files, Report::default())
    }

    /// Reads `prices.yaml` of a project folder, where there is one.
    ///
    /// # Errors
    /// When the file has a mistake.
    pub fn of_project(project: &Path) -> Result<Option<Self>, Diagnostics> {
        let Some(name) = FILES.iter().find(|name| project.join(name).exists()) else { return Ok(None) };
        let (mut loader, mut report) = (Loader::new(Folder::Disk(project.to_owned())), Report::default());
        let file = loader.load(name, &Limits::AUTHORED, &mut report);
        build(file, loader.into_files(), report).map(Some)
    }
}

fn build(file: Option<FileId>, files: Files, mut report: Report) -> Result<Prices, Diagnostics> {
    let read = |file| {
        let root = source::read(file, files.text(file), &Limits::AUTHORED, &mut report)?;
        model::decode(&root, &mut report)
    };
    let prices = file.and_then(read);
    let has_errors = report.has_errors();
    match prices {
        Some(prices) if !has_errors => Ok(prices),
        _ => Err(report.finish(files)),
    }
}

/// A million: requests of an estimate, and parts of the currency.
pub(crate) const MICRO: u64 = 1_000_000;

const GIB: u64 = 1 << 30;

/// The price list of a project.
pub const FILE: &str = "prices.yaml";

const FILES: [&str; 3] = [FILE, "prices.yml", "prices.json"];

/// The list that is built in, to be copied and edited.
pub const BUILT_IN: &str = include_str!("prices.yaml");
