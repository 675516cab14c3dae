//! `tollgate usage compact`.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Args};
use serde::Serialize;
use serde_json::json;
use tollgate_core::telemetry::{HOUR_BYTES, UsageBatch, UsageRow};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{Id, encode, keys};

use super::super::key::place::Keys;
use super::super::key::{KeysArgs, now, of_place};
use super::records::read;
use crate::commands::Output;
use crate::failure::Failure;
use crate::target::Target;
use crate::terminal;

/// Sum up the records of hours that are over: one record for each hour.
///
/// A run writes sums, and removes the batches that an earlier run has summed
/// up: who reads meanwhile finds one or the other, and counts each once. It
/// can be repeated after it was interrupted.
#[derive(Debug, Args)]
#[command(
    mut_args(of_store),
    after_help = "\
Examples:
  tollgate usage compact --gateway shop --to native --store shop.db
  tollgate usage compact --gateway shop --to spin --older-days 7"
)]
pub(super) struct CompactArgs {
    /// Only hours that ended so many days ago: an isolate that could not write until then loses its batch of the hour.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    older_days: u64,
    /// For how many days of their hour sums are kept; older records are removed
    /// (default: as long as `telemetry.usage.keep` of the gateway that wrote them said).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3_650))]
    keep_days: Option<u64>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The options of a store that has no expiry of its own: the others cannot be used.
fn of_store(arg: Arg) -> Arg {
    let arg = of_place(arg);
    match arg.get_id().as_str() {
        "at" | "token_file" | "ca" | "plain_http" | "binding" | "local" | "remote" => arg.hide(true),
        "to" => arg.required(true).help("The host whose store contains the records: native or spin"),
        _ => arg,
    }
}

pub(super) fn run(args: &CompactArgs) -> Result<(), Failure> {
    let place = args.keys.open()?;
    let (target, gateway) = match &place {
        Keys::Stored { target, gateway } if !matches!(target, Target::Cloudflare(_)) => (target, gateway),
        Keys::Stored { .. } | Keys::Running(_) => {
            let why = "name the store with --to native or --to spin: Workers KV removes records by itself";
            return Err(Failure::usage(why));
        }
    };
    let done = compact(target, gateway, now(), args)?;
    let Done { summed, sums, removed } = done;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(done))),
        Output::Text => terminal::note(&format!(
            "{summed} batches are summed up in {sums} records, {removed} records are removed from {}",
            target.name()
        )),
    }
    Ok(())
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Done {
    summed: usize,
    sums: usize,
    removed: usize,
}

fn compact(target: &Target, gateway: &str, now: Timestamp, args: &CompactArgs) -> Result<Done, Failure> {
    let mut hours: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let prefix = keys::usage_of(gateway, "");
    for key in target.keys(&prefix, usize::MAX)? {
        let hour = key[prefix.len()..].chars().take(HOUR_BYTES).collect();
        hours.entry(hour).or_default().push(key);
    }
    let mut done = Done::default();
    for (hour, keys) in hours {
        let Some(began) = Timestamp::from_rfc3339(&format!("{hour}:00:00Z")) else { continue };
        if now < began.plus_millis(HOUR_MS + args.older_days * DAY_MS) {
            break;
        }
        let kept = Kept { now, began, until: args.keep_days.map(|days| began.plus_millis(days * DAY_MS)) };
        compact_hour(target, gateway, &keys, kept, &mut done)?;
    }
    Ok(done)
}

/// How long the records of an hour are kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    now: Timestamp,
    began: Timestamp,
    /// Absent: as each record says.
    until: Option<Timestamp>,
}

fn compact_hour(target: &Target, gateway: &str, keys: &[String], kept: Kept, done: &mut Done) -> Result<(), Failure> {
    let (mut batches, mut over, mut last) = (Vec::new(), Vec::new(), Timestamp::EPOCH);
    for key in keys {
        let end = match kept.until {
            Some(until) => until,
            None => target.end_of(key)?.unwrap_or_else(|| kept.began.plus_millis(KEEP_DAYS * DAY_MS)),
        };
        if kept.now >= end {
            over.push(key.clone());
        } else if let Some(batch) = read(target, key)? {
            last = last.max(end);
            batches.push(batch);
        }
    }
    done.removed += over.len();
    target.remove(&over)?;
    let covered: BTreeSet<String> = batches.iter().flat_map(|batch| batch.covers.iter().cloned()).collect();
    let (old, live): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| covered.contains(&batch.batch));
    let key_of = |batch: &UsageBatch| keys::usage(gateway, &batch.hour, &batch.batch);
    // The sums that cover these were written by an earlier run.
    let old: Vec<String> = old.iter().map(key_of).collect();
    done.removed += old.len();
    target.remove(&old)?;
    let sums = sums(&live);
    if sums.len() == live.len() {
        return Ok(());
    }
    done.summed += live.len();
    done.sums += sums.len();
    let records: Vec<_> = sums.iter().map(|sum| (key_of(sum), encode(sum))).collect();
    // What one of them keeps, all do.
    target.put_until(&records, last)
}

/// The sums of batches of one hour, as few as can be read.
fn sums(live: &[UsageBatch]) -> Vec<UsageBatch> {
    let mut sums: Vec<UsageBatch> = Vec::new();
    for batch in live {
        let has_room = |sum: &&mut UsageBatch| {
            sum.rows.len() + batch.rows.len() <= ROWS_MAX && sum.covers.len() + batch.covers.len() < COVERS_MAX
        };
        match sums.last_mut().filter(has_room) {
            Some(sum) => add(sum, batch),
            None => {
                let UsageBatch { gateway, hour, .. } = batch.clone();
                let mut sum = UsageBatch { gateway, hour, ..UsageBatch::default() };
                add(&mut sum, batch);
                sums.push(sum);
            }
        }
    }
    for sum in &mut sums {
        // The same batches have the same sum.
        sum.batch = format!("sum-{}", &Id::of(sum.covers.join(",").as_bytes()).to_string()[..24]);
    }
    sums
}

fn add(sum: &mut UsageBatch, batch: &UsageBatch) {
    sum.covers.push(batch.batch.clone());
    sum.covers.extend(batch.covers.iter().cloned());
    let of = |row: &UsageRow| UsageRow { requests: 0, refused: 0, failed: 0, cost: 0, ..row.clone() };
    for row in &batch.rows {
        match sum.rows.iter_mut().find(|known| of(known) == of(row)) {
            Some(known) => {
                known.requests += row.requests;
                known.refused += row.refused;
                known.failed += row.failed;
                known.cost += row.cost;
            }
            None => sum.rows.push(row.clone()),
        }
    }
}

/// With its members a row is eleven values, and a record has at most 16,384.
const ROWS_MAX: usize = 1_200;
const COVERS_MAX: usize = 2_000;

/// For how long a record without an end is kept: the default of `telemetry.usage.keep`.
const KEEP_DAYS: u64 = 400;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::usage::records::batches;
    use crate::target::{Place, StoreArgs};
    use clap::Parser;
    use tollgate_core::telemetry::{Tally, Used};
    use tollgate_kv_schemas::usage_record;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: CompactArgs,
    }

    #[derive(Parser)]
    struct Store {
        #[command(flatten)]
        store: StoreArgs,
    }

    fn requests(place: &Keys<'_>) -> (usize, u64, u64) {
        let all = batches(place, &[String::new()]).unwrap();
        let rows = all.iter().flat_map(|batch| &batch.rows);
        let (requests, cost) = rows.fold((0, 0), |(requests, cost), row| (requests + row.requests, cost + row.cost));
        (all.len(), requests, cost)
    }

    #[test]
    fn sums_count_like_their_batches_whenever_a_run_is_interrupted() {
        for host in [Place::Native, Place::Spin] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let store = Store::parse_from(["store", "--store", path.to_str().unwrap()]).store;
            let place = Keys::Stored { target: Target::of(host, &store).unwrap(), gateway: "shop".into() };
            let Keys::Stored { target, .. } = &place else { return };
            let args = Command::parse_from(["compact", "--to", "native", "--store", "x"]).args;
            let began = Timestamp::from_millis(now().as_millis() / HOUR_MS * HOUR_MS).minus_millis(5 * DAY_MS);
            let end = now().plus_millis(100 * DAY_MS);
            let put = |hours: u64, id: &str, consumer: &str, cost| {
                let mut tally = Tally::default();
                let at = began.plus_millis(hours * HOUR_MS);
                tally.add(&Used { at, consumer: Some(consumer), status: 200, cost, ..Used::default() });
                let key = keys::usage("shop", tally.hour().unwrap(), id);
                target.put_until(&[(key, usage_record("shop", id, &tally))], end).unwrap();
            };
            for (hours, id, consumer, cost) in
                [(0, "a1", "acme", 1), (0, "b1", "globex", 2), (0, "b2", "acme", 4), (1, "a2", "acme", 8)]
            {
                put(hours, id, consumer, cost);
            }
            put(5 * 24, "a3", "acme", 16);
            assert_eq!(requests(&place), (5, 5, 31));
            let run = || compact(target, "shop", now(), &args).unwrap();
            assert_eq!(run(), Done { summed: 3, sums: 1, removed: 0 });
            assert_eq!(requests(&place), (3, 5, 31), "batches and their sum are there");
            assert_eq!(run(), Done { summed: 0, sums: 0, removed: 3 });
            assert_eq!(requests(&place), (3, 5, 31));
            assert_eq!(run(), Done::default());
            // A batch that comes late, and one that is written once more.
            put(0, "c1", "acme", 32);
            put(0, "b2", "acme", 4);
            assert_eq!(requests(&place), (4, 6, 63));
            assert_eq!(run(), Done { summed: 2, sums: 1, removed: 1 });
            assert_eq!(run(), Done { summed: 0, sums: 0, removed: 2 });
            assert_eq!(requests(&place), (3, 6, 63));
        }
    }

    #[test]
    fn sums_are_kept_as_long_as_their_batches_and_what_is_over_is_removed() {
        for host in [Place::Native, Place::Spin] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let store = Store::parse_from(["store", "--store", path.to_str().unwrap()]).store;
            let target = Target::of(host, &store).unwrap();
            let began = Timestamp::from_millis(now().as_millis() / HOUR_MS * HOUR_MS).minus_millis(5 * DAY_MS);
            let put = |id: &str, end: Timestamp| {
                let mut tally = Tally::default();
                tally.add(&Used { at: began, status: 200, cost: 1, ..Used::default() });
                let key = keys::usage("shop", tally.hour().unwrap(), id);
                target.put_until(&[(key, usage_record("shop", id, &tally))], end).unwrap();
            };
            let [soon, later] = [40, 700].map(|days| now().plus_millis(days * DAY_MS));
            put("a", soon);
            put("b", later);
            let run = |more: &[&str], at: Timestamp| {
                let words = [&["compact", "--to", "native", "--store", "x"][..], more].concat();
                compact(&target, "shop", at, &Command::parse_from(words).args).unwrap()
            };
            assert_eq!(run(&[], now()), Done { summed: 2, sums: 1, removed: 0 });
            let sum = target.keys(&keys::usage_of("shop", ""), 9).unwrap().into_iter().find(|key| key.contains("sum-"));
            assert_eq!(target.end_of(&sum.unwrap()).unwrap(), Some(later), "{host:?}");
            assert_eq!(run(&[], now()).removed, 2);
            assert_eq!(run(&["--keep-days", "3"], now()).removed, 1, "a number of days is what was asked for");
            put("c", soon);
            assert_eq!(run(&[], soon.plus_millis(1)).removed, 1, "{host:?}");
        }
    }

    #[test]
    fn help_shows_the_options_that_can_be_used() {
        use clap::CommandFactory;
        let help = Command::command().mut_args(of_store).render_long_help().to_string();
        assert!(["--to", "--store", "--gateway", "--keep-days"].iter().all(|option| help.contains(option)), "{help}");
        assert!(
            !["--at", "--token-file", "--binding", "--remote"].iter().any(|option| help.contains(option)),
            "{help}"
        );
    }

    #[test]
    fn many_rows_make_several_sums_that_can_be_read() {
        let rows = |from: u64| {
            (from..from + 700).map(|number| UsageRow {
                consumer: Some(number.to_string()),
                requests: 1,
                ..UsageRow::default()
            })
        };
        let batch =
            |id: &str, from| UsageBatch { batch: id.into(), rows: rows(from).collect(), ..UsageBatch::default() };
        let sums = sums(&[batch("a", 0), batch("b", 700), batch("c", 0)]);
        assert_eq!(sums.iter().map(|sum| sum.rows.len()).collect::<Vec<_>>(), [700, 700, 700]);
        assert!(sums.iter().all(|sum| tollgate_kv_schemas::decode::<UsageBatch>(&encode(sum)).is_ok()));
    }
}
