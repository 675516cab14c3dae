//! The records of usage: at a running gateway, or in the store of a host.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use tollgate_core::operator::Resource;
use tollgate_core::telemetry::UsageBatch;
use tollgate_kv_schemas::{decode, expiring, keys};

use super::super::key::now;
use super::super::key::place::Keys;
use crate::at::Gateway;
use crate::failure::Failure;
use crate::target::Target;

/// A page of the operator endpoint.
#[derive(Deserialize)]
struct Page {
    records: Vec<Value>,
    cursor: Option<String>,
}

/// The batches of these hours, each once. What is part of another one is left out.
pub(super) fn batches(place: &Keys<'_>, hours: &[String]) -> Result<Vec<UsageBatch>, Failure> {
    let mut all = Vec::new();
    for hours in hours {
        match place {
            Keys::Running(gateway) => at(gateway, hours, &mut all)?,
            Keys::Stored { target, gateway } => {
                for key in target.keys(&keys::usage_of(gateway, hours), usize::MAX)? {
                    all.extend(read(target, &key)?);
                }
            }
        }
    }
    Ok(each_once(all))
}

/// The batch under a key; `None` if it has expired.
pub(super) fn read(target: &Target, key: &str) -> Result<Option<UsageBatch>, Failure> {
    let Some(value) = target.get(key)? else { return Ok(None) };
    // Spin's store has the expiry in front of it.
    let value = if expiring::key_and_end(&value).is_some() { expiring::unwrap(key, value, now()) } else { Some(value) };
    let batch = value.map(|value| decode(&value)).transpose();
    batch.map_err(|error| Failure::problem(format!("{key}: {error}")))
}

fn at(gateway: &Gateway<'_>, hours: &str, all: &mut Vec<UsageBatch>) -> Result<(), Failure> {
    let mut cursor = None::<String>;
    loop {
        let parameters = [("hours", Some(hours).filter(|hours| !hours.is_empty())), ("cursor", cursor.as_deref())];
        let page: Page = gateway.ask(Resource::ListUsage, &parameters)?;
        for record in page.records {
            let batch = decode::<UsageBatch>(record.to_string().as_bytes());
            all.push(batch.map_err(|error| Failure::problem(format!("{}: {error}", gateway.name())))?);
        }
        match page.cursor {
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            Some(_) | None => return Ok(()),
        }
    }
}

fn each_once(all: Vec<UsageBatch>) -> Vec<UsageBatch> {
    let covered: BTreeSet<(String, String)> =
        all.iter().flat_map(|sum| sum.covers.iter().map(|batch| (sum.hour.clone(), batch.clone()))).collect();
    let by_id = all.into_iter().map(|batch| ((batch.hour.clone(), batch.batch.clone()), batch));
    by_id.filter(|(id, _)| !covered.contains(id)).collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What the hours between two instants begin with: a day, or months.
pub(super) fn spans(from: Option<&str>, until: Option<&str>) -> Vec<String> {
    let now = now().to_rfc3339();
    let Some(from) = from else { return vec![String::new()] };
    let until = until.filter(|until| *until < now.as_str()).unwrap_or(&now);
    match (from.get(..DAY), until.get(..DAY)) {
        (Some(from), Some(until)) if from == until => return vec![from.to_owned()],
        _ => {}
    }
    let month = |text: &str| {
        let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
        part(0..4).unwrap_or_default() * 12 + part(5..7).unwrap_or(1).saturating_sub(1)
    };
    let (first, last) = (month(from), month(until));
    if last.saturating_sub(first) > MONTHS_MAX {
        return vec![String::new()];
    }
    (first..=last).map(|month| format!("{:04}-{:02}", month / 12, month % 12 + 1)).collect()
}

/// Of a timestamp.
const DAY: usize = "2026-11-28".len();

/// Beyond that all records are read.
const MONTHS_MAX: u32 = 36;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_months_or_the_day_of_the_instants_are_read() {
        let of = |from, until| spans(Some(from), Some(until)).join(" ");
        assert_eq!(of("2025-11", "2026-02-01"), "2025-11 2025-12 2026-01 2026-02");
        assert_eq!(of("2025-11-28T08", "2025-11-28T12"), "2025-11-28");
        assert_eq!(of("2025", "2025-02"), "2025-01 2025-02");
        assert_eq!((spans(None, Some("2026")), of("2010", "2026")), (vec![String::new()], String::new()));
        assert!(spans(Some("2100-01-01"), None).is_empty());
    }

    #[test]
    fn a_batch_counts_once_and_not_beside_its_sum() {
        let batch = |hour: &str, id: &str, covers: &[&str]| UsageBatch {
            hour: hour.into(),
            batch: id.into(),
            covers: covers.iter().map(|id| (*id).to_owned()).collect(),
            ..UsageBatch::default()
        };
        let all = vec![
            batch("2026-11-28T00", "a", &[]),
            batch("2026-11-28T00", "a", &[]),
            batch("2026-11-28T00", "b", &[]),
            batch("2026-11-28T00", "sum-1", &["b", "c"]),
            batch("2026-11-28T01", "b", &[]),
        ];
        let left = each_once(all);
        let left: Vec<_> = left.iter().map(|batch| (&batch.hour[11..], batch.batch.as_str())).collect();
        assert_eq!(left, [("00", "a"), ("00", "sum-1"), ("01", "b")]);
    }
}
