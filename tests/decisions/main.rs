//! The decisions suite: one corpus of requests, whose events have the same hash in memory and on every host.
//!
//! `cargo xtask test --only decisions` builds what it needs and runs it. A change of decisions that is meant is taken over
//! with `decisions --bless`, which writes tests/vectors/decisions/expected.txt, so that it is seen in a review.

mod corpus;
mod hosted;
mod memory;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;

use tollgate_tests::hosts::{Artifacts, Kind};

use corpus::Corpus;
use memory::Found;

const USAGE: &str = "decisions [--host native|cloudflare|spin]... [--bless]";

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).map_err(Into::into).and_then(|(hosts, bless)| run(&hosts, bless)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("decisions: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<(Vec<Kind>, bool), String> {
    let (mut hosts, mut bless) = (Vec::new(), false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bless" => bless = true,
            "--host" => {
                let name = words.next().unwrap_or_default();
                hosts.push(Kind::parse(&name).ok_or_else(|| format!("`{name}` is no host"))?);
            }
            other => return Err(format!("no option {other}")),
        }
    }
    if hosts.is_empty() && !bless {
        hosts = Kind::ALL.to_vec();
    }
    Ok((hosts, bless))
}

/// Runs the corpus; answers how many requests were decided otherwise than expected.
fn run(hosts: &[Kind], bless: bool) -> Result<usize, Box<dyn Error>> {
    let artifacts = Artifacts::find()?;
    let corpus = Corpus::read(&artifacts.root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let in_memory = memory::run(&corpus).await?;
        let hashes: BTreeMap<String, String> =
            in_memory.iter().map(|(name, (hash, _))| (name.clone(), hash.clone())).collect();
        if bless {
            corpus.bless(&hashes)?;
            println!("{} hashes written", hashes.len());
            return Ok(0);
        }
        let mut wrong = compare("memory", &corpus, &hashes, &in_memory);
        let mut lanes = 1;
        for kind in hosts {
            lanes += 1;
            wrong += match hosted::run(*kind, &artifacts, &corpus).await {
                Ok(found) => compare(kind.name(), &corpus, &found, &in_memory),
                Err(error) => {
                    println!("FAILED  {:<10} {error}", kind.name());
                    corpus.requests.len()
                }
            };
        }
        println!("decisions: {} passed, {wrong} failed", corpus.requests.len() * lanes - wrong);
        Ok(wrong)
    })
}

/// Shows what was decided otherwise; the events are those in memory.
fn compare(lane: &str, corpus: &Corpus, found: &BTreeMap<String, String>, in_memory: &Found) -> usize {
    let mut wrong = 0;
    for asked in &corpus.requests {
        let (expected, got) = (corpus.expected.get(&asked.name), found.get(&asked.name));
        if expected.is_none() || expected != got {
            wrong += 1;
            let events = in_memory.get(&asked.name).map_or("", |(_, events)| events.as_str());
            let text = |hash: Option<&String>| hash.map_or_else(|| "nothing".to_owned(), Clone::clone);
            println!("FAILED  {lane:<10} {}: {} instead of {}", asked.name, text(got), text(expected));
            println!("        in memory:\n        {}", events.trim_end().replace('\n', "\n        "));
        }
    }
    println!("{}      {lane:<10} {} requests", if wrong == 0 { "ok" } else { "  " }, corpus.requests.len());
    wrong
}
