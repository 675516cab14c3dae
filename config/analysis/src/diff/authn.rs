//! Compares the authentication of two routes: their alternatives, by the credentials that each requires.

use std::collections::BTreeSet;
use std::fmt;

use tollgate_config::Compiled;
use tollgate_config::policies::{Change as ChangeRule, Settings, settings};
use tollgate_core::kinds::PolicyView;
use tollgate_core::settings::RouteSettings;

use super::policy::shown;
use super::{Change, Differing, Effect};

/// The alternatives of a route, in the order in which they are tried.
struct Alternatives(Vec<Alternative>);

/// Policies that must all authenticate the caller.
struct Alternative {
    names: Vec<String>,
    /// For each policy, the settings that identify it, without its name.
    identities: Vec<String>,
}

/// The change of the accepted callers, if there is one.
pub(super) fn authn(
    (from, old): (&Compiled, &RouteSettings),
    (to, new): (&Compiled, &RouteSettings),
    subject: &str,
) -> Option<Change> {
    let (old, new) = (Alternatives::of(from, old), Alternatives::of(to, new));
    if old.identities().eq(new.identities()) {
        return None;
    }
    let (accepts_more, accepts_fewer) = (!old.accepts(&new), !new.accepts(&old));
    let values = Differing { from: Some(old.to_string()), to: Some(new.to_string()) };
    let change = |effect, reason| Change::of(subject, "authn", values, effect, reason);
    Some(match (old.0.is_empty(), new.0.is_empty()) {
        (true, _) => change(Effect::Breaking, "a credential is required now"),
        (_, true) => change(Effect::Compatible, "no credential is required any more").loosening(),
        _ => match (accepts_more, accepts_fewer) {
            (true, false) => change(Effect::Compatible, "more credentials are accepted").loosening(),
            (false, true) => change(Effect::Breaking, "fewer credentials are accepted"),
            (true, true) => change(Effect::Breaking, "other credentials are accepted").loosening(),
            (false, false) => {
                change(Effect::Review, "a request with several credentials may be authenticated by another of them")
            }
        },
    })
}

impl Alternatives {
    fn of(compiled: &Compiled, route: &RouteSettings) -> Self {
        let all = compiled.policies();
        let alternative = |places: &Vec<_>| {
            let policies: Vec<PolicyView<'_>> = places.iter().filter_map(|place| all.view(*place)).collect();
            let found = policies.iter().filter_map(|policy| settings(all, policy.name));
            Alternative {
                names: policies.iter().map(|policy| policy.name.to_owned()).collect(),
                identities: found.map(|settings| identity(&settings)).collect(),
            }
        };
        Self(route.authn.iter().map(alternative).collect())
    }

    fn identities(&self) -> impl Iterator<Item = &Vec<String>> {
        self.0.iter().map(|alternative| &alternative.identities)
    }

    /// Whether a caller with the credentials of any of the other alternatives is accepted by one of these.
    fn accepts(&self, others: &Self) -> bool {
        let set = |identities: &'_ Vec<String>| identities.iter().cloned().collect::<BTreeSet<_>>();
        let own: Vec<_> = self.identities().map(set).collect();
        others.identities().map(set).all(|other| own.iter().any(|own| own.is_subset(&other)))
    }
}

impl fmt::Display for Alternatives {
    /// Alternatives are joined by `or`. An alternative with several policies is in parentheses if there are others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |alternative: &Alternative| {
            let names = alternative.names.join(" + ");
            if alternative.names.len() > 1 && self.0.len() > 1 { format!("({names})") } else { names }
        };
        match self.0.as_slice() {
            [] => f.write_str("public"),
            all => f.write_str(&all.iter().map(shown).collect::<Vec<_>>().join(" or ")),
        }
    }
}

/// The settings that identify an authenticator.
fn identity(settings: &Settings) -> String {
    let parts = settings.list.iter().filter(|setting| setting.change == ChangeRule::Identity);
    let parts: Vec<String> = parts.filter_map(shown).collect();
    format!("{} {}", settings.kind, parts.join(", "))
}
