//! `tollgate usage`: who used what, from the records of a gateway or from its log.

mod compact;
mod records;
mod tally;

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use clap::{Args, Subcommand, ValueEnum};
use tollgate_core::telemetry::{HOUR_BYTES, UsageBatch};

use super::key::{KeysArgs, of_place};
use crate::failure::Failure;
use crate::terminal;
use tally::{Dimension, Line, Log, Usage, Window};

/// Sum up who used what, from the records of a gateway or from its log.
///
/// Without files it reads the records that a gateway with `telemetry.usage`
/// writes: at a running gateway, or in the store of a host. They count by the
/// hour.
///
/// With files it reads the lines that a gateway logs. A line that occurs twice
/// counts once, so files may overlap. Lines of other programs are passed over.
///
/// `cost` is what was charged to limits, `refused` counts requests beyond a
/// limit or a budget, `failed` those answered with another status from 500 on.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate usage --at https://api.example.com --token-file token --from 2026-11 --window month
  tollgate usage --by consumer,product,plan --gateway shop --to native --store shop.db
  tollgate usage --by consumer,plan,api --window month --from 2026-11 *.log
  wrangler tail --format json | jq -r '.logs[].message[]' | tollgate usage -
  tollgate usage --output csv --consumer acme gateway.log > acme.csv"
)]
pub(crate) struct UsageArgs {
    #[command(subcommand)]
    command: Option<UsageCommand>,
    /// Files of log lines, in place of records; `-` is standard input.
    #[arg(value_name = "FILE", conflicts_with_all = ["at", "to"])]
    files: Vec<String>,
    /// What the rows are for.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Dimension::Consumer, Dimension::Api])]
    by: Vec<Dimension>,
    /// The length of the windows, in UTC.
    #[arg(long, value_enum, default_value_t = Window::Day)]
    window: Window,
    /// Only requests from this instant on, such as `2026-11-01` or
    /// `2026-11-01T08`, in UTC.
    #[arg(long, value_parser = instant)]
    from: Option<String>,
    /// Only requests before this instant.
    #[arg(long, value_parser = instant)]
    until: Option<String>,
    /// Only requests of this consumer.
    #[arg(long)]
    consumer: Option<String>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Subcommand)]
enum UsageCommand {
    Compact(Box<compact::CompactArgs>),
}

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For spreadsheets (RFC 4180).
    Csv,
}

/// The beginning of an RFC 3339 timestamp in UTC, which sorts as the instants do.
fn instant(text: &str) -> Result<String, &'static str> {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000";
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    let text = text.strip_suffix('Z').unwrap_or(text);
    let is_whole = matches!(text.len(), 4 | 7 | 10 | 13 | 16 | 19 | 23);
    if is_whole && text.bytes().zip(FORM).all(fits) {
        Ok(text.to_owned())
    } else {
        Err("write a date or an instant in UTC, such as 2026-11-01 or 2026-11-01T08:00:00Z")
    }
}

pub(crate) fn run(args: &UsageArgs) -> Result<(), Failure> {
    if let Some(UsageCommand::Compact(args)) = &args.command {
        return compact::run(args);
    }
    if let (Some(from), Some(until)) = (&args.from, &args.until)
        && from >= until
    {
        return Err(Failure::usage(format!(
            "nothing is from {from} on and before {until}: --until has to be after --from"
        )));
    }
    let (batches, place) = if args.files.is_empty() { args.recorded()? } else { args.logged()? };
    let mut usage = Usage::new(&args.by, args.window);
    for batch in &batches {
        usage.add(batch, |row| args.consumer.is_none() || row.consumer == args.consumer);
    }
    if usage.is_empty() {
        terminal::note(&args.nothing_in(&place));
    }
    terminal::print(&match args.output {
        Form::Text => terminal::table(&printable(&usage.rows())),
        Form::Json => format!("{:#}\n", usage.to_json()),
        Form::Csv => usage.rows().iter().map(|row| csv_line(row)).collect(),
    });
    Ok(())
}

impl UsageArgs {
    /// The batches of records, and where they are.
    fn recorded(&self) -> Result<(Vec<UsageBatch>, String), Failure> {
        let mut parts = [&self.from, &self.until].into_iter().flatten();
        if let Some(part) = parts.find(|text| text.len() > HOUR_BYTES) {
            let hour = &part[..HOUR_BYTES];
            return Err(Failure::usage(format!("records count by the hour: write {hour}, or read log files")));
        }
        let place = self.keys.open()?;
        let spans = records::spans(self.from.as_deref(), self.until.as_deref());
        let mut batches = records::batches(&place, &spans)?;
        batches.retain(|batch| self.is_within(&batch.hour));
        Ok((batches, place.name()))
    }

    /// What to say if there is nothing to sum up.
    fn nothing_in(&self, place: &str) -> String {
        let selected = [
            ("--consumer", &self.consumer),
            ("--from", &self.from),
            ("--until", &self.until),
            ("--gateway", &self.keys.named_gateway().filter(|_| !self.files.is_empty()).map(str::to_owned)),
        ];
        let selected: Vec<String> =
            selected.into_iter().filter_map(|(option, value)| Some(format!("{option} {}", value.as_ref()?))).collect();
        let what = if self.files.is_empty() { "records of usage" } else { "log lines of exchanges" };
        match (selected.as_slice(), self.files.is_empty()) {
            ([], true) => format!("no {what} in {place}; `telemetry.usage` has them written"),
            ([], false) => format!("no {what} in {place}"),
            (selected, _) => format!("no {what} in {place} with {}", selected.join(" ")),
        }
    }

    /// The batches of the exchanges in log files, and which these are.
    fn logged(&self) -> Result<(Vec<UsageBatch>, String), Failure> {
        let (mut log, mut passed_over) = (Log::default(), 0_u64);
        for file in &self.files {
            let told = |error: io::Error| Failure::problem(format!("{file} cannot be read: {error}"));
            let lines: Box<dyn BufRead> = match file.as_str() {
                "-" => Box::new(io::stdin().lock()),
                path => Box::new(BufReader::new(File::open(path).map_err(told)?)),
            };
            for line in lines.split(b'\n') {
                match Line::parse(&line.map_err(told)?) {
                    Some(line) if self.selects(&line) => log.add(&line),
                    Some(_) => {}
                    None => passed_over += 1,
                }
            }
        }
        if passed_over > 0 {
            terminal::note(&format!("{passed_over} lines are not of exchanges and were passed over"));
        }
        Ok((log.into_batches().map_err(Failure::problem)?, self.files.join(", ")))
    }

    fn selects(&self, line: &Line) -> bool {
        self.keys.named_gateway().is_none_or(|gateway| gateway == line.gateway) && self.is_within(&line.time)
    }

    /// Whether an instant, or the hour that begins like this, is not left out.
    fn is_within(&self, time: &str) -> bool {
        self.from.as_ref().is_none_or(|from| time >= from.as_str())
            && self.until.as_ref().is_none_or(|until| time < until.as_str())
    }
}

fn printable(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(|cell| terminal::printable(cell)).collect()).collect()
}

/// A line of CSV. A spreadsheet computes a cell that begins like a formula, and names are chosen by others: such a cell begins with an apostrophe.
pub(super) fn csv_line(row: &[String]) -> String {
    let cells = row.iter().map(|cell| {
        let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.len() > 1 {
            format!("'{cell}")
        } else {
            cell.clone()
        };
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    });
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_beginning_of_a_timestamp() {
        for text in
            ["2026", "2026-11", "2026-11-01", "2026-11-01T08", "2026-11-01T08:00:00Z", "2026-11-01T08:00:00.123Z"]
        {
            assert!(instant(text).is_ok(), "{text}");
        }
        for text in ["", "today", "2026-1", "2026-11-01 08:00", "2026-11-01T08:00:00+01:00", "20261101"] {
            assert!(instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cell_of_csv_is_quoted_and_is_no_formula() {
        let row = ["a,b", "say \"x\"", "=1+1", "-", "plain"].map(str::to_owned);
        assert_eq!(csv_line(&row), "\"a,b\",\"say \"\"x\"\"\",'=1+1,-,plain\r\n");
    }
}
