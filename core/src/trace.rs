//! The decision trace of an exchange: one line per decision, read by `explain`, metrics and spans alike.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// The phases of an exchange, in the order they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The request is taken apart.
    Receive,
    /// Its route is found.
    Route,
    /// Its size is checked.
    Guard,
    /// Its sender is authenticated.
    Authenticate,
    /// Its scopes are checked.
    Authorize,
    /// Its cost is charged.
    Limit,
    /// It is looked up in the cache.
    LookUp,
    /// It is forwarded.
    Forward,
    /// Its response is stored.
    Store,
    /// Its response is sent.
    Respond,
}

impl Phase {
    /// The name as written in configuration, docs and telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Route => "route",
            Self::Guard => "guard",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Limit => "limit",
            Self::LookUp => "look-up",
            Self::Forward => "forward",
            Self::Store => "store",
            Self::Respond => "respond",
        }
    }
}

/// What a decision came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The exchange goes on.
    Pass,
    /// The decision did not apply.
    Skip,
    /// The exchange ends here with an answer: from store, or to OPTIONS.
    Answer,
    /// Policy said no.
    Refuse,
    /// Something failed, and the exchange ends here.
    Error,
    /// A store was away, and the policy says to go on without it.
    OpenOnFailure,
}

impl Verdict {
    /// The name in telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Answer => "answer",
            Self::Refuse => "refuse",
            Self::Error => "error",
            Self::OpenOnFailure => "open-on-failure",
        }
    }
}

/// One line of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The phase it was made in.
    pub phase: Phase,
    /// The policy that made it; absent where the phase itself did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What it came to.
    pub verdict: Verdict,
    /// Why, in words for an operator; never a secret.
    pub reason: Cow<'static, str>,
}

/// The decisions of an exchange, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DecisionTrace(Vec<Decision>);

impl DecisionTrace {
    /// Adds the decision of a phase itself.
    pub fn note(&mut self, phase: Phase, verdict: Verdict, reason: impl Into<Cow<'static, str>>) {
        self.0.push(Decision { phase, policy: None, verdict, reason: reason.into() });
    }

    /// Adds the decision of a policy.
    pub fn note_policy(&mut self, phase: Phase, policy: &str, verdict: Verdict, reason: impl Into<Cow<'static, str>>) {
        self.0.push(Decision { phase, policy: Some(policy.to_owned()), verdict, reason: reason.into() });
    }

    /// The decisions.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.0
    }
}

impl fmt::Display for DecisionTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.0 {
            let policy = d.policy.as_deref().unwrap_or("-");
            writeln!(f, "{:<13} {policy:<20} {:<15} {}", d.phase.as_str(), d.verdict.as_str(), d.reason)?;
        }
        Ok(())
    }
}
