//! One implementation of the ports, and the results of its checks.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::timeout;
use tollgate_contracts::{Breach, Outcome, Subject, run};
use tollgate_tests::hosts::Kind;
use tollgate_tests::redis::{Cluster, Redis};

use crate::launched::Launched;
use crate::{exempt, memory, native};

/// The implementation whose ports are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The reference.
    Memory,
    Native,
    /// The native adapter with counters in a Redis server.
    NativeRedis,
    /// The same with a cluster of three nodes.
    NativeCluster,
    Cloudflare,
    Spin,
    /// The Spin adapter with counters in a Redis server.
    SpinRedis,
}

/// The result of one check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    /// How the contract was violated.
    Broken(String),
    /// Why it cannot pass.
    NotApplicable(&'static str),
}

/// The timeout of a check: one that traps in a Worker never answers.
const PATIENCE: Duration = Duration::from_secs(30);

impl Lane {
    pub(crate) const ALL: [Self; 7] = [
        Self::Memory,
        Self::Native,
        Self::NativeRedis,
        Self::NativeCluster,
        Self::Cloudflare,
        Self::Spin,
        Self::SpinRedis,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Native => Kind::Native.name(),
            Self::NativeRedis => "native+redis",
            Self::NativeCluster => "native+cluster",
            Self::Cloudflare => Kind::Cloudflare.name(),
            Self::Spin => Kind::Spin.name(),
            Self::SpinRedis => "spin+redis",
        }
    }

    /// The lanes of a host: with its own counters, and with those in Redis.
    pub(crate) fn of_host(name: &str) -> Vec<Self> {
        let of_host = |lane: &Self| lane.name().split('+').next() == Some(name) && *lane != Self::Memory;
        Self::ALL.into_iter().filter(of_host).collect()
    }

    /// Whether it differs from another lane in its counters only.
    pub(crate) fn is_of_counters(self) -> bool {
        self.name().contains('+')
    }

    /// Runs the checks one after the other, because a disabled store is disabled for all checks.
    pub(crate) async fn judge(self, names: &[&'static str]) -> Vec<Verdict> {
        match self {
            Self::Memory => self.judge_here(names, memory::Reference::new()).await,
            Self::Native => self.judge_here(names, native::Isolate::new()).await,
            Self::NativeRedis => match Redis::start(&[]) {
                Ok(redis) => self.judge_here(names, native::Isolate::with_counters(Some(&redis.url("")))).await,
                Err(why) => broken(names, &why),
            },
            Self::NativeCluster => match Cluster::start() {
                Ok(cluster) => self.judge_here(names, native::Isolate::with_counters(Some(&cluster.url()))).await,
                Err(why) => broken(names, &why),
            },
            Self::Cloudflare => self.judge_there(names, Kind::Cloudflare, None).await,
            Self::Spin => self.judge_there(names, Kind::Spin, None).await,
            Self::SpinRedis => match Redis::start(&[]) {
                Ok(redis) => self.judge_there(names, Kind::Spin, Some(redis.url(""))).await,
                Err(why) => broken(names, &why),
            },
        }
    }

    async fn judge_here(self, names: &[&'static str], subject: impl Subject + 'static) -> Vec<Verdict> {
        let subject = Rc::new(subject);
        let mut verdicts = Vec::new();
        for name in names.iter().copied() {
            let subject = Rc::clone(&subject);
            // A separate task, so that a port that panics fails only this check.
            let check = async move {
                let running = tokio::task::spawn_local(async move { run(name, &*subject).await });
                running.await?.unwrap_or_else(|| Err(Breach("unknown check".to_owned())))
            };
            verdicts.push(self.verdict(name, check).await);
        }
        verdicts
    }

    async fn judge_there(self, names: &[&'static str], kind: Kind, counters: Option<String>) -> Vec<Verdict> {
        let launched = match Launched::start(kind, counters).await {
            Ok(launched) => launched,
            Err(why) => return broken(names, &why),
        };
        let mut verdicts = Vec::new();
        for name in names {
            let verdict = self.verdict(name, launched.check(name)).await;
            verdicts.push(match (verdict, launched.reset().await) {
                (Verdict::Kept, Err(why)) => Verdict::Broken(why),
                (verdict, _) => verdict,
            });
        }
        verdicts
    }

    async fn verdict(self, name: &str, check: impl Future<Output = Outcome>) -> Verdict {
        if let Some(why) = exempt::why(self, name) {
            return Verdict::NotApplicable(why);
        }
        match timeout(PATIENCE, check).await {
            Ok(Ok(())) => Verdict::Kept,
            Ok(Err(breach)) => Verdict::Broken(breach.to_string()),
            Err(_) => Verdict::Broken("no answer in time".to_owned()),
        }
    }
}

fn broken(names: &[&'static str], why: &str) -> Vec<Verdict> {
    names.iter().map(|_| Verdict::Broken(why.to_owned())).collect()
}
