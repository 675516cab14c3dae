//! What a request would see differently of two compiled gateways.
//!
//! Nothing is compared as text. Both gateways are asked, by the production router, for the same requests: one for each
//! combination of host pattern, path, method and predicates that either has a route for (`ask`). Routes that answer the
//! same request are compared setting by setting (`compare`); the order of files, comments, ids and names of APIs and
//! policies decide nothing.

mod ask;
mod authn;
mod compare;
mod policy;
#[cfg(test)]
mod tests;
mod value;

use serde::Serialize;
use tollgate_config::Compiled;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// What it is about: a route by its id (the new one where it has two), `policy NAME`, `upstream NAME` or `gateway`.
    pub subject: String,
    /// The setting, such as `authn`; `route` for the route as a whole.
    pub setting: String,
    /// The old value, for people; nothing where there was none.
    pub from: Option<String>,
    /// The new one.
    pub to: Option<String>,
    /// What it does to those who call.
    pub effect: Effect,
    /// Whether it takes away from what protects the gateway or those behind it.
    pub loosens: bool,
    /// Why it is judged so.
    pub reason: String,
    /// A request that shows it.
    pub witness: Option<String>,
}

/// What a difference does to those who call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Requests that were answered may be refused or answered by nobody.
    Breaking,
    /// Requests are answered otherwise: somebody has to judge.
    Review,
    /// Every request that was answered still is.
    Compatible,
}

impl Effect {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Review => "review",
            Self::Compatible => "compatible",
        }
    }
}

/// The differences from one gateway to another, those of a subject together.
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

/// Both values, where they differ.
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
