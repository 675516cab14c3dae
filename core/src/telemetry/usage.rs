//! Usage: what exchanges used, summed up by the hour in which they began.
//!
//! Isolates sum up what they serve and write it as records; `tollgate usage` sums up the lines of a log with the same [`Tally`].

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::ExchangeRecord;
use crate::bounds::USAGE_BATCH_BYTES_MAX;
use crate::codec::{self, Decode};
use crate::json::{self, FromJson};
use crate::problem::ProblemKind;
use crate::time::Timestamp;

/// Whether usage is written as records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct UsageSettings {
    /// How long an isolate sums up before it writes, in milliseconds; 0 writes after each reply.
    #[cbor(n(0), skip_if = "codec::is_default")]
    pub every_ms: u64,
    /// How long records are kept, in seconds.
    #[n(1)]
    pub keep_s: u32,
}

/// What one exchange used: of its record, or of its line in a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used<'u> {
    /// When it began.
    pub at: Timestamp,
    /// The route's id, which begins with the API's name.
    pub route: Option<&'u str>,
    /// The authenticated consumer.
    pub consumer: Option<&'u str>,
    /// The consumer's plan.
    pub plan: Option<&'u str>,
    /// The subscription, if a limit asked for it.
    pub subscription: Option<&'u str>,
    /// The product of the subscription.
    pub product: Option<&'u str>,
    /// The status of the response.
    pub status: u16,
    /// The problem of the response.
    pub problem: Option<&'u str>,
    /// What was charged to limits.
    pub cost: u32,
}

/// The sums of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums([u64; SUMS.len()]);

/// What exchanges used, by hour, route, consumer, plan, subscription and product.
///
/// Two tallies of the same exchanges are equal, in whatever order and however often they were put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sorted. A key is the hour, and the members of the row as JSON.
    rows: Vec<(Box<str>, Sums)>,
    bytes: usize,
}

/// A batch of usage, as it is stored: what exchanges used that began in one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct UsageBatch {
    /// The gateway.
    pub gateway: String,
    /// The hour, in UTC: `2026-11-28T23`.
    pub hour: String,
    /// The id of the batch. A batch that is written or read twice counts once.
    pub batch: String,
    /// The batches that are part of this one, and do not count by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<String>,
    /// The rows.
    pub rows: Vec<UsageRow>,
}

/// A row of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct UsageRow {
    /// The route's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// The consumer's plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The product of the subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Exchanges.
    pub requests: u64,
    /// Those that a limit or a budget refused.
    pub refused: u64,
    /// Those that were answered with a status from 500 on, but for those that a budget refused.
    pub failed: u64,
    /// What was charged to limits.
    pub cost: u64,
}

impl<'u> From<&'u ExchangeRecord> for Used<'u> {
    fn from(record: &'u ExchangeRecord) -> Self {
        let subscribed = record.principal().and_then(|_| record.events.subscribed());
        Self {
            at: record.started,
            route: record.route().map(|route| &*route.id),
            consumer: record.principal().map(|principal| principal.consumer.as_str()),
            plan: record.principal().and_then(|_| record.events.plan()),
            subscription: subscribed.map(|(subscription, _)| subscription),
            product: subscribed.map(|(_, product)| product),
            status: record.status,
            problem: record.refusal().map(|refusal| refusal.problem.slug()),
            cost: record.events.charged().unwrap_or_default(),
        }
    }
}

impl Tally {
    /// Whether nothing was used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it has as many rows as one batch should.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes >= USAGE_BATCH_BYTES_MAX
    }

    /// How many exchanges it has.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.rows.iter().map(|(_, sums)| sums.0[0]).sum()
    }

    /// Adds an exchange, unless it is a call of an operator. A full tally adds to rows that it has, but no rows: it answers whether the exchange was added.
    pub fn add(&mut self, used: &Used<'_>) -> bool {
        if used.route == Some(OPERATOR_ROUTE) {
            return true;
        }
        let mut key = Self::hour_of(used.at);
        key.reserve(KEY_BYTES_USUAL);
        key.push_str(&json::members(|row| {
            let texts = [used.route, used.consumer, used.plan, used.subscription, used.product];
            for (name, text) in TEXTS.iter().zip(texts) {
                if let Some(text) = text {
                    row.text(name, text);
                }
            }
        }));
        let by_limit = [ProblemKind::RateLimitExceeded, ProblemKind::BudgetExhausted].map(ProblemKind::slug);
        let is_refused = used.problem.is_some_and(|problem| by_limit.contains(&problem));
        let has_failed = used.status >= 500 && !is_refused;
        let sums = Sums([1, is_refused.into(), has_failed.into(), used.cost.into()]);
        self.add_row(&key, sums, !self.is_full())
    }

    /// Adds what another one has, and answers whether there is room for it; if there is none, nothing changes.
    pub fn merge(&mut self, other: &Self) -> bool {
        let has_room = self.bytes + other.bytes <= USAGE_BATCH_BYTES_MAX;
        if has_room {
            other.rows.iter().for_each(|(key, sums)| {
                self.add_row(key, *sums, true);
            });
        }
        has_room
    }

    /// The hour of an instant, in UTC, such as `2026-11-28T23`.
    #[must_use]
    pub fn hour_of(at: Timestamp) -> String {
        // Digits and separators are always text.
        std::str::from_utf8(&at.second_text()[..HOUR_BYTES]).unwrap_or_default().to_owned()
    }

    /// The hour of its first row, such as `2026-11-28T23`.
    #[must_use]
    pub fn hour(&self) -> Option<&str> {
        self.rows.first()?.0.get(..HOUR_BYTES)
    }

    /// Takes the rows of its first hour.
    pub fn take_hour(&mut self) -> Self {
        let hour = self.hour().unwrap_or_default();
        let count = self.rows.iter().take_while(|(key, _)| key.starts_with(hour)).count();
        let rows: Vec<_> = self.rows.drain(..count).collect();
        let bytes = rows.iter().map(|(key, _)| bytes_of(key)).sum();
        self.bytes -= bytes;
        Self { rows, bytes }
    }

    /// Writes the members of a [`UsageBatch`] of its rows, which are of one hour.
    pub fn write(&self, gateway: &str, batch: &str, data: &mut json::Object<'_>) {
        data.text("gateway", gateway);
        data.text("hour", self.hour().unwrap_or_default());
        data.text("batch", batch);
        data.list("rows", &self.rows, |out, (key, sums)| {
            json::object(out, |row| {
                if let Some(members) = key.get(HOUR_BYTES..).filter(|members| !members.is_empty()) {
                    row.written(members);
                }
                SUMS.iter().zip(sums.0).for_each(|(name, sum)| row.number(name, sum));
            });
        });
    }

    fn add_row(&mut self, key: &str, added: Sums, may_grow: bool) -> bool {
        match self.rows.binary_search_by(|(known, _)| (**known).cmp(key)) {
            Ok(at) => {
                self.rows[at].1.0.iter_mut().zip(added.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            }
            Err(at) if may_grow => {
                self.bytes += bytes_of(key);
                self.rows.insert(at, (key.into(), added));
            }
            Err(_) => return false,
        }
        true
    }
}

/// What a row needs in a record.
const fn bytes_of(key: &str) -> usize {
    key.len() + SUMS_BYTES
}

/// The members that say what a row is for.
const TEXTS: [&str; 5] = ["route", "consumer", "plan", "subscription", "product"];

/// The members with sums.
const SUMS: [&str; 4] = ["requests", "refused", "failed", "cost"];

/// The sums of a row with their names, most of which are short.
const SUMS_BYTES: usize = 64;

/// The route's id in the records of calls of operators.
pub const OPERATOR_ROUTE: &str = "tollgate.operator";

/// Of a timestamp: `2026-11-28T23`.
pub const HOUR_BYTES: usize = 13;

/// Capacity.
const KEY_BYTES_USUAL: usize = 160;

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
