//! The result table: scenarios as rows, hosts as columns.

use std::collections::BTreeMap;

use tollgate_tests::hosts::Kind;

use crate::lane::Judged;
use crate::scenario::Verdict;

/// The results of all runs.
pub(crate) struct Table {
    hosts: Vec<Kind>,
    /// Titles in the order of their first occurrence.
    titles: Vec<String>,
    cells: BTreeMap<(String, &'static str), Vec<Verdict>>,
}

impl Table {
    pub(crate) fn new(hosts: &[Kind]) -> Self {
        Self { hosts: hosts.to_vec(), titles: Vec::new(), cells: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, host: Kind, all: Vec<Judged>) {
        for judged in all {
            if !self.titles.contains(&judged.title) {
                self.titles.push(judged.title.clone());
            }
            let cell = self.cells.entry((judged.title, host.name())).or_default();
            cell.push(judged.verdict);
        }
    }

    pub(crate) fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// Prints the table, why some cells are empty, and the summary line that xtask reads.
    pub(crate) fn print(&self) {
        println!("\n{}", self.rows());
        let held = self.count(|verdict| *verdict == Verdict::Held);
        let empty = self.count(|verdict| matches!(verdict, Verdict::NotApplicable(_)));
        println!("e2e: {held} passed, {} failed, {empty} not applicable", self.failed());
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.cells.values().flatten().filter(|one| is(one)).count()
    }

    fn rows(&self) -> String {
        let widest = self.titles.iter().map(|title| title.chars().count()).max();
        let width = widest.unwrap_or(0);
        let names: Vec<String> = self.hosts.iter().map(|host| cell(host.name())).collect();
        let mut rows = vec![format!("{:<width$}  {}", "scenario", names.concat())];
        let mut notes = Vec::new();
        for title in &self.titles {
            let mut row = format!("{title:<width$}  ");
            for host in &self.hosts {
                let verdicts = self.cells.get(&(title.clone(), host.name()));
                row.push_str(&cell(&word(verdicts.map_or(&[], Vec::as_slice))));
                if let Some([Verdict::NotApplicable(why), ..]) = verdicts.map(Vec::as_slice) {
                    notes.push(format!("n/a on {}: {title}: {why}", host.name()));
                }
            }
            rows.push(row.trim_end().to_owned());
        }
        rows.push(String::new());
        rows.append(&mut notes);
        rows.join("\n")
    }
}

fn cell(text: &str) -> String {
    format!("{text:<12}")
}

fn word(verdicts: &[Verdict]) -> String {
    let failed = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Failed(_))).count();
    match verdicts {
        [] => "-".to_owned(),
        [Verdict::NotApplicable(_), ..] => "n/a".to_owned(),
        [Verdict::Failed(_)] => "FAILED".to_owned(),
        all if failed > 0 => format!("FAILED {failed}/{}", all.len()),
        _ => "ok".to_owned(),
    }
}
