//! The result table: checks as rows, implementations as columns.

use crate::lane::{Lane, Verdict};

/// The results.
pub(crate) struct Table {
    names: Vec<&'static str>,
    columns: Vec<(Lane, Vec<Verdict>)>,
}

impl Table {
    pub(crate) fn new(names: &[&'static str]) -> Self {
        Self { names: names.to_vec(), columns: Vec::new() }
    }

    pub(crate) fn add(&mut self, lane: Lane, verdicts: Vec<Verdict>) {
        self.columns.push((lane, verdicts));
    }

    pub(crate) fn failed(&self) -> usize {
        self.count(|verdict| matches!(verdict, Verdict::Broken(_)))
    }

    /// Prints the table, the reasons for its entries, and the summary line that xtask reads.
    pub(crate) fn print(&self) {
        let width = self.names.iter().map(|name| name.len()).max().unwrap_or_default();
        let lanes: String = self.columns.iter().map(|(lane, _)| format!("{:<16}", lane.name())).collect();
        println!("\n{:<width$}  {}", "contract", lanes.trim_end());
        for (row, name) in self.names.iter().enumerate() {
            let words: String = self.columns.iter().map(|(_, all)| format!("{:<16}", word(&all[row]))).collect();
            println!("{name:<width$}  {}", words.trim_end());
        }
        println!();
        self.print_reasons();
        let kept = self.count(|verdict| *verdict == Verdict::Kept);
        let empty = self.count(|verdict| matches!(verdict, Verdict::NotApplicable(_)));
        println!("conformance: {kept} passed, {} failed, {empty} not applicable", self.failed());
    }

    fn print_reasons(&self) {
        for (lane, verdicts) in &self.columns {
            let mut told = Vec::new();
            for (name, verdict) in self.names.iter().zip(verdicts) {
                match verdict {
                    Verdict::Kept => {}
                    Verdict::Broken(why) => println!("violated on {}: {name}: {why}", lane.name()),
                    Verdict::NotApplicable(why) if told.contains(why) => {}
                    Verdict::NotApplicable(why) => {
                        println!("n/a on {}: {why}", lane.name());
                        told.push(why);
                    }
                }
            }
        }
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.columns.iter().flat_map(|(_, verdicts)| verdicts).filter(|verdict| is(verdict)).count()
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "ok",
        Verdict::Broken(_) => "BROKEN",
        Verdict::NotApplicable(_) => "n/a",
    }
}
