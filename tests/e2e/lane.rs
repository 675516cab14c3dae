//! Lanes: host processes that run in parallel, each with one scenario at a time.
//!
//! A scenario has exclusive use of its host while it runs, so that faults and log lines belong to it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tollgate_core::operator::Role;
use tollgate_tests::hosts::{Artifacts, Fault, Host, Kind, Options};

use crate::scenario::{self, Scenario, Verdict};
use crate::world::World;

/// The name of the gateway that the scenarios configure.
pub(crate) const GATEWAY: &str = "e2e";

/// One scenario's verdict on one host.
pub(crate) struct Judged {
    pub(crate) title: String,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
}

/// Runs all scenarios on one host; returns the results in the order of the scenarios.
pub(crate) async fn run(kind: Kind, artifacts: &Artifacts, scenarios: &[Scenario], lanes: usize) -> Vec<Judged> {
    let queue: VecDeque<(usize, Scenario)> = scenarios.iter().copied().enumerate().collect();
    let lanes = lanes.min(queue.len());
    let queue = Rc::new(RefCell::new(queue));
    let tasks: Vec<_> =
        (0..lanes).map(|_| tokio::task::spawn_local(lane(kind, artifacts.clone(), Rc::clone(&queue)))).collect();
    let mut judged = Vec::new();
    for task in tasks {
        // A lane does not panic: scenarios run in separate tasks.
        judged.extend(task.await.unwrap_or_default());
    }
    judged.sort_by_key(|(index, _)| *index);
    judged.into_iter().map(|(_, judged)| judged).collect()
}

async fn lane(
    kind: Kind,
    artifacts: Artifacts,
    queue: Rc<RefCell<VecDeque<(usize, Scenario)>>>,
) -> Vec<(usize, Judged)> {
    let mut judged = Vec::new();
    let mut host: Option<Rc<Host>> = None;
    loop {
        let next = queue.borrow_mut().pop_front();
        let Some((index, scenario)) = next else {
            return judged;
        };
        let started = Instant::now();
        let verdict = match scenario.cannot_hold_on(kind) {
            Some(why) => Verdict::NotApplicable(why),
            None => match usable(host.take(), kind, &artifacts).await {
                Ok(running) => {
                    host = Some(Rc::clone(&running));
                    on(&scenario, index, running, &artifacts).await
                }
                Err(why) => Verdict::Failed(format!("the host does not start: {why}")),
            },
        };
        let one = Judged { title: scenario.title(), verdict, took: started.elapsed() };
        report(kind, &one);
        judged.push((index, one));
    }
}

/// The lane's host without faults; a new one if it has ended or no longer accepts commands.
async fn usable(host: Option<Rc<Host>>, kind: Kind, artifacts: &Artifacts) -> Result<Rc<Host>, String> {
    if let Some(host) = host {
        let whole = host.alive() && host.fault(Fault::NONE).await.is_ok();
        if whole {
            return Ok(host);
        }
    }
    let options = Options {
        gateway: GATEWAY.to_owned(),
        dev: true,
        secrets: secrets(),
        authorities: None,
        counts: false,
        keep: None,
        counters: None,
    };
    Ok(Rc::new(Host::start(kind, artifacts, &options).await?))
}

/// What the lanes' hosts have: a secret for upstreams, and a token of the operator endpoint for each role.
fn secrets() -> Vec<(String, String)> {
    let bound = Role::ALL.map(|role| (role.secret_name().to_owned(), format!("e2e-{}:{}", role.as_str(), token(role))));
    let upstream = (HOST_SECRET.0.to_owned(), HOST_SECRET.1.to_owned());
    let key = (IDENTITY_KEY.0.to_owned(), IDENTITY_KEY.1.to_owned());
    let notify = (NOTICE_SECRET.0.to_owned(), NOTICE_SECRET.1.to_owned());
    bound.into_iter().chain([upstream, key, notify]).collect()
}

/// The key with which the lanes' hosts sign tokens about callers (RFC 8037, appendix A.1).
pub(crate) const IDENTITY_KEY: (&str, &str) = (
    "IDENTITY_KEY",
    r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
);

/// The secret with which the lanes' hosts sign notices of limits.
pub(crate) const NOTICE_SECRET: (&str, &str) = ("NOTIFY", "whsec_bm90aWNlcy1vZi1saW1pdHMtczNjcjN0");

/// The secret of the lanes' hosts: its name and its value.
pub(crate) const HOST_SECRET: (&str, &str) = ("UPSTREAM_TOKEN", "s3cr3t-of-the-host");

/// The token of a role.
pub(crate) fn token(role: Role) -> String {
    format!("{}-s3cr3t-{}", role.as_str(), "0123456789abcdef0123456789abcdef")
}

async fn on(scenario: &Scenario, index: usize, host: Rc<Host>, artifacts: &Artifacts) -> Verdict {
    host.clear_logs();
    match World::new(host, index, artifacts.clone()).await {
        Ok(world) => {
            let world = Rc::new(world);
            match scenario::run(scenario, Rc::clone(&world)).await {
                Verdict::Failed(why) => Verdict::Failed(format!("{why}\n{}", world.host.stderr()).trim().to_owned()),
                Verdict::Held => world.leak().await.map_or(Verdict::Held, Verdict::Failed),
                other => other,
            }
        }
        Err(error) => Verdict::Failed(error.to_string()),
    }
}

fn report(kind: Kind, judged: &Judged) {
    let host = kind.name();
    let took = judged.took.as_secs_f64();
    match &judged.verdict {
        Verdict::Held => println!("ok      {host:<10} {:>5.1} s  {}", took, judged.title),
        Verdict::NotApplicable(_) => {}
        Verdict::Failed(why) => {
            println!("FAILED  {host:<10} {:>5.1} s  {}", took, judged.title);
            println!("        {}", why.replace('\n', "\n        "));
        }
    }
}
