//! The differences between two compiled gateways for requests.
//!
//! The texts are not compared. The production router of both gateways routes the same requests: one for each combination
//! of host pattern, path, method and predicates for which either has a route (`ask`). The settings of routes that match
//! the same request are compared (`compare`). The order of files, comments, and the names of APIs and policies have no
//! effect.

mod ask;
mod authn;
mod compare;
#[cfg(test)]
mod keys_tests;
mod policy;
#[cfg(test)]
mod tests;
mod value;

use serde::Serialize;
use tollgate_config::Compiled;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The id of a route (the new id if it has changed), `policy NAME`, `upstream NAME` or `gateway`.
    pub subject: String,
    /// The setting, such as `authn`; `route` for a whole route.
    pub setting: String,
    /// The old value as text; `None` if there was none.
    pub from: Option<String>,
    /// The new value as text; `None` if there is none.
    pub to: Option<String>,
    /// The effect on requests.
    pub effect: Effect,
    /// Whether it weakens the protection of the gateway or its upstreams.
    pub loosens: bool,
    /// The reason for the effect.
    pub reason: String,
    /// A request that is affected.
    pub witness: Option<String>,
}

/// The effect of a difference on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Requests that were accepted may be refused, or match no route.
    Breaking,
    /// The responses to requests change: a person must review it.
    Review,
    /// Every request that was accepted still is.
    Compatible,
}

impl Effect {
    /// The name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Review => "review",
            Self::Compatible => "compatible",
        }
    }
}

/// The differences between two gateways, sorted by subject.
#[must_use]
pub fn diff(from: &Compiled, to: &Compiled) -> Vec<Change> {
    let asked = ask::ask(from, to);
    let mut changes = compare::routes(from, to, &asked);
    changes.extend(policy::policies(from, to));
    changes.extend(compare::upstreams(from, to));
    changes.extend(compare::gateway(from, to));
    changes.sort();
    changes.dedup();
    changes
}

/// The old and the new value.
struct Differing {
    from: Option<String>,
    to: Option<String>,
}

impl Change {
    fn of(subject: &str, setting: &str, values: Differing, effect: Effect, reason: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            setting: setting.to_owned(),
            from: values.from,
            to: values.to,
            effect,
            loosens: false,
            reason: reason.to_owned(),
            witness: None,
        }
    }

    fn loosening(mut self) -> Self {
        self.loosens = true;
        self
    }

    fn shown_by(mut self, witness: &str) -> Self {
        self.witness = Some(witness.to_owned());
        self
    }
}
