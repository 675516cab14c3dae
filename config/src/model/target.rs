//! The platforms that a gateway can be meant for.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A platform that a gateway is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Cloudflare Workers, the free plan.
    WorkersFree,
    /// Cloudflare Workers, the paid plan with its default limits.
    WorkersPaid,
    /// Spin.
    Spin,
    /// `tollgate serve`.
    Native,
}

/// A text that names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a target is one of workers-free, workers-paid, spin and native")]
pub struct NoTarget;

impl Target {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WorkersFree, Self::WorkersPaid, Self::Spin, Self::Native];

    /// The word it is written as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkersFree => "workers-free",
            Self::WorkersPaid => "workers-paid",
            Self::Spin => "spin",
            Self::Native => "native",
        }
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        Self::ALL.into_iter().find(|target| target.as_str() == text).ok_or(NoTarget)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
