//! The target platforms of a gateway.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A target platform of a gateway.
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

/// The text is not the name of a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write one of `workers-free`, `workers-paid`, `spin` and `native`")]
pub struct UnknownTarget;

impl Target {
    /// All targets.
    pub const ALL: [Self; 4] = [Self::WorkersFree, Self::WorkersPaid, Self::Spin, Self::Native];

    /// Whether it is Cloudflare Workers.
    #[must_use]
    pub const fn is_workers(self) -> bool {
        match self {
            Self::WorkersFree | Self::WorkersPaid => true,
            Self::Spin | Self::Native => false,
        }
    }

    /// The name in the configuration.
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
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        Self::ALL.into_iter().find(|target| target.as_str() == text).ok_or(UnknownTarget)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
